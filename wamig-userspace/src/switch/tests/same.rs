//! The slow path does what the fast path does, for every frame that the fast path can do.

use proptest::prelude::*;
use wamig_openflow::{Field, MacAddr};

use super::*;
use crate::switch::fixtures::{arp_request, udp};

fn some_action() -> impl Strategy<Value = Action> {
    prop_oneof![
        4 => (1u32..4).prop_map(out),
        1 => Just(Action::controller()),
        1 => Just(Action::output(PortNo::IN_PORT)),
        1 => Just(Action::output(PortNo::FLOOD)),
        1 => Just(Action::output(PortNo::LOCAL)),
        1 => any::<u8>().prop_map(|n| Action::set_mac(Field::EthDst, MacAddr([2, 0, 0, 0, 0, n]))),
        1 => any::<u8>().prop_map(|n| Action::set_ip(Field::Ipv4Dst, [10, 0, 0, n])),
        1 => Just(Action::Move { src: Field::EthSrc, dst: Field::EthDst }),
        1 => Just(Action::DecNwTtl),
        1 => Just(Action::PushVlan(0x8100)),
        1 => Just(Action::PopVlan),
    ]
}

fn some_flow() -> impl Strategy<Value = FlowMod> {
    let list = || prop::collection::vec(some_action(), 0..4);
    let write =
        prop::collection::vec(some_action().prop_filter("no place", |a| !matches!(a, Action::Move { .. })), 0..3);
    (0u8..3, 0u16..3, prop::option::of(1u32..3), list(), write, any::<bool>(), prop::option::of(1u8..3), any::<bool>())
        .prop_map(|(table, priority, port, apply, write, clear, step, mark)| {
            let matching = port.map_or(Match::any(), |p| Match::any().in_port(PortNo(p)));
            // Half of the flows are for IPv4, so that its set-fields are accepted.
            let matching = if clear ^ mark { matching.ipv4() } else { matching };
            let metadata = mark.then_some((3, 1));
            let goto = step.map(|s| TableId(table + s));
            add(table, priority, matching, Instructions { meter: None, apply, clear, write, metadata, goto })
        })
}

fn some_frame() -> impl Strategy<Value = Vec<u8>> {
    let tag = prop::option::of(0u16..3);
    (any::<bool>(), 0u8..4, 1u8..3, tag).prop_map(|(arp, host, ttl, tag)| {
        let frame = if arp { arp_request([10, 0, 0, host]) } else { udp([10, 0, 0, host], ttl) };
        tag.map_or(frame.clone(), |vid| [&frame[..12], &[0x81, 0], &vid.to_be_bytes(), &frame[12..]].concat())
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]
    #[test]
    fn both_paths_make_the_same_of_a_frame(
        flows in prop::collection::vec(some_flow(), 1..10),
        frames in prop::collection::vec((1u32..4, some_frame()), 1..6),
    ) {
        let mut rig = Rig::new();
        for m in flows {
            let _ = rig.switch.apply(vec![m], rig.now);
        }
        for (in_port, frame) in frames {
            let fast = rig.frame(in_port, &frame);
            let slow = rig.slow(PortNo(in_port), &frame);
            prop_assert_eq!(fast, slow);
        }
    }
}
