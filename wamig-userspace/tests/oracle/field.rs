//! Match fields as OpenFlow 1.3.5 §7.2.3.7 describes them, out of a frame's headers.

use wamig_openflow::Field;

use super::headers::{Headers, L3};

/// What the frame has in a field; `None` = it has no such field, and no match on it holds.
pub fn value(field: Field, h: &Headers, in_port: u32, metadata: u64) -> Option<u128> {
    let ip = |v6: bool| if let L3::Ip(ip) = &h.l3 { Some(ip).filter(|ip| ip.v6 == v6) } else { None };
    let either = || ip(false).or(ip(true));
    let l4 = |proto: u8| either().filter(|ip| ip.proto == proto)?.l4;
    let icmp = |v6: bool, proto: u8| ip(v6).filter(|ip| ip.proto == proto)?.l4;
    Some(match field {
        Field::InPort | Field::InPhyPort => u128::from(in_port),
        Field::Metadata => u128::from(metadata),
        Field::EthDst => u128::from(h.eth_dst),
        Field::EthSrc => u128::from(h.eth_src),
        Field::EthType => u128::from(h.eth_type),
        Field::VlanVid => h.tag.map_or(0, |tci| 0x1000 | u128::from(tci & 0xfff)),
        Field::VlanPcp => u128::from(h.tag? >> 13),
        Field::IpDscp => u128::from(either()?.tos >> 2),
        Field::IpEcn => u128::from(either()?.tos & 3),
        Field::IpProto => u128::from(either()?.proto),
        Field::Ipv4Src => ip(false)?.src,
        Field::Ipv4Dst => ip(false)?.dst,
        Field::Ipv6Src => ip(true)?.src,
        Field::Ipv6Dst => ip(true)?.dst,
        Field::Ipv6Flabel => u128::from(ip(true)?.label),
        Field::TcpSrc => u128::from(l4(6)?.first),
        Field::TcpDst => u128::from(l4(6)?.second),
        Field::UdpSrc => u128::from(l4(17)?.first),
        Field::UdpDst => u128::from(l4(17)?.second),
        Field::SctpSrc => u128::from(l4(132)?.first),
        Field::SctpDst => u128::from(l4(132)?.second),
        Field::Icmpv4Type => u128::from(icmp(false, 1)?.first),
        Field::Icmpv4Code => u128::from(icmp(false, 1)?.second),
        Field::Icmpv6Type => u128::from(icmp(true, 58)?.first),
        Field::Icmpv6Code => u128::from(icmp(true, 58)?.second),
        Field::ArpOp => arp(h, |(op, ..)| u128::from(op))?,
        Field::ArpSha => arp(h, |(_, sha, ..)| u128::from(sha))?,
        Field::ArpSpa => arp(h, |(_, _, spa, ..)| u128::from(spa))?,
        Field::ArpTha => arp(h, |(_, _, _, tha, _)| u128::from(tha))?,
        Field::ArpTpa => arp(h, |(.., tpa)| u128::from(tpa))?,
        Field::MplsLabel => u128::from(mpls(h)? >> 12),
        Field::MplsTc => u128::from(mpls(h)? >> 9 & 7),
        Field::MplsBos => u128::from(mpls(h)? >> 8 & 1),
        Field::PbbIsid => match h.l3 {
            L3::Pbb { tag, .. } => u128::from(tag & 0xff_ffff),
            _ => return None,
        },
        Field::Ipv6NdTarget => ip(true)?.neighbour?.target,
        Field::Ipv6NdSll => {
            u128::from(ip(true).filter(|ip| ip.l4.is_some_and(|l4| l4.first == 135))?.neighbour?.address?.1)
        }
        Field::Ipv6NdTll => {
            u128::from(ip(true).filter(|ip| ip.l4.is_some_and(|l4| l4.first == 136))?.neighbour?.address?.1)
        }
        Field::Ipv6Exthdr => u128::from(ip(true)?.extensions),
        // no port is a tunnel's
        Field::TunnelId => 0,
    })
}

fn mpls(h: &Headers) -> Option<u32> {
    if let L3::Mpls { entry, .. } = h.l3 { Some(entry) } else { None }
}

fn arp(h: &Headers, part: impl Fn((u16, u64, u32, u64, u32)) -> u128) -> Option<u128> {
    let L3::Arp { op, sha, spa, tha, tpa, .. } = h.l3 else { return None };
    Some(part((op, sha, spa, tha, tpa)))
}
