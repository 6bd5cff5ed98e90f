//! An operator takes a server home, or calls a host dead.

use super::bench::{Bench, batch, epoch, has_alert, messages, ms, notes, records, up};
use super::site::{self, S, T1};
use super::world::{HOME, HOST, Reached, World};
use crate::migration::io::{Effect, Input};
use crate::migration::order::Verb;
use crate::migration::record::Record;
use crate::migration::site_order::{SiteOrder, SiteVerb, SiteVerdict};
use crate::migration::status::{State, reason};
use crate::peer::message::Message;

use std::time::Duration;

fn home() -> Bench {
    Bench::new(site::home())
}

fn dead(site: &str) -> SiteOrder {
    SiteOrder { verb: SiteVerb::AssumeDead, site: site.into(), reason: "no power".into(), dry_run: false }
}

fn assume_dead(b: &mut Bench, site: &str) -> (SiteVerdict, Vec<Effect>) {
    b.migration.order_site(b.now, &dead(site))
}

/// As [`assume_dead`], of what must not be refused; the one server's steps.
fn assumed_dead(b: &mut Bench, site: &str) -> (Vec<String>, Vec<Effect>) {
    let (verdict, effects) = assume_dead(b, site);
    assert!(verdict.plan.is_ok(), "{verdict:?}");
    let steps = verdict.servers.into_iter().flat_map(|s| s.plan.unwrap()).collect();
    (steps, effects)
}

/// The changes of state: whose word, from, to.
fn changes(effects: &[Effect]) -> Vec<(&str, &str, &str)> {
    notes(effects).iter().filter_map(|n| n.change.as_ref()).map(|c| (c.verb, c.from, c.to)).collect()
}

fn down(b: &mut Bench, peer: &str) {
    b.feed(Input::PeerDown(peer.into(), "no route".into()));
}

fn asks_whether_alive(effects: &[Effect]) -> bool {
    messages(effects).iter().any(|(_, m)| matches!(m, Message::Query { .. }))
}

fn revoke(epoch: crate::peer::message::Epoch, fence: bool) -> Message {
    Message::Revoke { address: S, epoch, fence, drain: 2 }
}

// ---- return -----------------------------------------------------------------------------

#[test]
fn returned_it_is_local_again_and_the_host_fences_its_copy_unasked() {
    for stale in [false, true] {
        let mut b = home();
        let e = b.away();
        if stale {
            down(&mut b, "dc2");
            assert_eq!(b.state(), State::Stale);
        }
        let (plan, out) = b.order(Verb::Return, false);
        let plan = plan.unwrap();
        assert!(plan[0].contains(&T1.to_string()) && plan[1].starts_with("dc2 is not asked"), "{plan:?}");
        let was = if stale { "STALE" } else { "AWAY" };
        assert_eq!(changes(&out), [("return", was, "RETURNING")]);
        assert!(!asks_whether_alive(&out));
        let back = b.done(batch(&out));
        assert!(matches!(records(&back)[..], [Record::Home { placement: None, epoch, .. }] if *epoch == e.next()));
        assert_eq!((b.state(), has_alert(&back)), (State::Home, false));
        let told = if stale { b.feed(up("dc2")) } else { back };
        assert_eq!(messages(&told), [("dc2", &revoke(e.next(), true))]);
    }
}

#[test]
fn a_return_that_cannot_be_says_why_and_what_to_do() {
    let mut b = home();
    let refused = |b: &mut Bench| b.order(Verb::Return, false).0.unwrap_err();
    assert_eq!(refused(&mut b).text, "it is at home");
    b.ordered(Verb::Prepare { to: "dc2".into() });
    let planned = refused(&mut b);
    assert_eq!(planned.text, "it is at home, and about to move");
    assert!(planned.remedy.contains("wamig unprepare 192.0.2.53"));
    b.ordered(Verb::Unprepare);
    b.ordered(Verb::Freeze);
    let frozen = refused(&mut b);
    assert_eq!(frozen.text, "it is frozen");
    assert!(frozen.remedy.contains("wamig unfreeze 192.0.2.53 --to dc1"));
    let mut b = home();
    b.claimed();
    assert_eq!(refused(&mut b).text, "it is being moved");
    let mut host = Bench::new(site::host());
    host.seen();
    assert_eq!(refused(&mut host).text, "its home is dc1");
}

#[test]
fn a_return_that_is_only_asked_for_does_nothing() {
    let mut b = home();
    b.away();
    let before = format!("{:?}", b.migration);
    let (plan, effects) = b.order(Verb::Return, true);
    assert_eq!((plan.is_ok(), effects.len()), (true, 0));
    assert_eq!(format!("{:?}", b.migration), before);
}

#[test]
fn a_running_copy_is_cut_off_and_the_server_is_served_where_it_starts() {
    let mut world = World::normal(1);
    world.stop_machine(HOME);
    world.start_machine(HOST);
    world.pass(Duration::from_secs(5));
    assert_eq!(world.query(), Reached::Copy);
    world.order(Verb::Return);
    world.pass(Duration::from_secs(5));
    assert_eq!((world.query(), world.state(HOME)), (Reached::Nobody, Some(State::Home)));
    assert_eq!(world.state(HOST), Some(State::Fenced));
    assert!(!world.copy_talks());
    world.start_machine(HOME);
    world.pass(Duration::from_secs(2));
    assert_eq!(world.query(), Reached::Home);
}

