//! Batches against frames in the kernel: a thread on another CPU runs frames without pause
//! while flows of two tables change together, and no frame meets the old flow of one table and
//! the new flow of the other. The same changes made by two batches are the control.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod kernel {
    pub mod bench;
    pub mod run;
}

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use aya::Ebpf;
use kernel::bench::{Bench, may_run, stay_on};
use kernel::run::{run, variant};
use wamig_openflow::{Action, Field, Instructions, Match, PortNo, TableId};
use wamig_userspace::fastpath::compile::compile;
use wamig_userspace::fastpath::needs::Constants;
use wamig_userspace::fastpath::{Batch, Change, CompiledFlow, FastPath as _, FlowId};

/// How long each kind of traffic is looked at, in milliseconds.
const MILLISECONDS: u64 = 1500;
/// First of the EtherTypes that tell pairs of flows apart.
const FIRST_TYPE: u16 = 0x9000;
/// First of the IPv4 addresses that do.
const FIRST_ADDRESS: u32 = 0xc000_0200;
/// `XDP_TX`
const TX: u32 = 3;

/// Pairs of flows: that of table 0 writes its generation to the source address and to
/// metadata, that of table 1 takes this metadata only and writes its generation to the
/// destination address.
struct Pairs {
    bench: Bench,
    /// Generation of each pair.
    generations: Vec<u64>,
    next_id: u64,
    /// Ids of each pair's flows.
    ids: Vec<(FlowId, FlowId)>,
    /// The flow of table 1 has one mask in even generations and another in odd ones, so that
    /// every change makes a new search order.
    masks_change: bool,
    /// Frames are IPv4, of which ways through the tables are remembered; table 0 then writes
    /// its generation to metadata alone, and table 1 to both addresses.
    remembered: bool,
}

/// What tells one way of measuring from another.
#[derive(Clone, Copy)]
struct Kind {
    pairs: usize,
    masks_change: bool,
    remembered: bool,
}

impl Pairs {
    fn new(Kind { pairs: n, masks_change, remembered }: Kind) -> Self {
        let bench = Bench::new(&[PortNo(1)]);
        let (generations, ids) = (vec![0; n], vec![(FlowId(0), FlowId(0)); n]);
        let mut pairs = Self { bench, generations, next_id: 0, ids, masks_change, remembered };
        let changes = (0..n).flat_map(|pair| {
            pairs.ids[pair] = (pairs.id(), pairs.id());
            [Change::Insert(pairs.first(pair)), Change::Insert(pairs.second(pair))]
        });
        let batch = Batch { changes: changes.collect() };
        pairs.bench.opened.fastpath.commit(&batch).unwrap();
        pairs
    }

    fn id(&mut self) -> FlowId {
        self.next_id += 1;
        FlowId(self.next_id)
    }

    fn matching(&self, pair: usize) -> Match {
        if self.remembered {
            return Match::any().ipv4().with(Field::Ipv4Dst, u128::from(FIRST_ADDRESS) + pair as u128);
        }
        Match::any().with(Field::EthType, u128::from(FIRST_TYPE) + pair as u128)
    }

    fn first(&self, pair: usize) -> CompiledFlow {
        let generation = self.generations[pair];
        let matching = self.matching(pair);
        if self.remembered {
            let instructions =
                Instructions { metadata: Some((generation, u64::MAX)), ..Instructions::goto(TableId(1)) };
            return compile(self.ids[pair].0, TableId(0), 10, &matching, &instructions).unwrap();
        }
        let set = Action::set(Field::EthSrc, u128::from(generation));
        let instructions = Instructions {
            metadata: Some((generation, u64::MAX)),
            ..Instructions::apply(vec![set]).then_goto(TableId(1))
        };
        compile(self.ids[pair].0, TableId(0), 10, &matching, &instructions).unwrap()
    }

    fn second(&self, pair: usize) -> CompiledFlow {
        let generation = self.generations[pair];
        let mask = if self.masks_change && generation % 2 == 1 { u128::from(u32::MAX) } else { u128::MAX };
        let matching = self.matching(pair).with_masked(Field::Metadata, u128::from(generation), mask);
        let set = |field| Action::set(field, u128::from(generation));
        let mut actions = vec![set(Field::EthDst), Action::output(PortNo::IN_PORT)];
        if self.remembered {
            actions.insert(0, set(Field::EthSrc));
        }
        compile(self.ids[pair].1, TableId(1), 10, &matching, &Instructions::apply(actions)).unwrap()
    }

    /// The changes to a pair's next generation: of table 0, and of table 1.
    fn next(&mut self, pair: usize) -> (Vec<Change>, Vec<Change>) {
        self.generations[pair] += 1;
        let gone = Change::Remove(self.ids[pair].1);
        self.ids[pair].1 = self.id();
        (vec![Change::Replace(self.first(pair))], vec![gone, Change::Insert(self.second(pair))])
    }

    fn commit(&mut self, changes: Vec<Change>) {
        self.bench.opened.fastpath.commit(&Batch { changes }).unwrap();
    }
}

