//! The way to the master that sentinels name.

use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use session_core::{Error, ErrorKind, Operation, Result};
use tokio::time::{sleep, timeout};

use super::ask::{Inquirer, first_answer, no_answer};
use super::slots::at;
use crate::error;
use crate::transport::{
    Address, Command, Connect, Connection, Credentials, Driver, Endpoint, RedisConnection, Reply, ServerError,
};

/// How often it is made sure that the server still is the master. After a fail-over the old one may keep its connections
/// and go on for many seconds, as a replica whose data is old, or as a master whose writes will be lost.
const INTERVAL: Duration = Duration::from_secs(1);

/// Connects to the master that sentinels name, whichever that is at the time: so after every loss of the connection, and
/// when the server stops being the master. Every second a sentinel is asked for that, and the server itself (`ROLE`).
///
/// The sentinels are asked in turn, the one that answered last first; the next when one has failed or not answered
/// within 200 ms, and when the server that one names is no master, or cannot be reached. The master must permit `ROLE`.
#[derive(Clone)]
pub struct Sentinel(Arc<Shared>);

struct Shared {
    master_name: String,
    sentinels: Vec<Endpoint>,
    /// The master, but for its address.
    template: Endpoint,
    /// The sentinel to ask first.
    first: AtomicUsize,
}

impl Sentinel {
    /// The master of this name. It is let in like `template` says, whatever its address; the sentinels, with the same
    /// TLS, by their own credentials.
    pub fn new(
        master_name: String,
        sentinels: Vec<Address>,
        credentials: Option<Credentials>,
        template: Endpoint,
    ) -> Self {
        let mut sentinel = template.clone();
        sentinel.credentials = credentials;
        sentinel.database = 0;
        let sentinels = sentinels.into_iter().map(|address| sentinel.at(address)).collect();
        Self(Arc::new(Shared { master_name, sentinels, template, first: AtomicUsize::new(0) }))
    }
}

impl Connect for Sentinel {
    type Connection = RedisConnection;

    async fn connect(&self) -> Result<(RedisConnection, Driver)> {
        let shared = &*self.0;
        let count = shared.sentinels.len();
        let first = shared.first.load(Ordering::Relaxed);
        let mut unasked: Vec<_> = (0..count).map(|after| (first + after) % count).collect();
        let mut tried = Vec::new();
        let mut last_failure = None;
        while !unasked.is_empty() {
            let inquiries: Vec<_> = unasked.iter().map(|index| shared.named_by(*index)).collect();
            let (index, master) = match first_answer(inquiries).await {
                Ok(named) => named,
                Err(errors) => return Err(last_failure.unwrap_or_else(|| failure(errors))),
            };
            unasked.retain(|other| *other != index);
            // Until the master was reached another sentinel is better asked, also if this attempt is given up.
            shared.first.store((index + 1) % count, Ordering::Relaxed);
            if tried.contains(&master) {
                continue;
            }
            match shared.connect_to(&master).await {
                Ok((connection, driver)) => {
                    shared.first.store(index, Ordering::Relaxed);
                    let driver = self.0.clone().while_it_is_master(connection.clone(), driver, index, master);
                    return Ok((connection, Box::pin(driver)));
                }
                Err(error) => last_failure = Some(error),
            }
            tried.push(master);
        }
        Err(last_failure.unwrap_or_else(|| failure([])))
    }
}

impl Shared {
    /// Where the master is, as this sentinel says, with the sentinel's number.
    async fn named_by(&self, index: usize) -> Result<(usize, Address)> {
        let sentinel = &self.sentinels[index];
        let mut inquirer = Inquirer::connect(sentinel).await.map_err(of_sentinel)?;
        Ok((index, self.named(&mut inquirer, &sentinel.address).await?))
    }

    async fn named(&self, sentinel: &mut Inquirer, its_address: &Address) -> Result<Address> {
        let question = Command::new("SENTINEL").arg("get-master-addr-by-name").arg(self.master_name.clone());
        match sentinel.ask(question).await? {
            Reply::Nil => Err(unavailable("the sentinel knows no master of this name (setting `topology`)")),
            Reply::Error(refusal) => Err(refused_by_sentinel(&refusal)),
            reply => address(&reply, its_address).ok_or_else(|| unavailable("the sentinel's reply makes no sense")),
        }
    }

