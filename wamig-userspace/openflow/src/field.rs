//! The one registry of match fields (OpenFlow 1.3.5 §7.2.3.7, table 12).
//!
//! A field's value and mask are numbers of [`Field::bits`] bits in a `u128`, host byte
//! order: an IPv4 address `10.0.0.1` is `0x0a00_0001`, a MAC address its 48 bits.
//!
//! All 40 fields of class `OFPXMC_OPENFLOW_BASIC` in 1.3 are here, whether or not a data path
//! can extract them: what a switch does not carry it refuses with `OFPBMC_BAD_FIELD`.

macro_rules! fields {
    ($($(#[$doc:meta])* $variant:ident = $oxm:literal, $name:literal, $bits:literal, $maskable:literal;)*) => {
        /// A header field, pipeline field or register that a match or an action names.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        pub enum Field { $($(#[$doc])* $variant,)* }

        impl Field {
            /// Every field, in OXM order.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// `oxm_field` number within class `OFPXMC_OPENFLOW_BASIC`.
            pub const fn oxm(self) -> u8 { match self { $(Self::$variant => $oxm,)* } }

            /// The name ovs-ofctl uses.
            pub const fn name(self) -> &'static str { match self { $(Self::$variant => $name,)* } }

            /// Width in bits (1..=128).
            pub const fn bits(self) -> u8 { match self { $(Self::$variant => $bits,)* } }

            /// Whether OpenFlow 1.3 allows a mask.
            pub const fn maskable(self) -> bool { match self { $(Self::$variant => $maskable,)* } }
        }
    };
}

fields! {
    /// Ingress port.
    InPort = 0, "in_port", 32, false;
    /// Physical port below a logical ingress port.
    InPhyPort = 1, "in_phy_port", 32, false;
    /// Table metadata.
    Metadata = 2, "metadata", 64, true;
    /// Destination MAC address.
    EthDst = 3, "eth_dst", 48, true;
    /// Source MAC address.
    EthSrc = 4, "eth_src", 48, true;
    /// Type after VLAN tags, in host order.
    EthType = 5, "eth_type", 16, false;
    /// VLAN id with `OFPVID_PRESENT` (0x1000) set for tagged frames; 0 = untagged.
    VlanVid = 6, "vlan_vid", 13, true;
    /// VLAN priority.
    VlanPcp = 7, "vlan_pcp", 3, false;
    /// Differentiated services code point.
    IpDscp = 8, "ip_dscp", 6, false;
    /// Explicit congestion notification.
    IpEcn = 9, "nw_ecn", 2, false;
    /// IPv4 protocol or IPv6 upper-layer next header.
    IpProto = 10, "nw_proto", 8, false;
    /// IPv4 source.
    Ipv4Src = 11, "nw_src", 32, true;
    /// IPv4 destination.
    Ipv4Dst = 12, "nw_dst", 32, true;
    /// TCP source port.
    TcpSrc = 13, "tcp_src", 16, true;
    /// TCP destination port.
    TcpDst = 14, "tcp_dst", 16, true;
    /// UDP source port.
    UdpSrc = 15, "udp_src", 16, true;
    /// UDP destination port.
    UdpDst = 16, "udp_dst", 16, true;
    /// SCTP source port.
    SctpSrc = 17, "sctp_src", 16, true;
    /// SCTP destination port.
    SctpDst = 18, "sctp_dst", 16, true;
    /// ICMP type.
    Icmpv4Type = 19, "icmp_type", 8, false;
    /// ICMP code.
    Icmpv4Code = 20, "icmp_code", 8, false;
    /// ARP opcode.
    ArpOp = 21, "arp_op", 16, false;
    /// ARP sender protocol address.
    ArpSpa = 22, "arp_spa", 32, true;
    /// ARP target protocol address.
    ArpTpa = 23, "arp_tpa", 32, true;
    /// ARP sender hardware address.
    ArpSha = 24, "arp_sha", 48, true;
    /// ARP target hardware address.
    ArpTha = 25, "arp_tha", 48, true;
    /// IPv6 source.
    Ipv6Src = 26, "ipv6_src", 128, true;
    /// IPv6 destination.
    Ipv6Dst = 27, "ipv6_dst", 128, true;
    /// IPv6 flow label.
    Ipv6Flabel = 28, "ipv6_label", 20, true;
    /// ICMPv6 type.
    Icmpv6Type = 29, "icmpv6_type", 8, false;
    /// ICMPv6 code.
    Icmpv6Code = 30, "icmpv6_code", 8, false;
    /// Target address of a neighbour solicitation or advertisement.
    Ipv6NdTarget = 31, "nd_target", 128, false;
    /// Source link-layer address option of a neighbour solicitation.
    Ipv6NdSll = 32, "nd_sll", 48, false;
    /// Target link-layer address option of a neighbour advertisement.
    Ipv6NdTll = 33, "nd_tll", 48, false;
    /// Label of the first MPLS shim header.
    MplsLabel = 34, "mpls_label", 20, false;
    /// Traffic class of the first MPLS shim header.
    MplsTc = 35, "mpls_tc", 3, false;
    /// Bottom-of-stack bit of the first MPLS shim header.
    MplsBos = 36, "mpls_bos", 1, false;
    /// I-SID of the first PBB service instance tag.
    PbbIsid = 37, "pbb_isid", 24, true;
    /// Metadata of a logical port (tunnel id).
    TunnelId = 38, "tun_id", 64, true;
    /// Pseudo-field of IPv6 extension headers (`ofp_ipv6exthdr_flags`).
    Ipv6Exthdr = 39, "ipv6_exthdr", 9, true;
}

impl Field {
    /// The field of an `oxm_field` number within class `OFPXMC_OPENFLOW_BASIC`.
    pub fn from_oxm(n: u8) -> Option<Self> {
        Self::ALL.get(usize::from(n)).copied()
    }

    /// Length of a value on the wire in bytes (§7.2.3.7, table 12).
    pub const fn wire_len(self) -> u8 {
        match self {
            Self::Ipv6Flabel | Self::MplsLabel => 4,
            other => other.bits().div_ceil(8),
        }
    }

    /// All bits of the field set.
    pub const fn full_mask(self) -> u128 {
        u128::MAX >> (128 - self.bits())
    }

    /// The Nicira/OXM name used as source or destination of a `move` action.
    pub const fn nxm_name(self) -> &'static str {
        match self {
            Self::EthDst => "NXM_OF_ETH_DST",
            Self::EthSrc => "NXM_OF_ETH_SRC",
            Self::ArpOp => "NXM_OF_ARP_OP",
            Self::ArpSpa => "NXM_OF_ARP_SPA",
            Self::ArpTpa => "NXM_OF_ARP_TPA",
            Self::ArpSha => "NXM_NX_ARP_SHA",
            Self::ArpTha => "NXM_NX_ARP_THA",
            Self::Ipv4Src => "NXM_OF_IP_SRC",
            Self::Ipv4Dst => "NXM_OF_IP_DST",
            other => other.name(),
        }
    }

    /// Whether a set-field action may write the field (§7.2.5: all but the ports and the
    /// metadata; the pseudo-field of extension headers stands for nothing that could be written).
    pub const fn settable(self) -> bool {
        !matches!(self, Self::InPort | Self::InPhyPort | Self::Metadata | Self::Ipv6Exthdr)
    }
}

#[cfg(test)]
mod tests {
    use super::Field;

    #[test]
    fn oxm_numbers_are_the_places_in_the_list() {
        for (n, field) in Field::ALL.iter().enumerate() {
            assert_eq!(usize::from(field.oxm()), n);
            assert_eq!(Field::from_oxm(n as u8), Some(*field));
        }
        assert_eq!(Field::ALL.len(), 40);
    }

    #[test]
    fn full_masks_have_as_many_bits_as_the_field() {
        for f in Field::ALL {
            assert_eq!(f.full_mask().count_ones(), u32::from(f.bits()), "{f:?}");
        }
    }
}
