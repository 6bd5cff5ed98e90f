//! What the flow sets do to frames.

use std::net::{IpAddr, Ipv4Addr};

use wamig_openflow::{Field, MacAddr, PortNo};

use super::arp::Arp;
use super::bench::{epoch, profile};
use super::site::{self, G1, G1_MAC, G2, G2_MAC, LAN, S, S_MAC, SRV, T1, UP, W1, W2};
use super::switch::{Frame, Outcome, Switch};
use crate::migration::flows;
use crate::migration::record::{Binding, Placement};

const CLIENT: IpAddr = IpAddr::V4(Ipv4Addr::new(203, 0, 113, 9));
const N1: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 80));
const N1_MAC: MacAddr = MacAddr([2, 0, 0, 0, 0, 0x80]);

fn sw1_home() -> Switch {
    let mut switch = Switch::default();
    switch.apply(&flows::base(&site::home()));
    switch
}

fn sw1() -> Switch {
    let mut switch = sw1_home();
    let config = site::home();
    let placement = Placement { peer: "dc2".into(), transfer: T1, epoch: epoch(3), gateway_mac: G1_MAC };
    switch.apply(&flows::away(&config.lan, &config.servers[0], &placement));
    switch
}

fn sw2_idle() -> Switch {
    let mut switch = Switch::default();
    switch.apply(&flows::base(&site::host()));
    switch
}

fn binding() -> Binding {
    Binding {
        peer: "dc1".into(),
        mac: S_MAC,
        port: SRV,
        transfer: T1,
        epoch: epoch(3),
        profile: profile(),
        gateway_mac: G2_MAC,
        active: true,
    }
}

fn sw2() -> Switch {
    let mut switch = sw2_idle();
    switch.apply(&flows::hosting(&site::host().lan, S, &binding()));
    switch
}

fn query(eth: (MacAddr, MacAddr), ip: (IpAddr, IpAddr)) -> Frame {
    Frame::udp(eth, ip, (40000, 53))
}

fn only(outcome: Outcome) -> (PortNo, Frame) {
    assert!(!outcome.learned && outcome.punted.is_none(), "{outcome:?}");
    let [one] = <[_; 1]>::try_from(outcome.sent).unwrap();
    one
}

fn arp(switch: &Switch, port: PortNo, arp: Arp) -> Outcome {
    switch.receive(port, &Frame::arp(&arp))
}

fn held(outcome: &Outcome) -> bool {
    outcome.sent.is_empty() && !outcome.learned && outcome.punted.is_some()
}

fn watched(outcome: &Outcome) -> bool {
    outcome.learned && outcome.punted.is_some()
}

fn dropped(outcome: &Outcome) -> bool {
    *outcome == Outcome { priority: outcome.priority, ..Outcome::default() }
}

#[test]
fn a_query_travels_as_the_paper_says() {
    // 1, 2: to S, then to T, back to the router it came from.
    let (port, frame) = only(sw1().receive(UP, &query((G1_MAC, S_MAC), (CLIENT, S))));
    assert_eq!(port, UP);
    assert_eq!((frame.mac(Field::EthSrc), frame.mac(Field::EthDst)), (W1, G1_MAC), "never the router's own source");
    assert_eq!((frame.ip(Field::Ipv4Src), frame.ip(Field::Ipv4Dst)), (CLIENT, T1));
    // 3, 4: by the routers to T's site, then to S.
    let (port, frame) = only(sw2().receive(UP, &query((G2_MAC, W2), (CLIENT, T1))));
    assert_eq!(port, SRV);
    assert_eq!((frame.mac(Field::EthSrc), frame.mac(Field::EthDst)), (G1_MAC, S_MAC));
    assert_eq!((frame.ip(Field::Ipv4Src), frame.ip(Field::Ipv4Dst)), (CLIENT, S));
    // The answer leaves by the host's router, from S.
    let (port, frame) = only(sw2().receive(SRV, &query((S_MAC, G1_MAC), (S, CLIENT))));
    assert_eq!(port, UP);
    assert_eq!((frame.mac(Field::EthSrc), frame.mac(Field::EthDst)), (W2, G2_MAC));
    assert_eq!((frame.ip(Field::Ipv4Src), frame.ip(Field::Ipv4Dst)), (S, CLIENT));
}

#[test]
fn a_neighbour_reaches_the_moved_server() {
    let (port, frame) = only(sw1().receive(LAN, &query((N1_MAC, S_MAC), (N1, S))));
    assert_eq!((port, frame.ip(Field::Ipv4Dst)), (UP, T1));
    assert_eq!((frame.mac(Field::EthSrc), frame.mac(Field::EthDst)), (W1, G1_MAC));
}

