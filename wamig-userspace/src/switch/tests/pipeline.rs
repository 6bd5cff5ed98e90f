//! What flows make of frames.

use std::net::Ipv4Addr;

use etherparse::{Ipv4HeaderSlice, SlicedPacket, TransportSlice};
use wamig_openflow::{Field, MacAddr, PacketInReason};

use super::*;
use crate::switch::fixtures::{MAC1, MAC2, arp_request, sctp, udp};

const S: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 53);
const T: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 200);
const G1: MacAddr = MacAddr([2, 0, 0, 0, 0, 0x11]);
const W1: MacAddr = MacAddr([2, 0x57, 0x4d, 0, 0, 1]);

/// Both checksums of a UDP datagram, computed anew by another implementation.
fn assert_checksums(frame: &[u8]) {
    let ip = Ipv4HeaderSlice::from_slice(&frame[14..]).unwrap();
    assert_eq!(ip.to_header().calc_header_checksum(), ip.header_checksum());
    let Some(TransportSlice::Udp(udp)) = SlicedPacket::from_ethernet(frame).unwrap().transport else { panic!() };
    let sum = udp.to_header().calc_checksum_ipv4_raw(ip.source(), ip.destination(), udp.payload()).unwrap();
    assert_eq!(sum, udp.checksum());
}

#[test]
fn the_home_switch_turns_the_routers_packet_around() {
    let mut rig = Rig::new();
    let rewrite = [
        Action::set_mac(Field::EthSrc, W1),
        Action::set_mac(Field::EthDst, G1),
        Action::set_ip(Field::Ipv4Dst, T),
        Action::output(PortNo::IN_PORT),
    ];
    rig.add(0, 50100, Match::any().in_port(PortNo(1)).ipv4().ip(Field::Ipv4Dst, S), apply(&rewrite));
    let (frames, packet_ins) = rig.frame(1, &udp(S.octets(), 64));
    assert!(packet_ins.is_empty());
    let [(port, frame)] = frames.as_slice() else { panic!("{frames:?}") };
    assert_eq!((*port, &frame[..12]), (PortNo(1), [G1.0, W1.0].concat().as_slice()));
    assert_eq!(frame[30..34], T.octets());
    assert_checksums(frame);
    assert_eq!(ports(&rig.frame(2, &udp(S.octets(), 64))), [0u32; 0]);
}

#[test]
fn an_arp_request_is_answered_by_a_flow() {
    let mut rig = Rig::new();
    let reply = [
        Action::Move { src: Field::EthSrc, dst: Field::EthDst },
        Action::set_mac(Field::EthSrc, MAC2),
        Action::set(Field::ArpOp, 2),
        Action::Move { src: Field::ArpSha, dst: Field::ArpTha },
        Action::Move { src: Field::ArpSpa, dst: Field::ArpTpa },
        Action::set_mac(Field::ArpSha, MAC2),
        Action::set_ip(Field::ArpSpa, S),
        Action::output(PortNo::IN_PORT),
    ];
    rig.add(0, 50200, Match::any().arp().with(Field::ArpOp, 1).ip(Field::ArpTpa, S), apply(&reply));
    let (frames, _) = rig.frame(3, &arp_request(S.octets()));
    let head = [8, 6, 0, 1, 8, 0, 6, 4, 0, 2];
    let expected = [&MAC1.0[..], &MAC2.0, &head, &MAC2.0, &S.octets(), &MAC1.0, &[10, 0, 0, 1]].concat();
    assert_eq!(frames, [(PortNo(3), expected)]);
    assert_eq!(ports(&rig.frame(3, &arp_request([192, 0, 2, 54]))), [0u32; 0]);
}

#[test]
fn flood_and_port_lists_leave_the_ingress_port_out() {
    let mut rig = Rig::new();
    rig.add(0, 1, Match::any(), apply(&[Action::output(PortNo::FLOOD)]));
    let frame = udp(S.octets(), 64);
    assert_eq!(ports(&rig.frame(2, &frame)), [1, 3, PortNo::LOCAL.0]);
    rig.add(0, 2, Match::any(), apply(&[out(1), out(2)]));
    assert_eq!(ports(&rig.frame(2, &frame)), [1]);
    assert_eq!(ports(&rig.frame(3, &frame)), [1, 2]);
    rig.add(0, 3, Match::any(), apply(&[out(2)]));
    assert_eq!(ports(&rig.frame(2, &frame)), [0u32; 0], "hairpin needs IN_PORT");
    rig.add(0, 4, Match::any(), apply(&[Action::output(PortNo::LOCAL)]));
    assert_eq!(ports(&rig.frame(1, &frame)), [PortNo::LOCAL.0]);
    assert_eq!(ports(&rig.frame(PortNo::LOCAL.0, &frame)), [0u32; 0]);
}

