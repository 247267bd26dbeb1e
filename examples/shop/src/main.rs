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
    let settings = match Settings::from_environment() {
        Ok(settings) => settings,
        Err(error) => return wrong_setting(&error),
    };
    let port = settings.port();
    let manager = match settings.manager() {
        Ok(manager) => manager,
        Err(error) => return wrong_setting(&error),
    };
    match serve(port, manager).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn wrong_setting(error: &dyn std::error::Error) -> ExitCode {
    eprintln!("error: {error}");
    ExitCode::from(WRONG_SETTING)
}

async fn serve(port: u16, manager: SessionManager<Codec>) -> io::Result<()> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
    let told_to_stop = told_to_stop()?;
    println!("listening on http://{}", listener.local_addr()?);
    let (stop, stopped) = oneshot::channel::<()>();
    let server = axum::serve(listener, shop::router(manager.clone())).with_graceful_shutdown(async {
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
