//! Batches of changes while frames are on their way: each frame sees the flows before a batch
//! or those after it, nothing is used up for good, and what has no room changes nothing.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod agreement;
#[path = "batches/churn.rs"]
mod churn;
mod frames;
#[path = "oracle/mod.rs"]
mod oracle;
mod paths;
#[allow(dead_code, reason = "shared by test programs that need different parts of it")]
mod random;
#[path = "batches/watched.rs"]
mod watched;

use std::collections::HashMap;

use agreement::{check, compiled, listed};
use churn::some_batch;
use random::{Dice, Scenario, scaled};
use wamig_openflow::{Action, ErrorKind, Field, Instructions, Match, PortNo, TableId};
use wamig_userspace::fastpath::compile::compile;
use wamig_userspace::fastpath::maps::Capacity;
use wamig_userspace::fastpath::memory::{Memory, MemoryMaps};
use wamig_userspace::fastpath::needs::Constants;
use wamig_userspace::fastpath::writer::Writer;
use wamig_userspace::fastpath::{Batch, Change, CompiledFlow, FastPath, FlowCounters, FlowId};
use watched::Watched;

/// Batches in all.
const BATCHES: usize = 12_000;
/// Batches of one scenario.
const OF_ONE: usize = 400;
/// Frames on their way at a time.
const FRAMES: usize = 4;
/// So little that batches are refused now and then, and a leak is soon felt.
const CAPACITY: Capacity = Capacity { flows: 64, lists: 48, subtables: 40, port_sets: 7 };

/// The writer over plain maps, which the oracle judges, and over watched ones.
struct Rig {
    plain: Memory,
    watched: Writer<Watched>,
    /// Packets and bytes that each flow must have counted.
    counted: HashMap<FlowId, (u64, u64)>,
    refused: usize,
}

impl Rig {
    fn new(dice: Dice) -> Self {
        Self {
            plain: Memory::new(MemoryMaps::with_capacity(CAPACITY)),
            watched: Writer::new(Watched::new(CAPACITY, dice)),
            counted: HashMap::new(),
            refused: 0,
        }
    }

    /// Commits a batch to both; false = it was refused for want of room.
    fn commit(&mut self, batch: &Batch) -> bool {
        let results = [self.plain.commit(batch), self.watched.commit(batch)];
        assert_eq!(results[0], results[1]);
        match &results[0] {
            Ok(()) => true,
            Err(e) if e.kind == ErrorKind::FlowModTableFull => {
                self.refused += 1;
                false
            }
            Err(e) => panic!("{e}"),
        }
    }

    /// Frames through both; both do what the oracle says, and count it.
    fn send(&mut self, s: &Scenario, frames: &[(PortNo, Vec<u8>)]) {
        for (i, (port, frame)) in frames.iter().enumerate() {
            let outcome = check(&mut self.plain, &s.rules, *port, frame)
                .unwrap_or_else(|e| panic!("{e}flows:\n{}", listed(&s.rules)));
            let sight = &self.watched.maps().present()[i];
            assert_eq!(sight.verdict, outcome.verdict);
            assert_eq!(sight.frame, paths::edited(&outcome, frame));
            let by_name = |path: &[(u8, u32)]| -> Vec<_> {
                path.iter().map(|(table, record)| (*table, self.watched.owners().get(*record))).collect()
            };
            let path: Vec<_> = outcome.path.iter().map(|(t, r)| (t, self.plain.owners().get(r))).collect();
            assert_eq!(by_name(&sight.path), path);
            let index = wamig_userspace::fastpath::port_index(*port).unwrap();
            self.watched.maps_mut().inner.process(port.0, index, frame);
            // The fast path does not get to the end of a frame that is for the slow path.
            for (_, flow) in path {
                let Some(flow) = flow else { continue };
                let count = self.counted.entry(flow).or_default();
                *count = (count.0 + 1, count.1 + frame.len() as u64);
            }
        }
        let ids: Vec<FlowId> = s.rules.iter().map(|r| r.id).collect();
        let counted: Vec<_> = ids.iter().map(|id| self.counted.get(id).copied().unwrap_or_default()).collect();
        let of = |counters: Vec<FlowCounters>| counters.iter().map(|c| (c.packets, c.bytes)).collect::<Vec<_>>();
        assert_eq!(of(self.plain.flow_counters(&ids)), counted);
        assert_eq!(of(self.watched.flow_counters(&ids)), counted);
    }
}

