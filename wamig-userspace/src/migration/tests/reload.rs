//! Another configuration while the site runs: what stands in its way, and what it leaves alone.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use wamig_openflow::{FlowMod, FlowModCommand, MacAddr};

use super::bench::{Bench, asks, batch, epoch, has_alert, message, messages, ms, profile, programs, records};
use super::site::{self, G1, G1_MAC, S, S_MAC, SRV, T1, T2, T3};
use crate::migration::config::{AddressRange, GuestPolicy, Prefix, Server, SiteConfig};
use crate::migration::cookie;
use crate::migration::flows;
use crate::migration::io::Effect;
use crate::migration::order::Verb;
use crate::migration::record::{Placement, Record};
use crate::migration::reload::About;
use crate::migration::status::{State, reason};
use crate::peer::message::{Message, NackReason};

/// Another server of dc1.
const OTHER: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 60));
const OTHER_MAC: MacAddr = MacAddr([2, 0, 0, 0, 0, 0x60]);

fn other() -> Server {
    Server { address: OTHER, mac: OTHER_MAC, hosts: vec!["dc2".into()] }
}

fn with(mut config: SiteConfig, change: impl FnOnce(&mut SiteConfig)) -> SiteConfig {
    change(&mut config);
    config
}

impl Bench {
    /// What stands in the way of a configuration.
    fn against(&self, to: &SiteConfig) -> Vec<(About, String)> {
        self.migration.objections(to).into_iter().map(|(about, no)| (about, no.text)).collect()
    }

    /// A configuration in whose way nothing stands.
    fn reload(&mut self, to: &SiteConfig, records: Vec<Record>) -> Vec<Effect> {
        assert_eq!(self.against(to), []);
        self.migration.adopt(self.now, to.clone(), records)
    }
}

fn goes(mods: &[FlowMod]) -> Vec<String> {
    let gone = mods.iter().filter(|m| m.command == FlowModCommand::DeleteStrict);
    gone.map(|m| format!("{} {}", m.priority, m.matching)).collect()
}

#[test]
fn a_server_is_added_and_the_one_that_is_away_notices_nothing() {
    let mut b = Bench::new(site::home());
    b.away();
    let before = b.status();
    let to = with(site::home(), |c| c.servers.push(other()));
    let mods = b.migration.rebase(&to);
    assert_eq!(goes(&mods), Vec::<String>::new(), "all that is always there is still wanted");
    assert!(mods.iter().all(|m| m.cookie.0 >> 44 & 0xf == cookie::Role::Base as u64), "no placement's flow is touched");
    let effects = b.reload(&to, Vec::new());
    assert_eq!((programs(&effects), messages(&effects), records(&effects)), (vec![], vec![], vec![]));
    let status = b.migration.status();
    assert_eq!((status.len(), &status[0]), (2, &before));
    assert_eq!((status[1].address, status[1].state), (OTHER, State::Home));
}

#[test]
fn the_base_goes_from_one_configuration_to_the_other_without_a_gap() {
    let (from, to) = (site::home(), with(site::home(), |c| c.servers = vec![other()]));
    let mods = flows::rebase(&from, &to);
    assert_eq!(goes(&mods), ["49100 arp,arp_spa=192.0.2.53", "49100 arp,arp_op=1,arp_spa=0.0.0.0,arp_tpa=192.0.2.53"]);
    let first_delete = mods.iter().position(|m| m.command == FlowModCommand::DeleteStrict).unwrap();
    assert!(mods[..first_delete].iter().all(|m| m.command == FlowModCommand::Add));
    assert_eq!(mods[..first_delete], flows::base(&to)[..]);
    assert!(mods[first_delete..].iter().all(|m| m.cookie == flows::base(&from)[0].cookie && m.cookie_mask == u64::MAX));
    assert_eq!(flows::rebase(&from, &from), []);
    let timers = with(site::home(), |c| c.timers.lease *= 2);
    assert_eq!(flows::rebase(&from, &timers), [], "nothing that the switch has to know");
}

#[test]
fn a_server_that_is_away_can_neither_go_nor_be_another_nor_lose_its_host() {
    let mut b = Bench::new(site::home());
    b.away();
    let server = About::Server(S);
    let gone = with(site::home(), |c| c.servers.clear());
    let said = |text: &str| vec![(server, text.to_owned())];
    assert_eq!(b.against(&gone), said("192.0.2.53 is AWAY (at dc2) and cannot go out of the configuration"));
    let mac = with(site::home(), |c| c.servers[0].mac = OTHER_MAC);
    assert_eq!(b.against(&mac), said("192.0.2.53 is AWAY (at dc2) and cannot get another MAC address"));
    let hosts = with(site::home(), |c| c.servers[0].hosts = vec!["dc3".into()]);
    assert_eq!(b.against(&hosts), said("192.0.2.53 is AWAY (at dc2) and dc2 cannot be taken from its hosts"));
    // dc3 has nothing to do with it.
    b.reload(&with(site::home(), |c| c.servers[0].hosts = vec!["dc2".into()]), Vec::new());
    let claimed = b.claim("dc3", T2);
    assert_eq!(*message(&claimed), Message::ClaimNack { address: S, reason: NackReason::Unauthorised });
    assert_eq!(b.state(), State::Away);
}

