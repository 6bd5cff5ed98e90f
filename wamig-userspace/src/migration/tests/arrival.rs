//! The host's table, row by row: from the guest's first word to READY.

use std::net::{IpAddr, Ipv4Addr};

use wamig_openflow::{MacAddr, PortNo};

use super::arp::Arp;
use super::bench::{
    Bench, arp_of, arps, asks, batch, epoch, has_alert, has_event, message, messages, ms, place, profile, programs,
    rarp, records, up,
};
use super::site::{self, G1, G1_MAC, G2, LAN, S, S_MAC, SRV, T1, T2, T3, UP, W2};
use super::switch::Frame;
use crate::migration::io::{Effect, Input, event};
use crate::migration::record::Record;
use crate::migration::status::{PoolStatus, State, reason};
use crate::peer::message::{Epoch, Evidence, HomeProfile, Message, NackReason};

const OTHER: MacAddr = MacAddr([2, 6, 6, 6, 6, 6]);

fn bench() -> Bench {
    Bench::new(site::host())
}

fn nack(b: &mut Bench, reason: NackReason) -> Vec<Effect> {
    b.peer("dc1", Message::ClaimNack { address: S, reason })
}

fn is_answer(e: &Effect) -> bool {
    arp_of(e).is_some_and(|a| a.tha == S_MAC)
}

// ---- NONE, SEEN -------------------------------------------------------------------------

#[test]
fn the_guest_s_arp_is_held_and_its_home_asked() {
    let mut b = bench();
    let seen = b.seen();
    assert!(has_event(&seen, event::ARP_SEEN) && has_event(&seen, event::CLAIM_SENT));
    let evidence = Evidence::ArpRequest;
    let claim =
        Message::Claim { address: S, mac: S_MAC, transfer: T1, evidence, last_epoch: Epoch::default(), token: false };
    assert_eq!(*message(&seen), claim);
    assert!(arps(&seen).is_empty(), "no answer yet");
    assert_eq!((b.state(), b.status().transfer), (State::Claiming, Some(T1)));
    assert_eq!(b.migration.pool_status(), PoolStatus { size: 3, ready: 2, in_use: 1, quarantined: 0 });
}

#[test]
fn every_kind_of_arp_of_a_guest_is_evidence() {
    for (arp, kind) in [
        (Arp::probe(S_MAC, S), Evidence::ArpProbe),
        (Arp::announcement(S_MAC, S), Evidence::ArpAnnounce),
        (asks(S_MAC), Evidence::ArpRequest),
    ] {
        let seen = bench().frame(SRV, &arp);
        assert!(matches!(message(&seen), Message::Claim { evidence, .. } if *evidence == kind));
    }
}

/// What a guest with a warm ARP cache sends first.
fn packet(mac: MacAddr, from: IpAddr) -> Input {
    let frame = Frame::udp((mac, G1_MAC), (from, IpAddr::V4(Ipv4Addr::new(203, 0, 113, 10))), (7, 7));
    Input::Frame { in_port: SRV, data: frame.as_packet().unwrap() }
}

#[test]
fn a_packet_of_a_guest_is_evidence() {
    let mut b = bench();
    let seen = b.feed(packet(S_MAC, S));
    assert!(has_event(&seen, event::GUEST_SEEN));
    assert!(matches!(message(&seen), Message::Claim { evidence: Evidence::Data, .. }));
    let theirs = b.feed(packet(OTHER, S));
    assert!(has_alert(&theirs) && messages(&theirs).is_empty(), "another MAC moves nothing");
}

#[test]
fn a_rarp_tells_of_guests_that_are_known_already() {
    let mut b = bench();
    assert!(b.feed(rarp(S_MAC, SRV)).is_empty(), "nobody knows whose it is");
    b.seen();
    nack(&mut b, NackReason::Unauthorised);
    b.pass(ms(61_000));
    assert!(b.feed(rarp(OTHER, SRV)).is_empty());
    let again = b.feed(rarp(S_MAC, SRV));
    assert!(matches!(message(&again), Message::Claim { evidence: Evidence::Rarp, .. }));
}

