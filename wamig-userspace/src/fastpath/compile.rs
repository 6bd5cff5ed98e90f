//! A flow in the fast path's terms: match to key and mask, actions to operations on header
//! bytes, and whether the fast path can do it alone.
//!
//! Whether a flow needs the slow path is decided here, when it is added, and `wamig flows`
//! shows the reason. What depends on the flows of several tables together (an output in one,
//! an edit in the next) is found by the walk itself, frame by frame.
//!
//! Outputs with no edit between them are the same frame sent to several ports: they become
//! one operation on a port set. A set that is exactly `[OFPP_ALL]` or `[OFPP_FLOOD]` means
//! that reserved port.

use wamig_common::action::{self, Op, slot};
use wamig_common::extract::ETH_8021Q;
use wamig_common::key::{self, FlowKey, FlowMask, KeyField};
use wamig_common::limits::{LOCAL_INDEX, MAX_OPS};
use wamig_common::verdict::SlowReason;
use wamig_openflow::flow_match::{ETH_TYPE_IPV4, ETH_TYPE_IPV6};
use wamig_openflow::{Action, ErrorKind, Field, Instructions, Match, OfpError, PortNo, TableId};

use self::place::{L3, Place, places};
use super::{CompiledFlow, FlowId};

mod place;

/// Compiles a flow whose match and actions were validated.
///
/// # Errors
/// `OFPBAC_TOO_MANY` when a list needs more than [`MAX_OPS`] operations;
/// `OFPBAC_MATCH_INCONSISTENT` when an action must know the frame's type and the match does
/// not say it; `OFPBAC_BAD_SET_TYPE` for a field that is not in the frame.
pub fn compile(
    id: FlowId,
    table: TableId,
    priority: u16,
    matching: &Match,
    instructions: &Instructions,
) -> Result<CompiledFlow, OfpError> {
    let (key, mask) = key_and_mask(matching);
    let mut sets = Vec::new();
    let apply = apply_list(&instructions.apply, matching, &mut sets)?;
    let write = write_list(&instructions.write, matching, &mut sets)?;
    for (name, list) in [("apply", &apply), ("write", &write)] {
        if list.len() > MAX_OPS {
            let detail = format!("the {name}-actions need {} operations, {MAX_OPS} are possible", list.len());
            return Err(OfpError::new(ErrorKind::BadActionTooMany, detail));
        }
    }
    let (value, meta_mask) = instructions.metadata.unwrap_or((0, 0));
    Ok(CompiledFlow {
        id,
        table: table.0,
        priority,
        key,
        mask,
        slow: slow_reason(instructions, &apply, &write),
        meter: instructions.meter.map_or(0, |m| m.0),
        apply,
        write,
        sets,
        clear: instructions.clear,
        metadata: (value & meta_mask, meta_mask),
        goto: instructions.goto.map(|t| t.0),
    })
}

/// The match as value and mask of the key.
pub fn key_and_mask(matching: &Match) -> (FlowKey, FlowMask) {
    let mut key = FlowKey::default();
    let mut mask = FlowMask::default();
    for (field, m) in matching.iter() {
        for part in key_parts(field).into_iter().flatten() {
            let value = (m.value >> part.from) as u64 & part.ones();
            let bits = (m.mask >> part.from) as u64 & part.ones();
            or(&mut key, part.at, value << part.to);
            or(&mut mask, part.at, bits << part.to);
        }
        let header = u64::from(header(field));
        or(&mut key, key::HAS, header);
        or(&mut mask, key::HAS, header);
    }
    let port = |field| matching.get(field).map(|m| m.value);
    if port(Field::InPhyPort).is_some_and(|physical| port(Field::InPort) != Some(physical)) {
        or(&mut key, key::HAS, u64::from(key::HAS_NEVER));
        or(&mut mask, key::HAS, u64::from(key::HAS_NEVER));
    }
    (key, mask)
}

/// What a key says of a field; 0 if the frame has none.
pub fn value_of(key: &FlowKey, field: Field) -> u128 {
    let part = |p: &KeyPart| u128::from(key.get(p.at) >> p.to & p.ones()) << p.from;
    key_parts(field).iter().flatten().map(part).sum()
}

/// Whether the header that the field is in could be read.
pub fn has_header(key: &FlowKey, field: Field) -> bool {
    let header = u64::from(header(field));
    key.get(key::HAS) & header == header
}

