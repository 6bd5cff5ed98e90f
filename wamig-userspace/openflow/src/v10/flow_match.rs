//! The fixed match of 40 bytes (OpenFlow 1.0 §5.2.3).
//!
//! ```text
//!  wildcards (32) | in_port (16) | dl_src (48) | dl_dst (48) | dl_vlan (16) | dl_vlan_pcp (8) | 8
//!  dl_type (16) | nw_tos (8) | nw_proto (8) | 16 | nw_src (32) | nw_dst (32) | tp_src (16) | tp_dst (16)
//! ```
//! One set of network and transport fields serves IPv4 and ARP, TCP, UDP and ICMP: which of
//! ours they are depends on `dl_type` and `nw_proto`. Fields whose protocol is not fixed are
//! passed over, as the specification says. It does not know IPv6; of that the fields beside
//! the addresses are matched, as Open vSwitch does.

use crate::buf::{EncodeError, Reader, Writer};
use crate::error::OfpError;
use crate::field::Field;
use crate::flow_match::{ETH_TYPE_ARP, ETH_TYPE_IPV4, ETH_TYPE_IPV6, Match, VID_PRESENT};
use crate::types::PortNo;
use crate::v10::port_no;

/// Bytes of a match.
pub const LEN: usize = 40;

const IN_PORT: u32 = 1;
const DL_VLAN: u32 = 1 << 1;
const DL_SRC: u32 = 1 << 2;
const DL_DST: u32 = 1 << 3;
const DL_TYPE: u32 = 1 << 4;
const NW_PROTO: u32 = 1 << 5;
const TP_SRC: u32 = 1 << 6;
const TP_DST: u32 = 1 << 7;
const NW_SRC_SHIFT: u32 = 8;
const NW_DST_SHIFT: u32 = 14;
const DL_VLAN_PCP: u32 = 1 << 20;
const NW_TOS: u32 = 1 << 21;
const ALL: u32 = (1 << 22) - 1;
/// `OFP_VLAN_NONE`: untagged.
const VLAN_NONE: u16 = 0xffff;

/// The fields of ours that the network fields are.
#[derive(Clone, Copy)]
struct Network {
    /// `nw_src`, `nw_dst`; IPv6 addresses have no room.
    addresses: [Option<Field>; 2],
    /// `nw_proto`.
    proto: Field,
}

fn network(eth_type: Option<u128>) -> Option<Network> {
    let (addresses, proto) = match eth_type.map(|v| v as u16) {
        Some(ETH_TYPE_IPV4) => ([Some(Field::Ipv4Src), Some(Field::Ipv4Dst)], Field::IpProto),
        Some(ETH_TYPE_IPV6) => ([None; 2], Field::IpProto),
        Some(ETH_TYPE_ARP) => ([Some(Field::ArpSpa), Some(Field::ArpTpa)], Field::ArpOp),
        _ => return None,
    };
    Some(Network { addresses, proto })
}

fn transport(eth_type: Option<u128>, proto: Option<u128>) -> Option<[Field; 2]> {
    match (eth_type.map(|v| v as u16), proto?) {
        (Some(ETH_TYPE_IPV4 | ETH_TYPE_IPV6), 6) => Some([Field::TcpSrc, Field::TcpDst]),
        (Some(ETH_TYPE_IPV4 | ETH_TYPE_IPV6), 17) => Some([Field::UdpSrc, Field::UdpDst]),
        (Some(ETH_TYPE_IPV4), 1) => Some([Field::Icmpv4Type, Field::Icmpv4Code]),
        (Some(ETH_TYPE_IPV6), 58) => Some([Field::Icmpv6Type, Field::Icmpv6Code]),
        _ => None,
    }
}

/// Whether the match that comes next leaves no field open.
pub(super) fn is_exact(r: &Reader<'_>) -> Result<bool, OfpError> {
    Ok(r.clone().u32()? & ALL == 0)
}

pub(super) fn decode(r: &mut Reader<'_>) -> Result<Match, OfpError> {
    let wildcards = r.u32()?;
    let given = |bit: u32| wildcards & bit == 0;
    let in_port = port_no::decode(r)?;
    let (dl_src, dl_dst) = (r.number(6)?, r.number(6)?);
    let (dl_vlan, pcp) = (r.u16()?, r.u8()?);
    r.skip(1)?;
    let (dl_type, tos, proto) = (r.number(2)?, r.u8()?, r.number(1)?);
    r.skip(2)?;
    let (nw_src, nw_dst) = (r.number(4)?, r.number(4)?);
    let (tp_src, tp_dst) = (r.number(2)?, r.number(2)?);

    let mut m = Match::any();
    let exact = |m: Match, bit, field, value| if given(bit) { m.with(field, value) } else { m };
    m = exact(m, IN_PORT, Field::InPort, u128::from(in_port.0));
    m = exact(m, DL_SRC, Field::EthSrc, dl_src);
    m = exact(m, DL_DST, Field::EthDst, dl_dst);
    m = exact(m, DL_TYPE, Field::EthType, dl_type);
    let present = u128::from(VID_PRESENT);
    if given(DL_VLAN) && dl_vlan == VLAN_NONE {
        m = m.with(Field::VlanVid, 0);
    } else {
        if given(DL_VLAN) {
            m = m.with(Field::VlanVid, present | u128::from(dl_vlan & 0xfff));
        } else if given(DL_VLAN_PCP) {
            m = m.with_masked(Field::VlanVid, present, present);
        }
        m = exact(m, DL_VLAN_PCP, Field::VlanPcp, u128::from(pcp & 7));
    }
    let eth = given(DL_TYPE).then_some(dl_type);
    let Some(net) = network(eth) else { return Ok(m) };
    for (field, value, shift) in [(net.addresses[0], nw_src, NW_SRC_SHIFT), (net.addresses[1], nw_dst, NW_DST_SHIFT)] {
        let mask = u32::MAX.checked_shl(wildcards >> shift & 0x3f).unwrap_or(0);
        m = field.into_iter().fold(m, |m, field| m.with_masked(field, value, mask.into()));
    }
    m = exact(m, NW_PROTO, net.proto, proto);
    if net.proto == Field::IpProto {
        m = exact(m, NW_TOS, Field::IpDscp, u128::from(tos >> 2));
    }
    if let Some([src, dst]) = transport(eth, given(NW_PROTO).then_some(proto)) {
        m = exact(m, TP_SRC, src, tp_src);
        m = exact(m, TP_DST, dst, tp_dst);
    }
    Ok(m)
}

