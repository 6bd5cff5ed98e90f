//! Compiled keys against the meaning of a match, read from the frame by another parser;
//! compiled actions against frames edited by hand.

use std::net::Ipv4Addr;

use etherparse::{Ipv4HeaderSlice, Ipv6HeaderSlice, PacketBuilder};
use proptest::prelude::*;
use wamig_common::execute::Context;
use wamig_common::extract::{Layout, extract};
use wamig_common::native::{Emission, PASS, run_list};
use wamig_openflow::{MacAddr, PortNo};

use super::*;

const A: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);
const B: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 53);

/// What a frame says about a field, read with `etherparse` and by hand; `None` = the frame
/// has no such field.
fn read(frame: &[u8], in_port: u32, field: Field) -> Option<u128> {
    let be = |b: &[u8]| b.iter().fold(0u128, |n, x| n << 8 | u128::from(*x));
    let tagged = frame[12..14] == [0x81, 0];
    let l3 = if tagged { 18 } else { 14 };
    let eth_type = be(&frame[l3 - 2..l3]);
    let v4 = (eth_type == 0x0800).then(|| Ipv4HeaderSlice::from_slice(&frame[l3..]).unwrap());
    let v6 = (eth_type == 0x86dd).then(|| Ipv6HeaderSlice::from_slice(&frame[l3..]).unwrap());
    let arp = (eth_type == 0x0806).then(|| &frame[l3..]);
    let l4 = || match eth_type {
        0x0800 => Some(&frame[l3 + 20..]),
        0x86dd => Some(&frame[l3 + 40..]),
        _ => None,
    };
    let proto = || v4.as_ref().map(|h| h.protocol().0).or(v6.as_ref().map(|h| h.next_header().0));
    let port = |p: u8, at: usize| if proto()? == p { Some(be(&l4()?[at..at + 2])) } else { None };
    let icmp = |p: u8, at: usize| if proto()? == p { Some(be(&l4()?[at..=at])) } else { None };
    let tos = || v4.as_ref().map(|h| h.slice()[1]).or(v6.as_ref().map(Ipv6HeaderSlice::traffic_class));
    match field {
        Field::InPort | Field::InPhyPort => Some(u128::from(in_port)),
        Field::Metadata | Field::TunnelId => Some(0),
        Field::Ipv6Exthdr => v6.map(|_| 0),
        Field::EthDst => Some(be(&frame[..6])),
        Field::EthSrc => Some(be(&frame[6..12])),
        Field::EthType => Some(eth_type),
        Field::VlanVid => Some(if tagged { 0x1000 | be(&frame[14..16]) & 0xfff } else { 0 }),
        Field::VlanPcp => tagged.then(|| be(&frame[14..15]) >> 5),
        Field::IpDscp => Some(u128::from(tos()? >> 2)),
        Field::IpEcn => Some(u128::from(tos()? & 3)),
        Field::IpProto => proto().map(u128::from),
        Field::Ipv4Src => Some(be(&v4.as_ref()?.source())),
        Field::Ipv4Dst => Some(be(&v4.as_ref()?.destination())),
        Field::TcpSrc => port(6, 0),
        Field::TcpDst => port(6, 2),
        Field::UdpSrc => port(17, 0),
        Field::UdpDst => port(17, 2),
        Field::SctpSrc => port(132, 0),
        Field::SctpDst => port(132, 2),
        Field::Icmpv4Type => icmp(1, 0),
        Field::Icmpv4Code => icmp(1, 1),
        Field::Icmpv6Type => icmp(58, 0),
        Field::Icmpv6Code => icmp(58, 1),
        Field::ArpOp => Some(be(&arp?[6..8])),
        Field::ArpSpa => Some(be(&arp?[14..18])),
        Field::ArpTpa => Some(be(&arp?[24..28])),
        Field::ArpSha => Some(be(&arp?[8..14])),
        Field::ArpTha => Some(be(&arp?[18..24])),
        Field::Ipv6Src => Some(be(&v6.as_ref()?.source())),
        Field::Ipv6Dst => Some(be(&v6.as_ref()?.destination())),
        Field::Ipv6Flabel => Some(u128::from(v6.as_ref()?.flow_label().value())),
        _ => None,
    }
}

fn takes(matching: &Match, frame: &[u8], in_port: u32) -> bool {
    matching.iter().all(|(field, m)| read(frame, in_port, field).is_some_and(|v| v & m.mask == m.value))
}

