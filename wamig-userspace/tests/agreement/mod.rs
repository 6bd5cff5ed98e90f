//! Whether the memory fast path, and the slow path behind it, do what the oracle says.

use wamig_common::native::{Outcome, PASS, Path, walk_all};
use wamig_common::verdict::Verdict;
use wamig_openflow::{PortNo, TableId};
use wamig_userspace::fastpath::compile::compile;
use wamig_userspace::fastpath::memory::Memory;
use wamig_userspace::fastpath::{CompiledFlow, FlowId, port_index};

use crate::oracle::{Rule, judge};
use crate::paths;

/// A rule in the fast path's terms.
pub fn compiled(rule: &Rule) -> CompiledFlow {
    compile(rule.id, TableId(rule.table), rule.priority, &rule.matching, &rule.instructions).unwrap()
}

fn path(memory: &Memory, path: &Path) -> Vec<(u8, Option<FlowId>)> {
    path.iter().map(|(table, record)| (table, memory.owners().get(record))).collect()
}

/// Sends a frame down both paths; what differs from the oracle, or what the fast path did.
pub fn check(memory: &mut Memory, rules: &[Rule], in_port: PortNo, frame: &[u8]) -> Result<Outcome, String> {
    let should = judge(rules, in_port, frame);
    let (outcome, fast) = paths::fast(memory, in_port, frame);
    let slow = paths::slow(memory, in_port, frame);
    let index = port_index(in_port).unwrap();
    let whole = walk_all(memory.maps(), in_port.0, index, frame, &mut |_| PASS).path;
    let mut paths = vec![("slow", path(memory, &whole), slow)];
    if !matches!(outcome.verdict, Verdict::Slow(_)) {
        paths.push(("fast", path(memory, &outcome.path), fast));
    }
    for (name, path, seen) in paths {
        if path != should.path || seen != should.seen {
            return Err(format!(
                "port {in_port}, frame {}\n{name} path, {:?}, by {path:?}:\n{seen}  instead of {:?}:\n{}",
                paths::hex(frame),
                outcome.verdict,
                should.path,
                should.seen,
            ));
        }
    }
    Ok(outcome)
}

/// The rules as people read them.
pub fn listed(rules: &[Rule]) -> String {
    let line = |r: &Rule| {
        format!("  {:?} table={},priority={},{} actions={}\n", r.id, r.table, r.priority, r.matching, r.instructions)
    };
    rules.iter().map(line).collect()
}
