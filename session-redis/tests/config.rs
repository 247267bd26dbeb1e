//! Settings: what they mean, and what is refused.

use secret_watch as _;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use session_core::{ConnectionOptions as _, Error, ErrorKind, Operation};
use session_redis::transport::{Address, Credentials};
use session_redis::{RedisConfig, RedisProvider, Servers, Topology};

fn tcp(host: &str, port: u16) -> Address {
    Address::Tcp { host: host.to_owned(), port }
}

fn credentials(username: Option<&str>, access_key: &str) -> Option<Credentials> {
    Some(Credentials { username: username.map(str::to_owned), access_key: access_key.to_owned() })
}

#[test]
fn defaults() {
    let settings = RedisConfig::new().check().unwrap();
    assert_eq!(settings.endpoint.address, tcp("127.0.0.1", 6379));
    assert_eq!(settings.endpoint.credentials, None);
    assert_eq!(settings.endpoint.database, 0);
    assert_eq!(settings.endpoint.keep_alive, Some(Duration::from_secs(5)));
    #[cfg(feature = "tls")]
    assert!(settings.endpoint.tls.is_none());
    assert_eq!(settings.connections, 1);
    assert_eq!(settings.connect_timeout, Duration::from_secs(5));
    assert_eq!(settings.operation_timeout, Duration::from_secs(1));
    assert_eq!(settings.max_value_bytes, 512 * 1024 * 1024);
}

#[test]
fn urls_and_connection_strings() {
    let unix = |path: &str| Address::Unix(PathBuf::from(path));
    for (url, address, expected_credentials, database) in [
        ("redis://redis.example", tcp("redis.example", 6379), None, 0),
        ("redis://redis.example:7000/", tcp("redis.example", 7000), None, 0),
        ("REDIS://redis.example/15", tcp("redis.example", 6379), None, 15),
        ("redis://[::1]:7000/1", tcp("::1", 7000), None, 1),
        ("redis:///2", tcp("127.0.0.1", 6379), None, 2),
        ("redis://:p%40ss%2Fw%3Frd@h/3", tcp("h", 6379), credentials(None, "p@ss/w?rd"), 3),
        ("redis://us%C3%A9r:pw@h", tcp("h", 6379), credentials(Some("usér"), "pw"), 0),
        ("redis+unix:///run/r%20s.sock", unix("/run/r s.sock"), None, 0),
        ("unix:///run/r.sock?db=4&user=u&pass=a%2Bb", unix("/run/r.sock"), credentials(Some("u"), "a+b"), 4),
        ("redis.example", tcp("redis.example", 6379), None, 0),
        ("redis.example:7000", tcp("redis.example", 7000), None, 0),
        ("[::1]:7000", tcp("::1", 7000), None, 0),
        ("::1", tcp("::1", 6379), None, 0),
        ("h:1,password=a=b==,defaultDatabase=1", tcp("h", 1), credentials(None, "a=b=="), 1),
        (" h , user=u , password=p://w , abortConnect=False,", tcp("h", 6379), credentials(Some("u"), "p://w"), 0),
        ("h,password=,allowAdmin=true", tcp("h", 6379), None, 0),
    ] {
        let settings = RedisConfig::new().url(url).check().unwrap_or_else(|error| panic!("{url}: {error}"));
        assert_eq!(settings.endpoint.address, address, "{url}");
        assert_eq!(settings.endpoint.credentials, expected_credentials, "{url}");
        assert_eq!(settings.endpoint.database, database, "{url}");
    }
    let settings = RedisConfig::new()
        .url("h,connectTimeout=3000,syncTimeout=700,keepAlive=60")
        .operation_timeout(Duration::from_secs(2))
        .database(9)
        .check()
        .unwrap();
    assert_eq!(settings.connect_timeout, Duration::from_secs(3));
    assert_eq!(settings.operation_timeout, Duration::from_secs(2));
    assert_eq!(settings.endpoint.keep_alive, Some(Duration::from_secs(60)));
    assert_eq!(settings.endpoint.database, 9);
}