#[test]
fn no_frame_sees_half_a_batch_and_nothing_is_used_up() {
    let mut dice = Dice::seeded();
    let mut rig = Rig::new(Dice::new(dice.any()));
    let batches = scaled(BATCHES);
    for first in (0..batches).step_by(OF_ONE) {
        let mut s = Scenario::new(Dice::new(dice.any()), first as u64 * 1000, 0);
        let most = dice.pick(&[6, 30, 300]);
        let mut frames = Vec::new();
        for _ in 0..OF_ONE.min(batches - first) {
            // Most frames stay for some batches, as slow readers do.
            if frames.is_empty() || dice.chance(10) {
                frames = (0..FRAMES).map(|_| s.frame()).collect();
                rig.watched.maps_mut().watch(frames.clone());
            }
            let before = s.rules.clone();
            let batch = some_batch(&mut s, most);
            if !rig.commit(&batch) {
                s.rules = before;
            }
            rig.send(&s, &frames);
            if dice.chance(10) {
                let needed = Constants::needed(&s.rules.iter().map(compiled).collect::<Vec<_>>());
                assert_eq!((rig.watched.needs(), rig.watched.maps().needed), (needed, needed));
            }
            if dice.chance(10)
                && let Some(rule) = s.rules.first()
            {
                rig.plain.reset_counters(rule.id);
                rig.watched.reset_counters(rule.id);
                rig.counted.remove(&rule.id);
            }
        }
        let gone = s.rules.drain(..).map(|r| Change::Remove(r.id)).collect();
        assert!(rig.commit(&Batch { changes: gone }));
        fill_to_the_brim(&mut rig, (first as u64 + 1) * 1_000_000);
    }
    println!("{batches} batches, {} refused, {} looks", rig.refused, rig.watched.maps().looks);
    assert!(rig.refused > 0 || batches < 1000);
}

/// Flow `n`: one of as many masks, action lists and port sets as there is room for.
fn nth(n: u32, id: u64) -> CompiledFlow {
    let masks = CAPACITY.subtables - 1;
    let sets = CAPACITY.port_sets - 2;
    let matching = Match::any().with(Field::InPort, u128::from(n / masks)).with_masked(
        Field::EthSrc,
        0,
        u128::from(1 + n % masks) << 20,
    );
    let ports = |n: u32| (0..=n).map(|port| Action::output(PortNo(10 + port))).collect();
    let actions = if n < sets {
        ports(n + 1)
    } else {
        vec![Action::set(Field::EthDst, u128::from(n % (CAPACITY.lists - 1 - sets))), Action::output(PortNo(2))]
    };
    compile(FlowId(id), TableId(0), 7, &matching, &Instructions::apply(actions)).unwrap()
}

/// Exactly as much as there is room for fits, and nothing more; then all goes away again.
fn fill_to_the_brim(rig: &mut Rig, first_id: u64) {
    let most = CAPACITY.flows - 1;
    let all: Vec<CompiledFlow> = (0..most).map(|n| nth(n, first_id + u64::from(n))).collect();
    let batch = Batch { changes: all.iter().cloned().map(Change::Insert).collect() };
    assert!(rig.commit(&batch), "what fits into empty tables does not fit any more");
    let one_more = nth(most, first_id + u64::from(most));
    assert!(!rig.commit(&Batch { changes: vec![Change::Insert(one_more.clone())] }));
    // A place that becomes free is free for the next batch.
    assert!(rig.commit(&Batch { changes: vec![Change::Remove(all[0].id)] }));
    assert!(rig.commit(&Batch { changes: vec![Change::Insert(one_more.clone())] }));
    let gone = all[1..].iter().map(|f| f.id).chain([one_more.id]).map(Change::Remove).collect();
    assert!(rig.commit(&Batch { changes: gone }));
}

#[test]
fn a_table_of_all_its_masks_can_be_replaced_as_a_whole() {
    let flow = |id: u64| {
        let matching = Match::any().with_masked(Field::EthSrc, 0, u128::from(id + 1));
        compile(FlowId(id), TableId(0), 1, &matching, &Instructions::drop()).unwrap()
    };
    let inserts = |ids: std::ops::Range<u64>| ids.map(|id| Change::Insert(flow(id)));
    let mut memory = Memory::new(MemoryMaps::default());
    memory.commit(&Batch { changes: inserts(0..64).collect() }).unwrap();
    let one_too_many = memory.commit(&Batch { changes: inserts(64..65).collect() }).unwrap_err();
    assert_eq!(one_too_many.kind, ErrorKind::FlowModTableFull);
    for round in 0..10 {
        let first = round * 64;
        let gone = (first..first + 64).map(|id| Change::Remove(FlowId(id)));
        memory.commit(&Batch { changes: gone.chain(inserts(first + 64..first + 128)).collect() }).unwrap();
    }
}
