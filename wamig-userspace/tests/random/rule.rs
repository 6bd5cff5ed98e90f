//! Random flows that take a given frame, or nearly do.

use wamig_openflow::{Action, Cookie, Field, FlowMod, Instructions, Match, PortNo, TableId};
use wamig_userspace::fastpath::FlowId;
use wamig_userspace::fastpath::compile::compile;
use wamig_userspace::switch::validate::check;

use super::Dice;
use super::frame::some_value;
use crate::oracle::Rule;
use crate::oracle::headers::read;
use crate::paths;

/// Fields by what a frame must be for them.
const L2: [Field; 6] = [Field::InPort, Field::EthDst, Field::EthSrc, Field::EthType, Field::VlanVid, Field::VlanPcp];
const IP: [Field; 3] = [Field::IpDscp, Field::IpEcn, Field::IpProto];
const V4: [Field; 2] = [Field::Ipv4Src, Field::Ipv4Dst];
const V6: [Field; 3] = [Field::Ipv6Src, Field::Ipv6Dst, Field::Ipv6Flabel];
const ARP: [Field; 5] = [Field::ArpOp, Field::ArpSpa, Field::ArpTpa, Field::ArpSha, Field::ArpTha];

/// The fields of a frame of this type and protocol.
fn fields(eth_type: u128, proto: Option<u128>) -> Vec<Field> {
    let ip: Vec<Field> = match eth_type {
        0x0800 => [&IP[..], &V4].concat(),
        0x86dd => [&IP[..], &V6].concat(),
        0x0806 => ARP.to_vec(),
        _ => vec![],
    };
    let l4 = match (eth_type, proto) {
        (_, Some(6)) => vec![Field::TcpSrc, Field::TcpDst],
        (_, Some(17)) => vec![Field::UdpSrc, Field::UdpDst],
        (_, Some(132)) => vec![Field::SctpSrc, Field::SctpDst],
        (0x0800, Some(1)) => vec![Field::Icmpv4Type, Field::Icmpv4Code],
        (0x86dd, Some(58)) => vec![Field::Icmpv6Type, Field::Icmpv6Code],
        _ => vec![],
    };
    [L2.to_vec(), ip, l4].concat()
}

/// A match on some fields of a frame, most of them with the frame's values.
fn some_match(dice: &mut Dice, table: u8, in_port: PortNo, frame: &[u8]) -> Match {
    let mut m = Match::any();
    let Some(headers) = read(frame) else { return m };
    let value = |field| crate::oracle::value(field, &headers, in_port.0, 0);
    let eth_type = u128::from(headers.eth_type);
    if dice.chance(60) {
        m = m.with(Field::EthType, eth_type);
        if let Some(proto) = value(Field::IpProto).filter(|_| dice.chance(60)) {
            m = m.with(Field::IpProto, proto);
        }
    }
    if table > 0 && dice.chance(30) {
        let mask = dice.pick(&[u64::MAX, 0xff, 1, 1 << 63]);
        m = m.with_masked(Field::Metadata, some_value(dice, Field::Metadata), u128::from(mask));
    }
    let eth_type = m.get(Field::EthType).map_or(0, |t| t.value);
    let proto = m.get(Field::IpProto).map(|p| p.value);
    let candidates = fields(eth_type, proto);
    for _ in 0..dice.pick(&[0, 1, 1, 2, 2, 3, 5]) {
        let field = dice.pick(&candidates);
        if matches!(field, Field::EthType | Field::IpProto) {
            continue;
        }
        let of_frame = value(field).filter(|_| !dice.chance(10));
        let new = of_frame.unwrap_or_else(|| some_value(dice, field));
        let mask = if field.maskable() && dice.chance(40) { some_mask(dice, field) } else { field.full_mask() };
        let with = m.clone().with_masked(field, new, mask);
        // A field whose prerequisite is missing is left out.
        if with.validate().is_ok() {
            m = with;
        }
    }
    m
}

fn some_mask(dice: &mut Dice, field: Field) -> u128 {
    let full = field.full_mask();
    let mask = match dice.below(4) {
        0 => full >> 1 ^ full,
        1 => full ^ full >> (1 + dice.below(usize::from(field.bits()) - 1)),
        2 => 1 << dice.below(usize::from(field.bits())),
        _ => (u128::from(dice.any()) << 64 | u128::from(dice.any())) & full,
    };
    if field == Field::VlanVid { mask | 0x1000 } else { mask }
}

