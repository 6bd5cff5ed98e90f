//! Random flows and frames: the memory fast path and the slow path against the oracle.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod agreement;
mod frames;
#[path = "oracle/mod.rs"]
mod oracle;
mod paths;
#[allow(dead_code, reason = "shared by test programs that need different parts of it")]
mod random;

use std::collections::BTreeMap;

use agreement::{check, compiled, listed};
use oracle::Rule;
use random::{Dice, Scenario, scaled};
use wamig_common::verdict::Verdict;
use wamig_userspace::fastpath::memory::{Memory, MemoryMaps};
use wamig_userspace::fastpath::{Batch, Change};

/// Sets of flows.
const SETS: usize = 400;
/// Frames for each.
const FRAMES: usize = 100;

fn memory_of(rules: &[Rule]) -> Memory {
    let mut memory = Memory::new(MemoryMaps::default());
    memory.commit(&Batch { changes: rules.iter().map(|r| Change::Insert(compiled(r))).collect() }).unwrap();
    memory
}

/// As few of the rules as still show the difference.
fn smallest(rules: &[Rule], differs: impl Fn(&[Rule]) -> bool) -> Vec<Rule> {
    let mut rules = rules.to_vec();
    let mut at = 0;
    while at < rules.len() {
        let mut fewer = rules.clone();
        fewer.remove(at);
        if differs(&fewer) {
            rules = fewer;
        } else {
            at += 1;
        }
    }
    rules
}

#[test]
fn the_fast_path_and_the_slow_path_do_what_the_oracle_says() {
    let mut dice = Dice::seeded();
    let mut verdicts: BTreeMap<String, usize> = BTreeMap::new();
    for _ in 0..scaled(SETS) {
        let seed = dice.any();
        let mut scenario = Scenario::new(Dice::new(seed), 1, 60);
        let mut memory = memory_of(&scenario.rules);
        for _ in 0..FRAMES {
            let (in_port, frame) = scenario.frame();
            let Ok(outcome) = check(&mut memory, &scenario.rules, in_port, &frame) else {
                let differs = |rules: &[Rule]| check(&mut memory_of(rules), rules, in_port, &frame).is_err();
                let rules = smallest(&scenario.rules, differs);
                let what = check(&mut memory_of(&rules), &rules, in_port, &frame).unwrap_err();
                panic!("{what}flows:\n{}", listed(&rules));
            };
            let name = match outcome.verdict {
                Verdict::Done => "done".to_owned(),
                Verdict::Drop(reason) => format!("drop: {}", reason.as_str()),
                Verdict::Slow(reason) => format!("slow: {}", reason.as_str()),
            };
            *verdicts.entry(name).or_default() += 1;
        }
    }
    println!("{verdicts:#?}");
}
