//! Every message of 1.3.

use bytes::{Bytes, BytesMut};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;
use wamig_openflow::message::*;
use wamig_openflow::{
    Action, Cookie, DatapathId, GroupId, Instructions, MeterId, PortNo, TableId, Version, Xid, encode,
};

use super::parts::*;

pub fn action() -> impl Strategy<Value = Action> {
    prop_oneof![
        (port(), any::<u16>()).prop_map(|(port, max_len)| Action::Output { port, max_len }),
        set_field(),
        load(),
        copy(),
        foreign_action(),
        any::<u16>().prop_map(Action::PushVlan),
        any::<u16>().prop_map(Action::PushMpls),
        any::<u16>().prop_map(Action::PopMpls),
        any::<u16>().prop_map(Action::PushPbb),
        any::<u8>().prop_map(Action::SetNwTtl),
        any::<u8>().prop_map(Action::SetMplsTtl),
        any::<u32>().prop_map(|n| Action::Group(GroupId(n))),
        any::<u32>().prop_map(Action::SetQueue),
        select(vec![
            Action::PopVlan,
            Action::DecNwTtl,
            Action::DecMplsTtl,
            Action::CopyTtlIn,
            Action::CopyTtlOut,
            Action::PopPbb
        ]),
    ]
}

pub fn actions() -> impl Strategy<Value = Vec<Action>> {
    vec(action(), 0..5)
}

fn instructions() -> impl Strategy<Value = Instructions> {
    let rest = (option::of(any::<u32>()), any::<bool>(), option::of(any::<(u64, u64)>()), option::of(any::<u8>()));
    (actions(), actions(), rest).prop_map(|(apply, write, (meter, clear, metadata, goto))| Instructions {
        meter: meter.map(MeterId),
        apply,
        clear,
        write,
        metadata,
        goto: goto.map(TableId),
    })
}

pub fn flow_mod() -> impl Strategy<Value = FlowMod> {
    let numbers = (any::<[u16; 3]>(), any::<(u64, u64)>(), option::of(0..u32::MAX), any::<u8>(), 0u16..32);
    (select(FlowModCommand::ALL.to_vec()), some_match(), instructions(), port(), any::<u32>(), numbers).prop_map(
        |(command, matching, instructions, out_port, group, (n, (cookie, cookie_mask), buffer_id, table, flags))| {
            FlowMod {
                command,
                table: TableId(table),
                matching,
                priority: n[0],
                cookie: Cookie(cookie),
                cookie_mask,
                idle_timeout: n[1],
                hard_timeout: n[2],
                flags: FlowModFlags::from_bits(flags),
                out_port,
                out_group: GroupId(group),
                buffer_id,
                instructions,
            }
        },
    )
}

fn stats() -> impl Strategy<Value = FlowStats> {
    (some_match(), instructions(), 0u16..32).prop_flat_map(|(m, i, flags)| {
        flow_stats(m, true).prop_map(move |s| FlowStats {
            instructions: i.clone(),
            flags: FlowModFlags::from_bits(flags),
            ..s
        })
    })
}

fn request() -> impl Strategy<Value = FlowStatsRequest> {
    (any::<u8>(), port(), any::<u32>(), any::<(u64, u64)>(), some_match()).prop_map(
        |(table, out_port, group, (cookie, cookie_mask), matching)| FlowStatsRequest {
            table: TableId(table),
            out_port,
            out_group: GroupId(group),
            cookie: Cookie(cookie),
            cookie_mask,
            matching,
        },
    )
}

fn desc() -> impl Strategy<Value = PortDesc> {
    (port(), mac(), name(15), any::<[bool; 3]>(), any::<[u32; 7]>()).prop_map(|(port, mac, name, b, n)| PortDesc {
        port,
        mac,
        name,
        link_up: b[0],
        mtu: 0,
        config: PortConfig::from_bits(n[0] & PortConfig::V13),
        state: PortState { blocked: b[1], live: b[2], stp: 0 },
        features: PortFeatures {
            current: n[1],
            advertised: n[2],
            supported: n[3],
            peer: n[4],
            current_speed: n[5],
            max_speed: n[6],
        },
    })
}

fn buckets() -> impl Strategy<Value = Vec<Bucket>> {
    let bucket = (any::<u16>(), port(), any::<u32>(), actions()).prop_map(|(weight, watch_port, group, actions)| {
        Bucket { weight, watch_port, watch_group: GroupId(group), actions }
    });
    vec(bucket, 0..4)
}

