//! One test for each setting of a connection.

use std::path::PathBuf;
use std::time::Duration;

use session_redis::Servers;
use session_redis::transport::Address;
use session_settings::{ConnectionSettings, Provider, Settings, TopologyKind};

use crate::sources::{on_connection, redis, refusal};

fn new() -> ConnectionSettings {
    ConnectionSettings::new()
}

fn tcp(host: &str, port: u16) -> Address {
    Address::Tcp { host: host.to_owned(), port }
}

fn of_default(connection: ConnectionSettings) -> Settings {
    Settings::new().with_connection("default", connection)
}

/// The errors name both of two settings that exclude each other, or of which one needs the other.
fn refused(connection: ConnectionSettings, names: &[&str]) {
    let on_first = refusal(&of_default(connection.clone()));
    let on_further = refusal(&Settings::new().with_connection("eu", connection.clone()));
    assert_eq!(on_further.connection(), Some("eu"));
    for name in names {
        for error in [&on_first, &on_further] {
            assert!(error.to_string().contains(&format!("`{name}`")), "{error} should name {name}");
        }
    }
    assert!(!format!("{on_first:?} {on_further:?} {connection:?}").contains("sesame"), "{on_first:?}");
}

#[test]
fn url() {
    let connection =
        on_connection(new().url("redis://shop:sesame@h:7000/2"), &[("url", r#""redis://shop:sesame@h:7000/2""#)]);
    let settings = redis(&connection);
    assert_eq!((settings.endpoint.address, settings.endpoint.database), (tcp("h", 7000), 2));
    assert_eq!(settings.endpoint.credentials.unwrap().access_key, "sesame");
    let with_options = redis(&new().url("h:7000,password=sesame,ssl=false,defaultDatabase=1"));
    assert_eq!((with_options.endpoint.address, with_options.endpoint.database), (tcp("h", 7000), 1));
    let url = || new().url("redis://:sesame@h");
    refused(url().host("i"), &["url", "host"]);
    refused(url().port(1), &["url", "port"]);
    refused(url().unix_socket("/s"), &["url", "unix_socket"]);
    refused(url().username("u"), &["url", "username"]);
    refused(url().access_key("sesame"), &["url", "access_key"]);
    refused(url().ssl(true), &["url", "ssl"]);
    refused(new().url("redis://:sesame@h/1").database(1), &["url", "database"]);
    refused(new().url("http://sesame"), &["url"]);
}

#[test]
fn host() {
    assert_eq!(redis(&on_connection(new().host("h"), &[("host", "\"h\"")])).endpoint.address, tcp("h", 6379));
    assert_eq!(redis(&new()).endpoint.address, tcp("127.0.0.1", 6379));
    refused(new().host(""), &["host"]);
}

#[test]
fn port() {
    assert_eq!(redis(&on_connection(new().port(1), &[("port", "1")])).endpoint.address, tcp("127.0.0.1", 1));
    refused(new().port(0), &["port"]);
}

#[test]
fn unix_socket() {
    let connection = on_connection(new().unix_socket("/run/s"), &[("unix_socket", "\"/run/s\"")]);
    assert_eq!(redis(&connection).endpoint.address, Address::Unix(PathBuf::from("/run/s")));
    refused(connection.port(1), &["unix_socket", "port"]);
}

#[test]
fn username_and_access_key() {
    let connection = on_connection(
        new().username("shop").access_key("sesame"),
        &[("username", "\"shop\""), ("access_key", "\"sesame\"")],
    );
    let credentials = redis(&connection).endpoint.credentials.unwrap();
    assert_eq!((credentials.username.as_deref(), &*credentials.access_key), (Some("shop"), "sesame"));
    refused(new().username("shop"), &["username", "access_key"]);
    refused(new().access_key(""), &["access_key"]);
}

#[test]
fn ssl() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name);
    assert_eq!(redis(&on_connection(new().ssl(false), &[("ssl", "false")])).endpoint.address, tcp("127.0.0.1", 6379));
    let connection = on_connection(
        new()
            .ssl(true)
            .ca_file("/sesame/ca.pem")
            .client_certificate("/sesame/c.pem")
            .client_key("/sesame/c.key")
            .server_name("redis.internal"),
        &[
            ("ssl", "true"),
            ("ca_file", "\"/sesame/ca.pem\""),
            ("client_certificate", "\"/sesame/c.pem\""),
            ("client_key", "\"/sesame/c.key\""),
            ("server_name", "\"redis.internal\""),
        ],
    );
    // All of it reaches the connection: whatever it then reads or checks is an error that names the setting.
    assert!(refusal(&of_default(connection)).to_string().contains("`ca_file`"));
    std::fs::write(file("ca.pem"), "no certificate").unwrap();
    refused(new().ssl(true).ca_file(file("ca.pem")), &["ca_file"]);
    for (without_tls, name) in [
        (new().ca_file("/ca"), "ca_file"),
        (new().client_certificate("/c").client_key("/k"), "client_certificate"),
        (new().server_name("n"), "server_name"),
    ] {
        refused(without_tls, &[name, "ssl"]);
    }
    refused(new().ssl(true).client_certificate("/c"), &["client_certificate", "client_key"]);
    refused(new().ssl(true).client_key("/c"), &["client_certificate", "client_key"]);
}

#[test]
fn database() {
    assert_eq!(redis(&on_connection(new().database(3), &[("database", "3")])).endpoint.database, 3);
    refused(new().provider(Provider::Twemproxy).database(1), &["database"]);
}

#[test]
fn connect_timeout() {
    let connection = on_connection(new().connect_timeout(Duration::from_secs(3)), &[("connect_timeout", "\"3s\"")]);
    assert_eq!(redis(&connection).connect_timeout, Duration::from_secs(3));
    refused(new().connect_timeout(Duration::ZERO), &["connect_timeout"]);
}

#[test]
fn operation_timeout() {
    let connection =
        on_connection(new().operation_timeout(Duration::from_millis(700)), &[("operation_timeout", "\"700ms\"")]);
    assert_eq!(redis(&connection).operation_timeout, Duration::from_millis(700));
    refused(new().operation_timeout(Duration::ZERO), &["operation_timeout"]);
}

#[test]
fn keep_alive() {
    let connection = on_connection(new().keep_alive(Duration::from_secs(60)), &[("keep_alive", "\"1m\"")]);
    assert_eq!(redis(&connection).endpoint.keep_alive, Some(Duration::from_secs(60)));
    let none = on_connection(new().keep_alive(Duration::ZERO), &[("keep_alive", "\"0\"")]);
    assert_eq!(redis(&none).endpoint.keep_alive, None);
    refused(new().keep_alive(Duration::from_millis(1)), &["keep_alive"]);
}

#[test]
fn connections() {
    assert_eq!(redis(&on_connection(new().connections(8), &[("connections", "8")])).connections, 8);
    refused(new().connections(0), &["connections"]);
}

#[test]
fn max_value_bytes() {
    let connection = on_connection(new().max_value_bytes(1000), &[("max_value_bytes", "1000")]);
    assert_eq!(redis(&connection).max_value_bytes, 1000);
    refused(new().max_value_bytes(0), &["max_value_bytes"]);
}

#[test]
fn provider() {
    for (provider, word) in
        [(Provider::Memory, "memory"), (Provider::Redis, "redis"), (Provider::Twemproxy, "twemproxy")]
    {
        let connection = on_connection(new().provider(provider), &[("provider", &format!("\"{word}\""))]);
        assert!(of_default(connection).manager().is_ok());
    }
    // Only a Redis has a database 1, and only a connection that goes somewhere a port.
    assert!(of_default(new().provider(Provider::Redis).database(1)).manager().is_ok());
    assert!(of_default(new().provider(Provider::Memory).port(0)).manager().is_ok());
    // A further connection has the provider of the first, unless it says otherwise.
    let both = of_default(new().provider(Provider::Twemproxy)).with_connection("eu", new().database(1));
    assert_eq!(refusal(&both).connection(), Some("eu"));
    assert!(both.with_connection("eu", new().provider(Provider::Redis)).manager().is_ok());
}

#[test]
fn proxy() {
    let proxy = || new().provider(Provider::Twemproxy);
    let connection = on_connection(
        proxy().url("proxy:22121,proxy=Twemproxy").mbuf_size(512),
        &[("provider", "\"twemproxy\""), ("url", "\"proxy:22121,proxy=Twemproxy\""), ("mbuf_size", "512")],
    );
    assert!(of_default(connection).manager().is_ok());
    assert!(of_default(proxy().ssl(false).topology(TopologyKind::Single)).manager().is_ok());
    refused(proxy().mbuf_size(1), &["mbuf_size"]);
    refused(new().mbuf_size(512), &["mbuf_size"]);
    for (connection, name) in [
        (proxy().ssl(true), "ssl"),
        (proxy().ca_file("/ca"), "ca_file"),
        (proxy().client_certificate("/c"), "client_certificate"),
        (proxy().client_key("/c"), "client_key"),
        (proxy().server_name("n"), "server_name"),
        (proxy().username("shop").access_key("sesame"), "username"),
        (proxy().topology(TopologyKind::Cluster), "topology"),
        (proxy().nodes(["n"]), "nodes"),
        (proxy().master_name("m"), "master_name"),
        (proxy().sentinel_username("u"), "sentinel_username"),
        (proxy().sentinel_access_key("sesame"), "sentinel_access_key"),
    ] {
        refused(connection, &[name]);
    }
}

#[test]
fn topology() {
    let single = on_connection(new().topology(TopologyKind::Single), &[("topology", "\"single\"")]);
    assert_eq!(redis(&single).servers, Servers::Single);

    let sentinel = || new().topology(TopologyKind::Sentinel).nodes(["a:1", "b:2"]).master_name("mymaster");
    let lines = [("topology", "\"sentinel\""), ("nodes", r#"["a:1", "b:2"]"#), ("master_name", "\"mymaster\"")];
    let Servers::Sentinel { master_name, sentinels, credentials } = redis(&on_connection(sentinel(), &lines)).servers
    else {
        panic!("no sentinels")
    };
    assert_eq!((&*master_name, sentinels, credentials), ("mymaster", vec![tcp("a", 1), tcp("b", 2)], None));
    let with_credentials = on_connection(
        sentinel().sentinel_username("watch").sentinel_access_key("sesame"),
        &[&lines[..], &[("sentinel_username", "\"watch\""), ("sentinel_access_key", "\"sesame\"")]].concat(),
    );
    let Servers::Sentinel { credentials: Some(credentials), .. } = redis(&with_credentials).servers else {
        panic!("no credentials")
    };
    assert_eq!((credentials.username.as_deref(), &*credentials.access_key), (Some("watch"), "sesame"));

    let cluster = || new().topology(TopologyKind::Cluster).nodes(["a:1"]);
    let connection = on_connection(cluster(), &[("topology", "\"cluster\""), ("nodes", r#"["a:1"]"#)]);
    assert_eq!(redis(&connection).servers, Servers::Cluster { nodes: vec![tcp("a", 1)] });

    refused(new().nodes(["a"]), &["nodes", "topology"]);
    refused(new().topology(TopologyKind::Cluster), &["topology", "nodes"]);
    refused(new().topology(TopologyKind::Sentinel).master_name("m"), &["topology", "nodes"]);
    refused(new().topology(TopologyKind::Sentinel).nodes(["a"]), &["topology", "master_name"]);
    refused(sentinel().sentinel_username("u"), &["sentinel_username", "sentinel_access_key"]);
    refused(cluster().master_name("m"), &["master_name", "topology"]);
    refused(cluster().sentinel_access_key("sesame"), &["sentinel_access_key", "topology"]);
    refused(sentinel().url("redis://:sesame@h"), &["topology", "url"]);
    refused(cluster().host("h"), &["topology", "host"]);
    refused(cluster().nodes(["a:b"]), &["topology"]);
    refused(cluster().database(1), &["database", "topology"]);
}

#[test]
fn settings_provider() {
    let answering = |answer: &'static str| new().settings_provider(move || Ok(answer.to_owned()));
    assert_eq!(redis(&answering("h:7000,password=sesame")).endpoint.address, tcp("h", 7000));
    assert!(of_default(answering("p,proxy=Twemproxy").provider(Provider::Twemproxy)).manager().is_ok());
    refused(answering("redis://h").url("redis://:sesame@h"), &["settings_provider", "url"]);
    refused(answering("redis://h").host("h"), &["settings_provider", "host"]);
    refused(answering("http://sesame"), &["settings_provider"]);
    refused(new().settings_provider(|| panic!("sesame")), &["settings_provider"]);
    // It stays with the connection when other settings are put over it.
    let over = answering("h").overlay(new().operation_timeout(Duration::from_secs(2)));
    assert_eq!(redis(&over).endpoint.address, tcp("h", 6379));
}
