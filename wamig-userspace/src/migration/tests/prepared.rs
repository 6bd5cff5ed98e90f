//! A planned move at the home, row by row.

use std::net::{IpAddr, Ipv4Addr};

use super::bench::{
    Bench, batch, epoch, has_alert, has_event, message, messages, ms, notes, packet_outs, place, profile, records, up,
};
use super::site::{self, PREPARED, S, S_MAC, T1, T2};
use crate::migration::io::{Effect, Input, event};
use crate::migration::order::Verb;
use crate::migration::planned::Planned;
use crate::migration::record::Record;
use crate::migration::status::{State, reason};
use crate::peer::message::{Epoch, Evidence, Message, NackReason};

const THIRD: IpAddr = IpAddr::V4(Ipv4Addr::new(100, 64, 3, 200));

fn prepare(to: &str) -> Verb {
    Verb::Prepare { to: to.into() }
}

fn home() -> Bench {
    let mut bench = Bench::new(site::home());
    bench.feed(up("dc3"));
    bench
}

/// Prepared for dc2, which keeps T1.
fn prepared() -> Bench {
    let mut b = home();
    b.ordered(prepare("dc2"));
    b.peer("dc2", Message::PrepareAck { address: S, epoch: epoch(1), transfer: T1 });
    assert_eq!((b.state(), b.status().transfer), (State::Prepared, Some(T1)));
    b
}

/// dc2 has heard the server, and acts on the preparation.
fn comes(b: &mut Bench, transfer: IpAddr, last_epoch: Epoch) -> Vec<Effect> {
    let evidence = Evidence::Rarp;
    b.peer("dc2", Message::Claim { address: S, mac: S_MAC, transfer, evidence, last_epoch, token: true })
}

fn acked(effects: &[Effect]) -> Option<(Epoch, Option<IpAddr>)> {
    messages(effects).iter().find_map(|(_, m)| match m {
        Message::ClaimAck { epoch, transfer, .. } => Some((*epoch, *transfer)),
        _ => None,
    })
}

fn revoked(effects: &[Effect], peer: &str) -> Option<Epoch> {
    messages(effects).iter().find_map(|(p, m)| match m {
        Message::Revoke { epoch, fence: false, .. } if *p == peer => Some(*epoch),
        _ => None,
    })
}

fn nacked(effects: &[Effect]) -> Option<(&str, NackReason)> {
    messages(effects).iter().find_map(|(p, m)| match m {
        Message::ClaimNack { reason, .. } => Some((*p, *reason)),
        _ => None,
    })
}

/// The changes of state: whose word, from, to, why.
fn changes(effects: &[Effect]) -> Vec<(&str, &str, &str, &str)> {
    let all = notes(effects);
    all.into_iter().filter_map(|n| n.change.as_ref()).map(|c| (c.verb, c.from, c.to, c.why.as_str())).collect()
}

fn is_prepare(e: &Effect) -> bool {
    matches!(e, Effect::Send(_, Message::Prepare { .. }))
}

// ---- HOME -> PREPARED -------------------------------------------------------------------

#[test]
fn an_order_is_durable_before_the_host_is_asked() {
    let mut b = home();
    let told = b.ordered(prepare("dc2"));
    let planned = Planned { peer: "dc2".into(), reason: "the operator's reason".into() };
    let record = Record::Home { address: S, epoch: epoch(1), placement: None, frozen: None, planned: Some(planned) };
    assert!(place(&told, |e| *e == Effect::Persist(record.clone())) < place(&told, is_prepare));
    let (mac, lease, window, profile) = (S_MAC, 30, 20, profile());
    assert_eq!(*message(&told), Message::Prepare { address: S, epoch: epoch(1), mac, lease, window, profile });
    let why = "its move to dc2 is planned: the operator's reason";
    assert_eq!(changes(&told), [("prepare", "HOME", "PREPARED", why)]);
    let status = b.status();
    assert_eq!((status.state, status.reason), (State::Prepared, Some(reason::PREPARING)));
    assert_eq!((status.peer.as_deref(), status.transfer), (Some("dc2"), None));
    b.peer("dc2", Message::PrepareAck { address: S, epoch: epoch(1), transfer: T1 });
    let status = b.status();
    assert_eq!((status.reason, status.transfer), (Some(reason::PREPARED), Some(T1)));
    let remedy = status.remedy.unwrap();
    assert!(remedy.contains("Move it to dc2 now") && remedy.contains("the operator's reason"), "{remedy}");
    assert!(remedy.contains("wamig unprepare 192.0.2.53"), "{remedy}");
}

