//! Lets sessions go through all that can happen to them, and logs it: in the Redis whose URL is given, else in memory.
//!
//! ```sh
//! RUST_LOG=observer=debug cargo run --package observer -- redis://127.0.0.1:6379
//! ```

#[cfg(test)]
use secret_watch as _;

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use observer::Logging;
use session_core::{MemoryProvider, RequestContext, SessionManager, SessionProvider};
use session_redis::{RedisConfig, RedisProvider};
use session_serde::Json;
use tracing_subscriber::EnvFilter;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("observer=debug"));
    tracing_subscriber::fmt().with_env_filter(filter).with_ansi(false).init();
    let provider: Arc<dyn SessionProvider> = match std::env::args().nth(1) {
        Some(url) => Arc::new(RedisProvider::new(&RedisConfig::new().url(url))?),
        None => Arc::new(MemoryProvider::new()),
    };
    let manager = || {
        SessionManager::builder(Arc::clone(&provider), Json)
            .observer(Arc::new(Logging))
            // Half a minute unless set; but nobody wants to wait so long for an example.
            .figures_interval(Duration::from_millis(100))
            .build()
    };
    let (here, there) = (manager()?, manager()?);
    let context = RequestContext::default();

    let session = here.open(&context, None).await?;
    session.insert("theme", "dark")?;
    session.update("cart", |cart: &mut Vec<String>| cart.push("tea".to_owned()))?;
    session.commit().await?;

    // Another process changes the cart between this one's reading and writing.
    let other = there.open(&context, session.id().as_ref()).await?;
    other.update("cart", |cart: &mut Vec<String>| cart.push("milk".to_owned()))?;
    other.commit().await?;
    session.update("cart", |cart: &mut Vec<String>| cart.push("sugar".to_owned()))?;
    session.remove("theme")?;
    session.commit().await?;

    session.rotate_id()?;
    session.insert("user", "Ada")?;
    session.commit().await?;
    // The error is logged, and returned.
    let _ = session.get::<u8>("user");

    session.destroy()?;
    session.close().await.result?;

    tokio::time::sleep(Duration::from_millis(150)).await;
    // Without these, the last lines might be missing.
    here.shutdown().await;
    there.shutdown().await;
    Ok(())
}