fn meter_config() -> impl Strategy<Value = MeterConfig> {
    let kind = prop_oneof![
        Just(BandKind::Drop),
        any::<u8>().prop_map(BandKind::DscpRemark),
        any::<u32>().prop_map(BandKind::Experimenter)
    ];
    let band = (kind, any::<u32>(), any::<u32>()).prop_map(|(kind, rate, burst)| MeterBand { kind, rate, burst });
    (0u16..16, any::<u32>(), vec(band, 0..4)).prop_map(|(flags, meter, bands)| MeterConfig {
        flags: MeterFlags::from_bits(flags),
        meter: MeterId(meter),
        bands,
    })
}

fn queue_config() -> impl Strategy<Value = QueueConfig> {
    let property = prop_oneof![
        any::<u16>().prop_map(QueueProperty::MinRate),
        any::<u16>().prop_map(QueueProperty::MaxRate),
        (any::<u32>(), octets(0, 3))
            .prop_map(|(experimenter, data)| QueueProperty::Experimenter { experimenter, data }),
    ];
    let queue = (any::<u32>(), port(), vec(property, 0..3)).prop_map(|(queue, port, properties)| QueueDesc {
        queue,
        port,
        properties,
    });
    (port(), vec(queue, 0..3)).prop_map(|(port, queues)| QueueConfig { port, queues })
}

fn table_features() -> impl Strategy<Value = TableFeatures> {
    let scope = || prop_oneof![Just(Scope::Flow), Just(Scope::Miss)];
    let id = prop_oneof![
        (0u16..0xffff).prop_map(FeatureId::Number),
        (any::<u32>(), bytes(9)).prop_map(|(e, d)| FeatureId::Experimenter(e, d))
    ];
    let ids = vec(id, 0..4).boxed();
    let one = prop_oneof![
        4 => (field(), any::<bool>()).prop_map(|(field, masked)| FeatureField::Known { field, masked }),
        1 => any::<u16>().prop_map(|n| FeatureField::Other(0x0001_0000 | u32::from(n), None)),
        1 => any::<(u16, u32)>().prop_map(|(n, e)| FeatureField::Other(0xffff_0000 | u32::from(n), Some(e))),
    ];
    let fields = vec(one, 0..6).boxed();
    let tables = vec(any::<u8>().prop_map(TableId), 0..9);
    let property = prop_oneof![
        (scope(), ids.clone()).prop_map(|(s, v)| TableProperty::Instructions(s, v)),
        (scope(), tables).prop_map(|(s, v)| TableProperty::NextTables(s, v)),
        (scope(), ids.clone()).prop_map(|(s, v)| TableProperty::WriteActions(s, v)),
        (scope(), ids).prop_map(|(s, v)| TableProperty::ApplyActions(s, v)),
        fields.clone().prop_map(TableProperty::Match),
        fields.clone().prop_map(TableProperty::Wildcards),
        (scope(), fields.clone()).prop_map(|(s, v)| TableProperty::WriteSetField(s, v)),
        (scope(), fields).prop_map(|(s, v)| TableProperty::ApplySetField(s, v)),
        (scope(), any::<(u32, u32)>(), bytes(9)).prop_map(|(scope, (experimenter, exp_type), data)| {
            TableProperty::Experimenter { scope, experimenter, exp_type, data }
        }),
    ];
    (any::<u8>(), name(31), any::<[u64; 2]>(), any::<[u32; 2]>(), vec(property, 0..6)).prop_map(
        |(table, name, m, n, properties)| TableFeatures {
            table: TableId(table),
            name,
            metadata_match: m[0],
            metadata_write: m[1],
            config: n[0],
            max_entries: n[1],
            properties,
        },
    )
}

fn multipart_request() -> impl Strategy<Value = MultipartRequest> {
    prop_oneof![
        select(vec![
            MultipartRequest::Desc,
            MultipartRequest::Table,
            MultipartRequest::GroupDesc,
            MultipartRequest::GroupFeatures,
            MultipartRequest::MeterFeatures,
            MultipartRequest::PortDesc,
        ]),
        request().prop_map(MultipartRequest::Flow),
        request().prop_map(MultipartRequest::Aggregate),
        port().prop_map(MultipartRequest::PortStats),
        (port(), any::<u32>()).prop_map(|(port, queue)| MultipartRequest::Queue(QueueStatsRequest { port, queue })),
        any::<u32>().prop_map(|n| MultipartRequest::Group(GroupId(n))),
        any::<u32>().prop_map(|n| MultipartRequest::Meter(MeterId(n))),
        any::<u32>().prop_map(|n| MultipartRequest::MeterConfig(MeterId(n))),
        vec(table_features(), 0..3).prop_map(MultipartRequest::TableFeatures),
        (any::<(u32, u32)>(), bytes(20)).prop_map(|((experimenter, exp_type), data)| {
            MultipartRequest::Experimenter { experimenter, exp_type: Some(exp_type), data }
        }),
    ]
}

