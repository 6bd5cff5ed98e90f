//! Flow-mod, flow-removed and flow statistics (OpenFlow 1.0 §5.3.3, §5.4.3, §5.3.5).
//!
//! 1.0 knows no tables: what changes flows speaks of table 0, what deletes them of every
//! table.

use std::time::Duration;

use crate::action::Instructions;
use crate::buf::{EncodeError, Reader, Writer};
use crate::error::{ErrorKind, OfpError};
use crate::message::{
    FlowMod, FlowModCommand, FlowModFlags, FlowRemoved, FlowRemovedReason, FlowStats, FlowStatsRequest,
};
use crate::types::{Cookie, GroupId, TableId};
use crate::v10::{action, flow_match, port_no};
use crate::v13::flow::{decode_buffer, decode_duration, encode_buffer, encode_duration};
use crate::v13::unknown;

const SEND_FLOW_REM: u16 = 1;
const CHECK_OVERLAP: u16 = 2;
const EMERG: u16 = 4;

fn decode_flags(bits: u16) -> Result<FlowModFlags, OfpError> {
    if bits & EMERG != 0 {
        return Err(OfpError::new(ErrorKind::FlowModTableFull, "there is no emergency flow table"));
    }
    if bits & !(SEND_FLOW_REM | CHECK_OVERLAP) != 0 {
        return Err(OfpError::new(ErrorKind::FlowModBadFlags, format!("flags {bits:#06x}")));
    }
    Ok(FlowModFlags::from_bits(bits))
}

/// The table a flow-mod without one speaks of.
const fn table_of(command: FlowModCommand) -> TableId {
    match command {
        FlowModCommand::Delete | FlowModCommand::DeleteStrict => TableId::ALL,
        _ => TableId(0),
    }
}

fn only_apply(i: &Instructions) -> Result<(), EncodeError> {
    let plain = Instructions { apply: i.apply.clone(), ..Instructions::default() };
    if *i == plain { Ok(()) } else { Err(super::lacks(&format!("instructions {i}"))) }
}

pub(super) fn decode_mod(r: &mut Reader<'_>) -> Result<FlowMod, OfpError> {
    let exact = flow_match::is_exact(r)?;
    let matching = flow_match::decode(r)?;
    let cookie = Cookie(r.u64()?);
    let command = r.u16()?;
    let (idle_timeout, hard_timeout, priority) = (r.u16()?, r.u16()?, r.u16()?);
    // A match without wildcards is above all others, whatever priority it names (§3.4).
    let priority = if exact { u16::MAX } else { priority };
    let buffer_id = decode_buffer(r)?;
    let out_port = port_no::decode(r)?;
    let flags = r.u16()?;
    let command = u8::try_from(command)
        .ok()
        .and_then(FlowModCommand::from_number)
        .ok_or_else(|| OfpError::new(ErrorKind::FlowModBadCommand, format!("command {command}")))?;
    let flags = decode_flags(flags)?;
    let instructions = Instructions::apply(action::decode_list(r)?);
    Ok(FlowMod {
        command,
        table: table_of(command),
        matching,
        priority,
        cookie,
        cookie_mask: 0,
        idle_timeout,
        hard_timeout,
        flags,
        out_port,
        out_group: GroupId::ANY,
        buffer_id,
        instructions,
    })
}

pub(super) fn encode_mod(w: &mut Writer<'_>, m: &FlowMod) -> Result<(), EncodeError> {
    if m.table != table_of(m.command) {
        return Err(super::lacks(&format!("table {} of a flow-mod", m.table)));
    }
    if m.cookie_mask != 0 || m.out_group != GroupId::ANY {
        return Err(super::lacks("cookie mask or out_group"));
    }
    let flags = m.flags.to_bits();
    if flags & !(SEND_FLOW_REM | CHECK_OVERLAP) != 0 {
        return Err(super::lacks(&format!("flow-mod flags {flags:#06x}")));
    }
    only_apply(&m.instructions)?;
    flow_match::encode(w, &m.matching)?;
    w.u64(m.cookie.0);
    w.u16(m.command.number().into());
    w.u16(m.idle_timeout);
    w.u16(m.hard_timeout);
    w.u16(m.priority);
    encode_buffer(w, m.buffer_id);
    port_no::encode(w, m.out_port)?;
    w.u16(flags);
    action::encode_list(w, &m.instructions.apply)
}

pub(super) fn decode_removed(r: &mut Reader<'_>) -> Result<FlowRemoved, OfpError> {
    let matching = flow_match::decode(r)?;
    let cookie = Cookie(r.u64()?);
    let priority = r.u16()?;
    let reason = r.u8()?;
    let reason = FlowRemovedReason::from_number(reason).ok_or_else(|| unknown("flow-removed reason", reason.into()))?;
    r.skip(1)?;
    let duration = decode_duration(r)?;
    let idle_timeout = r.u16()?;
    r.skip(2)?;
    let stats = FlowStats {
        table: TableId(0),
        priority,
        matching,
        cookie,
        duration,
        idle_age: Duration::ZERO,
        idle_timeout,
        hard_timeout: 0,
        flags: FlowModFlags::default(),
        packets: r.u64()?,
        bytes: r.u64()?,
        instructions: Instructions::default(),
        slow: None,
    };
    Ok(FlowRemoved { reason, stats })
}

