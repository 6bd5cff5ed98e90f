//! What is frozen stays, by an operator's order or because it moved too often.

use std::time::Duration;

use super::bench::{Bench, batch, epoch, has_alert, has_event, message, messages, ms, notes, records, up};
use super::site::{self, S, T1, T2};
use crate::migration::io::{Change, Effect, Input, event};
use crate::migration::order::{Order, Verb};
use crate::migration::record::{Freeze, FrozenBy, Record};
use crate::migration::status::{State, reason};
use crate::peer::message::{Message, NackReason, Renewal};

const FREEZE: Verb = Verb::Freeze;
const UNFREEZE: Verb = Verb::Unfreeze { to: None };

fn unfreeze_to(site: &str) -> Verb {
    Verb::Unfreeze { to: Some(site.into()) }
}

fn home() -> Bench {
    Bench::new(site::home())
}

/// The changes of state: whose word, from, to.
fn changes(effects: &[Effect]) -> Vec<(&str, &str, &str)> {
    let change = |c: &'_ Change| (c.verb, c.from, c.to);
    notes(effects).iter().filter_map(|n| n.change.as_ref()).map(change).collect()
}

fn remedy(bench: &Bench) -> String {
    bench.status().remedy.unwrap()
}

#[test]
fn a_claim_of_a_server_frozen_at_home_is_refused_without_a_probe() {
    let mut b = home();
    b.feed(Input::WallClock(1_795_348_862_000));
    b.pass(ms(5000));
    let frozen = b.ordered(FREEZE);
    assert_eq!(changes(&frozen), [("freeze", "HOME", "FROZEN")]);
    assert!(has_event(&frozen, event::FROZEN) && !has_alert(&frozen));
    let freeze = Freeze {
        by: FrozenBy::Operator,
        reason: "the operator's reason".into(),
        since_unix_ms: Some(1_795_348_867_000),
    };
    assert!(matches!(records(&frozen)[0], Record::Home { frozen: Some(f), placement: None, .. } if *f == freeze));
    let claimed = b.claim("dc2", T1);
    assert_eq!(*message(&claimed), Message::ClaimNack { address: S, reason: NackReason::Frozen });
    let status = b.status();
    assert_eq!((status.state, status.reason), (State::Frozen, Some(reason::FROZEN_BY_OPERATOR)));
    assert!(remedy(&b).contains("the operator's reason") && remedy(&b).contains("wamig unfreeze 192.0.2.53"));
    assert_eq!(status.since_unix_ms, freeze.since_unix_ms);
    b.ordered(UNFREEZE);
    assert_eq!(b.claimed(), epoch(1), "it moves again");
}

#[test]
fn a_claim_that_is_looked_into_is_refused_when_the_server_is_frozen() {
    let mut b = home();
    b.claim("dc2", T1);
    let (plan, frozen) = b.order(FREEZE, false);
    assert_eq!(plan.unwrap()[0], "the claim of dc2 is refused");
    assert_eq!(*message(&frozen), Message::ClaimNack { address: S, reason: NackReason::Frozen });
    b.pass(ms(2000));
    assert_eq!(b.state(), State::Frozen);
}

#[test]
fn what_is_frozen_away_stays_there_whoever_is_heard() {
    let mut b = home();
    let e = b.away();
    let (plan, frozen) = b.order(FREEZE, false);
    let stays = "it stays at dc2, reached by 198.51.100.200; no claim and no sign of it at home moves it";
    assert_eq!(plan.unwrap(), [stays]);
    assert_eq!(changes(&frozen), [("freeze", "AWAY", "FROZEN")]);
    let heard = b.seen_at_home();
    assert!(has_alert(&heard) && messages(&heard).is_empty(), "{heard:?}");
    assert!(b.seen_at_home().is_empty(), "said once a minute");
    b.pass(Duration::from_secs(61));
    assert!(has_alert(&b.seen_at_home()));
    // Of the hosts, only the present one may claim it: it may have lost its state.
    assert_eq!(*message(&b.claim("dc3", T2)), Message::ClaimNack { address: S, reason: NackReason::Frozen });
    assert!(matches!(message(&b.claim_knowing("dc2", T1, e)), Message::ClaimAck { epoch, .. } if *epoch == e));
    let renewal = Renewal { address: S, epoch: e, alive: true };
    let renewed = b.peer("dc2", Message::Renew(vec![renewal]));
    assert_eq!(*message(&renewed), Message::RenewAck(vec![(S, e)]), "the lease goes on");
    let status = b.status();
    assert_eq!((status.state, status.peer.as_deref(), status.transfer), (State::Frozen, Some("dc2"), Some(T1)));
    assert!(changes(&b.feed(Input::PeerDown("dc2".into(), "no route".into()))).is_empty(), "frozen all the same");
    assert!(remedy(&b).starts_with("dc2 is silent; its flows stay. "), "{}", remedy(&b));
    b.ordered(UNFREEZE);
    assert_eq!(b.state(), State::Stale);
    b.seen_at_home();
    assert_eq!(b.state(), State::Returning, "it moves again");
}

