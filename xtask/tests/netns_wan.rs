//! A WAN that loses frames, and one that is cut in the middle: the move comes about all the
//! same, and what a partition leaves behind heals by itself.

use std::time::Duration;

use anyhow::Result;
use xtask::lab::capture::now_us;
use xtask::lab::server::{Boot, MARKER};
use xtask::lab::stream::Stream;
use xtask::lab::topology::{Place, SERVER, Site};
use xtask::lab::{Lab, signals, trial};

const XTASK: &str = env!("CARGO_BIN_EXE_xtask");
const SOON: Duration = Duration::from_secs(40);

fn first_answer(stream: &Stream, from_us: u64, marker: &str) -> Result<()> {
    let found = signals::wait_for(SOON, || Ok(stream.first_answer(from_us, marker)))?;
    assert!(found.is_some(), "no answer of {marker}");
    Ok(())
}

fn wait_both(lab: &Lab, home: &str, host: &str) -> Result<()> {
    lab.wait_state(Site::Dc1, SOON, home, |status| status.state(SERVER) == home)?;
    lab.wait_state(Site::Dc2, SOON, host, |status| status.state(SERVER) == host)?;
    Ok(())
}

#[test]
fn the_server_moves_over_a_wan_that_loses_a_tenth() -> Result<()> {
    let Some(mut lab) = trial::lab(XTASK, |_| {})? else { return Ok(()) };
    lab.start_daemons()?;
    let stream = Stream::start(&lab.name(Place::Client), SERVER, MARKER, Duration::from_millis(20))?;
    for line in &mut lab.wan {
        line.lose(100)?;
    }
    let booted = now_us();
    lab.boot(Site::Dc2, Boot::Talking)?;
    first_answer(&stream, booted, "dc2")?;
    wait_both(&lab, "AWAY", "HOSTING")?;

    lab.halt(Site::Dc2)?;
    let booted = now_us();
    lab.boot(Site::Dc1, Boot::Talking)?;
    first_answer(&stream, booted, "dc1")?;
    lab.wait_state(Site::Dc1, SOON, "HOME", |status| status.state(SERVER) == "HOME")?;
    lab.wait_state(Site::Dc2, SOON, "rid of it", |status| status.is_settled(SERVER) && status.pool.in_use == 0)?;
    Ok(())
}

#[test]
fn a_partition_makes_both_sites_stale_and_heals() -> Result<()> {
    let short = "lease_s = 3\nrenew_s = 1\npeer_down_s = 2";
    let Some(mut lab) = trial::lab(XTASK, |options| {
        options.dc1.timers = short.into();
        options.dc2.timers = short.into();
    })?
    else {
        return Ok(());
    };
    lab.start_daemons()?;
    let stream = Stream::start(&lab.name(Place::Client), SERVER, MARKER, Duration::from_millis(20))?;
    let booted = now_us();
    lab.boot(Site::Dc2, Boot::Talking)?;
    first_answer(&stream, booted, "dc2")?;
    wait_both(&lab, "AWAY", "HOSTING")?;

    lab.wan[1].cut()?;
    wait_both(&lab, "STALE", "STALE")?;
    lab.wan[1].join()?;
    let joined = now_us();
    // The data path was there all the time.
    first_answer(&stream, joined, "dc2")?;
    wait_both(&lab, "AWAY", "HOSTING")
}