    /// Connects, and makes sure that it is a master.
    async fn connect_to(&self, master: &Address) -> Result<(RedisConnection, Driver)> {
        let mut inquirer = Inquirer::connect(&self.template.at(master.clone())).await?;
        match role(&inquirer.ask(Command::new("ROLE")).await?)? {
            Role::Master => Ok(inquirer.into_parts()),
            Role::Other => Err(unavailable("the server that the sentinel names is not a master")),
        }
    }

    /// Drives the connection until it is lost or its server is not the master any more.
    async fn while_it_is_master(
        self: Arc<Self>,
        connection: RedisConnection,
        driver: Driver,
        sentinel: usize,
        master: Address,
    ) {
        tokio::select! {
            () = driver => {}
            () = is_demoted(&connection) => tracing::warn!("the server is no master any more"),
            () = self.is_replaced(sentinel, &master) => tracing::warn!("the sentinels name another master"),
        }
    }

    /// Ends when a sentinel, this one first, names another server, and that is a master.
    async fn is_replaced(&self, mut sentinel: usize, master: &Address) {
        loop {
            let endpoint = &self.sentinels[sentinel];
            if let Ok(Ok(mut inquirer)) = timeout(INTERVAL, Inquirer::connect(endpoint)).await {
                while let Ok(Ok(named)) = timeout(INTERVAL, self.named(&mut inquirer, &endpoint.address)).await {
                    // One that knows less than the others is not believed.
                    if named != *master && matches!(timeout(INTERVAL, self.connect_to(&named)).await, Ok(Ok(_))) {
                        // Asked first, and then about its own word: else two that name one server in two ways would
                        // be at odds for ever.
                        self.first.store(sentinel, Ordering::Relaxed);
                        return;
                    }
                    sleep(INTERVAL).await;
                }
            }
            sleep(INTERVAL).await;
            sentinel = (sentinel + 1) % self.sentinels.len();
        }
    }
}

/// Ends when the server says that it is no master.
async fn is_demoted(connection: &RedisConnection) {
    loop {
        sleep(INTERVAL).await;
        if let Ok(replies) = connection.request(&[Command::new("ROLE")]).await
            // A server that is too busy to say has not said no.
            && let Some(Ok(Role::Other)) = replies.first().map(role)
        {
            return;
        }
    }
}

enum Role {
    Master,
    Other,
}

/// Reads a reply to `ROLE`.
fn role(reply: &Reply) -> Result<Role> {
    match reply {
        Reply::Array(parts) => match parts.first() {
            Some(Reply::Bulk(role)) if &role[..] == b"master" => Ok(Role::Master),
            _ => Ok(Role::Other),
        },
        Reply::Error(refusal) => Err(error::refusal(refusal, Operation::Connect)),
        _ => Err(unavailable("the server's reply to ROLE makes no sense")),
    }
}

fn address(reply: &Reply, from: &Address) -> Option<Address> {
    let Reply::Array(parts) = reply else { return None };
    let [Reply::Bulk(host), Reply::Bulk(port)] = parts.as_slice() else { return None };
    let text = |bytes| std::str::from_utf8(bytes).ok();
    at(text(host)?, text(port)?.parse().ok()?, from)
}

fn refused_by_sentinel(refusal: &ServerError) -> Error {
    match refusal.code() {
        "NOPERM" | "NOAUTH" => of_sentinel(error::refusal(refusal, Operation::Connect)),
        code => unavailable(format!("the sentinel answered {code}; maybe it is none (setting `topology`)")),
    }
}

/// An error of connecting to a sentinel, whose credentials are others than those of the master.
fn of_sentinel(error: Error) -> Error {
    if error.kind() != ErrorKind::Auth {
        return error;
    }
    let why = "the sentinel asks for other credentials or permissions (`Topology::with_sentinel_credentials`)";
    Error::new(ErrorKind::Auth, Operation::Connect, why).with_source(error)
}

/// Why no sentinel has named the master. That the name is not known may change without us, so it is worth a repetition.
fn failure(errors: impl IntoIterator<Item = Error>) -> Error {
    no_answer(errors, "no sentinel answers", "no sentinel names the master")
}

fn unavailable(why: impl Into<Cow<'static, str>>) -> Error {
    Error::new(ErrorKind::Unavailable, Operation::Connect, why)
}
