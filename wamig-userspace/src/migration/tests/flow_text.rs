//! The flow sets as `ovs-ofctl add-flow` reads them.

use wamig_openflow::{FlowMod, FlowModCommand};

use super::bench::{epoch, profile};
use super::ipv6;
use super::site::{self, G1_MAC, G2_MAC, LAN, S, S_MAC, SRV, T1};
use crate::fastpath::needs::Constants;
use crate::migration::record::{Binding, Placement};
use crate::migration::{flows, foreseen};

fn text(mods: &[FlowMod]) -> String {
    let line = |m: &FlowMod| {
        m.matching.validate().unwrap();
        let comma = if m.matching.is_any() { "" } else { "," };
        let verb = if m.command == FlowModCommand::DeleteStrict { "delete --strict " } else { "" };
        format!(
            "{verb}cookie={},table={},priority={}{comma}{} actions={}\n",
            m.cookie, m.table, m.priority, m.matching, m.instructions
        )
    };
    mods.iter().map(line).collect()
}

#[track_caller]
fn golden(mods: &[FlowMod], expected: &str) {
    let got = text(mods);
    assert!(got == expected, "got:\n{got}\nexpected:\n{expected}");
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

#[test]
fn base_of_a_home() {
    golden(&flows::base(&site::home()), include_str!("golden/base_of_a_home.flows"));
}

#[test]
fn base_of_a_host() {
    golden(&flows::base(&site::host()), include_str!("golden/base_of_a_host.flows"));
}

#[test]
fn away() {
    let placement = Placement { peer: "dc2".into(), transfer: T1, epoch: epoch(3), gateway_mac: G1_MAC };
    let config = site::home();
    golden(&flows::away(&config.lan, &config.servers[0], &placement), include_str!("golden/away.flows"));
}

#[test]
fn hosting() {
    golden(&flows::hosting(&site::host().lan, S, &binding()), include_str!("golden/hosting.flows"));
}

#[test]
fn draining() {
    golden(&flows::draining(&site::host().lan, S, &binding()), include_str!("golden/draining.flows"));
}

#[test]
fn fence() {
    golden(&flows::fence(S, SRV, S_MAC), include_str!("golden/fence.flows"));
}

#[test]
fn over_ipv6() {
    let (home, host) = (ipv6::home(), ipv6::host());
    let (server, transfer) = (home.servers[0].address, host.hosting.pool[0].first());
    let placement = Placement { peer: "dc2".into(), transfer, epoch: epoch(3), gateway_mac: G1_MAC };
    let binding = Binding { transfer, profile: ipv6::profile(), ..binding() };
    golden(&flows::base(&home), include_str!("golden/base_of_a_home6.flows"));
    golden(&flows::base(&host), include_str!("golden/base_of_a_host6.flows"));
    golden(&flows::away(&home.lan, &home.servers[0], &placement), include_str!("golden/away6.flows"));
    golden(&flows::hosting(&host.lan, server, &binding), include_str!("golden/hosting6.flows"));
    golden(&flows::fence(server, SRV, S_MAC), include_str!("golden/fence6.flows"));
    assert_eq!(flows::draining(&host.lan, server, &binding), []);
}

/// What a program offers that was fitted to what is foreseen covers what is there once a server has moved.
#[test]
fn what_a_move_brings_is_foreseen() {
    let (home, mut host) = (site::home(), site::host());
    host.hosting.ports.push(LAN);
    let placement = Placement { peer: "dc2".into(), transfer: T1, epoch: epoch(3), gateway_mac: G1_MAC };
    let away = flows::away(&home.lan, &home.servers[0], &placement);
    let hosting = flows::hosting(&host.lan, S, &binding());
    let fence = flows::fence(S, SRV, S_MAC);
    for (site, more) in [(&home, vec![away]), (&host, vec![hosting]), (&host, vec![fence])] {
        let now = Constants::of_adds(&flows::base(site));
        let then = Constants::of_adds(&[flows::base(site), more.concat()].concat());
        assert!(!now.covers(&then), "{}: what is always there would do", site.site);
        assert!(Constants::of_adds(&foreseen::flows(site)).covers(&then), "{}: {then:?}", site.site);
    }
}