#[test]
fn a_freeze_outlives_a_restart() {
    let mut b = home();
    b.feed(Input::WallClock(1_000_000));
    b.away();
    let frozen = b.ordered(FREEZE);
    let record = Record::decode(&records(&frozen)[0].encode()).unwrap();
    let mut b = Bench::cold(site::home(), vec![record]);
    b.switch_up();
    b.gateway();
    let status = b.status();
    assert_eq!((status.state, status.peer.as_deref()), (State::Frozen, Some("dc2")));
    assert!(status.since_unix_ms.is_some_and(|at| at >= 1_000_000), "since it was frozen, not since the restart");
    b.seen_at_home();
    assert_eq!(b.state(), State::Frozen);
}

#[test]
fn what_is_under_way_is_finished_first() {
    let mut b = home();
    let e = b.claimed();
    let (plan, frozen) = b.order(FREEZE, false);
    assert_eq!(plan.unwrap()[0], "its move to dc2 is finished first");
    assert_eq!(changes(&frozen), [("freeze", "CLAIMED", "CLAIMED")], "recorded at once");
    assert!(b.order(unfreeze_to("dc1"), false).0.is_err(), "not in the middle of it");
    let ready = b.peer("dc2", Message::Ready { address: S, epoch: e });
    let switched = b.done(batch(&ready));
    assert_eq!(changes(&switched), [("automatic", "CLAIMED", "FROZEN")]);
    assert_eq!(b.status().peer.as_deref(), Some("dc2"));
}

/// Moves the server out, or back.
fn flap(b: &mut Bench, moves: usize) -> Vec<Effect> {
    let mut last = Vec::new();
    for i in 0..moves {
        if i % 2 == 0 {
            let e = b.claim_knowing("dc2", T1, b.status().epoch);
            assert!(!has_alert(&e), "{e:?}");
            b.pass(ms(300));
            let epoch = b.status().epoch;
            let ready = b.peer("dc2", Message::Ready { address: S, epoch });
            last = b.done(batch(&ready));
        } else {
            b.seen_at_home();
            let epoch = b.status().epoch;
            let out = b.peer("dc2", Message::QueryAck { address: S, epoch, alive: false });
            last = b.done(batch(&out));
        }
    }
    last
}

#[test]
fn an_address_that_moves_too_often_freezes_where_it_is() {
    let mut b = home();
    assert!(!has_alert(&flap(&mut b, 4)));
    assert_eq!(b.state(), State::Home);
    // The fifth is borne, the sixth is not.
    let fifth = flap(&mut b, 1);
    assert_eq!((has_alert(&fifth), b.state()), (false, State::Away));
    b.seen_at_home();
    let e = b.status().epoch;
    let out = b.peer("dc2", Message::QueryAck { address: S, epoch: e, alive: false });
    let sixth = b.done(batch(&out));
    assert!(has_alert(&sixth) && has_event(&sixth, event::FROZEN));
    assert_eq!(changes(&sixth), [("automatic", "RETURNING", "FROZEN")]);
    let by_damping = |f: &Option<Freeze>| f.as_ref().is_some_and(|f| f.by == FrozenBy::Damping);
    assert!(matches!(records(&sixth)[0], Record::Home { frozen, placement: None, .. } if by_damping(frozen)));
    assert_eq!(b.status().reason, Some(reason::FLAPPING));
    assert!(remedy(&b).starts_with("It made 6 moves in "), "{}", remedy(&b));
    b.ordered(UNFREEZE);
    assert!(!has_alert(&flap(&mut b, 5)), "counted anew");
}

