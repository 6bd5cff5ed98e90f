//! Frames followed through small tables.

use std::time::Instant;

use wamig_openflow::{Action as Act, Cookie, FlowMod, Instructions, PortDesc, TableId};

use super::*;
use crate::fastpath::FastPath as _;
use crate::fastpath::memory::{Memory, MemoryMaps};
use crate::switch::fixtures::{arp_request, port, udp};
use crate::switch::{Limits, Switch};

fn switch(flows: &[(u8, u16, &str)]) -> Switch<Memory> {
    let local = PortDesc { port: PortNo::LOCAL, ..port(9) };
    let ports = Ports::new([port(1), port(2), port(3), local]);
    let mut switch = Switch::new(Memory::new(MemoryMaps::default()), ports, Limits::default());
    let read = |(table, priority, text): &(u8, u16, &str)| {
        let m: FlowMod = text.parse().unwrap();
        let cookie = Cookie(u64::from(*priority));
        FlowMod::add(TableId(*table), *priority, m.matching, m.instructions, cookie)
    };
    switch.apply(flows.iter().map(read).collect(), Instant::now()).unwrap();
    switch
}

fn tables(trace: &Trace) -> Vec<(u8, Option<u16>)> {
    let of = |s: &Step| if let Step::Table(t) = s { Some((t.table, t.priority)) } else { None };
    trace.steps.iter().filter_map(of).collect()
}

fn actions(trace: &Trace) -> Vec<&Action> {
    trace.steps.iter().filter_map(|s| if let Step::Action(a) = s { Some(a) } else { None }).collect()
}

#[test]
fn a_trace_tells_every_table_mask_action_and_change() {
    let switch = switch(&[
        (0, 10, "ip,nw_dst=10.0.0.0/24 actions=set_field:10.9.9.9->nw_dst,goto_table:2"),
        (0, 20, "arp actions=drop"),
        (2, 7, "ip,nw_dst=10.9.9.9 actions=dec_ttl,output:2,output:3"),
    ]);
    let frame = udp([10, 0, 0, 9], 64);
    let trace = switch.trace(PortNo(1), &frame).unwrap();
    assert_eq!(tables(&trace), [(0, Some(10)), (2, Some(7))]);
    let Step::Table(first) = &trace.steps[0] else { panic!("{trace:?}") };
    let tried: Vec<_> = first.tried.iter().map(|t| (t.fields.as_str(), t.found)).collect();
    assert_eq!(tried, [("ip", None), ("ip,nw_dst=10.0.0.0/24", Some(10))]);
    assert_eq!((first.cookie.as_deref(), first.matched.as_deref()), (Some("0xa"), Some("ip,nw_dst=10.0.0.0/24")));
    let done = actions(&trace);
    assert_eq!(
        done.iter().map(|a| a.action.as_str()).collect::<Vec<_>>(),
        ["set_field", "dec_ttl", "output:2,output:3"]
    );
    assert_eq!(done[0].changes[0], "nw_dst=10.0.0.9 -> 10.9.9.9");
    assert!(done[1].changes.iter().any(|c| c.starts_with("byte 22: 40 -> 3f")), "{:?}", done[1]);
    assert_eq!((trace.slow, trace.dropped), (None, None));
    assert_eq!(trace.outputs.iter().map(|o| o.port.as_str()).collect::<Vec<_>>(), ["2", "3"]);
    let sent = unhex(&trace.outputs[0].frame).unwrap();
    assert_eq!((&sent[30..34], sent[22]), (&[10u8, 9, 9, 9][..], 63));
}

#[test]
fn a_miss_and_a_drop_have_their_reasons() {
    let switch = switch(&[(0, 1, "arp actions=drop"), (0, 2, "ip actions=output:1")]);
    let dropped = |frame: &[u8]| switch.trace(PortNo(1), frame).unwrap().dropped;
    assert_eq!(dropped(&arp_request([10, 0, 0, 9])).as_deref(), Some("no-output"));
    assert_eq!(dropped(&udp([10, 0, 0, 9], 64)).as_deref(), Some("output-to-ingress"));
    let mut other = arp_request([10, 0, 0, 9]);
    other[12..14].copy_from_slice(&[0x88, 0xb5]);
    let trace = switch.trace(PortNo(1), &other).unwrap();
    assert_eq!((tables(&trace), trace.dropped.as_deref()), (vec![(0, None)], Some("table-miss")));
    assert_eq!(dropped(&[0; 4]).as_deref(), Some("truncated"));
}

