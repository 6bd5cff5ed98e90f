//! ARP packets whose addresses have the type that addresses have everywhere else.

use std::net::{IpAddr, Ipv4Addr};

use bytes::Bytes;
use wamig_openflow::MacAddr;

use crate::migration::arp;
pub(in crate::migration) use crate::migration::arp::Op;

/// As [`arp::Arp`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::migration) struct Arp {
    pub(in crate::migration) eth_dst: MacAddr,
    pub(in crate::migration) eth_src: MacAddr,
    pub(in crate::migration) op: Op,
    pub(in crate::migration) sha: MacAddr,
    pub(in crate::migration) spa: IpAddr,
    pub(in crate::migration) tha: MacAddr,
    pub(in crate::migration) tpa: IpAddr,
}

fn v4(address: IpAddr) -> Ipv4Addr {
    let IpAddr::V4(address) = address else { panic!("{address} is not ARP's") };
    address
}

impl From<arp::Arp> for Arp {
    fn from(a: arp::Arp) -> Self {
        let arp::Arp { eth_dst, eth_src, op, sha, spa, tha, tpa } = a;
        Self { eth_dst, eth_src, op, sha, spa: spa.into(), tha, tpa: tpa.into() }
    }
}

impl Arp {
    pub(in crate::migration) fn parse(frame: &[u8]) -> Option<Self> {
        arp::Arp::parse(frame).map(Self::from)
    }

    pub(in crate::migration) fn build(&self) -> Bytes {
        let Self { eth_dst, eth_src, op, sha, spa, tha, tpa } = *self;
        arp::Arp { eth_dst, eth_src, op, sha, spa: v4(spa), tha, tpa: v4(tpa) }.build()
    }

    pub(in crate::migration) fn probe(sender: MacAddr, target: IpAddr) -> Self {
        arp::Arp::probe(sender, v4(target)).into()
    }

    pub(in crate::migration) fn announcement(sender: MacAddr, address: IpAddr) -> Self {
        arp::Arp::announcement(sender, v4(address)).into()
    }

    pub(in crate::migration) fn reply(sender: MacAddr, address: IpAddr, to: MacAddr, to_address: IpAddr) -> Self {
        arp::Arp::reply(sender, v4(address), to, v4(to_address)).into()
    }

    pub(in crate::migration) fn is_probe(&self) -> bool {
        self.op == Op::Request && self.spa.is_unspecified()
    }
}
