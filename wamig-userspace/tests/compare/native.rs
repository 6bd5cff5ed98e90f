//! The switch under test outside the kernel: its slow path, which makes every output when it
//! is met, and its fast path, which has to come to the same.

use std::time::Instant;

use wamig_common::native::{Outcome, PASS, walk_all};
use wamig_common::verdict::Verdict;
use wamig_openflow::message::GroupMod;
use wamig_openflow::{PacketInReason, PortNo, TableId};
use wamig_userspace::fastpath::compile::compile;
use wamig_userspace::fastpath::memory::{Memory, MemoryMaps};
use wamig_userspace::fastpath::{Batch, Change, CompiledFlow, FlowId, port_index};
use wamig_userspace::switch::flow_table::FlowTables;
use wamig_userspace::switch::modification::Modification;
use wamig_userspace::switch::port::Ports;
use wamig_userspace::switch::slowpath::{Output, Side, walk};
use wamig_userspace::switch::transaction::{FlowIds, begin};

use super::{Event, Way};
use crate::oracle::Rule;
use crate::paths;

/// A rule in the fast path's terms.
pub fn compiled(rule: &Rule) -> CompiledFlow {
    compile(rule.id, TableId(rule.table), rule.priority, &rule.matching, &rule.instructions).unwrap()
}

/// Flows and groups, and the ways through them.
pub struct Native {
    /// The fast path.
    pub memory: Memory,
    tables: FlowTables,
    ports: Ports,
    installed: Vec<FlowId>,
}

impl Default for Native {
    fn default() -> Self {
        let memory = Memory::new(MemoryMaps::default());
        Self { memory, tables: FlowTables::new(16, 0), ports: paths::ports(), installed: Vec::new() }
    }
}

impl Native {
    /// Puts flows and groups in the place of those that are there; returns the change of the flows.
    pub fn install(&mut self, rules: &[Rule], groups: &[GroupMod]) -> Batch {
        let gone = self.installed.drain(..).map(Change::Remove);
        let batch = Batch { changes: gone.chain(rules.iter().map(|r| Change::Insert(compiled(r)))).collect() };
        self.installed = rules.iter().map(|r| r.id).collect();
        self.memory.commit(&batch).unwrap();
        self.tables = FlowTables::new(16, 0);
        let mods = groups.iter().cloned().map(Modification::from).collect();
        begin(&mut self.tables, &mut FlowIds::default(), &self.ports, mods, Instant::now()).unwrap();
        batch
    }

    /// What becomes of a frame, and how the fast path decided.
    pub fn run(&mut self, in_port: PortNo, frame: &[u8]) -> (Way, Outcome) {
        let (outcome, fast) = paths::fast(&mut self.memory, in_port, frame);
        let mut side = Side { tables: &mut self.tables, now: None };
        let (outputs, _) = walk(&self.memory, &self.ports, &mut side, in_port, frame);
        let events: Vec<Event> = outputs.into_iter().map(event).collect();
        if !matches!(outcome.verdict, Verdict::Slow(_)) {
            let slow = paths::slow(&self.memory, in_port, frame);
            assert_eq!(fast, slow, "port {in_port}, frame {}, {:?}", paths::hex(frame), outcome.verdict);
        }
        let index = port_index(in_port).unwrap();
        let met = walk_all(self.memory.maps(), in_port.0, index, frame, &mut |_| PASS).path;
        let path = met.iter().map(|(table, record)| (table, self.memory.owners().get(record).map(|id| id.0)));
        (Way::new(path.collect(), events), outcome)
    }
}

fn event(output: Output) -> Event {
    match output {
        Output::Port(port, frame) => Event::Port(port, frame.to_vec()),
        Output::Controller(up) => Event::Up {
            cookie: up.flow.map_or(u64::MAX, |id| id.0),
            reason: match up.reason {
                PacketInReason::NoMatch => "no-match",
                PacketInReason::Action => "action",
                PacketInReason::InvalidTtl => "invalid-ttl",
            },
            frame_len: up.frame_len,
            frame: up.frame.to_vec(),
        },
        Output::Pipeline(_) => panic!("a flow sent a frame back to the first table"),
    }
}
