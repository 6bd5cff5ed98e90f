//! A planned move at the host, row by row; and as a whole.

use std::time::Duration;

use wamig_openflow::{MacAddr, PortNo};

use super::arp::Arp;
use super::bench::{
    Bench, arps, asks, batch, epoch, has_alert, has_event, message, messages, ms, place, profile, programs, rarp,
    records, up,
};
use super::site::{self, G1_MAC, S, S_MAC, SRV, T1, T2};
use super::world::{HOME, HOST, Reached, World};
use crate::migration::config::SiteConfig;
use crate::migration::io::{Effect, Input, event};
use crate::migration::order::Verb;
use crate::migration::record::Record;
use crate::migration::status::{PoolStatus, State, reason};
use crate::peer::message::{Epoch, Evidence, Message, NackReason};

const OTHER: MacAddr = MacAddr([2, 6, 6, 6, 6, 6]);
/// Another hosting port.
const SECOND: PortNo = PortNo(4);

fn bench() -> Bench {
    let mut config = site::host();
    config.hosting.ports.push(SECOND);
    Bench::new(config)
}

fn prepare(b: &mut Bench, counter: u32) -> Vec<Effect> {
    let (address, epoch, mac, lease, window, profile) = (S, epoch(counter), S_MAC, 30, 60, profile());
    b.peer("dc1", Message::Prepare { address, epoch, mac, lease, window, profile })
}

/// Announced as the second epoch.
fn announced() -> Bench {
    let mut b = bench();
    prepare(&mut b, 2);
    assert_eq!((b.state(), b.status().transfer), (State::Prepared, Some(T1)));
    b
}

fn refused(effects: &[Effect]) -> Option<(NackReason, Epoch)> {
    messages(effects).iter().find_map(|(_, m)| match m {
        Message::PrepareNack { reason, last_epoch, .. } => Some((*reason, *last_epoch)),
        _ => None,
    })
}

fn in_use(b: &Bench) -> usize {
    b.migration.pool_status().in_use
}

// ---- NONE, SEEN -> PREPARED -------------------------------------------------------------

#[test]
fn a_transfer_address_is_kept_and_that_is_durable_before_it_is_said() {
    let mut b = bench();
    let told = prepare(&mut b, 2);
    let ack = Message::PrepareAck { address: S, epoch: epoch(2), transfer: T1 };
    let kept =
        |r: &Record| matches!(r, Record::Host { permit: Some(p), .. } if (p.transfer, p.epoch) == (T1, epoch(2)));
    let persisted = place(&told, |e| matches!(e, Effect::Persist(r) if kept(r)));
    assert!(persisted < place(&told, |e| *e == Effect::Send("dc1".into(), ack.clone())));
    assert!(programs(&told).is_empty(), "nothing is forwarded yet");
    let status = b.status();
    assert_eq!((status.state, status.reason), (State::Prepared, Some(reason::ANNOUNCED)));
    assert!(status.remedy.unwrap().contains("Start or migrate it to a hosting port here"));
    assert_eq!(b.migration.pool_status(), PoolStatus { size: 3, ready: 2, in_use: 1, quarantined: 0 });
    assert_eq!(*message(&prepare(&mut b, 2)), ack, "asked again, the same");
    assert_eq!(in_use(&b), 1);
    let newer = prepare(&mut b, 4);
    assert_eq!(*message(&newer), Message::PrepareAck { address: S, epoch: epoch(4), transfer: T1 });
    assert_eq!(refused(&prepare(&mut b, 3)), Some((NackReason::Stale, epoch(4))), "overtaken");
}

#[test]
fn a_guest_that_was_only_seen_hands_its_transfer_address_over() {
    let mut b = bench();
    b.seen();
    b.peer("dc1", Message::ClaimNack { address: S, reason: NackReason::Frozen });
    assert_eq!((b.state(), b.status().transfer), (State::Seen, Some(T1)));
    let told = prepare(&mut b, 2);
    assert_eq!(*message(&told), Message::PrepareAck { address: S, epoch: epoch(2), transfer: T1 });
    assert_eq!((b.state(), in_use(&b)), (State::Prepared, 1));
    b.revoke(epoch(3), false);
    assert_eq!((b.state(), b.status().transfer), (State::Seen, Some(T1)), "it was here before");
    assert!(matches!(message(&b.seen()), Message::Claim { transfer: T1, token: false, .. }));
}

