//! The whole play with Open vSwitch in the place of wamig's own switch, whose operator has
//! flows there too.

use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use xtask::conformance::ovs;
use xtask::lab::Lab;
use xtask::lab::play::{self, Pace};
use xtask::lab::proof::Links;
use xtask::lab::switch::{Kind, Profile, Switches};
use xtask::lab::topology::{SERVER, Site};
use xtask::lab::trial;
use xtask::process;

const XTASK: &str = env!("CARGO_BIN_EXE_xtask");

/// The operator's: below wamig's, above and beside, and of every table that wamig uses. OpenFlow 1.0 knows one.
const OPERATORS: [&str; 3] = [
    "priority=60000,cookie=0x5,udp,nw_dst=203.0.113.99,tp_dst=9,actions=drop",
    "priority=10,cookie=0x6,tcp,tp_dst=2222,actions=drop",
    "table=3,priority=7,cookie=0x7,ip,nw_src=203.0.113.98,actions=NORMAL",
];

/// Where wamig's own cookies and priorities are somebody else's: theirs, and those that it has in their place.
const TAKEN: [&str; 2] = [
    "priority=50100,cookie=0x574d100100000005,udp,nw_dst=203.0.113.99,tp_dst=9,actions=drop",
    "priority=10,cookie=0x4c53000000000006,tcp,tp_dst=2223,actions=drop",
];
const MARKS: &str = "priority = 20000\ncookies = { migration = 0xa001, learning = 0xa002 }";

fn operators(profile: Profile, marked: bool) -> Vec<&'static str> {
    let tables = if profile == Profile::Of10 { 2 } else { OPERATORS.len() };
    OPERATORS[..tables].iter().chain(TAKEN.iter().filter(|_| marked)).copied().collect()
}

/// With other marks: none of wamig's flows has the usual ones, and each that moves a server is where it was told.
fn assert_marked(text: &str) {
    let number = |line: &str, key: &str| {
        let at = line.find(key).map(|at| &line[at + key.len()..]);
        let digits = |text: &str| text.chars().take_while(char::is_ascii_hexdigit).collect::<String>();
        at.map(|text| {
            text.strip_prefix("0x").map_or_else(|| digits(text).parse(), |hex| u64::from_str_radix(&digits(hex), 16))
        })
    };
    let mut moving = 0;
    for line in text.lines().filter(|line| line.contains("cookie=0x") && !is_operators(line)) {
        let cookie = number(line, "cookie=").expect("a cookie").expect("a number");
        assert!(matches!(cookie >> 48, 0xa001 | 0xa002), "{line}");
        let priority = number(line, "priority=").expect("a priority").expect("a number");
        if cookie >> 48 == 0xa001 && line.contains(" table=0,") && priority > 1 {
            assert!((20_000..22_000).contains(&priority), "{line}");
            moving += 1;
        }
    }
    assert!(moving > 2, "no flow watches for a server:\n{text}");
}

/// The operator's.
const COOKIES: [&str; 5] =
    ["cookie=0x5,", "cookie=0x6,", "cookie=0x7,", "cookie=0x574d100100000005,", "cookie=0x4c53000000000006,"];

fn ofctl(lab: &Lab, site: Site, profile: Profile, words: &[&str]) -> Result<String> {
    let bridge = format!("unix:{}", lab.gateway(site).switch_dir().join("br0.mgmt").display());
    let (verb, rest) = (words[0], &words[1..]);
    process::capture(Command::new("ovs-ofctl").args(["-O", profile.protocol(), verb, &bridge]).args(rest))
}

fn operators_flows(lab: &Lab, site: Site, profile: Profile) -> Result<Vec<String>> {
    let mut found = Vec::new();
    // OpenFlow 1.0 does not ask by cookie.
    let text = ofctl(lab, site, profile, &["dump-flows"])?;
    for cookie in COOKIES {
        found.extend(text.lines().filter(|line| line.contains(cookie)).map(|line| {
            let kept =
                |word: &&str| !["duration=", "n_packets=", "n_bytes=", "idle_age="].iter().any(|c| word.starts_with(c));
            line.split_whitespace().filter(kept).collect::<Vec<_>>().join(" ")
        }));
    }
    Ok(found)
}

