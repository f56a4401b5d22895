//! TLS: the door's certificate and key, and whose client certificates it asks for. What is replaced counts for the
//! connections that come after.

use std::io;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::{RootCertStore, ServerConfig};
use tokio_rustls::server::TlsStream;

const HANDSHAKE: Duration = Duration::from_secs(10);

/// Certificates and keys, as PEM.
#[derive(Debug, Clone)]
pub struct Tls {
    /// The door's certificate, and those that lead to its root.
    pub certificate: Vec<u8>,
    /// Its key.
    pub key: Vec<u8>,
    /// Who signs the clients' certificates; with it, each client must show one.
    pub client_ca: Option<Vec<u8>>,
}

/// What new connections are taken with; None: as they come.
#[derive(Default)]
pub(crate) struct Handshakes(RwLock<Option<Arc<ServerConfig>>>);

impl Handshakes {
    /// From now on with these.
    pub fn set(&self, tls: Option<&Tls>) -> io::Result<()> {
        let config = tls.map(config).transpose()?;
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = config;
        Ok(())
    }

    /// How to greet a connection.
    pub fn acceptor(&self) -> Option<TlsAcceptor> {
        let config = self.0.read().unwrap_or_else(PoisonError::into_inner).clone();
        config.map(TlsAcceptor::from)
    }
}

/// Greets a client: the stream, and the names in its certificate. None: it was not to be greeted.
pub(crate) async fn greet(acceptor: TlsAcceptor, stream: TcpStream) -> Option<(TlsStream<TcpStream>, Vec<String>)> {
    let stream = tokio::time::timeout(HANDSHAKE, acceptor.accept(stream))
        .await
        .ok()?
        .ok()?;
    let shown = stream.get_ref().1.peer_certificates().and_then(<[_]>::first);
    let names = shown.map(names).unwrap_or_default();
    Some((stream, names))
}

fn config(tls: &Tls) -> io::Result<Arc<ServerConfig>> {
    let wrong = |what: &str, error: &dyn std::fmt::Display| io::Error::other(format!("{what}: {error}"));
    let chain = certificates("tls_certificate", &tls.certificate)?;
    let key = PrivateKeyDer::from_pem_slice(&tls.key).map_err(|error| wrong("tls_key", &error))?;
    let provider = Arc::new(ring::default_provider());
    let builder = ServerConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .map_err(|error| wrong("tls", &error))?;
    let builder = match &tls.client_ca {
        None => builder.with_no_client_auth(),
        Some(ca) => {
            let mut roots = RootCertStore::empty();
            for certificate in certificates("tls_client_ca", ca)? {
                roots.add(certificate).map_err(|error| wrong("tls_client_ca", &error))?;
            }
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build();
            builder.with_client_cert_verifier(verifier.map_err(|error| wrong("tls_client_ca", &error))?)
        }
    };
    let mut config = builder
        .with_single_cert(chain, key)
        .map_err(|error| wrong("tls_certificate and tls_key", &error))?;
    config.alpn_protocols = vec![b"h2".to_vec()];
    Ok(Arc::new(config))
}

fn certificates(what: &str, pem: &[u8]) -> io::Result<Vec<CertificateDer<'static>>> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    match found {
        Ok(found) if !found.is_empty() => Ok(found),
        Ok(_) => Err(io::Error::other(format!("{what}: there is no certificate in it"))),
        Err(error) => Err(io::Error::other(format!("{what}: {error}"))),
    }
}

/// The subject alternative names, DNS and URI, of a certificate that was verified.
fn names(certificate: &CertificateDer<'_>) -> Vec<String> {
    let Ok(shown) = webpki::EndEntityCert::try_from(certificate) else {
        return Vec::new();
    };
    shown
        .valid_dns_names()
        .chain(shown.valid_uri_names())
        .map(str::to_owned)
        .collect()
}
