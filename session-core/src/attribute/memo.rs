//! The decoded value of an attribute, kept beside its bytes.

use std::any::Any;
use std::sync::Arc;

/// A decoded value of whatever type it was asked for last, shared with those who read it.
#[derive(Default)]
pub(crate) struct Memo(Option<Arc<dyn Any + Send + Sync>>);

impl Memo {
    /// The value, if it was decoded as this type.
    pub(crate) fn shared<T: Any + Send + Sync>(&self) -> Option<Arc<T>> {
        Arc::clone(self.0.as_ref()?).downcast().ok()
    }

    /// Takes the value out if it is of this type and nobody else holds it; it is forgotten in any case.
    pub(crate) fn take<T: Any + Send + Sync>(&mut self) -> Option<T> {
        Arc::try_unwrap(self.0.take()?.downcast::<T>().ok()?).ok()
    }

    pub(crate) fn set<T: Any + Send + Sync>(&mut self, value: Arc<T>) {
        self.0 = Some(value);
    }

    pub(crate) fn clear(&mut self) {
        self.0 = None;
    }

    pub(crate) fn is_set(&self) -> bool {
        self.0.is_some()
    }
}