#[test]
fn arp_of_the_lan_is_no_evidence() {
    let mut b = bench();
    assert!(b.frame(LAN, &asks(S_MAC)).is_empty());
    assert!(b.frame(UP, &super::bench::other_arp()).is_empty());
    assert!(b.frame(PortNo(9), &asks(S_MAC)).is_empty());
    assert!(b.migration.status().is_empty());
}

#[test]
fn a_guest_that_no_policy_allows_is_unauthorised() {
    for address in [IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1)), IpAddr::V4(Ipv4Addr::new(198, 51, 100, 9))] {
        let mut b = bench();
        let seen = b.frame(SRV, &Arp { spa: address, ..Arp::probe(S_MAC, G2) });
        assert!(messages(&seen).is_empty() && has_alert(&seen));
        let status = b.status();
        assert_eq!((status.state, status.reason), (State::Seen, Some(reason::UNAUTHORISED)));
        assert!(status.remedy.unwrap().contains("hosting.guest"));
        assert!(!has_alert(&b.frame(SRV, &Arp { spa: address, ..Arp::probe(S_MAC, G2) })), "said once");
    }
}

#[test]
fn an_address_of_nobody_is_ignored() {
    let mut b = bench();
    for spa in
        [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V4(Ipv4Addr::BROADCAST), IpAddr::V4(Ipv4Addr::new(224, 0, 0, 1))]
    {
        assert!(b.frame(SRV, &Arp { spa, ..Arp::probe(S_MAC, G1) }).is_empty());
    }
    assert!(b.frame(SRV, &Arp::probe(S_MAC, IpAddr::V4(Ipv4Addr::UNSPECIFIED))).is_empty());
}

#[test]
fn more_guests_than_allowed_wait() {
    let mut b = bench();
    for last in [1, 2, 3] {
        let spa = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 100 + last));
        b.frame(SRV, &Arp { spa, ..Arp::probe(MacAddr([2, 0, 0, 0, 9, last]), G1) });
    }
    let states: Vec<_> = b.migration.status().iter().map(|s| (s.state, s.reason)).collect();
    assert_eq!(states[..2], [(State::Claiming, None); 2]);
    assert_eq!(states[2], (State::Seen, Some(reason::GUEST_LIMIT)));
}

#[test]
fn a_pool_that_runs_dry_says_so_and_goes_on_when_it_can() {
    let mut b = bench();
    for t in [T1, T2, T3] {
        b.frame(LAN, &Arp::announcement(OTHER, t));
    }
    b.seen();
    let status = b.status();
    assert_eq!((status.state, status.reason), (State::Seen, Some(reason::POOL_EXHAUSTED)));
    assert!(status.remedy.unwrap().contains("hosting.pool"));
}

#[test]
fn invented_addresses_fill_no_memory() {
    let mut b = bench();
    for n in 0..2000u32 {
        b.now += ms(1);
        b.frame(SRV, &Arp { spa: IpAddr::V4(Ipv4Addr::from(0x0a00_0000 + n)), ..Arp::probe(S_MAC, G1) });
    }
    assert_eq!(b.migration.status().len(), 256);
    b.seen();
    assert!(b.migration.status().iter().any(|s| s.state == State::Claiming), "a real guest still gets in");
}

#[test]
fn a_claim_waits_for_the_own_router() {
    let mut b = Bench::cold(site::host(), Vec::new());
    b.switch_up();
    b.feed(up("dc1"));
    b.seen();
    assert_eq!(b.status().reason, Some(reason::GATEWAY_SILENT));
    b.now += ms(10);
    b.gateway();
    assert_eq!(b.status().reason, Some(reason::POOL_EXHAUSTED), "next, the pool is probed");
    let later = b.pass(ms(10_000));
    assert!(messages(&later).iter().any(|(_, m)| matches!(m, Message::Claim { .. })), "as soon as an address is ready");
}

// ---- CLAIMING ---------------------------------------------------------------------------

