//! What the fuzz targets share: messages out of any bytes, and what must hold for them.

use bytes::{Bytes, BytesMut};
use wamig_openflow::{EncodeError, Frame, MacAddr, Message, PortDesc, PortNo, Version, Xid, decode, encode, header};
use wamig_userspace::fastpath::maps::Capacity;
use wamig_userspace::fastpath::memory::{Memory, MemoryMaps};
use wamig_userspace::switch::port::Ports;
use wamig_userspace::switch::{Limits, Switch};

/// The bytes as a message of a version: its first byte and its length field are put right, since the framing is
/// another target's business. `None` = shorter than a header, or too long for the length field.
pub fn message(version: Version, data: &[u8]) -> Option<Frame> {
    let length = u16::try_from(data.len()).ok()?;
    let mut bytes = BytesMut::from(data);
    *bytes.first_mut()? = version.number();
    bytes.get_mut(2..4)?.copy_from_slice(&length.to_be_bytes());
    header::decode(&mut bytes).ok()?
}

/// Every whole message at the beginning of the bytes, and its version.
pub fn messages(data: &[u8]) -> impl Iterator<Item = (Version, Message)> {
    let mut stream = BytesMut::from(data);
    let version =
        |frame: &Frame| if frame.bytes.first() == Some(&Version::V10.number()) { Version::V10 } else { Version::V13 };
    std::iter::from_fn(move || header::decode(&mut stream).ok()?)
        .filter_map(move |frame| Some((version(&frame), decode(&frame).ok()?)))
}

/// A message is refused with an error that can be sent, or says the same again when it is encoded.
pub fn decodes_and_encodes(version: Version, frame: &Frame) {
    match decode(frame) {
        Ok(message) => says_the_same(version, frame.header.xid, &message),
        Err(error) => {
            assert_eq!(error.header.xid, frame.header.xid);
            assert_eq!(error.request, frame.bytes.slice(..frame.bytes.len().min(64)));
            let (xid, reply) = error.reply();
            let mut out = BytesMut::new();
            encode(error.version(), xid, &reply, &mut out).expect("an error can be sent");
            let (ty, code) = error.numbers();
            assert_eq!(out[8..12], [ty.to_be_bytes(), code.to_be_bytes()].concat());
            let frame = header::decode(&mut out).expect("a length").expect("a whole message");
            // Versions share numbers: which kind it was is not told, what it was about is.
            match decode(&frame) {
                Ok(Message::Error(said)) => assert_eq!(said.data, error.request),
                other => panic!("{error} is understood as {other:?}"),
            }
        }
    }
}

/// decode(encode(x)) == x, and encoding that gives the same bytes.
pub fn says_the_same(version: Version, xid: Xid, message: &Message) {
    let mut out = BytesMut::new();
    match encode(version, xid, message, &mut out) {
        Ok(()) => {}
        // The canonical form may be longer than what was received.
        Err(EncodeError::TooLong(_)) => return,
        Err(error) => panic!("{error}: {message:?}"),
    }
    let said: Bytes = out.clone().freeze();
    let frame = header::decode(&mut out).expect("a length").expect("a whole message");
    assert!(out.is_empty(), "more than one message of {message:?}");
    let again = decode(&frame).unwrap_or_else(|error| panic!("{error}: {message:?}"));
    assert_eq!(again, *message);
    let mut out = BytesMut::new();
    encode(version, xid, &again, &mut out).expect("it was encoded before");
    assert_eq!(out.freeze(), said, "{message:?}");
}

/// A switch in process memory with four ports and LOCAL, without flows.
pub fn switch() -> Switch<Memory> {
    let ports = [PortNo(1), PortNo(2), PortNo(3), PortNo(4), PortNo::LOCAL].map(|port| PortDesc {
        port,
        mac: MacAddr([2, 0, 0, 0, 0xff, port.0 as u8]),
        name: format!("p{port}"),
        link_up: true,
        mtu: 1500,
        ..PortDesc::default()
    });
    // Small, as it is made anew for every input.
    let maps = MemoryMaps::with_capacity(Capacity { flows: 256, lists: 256, subtables: 128, port_sets: 128 });
    Switch::new(Memory::new(maps), Ports::new(ports), Limits { flows: 64, ..Limits::default() })
}
