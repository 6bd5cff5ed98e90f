//! Address resolution in either family: who asks for whom, and who says to have what. ARP and Neighbour Discovery
//! differ in their frames ([`super::arp`], [`super::nd`]), not in what a state machine has to know of them.

use std::net::{IpAddr, Ipv6Addr};

use bytes::Bytes;
use wamig_openflow::MacAddr;

use super::arp::{self, Arp};
use super::nd::{self, Nd};
use super::prefix::{Family, is_link_local};
use crate::peer::message::Evidence;

/// What a frame asks or says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Question {
    /// Who has the target?
    Asks,
    /// The sender has its address.
    Says,
}

/// A frame of address resolution.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Resolution {
    /// Who sends it.
    pub mac: MacAddr,
    /// For one host alone, with this MAC address, or for a group.
    pub eth_dst: MacAddr,
    /// Ask or say.
    pub question: Question,
    /// The sender's address; unspecified in a probe.
    pub sender: IpAddr,
    /// Whom it asks for; what it says is said to this address.
    pub target: IpAddr,
}

impl Resolution {
    /// Reads ARP, a neighbour solicitation or a neighbour advertisement.
    pub fn parse(frame: &[u8]) -> Option<Self> {
        if let Some(arp) = Arp::parse(frame) {
            let question = match arp.op {
                arp::Op::Request => Question::Asks,
                arp::Op::Reply => Question::Says,
            };
            let (sender, target) = (arp.spa.into(), arp.tpa.into());
            return Some(Self { mac: arp.sha, eth_dst: arp.eth_dst, question, sender, target });
        }
        let nd = Nd::parse(frame)?;
        let (question, sender, target) = match nd.op {
            nd::Op::Solicit => (Question::Asks, nd.src, nd.target),
            nd::Op::Advertise(_) => (Question::Says, nd.target, nd.dst),
        };
        let (sender, target) = (sender.into(), target.into());
        Some(Self { mac: nd.sender, eth_dst: nd.eth_dst, question, sender, target })
    }

    /// IPv4 or IPv6.
    pub fn family(&self) -> Family {
        Family::of(self.target)
    }

    /// Whether the sender asks if the target is free, and has no address yet.
    pub fn is_probe(&self) -> bool {
        self.question == Question::Asks && self.sender.is_unspecified()
    }

    /// Whether it was said to `mac` alone: an answer to its question.
    pub fn answers(&self, mac: MacAddr) -> bool {
        self.question == Question::Says && self.eth_dst == mac
    }

    /// What the sender wants to reach: `None` unless it asks as somebody.
    pub fn asked(&self) -> Option<IpAddr> {
        (self.question == Question::Asks && !self.is_probe()).then_some(self.target)
    }

    /// Which address the frame shows its sender to have or to want, and how; `None` for a reply on behalf of nobody.
    pub fn evidence(&self) -> Option<(IpAddr, Evidence)> {
        let v4 = self.family() == Family::V4;
        let of = |arp, nd| if v4 { arp } else { nd };
        if self.is_probe() {
            Some((self.target, of(Evidence::ArpProbe, Evidence::NdProbe)))
        } else if self.sender.is_unspecified() {
            None
        } else if self.question == Question::Asks && self.sender != self.target {
            Some((self.sender, of(Evidence::ArpRequest, Evidence::NdSolicit)))
        } else {
            Some((self.sender, of(Evidence::ArpAnnounce, Evidence::NdAdvert)))
        }
    }

    /// Whether the sender speaks for its link only, so that it shows none of the addresses that move.
    pub fn is_of_link(&self) -> bool {
        self.family() == Family::V6 && self.evidence().is_some_and(|(address, _)| is_link_local(address))
    }
}

/// The question that `sender`, who has no address of its own in the LAN, asks everybody.
///
/// ARP's is a probe (RFC 5227), which changes no cache. Neighbour Discovery's comes from the link-local address that
/// goes with the MAC address: to a probe for duplicates everybody would be told the answer (RFC 4861 §7.2.4).
pub fn ask(sender: MacAddr, target: IpAddr) -> Bytes {
    match target {
        IpAddr::V4(target) => Arp::probe(sender, target).build(),
        IpAddr::V6(target) => Nd::solicit(sender, target).build(),
    }
}

