//! A frame out of a flow: the shortest one that has the fields, with right lengths and
//! checksums. What the flow leaves open is filled with harmless values.

use bytes::Bytes;
use wamig_common::checksum::fold;
use wamig_openflow::flow_match::VID_PRESENT;
use wamig_openflow::{Field, Match, PortNo};

use super::fields;

/// Why there is no such frame.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum BuildError {
    /// The match contradicts the specification.
    #[error(transparent)]
    Match(#[from] wamig_openflow::OfpError),
    /// Fields that no frame carries, or none that is built here.
    #[error("{0}: no frame is built with it; give the frame itself, as hexadecimal digits")]
    Field(&'static str),
    /// A field of the frame built differs.
    #[error("{wanted}: the frame would have {got} instead; give the frame itself, as hexadecimal digits")]
    Differs {
        /// As asked.
        wanted: String,
        /// As built.
        got: String,
    },
}

/// Protocol numbers.
const ICMP: u8 = 1;
const TCP: u8 = 6;
const UDP: u8 = 17;
const ICMPV6: u8 = 58;
const SCTP: u8 = 132;
/// Payload behind the last header.
const PAYLOAD: &[u8] = b"wamig trace";

/// Builds the frame; masked fields take the value under the mask.
///
/// # Errors
/// [`BuildError`], naming the field.
pub fn build(flow: &Match) -> Result<Bytes, BuildError> {
    flow.validate()?;
    let flow = &Flow(flow);
    let mut frame = Vec::new();
    frame.extend(flow.bytes(Field::EthDst, 6, 0x0200_0000_0002));
    frame.extend(flow.bytes(Field::EthSrc, 6, 0x0200_0000_0001));
    let vid = flow.or(Field::VlanVid, 0);
    if vid & u128::from(VID_PRESENT) != 0 {
        let tci = vid & 0xfff | flow.or(Field::VlanPcp, 0) << 13;
        frame.extend([0x81, 0]);
        frame.extend((tci as u16).to_be_bytes());
    }
    let eth_type = flow.or(Field::EthType, 0x0800) as u16;
    if eth_type < 0x0600 {
        return Err(BuildError::Field("eth_type"));
    }
    frame.extend(eth_type.to_be_bytes());
    match eth_type {
        0x0800 => frame.extend(ipv4(flow)),
        0x86dd => frame.extend(ipv6(flow)),
        0x0806 => frame.extend(arp(flow)),
        0x8847 | 0x8848 => {
            let label = flow.or(Field::MplsLabel, 16) << 12 | flow.or(Field::MplsTc, 0) << 9;
            let entry = label | flow.or(Field::MplsBos, 1) << 8 | 64;
            frame.extend((entry as u32).to_be_bytes());
            frame.extend(ipv4(&Flow(&Match::any())));
        }
        _ => frame.extend(PAYLOAD),
    }
    // Without checksum: the least that Ethernet sends.
    frame.resize(frame.len().max(60), 0);
    check(flow.0, &frame)?;
    Ok(frame.into())
}

/// The frame must be one that the flow takes.
fn check(flow: &Match, frame: &[u8]) -> Result<(), BuildError> {
    let port = flow.get(Field::InPort).map_or(PortNo(1), |m| PortNo(m.value as u32));
    let got = fields(frame, port).unwrap_or_default();
    for (field, wanted) in flow.iter() {
        if matches!(field, Field::Metadata | Field::TunnelId | Field::InPhyPort | Field::PbbIsid) {
            return Err(BuildError::Field(field.name()));
        }
        let value = got.get(field).map_or(0, |m| m.value);
        if value & wanted.mask != wanted.value {
            let text = |v| Match::any().with(field, v).to_string();
            return Err(BuildError::Differs { wanted: text(wanted.value), got: text(value) });
        }
    }
    Ok(())
}

/// The match as a source of values.
struct Flow<'a>(&'a Match);

impl Flow<'_> {
    fn or(&self, field: Field, default: u128) -> u128 {
        self.0.get(field).map_or(default, |m| m.value)
    }

    /// The last `n` bytes of the value.
    fn bytes(&self, field: Field, n: usize, default: u128) -> Vec<u8> {
        self.or(field, default).to_be_bytes()[16 - n..].to_vec()
    }

    fn tos(&self) -> u8 {
        (self.or(Field::IpDscp, 0) << 2 | self.or(Field::IpEcn, 0)) as u8
    }
}

