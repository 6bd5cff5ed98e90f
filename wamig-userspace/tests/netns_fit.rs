//! Programs swapped under load: while frames go through a veth without pause, batches come
//! that need more than the program which runs, and programs are cut down again behind them. No
//! frame is lost, none is handled by half of the tables, and when a batch is committed the
//! next frame follows it.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod kernel {
    pub mod bench;
    pub mod link;
    pub mod run;
}

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use kernel::bench::{Bench, may_run, stay_on};
use kernel::link::{self, Packets, in_new_namespace, ip};
use kernel::run::{run, variant};
use wamig_openflow::{Action, Field, Instructions, Match, PortNo, TableId};
use wamig_userspace::fastpath::compile::compile;
use wamig_userspace::fastpath::needs::Constants;
use wamig_userspace::fastpath::{Batch, Change, CompiledFlow, FastPath as _, FastPort, FlowId};

/// Times that the tables grow and shrink.
const ROUNDS: u64 = 3;
/// Frames on their way at most: fewer than a veth's ring holds.
const UNDERWAY: u64 = 64;
/// A frame that has not come for so long is lost.
const LOST: Duration = Duration::from_secs(5);
/// Where a frame carries its number, and the generation that was committed before it was sent.
const NUMBER: usize = 42;

/// `XDP_DROP`, `XDP_REDIRECT`
const DROP: u32 = 1;
const REDIRECT: u32 = 4;

fn frame(number: u64, committed: u64) -> Vec<u8> {
    let mut frame = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0, 0x45, 0, 0, 46, 0, 0, 0, 0, 64, 17, 0, 0];
    frame.extend([203, 0, 113, 10, 192, 0, 2, 53, 0x9c, 0x40, 0, 53, 0, 26, 0, 0]);
    frame.extend(number.to_be_bytes());
    frame.extend(committed.to_be_bytes());
    frame.resize(60, 0);
    frame
}

/// The flow that all frames meet in table 0, in one of the generations: even ones send the
/// frame at once, odd ones leave it to table 1.
fn first(generation: u64) -> CompiledFlow {
    let matching = Match::any().ipv4().with(Field::Ipv4Dst, 0xc000_0235);
    let instructions = match generation % 2 {
        0 => sent(generation),
        _ => Instructions::goto(TableId(1)),
    };
    compile(FlowId(1), TableId(0), 10, &matching, &instructions).unwrap()
}

/// That of table 1.
fn second(generation: u64) -> CompiledFlow {
    let matching = Match::any().ipv4().with(Field::IpProto, 17).with(Field::UdpSrc, 40000);
    compile(FlowId(2), TableId(1), 10, &matching, &sent(generation)).unwrap()
}

/// Writes the generation to the destination address, and sends.
fn sent(generation: u64) -> Instructions {
    Instructions::apply(vec![Action::set(Field::EthDst, u128::from(generation)), Action::output(PortNo(2))])
}

/// Sends frames until told to stop, never more than [`UNDERWAY`] at a time.
struct Load {
    committed: AtomicU64,
    received: AtomicU64,
    stop: AtomicBool,
}

impl Load {
    /// Frames sent, and how many of them did not come.
    fn send(&self, packets: &Packets) -> (u64, u64) {
        let (mut number, mut lost) = (0u64, 0u64);
        while !self.stop.load(Ordering::Relaxed) {
            let since = Instant::now();
            while number.saturating_sub(lost + self.received.load(Ordering::Acquire)) >= UNDERWAY {
                if since.elapsed() > LOST {
                    lost = number.saturating_sub(self.received.load(Ordering::Acquire));
                }
                std::thread::yield_now();
            }
            packets.send(&frame(number, self.committed.load(Ordering::Acquire)));
            number += 1;
        }
        std::thread::sleep(LOST);
        (number, number - self.received.load(Ordering::Acquire))
    }

    /// Frames by generation that they met.
    fn receive(&self, packets: &Packets) -> Vec<u64> {
        let mut met = Vec::new();
        while let Some(frame) = packets.receive(&self.stop) {
            if frame.len() < 60 || frame[30..34] != [192, 0, 2, 53] {
                continue;
            }
            let number = |at: usize| u64::from_be_bytes(frame[at..at + 8].try_into().unwrap());
            let generation = u64::from_be_bytes([0, 0, frame[0], frame[1], frame[2], frame[3], frame[4], frame[5]]);
            let committed = number(NUMBER + 8);
            assert!(generation >= committed, "frame {} met {generation} after {committed}", number(NUMBER));
            met.resize(met.len().max(generation as usize + 1), 0);
            met[generation as usize] += 1;
            self.received.fetch_add(1, Ordering::Release);
        }
        met
    }
}

