//! What a request did to an attribute, and how that combines with what is done next.

use bytes::Bytes;

use super::memo::Memo;
use crate::error::Result;
use crate::provider::COUNTER_LIMIT;

/// A change that can be made again on other bytes: from what the attribute holds to what it then holds. Leaves the
/// decoded value in the memo.
pub(crate) type Rerun = Box<dyn FnMut(Option<&Bytes>, &mut Memo) -> Result<Bytes> + Send>;

/// One step of a read-modify-write.
pub(crate) enum Step {
    Add(i64),
    Call(Rerun),
}

/// Everything done to one attribute since its last commit.
pub(crate) enum Op {
    /// It holds the slot's present bytes (or is not there), whatever it held.
    Set,
    /// A number is added; this commutes with others' additions.
    Add(i64),
    /// Steps that depend on what it holds, in their order.
    Modify(Vec<Step>),
}

impl Op {
    /// This, then `next`.
    pub(crate) fn then(self, next: Self) -> Self {
        match (self, next) {
            // A set forgets what was before it; what follows a set ends in bytes that are known here.
            (_, Self::Set) | (Self::Set, _) => Self::Set,
            (Self::Add(a), Self::Add(b)) => match a.checked_add(b) {
                Some(sum) if sum.unsigned_abs() <= COUNTER_LIMIT.unsigned_abs() => Self::Add(sum),
                _ => Self::Modify(vec![Step::Add(a), Step::Add(b)]),
            },
            (first, second) => {
                let mut steps = first.into_steps();
                steps.extend(second.into_steps());
                Self::Modify(steps)
            }
        }
    }

    fn into_steps(self) -> Vec<Step> {
        match self {
            Self::Set => Vec::new(),
            Self::Add(by) => vec![Step::Add(by)],
            Self::Modify(steps) => steps,
        }
    }
}
