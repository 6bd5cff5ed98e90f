//! A frame through a random switch: extract, translate and execute never fail, and where the fast path comes to a plan
//! of its own the slow path does the same.

#![no_main]
#![allow(dead_code, unused_imports, reason = "the modules serve other tests, too")]

#[path = "../../tests/frames/mod.rs"]
mod frames;
#[path = "../../tests/oracle/mod.rs"]
mod oracle;
#[path = "../../tests/paths/mod.rs"]
mod paths;
#[path = "../../tests/random/mod.rs"]
mod random;

use std::cell::RefCell;
use std::collections::HashMap;

use random::{Dice, Scenario};
use wamig_common::verdict::Verdict;
use wamig_openflow::TableId;
use wamig_userspace::fastpath::compile::compile;
use wamig_userspace::fastpath::memory::{Memory, MemoryMaps};
use wamig_userspace::fastpath::{Batch, Change};

/// Different switches; each is made once, since that takes a millisecond.
const SWITCHES_MADE: u16 = 1024;

thread_local! {
    static SWITCHES: RefCell<HashMap<u16, (Scenario, Memory)>> = RefCell::default();
}

fn switch(seed: u16) -> (Scenario, Memory) {
    let scenario = Scenario::new(Dice::new(u64::from(seed)), 1, 30);
    let mut memory = Memory::new(MemoryMaps::default());
    let insert = |r: &oracle::Rule| {
        compile(r.id, TableId(r.table), r.priority, &r.matching, &r.instructions).map(Change::Insert)
    };
    let changes = scenario.rules.iter().map(insert).collect::<Result<_, _>>().expect("the generator asked before");
    memory.commit(&Batch { changes }).expect("there is room");
    (scenario, memory)
}

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let [a, b, port, made, frame @ ..] = data else { return };
    let seed = u16::from_le_bytes([*a, *b]) % SWITCHES_MADE;
    SWITCHES.with_borrow_mut(|switches| {
        let (scenario, memory) = switches.entry(seed).or_insert_with(|| switch(seed));
        let in_port = paths::PORTS[usize::from(*port) % paths::PORTS.len()];
        // Few frames that a mutation makes meet a flow: most are one of the scenario's with these bytes over it.
        let frame = if *made < 64 {
            frame.to_vec()
        } else {
            scenario.dice = Dice::new(u64::from(*made));
            let (_, mut bytes) = scenario.frame();
            for pair in frame.chunks_exact(2) {
                let at = usize::from(pair[0]) % bytes.len().max(1);
                if let Some(byte) = bytes.get_mut(at) {
                    *byte = pair[1];
                }
            }
            bytes
        };
        let slow = paths::slow(memory, in_port, &frame);
        let (outcome, fast) = paths::fast(memory, in_port, &frame);
        if !matches!(outcome.verdict, Verdict::Slow(_)) {
            assert_eq!(fast, slow, "port {in_port}, frame {}, {:?}", paths::hex(&frame), outcome.verdict);
        }
    });
});
