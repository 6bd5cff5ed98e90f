//! A narrow switch beside the whole one that it stands for: what it does by itself is what the
//! whole switch does, and the rest it gives up.

#![expect(clippy::unwrap_used, reason = "a test may panic")]
#![allow(dead_code, unused_imports, reason = "the modules serve other tests, too")]

mod frames;
#[path = "oracle/mod.rs"]
mod oracle;
mod paths;
#[allow(dead_code, reason = "shared by test programs that need different parts of it")]
mod random;

use std::collections::BTreeMap;
use std::time::Instant;

use frames::{Frame, arp, udp};
use random::{Dice, Scenario, scaled};
use wamig_openflow::{FlowMod, Match, PortDesc, PortNo, TableId};
use wamig_userspace::controller::learning::{self, Learning};
use wamig_userspace::datapath::narrow::lower::{self, Row};
use wamig_userspace::datapath::narrow::shortcut::{self, Shortcuts};
use wamig_userspace::datapath::remote::profile::Profile;
use wamig_userspace::fastpath::memory::{Memory, MemoryMaps};
use wamig_userspace::switch::effect::{Effect, Event};
use wamig_userspace::switch::port::Ports;
use wamig_userspace::switch::{Limits, Switch};

const NARROW: [Profile; 3] = [Profile::Of13, Profile::Of13ArpPunt, Profile::Of10];

fn ports() -> Vec<PortDesc> {
    (1..5).map(|n| PortDesc { port: PortNo(n), link_up: true, ..PortDesc::default() }).collect()
}

fn switch(now: Instant) -> Switch<Memory> {
    let limits = Limits { slow_rate: u32::MAX, slow_burst: u32::MAX, ..Limits::default() };
    Switch::new(Memory::new(MemoryMaps::default()), Ports::new(ports()).alive_since(now), limits)
}

/// Both switches.
struct Pair {
    now: Instant,
    profile: Profile,
    whole: Switch<Memory>,
    narrow: Switch<Memory>,
    rows: BTreeMap<lower::Key, Row>,
    shortcuts: Shortcuts,
    /// Frames that the narrow switch carried by itself; those of shortcuts among them; the others.
    carried: usize,
    given_up: usize,
    made: usize,
}

impl Pair {
    fn new(profile: Profile) -> Self {
        let now = Instant::now();
        Self {
            now,
            profile,
            whole: switch(now),
            narrow: switch(now),
            rows: BTreeMap::new(),
            shortcuts: Shortcuts::default(),
            carried: 0,
            given_up: 0,
            made: 0,
        }
    }

    /// Changes the whole switch; the narrow one follows.
    fn change(&mut self, mods: Vec<FlowMod>) -> bool {
        let before = shortcut::snapshot(self.whole.tables());
        if self.whole.apply(mods, self.now).is_err() {
            return false;
        }
        let wanted = lower::rows(self.whole.tables(), self.profile);
        let mut mods = lower::difference(&self.rows, &wanted);
        let changed = shortcut::changes(&before, &shortcut::snapshot(self.whole.tables()));
        let outdated = self.shortcuts.outdated(self.whole.tables(), self.profile, &changed);
        mods.extend(outdated.iter().map(|(priority, matching)| lower::delete(*priority, matching)));
        self.rows = wanted;
        self.narrow.apply(mods, self.now).unwrap();
        assert_eq!(self.narrow.tables().len(), self.rows.len() + self.shortcuts.len());
        true
    }

    /// Sends a frame to both.
    fn check(&mut self, in_port: PortNo, frame: &[u8]) {
        let (should, steps) = self.whole.forward(in_port, frame, self.now).unwrap();
        let (does, _) = self.narrow.forward(in_port, frame, self.now).unwrap();
        let given_up = does.iter().any(|e| matches!(e, Effect::Event(Event::PacketIn(_))));
        if !given_up {
            self.carried += 1;
            let what = || format!("{}: port {in_port}, {}\n{}", self.profile, paths::hex(frame), self.listed());
            return assert_eq!(seen(&does), seen(&should), "{}", what());
        }
        self.given_up += 1;
        assert_eq!(does.len(), 1, "what is given up is not sent, too");
        let Effect::Event(Event::PacketIn(m)) = &does[0] else { panic!("{does:?}") };
        assert_eq!(&m.data[..], frame, "it comes as it came in");
        if let Some(found) = self.shortcuts.find(self.whole.tables(), self.profile, in_port, frame, &steps) {
            self.made += 1;
            assert!(self.profile.matching(&found.matching).1);
            self.narrow.apply(vec![found], self.now).unwrap();
        }
    }

    fn listed(&self) -> String {
        let lines = |title: &str, switch: &Switch<Memory>| {
            let line = |f: &wamig_userspace::switch::flow_table::Flow| {
                format!("  table={},priority={},{} actions={}\n", f.table, f.priority, f.matching, f.instructions)
            };
            format!("{title}\n{}", switch.tables().iter().map(line).collect::<String>())
        };
        lines("whole:", &self.whole) + &lines("narrow:", &self.narrow)
    }
}

/// What can be seen outside: frames, by port; packet-ins. A miss is told to nobody here.
fn seen(effects: &[Effect]) -> (Vec<(PortNo, Vec<u8>)>, Vec<&Event>) {
    let mut sent = Vec::new();
    let mut told = Vec::new();
    for effect in effects {
        match effect {
            Effect::Inject { port, frame } => sent.push((*port, frame.to_vec())),
            Effect::Event(Event::Miss(_)) => {}
            Effect::Event(event) => told.push(event),
        }
    }
    sent.sort();
    (sent, told)
}

