//! Flow-mod, flow-removed, flow and aggregate statistics (OpenFlow 1.3.5 §7.3.4.1, §7.4.2,
//! §7.3.5.2–3).

use std::time::Duration;

use crate::action::Instructions;
use crate::buf::{EncodeError, Reader, Writer};
use crate::error::{ErrorKind, OfpError};
use crate::message::{
    AggregateStats, FlowMod, FlowModCommand, FlowModFlags, FlowRemoved, FlowRemovedReason, FlowStats, FlowStatsRequest,
};
use crate::types::{Cookie, GroupId, PortNo, TableId};
use crate::v13::{instruction, oxm};

/// `OFP_NO_BUFFER`.
const NO_BUFFER: u32 = 0xffff_ffff;

/// A buffer id; `OFP_NO_BUFFER` = none.
pub fn decode_buffer(r: &mut Reader<'_>) -> Result<Option<u32>, OfpError> {
    Ok(Some(r.u32()?).filter(|n| *n != NO_BUFFER))
}

/// Writes a buffer id.
pub fn encode_buffer(w: &mut Writer<'_>, buffer: Option<u32>) {
    w.u32(buffer.unwrap_or(NO_BUFFER));
}

/// Seconds and nanoseconds.
pub fn decode_duration(r: &mut Reader<'_>) -> Result<Duration, OfpError> {
    let seconds = r.u32()?;
    // Nanoseconds beyond the second (§7.3.5.2) have no meaning; they must not become seconds
    // that cannot be said again.
    let nanoseconds = r.u32()?.min(999_999_999);
    Ok(Duration::new(u64::from(seconds), nanoseconds))
}

/// Writes seconds, as many as 32 bits hold, and nanoseconds.
pub fn encode_duration(w: &mut Writer<'_>, d: Duration) {
    w.u32(u32::try_from(d.as_secs()).unwrap_or(u32::MAX));
    w.u32(d.subsec_nanos());
}

pub(super) fn decode_mod(r: &mut Reader<'_>) -> Result<FlowMod, OfpError> {
    let cookie = Cookie(r.u64()?);
    let cookie_mask = r.u64()?;
    let table = TableId(r.u8()?);
    let command = r.u8()?;
    let (idle_timeout, hard_timeout, priority) = (r.u16()?, r.u16()?, r.u16()?);
    let buffer_id = decode_buffer(r)?;
    let (out_port, out_group) = (PortNo(r.u32()?), GroupId(r.u32()?));
    let flags = r.u16()?;
    r.skip(2)?;
    let command = FlowModCommand::from_number(command)
        .ok_or_else(|| OfpError::new(ErrorKind::FlowModBadCommand, format!("command {command}")))?;
    let flags = FlowModFlags::exact(flags)
        .ok_or_else(|| OfpError::new(ErrorKind::FlowModBadFlags, format!("flags {flags:#06x}")))?;
    let matching = oxm::decode(r)?;
    let instructions = instruction::decode(r)?;
    Ok(FlowMod {
        command,
        table,
        matching,
        priority,
        cookie,
        cookie_mask,
        idle_timeout,
        hard_timeout,
        flags,
        out_port,
        out_group,
        buffer_id,
        instructions,
    })
}

pub(super) fn encode_mod(w: &mut Writer<'_>, m: &FlowMod) -> Result<(), EncodeError> {
    w.u64(m.cookie.0);
    w.u64(m.cookie_mask);
    w.u8(m.table.0);
    w.u8(m.command.number());
    w.u16(m.idle_timeout);
    w.u16(m.hard_timeout);
    w.u16(m.priority);
    encode_buffer(w, m.buffer_id);
    w.u32(m.out_port.0);
    w.u32(m.out_group.0);
    w.u16(m.flags.to_bits());
    w.zeros(2);
    oxm::encode(w, &m.matching)?;
    instruction::encode(w, &m.instructions)
}

