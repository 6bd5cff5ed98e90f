//! Random flows and frames: the XDP program against the memory fast path, and that against the
//! oracle. Programs that were cut down by constants do the same as the general one.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod agreement;
mod frames;
mod kernel {
    pub mod bench;
    pub mod counters;
    pub mod expected;
    pub mod plans;
    pub mod punts;
    pub mod run;
}
#[path = "oracle/mod.rs"]
mod oracle;
mod paths;
#[allow(dead_code, reason = "shared by test programs that need different parts of it")]
mod random;

use std::collections::{BTreeMap, BTreeSet};

use agreement::{check, compiled, listed};
use aya::Ebpf;
use kernel::bench::{Bench, may_run};
use kernel::counters::{self, Counters};
use kernel::expected::{Expected, expected};
use kernel::plans::{Plans, comparable};
use kernel::{punts, run};
use paths::{PORTS, Up};
use random::{Dice, Scenario, scaled};
use wamig_common::limits::PLAIN_LOOP_MASKS;
use wamig_openflow::PortNo;
use wamig_userspace::fastpath::memory::{Memory, MemoryMaps};
use wamig_userspace::fastpath::needs::Constants;
use wamig_userspace::fastpath::{Batch, Change, CompiledFlow, FastPath, FlowId};

/// Sets of flows.
const SETS: usize = 100;
/// Frames for each.
const FRAMES: usize = 200;
/// Sets for which a program is cut down to what they need.
const CUT_DOWN: usize = 16;

/// The data path in the kernel and in memory.
struct Rig {
    bench: Bench,
    general: Vec<Ebpf>,
    /// Port 1's program for tables of few masks.
    few_masks: Ebpf,
    plans: Plans,
    memory: Memory,
    installed: Vec<FlowId>,
}

impl Rig {
    fn new() -> Self {
        let bench = Bench::new(&PORTS);
        let variant = |port, constants| run::variant(&bench.maps_dir, port, constants);
        let general = PORTS.iter().map(|p| variant(*p, Constants::default())).collect();
        let few = Constants { masks: PLAIN_LOOP_MASKS, ..Constants::default() };
        let (few_masks, plans) = (variant(PORTS[0], few), Plans::open(&bench.maps_dir));
        Self { general, few_masks, plans, memory: Memory::new(MemoryMaps::default()), installed: Vec::new(), bench }
    }

    fn install(&mut self, flows: &[CompiledFlow]) {
        let gone = self.installed.drain(..).map(Change::Remove);
        let batch = Batch { changes: gone.chain(flows.iter().cloned().map(Change::Insert)).collect() };
        self.installed = flows.iter().map(|f| f.id).collect();
        // With nothing left to be cleaned up, both writers give out the same numbers.
        self.bench.opened.fastpath.collect(true);
        self.bench.opened.fastpath.commit(&batch).unwrap();
        self.memory.commit(&batch).unwrap();
    }

    fn program(&self, port: PortNo) -> &Ebpf {
        &self.general[PORTS.iter().position(|p| *p == port).unwrap()]
    }

    /// What is wrong with what a program makes of a frame.
    fn differs(&self, program: &Ebpf, frame: &[u8], should: &Expected) -> Option<String> {
        let (action, after, _) = run::run(program, "wamig", frame, 1);
        let plan = comparable(self.plans.last());
        let is = format!("{action} {plan:?}\n  {}", paths::hex(&after));
        let should = format!("{} {:?}\n  {}", should.action, should.plan, paths::hex(&should.frame));
        (is != should).then(|| format!("  {is}\ninstead of\n  {should}"))
    }

    /// Packets and bytes of the flows.
    fn counts(path: &mut dyn FastPath, flows: &[FlowId]) -> Vec<(u64, u64)> {
        path.flow_counters(flows).iter().map(|f| (f.packets, f.bytes)).collect()
    }
}

