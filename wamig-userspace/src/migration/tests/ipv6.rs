//! The same over IPv6: what Neighbour Discovery has otherwise than ARP.

use std::net::{IpAddr, Ipv6Addr};

use wamig_openflow::{MacAddr, PortNo};

use super::bench::{batch, epoch, has_alert, has_event, message, messages, ms, notes, programs, rarp, up};
use super::site::{self, G1_MAC, G2_MAC, LAN, S, S_MAC, SRV, UP, W1, W2};
use crate::migration::Migration;
use crate::migration::config::{AddressRange, GuestPolicy, Prefix, Server, SiteConfig, Subnet};
use crate::migration::cookie;
use crate::migration::io::{Effect, Input, event};
use crate::migration::nd::{Flags, Nd, Op, link_local};
use crate::migration::status::{AddressStatus, State, reason};
use crate::peer::message::{Epoch, Evidence, HomeProfile, Message, NackReason};

const S6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 1, 0, 0, 0, 0, 0x53);
const N6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 1, 0, 0, 0, 0, 0x80);
const T6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 2, 0, 0, 0, 0, 0xc8);
/// Both routers', as it is wherever nobody cared.
const G: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 1);
const OTHER: MacAddr = MacAddr([2, 6, 6, 6, 6, 6]);

/// One site over IPv6.
struct Bench {
    migration: Migration,
    now: std::time::Instant,
    router: MacAddr,
    own: MacAddr,
}

fn subnet(prefix: &str) -> Subnet {
    Subnet { prefix: prefix.parse().unwrap(), gateway: G.into() }
}

pub(super) fn home() -> SiteConfig {
    let mut home = site::home();
    home.lan.subnets = vec![subnet("2001:db8:1::/64")];
    home.servers = vec![Server { address: S6.into(), mac: S_MAC, hosts: vec!["dc2".into()] }];
    home
}

pub(super) fn host() -> SiteConfig {
    let mut host = site::host();
    host.lan.subnets = vec![subnet("2001:db8:2::/64")];
    host.hosting.pool = vec!["2001:db8:2::c8-2001:db8:2::ca".parse::<AddressRange>().unwrap()];
    let prefixes = vec!["2001:db8:1::/64".parse::<Prefix>().unwrap()];
    host.hosting.guests = vec![GuestPolicy { peer: "dc1".into(), prefixes, max: 2 }];
    host
}

/// dc1's profile.
pub(super) fn profile() -> HomeProfile {
    HomeProfile { prefix_len: 64, gateway: G.into(), gateway_mac: G1_MAC }
}

impl Bench {
    fn new(config: SiteConfig) -> Self {
        let now = std::time::Instant::now();
        let (own, router) = (config.lan.mac, if config.site == "dc1" { G1_MAC } else { G2_MAC });
        let (migration, _) = Migration::new(config, Vec::new(), now);
        let mut bench = Self { migration, now, router, own };
        let effects = bench.feed(Input::DatapathUp);
        bench.done(&effects);
        bench.pass(ms(20_000));
        bench.feed(up("dc1"));
        bench.feed(up("dc2"));
        bench
    }

    fn feed(&mut self, input: Input) -> Vec<Effect> {
        let effects = self.migration.handle(self.now, input);
        // The router answers.
        if nds(&effects).iter().any(|(_, nd)| nd.op == Op::Solicit && nd.target == G) {
            let answer = Nd::advertise(self.router, G, self.own, link_local(self.own), true);
            let more = self.hears(UP, answer);
            return [effects, more].concat();
        }
        effects
    }

    fn hears(&mut self, in_port: PortNo, nd: Nd) -> Vec<Effect> {
        self.feed(Input::Frame { in_port, data: nd.build() })
    }

    fn done(&mut self, effects: &[Effect]) -> Vec<Effect> {
        self.feed(Input::Programmed { batch: batch(effects), result: Ok(()) })
    }

    fn peer(&mut self, peer: &str, message: Message) -> Vec<Effect> {
        self.feed(Input::Peer(peer.into(), message))
    }