fn bytes(builder: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut out = Vec::new();
    builder(&mut out);
    out
}

/// Frames of every kind the extractor knows, few different values so that matches hit.
fn some_frame() -> impl Strategy<Value = Vec<u8>> {
    let mac = prop::array::uniform6(0u8..2);
    let tag = prop::option::of((0u16..3, 0u8..8));
    let addr = prop_oneof![Just(0u8), Just(1), Just(128)];
    (mac.clone(), mac, tag, 0u8..6, (addr.clone(), addr), (0u16..3, 0u16..3), any::<u8>(), 0u32..3).prop_map(
        |(dst, src, tag, kind, (s, d), (sp, dp), tos, label)| {
            let inner = bytes(|out| {
                let eth = PacketBuilder::ethernet2(src, dst);
                let v4 = etherparse::Ipv4Header {
                    dscp: (tos >> 2).try_into().unwrap(),
                    ecn: (tos & 3).try_into().unwrap(),
                    ..etherparse::Ipv4Header::new(0, 64, etherparse::IpNumber::UDP, [10, 0, 0, s], [10, 0, 0, d])
                        .unwrap()
                };
                let v6 = etherparse::Ipv6Header {
                    traffic_class: tos,
                    flow_label: label.try_into().unwrap(),
                    hop_limit: 64,
                    source: [s; 16],
                    destination: [d; 16],
                    ..etherparse::Ipv6Header::default()
                };
                let v4 = || etherparse::IpHeaders::Ipv4(v4.clone(), etherparse::Ipv4Extensions::default());
                let v6 = || etherparse::IpHeaders::Ipv6(v6.clone(), etherparse::Ipv6Extensions::default());
                let done = match kind {
                    0 => eth.ip(v4()).udp(sp, dp).write(out, &[7; 20]),
                    1 => eth.ip(v4()).tcp(sp, dp, 1, 1).write(out, &[7; 20]),
                    2 => eth.ip(v4()).icmpv4_raw(sp as u8, dp as u8, [0; 4]).write(out, &[7; 20]),
                    3 => eth.ip(v6()).udp(sp, dp).write(out, &[7; 20]),
                    4 => eth.ip(v6()).icmpv6_raw(sp as u8, dp as u8, [0; 4]).write(out, &[7; 20]),
                    _ => {
                        out.extend([dst, src].concat());
                        out.extend([8, 6, 0, 1, 8, 0, 6, 4, 0, sp as u8]);
                        out.extend(src);
                        out.extend([10, 0, 0, s]);
                        out.extend(dst);
                        out.extend([10, 0, 0, d]);
                        Ok(())
                    }
                };
                done.unwrap();
            });
            match tag {
                None => inner,
                Some((vid, pcp)) => {
                    let tci = (u16::from(pcp) << 13 | vid).to_be_bytes();
                    [&inner[..12], &[0x81, 0], &tci, &inner[12..]].concat()
                }
            }
        },
    )
}