#[test]
fn a_guest_that_is_being_claimed_goes_on() {
    let mut b = bench();
    b.seen();
    let told = prepare(&mut b, 2);
    assert_eq!(*message(&told), Message::PrepareAck { address: S, epoch: epoch(2), transfer: T1 });
    assert!(matches!(records(&told)[0], Record::Host { epoch: e, .. } if *e == epoch(2)));
    assert_eq!(b.state(), State::Claiming);
    let again = b.pass(ms(500));
    assert!(matches!(message(&again), Message::Claim { last_epoch, token: false, .. } if *last_epoch == epoch(2)));
}

#[test]
fn a_former_placement_ends_first() {
    let mut b = bench();
    b.hosting();
    assert!(messages(&prepare(&mut b, 3)).is_empty(), "it is repeated");
    assert_eq!(b.state(), State::Hosting);
    b.revoke(epoch(2), false);
    assert!(messages(&prepare(&mut b, 3)).is_empty());
    let out = b.pass(ms(2000));
    b.done(batch(&out));
    assert_eq!(*message(&prepare(&mut b, 3)), Message::PrepareAck { address: S, epoch: epoch(3), transfer: T2 });
}

#[test]
fn what_cannot_be_prepared_for_is_refused() {
    let mut b = bench();
    let theirs = |address, mac| {
        let (epoch, lease, window, profile) = (epoch(2), 30, 60, profile());
        Message::Prepare { address, epoch, mac, lease, window, profile }
    };
    let of_another = b.peer("dc3", theirs(S, S_MAC));
    assert_eq!(refused(&of_another), Some((NackReason::Unauthorised, Epoch::default())));
    let elsewhere = b.peer("dc1", theirs([203, 0, 113, 1].into(), S_MAC));
    assert_eq!(refused(&elsewhere).unwrap().0, NackReason::Unauthorised);
    for n in 1..3 {
        assert_eq!(refused(&b.peer("dc1", theirs([192, 0, 2, 60 + n].into(), MacAddr([2, 0, 0, 0, 9, n])))), None);
    }
    assert_eq!(refused(&prepare(&mut b, 2)).unwrap().0, NackReason::Unable, "no more than two");
    let mut config: SiteConfig = site::host();
    config.hosting.pool.clear();
    assert_eq!(refused(&prepare(&mut Bench::new(config), 2)).unwrap().0, NackReason::Unable, "no address");
    let mut b = bench();
    b.seen();
    b.peer("dc1", Message::ClaimNack { address: S, reason: NackReason::AliveAtHome });
    assert_eq!(b.state(), State::Fenced);
    assert_eq!(refused(&prepare(&mut b, 2)).unwrap().0, NackReason::Unable, "its copy talks here");
    let mut b = bench();
    b.frame(SRV, &asks(OTHER));
    assert_eq!(refused(&prepare(&mut b, 2)).unwrap().0, NackReason::Unable, "a stranger is being claimed");
}

// ---- PREPARED -> READY ------------------------------------------------------------------

#[test]
fn a_rarp_alone_brings_claim_and_ready_without_a_wait() {
    let mut b = announced();
    let heard = b.feed(rarp(S_MAC, SECOND));
    assert!(has_event(&heard, event::GUEST_SEEN));
    let (transfer, evidence, last_epoch) = (T1, Evidence::Rarp, epoch(2));
    let claim = Message::Claim { address: S, mac: S_MAC, transfer, evidence, last_epoch, token: true };
    assert_eq!(*message(&heard), claim);
    let bound = |r: &Record| matches!(r, Record::Host { binding: Some(x), permit: None, .. } if x.port == SECOND);
    assert!(bound(records(&heard)[0]));
    let ready = b.done(batch(&heard));
    assert_eq!(*message(&ready), Message::Ready { address: S, epoch: epoch(2) });
    b.peer("dc1", Message::ClaimAck { address: S, epoch: epoch(2), lease: 30, profile: profile(), transfer: Some(T1) });
    assert_eq!(b.state(), State::Ready, "it has that already");
    b.peer("dc1", Message::Active { address: S, epoch: epoch(2) });
    assert_eq!(b.state(), State::Hosting);
}