    fn pass(&mut self, span: std::time::Duration) -> Vec<Effect> {
        let end = self.now + span;
        let mut effects = Vec::new();
        while let Some(at) = self.migration.next_deadline().filter(|at| *at <= end) {
            self.now = self.now.max(at);
            effects.extend(self.feed(Input::Tick));
        }
        self.now = end;
        effects
    }

    fn status(&self) -> AddressStatus {
        let all = self.migration.status();
        assert_eq!(all.len(), 1, "{all:?}");
        all[0].clone()
    }

    fn state(&self) -> State {
        self.status().state
    }

    /// Home: away at dc2.
    fn away(&mut self) -> Epoch {
        let (address, transfer, last_epoch) = (S6.into(), T6.into(), Epoch::default());
        let evidence = Evidence::NdProbe;
        self.peer("dc2", Message::Claim { address, mac: S_MAC, transfer, evidence, last_epoch, token: false });
        self.pass(ms(300));
        assert_eq!(self.state(), State::Claimed);
        let epoch = self.status().epoch;
        let ready = self.peer("dc2", Message::Ready { address, epoch });
        self.done(&ready);
        assert_eq!(self.state(), State::Away);
        epoch
    }

    /// Host: served, by the guest's own search for duplicates.
    fn hosting(&mut self) {
        self.hears(SRV, Nd::probe(S_MAC, S6));
        let epoch = epoch(1);
        let ack = Message::ClaimAck { address: S6.into(), epoch, lease: 30, profile: profile(), transfer: None };
        let acked = self.peer("dc1", ack);
        self.done(&acked);
        self.peer("dc1", Message::Active { address: S6.into(), epoch });
        assert_eq!(self.state(), State::Hosting);
    }
}

/// What is emitted, and out of which port.
fn nds(effects: &[Effect]) -> Vec<(Vec<String>, Nd)> {
    let nd = |e: &Effect| {
        let Effect::PacketOut(p) = e else { return None };
        Some((p.actions.iter().map(ToString::to_string).collect(), Nd::parse(&p.data)?))
    };
    effects.iter().filter_map(nd).collect()
}

fn only(effects: &[Effect]) -> Nd {
    let all = nds(effects);
    assert_eq!(all.len(), 1, "{all:?}");
    all[0].1
}

/// The guest asks for this address as S6.
fn asks(target: Ipv6Addr) -> Nd {
    Nd { src: S6, ..Nd::solicit(S_MAC, target) }
}

// ---- the host ---------------------------------------------------------------------------

#[test]
fn a_guest_s_own_probe_is_evidence_and_never_answered() {
    let mut b = Bench::new(host());
    let of_link = b.hears(SRV, Nd::probe(S_MAC, link_local(S_MAC)));
    assert!(of_link.is_empty() && b.migration.status().is_empty(), "its link-local address is nobody's business");
    let seen = b.hears(SRV, Nd::probe(S_MAC, S6));
    assert!(has_event(&seen, event::ND_SEEN));
    let (address, transfer, last_epoch) = (S6.into(), T6.into(), Epoch::default());
    let evidence = Evidence::NdProbe;
    let claim = Message::Claim { address, mac: S_MAC, transfer, evidence, last_epoch, token: false };
    assert_eq!(*message(&seen), claim);
    assert!(nds(&seen).is_empty());
    let mut b = Bench::new(host());
    b.hosting();
    assert!(nds(&b.hears(SRV, Nd::probe(S_MAC, S6))).is_empty(), "served or not");
}

#[test]
fn its_router_and_its_neighbours_look_as_at_home() {
    let mut b = Bench::new(host());
    b.hears(SRV, asks(G));
    let epoch = epoch(1);
    let ack = Message::ClaimAck { address: S6.into(), epoch, lease: 30, profile: profile(), transfer: None };
    let acked = b.peer("dc1", ack);
    b.done(&acked);
    let active = b.peer("dc1", Message::Active { address: S6.into(), epoch });
    assert!(has_event(&active, event::ARP_ANSWERED), "{:?}", notes(&active));
    assert_eq!(only(&active), Nd::advertise(G1_MAC, G, S_MAC, S6, true));
    // From now on at once, also for the kernel's own checks, which come from its link-local address.
    assert_eq!(only(&b.hears(SRV, Nd::solicit(S_MAC, G))), Nd::advertise(G1_MAC, G, S_MAC, S6, true));
    assert_eq!(only(&b.hears(SRV, asks(N6))), Nd::advertise(W2, N6, S_MAC, S6, false));
    assert!(nds(&b.hears(SRV, asks(T6))).is_empty(), "dc2's own addresses are none of its subnet");
}