#[test]
fn tables_follow_each_other_by_goto_and_metadata() {
    let mut rig = Rig::new();
    let mark = Instructions { metadata: Some((0x5, 0xf)), ..Instructions::goto(TableId(3)) };
    rig.add(0, 1, Match::any().in_port(PortNo(1)), mark);
    rig.add(0, 0, Match::any(), Instructions::goto(TableId(3)));
    rig.add(3, 2, Match::any().with_masked(Field::Metadata, 5, 0xff), apply(&[out(2)]));
    rig.add(3, 1, Match::any(), apply(&[out(3)]));
    let frame = udp(S.octets(), 64);
    assert_eq!(ports(&rig.frame(1, &frame)), [2]);
    assert_eq!(ports(&rig.frame(2, &frame)), [3]);
}

#[test]
fn what_one_table_rewrote_the_next_one_matches() {
    let mut rig = Rig::new();
    rig.add(0, 1, Match::any().ipv4(), apply(&[Action::set_ip(Field::Ipv4Dst, T)]).then_goto(TableId(1)));
    rig.add(1, 1, Match::any().ipv4().ip(Field::Ipv4Dst, T), apply(&[out(3)]));
    let (frames, _) = rig.frame(1, &udp(S.octets(), 64));
    assert_eq!(frames.len(), 1);
    assert_checksums(&frames[0].1);
}

#[test]
fn the_action_set_runs_last_and_in_the_order_of_the_specification() {
    let mut rig = Rig::new();
    let first =
        Instructions { write: vec![out(2), Action::set_mac(Field::EthDst, G1)], ..Instructions::goto(TableId(1)) };
    rig.add(0, 1, Match::any(), first);
    let second = Instructions { write: vec![out(3), Action::DecNwTtl], ..Instructions::default() };
    rig.add(1, 1, Match::any().ipv4(), second);
    let (frames, _) = rig.frame(1, &udp(S.octets(), 64));
    let [(PortNo(3), frame)] = frames.as_slice() else { panic!("{frames:?}") };
    assert_eq!((&frame[..6], frame[22]), (&G1.0[..], 63));
    assert_checksums(frame);
    rig.add(1, 2, Match::any().ipv4(), Instructions { clear: true, ..Instructions::default() });
    assert_eq!(ports(&rig.frame(1, &udp(S.octets(), 64))), [0u32; 0]);
}

#[test]
fn a_packet_in_carries_the_frame_as_it_stands_at_its_action() {
    let mut rig = Rig::new();
    let frame = udp(S.octets(), 64);
    rig.add(0, 7, Match::any().ipv4(), apply(&[Action::controller(), Action::set_ip(Field::Ipv4Dst, T), out(2)]));
    let (frames, packet_ins) = rig.frame(1, &frame);
    assert_eq!(frames.len(), 1);
    assert_eq!(packet_ins[0].data, frame, "before the edit");
    assert_eq!((packet_ins[0].table, packet_ins[0].cookie), (TableId(0), Cookie(7)));
    assert_eq!((packet_ins[0].reason, packet_ins[0].in_port), (PacketInReason::Action, PortNo(1)));
    rig.add(0, 8, Match::any().ipv4(), apply(&[Action::set_ip(Field::Ipv4Dst, T), Action::controller(), out(2)]));
    let (frames, packet_ins) = rig.frame(1, &frame);
    assert_eq!(packet_ins[0].data, frames[0].1, "behind the edit");
    let short = Action::Output { port: PortNo::CONTROLLER, max_len: 20 };
    rig.add(0, 9, Match::any(), apply(&[short]));
    let (_, packet_ins) = rig.frame(1, &frame);
    assert_eq!((packet_ins[0].data.as_ref(), packet_ins[0].total_len), (&frame[..20], frame.len() as u16));
}

#[test]
fn a_packet_in_tells_the_tunnel_id_at_its_action() {
    let mut rig = Rig::new();
    let tunnel = |id| Action::set(Field::TunnelId, id);
    rig.add(
        0,
        7,
        Match::any(),
        apply(&[Action::controller(), tunnel(7), Action::controller(), tunnel(0x1_0000_0000)]).then_goto(TableId(1)),
    );
    rig.add(1, 7, Match::any().with(Field::TunnelId, 0x1_0000_0000), apply(&[Action::controller()]));
    let (_, packet_ins) = rig.frame(1, &udp(S.octets(), 64));
    assert_eq!(packet_ins.iter().map(|p| p.tunnel_id).collect::<Vec<_>>(), [0, 7, 0x1_0000_0000]);
}

