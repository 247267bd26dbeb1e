//! TLS, with certificates made here.
#![cfg(feature = "tls")]

use secret_watch as _;

mod common;

use std::path::{Path, PathBuf};

use common::*;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, date_time_ymd};
use session_core::{ErrorKind, Loaded, Result, SessionProvider};
use session_redis::{RedisConfig, RedisProvider, Topology};
use tempfile::TempDir;
use test_support::{Cluster, RedisServer, Sentinels, TlsFiles};

struct Authority {
    folder: TempDir,
    issuer: CertifiedIssuer<'static, KeyPair>,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new([]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params
            .distinguished_name
            .push(DnType::CommonName, format!("Authority {}", session_core::WriterId::generate().unwrap()));
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let folder = TempDir::new().unwrap();
        std::fs::write(folder.path().join("ca.crt"), issuer.pem()).unwrap();
        Self { folder, issuer }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes `<file>.crt` and `<file>.key`.
    fn issue(&self, file: &str, names: &[&str], change: impl FnOnce(&mut CertificateParams)) {
        let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(names).unwrap();
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        std::fs::write(self.file(&format!("{file}.crt")), certificate.pem()).unwrap();
        std::fs::write(self.file(&format!("{file}.key")), key.serialize_pem()).unwrap();
    }

    fn server(&self, file: &str, auth_clients: &str) -> RedisServer {
        RedisServer::builder()
            .tls_only()
            .arguments([
                "--tls-cert-file".into(),
                self.file(&format!("{file}.crt")),
                "--tls-key-file".into(),
                self.file(&format!("{file}.key")),
                "--tls-ca-cert-file".into(),
                self.file("ca.crt"),
                "--tls-auth-clients".into(),
                auth_clients.into(),
            ])
            .start()
            .unwrap()
    }
}

fn config(server: &RedisServer, ca: impl AsRef<Path>) -> RedisConfig {
    RedisConfig::new().host("127.0.0.1").port(server.port()).ssl(true).ca_file(ca.as_ref())
}

async fn load(config: &RedisConfig) -> Result<Loaded> {
    let life = Life::new();
    RedisProvider::new(config).unwrap().load(&life.key, life.writer).await
}

async fn fails_naming(config: &RedisConfig, cause: &str) {
    let error = load(config).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    assert!(error.to_string().contains(cause), "{cause}: {error}");
}

#[tokio::test]
async fn encrypted_with_an_own_authority() {
    let authority = Authority::new();
    authority.issue("server", &["127.0.0.1"], |_| {});
    let server = authority.server("server", "no");
    let provider = RedisProvider::new(&config(&server, authority.file("ca.crt"))).unwrap();
    let mut life = Life::new();
    life.create(&provider, [set("a", "x".repeat(100_000))]).await;
    assert_eq!(life.attribute(&provider, "a").await.unwrap().len(), 100_000);
    let url = RedisConfig::new().url(format!("rediss://127.0.0.1:{}", server.port())).ca_file(authority.file("ca.crt"));
    assert_eq!(load(&url).await.unwrap(), Loaded::Absent);
    let string = RedisConfig::new().url(format!("127.0.0.1:{},ssl=True,abortConnect=False", server.port()));
    assert_eq!(load(&string.ca_file(authority.file("ca.crt"))).await.unwrap(), Loaded::Absent);
}

#[tokio::test]
async fn an_unknown_authority_is_refused() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    authority.issue("server", &["127.0.0.1"], |_| {});
    let server = authority.server("server", "no");
    fails_naming(&config(&server, stranger.file("ca.crt")), "not of a known authority").await;
    // Nor is it one of the system's, where it has any.
    let trusting = RedisConfig::new().host("127.0.0.1").port(server.port()).ssl(true);
    match RedisProvider::new(&trusting) {
        Ok(_) => fails_naming(&trusting, "not of a known authority").await,
        Err(error) => assert!(error.to_string().contains("`ca_file`"), "{error}"),
    }
}

#[tokio::test]
async fn certificates_that_do_not_fit() {
    let authority = Authority::new();
    authority.issue("expired", &["127.0.0.1"], |params| {
        params.not_before = date_time_ymd(2020, 1, 1);
        params.not_after = date_time_ymd(2021, 1, 1);
    });
    authority.issue("early", &["127.0.0.1"], |params| params.not_before = date_time_ymd(2100, 1, 1));
    authority.issue("other", &["redis.example"], |_| {});
    let ca = authority.file("ca.crt");
    fails_naming(&config(&authority.server("expired", "no"), &ca), "has expired").await;
    fails_naming(&config(&authority.server("early", "no"), &ca), "not valid yet").await;
    let other = authority.server("other", "no");
    fails_naming(&config(&other, &ca), "for another name").await;
    assert!(load(&config(&other, &ca).server_name("redis.example")).await.is_ok());
    fails_naming(&config(&other, &ca).server_name("elsewhere.example"), "for another name").await;
}

