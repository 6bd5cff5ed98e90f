//! The home's table, row by row.

use std::net::{IpAddr, Ipv4Addr};

use wamig_openflow::action::Action;
use wamig_openflow::{MacAddr, PortNo};

use super::arp::Arp;
use super::bench::{
    Bench, arps, asks, batch, epoch, has_alert, has_event, message, messages, ms, packet_outs, place, programs,
    records, up,
};
use super::site::{self, G1, G1_MAC, LAN, S, S_MAC, SRV, T1, T2, UP, W1};
use crate::migration::io::{Effect, Input, event};
use crate::migration::record::Record;
use crate::migration::status::{State, reason};
use crate::peer::message::{Epoch, Evidence, Message, NackReason, Renewal};

const OTHER: MacAddr = MacAddr([2, 6, 6, 6, 6, 6]);

fn bench() -> Bench {
    Bench::new(site::home())
}

fn renew(b: &mut Bench, peer: &str, epoch: Epoch) -> Vec<Effect> {
    b.peer(peer, Message::Renew(vec![Renewal { address: S, epoch, alive: true }]))
}

fn is_revoke(e: &Effect) -> bool {
    matches!(e, Effect::Send(_, Message::Revoke { .. }))
}

// ---- HOME, claims -----------------------------------------------------------------------

#[test]
fn a_claim_is_granted_once_the_server_is_not_found_here() {
    let mut b = bench();
    let start = b.now;
    let first = b.claim("dc2", T1);
    assert!(has_event(&first, event::CLAIM_RECEIVED));
    assert_eq!(arps(&first), [Arp::probe(W1, S)]);
    assert_eq!(b.state(), State::Home);
    assert_eq!(packet_outs(&first)[0].actions, [UP, LAN, SRV].map(Action::output), "wherever it may be in the LAN");
    assert!(b.pass(ms(149)).is_empty());
    assert_eq!(arps(&b.pass(ms(1))), [Arp::probe(W1, S)]);
    let granted = b.pass(ms(150));
    assert_eq!(b.now - start, ms(300));
    let Message::ClaimAck { address: S, epoch: e, lease: 30, profile, .. } = *message(&granted) else { panic!() };
    assert_eq!((e, profile.prefix_len, profile.gateway, profile.gateway_mac), (epoch(1), 24, G1, G1_MAC));
    let persisted = place(
        &granted,
        |e| matches!(e, Effect::Persist(Record::Home { epoch: x, placement: None, .. }) if *x == epoch(1)),
    );
    assert!(persisted < place(&granted, |e| matches!(e, Effect::Send(..))), "durable before it is told");
    assert_eq!((b.state(), b.status().transfer), (State::Claimed, Some(T1)));
    assert!(programs(&granted).is_empty(), "no traffic moves yet");
}

#[test]
fn a_claim_of_a_server_that_answers_here_is_refused() {
    let mut b = bench();
    b.claim("dc2", T1);
    b.pass(ms(100));
    let refused = b.frame(SRV, &Arp::reply(S_MAC, S, W1, IpAddr::V4(Ipv4Addr::UNSPECIFIED)));
    assert_eq!(*message(&refused), Message::ClaimNack { address: S, reason: NackReason::AliveAtHome });
    assert!(has_alert(&refused) && has_event(&refused, event::CLAIM_NACK_SENT));
    assert_eq!((b.state(), b.status().epoch), (State::Home, Epoch { incarnation: 1, counter: 0 }));
    assert!(messages(&b.pass(ms(1000))).is_empty());
    assert_eq!(b.migration.refused()["claim-alive-at-home"], 1);
}

#[test]
fn an_answer_from_another_mac_is_no_sign_of_life() {
    let mut b = bench();
    b.claim("dc2", T1);
    let stranger = b.frame(LAN, &Arp::reply(OTHER, S, W1, IpAddr::V4(Ipv4Addr::UNSPECIFIED)));
    assert!(has_alert(&stranger) && messages(&stranger).is_empty());
    b.pass(ms(300));
    assert_eq!(b.state(), State::Claimed);
}

