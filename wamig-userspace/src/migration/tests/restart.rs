//! Daemons that stop and start: nothing is forgotten, no wanted flow is missing meanwhile.

use std::time::Duration;

use wamig_openflow::FlowModCommand;

use super::bench::{Bench, epoch, messages, ms, profile, programs, up};
use super::site::{self, G1_MAC, G2_MAC, S, S_MAC, SRV, T1};
use super::world::{HOME, HOST, Reached, World};
use crate::migration::cookie;
use crate::migration::io::Input;
use crate::migration::record::{Binding, Placement, Record};
use crate::migration::status::State;
use crate::peer::message::Message;

fn away() -> Record {
    let placement = Placement { peer: "dc2".into(), transfer: T1, epoch: epoch(3), gateway_mac: G1_MAC };
    Record::Home { address: S, epoch: epoch(4), placement: Some(placement), frozen: None, planned: None }
}

fn hosted(active: bool) -> Record {
    let binding = Binding {
        peer: "dc1".into(),
        mac: S_MAC,
        port: SRV,
        transfer: T1,
        epoch: epoch(3),
        profile: profile(),
        gateway_mac: G2_MAC,
        active,
    };
    Record::Host { address: S, epoch: epoch(3), binding: Some(binding), resting: None, permit: None }
}

#[test]
fn a_home_resumes_with_its_flows_before_its_router_has_answered() {
    let mut b = Bench::cold(site::home(), vec![away()]);
    assert_eq!(b.state(), State::Away);
    let up = b.switch_up();
    let (_, mods) = programs(&up)[0];
    let added: Vec<_> = mods.iter().filter(|m| m.command == FlowModCommand::Add).collect();
    assert!(added.iter().filter(|m| m.cookie.0 == 0x574d_1003_c000_0235).count() == 7);
    let last_add = mods.iter().rposition(|m| m.command == FlowModCommand::Add).unwrap();
    let first_delete = mods.iter().position(|m| m.command == FlowModCommand::Delete).unwrap();
    assert!(last_add < first_delete, "what is wanted is never missing");
    assert!(mods.iter().all(|m| m.command == FlowModCommand::Add || cookie::is_ours(m.cookie)), "nothing foreign");
}

#[test]
fn epochs_go_on_where_they_were() {
    let mut b = Bench::cold(site::home(), vec![away()]);
    b.switch_up();
    b.gateway();
    let seen = b.seen_at_home();
    assert!(messages(&seen).is_empty(), "the host is not there to be asked");
    b.done(super::bench::batch(&seen));
    assert_eq!((b.state(), b.status().epoch), (State::Home, epoch(5)));
}

#[test]
fn a_host_resumes_serving() {
    let mut b = Bench::cold(site::host(), vec![hosted(true)]);
    assert_eq!((b.state(), b.status().transfer), (State::Hosting, Some(T1)));
    assert_eq!(b.migration.pool_status().in_use, 1);
    let started = b.switch_up();
    assert!(programs(&started)[0].1.iter().filter(|m| m.cookie.0 == 0x574d_2003_c000_0235).count() == 10);
    let renewed = b.feed(up("dc1"));
    assert!(matches!(messages(&renewed)[..], [(_, Message::Renew(_))]));
}

#[test]
fn a_host_that_was_ready_says_so_once_its_flows_are_in() {
    let mut b = Bench::cold(site::host(), vec![hosted(false)]);
    b.feed(up("dc1"));
    assert!(messages(&b.pass(ms(5000))).is_empty(), "the switch is not up");
    let up = b.switch_up();
    assert_eq!(messages(&up), [("dc1", &Message::Ready { address: S, epoch: epoch(3) })]);
}

#[test]
fn a_transfer_address_rests_across_a_restart() {
    let gone = Record::Host { address: S, epoch: epoch(4), binding: None, resting: Some(T1), permit: None };
    let mut b = Bench::cold(site::host(), vec![gone]);
    assert_eq!(b.migration.pool_status().quarantined, 1);
    b.switch_up();
    b.gateway();
    b.feed(up("dc1"));
    b.pass(Duration::from_secs(20));
    let seen = b.seen();
    let claims = matches!(messages(&seen)[0].1, Message::Claim { transfer, last_epoch, .. } if *transfer != T1 && *last_epoch == epoch(4));
    assert!(claims, "{seen:?}");
}

#[test]
fn a_guest_that_the_configuration_no_longer_allows_is_released() {
    let mut config = site::host();
    config.hosting.guests.clear();
    let mut b = Bench::cold(config, vec![hosted(true)]);
    assert!(b.migration.status().is_empty());
    let up = b.feed(up("dc1"));
    let release = Message::Release { address: S, epoch: epoch(3) };
    assert_eq!(messages(&up), [("dc1", &release)]);
    assert_eq!(messages(&b.pass(ms(5000))), [("dc1", &release)], "until it is acknowledged");
    b.peer("dc1", Message::ReleaseAck { address: S, epoch: epoch(3) });
    assert!(messages(&b.pass(ms(60_000))).is_empty());
}

#[test]
fn a_server_that_is_no_longer_configured_is_left_alone() {
    let mut config = site::home();
    config.servers.clear();
    let b = Bench::cold(config, vec![away()]);
    assert!(b.migration.status().is_empty());
}

#[test]
fn a_switch_that_comes_back_empty_is_told_everything_again() {
    let mut b = Bench::new(site::home());
    let e = b.claimed();
    let ready = b.peer("dc2", Message::Ready { address: S, epoch: e });
    assert_eq!(programs(&ready).len(), 1);
    let up = b.switch_up();
    assert!(programs(&up)[0].1.iter().any(|m| m.priority == 50200), "what was under way is in it");
    assert_eq!(b.state(), State::Away, "and its barrier counts");
}

#[test]
fn a_refused_synchronisation_is_repeated() {
    let mut b = Bench::cold(site::home(), Vec::new());
    let up = b.feed(Input::DatapathUp);
    b.refuse(super::bench::batch(&up));
    let again = b.pass(ms(1000));
    assert_eq!(programs(&again).len(), 1);
}

#[test]
fn either_daemon_may_be_killed_while_the_server_is_away() {
    for killed in [HOME, HOST] {
        let mut world = World::normal(1);
        world.stop_machine(HOME);
        world.start_machine(HOST);
        world.pass(Duration::from_secs(5));
        world.kill_daemon(killed);
        for _ in 0..50 {
            world.pass(ms(100));
            assert_eq!(world.query(), Reached::Copy, "the switches forward by themselves");
        }
        world.start_daemon(killed);
        for _ in 0..50 {
            world.pass(ms(1));
            assert_eq!(world.query(), Reached::Copy, "and go on while it starts");
        }
        world.connect();
        world.pass(Duration::from_secs(5));
        assert_eq!((world.state(HOME), world.state(HOST)), (Some(State::Away), Some(State::Hosting)));
        world.stop_machine(HOST);
        world.start_machine(HOME);
        world.pass(Duration::from_secs(10));
        assert_eq!((world.query(), world.state(HOST)), (Reached::Home, None));
    }
}