#[test]
fn moves_far_apart_or_ordered_do_not_freeze() {
    let mut b = home();
    for _ in 0..10 {
        flap(&mut b, 2);
        b.pass(Duration::from_secs(90));
    }
    assert_eq!(b.state(), State::Home);
    for _ in 0..10 {
        flap(&mut b, 1);
        b.pass(Duration::from_secs(40));
        b.ordered(FREEZE);
        let out = b.ordered(unfreeze_to("dc1"));
        b.done(batch(&out));
    }
    assert_eq!(b.state(), State::Home);
}

#[test]
fn unfrozen_to_its_home_it_is_taken_from_the_host() {
    let mut b = home();
    let e = b.away();
    b.ordered(FREEZE);
    let (plan, out) = b.order(unfreeze_to("dc1"), false);
    assert_eq!(plan.unwrap().len(), 3);
    assert_eq!(changes(&out), [("unfreeze", "FROZEN", "AWAY"), ("unfreeze", "AWAY", "RETURNING")]);
    let back = b.done(batch(&out));
    let revoke = Message::Revoke { address: S, epoch: e.next(), fence: true, drain: 2 };
    assert_eq!(messages(&back), [("dc2", &revoke)]);
    assert_eq!(b.state(), State::Home);
}

#[test]
fn unfrozen_to_its_host_a_copy_at_home_stays_outside_until_it_is_silent() {
    let mut b = home();
    b.away();
    b.ordered(FREEZE);
    b.ordered(unfreeze_to("dc2"));
    assert_eq!((b.state(), b.status().reason), (State::Away, None));
    for _ in 0..5 {
        b.feed(up("dc2"));
        b.pass(Duration::from_secs(20));
        b.seen_at_home();
        assert_ne!(b.state(), State::Returning);
    }
    assert_eq!(b.status().reason, Some(reason::DUPLICATE_HERE));
    b.pass(Duration::from_secs(31));
    b.seen_at_home();
    assert_eq!(b.state(), State::Returning, "it was silent: whoever is heard now is a new one");
}

#[test]
fn an_order_that_is_only_asked_for_does_nothing() {
    let mut b = home();
    b.away();
    let before = format!("{:?}", b.migration);
    let (plan, effects) = b.order(FREEZE, true);
    assert_eq!((plan.is_ok(), effects.len()), (true, 0));
    assert_eq!(format!("{:?}", b.migration), before);
    assert!(b.order(UNFREEZE, true).0.is_err());
}

#[test]
fn an_order_that_cannot_be_carried_out_says_why_and_what_to_do() {
    let mut b = home();
    let refused = |b: &mut Bench, verb| b.order(verb, false).0.unwrap_err().text;
    assert_eq!(refused(&mut b, UNFREEZE), "it is not frozen");
    b.ordered(FREEZE);
    assert_eq!(refused(&mut b, FREEZE), "it is frozen already: the operator's reason");
    assert_eq!(refused(&mut b, unfreeze_to("dc9")), "dc9 is not a site of it");
    assert_eq!(refused(&mut b, unfreeze_to("dc2")), "it is not at dc2");
    b.ordered(unfreeze_to("dc1"));
    let order = |reason: String| Order { verb: FREEZE, address: S, reason, dry_run: false };
    let mut text = |reason: String| b.migration.order(b.now, &order(reason)).0.remove(0).plan.unwrap_err().text;
    assert_eq!(text("  ".into()), "the reason has 0 octets");
    assert_eq!(text("x".repeat(501)), "the reason has 501 octets");
    let mut host = Bench::new(site::host());
    assert_eq!(refused(&mut host, FREEZE), "this site is not its home");
    host.seen();
    assert_eq!(refused(&mut host, FREEZE), "its home is dc1");
}
