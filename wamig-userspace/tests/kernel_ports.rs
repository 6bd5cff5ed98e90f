//! The configuration of ports and switch as the XDP program obeys it.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod kernel {
    pub mod bench;
    pub mod counters;
    pub mod run;
}

use std::collections::BTreeMap;

use aya::Ebpf;
use kernel::bench::{Bench, may_run};
use kernel::counters::{self, Counters};
use kernel::run;
use wamig_openflow::message::PortConfig;
use wamig_openflow::{Action, Instructions, Match, PortNo, TableId};
use wamig_userspace::fastpath::compile::compile;
use wamig_userspace::fastpath::needs::Constants;
use wamig_userspace::fastpath::{Batch, Change, FastPath, FlowId, PortSettings};

const DROP: u32 = 1;
const TX: u32 = 3;
const REDIRECT: u32 = 4;

/// UDP to 10.0.0.2: whole, which the straight way takes, or the first fragment.
fn frame(fragment: bool) -> Vec<u8> {
    let mut frame = vec![2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 8, 0, 0x45, 0, 0, 28];
    frame.extend([0, 1, if fragment { 0x20 } else { 0 }, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2]);
    frame.extend([0, 7, 0, 9, 0, 8, 0, 0]);
    frame.resize(60, 0);
    frame
}

struct Rig {
    bench: Bench,
    program: Ebpf,
}

impl Rig {
    /// One flow that takes every frame of port 1 at table 0's lowest priority.
    fn new(actions: Vec<Action>) -> Self {
        let mut bench = Bench::new(&[PortNo(1), PortNo(2)]);
        let program = run::variant(&bench.maps_dir, PortNo(1), Constants::default());
        let flow = compile(FlowId(1), TableId(0), 0, &Match::any(), &Instructions::apply(actions)).unwrap();
        bench.opened.fastpath.commit(&Batch { changes: vec![Change::Insert(flow)] }).unwrap();
        Self { bench, program }
    }

    /// What becomes of a frame under these settings: the verdict, and what is counted.
    fn under(&mut self, ports: &[(u32, PortConfig)], drop_fragments: bool, frame: &[u8]) -> (u32, Counters) {
        let ports: BTreeMap<_, _> = ports.iter().map(|(n, config)| (PortNo(*n), *config)).collect();
        self.with(&PortSettings { ports, drop_fragments, ..PortSettings::default() }, frame)
    }

    fn with(&mut self, settings: &PortSettings, frame: &[u8]) -> (u32, Counters) {
        let fast = &mut self.bench.opened.fastpath;
        fast.set_port_settings(settings).unwrap();
        let before = counters::read(fast);
        let (action, _, _) = run::run(&self.program, "wamig", frame, 1);
        (action, counters::since(&before, &counters::read(fast)))
    }
}

fn one(name: &'static str) -> Counters {
    [(name, 1)].into()
}

const NONE: PortConfig = PortConfig {
    down: false,
    no_stp: false,
    no_recv: false,
    no_recv_stp: false,
    no_flood: false,
    no_fwd: false,
    no_packet_in: false,
};
const NO_FWD: PortConfig = PortConfig { no_fwd: true, ..NONE };
const NO_RECV: PortConfig = PortConfig { no_recv: true, ..NONE };
const DOWN: PortConfig = PortConfig { down: true, ..NONE };

#[test]
fn flags_of_ports_hold_from_the_next_frame_on_and_can_be_taken_back() {
    if !may_run() {
        return;
    }
    let mut rig = Rig::new(vec![Action::output(PortNo(2))]);
    let plain = frame(false);
    let passes = (REDIRECT, Counters::new());
    assert_eq!(rig.under(&[], false, &plain), passes);
    for config in [NO_RECV, DOWN] {
        assert_eq!(rig.under(&[(1, config)], false, &plain), (DROP, one("port-no-receive")), "{config:?}");
        assert_eq!(rig.under(&[], false, &plain), passes);
    }
    for config in [NO_FWD, DOWN] {
        assert_eq!(rig.under(&[(2, config)], false, &plain), (DROP, one("port-no-forward")), "{config:?}");
        assert_eq!(rig.under(&[], false, &plain), passes);
    }
    assert_eq!(rig.under(&[(1, NO_FWD), (2, NO_RECV)], false, &plain), passes, "the other direction");
    let stp = PortConfig { no_recv_stp: true, ..NONE };
    assert_eq!(rig.under(&[(1, stp)], false, &plain), passes);
    let mut bpdu = plain.clone();
    bpdu[..6].copy_from_slice(&[1, 0x80, 0xc2, 0, 0, 0]);
    assert_eq!(rig.under(&[(1, stp)], false, &bpdu), (DROP, one("port-no-receive")));
}

#[test]
fn a_port_that_does_not_forward_turns_nothing_around() {
    if !may_run() {
        return;
    }
    let mut rig = Rig::new(vec![Action::output(PortNo::IN_PORT)]);
    assert_eq!(rig.under(&[], false, &frame(false)), (TX, Counters::new()));
    assert_eq!(rig.under(&[(1, NO_FWD)], false, &frame(false)), (DROP, one("port-no-forward")));
}

#[test]
fn fragments_are_dropped_when_the_switch_is_told_to() {
    if !may_run() {
        return;
    }
    let mut rig = Rig::new(vec![Action::output(PortNo(2))]);
    assert_eq!(rig.under(&[], false, &frame(true)), (REDIRECT, Counters::new()));
    assert_eq!(rig.under(&[], true, &frame(true)), (DROP, one("fragment")));
    assert_eq!(rig.under(&[], true, &frame(false)), (REDIRECT, Counters::new()));
}

#[test]
fn a_port_can_be_kept_from_telling_of_misses() {
    if !may_run() {
        return;
    }
    let mut rig = Rig::new(vec![Action::controller()]);
    let told: Counters = [("controller-only", 1), ("no-match", 1)].into();
    assert_eq!(rig.under(&[], false, &frame(false)), (DROP, told.clone()));
    let silent = PortConfig { no_packet_in: true, ..NONE };
    let kept: Counters = [("controller-only", 1), ("port-no-packet-in", 1)].into();
    assert_eq!(rig.under(&[(1, silent)], false, &frame(false)), (DROP, kept));
    assert_eq!(rig.under(&[], false, &frame(false)), (DROP, told));
}

#[test]
fn misses_go_up_where_they_are_told_to_and_the_port_is_not_silent() {
    if !may_run() {
        return;
    }
    let mut rig = Rig::new(vec![]);
    rig.bench.opened.fastpath.commit(&Batch { changes: vec![Change::Remove(FlowId(1))] }).unwrap();
    let up = |silent| PortSettings {
        ports: [(PortNo(1), PortConfig { no_packet_in: silent, ..NONE })].into(),
        misses_go_up: true,
        ..PortSettings::default()
    };
    // The straight way takes whole frames, the general walk fragments.
    for frame in [frame(false), frame(true)] {
        let missed = |rig: &mut Rig| rig.bench.opened.fastpath.table_counters(0).missed;
        let before = missed(&mut rig);
        let told: Counters = [("controller-only", 1), ("miss", 1)].into();
        assert_eq!(rig.with(&up(false), &frame), (DROP, told));
        let kept: Counters = [("controller-only", 1), ("port-no-packet-in", 1)].into();
        assert_eq!(rig.with(&up(true), &frame), (DROP, kept));
        assert_eq!(rig.with(&PortSettings::default(), &frame), (DROP, one("table-miss")));
        assert_eq!(missed(&mut rig) - before, 3, "each is counted as a miss, once");
    }
}
