//! Runs the shop until it is told to stop.

#[cfg(test)]
use secret_watch as _;

use std::future::IntoFuture as _;
use std::io;
use std::net::Ipv4Addr;
use std::process::ExitCode;
use std::time::Duration;

use session_core::SessionManager;
use session_serde::Codec;
use session_tower::{SessionCookie, SessionLayer};
use shop::Settings;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tracing_subscriber::EnvFilter;

/// The exit code for a setting that cannot be used.
const WRONG_SETTING: u8 = 2;

/// How long requests that are under way may take after the shop was told to stop.
const GRACE: Duration = Duration::from_secs(5);

#[tokio::main]
async fn main() -> ExitCode {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("warn"));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr).init();
    let (port, manager, cookie) = match settings() {
        Ok(settings) => settings,
        Err(error) => {
            eprintln!("error: {error}");
            return ExitCode::from(WRONG_SETTING);
        }
    };
    match serve(port, manager, cookie).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// What the environment says. Nothing is connected yet.
fn settings() -> session_core::Result<(u16, SessionManager<Codec>, SessionCookie)> {
    let settings = Settings::from_environment()?;
    Ok((settings.port(), settings.sessions().manager()?, settings.sessions().cookie()?))
}

async fn serve(port: u16, manager: SessionManager<Codec>, cookie: SessionCookie) -> io::Result<()> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
    let told_to_stop = told_to_stop()?;
    println!("listening on http://{}", listener.local_addr()?);
    let (stop, stopped) = oneshot::channel::<()>();
    let sessions = SessionLayer::new(manager.clone()).with_cookie(cookie);
    let server = axum::serve(listener, shop::router(sessions)).with_graceful_shutdown(async {
        // Either way it is time to stop.
        let _ = stopped.await;
    });
    tokio::select! {
        ended = server.into_future() => ended?,
        () = async {
            told_to_stop.await;
            let _ = stop.send(());
            tokio::time::sleep(GRACE).await;
        } => {}
    }
    manager.shutdown().await;
    Ok(())
}

/// Ends with Ctrl-C or SIGTERM; those that come before it is awaited count, too.
#[cfg(unix)]
fn told_to_stop() -> io::Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};

    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    })
}

/// Ends with Ctrl-C.
#[cfg(windows)]
fn told_to_stop() -> io::Result<impl Future<Output = ()>> {
    let mut interrupt = tokio::signal::windows::ctrl_c()?;
    Ok(async move {
        interrupt.recv().await;
    })
}
