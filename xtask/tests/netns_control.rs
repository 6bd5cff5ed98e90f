//! A server that says nothing is not moved: the trigger is its traffic, not its presence.

use std::time::Duration;

use anyhow::Result;
use xtask::lab::capture::now_us;
use xtask::lab::server::Boot;
use xtask::lab::topology::{Place, SERVER, Site};
use xtask::lab::{proof, timeline, trial};

#[test]
fn a_silent_server_does_not_migrate() -> Result<()> {
    let Some(mut lab) = trial::lab(env!("CARGO_BIN_EXE_xtask"), |_| {})? else { return Ok(()) };
    lab.start_daemons()?;
    let slot = lab.capture("dc2-server", Place::Slot(Site::Dc2), "eth0")?;
    let from = now_us();
    lab.boot(Site::Dc2, Boot::Silent)?;
    std::thread::sleep(Duration::from_secs(4));
    assert!(lab.slot_running(Site::Dc2), "the server must run for this to mean something");

    let silent = proof::says_nothing("the server is silent", &slot, &(from..now_us()));
    assert!(silent.holds(), "{silent}");
    let statuses = lab.statuses()?;
    for status in &statuses {
        assert!(status.is_settled(SERVER), "{} says {}", status.site, status.state(SERVER));
    }
    let events = timeline::merge(&statuses, from);
    assert!(events.is_empty(), "{events:?}");
    assert_eq!(statuses[1].pool.in_use, 0);
    Ok(())
}
