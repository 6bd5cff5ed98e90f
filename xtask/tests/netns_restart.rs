//! The data path outlives the daemon: stopping it loses no frame, starting it again neither,
//! and only `detach` takes it down.

use std::net::IpAddr;
use std::time::Duration;

use anyhow::Result;
use xtask::lab::capture::now_us;
use xtask::lab::family::Families;
use xtask::lab::server::{Boot, MARKER};
use xtask::lab::stream::{Stream, tally};
use xtask::lab::topology::{Place, SERVER, SERVER6, Site};
use xtask::lab::{Lab, signals, trial};

const XTASK: &str = env!("CARGO_BIN_EXE_xtask");
const SOON: Duration = Duration::from_secs(40);

fn stream(lab: &Lab, server: impl Into<IpAddr>) -> Result<Stream> {
    Stream::start(&lab.name(Place::Client), server, MARKER, Duration::from_millis(10))
}

/// Questions lost of those asked from `from_us` until now; there must have been some.
fn lost(stream: &Stream, from_us: u64) -> Result<usize> {
    let until = now_us();
    signals::sleep(Duration::from_millis(300))?;
    let tally = tally(&stream.queries(), from_us, until);
    assert!(tally.sent > 20, "{tally:?} tells nothing");
    Ok(tally.lost())
}

fn first_answer(stream: &Stream, from_us: u64, marker: &str) -> Result<()> {
    let found = signals::wait_for(SOON, || Ok(stream.first_answer(from_us, marker)))?;
    assert!(found.is_some(), "no answer of {marker}");
    Ok(())
}

#[test]
fn a_learning_switch_goes_on_without_its_daemon() -> Result<()> {
    let Some(mut lab) = trial::lab(XTASK, |_| {})? else { return Ok(()) };
    lab.start_daemon(Site::Dc1)?;
    let stream = stream(&lab, SERVER)?;
    let booted = now_us();
    lab.boot(Site::Dc1, Boot::Talking)?;
    first_answer(&stream, booted, "dc1")?;

    let from = now_us();
    lab.stop_daemon(Site::Dc1)?;
    signals::sleep(Duration::from_secs(2))?;
    assert_eq!(lost(&stream, from)?, 0, "questions lost while the daemon was stopped");

    let from = now_us();
    lab.start_daemon(Site::Dc1)?;
    signals::sleep(Duration::from_secs(1))?;
    assert_eq!(lost(&stream, from)?, 0, "questions lost while the daemon was started again");

    lab.stop_daemon(Site::Dc1)?;
    lab.gateway(Site::Dc1).detach()?;
    let from = now_us() + 50_000;
    signals::sleep(Duration::from_secs(1))?;
    let lost = lost(&stream, from)?;
    let asked = tally(&stream.queries(), from, u64::MAX);
    assert!(asked.answered == 0 && lost > 0, "a detached switch must forward nothing: {asked:?}");
    let pins = lab.gateway(Site::Dc1).pins();
    let left = std::fs::read_dir(pins).map_or(0, Iterator::count);
    assert_eq!(left, 0, "pins are left below {}", pins.display());

    // From nothing again.
    let from = now_us();
    lab.start_daemon(Site::Dc1)?;
    first_answer(&stream, from, "dc1")
}

/// The daemons of both sites stop while the server with this address is away, and come back.
fn served_without_daemons(families: Families, server: IpAddr) -> Result<()> {
    let Some(mut lab) = trial::lab(XTASK, |options| options.families = families)? else { return Ok(()) };
    lab.start_daemons()?;
    let stream = stream(&lab, server)?;
    let booted = now_us();
    lab.boot(Site::Dc2, Boot::Talking)?;
    first_answer(&stream, booted, "dc2")?;
    lab.wait_state(Site::Dc1, SOON, "AWAY", |status| status.state(server) == "AWAY")?;
    lab.wait_state(Site::Dc2, SOON, "HOSTING", |status| status.state(server) == "HOSTING")?;

    let from = now_us();
    for site in Site::BOTH {
        lab.stop_daemon(site)?;
    }
    signals::sleep(Duration::from_secs(2))?;
    assert_eq!(lost(&stream, from)?, 0, "questions lost while both daemons were stopped");

    let from = now_us();
    for site in Site::BOTH {
        lab.start_daemon(site)?;
    }
    lab.wait_state(Site::Dc1, SOON, "AWAY again", |status| status.state(server) == "AWAY" && status.peer_up("dc2"))?;
    let again = |status: &xtask::lab::status::Status| status.state(server) == "HOSTING" && status.peer_up("dc1");
    lab.wait_state(Site::Dc2, SOON, "HOSTING again", again)?;
    assert_eq!(lost(&stream, from)?, 0, "questions lost while both daemons were started again");

    // And they still know how to bring it home.
    lab.halt(Site::Dc2)?;
    let booted = now_us();
    lab.boot(Site::Dc1, Boot::Talking)?;
    first_answer(&stream, booted, "dc1")?;
    lab.wait_state(Site::Dc1, SOON, "HOME", |status| status.state(server) == "HOME")?;
    Ok(())
}

#[test]
fn a_moved_server_is_served_without_daemons_and_after_their_return() -> Result<()> {
    served_without_daemons(Families::V4, SERVER.into())
}

#[test]
fn over_ipv6_it_is_as_well() -> Result<()> {
    served_without_daemons(Families::V6, SERVER6.into())
}