#[test]
fn a_frozen_server_stays_and_a_move_that_is_under_way_is_finished() {
    let mut b = Bench::new(site::home());
    let gone = with(site::home(), |c| c.servers.clear());
    b.ordered(Verb::Freeze);
    assert_eq!(b.migration.objections(&gone)[0].1.remedy, "`wamig unfreeze 192.0.2.53 --reason TEXT` first.");
    b.ordered(Verb::Unfreeze { to: None });
    b.claimed();
    assert_eq!(b.migration.objections(&gone)[0].1.remedy, "Wait until its move is over.");
}

#[test]
fn a_planned_move_stays_as_it_was_announced() {
    let mut b = Bench::new(site::home());
    b.ordered(Verb::Prepare { to: "dc2".into() });
    let gone = with(site::home(), |c| c.servers.clear());
    let said = |text: &str| vec![(About::Server(S), text.to_owned())];
    assert_eq!(b.against(&gone), said("192.0.2.53 is PREPARED (for dc2) and cannot go out of the configuration"));
    assert_eq!(b.migration.objections(&gone)[0].1.remedy, "`wamig unprepare 192.0.2.53 --reason TEXT` first.");
    let mac = with(site::home(), |c| c.servers[0].mac = OTHER_MAC);
    assert_eq!(b.against(&mac), said("192.0.2.53 is PREPARED (for dc2) and cannot get another MAC address"));
    let hosts = with(site::home(), |c| c.servers[0].hosts = vec!["dc3".into()]);
    assert_eq!(b.against(&hosts), said("192.0.2.53 is PREPARED (for dc2) and dc2 cannot be taken from its hosts"));
    assert_eq!(b.against(&with(site::home(), |c| c.servers[0].hosts = vec!["dc2".into()])), []);
    b.ordered(Verb::Unprepare);
    assert_eq!(b.against(&gone), []);

    let mut b = Bench::new(site::host());
    let (mac, lease, window) = (S_MAC, 30, 60);
    b.peer("dc1", Message::Prepare { address: S, epoch: epoch(2), mac, lease, window, profile: profile() });
    let none = with(site::host(), |c| c.hosting.guests.clear());
    let said = "192.0.2.53 of dc1 is PREPARED here, and no [[hosting.guest]] of dc1 holds it any more";
    assert_eq!(b.against(&none), [(About::Guests, said.to_owned())]);
    let lent = with(site::host(), |c| c.hosting.pool.clear());
    assert!(b.against(&lent).iter().any(|(about, text)| *about == About::Pool && text.starts_with(&T1.to_string())));
}

#[test]
fn a_claim_that_is_looked_into_does_not_outlive_its_permission() {
    let mut b = Bench::new(site::home());
    b.claim("dc2", T1);
    b.reload(&with(site::home(), |c| c.servers[0].hosts = vec!["dc3".into()]), Vec::new());
    let effects = b.pass(ms(2000));
    assert_eq!((b.state(), messages(&effects)), (State::Home, vec![]));
}

#[test]
fn a_server_that_comes_back_goes_on_from_its_record() {
    let mut b = Bench::new(site::home());
    b.reload(&with(site::home(), |c| c.servers = vec![other()]), Vec::new());
    assert_eq!(b.migration.state_of(S), None);
    let placement = Placement { peer: "dc2".into(), transfer: T1, epoch: epoch(3), gateway_mac: G1_MAC };
    let home = Record::Home { address: S, epoch: epoch(7), placement: None, frozen: None, planned: None };
    let away = Record::Home {
        address: OTHER,
        epoch: epoch(9),
        placement: Some(placement.clone()),
        frozen: None,
        planned: None,
    };
    let both = with(site::home(), |c| c.servers.push(other()));
    b.reload(&both, vec![home, away]);
    let status = b.migration.status();
    assert_eq!((status[0].state, status[0].epoch), (State::Home, epoch(7)));
    assert_eq!((status[1].state, status[1].epoch), (State::Home, epoch(0)), "what was there needs no record");

    let mut b = Bench::new(with(site::home(), |c| c.servers = vec![other()]));
    let away = Record::Home { address: S, epoch: epoch(9), placement: Some(placement), frozen: None, planned: None };
    let effects = b.reload(&both, vec![away]);
    assert_eq!(b.migration.state_of(S), Some(State::Away));
    assert_eq!(programs(&effects)[0].1.len(), 7, "its flows are put back");
    b.done(batch(&effects));
}

