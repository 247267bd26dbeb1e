//! `cargo xtask demo`: the shop, with a Redis or a TwemProxy of its own.

use std::process::{ExitCode, Stdio};
use std::time::Duration;

use clap::{Args, ValueEnum};
use test_support::{Nutcracker, RedisServer};
use tokio::io::{AsyncBufReadExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::timeout;

use crate::servers::Servers;
use crate::step::{self, Result, step};
use crate::{project, setup, visit};

/// The prefix of the shop's keys.
pub(crate) const KEY_PREFIX: &str = "shop:";

/// There is no Redis, and there can be none.
const NO_REDIS: u8 = 2;

#[derive(Args)]
pub(crate) struct Options {
    /// Visits the shop, shows what happened and what then lies in Redis, checks it, and ends.
    ///
    /// Exits with 0 only if everything was as expected, and with 2 if there is no Redis to be had.
    #[arg(long)]
    once: bool,
    /// Where the sessions are kept; if not given: in Redis if it is to be had, else in memory.
    #[arg(long, value_enum)]
    provider: Option<Provider>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Provider {
    Memory,
    Redis,
    /// Three Redis servers behind a TwemProxy.
    Twemproxy,
}

pub(crate) fn run(options: &Options) -> Result<ExitCode> {
    // What takes long comes before the servers, so that none is left over if it is interrupted.
    let found = match options.provider {
        Some(Provider::Memory) => None,
        chosen => {
            let (title, needed, set_up): (_, _, fn() -> Result<()>) = match chosen {
                Some(Provider::Twemproxy) => ("TwemProxy and Redis", "nutcracker and redis-server", setup::twemproxy),
                _ => ("Redis", "redis-server", setup::redis),
            };
            match step(title, set_up) {
                Ok(()) => Some(chosen.unwrap_or(Provider::Redis)),
                Err(error) if options.once || chosen.is_some() => {
                    eprintln!("error: there is no {needed} to be had: {error}");
                    return Ok(ExitCode::from(NO_REDIS));
                }
                Err(error) => {
                    println!("There is no {needed} to be had ({error}), so the sessions are kept in memory.");
                    None
                }
            }
        }
    };
    step("building the shop", || step::run(project::cargo().args(["build", "--package", "shop"])))?;
    let servers = match found {
        None | Some(Provider::Memory) => None,
        Some(Provider::Redis) => {
            Some(step("a redis-server on a free port", || Ok(Servers::Redis(RedisServer::spawn()?)))?)
        }
        Some(Provider::Twemproxy) => {
            let start = || Ok(Servers::Twemproxy(Nutcracker::spawn()?));
            Some(step("three redis-servers and a nutcracker on free ports", start)?)
        }
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let told_to_stop = told_to_stop()?;
        if !options.once {
            return serve(servers.as_ref(), told_to_stop).await;
        }
        tokio::select! {
            code = once(servers.as_ref()) => code,
            () = told_to_stop => Err("interrupted".into()),
        }
    })
}

/// Visits the shop; with servers two copies of it, which share the sessions.
async fn once(servers: Option<&Servers>) -> Result<ExitCode> {
    let mut shops = vec![Shop::start(servers).await?];
    if servers.is_some() {
        shops.push(Shop::start(servers).await?);
    }
    let addresses: Vec<_> = shops.iter().map(|shop| shop.address.clone()).collect();
    let as_expected = visit::visit(&addresses, servers).await?;
    for shop in shops {
        shop.end().await?;
    }
    Ok(if as_expected { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Runs the shop for people, until Ctrl-C.
async fn serve(servers: Option<&Servers>, told_to_stop: impl Future<Output = ()>) -> Result<ExitCode> {
    let mut shop = Shop::start(servers).await?;
    println!("\nThe shop is open at {}", shop.address);
    match servers {
        Some(servers) => {
            println!("Its sessions are in {}; look at them with", servers.url());
            for server in servers.all() {
                println!("    redis-cli -p {} KEYS '{KEY_PREFIX}*'", server.port());
            }
            println!("    redis-cli -u {} HGETALL <one of these keys>", servers.url());
        }
        None => println!("Its sessions are kept in its memory and end with it."),
    }
    println!("Ctrl-C ends it all.");
    tokio::select! {
        () = told_to_stop => {}
        status = shop.process.wait() => return Err(format!("the shop ended ({})", status?).into()),
    }
    println!("\nclosing the shop");
    shop.end().await?;
    Ok(ExitCode::SUCCESS)
}

/// Ends with Ctrl-C or SIGTERM; those that come before it is awaited count, too.
fn told_to_stop() -> Result<impl Future<Output = ()>> {
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    })
}

/// A running shop, killed when dropped.
struct Shop {
    process: Child,
    address: String,
    /// Kept open, so that the shop can go on printing.
    _output: Lines<BufReader<ChildStdout>>,
}

impl Shop {
    async fn start(servers: Option<&Servers>) -> Result<Self> {
        let mut command = Command::new(project::target().join("debug/shop"));
        command.env("PORT", "0").env("SESSION_KEY_PREFIX", KEY_PREFIX);
        match servers {
            Some(servers) => command.env("SESSION_PROVIDER", servers.provider()).env("SESSION_URL", servers.url()),
            None => command.env("SESSION_PROVIDER", "memory").env_remove("SESSION_URL"),
        };
        let mut process = command.stdin(Stdio::null()).stdout(Stdio::piped()).kill_on_drop(true).spawn()?;
        let mut output = BufReader::new(process.stdout.take().ok_or("the shop has no output")?).lines();
        let first = timeout(Duration::from_secs(10), output.next_line()).await;
        let first = first.map_err(|_| "the shop did not start within 10 seconds")??;
        let address = first
            .as_deref()
            .and_then(|line| line.strip_prefix("listening on "))
            .ok_or_else(|| format!("the shop did not start: {first:?}"))?
            .to_owned();
        Ok(Self { process, address, _output: output })
    }

    /// Lets it finish its requests.
    async fn end(mut self) -> Result<()> {
        if let Some(process) = self.process.id() {
            // The standard library sends no signal but SIGKILL.
            Command::new("kill").args(["-TERM", &process.to_string()]).status().await?;
        }
        let status = timeout(Duration::from_secs(10), self.process.wait()).await;
        let status = status.map_err(|_| "the shop did not end within 10 seconds")??;
        if status.success() { Ok(()) } else { Err(format!("the shop ended badly ({status})").into()) }
    }
}
