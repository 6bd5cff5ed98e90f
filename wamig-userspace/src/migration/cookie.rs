//! The migration's cookies: who a flow belongs to, readable in every flow dump.
//!
//! ```text
//!  63            48 47   44 43        32 31                              0
//! +----------------+-------+------------+--------------------------------+
//! |     0x574d     | role  | generation |     server's address, or tag   |
//! +----------------+-------+------------+--------------------------------+
//! ```
//!
//! The generation is the low 12 bits of the placement's epoch, so that two placements of
//! one server can be in the table side by side and either can be removed by its cookie
//! alone. An IPv4 address stands in the cookie itself: no number is allocated, nothing can be
//! confused after a restart with another configuration. IPv6 addresses have roles of their own,
//! and a [`tag`] in place of the address.

use std::net::IpAddr;

use wamig_openflow::{Cookie, FlowMod};

use super::prefix::Family;
use crate::hash::fnv1a;
use crate::peer::message::Epoch;

/// The space of this application: the upper 16 bits of every cookie, "WM".
pub const SPACE: u64 = 0x574d << 48;
/// Mask of [`SPACE`].
pub const SPACE_MASK: u64 = 0xffff << 48;
/// Mask of everything but the generation.
const BINDING_MASK: u64 = !(0xfff << 32);
/// The bit of a role that says that the address is of IPv6.
const V6: u64 = 4;

/// Which flow set a flow belongs to.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Role {
    /// Watching; always there. Its generation tells configurations apart.
    Base = 0,
    /// A server of ours is away.
    Away = 1,
    /// A server of a peer is here.
    Hosting = 2,
    /// A copy that must not talk is here.
    Fence = 3,
}

/// Whether a cookie is of this application.
pub fn is_ours(cookie: Cookie) -> bool {
    cookie.0 & SPACE_MASK == SPACE
}

/// The base set's cookie; `generation` counts modulo 4096.
pub fn base(generation: u16) -> Cookie {
    cookie(Role::Base, generation, Family::V4.unspecified())
}

/// A placement's cookie.
pub fn placement(role: Role, address: IpAddr, epoch: Epoch) -> Cookie {
    cookie(role, epoch.counter as u16, address)
}

/// What stands for an address in its cookies: an IPv4 address itself, of an IPv6 address a hash. No two addresses
/// that a site has to do with at a time may have the same.
pub fn tag(address: IpAddr) -> (Family, u32) {
    match address {
        IpAddr::V4(a) => (Family::V4, a.to_bits()),
        IpAddr::V6(a) => (Family::V6, fnv1a(a.octets().map(u32::from))),
    }
}

fn cookie(role: Role, generation: u16, address: IpAddr) -> Cookie {
    let (family, tag) = tag(address);
    let role = role as u64 | if family == Family::V6 { V6 } else { 0 };
    Cookie(SPACE | role << 44 | u64::from(generation & 0xfff) << 32 | u64::from(tag))
}

/// Deletes every generation of a server's flow set.
pub fn delete(role: Role, address: IpAddr) -> FlowMod {
    FlowMod::delete_by_cookie(cookie(role, 0, address), BINDING_MASK)
}

/// Deletes one generation of a server's flow set.
pub fn delete_generation(role: Role, address: IpAddr, epoch: Epoch) -> FlowMod {
    FlowMod::delete_by_cookie(placement(role, address, epoch), u64::MAX)
}

/// Deletes every flow of this application whose cookie is not in `keep`, which is how a
/// switch that kept its flows is brought up to date without a moment in which a wanted
/// flow is missing: the space is halved until a half holds nothing to keep.
pub fn delete_all_but(keep: &[Cookie]) -> Vec<FlowMod> {
    let mut out = Vec::new();
    halve(keep, SPACE, SPACE_MASK, &mut out);
    out
}

fn halve(keep: &[Cookie], value: u64, mask: u64, out: &mut Vec<FlowMod>) {
    if !keep.iter().any(|c| c.0 & mask == value) {
        out.push(FlowMod::delete_by_cookie(Cookie(value), mask));
    } else if mask != u64::MAX {
        let bit = 1 << (mask.trailing_zeros() - 1);
        halve(keep, value, mask | bit, out);
        halve(keep, value | bit, mask | bit, out);
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    const S: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 53));

    fn epoch(counter: u32) -> Epoch {
        Epoch { incarnation: 1, counter }
    }

    fn deleted(mods: &[FlowMod], cookie: Cookie) -> bool {
        mods.iter().any(|m| cookie.0 & m.cookie_mask == m.cookie.0)
    }

    #[test]
    fn the_layout_is_readable() {
        assert_eq!(placement(Role::Away, S, epoch(3)).to_string(), "0x574d1003c0000235");
        assert_eq!(placement(Role::Hosting, S, epoch(0x1_0004)).to_string(), "0x574d2004c0000235");
        assert_eq!(base(0xffff).to_string(), "0x574d0fff00000000");
        assert!(is_ours(base(0)) && !is_ours(Cookie(0x4c53 << 48)));
    }

    #[test]
    fn the_families_are_apart() {
        let v6: IpAddr = "2001:db8:1::53".parse().unwrap();
        let cookie = placement(Role::Away, v6, epoch(3));
        assert_eq!(cookie.0 >> 32, 0x574d_5003);
        assert_eq!(tag(v6), (Family::V6, cookie.0 as u32));
        assert!(deleted(&[delete(Role::Away, v6)], cookie) && is_ours(cookie));
        // An IPv4 address that is the tag of the other.
        let v4 = Family::V4.address(u128::from(cookie.0 as u32));
        assert!(!deleted(&[delete(Role::Away, v4)], cookie));
    }

    #[test]
    fn a_server_s_flows_go_in_every_generation_and_no_other_server_s() {
        let all = [delete(Role::Away, S)];
        assert!(deleted(&all, placement(Role::Away, S, epoch(7))));
        assert!(!deleted(&all, placement(Role::Hosting, S, epoch(7))));
        assert!(!deleted(&all, placement(Role::Away, IpAddr::V4(Ipv4Addr::new(192, 0, 2, 54)), epoch(7))));
        let one = [delete_generation(Role::Away, S, epoch(7))];
        assert!(deleted(&one, placement(Role::Away, S, epoch(7))));
        assert!(!deleted(&one, placement(Role::Away, S, epoch(8))));
    }

    #[test]
    fn all_but_the_kept_are_deleted_and_nothing_foreign() {
        let keep = [base(9), placement(Role::Away, S, epoch(7))];
        let mods = delete_all_but(&keep);
        assert!(keep.iter().all(|c| !deleted(&mods, *c)));
        assert!(!deleted(&mods, Cookie(0x4c53 << 48)) && !deleted(&mods, Cookie(0)));
        for gone in [base(8), placement(Role::Away, S, epoch(6)), placement(Role::Fence, S, epoch(7))] {
            assert!(deleted(&mods, gone), "{gone}");
        }
        for bit in 0..48 {
            assert!(deleted(&mods, Cookie(keep[1].0 ^ 1 << bit)), "{bit}");
        }
        assert_eq!(delete_all_but(&[]).len(), 1);
    }
}
