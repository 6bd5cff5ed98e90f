//! Every vector of the data plane by the slow path and by the memory fast path.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod frames;
mod paths;
#[path = "vectors/mod.rs"]
mod table;

use wamig_userspace::fastpath::memory::{Memory, MemoryMaps};
use wamig_userspace::fastpath::{Batch, Change, FastPath as _};

#[test]
fn every_vector_by_the_memory_fast_path_and_by_the_slow_path() {
    let vectors = table::all();
    let mut wrong = Vec::new();
    for v in &vectors {
        let mut memory = Memory::new(MemoryMaps::default());
        let changes = v.flows.iter().cloned().map(Change::Insert).collect();
        memory.commit(&Batch { changes }).unwrap();
        memory.set_port_settings(&v.settings()).unwrap();
        let (outcome, fast) = paths::fast(&mut memory, v.in_port, &v.frame);
        let slow = paths::slow(&memory, v.in_port, &v.frame);
        if outcome.verdict != v.verdict {
            wrong.push(format!("{}: {:?} instead of {:?}", v.name, outcome.verdict, v.verdict));
        }
        for (path, seen) in [("fast", fast), ("slow", slow)] {
            if seen != v.seen {
                wrong.push(format!("{}, {path} path:\n{seen}  instead of\n{}", v.name, v.seen));
            }
        }
    }
    println!("{} vectors", vectors.len());
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
}