/// Masks of the fullest table.
fn masks(flows: &[CompiledFlow]) -> usize {
    let mut masks: BTreeMap<u8, BTreeSet<_>> = BTreeMap::new();
    for f in flows {
        masks.entry(f.table).or_default().insert(f.mask.words);
    }
    masks.values().map(BTreeSet::len).max().unwrap_or(0)
}

/// Adds up what one frame is counted as.
fn add(sum: &mut Counters, more: &Counters) {
    for (name, n) in more {
        *sum.entry(name).or_default() += n;
    }
}

#[test]
fn every_program_does_what_the_oracle_says() {
    if !may_run() {
        return;
    }
    let mut dice = Dice::seeded();
    let mut rig = Rig::new();
    let (mut pairs, mut by_few, mut by_cut_down, mut cut_down) = (0, 0, 0, 0);
    let mut before = counters::read(&mut rig.bench.opened.fastpath);
    for set in 0..scaled(SETS) {
        // Every other set has few masks in each table.
        let most = if set % 2 == 0 { 60 } else { 8 };
        let mut scenario = Scenario::new(Dice::new(dice.any()), set as u64 * 1000, most);
        let flows: Vec<CompiledFlow> = scenario.rules.iter().map(compiled).collect();
        rig.install(&flows);
        let mut frames = Vec::new();
        let mut ups: Vec<Up> = Vec::new();
        let mut counted = Counters::new();
        // Each twice: the second time its way through the tables is remembered, if it is plain.
        let once: Vec<_> = (0..FRAMES).map(|_| scenario.frame()).collect();
        for (port, frame) in once.iter().chain(&once).cloned() {
            let outcome = check(&mut rig.memory, &scenario.rules, port, &frame).unwrap_or_else(|e| panic!("{e}"));
            let should = expected(&rig.memory, &outcome, &frame);
            if let Some(difference) = rig.differs(rig.program(port), &frame, &should) {
                let (hex, rules) = (paths::hex(&frame), listed(&scenario.rules));
                panic!("port {port}, frame {hex}:\n{difference}\nflows:\n{rules}");
            }
            ups.extend_from_slice(&should.ups);
            add(&mut counted, &should.counts);
            frames.push((port, frame, should));
        }
        pairs += 2 * FRAMES;
        ups.sort();
        let came = punts::ups(punts::take(&mut rig.bench.opened.punts, ups.len()));
        for (came, up) in came.iter().zip(&ups) {
            assert_eq!(came, up);
        }
        assert_eq!(came.len(), ups.len());
        let now = counters::read(&mut rig.bench.opened.fastpath);
        assert_eq!(counters::since(&before, &now), counted);
        let ids = rig.installed.clone();
        assert_eq!(Rig::counts(&mut rig.bench.opened.fastpath, &ids), Rig::counts(&mut rig.memory, &ids));
        let on_port_1 = || frames.iter().filter(|(port, ..)| *port == PORTS[0]);
        let mut up_again = 0;
        if masks(&flows) <= PLAIN_LOOP_MASKS as usize {
            for (_, frame, should) in on_port_1() {
                assert_eq!(rig.differs(&rig.few_masks, frame, should), None);
                up_again += should.ups.len();
                by_few += 1;
            }
        }
        if cut_down < scaled(CUT_DOWN) && set % 5 == 1 {
            cut_down += 1;
            let needed = Constants { cache: cut_down % 2 == 0, ..Constants::needed(&flows) };
            let program = run::variant(&rig.bench.maps_dir, PORTS[0], needed);
            for (_, frame, should) in on_port_1() {
                assert_eq!(rig.differs(&program, frame, should), None, "{needed:?}");
                up_again += should.ups.len();
                by_cut_down += 1;
            }
        }
        assert_eq!(punts::take(&mut rig.bench.opened.punts, up_again).len(), up_again);
        before = counters::read(&mut rig.bench.opened.fastpath);
    }
    let hits = rig.plans.hits();
    assert!(hits > 0, "no frame was remembered");
    println!("{hits} frames were remembered");
    println!(
        "{pairs} pairs by the general program, {by_few} by the one for few masks, {by_cut_down} by {cut_down} cut down"
    );
}