#[test]
fn its_first_question_is_answered_when_the_home_has_switched() {
    let mut b = announced();
    let heard = b.seen();
    assert!(arps(&heard).is_empty());
    b.done(batch(&heard));
    let active = b.peer("dc1", Message::Active { address: S, epoch: epoch(2) });
    assert_eq!(arps(&active)[0].sha, G1_MAC);
}

#[test]
fn another_mac_is_a_stranger() {
    let mut b = announced();
    let heard = b.frame(SRV, &asks(OTHER));
    assert!(has_alert(&heard) && messages(&heard).is_empty());
    assert_eq!(b.state(), State::Prepared);
    assert!(messages(&b.feed(rarp(OTHER, SRV))).is_empty());
}

#[test]
fn without_its_home_it_waits_and_claims_with_the_address_that_was_kept() {
    let mut b = announced();
    b.feed(Input::PeerDown("dc1".into(), "no route".into()));
    b.seen();
    assert_eq!((b.state(), b.status().reason), (State::Seen, Some(reason::HOME_UNREACHABLE)));
    let told = b.feed(up("dc1"));
    let claim = |m: &Message| matches!(m, Message::Claim { transfer: T1, token: false, last_epoch, .. } if *last_epoch == epoch(2));
    assert!(messages(&told).iter().any(|(_, m)| claim(m)), "{told:?}");
}

#[test]
fn a_grant_of_another_transfer_address_is_not_followed() {
    let mut b = bench();
    b.seen();
    b.peer("dc1", Message::ClaimAck { address: S, epoch: epoch(1), lease: 30, profile: profile(), transfer: Some(T2) });
    assert_eq!(b.state(), State::Claiming);
    b.peer("dc1", Message::ClaimAck { address: S, epoch: epoch(1), lease: 30, profile: profile(), transfer: Some(T1) });
    assert_eq!(b.state(), State::Ready);
}

#[test]
fn a_ready_that_came_too_late_is_claimed_anew() {
    let mut b = announced();
    let heard = b.seen();
    b.done(batch(&heard));
    let stale = b.peer("dc1", Message::ClaimNack { address: S, reason: NackReason::Stale });
    assert!(matches!(message(&stale), Message::Claim { transfer: T1, token: false, .. }));
    assert_eq!(b.state(), State::Claiming);
}

// ---- PREPARED -> NONE -------------------------------------------------------------------

#[test]
fn what_is_withdrawn_is_forgotten_but_for_its_epoch() {
    let mut b = announced();
    let told = b.revoke(epoch(3), false);
    assert_eq!(*message(&told), Message::RevokeAck { address: S, epoch: epoch(3) });
    assert!(matches!(records(&told)[0], Record::Host { epoch: e, permit: None, resting: None, .. } if *e == epoch(3)));
    assert_eq!(b.migration.status(), []);
    assert_eq!(b.migration.pool_status().ready, 3, "nothing was ever sent to it");
    for old in [2, 3] {
        assert_eq!(refused(&prepare(&mut b, old)), Some((NackReason::Stale, epoch(3))));
    }
    assert!(matches!(message(&b.seen()), Message::Claim { token: false, last_epoch, .. } if *last_epoch == epoch(3)));
}

#[test]
fn an_old_revoke_ends_nothing() {
    let mut b = announced();
    b.revoke(epoch(2), false);
    b.revoke(epoch(1), true);
    assert_eq!(b.state(), State::Prepared);
    let told = b.revoke(epoch(3), true);
    assert!(programs(&told).is_empty() && b.migration.status().is_empty(), "nobody is here to be fenced");
}

#[test]
fn after_its_time_the_address_is_free_again() {
    let mut b = announced();
    b.pass(ms(59_999));
    assert_eq!(b.state(), State::Prepared);
    let over = b.pass(ms(1));
    assert!(matches!(records(&over)[0], Record::Host { permit: None, .. }));
    assert_eq!((b.migration.status().len(), in_use(&b)), (0, 0));
    assert_eq!(refused(&prepare(&mut b, 2)), Some((NackReason::Stale, epoch(2))), "that epoch is over");
}

// ---- restarts ---------------------------------------------------------------------------

