//! Random flows and frames: the XDP program, wamig outside the kernel, and Open vSwitch.
//! `docs/differential.md` tells what is compared. It makes no network namespace, but needs root.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

#[allow(dead_code, reason = "shared by test programs that need different parts of it")]
mod compare;
mod frames;
#[allow(dead_code, reason = "shared by test programs that need different parts of it")]
mod kernel {
    pub mod bench;
    pub mod counters;
    pub mod expected;
    pub mod plans;
    pub mod punts;
    pub mod run;
}
#[allow(dead_code, reason = "shared by test programs that need different parts of it")]
#[path = "oracle/mod.rs"]
mod oracle;
mod ovs;
mod paths;
#[allow(dead_code, reason = "shared by test programs that need different parts of it")]
mod random;

use aya::Ebpf;
use compare::native::Native;
use compare::session::Beside;
use kernel::bench::{Bench, may_run};
use kernel::expected::expected;
use kernel::plans::{Plans, comparable};
use kernel::{punts, run};
use paths::{PORTS, Up};
use random::scaled;
use wamig_common::native::Outcome;
use wamig_openflow::PortNo;
use wamig_userspace::fastpath::Batch;
use wamig_userspace::fastpath::needs::Constants;

/// The XDP program of every port, over maps that follow the native switch's.
struct Xdp {
    bench: Bench,
    programs: Vec<Ebpf>,
    plans: Plans,
    /// What has to come up.
    ups: Vec<Up>,
}

impl Xdp {
    fn new() -> Self {
        let bench = Bench::new(&PORTS);
        let programs = PORTS.iter().map(|p| run::variant(&bench.maps_dir, *p, Constants::default())).collect();
        let plans = Plans::open(&bench.maps_dir);
        Self { bench, programs, plans, ups: Vec::new() }
    }
}

impl Beside for Xdp {
    fn install(&mut self, batch: &Batch) {
        // With nothing left to be cleaned up, both writers give out the same numbers.
        self.bench.opened.fastpath.collect(true);
        self.bench.opened.fastpath.commit(batch).unwrap();
    }

    fn run(&mut self, native: &Native, in_port: PortNo, frame: &[u8], outcome: &Outcome) {
        let should = expected(&native.memory, outcome, frame);
        let program = &self.programs[PORTS.iter().position(|p| *p == in_port).unwrap()];
        let (action, after, _) = run::run(program, "wamig", frame, 1);
        let plan = comparable(self.plans.last());
        let what = format!("port {in_port}, frame {}", paths::hex(frame));
        assert_eq!((action, plan), (should.action, should.plan), "{what}");
        assert_eq!(paths::hex(&after), paths::hex(&should.frame), "{what}");
        self.ups.extend(should.ups);
    }

    fn end(&mut self) {
        self.ups.sort();
        let came = punts::ups(punts::take(&mut self.bench.opened.punts, self.ups.len()));
        assert_eq!(came, self.ups);
        self.ups.clear();
    }
}

#[test]
fn xdp_wamig_and_open_vswitch_agree() {
    if may_run() && ovs::process::may_run() {
        compare::run::run(scaled(10_000), &mut Xdp::new());
    }
}

#[test]
#[ignore = "takes minutes"]
fn xdp_wamig_and_open_vswitch_agree_on_many_frames() {
    if may_run() && ovs::process::may_run() {
        compare::run::run(scaled(300_000), &mut Xdp::new());
    }
}
