//! The handler's view of a session.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::attribute::{Memo, Op, Step, coding, counter};
use crate::error::{Error, ErrorKind, Operation, Result};
use crate::handle::{Guard, Handle};
use crate::id::{Fingerprint, SessionId};
use crate::inspect::{Inspected, inspect};
use crate::live::{Phase, StateGuard};
use crate::name::AttributeName;
use crate::provider::Destroyed;
use crate::serializer::SessionSerializer;
use crate::settings::check_idle_timeout;

/// A session, as one request holds it.
///
/// All requests of a session in this process share one live copy: what one changes, the others see at once. Nothing
/// here waits for another request, and nothing but [`commit`](Self::commit) and [`close`](Self::close) talks to the
/// store. What was changed is written then, together, and only where the serialized bytes differ from those in the
/// store.
///
/// Clones are the same request's. When the last is dropped with changes that are not committed, they are committed in
/// the background on the current runtime; without one they are lost, which is reported as an error to the observer.
///
/// A session that was destroyed, or has expired, reads as empty, and changing it answers [`ErrorKind::Gone`]. One that was
/// opened to be [read only](crate::ConcurrencyMode::ReadOnly) answers every change with [`ErrorKind::ReadOnly`].
///
/// ```
/// # use session_core::{MemoryProvider, RequestContext, SessionManager};
/// # use session_serde::Json;
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> session_core::Result<()> {
/// let manager = SessionManager::builder(MemoryProvider::new(), Json).build()?;
/// let session = manager.open(&RequestContext::default(), None).await?;
/// session.insert("theme", "dark")?;
/// session.update("cart", |cart: &mut Vec<String>| cart.push("tea".to_owned()))?;
/// assert_eq!(session.increment("visits", 1)?, 1);
/// session.commit().await?;
///
/// let id = session.id().expect("it is stored now");
/// let later = manager.open(&RequestContext::default(), Some(&id)).await?;
/// assert_eq!(later.get::<String>("theme")?.as_deref(), Some("dark"));
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Session<S> {
    codec: S,
    guard: Arc<Guard>,
}

/// What the client has to be told about its id.
#[must_use]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientId {
    /// Nothing.
    Keep,
    /// The expiry was renewed: a cookie that carries a max-age is sent again with this same id.
    Refresh(SessionId),
    /// The client shall use this id from now on.
    Issue(SessionId),
    /// The client shall forget its id.
    Forget,
}

/// How a request's part in a session ended.
#[must_use]
#[derive(Debug)]
#[non_exhaustive]
pub struct Closed {
    /// Whether everything was acknowledged.
    pub result: Result<()>,
    /// What to tell the client. If something failed, [`ClientId::Keep`], but for a change of id that was done all the same:
    /// its old one is dead.
    pub client: ClientId,
    /// If the request destroyed the session: whether the store had it under the id by which the request knew it. If not,
    /// it had ended before, or another process has given it another id.
    pub destroyed: Option<Destroyed>,
}

impl<S: SessionSerializer> Session<S> {
    pub(crate) fn new(codec: S, handle: Handle) -> Self {
        Self { codec, guard: Arc::new(Guard { handle: Arc::new(handle) }) }
    }