/// The one's-complement checksum (RFC 1071).
fn checksum(parts: &[&[u8]]) -> u16 {
    let bytes = parts.concat();
    let words = bytes.chunks(2).map(|c| u64::from(c[0]) << 8 | u64::from(c.get(1).copied().unwrap_or(0)));
    !fold(words.sum())
}

fn ipv4(flow: &Flow<'_>) -> Vec<u8> {
    let proto = flow.or(Field::IpProto, u128::from(UDP)) as u8;
    let (src, dst) = (flow.bytes(Field::Ipv4Src, 4, 0x0a00_0001), flow.bytes(Field::Ipv4Dst, 4, 0x0a00_0002));
    let len = transport(flow, proto, &[]).len() as u16;
    let pseudo = [&src[..], &dst, &[0, proto], &len.to_be_bytes()].concat();
    let l4 = transport(flow, proto, if proto == ICMP { &[] } else { &pseudo });
    let mut header = vec![0x45, flow.tos()];
    header.extend((20 + len).to_be_bytes());
    header.extend([0, 0, 0, 0, 64, proto, 0, 0]);
    header.extend(src.iter().chain(&dst));
    let sum = checksum(&[&header]);
    header[10..12].copy_from_slice(&sum.to_be_bytes());
    [header, l4].concat()
}

fn ipv6(flow: &Flow<'_>) -> Vec<u8> {
    let proto = flow.or(Field::IpProto, u128::from(UDP)) as u8;
    let documentation = 0x2001_0db8_u128 << 96;
    let src = flow.bytes(Field::Ipv6Src, 16, documentation | 1);
    let dst = flow.bytes(Field::Ipv6Dst, 16, documentation | 2);
    let len = transport(flow, proto, &[]).len() as u16;
    let pseudo = [&src[..], &dst, &u32::from(len).to_be_bytes(), &[0, 0, 0, proto]].concat();
    let l4 = transport(flow, proto, &pseudo);
    let first = 6 << 28 | u32::from(flow.tos()) << 20 | flow.or(Field::Ipv6Flabel, 0) as u32;
    let mut header = first.to_be_bytes().to_vec();
    header.extend(len.to_be_bytes());
    // Neighbour discovery is believed with this hop limit only (RFC 4861 §7.1).
    header.extend([proto, 255]);
    header.extend(src.iter().chain(&dst));
    [header, l4].concat()
}

fn arp(flow: &Flow<'_>) -> Vec<u8> {
    let mut arp = vec![0, 1, 8, 0, 6, 4];
    arp.extend(flow.bytes(Field::ArpOp, 2, 1));
    arp.extend(flow.bytes(Field::ArpSha, 6, flow.or(Field::EthSrc, 0x0200_0000_0001)));
    arp.extend(flow.bytes(Field::ArpSpa, 4, 0x0a00_0001));
    arp.extend(flow.bytes(Field::ArpTha, 6, 0));
    arp.extend(flow.bytes(Field::ArpTpa, 4, 0x0a00_0002));
    arp
}

/// The L4 header and a payload, summed over `pseudo` as well.
fn transport(flow: &Flow<'_>, proto: u8, pseudo: &[u8]) -> Vec<u8> {
    let ports = |src, dst| [flow.bytes(src, 2, 1000), flow.bytes(dst, 2, 2000)].concat();
    let (mut l4, sum_at) = match proto {
        TCP => {
            let rest = [0, 0, 0, 1, 0, 0, 0, 1, 0x50, 0x10, 0x10, 0, 0, 0, 0, 0];
            ([&ports(Field::TcpSrc, Field::TcpDst)[..], &rest].concat(), 16)
        }
        UDP => {
            let len = (8 + PAYLOAD.len()) as u16;
            ([&ports(Field::UdpSrc, Field::UdpDst)[..], &len.to_be_bytes(), &[0, 0]].concat(), 6)
        }
        SCTP => ([&ports(Field::SctpSrc, Field::SctpDst)[..], &[0; 8]].concat(), 8),
        ICMP => (icmp(flow, Field::Icmpv4Type, Field::Icmpv4Code, 8), 2),
        ICMPV6 => (icmpv6(flow), 2),
        _ => return PAYLOAD.to_vec(),
    };
    // Options, not a payload, follow a message of neighbour discovery.
    if proto != ICMPV6 || !matches!(l4[0], 135 | 136) {
        l4.extend(PAYLOAD);
    }
    if proto == SCTP {
        let sum = crate::switch::sctp::crc32c(&l4);
        l4[sum_at..sum_at + 4].copy_from_slice(&sum);
        return l4;
    }
    let sum = match checksum(&[pseudo, &l4]) {
        0 if proto == UDP => 0xffff,
        sum => sum,
    };
    l4[sum_at..sum_at + 2].copy_from_slice(&sum.to_be_bytes());
    l4
}

