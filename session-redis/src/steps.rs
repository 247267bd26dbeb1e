//! The steps of a session provider over a route: which commands, and what their replies mean.

use std::time::Instant;

use bytes::Bytes;
use session_core::{
    Action, Checked, Commit, Committed, Destroyed, Destruction, Error, ErrorKind, Loaded, Operation, Renewal, Renewed,
    Result, Retired, Retirement, SessionKey, WriterId,
};

use crate::error;
use crate::layout::{self, Unreadable};
use crate::scripts::{self, Script};
use crate::stamps::Stamps;
use crate::transport::{Command, Exchange, Intent, Reply, Route, ServerError};

/// Everything a [`SessionProvider`](session_core::SessionProvider) does, for every provider whose store is Redis in the
/// end. Its methods keep that trait's contract.
pub struct Steps<R: Route> {
    route: R,
    max_value_bytes: usize,
    refusal: fn(&ServerError, Operation) -> Error,
    reconnects: fn(&ServerError) -> bool,
    stamps: Stamps,
}

impl<R: Route> Steps<R> {
    /// Steps over this route. Values over `max_value_bytes` are refused.
    pub fn new(route: R, max_value_bytes: usize) -> Self {
        Self {
            route,
            max_value_bytes,
            refusal: error::refusal,
            reconnects: error::should_reconnect,
            stamps: Stamps::new(),
        }
    }

    /// Reads servers' error replies otherwise than [`refusal`](crate::refusal), and drops the connection after others of
    /// them than `READONLY`: what stands between us and the server may have errors and connections of its own.
    #[must_use]
    pub fn with_refusals(
        mut self,
        refusal: fn(&ServerError, Operation) -> Error,
        reconnects: fn(&ServerError) -> bool,
    ) -> Self {
        self.refusal = refusal;
        self.reconnects = reconnects;
        self
    }

    /// `HGETALL` and `PTTL` in one write.
    ///
    /// # Errors
    ///
    /// As [`SessionProvider`](session_core::SessionProvider).
    pub async fn load(&self, key: &SessionKey, writer: WriterId) -> Result<Loaded> {
        let key = owned(key);
        let commands = |_| vec![Command::new("HGETALL").arg(key.clone()), Command::new("PTTL").arg(key.clone())];
        let mut call = self.route.call(&key, Intent::Read);
        let [fields, time_to_live] = self.pair(&mut call, Operation::Load, commands).await?;
        match layout::loaded(fields, &time_to_live, writer) {
            Ok(loaded) => Ok(loaded),
            Err(why) => Err(unreadable(&call, why, Operation::Load)),
        }
    }

    /// `HMGET` of the header's state and `PTTL` in one write.
    ///
    /// # Errors
    ///
    /// As [`SessionProvider`](session_core::SessionProvider).
    pub async fn check(&self, key: &SessionKey) -> Result<Checked> {
        let key = owned(key);
        let state = [Bytes::from_static(b"@g"), Bytes::from_static(b"@v")];
        let commands = |_| {
            let header = Command::new("HMGET").arg(key.clone()).args(state.iter().cloned());
            vec![header, Command::new("PTTL").arg(key.clone())]
        };
        let mut call = self.route.call(&key, Intent::Read);
        let [header, time_to_live] = match self.pair(&mut call, Operation::Load, commands).await {
            Err(error) if error.kind() == ErrorKind::ForeignKey => return Ok(Checked::Missing),
            replies => replies?,
        };
        layout::checked(&header, &time_to_live).map_err(|why| unreadable(&call, why, Operation::Load))
    }

    /// The commit script.
    ///
    /// # Errors
    ///
    /// As [`SessionProvider`](session_core::SessionProvider).
    pub async fn commit(&self, key: &SessionKey, commit: &Commit) -> Result<Committed> {
        self.check_sizes(commit)?;
        let sent = Instant::now();
        let stamp = self.stamps.are_due(commit.generation, commit.writer, sent);
        let arguments = |repeated| scripts::commit_arguments(commit, repeated || commit.repeated, stamp);
        let read = |reply| scripts::committed(reply, commit);
        let committed = self.run(Operation::Commit, key, &scripts::COMMIT, arguments, read).await?;
        if stamp && matches!(committed, Committed::Done { .. }) {
            self.stamps.renewed(commit.generation, commit.writer, sent);
        }
        Ok(committed)
    }