/// # Errors
/// [`EncodeError::NotInVersion`] for fields, masks and combinations that 1.0 has not.
pub(super) fn encode(w: &mut Writer<'_>, matching: &Match) -> Result<(), EncodeError> {
    matching.validate().map_err(|e| super::lacks(&e.detail))?;
    let value = |field| matching.get(field).map(|m| m.value);
    let eth = value(Field::EthType);
    let net = network(eth);
    let address = |n: usize| net.and_then(|net| net.addresses[n]);
    let tp = transport(eth, value(Field::IpProto));
    let present = u128::from(VID_PRESENT);
    let mut wildcards = ALL & !(0x3f << NW_SRC_SHIFT | 0x3f << NW_DST_SHIFT) | 32 << NW_SRC_SHIFT | 32 << NW_DST_SHIFT;
    let (mut in_port, mut vlan, mut pcp, mut tos) = (0u16, 0u16, 0u8, 0u8);
    let (mut macs, mut proto, mut ips, mut ports) = ([0u128; 2], 0u128, [0u128; 2], [0u128; 2]);
    for (field, m) in matching.iter() {
        let exact = m.mask == field.full_mask();
        let same = |f: Option<Field>| f == Some(field);
        match field {
            Field::InPort => {
                in_port = port_no::narrow(PortNo(m.value as u32))?;
                wildcards &= !IN_PORT;
            }
            Field::EthSrc if exact => {
                macs[0] = m.value;
                wildcards &= !DL_SRC;
            }
            Field::EthDst if exact => {
                macs[1] = m.value;
                wildcards &= !DL_DST;
            }
            Field::EthType => wildcards &= !DL_TYPE,
            Field::VlanVid if exact && m.value == 0 => {
                vlan = VLAN_NONE;
                wildcards &= !DL_VLAN;
            }
            Field::VlanVid if exact && m.value & present != 0 => {
                vlan = (m.value & 0xfff) as u16;
                wildcards &= !DL_VLAN;
            }
            Field::VlanVid if m.mask == present && m.value == present && value(Field::VlanPcp).is_some() => {}
            Field::VlanPcp => {
                pcp = m.value as u8;
                wildcards &= !DL_VLAN_PCP;
            }
            Field::IpDscp if net.is_some() => {
                tos = (m.value as u8) << 2;
                wildcards &= !NW_TOS;
            }
            f if same(net.map(|n| n.proto)) && m.value <= 0xff && f.bits() <= 16 => {
                proto = m.value;
                wildcards &= !NW_PROTO;
            }
            f if same(address(0)) || same(address(1)) => {
                let source = same(address(0));
                let free = (m.mask as u32).trailing_zeros();
                if (m.mask as u32).checked_shr(free).is_none_or(|ones| ones.trailing_ones() + free != 32) {
                    return Err(super::lacks(&format!("a mask of {} that is no prefix", f.name())));
                }
                ips[usize::from(!source)] = m.value;
                let shift = if source { NW_SRC_SHIFT } else { NW_DST_SHIFT };
                wildcards = wildcards & !(0x3f << shift) | free << shift;
            }
            _ if exact && same(tp.map(|t| t[0])) => {
                ports[0] = m.value;
                wildcards &= !TP_SRC;
            }
            _ if exact && same(tp.map(|t| t[1])) => {
                ports[1] = m.value;
                wildcards &= !TP_DST;
            }
            f => return Err(super::lacks(&format!("match on {}, or mask of it", f.name()))),
        }
    }
    let [src, dst] = macs;
    let [nw_src, nw_dst] = ips;
    let [tp_src, tp_dst] = ports;
    w.u32(wildcards);
    w.u16(in_port);
    w.number(src, 6);
    w.number(dst, 6);
    w.u16(vlan);
    w.u8(pcp);
    w.zeros(1);
    w.number(eth.unwrap_or(0), 2);
    w.u8(tos);
    w.number(proto, 1);
    w.zeros(2);
    w.number(nw_src, 4);
    w.number(nw_dst, 4);
    w.number(tp_src, 2);
    w.number(tp_dst, 2);
    Ok(())
}
