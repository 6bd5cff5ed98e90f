//! Flows, ports and frames that the tests of the switch share.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Instant;

use etherparse::PacketBuilder;
use proptest::prelude::*;
use wamig_openflow::flow_match::{ETH_TYPE_ARP, ETH_TYPE_IPV4};
use wamig_openflow::message::PortState;
use wamig_openflow::{
    Action, Cookie, Field, FlowMod, FlowModCommand, FlowModFlags, Instructions, MacAddr, Match, PortDesc, PortNo,
    TableId,
};

use super::flow_table::Flow;
use super::sctp::crc32c;
use crate::fastpath::FlowId;

/// A permanent flow of priority 100 that takes frames of one port and drops them.
pub fn flow(id: u64, table: u8, in_port: u32, added: Instant) -> Flow {
    Flow {
        id: FlowId(id),
        table: TableId(table),
        priority: 100,
        matching: Arc::new(Match::any().in_port(PortNo(in_port))),
        cookie: Cookie(id),
        idle_timeout: 0,
        hard_timeout: 0,
        flags: FlowModFlags::default(),
        instructions: Arc::new(Instructions::drop()),
        slow: None,
        added,
    }
}

/// A port that is up.
pub fn port(number: u32) -> PortDesc {
    PortDesc {
        port: PortNo(number),
        mac: MacAddr([2, 0, 0, 0, 0, number as u8]),
        name: format!("p{number}"),
        link_up: true,
        mtu: 1500,
        state: PortState { live: true, ..PortState::default() },
        ..PortDesc::default()
    }
}

/// Matches of a small world, so that equal, wider, narrower and overlapping ones all occur.
pub fn some_match() -> impl Strategy<Value = Match> {
    let eth = prop_oneof![Just(None), Just(Some(ETH_TYPE_IPV4)), Just(Some(ETH_TYPE_ARP))];
    let prefix = prop_oneof![Just(0u8), Just(8), Just(31), Just(32)];
    (prop::option::of(1u32..3), eth, 0u32..4, prefix).prop_map(|(port, eth, host, len)| {
        let m = port.map_or(Match::any(), |p| Match::any().in_port(PortNo(p)));
        let Some(eth) = eth else { return m };
        let field = if eth == ETH_TYPE_ARP { Field::ArpTpa } else { Field::Ipv4Dst };
        m.with(Field::EthType, u128::from(eth)).ip_prefix(field, Ipv4Addr::from(0x0a00_0000 | host), len)
    })
}

/// Flow-mods of that world; some of them are refused.
pub fn some_mod() -> impl Strategy<Value = FlowMod> {
    let command = prop_oneof![
        6 => Just(FlowModCommand::Add),
        1 => Just(FlowModCommand::Modify),
        1 => Just(FlowModCommand::ModifyStrict),
        1 => Just(FlowModCommand::Delete),
        1 => Just(FlowModCommand::DeleteStrict),
    ];
    let table = prop_oneof![8 => 0u8..3, 1 => Just(0xff)];
    let out = prop_oneof![6 => 1u32..4, 1 => Just(9)];
    let flags =
        (any::<bool>(), prop::bool::weighted(0.1), any::<bool>()).prop_map(|(removed, overlap, reset)| FlowModFlags {
            send_flow_removed: removed,
            check_overlap: overlap,
            reset_counts: reset,
            ..FlowModFlags::default()
        });
    let filter =
        (0u64..4, prop_oneof![Just(0u64), Just(1), Just(3)], prop_oneof![3 => Just(PortNo::ANY), 1 => Just(PortNo(2))]);
    (command, table, 0u16..3, some_match(), out, flags, filter, 0u16..3).prop_map(
        |(command, table, priority, matching, out, flags, (cookie, cookie_mask, out_port), timeout)| FlowMod {
            command,
            cookie_mask,
            idle_timeout: timeout,
            hard_timeout: timeout * 2,
            flags,
            out_port,
            ..FlowMod::add(
                TableId(table),
                priority,
                matching,
                Instructions::apply(vec![Action::output(PortNo(out))]),
                Cookie(cookie),
            )
        },
    )
}

/// A UDP datagram from 02::1 to 02::2, 10.0.0.1:1000 to `dst`:53, 20 bytes of payload.
pub fn udp(dst: [u8; 4], ttl: u8) -> Vec<u8> {
    let mut out = Vec::new();
    PacketBuilder::ethernet2(MAC1.0, MAC2.0)
        .ipv4([10, 0, 0, 1], dst, ttl)
        .udp(1000, 53)
        .write(&mut out, &[7; 20])
        .unwrap();
    out
}

/// An ARP request from 02::1, 10.0.0.1 for `target`, without padding.
pub fn arp_request(target: [u8; 4]) -> Vec<u8> {
    let head = [8, 6, 0, 1, 8, 0, 6, 4, 0, 1];
    [&[0xff; 6][..], &MAC1.0, &head, &MAC1.0, &[10, 0, 0, 1], &[0; 6], &target].concat()
}

/// An SCTP packet in IPv4 with a right checksum, and two bytes of Ethernet padding.
pub fn sctp(dst_port: u16) -> Vec<u8> {
    let mut f = vec![2; 12];
    f.extend([8, 0, 0x45, 0, 0, 36, 0, 0, 0, 0, 64, 132, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2]);
    f.extend([0x30, 0x39]);
    f.extend(dst_port.to_be_bytes());
    f.extend([0, 0, 0, 9, 0, 0, 0, 0, 1, 2, 3, 4, 0xee, 0xee]);
    let sum = crc32c(&f[34..50]);
    f[42..46].copy_from_slice(&sum);
    f
}

/// 02::1, who sends the frames.
pub const MAC1: MacAddr = MacAddr([2, 0, 0, 0, 0, 1]);
/// 02::2, to whom they go.
pub const MAC2: MacAddr = MacAddr([2, 0, 0, 0, 0, 2]);
