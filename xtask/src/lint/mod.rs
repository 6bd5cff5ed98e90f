//! `cargo xtask lint`: layout, clippy, documentation and the rules of the house.
//!
//! Each check is independent; all run, and each says how to see or to cure what it found.

pub mod cargo;
pub mod house;
pub mod rules;
pub mod source;

use std::time::Instant;

use anyhow::Result;

use crate::{interrupt, tally::Tally};

/// The result of one check; the reason comes last.
pub enum Outcome {
    /// Nothing found.
    Clean,
    /// Found something; it has been printed.
    Broken(String),
    /// Could not look.
    Skipped(String),
}

type Check = fn() -> Result<Outcome>;

const CHECKS: &[(&str, Check)] = &[
    ("house rules", house_rules),
    ("fmt", cargo::fmt),
    ("clippy", cargo::clippy),
    ("doc", cargo::doc),
    ("wamig-ebpf without warnings", cargo::ebpf),
];

/// Run every check.
pub fn run() -> Result<Tally> {
    let mut tally = Tally::new();
    for (name, check) in CHECKS {
        interrupt::check()?;
        let start = Instant::now();
        let outcome = check().unwrap_or_else(|error| Outcome::Broken(format!("{error:#}")));
        let seconds = start.elapsed().as_secs_f32();
        let name = format!("lint: {name}");
        match outcome {
            Outcome::Clean => {
                println!("{name} ... ok ({seconds:.1} s)");
                tally.pass(1);
            }
            Outcome::Broken(why) => {
                println!("{name} ... FAILED ({seconds:.1} s)");
                tally.fail(&name, &why);
            }
            Outcome::Skipped(why) => {
                println!("{name} ... skipped: {why}");
                tally.skip(&name, &why);
            }
        }
    }
    Ok(tally)
}

fn house_rules() -> Result<Outcome> {
    let findings = house::check()?;
    for notice in &findings.notices {
        println!("notice: {notice}");
    }
    for error in &findings.errors {
        println!("{error}");
    }
    Ok(match findings.errors.len() {
        0 => Outcome::Clean,
        number => Outcome::Broken(format!("{number} broken, listed above")),
    })
}