#[test]
fn a_claim_is_repeated_and_then_given_up_for_a_while() {
    let mut b = bench();
    b.seen();
    let tries = b.pass(ms(1999));
    assert_eq!(messages(&tries).len(), 3);
    assert!(messages(&tries).iter().all(|(_, m)| matches!(m, Message::Claim { transfer: T1, .. })));
    let over = b.pass(ms(1));
    assert!(has_alert(&over));
    let status = b.status();
    assert_eq!((status.state, status.reason), (State::Seen, Some(reason::HOME_UNREACHABLE)));
    assert!(status.remedy.unwrap().contains("dc1"));
    assert!(messages(&b.pass(ms(999))).is_empty(), "1 s pause");
    assert_eq!(messages(&b.pass(ms(1))).len(), 1);
    b.pass(ms(2000));
    assert!(messages(&b.pass(ms(1999))).is_empty(), "then 2 s");
    assert_eq!(messages(&b.pass(ms(1))).len(), 1);
}

#[test]
fn the_pause_grows_to_a_minute_and_no_further() {
    let mut b = bench();
    let mut claims = Vec::new();
    b.seen();
    for _ in 0..280 {
        b.frame(SRV, &asks(S_MAC));
        if b.pass(ms(1000)).iter().any(|e| matches!(e, Effect::Send(_, Message::Claim { .. }))) {
            claims.push(b.now);
        }
    }
    let longest = claims.windows(2).map(|w| w[1] - w[0]).max().unwrap();
    assert!((ms(58_000)..ms(62_000)).contains(&longest), "{longest:?}");
}

#[test]
fn new_evidence_after_the_pause_claims_again() {
    let mut b = bench();
    b.seen();
    nack(&mut b, NackReason::Unauthorised);
    assert!(messages(&b.seen()).is_empty(), "not at once");
    assert!(messages(&b.pass(ms(5000))).is_empty(), "not by itself");
    assert!(matches!(message(&b.seen()), Message::Claim { .. }));
}

#[test]
fn a_grant_brings_the_flows_and_then_ready() {
    let mut b = bench();
    b.seen();
    let acked = b.ack(epoch(1));
    assert!(has_event(&acked, event::CLAIM_ACK_RECEIVED) && messages(&acked).is_empty());
    assert!(matches!(records(&acked)[0], Record::Host { binding: Some(x), .. } if !x.active && x.transfer == T1));
    assert_eq!(b.state(), State::Ready);
    assert!(b.ack(epoch(1)).is_empty(), "a duplicate");
    let done = b.done(batch(&acked));
    assert_eq!(*message(&done), Message::Ready { address: S, epoch: epoch(1) });
    assert!(has_event(&done, event::FLOWS_IN) && has_event(&done, event::READY_SENT));
    assert_eq!(arps(&done), [Arp::announcement(W2, T1)]);
}

#[test]
fn a_grant_that_makes_no_sense_is_not_followed() {
    let bad = [
        HomeProfile { prefix_len: 0, ..profile() },
        HomeProfile { prefix_len: 33, ..profile() },
        HomeProfile { gateway_mac: MacAddr::ZERO, ..profile() },
        HomeProfile { gateway_mac: MacAddr::BROADCAST, ..profile() },
    ];
    for profile in bad {
        let mut b = bench();
        b.seen();
        let acked =
            b.peer("dc1", Message::ClaimAck { address: S, epoch: epoch(1), lease: 30, profile, transfer: None });
        assert!(programs(&acked).is_empty());
        assert_eq!(b.status().reason, Some(reason::CLAIM_LAPSED));
    }
}

#[test]
fn another_peer_s_word_does_not_count() {
    let mut b = bench();
    b.seen();
    let ack = Message::ClaimAck { address: S, epoch: epoch(1), lease: 30, profile: profile(), transfer: None };
    assert!(b.peer("dc9", ack).is_empty());
    assert_eq!((b.state(), b.migration.refused()["message-from-wrong-peer"]), (State::Claiming, 1));
}