/// Which header must be there for the field to be there.
fn header(field: Field) -> u8 {
    match field {
        Field::InPort
        | Field::Metadata
        | Field::EthDst
        | Field::EthSrc
        | Field::EthType
        | Field::VlanVid
        | Field::VlanPcp
        | Field::InPhyPort
        | Field::TunnelId => 0,
        Field::Ipv6NdTarget => key::HAS_L4 | key::HAS_ND,
        Field::Ipv6NdSll | Field::Ipv6NdTll => key::HAS_L4 | key::HAS_ND_LL,
        Field::TcpSrc
        | Field::TcpDst
        | Field::UdpSrc
        | Field::UdpDst
        | Field::SctpSrc
        | Field::SctpDst
        | Field::Icmpv4Type
        | Field::Icmpv4Code
        | Field::Icmpv6Type
        | Field::Icmpv6Code => key::HAS_L4,
        Field::IpDscp
        | Field::IpEcn
        | Field::IpProto
        | Field::Ipv4Src
        | Field::Ipv4Dst
        | Field::ArpOp
        | Field::ArpSpa
        | Field::ArpTpa
        | Field::ArpSha
        | Field::ArpTha
        | Field::Ipv6Src
        | Field::Ipv6Dst
        | Field::Ipv6Flabel
        | Field::Ipv6Exthdr
        | Field::MplsLabel
        | Field::MplsTc
        | Field::MplsBos
        | Field::PbbIsid => key::HAS_L3,
    }
}

/// Some fields share a place of the key (id and priority of a tag, DSCP and ECN).
fn or(key: &mut FlowKey, at: KeyField, bits: u64) {
    key.set(at, key.get(at) | bits);
}

/// A run of bits of an OpenFlow field and its place within a field of the key.
struct KeyPart {
    at: KeyField,
    /// Lowest bit in the OpenFlow field.
    from: u32,
    /// Lowest bit in the key's field.
    to: u32,
    bits: u32,
}

impl KeyPart {
    fn ones(&self) -> u64 {
        u64::MAX >> (64 - self.bits)
    }
}

/// One part, or the two halves of an address.
fn key_parts(field: Field) -> [Option<KeyPart>; 2] {
    let whole = |at: KeyField, to| [Some(KeyPart { at, from: 0, to, bits: u32::from(field.bits()) }), None];
    let half = |at, from| Some(KeyPart { at, from, to: 0, bits: 64 });
    let halves = |hi, lo| [half(hi, 64), half(lo, 0)];
    match field {
        // every port is a physical one
        Field::InPort | Field::InPhyPort => whole(key::IN_PORT, 0),
        Field::Metadata => whole(key::METADATA, 0),
        Field::EthDst => whole(key::ETH_DST, 0),
        Field::EthSrc => whole(key::ETH_SRC, 0),
        Field::EthType => whole(key::ETH_TYPE, 0),
        Field::VlanVid => whole(key::VLAN_TCI, 0),
        Field::VlanPcp => whole(key::VLAN_TCI, 13),
        Field::IpDscp => whole(key::IP_TOS, 2),
        Field::IpEcn => whole(key::IP_TOS, 0),
        Field::IpProto => whole(key::IP_PROTO, 0),
        Field::ArpOp => whole(key::ARP_OP, 0),
        Field::Ipv4Src | Field::ArpSpa => whole(key::IPV4_SRC, 0),
        Field::Ipv4Dst | Field::ArpTpa => whole(key::IPV4_DST, 0),
        Field::ArpSha => whole(key::ARP_SHA, 0),
        Field::ArpTha => whole(key::ARP_THA, 0),
        Field::TcpSrc | Field::UdpSrc | Field::SctpSrc | Field::Icmpv4Type | Field::Icmpv6Type => whole(key::TP_SRC, 0),
        Field::TcpDst | Field::UdpDst | Field::SctpDst | Field::Icmpv4Code | Field::Icmpv6Code => whole(key::TP_DST, 0),
        Field::Ipv6Src => halves(key::IPV6_SRC_HI, key::IPV6_SRC_LO),
        Field::Ipv6Dst => halves(key::IPV6_DST_HI, key::IPV6_DST_LO),
        Field::Ipv6Flabel | Field::PbbIsid => whole(key::LABEL, 0),
        Field::MplsLabel => whole(key::LABEL, 12),
        Field::MplsTc => whole(key::LABEL, 9),
        Field::MplsBos => whole(key::LABEL, 8),
        Field::Ipv6NdTarget => halves(key::ND_TARGET_HI, key::ND_TARGET_LO),
        Field::Ipv6NdSll | Field::Ipv6NdTll => whole(key::ND_LL, 0),
        Field::TunnelId => whole(key::TUNNEL_ID, 0),
        Field::Ipv6Exthdr => whole(key::EXTHDR, 0),
    }
}