/// What is being changed.
#[derive(Default)]
struct Now {
    /// The pair.
    pair: AtomicU64,
    /// The pair that was changed last, and its generation in the lower half.
    committed: AtomicU64,
}

/// What the thread saw.
#[derive(Clone, Copy, Default, Debug)]
struct Traffic {
    frames: u64,
    /// Frames that met flows of two generations.
    mixed: u64,
    /// How often a frame came to another generation than the one before.
    turns: u64,
    /// Frames of a generation older than one that had been committed before they ran.
    late: u64,
}

/// Runs frames of the pair that is being changed until told to stop.
fn traffic(program: &Ebpf, now: &Now, stop: &AtomicBool, remembered: bool) -> Traffic {
    if !stay_on(1) {
        println!("there is one CPU only: frames run between batches, and seldom within one");
    }
    let mut seen = Traffic::default();
    let mut last = (0, 0);
    let mut frame = [0; 60];
    while !stop.load(Ordering::Relaxed) {
        let committed = now.committed.load(Ordering::Acquire);
        let now = now.pair.load(Ordering::Relaxed);
        if remembered {
            frame[12..18].copy_from_slice(&[8, 0, 0x45, 0, 0, 46]);
            frame[23] = 17;
            frame[30..34].copy_from_slice(&(FIRST_ADDRESS + now as u32).to_be_bytes());
            frame[38..40].copy_from_slice(&[0, 26]);
        } else {
            frame[12..14].copy_from_slice(&(FIRST_TYPE + now as u16).to_be_bytes());
        }
        let (action, out, _) = run(program, "wamig", &frame, 1);
        seen.frames += 1;
        seen.mixed += u64::from(action != TX || out[..6] != out[6..12]);
        let generation = u64::from_be_bytes(out[..8].try_into().unwrap()) >> 16;
        seen.turns += u64::from((now, generation) != last);
        seen.late += u64::from(committed >> 32 == now && generation < committed & u64::from(u32::MAX));
        last = (now, generation);
    }
    seen
}

/// Changes pairs for a while, as `change` does it, and tells the number of changes and what
/// frames saw of them.
fn race(mut pairs: Pairs, change: impl Fn(&mut Pairs, usize)) -> (u64, Traffic, Pairs) {
    let (now, stop) = (Arc::new(Now::default()), Arc::new(AtomicBool::new(false)));
    let remembered = pairs.remembered;
    let program = variant(&pairs.bench.maps_dir, PortNo(1), Constants::default());
    let thread = {
        let (now, stop) = (Arc::clone(&now), Arc::clone(&stop));
        std::thread::spawn(move || traffic(&program, &now, &stop, remembered))
    };
    let scale = std::env::var("WAMIG_TEST_SCALE").ok().and_then(|s| s.parse().ok()).unwrap_or(100);
    let (start, time) = (Instant::now(), Duration::from_millis(MILLISECONDS * scale / 100));
    let mut changes = 0;
    while start.elapsed() < time {
        let next = changes as usize % pairs.generations.len();
        now.pair.store(next as u64, Ordering::Relaxed);
        change(&mut pairs, next);
        now.committed.store((next as u64) << 32 | pairs.generations[next], Ordering::Release);
        changes += 1;
    }
    stop.store(true, Ordering::Relaxed);
    let seen = thread.join().unwrap();
    (changes, seen, pairs)
}

fn in_one_batch(pairs: &mut Pairs, pair: usize) {
    let (first, second) = pairs.next(pair);
    pairs.commit([first, second].concat());
}

fn in_two_batches(pairs: &mut Pairs, pair: usize) {
    let (first, second) = pairs.next(pair);
    pairs.commit(first);
    pairs.commit(second);
}

#[test]
fn no_frame_meets_half_a_batch() {
    if !may_run() {
        return;
    }
    for (name, pairs, masks_change, remembered) in [
        ("one pair", 1, false, false),
        ("one pair, new masks", 1, true, false),
        ("one pair, remembered", 1, false, true),
        ("one pair, new masks, remembered", 1, true, true),
        ("200 pairs", 200, false, false),
        ("200 pairs, new masks", 200, true, false),
        ("200 pairs, new masks, remembered", 200, true, true),
    ] {
        let (changes, seen, mut pairs) = race(Pairs::new(Kind { pairs, masks_change, remembered }), in_one_batch);
        println!("{name}: {changes} batches, {seen:?}");
        assert_eq!((seen.mixed, seen.late), (0, 0));
        assert!(seen.turns > 2, "no frame saw a change");
        let fastpath = &mut pairs.bench.opened.fastpath;
        for table in 0..2 {
            let counters = fastpath.table_counters(table);
            assert_eq!((counters.matched, counters.missed), (seen.frames, 0), "table {table}");
        }
        assert_eq!(fastpath.port_counters(PortNo(1)).tx_packets, seen.frames);
    }
}

#[test]
fn two_batches_are_seen_half_done() {
    if !may_run() {
        return;
    }
    let (changes, seen, _) = race(Pairs::new(Kind { pairs: 1, masks_change: false, remembered: true }), in_two_batches);
    println!("control: {changes} times two batches, {seen:?}");
    assert!(seen.mixed > 0, "the test would not notice a mix");
}
