//! Packet-in and packet-out (OpenFlow 1.3.5 §7.4.1, §7.3.7).

use crate::buf::{EncodeError, Reader, Writer};
use crate::error::{ErrorKind, OfpError};
use crate::field::Field;
use crate::flow_match::Match;
use crate::message::{PacketIn, PacketInReason, PacketOut};
use crate::types::{Cookie, PortNo, TableId};
use crate::v13::flow::{decode_buffer, encode_buffer};
use crate::v13::{action, oxm};

pub(super) fn decode_in(r: &mut Reader<'_>) -> Result<PacketIn, OfpError> {
    let buffer_id = decode_buffer(r)?;
    let total_len = r.u16()?;
    let reason = r.u8()?;
    let reason =
        PacketInReason::from_number(reason).ok_or_else(|| super::unknown("packet-in reason", reason.into()))?;
    let table = TableId(r.u8()?);
    let cookie = Cookie(r.u64()?);
    let matching = oxm::decode_metadata(r)?;
    r.skip(2)?;
    let number = |field| matching.get(field).map(|m| m.value);
    Ok(PacketIn {
        buffer_id,
        reason,
        table,
        cookie,
        in_port: PortNo(number(Field::InPort).map_or(PortNo::ANY.0, |v| v as u32)),
        metadata: number(Field::Metadata).unwrap_or(0) as u64,
        tunnel_id: number(Field::TunnelId).unwrap_or(0) as u64,
        total_len,
        data: r.remainder(),
    })
}

pub(super) fn encode_in(w: &mut Writer<'_>, m: &PacketIn) -> Result<(), EncodeError> {
    encode_buffer(w, m.buffer_id);
    w.u16(m.total_len);
    w.u8(m.reason.number());
    w.u8(m.table.0);
    w.u64(m.cookie.0);
    let mut matching = Match::any().in_port(m.in_port);
    for (field, value) in [(Field::Metadata, m.metadata), (Field::TunnelId, m.tunnel_id)] {
        // "A field that is 0 may be left out" (§7.4.1).
        if value != 0 {
            matching = matching.with(field, u128::from(value));
        }
    }
    oxm::encode(w, &matching)?;
    w.zeros(2);
    w.bytes(&m.data);
    Ok(())
}

pub(super) fn decode_out(r: &mut Reader<'_>) -> Result<PacketOut, OfpError> {
    let buffer_id = decode_buffer(r)?;
    let in_port = PortNo(r.u32()?);
    let len = usize::from(r.u16()?);
    r.skip(6)?;
    let actions = action::decode_list(&mut r.window(len, ErrorKind::BadActionBadLen)?)?;
    Ok(PacketOut { buffer_id, in_port, actions, data: r.remainder() })
}

pub(super) fn encode_out(w: &mut Writer<'_>, m: &PacketOut) -> Result<(), EncodeError> {
    encode_buffer(w, m.buffer_id);
    w.u32(m.in_port.0);
    let mut list = bytes::BytesMut::new();
    action::encode_list(&mut Writer::new(&mut list), &m.actions)?;
    w.u16(u16::try_from(list.len()).map_err(|_| EncodeError::TooLong(list.len()))?);
    w.zeros(6);
    w.bytes(&list);
    w.bytes(&m.data);
    Ok(())
}