#[test]
fn others_traffic_is_not_touched() {
    for switch in [sw1(), sw2()] {
        let outcome = switch.receive(LAN, &query((N1_MAC, G1_MAC), (N1, CLIENT)));
        assert_eq!(outcome, Outcome { learned: true, priority: Some(0), ..Outcome::default() });
    }
}

#[test]
fn arp_for_the_away_server_is_answered_with_its_own_mac() {
    for (port, mac, ip) in [(UP, G1_MAC, G1), (LAN, N1_MAC, N1)] {
        let ask = Arp { spa: ip, ..Arp::probe(mac, S) };
        let (out, frame) = only(arp(&sw1(), port, ask));
        assert_eq!((out, frame.as_arp()), (port, Some(Arp::reply(S_MAC, S, mac, ip))));
    }
}

#[test]
fn a_strangers_probe_for_the_away_server_is_answered_but_its_own_is_not() {
    let (_, frame) = only(arp(&sw1(), LAN, Arp::probe(N1_MAC, S)));
    assert_eq!(frame.as_arp(), Some(Arp::reply(S_MAC, S, N1_MAC, IpAddr::V4(Ipv4Addr::UNSPECIFIED))));
    assert!(held(&arp(&sw1(), SRV, Arp::probe(S_MAC, S))), "RFC 5227: it would see a conflict");
}

#[test]
fn the_away_servers_arp_at_home_is_held() {
    for frame in [Arp { spa: S, ..Arp::probe(S_MAC, G1) }, Arp::announcement(S_MAC, S), Arp::reply(S_MAC, S, W1, G1)] {
        assert!(held(&arp(&sw1(), SRV, frame)), "{frame:?}");
    }
}

#[test]
fn a_server_at_home_is_watched_and_not_hindered() {
    assert!(watched(&arp(&sw1_home(), SRV, Arp { spa: S, ..Arp::probe(S_MAC, G1) })));
    assert!(watched(&arp(&sw1_home(), SRV, Arp::probe(S_MAC, S))));
    let ask = Arp { spa: G1, ..Arp::probe(G1_MAC, S) };
    assert_eq!(arp(&sw1_home(), UP, ask), Outcome { learned: true, priority: Some(0), ..Outcome::default() });
}

#[test]
fn replies_to_wamig_reach_it_alone() {
    let reply = Arp::reply(G1_MAC, G1, W1, IpAddr::V4(Ipv4Addr::UNSPECIFIED));
    assert!(held(&arp(&sw1_home(), UP, reply)));
    // The guest's, past its source guard.
    let alive = Arp::reply(S_MAC, S, W2, IpAddr::V4(Ipv4Addr::UNSPECIFIED));
    assert!(held(&arp(&sw2(), SRV, alive)));
}

#[test]
fn an_unclaimed_guest_reaches_nobody() {
    let switch = sw2_idle();
    assert!(held(&arp(&switch, SRV, Arp { spa: S, ..Arp::probe(S_MAC, G1) })));
    assert!(held(&arp(&switch, SRV, Arp { spa: T1, ..Arp::probe(S_MAC, G2) })), "not even from the pool");
    assert!(held(&arp(&sw2(), SRV, Arp::announcement(S_MAC, T1))), "nor from an address in use");
    assert!(held(&switch.receive(SRV, &query((S_MAC, G2_MAC), (S, CLIENT)))), "a guest with a warm cache asks nobody");
    assert!(dropped(&switch.receive(SRV, &query((S_MAC, G2_MAC), (CLIENT, T1)))), "no guest's address");
}

#[test]
fn the_guest_sees_its_home_subnet() {
    let ask = |target| Arp { spa: S, ..Arp::probe(S_MAC, target) };
    let (port, frame) = only(arp(&sw2(), SRV, ask(G1)));
    assert_eq!((port, frame.as_arp()), (SRV, Some(Arp::reply(G1_MAC, G1, S_MAC, S))));
    let (port, frame) = only(arp(&sw2(), SRV, ask(N1)));
    assert_eq!((port, frame.as_arp()), (SRV, Some(Arp::reply(W2, N1, S_MAC, S))));
    assert!(held(&arp(&sw2(), SRV, ask(CLIENT))), "outside its subnet nobody answers");
}

#[test]
fn the_guests_own_probe_and_announcement_are_not_answered() {
    assert!(held(&arp(&sw2(), SRV, Arp::probe(S_MAC, S))));
    assert!(held(&arp(&sw2(), SRV, Arp::announcement(S_MAC, S))));
}