#[cfg(feature = "tls")]
#[test]
fn with_tls_another_port() {
    // An authority must be given, since a test machine may have none.
    let folder = tempfile::tempdir().unwrap();
    let ca = folder.path().join("ca.crt");
    let certificate = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    std::fs::write(&ca, certificate.cert.pem()).unwrap();
    for (config, port) in [
        (RedisConfig::new().host("h").ssl(true), 6380),
        (RedisConfig::new().host("h").ssl(true).port(1), 1),
        (RedisConfig::new().url("rediss://h"), 6380),
        (RedisConfig::new().url("rediss://h:1"), 1),
        (RedisConfig::new().url("h,ssl=true,sslHost=cache.example"), 6380),
    ] {
        let settings = config.ca_file(&ca).check().unwrap();
        assert_eq!(settings.endpoint.address, tcp("h", port));
        assert!(settings.endpoint.tls.is_some());
    }
}

#[cfg(not(feature = "tls"))]
#[test]
fn without_the_feature_there_is_no_tls() {
    let error = RedisConfig::new().ssl(true).check().unwrap_err();
    assert!(error.to_string().contains("`ssl`"), "{error}");
}

#[test]
fn wrong_settings_are_named_and_secrets_are_not() {
    let new = RedisConfig::new;
    let cluster = || Topology::cluster(["h"]);
    let sentinel = || Topology::sentinel("m", ["h"]);
    let second = Duration::from_secs(1);
    for (config, setting) in [
        (new().topology(Topology::cluster(["h"])).ssl(false).url("redis://u:sesame@h"), "`ssl`"),
        (new().url("http://user:sesame@h"), "`url`"),
        (new().url("redis://user:sesame@h:99999"), "`url`"),
        (new().url("redis://user:sesame@h/x"), "`url`"),
        (new().url("redis://user:sesame@h/-1"), "`url`"),
        (new().url("redis://user:sesame@h?db=1"), "`url`"),
        (new().url("redis://user:ses?ame@h"), "`url`"),
        (new().url("redis://user:%FFsesame@h"), "`url`"),
        (new().url("redis://user@h"), "`username`"),
        (new().url("redis+unix://h/sesame"), "`url`"),
        (new().url("unix:///r.sock?password=sesame"), "`url`"),
        (new().url(""), "`url`"),
        (new().url("password=sesame"), "`url`"),
        (new().url("h:port,password=sesame"), "`url`"),
        (new().url("h,i,password=sesame"), "`url`"),
        (new().url("h,sesame=1"), "`url`"),
        (new().url("h,ssl=sesame"), "`url`"),
        (new().url("h,defaultDatabase=sesame"), "`url`"),
        (new().url("h,i:port,serviceName=m,password=sesame"), "`topology`"),
        (new().url("h,i,serviceName=,password=sesame"), "`serviceName`"),
        (new().url("h,proxy=Twemproxy"), "`url`"),
        (new().url("redis://h").host("sesame"), "`host`"),
        (new().url("redis://h").port(1), "`port`"),
        (new().url("redis://h").access_key("sesame"), "`access_key`"),
        (new().url("redis://h").username("sesame"), "`username`"),
        (new().url("redis://h").ssl(true), "`ssl`"),
        (new().url("redis://h").unix_socket("/sesame"), "`unix_socket`"),
        (new().url("redis://h/1").database(1), "`database`"),
        (new().topology(cluster()).url("redis://h"), "`url`"),
        (new().topology(cluster()).url("redis://h"), "`topology`"),
        (new().topology(cluster()).host("h"), "`host`"),
        (new().topology(cluster()).port(1), "`port`"),
        (new().topology(cluster()).unix_socket("/s"), "`unix_socket`"),
        (new().topology(sentinel()).host("h"), "`topology`"),
        (new().topology(cluster()).database(1), "`database`"),
        (new().topology(cluster()).username("u"), "`username`"),
        (new().url("h,serviceName=m").host("i"), "`host`"),
        (new().url("h,serviceName=m,defaultDatabase=1").database(1), "`database`"),
        (new().topology(Topology::cluster([""; 0])), "`topology`"),
        (new().topology(Topology::cluster([""])), "`topology`"),
        (new().topology(Topology::cluster(["h", "h:0"])), "`topology`"),
        (new().topology(Topology::cluster(["h:70000"])), "`topology`"),
        (new().topology(Topology::cluster(["[::1]7000"])), "`topology`"),
        (new().topology(Topology::cluster(["redis://u:sesame@h"])), "`topology`"),
        (new().topology(Topology::sentinel("", ["h"])), "`topology`"),
        (new().topology(Topology::sentinel("two words", ["h"])), "`topology`"),
        (new().topology(sentinel().with_sentinel_credentials(None, "")), "`topology`"),
        (new().topology(sentinel().with_sentinel_credentials(Some(String::new()), "sesame")), "`topology`"),
        (new().host(""), "`host`"),
        (new().host("a b"), "`host`"),
        (new().host("h/sesame"), "`host`"),
        (new().port(0), "`port`"),
        (new().host("h").unix_socket("/s"), "`unix_socket`"),
        (new().unix_socket("relative"), "`unix_socket`"),
        (new().unix_socket("/s").ssl(true), "`ssl`"),
        (new().username("u"), "`username`"),
        (new().access_key(""), "`access_key`"),
        (new().username("").access_key("sesame"), "`username`"),
        (new().ca_file("/sesame"), "`ca_file`"),
        (new().client_certificate("/a", "/b"), "`client_certificate`"),
        (new().server_name("n"), "`server_name`"),
        (new().connect_timeout(Duration::ZERO), "`connect_timeout`"),
        (new().operation_timeout(Duration::ZERO), "`operation_timeout`"),
        (new().operation_timeout(Duration::MAX), "`operation_timeout`"),
        (new().keep_alive(second / 2), "`keep_alive`"),
        (new().connections(0), "`connections`"),
        (new().connections(257), "`connections`"),
        (new().max_value_bytes(0), "`max_value_bytes`"),
        (new().max_value_bytes(usize::MAX), "`max_value_bytes`"),
    ] {
        let error = RedisProvider::new(&config).map(|_| ()).expect_err(setting);
        assert_eq!(error.kind(), ErrorKind::Config, "{setting}");
        let text = error.to_string();
        assert!(text.contains(setting), "{setting}: {text}");
        let everything = format!("{text} {error:?}");
        assert!(!everything.contains("sesame"), "{everything}");
    }
}

