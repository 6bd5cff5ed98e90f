//! Every message of 1.0.

use std::net::Ipv4Addr;
use std::time::Duration;

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;
use wamig_openflow::message::*;
use wamig_openflow::{Action, Cookie, DatapathId, Field, GroupId, Instructions, Match, PortNo, TableId};

use super::parts::*;

fn port() -> impl Strategy<Value = PortNo> {
    prop_oneof![(0u32..0xff00).prop_map(PortNo), (0xffff_ff00..=u32::MAX).prop_map(PortNo)]
}

pub fn action() -> impl Strategy<Value = Action> {
    prop_oneof![
        (port(), any::<u16>()).prop_map(|(port, max_len)| Action::Output { port, max_len }),
        set_field(),
        load(),
        copy(),
        foreign_action(),
        (0u16..0x1000).prop_map(Action::SetVlanVid),
        (0u8..8).prop_map(Action::SetVlanPcp),
        Just(Action::PopVlan),
        any::<u16>().prop_map(Action::SetTpSrc),
        any::<u16>().prop_map(Action::SetTpDst),
        (port(), any::<u32>()).prop_map(|(port, queue)| Action::Enqueue { port, queue }),
    ]
}

/// Matches that 1.0 can say, with the prerequisites that it wants.
fn some_match() -> impl Strategy<Value = Match> {
    let l2 = (option::of(port()), option::of(mac()), option::of(mac()), option::of(0u128..0x1000), 0u8..4);
    let vlan = option::of(0u128..8);
    let l3 = (any::<u32>(), any::<u32>(), 0u8..=32, 0u8..=32, option::of(any::<u8>()), option::of(0u128..64));
    let eth =
        prop_oneof![Just(None), Just(Some(0x0800u128)), Just(Some(0x0806)), Just(Some(0x86dd)), Just(Some(0x88cc))];
    let tp = (option::of(any::<u128>()), option::of(any::<u128>()));
    (l2, vlan, eth, l3, 0u8..4, tp).prop_map(|((in_port, src, dst, vid, tag), pcp, eth, l3, proto, tp)| {
        let mut m = in_port.map_or(Match::any(), |p| Match::any().in_port(p));
        m = src.into_iter().fold(m, |m, mac| m.mac(Field::EthSrc, mac));
        m = dst.into_iter().fold(m, |m, mac| m.mac(Field::EthDst, mac));
        m = match (tag, vid, pcp) {
            (0, ..) => m.with(Field::VlanVid, 0),
            (_, Some(vid), Some(pcp)) => m.with(Field::VlanVid, 0x1000 | vid).with(Field::VlanPcp, pcp),
            (_, Some(vid), None) => m.with(Field::VlanVid, 0x1000 | vid),
            (_, None, Some(pcp)) => m.with_masked(Field::VlanVid, 0x1000, 0x1000).with(Field::VlanPcp, pcp),
            _ => m,
        };
        let Some(eth) = eth else { return m };
        m = m.with(Field::EthType, eth);
        let (a, b) = (Ipv4Addr::from(l3.0), Ipv4Addr::from(l3.1));
        match eth {
            0x0800 | 0x86dd => {
                let old = eth == 0x0800;
                if old {
                    m = m.ip_prefix(Field::Ipv4Src, a, l3.2).ip_prefix(Field::Ipv4Dst, b, l3.3);
                }
                m = l3.5.into_iter().fold(m, |m, dscp| m.with(Field::IpDscp, dscp));
                let (n, fields) = match proto {
                    0 => (6, [Field::TcpSrc, Field::TcpDst]),
                    1 => (17, [Field::UdpSrc, Field::UdpDst]),
                    2 if !old => (58, [Field::Icmpv6Type, Field::Icmpv6Code]),
                    2 => (1, [Field::Icmpv4Type, Field::Icmpv4Code]),
                    _ => return l3.4.into_iter().fold(m, |m, p| m.with(Field::IpProto, p.into())),
                };
                m = m.with(Field::IpProto, n);
                m = tp.0.into_iter().fold(m, |m, v| m.with(fields[0], v));
                tp.1.into_iter().fold(m, |m, v| m.with(fields[1], v))
            }
            0x0806 => {
                m = m.ip_prefix(Field::ArpSpa, a, l3.2).ip_prefix(Field::ArpTpa, b, l3.3);
                l3.4.into_iter().fold(m, |m, op| m.with(Field::ArpOp, op.into()))
            }
            _ => m,
        }
    })
}

