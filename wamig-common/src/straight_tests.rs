//! The straight way against the general one.

use etherparse::PacketBuilder;
use proptest::prelude::*;

use super::*;
use crate::action::*;
use crate::execute::{Context, execute, step};
use crate::extract::Layout;
use crate::frame::Buffer;
use crate::key::ALL_WORDS;
use crate::limits::WINDOW_HEADROOM;
use crate::plan::Plan;

struct Bytes(Vec<u8>);

impl Bytes {
    fn at<const N: usize>(&self, off: usize) -> [u8; N] {
        self.0[off..off + N].try_into().unwrap()
    }
}

impl Head for Bytes {
    fn u8(&self, off: usize) -> u8 {
        self.0[off]
    }
    fn u16(&self, off: usize) -> u16 {
        u16::from_ne_bytes(self.at(off))
    }
    fn u32(&self, off: usize) -> u32 {
        u32::from_ne_bytes(self.at(off))
    }
    fn u64(&self, off: usize) -> u64 {
        u64::from_ne_bytes(self.at(off))
    }
    fn has_tcp(&self) -> bool {
        self.0.len() >= TCP_HEAD
    }
    fn set_u16(&mut self, off: usize, value: u16) {
        self.0[off..off + 2].copy_from_slice(&value.to_ne_bytes());
    }
    fn set_u32(&mut self, off: usize, value: u32) {
        self.0[off..off + 4].copy_from_slice(&value.to_ne_bytes());
    }
    fn set_u64(&mut self, off: usize, value: u64) {
        self.0[off..off + 8].copy_from_slice(&value.to_ne_bytes());
    }
}

/// A frame of this protocol with an odd byte somewhere in its headers.
fn frame(proto: u8, source: u32, destination: u32, spoil: Option<(usize, u8)>) -> Vec<u8> {
    let ip = PacketBuilder::ethernet2([2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2]).ipv4(
        source.to_be_bytes(),
        destination.to_be_bytes(),
        64,
    );
    let mut out = Vec::new();
    match proto {
        proto::TCP => ip.tcp(1000, 2000, 3, 4).write(&mut out, &[7; 9]).unwrap(),
        proto::UDP => ip.udp(1000, 2000).write(&mut out, &[7; 22]).unwrap(),
        _ => ip.icmpv4_echo_request(5, 6).write(&mut out, &[7; 22]).unwrap(),
    }
    if let Some((at, with)) = spoil {
        let at = at % out.len();
        out[at] = with;
    }
    out
}

fn protos() -> impl Strategy<Value = u8> {
    prop::sample::select(vec![proto::TCP, proto::UDP, proto::ICMP])
}

/// Addresses of which some are all ones or zeros, which checksums have two names for.
fn address() -> impl Strategy<Value = u32> {
    prop_oneof![Just(0u32), Just(u32::MAX), Just(0xffff_0000), any::<u32>()]
}

fn set(base: u8, off: u8, width: u32, value: u64, mask: u64, flags: u16) -> Op {
    let shift = 64 - width;
    let mask = (mask & u64::MAX >> shift) << shift;
    Op { kind: SET, base, off, flags, value: value << shift & mask, mask, ..Op::default() }
}

fn edits() -> impl Strategy<Value = Vec<Op>> {
    let masks = || prop_oneof![3 => Just(u64::MAX), 1 => any::<u64>()];
    let one = (0..7, any::<u64>(), masks()).prop_map(|(which, value, mask)| match which {
        0 => set(BASE_L2, 0, 48, value, mask, 0),
        1 => set(BASE_L2, 6, 48, value, mask, 0),
        2 => set(BASE_L3, 12, 32, value, mask, ADDRESS),
        3 => set(BASE_L3, 16, 32, value, mask, ADDRESS),
        4 => set(BASE_L4, 0, 16, value, mask, PORT),
        5 => set(BASE_L4, 2, 16, value, mask, PORT),
        _ => set(BASE_L3, 24, 32, value, mask, NEED_ARP),
    });
    prop::collection::vec(one, 0..6)
}

