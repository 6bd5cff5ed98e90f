//! Open vSwitch and wamig are killed in the middle of a move: it ends as it should, and what the
//! switch had forgotten it is told again.

use std::time::Duration;

use anyhow::Result;
use xtask::conformance::ovs;
use xtask::lab::capture::now_us;
use xtask::lab::server::{Boot, MARKER};
use xtask::lab::stream::Stream;
use xtask::lab::switch::{Kind, Profile};
use xtask::lab::topology::{Place, SERVER, Site};
use xtask::lab::{Lab, signals, trial};

const XTASK: &str = env!("CARGO_BIN_EXE_xtask");
const SOON: Duration = Duration::from_mins(1);

fn answered_by(stream: &Stream, from_us: u64, marker: &str) -> Result<()> {
    let found = signals::wait_for(SOON, || Ok(stream.first_answer(from_us, marker)))?;
    assert!(found.is_some(), "no answer of {marker}");
    Ok(())
}

fn settled(lab: &Lab, home: &str, host: &str) -> Result<()> {
    lab.wait_state(Site::Dc1, SOON, home, |status| status.state(SERVER) == home && status.switch_up())?;
    lab.wait_state(Site::Dc2, SOON, host, |status| {
        let there = if host.is_empty() { status.is_settled(SERVER) } else { status.state(SERVER) == host };
        there && status.switch_up()
    })?;
    Ok(())
}

fn kill_all_in_turn(dc1: Profile, dc2: Profile) -> Result<()> {
    if !ovs::installed() {
        println!("SKIP: Open vSwitch is not installed (scripts/setup of installs it)");
        return Ok(());
    }
    let chosen = |options: &mut xtask::lab::Options| {
        (options.dc1.switch, options.dc2.switch) = (Kind::Ovs(dc1), Kind::Ovs(dc2));
    };
    let Some(mut lab) = trial::lab(XTASK, chosen)? else { return Ok(()) };
    lab.start_daemons()?;
    let stream = Stream::start(&lab.name(Place::Client), SERVER, MARKER, Duration::from_millis(20))?;

    // The claim is on its way, or answered, or not yet: wherever the kill meets it.
    let booted = now_us();
    lab.boot(Site::Dc2, Boot::Talking)?;
    lab.wait_state(Site::Dc2, SOON, "claiming", |status| !status.is_settled(SERVER))?;
    lab.kill_switch(Site::Dc1)?;
    lab.kill_daemon(Site::Dc1)?;
    lab.start_switch(Site::Dc1)?;
    lab.start_daemon(Site::Dc1)?;
    answered_by(&stream, booted, "dc2")?;
    settled(&lab, "AWAY", "HOSTING")?;

    // The host's switch forgets everything, and its daemon is elsewhere with its thoughts.
    lab.kill_daemon(Site::Dc2)?;
    lab.kill_switch(Site::Dc2)?;
    let from = now_us();
    lab.start_switch(Site::Dc2)?;
    lab.start_daemon(Site::Dc2)?;
    answered_by(&stream, from, "dc2")?;
    settled(&lab, "AWAY", "HOSTING")?;

    // On the way home the switches alone.
    lab.halt(Site::Dc2)?;
    let booted = now_us();
    lab.boot(Site::Dc1, Boot::Talking)?;
    for site in Site::BOTH {
        lab.kill_switch(site)?;
        lab.start_switch(site)?;
    }
    answered_by(&stream, booted, "dc1")?;
    settled(&lab, "HOME", "")?;
    Ok(())
}

#[test]
fn a_move_between_open_vswitches_survives_kills() -> Result<()> {
    kill_all_in_turn(Profile::Ovs, Profile::Ovs)
}

#[test]
fn a_move_between_narrow_switches_survives_kills() -> Result<()> {
    kill_all_in_turn(Profile::Of13ArpPunt, Profile::Of10)
}
