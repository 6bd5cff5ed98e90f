//! One session, from the greeting to its end: messages both ways, a keepalive each way, and a
//! reason when it is over.
//!
//! ```text
//!   peer ──TLS──> read ──Note::Message──> registry ──PeerEvent──> daemon
//!   peer <──TLS── write <──queue (bounded)── registry <──────── daemon
//! ```
//! Reading and writing are two futures of one task; whichever ends first ends the session.

use std::time::Duration;

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, Interval, MissedTickBehavior, interval, sleep, timeout};
use tokio_util::codec::{Decoder, Encoder};

use super::codec::{Frame, PeerCodec};
use super::context::{Context, PeerTimers};
use super::event::DownReason;
use super::greeting::{Failure, Greeted};
use super::message::Message;
use super::refusal::Refusal;
use super::registry::{Link, Note, SessionId};

/// Messages that may wait for a peer. More means that it does not take them.
const QUEUE: usize = 256;

/// Carries a session until it ends, however that comes about.
pub(super) async fn carry(context: &Context, greeted: Greeted) {
    let Greeted { site, certificate, boot_id, version, dialled, stream, buffer } = greeted;
    let id = context.session_id();
    let (queue, outgoing) = mpsc::channel(QUEUE);
    let (stop, stopped) = oneshot::channel();
    let link = Link { id, certificate, dialled, boot_id, version, since: Instant::now(), queue, stop };
    if context.notes.send(Note::Established { site: site.clone(), link }).await.is_err() {
        return;
    }
    let (reader, writer) = tokio::io::split(stream);
    let incoming = Incoming { context, site: &site, id, buffer };
    let end = tokio::select! {
        end = incoming.read(reader) => end,
        end = write(context, &site, outgoing, writer) => end,
        // The registry knows why; it has told the daemon.
        Ok(()) = stopped => Failure::new(DownReason::Replaced, ""),
    };
    // Fails only when the registry is gone, and with it everyone who would want to know.
    let _ = context.notes.send(Note::Ended { site, id, end }).await;
}

/// The reading half.
struct Incoming<'c> {
    context: &'c Context,
    site: &'c str,
    id: SessionId,
    buffer: BytesMut,
}

impl Incoming<'_> {
    async fn read(mut self, mut stream: impl AsyncRead + Unpin) -> Failure {
        loop {
            let patience = self.context.timers().peer_down;
            if let Err(end) = self.take_frames().await {
                return end;
            }
            match timeout(patience, stream.read_buf(&mut self.buffer)).await {
                Err(_) => {
                    return Failure::new(DownReason::Silent, format!("nothing heard for {} ms", patience.as_millis()));
                }
                Ok(Ok(0)) => return Failure::new(DownReason::Closed, "the peer closed the session"),
                Ok(Ok(_)) => {}
                Ok(Err(error)) => return Failure::of_stream(error.into(), self.context),
            }
        }
    }

    /// Hands over every whole frame of the buffer.
    async fn take_frames(&mut self) -> Result<(), Failure> {
        loop {
            match PeerCodec.decode(&mut self.buffer) {
                Ok(None) => return Ok(()),
                Ok(Some(Frame::Keepalive)) => {}
                Ok(Some(Frame::Message(Message::Hello { .. }))) => return Err(self.malformed("a second hello")),
                Ok(Some(Frame::Message(message))) => self.hand_over(message).await?,
                Err(error) if error.is_skippable() => {
                    let detail = format!("{}: {error}; ignored, its wamig is newer than this one", self.site);
                    self.context.refuse(Refusal::UnknownMessage, &detail);
                }
                Err(error) => return Err(self.malformed(&error.to_string())),
            }
        }
    }

    /// Waits while the daemon is behind: then TCP slows the peer down.
    async fn hand_over(&self, message: Message) -> Result<(), Failure> {
        let note = Note::Message { site: self.site.to_owned(), id: self.id, message };
        self.context.notes.send(note).await.map_err(|_| Failure::new(DownReason::Closed, "this daemon stops"))
    }

    fn malformed(&self, what: &str) -> Failure {
        self.context.refuse(Refusal::Malformed, &format!("{}: {what}; the session was ended", self.site));
        Failure::new(DownReason::Protocol, what)
    }
}

/// The writing half. Ends with the stream, or when the registry has dropped the queue and what
/// the peer may still have on the way has had time to arrive.
async fn write(
    context: &Context,
    site: &str,
    mut outgoing: mpsc::Receiver<Message>,
    mut stream: impl AsyncWrite + Unpin,
) -> Failure {
    let mut keepalive = every(context.timers().keepalive);
    let mut octets = BytesMut::new();
    loop {
        if keepalive.period() != context.timers().keepalive {
            keepalive = every(context.timers().keepalive);
        }
        let frame = tokio::select! {
            message = outgoing.recv() => match message {
                Some(message) => Frame::Message(message),
                None => break,
            },
            _ = keepalive.tick() => Frame::Keepalive,
        };
        octets.clear();
        if let Err(error) = PeerCodec.encode(&frame, &mut octets) {
            let detail = format!("to {site}: {error}; the message was not sent");
            context.refuse(Refusal::MessageTooLarge, &detail);
            continue;
        }
        if let Err(end) = write_out(context, site, &octets, &mut stream).await {
            return end;
        }
        if matches!(frame, Frame::Message(_)) {
            keepalive.reset();
        }
    }
    let PeerTimers { keepalive: span, .. } = context.timers();
    sleep(span).await;
    // The peer reads on; whether it sees a proper end or a cut one is all the same by now.
    let _ = timeout(span, stream.shutdown()).await;
    Failure::new(DownReason::Replaced, "")
}

/// Ticks at once, and then every so often.
fn every(period: Duration) -> Interval {
    let mut ticks = interval(period);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}

async fn write_out(
    context: &Context,
    site: &str,
    octets: &[u8],
    stream: &mut (impl AsyncWrite + Unpin),
) -> Result<(), Failure> {
    let all = async {
        stream.write_all(octets).await?;
        stream.flush().await
    };
    let patience = context.timers().peer_down;
    match timeout(patience, all).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) => Err(Failure::of_stream(error.into(), context)),
        Err(_) => {
            let what = format!("nothing taken for {} ms", patience.as_millis());
            context.refuse(Refusal::SlowPeer, &format!("{site}: {what}; the session was ended"));
            Err(Failure::new(DownReason::Slow, what))
        }
    }
}