#[test]
fn a_refusal_for_want_of_a_right_is_shown() {
    let mut b = bench();
    b.seen();
    let refused = nack(&mut b, NackReason::Unauthorised);
    assert!(has_event(&refused, event::CLAIM_NACK_RECEIVED) && has_alert(&refused));
    let status = b.status();
    assert_eq!((status.state, status.reason), (State::Seen, Some(reason::UNAUTHORISED)));
    let remedy = status.remedy.unwrap();
    assert!(remedy.contains("dc1") && remedy.contains("dc2"), "{remedy}");
    assert_eq!(b.migration.pool_status().ready, 3, "no packet was ever sent to it");
}

#[test]
fn a_copy_of_a_server_that_is_alive_at_home_is_fenced() {
    let mut b = bench();
    b.seen();
    let fenced = nack(&mut b, NackReason::AliveAtHome);
    assert!(has_alert(&fenced));
    assert_eq!(programs(&fenced)[0].1.len(), 3, "flows out, fence in");
    let status = b.status();
    assert_eq!((status.state, status.reason), (State::Fenced, Some(reason::DUPLICATE)));
    assert!(status.remedy.unwrap().contains("port 3"));
    assert!(messages(&b.seen()).is_empty(), "it asks in vain");
}

#[test]
fn a_claim_that_is_stale_again_and_again_gets_another_address() {
    let mut b = bench();
    b.seen();
    for pause in [1000, 2000, 4000] {
        nack(&mut b, NackReason::Stale);
        assert_eq!(b.status().reason, Some(reason::CLAIM_LAPSED));
        assert!(matches!(message(&b.pass(ms(pause))), Message::Claim { transfer: T1, .. }), "{pause}");
    }
    nack(&mut b, NackReason::Stale);
    assert!(matches!(message(&b.pass(ms(8000))), Message::Claim { transfer: T2, .. }));
}

#[test]
fn a_frozen_address_waits() {
    let mut b = bench();
    b.seen();
    nack(&mut b, NackReason::Frozen);
    assert_eq!(b.status().reason, Some(reason::FROZEN));
}

#[test]
fn a_frozen_address_keeps_the_transfer_address_that_its_claims_name() {
    for granted in [false, true] {
        let mut b = bench();
        if granted {
            b.ready();
        } else {
            b.seen();
        }
        nack(&mut b, NackReason::Frozen);
        let status = b.status();
        assert_eq!((status.state, status.transfer), (State::Seen, Some(T1)), "granted: {granted}");
        assert_eq!(b.migration.pool_status(), PoolStatus { size: 3, ready: 2, in_use: 1, quarantined: 0 });
    }
}

#[test]
fn flows_that_the_switch_refuses_are_shown() {
    let mut b = bench();
    b.seen();
    let acked = b.ack(epoch(1));
    let refused = b.refuse(batch(&acked));
    assert!(has_alert(&refused));
    assert_eq!(*message(&refused), Message::Release { address: S, epoch: epoch(1) });
    assert_eq!((b.status().reason, b.status().transfer), (Some(reason::SWITCH_REFUSED), Some(T1)));
    assert!(matches!(messages(&b.pass(ms(1000)))[..], [(_, Message::Claim { transfer: T1, .. })]));
}

// ---- READY ------------------------------------------------------------------------------

#[test]
fn active_answers_the_held_arp_with_the_home_s_gateway() {
    let mut b = bench();
    let e = b.ready();
    let active = b.peer("dc1", Message::Active { address: S, epoch: e });
    assert_eq!(arps(&active), [Arp::reply(G1_MAC, G1, S_MAC, S)]);
    assert!(has_event(&active, event::ACTIVE_RECEIVED) && has_event(&active, event::ARP_ANSWERED));
    let persisted = place(&active, |e| matches!(e, Effect::Persist(Record::Host { binding: Some(x), .. }) if x.active));
    assert!(persisted < place(&active, is_answer));
    assert_eq!((b.state(), b.status().reason), (State::Hosting, None));
    assert!(b.peer("dc1", Message::Active { address: S, epoch: e }).is_empty(), "a duplicate");
}

