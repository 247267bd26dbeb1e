//! What the steps of a provider need of the way to the servers, whichever that is.

use std::future::Future;

use session_core::{Error, Result};

use super::{Command, Intent, Reply};

/// Knows which server has a key, and starts calls to it.
pub trait Route: Send + Sync + 'static {
    /// A call that is under way.
    type Call: Exchange;

    /// Starts a call about this key: one or several exchanges, all within one operation timeout. Nothing is sent yet.
    fn call(&self, key: &[u8], intent: Intent) -> Self::Call;
}

/// A call that is under way, about one key.
pub trait Exchange: Send {
    /// Sends commands in one write and answers their replies, one for each. All of them are about the call's key; what
    /// writes is sent alone.
    ///
    /// A connection that is found dead is healed once per call: the commands are made again, told whether a copy of
    /// them may have been executed already (only what is safe to repeat may be exchanged here), and sent on a new
    /// connection. After a timeout nothing is sent again.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::OutcomeUnknown`](session_core::ErrorKind::OutcomeUnknown) if a copy may have been executed, the
    /// connector's error if surely none was.
    fn exchange(
        &mut self,
        commands: impl Fn(bool) -> Vec<Command> + Send + Sync,
    ) -> impl Future<Output = Result<Vec<Reply>>> + Send;

    /// Drops the connection that was last used: what it answered makes no sense, or another server should be asked.
    fn distrust(&self);

    /// What an error means for the whole call: "surely not executed" is no longer true of a write when an earlier copy
    /// of it may have been.
    fn judge(&self, error: Error) -> Error;
}
