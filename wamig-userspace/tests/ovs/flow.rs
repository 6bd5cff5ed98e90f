//! What Open vSwitch reads out of a frame: the line `Flow: …` of a trace (ovs-fields(7)).

use std::collections::BTreeMap;

use wamig_openflow::Field;

use super::action::value;

/// Names of protocols, with the EtherType and IP protocol that they stand for.
const NAMES: [(&str, u128, Option<u128>); 14] = [
    ("mpls", 0x8847, None),
    ("mplsm", 0x8848, None),
    ("ip", 0x0800, None),
    ("ipv6", 0x86dd, None),
    ("arp", 0x0806, None),
    ("rarp", 0x8035, None),
    ("tcp", 0x0800, Some(6)),
    ("udp", 0x0800, Some(17)),
    ("sctp", 0x0800, Some(132)),
    ("icmp", 0x0800, Some(1)),
    ("tcp6", 0x86dd, Some(6)),
    ("udp6", 0x86dd, Some(17)),
    ("sctp6", 0x86dd, Some(132)),
    ("icmp6", 0x86dd, Some(58)),
];

/// The fields read.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Flow {
    /// Those that OpenFlow names too.
    pub fields: BTreeMap<Field, u128>,
    /// TTL or hop limit.
    pub ttl: u8,
    /// Tags.
    pub tags: usize,
}

/// Reads the line behind `Flow: `; `None` if it is not understood.
pub fn read(line: &str) -> Option<Flow> {
    let mut texts: BTreeMap<&str, &str> = BTreeMap::new();
    let mut flow = Flow::default();
    for part in line.split(',') {
        if let Some((name, text)) = part.split_once('=') {
            texts.insert(name, text);
        } else {
            let (_, eth_type, proto) = NAMES.into_iter().find(|(name, ..)| *name == part)?;
            flow.fields.insert(Field::EthType, eth_type);
            flow.fields.extend(proto.map(|p| (Field::IpProto, p)));
        }
    }
    let get = |name: &str| texts.get(name).and_then(|text| value(text));
    let mut put = |field: Field, name: &str| flow.fields.extend(get(name).map(|v| (field, v)));
    put(Field::EthType, "dl_type");
    put(Field::IpProto, "nw_proto");
    put(Field::EthSrc, "dl_src");
    put(Field::EthDst, "dl_dst");
    put(Field::VlanPcp, "dl_vlan_pcp");
    put(Field::IpEcn, "nw_ecn");
    put(Field::Ipv4Src, "nw_src");
    put(Field::Ipv4Dst, "nw_dst");
    put(Field::Ipv6Src, "ipv6_src");
    put(Field::Ipv6Dst, "ipv6_dst");
    put(Field::Ipv6Flabel, "ipv6_label");
    for (field, name) in [
        (Field::ArpOp, "arp_op"),
        (Field::ArpSpa, "arp_spa"),
        (Field::ArpTpa, "arp_tpa"),
        (Field::ArpSha, "arp_sha"),
        (Field::ArpTha, "arp_tha"),
        (Field::MplsLabel, "mpls_label"),
        (Field::MplsTc, "mpls_tc"),
        (Field::MplsBos, "mpls_bos"),
        (Field::Ipv6NdTarget, "nd_target"),
        (Field::Ipv6NdSll, "nd_sll"),
        (Field::Ipv6NdTll, "nd_tll"),
    ] {
        put(field, name);
    }
    let l4 = match (flow.fields.get(&Field::EthType)?, flow.fields.get(&Field::IpProto)) {
        (0x0800 | 0x86dd, Some(6)) => Some(((Field::TcpSrc, Field::TcpDst), ("tp_src", "tp_dst"))),
        (0x0800 | 0x86dd, Some(17)) => Some(((Field::UdpSrc, Field::UdpDst), ("tp_src", "tp_dst"))),
        (0x0800 | 0x86dd, Some(132)) => Some(((Field::SctpSrc, Field::SctpDst), ("tp_src", "tp_dst"))),
        (0x0800, Some(1)) => Some(((Field::Icmpv4Type, Field::Icmpv4Code), ("icmp_type", "icmp_code"))),
        (0x86dd, Some(58)) => Some(((Field::Icmpv6Type, Field::Icmpv6Code), ("icmp_type", "icmp_code"))),
        _ => None,
    };
    if let Some(((first, second), names)) = l4 {
        // What is not printed is 0, and matches as such.
        flow.fields.insert(first, get(names.0).unwrap_or(0));
        flow.fields.insert(second, get(names.1).unwrap_or(0));
    }
    if let (Some(0x86dd), Some(58), Some(kind @ (135 | 136))) = (
        flow.fields.get(&Field::EthType),
        flow.fields.get(&Field::IpProto),
        flow.fields.get(&Field::Icmpv6Type).copied(),
    ) {
        let address = if kind == 135 { Field::Ipv6NdSll } else { Field::Ipv6NdTll };
        for field in [Field::Ipv6NdTarget, address] {
            flow.fields.entry(field).or_insert(0);
        }
    }
    flow.fields.extend(get("nw_tos").map(|tos| (Field::IpDscp, tos >> 2)));
    flow.fields.insert(Field::VlanVid, get("dl_vlan").map_or(0, |vid| 0x1000 | vid));
    flow.tags = usize::from(texts.contains_key("dl_vlan")) + usize::from(texts.contains_key("dl_vlan1"));
    flow.ttl = get("nw_ttl").unwrap_or(0) as u8;
    Some(flow)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_names_and_values() {
        let line = "udp,in_port=4,dl_vlan=100,dl_vlan_pcp=1,vlan_tci1=0x0000,dl_src=02:00:00:00:00:01,nw_src=10.0.1.1,\
                    nw_tos=4,nw_ecn=1,nw_ttl=2,nw_frag=no,tp_src=40000,tp_dst=53";
        let flow = read(line).unwrap();
        let is = |field, value| assert_eq!(flow.fields.get(&field), Some(&value), "{field:?}");
        is(Field::EthType, 0x0800);
        is(Field::IpProto, 17);
        is(Field::VlanVid, 0x1064);
        is(Field::UdpDst, 53);
        is(Field::IpDscp, 1);
        is(Field::Ipv4Src, 0x0a00_0101);
        assert_eq!((flow.ttl, flow.tags), (2, 1));
    }
}