#[test]
fn claims_without_a_right_are_refused_and_counted() {
    let mut b = bench();
    let evidence = Evidence::ArpRequest;
    let last_epoch = Epoch::default();
    let nowhere = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 99));
    let wrong_peer = b.claim("dc9", T1);
    let wrong_mac =
        b.peer("dc2", Message::Claim { address: S, mac: OTHER, transfer: T1, evidence, last_epoch, token: false });
    let not_ours = b
        .peer("dc2", Message::Claim { address: nowhere, mac: S_MAC, transfer: T1, evidence, last_epoch, token: false });
    for (effects, address) in [(wrong_peer, S), (wrong_mac, S), (not_ours, nowhere)] {
        assert_eq!(*message(&effects), Message::ClaimNack { address, reason: NackReason::Unauthorised });
        assert!(has_alert(&effects));
    }
    assert_eq!(b.migration.refused()["claim-unauthorised"], 3);
    assert!(messages(&b.pass(ms(1000))).is_empty() && b.state() == State::Home);
}

#[test]
fn a_transfer_address_that_cannot_be_one_is_refused() {
    let mut b = bench();
    for t in [
        S,
        G1,
        IpAddr::V4(Ipv4Addr::new(192, 0, 2, 200)),
        IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        IpAddr::V4(Ipv4Addr::new(224, 0, 0, 5)),
        IpAddr::V4(Ipv4Addr::LOCALHOST),
    ] {
        let refused = b.claim("dc2", t);
        assert_eq!(*message(&refused), Message::ClaimNack { address: S, reason: NackReason::Stale }, "{t}");
    }
    assert_eq!(b.state(), State::Home);
}

#[test]
fn two_servers_cannot_share_a_transfer_address() {
    let mut config = site::home();
    let other = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 54));
    config.servers.push(crate::migration::config::Server { address: other, mac: OTHER, hosts: vec!["dc2".into()] });
    let mut b = Bench::new(config);
    b.claim("dc2", T1);
    b.pass(ms(300));
    let evidence = Evidence::ArpRequest;
    let claim = Message::Claim {
        address: other,
        mac: OTHER,
        transfer: T1,
        evidence,
        last_epoch: Epoch::default(),
        token: false,
    };
    let refused = b.peer("dc2", claim);
    assert_eq!(*message(&refused), Message::ClaimNack { address: other, reason: NackReason::Stale });
}

#[test]
fn no_claim_is_granted_before_the_own_router_is_known() {
    let mut b = Bench::cold(site::home(), Vec::new());
    b.switch_up();
    b.feed(up("dc2"));
    b.claim("dc2", T1);
    b.now += ms(600);
    assert!(messages(&b.feed(Input::Tick)).is_empty());
    b.gateway();
    b.now += ms(150);
    assert!(matches!(message(&b.feed(Input::Tick)), Message::ClaimAck { .. }));
}

// ---- CLAIMED ----------------------------------------------------------------------------

#[test]
fn a_repeated_claim_is_acknowledged_with_the_same_epoch() {
    let mut b = bench();
    let e = b.claimed();
    let again = b.claim("dc2", T1);
    assert!(matches!(message(&again), Message::ClaimAck { epoch, .. } if *epoch == e));
    assert!(records(&again).is_empty());
}

#[test]
fn ready_moves_the_traffic_and_then_says_active() {
    let mut b = bench();
    let e = b.claimed();
    let ready = b.peer("dc2", Message::Ready { address: S, epoch: e });
    assert!(has_event(&ready, event::READY_RECEIVED) && messages(&ready).is_empty(), "not before the barrier");
    assert_eq!(programs(&ready)[0].1.len(), 7);
    assert!(programs(&b.peer("dc2", Message::Ready { address: S, epoch: e })).is_empty(), "once");
    let done = b.done(batch(&ready));
    assert_eq!(*message(&done), Message::Active { address: S, epoch: e });
    let persisted =
        place(&done, |x| matches!(x, Effect::Persist(Record::Home { placement: Some(p), .. }) if p.transfer == T1));
    assert!(persisted < place(&done, |x| matches!(x, Effect::Send(..))));
    assert_eq!(arps(&done), [Arp::announcement(S_MAC, S)], "switches of the LAN learn where it is");
    assert!(has_event(&done, event::FLOWS_IN) && has_event(&done, event::ACTIVE_SENT));
    assert_eq!((b.state(), b.status().peer.as_deref(), b.status().reason), (State::Away, Some("dc2"), None));
}

