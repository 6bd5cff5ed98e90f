//! The host's table, row by row: from HOSTING to the end.

use std::net::{IpAddr, Ipv4Addr};

use wamig_openflow::MacAddr;

use super::arp::Arp;
use super::bench::{Bench, arps, asks, batch, epoch, has_alert, has_event, message, messages, ms, place, programs, up};
use super::site::{self, G1, G1_MAC, LAN, S, S_MAC, SRV, T1, T2, W2};
use crate::migration::io::{Effect, Input, event};
use crate::migration::record::Record;
use crate::migration::status::{PoolStatus, State, reason};
use crate::peer::message::{Message, NackReason, Renewal};

const OTHER: MacAddr = MacAddr([2, 6, 6, 6, 6, 6]);

fn bench() -> Bench {
    Bench::new(site::host())
}

fn nack(b: &mut Bench, reason: NackReason) -> Vec<Effect> {
    b.peer("dc1", Message::ClaimNack { address: S, reason })
}

// ---- HOSTING, STALE ---------------------------------------------------------------------

#[test]
fn what_is_hosted_is_renewed_and_the_guest_looked_after() {
    let mut b = bench();
    let e = b.hosting();
    let renewed = b.pass(ms(10_000));
    assert_eq!(*message(&renewed), Message::Renew(vec![Renewal { address: S, epoch: e, alive: true }]));
    assert!(arps(&renewed).contains(&Arp::probe(W2, S)));
    b.pass(ms(10_000));
    let silent = b.pass(ms(10_000));
    assert_eq!(
        *message(&silent),
        Message::Renew(vec![Renewal { address: S, epoch: e, alive: false }]),
        "it was silent"
    );
    b.frame(SRV, &Arp::reply(S_MAC, S, W2, IpAddr::V4(Ipv4Addr::UNSPECIFIED)));
    let alive = b.pass(ms(10_000));
    assert_eq!(*message(&alive), Message::Renew(vec![Renewal { address: S, epoch: e, alive: true }]));
}

#[test]
fn a_lease_that_is_not_renewed_goes_stale_and_the_flows_stay() {
    let mut b = bench();
    let e = b.hosting();
    b.pass(ms(20_000));
    b.peer("dc1", Message::RenewAck(vec![(S, e)]));
    b.pass(ms(29_999));
    assert_eq!(b.state(), State::Hosting);
    let stale = b.pass(ms(1));
    assert!(has_alert(&stale) && programs(&stale).is_empty());
    assert_eq!((b.state(), b.status().reason), (State::Stale, Some(reason::PEER_SILENT)));
    b.peer("dc1", Message::RenewAck(vec![(S, e)]));
    assert_eq!((b.state(), b.status().reason), (State::Hosting, None));
}

#[test]
fn a_broken_session_goes_stale_and_a_new_one_renews_at_once() {
    let mut b = bench();
    let e = b.hosting();
    assert!(programs(&b.feed(Input::PeerDown("dc1".into(), "gone".into()))).is_empty());
    assert_eq!(b.state(), State::Stale);
    let up = b.feed(up("dc1"));
    assert!(matches!(message(&up), Message::Renew(r) if r[0].epoch == e));
    b.peer("dc1", Message::RenewAck(vec![(S, e)]));
    assert_eq!(b.state(), State::Hosting);
}

#[test]
fn a_query_is_answered_by_asking_the_guest() {
    let mut b = bench();
    let e = b.hosting();
    let asked = b.peer("dc1", Message::Query { address: S, epoch: e });
    assert_eq!(arps(&asked), [Arp::probe(W2, S)]);
    let alive = b.frame(SRV, &Arp::reply(S_MAC, S, W2, IpAddr::V4(Ipv4Addr::UNSPECIFIED)));
    assert_eq!(*message(&alive), Message::QueryAck { address: S, epoch: e, alive: true });
    b.peer("dc1", Message::Query { address: S, epoch: e });
    assert!(arps(&b.peer("dc1", Message::Query { address: S, epoch: e })).is_empty(), "one check at a time");
    let silent = b.pass(ms(600));
    assert_eq!(arps(&silent).len(), 2, "with the first, three probes");
    assert_eq!(*message(&silent), Message::QueryAck { address: S, epoch: e, alive: false });
}