fn icmp(flow: &Flow<'_>, ty: Field, code: Field, default: u128) -> Vec<u8> {
    vec![flow.or(ty, default) as u8, flow.or(code, 0) as u8, 0, 0, 0, 1, 0, 1]
}

fn icmpv6(flow: &Flow<'_>) -> Vec<u8> {
    let head = icmp(flow, Field::Icmpv6Type, Field::Icmpv6Code, 128);
    let (option, address) = match head[0] {
        135 => (1, Field::Ipv6NdSll),
        136 => (2, Field::Ipv6NdTll),
        _ => return head,
    };
    let mut nd = [&head[..4], &[0; 4]].concat();
    nd.extend(flow.bytes(Field::Ipv6NdTarget, 16, 0x2001_0db8_u128 << 96 | 2));
    nd.extend([option, 1]);
    nd.extend(flow.bytes(address, 6, flow.or(Field::EthSrc, 0x0200_0000_0001)));
    nd
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(flow: &str) -> Result<Bytes, BuildError> {
        build(&flow.parse().unwrap())
    }

    fn sums(frame: &[u8], l3: usize) -> (u16, u16) {
        let total = usize::from(u16::from_be_bytes([frame[l3 + 2], frame[l3 + 3]]));
        let l4 = &frame[l3 + 20..l3 + total];
        let pseudo = [&frame[l3 + 12..l3 + 20], &[0, frame[l3 + 9]], &(l4.len() as u16).to_be_bytes()].concat();
        (checksum(&[&frame[l3..l3 + 20]]), checksum(&[&pseudo, l4]))
    }

    #[test]
    fn a_frame_has_the_fields_of_its_flow() {
        for flow in [
            "in_port=2,tcp,nw_dst=192.0.2.7,tp_dst=80,nw_tos=0x20",
            "udp,nw_src=10.1.0.0/16,udp_src=53",
            "dl_vlan=7,dl_vlan_pcp=3,ip,nw_proto=253",
            "arp,arp_op=2,arp_spa=10.0.0.7,arp_tha=02:00:00:00:00:07,dl_dst=ff:ff:ff:ff:ff:ff",
            "icmp,icmp_type=3,icmp_code=1",
            "sctp,sctp_dst=9",
            "tcp6,ipv6_dst=2001:db8::9,tcp_dst=443,ipv6_label=0x12345",
            "icmp6,icmpv6_type=129",
            "dl_type=0x88b5",
            "",
        ] {
            let frame = of(flow).unwrap_or_else(|e| panic!("{flow}: {e}"));
            assert!(frame.len() >= 60, "{flow}");
        }
    }

    #[test]
    fn checksums_are_right() {
        for flow in ["tcp,tp_dst=80", "udp", "udp,nw_dst=255.255.255.255,tp_src=65535"] {
            assert_eq!(sums(&of(flow).unwrap(), 14), (0, 0), "{flow}");
        }
        assert_eq!(sums(&of("dl_vlan=3,tcp").unwrap(), 18), (0, 0));
        let icmp = of("icmp").unwrap();
        let total = usize::from(u16::from_be_bytes([icmp[16], icmp[17]]));
        assert_eq!(checksum(&[&icmp[34..14 + total]]), 0);
        let six = of("udp6").unwrap();
        let len = usize::from(u16::from_be_bytes([six[18], six[19]]));
        let pseudo = [&six[22..54], &(len as u32).to_be_bytes(), &[0, 0, 0, UDP]].concat();
        assert_eq!(checksum(&[&pseudo, &six[54..54 + len]]), 0);
    }

    #[test]
    fn what_no_frame_can_have_is_named() {
        let said = |flow: &str| of(flow).unwrap_err().to_string();
        assert!(said("metadata=7").starts_with("metadata"), "{}", said("metadata=7"));
        assert!(said("tun_id=7").starts_with("tun_id"), "{}", said("tun_id=7"));
        assert!(said("nw_dst=10.0.0.1").contains("eth_type=0x0800"));
        assert!(said("dl_type=0x05ff").starts_with("eth_type"));
    }
}
