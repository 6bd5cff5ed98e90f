//! Every vector of the data plane by the XDP program: verdict, frame, plan, counters and
//! packet-ins.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod frames;
mod kernel {
    pub mod bench;
    pub mod counters;
    pub mod expected;
    pub mod plans;
    pub mod punts;
    pub mod run;
}
mod paths;
#[path = "vectors/mod.rs"]
mod table;

use aya::Ebpf;
use kernel::bench::{Bench, may_run};
use kernel::expected::expected;
use kernel::plans::{Plans, comparable};
use kernel::{counters, punts, run};
use paths::PORTS;
use table::Vector;
use wamig_common::verdict::Verdict;
use wamig_userspace::fastpath::memory::{Memory, MemoryMaps};
use wamig_userspace::fastpath::needs::Constants;
use wamig_userspace::fastpath::{Batch, Change, FastPath, FlowId};

/// The XDP program of every port beside the memory fast path, with the same flows.
struct Rig {
    bench: Bench,
    programs: Vec<Ebpf>,
    plans: Plans,
    memory: Memory,
    installed: Vec<FlowId>,
    next: u64,
}

impl Rig {
    fn new() -> Self {
        let bench = Bench::new(&PORTS);
        let programs = PORTS.iter().map(|p| run::variant(&bench.maps_dir, *p, Constants::default())).collect();
        let plans = Plans::open(&bench.maps_dir);
        Self { bench, programs, plans, memory: Memory::new(MemoryMaps::default()), installed: Vec::new(), next: 0 }
    }

    /// Replaces the flows of the vector before; ids are never used twice.
    fn install(&mut self, v: &mut Vector) {
        let base = self.next;
        self.next += v.flows.len() as u64 + 1;
        let renamed = |id: FlowId| FlowId(base + id.0);
        v.flows.iter_mut().for_each(|f| f.id = renamed(f.id));
        v.seen.ups.iter_mut().for_each(|up| up.flow = up.flow.map(renamed));
        let gone = self.installed.drain(..).map(Change::Remove);
        let changes = gone.chain(v.flows.iter().cloned().map(Change::Insert)).collect();
        self.installed = v.flows.iter().map(|f| f.id).collect();
        let batch = Batch { changes };
        // With nothing left to be cleaned up, both writers give out the same numbers.
        self.bench.opened.fastpath.collect(true);
        self.bench.opened.fastpath.commit(&batch).unwrap();
        self.memory.commit(&batch).unwrap();
        self.bench.opened.fastpath.set_port_settings(&v.settings()).unwrap();
        self.memory.set_port_settings(&v.settings()).unwrap();
    }

    /// Everything that is wrong with what is made of the vector.
    fn check(&mut self, v: &Vector) -> Vec<String> {
        let mut wrong = Vec::new();
        let mut same = |what: &str, is: String, should: String| {
            if is != should {
                wrong.push(format!("{what}: {is}\n  instead of {should}"));
            }
        };
        let index = PORTS.iter().position(|p| *p == v.in_port).unwrap();
        let tables_before = self.tables();
        let (outcome, seen) = paths::fast(&mut self.memory, v.in_port, &v.frame);
        same("decision in memory", format!("{:?}", outcome.verdict), format!("{:?}", v.verdict));
        same("result in memory", seen.to_string(), v.seen.to_string());
        let should = expected(&self.memory, &outcome, &v.frame);
        let before = counters::read(&mut self.bench.opened.fastpath);
        let port_before = self.bench.opened.fastpath.port_counters(v.in_port);
        let (action, frame, _) = run::run(&self.programs[index], "wamig", &v.frame, 1);

        same("verdict", action.to_string(), should.action.to_string());
        same("frame", paths::hex(&frame), paths::hex(&should.frame));
        if v.verdict == Verdict::Done {
            same("frame sent", paths::hex(&frame), paths::hex(&v.seen.copies[0].1));
        }
        let plan = comparable(self.plans.last());
        same("plan", format!("{plan:?}"), format!("{:?}", should.plan));
        let ups = punts::ups(punts::take(&mut self.bench.opened.punts, should.ups.len()));
        same("packet-ins", format!("{ups:02x?}"), format!("{:02x?}", should.ups));
        let counted = counters::since(&before, &counters::read(&mut self.bench.opened.fastpath));
        same("counted", format!("{counted:?}"), format!("{:?}", should.counts));
        let port = self.bench.opened.fastpath.port_counters(v.in_port);
        let dropped = u64::from(matches!(v.verdict, Verdict::Drop(_)));
        let received = (port.rx_packets - port_before.rx_packets, port.rx_bytes - port_before.rx_bytes);
        same("port", format!("{received:?}"), format!("{:?}", (1, v.frame.len())));
        same("dropped", (port.rx_dropped - port_before.rx_dropped).to_string(), dropped.to_string());
        let (xdp, memory) = (&mut self.bench.opened.fastpath, &mut self.memory);
        let flows = |path: &mut dyn FastPath| {
            let flows = path.flow_counters(&self.installed).into_iter();
            flows.map(|f| (f.packets, f.bytes)).collect::<Vec<_>>()
        };
        same("flows", format!("{:?}", flows(xdp)), format!("{:?}", flows(memory)));
        let tables = self.tables();
        let grown =
            |i: usize| format!("{:?}", tables[i].iter().zip(&tables_before[i]).map(|(n, b)| n - b).collect::<Vec<_>>());
        same("tables", grown(0), grown(1));
        wrong
    }

    /// Lookups that matched and missed in every table, in the kernel and in memory.
    fn tables(&mut self) -> [Vec<u64>; 2] {
        let read = |path: &mut dyn FastPath| {
            let counters = (0..16).map(|t| path.table_counters(t));
            counters.flat_map(|c| [c.matched, c.missed]).collect()
        };
        [read(&mut self.bench.opened.fastpath), read(&mut self.memory)]
    }
}

#[test]
fn every_vector_by_the_xdp_program() {
    if !may_run() {
        return;
    }
    let mut rig = Rig::new();
    let mut vectors = table::all();
    let mut wrong = Vec::new();
    for v in &mut vectors {
        rig.install(v);
        wrong.extend(rig.check(v).into_iter().map(|w| format!("{}: {w}", v.name)));
    }
    println!("{} vectors, {} frames remembered", vectors.len(), rig.plans.hits());
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
}