#[test]
fn its_transfer_address_is_answered_for_while_it_is_served() {
    let router = |target| Nd { src: G, ..Nd::solicit(G2_MAC, target) };
    let mut b = Bench::new(host());
    assert!(nds(&b.hears(UP, router(T6))).is_empty(), "nobody's yet");
    b.hosting();
    assert_eq!(only(&b.hears(UP, router(T6))), Nd::advertise(W2, T6, G2_MAC, G, false));
    let taken = b.hears(LAN, Nd::probe(OTHER, T6));
    let Op::Advertise(flags) = only(&taken).op else { panic!("{taken:?}") };
    assert_eq!((flags.solicited, flags.overrides), (false, true), "defended before everybody");
    assert!(has_alert(&b.hears(LAN, Nd::announce(OTHER, T6))));
    assert_eq!(b.status().reason, Some(reason::TRANSFER_CONFLICT));
}

#[test]
fn a_search_for_a_router_shows_a_guest_that_is_announced() {
    let mut b = Bench::new(host());
    let (address, epoch) = (S6.into(), epoch(1));
    b.peer("dc1", Message::Prepare { address, epoch, mac: S_MAC, lease: 30, window: 60, profile: profile() });
    assert_eq!(b.state(), State::Prepared);
    let mut frame = Nd::solicit(S_MAC, G).build().to_vec();
    frame[54] = 133;
    let comes = b.feed(Input::Frame { in_port: SRV, data: frame.into() });
    assert_eq!(b.state(), State::Ready);
    assert!(!programs(&comes).is_empty());
}

#[test]
fn a_home_that_knows_no_ipv6_is_not_asked() {
    let mut b = Bench::new(host());
    b.feed(Input::PeerUp("dc1".into(), 0x0101));
    assert!(messages(&b.hears(SRV, Nd::probe(S_MAC, S6))).is_empty());
    assert_eq!((b.state(), b.status().reason), (State::Seen, Some(reason::HOME_OLDER)));
    let asked = b.feed(Input::PeerUp("dc1".into(), 0x0102));
    assert!(matches!(message(&asked), Message::Claim { .. }), "once it is upgraded");
}

#[test]
fn a_profile_of_the_other_family_is_refused() {
    let mut b = Bench::new(host());
    b.hears(SRV, Nd::probe(S_MAC, S6));
    let other = HomeProfile { gateway: "192.0.2.1".parse().unwrap(), prefix_len: 24, ..profile() };
    let ack = Message::ClaimAck { address: S6.into(), epoch: epoch(1), lease: 30, profile: other, transfer: None };
    assert!(programs(&b.peer("dc1", ack)).is_empty());
    assert_eq!(b.status().reason, Some(reason::CLAIM_LAPSED));
}

#[test]
fn both_addresses_of_a_guest_come_by_one_rarp() {
    let mut both = host();
    let v4 = site::host();
    both.lan.subnets.splice(0..0, v4.lan.subnets);
    both.hosting.pool.extend(v4.hosting.pool);
    both.hosting.guests[0].prefixes.extend(v4.hosting.guests[0].prefixes.clone());
    let mut b = Bench::new(both);
    // The router of the other family.
    let answer = crate::migration::resolution::answer(G2_MAC, site::G2, W2, "0.0.0.0".parse().unwrap(), false);
    b.feed(Input::Frame { in_port: UP, data: answer });
    let epoch = epoch(1);
    let announce =
        |address: IpAddr, profile| Message::Prepare { address, epoch, mac: S_MAC, lease: 30, window: 60, profile };
    b.peer("dc1", announce(S6.into(), profile()));
    b.peer("dc1", announce(S, super::bench::profile()));
    let comes = b.feed(rarp(S_MAC, SRV));
    let states: Vec<_> = b.migration.status().iter().map(|s| s.state).collect();
    assert_eq!(states, [State::Ready; 2]);
    assert_eq!(programs(&comes).len(), 2);
}

