//! Later fragments of moved addresses arrive whole, also where Open vSwitch's userspace
//! datapath would damage them.

use std::net::SocketAddrV4;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use xtask::conformance::ovs;
use xtask::lab::server::Boot;
use xtask::lab::switch::{Kind, Profile};
use xtask::lab::topology::{Place, SERVER, Site};
use xtask::lab::trial;

const XTASK: &str = env!("CARGO_BIN_EXE_xtask");
const SOON: Duration = Duration::from_mins(1);
/// It comes in three fragments; the port is nobody's, so that its arrival as a whole, and no
/// other, is answered by a refusal.
const DATAGRAM: [u8; 3000] = [0x5a; 3000];

fn arrive_whole(profile: Profile) -> Result<()> {
    if !ovs::installed() {
        println!("SKIP: Open vSwitch is not installed (scripts/setup of installs it)");
        return Ok(());
    }
    // One site only: where both damage them, the second may undo what the first did.
    let Some(mut lab) = trial::lab(XTASK, |options| options.dc1.switch = Kind::Ovs(profile))? else { return Ok(()) };
    lab.start_daemons()?;
    let fragments = |lab: &xtask::lab::Lab| -> Result<_> {
        let session = lab.gateway(Site::Dc1).status()?.datapath.session.context("no session")?;
        session.fragments.context("no word of fragments")
    };
    let found = fragments(&lab)?;
    ensure!(found.verdict == "damaged" && found.since_unix_ms.is_some(), "not found: {found:?}");
    ensure!(found.remedy.is_some_and(|r| r.contains("datapath_type=system")), "no remedy");

    lab.boot(Site::Dc2, Boot::Talking)?;
    lab.wait_state(Site::Dc1, SOON, "AWAY", |s| s.state(SERVER) == "AWAY")?;
    let port = SocketAddrV4::new(SERVER, 9);
    for place in [Place::Client, Place::Host(Site::Dc1)] {
        let name = lab.name(place);
        ensure!(trial::refuses(&name, port, b"?", SOON)?, "the server cannot be reached from {name}");
        ensure!(
            trial::refuses(&name, port, &DATAGRAM, SOON)?,
            "a datagram in fragments from {name} does not arrive whole; {:?}",
            fragments(&lab)?
        );
    }
    let found = fragments(&lab)?;
    ensure!(found.detoured >= 4 && found.lost == 0, "who carried them? {found:?}");
    let detours = lab.gateway(Site::Dc1).flows()?.into_iter().filter(|f| f.cookie.starts_with("0x574de")).count();
    ensure!(detours >= 4, "{detours} detours");

    lab.halt(Site::Dc2)?;
    lab.boot(Site::Dc1, Boot::Talking)?;
    lab.wait_state(Site::Dc1, SOON, "HOME", |s| s.state(SERVER) == "HOME")?;
    let left = lab.gateway(Site::Dc1).flows()?.into_iter().filter(|f| f.cookie.starts_with("0x574de")).count();
    ensure!(left == 0, "{left} detours are left at home");
    Ok(())
}

#[test]
fn wamigs_own_switch_elsewhere_is_found_sound_and_is() -> Result<()> {
    for profile in [Profile::Ovs, Profile::Of10] {
        let chosen = |options: &mut xtask::lab::Options| options.dc1.switch = Kind::Elsewhere(profile);
        let Some(mut lab) = trial::lab(XTASK, chosen)? else { return Ok(()) };
        lab.start_daemons()?;
        lab.boot(Site::Dc2, Boot::Talking)?;
        lab.wait_state(Site::Dc1, SOON, "AWAY", |s| s.state(SERVER) == "AWAY")?;
        let client = lab.name(Place::Client);
        ensure!(
            trial::refuses(&client, SocketAddrV4::new(SERVER, 9), &DATAGRAM, SOON)?,
            "fragments do not arrive whole"
        );
        let session = lab.gateway(Site::Dc1).status()?.datapath.session.context("no session")?;
        let found = session.fragments.context("no word of fragments")?;
        ensure!(found.verdict == "sound" && found.detoured == 0, "{}: {found:?}", profile.as_str());
    }
    Ok(())
}

#[test]
fn fragments_of_a_moved_server_arrive_whole_through_open_vswitch() -> Result<()> {
    arrive_whole(Profile::Ovs)
}

#[test]
fn fragments_of_a_moved_server_arrive_whole_through_a_narrow_switch_of_either_version() -> Result<()> {
    arrive_whole(Profile::Of13ArpPunt)?;
    arrive_whole(Profile::Of10)
}