#[test]
fn a_transfer_address_in_use_stays_and_others_come_and_go() {
    let mut b = Bench::new(site::host());
    b.hosting();
    let only =
        |first, last| with(site::host(), |c| c.hosting.pool = AddressRange::new(first, last).into_iter().collect());
    let said = "198.51.100.200 is in use for 192.0.2.53 and cannot go out of the pool";
    assert_eq!(b.against(&only(T2, T3)), [(About::Pool, said.to_owned())]);
    b.reload(&only(T1, T1), Vec::new());
    let pool = b.migration.pool_status();
    assert_eq!((pool.size, pool.in_use, pool.ready), (1, 1, 0));
    assert_eq!(b.state(), State::Hosting);
    b.reload(&only(T1, T2), Vec::new());
    b.pass(ms(20_000));
    assert_eq!(b.migration.pool_status().ready, 1, "the new one is probed like any other");
}

#[test]
fn a_resting_address_that_is_not_lent_any_more_is_let_go_after_its_rest() {
    let mut b = Bench::new(site::host());
    b.hosting();
    let revoked = b.revoke(epoch(2), false);
    b.done(batch(&revoked));
    let removed = b.pass(ms(3000));
    b.done(batch(&removed));
    assert_eq!(b.migration.pool_status().quarantined, 1);
    let to = with(site::host(), |c| {
        c.hosting.pool = AddressRange::new(T2, T3).into_iter().collect();
        c.hosting.quarantine = Duration::from_secs(10);
    });
    b.reload(&to, Vec::new());
    assert_eq!(b.migration.pool_status().size, 3);
    b.pass(Duration::from_mins(6));
    assert_eq!(b.migration.pool_status().size, 2);
}

#[test]
fn a_guest_that_is_served_keeps_its_policy() {
    let mut b = Bench::new(site::host());
    b.hosting();
    let none = with(site::host(), |c| c.hosting.guests.clear());
    let said = "192.0.2.53 of dc1 is HOSTING here, and no [[hosting.guest]] of dc1 holds it any more";
    assert_eq!(b.against(&none), [(About::Guests, said.to_owned())]);
    let fewer = with(site::host(), |c| c.hosting.guests[0].max = 1);
    let mods = b.migration.rebase(&fewer);
    assert_eq!((b.against(&fewer), mods), (vec![], vec![]));
}

#[test]
fn a_guest_that_was_not_allowed_is_claimed_once_it_is() {
    let policy = |peer: &str| GuestPolicy { peer: peer.into(), prefixes: vec![Prefix::new(G1, 24)], max: 2 };
    let mut b = Bench::new(with(site::host(), |c| c.hosting.guests.clear()));
    b.frame(SRV, &asks(S_MAC));
    assert_eq!(b.status().reason, Some(reason::UNAUTHORISED));
    let effects = b.reload(&with(site::host(), |c| c.hosting.guests = vec![policy("dc1")]), Vec::new());
    let [("dc1", Message::Claim { transfer, .. })] = messages(&effects)[..] else { panic!("{effects:?}") };
    assert_eq!(*transfer, T1);

    // And not any more: nothing was promised yet, so it can be taken back.
    let effects = b.reload(&with(site::host(), |c| c.hosting.guests.clear()), Vec::new());
    assert!(has_alert(&effects));
    let status = b.status();
    assert_eq!((status.state, status.reason, status.transfer), (State::Seen, Some(reason::UNAUTHORISED), None));
    assert_eq!(b.migration.pool_status().quarantined, 1, "a claim that is on its way names it");
}

#[test]
fn timers_and_damping_hold_from_now_on() {
    let mut b = Bench::new(site::home());
    b.reload(&with(site::home(), |c| c.timers.claimed = ms(50)), Vec::new());
    b.claimed();
    b.pass(ms(100));
    assert_eq!(b.state(), State::Home, "the grant is taken back after the new time");
    b.reload(&with(site::home(), |c| c.damping.moves = 1), Vec::new());
    b.away();
    let seen = b.seen_at_home();
    let removed = if programs(&seen).is_empty() { b.pass(ms(1100)) } else { seen };
    b.done(batch(&removed));
    assert_eq!((b.state(), b.status().reason), (State::Frozen, Some(reason::FLAPPING)));
}