#[test]
fn topologies() {
    let checked = |topology: Topology| RedisConfig::new().topology(topology).check().unwrap().servers;
    assert_eq!(checked(Topology::single()), Servers::Single);
    assert_eq!(Topology::single(), Topology::default());
    assert_eq!(
        checked(Topology::cluster(["a", "b:7000", "[::1]:7000", "::1"])),
        Servers::Cluster { nodes: vec![tcp("a", 6379), tcp("b", 7000), tcp("::1", 7000), tcp("::1", 6379)] },
    );
    let sentinels = || vec![tcp("a", 26379), tcp("b", 7000)];
    let master_name = || "mymaster".to_owned();
    assert_eq!(
        checked(Topology::sentinel("mymaster", ["a".to_owned(), "b:7000".to_owned()])),
        Servers::Sentinel { master_name: master_name(), sentinels: sentinels(), credentials: None },
    );
    for username in [None, Some("watch")] {
        let topology = Topology::sentinel("mymaster", ["a", "b:7000"])
            .with_sentinel_credentials(username.map(str::to_owned), "sesame");
        let credentials = credentials(username, "sesame");
        let expected = Servers::Sentinel { master_name: master_name(), sentinels: sentinels(), credentials };
        let text = format!("{topology:?} {expected:?}");
        assert!(text.contains("<hidden>") && !text.contains("sesame"), "{text}");
        assert_eq!(checked(topology), expected);
    }

    let string = RedisConfig::new().url("a,b:7000,serviceName=mymaster,password=x,defaultDatabase=2,user=u");
    let settings = string.topology(Topology::single()).check().unwrap();
    let expected = Servers::Sentinel { master_name: master_name(), sentinels: sentinels(), credentials: None };
    assert_eq!(settings.servers, expected);
    assert_eq!(settings.endpoint.credentials, credentials(Some("u"), "x"), "of the master");
    assert_eq!(settings.endpoint.database, 2);
    // One sentinel is enough, and what names one server is single whatever it says beside that.
    let one = RedisConfig::new().url("a,servicename=mymaster").check().unwrap().servers;
    let sentinels = vec![tcp("a", 26379)];
    assert_eq!(one, Servers::Sentinel { master_name: master_name(), sentinels, credentials: None });
    assert_eq!(RedisConfig::new().url("a,serviceName=").check().unwrap().servers, Servers::Single);
    let settings = RedisConfig::new().topology(Topology::single()).host("h").check().unwrap();
    assert_eq!((settings.servers, settings.endpoint.address), (Servers::Single, tcp("h", 6379)));
}

