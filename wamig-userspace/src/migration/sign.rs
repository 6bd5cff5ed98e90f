//! Signs of a server other than ARP and Neighbour Discovery: its hypervisor's RARP after a live migration, the first
//! packet of one whose neighbour cache is warm, so that it asks nobody, and its search for a router.
//!
//! Reading is strict and total, as in [`super::arp`].

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use wamig_openflow::MacAddr;
use wamig_openflow::flow_match::{ETH_TYPE_IPV4, ETH_TYPE_IPV6};

use super::nd::{ICMPV6, ROUTER_SOLICITATION};
use super::prefix::{is_link_local, is_of_a_host};

use crate::peer::message::Evidence;

/// EtherType of RARP (RFC 903).
pub const ETH_TYPE_RARP: u16 = 0x8035;

/// A frame that shows where its sender is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Sign {
    /// The sender.
    pub mac: MacAddr,
    /// Its address; QEMU and VMware leave it out of a RARP, and a router is asked for by a link-local one.
    pub address: Option<IpAddr>,
    /// How it shows.
    pub evidence: Evidence,
}

fn array<const N: usize>(frame: &[u8], at: usize) -> Option<[u8; N]> {
    frame.get(at..at + N)?.try_into().ok()
}

fn v4(frame: &[u8], at: usize) -> Option<IpAddr> {
    Some(IpAddr::V4(Ipv4Addr::from(array::<4>(frame, at)?))).filter(|a| is_of_a_host(*a))
}

impl Sign {
    /// Reads an untagged IP packet or RARP request.
    pub fn parse(frame: &[u8]) -> Option<Self> {
        let mac = MacAddr(array(frame, 6)?);
        if mac.is_multicast() || mac == MacAddr::ZERO {
            return None;
        }
        match u16::from_be_bytes(array(frame, 12)?) {
            ETH_TYPE_IPV4 if array::<1>(frame, 14)?[0] >> 4 == 4 && frame.len() >= 34 => {
                Some(Self { mac, address: Some(v4(frame, 26)?), evidence: Evidence::Data })
            }
            ETH_TYPE_IPV6 if array::<1>(frame, 14)?[0] >> 4 == 6 && frame.len() >= 54 => {
                let src = IpAddr::V6(Ipv6Addr::from(array::<16>(frame, 22)?));
                let seeks_router = frame[20] == ICMPV6 && frame.get(54) == Some(&ROUTER_SOLICITATION);
                if seeks_router {
                    return Some(Self { mac, address: None, evidence: Evidence::NdRouterSolicit });
                }
                let address = Some(src).filter(|a| is_of_a_host(*a) && !is_link_local(*a))?;
                Some(Self { mac, address: Some(address), evidence: Evidence::Data })
            }
            ETH_TYPE_RARP => {
                // Hardware and protocol as in ARP; 3 asks "what is my address?" (RFC 903).
                let head: [u8; 8] = array(frame, 14)?;
                let honest = head == [0, 1, 8, 0, 6, 4, 0, 3] && array::<6>(frame, 22)? == mac.0;
                honest.then(|| Self { mac, address: v4(frame, 28), evidence: Evidence::Rarp })
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAC: MacAddr = MacAddr([2, 0, 0, 0, 0, 0x53]);

    fn frame(eth_type: u16, rest: &[u8]) -> Vec<u8> {
        [&[0xff; 6], &MAC.0[..], &eth_type.to_be_bytes(), rest].concat()
    }

    #[test]
    fn a_hypervisor_s_announcement_names_no_address() {
        let mut rarp = vec![0, 1, 8, 0, 6, 4, 0, 3];
        rarp.extend(MAC.0);
        rarp.extend([0; 4]);
        rarp.extend(MAC.0);
        rarp.extend([0; 4]);
        let sign = Sign { mac: MAC, address: None, evidence: Evidence::Rarp };
        assert_eq!(Sign::parse(&frame(ETH_TYPE_RARP, &rarp)), Some(sign));
        for len in 0..frame(ETH_TYPE_RARP, &rarp[..14]).len() {
            assert_eq!(Sign::parse(&frame(ETH_TYPE_RARP, &rarp)[..len]), None, "{len}");
        }
        rarp[8] = 4;
        assert_eq!(Sign::parse(&frame(ETH_TYPE_RARP, &rarp)), None, "Ethernet and RARP name different senders");
    }

    #[test]
    fn a_packet_names_its_sender() {
        let mut packet = vec![0x45; 20];
        packet[12..16].copy_from_slice(&[192, 0, 2, 53]);
        let sign = Sign { mac: MAC, address: Some(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 53))), evidence: Evidence::Data };
        assert_eq!(Sign::parse(&frame(ETH_TYPE_IPV4, &packet)), Some(sign));
        assert_eq!(Sign::parse(&frame(ETH_TYPE_IPV4, &packet[..19])), None, "cut short");
        packet[12..16].fill(0);
        assert_eq!(Sign::parse(&frame(ETH_TYPE_IPV4, &packet)), None, "a booting DHCP client has no address");
    }

    #[test]
    fn an_ipv6_packet_names_its_sender_and_a_search_for_a_router_does_not() {
        let packet = |src: &str, next: u8, ty: u8| {
            let src: Ipv6Addr = src.parse().unwrap();
            frame(ETH_TYPE_IPV6, &[&[0x60, 0, 0, 0, 0, 8, next, 64], &src.octets()[..], &[0xff; 16], &[ty; 8]].concat())
        };
        let sign = |address, evidence| Some(Sign { mac: MAC, address, evidence });
        let s = "2001:db8:1::53";
        assert_eq!(Sign::parse(&packet(s, 17, 0)), sign(Some(s.parse().unwrap()), Evidence::Data));
        assert_eq!(Sign::parse(&packet("fe80::1", 17, 0)), None, "of the link only");
        assert_eq!(Sign::parse(&packet("::", 17, 0)), None);
        assert_eq!(Sign::parse(&packet("ff02::1", 17, 0)), None);
        assert_eq!(Sign::parse(&packet("fe80::1", 58, 133)), sign(None, Evidence::NdRouterSolicit));
        assert_eq!(Sign::parse(&packet(s, 17, 0)[..53]), None, "cut short");
    }
}