fn is_operators(line: &str) -> bool {
    COOKIES.iter().any(|cookie| line.contains(cookie))
}

/// The play; `marked` = the site where somebody else has wamig's usual cookies and priorities.
fn whole_play(switches: Switches, marked: Option<Site>) -> Result<()> {
    if !ovs::installed() {
        println!("SKIP: Open vSwitch is not installed (scripts/setup of installs it)");
        return Ok(());
    }
    let chosen = |options: &mut xtask::lab::Options| {
        (options.dc1.switch, options.dc2.switch) = (switches.dc1, switches.dc2);
        for (site, settings) in [(Site::Dc1, &mut options.dc1), (Site::Dc2, &mut options.dc2)] {
            if marked == Some(site) {
                MARKS.clone_into(&mut settings.remote);
            }
        }
    };
    let Some(mut lab) = trial::lab(XTASK, chosen)? else { return Ok(()) };
    let sites = [(Site::Dc1, switches.dc1), (Site::Dc2, switches.dc2)];
    let profile = |kind| match kind {
        Kind::Ovs(profile) => Some(profile),
        Kind::Xdp | Kind::Elsewhere(_) | Kind::Pair => None,
    };
    let sites: Vec<(Site, Profile)> =
        sites.into_iter().filter_map(|(site, kind)| Some((site, profile(kind)?))).collect();
    let mut before = Vec::new();
    for (site, profile) in &sites {
        for flow in operators(*profile, marked == Some(*site)) {
            ofctl(&lab, *site, *profile, &["add-flow", flow])?;
        }
        before.push(operators_flows(&lab, *site, *profile)?);
    }
    lab.start_daemons()?;
    let links = Links::watch(&lab)?;
    let outcome = play::run(&mut lab, &links, Pace::BRISK)?;
    let failed: Vec<String> = outcome.proofs.iter().filter(|proof| !proof.holds()).map(ToString::to_string).collect();
    ensure!(failed.is_empty(), "not proven:\n{}\n{}", failed.join("\n"), lab.last_words(20));
    for ((site, profile), before) in sites.iter().zip(before) {
        assert_eq!(
            before.len(),
            operators(*profile, marked == Some(*site)).len(),
            "the operator's flows were never there"
        );
        assert_eq!(operators_flows(&lab, *site, *profile)?, before, "the operator's flows of {}", site.title());
        if marked == Some(*site) {
            assert_marked(&ofctl(&lab, *site, *profile, &["dump-flows"])?);
        }
        let session = lab.gateway(*site).status()?.datapath.session.context("no session")?;
        assert_eq!((session.state.as_str(), session.profile.as_str()), ("up", profile.as_str()));
        assert!(session.description.contains("Open vSwitch"), "{}", session.description);
    }
    assert_eq!(lab.gateway(Site::Dc1).status()?.state(SERVER), "HOME");
    Ok(())
}

#[test]
fn the_server_moves_between_two_open_vswitches_and_comes_home() -> Result<()> {
    let ovs = Kind::Ovs(Profile::Ovs);
    whole_play(Switches { dc1: ovs, dc2: ovs }, None)
}

#[test]
fn the_server_moves_from_open_vswitch_to_wamigs_own_switch_and_comes_home() -> Result<()> {
    whole_play(Switches { dc1: Kind::Ovs(Profile::Ovs), dc2: Kind::Xdp }, Some(Site::Dc1))
}

#[test]
fn the_server_moves_between_narrow_switches_of_either_version_and_comes_home() -> Result<()> {
    whole_play(Switches { dc1: Kind::Ovs(Profile::Of10), dc2: Kind::Ovs(Profile::Of13ArpPunt) }, Some(Site::Dc2))
}

#[test]
#[ignore = "three plays more; cargo xtask test --all"]
fn the_server_moves_between_switches_of_every_kind() -> Result<()> {
    let [ovs, table, old] = [Profile::Ovs, Profile::Of13, Profile::Of10].map(Kind::Ovs);
    whole_play(Switches { dc1: Kind::Xdp, dc2: ovs }, None)?;
    whole_play(Switches { dc1: table, dc2: old }, None)?;
    whole_play(Switches { dc1: old, dc2: table }, None)
}