#[test]
fn a_query_for_who_is_not_here_is_answered_at_once() {
    let mut b = bench();
    let asked = b.peer("dc1", Message::Query { address: S, epoch: epoch(4) });
    assert_eq!(*message(&asked), Message::Release { address: S, epoch: epoch(4) });
}

#[test]
fn a_query_for_a_guest_that_is_only_seen_says_that_the_placement_is_over() {
    let mut b = bench();
    b.seen();
    b.peer("dc1", Message::ClaimNack { address: S, reason: NackReason::Unauthorised });
    assert_eq!(b.state(), State::Seen);
    let asked = b.peer("dc1", Message::Query { address: S, epoch: epoch(4) });
    assert_eq!(messages(&asked), [("dc1", &Message::Release { address: S, epoch: epoch(4) })]);
}

#[test]
fn a_query_while_it_is_being_claimed_leaves_the_claim_to_decide() {
    let mut b = bench();
    b.seen();
    assert_eq!(b.state(), State::Claiming);
    let asked = b.peer("dc1", Message::Query { address: S, epoch: epoch(4) });
    assert_eq!(messages(&asked), [("dc1", &Message::QueryAck { address: S, epoch: epoch(4), alive: false })]);
}

#[test]
fn an_answer_from_another_port_or_mac_is_not_the_guest_s() {
    let mut b = bench();
    let e = b.hosting();
    b.peer("dc1", Message::Query { address: S, epoch: e });
    assert!(messages(&b.frame(LAN, &Arp::reply(S_MAC, S, W2, IpAddr::V4(Ipv4Addr::UNSPECIFIED)))).is_empty());
    let stranger = b.frame(SRV, &Arp::reply(OTHER, S, W2, IpAddr::V4(Ipv4Addr::UNSPECIFIED)));
    assert!(messages(&stranger).is_empty() && has_alert(&stranger));
    assert_eq!(b.status().reason, Some(reason::FOREIGN_MAC));
}

#[test]
fn a_question_that_was_on_its_way_when_the_flows_came_is_answered() {
    let mut b = bench();
    b.hosting();
    assert_eq!(arps(&b.seen()), [Arp::reply(G1_MAC, G1, S_MAC, S)]);
}

#[test]
fn another_host_on_the_transfer_address_is_shown() {
    let mut b = bench();
    let e = b.hosting();
    let conflict = b.frame(LAN, &Arp::announcement(OTHER, T1));
    assert!(has_alert(&conflict));
    assert_eq!(arps(&conflict), [Arp::announcement(W2, T1)], "defended once");
    assert_eq!(b.status().reason, Some(reason::TRANSFER_CONFLICT));
    assert!(b.frame(LAN, &Arp::announcement(OTHER, T1)).is_empty());
    for _ in 0..8 {
        b.pass(ms(10_000));
        b.peer("dc1", Message::RenewAck(vec![(S, e)]));
    }
    assert_eq!(b.status().reason, None, "it did not come again");
}

// ---- DRAINING, FENCED -------------------------------------------------------------------