/// An action that the switch might accept.
fn some_action(dice: &mut Dice, candidates: &[Field]) -> Action {
    match dice.below(22) {
        0..3 => Action::output(dice.pick(&paths::PORTS)),
        3 => Action::output(dice.pick(&[PortNo::IN_PORT, PortNo::FLOOD, PortNo::ALL])),
        4 => Action::Output { port: PortNo::CONTROLLER, max_len: dice.pick(&[0, 14, 64, 0xffff]) },
        5 => Action::PushVlan(dice.pick(&[0x8100, 0x88a8])),
        6 | 7 => Action::PopVlan,
        8 => Action::DecNwTtl,
        9 => Action::SetNwTtl(dice.pick(&[1, 2, 255])),
        20 => dice.pick(&[Action::SetVlanVid(0), Action::SetVlanVid(100), Action::SetVlanPcp(5)]),
        21 => dice.pick(&[Action::SetTpSrc(7), Action::SetTpDst(0xffff), Action::SetTpDst(0)]),
        10..13 => Action::Move { src: dice.pick(candidates), dst: dice.pick(candidates) },
        _ => {
            let field = dice.pick(candidates);
            if matches!(field, Field::EthType | Field::IpProto) {
                // Other fields mean something else behind them: `vectors` has examples.
                return Action::DecNwTtl;
            }
            let mask = if field.maskable() && dice.chance(20) { some_mask(dice, field) } else { field.full_mask() };
            let value = some_value(dice, field) & mask;
            Action::SetField { field, value, mask }
        }
    }
}

/// A list of actions of which the switch accepts every one. At most one tag is pushed, and
/// only where there was none: more than two are not looked behind.
fn some_list(dice: &mut Dice, rule: &Rule, candidates: &[Field], write: bool) -> Vec<Action> {
    let untagged = rule.matching.get(Field::VlanVid).is_some_and(|m| m.value == 0 && m.mask & 0x1000 != 0);
    let mut list: Vec<Action> = Vec::new();
    for _ in 0..dice.pick(&[0, 1, 2, 3, 5, 9]) {
        let action = some_action(dice, candidates);
        let pushed = list.iter().any(|a| matches!(a, Action::PushVlan(_)));
        if matches!(action, Action::PushVlan(_)) && (pushed || !untagged) {
            continue;
        }
        // Ports behind more than two tags are not looked for, though a pop may lay them bare.
        let ip = rule.matching.get(Field::EthType).is_some_and(|m| matches!(m.value, 0x0800 | 0x86dd));
        if matches!(action, Action::SetTpSrc(_) | Action::SetTpDst(_)) && !ip {
            continue;
        }
        list.push(action);
        let mut with = rule.clone();
        with.instructions = if write {
            Instructions { write: list.clone(), ..Instructions::default() }
        } else {
            Instructions::apply(list.clone())
        };
        if !is_accepted(&with) {
            list.pop();
        }
    }
    // Mostly one output, and mostly at the end: what the fast path does alone.
    if !write && dice.chance(75) {
        list.sort_by_key(|a| matches!(a, Action::Output { .. }));
        let edits = list.iter().filter(|a| !matches!(a, Action::Output { .. })).count();
        list.truncate(edits + dice.pick(&[0, 1, 1, 1, 2]));
    }
    list
}

/// Whether switch and compiler take a flow.
fn is_accepted(rule: &Rule) -> bool {
    let Rule { table, priority, matching, instructions, .. } = rule.clone();
    let add = FlowMod::add(TableId(table), priority, matching, instructions, Cookie(0));
    check(&add, 16, &paths::ports()).is_ok()
        && compile(rule.id, add.table, priority, &add.matching, &add.instructions).is_ok()
}

/// Instructions for the flow, which may go on to `later` tables.
pub fn some_instructions(dice: &mut Dice, rule: &Rule, later: &[u8]) -> Instructions {
    let eth_type = rule.matching.get(Field::EthType).map_or(0, |t| t.value);
    let candidates = fields(eth_type, rule.matching.get(Field::IpProto).map(|p| p.value));
    let goto = (!later.is_empty() && dice.chance(55)).then(|| TableId(dice.pick(later)));
    let mut apply = if dice.chance(80) { some_list(dice, rule, &candidates, false) } else { vec![] };
    let write = if dice.chance(30) { some_list(dice, rule, &candidates, true) } else { vec![] };
    if goto.is_none() && dice.chance(70) && !apply.iter().any(|a| matches!(a, Action::Output { .. })) {
        apply.push(Action::output(dice.pick(&paths::PORTS)));
    }
    let masks = [u64::MAX, 0xff, 1 << 63];
    let metadata = dice.chance(30).then(|| (some_value(dice, Field::Metadata) as u64, dice.pick(&masks)));
    Instructions { meter: None, apply, clear: dice.chance(10), write, metadata, goto }
}

/// A flow of `table` that takes this frame or one like it, and may go on to `later` tables.
pub fn some_rule(dice: &mut Dice, id: FlowId, table: u8, later: &[u8], in_port: PortNo, frame: &[u8]) -> Rule {
    let miss = dice.chance(if table == 0 { 6 } else { 15 });
    let matching = if miss { Match::any() } else { some_match(dice, table, in_port, frame) };
    let priority = if miss { 0 } else { dice.pick(&[0, 1, 2, 5, 10, 10, 10, 11, 100, 65535]) };
    let mut rule = Rule { id, table, priority, matching, instructions: Instructions::drop() };
    rule.instructions = some_instructions(dice, &rule, later);
    assert!(is_accepted(&rule), "{rule:?}");
    rule
}