fn add(rule: &oracle::Rule) -> FlowMod {
    FlowMod::add(
        TableId(rule.table),
        rule.priority,
        rule.matching.clone(),
        rule.instructions.clone(),
        wamig_openflow::Cookie(rule.id.0),
    )
}

#[test]
fn a_narrow_switch_does_what_the_whole_one_does_or_gives_up() {
    let mut dice = Dice::seeded();
    let mut sums = [0; 3];
    for round in 0..scaled(300) {
        let mut scenario = Scenario::new(Dice::new(dice.any()), 1, 30);
        let mut pair = Pair::new(NARROW[round % NARROW.len()]);
        // Some of them may be refused; each is a batch of its own.
        scenario.rules.retain(|rule| pair.change(vec![add(rule)]));
        // Which of two flows of equal priority a frame meets is not defined.
        let lowest = |r: &oracle::Rule| (r.table, r.priority) == (0, 0);
        if scenario.tables.len() > 1 && !scenario.rules.iter().any(lowest) {
            // As the migration's default: what is not steered goes on.
            let on = wamig_openflow::Instructions::goto(TableId(scenario.tables[1]));
            pair.change(vec![FlowMod::add(TableId(0), 0, Match::any(), on, wamig_openflow::Cookie(0))]);
        }
        for number in 0..60 {
            let (in_port, frame) = scenario.frame();
            if in_port > PortNo::MAX || frame.len() < 14 {
                continue;
            }
            pair.check(in_port, &frame);
            pair.check(in_port, &frame);
            if number % 10 == 9
                && let Some(rule) = scenario.add()
                && !lowest(&rule)
            {
                pair.change(vec![add(&rule)]);
            }
            if number % 20 == 19 && !scenario.rules.is_empty() {
                let rule = scenario.rules.swap_remove(dice.below(scenario.rules.len()));
                pair.change(vec![FlowMod::delete_strict(TableId(rule.table), rule.priority, rule.matching)]);
            }
        }
        for (sum, n) in sums.iter_mut().zip([pair.carried, pair.given_up, pair.made]) {
            *sum += n;
        }
    }
    println!("{} frames by the switch alone, {} given up, {} shortcuts", sums[0], sums[1], sums[2]);
    assert!(sums.iter().all(|n| *n > 0), "{sums:?}");
}

/// The flows of a host site with a guest, and the learning switch.
fn site(pair: &mut Pair) -> Learning {
    let text = concat!(
        include_str!("../src/migration/tests/golden/base_of_a_host.flows"),
        include_str!("../src/migration/tests/golden/hosting.flows"),
    );
    assert!(pair.change(text.lines().map(|line| line.parse().unwrap()).collect()));
    let settings = learning::Settings {
        idle_s: 300,
        max_addresses: 100,
        isolated: vec![PortNo(3)],
        own: None,
        cookie: learning::COOKIE,
        learn: learning::LEARN,
        forward: learning::FORWARD,
    };
    let learning = Learning::new(settings, &ports());
    assert!(pair.change(learning.start().mods));
    learning
}

/// Learns from a frame as the controller does.
fn learn(pair: &mut Pair, learning: &mut Learning, in_port: PortNo, frame: &[u8]) {
    if let Some(plan) = learning.frame(pair.now, in_port, frame) {
        assert!(pair.change(plan.mods.clone()));
        learning.commit(&plan);
    }
}

#[test]
fn a_host_site_forwards_in_the_switch_what_it_has_seen_once() {
    let (router, host) = (0x0200_0000_0201, 0x0200_0000_0001);
    let ip = |a, b, c, d| frames::ip(a, b, c, d);
    let to_guest = Frame { eth_src: router, eth_dst: 0x0257_4d00_0002, dst: ip(198, 51, 100, 200), ..udp() };
    let of_guest = Frame {
        eth_src: 0x0200_0000_0053,
        eth_dst: 0x0200_0000_0101,
        src: ip(192, 0, 2, 53),
        dst: ip(203, 0, 113, 9),
        ..udp()
    };
    let to_host = Frame { eth_src: router, eth_dst: host, src: ip(203, 0, 113, 9), dst: ip(198, 51, 100, 7), ..udp() };
    let of_host = Frame { eth_src: host, eth_dst: router, src: ip(198, 51, 100, 7), dst: ip(203, 0, 113, 9), ..udp() };
    for profile in NARROW {
        let mut pair = Pair::new(profile);
        let mut learning = site(&mut pair);
        let traffic = [(1, &to_guest), (3, &of_guest), (1, &to_host), (2, &of_host)];
        for (port, frame) in traffic {
            learn(&mut pair, &mut learning, PortNo(port), &frame.bytes());
        }
        for (port, frame) in traffic {
            pair.check(PortNo(port), &frame.bytes());
        }
        let given_up = pair.given_up;
        for (port, frame) in traffic {
            pair.check(PortNo(port), &frame.bytes());
        }
        assert_eq!(pair.given_up, given_up, "{profile}: the second time no frame comes up\n{}", pair.listed());
        assert!(pair.carried >= 4, "{profile}");
        // Questions for the guest's transfer address, and from the guest.
        let question = Frame { eth_src: host, src: ip(198, 51, 100, 7), dst: ip(198, 51, 100, 200), ..arp() };
        pair.check(PortNo(2), &question.bytes());
        pair.check(PortNo(2), &question.bytes());
        // A host that moves to another port is not held back by what was right before.
        let made = pair.shortcuts.len();
        assert!(made > 0, "{profile}");
        learn(&mut pair, &mut learning, PortNo(4), &of_host.bytes());
        assert!(pair.shortcuts.len() < made, "{profile}");
        pair.check(PortNo(1), &to_host.bytes());
        pair.check(PortNo(4), &of_host.bytes());
        pair.check(PortNo(2), &of_host.bytes());
    }
}
