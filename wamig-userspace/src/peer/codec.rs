//! Framing of the peer session: a length of four octets, big-endian, then that many octets of
//! CBOR (docs/peer-protocol.cddl). A frame of length zero is the keepalive.
//!
//! Nothing here trusts its input: every failure is a [`CodecError`], and a frame that cannot
//! be understood has already been taken off the buffer when its error is returned, so that the
//! session may go on where [`CodecError::is_skippable`] says so.

use bytes::{Buf, BufMut, BytesMut};
use tokio_util::codec::{Decoder, Encoder};

use super::cbor;
use super::message::Message;

/// Octets of the length field.
pub const LENGTH_SIZE: usize = 4;

/// Most octets a frame may have after its length field.
pub const MAX_FRAME: usize = 64 * 1024;

/// What travels in one frame.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Frame {
    /// "I am still here": the empty frame.
    Keepalive,
    /// A message.
    Message(Message),
}

/// Why a frame could not be read or written.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum CodecError {
    /// The length field announces more than [`MAX_FRAME`]. The stream cannot be read on.
    #[error("frame of {0} octets, at most {MAX_FRAME} are allowed")]
    FrameTooLarge(usize),
    /// The CBOR ended early, is not well-formed, or has the wrong type somewhere.
    #[error("not a well-formed message: {0}")]
    Cbor(String),
    /// The message is followed by octets inside its frame.
    #[error("{0} octets follow the message in its frame")]
    TrailingBytes(usize),
    /// A map or array of indefinite length where the specification wants a definite one.
    #[error("indefinite length where the length must be given")]
    Indefinite,
    /// The same key twice in one map.
    #[error("key {0} occurs twice")]
    DuplicateKey(i64),
    /// A key that the message must have is missing.
    #[error("key {key} ({name}) is missing")]
    MissingKey {
        /// The key's number.
        key: u8,
        /// Its name in the specification.
        name: &'static str,
    },
    /// A value outside its range.
    #[error("bad value for {0}")]
    BadValue(&'static str),
    /// A message kind of a later minor version.
    #[error("unknown message kind {0}")]
    UnknownKind(u64),
    /// A choice (evidence, nack reason) of a later minor version.
    #[error("unknown value {value} for {name}")]
    UnknownChoice {
        /// Which choice.
        name: &'static str,
        /// Its number.
        value: u64,
    },
    /// The stream itself failed; only the [`Decoder`] and [`Encoder`] traits need this.
    #[error("stream: {0}")]
    Io(std::io::ErrorKind),
}

impl CodecError {
    /// True when the sender merely speaks a later minor version: the message is to be ignored
    /// and counted, the session goes on. Everything else ends the session.
    pub fn is_skippable(&self) -> bool {
        matches!(self, Self::UnknownKind(_) | Self::UnknownChoice { .. })
    }
}

impl From<std::io::Error> for CodecError {
    fn from(error: std::io::Error) -> Self {
        Self::Io(error.kind())
    }
}

/// The codec; it has no state of its own.
#[derive(Clone, Copy, Default, Debug)]
pub struct PeerCodec;

impl Decoder for PeerCodec {
    type Item = Frame;
    type Error = CodecError;

    /// Takes one frame off `src`; `None` when it is not complete yet.
    fn decode(&mut self, src: &mut BytesMut) -> Result<Option<Frame>, CodecError> {
        let Some(length) = src.first_chunk::<LENGTH_SIZE>() else { return Ok(None) };
        let length = u32::from_be_bytes(*length) as usize;
        if length > MAX_FRAME {
            return Err(CodecError::FrameTooLarge(length));
        }
        if src.len() < LENGTH_SIZE + length {
            src.reserve(LENGTH_SIZE + length - src.len());
            return Ok(None);
        }
        src.advance(LENGTH_SIZE);
        let payload = src.split_to(length);
        if payload.is_empty() {
            return Ok(Some(Frame::Keepalive));
        }
        cbor::decode(&payload).map(|message| Some(Frame::Message(message)))
    }

    /// As the default, but an incomplete frame at the end of the stream is a typed error.
    fn decode_eof(&mut self, src: &mut BytesMut) -> Result<Option<Frame>, CodecError> {
        match self.decode(src)? {
            Some(frame) => Ok(Some(frame)),
            None if src.is_empty() => Ok(None),
            None => Err(CodecError::Io(std::io::ErrorKind::UnexpectedEof)),
        }
    }
}

impl Encoder<&Frame> for PeerCodec {
    type Error = CodecError;

    /// Appends one frame to `dst`; on error `dst` is as it was.
    fn encode(&mut self, frame: &Frame, dst: &mut BytesMut) -> Result<(), CodecError> {
        match frame {
            Frame::Keepalive => {
                dst.put_u32(0);
                Ok(())
            }
            Frame::Message(message) => self.encode(message, dst),
        }
    }
}

impl Encoder<&Message> for PeerCodec {
    type Error = CodecError;

    /// Appends one message as a frame to `dst`; on error `dst` is as it was.
    fn encode(&mut self, message: &Message, dst: &mut BytesMut) -> Result<(), CodecError> {
        let payload = cbor::encode(message)?;
        if payload.len() > MAX_FRAME {
            return Err(CodecError::FrameTooLarge(payload.len()));
        }
        dst.reserve(LENGTH_SIZE + payload.len());
        dst.put_u32(payload.len() as u32);
        dst.put_slice(&payload);
        Ok(())
    }
}

#[cfg(test)]
mod tests;