/// A valid match: fields picked from a frame (so that it hits) or random, with prerequisites.
fn some_match(frame: &[u8], picks: &[(prop::sample::Index, u128, u128, bool)]) -> Match {
    let mut matching = Match::any();
    let fields = Field::ALL;
    for (index, noise, mask, from_frame) in picks {
        let field = fields[index.index(fields.len())];
        let seen = read(frame, 1, field);
        let value = if *from_frame { seen.unwrap_or(*noise) } else { *noise };
        let mask = if field.maskable() { *mask } else { u128::MAX };
        let with_field = matching.clone().with_masked(field, value, mask);
        for (eth, proto) in [(None, None), (read(frame, 1, Field::EthType), read(frame, 1, Field::IpProto))] {
            let mut m = with_field.clone();
            m = eth.map_or(m.clone(), |v| m.with(Field::EthType, v));
            m = proto.map_or(m.clone(), |v| m.with(Field::IpProto, v));
            if m.validate().is_ok() {
                matching = m;
                break;
            }
        }
    }
    matching
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]
    #[test]
    fn a_key_matches_iff_the_match_takes_the_frame(
        frame in some_frame(),
        other in some_frame(),
        picks in prop::collection::vec((any::<prop::sample::Index>(), any::<u128>(), any::<u128>(), prop::bool::weighted(0.9)), 0..6),
    ) {
        let matching = some_match(&frame, &picks);
        let (key, mask) = key_and_mask(&matching);
        prop_assert_eq!(key, key.masked(&mask), "bits outside the mask");
        for f in [&frame, &other] {
            let (mut k, mut layout) = (FlowKey::default(), Layout::default());
            extract(f.as_slice(), 1, &mut k, &mut layout).unwrap();
            prop_assert_eq!(k.matches(&key, &mask), takes(&matching, f, 1), "{} on {:02x?}", matching, f);
        }
    }

    #[test]
    fn a_written_field_reads_back_and_nothing_else_changes(
        frame in some_frame(),
        index in any::<prop::sample::Index>(),
        noise in any::<u128>(),
        bits in any::<u128>(),
    ) {
        // Behind types and protocols are other fields, a tunnel id is not in the frame.
        let alone = |f: &Field| f.settable() && !matches!(f, Field::EthType | Field::IpProto | Field::TunnelId);
        let settable: Vec<_> = Field::ALL.iter().copied().filter(alone).collect();
        let field = settable[index.index(settable.len())];
        let Some(old) = read(&frame, 1, field) else { return Ok(()) };
        if field == Field::VlanVid && old == 0 {
            return Ok(());
        }
        let mask = if field.maskable() { bits & field.full_mask() } else { field.full_mask() };
        let present = if field == Field::VlanVid { 0x1000 } else { 0 };
        let action = Action::SetField { field, value: noise & mask | present, mask: mask | present };
        let types = Match::any().with(Field::EthType, read(&frame, 1, Field::EthType).unwrap());
        let ops = apply_list(&[action, Action::output(PortNo(2))], &types, &mut Vec::new()).unwrap();
        let edited = emit(&ops, &frame);
        prop_assert_eq!(read(&edited, 1, field), Some(old & !mask | noise & mask | present));
        let sums = [Field::EthType, Field::IpProto];
        for f in Field::ALL.iter().filter(|f| **f != field && !sums.contains(f)) {
            prop_assert_eq!(read(&edited, 1, *f), read(&frame, 1, *f), "{:?}", f);
        }
    }
}

/// The frame as the first output of `ops` sends it.
fn emit(ops: &[Op], frame: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let cx = Context { flow: 0, metadata: 0, miss: false };
    let mut sink = |e: Emission<'_>| {
        out.push([e.header, e.rest].concat());
        PASS
    };
    run_list(ops, 1, 1, frame, (cx, 0), &mut sink).unwrap();
    out.remove(0)
}

fn instructions(apply: Vec<Action>) -> Instructions {
    Instructions::apply(apply)
}

fn compile_v4(i: &Instructions) -> CompiledFlow {
    compile(FlowId(1), TableId(0), 9, &Match::any().ipv4(), i).unwrap()
}

fn out(port: u32) -> Action {
    Action::output(PortNo(port))
}

fn edit() -> Action {
    Action::set_mac(Field::EthDst, MacAddr([2, 0, 0, 0, 0, 7]))
}

#[test]
fn an_arp_request_becomes_its_own_reply_by_moves() {
    let server = MacAddr([2, 0, 0, 0, 0, 0x53]);
    let asker = MacAddr([2, 0, 0, 0, 0, 1]);
    let arp = |dst: MacAddr, src: MacAddr, op: u8, spa: Ipv4Addr, tha: MacAddr, tpa: Ipv4Addr| {
        let head = [8, 6, 0, 1, 8, 0, 6, 4, 0, op];
        [&dst.0[..], &src.0, &head, &src.0, &spa.octets(), &tha.0, &tpa.octets()].concat()
    };
    let actions = [
        Action::Move { src: Field::EthSrc, dst: Field::EthDst },
        Action::set_mac(Field::EthSrc, server),
        Action::set(Field::ArpOp, 2),
        Action::Move { src: Field::ArpSha, dst: Field::ArpTha },
        Action::Move { src: Field::ArpSpa, dst: Field::ArpTpa },
        Action::set_mac(Field::ArpSha, server),
        Action::set_ip(Field::ArpSpa, B),
        Action::output(PortNo::IN_PORT),
    ];
    let flow = compile(FlowId(1), TableId(0), 1, &Match::any().arp(), &instructions(actions.to_vec())).unwrap();
    assert_eq!((flow.apply.len(), flow.slow), (8, None));
    let request = arp(MacAddr::BROADCAST, asker, 1, A, MacAddr::ZERO, B);
    assert_eq!(emit(&flow.apply, &request), arp(asker, server, 2, B, asker, A));
}

