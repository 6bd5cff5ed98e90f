//! Open vSwitch's own controller, `ovs-testcontroller`, owns wamig's tables: a flow for every conversation, gone when it
//! is idle, in OpenFlow 1.3 (wamig dials) and 1.0 (the controller dials).

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Result, ensure};
use xtask::interop::ofctl::{self, Ofctl};
use xtask::interop::rig::{self, CONTROLLER, Host, Rig};
use xtask::lab::topology::mac_text;
use xtask::lab::{signals, trial};
use xtask::workspace;

const PREFIX: &str = "wamig-io-ovstc-";
const SOON: Duration = Duration::from_secs(40);
const HOSTS: [[u8; 4]; 3] = [[10, 9, 0, 1], [10, 9, 0, 2], [10, 9, 0, 3]];
/// Seconds after which the controller's flows end when they are idle.
const IDLE: &str = "--max-idle=2";

fn program() -> Option<PathBuf> {
    let unpacked = workspace::target().join("openvswitch/usr/bin/ovs-testcontroller");
    [PathBuf::from("/usr/bin/ovs-testcontroller"), unpacked].into_iter().find(|path| path.exists())
}

/// Host 1 is at port `first`.
fn all_reach_each_other(rig: &Rig, first: usize) -> Result<()> {
    for from in 1..=3 {
        for to in (1..=3).filter(|to| *to != from) {
            let space = rig.host(if from == 1 { first } else { from });
            ensure!(trial::reaches(&space, HOSTS[to - 1].into(), SOON)?, "host {from} does not reach host {to}");
        }
    }
    Ok(())
}

/// The conversations' flows.
fn conversations(ofctl: &Ofctl) -> Result<Vec<String>> {
    Ok(ofctl.flows(&[])?.into_iter().filter(|flow| flow.contains("dl_src=")).collect())
}

fn play(version: &'static str, dials: bool) -> Result<()> {
    let Some(program) = program().filter(|_| ofctl::installed()) else {
        println!("SKIP: ovs-testcontroller is not there (scripts/setup of fetches it)");
        return Ok(());
    };
    let hosts = [Host::at(HOSTS[0]), Host::at(HOSTS[1]), Host::at(HOSTS[2]), Host::nobody()];
    let endpoint = if dials { format!("controllers = [\"tcp:127.0.0.1:{CONTROLLER}\"]") } else { String::new() };
    let Some(rig) = Rig::up(PREFIX, &hosts, &endpoint)? else { return Ok(()) };
    let method = if dials {
        format!("ptcp:{CONTROLLER}:127.0.0.1")
    } else {
        format!("unix:{}", rig.dir()?.join("openflow.sock").display())
    };
    let home = format!("OVS_RUNDIR={}", rig.dir()?.display());
    let program = program.display().to_string();
    let words = [home.as_str(), &program, "-O", version, IDLE, &method];
    let mut controller = rig.start("controller", Path::new("/usr/bin/env"), &words)?;
    let ofctl = rig.ofctl(version)?;

    all_reach_each_other(&rig, 1)?;
    ensure!(trial::reaches(&rig.host(1), HOSTS[1].into(), SOON)?, "host 1 does not reach host 2");
    let way = format!("dl_src={},dl_dst={}", mac_text(rig::mac(1)), mac_text(rig::mac(2)));
    let flows = conversations(&ofctl)?;
    let wanted = |flow: &&String| {
        flow.contains(&way)
            && flow.contains("udp,in_port=1")
            && flow.contains("idle_timeout=2,")
            && flow.ends_with("actions=output:2")
    };
    assert!(flows.iter().any(|flow| wanted(&flow)), "{way} is not in {flows:#?}");

    // The flows to its old port end because nobody uses them for long enough; then it is found at the new one.
    rig.move_host(&hosts[0], 1, 4)?;
    let idle = || Ok(conversations(&ofctl)?.is_empty().then_some(()));
    ensure!(signals::wait_for(SOON, idle)?.is_some(), "idle flows stay: {:#?}", conversations(&ofctl)?);
    all_reach_each_other(&rig, 4)?;
    assert!(controller.running(), "the controller has ended:\n{}", controller.last_words(20));
    let log = std::fs::read_to_string(rig.log("controller")?)?;
    for bad in ["|ERR|", "OFPT_ERROR", "error"] {
        assert!(!log.contains(bad), "{bad} is in\n{log}");
    }
    Ok(())
}

#[test]
fn a_controller_that_wamig_dials() -> Result<()> {
    play("OpenFlow13", true)
}

#[test]
fn a_controller_of_the_old_version_that_dials() -> Result<()> {
    play("OpenFlow10", false)
}
