//! What Neighbour Discovery adds to the flow sets. Where ARP is answered by flows, solicitations are held.

use std::net::IpAddr;

use wamig_openflow::{Cookie, Field, FlowMod, MacAddr, Match};

use super::{add, hold, rarp, watch};
use crate::migration::nd::{ADVERTISEMENT, ICMPV6, ROUTER_SOLICITATION, SOLICITATION, solicited_node};
use crate::migration::prefix::{Family, Prefix};

/// UDP port of a DHCPv6 client.
pub(super) const DHCP_CLIENT: u128 = 546;
/// UDP port of a DHCPv6 server.
pub(super) const DHCP_SERVER: u128 = 547;

/// Bits that all solicited-node groups have in common.
const GROUPS: u8 = 104;

fn icmpv6(ty: u8) -> Match {
    Match::any().ipv6().with(Field::IpProto, ICMPV6.into()).with(Field::Icmpv6Type, ty.into())
}

pub(super) fn solicitation() -> Match {
    icmpv6(SOLICITATION)
}

pub(super) fn advertisement() -> Match {
    icmpv6(ADVERTISEMENT)
}

/// What a host says of itself and asks.
pub(super) fn of_hosts() -> impl Iterator<Item = Match> {
    [ROUTER_SOLICITATION, SOLICITATION, ADVERTISEMENT].into_iter().map(icmpv6)
}

/// The solicited-node groups of a prefix's addresses (RFC 4291 §2.7.1).
pub(super) fn groups(prefix: Prefix) -> Prefix {
    let group = match prefix.address() {
        IpAddr::V6(address) => solicited_node(address),
        IpAddr::V4(address) => solicited_node(address.to_ipv6_mapped()),
    };
    Prefix::new(group, prefix.len().max(GROUPS))
}

/// Home: the server is away. What of Neighbour Discovery is from it, and what asks for it.
pub(super) fn away(cookie: Cookie, address: IpAddr, mac: MacAddr) -> Vec<FlowMod> {
    let probe = solicitation().ip(Field::Ipv6Src, Family::V6.unspecified()).ip(Field::Ipv6NdTarget, address);
    vec![
        add(cookie, 50300, solicitation().ip(Field::Ipv6Src, address), hold()),
        add(cookie, 50300, advertisement().ip(Field::Ipv6NdTarget, address), hold()),
        add(cookie, 50300, probe.mac(Field::EthSrc, mac), hold()),
        // Not in the place of the same flow for an IPv4 address of the server.
        add(cookie, 50301, rarp().mac(Field::EthSrc, mac), hold()),
        add(cookie, 50200, solicitation().ip(Field::Ipv6NdTarget, address), hold()),
    ]
}

/// Host: who asks for the transfer address, and who else says to have it.
pub(super) fn lent(cookie: Cookie, transfer: IpAddr) -> Vec<FlowMod> {
    vec![
        add(cookie, 50250, advertisement().ip(Field::Ipv6NdTarget, transfer), watch()),
        add(cookie, 50250, solicitation().ip(Field::Ipv6Src, transfer), watch()),
        add(cookie, 50200, solicitation().ip(Field::Ipv6NdTarget, transfer), hold()),
    ]
}
