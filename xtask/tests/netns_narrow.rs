//! A narrow profile with a switch that really refuses what hardware refuses: Open vSwitch
//! behind somebody who answers such flow-mods with the specification's errors.

mod middle;

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use middle::{Middle, hardware};
use xtask::conformance::ovs;
use xtask::lab::play::{self, Pace};
use xtask::lab::proof::Links;
use xtask::lab::switch::{Kind, Profile};
use xtask::lab::topology::{SERVER, Site};
use xtask::lab::{Lab, trial};

const XTASK: &str = env!("CARGO_BIN_EXE_xtask");

/// A lab with such a switch at either site.
fn lab(profile: Profile) -> Result<Option<Lab>> {
    if !ovs::installed() {
        println!("SKIP: Open vSwitch is not installed (scripts/setup of installs it)");
        return Ok(None);
    }
    trial::lab(XTASK, |options| {
        for site in [&mut options.dc1, &mut options.dc2] {
            (site.switch, site.in_the_middle) = (Kind::Ovs(profile), true);
        }
    })
}

#[test]
fn the_server_moves_and_comes_home_between_switches_that_refuse_what_is_not_in_the_profile() -> Result<()> {
    let Some(mut lab) = lab(Profile::Of13ArpPunt)? else { return Ok(()) };
    let _middles = [Middle::start(&lab, Site::Dc1, hardware::law)?, Middle::start(&lab, Site::Dc2, hardware::law)?];
    lab.start_daemons()?;
    let links = Links::watch(&lab)?;
    let outcome = play::run(&mut lab, &links, Pace::BRISK)?;
    let failed: Vec<String> = outcome.proofs.iter().filter(|proof| !proof.holds()).map(ToString::to_string).collect();
    ensure!(failed.is_empty(), "not proven:\n{}\n{}", failed.join("\n"), lab.last_words(20));
    for site in Site::BOTH {
        let session = lab.gateway(site).status()?.datapath.session.context("no session")?;
        assert_eq!(session.refused, None, "nothing was asked of {} that it cannot do", site.title());
    }
    assert_eq!(lab.gateway(Site::Dc1).status()?.state(SERVER), "HOME");
    Ok(())
}

#[test]
fn a_wider_profile_is_refused_with_the_name_of_the_one_that_fits() -> Result<()> {
    for (profile, why) in [(Profile::Ovs, "needs 3 tables"), (Profile::Of13, "OFPBMC_BAD_FIELD")] {
        let Some(mut lab) = lab(profile)? else { return Ok(()) };
        let _middle = Middle::start(&lab, Site::Dc1, hardware::law)?;
        lab.start_daemon(Site::Dc1)?;
        let told = |text: &str, s: &xtask::lab::status::Status| {
            let session = s.datapath.session.as_ref();
            session.and_then(|s| s.last_error.as_ref()).is_some_and(|e| e.contains(text))
        };
        let fits = "profile = \"of13-arp-punt\" would do";
        let status = lab.wait_state(Site::Dc1, Duration::from_mins(1), fits, |s| told(fits, s))?;
        ensure!(told(why, &status), "the reason is not {why:?}: {:?}", status.datapath.session);
        ensure!(!status.switch_up(), "it is under control all the same");
    }
    Ok(())
}
