//! Broken on purpose: what an operator sees of it in `wamig status`, with since-when, reason
//! and remedy.

use std::net::{Ipv4Addr, UdpSocket};
use std::time::Duration;

use anyhow::{Result, bail};
use xtask::lab::capture::now_us;
use xtask::lab::dns::{self, Data, Kind};
use xtask::lab::server::{Boot, MARKER};
use xtask::lab::status::Status;
use xtask::lab::topology::{LOCAL, Place, SERVER, Site};
use xtask::lab::{Lab, netns, signals, trial};

const XTASK: &str = env!("CARGO_BIN_EXE_xtask");
/// For a state to come about.
const SOON: Duration = Duration::from_secs(40);

/// An address of DC2's LAN that nobody has.
const NOBODY: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 77);

/// Which copy answers the client, if one does.
fn who_answers(lab: &Lab, patience: Duration) -> Option<String> {
    let client = lab.name(Place::Client);
    match netns::enter(&client, || dns::ask(SERVER, MARKER, Kind::Txt, patience)) {
        Ok((Data::Text(marker), _)) => Some(marker),
        _ => None,
    }
}

#[test]
fn home_unreachable() -> Result<()> {
    let Some(mut lab) = trial::lab(XTASK, |_| {})? else { return Ok(()) };
    lab.start_daemons()?;
    lab.stop_daemon(Site::Dc1)?;
    lab.wait_state(Site::Dc2, SOON, "aware that dc1 is down", |status| !status.peer_up("dc1"))?;

    let booted = now_us();
    lab.boot(Site::Dc2, Boot::Talking)?;
    trial::expect_state(&lab, Site::Dc2, "SEEN", Some("home unreachable"), booted, SOON)?;
    assert_eq!(who_answers(&lab, Duration::from_secs(1)), None, "nothing may be served before the home agrees");
    Ok(())
}

#[test]
fn unauthorised_certificate() -> Result<()> {
    let Some(mut lab) = trial::lab(XTASK, |options| options.dc2.stranger = true)? else { return Ok(()) };
    lab.start_daemon(Site::Dc1)?;
    lab.start_daemon(Site::Dc2)?;
    lab.wait_state(Site::Dc2, Duration::from_secs(30), "ready to host", |status| status.pool.ready > 0)?;

    let booted = now_us();
    lab.boot(Site::Dc2, Boot::Talking)?;
    trial::expect_state(&lab, Site::Dc2, "SEEN", Some("unauthorised"), booted, SOON)?;
    let home = lab.wait_state(Site::Dc1, SOON, "aware of a stranger", |status| !status.refused.is_empty())?;
    assert!(home.refused.values().sum::<u64>() > 0, "{:?}", home.refused);
    assert!(home.is_settled(SERVER), "dc1 says {}", home.state(SERVER));
    assert_eq!(who_answers(&lab, Duration::from_secs(1)), None);
    Ok(())
}

#[test]
fn pool_exhausted() -> Result<()> {
    // The only transfer address is in use: by the site's own host.
    let Some(mut lab) = trial::lab(XTASK, |options| options.dc2.pool = LOCAL.to_string())? else { return Ok(()) };
    lab.start_daemon(Site::Dc1)?;
    lab.start_daemon(Site::Dc2)?;
    lab.wait_state(Site::Dc2, SOON, "in touch with dc1", |status| status.peer_up("dc1"))?;

    let booted = now_us();
    lab.boot(Site::Dc2, Boot::Talking)?;
    trial::expect_state(&lab, Site::Dc2, "SEEN", Some("pool exhausted"), booted, SOON)?;
    let [home, host] = lab.statuses()?;
    assert_eq!((host.pool.size, host.pool.ready, host.pool.in_use), (1, 0, 0));
    assert!(home.is_settled(SERVER), "dc1 says {}", home.state(SERVER));
    assert!(trial::reaches(&lab.name(Place::Router(Site::Dc2)), LOCAL, SOON)?, "the local host keeps its address");
    Ok(())
}

#[test]
fn the_server_runs_at_both_sites() -> Result<()> {
    let Some(mut lab) = trial::lab(XTASK, |_| {})? else { return Ok(()) };
    lab.start_daemons()?;
    lab.boot(Site::Dc1, Boot::Talking)?;
    assert_eq!(who_answers(&lab, SOON).as_deref(), Some("dc1"));

    let booted = now_us();
    lab.boot(Site::Dc2, Boot::Talking)?;
    trial::expect_state(&lab, Site::Dc2, "FENCED", Some(""), booted, SOON)?;
    let home = lab.gateway(Site::Dc1).status()?;
    assert_eq!(home.state(SERVER), "HOME");
    // The copy at DC2 keeps talking; it must neither take over nor disturb.
    for _ in 0..4 {
        signals::sleep(Duration::from_millis(500))?;
        assert_eq!(who_answers(&lab, Duration::from_secs(1)).as_deref(), Some("dc1"));
    }
    assert_eq!(lab.gateway(Site::Dc1).status()?.state(SERVER), "HOME");
    assert_eq!(lab.gateway(Site::Dc2).status()?.state(SERVER), "FENCED");
    Ok(())
}

#[test]
fn another_host_takes_the_transfer_address() -> Result<()> {
    let Some(mut lab) = trial::lab(XTASK, |_| {})? else { return Ok(()) };
    lab.start_daemons()?;
    let booted = now_us();
    lab.boot(Site::Dc2, Boot::Talking)?;
    let served = trial::expect_state(&lab, Site::Dc2, "HOSTING", None, booted, SOON)?;
    let Some(taken) = served.transfer else { bail!("{SERVER} has no transfer address") };
    assert_eq!(who_answers(&lab, SOON).as_deref(), Some("dc2"));

    // The site's own host has it from now on, and looks for somebody who is not there.
    let local = lab.name(Place::Host(Site::Dc2));
    netns::ip(&local, &format!("address add {taken}/24 dev eth0"))?;
    netns::enter(&local, || {
        let socket = UdpSocket::bind((taken, 0))?;
        for _ in 0..8 {
            socket.send_to(b"?", (NOBODY, 9))?;
            signals::sleep(Duration::from_millis(500))?;
        }
        Ok(())
    })?;
    let moved =
        |status: &Status| status.address(SERVER).is_some_and(|a| a.state == "HOSTING" && a.transfer != Some(taken));
    let host = lab.wait_state(Site::Dc2, SOON, "at another transfer address", moved)?;
    assert!(host.pool.quarantined > 0, "{taken} is not lent again at once: {:?}", host.pool);
    assert_eq!(who_answers(&lab, SOON).as_deref(), Some("dc2"));
    let home = lab.gateway(Site::Dc1).status()?;
    assert_eq!(home.address(SERVER).and_then(|a| a.transfer), host.address(SERVER).and_then(|a| a.transfer));
    Ok(())
}
