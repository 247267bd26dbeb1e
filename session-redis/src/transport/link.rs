//! Sends commands, and heals a connection that was found dead.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use session_core::{Effect, Error, ErrorKind, Operation, Result};
use tokio::time::{Instant, timeout_at};

use super::supervisor::runtime;
use super::{Command, Connect, Connection, Exchange, Lost, Reply, Route, Supervisor};

/// One or several supervised connections to the same endpoint, which share all calls.
pub struct Link<C: Connect>(Arc<Lanes<C>>);

struct Lanes<C: Connect> {
    lanes: Box<[Lane<C>]>,
    next: AtomicUsize,
    operation_timeout: Duration,
}

/// One of a link's connections.
struct Lane<C: Connect> {
    supervisor: Supervisor<C>,
    /// How many calls have taken it and are not over.
    calls: AtomicUsize,
}

impl<C: Connect + Clone> Link<C> {
    /// A link that connects when it is first used. `connections` counts at least as one.
    pub fn new(connector: C, connections: usize, connect_timeout: Duration, operation_timeout: Duration) -> Self {
        let lane =
            |_| Lane { supervisor: Supervisor::new(connector.clone(), connect_timeout), calls: AtomicUsize::new(0) };
        let lanes = (0..connections.max(1)).map(lane).collect();
        Self(Arc::new(Lanes { lanes, next: AtomicUsize::new(0), operation_timeout }))
    }
}

impl<C: Connect> Clone for Link<C> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<C: Connect> Link<C> {
    /// Goes on with a call that was begun on another link, and must end by `deadline`; `unanswered`: a copy of it may
    /// have been executed there.
    pub(super) fn resume(&self, intent: Intent, deadline: Instant, unanswered: bool) -> Call<C> {
        let lane = self.0.least_busy();
        self.0.lanes[lane].calls.fetch_add(1, Ordering::Relaxed);
        Call {
            lanes: self.0.clone(),
            lane,
            deadline,
            patience: self.0.operation_timeout,
            epoch: 0,
            newer_than: 0,
            intent,
            healed: false,
            unanswered,
        }
    }
}

impl<C: Connect> Route for Link<C> {
    type Call = Call<C>;

    fn call(&self, _key: &[u8], intent: Intent) -> Call<C> {
        self.resume(intent, Instant::now() + self.0.operation_timeout, false)
    }
}

impl<C: Connect> Lanes<C> {
    /// The connection with the fewest calls under way, one after the other where these are as many: a connection on
    /// which nothing moves gets no more of them.
    fn least_busy(&self) -> usize {
        let count = self.lanes.len();
        let first = if count == 1 { 0 } else { self.next.fetch_add(1, Ordering::Relaxed) % count };
        let others = (1..count).map(|after| (first + after) % count);
        let calls = |lane: usize| self.lanes[lane].calls.load(Ordering::Relaxed);
        others.fold(first, |best, lane| if calls(lane) < calls(best) { lane } else { best })
    }
}

/// What a call may do to the data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Intent {
    /// Nothing.
    Read,
    /// Change it.
    Write,
}

/// A call over one of a link's connections.
pub struct Call<C: Connect> {
    lanes: Arc<Lanes<C>>,
    lane: usize,
    deadline: Instant,
    /// The operation timeout.
    patience: Duration,
    /// Of the connection that was last used.
    epoch: u64,
    /// Connections up to this epoch have failed this call.
    newer_than: u64,
    intent: Intent,
    healed: bool,
    unanswered: bool,
}

impl<C: Connect> Call<C> {
    /// Whether a copy of what was exchanged may have been executed without an answer.
    pub(super) fn is_unanswered(&self) -> bool {
        self.unanswered
    }

    fn supervisor(&self) -> &Supervisor<C> {
        &self.lanes.lanes[self.lane].supervisor
    }
}

