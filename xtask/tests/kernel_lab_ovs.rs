//! The whole experiment over Open vSwitch's kernel datapath: what hardware-near Open vSwitch
//! installations run. Needs the kernel's module `openvswitch`, which the guest of `cargo xtask
//! test --kernel debian` has; there, the sites' uplinks are VLANs of a trunk, and netem delays
//! the WAN.

use std::net::SocketAddrV4;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use xtask::conformance::ovs::{self, Datapath};
use xtask::lab::play::{self, Pace};
use xtask::lab::proof::Links;
use xtask::lab::server::Boot;
use xtask::lab::switch::{Kind, Profile};
use xtask::lab::topology::{Place, SERVER, Site};
use xtask::lab::{Lab, netns, trial};

const XTASK: &str = env!("CARGO_BIN_EXE_xtask");
const SOON: Duration = Duration::from_mins(4);
/// It comes in three fragments.
const DATAGRAM: [u8; 3000] = [0x5a; 3000];
const VLAN: u16 = 77;

/// Frames that a VLAN's interface has received, by `/proc/net/vlan`.
fn tagged(lab: &Lab, site: Site) -> Result<u64> {
    let text = netns::enter(&lab.name(Place::Gateway(site)), || {
        std::fs::read_to_string("/proc/thread-self/net/vlan/up").context("port up is no VLAN")
    })?;
    ensure!(text.contains(&format!("VID: {VLAN}")), "{text}");
    let line = text.lines().find(|line| line.contains("total frames received")).context("no count")?;
    Ok(line.split_whitespace().last().context("no count")?.parse()?)
}

#[test]
fn the_server_moves_between_kernel_datapaths_over_vlans_and_netem_and_fragments_are_sound() -> Result<()> {
    if !Path::new("/sys/module/openvswitch").exists() {
        println!("SKIP: this kernel has no module openvswitch loaded (cargo xtask test --kernel debian has it)");
        return Ok(());
    }
    if !ovs::installed() {
        println!("SKIP: Open vSwitch is not installed (scripts/setup of installs it)");
        return Ok(());
    }
    let chosen = |options: &mut xtask::lab::Options| {
        (options.netem, options.uplink_vlan) = (true, Some(VLAN));
        for site in [&mut options.dc1, &mut options.dc2] {
            (site.switch, site.datapath) = (Kind::Ovs(Profile::Ovs), Datapath::Kernel);
        }
    };
    let Some(mut lab) = trial::lab(XTASK, chosen)? else { return Ok(()) };
    lab.start_daemons()?;
    let links = Links::watch(&lab)?;
    let outcome = play::run(&mut lab, &links, Pace::BRISK)?;
    for proof in &outcome.proofs {
        println!("{proof}");
    }
    let failed: Vec<String> = outcome.proofs.iter().filter(|proof| !proof.holds()).map(ToString::to_string).collect();
    ensure!(failed.is_empty(), "not proven:\n{}\n{}", failed.join("\n"), lab.last_words(20));
    for site in Site::BOTH {
        ensure!(tagged(&lab, site)? > 0, "no tagged frame reached {}", site.title());
        let session = lab.gateway(site).status()?.datapath.session.context("no session")?;
        let fragments = session.fragments.context("no word of fragments")?;
        ensure!(fragments.verdict == "sound", "{}: {fragments:?}", site.title());
    }

    // What was found is so: nothing of them goes through wamig.
    lab.halt(Site::Dc1)?;
    lab.boot(Site::Dc2, Boot::Talking)?;
    lab.wait_state(Site::Dc1, SOON, "AWAY", |s| s.state(SERVER) == "AWAY")?;
    let port = SocketAddrV4::new(SERVER, 9);
    ensure!(trial::refuses(&lab.name(Place::Client), port, &DATAGRAM, SOON)?, "fragments do not arrive whole");
    Ok(())
}