#[test]
fn outputs_of_one_frame_become_one_operation() {
    let flow = compile_v4(&instructions(vec![out(3), Action::controller(), out(1), Action::output(PortNo::LOCAL)]));
    assert_eq!(flow.apply.iter().map(|o| o.kind).collect::<Vec<_>>(), [action::CONTROLLER, action::OUTPUT_SET]);
    assert_eq!(flow.sets, [vec![1, 3, PortNo::LOCAL.0]]);
    assert_eq!(flow.slow, None);
    let flow = compile_v4(&instructions(vec![Action::output(PortNo::FLOOD)]));
    assert_eq!((flow.sets, flow.slow), (vec![vec![PortNo::FLOOD.0]], None));
    let flow = compile_v4(&instructions(vec![Action::output(PortNo::LOCAL)]));
    assert_eq!((flow.apply[0].kind, flow.apply[0].value), (action::OUTPUT, u64::from(LOCAL_INDEX)));
    let many = (1..=40).map(out).collect();
    assert_eq!(compile_v4(&instructions(many)).apply.len(), 1);
}

#[test]
fn what_one_plan_cannot_hold_is_slow_and_says_why() {
    let in_port = || Action::output(PortNo::IN_PORT);
    let sctp = Action::set(Field::SctpDst, 5);
    for (apply, expected) in [
        (vec![out(1), edit(), out(2)], Some(SlowReason::EditAfterOutput)),
        (vec![edit(), Action::controller(), edit(), out(2)], Some(SlowReason::EditAfterOutput)),
        (vec![in_port(), out(2)], Some(SlowReason::SeveralOutputs)),
        (vec![out(2), out(2)], Some(SlowReason::SeveralOutputs)),
        (vec![Action::output(PortNo::FLOOD), out(2)], Some(SlowReason::SeveralOutputs)),
        (vec![Action::controller(), Action::controller()], Some(SlowReason::SeveralPacketIns)),
        (vec![sctp, out(2)], Some(SlowReason::Sctp)),
        (vec![Action::controller(), edit(), Action::controller(), out(2)], None),
        (vec![edit(), out(2), out(3), Action::controller()], None),
    ] {
        assert_eq!(compile_v4(&instructions(apply.clone())).slow, expected, "{apply:?}");
    }
}

#[test]
fn the_action_set_counts_where_it_runs() {
    let both = Instructions { write: vec![edit()], ..instructions(vec![out(1)]) };
    assert_eq!(compile_v4(&both).slow, Some(SlowReason::EditAfterOutput));
    assert_eq!(compile_v4(&both.then_goto(TableId(1))).slow, None);
    // The output comes last in the set, wherever it is written.
    let set = Instructions { write: vec![out(1), edit(), Action::DecNwTtl, out(2)], ..Instructions::default() };
    let flow = compile_v4(&set);
    assert_eq!(flow.slow, None);
    assert_eq!(flow.write.len(), 3, "of two outputs the last one stays");
    assert_eq!(flow.write.last().unwrap().value, 2);
}

#[test]
fn sixteen_operations_fit_and_seventeen_do_not() {
    let edits = |n| instructions((0..n).map(|_| edit()).collect());
    assert_eq!(compile_v4(&edits(16)).apply.len(), 16);
    let err = compile(FlowId(1), TableId(0), 1, &Match::any(), &edits(17)).unwrap_err();
    assert_eq!(err.kind, ErrorKind::BadActionTooMany);
    assert!(err.detail.contains("17") && err.detail.contains("16"), "{err}");
}

#[test]
fn the_match_decides_which_header_holds_dscp_and_ttl() {
    let i = instructions(vec![Action::set(Field::IpDscp, 46), Action::SetNwTtl(3)]);
    let v4 = compile(FlowId(1), TableId(0), 1, &Match::any().ipv4(), &i).unwrap();
    let v6 = Match::any().with(Field::EthType, 0x86dd);
    assert_ne!(v4.apply, compile(FlowId(1), TableId(0), 1, &v6, &i).unwrap().apply);
    let err = compile(FlowId(1), TableId(0), 1, &Match::any(), &i).unwrap_err();
    assert_eq!(err.kind, ErrorKind::BadActionMatchInconsistent);
}

#[test]
fn metadata_and_goto_are_carried_over() {
    let i = Instructions { metadata: Some((0xff, 0x0f)), clear: true, ..Instructions::goto(TableId(3)) };
    let flow = compile_v4(&i);
    assert_eq!((flow.metadata, flow.clear, flow.goto), ((0x0f, 0x0f), true, Some(3)));
}