// ---- assume-dead ------------------------------------------------------------------------

#[test]
fn at_home_again_a_host_that_is_assumed_dead_is_not_asked() {
    let mut b = home();
    let e = b.away();
    let (steps, told) = assumed_dead(&mut b, "dc2");
    assert_eq!(steps, ["started here it is at home as soon as it is heard: dc2 is not asked"]);
    assert_eq!(changes(&told), [("assume-dead", "AWAY", "AWAY")], "for the audit log");
    let status = b.status();
    assert_eq!((status.state, status.reason), (State::Away, Some(reason::ASSUMED_DEAD)));
    assert!(status.remedy.unwrap().contains("Start it at home"));
    assert_eq!(b.migration.assumed_dead().collect::<Vec<_>>(), [("dc2", "no power")]);
    let heard = b.seen_at_home();
    assert!(!asks_whether_alive(&heard), "{heard:?}");
    let back = b.done(batch(&heard));
    assert_eq!(messages(&back), [("dc2", &revoke(e.next(), true))], "its session is up: a copy may talk there");
    assert_eq!(b.state(), State::Home);
}

#[test]
fn it_ends_when_a_new_session_is_up() {
    let mut b = home();
    b.away();
    down(&mut b, "dc2");
    assumed_dead(&mut b, "dc2");
    assert_eq!((b.state(), b.status().reason), (State::Stale, Some(reason::ASSUMED_DEAD)));
    assert!(has_alert(&b.feed(up("dc2"))));
    assert_eq!(b.migration.assumed_dead().count(), 0);
    assert_eq!(b.status().reason, Some(reason::PEER_SILENT));
    assert!(!has_alert(&b.feed(up("dc3"))), "another's");
}

#[test]
fn what_was_going_there_or_waits_for_it_is_ended() {
    let mut b = home();
    let e = b.claimed();
    let (steps, told) = assumed_dead(&mut b, "dc2");
    assert_eq!((steps, b.state()), (vec!["the grant to dc2 is taken back".to_owned()], State::Home));
    assert_eq!(messages(&told), [("dc2", &revoke(e.next(), false))]);

    let mut b = home();
    b.ordered(Verb::Prepare { to: "dc2".into() });
    let (steps, told) = assumed_dead(&mut b, "dc2");
    assert_eq!(steps, ["its move to dc2 is planned no more"]);
    assert_eq!(messages(&told), [("dc2", &revoke(epoch(2), false))]);
    let refused = b.order(Verb::Prepare { to: "dc2".into() }, false).0.unwrap_err();
    assert_eq!(refused.text, "dc2 is assumed dead: no power");

    let mut b = home();
    b.away();
    assert!(asks_whether_alive(&b.seen_at_home()));
    let (steps, told) = assumed_dead(&mut b, "dc2");
    assert_eq!(steps, ["it comes home without dc2's word"]);
    b.done(batch(&told));
    assert_eq!(b.state(), State::Home);
}

#[test]
fn what_an_operator_holds_stays_held() {
    let mut b = home();
    b.away();
    b.ordered(Verb::Freeze);
    let (steps, _) = assumed_dead(&mut b, "dc2");
    assert!(steps[0].starts_with("it stays frozen; `wamig unfreeze 192.0.2.53 --to dc1"), "{steps:?}");
    b.seen_at_home();
    assert_eq!(b.state(), State::Frozen);
    // That it was to be there rather than here is not held against it any more.
    let mut b = home();
    b.away();
    b.ordered(Verb::Freeze);
    b.ordered(Verb::Unfreeze { to: Some("dc2".into()) });
    b.seen_at_home();
    assert_eq!(b.state(), State::Away);
    assumed_dead(&mut b, "dc2");
    b.seen_at_home();
    assert_eq!(b.state(), State::Returning);
}

#[test]
fn a_site_that_is_none_of_its_hosts_cannot_be_assumed_dead_nor_twice() {
    let mut b = home();
    let refused = |b: &mut Bench, site: &str| assume_dead(b, site).0.plan.unwrap_err();
    let unknown = refused(&mut b, "dc9");
    assert_eq!(unknown.text, "no server whose home is here may be at dc9");
    assert_eq!(unknown.remedy, "Their hosts are dc2, dc3: see hosts of [[server]] in the configuration.");
    let (verdict, effects) = assume_dead(&mut b, "dc3");
    assert!(verdict.plan.is_ok() && verdict.servers.is_empty() && effects.is_empty(), "nothing is there");
    let again = refused(&mut b, "dc3");
    assert_eq!(again.text, "it is assumed dead already: no power");
    assert!(again.remedy.contains("a session with dc3 is up again"));
    let silent = SiteOrder { reason: " ".into(), ..dead("dc2") };
    assert_eq!(b.migration.order_site(b.now, &silent).0.plan.unwrap_err().text, "the reason has 0 octets");
    b.away();
    let before = format!("{:?}", b.migration);
    let (asked, effects) = b.migration.order_site(b.now, &SiteOrder { dry_run: true, ..dead("dc2") });
    assert_eq!((asked.plan.is_ok(), asked.servers.len(), effects.len()), (true, 1, 0));
    assert_eq!(format!("{:?}", b.migration), before);
    b.pass(ms(10));
}