proptest! {
    #[test]
    fn a_plain_frame_has_the_key_that_the_extractor_gives_it(
        proto in protos(), source in address(), destination in address(),
        spoil in prop::option::of((0usize..60, any::<u8>())), cut in 0usize..30, used in 0..=ALL_WORDS,
    ) {
        let mut bytes = frame(proto, source, destination, spoil);
        bytes.truncate((bytes.len() - cut).max(HEAD));
        let (mut general, mut layout) = (FlowKey::default(), Layout::default());
        crate::extract::extract(bytes.as_slice(), 7, &mut general, &mut layout).unwrap();
        let mut key = FlowKey { words: [0xdead_beef; 13] };
        let before = key;
        let plain = extract(&Bytes(bytes.clone()), bytes.len(), 7, used, &mut key);
        let Some(proto) = plain else { return Ok(()) };
        for i in 1..13 {
            let expected = if used >> i & 1 != 0 { general.words[i] } else { before.words[i] };
            prop_assert_eq!(key.words[i], expected, "word {}", i);
        }
        prop_assert_eq!((layout.l3_off, layout.l4_off, layout.l4_proto), (14, 34, proto));
        prop_assert_eq!(layout.anomalies, 0);
    }

    #[test]
    fn an_edit_does_what_its_list_does(
        proto in protos(), source in address(), destination in address(), ops in edits(), sum in any::<Option<u16>>(),
    ) {
        let mut bytes = frame(proto, source, destination, None);
        if let Some(sum) = sum {
            // whatever sum the sender put there, 0 and 0xffff among them
            let sum = if sum % 3 == 0 { 0 } else if sum % 3 == 1 { 0xffff } else { sum };
            let at = if proto == proto::TCP { 50 } else { 40 };
            bytes[at..at + 2].copy_from_slice(&sum.to_be_bytes());
            bytes[24..26].copy_from_slice(&sum.to_be_bytes());
        }
        let output = Op { kind: OUTPUT, value: 3, ..Op::default() };
        let list: Vec<Op> = ops.into_iter().chain([output]).collect();
        let edit = Edit::of(&list);
        prop_assert_eq!(edit.does & STRAIGHT, STRAIGHT);
        prop_assert_eq!((edit.out_kind, edit.out), (u32::from(OUTPUT), 3));
        if !edit.suits(proto) {
            return Ok(());
        }
        let (mut key, mut layout) = (FlowKey::default(), Layout::default());
        crate::extract::extract(bytes.as_slice(), 1, &mut key, &mut layout).unwrap();
        let mut plan = Plan::default();
        plan.reset(1, bytes.len() as u32);
        let mut window = Buffer::of(&bytes, WINDOW_HEADROOM);
        let cx = Context { flow: 1, metadata: 0, miss: false };
        for op in &list {
            prop_assert_eq!(execute(&mut plan, &mut window, &layout, op, cx), step::NEXT);
        }
        let start = plan.start as usize;
        let general = window.0[start..start + plan.held as usize].to_vec();
        let mut straight = Bytes(bytes);
        edit.apply(&mut straight, proto);
        prop_assert_eq!(straight.0, general);
    }
}

#[test]
fn most_frames_are_plain() {
    for proto in [proto::TCP, proto::UDP, proto::ICMP] {
        let bytes = frame(proto, 1, 2, None);
        let len = bytes.len();
        assert_eq!(extract(&Bytes(bytes), len, 1, ALL_WORDS, &mut FlowKey::default()), Some(proto));
    }
}

#[test]
fn what_is_not_a_constant_and_one_output_at_the_end_is_no_edit() {
    let output = Op { kind: OUTPUT, value: 3, ..Op::default() };
    let ttl = Op { kind: DEC_TTL, ..Op::default() };
    let mac = set(BASE_L2, 0, 48, 1, u64::MAX, 0);
    let vlan = set(BASE_L2, 12, 12, 1, u64::MAX, 0);
    let beyond = Op { mask: u64::MAX, ..set(BASE_L3, 16, 32, 1, u64::MAX, ADDRESS) };
    let behind = Op { mask: u64::MAX, ..set(BASE_L4, 2, 16, 1, u64::MAX, PORT) };
    for list in [
        vec![],
        vec![mac],
        vec![output, output],
        vec![output, mac],
        vec![ttl, output],
        vec![vlan, output],
        vec![beyond, output],
        vec![behind, output],
        vec![Op { kind: MOVE, ..mac }, output],
        vec![Op { kind: CONTROLLER, ..Op::default() }],
    ] {
        assert_eq!(Edit::of(&list).does, 0, "{list:?}");
    }
    assert_eq!(Edit::of(&[mac, output]).does, STRAIGHT | MACS);
}