    /// The renewal script.
    ///
    /// # Errors
    ///
    /// As [`SessionProvider`](session_core::SessionProvider).
    pub async fn renew(&self, key: &SessionKey, renewal: &Renewal) -> Result<Renewed> {
        let arguments = |_| vec![scripts::renew_arguments(renewal)];
        self.run(Operation::Renew, key, &scripts::RENEW, arguments, scripts::renewed).await
    }

    /// The destruction script.
    ///
    /// # Errors
    ///
    /// As [`SessionProvider`](session_core::SessionProvider).
    pub async fn destroy(&self, key: &SessionKey, destruction: &Destruction) -> Result<Destroyed> {
        let arguments = |_| vec![scripts::destroy_arguments(destruction)];
        self.run(Operation::Destroy, key, &scripts::DESTROY, arguments, scripts::destroyed).await
    }

    /// The retirement script.
    ///
    /// # Errors
    ///
    /// As [`SessionProvider`](session_core::SessionProvider).
    pub async fn retire(&self, key: &SessionKey, retirement: &Retirement) -> Result<Retired> {
        let arguments = |_| vec![scripts::retire_arguments(retirement)];
        self.run(Operation::Rotate, key, &scripts::RETIRE, arguments, scripts::retired).await
    }

    /// Calls a script by its digest and, if the server does not know that, by its text.
    async fn run<T>(
        &self,
        operation: Operation,
        key: &SessionKey,
        script: &Script,
        arguments: impl Fn(bool) -> Vec<Bytes> + Send + Sync,
        read: impl FnOnce(Reply) -> Result<T, Unreadable>,
    ) -> Result<T> {
        let key = owned(key);
        let mut call = self.route.call(&key, Intent::Write);
        let by_digest = |repeated| vec![script.by_digest(&key, arguments(repeated))];
        let mut replies = call_out(&mut call, operation, by_digest).await?;
        if matches!(replies.as_slice(), [Reply::Error(error)] if scripts::is_unknown_script(error)) {
            let by_text = |repeated| vec![script.by_text(&key, arguments(repeated))];
            replies = call_out(&mut call, operation, by_text).await?;
        }
        let reply = self.accept(&call, operation, replies.pop().unwrap_or(Reply::Nil))?;
        read(reply).map_err(|why| unreadable(&call, why, operation))
    }

    async fn pair(
        &self,
        call: &mut R::Call,
        operation: Operation,
        commands: impl Fn(bool) -> Vec<Command> + Send + Sync,
    ) -> Result<[Reply; 2]> {
        let replies: [Reply; 2] = call_out(call, operation, commands)
            .await?
            .try_into()
            .map_err(|_| unreadable(call, Unreadable::Broken, operation))?;
        let [first, second] = replies;
        Ok([self.accept(call, operation, first)?, self.accept(call, operation, second)?])
    }

    /// Turns an error reply into an error.
    fn accept(&self, call: &R::Call, operation: Operation, reply: Reply) -> Result<Reply> {
        let Reply::Error(refusal) = reply else { return Ok(reply) };
        if (self.reconnects)(&refusal) {
            call.distrust();
        }
        Err(call.judge((self.refusal)(&refusal, operation)))
    }

    fn check_sizes(&self, commit: &Commit) -> Result<()> {
        for change in &commit.changes {
            let longest = match &change.action {
                Action::Set(value) | Action::Replace { value: Some(value), .. } => value.len(),
                _ => 0,
            };
            if longest > self.max_value_bytes {
                let why = "the value is longer than the server takes (setting `max_value_bytes`)";
                return Err(
                    Error::new(ErrorKind::TooLarge, Operation::Commit, why).with_attribute(change.name.as_str())
                );
            }
        }
        Ok(())
    }
}

async fn call_out(
    call: &mut impl Exchange,
    operation: Operation,
    commands: impl Fn(bool) -> Vec<Command> + Send + Sync,
) -> Result<Vec<Reply>> {
    call.exchange(commands).await.map_err(|error| error.with_operation(operation))
}

/// What replies that cannot be read as what was asked for mean. After replies that make no sense the connection is not
/// trusted any more.
fn unreadable(call: &impl Exchange, why: Unreadable, operation: Operation) -> Error {
    call.judge(match why {
        Unreadable::Foreign => {
            Error::new(ErrorKind::ForeignKey, operation, "the key holds a hash that is not this session")
        }
        Unreadable::Broken => {
            call.distrust();
            Error::new(ErrorKind::OutcomeUnknown, operation, "the server's reply makes no sense")
        }
    })
}

fn owned(key: &SessionKey) -> Bytes {
    Bytes::copy_from_slice(key.as_bytes())
}