impl<C: Connect> Exchange for Call<C> {
    async fn exchange(&mut self, commands: impl Fn(bool) -> Vec<Command> + Send + Sync) -> Result<Vec<Reply>> {
        runtime()?;
        loop {
            let established = match self.supervisor().connection(self.newer_than, self.deadline).await {
                Ok(established) => established,
                Err(error) => return Err(self.judge(error)),
            };
            self.epoch = established.epoch;
            let commands = commands(self.unanswered);
            let sent = Instant::now();
            match timeout_at(self.deadline, established.connection.request(&commands)).await {
                Ok(Ok(replies)) => {
                    established.has_answered();
                    return Ok(replies);
                }
                Ok(Err(Lost { sent })) => {
                    self.distrust();
                    self.unanswered |= sent;
                    if self.healed {
                        let kind = if sent { ErrorKind::OutcomeUnknown } else { ErrorKind::Unavailable };
                        return Err(self.judge(Error::new(kind, Operation::Connect, "the connection was lost")));
                    }
                    self.healed = true;
                    self.newer_than = self.epoch;
                }
                Err(_) => {
                    // A request that spent most of its time on waiting for the connection says nothing against it:
                    // else a slow handshake's first user would bring down what it had waited for.
                    if sent.elapsed() >= self.patience / 2 {
                        self.distrust();
                    }
                    self.unanswered = true;
                    let why = "no reply within the operation timeout";
                    return Err(Error::new(ErrorKind::OutcomeUnknown, Operation::Connect, why));
                }
            }
        }
    }

    fn distrust(&self) {
        self.supervisor().condemn(self.epoch);
    }

    fn judge(&self, error: Error) -> Error {
        judged(error, self.intent, self.unanswered)
    }
}

/// What an error means for a whole call of which a copy may have been executed without an answer, or surely none.
pub(super) fn judged(error: Error, intent: Intent, unanswered: bool) -> Error {
    if intent == Intent::Read || !unanswered {
        return error;
    }
    match error.kind() {
        ErrorKind::Unavailable | ErrorKind::Rejected => {
            let why = "the request was sent and its reply did not arrive";
            Error::new(ErrorKind::OutcomeUnknown, error.operation(), why).with_source(error)
        }
        _ => error.with_effect(Effect::PerhapsApplied),
    }
}

impl<C: Connect> Drop for Call<C> {
    fn drop(&mut self) {
        self.lanes.lanes[self.lane].calls.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use super::super::Driver;
    use super::*;

    /// Opens connections that answer their number, but for what hangs.
    #[derive(Clone, Default)]
    struct Numbered(Arc<AtomicUsize>);

    #[derive(Clone)]
    struct Number(usize);

    impl Connect for Numbered {
        type Connection = Number;

        async fn connect(&self) -> Result<(Number, Driver)> {
            Ok((Number(self.0.fetch_add(1, Ordering::SeqCst)), Box::pin(pending())))
        }
    }

    impl Connection for Number {
        async fn request(&self, commands: &[Command]) -> Result<Vec<Reply>, Lost> {
            if &commands[0].parts()[0][..] == b"HANG" {
                pending::<()>().await;
            }
            Ok(vec![Reply::Integer(self.0.try_into().unwrap())])
        }
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_waits_behind_one_who_hangs() {
        let link = Link::new(Numbered::default(), 3, Duration::from_secs(5), Duration::from_secs(1));
        let say = async |what: &'static str| {
            let mut call = link.call(b"key", Intent::Read);
            match call.exchange(|_| vec![Command::new(what)]).await {
                Ok(replies) => replies,
                Err(error) => panic!("{error}"),
            }
        };
        let mut numbers = Vec::new();
        for _ in 0..30 {
            numbers.push(say("ASK").await);
        }
        numbers.sort_by_key(|replies| if let [Reply::Integer(number)] = replies[..] { number } else { -1 });
        assert_eq!(numbers.chunk_by(|one, other| one == other).map(<[_]>::len).collect::<Vec<_>>(), [10, 10, 10]);
        // Its connection gets nothing more until it is over; then that was dropped.
        let mut hanging = link.call(b"key", Intent::Read);
        let busy = hanging.lane;
        let (hung, ()) = tokio::join!(hanging.exchange(|_| vec![Command::new("HANG")]), async {
            for _ in 0..30 {
                assert_ne!(link.call(b"key", Intent::Read).lane, busy);
                say("ASK").await;
            }
        });
        assert_eq!(hung.unwrap_err().kind(), ErrorKind::OutcomeUnknown);
        drop(hanging);
        assert!(link.0.lanes.iter().all(|lane| lane.calls.load(Ordering::SeqCst) == 0));
    }
}
