//! Every program and every specialised variant loads within its budget, and what they cost.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod kernel {
    pub mod bench;
    pub mod run;
}

use std::net::Ipv4Addr;
use std::time::Duration;

use aya::Ebpf;
use aya::programs::Xdp;
use etherparse::PacketBuilder;
use kernel::bench::{Bench, FLOWS, may_run};
use kernel::run::{run, variant};
use wamig_openflow::{Action, Field, Instructions, MacAddr, Match, PortNo, TableId};
use wamig_userspace::fastpath::compile::compile;
use wamig_userspace::fastpath::needs::Constants;
use wamig_userspace::fastpath::xdp::open::load;
use wamig_userspace::fastpath::{Batch, Change, FlowId};

/// Half of what the kernel allows.
const MAX_VERIFIED: u32 = 500_000;
/// Runs of a frame in one measurement.
const REPEAT: u32 = 10_000;
/// Measurements, interleaved; the median counts.
const ROUNDS: usize = 9;

fn udp() -> Vec<u8> {
    let mut frame = Vec::new();
    PacketBuilder::ethernet2([2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2])
        .ipv4([203, 0, 113, 10], [192, 0, 2, 53], 64)
        .udp(40000, 53)
        .write(&mut frame, &[0; 22])
        .unwrap();
    frame
}

fn median(mut v: Vec<Duration>) -> u128 {
    v.sort_unstable();
    v[v.len() / 2].as_nanos()
}

/// Instructions that the verifier looked at, which are within the budget.
fn verified(object: &Ebpf, name: &str) -> u32 {
    let program: &Xdp = object.program(name).unwrap().try_into().unwrap();
    let verified = program.info().unwrap().verified_instruction_count().unwrap();
    assert!(verified <= MAX_VERIFIED, "{name}: {verified} verified instructions");
    verified
}

#[test]
fn every_variant_loads_within_its_budget() {
    if !may_run() {
        return;
    }
    let mut bench = Bench::new(&[PortNo(1), PortNo(2)]);
    // There and back: a repeated run finds the frame as the run before left it.
    let (server, transfer) = (Ipv4Addr::new(192, 0, 2, 53), Ipv4Addr::new(198, 51, 100, 200));
    let rewrite = |id, from, to| {
        let matching = Match::any().in_port(PortNo(1)).ipv4().ip(Field::Ipv4Dst, from);
        let actions = vec![
            Action::set_mac(Field::EthSrc, MacAddr([2, 0x57, 0x4d, 0, 0, 1])),
            Action::set_mac(Field::EthDst, MacAddr([2, 0, 0, 0, 0, 9])),
            Action::set_ip(Field::Ipv4Dst, to),
            Action::output(PortNo::IN_PORT),
        ];
        compile(FlowId(id), TableId(0), 50100, &matching, &Instructions::apply(actions)).unwrap()
    };
    let flows = [rewrite(1, server, transfer), rewrite(2, transfer, server)];
    let words = flows[0].mask.used_words();
    bench.opened.fastpath.commit(&Batch { changes: flows.into_iter().map(Change::Insert).collect() }).unwrap();
    let general = Constants::default();
    let variants = [
        ("general", general),
        ("general without cache", Constants { cache: false, ..general }),
        ("no action set", Constants { action_set: false, ..general }),
        ("at most 8 masks", Constants { masks: 8, action_set: false, ..general }),
        ("1 table, at most 8 masks", Constants { tables: 1, masks: 8, action_set: false, ..general }),
        (
            "1 table, words in use",
            Constants { tables: 1, masks: 8, action_set: false, words, edits: true, cache: false },
        ),
        ("1 table, no edits", Constants { tables: 1, masks: 8, action_set: false, words, edits: false, cache: false }),
    ];
    let objects: Vec<_> = variants.iter().map(|(name, c)| (*name, variant(&bench.maps_dir, PortNo(1), *c))).collect();
    let mut times: Vec<Vec<Duration>> = vec![Vec::new(); objects.len() + 1];
    let frame = udp();
    for _ in 0..ROUNDS {
        times[0].push(run(&objects[0].1, "empty", &frame, REPEAT).2);
        for (i, (_, object)) in objects.iter().enumerate() {
            times[i + 1].push(run(object, "wamig", &frame, REPEAT).2);
        }
    }
    let empty = median(times.remove(0));
    println!("{:<28} {:>9} {:>8} {:>8}", "program", "verified", "ns", "net ns");
    println!("{:<28} {:>9} {empty:>8} {:>8}", "empty", verified(&objects[0].1, "empty"), 0);
    let shared = load(wamig_userspace::object::bytes().unwrap(), &bench.maps_dir, FLOWS, None, general).unwrap();
    for name in ["clock", "stage"] {
        println!("{name:<28} {:>9}", verified(&shared, name));
    }
    for ((name, object), times) in objects.iter().zip(times) {
        let verified = verified(object, "wamig");
        let ns = median(times);
        println!("{name:<28} {verified:>9} {ns:>8} {:>8}", ns.saturating_sub(empty));
        let (action, after, _) = run(object, "wamig", &frame, 1);
        if variants.iter().any(|(n, c)| n == name && c.edits) {
            // XDP_TX: the rewrite path, byte-checked in kernel_vectors
            assert_eq!((action, &after[30..34]), (3, [198, 51, 100, 200].as_slice()), "{name}");
        }
    }
}
