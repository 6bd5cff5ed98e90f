//! The opening of a session, once TLS stands: hello, hello, keepalive (docs/peer-protocol.cddl,
//! "Opening"). Each side learns that the other agrees before it reports the session, so that a
//! mistake in one site's configuration does not make the session flap at the other.

use bytes::BytesMut;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsStream;
use tokio_util::codec::{Decoder, Encoder};

use super::codec::{CodecError, Frame, PeerCodec};
use super::context::Context;
use super::event::DownReason;
use super::fingerprint::Fingerprint;
use super::message::Message;
use super::tls::{ALPN, Fault};

/// Octets to read at once: a claim with its answer is well below.
const BUFFER: usize = 4096;

/// Why a session ended or did not come about.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Failure {
    pub(super) reason: DownReason,
    /// For people.
    pub(super) detail: String,
}

impl Failure {
    pub(super) fn new(reason: DownReason, detail: impl Into<String>) -> Self {
        Self { reason, detail: detail.into() }
    }

    /// A fault of the stream, as seen by `context`'s site.
    pub(super) fn of_stream(fault: Fault, context: &Context) -> Self {
        match fault {
            Fault::NotPinned(seen) => Self::new(DownReason::WrongCertificate, format!("the peer presented {seen}")),
            Fault::NoCertificate => Self::new(DownReason::WrongCertificate, "the peer presented no certificate"),
            Fault::Refused => {
                let ours = context.fingerprint;
                Self::new(DownReason::RefusedCertificate, format!("this site's certificate is {ours}"))
            }
            Fault::Foreign(text) => Self::new(DownReason::NotWamig, text),
            Fault::Closed(text) => Self::new(DownReason::Closed, text),
            Fault::Tls(text) => Self::new(DownReason::Protocol, text),
            Fault::Network(text) => Self::new(DownReason::Unreachable, text),
        }
    }

    fn of_codec(error: &CodecError) -> Self {
        Self::new(DownReason::Protocol, error.to_string())
    }
}

/// A session both sides agreed on.
pub(super) struct Greeted {
    /// The peer's name.
    pub(super) site: String,
    /// The peer's, which it has proven to own.
    pub(super) certificate: Fingerprint,
    /// The peer's boot id.
    pub(super) boot_id: u64,
    /// The protocol's version that the peer speaks.
    pub(super) version: u16,
    /// Whether this side dialled.
    pub(super) dialled: bool,
    pub(super) stream: TlsStream<TcpStream>,
    /// What was read beyond the greeting.
    pub(super) buffer: BytesMut,
}

/// Opens the session with the peer whose certificate was presented. The caller limits the time.
pub(super) async fn greet(
    context: &Context,
    site: &str,
    dialled: bool,
    stream: TlsStream<TcpStream>,
) -> Result<Greeted, Failure> {
    if stream.get_ref().1.alpn_protocol() != Some(ALPN) {
        return Err(Failure::new(DownReason::NotWamig, "TLS without the application protocol wamig/1"));
    }
    let shown = stream.get_ref().1.peer_certificates().and_then(|chain| chain.first());
    let Some(certificate) = shown.map(|der| Fingerprint::of_der(der)) else {
        return Err(Failure::of_stream(Fault::NoCertificate, context));
    };
    let mut talk = Talk { context, stream, buffer: BytesMut::with_capacity(BUFFER) };
    let (boot_id, version) = if dialled {
        talk.send(&Frame::Message(context.hello())).await?;
        let peer = talk.hello(site).await?;
        talk.send(&Frame::Keepalive).await?;
        peer
    } else {
        let peer = talk.hello(site).await;
        // With another version both sides shall know why.
        if peer.as_ref().map_or_else(|failure| failure.reason == DownReason::WrongVersion, |_| true) {
            talk.send(&Frame::Message(context.hello())).await?;
        }
        let peer = peer?;
        match talk.frame().await? {
            Frame::Keepalive => peer,
            Frame::Message(_) => {
                return Err(Failure::new(DownReason::Protocol, "a message where the greeting's keepalive belongs"));
            }
        }
    };
    Ok(Greeted {
        site: site.to_owned(),
        certificate,
        boot_id,
        version,
        dialled,
        stream: talk.stream,
        buffer: talk.buffer,
    })
}

struct Talk<'c> {
    context: &'c Context,
    stream: TlsStream<TcpStream>,
    buffer: BytesMut,
}

impl Talk<'_> {
    async fn send(&mut self, frame: &Frame) -> Result<(), Failure> {
        let mut octets = BytesMut::new();
        PeerCodec.encode(frame, &mut octets).map_err(|error| Failure::of_codec(&error))?;
        let sent = match self.stream.write_all(&octets).await {
            Ok(()) => self.stream.flush().await,
            Err(error) => Err(error),
        };
        sent.map_err(|error| Failure::of_stream(error.into(), self.context))
    }

    async fn frame(&mut self) -> Result<Frame, Failure> {
        loop {
            if let Some(frame) = PeerCodec.decode(&mut self.buffer).map_err(|error| Failure::of_codec(&error))? {
                return Ok(frame);
            }
            match self.stream.read_buf(&mut self.buffer).await.map_err(Fault::from) {
                Ok(1..) => {}
                // That is how a site answers a hello with a name it does not expect.
                Ok(0) | Err(Fault::Closed(_)) => {
                    let ours = &self.context.site;
                    let detail = format!(
                        "the peer closed instead of greeting; if it stays, it may not know this site as {ours}"
                    );
                    return Err(Failure::new(DownReason::Closed, detail));
                }
                Err(fault) => return Err(Failure::of_stream(fault, self.context)),
            }
        }
    }

    /// Reads and checks the peer's hello; its boot id and version.
    async fn hello(&mut self, expected: &str) -> Result<(u64, u16), Failure> {
        let Frame::Message(Message::Hello { version, site, boot_id }) = self.frame().await? else {
            return Err(Failure::new(DownReason::Protocol, "the first message is no hello"));
        };
        let ours = self.context.version;
        if version >> 8 != ours >> 8 {
            let [major, minor] = version.to_be_bytes();
            let [our_major, our_minor] = ours.to_be_bytes();
            let detail = format!("the peer speaks version {major}.{minor}, this site {our_major}.{our_minor}");
            return Err(Failure::new(DownReason::WrongVersion, detail));
        }
        if site != expected {
            let detail = format!("the peer calls itself {site}, its certificate is configured for {expected}");
            return Err(Failure::new(DownReason::WrongSite, detail));
        }
        Ok((boot_id, version))
    }
}