fn multipart_reply() -> impl Strategy<Value = MultipartReply> {
    let pairs = || vec(any::<(u64, u64)>(), 0..3);
    let table = any::<(u8, u32, u64, u64)>().prop_map(|(t, active, lookups, matched)| TableStats {
        table: TableId(t),
        active,
        lookups,
        matched,
        ..TableStats::default()
    });
    let queue = (port(), any::<(u32, u64, u64, u64)>(), duration()).prop_map(|(port, n, duration)| QueueStats {
        port,
        queue: n.0,
        tx_bytes: n.1,
        tx_packets: n.2,
        tx_errors: n.3,
        duration,
    });
    let group = (any::<(u32, u32, u64, u64)>(), duration(), pairs()).prop_map(|(n, duration, buckets)| GroupStats {
        group: GroupId(n.0),
        ref_count: n.1,
        packets: n.2,
        bytes: n.3,
        duration,
        buckets,
    });
    let meter = (any::<(u32, u32, u64, u64)>(), duration(), pairs()).prop_map(|(n, duration, bands)| MeterStats {
        meter: MeterId(n.0),
        flows: n.1,
        packets: n.2,
        bytes: n.3,
        duration,
        bands,
    });
    let group_desc = (select(GroupType::ALL.to_vec()), any::<u32>(), buckets())
        .prop_map(|(ty, n, buckets)| GroupDesc { group: GroupId(n), ty, buckets });
    let group_features =
        any::<(u32, u32, [u32; 4], [u32; 4])>().prop_map(|(types, capabilities, max_groups, actions)| GroupFeatures {
            types,
            capabilities,
            max_groups,
            actions,
        });
    let meter_features = any::<(u32, u32, u32, u8, u8)>().prop_map(|n| MeterFeatures {
        max_meters: n.0,
        band_types: n.1,
        capabilities: n.2,
        max_bands: n.3,
        max_color: n.4,
    });
    let ports = (port(), duration()).prop_flat_map(|(p, d)| port_stats(p, d));
    prop_oneof![
        switch_desc().prop_map(MultipartReply::Desc),
        vec(stats(), 0..3).prop_map(MultipartReply::Flow),
        aggregate().prop_map(MultipartReply::Aggregate),
        vec(table, 0..3).prop_map(MultipartReply::Table),
        vec(ports, 0..3).prop_map(MultipartReply::PortStats),
        vec(queue, 0..3).prop_map(MultipartReply::Queue),
        vec(group, 0..3).prop_map(MultipartReply::Group),
        vec(group_desc, 0..3).prop_map(MultipartReply::GroupDesc),
        group_features.prop_map(MultipartReply::GroupFeatures),
        vec(meter, 0..3).prop_map(MultipartReply::Meter),
        vec(meter_config(), 0..3).prop_map(MultipartReply::MeterConfig),
        meter_features.prop_map(MultipartReply::MeterFeatures),
        vec(table_features(), 0..3).prop_map(MultipartReply::TableFeatures),
        vec(desc(), 0..3).prop_map(MultipartReply::PortDesc),
        (any::<(u32, u32)>(), bytes(20)).prop_map(|((experimenter, exp_type), data)| {
            MultipartReply::Experimenter { experimenter, exp_type: Some(exp_type), data }
        }),
    ]
}

fn session() -> impl Strategy<Value = Message> {
    let code = prop_oneof![
        kind().prop_map(ErrorCode::Known),
        any::<(u8, u16)>().prop_map(|(ty, code)| ErrorCode::Other(0x4000 | u16::from(ty), code)),
        any::<(u16, u16)>().prop_map(|(e, code)| ErrorCode::Experimenter(e.into(), code)),
    ];
    let features = any::<(u64, u32, u8, u8, u32)>().prop_map(|n| Features {
        datapath_id: DatapathId(n.0),
        buffers: n.1,
        tables: n.2,
        auxiliary_id: n.3,
        capabilities: Capabilities::from_bits(n.4 & 0x16f),
        actions: 0,
        ports: vec![],
    });
    let role = || {
        (select(ControllerRole::ALL.to_vec()), any::<u64>())
            .prop_map(|(role, generation_id)| Role { role, generation_id })
    };
    let masks = || {
        any::<[[u32; 2]; 3]>().prop_map(|[packet_in, port_status, flow_removed]| AsyncConfig {
            packet_in,
            port_status,
            flow_removed,
        })
    };
    let control = (any::<u32>(), select(BundleControlType::ALL.to_vec()), 0u16..4)
        .prop_map(|(bundle, ty, f)| BundleControl { bundle, ty, flags: BundleFlags::from_bits(f) });
    let add = (any::<u32>(), 0u16..4, flow_mod()).prop_map(|(bundle, f, m)| {
        let mut message = BytesMut::new();
        encode(Version::V13, Xid(7), &Message::FlowMod(m), &mut message).unwrap();
        BundleAdd { bundle, flags: BundleFlags::from_bits(f), message: message.freeze() }
    });
    prop_oneof![
        (code, bytes(70)).prop_map(|(code, data)| Message::Error(ErrorMessage { code, data })),
        (any::<u16>(), any::<u32>(), bytes(20)).prop_map(|(e, exp_type, data)| {
            Message::Experimenter(Experimenter { experimenter: e.into(), exp_type: Some(exp_type), data })
        }),
        features.prop_map(Message::FeaturesReply),
        config().prop_map(Message::GetConfigReply),
        config().prop_map(Message::SetConfig),
        role().prop_map(Message::RoleRequest),
        role().prop_map(Message::RoleReply),
        masks().prop_map(Message::GetAsyncReply),
        masks().prop_map(Message::SetAsync),
        control.prop_map(Message::BundleControl),
        add.prop_map(Message::BundleAdd),
    ]
}