#[test]
fn an_announcement_outlives_a_restart() {
    let mut b = bench();
    let told = prepare(&mut b, 2);
    let record = Record::decode(&records(&told)[0].encode()).unwrap();
    let mut b = Bench::cold(site::host(), vec![record.clone()]);
    b.switch_up();
    b.gateway();
    b.feed(up("dc1"));
    assert_eq!((b.state(), b.status().transfer, in_use(&b)), (State::Prepared, Some(T1), 1));
    let again = prepare(&mut b, 2);
    assert_eq!(*message(&again), Message::PrepareAck { address: S, epoch: epoch(2), transfer: T1 });
    assert!(matches!(message(&b.feed(rarp(S_MAC, SRV))), Message::Claim { token: true, .. }));
    let mut config = site::host();
    config.hosting.pool.clear();
    let mut b = Bench::cold(config, vec![record]);
    assert!(b.migration.status().is_empty(), "its address is lent no more");
    b.feed(up("dc1"));
    assert_eq!(refused(&prepare(&mut b, 2)), Some((NackReason::Stale, epoch(2))));
}

// ---- both sites -------------------------------------------------------------------------

fn planned() -> World {
    let mut world = World::normal(1);
    world.order(Verb::Prepare { to: "dc2".into() });
    world.pass(Duration::from_secs(1));
    assert_eq!((world.state(HOME), world.state(HOST)), (Some(State::Prepared), Some(State::Prepared)));
    assert_eq!((world.query(), world.reason(HOME)), (Reached::Home, Some(reason::PREPARED)), "nothing has moved");
    world
}

#[test]
fn a_planned_move_is_one_way_and_the_flows() {
    let mut world = planned();
    world.stop_machine(HOME);
    let start = world.clock();
    world.start_machine(HOST);
    while world.query() != Reached::Copy {
        assert!(world.clock().abs_diff(start) < Duration::from_secs(1), "too slow");
        world.pass(ms(1));
    }
    let took = world.clock().abs_diff(start);
    assert!((ms(10)..=ms(13)).contains(&took), "one way of 10 ms and two batches: {took:?}");
    world.pass(ms(15));
    assert_eq!(world.sites[HOST].machine.gateway, Some(G1_MAC), "another way later it is answered");
    assert_eq!((world.state(HOME), world.state(HOST)), (Some(State::Away), Some(State::Hosting)));
    assert!(world.copy_talks());
    let claimed =
        world.notes.iter().find(|(_, s, n)| *s == HOME && n.detail.starts_with("PREPARED -> CLAIMED")).unwrap();
    assert!(claimed.2.detail.ends_with("as planned (chance), evidence arp-request"), "{}", claimed.2.detail);
}

#[test]
fn a_planned_move_that_does_not_come_leaves_everything_as_it_was() {
    let mut world = planned();
    world.pass(site::PREPARED);
    assert_eq!((world.state(HOME), world.state(HOST)), (Some(State::Home), None));
    assert_eq!(world.sites[HOST].migration.as_ref().unwrap().pool_status().ready, 3);
    world.stop_machine(HOME);
    world.start_machine(HOST);
    world.pass(Duration::from_secs(1));
    assert_eq!(world.query(), Reached::Copy, "unplanned, it moves all the same");
}

#[test]
fn a_copy_started_by_mistake_does_not_keep_it() {
    let mut world = planned();
    world.start_machine(HOST);
    world.pass(Duration::from_secs(10));
    assert_eq!((world.state(HOME), world.state(HOST)), (Some(State::Home), Some(State::Fenced)));
    assert_eq!(world.query(), Reached::Home);
}

#[test]
fn either_daemon_may_be_killed_while_it_is_prepared() {
    for at in [HOME, HOST] {
        let mut world = planned();
        world.kill_daemon(at);
        world.pass(ms(500));
        world.start_daemon(at);
        world.connect();
        world.pass(Duration::from_secs(2));
        assert_eq!((world.state(HOME), world.state(HOST)), (Some(State::Prepared), Some(State::Prepared)));
        world.stop_machine(HOME);
        world.start_machine(HOST);
        world.pass(ms(30));
        assert_eq!(world.query(), Reached::Copy);
    }
}

#[test]
fn arp_of_the_lan_does_not_use_it_up() {
    let mut b = announced();
    b.frame(site::UP, &Arp::announcement(S_MAC, S));
    assert_eq!(b.state(), State::Prepared);
}
