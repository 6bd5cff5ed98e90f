//! TLS for OpenFlow: 1.3, both sides with a certificate, ring.
//!
//! Whom to trust is either a list of fingerprints, as between sites (`peer::tls`), or
//! a CA: then every certificate that the CA has signed, whatever name it carries, as with Open
//! vSwitch, whose tools write certificates without names. A CA for OpenFlow signs switches and
//! controllers and nothing else.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::net::TcpStream;
use tokio_rustls::rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use tokio_rustls::rustls::client::verify_server_cert_signed_by_trust_anchor;
use tokio_rustls::rustls::crypto::ring::default_provider;
use tokio_rustls::rustls::crypto::{WebPkiSupportedAlgorithms, verify_tls13_signature};
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use tokio_rustls::rustls::server::{ParsedCertificate, WebPkiClientVerifier};
use tokio_rustls::rustls::{
    ClientConfig, DigitallySignedStruct, Error, PeerIncompatible, RootCertStore, ServerConfig, SignatureScheme,
};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use super::stream::Stream;
use crate::peer::tls::{self, Pinned};
use crate::peer::{Fingerprint, Identity};

/// Whom to trust.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Trust {
    /// Whoever has a certificate of a CA in this PEM file.
    Ca(PathBuf),
    /// The owners of these certificates.
    Pinned(BTreeSet<Fingerprint>),
}

/// Both sides of TLS, ready.
#[derive(Clone)]
pub struct Tls {
    client: Arc<ClientConfig>,
    server: Arc<ServerConfig>,
}

impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Tls")
    }
}

/// Why TLS cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The CA's file.
    #[error("{} holds no CA certificate in PEM form that can be used ({reason})", path.display())]
    Ca {
        /// Which file.
        path: PathBuf,
        /// Why not.
        reason: String,
    },
    /// Something in TLS itself.
    #[error("TLS cannot be set up: {0}")]
    Tls(#[from] Error),
}

impl Tls {
    /// Sets TLS up for this identity.
    ///
    /// # Errors
    /// [`TlsError`].
    pub fn new(identity: &Identity, trust: &Trust) -> Result<Self, TlsError> {
        let (client, server) = match trust {
            Trust::Pinned(accepted) => {
                let pinned = Pinned::new(accepted.clone());
                (tls::client(identity, pinned.clone())?, tls::server(identity, pinned)?)
            }
            Trust::Ca(path) => {
                let roots = Arc::new(roots(path)?);
                let clients =
                    WebPkiClientVerifier::builder_with_provider(Arc::clone(&roots), Arc::new(default_provider()));
                let clients =
                    clients.build().map_err(|e| TlsError::Ca { path: path.clone(), reason: e.to_string() })?;
                (tls::client(identity, Signed::new(roots))?, tls::server(identity, clients)?)
            }
        };
        Ok(Self { client: Arc::new(client), server: Arc::new(server) })
    }

    /// TLS as the side that dialled.
    pub(crate) async fn connect(&self, tcp: TcpStream, remote: &str) -> Result<Stream, String> {
        let failed = |e: &dyn std::fmt::Display| format!("{remote}: TLS: {e}");
        // Neither sent nor checked.
        let name = ServerName::try_from("openflow").map_err(|e| failed(&e))?;
        let stream = TlsConnector::from(Arc::clone(&self.client)).connect(name, tcp).await.map_err(|e| failed(&e))?;
        let certificate = fingerprint(stream.get_ref().1.peer_certificates());
        Ok(Stream::new(stream, remote).certified(certificate))
    }

    /// TLS as the side that listens.
    pub(super) async fn accept(&self, tcp: TcpStream, remote: &str) -> Result<Stream, String> {
        let stream = TlsAcceptor::from(Arc::clone(&self.server)).accept(tcp).await;
        let stream = stream.map_err(|e| format!("{remote}: TLS: {e}"))?;
        let certificate = fingerprint(stream.get_ref().1.peer_certificates());
        Ok(Stream::new(stream, remote).certified(certificate))
    }
}

fn fingerprint(chain: Option<&[CertificateDer<'_>]>) -> Option<Fingerprint> {
    chain.and_then(|chain| chain.first()).map(|der| Fingerprint::of_der(der))
}

fn roots(path: &Path) -> Result<RootCertStore, TlsError> {
    let bad = |reason: String| TlsError::Ca { path: path.to_owned(), reason };
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(path).map_err(|e| bad(e.to_string()))? {
        let certificate = certificate.map_err(|e| bad(e.to_string()))?;
        roots.add(certificate).map_err(|e| bad(e.to_string()))?;
    }
    if roots.is_empty() { Err(bad("there is no certificate in it".to_owned())) } else { Ok(roots) }
}

/// Accepts what a CA has signed, under any name.
#[derive(Debug)]
struct Signed {
    roots: Arc<RootCertStore>,
    algorithms: WebPkiSupportedAlgorithms,
}

impl Signed {
    fn new(roots: Arc<RootCertStore>) -> Arc<Self> {
        Arc::new(Self { roots, algorithms: default_provider().signature_verification_algorithms })
    }
}

impl ServerCertVerifier for Signed {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let certificate = ParsedCertificate::try_from(end_entity)?;
        verify_server_cert_signed_by_trust_anchor(&certificate, &self.roots, intermediates, now, self.algorithms.all)?;
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(PeerIncompatible::Tls12NotOfferedOrEnabled.into())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signature, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}
