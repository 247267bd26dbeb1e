//! Asks servers what they know of others.

use std::borrow::Cow;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::slice;
use std::task::Poll;
use std::time::Duration;

use session_core::{Error, ErrorKind, Operation, Result};
use tokio::time::timeout;

use crate::transport::{Command, Connect, Connection, Driver, Endpoint, Lost, RedisConnection, Reply};

/// How long one server is waited for before the next one is asked as well.
const PATIENCE: Duration = Duration::from_millis(200);

/// A connection on which one thing is asked after the other.
pub(super) struct Inquirer {
    connection: RedisConnection,
    driver: Driver,
}

impl Inquirer {
    pub(super) async fn connect(server: &Endpoint) -> Result<Self> {
        let (connection, driver) = server.connect().await?;
        Ok(Self { connection, driver })
    }

    /// Not to be called again after an error.
    pub(super) async fn ask(&mut self, question: Command) -> Result<Reply> {
        let mut answer = pin!(self.connection.request(slice::from_ref(&question)));
        let answer = tokio::select! {
            biased;
            answer = &mut answer => answer,
            // What had arrived by then is still answered.
            () = &mut self.driver => answer.await,
        };
        match answer.map(|mut replies| replies.pop()) {
            Ok(Some(reply)) => Ok(reply),
            Ok(None) | Err(Lost { .. }) => {
                Err(Error::new(ErrorKind::Unavailable, Operation::Connect, "the connection was lost"))
            }
        }
    }

    /// The connection, for other uses.
    pub(super) fn into_parts(self) -> (RedisConnection, Driver) {
        (self.connection, self.driver)
    }
}

/// Asks one after the other until one has answered: the next as soon as one has failed, or has taken long; that one may
/// still be the first to answer. Else the errors of all.
pub(super) async fn first_answer<T, A>(questions: impl IntoIterator<Item = A>) -> Result<T, Vec<Error>>
where
    A: Future<Output = Result<T>>,
{
    /// Of the last one, there is no other to ask.
    const FOR_EVER: Duration = Duration::MAX;
    let mut questions = questions.into_iter().peekable();
    let mut asked = Vec::new();
    let mut errors = Vec::new();
    loop {
        match questions.next() {
            Some(question) => asked.push(Box::pin(question)),
            None if asked.is_empty() => return Err(errors),
            None => {}
        }
        let any = poll_fn(|cx| {
            for index in 0..asked.len() {
                if let Poll::Ready(answer) = asked[index].as_mut().poll(cx) {
                    drop(asked.swap_remove(index));
                    return Poll::Ready(answer);
                }
            }
            Poll::Pending
        });
        let patience = if questions.peek().is_some() { PATIENCE } else { FOR_EVER };
        match timeout(patience, any).await {
            Ok(Ok(answer)) => return Ok(answer),
            Ok(Err(error)) => errors.push(error),
            Err(_) => {}
        }
    }
}

/// Why none of several servers has told what it was asked, by their errors. One that should be let in elsewhere counts
/// more than one that is down, and one that says something (which is added to `useless`) more than one that says nothing
/// (then it is `silent`).
pub(super) fn no_answer(errors: impl IntoIterator<Item = Error>, silent: &'static str, useless: &str) -> Error {
    let mut last = None;
    for error in errors {
        if !error.kind().is_retryable() {
            return error;
        }
        last = Some(error);
    }
    let unavailable = |why| Error::new(ErrorKind::Unavailable, Operation::Connect, why);
    match last {
        None => unavailable(Cow::from(silent)),
        Some(last) => unavailable(Cow::from(format!("{useless}: {last}"))).with_source(last),
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use tokio::time::{Instant, sleep};

    use super::*;

    /// Answers its number after some time, or fails, or never does either.
    async fn server(number: u32, takes: Option<u64>, works: bool) -> Result<u32> {
        match takes {
            Some(milliseconds) => sleep(Duration::from_millis(milliseconds)).await,
            None => pending().await,
        }
        let error = || Error::new(ErrorKind::Unavailable, Operation::Connect, format!("{number}"));
        if works { Ok(number) } else { Err(error()) }
    }

    #[tokio::test(start_paused = true)]
    async fn the_next_one_after_a_failure_or_some_time() {
        for (servers, expected, after) in [
            (vec![(Some(0), true), (Some(0), true)], 0, 0),
            (vec![(Some(150), true), (Some(0), true)], 0, 150),
            (vec![(Some(50), false), (Some(60), true)], 1, 110),
            (vec![(None, true), (Some(10), true)], 1, 210),
            (vec![(None, true), (None, true), (Some(10), false), (Some(10), true)], 3, 420),
            (vec![(Some(250), true), (Some(100), true)], 0, 250),
            (vec![(Some(9000), true)], 0, 9000),
        ] {
            let start = Instant::now();
            let questions = (0..).zip(&servers).map(|(number, (takes, works))| server(number, *takes, *works));
            assert_eq!(first_answer(questions).await.unwrap(), expected, "{servers:?}");
            assert_eq!(start.elapsed(), Duration::from_millis(after), "{servers:?}");
        }
        let errors = first_answer([server(0, Some(5), false), server(1, Some(0), false)]).await.unwrap_err();
        assert_eq!(errors.len(), 2);
        assert_eq!(first_answer::<u32, std::future::Ready<_>>([]).await.unwrap_err().len(), 0);
    }
}
