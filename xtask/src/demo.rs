//! `cargo xtask demo`: the shop, with a Redis of its own.

use std::process::{ExitCode, Stdio};
use std::time::Duration;

use clap::{Args, ValueEnum};
use test_support::RedisServer;
use tokio::io::{AsyncBufReadExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::timeout;

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
}

pub(crate) fn run(options: &Options) -> Result<ExitCode> {
    // What takes long comes before the servers, so that none is left over if it is interrupted.
    let found = match options.provider {
        Some(Provider::Memory) => false,
        chosen => match step("Redis", setup::redis) {
            Ok(()) => true,
            Err(error) if options.once || chosen.is_some() => {
                eprintln!("error: there is no redis-server to be had: {error}");
                return Ok(ExitCode::from(NO_REDIS));
            }
            Err(error) => {
                println!("There is no redis-server to be had ({error}), so the sessions are kept in memory.");
                false
            }
        },
    };
    step("building the shop", || step::run(project::cargo().args(["build", "--package", "shop"])))?;
    let redis = if found { Some(step("a redis-server on a free port", || Ok(RedisServer::spawn()?))?) } else { None };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let told_to_stop = told_to_stop()?;
        if !options.once {
            return serve(redis.as_ref(), told_to_stop).await;
        }
        tokio::select! {
            code = once(redis.as_ref()) => code,
            () = told_to_stop => Err("interrupted".into()),
        }
    })
}

/// Visits the shop; with Redis two copies of it, which share the sessions.
async fn once(redis: Option<&RedisServer>) -> Result<ExitCode> {
    let mut shops = vec![Shop::start(redis).await?];
    if redis.is_some() {
        shops.push(Shop::start(redis).await?);
    }
    let addresses: Vec<_> = shops.iter().map(|shop| shop.address.clone()).collect();
    let as_expected = visit::visit(&addresses, redis).await?;
    for shop in shops {
        shop.end().await?;
    }
    Ok(if as_expected { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Runs the shop for people, until Ctrl-C.
async fn serve(redis: Option<&RedisServer>, told_to_stop: impl Future<Output = ()>) -> Result<ExitCode> {
    let mut shop = Shop::start(redis).await?;
    println!("\nThe shop is open at {}", shop.address);
    match redis {
        Some(redis) => println!(
            "Its sessions are in {url}; look at them with\n    redis-cli -p {port} KEYS '{KEY_PREFIX}*'\n    \
             redis-cli -p {port} HGETALL <one of these keys>",
            url = redis.url(),
            port = redis.port()
        ),
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
    async fn start(redis: Option<&RedisServer>) -> Result<Self> {
        let mut command = Command::new(project::target().join("debug/shop"));
        command.env("PORT", "0").env("SESSION_KEY_PREFIX", KEY_PREFIX);
        match redis {
            Some(redis) => command.env("SESSION_PROVIDER", "redis").env("SESSION_URL", redis.url()),
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
