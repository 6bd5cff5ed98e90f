//! The paper's experiment, from normal operation to the return (mission: V1).

use std::time::Duration;

use super::bench::ms;
use super::site::{G1_MAC, T1};
use super::world::{HOME, HOST, Reached, World};
use crate::migration::io::event;
use crate::migration::status::State;

fn moved() -> World {
    let mut world = World::normal(1);
    world.stop_machine(HOME);
    world.pass(Duration::from_secs(3));
    world.start_machine(HOST);
    world.pass(Duration::from_secs(5));
    world
}

#[test]
fn in_normal_operation_nothing_is_in_the_way() {
    let world = World::normal(1);
    assert_eq!(world.query(), Reached::Home);
    assert_eq!(world.sites[HOME].machine.gateway, Some(G1_MAC));
    assert_eq!((world.state(HOME), world.state(HOST)), (Some(State::Home), None));
    assert_eq!(world.sites[HOST].migration.as_ref().unwrap().pool_status().ready, 3);
}

#[test]
fn started_at_the_other_site_it_is_reached_there() {
    let mut world = World::normal(1);
    world.stop_machine(HOME);
    world.pass(Duration::from_secs(3));
    assert_eq!(world.query(), Reached::Nobody);
    let start = world.clock();
    world.start_machine(HOST);
    while world.sites[HOST].machine.gateway.is_none() {
        assert!(world.clock().abs_diff(start) < Duration::from_secs(1), "too slow");
        assert!(!world.notes.iter().any(|(t, _, n)| *t >= start && n.event == event::ARP_ANSWERED));
        world.pass(ms(1));
    }
    assert_eq!(world.query(), Reached::Copy, "its first packet already finds the way");
    assert!(world.copy_talks());
    assert_eq!(world.sites[HOST].machine.gateway, Some(G1_MAC), "its own gateway, by name and MAC");
    assert_eq!((world.state(HOME), world.state(HOST)), (Some(State::Away), Some(State::Hosting)));
    let took = world.clock().abs_diff(start);
    assert!((ms(340)..ms(360)).contains(&took), "four ways of 10 ms and the probes' 300 ms: {took:?}");
    let steps = [
        event::ARP_SEEN,
        event::CLAIM_SENT,
        event::STATE,
        event::CLAIM_ACK_RECEIVED,
        event::STATE,
        event::FLOWS_IN,
        event::READY_SENT,
        event::ACTIVE_RECEIVED,
        event::STATE,
        event::ARP_ANSWERED,
    ];
    assert_eq!(world.events_since(HOST, start), steps);
    let steps = [
        event::CLAIM_RECEIVED,
        event::CLAIM_ACK_SENT,
        event::STATE,
        event::READY_RECEIVED,
        event::FLOWS_IN,
        event::ACTIVE_SENT,
        event::STATE,
    ];
    assert_eq!(world.events_since(HOME, start), steps);
}

#[test]
fn started_at_home_again_everything_reverts() {
    let mut world = moved();
    let flows = [World::normal(1).sites[HOME].switch.len(), World::normal(1).sites[HOST].switch.len()];
    assert_eq!(world.query(), Reached::Copy);
    world.stop_machine(HOST);
    world.pass(Duration::from_secs(2));
    let start = world.clock();
    world.start_machine(HOME);
    while world.sites[HOME].machine.gateway.is_none() {
        assert!(world.clock().abs_diff(start) < Duration::from_secs(1), "too slow");
        world.pass(ms(1));
    }
    assert_eq!(world.query(), Reached::Home);
    let took = world.clock().abs_diff(start);
    assert!((ms(615)..ms(640)).contains(&took), "one way there and back and the copy's 600 ms: {took:?}");
    world.pass(Duration::from_secs(5));
    assert_eq!((world.state(HOME), world.state(HOST)), (Some(State::Home), None));
    let pool = world.sites[HOST].migration.as_ref().unwrap().pool_status();
    assert_eq!((pool.in_use, pool.quarantined), (0, 1));
    assert_eq!([world.sites[HOME].switch.len(), world.sites[HOST].switch.len()], flows, "as before");
    let released = world.notes.iter().find(|(_, _, n)| n.event == event::TRANSFER_RELEASED).unwrap();
    assert!(released.2.detail.contains(&T1.to_string()));
}

#[test]
fn it_can_go_and_come_back_again_and_again() {
    let mut world = World::normal(1);
    for round in 0..3 {
        world.stop_machine(HOME);
        world.start_machine(HOST);
        world.pass(Duration::from_secs(20));
        assert_eq!(world.query(), Reached::Copy, "round {round}");
        world.stop_machine(HOST);
        world.start_machine(HOME);
        world.pass(Duration::from_secs(20));
        assert_eq!(world.query(), Reached::Home, "round {round}");
    }
}

#[test]
fn without_a_word_of_the_copy_nothing_moves() {
    let mut world = World::normal(1);
    world.stop_machine(HOME);
    world.pass(Duration::from_mins(1));
    assert_eq!((world.state(HOME), world.state(HOST)), (Some(State::Home), None));
}

#[test]
fn it_stays_away_as_long_as_it_is_renewed() {
    let mut world = moved();
    for _ in 0..100 {
        world.pass(Duration::from_secs(7));
        assert_eq!((world.state(HOME), world.state(HOST)), (Some(State::Away), Some(State::Hosting)));
    }
    assert_eq!(world.query(), Reached::Copy);
}
