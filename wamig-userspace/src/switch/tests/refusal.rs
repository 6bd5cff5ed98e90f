//! What is refused leaves no trace, neither in the tables nor in the fast path.

use proptest::prelude::*;
use wamig_openflow::{ErrorKind, Field};

use super::expiry::told;
use super::*;
use crate::fastpath::maps::Maps;
use crate::switch::fixtures::{arp_request, some_mod, udp};

/// A fast path with room for so many masks.
fn small(masks: u32) -> Rig {
    let capacity = Capacity { subtables: masks + 1, ..MemoryMaps::default().capacity() };
    Rig::with(MemoryMaps::with_capacity(capacity), Limits::default())
}

#[test]
fn a_batch_that_the_fast_path_refuses_changes_nothing() {
    let mut rig = small(2);
    rig.apply(vec![FlowMod { idle_timeout: 9, ..add(0, 1, Match::any().in_port(PortNo(1)), apply(&[out(3)])) }]);
    let before = (rig.switch.tables().clone(), rig.switch.next_deadline());
    let batch = vec![
        FlowMod::delete_by_cookie(Cookie(0), 0),
        add(0, 2, Match::any().ipv4(), apply(&[out(2)])),
        add(0, 3, Match::any().arp().with(Field::ArpOp, 1), apply(&[out(2)])),
        add(0, 4, Match::any().with(Field::VlanVid, 0), apply(&[out(2)])),
    ];
    let err = rig.switch.apply(batch, rig.now).unwrap_err();
    assert_eq!((err.index, err.error.kind), (3, ErrorKind::FlowModTableFull));
    assert_eq!((rig.switch.tables().clone(), rig.switch.next_deadline()), before);
    assert_eq!(ports(&rig.frame(1, &udp([10, 0, 0, 9], 64))), [3]);
    assert_eq!(ports(&rig.frame(2, &udp([10, 0, 0, 9], 64))), [0u32; 0]);
}

#[test]
fn a_batch_that_is_refused_on_the_way_changes_nothing() {
    let mut rig = Rig::new();
    rig.add(0, 1, Match::any(), apply(&[out(3)]));
    let batch = vec![
        FlowMod::delete_strict(TableId(0), 1, Match::any()),
        add(0, 2, Match::any(), apply(&[out(2)])),
        add(0, 3, Match::any(), apply(&[out(77)])),
    ];
    let err = rig.switch.apply(batch, rig.now).unwrap_err();
    assert_eq!((err.index, err.error.kind), (2, ErrorKind::BadActionBadOutPort));
    assert!(err.error.detail.starts_with("flow-mod 3 of 3: output:77"), "{err}");
    assert_eq!(ports(&rig.frame(1, &udp([10, 0, 0, 9], 64))), [3]);
    assert_eq!(rig.switch.dump_flows(&Selector::all(), rig.now)[0].packets, 1);
}

#[test]
fn of_modifications_applied_each_on_its_own_only_the_refused_are_left_out() {
    let mut rig = Rig::new();
    let mods = vec![
        add(0, 2, Match::any(), apply(&[out(2)])).into(),
        add(0, 3, Match::any(), apply(&[out(77)])).into(),
        FlowMod { flags: told(), ..add(0, 4, Match::any(), apply(&[out(3)])) }.into(),
        FlowMod::delete_strict(TableId(0), 4, Match::any()).into(),
    ];
    let applied = rig.switch.apply_each(mods, rig.now);
    let kinds: Vec<_> = applied.verdicts.iter().map(|v| v.as_ref().err().map(|e| e.kind)).collect();
    assert_eq!(kinds, [None, Some(ErrorKind::BadActionBadOutPort), None, None]);
    assert!(matches!(applied.events.as_slice(), [Event::FlowRemoved(_)]), "{:?}", applied.events);
    assert_eq!(ports(&rig.frame(1, &udp([10, 0, 0, 9], 64))), [2]);
}

#[test]
fn where_not_all_have_room_each_gets_its_own_verdict() {
    let mut rig = small(2);
    let mods = vec![
        add(0, 1, Match::any(), apply(&[out(2)])).into(),
        add(0, 2, Match::any().ipv4(), apply(&[out(3)])).into(),
        add(0, 3, Match::any().in_port(PortNo(1)), apply(&[out(3)])).into(),
        add(0, 4, Match::any().ipv4(), apply(&[Action::output(PortNo::LOCAL)])).into(),
    ];
    let applied = rig.switch.apply_each(mods, rig.now);
    let kinds: Vec<_> = applied.verdicts.iter().map(|v| v.as_ref().err().map(|e| e.kind)).collect();
    assert_eq!(kinds, [None, None, Some(ErrorKind::FlowModTableFull), None]);
    assert_eq!(ports(&rig.frame(1, &udp([10, 0, 0, 9], 64))), [PortNo::LOCAL.0]);
    assert_eq!(ports(&rig.frame(1, &arp_request([10, 0, 0, 1]))), [2]);
}

#[test]
fn frames_for_a_port_that_is_gone_are_dropped_and_the_flow_stays() {
    let mut rig = Rig::new();
    rig.add(0, 1, Match::any(), apply(&[out(3), out(3)]));
    assert!(rig.switch.port_changed(PortChange::Gone(PortNo(3)), rig.now).is_some());
    assert!(rig.frame(1, &udp([10, 0, 0, 9], 64)).0.is_empty());
    assert_eq!(rig.switch.tables().len(), 1);
}

/// What every probe frame becomes, by the fast path and by the slow path's tables.
fn behaviour(rig: &mut Rig) -> Vec<Result> {
    let frames = [udp([10, 0, 0, 0], 64), udp([10, 0, 0, 3], 64), arp_request([10, 0, 0, 1])];
    let mut results = Vec::new();
    for in_port in 1..4 {
        for frame in &frames {
            let fast = rig.frame(in_port, frame);
            assert_eq!(fast, rig.slow(PortNo(in_port), frame));
            results.push(fast);
        }
    }
    results
}

proptest! {
    #[test]
    fn batches_hold_as_a_whole_or_not_at_all(
        batches in prop::collection::vec(prop::collection::vec(some_mod(), 1..5), 1..12),
    ) {
        let mut rig = small(6);
        for mods in batches {
            let tables = rig.switch.tables().clone();
            let before = (behaviour(&mut rig), rig.switch.next_deadline());
            if rig.switch.apply(mods, rig.now).is_err() {
                prop_assert_eq!(rig.switch.tables(), &tables);
                prop_assert_eq!((behaviour(&mut rig), rig.switch.next_deadline()), before);
            } else {
                behaviour(&mut rig);
            }
            rig.now += Duration::from_millis(700);
            rig.pass(0);
            rig.switch.tick(rig.now);
        }
    }
}
