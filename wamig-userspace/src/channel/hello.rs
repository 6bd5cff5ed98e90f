//! The first exchange on a connection: which version is spoken (OpenFlow 1.3.5 §6.3.1).

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use wamig_openflow::header::{self, Frame};
use wamig_openflow::message::{ErrorCode, ErrorMessage};
use wamig_openflow::{ErrorKind, Hello, Message, OfpError, Version, Xid, decode, encode};

use super::stream::Stream;

/// A hello that offers these versions. One that offers 1.0 alone has no bitmap, which 1.0 does
/// not know.
pub fn offer(versions: &[Version]) -> Hello {
    let bits = versions.iter().fold(0, |bits, v| bits | 1 << v.number());
    let version = versions.iter().max().map_or(1, |v| v.number());
    Hello { version, versions: (version > 1).then_some(bits) }
}

/// Says hello, hears the other's, and agrees on a version. What came behind the other's hello
/// stays in `buffer`.
///
/// # Errors
/// Why there is no version, for people; the other side has been told by a `HELLO_FAILED`.
pub async fn exchange(stream: &mut Stream, buffer: &mut BytesMut, ours: Hello) -> Result<Version, String> {
    let mut out = BytesMut::new();
    let hello = Message::Hello(ours.clone());
    encode(Version::V13, Xid(1), &hello, &mut out).map_err(|e| e.to_string())?;
    stream.write_all(&out).await.map_err(|e| e.to_string())?;
    stream.flush().await.map_err(|e| e.to_string())?;
    let frame = loop {
        match header::decode(buffer) {
            Ok(Some(frame)) => break frame,
            Ok(None) => {}
            Err(lost) => return Err(format!("no OpenFlow is spoken there: {lost}")),
        }
        if stream.read_buf(buffer).await.map_err(|e| e.to_string())? == 0 {
            return Err("the other side closed the connection before its hello".to_owned());
        }
    };
    match judge(&frame, &ours) {
        Ok(version) => Ok(version),
        Err(error) => {
            refuse(stream, &frame, &error).await;
            Err(error.detail)
        }
    }
}

fn judge(frame: &Frame, ours: &Hello) -> Result<Version, OfpError> {
    let incompatible = |detail: String| OfpError::new(ErrorKind::HelloFailedIncompatible, detail);
    let theirs = match decode(frame) {
        Ok(Message::Hello(theirs)) => theirs,
        Ok(Message::Error(e)) => return Err(incompatible(format!("the other side refuses our hello: {:?}", e.code))),
        _ => return Err(incompatible(format!("the first message is of type {}, no hello", frame.header.ty))),
    };
    let agreed = ours.negotiate(&theirs).ok().and_then(Version::from_number);
    let spoken = ours.versions.unwrap_or(1 << ours.version);
    agreed.filter(|v| spoken & (1 << v.number()) != 0).ok_or_else(|| {
        incompatible(format!(
            "no version in common: {} are spoken here, {} there",
            listed(spoken),
            theirs.versions.map_or_else(|| format!("up to {}", theirs.version), listed)
        ))
    })
}

/// `1 and 4` as wire versions.
fn listed(bits: u64) -> String {
    let versions: Vec<_> = (0..64).filter(|n| bits >> n & 1 != 0).map(|n| n.to_string()).collect();
    format!("wire versions {}", versions.join(" and "))
}

/// Best effort: the connection is over anyway.
async fn refuse(stream: &mut Stream, frame: &Frame, error: &OfpError) {
    let version = if frame.header.version < 4 { Version::V10 } else { Version::V13 };
    let data = Bytes::from(error.detail.clone());
    let message = Message::Error(ErrorMessage { code: ErrorCode::Known(error.kind), data });
    let mut out = BytesMut::new();
    if frame.header.ty != 1 && encode(version, frame.header.xid, &message, &mut out).is_ok() {
        let _ = stream.write_all(&out).await;
        let _ = stream.shutdown().await;
    }
}
