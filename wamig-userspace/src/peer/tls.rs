//! TLS for peers: 1.3 only, both sides with a certificate, ALPN `wamig/1`, ring.
//!
//! **Trust is the pin.** A certificate is accepted if the SHA-256 of its DER form is configured,
//! and its holder proves to have the private key; nothing else about it is looked at. Names and
//! issuers would only add ways to be wrong: two organisations share no CA. Dates are ignored on
//! purpose: an expired certificate would cut the sites' signalling, perhaps in the very disaster
//! it is there for, without making anybody safer, since the operator who chose the certificate
//! can withdraw it at once by removing its fingerprint. For the same reason nothing is resumed:
//! every session proves the key anew.

use std::collections::BTreeSet;
use std::io;
use std::sync::Arc;

use tokio_rustls::rustls::client::Resumption;
use tokio_rustls::rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use tokio_rustls::rustls::crypto::ring::default_provider;
use tokio_rustls::rustls::crypto::{WebPkiSupportedAlgorithms, verify_tls13_signature};
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use tokio_rustls::rustls::server::NoServerSessionStorage;
use tokio_rustls::rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use tokio_rustls::rustls::sign::SingleCertAndKey;
use tokio_rustls::rustls::version::TLS13;
use tokio_rustls::rustls::{
    AlertDescription, CertificateError, ClientConfig, DigitallySignedStruct, DistinguishedName, Error, OtherError,
    PeerIncompatible, ServerConfig, SignatureScheme,
};

use super::fingerprint::Fingerprint;
use super::identity::Identity;

/// The application protocol both sides must agree on (RFC 7301).
pub const ALPN: &[u8] = b"wamig/1";

/// A certificate that nobody configured. Travels through rustls inside its own error type.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("certificate {0} is not configured for any peer")]
struct NotPinned(Fingerprint);

/// Accepts exactly the certificates with the given fingerprints.
#[derive(Debug)]
pub(crate) struct Pinned {
    accepted: BTreeSet<Fingerprint>,
    algorithms: WebPkiSupportedAlgorithms,
}

impl Pinned {
    pub(crate) fn new(accepted: BTreeSet<Fingerprint>) -> Arc<Self> {
        Arc::new(Self { accepted, algorithms: default_provider().signature_verification_algorithms })
    }

    fn check(&self, certificate: &CertificateDer<'_>) -> Result<(), Error> {
        let fingerprint = Fingerprint::of_der(certificate);
        if self.accepted.contains(&fingerprint) {
            return Ok(());
        }
        Err(CertificateError::Other(OtherError(Arc::new(NotPinned(fingerprint)))).into())
    }

    fn check_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signature, &self.algorithms)
    }
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        self.check(end_entity).map(|()| ServerCertVerified::assertion())
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
        self.check_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

impl ClientCertVerifier for Pinned {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        self.check(end_entity).map(|()| ClientCertVerified::assertion())
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
        self.check_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

/// For accepting: any of the configured peers.
pub(super) fn server_config(identity: &Identity, accepted: BTreeSet<Fingerprint>) -> Result<Arc<ServerConfig>, Error> {
    let mut config = server(identity, Pinned::new(accepted))?;
    config.alpn_protocols = vec![ALPN.to_vec()];
    Ok(Arc::new(config))
}

/// For dialling: the one peer that is meant.
pub(super) fn client_config(identity: &Identity, accepted: Fingerprint) -> Result<Arc<ClientConfig>, Error> {
    let mut config = client(identity, Pinned::new(BTreeSet::from([accepted])))?;
    config.alpn_protocols = vec![ALPN.to_vec()];
    Ok(Arc::new(config))
}

/// A server that lets in whom `clients` accepts, whatever is spoken inside.
pub(crate) fn server(identity: &Identity, clients: Arc<dyn ClientCertVerifier>) -> Result<ServerConfig, Error> {
    let mut config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_protocol_versions(&[&TLS13])?
        .with_client_cert_verifier(clients)
        .with_cert_resolver(Arc::new(SingleCertAndKey::from(Arc::clone(&identity.key))));
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    Ok(config)
}

/// A client that talks to whom `servers` accepts, whatever is spoken inside.
pub(crate) fn client(identity: &Identity, servers: Arc<dyn ServerCertVerifier>) -> Result<ClientConfig, Error> {
    let mut config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_protocol_versions(&[&TLS13])?
        .dangerous()
        .with_custom_certificate_verifier(servers)
        .with_client_cert_resolver(Arc::new(SingleCertAndKey::from(Arc::clone(&identity.key))));
    // The name sent in the clear would tell observers who talks to whom, and is checked by nobody.
    config.enable_sni = false;
    config.resumption = Resumption::disabled();
    Ok(config)
}

/// What went wrong on a TLS stream, as far as it makes a difference to the operator.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Fault {
    /// The other side's certificate is not the pinned one. It has not proven to own it.
    NotPinned(Fingerprint),
    /// The other side did not send a certificate.
    NoCertificate,
    /// The other side does not accept our certificate. In TLS 1.3 whoever dialled learns this
    /// after the handshake, on the first read (RFC 8446 §4.4.2).
    Refused,
    /// The other side speaks no TLS, or not this protocol over it.
    Foreign(String),
    /// The other side closed or reset the connection.
    Closed(String),
    /// TLS itself failed in another way.
    Tls(String),
    /// The network failed in another way.
    Network(String),
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Self {
        let text = error.to_string();
        match error.get_ref().and_then(|inner| inner.downcast_ref::<Error>()) {
            Some(Error::InvalidCertificate(CertificateError::Other(OtherError(inner)))) => {
                inner.downcast_ref::<NotPinned>().map_or(Self::Tls(text), |unknown| Self::NotPinned(unknown.0))
            }
            Some(Error::NoCertificatesPresented) => Self::NoCertificate,
            Some(Error::AlertReceived(alert)) if is_about_certificate(*alert) => Self::Refused,
            Some(
                Error::AlertReceived(AlertDescription::NoApplicationProtocol | AlertDescription::ProtocolVersion)
                | Error::NoApplicationProtocol
                | Error::InvalidMessage(_)
                | Error::InappropriateMessage { .. }
                | Error::InappropriateHandshakeMessage { .. }
                | Error::PeerIncompatible(_),
            ) => Self::Foreign(text),
            Some(_) => Self::Tls(text),
            // rustls words this one for programmers.
            None if error.kind() == io::ErrorKind::UnexpectedEof => Self::Closed("the connection was cut".to_owned()),
            None if is_end(error.kind()) => Self::Closed(text),
            None => Self::Network(text),
        }
    }
}

/// The alerts with which TLS implementations refuse a certificate (RFC 8446 §6.2).
fn is_about_certificate(alert: AlertDescription) -> bool {
    matches!(
        alert,
        AlertDescription::BadCertificate
            | AlertDescription::UnsupportedCertificate
            | AlertDescription::CertificateRevoked
            | AlertDescription::CertificateExpired
            | AlertDescription::CertificateUnknown
            | AlertDescription::UnknownCA
            | AlertDescription::AccessDenied
            | AlertDescription::CertificateRequired
    )
}

fn is_end(kind: io::ErrorKind) -> bool {
    matches!(kind, io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionAborted | io::ErrorKind::BrokenPipe)
}
