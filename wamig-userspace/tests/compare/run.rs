//! As many tables as are asked for, each with a hundred frames.

use super::session::{Beside, Session, Table};
use crate::random::{Dice, Scenario};

/// Frames for each table.
pub const FRAMES: usize = 100;

/// Runs so many pairs of table and frame through both switches, and fails where no rule explains
/// a difference.
pub fn run(pairs: usize, beside: &mut impl Beside) {
    let mut dice = Dice::seeded();
    let mut session = Session::start();
    for _ in 0..pairs.div_ceil(FRAMES) {
        let mut scenario = Scenario::with_groups(Dice::new(dice.any()), 1, 60);
        let frames = (0..FRAMES).map(|_| scenario.frame()).collect();
        session.compare(Table { rules: scenario.rules, groups: scenario.groups, frames }, beside);
    }
    for (name, n) in &session.tally {
        println!("{n:>9} {name}");
    }
    let differences = session.unexplained.join("\n----\n");
    assert!(differences.is_empty(), "{differences}");
}