#[test]
fn a_ready_that_is_lost_on_the_way_back_is_answered_again() {
    let mut b = bench();
    let e = b.away();
    assert_eq!(
        *message(&b.peer("dc2", Message::Ready { address: S, epoch: e })),
        Message::Active { address: S, epoch: e }
    );
}

#[test]
fn a_ready_of_another_epoch_is_stale() {
    let mut b = bench();
    let stale = Message::ClaimNack { address: S, reason: NackReason::Stale };
    assert_eq!(*message(&b.peer("dc2", Message::Ready { address: S, epoch: epoch(1) })), stale);
    let e = b.claimed();
    assert_eq!(*message(&b.peer("dc2", Message::Ready { address: S, epoch: e.next() })), stale);
    assert_eq!(*message(&b.peer("dc3", Message::Ready { address: S, epoch: e })), stale);
    assert_eq!(b.state(), State::Claimed);
}

#[test]
fn a_host_that_does_not_get_ready_loses_its_grant() {
    let mut b = bench();
    let e = b.claimed();
    let lapsed = b.pass(ms(2000));
    let revoke = Message::Revoke { address: S, epoch: e.next(), fence: false, drain: 2 };
    assert_eq!(*message(&lapsed), revoke);
    assert!(place(&lapsed, |x| matches!(x, Effect::Persist(_))) < place(&lapsed, is_revoke));
    assert_eq!((b.state(), b.status().epoch), (State::Home, e.next()));
    let again = b.pass(ms(500));
    assert_eq!(*message(&again), revoke, "until it is acknowledged");
    b.peer("dc2", Message::RevokeAck { address: S, epoch: e });
    assert_eq!(*message(&b.pass(ms(1000))), revoke, "an old acknowledgement is none");
    b.peer("dc2", Message::RevokeAck { address: S, epoch: e.next() });
    assert!(messages(&b.pass(ms(60_000))).is_empty());
}

#[test]
fn a_session_that_breaks_before_ready_takes_the_grant_back() {
    let mut b = bench();
    let e = b.claimed();
    assert!(messages(&b.feed(Input::PeerDown("dc2".into(), "gone".into()))).is_empty(), "nobody to tell");
    assert_eq!((b.state(), b.status().epoch), (State::Home, e.next()));
    assert!(messages(&b.pass(ms(60_000))).is_empty());
    assert!(is_revoke(&Effect::Send(String::new(), message(&b.feed(up("dc2"))).clone())));
}

#[test]
fn flows_that_the_switch_refuses_leave_the_server_at_home() {
    let mut b = bench();
    let e = b.claimed();
    let ready = b.peer("dc2", Message::Ready { address: S, epoch: e });
    let refused = b.refuse(batch(&ready));
    assert!(has_alert(&refused) && refused.iter().any(is_revoke));
    assert_eq!((b.state(), b.status().epoch), (State::Home, e.next()));
}

#[test]
fn a_server_that_shows_up_while_it_is_claimed_stays_and_its_copy_is_fenced() {
    let mut b = bench();
    let e = b.claimed();
    let seen = b.seen_at_home();
    assert!(matches!(message(&seen), Message::Revoke { epoch, fence: true, .. } if *epoch == e.next()));
    assert!(has_alert(&seen) && programs(&seen).is_empty());
    assert_eq!(b.state(), State::Home);
}

