//! Flows that a placement would bring, told before there is one: a switch that makes room for them beforehand has
//! nothing to make ready when a server moves, and then every millisecond is an outage.

use wamig_openflow::{FlowMod, MacAddr, PortNo};

use super::config::{Family, Prefix, Server, SiteConfig};
use super::flows;
use super::record::{Binding, Placement};
use crate::peer::message::{Epoch, HomeProfile};

/// Stands for addresses that are not known yet; a flow takes no more and no less for another one.
const SOME: MacAddr = MacAddr([2, 0, 0, 0, 0, 1]);

/// What is always there, and what comes with one server of this site of each family that is away and one guest of each policy. Only
/// what they match and do is of use: they name addresses that nobody has.
pub fn flows(site: &SiteConfig) -> Vec<FlowMod> {
    let mut mods = flows::base(site);
    for family in Family::ALL {
        let one = site.servers.iter().find(|server| Family::of(server.address) == family);
        mods.extend(one.into_iter().flat_map(|server| away(site, server)));
    }
    if let Some(port) = site.hosting.ports.first() {
        // Where a guest's subnet is as large as what may come from its home.
        let prefixes = site.hosting.guests.iter().flat_map(|policy| &policy.prefixes);
        mods.extend(prefixes.flat_map(|prefix| hosting(site, *port, *prefix)));
    }
    mods
}

fn away(site: &SiteConfig, server: &Server) -> Vec<FlowMod> {
    let transfer = Family::of(server.address).unspecified();
    let placement = Placement { peer: String::new(), transfer, epoch: Epoch::default(), gateway_mac: SOME };
    flows::away(&site.lan, server, &placement)
}

fn hosting(site: &SiteConfig, port: PortNo, prefix: Prefix) -> Vec<FlowMod> {
    let guest = prefix.address();
    let binding = Binding {
        peer: String::new(),
        mac: SOME,
        port,
        transfer: prefix.family().unspecified(),
        epoch: Epoch::default(),
        profile: HomeProfile { prefix_len: prefix.len(), gateway: guest, gateway_mac: SOME },
        gateway_mac: SOME,
        active: true,
    };
    let mut mods = flows::hosting(&site.lan, guest, &binding);
    mods.extend(flows::fence(guest, port, SOME));
    mods
}
