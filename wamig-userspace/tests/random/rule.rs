//! Random flows that take a given frame, or nearly do.

use wamig_openflow::{Action, Cookie, Field, FlowMod, GroupId, Instructions, Match, PortNo, TableId};
use wamig_userspace::fastpath::FlowId;
use wamig_userspace::fastpath::compile::compile;
use wamig_userspace::switch::validate::{Headers, check, check_bucket};

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
const ND: [Field; 3] = [Field::Ipv6NdTarget, Field::Ipv6NdSll, Field::Ipv6NdTll];
const MPLS: [Field; 3] = [Field::MplsLabel, Field::MplsTc, Field::MplsBos];
const ARP: [Field; 5] = [Field::ArpOp, Field::ArpSpa, Field::ArpTpa, Field::ArpSha, Field::ArpTha];

/// The fields of a frame of this type and protocol.
fn fields(eth_type: u128, proto: Option<u128>) -> Vec<Field> {
    let ip: Vec<Field> = match eth_type {
        0x0800 => [&IP[..], &V4].concat(),
        0x86dd => [&IP[..], &V6].concat(),
        0x0806 => ARP.to_vec(),
        0x8847 | 0x8848 => MPLS.to_vec(),
        _ => vec![],
    };
    let l4 = match (eth_type, proto) {
        (_, Some(6)) => vec![Field::TcpSrc, Field::TcpDst],
        (_, Some(17)) => vec![Field::UdpSrc, Field::UdpDst],
        (_, Some(132)) => vec![Field::SctpSrc, Field::SctpDst],
        (0x0800, Some(1)) => vec![Field::Icmpv4Type, Field::Icmpv4Code],
        (0x86dd, Some(58)) => [&[Field::Icmpv6Type, Field::Icmpv6Code][..], &ND].concat(),
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
    if let Some(kind) = value(Field::Icmpv6Type).filter(|_| dice.chance(60)) {
        let with = m.clone().with(Field::Icmpv6Type, kind);
        m = if with.validate().is_ok() { with } else { m };
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

/// Actions for a bucket of a group; `groups` are there already. Without those of OpenFlow 1.0, as groups are told in 1.3,
/// and without what Open vSwitch does to frames that lack the header: it pops any bytes as a label, a label's TTL that is not
/// there runs out, and a tag is added for the sake of its fields.
pub fn some_bucket_actions(dice: &mut Dice, groups: u32) -> Vec<Action> {
    let l4 = [Field::TcpSrc, Field::TcpDst, Field::UdpSrc, Field::UdpDst, Field::SctpDst, Field::Icmpv4Code];
    // It sets neither every opcode of ARP nor the bottom of stack.
    let candidates = [&L2[1..3], &IP, &V4, &V6, &ARP[1..], &l4, &MPLS[..2]].concat();
    let is_left_out = |action: &Action| {
        matches!(
            action,
            Action::SetTpSrc(_)
                | Action::SetTpDst(_)
                | Action::SetVlanVid(_)
                | Action::SetVlanPcp(_)
                | Action::PopMpls(_)
                | Action::DecMplsTtl
        )
    };
    // A mask adds to what is set before, which is no part of an action set in wamig.
    let adds = |action: &Action, list: &[Action]| match action {
        Action::SetField { field, mask, .. } => {
            let is_same = |a: &Action| matches!(a, Action::SetField { field: before, .. } if before == field);
            *mask != field.full_mask() && list.iter().any(is_same)
        }
        _ => false,
    };
    let mut list = Vec::new();
    for _ in 0..dice.pick(&[0, 1, 1, 2, 4]) {
        let action = some_action(dice, &candidates, groups);
        if !is_left_out(&action) && !adds(&action, &list) {
            list.push(action);
            if check_bucket(&list, &paths::ports()).is_err() {
                list.pop();
            }
        }
    }
    let is_output = |a: &Action| matches!(a, Action::Output { .. } | Action::Group(_));
    if !list.iter().any(is_output) && (dice.chance(85) || list.contains(&Action::DecNwTtl)) {
        list.push(Action::output(dice.pick(&paths::PORTS)));
    }
    list
}

/// What flows may do.
#[derive(Clone, Copy, Debug, Default)]
pub struct Abilities {
    /// They may name the groups from 1 to this.
    pub groups: u32,
    /// When they pop a label they say what is below it, as far as their match tells. Else they say anything.
    pub truthful: bool,
    /// They write the fields of neighbour discovery, else type and code of ICMPv6: with both it would be an open question
    /// whether a message is one of neighbour discovery between two actions.
    pub neighbours: bool,
    /// They write no actions for the end of the pipeline, and push no labels.
    pub at_once: bool,
}

/// An action that the switch might accept.
fn some_action(dice: &mut Dice, candidates: &[Field], groups: u32) -> Action {
    match dice.below(if groups > 0 { 29 } else { 27 }) {
        0..3 => Action::output(dice.pick(&paths::PORTS)),
        3 => Action::output(dice.pick(&[PortNo::IN_PORT, PortNo::FLOOD, PortNo::ALL])),
        4 => Action::Output { port: PortNo::CONTROLLER, max_len: dice.pick(&[0, 14, 64, 0xffff]) },
        5 => Action::PushVlan(dice.pick(&[0x8100, 0x88a8])),
        6 | 7 => Action::PopVlan,
        8 => Action::DecNwTtl,
        9 => Action::SetNwTtl(dice.pick(&[1, 2, 255])),
        20 => dice.pick(&[Action::SetVlanVid(0), Action::SetVlanVid(100), Action::SetVlanPcp(5)]),
        21 => dice.pick(&[Action::SetTpSrc(7), Action::SetTpDst(0xffff), Action::SetTpDst(0)]),
        22 => Action::PushMpls(dice.pick(&[0x8847, 0x8847, 0x8848])),
        23 => Action::PopMpls(dice.pick(&[0x0800, 0x86dd, 0x0806, 0x8847, 0x88cc])),
        24 => Action::SetMplsTtl(dice.pick(&[0, 1, 64])),
        25 => Action::DecMplsTtl,
        26 => {
            let field = dice.pick(&MPLS[..2]);
            Action::SetField { field, value: some_value(dice, field), mask: field.full_mask() }
        }
        27.. => Action::Group(GroupId(1 + dice.below(groups as usize) as u32)),
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
/// only where there was none, by the rule's other list (`before`) or by this one: more than two
/// are not looked behind.
fn some_list(
    dice: &mut Dice,
    rule: &Rule,
    candidates: &[Field],
    before: Option<&[Action]>,
    can: Abilities,
) -> Vec<Action> {
    let write = before.is_some();
    let has_pushed = before.is_some_and(|list| list.iter().any(|a| matches!(a, Action::PushVlan(_))));
    let untagged =
        !has_pushed && rule.matching.get(Field::VlanVid).is_some_and(|m| m.value == 0 && m.mask & 0x1000 != 0);
    let mut list: Vec<Action> = Vec::new();
    for _ in 0..dice.pick(&[0, 1, 2, 3, 5, 9]) {
        // Open vSwitch ends when an action set needs its datapath to read the frame anew behind a label.
        let action = some_action(dice, candidates, can.groups);
        let may = match action {
            Action::PopMpls(_) if can.truthful => can.at_once && is_truthful(&action, rule, &list),
            Action::PushMpls(_) => !can.at_once,
            _ => true,
        };
        if !may {
            continue;
        }
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

/// Whether a pop of a label may say the truth about what is below it.
fn is_truthful(pop: &Action, rule: &Rule, before: &[Action]) -> bool {
    let Action::PopMpls(below) = pop else { return true };
    let is_mpls = matches!(below, 0x8847 | 0x8848);
    let changed = before.iter().any(|a| {
        matches!(a, Action::PopMpls(_) | Action::PushMpls(_) | Action::SetField { field: Field::MplsBos, .. })
    });
    !changed && rule.matching.get(Field::MplsBos).is_some_and(|m| m.value == u128::from(!is_mpls))
}

/// Whether switch and compiler take a flow.
fn is_accepted(rule: &Rule) -> bool {
    let Rule { table, priority, matching, instructions, .. } = rule.clone();
    let add = FlowMod::add(TableId(table), priority, matching, instructions, Cookie(0));
    check(&add, Headers::Named, 16, &paths::ports()).is_ok()
        && compile(rule.id, add.table, priority, &add.matching, &add.instructions).is_ok()
}

/// Instructions for the flow, which may go on to `later` tables, and do what it can.
pub fn some_instructions(dice: &mut Dice, rule: &Rule, later: &[u8], can: Abilities) -> Instructions {
    let eth_type = rule.matching.get(Field::EthType).map_or(0, |t| t.value);
    let mut candidates = fields(eth_type, rule.matching.get(Field::IpProto).map(|p| p.value));
    candidates.retain(|f| match f {
        Field::Icmpv6Type | Field::Icmpv6Code => !can.neighbours,
        f => can.neighbours || !ND.contains(f),
    });
    let goto = (!later.is_empty() && dice.chance(55)).then(|| TableId(dice.pick(later)));
    let mut apply = if dice.chance(80) { some_list(dice, rule, &candidates, None, can) } else { vec![] };
    let written = !can.at_once && dice.chance(30);
    let write = if written { some_list(dice, rule, &candidates, Some(&apply), can) } else { vec![] };
    if goto.is_none() && dice.chance(70) && !apply.iter().any(|a| matches!(a, Action::Output { .. })) {
        apply.push(Action::output(dice.pick(&paths::PORTS)));
    }
    let masks = [u64::MAX, 0xff, 1 << 63];
    let metadata = dice.chance(30).then(|| (some_value(dice, Field::Metadata) as u64, dice.pick(&masks)));
    Instructions { meter: None, apply, clear: dice.chance(10), write, metadata, goto }
}

/// Where a flow stands and what it may go on to.
pub struct Place<'a> {
    /// Its name.
    pub id: FlowId,
    /// Its table.
    pub table: u8,
    /// Tables behind it.
    pub later: &'a [u8],
    /// What it may do.
    pub can: Abilities,
}

/// A flow that takes this frame or one like it.
pub fn some_rule(dice: &mut Dice, place: &Place<'_>, in_port: PortNo, frame: &[u8]) -> Rule {
    let Place { id, table, later, can } = *place;
    let miss = dice.chance(if table == 0 { 6 } else { 15 });
    let matching = if miss { Match::any() } else { some_match(dice, table, in_port, frame) };
    let priority = if miss { 0 } else { dice.pick(&[0, 1, 2, 5, 10, 10, 10, 11, 100, 65535]) };
    let mut rule = Rule { id, table, priority, matching, instructions: Instructions::drop() };
    rule.instructions = some_instructions(dice, &rule, later, can);
    assert!(is_accepted(&rule), "{rule:?}");
    rule
}
