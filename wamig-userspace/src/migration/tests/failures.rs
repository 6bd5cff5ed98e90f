//! Broken on purpose: what an operator sees, and that it mends itself.

use std::time::Duration;

use super::bench::ms;
use super::site;
use super::world::{HOME, HOST, Reached, World};
use crate::migration::REFUSED;
use crate::migration::io::Input;
use crate::migration::status::{AddressStatus, State, reason};

fn shown(world: &World, at: usize) -> AddressStatus {
    world.sites[at].migration.as_ref().unwrap().status()[0].clone()
}

#[test]
fn home_daemon_stopped_before_the_move() {
    let mut world = World::normal(1);
    world.kill_daemon(HOME);
    world.stop_machine(HOME);
    world.start_machine(HOST);
    world.pass(Duration::from_secs(30));
    let status = shown(&world, HOST);
    assert_eq!((status.state, status.reason), (State::Seen, Some(reason::HOME_UNREACHABLE)));
    assert!(status.remedy.unwrap().starts_with("Start wamig at dc1"));
    assert!(world.now - status.since >= Duration::from_secs(29), "since the first");
    world.start_daemon(HOME);
    world.connect();
    world.pass(ms(500));
    assert_eq!((world.query(), world.state(HOST)), (Reached::Copy, Some(State::Hosting)));
}

#[test]
fn a_session_that_is_up_but_carries_nothing() {
    let mut world = World::normal(1);
    world.stop_machine(HOME);
    world.faults.loss = 100;
    world.start_machine(HOST);
    world.pass(Duration::from_secs(10));
    assert_eq!(world.reason(HOST), Some(reason::HOME_UNREACHABLE));
    world.faults.loss = 0;
    world.pass(Duration::from_secs(20));
    assert_eq!(world.query(), Reached::Copy);
}

#[test]
fn a_certificate_that_is_refused() {
    let mut world = World::normal(1);
    world.disconnect();
    let down = Input::PeerDown("dc1".into(), format!("{REFUSED}: unknown certificate"));
    let now = world.now;
    world.sites[HOST].migration.as_mut().unwrap().handle(now, down);
    world.stop_machine(HOME);
    world.start_machine(HOST);
    world.pass(Duration::from_secs(5));
    let status = shown(&world, HOST);
    assert_eq!((status.state, status.reason), (State::Seen, Some(reason::UNAUTHORISED)));
    assert!(status.remedy.unwrap().contains("fingerprint"));
}

#[test]
fn a_home_that_does_not_let_this_site_host_it() {
    let mut home = site::home();
    home.servers[0].hosts = vec!["dc3".into()];
    let mut world = World::with([home, site::host()], 1);
    world.start_daemon(HOME);
    world.start_daemon(HOST);
    world.connect();
    world.pass(Duration::from_secs(10));
    world.start_machine(HOST);
    world.pass(Duration::from_secs(1));
    for _ in 0..60 {
        world.pass(ms(333));
        let status = shown(&world, HOST);
        assert_eq!((status.state, status.reason), (State::Seen, Some(reason::UNAUTHORISED)), "all the time");
        assert!(status.remedy.unwrap().contains("among its hosts"));
    }
    assert!(world.now - shown(&world, HOST).since > Duration::from_secs(20), "since the first refusal");
    assert_eq!(world.state(HOME), Some(State::Home));
    assert!(world.sites[HOME].migration.as_ref().unwrap().refused()["claim-unauthorised"] > 0);
}

#[test]
fn an_empty_pool() {
    let mut host = site::host();
    host.hosting.pool.clear();
    let mut world = World::with([site::home(), host], 1);
    world.start_daemon(HOME);
    world.start_daemon(HOST);
    world.connect();
    world.pass(Duration::from_secs(10));
    world.start_machine(HOST);
    world.pass(Duration::from_secs(5));
    let status = shown(&world, HOST);
    assert_eq!((status.state, status.reason), (State::Seen, Some(reason::POOL_EXHAUSTED)));
    assert!(status.remedy.unwrap().contains("hosting.pool"));
}

#[test]
fn started_at_the_host_s_while_it_runs_at_home() {
    let mut world = World::normal(1);
    world.start_machine(HOST);
    world.pass(Duration::from_secs(5));
    assert_eq!((world.state(HOME), world.state(HOST)), (Some(State::Home), Some(State::Fenced)));
    assert!(world.query() == Reached::Home && !world.copy_talks());
    world.pass(Duration::from_mins(5));
    assert_eq!(world.state(HOST), Some(State::Fenced), "as long as it talks");
    world.stop_machine(HOST);
    world.pass(Duration::from_secs(31));
    assert_eq!(world.state(HOST), None);
}

#[test]
fn started_at_home_while_its_copy_runs() {
    let mut world = World::normal(1);
    world.stop_machine(HOME);
    world.start_machine(HOST);
    world.pass(Duration::from_secs(5));
    world.start_machine(HOME);
    world.pass(Duration::from_secs(2));
    assert_eq!((world.state(HOME), world.state(HOST)), (Some(State::Home), Some(State::Fenced)));
    assert!(world.query() == Reached::Home && !world.copy_talks());
    let status = shown(&world, HOST);
    assert_eq!(status.reason, Some(reason::DUPLICATE));
    assert!(status.remedy.unwrap().starts_with("Stop the copy"));
}

#[test]
fn a_partition_changes_nothing_until_the_server_comes_home() {
    let mut world = World::normal(1);
    world.stop_machine(HOME);
    world.start_machine(HOST);
    world.pass(Duration::from_secs(5));
    world.disconnect();
    world.pass(Duration::from_mins(10));
    assert_eq!((world.state(HOME), world.state(HOST)), (Some(State::Stale), Some(State::Stale)));
    assert_eq!(world.query(), Reached::Copy, "the data path may still work");
    world.start_machine(HOME);
    world.pass(Duration::from_secs(2));
    assert_eq!((world.state(HOME), world.query()), (Some(State::Home), Reached::Home));
    world.connect();
    world.pass(Duration::from_secs(30));
    assert_eq!(world.state(HOST), Some(State::Fenced), "the copy that is still there");
    assert_eq!(world.query(), Reached::Home);
}

#[test]
fn a_partition_that_heals_is_forgotten() {
    let mut world = World::normal(1);
    world.stop_machine(HOME);
    world.start_machine(HOST);
    world.pass(Duration::from_secs(5));
    world.disconnect();
    world.pass(Duration::from_mins(1));
    world.connect();
    world.pass(Duration::from_secs(1));
    assert_eq!((world.state(HOME), world.state(HOST)), (Some(State::Away), Some(State::Hosting)));
    assert_eq!((world.reason(HOME), world.reason(HOST)), (None, None));
}