/// Tells everybody that `sender` has `address`.
pub fn announcement(sender: MacAddr, address: IpAddr) -> Bytes {
    match address {
        IpAddr::V4(address) => Arp::announcement(sender, address).build(),
        IpAddr::V6(address) => Nd::announce(sender, address).build(),
    }
}

/// Answers `to`, who has `to_address`, that `sender` has `address`. `router`: whether that is a router's, as only
/// Neighbour Discovery says; families are equal, or nobody has asked.
pub fn answer(sender: MacAddr, address: IpAddr, to: MacAddr, to_address: IpAddr, router: bool) -> Bytes {
    match (address, to_address) {
        (IpAddr::V4(address), IpAddr::V4(of)) => Arp::reply(sender, address, to, of).build(),
        (IpAddr::V6(address), IpAddr::V6(of)) => Nd::advertise(sender, address, to, of, router).build(),
        (IpAddr::V4(_), IpAddr::V6(_)) => announcement(sender, address),
        (IpAddr::V6(address), IpAddr::V4(_)) => {
            Nd::advertise(sender, address, to, Ipv6Addr::UNSPECIFIED, router).build()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAC: MacAddr = MacAddr([2, 0, 0, 0, 0, 0x53]);
    const OTHER: MacAddr = MacAddr([2, 0, 0, 0, 0, 1]);

    /// Server and gateway in each family.
    fn pairs() -> [(IpAddr, IpAddr); 2] {
        [("192.0.2.53", "192.0.2.1"), ("2001:db8:1::53", "2001:db8:1::1")]
            .map(|(s, g)| (s.parse().unwrap(), g.parse().unwrap()))
    }

    #[test]
    fn both_families_say_the_same() {
        for (s, g) in pairs() {
            let v4 = s.is_ipv4();
            let said = Resolution::parse(&announcement(MAC, s)).unwrap();
            assert_eq!((said.question, said.sender, said.mac, said.is_probe()), (question(v4), s, MAC, false));
            assert_eq!(said.evidence().unwrap().0, s);
            let answered = Resolution::parse(&answer(MAC, s, OTHER, g, false)).unwrap();
            assert_eq!((answered.sender, answered.target, answered.answers(OTHER)), (s, g, true));
            assert!(!answered.answers(MAC) && answered.asked().is_none());
        }
    }

    /// A gratuitous ARP is a request; an unsolicited advertisement is none.
    fn question(v4: bool) -> Question {
        if v4 { Question::Asks } else { Question::Says }
    }

    #[test]
    fn evidence_names_the_address_that_the_sender_has_or_wants() {
        let v6 = |nd: Nd| Resolution::parse(&nd.build()).unwrap();
        let (s, g) = ("2001:db8:1::53".parse().unwrap(), "fe80::1".parse().unwrap());
        let probe = v6(Nd::probe(MAC, s));
        assert_eq!((probe.evidence(), probe.asked()), (Some((s.into(), Evidence::NdProbe)), None));
        let asks = v6(Nd { src: s, ..Nd::solicit(MAC, g) });
        assert_eq!((asks.evidence(), asks.asked()), (Some((s.into(), Evidence::NdSolicit)), Some(g.into())));
        assert_eq!(v6(Nd::announce(MAC, s)).evidence(), Some((s.into(), Evidence::NdAdvert)));
        assert!(!probe.is_of_link() && !asks.is_of_link());
        assert!(v6(Nd::solicit(MAC, g)).is_of_link() && v6(Nd::probe(MAC, nd::link_local(MAC))).is_of_link());
    }

    #[test]
    fn the_own_question_shows_no_address_that_could_move() {
        for (s, _) in pairs() {
            let asked = Resolution::parse(&ask(MAC, s)).unwrap();
            assert!(asked.is_probe() || asked.is_of_link());
            assert_eq!(asked.target, s);
        }
    }
}
