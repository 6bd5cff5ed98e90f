//! os-ken's learning switches, `simple_switch_13` and `simple_switch` (OpenFlow 1.0), own wamig's tables: hosts reach each
//! other, flows are what the application says, and a host that moves is found again once its old flows are gone.

use std::net::SocketAddrV4;
use std::time::Duration;

use anyhow::{Result, ensure};
use xtask::interop::apps;
use xtask::interop::ofctl::{self, Ofctl};
use xtask::interop::rig::{self, CONTROLLER, Host, Rig};
use xtask::lab::capture::Capture;
use xtask::lab::topology::mac_text;
use xtask::lab::{signals, trial};

const PREFIX: &str = "wamig-io-osken-";
const SOON: Duration = Duration::from_secs(40);
const HOSTS: [[u8; 4]; 3] = [[10, 9, 0, 1], [10, 9, 0, 2], [10, 9, 0, 3]];

/// What of the flow from one host to another the application gives: its text around ports and addresses.
struct Kind {
    application: &'static str,
    version: &'static str,
    priority: &'static str,
    /// Flows besides those of the hosts.
    others: &'static [&'static str],
}

const KINDS: [Kind; 2] = [
    Kind {
        application: "simple_switch_13",
        version: "OpenFlow13",
        priority: "priority=1,",
        others: &["priority=0 actions=CONTROLLER:65535"],
    },
    Kind { application: "simple_switch", version: "OpenFlow10", priority: "", others: &[] },
];

impl Kind {
    /// The flows between all hosts, with those of host 1 at port `first`.
    fn flows(&self, first: usize) -> Vec<String> {
        let port = |host: usize| if host == 1 { first } else { host };
        let mut flows: Vec<String> = self.others.iter().map(|flow| (*flow).to_owned()).collect();
        for (from, to) in pairs() {
            flows.push(format!(
                "{}in_port={},dl_src={},dl_dst={} actions=output:{}",
                self.priority,
                port(from),
                mac_text(rig::mac(from)),
                mac_text(rig::mac(to)),
                port(to)
            ));
        }
        flows.sort();
        flows
    }
}

fn pairs() -> impl Iterator<Item = (usize, usize)> {
    (1..=3).flat_map(|from| (1..=3).filter(move |to| *to != from).map(move |to| (from, to)))
}

/// Host 1 is at port `first`.
fn all_reach_each_other(rig: &Rig, first: usize) -> Result<()> {
    for (from, to) in pairs() {
        let space = rig.host(if from == 1 { first } else { from });
        ensure!(trial::reaches(&space, HOSTS[to - 1].into(), SOON)?, "host {from} does not reach host {to}");
    }
    Ok(())
}

fn wait_flows(ofctl: &Ofctl, wanted: &[String]) -> Result<()> {
    let there = || Ok((ofctl.flows(&[])? == wanted).then_some(()));
    signals::wait_for(SOON, there)?;
    assert_eq!(ofctl.flows(&[])?, wanted);
    Ok(())
}

fn play(kind: &Kind) -> Result<()> {
    if !ofctl::installed() {
        println!("SKIP: Open vSwitch is not installed (scripts/setup of installs it)");
        return Ok(());
    }
    let application = match apps::os_ken(kind.application) {
        Ok(application) => application,
        Err(error) => {
            println!("SKIP: {error:#}");
            return Ok(());
        }
    };
    let hosts = [Host::at(HOSTS[0]), Host::at(HOSTS[1]), Host::at(HOSTS[2]), Host::nobody()];
    let Some(rig) = Rig::up(PREFIX, &hosts, &format!("controllers = [\"tcp:127.0.0.1:{CONTROLLER}\"]"))? else {
        return Ok(());
    };
    let mut running = application.start(&rig)?;
    let ofctl = rig.ofctl_unix(kind.version)?;

    all_reach_each_other(&rig, 1)?;
    wait_flows(&ofctl, &kind.flows(1))?;
    // What is learnt is not flooded, and nobody asks the controller.
    let third = Capture::start("h3", &rig.host(3), "eth0")?;
    for _ in 0..5 {
        ensure!(trial::reaches(&rig.host(1), HOSTS[1].into(), SOON)?, "host 1 does not reach host 2");
    }
    let strange = |bytes: &[u8]| bytes[0] & 1 == 0 && bytes[..6] != rig::mac(3);
    let strangers = third.records().iter().filter(|record| !record.sent && strange(&record.bytes)).count();
    assert_eq!(strangers, 0, "frames between the others came to host 3");

    // The application lets old flows stand, so what is for host 1 goes where it was. It knows better once they are gone.
    rig.move_host(&hosts[0], 1, 4)?;
    let lost = trial::reaches(&rig.host(2), HOSTS[0].into(), Duration::from_secs(1))?;
    assert!(!lost, "host 2 reaches host 1 against the flows");
    for way in ["dl_src", "dl_dst"] {
        ofctl.quiet("del-flows", &[&format!("{way}={}", mac_text(rig::mac(1)))])?;
    }
    all_reach_each_other(&rig, 4)?;
    wait_flows(&ofctl, &kind.flows(4))?;

    // No flow, and a frame longer than what a controller asks for by default (128 bytes): it comes to the other side
    // whole, for there is no buffer to fetch the rest from.
    for way in ["dl_src", "dl_dst"] {
        ofctl.quiet("del-flows", &[&format!("{way}={}", mac_text(rig::mac(3)))])?;
    }
    let third = Capture::start("h3", &rig.host(3), "eth0")?;
    let long = SocketAddrV4::new(HOSTS[2].into(), 9);
    ensure!(trial::refuses(&rig.host(2), long, &[b'!'; 1000], SOON)?, "a long datagram is not answered");
    let first = third.records().iter().find(|record| !record.sent && record.length > 200).map(|record| record.length);
    assert_eq!(first, Some(14 + 20 + 8 + 1000));

    assert!(running.running(), "the application has ended:\n{}", running.last_words(20));
    let log = std::fs::read_to_string(rig.log("application")?)?;
    for bad in ["Traceback", "ERROR", "rror type", "EventOFPErrorMsg"] {
        assert!(!log.contains(bad), "{bad} is in\n{log}");
    }
    Ok(())
}

#[test]
fn simple_switch_13_switches() -> Result<()> {
    play(&KINDS[0])
}

#[test]
fn simple_switch_of_the_old_version_switches() -> Result<()> {
    play(&KINDS[1])
}
