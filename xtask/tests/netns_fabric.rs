//! Sites with two Open vSwitch bridges each, used as one switch: the uplink and the site's host
//! on one, the server's slot on the other. The operator has flows on both.

use std::process::Command;
use std::time::Duration;

use anyhow::{Result, ensure};
use xtask::conformance::ovs;
use xtask::lab::capture::now_us;
use xtask::lab::play::{self, Pace};
use xtask::lab::proof::Links;
use xtask::lab::server::{Boot, MARKER};
use xtask::lab::stream::{Stream, tally};
use xtask::lab::switch::{self, Kind, PAIR};
use xtask::lab::topology::{Place, SERVER, Site};
use xtask::lab::{Lab, signals, trial};
use xtask::process;

const XTASK: &str = env!("CARGO_BIN_EXE_xtask");
const SOON: Duration = Duration::from_secs(40);

/// The operator's: below wamig's, above and beside.
const OPERATORS: [&str; 3] = [
    "priority=60000,cookie=0x5,udp,nw_dst=203.0.113.99,tp_dst=9,actions=drop",
    "priority=10,cookie=0x6,tcp,tp_dst=2222,actions=drop",
    "table=3,priority=7,cookie=0x7,ip,nw_src=203.0.113.98,actions=NORMAL",
];

/// A lab with two bridges at either site.
fn lab() -> Result<Option<Lab>> {
    if !ovs::installed() {
        println!("SKIP: Open vSwitch is not installed (scripts/setup of installs it)");
        return Ok(None);
    }
    trial::lab(XTASK, |options| (options.dc1.switch, options.dc2.switch) = (Kind::Pair, Kind::Pair))
}

fn ofctl(lab: &Lab, site: Site, bridge: &str, words: &[&str]) -> Result<String> {
    let management = format!("unix:{}", lab.gateway(site).switch_dir().join(format!("{bridge}.mgmt")).display());
    let (verb, rest) = (words[0], &words[1..]);
    process::capture(Command::new("ovs-ofctl").args(["-O", "OpenFlow13", verb, &management]).args(rest))
}

/// The operator's flows on every bridge, but for what counts.
fn operators_flows(lab: &Lab) -> Result<Vec<String>> {
    let mut found = Vec::new();
    for (site, bridge) in bridges() {
        let text = ofctl(lab, site, bridge, &["dump-flows"])?;
        for cookie in ["cookie=0x5,", "cookie=0x6,", "cookie=0x7,"] {
            found.extend(text.lines().filter(|line| line.contains(cookie)).map(|line| {
                let counts = ["duration=", "n_packets=", "n_bytes=", "idle_age="];
                let kept = |word: &&str| !counts.iter().any(|c| word.starts_with(c));
                let words: Vec<_> = line.split_whitespace().filter(kept).collect();
                format!("{} {bridge}: {}", site.name(), words.join(" "))
            }));
        }
    }
    Ok(found)
}

fn bridges() -> impl Iterator<Item = (Site, &'static str)> {
    Site::BOTH.into_iter().flat_map(|site| PAIR.into_iter().map(move |(_, bridge)| (site, bridge)))
}