/// The operations of an apply-list, in its order; outputs of one and the same frame are
/// joined. `matching` says what is known of the frame; port sets are added to `sets`.
///
/// # Errors
/// As for [`compile`], without the limit.
pub fn apply_list(actions: &[Action], matching: &Match, sets: &mut Vec<Vec<u32>>) -> Result<Vec<Op>, OfpError> {
    let mut l3 = L3::of(matching);
    let mut ops = Vec::with_capacity(actions.len());
    let mut ports = Vec::new();
    for (index, action) in actions.iter().enumerate() {
        match action {
            Action::Output { port: PortNo::CONTROLLER, max_len } => ops.push(controller(*max_len)),
            // Nothing to be joined with.
            Action::Output { port, .. } if ports.is_empty() && index == actions.len() - 1 => {
                ops.push(output(*port, sets));
            }
            Action::Output { port, .. } => ports.push(*port),
            edit => {
                join_outputs(&mut ports, sets, &mut ops);
                if l3.is_none() && matches!(edit, Action::SetField { field: Field::IpDscp, .. }) {
                    // OpenFlow 1.0: whichever there is
                    edits(edit, Some(L3::V4), &mut ops)?;
                    edits(edit, Some(L3::V6), &mut ops)?;
                } else {
                    edits(edit, l3, &mut ops)?;
                }
                l3 = L3::after(edit, l3);
            }
        }
    }
    join_outputs(&mut ports, sets, &mut ops);
    Ok(ops)
}

/// The operations of a write-list. Of two that fill the same place of the action set the last
/// one stays (§5.10).
///
/// # Errors
/// As for [`compile`], without the limit.
pub fn write_list(actions: &[Action], matching: &Match, sets: &mut Vec<Vec<u32>>) -> Result<Vec<Op>, OfpError> {
    let mut l3 = L3::of(matching);
    let mut ops: Vec<Op> = Vec::new();
    for action in actions {
        let mut one = Vec::new();
        match action {
            Action::Output { port: PortNo::CONTROLLER, max_len } => one.push(controller(*max_len)),
            Action::Output { port, .. } => one.push(output(*port, sets)),
            edit => edits(edit, l3, &mut one)?,
        }
        l3 = L3::after(action, l3);
        for op in one {
            ops.retain(|o| o.slot != op.slot);
            ops.push(op);
        }
    }
    Ok(ops)
}

fn controller(max_len: u16) -> Op {
    Op { kind: action::CONTROLLER, slot: slot::OUTPUT, value: u64::from(max_len), ..Op::default() }
}

/// Sends the frame as it stands to all ports collected so far, by one operation if they are
/// plain ports and none is named twice.
fn join_outputs(ports: &mut Vec<PortNo>, sets: &mut Vec<Vec<u32>>, ops: &mut Vec<Op>) {
    if ports.is_empty() {
        return;
    }
    let mut numbers: Vec<u32> = ports.iter().map(|p| p.0).collect();
    numbers.sort_unstable();
    numbers.dedup();
    let plain = ports.iter().all(|p| *p == PortNo::LOCAL || p.reserved_name().is_none());
    if ports.len() > 1 && plain && numbers.len() == ports.len() {
        ops.push(output_set(numbers, sets));
        ports.clear();
    }
    ops.extend(ports.drain(..).map(|p| output(p, sets)));
}

/// [`PortNo::TABLE`], in packet-outs only, keeps its number: no port has it.
fn output(port: PortNo, sets: &mut Vec<Vec<u32>>) -> Op {
    let op = Op { slot: slot::OUTPUT, ..Op::default() };
    match port {
        PortNo::IN_PORT => Op { kind: action::OUTPUT_IN_PORT, ..op },
        PortNo::ALL | PortNo::FLOOD => output_set(vec![port.0], sets),
        PortNo::LOCAL => Op { kind: action::OUTPUT, value: u64::from(LOCAL_INDEX), ..op },
        _ => Op { kind: action::OUTPUT, value: u64::from(port.0), ..op },
    }
}