#[test]
fn a_server_that_shows_up_while_traffic_moves_is_brought_back() {
    let mut b = bench();
    let e = b.claimed();
    let ready = b.peer("dc2", Message::Ready { address: S, epoch: e });
    let seen = b.seen_at_home();
    assert_eq!(b.state(), State::Returning);
    assert!(b.done(batch(&ready)).is_empty(), "overtaken");
    let back = b.done(batch(&seen));
    assert!(matches!(message(&back), Message::Revoke { fence: true, .. }));
    assert_eq!(b.state(), State::Home);
}

// ---- AWAY, STALE ------------------------------------------------------------------------

#[test]
fn renewals_keep_it_away_and_their_end_makes_it_stale() {
    let mut b = bench();
    let e = b.away();
    b.pass(ms(20_000));
    assert_eq!(*message(&renew(&mut b, "dc2", e)), Message::RenewAck(vec![(S, e)]));
    b.pass(ms(29_000));
    assert_eq!(b.state(), State::Away);
    let stale = b.pass(ms(1000));
    assert!(has_alert(&stale) && programs(&stale).is_empty(), "the flows stay");
    assert_eq!((b.state(), b.status().reason), (State::Stale, Some(reason::PEER_SILENT)));
    assert!(b.status().remedy.unwrap().contains("dc2"));
    renew(&mut b, "dc2", e);
    assert_eq!((b.state(), b.status().reason), (State::Away, None));
}

#[test]
fn a_broken_session_makes_it_stale_at_once() {
    let mut b = bench();
    b.away();
    let since = b.status().since;
    b.pass(ms(500));
    let down = b.feed(Input::PeerDown("dc2".into(), "no route".into()));
    assert!(has_alert(&down) && programs(&down).is_empty());
    assert_eq!(b.state(), State::Stale);
    assert!(b.status().since > since);
}

#[test]
fn another_host_takes_over_without_a_gap() {
    let mut b = bench();
    b.feed(up("dc3"));
    let e = b.away();
    let granted = b.claim("dc3", T2);
    assert!(matches!(message(&granted), Message::ClaimAck { epoch, .. } if *epoch == e.next()));
    assert!(matches!(records(&granted)[0], Record::Home { placement: Some(p), .. } if p.peer == "dc2"), "still there");
    let ready = b.peer("dc3", Message::Ready { address: S, epoch: e.next() });
    let mods = programs(&ready)[0].1;
    assert!(mods.len() == 8 && mods[7].cookie_mask == u64::MAX, "adds first, then the old generation");
    let done = b.done(batch(&ready));
    let to: Vec<_> = messages(&done).iter().map(|(p, m)| (*p, (*m).clone())).collect();
    assert_eq!(to[0], ("dc3", Message::Active { address: S, epoch: e.next() }));
    assert_eq!(to[1], ("dc2", Message::Revoke { address: S, epoch: e.next(), fence: false, drain: 2 }));
    assert_eq!((b.state(), b.status().peer.as_deref()), (State::Away, Some("dc3")));
}

#[test]
fn a_takeover_that_fails_leaves_the_first_host() {
    let mut b = bench();
    b.feed(up("dc3"));
    let e = b.away();
    b.claim("dc3", T2);
    b.pass(ms(2000));
    assert_eq!((b.state(), b.status().peer.as_deref()), (State::Away, Some("dc2")));
    assert_eq!(*message(&renew(&mut b, "dc2", e)), Message::RenewAck(vec![(S, e)]));
}

#[test]
fn a_host_that_lost_its_state_is_granted_anew() {
    let mut b = bench();
    let e = b.away();
    b.feed(Input::PeerDown("dc2".into(), "restart".into()));
    b.feed(up("dc2"));
    assert!(matches!(message(&b.claim("dc2", T1)), Message::ClaimAck { epoch, .. } if *epoch == e), "same address");
    assert!(matches!(message(&b.claim("dc2", T2)), Message::ClaimAck { epoch, .. } if *epoch == e.next()), "another");
}