#[test]
fn the_host_is_asked_until_it_answers_and_anew_in_every_session() {
    let mut b = home();
    b.ordered(prepare("dc2"));
    for _ in 0..3 {
        assert!(is_prepare(&Effect::Send(String::new(), message(&b.pass(ms(1000))).clone())));
    }
    let ack = Message::PrepareAck { address: S, epoch: epoch(1), transfer: T1 };
    assert!(has_event(&b.peer("dc2", ack.clone()), event::PREPARE_ACK_RECEIVED));
    assert!(messages(&b.pass(ms(5000))).is_empty());
    b.feed(Input::PeerDown("dc2".into(), "no route".into()));
    assert_eq!(b.state(), State::Prepared);
    assert!(messages(&b.pass(ms(3000))).is_empty(), "nobody to ask");
    let told = b.feed(up("dc2"));
    assert!(told.iter().any(is_prepare), "it may have lost its state");
    assert_eq!(b.status().transfer, None);
    b.peer("dc3", ack);
    assert_eq!(b.status().transfer, None, "another's answer");
}

#[test]
fn an_order_that_cannot_be_carried_out_says_why() {
    let mut b = home();
    let refused = |b: &mut Bench, verb| b.order(verb, false).0.unwrap_err().text;
    assert_eq!(refused(&mut b, Verb::Unprepare), "no move of it is prepared");
    assert_eq!(refused(&mut b, prepare("dc1")), "dc1 is not among its hosts");
    b.feed(Input::PeerUp("dc3".into(), 0x0100));
    let old = b.order(prepare("dc3"), false).0.unwrap_err();
    assert_eq!(old.text, "wamig at dc3 is older and knows no planned moves");
    assert!(old.remedy.starts_with("Upgrade it"));
    b.feed(Input::PeerDown("dc3".into(), "no route".into()));
    assert_eq!(refused(&mut b, prepare("dc3")), "dc3 is down");
    b.ordered(prepare("dc2"));
    assert_eq!(refused(&mut b, prepare("dc2")), "it is prepared for dc2 already: the operator's reason");
    b.ordered(Verb::Unprepare);
    b.ordered(Verb::Freeze);
    assert_eq!(refused(&mut b, prepare("dc2")), "it is frozen");
    b.ordered(Verb::Unfreeze { to: None });
    b.claim_knowing("dc2", T1, epoch(9));
    assert_eq!(refused(&mut b, prepare("dc2")), "it is being moved");
    let mut b = home();
    b.away();
    assert_eq!(refused(&mut b, prepare("dc2")), "it is at dc2 already");
    assert_eq!(refused(&mut b, prepare("dc3")), "it is away, at dc2");
    let mut b = Bench::cold(site::home(), Vec::new());
    b.feed(up("dc2"));
    assert_eq!(refused(&mut b, prepare("dc2")), "the own router's MAC address is not known yet");
}

#[test]
fn an_order_that_is_only_asked_for_does_nothing() {
    let mut b = home();
    let before = format!("{:?}", b.migration);
    let (plan, effects) = b.order(prepare("dc2"), true);
    assert_eq!((plan.unwrap().len(), effects.len()), (3, 0));
    assert_eq!(format!("{:?}", b.migration), before);
}