#[test]
fn arp_for_the_transfer_address_is_answered_for_wamig() {
    let ask = Arp { spa: G2, ..Arp::probe(G2_MAC, T1) };
    let (port, frame) = only(arp(&sw2(), UP, ask));
    assert_eq!((port, frame.as_arp()), (UP, Some(Arp::reply(W2, T1, G2_MAC, G2))));
    // A router that revalidates its cache asks by unicast.
    let (_, frame) = only(arp(&sw2(), UP, Arp { eth_dst: W2, ..ask }));
    assert_eq!(frame.as_arp(), Some(Arp::reply(W2, T1, G2_MAC, G2)));
}

#[test]
fn whoever_else_uses_the_transfer_address_is_seen() {
    assert!(watched(&arp(&sw2(), LAN, Arp::announcement(N1_MAC, T1))));
    assert!(watched(&arp(&sw2_idle(), LAN, Arp::announcement(N1_MAC, T1))));
    assert!(watched(&arp(&sw2_idle(), LAN, Arp::probe(N1_MAC, T1))));
}

#[test]
fn the_source_guard_lets_only_the_guest_talk_and_only_as_itself() {
    let switch = sw2();
    let stranger = MacAddr([2, 6, 6, 6, 6, 6]);
    assert!(held(&switch.receive(SRV, &query((stranger, G1_MAC), (S, CLIENT)))), "another MAC");
    assert!(held(&switch.receive(SRV, &query((S_MAC, G1_MAC), (N1, CLIENT)))), "another address");
    assert!(dropped(&switch.receive(SRV, &query((S_MAC, G1_MAC), (CLIENT, N1)))), "an address that is no guest's");
    assert!(held(&arp(&switch, SRV, Arp { spa: S, ..Arp::probe(stranger, G1) })), "another MAC's ARP");
}

#[test]
fn the_guests_dhcp_and_broadcasts_go_nowhere() {
    let switch = sw2();
    let discover = Frame::udp(
        (S_MAC, MacAddr::BROADCAST),
        (IpAddr::V4(Ipv4Addr::UNSPECIFIED), IpAddr::V4(Ipv4Addr::BROADCAST)),
        (68, 67),
    );
    assert!(dropped(&switch.receive(SRV, &discover)));
    let renew = Frame::udp((S_MAC, G1_MAC), (S, G1), (68, 67));
    assert!(dropped(&switch.receive(SRV, &renew)));
    let multicast = query((S_MAC, MacAddr([1, 0, 0x5e, 0, 0, 251])), (S, IpAddr::V4(Ipv4Addr::new(224, 0, 0, 251))));
    assert!(dropped(&switch.receive(SRV, &multicast)));
}

#[test]
fn the_transfer_address_leads_to_the_guest_from_the_router_only() {
    assert!(dropped(&sw2().receive(LAN, &query((N1_MAC, W2), (N1, T1)))));
}

#[test]
fn draining_delivers_late_packets_and_tells_the_guest_nothing() {
    let mut switch = sw2();
    switch.apply(&flows::draining(&site::host().lan, S, &binding()));
    assert_eq!(only(switch.receive(UP, &query((G2_MAC, W2), (CLIENT, T1)))).0, SRV);
    assert!(held(&arp(&switch, SRV, Arp { spa: S, ..Arp::probe(S_MAC, G1) })));
    assert_eq!(only(arp(&switch, UP, Arp { spa: G2, ..Arp::probe(G2_MAC, T1) })).0, UP);
}

#[test]
fn a_fenced_copy_is_heard_and_not_forwarded() {
    let mut switch = sw2();
    switch.apply(&flows::fence(S, SRV, S_MAC));
    assert!(held(&arp(&switch, SRV, Arp { spa: S, ..Arp::probe(S_MAC, G1) })));
    assert!(held(&arp(&switch, SRV, Arp::reply(S_MAC, S, W2, IpAddr::V4(Ipv4Addr::UNSPECIFIED)))));
    assert!(dropped(&switch.receive(SRV, &query((S_MAC, G1_MAC), (S, CLIENT)))));
}

#[test]
fn at_a_site_that_is_both_an_unclaimed_guest_does_not_reach_an_away_server() {
    let mut config = site::home();
    config.lan.ports = vec![LAN];
    config.hosting.ports = vec![SRV];
    let mut switch = Switch::default();
    switch.apply(&flows::base(&config));
    let placement = Placement { peer: "dc2".into(), transfer: T1, epoch: epoch(3), gateway_mac: G1_MAC };
    switch.apply(&flows::away(&config.lan, &config.servers[0], &placement));
    let stranger = MacAddr([2, 6, 6, 6, 6, 6]);
    assert!(dropped(&switch.receive(SRV, &query((stranger, S_MAC), (CLIENT, S)))));
    assert!(held(&arp(&switch, SRV, Arp { spa: CLIENT, ..Arp::probe(stranger, S) })));
}