#[test]
fn a_claim_that_was_overtaken_by_what_it_would_undo_is_ignored() {
    let mut b = bench();
    let e = b.away();
    assert!(b.claim_knowing("dc2", T2, Epoch::default()).is_empty(), "older than its own Ready");
    assert!(matches!(message(&b.claim_knowing("dc2", T2, e)), Message::ClaimAck { .. }));
}

#[test]
fn a_renewal_that_does_not_fit_is_revoked() {
    let mut b = bench();
    let e = b.away();
    let wrong = renew(&mut b, "dc3", e);
    assert!(matches!(messages(&wrong).last(), Some((_, Message::RenewAck(r))) if r.is_empty()));
    b.feed(up("dc3"));
    let again = renew(&mut b, "dc3", epoch(1));
    assert!(messages(&again).iter().all(|(p, _)| *p == "dc3"));
    assert_eq!(b.state(), State::Away);
}

#[test]
fn a_lost_log_is_noticed_and_epochs_still_go_up() {
    let mut b = bench();
    let far = Epoch { incarnation: 4, counter: 17 };
    let told = renew(&mut b, "dc2", far);
    assert!(has_alert(&told) && !records(&told).is_empty());
    assert!(b.status().epoch > far);
    assert!(messages(&told).iter().any(|(_, m)| matches!(m, Message::Revoke { epoch, .. } if *epoch > far)));
    let mut b = bench();
    b.claim_knowing("dc2", T1, far);
    b.pass(ms(300));
    assert!(b.status().epoch > far);
}

#[test]
fn a_release_before_ready_ends_the_grant() {
    let mut b = bench();
    let e = b.claimed();
    let given_up = b.peer("dc2", Message::Release { address: S, epoch: e });
    assert_eq!(*messages(&given_up)[0].1, Message::ReleaseAck { address: S, epoch: e });
    assert_eq!((b.state(), b.status().epoch), (State::Home, e.next()));
}

#[test]
fn a_release_by_its_host_takes_the_flows_out() {
    let mut b = bench();
    let e = b.away();
    let wrong = b.peer("dc3", Message::Release { address: S, epoch: e });
    assert!(programs(&wrong).is_empty());
    let released = b.peer("dc2", Message::Release { address: S, epoch: e });
    let gone = b.done(batch(&released));
    assert_eq!(*message(&gone), Message::ReleaseAck { address: S, epoch: e });
    assert!(has_alert(&gone) && has_event(&gone, event::FLOWS_OUT));
    assert_eq!(b.state(), State::Home);
    assert!(matches!(records(&gone)[0], Record::Home { placement: None, .. }));
    let again = b.peer("dc2", Message::Release { address: S, epoch: e });
    assert_eq!(*message(&again), Message::ReleaseAck { address: S, epoch: e });
}

// ---- RETURNING --------------------------------------------------------------------------

#[test]
fn packets_and_rarps_of_the_server_at_home_are_evidence() {
    let head = [&[0xff; 6], &S_MAC.0[..], &[0x80, 0x35, 0, 1, 8, 0, 6, 4, 0, 3]].concat();
    let rarp: bytes::Bytes = [&head[..], &S_MAC.0, &[0; 4], &S_MAC.0, &[0; 4]].concat().into();
    let packet = super::switch::Frame::udp((S_MAC, G1_MAC), (S, IpAddr::V4(Ipv4Addr::new(203, 0, 113, 10))), (7, 7));
    for data in [rarp, packet.as_packet().unwrap()] {
        let mut b = bench();
        b.away();
        let seen = b.feed(Input::Frame { in_port: SRV, data: data.clone() });
        assert!(has_event(&seen, event::SEEN_AT_HOME) && b.state() == State::Returning);
        let mut b = bench();
        b.away();
        let mut foreign = data.to_vec();
        foreign[6..12].copy_from_slice(&[2, 6, 6, 6, 6, 6]);
        b.feed(Input::Frame { in_port: SRV, data: foreign.into() });
        assert_eq!(b.state(), State::Away, "another MAC moves nothing");
    }
}

