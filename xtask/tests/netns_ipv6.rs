//! The whole play over IPv6, alone and beside IPv4, and the options that exclude it.

use std::process::Command;

use anyhow::{Result, ensure};
use xtask::lab::family::Families;
use xtask::lab::play::{self, Outcome, Pace};
use xtask::lab::proof::Links;
use xtask::lab::{Lab, trial};

const XTASK: &str = env!("CARGO_BIN_EXE_xtask");

/// A lab with these families, if there can be one.
fn lab(families: Families) -> Result<Option<Lab>> {
    if !std::path::Path::new("/proc/sys/net/ipv6").exists() {
        println!("SKIP: this kernel has no IPv6");
        return Ok(None);
    }
    trial::lab(XTASK, |options| options.families = families)
}

fn play(lab: &mut Lab) -> Result<Outcome> {
    lab.start_daemons()?;
    let links = Links::watch(lab)?;
    let outcome = play::run(lab, &links, Pace::BRISK)?;
    let failed: Vec<String> = outcome.proofs.iter().filter(|proof| !proof.holds()).map(ToString::to_string).collect();
    ensure!(failed.is_empty(), "not proven:\n{}\n{}", failed.join("\n"), lab.last_words(20));
    assert_eq!(outcome.lost_away(), 0, "questions lost while the server was away");
    Ok(outcome)
}

#[test]
fn over_ipv6_the_server_moves_and_comes_home_and_the_links_prove_it() -> Result<()> {
    let Some(mut lab) = lab(Families::V6)? else { return Ok(()) };
    let outcome = play(&mut lab)?;
    assert!(outcome.proofs.len() >= 23, "the play proves less than it used to");
    assert!(outcome.served.iter().all(|served| served.transfer.is_ipv6()));
    Ok(())
}

#[test]
fn with_two_families_both_addresses_move_and_come_home() -> Result<()> {
    let Some(mut lab) = lab(Families::Dual)? else { return Ok(()) };
    let outcome = play(&mut lab)?;
    assert!(outcome.proofs.len() >= 40, "the play proves less than it used to");
    let transfers: Vec<bool> = outcome.served.iter().map(|served| served.transfer.is_ipv6()).collect();
    assert_eq!(transfers, [false, true], "one transfer address of each family, IPv4 first");
    Ok(())
}

#[test]
fn what_cannot_be_had_with_ipv6_is_refused_and_says_so() -> Result<()> {
    for options in [
        &["--ipv6", "--dual-stack"][..],
        &["--ipv6", "--live-vm"],
        &["--dual-stack", "--live-vm"],
        &["--ipv6", "--switch", "ovs", "--openflow", "1.0", "--wamig", XTASK],
        &["--dual-stack", "--switch", "dc2=ovs:of10", "--wamig", XTASK],
    ] {
        let output = Command::new(XTASK).arg("demo").args(options).output()?;
        let words = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success(), "{options:?} is taken");
        assert!(words.contains("cannot be used with") || words.contains("OpenFlow 1.0 knows no IPv6"), "{words}");
    }
    Ok(())
}