#[test]
fn the_server_moves_between_sites_of_two_switches_each_and_comes_home() -> Result<()> {
    let Some(mut lab) = lab()? else { return Ok(()) };
    for (site, bridge) in bridges() {
        for flow in OPERATORS {
            ofctl(&lab, site, bridge, &["add-flow", flow])?;
        }
    }
    let before = operators_flows(&lab)?;
    assert_eq!(before.len(), 2 * 2 * OPERATORS.len(), "the operator's flows were never there");
    lab.start_daemons()?;
    let links = Links::watch(&lab)?;
    let outcome = play::run(&mut lab, &links, Pace::BRISK)?;
    let failed: Vec<String> = outcome.proofs.iter().filter(|proof| !proof.holds()).map(ToString::to_string).collect();
    ensure!(failed.is_empty(), "not proven:\n{}\n{}", failed.join("\n"), lab.last_words(20));
    assert_eq!(operators_flows(&lab)?, before, "the operator's flows");
    for site in Site::BOTH {
        let status = lab.gateway(site).status()?;
        assert!(status.switch_up());
        let names: Vec<&str> = status.datapath.switches.iter().map(|s| s.name.as_str()).collect();
        assert_eq!(names, PAIR.map(|(name, _)| name), "{}", site.title());
    }
    // What came from the uplink to the slot crossed the cable with a tag.
    let obeyed = ofctl(&lab, Site::Dc1, "br1", &["dump-flows", "cookie=0x4642000000000003/-1"])?;
    assert!(obeyed.contains("pop_vlan") && !obeyed.contains("n_packets=0,"), "{obeyed}");
    assert_eq!(lab.gateway(Site::Dc1).status()?.state(SERVER), "HOME");
    Ok(())
}

/// Questions lost of those asked from `from_us` until now; there must have been some.
fn lost(stream: &Stream, from_us: u64) -> Result<usize> {
    let until = now_us();
    signals::sleep(Duration::from_millis(300))?;
    let tally = tally(&stream.queries(), from_us, until);
    ensure!(tally.sent > 20, "{tally:?} tells nothing");
    Ok(tally.lost())
}

#[test]
fn switches_forward_while_one_is_missing_and_go_on_when_it_is_back() -> Result<()> {
    let Some(mut lab) = lab()? else { return Ok(()) };
    lab.start_daemons()?;
    let stream = Stream::start(&lab.name(Place::Client), SERVER, MARKER, Duration::from_millis(10))?;
    let booted = now_us();
    lab.boot(Site::Dc1, Boot::Talking)?;
    let found = signals::wait_for(SOON, || Ok(stream.first_answer(booted, "dc1")))?;
    ensure!(found.is_some(), "the server does not answer at home\n{}", lab.last_words(20));
    lab.wait_state(Site::Dc1, SOON, "at home", |s| s.state(SERVER) == "HOME")?;

    let dir = lab.gateway(Site::Dc1).switch_dir();
    let ours =
        |lab: &Lab| ofctl(lab, Site::Dc1, "br1", &["dump-flows", "cookie=0x4642000000000000/0xffff000000000000"]);
    let from = now_us();
    // A bridge that is told to have no controller forgets its flows. This one looks for somebody who is not there.
    ovs::set_controller(&dir, "br1", &format!("unix:{}", dir.join("nobody").display()))?;
    let status = lab.wait_state(Site::Dc1, SOON, "without leaf2", |s| !s.switch_up())?;
    let states: Vec<&str> = status.datapath.switches.iter().map(|s| s.session.state.as_str()).collect();
    assert_eq!(states, ["up", "down"]);
    signals::sleep(Duration::from_secs(1))?;
    assert_eq!(lost(&stream, from)?, 0, "questions lost while leaf2 was missing");

    // What somebody does to a switch in the meantime is put right when it is back.
    ofctl(&lab, Site::Dc1, "br1", &["del-flows", "cookie=0x46420000000000ed/-1"])?;
    let from = now_us();
    ovs::set_controller(&dir, "br1", &format!("unix:{}", switch::socket(&dir, "br1").display()))?;
    lab.wait_state(Site::Dc1, SOON, "with leaf2", xtask::lab::status::Status::switch_up)?;
    let mended = signals::wait_for(SOON, || Ok(ours(&lab)?.contains("cookie=0x46420000000000ed").then_some(())))?;
    ensure!(mended.is_some(), "the flow that was taken out is not back:\n{}", ours(&lab)?);
    signals::sleep(Duration::from_secs(1))?;
    assert_eq!(lost(&stream, from)?, 0, "questions lost when leaf2 came back");
    Ok(())
}