#[test]
fn a_server_seen_at_home_comes_back_when_its_copy_is_silent() {
    let mut b = bench();
    let e = b.away();
    let seen = b.seen_at_home();
    assert!(has_event(&seen, event::SEEN_AT_HOME));
    assert_eq!(*message(&seen), Message::Query { address: S, epoch: e });
    assert!(packet_outs(&seen).is_empty(), "its frame is held");
    let dead = b.peer("dc2", Message::QueryAck { address: S, epoch: e, alive: false });
    let back = b.done(batch(&dead));
    let held = place(&back, |x| matches!(x, Effect::PacketOut(_)));
    let epoch_up = place(
        &back,
        |x| matches!(x, Effect::Persist(Record::Home { epoch, placement: None, .. }) if *epoch == e.next()),
    );
    assert!(held < epoch_up && epoch_up < place(&back, is_revoke));
    let out = packet_outs(&back)[0];
    assert_eq!((out.in_port, out.actions.as_slice()), (SRV, [Action::output(PortNo::TABLE)].as_slice()));
    assert_eq!(Arp::parse(&out.data), Some(asks(S_MAC)), "the real gateway answers");
    assert!(matches!(messages(&back)[0].1, Message::Revoke { fence: false, .. }));
    assert_eq!((b.state(), b.status().epoch), (State::Home, e.next()));
}

#[test]
fn a_host_that_does_not_answer_for_its_copy_has_a_second() {
    let mut b = bench();
    let e = b.away();
    b.seen_at_home();
    let waiting = b.pass(ms(999));
    assert!(messages(&waiting).iter().all(|(_, m)| **m == Message::Query { address: S, epoch: e }));
    assert_eq!((messages(&waiting).len(), b.state()), (3, State::Returning));
    let over = b.pass(ms(1));
    assert!(b.done(batch(&over)).iter().any(is_revoke));
    assert_eq!(b.state(), State::Home);
}

#[test]
fn a_silent_or_absent_host_is_not_asked() {
    for down in [true, false] {
        let mut b = bench();
        b.away();
        if down {
            b.feed(Input::PeerDown("dc2".into(), "gone".into()));
        } else {
            b.pass(ms(30_000));
        }
        assert_eq!(b.state(), State::Stale);
        let seen = b.seen_at_home();
        assert!(messages(&seen).is_empty());
        b.done(batch(&seen));
        assert_eq!(b.state(), State::Home);
    }
}

#[test]
fn a_session_that_breaks_during_the_query_ends_it() {
    let mut b = bench();
    b.away();
    b.seen_at_home();
    let down = b.feed(Input::PeerDown("dc2".into(), "gone".into()));
    b.done(batch(&down));
    assert_eq!(b.state(), State::Home);
}

#[test]
fn a_server_alive_at_both_sites_is_home_s() {
    let mut b = bench();
    let e = b.away();
    b.seen_at_home();
    let alive = b.peer("dc2", Message::QueryAck { address: S, epoch: e, alive: true });
    assert!(has_alert(&alive));
    let back = b.done(batch(&alive));
    assert!(matches!(message(&back), Message::Revoke { epoch, fence: true, .. } if *epoch == e.next()));
    assert_eq!(b.state(), State::Home);
}

#[test]
fn only_the_asked_host_s_answer_of_this_epoch_counts() {
    let mut b = bench();
    let e = b.away();
    b.seen_at_home();
    b.peer("dc3", Message::QueryAck { address: S, epoch: e, alive: true });
    b.peer("dc2", Message::QueryAck { address: S, epoch: epoch(0), alive: true });
    assert_eq!(b.state(), State::Returning);
    let seen = b.pass(ms(1000));
    assert!(!has_alert(&seen));
}

#[test]
fn the_returning_server_s_frames_are_kept_each_once() {
    let mut b = bench();
    let e = b.away();
    for _ in 0..3 {
        b.seen_at_home();
        b.frame(SRV, &Arp::probe(S_MAC, S));
    }
    let dead = b.peer("dc2", Message::QueryAck { address: S, epoch: e, alive: false });
    assert_eq!(packet_outs(&b.done(batch(&dead))).len(), 2);
}

