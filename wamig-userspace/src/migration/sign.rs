//! Signs of a server other than ARP: its hypervisor's RARP after a live migration, and the
//! first packet of one whose ARP cache is warm, so that it asks nobody.
//!
//! Reading is strict and total, as in [`super::arp`].

use std::net::Ipv4Addr;

use wamig_openflow::MacAddr;
use wamig_openflow::flow_match::ETH_TYPE_IPV4;

use crate::peer::message::Evidence;

/// EtherType of RARP (RFC 903).
pub const ETH_TYPE_RARP: u16 = 0x8035;

/// A frame that shows where its sender is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Sign {
    /// The sender.
    pub mac: MacAddr,
    /// Its address; QEMU and VMware leave it out of a RARP.
    pub address: Option<Ipv4Addr>,
    /// How it shows.
    pub evidence: Evidence,
}

fn array<const N: usize>(frame: &[u8], at: usize) -> Option<[u8; N]> {
    frame.get(at..at + N)?.try_into().ok()
}

fn address(frame: &[u8], at: usize) -> Option<Ipv4Addr> {
    let address = Ipv4Addr::from(array::<4>(frame, at)?);
    let of_a_host = !(address.is_unspecified() || address.is_multicast() || address.is_broadcast());
    of_a_host.then_some(address)
}

impl Sign {
    /// Reads an untagged IPv4 packet or RARP request.
    pub fn parse(frame: &[u8]) -> Option<Self> {
        let mac = MacAddr(array(frame, 6)?);
        if mac.is_multicast() || mac == MacAddr::ZERO {
            return None;
        }
        match u16::from_be_bytes(array(frame, 12)?) {
            ETH_TYPE_IPV4 if array::<1>(frame, 14)?[0] >> 4 == 4 && frame.len() >= 34 => {
                Some(Self { mac, address: Some(address(frame, 26)?), evidence: Evidence::Data })
            }
            ETH_TYPE_RARP => {
                // Hardware and protocol as in ARP; 3 asks "what is my address?" (RFC 903).
                let head: [u8; 8] = array(frame, 14)?;
                let honest = head == [0, 1, 8, 0, 6, 4, 0, 3] && array::<6>(frame, 22)? == mac.0;
                honest.then(|| Self { mac, address: address(frame, 28), evidence: Evidence::Rarp })
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
        let sign = Sign { mac: MAC, address: Some(Ipv4Addr::new(192, 0, 2, 53)), evidence: Evidence::Data };
        assert_eq!(Sign::parse(&frame(ETH_TYPE_IPV4, &packet)), Some(sign));
        assert_eq!(Sign::parse(&frame(ETH_TYPE_IPV4, &packet[..19])), None, "cut short");
        packet[12..16].fill(0);
        assert_eq!(Sign::parse(&frame(ETH_TYPE_IPV4, &packet)), None, "a booting DHCP client has no address");
    }
}