fn output_set(ports: Vec<u32>, sets: &mut Vec<Vec<u32>>) -> Op {
    let index = sets.iter().position(|s| *s == ports).unwrap_or_else(|| {
        sets.push(ports);
        sets.len() - 1
    });
    Op { kind: action::OUTPUT_SET, slot: slot::OUTPUT, value: index as u64, ..Op::default() }
}

fn edits(edit: &Action, l3: Option<L3>, ops: &mut Vec<Op>) -> Result<(), OfpError> {
    match edit {
        Action::Output { .. } => {}
        Action::SetField { field: Field::IpProto, value, .. } => {
            let slot = place::slot(Field::IpProto);
            ops.push(Op { kind: action::SET_PROTO, slot, value: *value as u64, ..Op::default() });
        }
        Action::SetField { field: Field::TunnelId, value, mask } => {
            let (slot, mask) = (place::slot(Field::TunnelId), *mask as u64);
            ops.push(Op { kind: action::SET_TUNNEL, slot, value: *value as u64 & mask, mask, ..Op::default() });
        }
        Action::SetField { field, value, mask } => {
            for (i, p) in placed(edit, *field, l3)?.into_iter().flatten().enumerate() {
                let slot = place::slot(*field) + i as u8;
                ops.push(write(&p, slot, (*value >> p.from) as u64, (*mask >> p.from) as u64));
            }
        }
        Action::SetNwTtl(ttl) => {
            let l3 = l3.ok_or_else(|| needs_ip(edit))?;
            ops.push(write(&place::ttl(l3), slot::SET_TTL, u64::from(*ttl), 0xff));
        }
        Action::SetMplsTtl(ttl) => {
            ops.push(write(&place::mpls_ttl(), slot::SET_MPLS_TTL, u64::from(*ttl), 0xff));
        }
        Action::Move { src, dst } => {
            let (from, onto) = (placed(edit, *src, l3)?, placed(edit, *dst, l3)?);
            for (s, d) in from.into_iter().flatten().zip(onto.into_iter().flatten()) {
                ops.push(Op {
                    kind: action::MOVE,
                    src_base: s.base,
                    src_off: s.off,
                    value: u64::from((64 + d.shift - s.shift) % 64),
                    flags: d.flags | s.flags & place::NEEDS,
                    ..write(&d, 0, 0, u64::MAX)
                });
            }
        }
        Action::SetVlanVid(vid) => ops.push(set_tag(Field::VlanVid, u64::from(*vid))),
        Action::SetVlanPcp(pcp) => ops.push(set_tag(Field::VlanPcp, u64::from(*pcp))),
        Action::SetTpSrc(port) => ops.push(set_port(Field::TcpSrc, *port)),
        Action::SetTpDst(port) => ops.push(set_port(Field::TcpDst, *port)),
        Action::PushVlan(tag) => ops.push(plain(action::PUSH_VLAN, slot::PUSH_VLAN, u32::from(*tag))),
        Action::PopVlan => ops.push(plain(action::POP_VLAN, slot::POP_VLAN, 0)),
        Action::PushMpls(tag) => ops.push(plain(action::PUSH_MPLS, slot::PUSH_MPLS, u32::from(*tag))),
        Action::PopMpls(below) => ops.push(plain(action::POP_MPLS, slot::POP_MPLS, u32::from(*below))),
        Action::PushPbb(tag) => ops.push(plain(action::PUSH_PBB, slot::PUSH_PBB, u32::from(*tag))),
        Action::PopPbb => ops.push(plain(action::POP_PBB, slot::POP_PBB, 0)),
        Action::DecNwTtl => ops.push(plain(action::DEC_TTL, slot::DEC_TTL, 0)),
        Action::DecMplsTtl => ops.push(plain(action::DEC_MPLS_TTL, slot::DEC_MPLS_TTL, 0)),
        Action::CopyTtlOut => ops.push(plain(action::COPY_TTL_OUT, slot::COPY_TTL_OUT, 0)),
        Action::CopyTtlIn => ops.push(plain(action::COPY_TTL_IN, slot::COPY_TTL_IN, 0)),
        Action::Group(group) => ops.push(plain(action::GROUP, slot::GROUP, group.0)),
        Action::SetQueue(_) | Action::Enqueue { .. } | Action::Experimenter { .. } => {
            return Err(OfpError::new(
                ErrorKind::BadActionBadType,
                format!("{edit}: the fast path has no such action"),
            ));
        }
    }
    Ok(())
}