#[test]
fn the_table_miss_flow_says_so() {
    let mut rig = Rig::new();
    assert_eq!(rig.frame(1, &udp(S.octets(), 64)), (vec![], vec![]));
    rig.add(0, 0, Match::any(), apply(&[Action::controller()]).then_goto(TableId(1)));
    rig.add(1, 0, Match::any(), apply(&[out(2)]));
    let (frames, packet_ins) = rig.frame(1, &udp(S.octets(), 64));
    assert_eq!((frames.len(), packet_ins[0].reason), (1, PacketInReason::NoMatch));
}

#[test]
fn a_ttl_that_runs_out_is_told_and_not_sent() {
    let mut rig = Rig::new();
    rig.add(0, 1, Match::any().ipv4(), apply(&[Action::DecNwTtl, out(2)]));
    assert_eq!(ports(&rig.frame(1, &udp(S.octets(), 2))), [2]);
    let expired = udp(S.octets(), 1);
    let (frames, packet_ins) = rig.frame(1, &expired);
    assert!(frames.is_empty());
    assert_eq!((packet_ins[0].reason, packet_ins[0].data.as_ref()), (PacketInReason::InvalidTtl, expired.as_slice()));
}

#[test]
fn copies_that_differ_go_by_the_slow_path() {
    let mut rig = Rig::new();
    let frame = udp(S.octets(), 64);
    let actions =
        [out(2), Action::set_mac(Field::EthDst, G1), out(3), Action::controller(), Action::PushVlan(0x8100), out(2)];
    rig.add(0, 4, Match::any(), apply(&actions));
    let flows = rig.switch.dump_flows(&Selector::all(), rig.now);
    assert_eq!(flows[0].slow, Some("edit-after-output"));
    let (frames, packet_ins) = rig.frame(1, &frame);
    let edited = [&G1.0[..], &frame[6..]].concat();
    let tagged = [&edited[..12], &[0x81, 0, 0, 0], &edited[12..]].concat();
    assert_eq!(frames, [(PortNo(2), frame), (PortNo(2), tagged), (PortNo(3), edited.clone())]);
    assert_eq!((packet_ins[0].cookie, packet_ins[0].data.as_ref()), (Cookie(4), edited.as_slice()));
    assert_eq!(rig.switch.slow_counters().frames, 1);
}

#[test]
fn hairpin_beside_other_outputs_goes_by_the_slow_path() {
    let mut rig = Rig::new();
    rig.add(0, 4, Match::any(), apply(&[Action::output(PortNo::IN_PORT), Action::output(PortNo::ALL)]));
    assert_eq!(ports(&rig.frame(1, &udp(S.octets(), 64))), [1, 2, 3, PortNo::LOCAL.0]);
}

#[test]
fn the_slow_path_is_limited_and_takes_whole_frames_only() {
    let mut rig = Rig::with(MemoryMaps::default(), Limits { slow_rate: 10, slow_burst: 2, ..Limits::default() });
    rig.add(0, 1, Match::any(), apply(&[out(2), out(2)]));
    let frame = udp(S.octets(), 64);
    let sent: Vec<usize> = (0..4).map(|_| rig.frame(1, &frame).0.len()).collect();
    assert_eq!(sent, [2, 2, 0, 0]);
    rig.pass(1);
    assert_eq!(rig.frame(1, &frame).0.len(), 2);
    let cut = Punt {
        in_port: PortNo(1),
        reason: PuntReason::Slow,
        flow: None,
        metadata: 0,
        frame_len: 9000,
        frame: Bytes::from(frame),
    };
    assert!(rig.switch.on_punt(cut, rig.now).is_empty());
    let counters = rig.switch.slow_counters();
    assert_eq!((counters.frames, counters.limited, counters.cut), (3, 2, 1));
}

#[test]
fn sctp_ports_are_rewritten_by_the_slow_path() {
    let mut rig = Rig::new();
    let matching = Match::any().ipv4().with(Field::IpProto, 132);
    rig.add(0, 1, matching, apply(&[Action::set(Field::SctpDst, 443), out(2)]));
    assert_eq!(rig.frame(1, &sctp(80)).0, [(PortNo(2), sctp(443))]);
    assert_eq!(rig.switch.slow_counters().frames, 1);
}