fn packet() -> impl Strategy<Value = Message> {
    let buffer = || option::of(0..u32::MAX);
    let packet_in =
        (buffer(), select(PacketInReason::ALL.to_vec()), port(), any::<(u8, u64, u64, u16, u64)>(), bytes(90))
            .prop_map(|(buffer_id, reason, in_port, n, data)| PacketIn {
                buffer_id,
                reason,
                table: TableId(n.0),
                cookie: Cookie(n.1),
                in_port,
                metadata: n.2,
                tunnel_id: n.4,
                total_len: n.3,
                data,
            });
    let packet_out = (buffer(), port(), actions(), bytes(90))
        .prop_map(|(buffer_id, in_port, actions, data)| PacketOut { buffer_id, in_port, actions, data });
    prop_oneof![packet_in.prop_map(Message::PacketIn), packet_out.prop_map(Message::PacketOut)]
}

/// Any message of 1.3; bundle-adds carry messages of xid 7.
pub fn message() -> impl Strategy<Value = Message> {
    let removed = (select(FlowRemovedReason::ALL.to_vec()), some_match().prop_flat_map(|m| flow_stats(m, true)))
        .prop_map(|(reason, stats)| FlowRemoved { reason, stats });
    let status = (select(PortReason::ALL.to_vec()), desc()).prop_map(|(reason, desc)| PortStatus { reason, desc });
    let group = (select(GroupModCommand::ALL.to_vec()), select(GroupType::ALL.to_vec()), any::<u32>(), buckets())
        .prop_map(|(command, ty, n, buckets)| GroupMod { command, ty, group: GroupId(n), buckets });
    let port_mod = (port(), mac(), any::<[u32; 3]>()).prop_map(|(port, mac, n)| PortMod {
        port,
        mac,
        config: PortConfig::from_bits(n[0] & PortConfig::V13),
        mask: PortConfig::from_bits(n[1] & PortConfig::V13),
        advertise: n[2],
    });
    let meter = (select(MeterModCommand::ALL.to_vec()), meter_config())
        .prop_map(|(command, config)| MeterMod { command, config });
    let plain = vec![
        Message::FeaturesRequest,
        Message::GetConfigRequest,
        Message::BarrierRequest,
        Message::BarrierReply,
        Message::GetAsyncRequest,
        Message::EchoRequest(Bytes::new()),
    ];
    prop_oneof![
        1 => hello(),
        1 => select(plain),
        1 => bytes(30).prop_map(Message::EchoRequest),
        1 => bytes(30).prop_map(Message::EchoReply),
        6 => session(),
        2 => packet(),
        1 => removed.prop_map(Message::FlowRemoved),
        1 => status.prop_map(Message::PortStatus),
        3 => flow_mod().prop_map(Message::FlowMod),
        2 => group.prop_map(Message::GroupMod),
        1 => port_mod.prop_map(Message::PortMod),
        1 => any::<(u8, u32)>().prop_map(|(t, config)| Message::TableMod(TableMod { table: TableId(t), config })),
        1 => meter.prop_map(Message::MeterMod),
        6 => (any::<bool>(), multipart_request()).prop_map(|(more, body)| Message::MultipartRequest { more, body }),
        8 => (any::<bool>(), multipart_reply()).prop_map(|(more, body)| Message::MultipartReply { more, body }),
        1 => any::<u32>().prop_map(|n| Message::QueueGetConfigRequest(PortNo(n))),
        1 => queue_config().prop_map(Message::QueueGetConfigReply),
    ]
}
