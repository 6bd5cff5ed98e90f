//! Schedules by chance: servers that start and stop anywhere, daemons that are killed at any
//! point of what they do, sessions that break, messages that are lost, doubled, delayed and
//! overtake each other, and operators who order this and that. `WAMIG_TEST_SEED` is the first schedule's number. What
//! must always hold is checked by [`World`] after every input; when the faults stop, all sites must come to agree on what is there.

use std::collections::BTreeMap;
use std::env;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use super::bench::ms;
use super::site;
use super::world::{Faults, HOME, HOST, NAMES, Reached, THIRD, World};
use crate::migration::config::{AddressRange, Family, SiteConfig};
use crate::migration::io::Note;
use crate::migration::order::Verb;
use crate::migration::prefix::number;
use crate::migration::status::{State, reason};

/// Of two sites, and as many of three.
const SCHEDULES: u64 = 50_000;

/// Moves that are planned freeze nothing: two copies take more addresses than the damping allows.
fn roomy(mut site: SiteConfig) -> SiteConfig {
    for pool in &mut site.hosting.pool {
        let first = pool.iter().next().unwrap();
        *pool = AddressRange::new(first, Family::V4.address(number(first) + 15)).unwrap();
    }
    site
}

fn two(seed: u64) -> World {
    World::with([site::home(), roomy(site::host())], seed).begun()
}

fn three(seed: u64) -> World {
    World::with([site::home(), roomy(site::host()), roomy(site::third())], seed).begun()
}

fn trouble(world: &mut World) {
    let count = world.sites.len();
    let at = world.dice.below(count as u64) as usize;
    let host = HOST + world.dice.below(count as u64 - 1) as usize;
    match world.dice.below(20) {
        0..3 => world.start_machine(at),
        3..6 => world.stop_machine(at),
        6 => world.disconnect_from(at),
        7 => world.connect(),
        8 => world.connect_to(host),
        9 => world.kill_daemon(at),
        10 => {
            let effects = world.dice.below(12);
            world.crash_daemon(at, effects);
        }
        11..13 => {
            world.start_daemons();
            world.connect();
        }
        // A planned move, with what may come between.
        13..15 => {
            world.order(Verb::Prepare { to: NAMES[host].into() });
            let pause = world.dice.below(300);
            world.pass(ms(pause));
            if world.dice.chance(80) {
                world.stop_machine(HOME);
            }
            world.start_machine(host);
        }
        // A host is called dead, rightly or wrongly; often the server is started at home then.
        15..17 => {
            if world.dice.chance(50) {
                world.disconnect_from(host);
            }
            world.assume_dead(host);
            if world.dice.chance(50) {
                world.stop_machine(host);
                world.start_machine(HOME);
            }
        }
        _ => {
            let verb = order(world, at, host);
            world.order(verb);
        }
    }
}

/// Any of an operator's orders; `at` is a site, `host` one that hosts.
fn order(world: &mut World, at: usize, host: usize) -> Verb {
    match world.dice.below(11) {
        8.. => Verb::Return,
        0..2 => Verb::Freeze,
        2 => Verb::Unfreeze { to: None },
        3..6 => Verb::Prepare { to: NAMES[host].into() },
        6 => Verb::Unprepare,
        _ => Verb::Unfreeze { to: Some(NAMES[at].into()) },
    }
}

/// Runs one schedule; gives where it ended, and how often a server went as planned.
fn run(mut world: World, seed: u64) -> (String, u64) {
    let loss = world.dice.below(40);
    let slow = if world.dice.chance(20) { 8000 } else { 800 };
    let refused = if world.dice.chance(20) { 30 } else { 0 };
    world.faults = Faults { loss, doubled: world.dice.below(30), jitter: 1 + world.dice.below(slow), refused };
    for _ in 0..3 + world.dice.below(12) {
        trouble(&mut world);
        let pause = if world.dice.chance(50) { world.dice.below(300) } else { world.dice.below(8000) };
        world.pass(ms(pause));
    }
    // The faults stop; what was left running stays as it is.
    world.faults = Faults::default();
    world.start_daemons();
    world.connect();
    world.pass(Duration::from_secs(10));
    // What is frozen stays wherever it is, right or wrong, for as long as it is. Two copies that
    // take it from each other freeze it again.
    for _ in 0..3 {
        world.order(Verb::Unfreeze { to: None });
        world.pass(Duration::from_secs(100));
        if world.state(HOME) != Some(State::Frozen) {
            break;
        }
    }
    settled(&world, seed);
    let names: Vec<_> = (0..world.sites.len()).map(|at| world.state(at).map_or("NONE", State::as_str)).collect();
    let went = |(_, at, n): &&(Duration, usize, Note)| *at == HOME && n.detail.starts_with("PREPARED -> CLAIMED");
    (format!("{} {:?}", names.join(" "), world.query()), world.notes.iter().filter(went).count() as u64)
}