/// Waits until every port runs a program that was cut down to this.
fn wait_for(bench: &Bench, constants: Constants) {
    let since = Instant::now();
    loop {
        let runs: Vec<Constants> = bench.opened.ports.lock().unwrap().iter().map(|p| p.program).collect();
        if runs.iter().all(|c| *c == constants.rounded()) {
            return;
        }
        assert!(since.elapsed() < Duration::from_mins(1), "{runs:?} instead of {constants:?}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn grow_and_shrink(bench: &mut Bench, load: &Load) -> u64 {
    let mut generation = 0;
    for round in 0..ROUNDS {
        wait_for(bench, Constants::needed(&[first(generation)]));
        generation += 1;
        let began = Instant::now();
        let changes = vec![Change::Replace(first(generation)), Change::Insert(second(generation))];
        bench.opened.fastpath.commit(&Batch { changes }).unwrap();
        load.committed.store(generation, Ordering::Release);
        println!("round {round}: what needs more took {:?}", began.elapsed());
        let grown = Constants::needed(&[first(generation), second(generation)]);
        assert!(bench.opened.ports.lock().unwrap().iter().all(|p| p.program.covers(&grown)));
        if round == 1 {
            wait_for(bench, grown);
        } else {
            std::thread::sleep(Duration::from_millis(200));
        }
        generation += 1;
        let changes = vec![Change::Replace(first(generation)), Change::Remove(FlowId(2))];
        bench.opened.fastpath.commit(&Batch { changes }).unwrap();
        load.committed.store(generation, Ordering::Release);
    }
    wait_for(bench, Constants::needed(&[first(generation)]));
    std::thread::sleep(Duration::from_millis(200));
    generation
}

#[test]
fn the_smaller_program_would_not_do() {
    if !may_run() {
        return;
    }
    let mut bench = Bench::new(&[PortNo(1), PortNo(2)]);
    let (less, more) = ([first(0)], [first(1), second(1)]);
    bench.opened.fastpath.commit(&Batch { changes: more.iter().cloned().map(Change::Insert).collect() }).unwrap();
    let runs = |flows: &[CompiledFlow]| {
        let program = variant(&bench.maps_dir, PortNo(1), Constants::needed(flows).rounded());
        run(&program, "wamig", &frame(0, 0), 1).0
    };
    assert_eq!((runs(&less), runs(&more)), (DROP, REDIRECT));
}

#[test]
fn no_frame_is_lost_or_wrong_while_programs_are_swapped() {
    if !may_run() {
        return;
    }
    in_new_namespace(|| {
        for (host, port) in [("h1", "s1"), ("h2", "s2")] {
            ip(&["link", "add", host, "type", "veth", "peer", "name", port]);
            ip(&["link", "set", port, "up"]);
            ip(&["link", "set", host, "up"]);
            link::run("ethtool", &["-K", host, "gro", "on"]);
        }
        let port = |n: u32| {
            let name = format!("s{n}");
            FastPort { port: PortNo(n), ifindex: nix::net::if_::if_nametoindex(name.as_str()).unwrap(), name }
        };
        let mut bench = Bench::with(vec![port(1), port(2)]);
        let load =
            Arc::new(Load { committed: AtomicU64::new(0), received: AtomicU64::new(0), stop: AtomicBool::new(false) });
        bench.opened.fastpath.commit(&Batch { changes: vec![Change::Insert(first(0))] }).unwrap();
        bench.opened.fastpath.activate().unwrap();
        let (out, into) = (Packets::open("h1"), Packets::open("h2"));
        let sender = std::thread::spawn({
            let load = Arc::clone(&load);
            move || {
                stay_on(1);
                load.send(&out)
            }
        });
        let receiver = std::thread::spawn({
            let load = Arc::clone(&load);
            move || load.receive(&into)
        });
        let last = grow_and_shrink(&mut bench, &load);
        load.stop.store(true, Ordering::Relaxed);
        let ((sent, lost), met) = (sender.join().unwrap(), receiver.join().unwrap());
        println!("{sent} frames sent, {lost} lost, by generation: {met:?}");
        assert_eq!(lost, 0);
        assert_eq!(met.len() as u64, last + 1);
        assert!(met.iter().all(|n| *n > 0), "a generation without frames shows nothing");
        let counted = bench.opened.fastpath.table_counters(0);
        assert!(counted.matched >= sent, "{counted:?}");
        assert_eq!(bench.opened.fastpath.table_counters(1).matched, met.iter().skip(1).step_by(2).sum::<u64>());
    });
}