    /// A clone of an attribute's value; `None` if it is not there. Decoded when it is first read, and kept decoded.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Corrupt`] if its bytes are no `T`; the attribute and all others stay as they are.
    pub fn get<T: DeserializeOwned + Clone + Send + Sync + 'static>(&self, name: &str) -> Result<Option<T>> {
        Ok(self.get_shared::<T>(name)?.map(|value| (*value).clone()))
    }

    /// An attribute's value, shared with all who read it; `None` if it is not there.
    ///
    /// # Errors
    ///
    /// As [`get`](Self::get).
    pub fn get_shared<T: DeserializeOwned + Send + Sync + 'static>(&self, name: &str) -> Result<Option<Arc<T>>> {
        self.noted(self.read_shared(name))
    }

    fn read_shared<T: DeserializeOwned + Send + Sync + 'static>(&self, name: &str) -> Result<Option<Arc<T>>> {
        let live = self.handle().live();
        let mut state = live.lock()?;
        state.check_readable()?;
        let Some(slot) = state.find(name) else { return Ok(None) };
        let (Some(bytes), memo) = slot.view() else { return Ok(None) };
        if let Some(value) = memo.shared::<T>() {
            return Ok(Some(value));
        }
        let value = match coding::decode::<S, T>(&self.codec, bytes) {
            Ok(value) => Arc::new(value),
            Err(error) => {
                drop(state);
                return Err(error.with_attribute(name));
            }
        };
        memo.set(Arc::clone(&value));
        Ok(Some(value))
    }

    /// Sets an attribute. Between processes the last writer wins, for this attribute only.
    ///
    /// The value is encoded at once; nothing is written if its bytes are those in the store.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidName`], [`ErrorKind::Encode`], [`ErrorKind::TooLarge`], [`ErrorKind::Gone`],
    /// [`ErrorKind::TooLate`]: the attribute is left as it was.
    pub fn insert<T: Serialize + ?Sized>(&self, name: &str, value: &T) -> Result<()> {
        self.noted(self.put(name, value))
    }

    fn put<T: Serialize + ?Sized>(&self, name: &str, value: &T) -> Result<()> {
        AttributeName::check(name)?;
        let live = self.handle().live_to_fill()?;
        let encoded = coding::encode(&self.codec, value, |bytes| -> Result<Option<u64>> {
            let mut state = live.lock()?;
            state.check_writable()?;
            let index = state.slot_index(name)?;
            // The same bytes, set by a request that has not committed them, become this one's as well.
            let same = state.slots[index].now().is_some_and(|now| now == bytes);
            if same && state.slots[index].is_clean() {
                return Ok(None);
            }
            self.handle().make_room(&live, &mut state, index, bytes.len())?;
            let change = state.record(index, Op::Set, Some(Bytes::copy_from_slice(bytes)), self.handle().author);
            state.slots[index].view().1.clear();
            Ok(Some(change))
        });
        match encoded {
            Ok(changed) => {
                if let Some(change) = changed? {
                    self.handle().changed(change);
                }
                Ok(())
            }
            Err(error) => Err(error.with_attribute(name)),
        }
    }

    /// Reads, changes and writes an attribute, so that nobody's change is lost. One that is not there starts from
    /// `Default`. Answers what the closure answers.
    ///
    /// The closure runs at once on the live session, one at a time; and again on the fresh value, if another process
    /// changed the attribute before the commit. It may therefore run several times: it must only touch what it is
    /// given, and clone what it captures. It must not use the session (that is an error) nor hold a clone of it.
    ///
    /// ```
    /// # use session_core::{MemoryProvider, RequestContext, SessionManager};
    /// # use session_serde::Json;
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> session_core::Result<()> {
    /// # let manager = SessionManager::builder(MemoryProvider::new(), Json).build()?;
    /// # let session = manager.open(&RequestContext::default(), None).await?;
    /// let item = String::from("tea");
    /// session.update("cart", move |cart: &mut Vec<String>| cart.push(item.clone()))?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`insert`](Self::insert) and [`get`](Self::get); [`ErrorKind::Closure`] if the closure panics or uses the
    /// session. The attribute is left as it was. The commit answers [`ErrorKind::Conflict`] if other processes changed
    /// the attribute again and again for the operation timeout.
    pub fn update<T, R>(&self, name: &str, change: impl FnMut(&mut T) -> R + Send + 'static) -> Result<R>
    where
        T: Serialize + DeserializeOwned + Default + Send + Sync + 'static,
    {
        self.noted(self.modify(name, change))
    }

    fn modify<T, R>(&self, name: &str, mut change: impl FnMut(&mut T) -> R + Send + 'static) -> Result<R>
    where
        T: Serialize + DeserializeOwned + Default + Send + Sync + 'static,
    {
        AttributeName::check(name)?;
        let live = self.handle().live_to_fill()?;
        let mut answer = None;
        let (number, answer) = {
            let mut state = live.lock()?;
            state.check_writable()?;
            let index = state.slot_index(name)?;
            let (current, memo) = state.slots[index].view();
            let modified = coding::modify(&self.codec, current, memo, |value: &mut T| answer = Some(change(value)));
            let sized = modified.and_then(|bytes| {
                self.handle().make_room(&live, &mut state, index, bytes.len())?;
                Ok(bytes)
            });
            match (sized, answer) {
                (Ok(bytes), Some(answer)) => {
                    let codec = self.codec.clone();
                    let rerun = move |current: Option<&Bytes>, memo: &mut Memo| {
                        coding::modify(&codec, current, memo, |value: &mut T| drop(change(value)))
                    };
                    let op = Op::Modify(vec![Step::Call(Box::new(rerun))]);
                    (state.record(index, op, Some(bytes), self.handle().author), answer)
                }
                (Err(error), _) => {
                    // What the closure did to the decoded value must not be read.
                    state.slots[index].view().1.clear();
                    drop(state);
                    return Err(error.with_attribute(name));
                }
                // The closure runs whenever the value could be had.
                (Ok(_), None) => return Err(Error::new(ErrorKind::Closure, Operation::Change, "it did not run")),
            }
        };
        self.handle().changed(number);
        Ok(answer)
    }

    /// Adds to a counter and answers its new value as this process sees it. The store adds the number to whatever the
    /// counter then holds, exactly once. One that is not there starts from 0.
    ///
    /// Counters and increments range from −999,999,999,999,999,999 to 999,999,999,999,999,999. An attribute that the
    /// serializer stored as an integer becomes a counter.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotACounter`] if it holds something else, or would leave the range; [`ErrorKind::InvalidName`],
    /// [`ErrorKind::TooLarge`], [`ErrorKind::Gone`], [`ErrorKind::TooLate`]. The attribute is left as it was.
    pub fn increment(&self, name: &str, by: i64) -> Result<i64> {
        self.noted(self.add(name, by))
    }

    fn add(&self, name: &str, by: i64) -> Result<i64> {
        AttributeName::check(name)?;
        let live = self.handle().live_to_fill()?;
        let (change, value) = {
            let mut state = live.lock()?;
            state.check_writable()?;
            let index = state.slot_index(name)?;
            let current = state.slots[index].now();
            let is_counter = current.is_none_or(|bytes| counter::parse(bytes).is_some());
            let now = coding::into_counter(&self.codec, current, by).map_err(|error| error.with_attribute(name))?;
            self.handle().make_room(&live, &mut state, index, now.len())?;
            let value = counter::parse(&now).unwrap_or_default();
            let op = if is_counter {
                Op::Add(by)
            } else {
                let codec = self.codec.clone();
                let rerun = move |current: Option<&Bytes>, memo: &mut Memo| {
                    memo.clear();
                    coding::into_counter(&codec, current, by)
                };
                Op::Modify(vec![Step::Call(Box::new(rerun))])
            };
            let change = state.record(index, op, Some(now), self.handle().author);
            state.slots[index].view().1.clear();
            (change, value)
        };
        self.handle().changed(change);
        Ok(value)
    }

    /// Removes an attribute; `true` if it was there.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Gone`] if the session has ended.
    pub fn remove(&self, name: &str) -> Result<bool> {
        self.noted(self.take_out(name))
    }

    fn take_out(&self, name: &str) -> Result<bool> {
        let live = self.handle().live_to_change()?;
        let (present, change) = {
            let mut state = live.lock()?;
            state.check_writable()?;
            let present = state.find(name).is_some_and(|slot| slot.now().is_some());
            (present, self.remove_in(&mut state, name))
        };
        if let Some(change) = change {
            self.handle().changed(change);
        }
        Ok(present)
    }

    /// Removes an attribute and answers what it held. Between processes two may take the same value.
    ///
    /// # Errors
    ///
    /// As [`get`](Self::get) and [`remove`](Self::remove); what cannot be decoded is not removed.
    pub fn take<T: DeserializeOwned + Clone + Send + Sync + 'static>(&self, name: &str) -> Result<Option<T>> {
        self.noted(self.take_value(name))
    }

    fn take_value<T: DeserializeOwned + Clone + Send + Sync + 'static>(&self, name: &str) -> Result<Option<T>> {
        let live = self.handle().live_to_change()?;
        let (taken, change) = {
            let mut state = live.lock()?;
            state.check_readable()?;
            let Some(slot) = state.find(name) else { return Ok(None) };
            let (Some(bytes), memo) = slot.view() else { return Ok(None) };
            let decoded = match memo.shared::<T>() {
                Some(value) => Ok((*value).clone()),
                None => coding::decode::<S, T>(&self.codec, bytes),
            };
            match decoded {
                Ok(value) => {
                    state.check_writable()?;
                    (value, self.remove_in(&mut state, name))
                }
                Err(error) => {
                    drop(state);
                    return Err(error.with_attribute(name));
                }
            }
        };
        if let Some(change) = change {
            self.handle().changed(change);
        }
        Ok(Some(taken))
    }

    /// Removes every attribute that is there. One that another process adds meanwhile stays.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Gone`] if the session has ended.
    pub fn clear(&self) -> Result<()> {
        self.noted(self.clear_all())
    }

    fn clear_all(&self) -> Result<()> {
        let live = self.handle().live_to_change()?;
        let change = {
            let mut state = live.lock()?;
            state.check_writable()?;
            state.clear(None, self.handle().author)
        };
        if let Some(change) = change {
            self.handle().changed(change);
        }
        Ok(())
    }

    /// Whether an attribute is there.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::TooLarge`] if the stored session was too large to be loaded.
    pub fn contains(&self, name: &str) -> Result<bool> {
        self.read(|state| state.find(name).is_some_and(|slot| slot.now().is_some()))
    }

    /// The names of all attributes, in no order.
    ///
    /// # Errors
    ///
    /// As [`contains`](Self::contains).
    pub fn names(&self) -> Result<Vec<String>> {
        self.read(|state| {
            let present = state.slots.iter().filter(|slot| slot.now().is_some());
            present.map(|slot| slot.name().as_str().to_owned()).collect()
        })
    }

    /// All attributes as this request sees them, decoded as far as their bytes describe themselves, in the order of their
    /// names. For tools and debugging; `V` is a type for any value, such as `session_serde::Value`.
    ///
    /// ```
    /// # use session_core::{Content, MemoryProvider, RequestContext, SessionManager};
    /// # use session_serde::{Json, Value};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> session_core::Result<()> {
    /// # let manager = SessionManager::builder(MemoryProvider::new(), Json).build()?;
    /// # let session = manager.open(&RequestContext::default(), None).await?;
    /// session.insert("theme", "dark")?;
    /// session.increment("visits", 1)?;
    /// for attribute in session.inspect::<Value>()? {
    ///     match attribute.content {
    ///         Content::Value(value) => println!("{}: {value}", attribute.name.as_str()),
    ///         other => println!("{}: {other:?}, {} bytes", attribute.name.as_str(), attribute.bytes),
    ///     }
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`contains`](Self::contains). An attribute that cannot be decoded is an item of the answer.
    pub fn inspect<V: DeserializeOwned>(&self) -> Result<Vec<Inspected<V>>> {
        // Decoded after the session is unlocked: `V` may be anybody's.
        let attributes: Vec<_> = self.read(|state| {
            let present = state.slots.iter().filter_map(|slot| Some((slot.name().clone(), slot.now()?.clone())));
            present.collect()
        })?;
        Ok(inspect(&self.codec, attributes.iter().map(|(name, value)| (name, value))))
    }

    /// How many attributes there are.
    ///
    /// # Errors
    ///
    /// As [`contains`](Self::contains).
    pub fn len(&self) -> Result<usize> {
        self.read(|state| state.slots.iter().filter(|slot| slot.now().is_some()).count())
    }

    /// Whether there is no attribute.
    ///
    /// # Errors
    ///
    /// As [`contains`](Self::contains).
    pub fn is_empty(&self) -> Result<bool> {
        Ok(self.len()? == 0)
    }

    /// Gives the session another id and keeps its content: at login, and at any change of privilege. The commit does
    /// it; once it is acknowledged the old id is dead. What was changed together with it is only ever under the new id.
    ///
    /// A session that is not stored yet gets an id that nobody has seen anyway.
    ///
    /// If the commit fails and [`Error::effect`] says *perhaps applied*, it is not known whether the old id still works.
    /// While others hold the session in this process, their next commit finishes the change; but no client learns the new
    /// id then. This request's response has been sent, and whoever else came with the old id may be the one from whom it
    /// was to be taken away. So the user has to start, or log in, anew, and what was stored expires. A
    /// [`retry_timeout`](crate::SessionManagerBuilder::retry_timeout) makes that rare.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Gone`] if the session has ended, [`ErrorKind::TooLate`] after the response head was sent,
    /// [`ErrorKind::KeyCallback`] if there is no key for the new id.
    pub fn rotate_id(&self) -> Result<()> {
        self.noted(self.handle().rotate())
    }

    /// Ends the session: at logout. In this process everybody sees it at once; the commit ends it in the store, for
    /// good. What this request writes afterwards starts a new session under a fresh id.
    ///
    /// # Errors
    ///
    /// Why the session could not be read, if it [`is_degraded`](Self::is_degraded): a logout must not seem done.
    pub fn destroy(&self) -> Result<()> {
        self.noted(self.handle().destroy())
    }

    /// Has the commit renew the expiry even if that is not due. Keeps a session alive that is held for long (by a
    /// WebSocket, for instance); holding it alone does not.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Gone`] if the session has ended.
    pub fn touch(&self) -> Result<()> {
        self.noted(self.want_renewal())
    }

    fn want_renewal(&self) -> Result<()> {
        let live = self.handle().live_to_change()?;
        let change = {
            let mut state = live.lock()?;
            state.check_writable()?;
            let change = state.changed();
            state.touched.add(self.handle().author, change);
            change
        };
        self.handle().changed(change);
        Ok(())
    }

    /// Gives this session an idle timeout of its own (1 ms to 100 years), stored with it.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`] if the time is out of range, [`ErrorKind::Gone`] if the session has ended.
    pub fn set_idle_timeout(&self, timeout: Duration) -> Result<()> {
        self.noted(self.keep_idle_timeout(timeout))
    }

    fn keep_idle_timeout(&self, timeout: Duration) -> Result<()> {
        check_idle_timeout(timeout)?;
        // Stored in milliseconds.
        let timeout = Duration::from_millis(u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX));
        let live = self.handle().live_to_change()?;
        let change = {
            let mut state = live.lock()?;
            state.check_writable()?;
            let change = state.changed();
            state.idle.pending = Some(Some(timeout));
            state.idle.authors.add(self.handle().author, change);
            change
        };
        self.handle().changed(change);
        Ok(())
    }

    /// Writes what this request changed, and waits until it is acknowledged. The session goes on.
    ///
    /// # Errors
    ///
    /// Whatever the store answered after the timed retry; [`Error::effect`] tells whether the changes may still be
    /// applied. What could not be tried again (unavailable, outcome unknown, rejected) stays pending and travels with
    /// the next commit. Changes that were refused for good are taken out, and the first of them is the answer.
    pub async fn commit(&self) -> Result<()> {
        self.handle().commit().await
    }

    /// The last commit of a request, before its response head is sent; tells what the client has to be told. After it,
    /// changes need a commit of their own, and creating the session or changing its id answers
    /// [`ErrorKind::TooLate`].
    ///
    /// If it fails and nobody else in this process holds the session, what is pending is dropped with the live copy.
    /// With `throw_on_error(false)` the result is always `Ok`, and the error is the [`last_error`](Self::last_error).
    pub async fn close(&self) -> Closed {
        self.handle().close().await
    }

    /// The secret id, once the session is stored.
    pub fn id(&self) -> Option<SessionId> {
        self.handle().id()
    }

    /// What stands for the id in logs, once the session is stored.
    pub fn fingerprint(&self) -> Option<Fingerprint> {
        Some(self.id()?.fingerprint())
    }

    /// Whether the request came with no id of a stored session.
    pub fn is_new(&self) -> bool {
        self.handle().is_new()
    }

    /// Whether the session could not be read and the request goes on all the same, as `throw_on_error(false)` wants:
    /// reads answer `None`, and what is written stays in memory and is never committed.
    pub fn is_degraded(&self) -> bool {
        self.handle().is_degraded()
    }

    /// The last error of anything that this request did with the session, or why it is degraded; what it changed in a
    /// degraded session is reported here as lost.
    pub fn last_error(&self) -> Option<Error> {
        self.handle().last_error()
    }

    fn handle(&self) -> &Handle {
        &self.guard.handle
    }

    fn read<R>(&self, read: impl FnOnce(&mut StateGuard<'_>) -> R) -> Result<R> {
        let live = self.handle().live();
        let mut state = self.noted(live.lock())?;
        self.noted(state.check_readable())?;
        Ok(read(&mut state))
    }

    /// Records the removal, unless nothing of the attribute is stored, seen or on its way. One that another request has
    /// removed already is recorded too: this request's commit waits until that is acknowledged.
    fn remove_in(&self, state: &mut StateGuard<'_>, name: &str) -> Option<u64> {
        let index = state.slots.iter().position(|slot| slot.name().as_bytes() == name.as_bytes())?;
        if state.slots[index].now().is_none() && state.slots[index].is_clean() {
            return None;
        }
        state.slots[index].view().1.clear();
        Some(state.record(index, Op::Set, None, self.handle().author))
    }

    /// Notes why an operation failed, beside telling the caller.
    fn noted<R>(&self, result: Result<R>) -> Result<R> {
        result.inspect_err(|error| self.handle().note(error))
    }
}

impl<S> std::fmt::Debug for Session<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let live = self.guard.handle.live();
        let phase = live.lock().map_or(Phase::Loading, |state| state.phase);
        let fingerprint = self.guard.handle.id().map(|id| id.fingerprint());
        f.debug_struct("Session").field("phase", &phase).field("fingerprint", &fingerprint).finish_non_exhaustive()
    }
}