fn flow_mod() -> impl Strategy<Value = FlowMod> {
    let numbers = (any::<[u16; 3]>(), any::<u64>(), option::of(0..u32::MAX), 0u16..4);
    (select(FlowModCommand::ALL.to_vec()), some_match(), vec(action(), 0..5), port(), numbers).prop_map(
        |(command, matching, apply, out_port, (n, cookie, buffer_id, flags))| FlowMod {
            command,
            table: match command {
                FlowModCommand::Delete | FlowModCommand::DeleteStrict => TableId::ALL,
                _ => TableId(0),
            },
            // All twelve fields of 1.0, none with a mask: such a flow has no priority of its own.
            priority: if matching.iter().filter(|(f, m)| m.mask == f.full_mask()).count() == 12 {
                u16::MAX
            } else {
                n[0]
            },
            matching,
            cookie: Cookie(cookie),
            cookie_mask: 0,
            idle_timeout: n[1],
            hard_timeout: n[2],
            flags: FlowModFlags::from_bits(flags),
            out_port,
            out_group: GroupId::ANY,
            buffer_id,
            instructions: Instructions::apply(apply),
        },
    )
}

fn desc() -> impl Strategy<Value = PortDesc> {
    (port(), mac(), name(15), any::<bool>(), 0u8..4, any::<[u32; 5]>()).prop_map(
        |(port, mac, name, link_up, stp, n)| PortDesc {
            port,
            mac,
            name,
            link_up,
            mtu: 0,
            config: PortConfig::from_bits(n[0] & PortConfig::V10),
            state: PortState { stp, ..PortState::default() },
            features: PortFeatures {
                current: n[1] & 0xf87f,
                advertised: n[2] & 0xf87f,
                supported: n[3] & 0xf87f,
                peer: n[4] & 0xf87f,
                ..PortFeatures::default()
            },
        },
    )
}

fn request() -> impl Strategy<Value = FlowStatsRequest> {
    (any::<u8>(), port(), some_match()).prop_map(|(table, out_port, matching)| FlowStatsRequest {
        table: TableId(table),
        out_port,
        matching,
        ..FlowStatsRequest::all()
    })
}

/// A vendor's own: whose, and what it sends, which may be too short for a type.
fn vendors(types: BoxedStrategy<u32>) -> impl Strategy<Value = (u32, Option<u32>, bytes::Bytes)> {
    let long = (any::<u16>(), types, bytes(20)).prop_map(|(id, exp_type, data)| (id.into(), Some(exp_type), data));
    let short = (0u32..0x2000, bytes(4)).prop_map(|(id, data)| (id, None, data));
    prop_oneof![4 => long, 1 => short]
}

fn multipart() -> impl Strategy<Value = Message> {
    let request = prop_oneof![
        select(vec![MultipartRequest::Desc, MultipartRequest::Table]),
        request().prop_map(MultipartRequest::Flow),
        request().prop_map(MultipartRequest::Aggregate),
        port().prop_map(MultipartRequest::PortStats),
        (port(), any::<u32>()).prop_map(|(port, queue)| MultipartRequest::Queue(QueueStatsRequest { port, queue })),
        vendors(any::<u32>().boxed()).prop_map(|(experimenter, exp_type, data)| {
            MultipartRequest::Experimenter { experimenter, exp_type, data }
        }),
    ];
    let flow = (some_match(), vec(action(), 0..4), any::<(u8, u16)>()).prop_flat_map(|(m, apply, (table, hard))| {
        flow_stats(m, false).prop_map(move |s| FlowStats {
            table: TableId(table),
            hard_timeout: hard,
            instructions: Instructions::apply(apply.clone()),
            ..s
        })
    });
    let table = (any::<(u8, u32, u64, u64)>(), any::<(u32, u32)>(), name(31)).prop_map(|(n, w, name)| TableStats {
        table: TableId(n.0),
        active: n.1,
        lookups: n.2,
        matched: n.3,
        name,
        wildcards: w.0,
        max_entries: w.1,
    });
    let queue = (port(), any::<(u32, u64, u64, u64)>()).prop_map(|(port, n)| QueueStats {
        port,
        queue: n.0,
        tx_bytes: n.1,
        tx_packets: n.2,
        tx_errors: n.3,
        duration: Duration::ZERO,
    });
    let ports = port().prop_flat_map(|p| port_stats(p, Duration::ZERO));
    let reply = prop_oneof![
        switch_desc().prop_map(MultipartReply::Desc),
        vec(flow, 0..3).prop_map(MultipartReply::Flow),
        aggregate().prop_map(MultipartReply::Aggregate),
        vec(table, 0..3).prop_map(MultipartReply::Table),
        vec(ports, 0..3).prop_map(MultipartReply::PortStats),
        vec(queue, 0..3).prop_map(MultipartReply::Queue),
        vendors(any::<u32>().boxed()).prop_map(|(experimenter, exp_type, data)| {
            MultipartReply::Experimenter { experimenter, exp_type, data }
        }),
    ];
    prop_oneof![
        (any::<bool>(), request).prop_map(|(more, body)| Message::MultipartRequest { more, body }),
        (any::<bool>(), reply).prop_map(|(more, body)| Message::MultipartReply { more, body }),
    ]
}