#[test]
fn nothing_is_answered_before_active() {
    let mut b = bench();
    b.seen();
    let acked = b.ack(epoch(1));
    assert!(!acked.iter().any(is_answer));
    assert!(b.peer("dc1", Message::Active { address: S, epoch: epoch(1) }).is_empty(), "the flows are not in");
    let done = b.done(batch(&acked));
    assert!(!done.iter().any(is_answer));
    assert!(!b.seen().iter().any(is_answer));
    assert!(b.peer("dc1", Message::Active { address: S, epoch: epoch(9) }).is_empty(), "another epoch");
}

#[test]
fn a_neighbour_that_was_asked_for_is_answered_too_and_a_stranger_is_not() {
    let mut b = bench();
    let (n1, far) = (IpAddr::V4(Ipv4Addr::new(192, 0, 2, 80)), IpAddr::V4(Ipv4Addr::new(203, 0, 113, 1)));
    b.ready();
    for target in [n1, far, S] {
        b.frame(SRV, &Arp { spa: S, ..Arp::probe(S_MAC, target) });
    }
    let active = b.peer("dc1", Message::Active { address: S, epoch: epoch(1) });
    assert_eq!(arps(&active), [Arp::reply(G1_MAC, G1, S_MAC, S), Arp::reply(W2, n1, S_MAC, S)]);
}

#[test]
fn ready_is_repeated_until_active() {
    let mut b = bench();
    let e = b.ready();
    let again = b.pass(ms(3000));
    assert_eq!(messages(&again).len(), 3);
    assert!(messages(&again).iter().all(|(_, m)| **m == Message::Ready { address: S, epoch: e }));
}

#[test]
fn a_grant_that_is_not_current_is_claimed_anew() {
    let mut b = bench();
    let e = b.ready();
    let stale = nack(&mut b, NackReason::Stale);
    assert_eq!(programs(&stale).len(), 1, "flows out");
    assert!(matches!(message(&stale), Message::Claim { transfer: T1, last_epoch, .. } if *last_epoch == e));
    assert_eq!(b.state(), State::Claiming);
}

#[test]
fn a_home_that_disowns_a_guest_that_is_ready_is_told_to_switch_back() {
    let mut b = bench();
    let e = b.ready();
    let given_up = nack(&mut b, NackReason::Unauthorised);
    assert_eq!(*message(&given_up), Message::Release { address: S, epoch: e });
    assert_eq!((b.status().reason, b.migration.pool_status().quarantined), (Some(reason::UNAUTHORISED), 1));
}

#[test]
fn a_second_grant_is_not_believed_without_a_second_claim() {
    let mut b = bench();
    let e = b.ready();
    let regranted = b.ack(e.next());
    assert!(matches!(message(&regranted), Message::Claim { last_epoch, .. } if *last_epoch == e.next()));
}

#[test]
fn a_grant_that_was_revoked_before_it_arrived_is_not_followed() {
    let mut b = bench();
    b.seen();
    b.revoke(epoch(2), false);
    assert!(b.ack(epoch(1)).is_empty());
    assert_eq!(b.state(), State::Claiming);
}

#[test]
fn a_revoke_before_active_claims_again_soon() {
    let mut b = bench();
    let e = b.ready();
    let revoked = b.revoke(e.next(), false);
    assert_eq!(programs(&revoked).len(), 1);
    assert_eq!(*messages(&revoked).last().unwrap().1, Message::RevokeAck { address: S, epoch: e.next() });
    assert_eq!(b.status().reason, Some(reason::CLAIM_LAPSED));
    assert!(matches!(message(&b.pass(ms(1000))), Message::Claim { .. }));
}

#[test]
fn a_session_that_breaks_before_active_is_waited_for() {
    let mut b = bench();
    let e = b.ready();
    b.feed(Input::PeerDown("dc1".into(), "gone".into()));
    assert_eq!((b.state(), b.status().reason), (State::Ready, Some(reason::HOME_UNREACHABLE)));
    assert!(messages(&b.pass(ms(5000))).is_empty());
    assert_eq!(*message(&b.feed(up("dc1"))), Message::Ready { address: S, epoch: e });
    assert_eq!(b.status().reason, None);
}