pub(super) fn encode_removed(w: &mut Writer<'_>, m: &FlowRemoved) -> Result<(), EncodeError> {
    let s = &m.stats;
    flow_match::encode(w, &s.matching)?;
    w.u64(s.cookie.0);
    w.u16(s.priority);
    w.u8(m.reason.number());
    w.zeros(1);
    encode_duration(w, s.duration);
    w.u16(s.idle_timeout);
    w.zeros(2);
    w.u64(s.packets);
    w.u64(s.bytes);
    Ok(())
}

pub(super) fn decode_stats(r: &mut Reader<'_>) -> Result<FlowStats, OfpError> {
    let mut r = r.structure(0, 88, ErrorKind::BadRequestBadLen)?;
    r.skip(2)?;
    let table = TableId(r.u8()?);
    r.skip(1)?;
    let matching = flow_match::decode(&mut r)?;
    let duration = decode_duration(&mut r)?;
    let (priority, idle_timeout, hard_timeout) = (r.u16()?, r.u16()?, r.u16()?);
    r.skip(6)?;
    Ok(FlowStats {
        table,
        priority,
        matching,
        duration,
        idle_age: Duration::ZERO,
        idle_timeout,
        hard_timeout,
        flags: FlowModFlags::default(),
        cookie: Cookie(r.u64()?),
        packets: r.u64()?,
        bytes: r.u64()?,
        instructions: Instructions::apply(action::decode_list(&mut r)?),
        slow: None,
    })
}

/// Instructions that 1.0 has not are left out: a 1.0 controller reads the tables of a switch
/// that others program.
pub(super) fn encode_stats(w: &mut Writer<'_>, s: &FlowStats) -> Result<(), EncodeError> {
    let mark = w.begin(0);
    w.u16(0);
    w.u8(s.table.0);
    w.zeros(1);
    flow_match::encode(w, &s.matching)?;
    encode_duration(w, s.duration);
    w.u16(s.priority);
    w.u16(s.idle_timeout);
    w.u16(s.hard_timeout);
    w.zeros(6);
    w.u64(s.cookie.0);
    w.u64(s.packets);
    w.u64(s.bytes);
    action::encode_list(w, &s.instructions.apply)?;
    w.end(mark)
}

pub(super) fn decode_request(r: &mut Reader<'_>) -> Result<FlowStatsRequest, OfpError> {
    let matching = flow_match::decode(r)?;
    let table = TableId(r.u8()?);
    r.skip(1)?;
    Ok(FlowStatsRequest { table, out_port: port_no::decode(r)?, matching, ..FlowStatsRequest::all() })
}

pub(super) fn encode_request(w: &mut Writer<'_>, q: &FlowStatsRequest) -> Result<(), EncodeError> {
    if q.cookie_mask != 0 || q.out_group != GroupId::ANY {
        return Err(super::lacks("cookie mask or out_group"));
    }
    flow_match::encode(w, &q.matching)?;
    w.u8(q.table.0);
    w.zeros(1);
    port_no::encode(w, q.out_port)
}

#[cfg(test)]
mod tests {
    use bytes::BytesMut;

    use crate::message::{FlowMod, FlowModCommand, Message};
    use crate::{Action, Cookie, Field, Instructions, Match, PortNo, Version, Xid, decode, encode, header};

    fn priority_heard(command: FlowModCommand, matching: Match) -> u16 {
        let out = Instructions::apply(vec![Action::output(PortNo(2))]);
        let add = FlowMod::add(super::table_of(command), 7, matching, out, Cookie(1));
        let mut bytes = BytesMut::new();
        encode(Version::V10, Xid(1), &Message::FlowMod(FlowMod { command, ..add }), &mut bytes).unwrap();
        let Ok(Message::FlowMod(m)) = decode(&header::decode(&mut bytes).unwrap().unwrap()) else { panic!() };
        m.priority
    }

    #[test]
    fn a_match_without_wildcards_is_above_all_others() {
        let all = [
            (Field::InPort, 1),
            (Field::EthSrc, 2),
            (Field::EthDst, 3),
            (Field::EthType, 0x0800),
            (Field::VlanVid, 0x1005),
            (Field::VlanPcp, 1),
            (Field::IpDscp, 1),
            (Field::IpProto, 6),
            (Field::Ipv4Src, 0x0a00_0001),
            (Field::Ipv4Dst, 0x0a00_0002),
            (Field::TcpSrc, 80),
            (Field::TcpDst, 81),
        ];
        let exact = all.into_iter().fold(Match::any(), |m, (field, value)| m.with(field, value));
        for command in [FlowModCommand::Add, FlowModCommand::ModifyStrict, FlowModCommand::DeleteStrict] {
            assert_eq!(priority_heard(command, exact.clone()), u16::MAX);
            let prefix = exact.clone().with_masked(Field::Ipv4Dst, 0x0a00_0000, 0xffff_ff00);
            assert_eq!(priority_heard(command, prefix), 7, "the last byte of the address is a wildcard");
            let short = all[..11].iter().fold(Match::any(), |m, (field, value)| m.with(*field, *value));
            assert_eq!(priority_heard(command, short), 7, "tcp_dst is a wildcard");
        }
    }
}
