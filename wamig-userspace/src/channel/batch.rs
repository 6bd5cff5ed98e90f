//! Messages out of a stream, as many as are there: one hand-over and, for changes of the
//! switch, one commit for all of them.

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};
use tokio::sync::OwnedSemaphorePermit;
use wamig_openflow::header::{self, Frame, LostStream};
use wamig_openflow::{DecodeError, ErrorKind, Message, OfpError, Version, Xid, decode};

/// Batches of one connection that are on their way to its owner or with it.
pub const CREDITS: usize = 2;
/// Messages in a batch, so that one connection's work is done in slices.
pub const MESSAGES: usize = 512;
/// Bytes of a message that its error gives back (OpenFlow 1.3.5 §7.4.4: at least 64).
const QUOTED: usize = 64;

/// A message as it came.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Received {
    /// Its transaction.
    pub xid: Xid,
    /// What it says, or why that cannot be read.
    pub message: Result<Message, DecodeError>,
    /// Its first bytes, for an error about it.
    pub quote: Bytes,
    /// The message in a bundle-add, unless it is cut.
    pub inner: Option<Box<Self>>,
}

impl Received {
    /// Decodes a message of a connection that speaks `version`.
    pub fn new(frame: &Frame, version: Version) -> Self {
        let mut received = Self::alone(frame, version);
        if let Ok(Message::BundleAdd(add)) = &received.message
            && let Ok(Some(inner)) = header::first(&add.message)
        {
            received.inner = Some(Box::new(Self::alone(&inner, version)));
        }
        received
    }

    /// Whatever is in it stays undecoded.
    fn alone(frame: &Frame, version: Version) -> Self {
        let wrong = frame.header.version != version.number() && frame.header.ty != 0;
        let message = if wrong {
            let detail = format!("version {} where {} was agreed on", frame.header.version, version.number());
            Err(DecodeError::new(frame, OfpError::new(ErrorKind::BadRequestBadVersion, detail)))
        } else {
            decode(frame)
        };
        let quote = frame.bytes.slice(..frame.bytes.len().min(QUOTED));
        Self { xid: frame.header.xid, message, quote, inner: None }
    }
}

/// Messages in their order. While it lives, its connection is read no further than
/// [`CREDITS`] allow.
#[derive(Debug, Default)]
pub struct Batch {
    /// The messages.
    pub messages: VecDeque<Received>,
    /// Given back when the last message is dealt with.
    _credit: Option<OwnedSemaphorePermit>,
}

impl Batch {
    /// A batch that holds up no connection.
    pub fn new(messages: impl IntoIterator<Item = Received>) -> Self {
        Self { messages: messages.into_iter().collect(), _credit: None }
    }

    /// A batch that gives `credit` back when it is dealt with.
    pub(super) fn on(credit: OwnedSemaphorePermit, messages: VecDeque<Received>) -> Self {
        Self { messages, _credit: Some(credit) }
    }
}

/// Takes whole messages out of a stream, [`MESSAGES`] at most. Answers to our own probes are
/// left out: that they came is all there is to them.
///
/// # Errors
/// [`LostStream`] when the very next message has a length that cannot be.
pub fn take(stream: &mut BytesMut, version: Version) -> Result<VecDeque<Received>, LostStream> {
    let mut messages = VecDeque::new();
    while messages.len() < MESSAGES {
        match header::decode(stream) {
            Ok(Some(frame)) => {
                let received = Received::new(&frame, version);
                if !matches!(received.message, Ok(Message::EchoReply(_))) {
                    messages.push_back(received);
                }
            }
            Err(lost) if messages.is_empty() => return Err(lost),
            // Those before it first.
            Ok(None) | Err(_) => break,
        }
    }
    Ok(messages)
}