#[tokio::test]
async fn never_plain() {
    let authority = Authority::new();
    authority.issue("server", &["127.0.0.1"], |_| {});
    let ca = authority.file("ca.crt");
    // TLS to a server that has none.
    let plain = RedisServer::spawn().unwrap();
    plain.cli(&["CONFIG", "RESETSTAT"]);
    fails_naming(&config(&plain, &ca), "").await;
    assert!(!plain.command_counts().contains_key("ping"));
    // Plain text to a server that wants TLS.
    let encrypted = authority.server("server", "no");
    fails_naming(&RedisConfig::new().port(encrypted.port()), "if it expects TLS, set `ssl`").await;
}

#[tokio::test]
async fn client_certificates() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    authority.issue("server", &["127.0.0.1"], |_| {});
    authority.issue("client", &["client"], |_| {});
    stranger.issue("client", &["client"], |_| {});
    let server = authority.server("server", "yes");
    let config = config(&server, authority.file("ca.crt"));
    let with = |authority: &Authority| {
        config.clone().client_certificate(authority.file("client.crt"), authority.file("client.key"))
    };
    assert!(load(&with(&authority)).await.is_ok());
    fails_naming(&config, "`client_certificate`").await;
    fails_naming(&with(&stranger), "`client_certificate`").await;
}

/// What tells of other servers is encrypted like the rest, and those are trusted like the first.
#[tokio::test]
async fn several_servers() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    authority.issue("server", &["127.0.0.1"], |_| {});
    authority.issue("client", &["client"], |_| {});
    let file = |name| authority.file(name);
    let files = || TlsFiles { certificate: file("server.crt"), key: file("server.key"), authority: file("ca.crt") };
    let cluster = Cluster::builder().tls(files()).start().unwrap();
    let sentinels = Sentinels::builder().tls(files()).start().unwrap();
    for (topology, what) in [
        (Topology::cluster(cluster.addresses()), "no node of the cluster"),
        (Topology::sentinel(Sentinels::MASTER_NAME, sentinels.addresses()), "no sentinel"),
    ] {
        let config = RedisConfig::new().topology(topology).ssl(true);
        let known = config.clone().ca_file(file("ca.crt"));
        let shown = known.clone().client_certificate(file("client.crt"), file("client.key"));
        let provider = RedisProvider::new(&shown).unwrap();
        for _ in 0..10 {
            let mut life = Life::new();
            life.create(&provider, [set("a", "1")]).await;
            assert_eq!(life.attribute(&provider, "a").await.unwrap(), "1");
        }
        fails_naming(&config.clone().ca_file(stranger.file("ca.crt")), "not of a known authority").await;
        fails_naming(&config.ca_file(stranger.file("ca.crt")), what).await;
        fails_naming(&known, "`client_certificate`").await;
        fails_naming(&shown.server_name("elsewhere.example"), "for another name").await;
    }
    // Plain text is refused as by a single server.
    let plain = RedisConfig::new().topology(Topology::cluster(cluster.addresses()));
    fails_naming(&plain, "if it expects TLS, set `ssl`").await;
}

#[test]
fn files_that_do_not_hold_what_they_should() {
    let authority = Authority::new();
    authority.issue("one", &["one"], |_| {});
    authority.issue("two", &["two"], |_| {});
    let file = |name| authority.file(name);
    std::fs::write(file("empty"), "").unwrap();
    let config = || RedisConfig::new().ssl(true).ca_file(file("ca.crt"));
    assert!(RedisProvider::new(&config()).is_ok());
    for (config, setting) in [
        (config().ca_file(file("absent")), "`ca_file`"),
        (config().ca_file(file("empty")), "`ca_file`"),
        (config().ca_file(file("one.key")), "`ca_file`"),
        (config().client_certificate(file("absent"), file("one.key")), "`client_certificate`"),
        (config().client_certificate(file("one.crt"), file("absent")), "`client_key`"),
        (config().client_certificate(file("one.crt"), file("one.crt")), "`client_key`"),
        (config().client_certificate(file("one.crt"), file("two.key")), "`client_key`"),
        (config().server_name("not a name"), "`server_name`"),
    ] {
        let error = RedisProvider::new(&config).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(error.to_string().contains(setting), "{setting}: {error}");
    }
}
