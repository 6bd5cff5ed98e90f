//! Timeouts, counters and the notices of removed flows.

use std::net::Ipv4Addr;

use wamig_openflow::{Field, FlowModFlags, FlowRemovedReason, FlowStats};

use super::*;
use crate::switch::fixtures::udp;

pub fn told() -> FlowModFlags {
    FlowModFlags { send_flow_removed: true, ..FlowModFlags::default() }
}

fn removed(events: &[Event]) -> Vec<(FlowRemovedReason, u16, u64)> {
    let one = |e: &Event| match e {
        Event::FlowRemoved(r) => (r.reason, r.stats.priority, r.stats.packets),
        other => panic!("{other:?}"),
    };
    events.iter().map(one).collect()
}

impl Rig {
    fn only_flow(&mut self) -> FlowStats {
        let mut flows = self.switch.dump_flows(&Selector::all(), self.now);
        assert_eq!(flows.len(), 1);
        flows.remove(0)
    }
}

#[test]
fn idle_flows_go_and_used_ones_stay() {
    let mut rig = Rig::new();
    let idle = |priority, port| FlowMod {
        idle_timeout: 5,
        flags: told(),
        ..add(0, priority, Match::any().in_port(PortNo(port)), apply(&[out(3)]))
    };
    rig.apply(vec![idle(1, 1), idle(2, 2)]);
    rig.pass(3);
    rig.frame(1, &udp([10, 0, 0, 9], 64));
    assert!(rig.switch.tick(rig.now).is_empty());
    rig.pass(2);
    assert_eq!(rig.switch.next_deadline(), Some(rig.now));
    assert_eq!(removed(&rig.switch.tick(rig.now)), [(FlowRemovedReason::IdleTimeout, 2, 0)]);
    assert_eq!(rig.switch.next_deadline(), Some(rig.now + Duration::from_secs(3)));
    rig.pass(3);
    assert_eq!(removed(&rig.switch.tick(rig.now)), [(FlowRemovedReason::IdleTimeout, 1, 1)]);
    assert_eq!(rig.switch.next_deadline(), None);
    assert_eq!(ports(&rig.frame(1, &udp([10, 0, 0, 9], 64))), [0u32; 0], "gone from the fast path as well");
}

#[test]
fn a_hard_timeout_ends_a_busy_flow() {
    let mut rig = Rig::new();
    rig.apply(vec![FlowMod {
        hard_timeout: 2,
        idle_timeout: 60,
        flags: told(),
        ..add(0, 1, Match::any(), apply(&[out(3)]))
    }]);
    rig.pass(2);
    rig.frame(1, &udp([10, 0, 0, 9], 64));
    assert_eq!(removed(&rig.switch.tick(rig.now)), [(FlowRemovedReason::HardTimeout, 1, 1)]);
}

#[test]
fn a_delete_is_told_with_the_last_counters_if_asked_for() {
    let mut rig = Rig::new();
    let silent = add(0, 2, Match::any().in_port(PortNo(2)), apply(&[out(3)]));
    rig.apply(vec![FlowMod { flags: told(), ..add(0, 1, Match::any(), apply(&[out(3)])) }, silent]);
    let frame = udp([10, 0, 0, 9], 64);
    rig.frame(1, &frame);
    rig.frame(1, &frame);
    rig.pass(4);
    let events = rig.apply(vec![FlowMod::delete_by_cookie(Cookie(0), 0)]);
    assert_eq!(removed(&events), [(FlowRemovedReason::Delete, 1, 2)]);
    let Event::FlowRemoved(r) = &events[0] else { panic!() };
    assert_eq!((r.stats.bytes, r.stats.duration), (2 * frame.len() as u64, Duration::from_secs(4)));
    assert!(rig.switch.tables().is_empty());
}

#[test]
fn counters_survive_changes_unless_they_are_reset() {
    let mut rig = Rig::new();
    let frame = udp([10, 0, 0, 9], 64);
    rig.add(0, 1, Match::any(), apply(&[out(3)]));
    rig.frame(1, &frame);
    rig.pass(5);
    rig.add(0, 1, Match::any(), apply(&[out(2)]));
    let flow = rig.only_flow();
    assert_eq!((flow.packets, flow.duration, flow.idle_age), (1, Duration::ZERO, Duration::ZERO));
    rig.frame(1, &frame);
    rig.pass(2);
    let flow = rig.only_flow();
    assert_eq!((flow.packets, flow.duration, flow.idle_age), (2, Duration::from_secs(2), Duration::from_secs(2)));
    let reset = FlowModFlags { reset_counts: true, ..FlowModFlags::default() };
    rig.apply(vec![FlowMod { flags: reset, ..add(0, 1, Match::any(), apply(&[out(2)])) }]);
    assert_eq!(rig.only_flow().packets, 0);
}

#[test]
fn a_modified_flow_keeps_its_idle_clock() {
    let mut rig = Rig::new();
    rig.apply(vec![FlowMod { idle_timeout: 5, flags: told(), ..add(0, 1, Match::any(), apply(&[out(3)])) }]);
    rig.pass(4);
    rig.frame(1, &udp([10, 0, 0, 9], 64));
    rig.pass(2);
    let modify = wamig_openflow::FlowModCommand::Modify;
    rig.apply(vec![FlowMod { command: modify, ..add(0, 1, Match::any(), apply(&[out(2)])) }]);
    assert!(rig.switch.tick(rig.now).is_empty());
    rig.pass(3);
    assert_eq!(removed(&rig.switch.tick(rig.now)).len(), 1);
}

#[test]
fn what_many_deleted_flows_leave_goes_a_moment_later_without_another_batch() {
    let mut rig = Rig::new();
    let flow =
        |n: u32| add(0, 1, Match::any().ipv4().ip(Field::Ipv4Dst, Ipv4Addr::from(0x0a00_0000 + n)), apply(&[out(3)]));
    rig.apply((0..300).map(flow).collect());
    let quiet = rig.switch.next_deadline();
    rig.apply(vec![FlowMod::delete_by_cookie(Cookie(1), u64::MAX)]);
    assert_eq!((quiet, rig.switch.fast.maps().flow_entries()), (None, 300));

    let at = rig.switch.next_deadline().unwrap();
    assert!(rig.switch.tick(at).is_empty());

    assert_eq!((rig.switch.next_deadline(), rig.switch.fast.maps().flow_entries()), (None, 0));
}