#[test]
fn every_kind_of_arp_of_the_server_is_evidence() {
    for arp in [Arp::probe(S_MAC, S), Arp::announcement(S_MAC, S), asks(S_MAC), Arp::reply(S_MAC, S, W1, G1)] {
        let mut b = bench();
        b.away();
        b.frame(SRV, &arp);
        assert_eq!(b.state(), State::Returning, "{arp:?}");
    }
}

#[test]
fn evidence_from_another_mac_moves_nothing() {
    let mut b = bench();
    b.away();
    let stranger = b.frame(LAN, &asks(OTHER));
    assert!(has_alert(&stranger) && messages(&stranger).is_empty());
    assert_eq!(b.state(), State::Away);
    assert!(!has_alert(&b.frame(LAN, &asks(OTHER))), "said once a minute");
    assert_eq!(b.migration.refused()["evidence-from-foreign-mac"], 1);
    b.pass(ms(10_000));
}

#[test]
fn flows_that_the_switch_does_not_remove_are_removed_later() {
    let mut b = bench();
    let e = b.away();
    b.seen_at_home();
    let dead = b.peer("dc2", Message::QueryAck { address: S, epoch: e, alive: false });
    let refused = b.refuse(batch(&dead));
    assert!(has_alert(&refused) && messages(&refused).is_empty());
    let again = b.pass(ms(1000));
    b.done(batch(&again));
    assert_eq!(b.state(), State::Home);
}

#[test]
fn a_claim_during_the_return_is_not_granted() {
    let mut b = bench();
    b.away();
    b.seen_at_home();
    assert!(
        b.claim_knowing("dc3", T2, epoch(9)).iter().all(|e| !matches!(e, Effect::Send(_, Message::ClaimAck { .. })))
    );
    assert_eq!(b.state(), State::Returning);
}

#[test]
fn a_router_with_a_new_mac_gets_the_traffic_there() {
    let mut b = bench();
    b.away();
    let moved = MacAddr([2, 0, 0, 0, 1, 9]);
    let changed = b.frame(UP, &Arp::reply(moved, G1, W1, IpAddr::V4(Ipv4Addr::UNSPECIFIED)));
    let mods = programs(&changed)[0].1;
    assert!(mods[5].instructions.to_string().contains("02:00:00:00:01:09->eth_dst"));
}

#[test]
fn a_stale_placement_that_its_host_let_go_of_ends() {
    let mut b = bench();
    let e = b.away();
    b.feed(Input::PeerDown("dc2".into(), "no route".into()));
    assert_eq!(b.state(), State::Stale);
    assert!(messages(&b.pass(ms(60_000))).is_empty(), "nobody can be asked");
    let query = Message::Query { address: S, epoch: e };
    assert_eq!(messages(&b.feed(up("dc2"))), [("dc2", &query)]);
    assert_eq!(messages(&b.pass(ms(20_000))), [("dc2", &query), ("dc2", &query)], "at every renewal's time");
    b.peer("dc2", Message::QueryAck { address: S, epoch: e, alive: false });
    assert_eq!(b.state(), State::Stale, "only a release ends it");
    let released = b.peer("dc2", Message::Release { address: S, epoch: e });
    let done = b.done(batch(&released));
    assert_eq!(messages(&done), [("dc2", &Message::ReleaseAck { address: S, epoch: e })]);
    assert_eq!((b.state(), b.status().epoch), (State::Home, epoch(e.counter + 1)));
}

#[test]
fn a_host_that_renews_is_asked_no_more() {
    let mut b = bench();
    let e = b.away();
    b.feed(Input::PeerDown("dc2".into(), "no route".into()));
    b.feed(up("dc2"));
    b.peer("dc2", Message::Renew(vec![Renewal { address: S, epoch: e, alive: true }]));
    assert_eq!(b.state(), State::Away);
    assert!(messages(&b.pass(ms(15_000))).is_empty());
}
