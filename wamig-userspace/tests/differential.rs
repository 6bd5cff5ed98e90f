//! Random flows and frames: wamig outside the kernel against Open vSwitch.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod compare;
mod frames;
#[path = "oracle/mod.rs"]
mod oracle;
mod ovs;
mod paths;
mod random;

use compare::session::{Session, Table};
use random::{Dice, Scenario, scaled};

/// Sets of flows.
const SETS: usize = 100;
/// Frames for each.
const FRAMES: usize = 100;

fn differ(sets: usize) {
    if !ovs::process::may_run() {
        return;
    }
    let mut dice = Dice::seeded();
    let mut session = Session::start();
    for _ in 0..sets {
        let mut scenario = Scenario::new(Dice::new(dice.any()), 1, 60);
        let frames = (0..FRAMES).map(|_| scenario.frame()).collect();
        session.compare(Table { rules: scenario.rules, groups: Vec::new(), frames }, |_, _, _, _| {});
    }
    println!("{:#?}", session.tally);
    let differences = session.unexplained.join("\n----\n");
    assert!(differences.is_empty(), "{differences}");
}

#[test]
fn wamig_and_open_vswitch_agree() {
    differ(scaled(SETS));
}

/// 10^6 pairs.
#[test]
#[ignore = "takes minutes"]
fn wamig_and_open_vswitch_agree_a_million_times() {
    differ(scaled(100 * SETS));
}
