//! Schedules by chance: servers that start and stop anywhere, daemons that are killed,
//! sessions that break, messages that are lost, doubled, delayed and overtake each other.
//! What must always hold is checked by [`World`] after every input; when the faults stop,
//! both sites must come to agree on what is there.

use std::collections::BTreeMap;
use std::time::Duration;

use super::bench::ms;
use super::world::{Faults, HOME, HOST, Reached, World};
use crate::migration::status::State;

const SCHEDULES: u64 = 10_000;

fn trouble(world: &mut World) {
    let at = if world.dice.chance(50) { HOME } else { HOST };
    match world.dice.below(12) {
        0..3 => world.start_machine(at),
        3..6 => world.stop_machine(at),
        6 => world.disconnect(),
        7 | 8 => world.connect(),
        9 => world.kill_daemon(at),
        _ => {
            for at in [HOME, HOST] {
                if world.sites[at].migration.is_none() {
                    world.start_daemon(at);
                }
            }
            world.connect();
        }
    }
}

/// Runs one schedule; gives where it ended.
fn run(seed: u64) -> String {
    let mut world = World::normal(seed);
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
    for at in [HOME, HOST] {
        if world.sites[at].migration.is_none() {
            world.start_daemon(at);
        }
    }
    world.connect();
    world.pass(Duration::from_secs(100));
    settled(&world, seed);
    let name = |at| world.state(at).map_or("NONE".into(), |s| format!("{s:?}"));
    format!("{} {} {:?}", name(HOME), name(HOST), world.query())
}

/// What both sites must have come to, given where the server runs.
fn settled(world: &World, seed: u64) {
    let running = [world.sites[HOME].machine.running, world.sites[HOST].machine.running];
    let states = (world.state(HOME), world.state(HOST));
    let home = (Some(State::Home), None);
    let away = (Some(State::Away), Some(State::Hosting));
    let left = (Some(State::Stale), None);
    let waits = (Some(State::Home), Some(State::Seen));
    let fenced = (Some(State::Home), Some(State::Fenced));
    let expected: &[_] = match running {
        // Where it was last, if anywhere; nobody says anything to change that, not even when
        // the host was killed after it had let go and before it could tell.
        [false, false] => {
            &[(home, Reached::Nobody), (waits, Reached::Nobody), (away, Reached::Nobody), (left, Reached::Nobody)]
        }
        [true, false] => &[(home, Reached::Home), (waits, Reached::Home)],
        // A copy that met its original stays fenced for as long as it talks.
        [false, true] => &[(away, Reached::Copy), (fenced, Reached::Nobody)],
        [true, true] => &[(fenced, Reached::Home)],
    };
    let tail: Vec<_> = world
        .notes
        .iter()
        .rev()
        .take(40)
        .rev()
        .map(|(t, s, n)| format!("{t:?} {s} {} {}", n.event, n.detail))
        .collect();
    let context = format!(
        "seed {seed}, running {running:?}, {states:?}, {:?}\n{}\n{}",
        world.reason(HOST),
        tail.join("\n"),
        world.sites.iter().flat_map(|s| s.switch.dump()).collect::<Vec<_>>().join("\n")
    );
    assert!(expected.contains(&(states, world.query())), "{context}");
    if running == [true, true] {
        assert!(!world.copy_talks(), "{context}");
    }
}

#[test]
fn the_sites_agree_when_the_faults_stop() {
    let mut ends = BTreeMap::<String, u64>::new();
    for seed in 0..SCHEDULES {
        *ends.entry(run(seed)).or_default() += 1;
    }
    // Chance has led everywhere that it should.
    for end in ["Away Hosting Copy", "Home NONE Home", "Home Fenced Home", "Home NONE Nobody"] {
        assert!(ends.get(end).is_some_and(|n| *n > SCHEDULES / 50), "{end}: {ends:?}");
    }
}
