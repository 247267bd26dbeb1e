//! Runs one application until it is told to stop.

#[cfg(test)]
use secret_watch as _;

use std::error::Error;
use std::net::Ipv4Addr;
use std::process::ExitCode;

use tenants::Settings;
use tokio::net::TcpListener;

#[tokio::main]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<(), Box<dyn Error>> {
    let Settings { application, port, tenants } = Settings::from_environment()?;
    let app = tenants::router(&application, tenants)?;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
    println!("listening on http://{}", listener.local_addr()?);
    tokio::select! {
        ended = axum::serve(listener, app) => Ok(ended?),
        told = tokio::signal::ctrl_c() => Ok(told?),
    }
}
