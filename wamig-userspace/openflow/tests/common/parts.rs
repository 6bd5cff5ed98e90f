//! Values that messages are made of.

use std::time::Duration;

use bytes::Bytes;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use wamig_openflow::message::*;
use wamig_openflow::{Action, Cookie, ErrorKind, Field, MacAddr, Match, PortNo, TableId};

pub fn bytes(most: usize) -> impl Strategy<Value = Bytes> {
    vec(any::<u8>(), 0..most).prop_map(Bytes::from)
}

/// Bytes of a length that is a multiple of 8.
pub fn octets(least: usize, most: usize) -> impl Strategy<Value = Bytes> {
    (least..most).prop_flat_map(|n| vec(any::<u8>(), n * 8)).prop_map(Bytes::from)
}

pub fn port() -> impl Strategy<Value = PortNo> {
    prop_oneof![any::<u32>().prop_map(PortNo), Just(PortNo::CONTROLLER), (1u32..0xff00).prop_map(PortNo)]
}

pub fn duration() -> impl Strategy<Value = Duration> {
    (any::<u32>(), 0u32..1_000_000_000).prop_map(|(s, n)| Duration::new(s.into(), n))
}

pub fn mac() -> impl Strategy<Value = MacAddr> {
    any::<[u8; 6]>().prop_map(MacAddr)
}

pub fn name(most: usize) -> impl Strategy<Value = String> {
    vec(prop::sample::select(b"abcxyz019-_. ".to_vec()), 0..=most).prop_map(|b| String::from_utf8(b).unwrap())
}

pub fn field() -> impl Strategy<Value = Field> {
    prop::sample::select(Field::ALL.to_vec())
}

pub fn kind() -> impl Strategy<Value = ErrorKind> {
    prop::sample::select(ErrorKind::ALL.to_vec())
}

/// Any fields, with masks where allowed; prerequisites are not the codec's business.
pub fn some_match() -> impl Strategy<Value = Match> {
    vec((field(), any::<u128>(), option::of(any::<u128>())), 0..8).prop_map(|fields| {
        fields.into_iter().fold(Match::any(), |m, (f, v, mask)| match mask {
            Some(mask) if f.maskable() => m.with_masked(f, v, mask),
            _ => m.with(f, v),
        })
    })
}

pub fn set_field() -> impl Strategy<Value = Action> {
    (field(), any::<u128>()).prop_map(|(f, v)| Action::set(f, v))
}

/// A set-field of some of a field's bits.
pub fn load() -> impl Strategy<Value = Action> {
    let field = field().prop_filter("has parts", |f| f.bits() > 1 && !matches!(f, Field::InPort | Field::InPhyPort));
    (field, any::<u128>(), any::<u128>()).prop_map(|(field, v, m)| {
        let mask = m & field.full_mask() & !1 | 2;
        Action::SetField { field, value: v & mask, mask }
    })
}

pub fn copy() -> impl Strategy<Value = Action> {
    (field(), field())
        .prop_filter("equal width", |(a, b)| a.bits() == b.bits())
        .prop_map(|(src, dst)| Action::Move { src, dst })
}

pub fn foreign_action() -> impl Strategy<Value = Action> {
    (0x3000u32..0x4000, octets(0, 4), any::<[u8; 4]>())
        .prop_map(|(experimenter, data, _)| Action::Experimenter { experimenter, data })
}

pub fn flow_stats(matching: Match, wide: bool) -> impl Strategy<Value = FlowStats> {
    let numbers = any::<[u16; 3]>();
    (any::<u8>(), numbers, any::<[u64; 3]>(), duration()).prop_map(move |(table, n, c, duration)| FlowStats {
        table: TableId(if wide { table } else { 0 }),
        priority: n[0],
        matching: matching.clone(),
        cookie: Cookie(c[0]),
        duration,
        idle_age: Duration::ZERO,
        idle_timeout: n[1],
        hard_timeout: if wide { n[2] } else { 0 },
        flags: FlowModFlags::default(),
        packets: c[1],
        bytes: c[2],
        instructions: wamig_openflow::Instructions::default(),
        slow: None,
    })
}

pub fn port_stats(port: PortNo, duration: Duration) -> impl Strategy<Value = PortStats> {
    any::<[u64; 12]>().prop_map(move |n| PortStats {
        port,
        rx_packets: n[0],
        tx_packets: n[1],
        rx_bytes: n[2],
        tx_bytes: n[3],
        rx_dropped: n[4],
        tx_dropped: n[5],
        rx_errors: n[6],
        tx_errors: n[7],
        rx_frame_err: n[8],
        rx_over_err: n[9],
        rx_crc_err: n[10],
        collisions: n[11],
        duration,
    })
}

pub fn switch_desc() -> impl Strategy<Value = SwitchDesc> {
    (name(255), name(255), name(255), name(31), name(255)).prop_map(
        |(manufacturer, hardware, software, serial, datapath)| SwitchDesc {
            manufacturer,
            hardware,
            software,
            serial,
            datapath,
        },
    )
}

pub fn config() -> impl Strategy<Value = SwitchConfig> {
    (prop::sample::select(Fragments::ALL.to_vec()), any::<u16>())
        .prop_map(|(fragments, miss_send_len)| SwitchConfig { fragments, miss_send_len })
}

pub fn hello() -> impl Strategy<Value = Message> {
    (any::<u8>(), option::of(any::<u64>())).prop_map(|(version, versions)| Message::Hello(Hello { version, versions }))
}

pub fn aggregate() -> impl Strategy<Value = AggregateStats> {
    any::<(u64, u64, u32)>().prop_map(|(packets, bytes, flows)| AggregateStats { packets, bytes, flows })
}
