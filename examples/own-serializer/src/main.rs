//! Keeps a session with the serializer of its own: in the Redis whose URL is given, else in memory.
//!
//! ```sh
//! cargo run --package own-serializer -- redis://127.0.0.1:6379
//! ```

#[cfg(test)]
use secret_watch as _;

use std::collections::BTreeMap;
use std::error::Error;
use std::sync::Arc;

use own_serializer::Compressed;
use session_core::{MemoryProvider, RequestContext, SessionManager, SessionProvider, SessionSerializer as _};
use session_redis::{RedisConfig, RedisProvider};
use session_serde::Json;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let provider: Arc<dyn SessionProvider> = match std::env::args().nth(1) {
        Some(url) => Arc::new(RedisProvider::new(&RedisConfig::new().url(url))?),
        None => Arc::new(MemoryProvider::new()),
    };
    let manager = SessionManager::builder(provider, Compressed).build()?;
    let session = manager.open(&RequestContext::default(), None).await?;

    let read: BTreeMap<String, u32> = (1..=100).map(|number| (format!("article-{number}"), number * 7)).collect();
    session.insert("theme", "dark")?;
    session.insert("read", &read)?;
    session.commit().await?;

    // Another process, which has nothing in memory.
    let id = session.id().ok_or("it is not stored")?;
    let later = manager.open(&RequestContext::default(), Some(&id)).await?;
    assert_eq!(later.get::<BTreeMap<String, u32>>("read")?.as_ref(), Some(&read));

    let mut json = Vec::new();
    Json.encode(&read, &mut json)?;
    for attribute in later.inspect::<serde_json::Value>()? {
        println!("{}: {} bytes", attribute.name.as_str(), attribute.bytes);
    }
    println!("as JSON, read would have {} bytes", json.len());
    Ok(())
}