#[test]
fn a_host_that_cannot_ends_it_and_says_why() {
    for (why, text) in [
        (NackReason::Unable, "dc2 has no room for it"),
        (NackReason::Unauthorised, "dc2 is not configured to host it"),
        (NackReason::Stale, "dc2 knows a newer epoch of it, 1.7"),
    ] {
        let mut b = home();
        b.ordered(prepare("dc2"));
        let last_epoch = if why == NackReason::Stale { epoch(7) } else { Epoch::default() };
        let told = b.peer("dc2", Message::PrepareNack { address: S, epoch: epoch(1), reason: why, last_epoch });
        assert!(notes(&told).iter().any(|n| n.alert && n.detail.contains(text)), "{told:?}");
        assert_eq!(b.state(), State::Home);
        assert!(b.status().epoch > last_epoch && b.status().epoch > epoch(1));
        assert!(revoked(&told, "dc2").is_some());
    }
}

#[test]
fn a_transfer_address_that_cannot_be_one_ends_it() {
    let mut b = home();
    b.ordered(prepare("dc2"));
    let told = b.peer("dc2", Message::PrepareAck { address: S, epoch: epoch(1), transfer: S });
    assert!(has_alert(&told) && revoked(&told, "dc2") == Some(epoch(2)));
    assert_eq!(b.state(), State::Home);
}

// ---- PREPARED -> CLAIMED ----------------------------------------------------------------

#[test]
fn the_prepared_host_is_granted_at_once_and_under_the_epoch_it_knows() {
    let mut b = prepared();
    let granted = comes(&mut b, T1, epoch(1));
    assert_eq!(acked(&granted), Some((epoch(1), Some(T1))));
    assert!(packet_outs(&granted).is_empty(), "it is not looked for here");
    let why = "granted to dc2 by 198.51.100.200, epoch 1.1, as planned (the operator's reason), evidence rarp";
    assert_eq!(changes(&granted), [("automatic", "PREPARED", "CLAIMED", why)]);
    let ready = b.peer("dc2", Message::Ready { address: S, epoch: epoch(1) });
    let switched = b.done(batch(&ready));
    assert!(
        matches!(records(&switched)[0], Record::Home { placement: Some(p), planned: None, .. } if p.transfer == T1)
    );
    assert_eq!(messages(&switched), [("dc2", &Message::Active { address: S, epoch: epoch(1) })]);
    assert_eq!(b.state(), State::Away);
}

#[test]
fn a_claim_that_does_not_know_of_it_is_granted_without_a_search() {
    for transfer in [T1, T2] {
        let mut b = home();
        b.ordered(prepare("dc2"));
        let granted = b.claim("dc2", transfer);
        assert_eq!(acked(&granted), Some((epoch(2), Some(transfer))));
        assert!(packet_outs(&granted).is_empty());
        assert!(matches!(records(&granted)[0], Record::Home { epoch: e, planned: None, .. } if *e == epoch(2)));
        assert_eq!(b.state(), State::Claimed);
    }
}

#[test]
fn another_transfer_address_than_was_kept_needs_another_epoch() {
    let mut b = prepared();
    assert_eq!(acked(&comes(&mut b, T2, epoch(1))), Some((epoch(2), Some(T2))));
    let mut b = home();
    b.ordered(prepare("dc2"));
    assert_eq!(acked(&comes(&mut b, T2, epoch(1))), Some((epoch(1), Some(T2))), "its answer is on its way");
}

#[test]
fn a_claim_from_before_the_answer_is_overtaken_by_it() {
    let mut b = prepared();
    assert!(b.claim("dc2", T2).is_empty());
    assert_eq!(b.state(), State::Prepared);
}

#[test]
fn a_ready_that_overtakes_its_claim_is_as_good() {
    let mut b = prepared();
    let ready = b.peer("dc2", Message::Ready { address: S, epoch: epoch(1) });
    let switched = b.done(batch(&ready));
    assert!(has_event(&switched, event::ACTIVE_SENT));
    assert_eq!((b.state(), b.status().transfer), (State::Away, Some(T1)));
    assert_eq!(acked(&comes(&mut b, T1, epoch(1))), Some((epoch(1), Some(T1))), "late, and answered");
}