#[test]
fn a_revoke_drains_and_then_frees_everything() {
    let mut b = bench();
    let e = b.hosting();
    let revoked = b.revoke(e.next(), false);
    assert!(has_event(&revoked, event::REVOKE_RECEIVED));
    let persisted = place(&revoked, |e| matches!(e, Effect::Persist(Record::Host { binding: None, .. })));
    assert!(persisted < place(&revoked, |e| matches!(e, Effect::Send(_, Message::RevokeAck { .. }))));
    assert_eq!(b.state(), State::Draining);
    assert!(programs(&b.pass(ms(1999))).is_empty());
    let out = b.pass(ms(1));
    let gone = b.done(batch(&out));
    assert!(has_event(&gone, event::FLOWS_OUT) && has_event(&gone, event::TRANSFER_RELEASED));
    assert!(b.migration.status().is_empty());
    assert_eq!(b.migration.pool_status(), PoolStatus { size: 3, ready: 2, in_use: 0, quarantined: 1 });
    b.pass(ms(290_000));
    assert_eq!(b.migration.pool_status().quarantined, 1);
    b.pass(ms(30_000));
    assert_eq!(b.migration.pool_status().ready, 3);
}

#[test]
fn revokes_are_idempotent_and_old_ones_harmless() {
    let mut b = bench();
    let e = b.hosting();
    let old = b.revoke(e, false);
    assert_eq!(*message(&old), Message::RevokeAck { address: S, epoch: e });
    assert_eq!((b.state(), programs(&old).len()), (State::Hosting, 0));
    b.revoke(e.next(), false);
    let again = b.revoke(e.next(), false);
    assert_eq!(*message(&again), Message::RevokeAck { address: S, epoch: e.next() });
    assert_eq!(b.state(), State::Draining);
}

#[test]
fn the_next_claim_knows_the_epoch_of_the_last_revoke() {
    let mut b = bench();
    let e = b.hosting();
    b.revoke(e.next(), false);
    let out = b.pass(ms(2000));
    b.done(batch(&out));
    let seen = b.seen();
    assert!(matches!(message(&seen), Message::Claim { transfer: T2, last_epoch, .. } if *last_epoch == e.next()));
}

#[test]
fn a_fencing_revoke_isolates_the_copy_until_it_is_silent() {
    let mut b = bench();
    let e = b.hosting();
    let fenced = b.revoke(e.next(), true);
    assert_eq!(programs(&fenced)[0].1.len(), 3);
    assert_eq!((b.state(), b.migration.pool_status().quarantined), (State::Fenced, 1));
    for _ in 0..4 {
        let probed = b.pass(ms(10_000));
        assert!(arps(&probed).contains(&Arp::probe(W2, S)));
        b.frame(SRV, &Arp::reply(S_MAC, S, W2, IpAddr::V4(Ipv4Addr::UNSPECIFIED)));
    }
    assert_eq!(b.state(), State::Fenced, "it goes on talking");
    let open = b.pass(ms(30_000));
    assert_eq!(programs(&open).len(), 1);
    assert!(b.migration.status().is_empty());
}

#[test]
fn flows_that_the_switch_does_not_remove_are_removed_later() {
    let mut b = bench();
    let e = b.hosting();
    b.revoke(e.next(), false);
    let out = b.pass(ms(2000));
    assert!(has_alert(&b.refuse(batch(&out))));
    let again = b.pass(ms(1000));
    b.done(batch(&again));
    assert!(b.migration.status().is_empty());
}

#[test]
fn a_home_that_disowns_its_guest_ends_the_placement() {
    let mut b = bench();
    b.hosting();
    nack(&mut b, NackReason::Unauthorised);
    assert_eq!(b.state(), State::Draining);
}

#[test]
fn a_silent_guest_that_was_never_served_is_forgotten() {
    let mut b = bench();
    b.seen();
    nack(&mut b, NackReason::Unauthorised);
    b.pass(ms(299_000));
    assert_eq!(b.migration.status().len(), 1);
    b.pass(ms(2000));
    assert!(b.migration.status().is_empty());
}

#[test]
fn another_machine_may_follow_one_that_was_refused() {
    let mut b = bench();
    b.frame(SRV, &asks(OTHER));
    nack(&mut b, NackReason::Unauthorised);
    b.seen();
    assert_eq!(b.status().mac, OTHER, "not while the first may still be there");
    b.pass(ms(11_000));
    b.seen();
    assert_eq!((b.status().mac, b.state()), (S_MAC, State::Claiming));
}
