//! TLS with rustls and ring.

use std::fmt;
use std::io;
use std::path::Path;
use std::sync::Arc;

use session_core::{Error, ErrorKind, Operation, Result};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio_rustls::rustls::{self, CertificateError, ClientConfig, RootCertStore};

use super::connect::stream_error;

/// How connections are encrypted, and whom to trust.
pub struct Tls {
    connector: TlsConnector,
    server_name: Option<ServerName<'static>>,
}

/// A certificate to show to the server, and its private key, both PEM files.
#[derive(Debug, Clone, Copy)]
pub struct ClientIdentity<'a> {
    /// The certificate, then those between it and the authority.
    pub certificate: &'a Path,
    /// The key.
    pub key: &'a Path,
}

impl Tls {
    /// Reads the files. Without `ca_file` the system's authorities are trusted, with it only those in it. Without
    /// `server_name` the certificate must be for the host that is connected to.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`] naming the setting whose file cannot be read or does not hold what it should.
    pub fn new(
        ca_file: Option<&Path>,
        identity: Option<ClientIdentity<'_>>,
        server_name: Option<&str>,
    ) -> Result<Self> {
        let roots = match ca_file {
            Some(path) => roots_of(path)?,
            None => system_roots()?,
        };
        let server_name = server_name
            .map(|name| ServerName::try_from(name.to_owned()).map_err(|_| wrong("server_name", "not a host name")))
            .transpose()?;
        // The provider is named, because a process may have several compiled in and then has no default one.
        let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|_| wrong("ssl", "TLS cannot be set up"))?
            .with_root_certificates(roots);
        let config = match identity {
            None => builder.with_no_client_auth(),
            Some(ClientIdentity { certificate, key }) => {
                let chain = certificates("client_certificate", certificate)?;
                let key = PrivateKeyDer::from_pem_file(key)
                    .map_err(|_| wrong("client_key", "the file cannot be read or holds no private key in PEM form"))?;
                builder
                    .with_client_auth_cert(chain, key)
                    .map_err(|_| wrong("client_key", "does not belong to the client certificate"))?
            }
        };
        Ok(Self { connector: TlsConnector::from(Arc::new(config)), server_name })
    }

    pub(super) async fn handshake(&self, host: &str, stream: TcpStream) -> Result<TlsStream<TcpStream>> {
        let name = match &self.server_name {
            Some(name) => name.clone(),
            None => ServerName::try_from(host.to_owned())
                .map_err(|_| wrong("host", "not a name that a certificate can be for").with_operation(CONNECT))?,
        };
        self.connector.connect(name, stream).await.map_err(|error| stream_error(&error))
    }
}

const CONNECT: Operation = Operation::Connect;

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { connector: _, server_name } = self;
        f.debug_struct("Tls").field("server_name", server_name).finish_non_exhaustive()
    }
}

fn wrong(setting: &str, why: &str) -> Error {
    Error::new(ErrorKind::Config, Operation::Configure, format!("`{setting}`: {why}"))
}

fn certificates(setting: &str, path: &Path) -> Result<Vec<CertificateDer<'static>>> {
    CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .ok()
        .filter(|certificates| !certificates.is_empty())
        .ok_or_else(|| wrong(setting, "the file cannot be read or holds no certificate in PEM form"))
}

fn roots_of(path: &Path) -> Result<RootCertStore> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates("ca_file", path)? {
        roots.add(certificate).map_err(|_| wrong("ca_file", "holds a certificate that cannot be used"))?;
    }
    Ok(roots)
}

fn system_roots() -> Result<RootCertStore> {
    let mut roots = RootCertStore::empty();
    let (usable, _) = roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if usable == 0 {
        return Err(wrong("ca_file", "this system has no certificate authorities, so one must be given"));
    }
    Ok(roots)
}

/// What TLS has to say about an error, in our words: its own may quote what the other side sent.
pub(super) fn explain(error: &io::Error) -> Option<&'static str> {
    let error = error.get_ref()?.downcast_ref::<rustls::Error>()?;
    Some(match error {
        rustls::Error::InvalidCertificate(why) => match why {
            // A bad signature is what another authority of the same name makes.
            CertificateError::UnknownIssuer | CertificateError::BadSignature => {
                "TLS: the server's certificate is not of a known authority (`ca_file`)"
            }
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
                "TLS: the server's certificate has expired"
            }
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                "TLS: the server's certificate is not valid yet"
            }
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                "TLS: the server's certificate is for another name (`host`, `server_name`)"
            }
            CertificateError::Revoked => "TLS: the server's certificate was revoked",
            _ => "TLS: the server's certificate cannot be trusted",
        },
        rustls::Error::InvalidMessage(_) => "TLS: what answers there does not speak TLS (`ssl`)",
        rustls::Error::AlertReceived(_) => "TLS: the server refused us (`client_certificate`)",
        rustls::Error::PeerIncompatible(_) => "TLS: the server knows no version or cipher that we accept",
        _ => "TLS: the handshake failed",
    })
}
