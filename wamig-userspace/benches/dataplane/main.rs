//! Measures the data path: `cargo xtask bench` runs this and judges what it prints.
//!
//! Every line of the output is a JSON object: a row, and one sample for each round. The rows
//! of a group are measured in turn, round by round, so that whatever else the machine does
//! meets all of them alike.
//!
//! ```text
//! dataplane OBJECT [--quick] [GROUP …]
//! dataplane --hold IN OUT N      forwards between two interfaces by N rules until it is ended
//! ```

#![expect(clippy::unwrap_used, reason = "a measurement that cannot be made may panic")]
#![expect(clippy::cast_precision_loss, reason = "measured numbers are far below 2^52")]

mod client;
mod control;
mod daemon;
mod data_path;
mod latency;
mod load;
mod memory;
mod netns;
mod pair;
mod programs;
mod punt;
mod rivals;
mod row;
mod rules;
mod stream;
mod test_run;
mod upkeep;
mod veth;

use std::path::PathBuf;

/// What to measure, and how long.
pub struct Options {
    /// The object of the programs that wamig is measured against.
    pub object: PathBuf,
    /// Fewer rounds.
    pub quick: bool,
}

const GROUPS: [&str; 7] = ["test-run", "veth", "control", "punt", "latency", "memory", "upkeep"];

fn main() {
    let mut args: Vec<String> = std::env::args().skip(1).filter(|a| a != "--bench").collect();
    let quick = args.iter().position(|a| a == "--quick").map(|i| args.remove(i)).is_some();
    if args.is_empty() {
        println!("SKIP: this is run by `cargo xtask bench`");
        return;
    }
    if let [hold, input, output, flows] = args.as_slice()
        && hold == "--hold"
    {
        return rivals::hold(input, output, flows.parse().unwrap());
    }
    let options = Options { object: args.remove(0).into(), quick };
    assert!(args.iter().all(|a| GROUPS.contains(&a.as_str())), "the groups are {GROUPS:?}");
    let wanted = |group: &str| args.is_empty() || args.iter().any(|a| a == group);
    if wanted("test-run") {
        test_run::measure(&options);
    }
    if wanted("veth") {
        veth::measure(&options);
    }
    if wanted("control") {
        control::measure(&options);
    }
    if wanted("punt") {
        punt::measure(&options);
    }
    if wanted("latency") {
        latency::measure(&options);
    }
    if wanted("memory") {
        memory::measure(&options);
    }
    if wanted("upkeep") {
        upkeep::measure(&options);
    }
}
