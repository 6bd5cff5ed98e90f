//! Messages to bytes and back, whichever version: the entry points of the codec.

use bytes::{Bytes, BytesMut};

use crate::buf::{EncodeError, Reader, Writer};
use crate::error::{ErrorKind, OfpError};
use crate::header::{Frame, Header};
use crate::message::{ErrorCode, ErrorMessage, Hello, Message};
use crate::types::Xid;
use crate::{v10, v13};

/// Bytes of an offending request that its error gives back (§7.4.4: at least 64).
const QUOTED: usize = 64;

/// `OFPHET_VERSIONBITMAP`.
const VERSION_BITMAP: u16 = 1;

/// A version this crate speaks.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Version {
    /// OpenFlow 1.0, wire version 1.
    V10,
    /// OpenFlow 1.3, wire version 4.
    V13,
}

impl Version {
    /// The number in headers.
    pub const fn number(self) -> u8 {
        match self {
            Self::V10 => 1,
            Self::V13 => 4,
        }
    }

    /// The version of a number in headers.
    pub const fn from_number(n: u8) -> Option<Self> {
        match n {
            1 => Some(Self::V10),
            4 => Some(Self::V13),
            _ => None,
        }
    }
}

/// A message that could not be decoded: what is wrong, and what its sender is answered.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DecodeError {
    /// Header of the message.
    pub header: Header,
    /// What is wrong.
    pub error: OfpError,
    /// The first bytes of the message, at least 64 if it has as many.
    pub request: Bytes,
}

impl DecodeError {
    /// An error about the message `frame`.
    pub fn new(frame: &Frame, error: OfpError) -> Self {
        Self { header: frame.header, error, request: frame.bytes.slice(..frame.bytes.len().min(QUOTED)) }
    }

    /// Version of the answer: that of the request, or the nearest that this crate speaks.
    pub const fn version(&self) -> Version {
        if self.header.version < 4 { Version::V10 } else { Version::V13 }
    }

    /// (type, code) on the wire of [`DecodeError::version`].
    pub const fn numbers(&self) -> (u16, u16) {
        match self.version() {
            Version::V10 => self.error.kind.v10(),
            Version::V13 => self.error.kind.v13(),
        }
    }

    /// The answer; it carries the request's xid.
    pub fn reply(&self) -> (Xid, Message) {
        let code = ErrorCode::Known(self.error.kind);
        (self.header.xid, Message::Error(ErrorMessage { code, data: self.request.clone() }))
    }
}

impl std::fmt::Display for DecodeError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Header { version, ty, xid, .. } = self.header;
        write!(f, "message of version {version}, type {ty}, xid {:#x}: {}", xid.0, self.error)
    }
}

impl std::error::Error for DecodeError {}

/// Decodes a whole message of either version. A hello is understood in every version.
///
/// # Errors
/// What the sender is to be answered.
pub fn decode(frame: &Frame) -> Result<Message, DecodeError> {
    decode_body(frame).map_err(|error| DecodeError::new(frame, error))
}

fn decode_body(frame: &Frame) -> Result<Message, OfpError> {
    let mut r = Reader::new(&frame.bytes, ErrorKind::BadRequestBadLen);
    let header = Header::decode(&mut r)?;
    if usize::from(header.length) != frame.bytes.len() {
        return Err(r.fail("the length in the header is not that of the message"));
    }
    if header.ty == 0 {
        return Ok(Message::Hello(decode_hello(header.version, &mut r)));
    }
    match Version::from_number(header.version) {
        Some(Version::V10) => v10::decode(header, &mut r),
        Some(Version::V13) => v13::decode(header, &mut r),
        None => Err(OfpError::new(
            ErrorKind::BadRequestBadVersion,
            format!("version {}; 1 (1.0) and 4 (1.3) are spoken here", header.version),
        )),
    }
}

/// Elements that make no sense are passed over, as §7.5.1 asks: a hello never fails.
fn decode_hello(version: u8, r: &mut Reader<'_>) -> Hello {
    let mut versions = None;
    while let Ok(mut element) = r.structure(2, 4, ErrorKind::BadRequestBadLen) {
        let pad = element.len().next_multiple_of(8) - element.len();
        if element.u16() == Ok(VERSION_BITMAP) && element.skip(2).is_ok() && versions.is_none() {
            let low = element.u32().ok().map(u64::from);
            versions = low.map(|low| low | element.u32().map_or(0, |high| u64::from(high) << 32));
        }
        if r.skip(pad).is_err() {
            break;
        }
    }
    Hello { version, versions }
}

/// Encodes a message; a hello goes out under its own version.
///
/// # Errors
/// [`EncodeError`]; `out` is then as it was.
pub fn encode(version: Version, xid: Xid, message: &Message, out: &mut BytesMut) -> Result<(), EncodeError> {
    let before = out.len();
    let done = encode_at_end(version, xid, message, out);
    if done.is_err() {
        out.truncate(before);
    }
    done
}

fn encode_at_end(version: Version, xid: Xid, message: &Message, out: &mut BytesMut) -> Result<(), EncodeError> {
    let mut w = Writer::new(out);
    let mark = w.begin(2);
    let number = if let Message::Hello(hello) = message { hello.version } else { version.number() };
    w.u8(number);
    w.u8(match version {
        Version::V10 => v10::type_of(message)?,
        Version::V13 => v13::type_of(message),
    });
    w.u16(0);
    w.u32(xid.0);
    match message {
        Message::Hello(hello) => encode_hello(&mut w, hello),
        _ if version == Version::V10 => v10::encode(&mut w, message)?,
        _ => v13::encode(&mut w, message)?,
    }
    w.end(mark)
}

fn encode_hello(w: &mut Writer<'_>, hello: &Hello) {
    let Some(versions) = hello.versions else { return };
    let wide = versions >> 32 != 0;
    w.u16(VERSION_BITMAP);
    w.u16(if wide { 12 } else { 8 });
    w.u32(versions as u32);
    if wide {
        w.u32((versions >> 32) as u32);
        w.zeros(4);
    }
}