pub(super) fn decode_removed(r: &mut Reader<'_>) -> Result<FlowRemoved, OfpError> {
    let cookie = Cookie(r.u64()?);
    let priority = r.u16()?;
    let reason = r.u8()?;
    let reason =
        FlowRemovedReason::from_number(reason).ok_or_else(|| super::unknown("flow-removed reason", reason.into()))?;
    let table = TableId(r.u8()?);
    let duration = decode_duration(r)?;
    let (idle_timeout, hard_timeout) = (r.u16()?, r.u16()?);
    let (packets, bytes) = (r.u64()?, r.u64()?);
    let stats = FlowStats {
        table,
        priority,
        matching: oxm::decode(r)?,
        cookie,
        duration,
        idle_age: Duration::ZERO,
        idle_timeout,
        hard_timeout,
        flags: FlowModFlags::default(),
        packets,
        bytes,
        instructions: Instructions::default(),
        slow: None,
    };
    Ok(FlowRemoved { reason, stats })
}

pub(super) fn encode_removed(w: &mut Writer<'_>, m: &FlowRemoved) -> Result<(), EncodeError> {
    let s = &m.stats;
    w.u64(s.cookie.0);
    w.u16(s.priority);
    w.u8(m.reason.number());
    w.u8(s.table.0);
    encode_duration(w, s.duration);
    w.u16(s.idle_timeout);
    w.u16(s.hard_timeout);
    w.u64(s.packets);
    w.u64(s.bytes);
    oxm::encode(w, &s.matching)
}

pub(super) fn decode_stats(r: &mut Reader<'_>) -> Result<FlowStats, OfpError> {
    let mut r = r.structure(0, 56, ErrorKind::BadRequestBadLen)?;
    r.skip(2)?;
    let table = TableId(r.u8()?);
    r.skip(1)?;
    let duration = decode_duration(&mut r)?;
    let (priority, idle_timeout, hard_timeout) = (r.u16()?, r.u16()?, r.u16()?);
    let flags = FlowModFlags::from_bits(r.u16()?);
    r.skip(4)?;
    let cookie = Cookie(r.u64()?);
    let (packets, bytes) = (r.u64()?, r.u64()?);
    let matching = oxm::decode(&mut r)?;
    let instructions = instruction::decode(&mut r)?;
    Ok(FlowStats {
        table,
        priority,
        matching,
        cookie,
        duration,
        idle_age: Duration::ZERO,
        idle_timeout,
        hard_timeout,
        flags,
        packets,
        bytes,
        instructions,
        slow: None,
    })
}

pub(super) fn encode_stats(w: &mut Writer<'_>, s: &FlowStats) -> Result<(), EncodeError> {
    let mark = w.begin(0);
    w.u16(0);
    w.u8(s.table.0);
    w.zeros(1);
    encode_duration(w, s.duration);
    w.u16(s.priority);
    w.u16(s.idle_timeout);
    w.u16(s.hard_timeout);
    w.u16(s.flags.to_bits());
    w.zeros(4);
    w.u64(s.cookie.0);
    w.u64(s.packets);
    w.u64(s.bytes);
    oxm::encode(w, &s.matching)?;
    instruction::encode(w, &s.instructions)?;
    w.end(mark)
}

pub(super) fn decode_request(r: &mut Reader<'_>) -> Result<FlowStatsRequest, OfpError> {
    let table = TableId(r.u8()?);
    r.skip(3)?;
    let (out_port, out_group) = (PortNo(r.u32()?), GroupId(r.u32()?));
    r.skip(4)?;
    let (cookie, cookie_mask) = (Cookie(r.u64()?), r.u64()?);
    Ok(FlowStatsRequest { table, out_port, out_group, cookie, cookie_mask, matching: oxm::decode(r)? })
}

pub(super) fn encode_request(w: &mut Writer<'_>, q: &FlowStatsRequest) -> Result<(), EncodeError> {
    w.u8(q.table.0);
    w.zeros(3);
    w.u32(q.out_port.0);
    w.u32(q.out_group.0);
    w.zeros(4);
    w.u64(q.cookie.0);
    w.u64(q.cookie_mask);
    oxm::encode(w, &q.matching)
}

/// The same in both versions.
pub fn decode_aggregate(r: &mut Reader<'_>) -> Result<AggregateStats, OfpError> {
    let stats = AggregateStats { packets: r.u64()?, bytes: r.u64()?, flows: r.u32()? };
    r.skip(4)?;
    Ok(stats)
}

/// The same in both versions.
pub fn encode_aggregate(w: &mut Writer<'_>, s: &AggregateStats) {
    w.u64(s.packets);
    w.u64(s.bytes);
    w.u32(s.flows);
    w.zeros(4);
}