#[test]
fn nothing_shows_the_access_key() {
    let config = RedisConfig::new().host("h").username("u").access_key("sesame");
    let provider = RedisProvider::new(&config).unwrap();
    let text = format!("{config:?} {provider:?} {:?}", config.check().unwrap());
    assert!(!text.contains("sesame"), "{text}");
    assert!(text.contains("<hidden>"));
    let config = RedisConfig::new().url("redis://u:sesame@h");
    let text = format!("{config:?} {:?}", config.check().unwrap());
    assert!(!text.contains("sesame"), "{text}");
}

#[test]
fn a_settings_provider_answers_what_a_url_would_say() {
    let asked = Arc::new(AtomicUsize::new(0));
    let counting = Arc::clone(&asked);
    let config = RedisConfig::new().operation_timeout(Duration::from_secs(2)).settings_provider(move || {
        counting.fetch_add(1, Ordering::SeqCst);
        Ok("redis://shop:sesame@redis.example:7000/3".to_owned())
    });
    assert_eq!(asked.load(Ordering::SeqCst), 0, "only when it is needed");
    let settings = config.check().unwrap();
    assert_eq!(settings.endpoint.address, tcp("redis.example", 7000));
    assert_eq!(settings.endpoint.credentials, credentials(Some("shop"), "sesame"));
    assert_eq!((settings.endpoint.database, settings.operation_timeout), (3, Duration::from_secs(2)));
    assert_eq!(asked.load(Ordering::SeqCst), 1);
    assert_eq!(config.open(None).unwrap().database, 3);
    assert_eq!(asked.load(Ordering::SeqCst), 2, "once for each connection");
    assert_eq!(config.open(Some(4)).unwrap().database, 4);
    assert_eq!(asked.load(Ordering::SeqCst), 3);
    assert_eq!(config, config.clone());
    assert!(!format!("{config:?} {:?}", RedisProvider::new(&config).unwrap()).contains("sesame"));
}

#[test]
fn a_settings_provider_that_misbehaves_is_an_error_that_shows_nothing_of_it() {
    type Answer = session_core::Result<String>;
    let own = |kind| Error::new(kind, Operation::Configure, "the store of secrets is sealed");
    let good = || -> Answer { Ok("redis://h/1".to_owned()) };
    let panics = || -> Answer { panic!("sesame") };
    let new = RedisConfig::new;
    for (config, text) in [
        (new().settings_provider(good).url("redis://h"), "`settings_provider`: cannot be set together with `url`"),
        (new().settings_provider(good).host("h"), "`host`: cannot be set together with `settings_provider`"),
        (new().settings_provider(good).database(1), "`database`: is also in `settings_provider`"),
        (new().settings_provider(panics), "`settings_provider`: it panicked"),
        (new().settings_provider(|| Ok("http://sesame".to_owned())), "`settings_provider`: its answer"),
        (new().settings_provider(|| Ok(String::new())), "`settings_provider`: its answer"),
        (new().settings_provider(move || Err(own(ErrorKind::Unavailable))), "`settings_provider`: it failed"),
        (new().settings_provider(move || Err(own(ErrorKind::Config))), "is sealed"),
    ] {
        let error = config.check().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config, "{text}");
        assert!(error.to_string().contains(text), "{error} should say {text}");
        assert!(!format!("{error:?} {config:?}").contains("sesame"), "{error:?}");
    }
}
