//! Packet-in and packet-out (OpenFlow 1.0 §5.4.1, §5.3.6).

use bytes::BytesMut;

use crate::buf::{EncodeError, Reader, Writer};
use crate::error::{ErrorKind, OfpError};
use crate::message::{PacketIn, PacketInReason, PacketOut};
use crate::types::{Cookie, TableId};
use crate::v10::{action, port_no};
use crate::v13::flow::{decode_buffer, encode_buffer};
use crate::v13::unknown;

/// 1.0 says neither table nor cookie: 0 and all ones, as a 1.3 switch says "unknown".
pub(super) fn decode_in(r: &mut Reader<'_>) -> Result<PacketIn, OfpError> {
    let buffer_id = decode_buffer(r)?;
    let total_len = r.u16()?;
    let in_port = port_no::decode(r)?;
    let reason = r.u8()?;
    let reason = PacketInReason::from_number(reason).ok_or_else(|| unknown("packet-in reason", reason.into()))?;
    r.skip(1)?;
    let (table, cookie) = (TableId(0), Cookie(u64::MAX));
    Ok(PacketIn {
        buffer_id,
        reason,
        table,
        cookie,
        in_port,
        metadata: 0,
        tunnel_id: 0,
        total_len,
        data: r.remainder(),
    })
}

pub(super) fn encode_in(w: &mut Writer<'_>, m: &PacketIn) -> Result<(), EncodeError> {
    encode_buffer(w, m.buffer_id);
    w.u16(m.total_len);
    port_no::encode(w, m.in_port)?;
    w.u8(m.reason.number());
    w.zeros(1);
    w.bytes(&m.data);
    Ok(())
}

pub(super) fn decode_out(r: &mut Reader<'_>) -> Result<PacketOut, OfpError> {
    let buffer_id = decode_buffer(r)?;
    let in_port = port_no::decode(r)?;
    let len = usize::from(r.u16()?);
    let actions = action::decode_list(&mut r.window(len, ErrorKind::BadActionBadLen)?)?;
    Ok(PacketOut { buffer_id, in_port, actions, data: r.remainder() })
}

pub(super) fn encode_out(w: &mut Writer<'_>, m: &PacketOut) -> Result<(), EncodeError> {
    encode_buffer(w, m.buffer_id);
    port_no::encode(w, m.in_port)?;
    let mut list = BytesMut::new();
    action::encode_list(&mut Writer::new(&mut list), &m.actions)?;
    w.u16(u16::try_from(list.len()).map_err(|_| EncodeError::TooLong(list.len()))?);
    w.bytes(&list);
    w.bytes(&m.data);
    Ok(())
}