#[test]
fn a_ready_for_who_knows_which_transfer_address_is_stale() {
    let mut b = home();
    b.ordered(prepare("dc2"));
    let told = b.peer("dc2", Message::Ready { address: S, epoch: epoch(1) });
    assert_eq!(nacked(&told), Some(("dc2", NackReason::Stale)));
    assert_eq!(b.state(), State::Prepared);
    for (peer, e) in [("dc3", 1), ("dc2", 2)] {
        let mut b = prepared();
        let told = b.peer(peer, Message::Ready { address: S, epoch: epoch(e) });
        assert_eq!((nacked(&told), b.state()), (Some((peer, NackReason::Stale)), State::Prepared));
    }
}

#[test]
fn planned_moves_freeze_nothing() {
    let mut b = prepared();
    for _ in 0..8 {
        let e = b.status().epoch;
        comes(&mut b, T1, e);
        let ready = b.peer("dc2", Message::Ready { address: S, epoch: e });
        b.done(batch(&ready));
        assert_eq!(b.state(), State::Away);
        let released = b.peer("dc2", Message::Release { address: S, epoch: e });
        b.done(batch(&released));
        b.ordered(prepare("dc2"));
    }
    assert_eq!(b.state(), State::Prepared);
}

#[test]
fn a_host_that_does_not_get_ready_loses_the_plan_too() {
    let mut b = prepared();
    comes(&mut b, T1, epoch(1));
    let late = b.pass(ms(2000));
    assert_eq!((b.state(), revoked(&late, "dc2")), (State::Home, Some(epoch(2))));
    let told = b.peer("dc2", Message::Ready { address: S, epoch: epoch(1) });
    assert_eq!(nacked(&told), Some(("dc2", NackReason::Stale)));
    assert!(!packet_outs(&b.claim_knowing("dc2", T1, epoch(2))).is_empty(), "from now on it is looked for");
}

#[test]
fn seen_at_home_it_stays_prepared_until_it_has_gone() {
    let mut b = prepared();
    assert!(b.seen_at_home().is_empty());
    assert_eq!(b.state(), State::Prepared);
    comes(&mut b, T1, epoch(1));
    let seen = b.seen_at_home();
    assert!(matches!(message(&seen), Message::Revoke { fence: true, epoch: e, .. } if *e == epoch(2)), "a mistake");
}

// ---- another host -----------------------------------------------------------------------

#[test]
fn another_host_s_claim_is_looked_into_and_ends_the_plan_when_it_is_true() {
    let mut b = prepared();
    assert!(!packet_outs(&b.claim("dc3", THIRD)).is_empty());
    assert_eq!(nacked(&b.seen_at_home()), Some(("dc3", NackReason::AliveAtHome)));
    assert_eq!(b.state(), State::Prepared, "it was wrong");
    b.claim("dc3", THIRD);
    let granted = b.pass(ms(300));
    assert_eq!(acked(&granted), Some((epoch(2), Some(THIRD))));
    assert_eq!(revoked(&granted, "dc2"), Some(epoch(2)));
    assert!(matches!(records(&granted)[0], Record::Home { planned: None, .. }));
    assert_eq!((b.state(), b.status().peer.as_deref()), (State::Claimed, Some("dc3")));
    assert_eq!(nacked(&b.peer("dc2", Message::Ready { address: S, epoch: epoch(1) })).unwrap().0, "dc2");
}

#[test]
fn the_prepared_host_goes_before_a_claim_that_is_looked_into() {
    let mut b = prepared();
    b.claim("dc3", THIRD);
    let granted = comes(&mut b, T1, epoch(1));
    assert_eq!(nacked(&granted), Some(("dc3", NackReason::Stale)), "it is answered");
    assert_eq!(acked(&granted), Some((epoch(1), Some(T1))));
}

// ---- PREPARED -> HOME -------------------------------------------------------------------

