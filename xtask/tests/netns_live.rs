//! A virtual machine that moves while it runs, as `demo --live-vm` shows it.

use anyhow::{Result, ensure};
use xtask::lab::share::Way;
use xtask::lab::{live, trial};
use xtask::qemu::machine::Machine;

const XTASK: &str = env!("CARGO_BIN_EXE_xtask");

#[test]
fn a_running_virtual_machine_moves_as_planned_and_unplanned_and_its_tcp_connection_lives_on() -> Result<()> {
    if let Err(missing) = Machine::find() {
        println!("SKIP: {missing:#}");
        return Ok(());
    }
    let Some(mut lab) = trial::lab(XTASK, |_| {})? else { return Ok(()) };
    lab.start_daemons()?;
    let outcome = live::run(&lab)?;
    let failed: Vec<String> = outcome.proofs.iter().filter(|proof| !proof.holds()).map(ToString::to_string).collect();
    ensure!(failed.is_empty(), "not proven:\n{}\n{}", failed.join("\n"), lab.last_words(20));
    let ways: Vec<Way> = outcome.moves.iter().map(|moved| moved.way).collect();
    assert_eq!(ways, [Way::Planned, Way::Return, Way::Unplanned, Way::Return]);
    let of_the_log = outcome.proofs.iter().filter(|proof| proof.claim.contains("audit log")).count();
    assert_eq!(of_the_log, 2, "what the planned move was made for, at either site");
    Ok(())
}
