//! The header that every message begins with, and messages out of a byte stream
//! (OpenFlow 1.3.5 §7.1.1).
//!
//! ```text
//!  0        1        2               4                               8
//! +--------+--------+---------------+-------------------------------+
//! | version|  type  |    length     |              xid              |
//! +--------+--------+---------------+-------------------------------+
//! ```
//! `length` counts the header. Version and type mean nothing to framing: a message of a
//! version that nobody speaks is taken whole, so that it can be answered with an error.

use bytes::{Bytes, BytesMut};

use crate::buf::Reader;
use crate::error::{ErrorKind, OfpError};
use crate::types::Xid;

/// Bytes of the header.
pub const HEADER_LEN: usize = 8;

/// The header of a message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Header {
    /// 1 = OpenFlow 1.0, 4 = OpenFlow 1.3.
    pub version: u8,
    /// `OFPT_` number; the versions number them differently.
    pub ty: u8,
    /// Bytes of the message, header included.
    pub length: u16,
    /// Transaction.
    pub xid: Xid,
}

impl Header {
    pub(crate) fn decode(r: &mut Reader<'_>) -> Result<Self, OfpError> {
        Ok(Self { version: r.u8()?, ty: r.u8()?, length: r.u16()?, xid: Xid(r.u32()?) })
    }
}

/// A whole message, not yet looked into.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Frame {
    /// Its header.
    pub header: Header,
    /// All of its bytes, header included.
    pub bytes: Bytes,
}

/// The stream has lost its message boundaries: a length smaller than the header. Nothing
/// that follows can be read; the connection is answered with `reply` and closed.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("a message of {} bytes is shorter than its own header", .header.length)]
pub struct LostStream {
    /// The header that says so.
    pub header: Header,
}

impl LostStream {
    /// `OFPBRC_BAD_LEN`.
    pub fn error(&self) -> OfpError {
        OfpError::new(ErrorKind::BadRequestBadLen, self.to_string())
    }
}

/// Takes the next whole message out of `stream`; `None` = wait for more bytes.
///
/// # Errors
/// [`LostStream`]; the stream is left as it is.
pub fn decode(stream: &mut BytesMut) -> Result<Option<Frame>, LostStream> {
    let Some(header) = peek(stream)? else { return Ok(None) };
    let bytes = stream.split_to(usize::from(header.length)).freeze();
    Ok(Some(Frame { header, bytes }))
}

/// The first whole message of `bytes`, without a copy; `None` = it is cut.
///
/// # Errors
/// [`LostStream`].
pub fn first(bytes: &Bytes) -> Result<Option<Frame>, LostStream> {
    let header = peek(bytes)?;
    Ok(header.map(|header| Frame { header, bytes: bytes.slice(..usize::from(header.length)) }))
}

/// The header of the next message, if all of the message is there.
fn peek(stream: &[u8]) -> Result<Option<Header>, LostStream> {
    let Some(head) = stream.first_chunk::<HEADER_LEN>() else { return Ok(None) };
    let [version, ty, l0, l1, x0, x1, x2, x3] = *head;
    let length = u16::from_be_bytes([l0, l1]);
    let header = Header { version, ty, length, xid: Xid(u32::from_be_bytes([x0, x1, x2, x3])) };
    let len = usize::from(length);
    if len < HEADER_LEN {
        return Err(LostStream { header });
    }
    Ok((stream.len() >= len).then_some(header))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_come_whole_however_they_arrive() {
        let two = [4, 2, 0, 10, 0, 0, 0, 1, 0xaa, 0xbb, 1, 0, 0, 8, 0, 0, 0, 2];
        let mut stream = BytesMut::new();
        let mut got = Vec::new();
        for byte in two {
            stream.extend_from_slice(&[byte]);
            got.extend(decode(&mut stream).unwrap());
        }
        assert_eq!(got.len(), 2);
        assert_eq!(got[0].bytes[8..], [0xaa, 0xbb]);
        assert_eq!(got[1].header, Header { version: 1, ty: 0, length: 8, xid: Xid(2) });
    }

    #[test]
    fn a_length_below_the_header_loses_the_stream() {
        for len in 0..8 {
            let mut stream = BytesMut::from(&[4, 2, 0, len, 0, 0, 0, 9][..]);
            let lost = decode(&mut stream).unwrap_err();
            assert_eq!(lost.header.xid, Xid(9));
            assert_eq!(lost.error().kind, ErrorKind::BadRequestBadLen);
        }
    }
}
