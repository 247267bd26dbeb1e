//! What settings lead to, seen in real servers.

use session_core::{Connection, RequestContext, SessionManager};
use session_serde::Codec;
use session_settings::{ConnectionSettings, Settings};
use test_support::{Nutcracker, RedisServer};

use crate::sources::{from_toml, from_variables};

/// Creates a session and reads it again.
async fn use_session(manager: &SessionManager<Codec>, context: &RequestContext) {
    let session = manager.open(context, None).await.unwrap();
    session.insert("theme", "dark").unwrap();
    let closed = session.close().await;
    closed.result.unwrap();
    let session_core::ClientId::Issue(id) = closed.client else { panic!("no id: {:?}", closed.client) };
    let session = manager.open(context, Some(&id)).await.unwrap();
    assert_eq!(session.get::<String>("theme").unwrap().as_deref(), Some("dark"));
    session.close().await.result.unwrap();
}

#[tokio::test]
async fn a_file_and_the_environment_say_where_and_how_sessions_are_kept() {
    let (first, second) = (RedisServer::spawn().unwrap(), RedisServer::spawn().unwrap());
    let file = from_toml(
        r#"
        url = "redis://127.0.0.1:1"
        application_name = "the shop"
        idle_timeout = "1h"
        serializer = "msgpack"
        [connection.eu]
        host = "127.0.0.1"
        database = 3
        "#,
    );
    let environment = from_variables(&[
        ("SESSION_URL", &first.url()),
        ("SESSION_EXPIRY_SLACK", "0"),
        ("SESSION_CONNECTION_EU_PORT", &second.port().to_string()),
    ]);
    let manager = file
        .overlay(environment)
        .manager_builder()
        .unwrap()
        .connection_callback(|context, _| Ok(context.get::<&str>().copied().unwrap_or("default").into()))
        .build()
        .unwrap();
    use_session(&manager, &RequestContext::default()).await;
    use_session(&manager, &RequestContext::new("eu")).await;
    manager.shutdown().await;
    for (server, database) in [(&first, "0"), (&second, "3")] {
        let key = server.cli(&["-n", database, "KEYS", "*"]);
        let key = key.trim();
        assert!(key.starts_with("session:@the%20shop:"), "{key}");
        let ttl: u64 = server.cli(&["-n", database, "PTTL", key]).trim().parse().unwrap();
        assert!((3_500_000..=3_600_000).contains(&ttl), "{ttl}");
        // MessagePack's tag, and a text of four characters.
        assert_eq!(server.cli(&["-n", database, "--no-raw", "HGET", key, "theme"]).trim(), r#""\x01\xa4dark""#);
    }
}

#[tokio::test]
async fn a_settings_provider_leads_to_a_server() {
    let server = RedisServer::builder().arguments(["--requirepass", "sesame"]).start().unwrap();
    let answer = format!("{},password=sesame,defaultDatabase=2", server.address());
    let connection = ConnectionSettings::new().settings_provider(move || Ok(answer.clone()));
    let manager = Settings::new().with_connection("default", connection).manager().unwrap();
    use_session(&manager, &RequestContext::default()).await;
    manager.shutdown().await;
}

#[tokio::test]
async fn a_twemproxy_is_a_provider() {
    let proxy = Nutcracker::spawn().unwrap();
    let manager = from_variables(&[
        ("SESSION_PROVIDER", "twemproxy"),
        ("SESSION_CONNECTION_STRING", &format!("{},proxy=Twemproxy", proxy.address())),
        ("SESSION_KEY_PREFIX", "shop:"),
    ])
    .manager()
    .unwrap();
    use_session(&manager, &RequestContext::default()).await;
    manager.shutdown().await;
    assert_eq!(proxy.keys("shop:*").concat().len(), 1);
}

#[tokio::test]
async fn a_callback_can_choose_the_database_of_a_further_connection() {
    let server = RedisServer::spawn().unwrap();
    let eu = ConnectionSettings::new().url(server.url());
    let manager = Settings::new()
        .with_connection("eu", eu)
        .manager_builder()
        .unwrap()
        .connection_callback(|context, _| Ok(Connection::named("eu").with_database(*context.get().unwrap())))
        .build()
        .unwrap();
    for database in [0_u32, 5] {
        use_session(&manager, &RequestContext::new(database)).await;
        assert_eq!(server.cli(&["-n", &database.to_string(), "DBSIZE"]).trim(), "1");
    }
    manager.shutdown().await;
}