#[test]
fn a_guest_whose_flows_could_not_be_told_from_another_s_waits() {
    let twin: Ipv6Addr = "2001:db8:1:0:b2b3:3f1b:1639:90c".parse().unwrap();
    assert_eq!(cookie::tag(twin.into()), cookie::tag(S6.into()));
    let of = |b: &Bench, address: Ipv6Addr| {
        b.migration.status().into_iter().find(|s| s.address == IpAddr::from(address)).unwrap()
    };
    let mut b = Bench::new(host());
    b.hosting();
    assert!(messages(&b.hears(SRV, Nd::probe(OTHER, twin))).is_empty());
    assert_eq!((of(&b, twin).state, of(&b, twin).reason), (State::Seen, Some(reason::COOKIE_IN_USE)));
    assert_eq!(of(&b, S6).state, State::Hosting);
    // Whoever invents such an address keeps nobody out: its home does not know it.
    let mut b = Bench::new(host());
    b.hears(SRV, Nd::probe(OTHER, twin));
    b.peer("dc1", Message::ClaimNack { address: twin.into(), reason: NackReason::Unauthorised });
    assert!(matches!(message(&b.hears(SRV, Nd::probe(S_MAC, S6))), Message::Claim { .. }));
}

// ---- the home ---------------------------------------------------------------------------

#[test]
fn the_router_is_asked_from_the_link_and_its_silence_reported() {
    let (mut migration, _) = Migration::new(home(), Vec::new(), std::time::Instant::now());
    let now = std::time::Instant::now();
    let up = migration.handle(now, Input::DatapathUp);
    let asked = migration.handle(now, Input::Programmed { batch: batch(&up), result: Ok(()) });
    assert_eq!(only(&asked), Nd::solicit(W1, G));
    let mut alerts = Vec::new();
    for second in 1..10 {
        let at = now + ms(second * 1000);
        alerts.extend(
            notes(&migration.handle(at, Input::Tick)).into_iter().filter(|n| n.alert).map(|n| n.detail.clone()),
        );
    }
    assert_eq!(
        alerts,
        ["the gateway fe80::1 does not answer neighbour solicitations; check lan.gateway6 and the uplink"]
    );
}

#[test]
fn who_asks_for_a_server_that_is_away_is_told_its_own_mac() {
    let router = Nd { src: G, ..Nd::solicit(G1_MAC, S6) };
    let mut b = Bench::new(home());
    assert!(nds(&b.hears(UP, router)).is_empty(), "at home it answers for itself");
    b.away();
    assert_eq!(only(&b.hears(UP, router)), Nd::advertise(S_MAC, S6, G1_MAC, G, false));
    let taken = b.hears(LAN, Nd::probe(OTHER, S6));
    let unsolicited = Op::Advertise(Flags { overrides: true, ..Flags::default() });
    assert_eq!((only(&taken).op, only(&taken).sender), (unsolicited, S_MAC), "it is not free");
}

#[test]
fn its_own_probe_brings_it_home_and_is_not_answered() {
    let mut b = Bench::new(home());
    let epoch = b.away();
    let seen = b.hears(SRV, Nd::probe(S_MAC, S6));
    assert!(nds(&seen).is_empty());
    assert_eq!(*message(&seen), Message::Query { address: S6.into(), epoch });
    assert_eq!(b.state(), State::Returning);
    let gone = b.peer("dc2", Message::QueryAck { address: S6.into(), epoch, alive: false });
    let back = b.done(&gone);
    assert_eq!(b.state(), State::Home);
    assert_eq!(only(&back), Nd::probe(S_MAC, S6), "it was held, and goes on");
}

#[test]
fn a_transfer_address_of_the_other_family_is_refused() {
    let mut b = Bench::new(home());
    let claim = Message::Claim {
        address: S6.into(),
        mac: S_MAC,
        transfer: site::T1,
        evidence: Evidence::NdProbe,
        last_epoch: Epoch::default(),
        token: false,
    };
    assert!(matches!(message(&b.peer("dc2", claim)), Message::ClaimNack { .. }));
    assert_eq!(b.state(), State::Home);
}