/// What all sites must have come to, given where the server runs.
fn settled(world: &World, seed: u64) {
    let home = world.state(HOME).unwrap();
    let hosts: Vec<usize> = (HOST..world.sites.len()).collect();
    let runs = |at: usize| world.sites[at].machine.running;
    let is = |at: usize, state| world.state(at) == Some(state);
    let copies: Vec<usize> = hosts.iter().copied().filter(|h| runs(*h)).collect();
    let quiet = |at: usize| matches!(world.state(at), None | Some(State::Seen));
    let placed = |at: usize| home == State::Away && is(at, State::Hosting);
    let reached = world.query();
    let at = |host: usize| if host == HOST { Reached::Copy } else { Reached::Third };
    let right = match (runs(HOME), &copies[..]) {
        // An operator has said that the one at home is the copy.
        (true, _) if world.reason(HOME) == Some(reason::DUPLICATE_HERE) => {
            home == State::Away && reached != Reached::Home
        }
        // A copy that met its original stays fenced for as long as it talks.
        (true, _) => {
            let hosts_right = hosts.iter().all(|h| if runs(*h) { is(*h, State::Fenced) } else { quiet(*h) });
            home == State::Home && reached == Reached::Home && hosts_right
        }
        // Where it was last, if anywhere; nobody says anything to change that.
        (false, []) => {
            let placed = hosts.iter().filter(|h| placed(**h)).count();
            let gone = hosts.iter().filter(|h| quiet(**h)).count();
            let nowhere = home == State::Home && placed == 0;
            reached == Reached::Nobody && placed + gone == hosts.len() && (nowhere || placed == 1)
        }
        (false, [copy]) => {
            let others = hosts.iter().all(|h| h == copy || quiet(*h) || placed(*h));
            let served = placed(*copy) && reached == at(*copy) && hosts.iter().all(|h| h == copy || quiet(*h));
            served || others && is(*copy, State::Fenced) && reached == Reached::Nobody
        }
        // Two copies and no original take it from each other, as long as both talk.
        (false, _) => matches!(home, State::Frozen | State::Away | State::Claimed | State::Returning | State::Home),
    };
    let talk = hosts.iter().filter(|h| world.copy_talks_at(**h)).count();
    let apart = if runs(HOME) && home != State::Away { talk == 0 } else { copies.len() > 1 || talk <= 1 };
    let states: Vec<_> = (0..world.sites.len()).map(|at| (runs(at), world.state(at), world.reason(at))).collect();
    let tail: Vec<_> = world
        .notes
        .iter()
        .rev()
        .take(60)
        .rev()
        .map(|(t, s, n)| format!("{t:?} {s} {} {}", n.event, n.detail))
        .collect();
    let context = || {
        let flows = world.sites.iter().flat_map(|s| s.switch.dump()).collect::<Vec<_>>().join("\n");
        format!("seed {seed}, {states:?}, {reached:?}, {talk} talk\n{}\n{flows}", tail.join("\n"))
    };
    assert!(right && apart, "{}", context());
}

/// Runs the schedules on every processor; gives how often each end came, and how many planned
/// moves there were.
fn ends(world: impl Fn(u64) -> World + Sync) -> (BTreeMap<String, u64>, u64) {
    let first = env::var("WAMIG_TEST_SEED").map_or(0, |seed| seed.parse().expect("a number"));
    let next = AtomicU64::new(first);
    let work = || {
        let (mut ends, mut planned) = (BTreeMap::<String, u64>::new(), 0);
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= first + SCHEDULES {
                return (ends, planned);
            }
            let (end, went) = run(world(seed), seed);
            *ends.entry(end).or_default() += 1;
            planned += went;
        }
    };
    let (mut all, mut planned) = (BTreeMap::new(), 0);
    thread::scope(|scope| {
        let count = thread::available_parallelism().map_or(1, usize::from);
        let workers: Vec<_> = (0..count).map(|_| scope.spawn(work)).collect();
        for worker in workers {
            let (ends, went) = worker.join().expect("a schedule failed");
            planned += went;
            for (end, n) in ends {
                *all.entry(end).or_default() += n;
            }
        }
    });
    (all, planned)
}

#[test]
fn two_sites_agree_when_the_faults_stop() {
    let (ends, planned) = ends(two);
    assert!(planned > SCHEDULES / 4, "{planned} planned moves");
    assert_eq!(ends.values().sum::<u64>(), SCHEDULES);
    // Chance has led everywhere that it should.
    for end in ["AWAY HOSTING Copy", "HOME NONE Home", "HOME FENCED Home", "HOME NONE Nobody"] {
        assert!(ends.get(end).is_some_and(|n| *n > SCHEDULES / 50), "{end}: {ends:?}");
    }
}

#[test]
fn three_sites_agree_when_the_faults_stop() {
    let (ends, planned) = ends(three);
    assert!(planned > SCHEDULES / 4, "{planned} planned moves");
    assert_eq!(ends.values().sum::<u64>(), SCHEDULES);
    for end in ["AWAY HOSTING NONE Copy", "AWAY NONE HOSTING Third", "HOME NONE NONE Home", "HOME FENCED FENCED Home"] {
        assert!(ends.get(end).is_some_and(|n| *n > SCHEDULES / 200), "{end}: {ends:?}");
    }
}

#[test]
fn it_goes_from_one_host_to_another_without_going_home() {
    let mut world = World::of_three(1);
    world.stop_machine(HOME);
    world.start_machine(HOST);
    world.pass(Duration::from_secs(5));
    assert_eq!(world.query(), Reached::Copy);
    world.stop_machine(HOST);
    let start = world.clock();
    world.start_machine(THIRD);
    while world.sites[THIRD].machine.gateway.is_none() {
        assert!(world.clock().abs_diff(start) < Duration::from_secs(1), "too slow");
        assert_ne!(world.state(HOME), Some(State::Home), "never at home on the way");
        world.pass(ms(1));
    }
    assert_eq!(world.query(), Reached::Third, "its first packet already finds the way");
    world.pass(Duration::from_secs(5));
    let states = [HOME, HOST, THIRD].map(|at| world.state(at));
    assert_eq!(states, [Some(State::Away), None, Some(State::Hosting)]);
    assert!(!world.copy_talks_at(HOST) && world.copy_talks_at(THIRD));
}
