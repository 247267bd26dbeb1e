//! What a server needs for TLS.

use std::ffi::OsString;
use std::path::PathBuf;

/// PEM files for a server that speaks TLS with clients and with others of its kind; clients must show a certificate.
#[derive(Debug, Clone)]
pub struct TlsFiles {
    /// The server's certificate.
    pub certificate: PathBuf,
    /// Its private key.
    pub key: PathBuf,
    /// The authority that all certificates are of.
    pub authority: PathBuf,
}

impl TlsFiles {
    /// As arguments of `redis-server`, which also takes others of its kind by TLS if `among_servers` is the name of the
    /// setting for that.
    pub(crate) fn arguments(&self, among_servers: &str, port: u16) -> Vec<OsString> {
        let Self { certificate, key, authority } = self;
        vec![
            "--tls-port".into(),
            port.to_string().into(),
            "--tls-cert-file".into(),
            certificate.into(),
            "--tls-key-file".into(),
            key.into(),
            "--tls-ca-cert-file".into(),
            authority.into(),
            among_servers.into(),
            "yes".into(),
        ]
    }
}