/// Any message of 1.0.
pub fn message() -> impl Strategy<Value = Message> {
    let code = prop_oneof![
        kind().prop_filter("of 1.0", |k| k.in_v10()).prop_map(ErrorCode::Known),
        any::<(u8, u16)>().prop_map(|(ty, code)| ErrorCode::Other(0x4000 | u16::from(ty), code)),
    ];
    let features = (any::<(u64, u32, u8, u32)>(), 0u32..0x100, any::<bool>(), vec(desc(), 0..3)).prop_map(
        |(n, caps, stp, ports)| Features {
            datapath_id: DatapathId(n.0),
            buffers: n.1,
            tables: n.2,
            auxiliary_id: 0,
            capabilities: Capabilities { stp, ..Capabilities::from_bits(caps & 0xe7) },
            actions: n.3,
            ports,
        },
    );
    let role = || {
        select(vec![ControllerRole::Equal, ControllerRole::Master, ControllerRole::Slave])
            .prop_map(|role| Role { role, generation_id: 0 })
    };
    let buffer = || option::of(0..u32::MAX);
    let packet_in = (buffer(), select(PacketInReason::ALL.to_vec()), port(), any::<u16>(), bytes(90)).prop_map(
        |(buffer_id, reason, in_port, total_len, data)| PacketIn {
            buffer_id,
            reason,
            table: TableId(0),
            cookie: Cookie(u64::MAX),
            in_port,
            metadata: 0,
            tunnel_id: 0,
            total_len,
            data,
        },
    );
    let packet_out = (buffer(), port(), vec(action(), 0..5), bytes(90))
        .prop_map(|(buffer_id, in_port, actions, data)| PacketOut { buffer_id, in_port, actions, data });
    let removed = (select(FlowRemovedReason::ALL.to_vec()), some_match().prop_flat_map(|m| flow_stats(m, false)))
        .prop_map(|(reason, stats)| FlowRemoved { reason, stats });
    let status = (select(PortReason::ALL.to_vec()), desc()).prop_map(|(reason, desc)| PortStatus { reason, desc });
    let port_mod = (port(), mac(), any::<[u32; 3]>()).prop_map(|(port, mac, n)| PortMod {
        port,
        mac,
        config: PortConfig::from_bits(n[0]),
        mask: PortConfig::from_bits(n[1]),
        advertise: n[2] & 0xf87f,
    });
    let queues = port().prop_flat_map(|port| {
        let queue = (any::<u32>(), vec(any::<u16>().prop_map(QueueProperty::MinRate), 0..3))
            .prop_map(move |(queue, properties)| QueueDesc { queue, port, properties });
        vec(queue, 0..3).prop_map(move |queues| QueueConfig { port, queues })
    });
    let plain =
        vec![Message::FeaturesRequest, Message::GetConfigRequest, Message::BarrierRequest, Message::BarrierReply];
    prop_oneof![
        1 => hello(),
        1 => select(plain),
        1 => bytes(30).prop_map(Message::EchoRequest),
        1 => bytes(30).prop_map(Message::EchoReply),
        1 => (code, bytes(70)).prop_map(|(code, data)| Message::Error(ErrorMessage { code, data })),
        1 => vendors((20u32..99).boxed()).prop_map(|(experimenter, exp_type, data)| {
            Message::Experimenter(Experimenter { experimenter, exp_type, data })
        }),
        1 => features.prop_map(Message::FeaturesReply),
        1 => config().prop_map(Message::GetConfigReply),
        1 => config().prop_map(Message::SetConfig),
        1 => role().prop_map(Message::RoleRequest),
        1 => role().prop_map(Message::RoleReply),
        1 => packet_in.prop_map(Message::PacketIn),
        1 => packet_out.prop_map(Message::PacketOut),
        1 => removed.prop_map(Message::FlowRemoved),
        1 => status.prop_map(Message::PortStatus),
        3 => flow_mod().prop_map(Message::FlowMod),
        1 => port_mod.prop_map(Message::PortMod),
        6 => multipart(),
        1 => port().prop_map(Message::QueueGetConfigRequest),
        1 => queues.prop_map(Message::QueueGetConfigReply),
    ]
}