#[test]
fn after_its_time_it_is_over() {
    let mut b = prepared();
    b.pass(PREPARED.abs_diff(ms(1)));
    assert_eq!(b.state(), State::Prepared);
    let over = b.pass(ms(1));
    assert!(has_alert(&over) && revoked(&over, "dc2") == Some(epoch(2)));
    let why = "dc2 has not heard it within 20 s";
    assert_eq!(changes(&over), [("automatic", "PREPARED", "HOME", why)]);
    assert!(matches!(records(&over)[0], Record::Home { epoch: e, planned: None, .. } if *e == epoch(2)));
    // Who comes too late is answered all the same, and looked for.
    let late = comes(&mut b, T1, epoch(1));
    assert!(!packet_outs(&late).is_empty() && acked(&late).is_none());
    assert_eq!(nacked(&b.peer("dc2", Message::Ready { address: S, epoch: epoch(1) })).unwrap().0, "dc2");
    assert_eq!(acked(&b.pass(ms(300))), Some((epoch(3), Some(T1))));
}

#[test]
fn an_operator_takes_it_back() {
    let mut b = prepared();
    let ended = b.ordered(Verb::Unprepare);
    assert_eq!(changes(&ended), [("unprepare", "PREPARED", "HOME", "the operator's reason")]);
    assert!(!has_alert(&ended) && revoked(&ended, "dc2") == Some(epoch(2)));
    assert_eq!((b.state(), b.status().reason, b.status().peer), (State::Home, None, None));
    b.peer("dc2", Message::PrepareAck { address: S, epoch: epoch(1), transfer: T1 });
    assert_eq!((b.state(), b.status().transfer), (State::Home, None), "too late");
}

#[test]
fn what_is_frozen_is_planned_no_more() {
    let mut b = prepared();
    let (plan, frozen) = b.order(Verb::Freeze, false);
    assert_eq!(plan.unwrap()[0], "its move to dc2 is planned no more");
    assert_eq!(revoked(&frozen, "dc2"), Some(epoch(2)));
    let steps: Vec<_> = changes(&frozen).iter().map(|c| (c.0, c.1, c.2)).collect();
    assert_eq!(steps, [("freeze", "PREPARED", "HOME"), ("freeze", "HOME", "FROZEN")]);
    assert_eq!(nacked(&comes(&mut b, T1, epoch(1))), Some(("dc2", NackReason::Frozen)));
    b.ordered(Verb::Unfreeze { to: None });
    assert_eq!(b.state(), State::Home);
}

// ---- restarts ---------------------------------------------------------------------------

#[test]
fn a_plan_outlives_a_restart_and_its_time_begins_anew() {
    let mut b = home();
    let told = b.ordered(prepare("dc2"));
    let record = Record::decode(&records(&told)[0].encode()).unwrap();
    let mut b = Bench::cold(site::home(), vec![record.clone()]);
    assert_eq!((b.state(), b.status().epoch), (State::Prepared, epoch(1)));
    b.switch_up();
    b.feed(up("dc2"));
    let asked = b.gateway();
    assert!(asked.iter().chain(&b.pass(ms(1000))).any(is_prepare), "as soon as the own router is known");
    b.pass(PREPARED.abs_diff(ms(1001)));
    assert_eq!(b.state(), State::Prepared);
    b.pass(ms(1));
    assert_eq!((b.state(), b.status().epoch), (State::Home, epoch(2)));
    let mut config = site::home();
    config.servers[0].hosts = vec!["dc3".into()];
    let b = Bench::cold(config, vec![record]);
    assert_eq!((b.state(), b.status().epoch), (State::Home, epoch(1)), "dc2 is not its host any more");
}

#[test]
fn a_claim_before_the_own_router_is_known_is_answered() {
    let mut b = home();
    let told = b.ordered(prepare("dc2"));
    let record = records(&told)[0].clone();
    let mut b = Bench::cold(site::home(), vec![record]);
    b.switch_up();
    b.feed(up("dc2"));
    assert_eq!(nacked(&comes(&mut b, T1, epoch(1))), Some(("dc2", NackReason::Stale)));
    b.gateway();
    assert_eq!(acked(&b.claim_knowing("dc2", T1, epoch(1))), Some((epoch(2), Some(T1))));
}