#[test]
fn the_slow_path_is_followed_to_its_end() {
    let switch = switch(&[(0, 1, "ip actions=output:2,set_field:02:00:00:00:00:99->eth_dst,output:3,CONTROLLER:20")]);
    let trace = switch.trace(PortNo(1), &udp([10, 0, 0, 9], 64)).unwrap();
    assert_eq!(trace.slow.as_deref(), Some("edit-after-output"));
    let outputs: Vec<_> = trace.outputs.iter().map(|o| (o.port.as_str(), &o.frame[..12])).collect();
    assert_eq!(outputs, [("2", "020000000002"), ("CONTROLLER", "020000000099"), ("3", "020000000099")]);
    assert_eq!((trace.outputs[1].frame.len(), trace.outputs[1].reason.as_deref()), (40, Some("action")));
    assert_eq!(trace.dropped, None);
    let text = trace.text();
    for part in
        ["Path: slow path (edit-after-output)", "needs the slow path", "Packet-in: action, cookie 0x1, 20 of 62 bytes"]
    {
        assert!(text.contains(part), "{part}: {text}");
    }
}

#[test]
fn a_trace_counts_nothing_and_sends_nothing() {
    let mut switch = switch(&[(0, 1, "actions=FLOOD,CONTROLLER:65535")]);
    let before = switch.dump_flows(&crate::switch::flow_table::Selector::all(), Instant::now());
    let trace = switch.trace(PortNo(1), &udp([10, 0, 0, 9], 64)).unwrap();
    assert_eq!(trace.outputs.len(), 4);
    assert_eq!(
        before[0].packets,
        switch.dump_flows(&crate::switch::flow_table::Selector::all(), Instant::now())[0].packets
    );
    assert!(switch.fast_path().maps().sent.is_empty());
    assert!(switch.fast_path().reasons().drops.iter().all(|(_, n)| *n == 0));
    assert_eq!(switch.slow_counters(), crate::switch::SlowCounters::default());
    assert!(switch.trace(PortNo(9), &[0; 60]).unwrap_err().detail.contains("1, 2, 3, LOCAL"));
}

#[test]
fn the_action_set_is_told_apart() {
    let switch = switch(&[(0, 1, "actions=write_actions(output:2,pop_vlan),goto_table:1"), (1, 3, "actions=drop")]);
    let trace = switch.trace(PortNo(1), &udp([10, 0, 0, 9], 64)).unwrap();
    assert!(trace.steps.contains(&Step::ActionSet), "{trace:?}");
    assert_eq!(actions(&trace).iter().map(|a| a.action.as_str()).collect::<Vec<_>>(), ["pop_vlan", "output:2"]);
}

#[test]
fn hexadecimal_text_is_read_and_its_mistakes_are_placed() {
    assert_eq!(unhex("02:00 0a").unwrap(), [2, 0, 10][..]);
    assert_eq!(unhex("02zz").unwrap_err(), "character 3: 'z' is no hexadecimal digit");
    assert!(unhex("020").is_err());
    let frame = udp([10, 0, 0, 9], 1);
    assert_eq!(unhex(&report::hex(&frame)).unwrap(), frame);
}

#[test]
fn a_trace_is_the_same_as_text_of_the_interface() {
    let switch = switch(&[(0, 1, "actions=output:2")]);
    let trace = switch.trace(PortNo(1), &udp([10, 0, 0, 9], 64)).unwrap();
    let json = serde_json::to_string(&trace).unwrap();
    assert_eq!(serde_json::from_str::<Trace>(&json).unwrap(), trace);
    assert_eq!(Instructions::apply(vec![Act::output(PortNo(2))]).to_string(), "output:2");
    assert!(
        trace.text().contains("matched: priority=1, cookie 0x1\n  actions=output:2\n    output:2\n"),
        "{}",
        trace.text()
    );
}
