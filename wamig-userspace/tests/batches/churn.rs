//! Batches that a controller might send: flows come, change and go.

use wamig_userspace::fastpath::{Batch, Change, FlowId};

use crate::agreement::compiled;
use crate::oracle::Rule;
use crate::random::Scenario;
use crate::random::rule::some_instructions;

/// A few changes, around `most` flows; the scenario's rules are then those after the batch.
pub fn some_batch(s: &mut Scenario, most: usize) -> Batch {
    let mut changes = Vec::new();
    if s.dice.chance(3) {
        let table = s.dice.pick(&s.tables);
        let gone: Vec<FlowId> = s.rules.iter().filter(|r| r.table == table).map(|r| r.id).collect();
        s.rules.retain(|r| r.table != table);
        changes.extend(gone.into_iter().map(Change::Remove));
    }
    for _ in 0..s.dice.pick(&[1, 1, 1, 2, 3, 6, 12]) {
        let growing = s.rules.len() < most;
        match s.dice.below(10) {
            0..3 => changes.extend(replace(s).map(|r| Change::Replace(compiled(&r)))),
            n if (n < 8) == growing => changes.extend(s.add().map(|r| Change::Insert(compiled(&r)))),
            _ if s.rules.is_empty() => {}
            _ => {
                let at = s.dice.below(s.rules.len());
                changes.push(Change::Remove(s.rules.remove(at).id));
            }
        }
    }
    Batch { changes }
}

/// Gives one of the rules other instructions.
fn replace(s: &mut Scenario) -> Option<Rule> {
    if s.rules.is_empty() {
        return None;
    }
    let at = s.dice.below(s.rules.len());
    let later: Vec<u8> = s.tables.iter().copied().filter(|t| *t > s.rules[at].table).collect();
    s.rules[at].instructions = some_instructions(&mut s.dice, &s.rules[at], &later, s.can);
    Some(s.rules[at].clone())
}
