//! TLS that is not as it must be. All that can be wrong with a certificate is tested with the provider.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::harness::{App, Row, Scene, Way, everywhere};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, date_time_ymd};
use session_redis::{RedisConfig, RedisProvider};
use tempfile::TempDir;
use test_support::RedisServer;

/// Issues one certificate and its key, as `server.crt` and `server.key`; its own is `ca.crt`.
struct Authority(TempDir);

impl Authority {
    fn new(names: &[&str], change: impl FnOnce(&mut CertificateParams)) -> Self {
        let folder = TempDir::new().unwrap();
        let write = |name: &str, text: String| std::fs::write(folder.path().join(name), text).unwrap();
        let mut authority = CertificateParams::new([]).unwrap();
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(authority, KeyPair::generate().unwrap()).unwrap();
        write("ca.crt", issuer.pem());
        let mut params =
            CertificateParams::new(names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>()).unwrap();
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        write("server.crt", params.signed_by(&key, &issuer).unwrap().pem());
        write("server.key", key.serialize_pem());
        Self(folder)
    }

    fn file(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn server(&self) -> RedisServer {
        let files = ["server.crt", "server.key", "ca.crt"].map(|name| self.file(name).into_os_string());
        let [certificate, key, authority] = files;
        let builder = RedisServer::builder().tls_only().arguments(["--tls-auth-clients", "no"]);
        let builder = builder.arguments(["--tls-cert-file".into(), certificate, "--tls-key-file".into(), key]);
        builder.arguments(["--tls-ca-cert-file".into(), authority]).start().unwrap()
    }
}

fn application(port: u16, trusted: &Path, throw: bool) -> App {
    let config = RedisConfig::new().host("127.0.0.1").port(port).ssl(true).ca_file(trusted);
    App::new(Arc::new(RedisProvider::new(&config).unwrap()), throw, Duration::ZERO)
}

#[test]
fn f22_certificates_that_are_not_trusted() {
    let row = Row::of("F22");
    everywhere("F22", &[Way::Direct], async |way, throw| {
        let good = Authority::new(&["127.0.0.1"], |_| {});
        let server = good.server();
        let cookie = application(server.port(), &good.file("ca.crt"), throw).start().await;
        let expired = Authority::new(&["127.0.0.1"], |params| params.not_after = date_time_ymd(2021, 1, 1));
        let elsewhere = Authority::new(&["redis.example"], |_| {});
        for (server, trusted, cause) in [
            (&server, expired.file("ca.crt"), "not of a known authority"),
            (&expired.server(), expired.file("ca.crt"), "has expired"),
            (&elsewhere.server(), elsewhere.file("ca.crt"), "for another name"),
        ] {
            let app = application(server.port(), &trusted, throw);
            let reply = app.get("/read", Some(&cookie)).await;
            row.assert_seen(way, throw, &app, &reply, "none");
            assert!(app.last_error().to_string().contains(cause), "{cause}: {}", app.last_error());
        }
        application(server.port(), &good.file("ca.crt"), throw).get("/read", Some(&cookie)).await.assert(200, "dark");
    });
}

/// Not even if the server speaks nothing else.
#[test]
fn f22_never_plain_text_instead() {
    let row = Row::of("F22");
    everywhere("F22", &[Way::Direct], async |way, throw| {
        let scene = Scene::plain(way);
        let cookie = App::new(scene.provider(), throw, Duration::ZERO).start().await;
        scene.redis.cli(&["CONFIG", "RESETSTAT"]);
        let authority = Authority::new(&["127.0.0.1"], |_| {});
        let app = application(scene.redis.port(), &authority.file("ca.crt"), throw);
        let reply = app.get("/read", Some(&cookie)).await;
        row.assert_seen(way, throw, &app, &reply, "none");
        assert!(scene.redis.command_counts().is_empty(), "{:?}", scene.redis.command_counts());
        // And the other way round.
        let encrypted = authority.server();
        let config = RedisConfig::new().port(encrypted.port());
        let app = App::new(Arc::new(RedisProvider::new(&config).unwrap()), throw, Duration::ZERO);
        let reply = app.get("/read", Some(&cookie)).await;
        row.assert_seen(way, throw, &app, &reply, "none");
    });
}