fn plain(kind: u8, slot: u8, value: u32) -> Op {
    Op { kind, slot, value: u64::from(value), ..Op::default() }
}

fn placed(edit: &Action, field: Field, l3: Option<L3>) -> Result<[Option<Place>; 2], OfpError> {
    if !field.settable() {
        return Err(OfpError::new(ErrorKind::BadActionBadSetType, format!("{edit}: not a header field of the frame")));
    }
    places(field, l3).ok_or_else(|| needs_ip(edit))
}

fn needs_ip(edit: &Action) -> OfpError {
    let detail = format!("{edit}: needs a match on eth_type {ETH_TYPE_IPV4:#06x} or {ETH_TYPE_IPV6:#06x}");
    OfpError::new(ErrorKind::BadActionMatchInconsistent, detail)
}

fn write(p: &Place, slot: u8, value: u64, mask: u64) -> Op {
    let mask = mask & (u64::MAX >> (64 - p.bits));
    Op {
        kind: action::SET,
        slot,
        base: p.base,
        off: p.off,
        flags: p.flags,
        value: (value & mask) << p.shift,
        mask: mask << p.shift,
        ..Op::default()
    }
}

/// Writes a field of the tag, of which there is one afterwards.
fn set_tag(field: Field, value: u64) -> Op {
    let set = write(&place::tag(field), place::slot(field), value, u64::MAX);
    Op { kind: action::SET_TAG, flags: 0, value: set.value | u64::from(ETH_8021Q), ..set }
}

/// Writes a port, whichever protocol it is of.
fn set_port(tcp: Field, port: u16) -> Op {
    let set = write(&place::port(tcp), place::slot(tcp), u64::from(port), u64::MAX);
    Op { flags: set.flags | action::NEED_PORTS, ..set }
}

/// Why the fast path cannot carry the flow out for any frame: found by going through its
/// operations as the fast path would. The action set counts if it runs at this flow.
fn slow_reason(instructions: &Instructions, apply: &[Op], write: &[Op]) -> Option<SlowReason> {
    if instructions.meter.is_some() {
        return Some(SlowReason::Meter);
    }
    if let Some(reason) = apply.iter().chain(write).find_map(|op| op_reason(op.kind)) {
        return Some(reason);
    }
    let edited = |field: Field| {
        instructions.apply.iter().chain(&instructions.write).any(|a| match a {
            Action::SetField { field: f, .. } => *f == field,
            Action::Move { dst, .. } => *dst == field,
            _ => false,
        })
    };
    if edited(Field::SctpSrc) || edited(Field::SctpDst) {
        return Some(SlowReason::Sctp);
    }
    let mut set: Vec<&Op> = if instructions.goto.is_none() { write.iter().collect() } else { Vec::new() };
    set.sort_by_key(|op| op.slot);
    let (mut output, mut changed, mut early, mut late) = (false, false, false, false);
    for op in apply.iter().chain(set) {
        if op.is_edit() {
            if output || late {
                return Some(SlowReason::EditAfterOutput);
            }
            changed = true;
        } else if op.kind == action::CONTROLLER {
            let taken = if changed { &mut late } else { &mut early };
            if std::mem::replace(taken, true) {
                return Some(SlowReason::SeveralPacketIns);
            }
        } else if std::mem::replace(&mut output, true) {
            return Some(SlowReason::SeveralOutputs);
        }
    }
    None
}

/// Why the slow path alone carries an operation out.
fn op_reason(kind: u8) -> Option<SlowReason> {
    match kind {
        action::GROUP => Some(SlowReason::Group),
        action::PUSH_MPLS | action::POP_MPLS | action::COPY_TTL_OUT | action::COPY_TTL_IN => Some(SlowReason::Mpls),
        action::PUSH_PBB | action::POP_PBB => Some(SlowReason::Pbb),
        action::SET_PROTO => Some(SlowReason::IpProto),
        action::SET_TUNNEL => Some(SlowReason::TunnelId),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
