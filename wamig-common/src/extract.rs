//! Frame → key: which header fields a frame has, and where its headers are.
//!
//! A header that is cut short or contradicts the length of what holds it is not read; the
//! frame is then matched by what lies before it, and the oddity is counted ([`Anomaly`]).

use network_types::eth::EtherType;
use network_types::ip::IpProto;

use crate::frame::Frame;
use crate::key::{self, FRAG_ANY, FRAG_LATER, FlowKey, HAS_L3, HAS_L4, VLAN_PRESENT};
use crate::verdict::Anomaly;

/// EtherType of IPv4.
pub const ETH_IPV4: u16 = u16::from_be(EtherType::Ipv4 as u16);
/// EtherType of ARP.
pub const ETH_ARP: u16 = u16::from_be(EtherType::Arp as u16);
/// EtherType of IPv6.
pub const ETH_IPV6: u16 = u16::from_be(EtherType::Ipv6 as u16);
/// Tag types: IEEE 802.1Q and 802.1ad.
pub const ETH_8021Q: u16 = u16::from_be(EtherType::Ieee8021q as u16);
/// See [`ETH_8021Q`].
pub const ETH_8021AD: u16 = u16::from_be(EtherType::Ieee8021ad as u16);
/// What `eth_type` says of an 802.3 frame without EtherType (OpenFlow 1.0's `OFP_DL_TYPE_NOT_ETH_TYPE`).
pub const ETH_NONE: u16 = 0x05ff;

/// IP protocol numbers that the pipeline knows.
pub mod proto {
    use super::IpProto;

    /// ICMP.
    pub const ICMP: u8 = IpProto::Icmp as u8;
    /// TCP.
    pub const TCP: u8 = IpProto::Tcp as u8;
    /// UDP.
    pub const UDP: u8 = IpProto::Udp as u8;
    /// ICMPv6.
    pub const ICMPV6: u8 = IpProto::Ipv6Icmp as u8;
    /// SCTP.
    pub const SCTP: u8 = IpProto::Sctp as u8;
}

/// `Layout::l3`: no readable L3 header.
pub const L3_NONE: u8 = 0;
/// `Layout::l3`: IPv4.
pub const L3_IPV4: u8 = 4;
/// `Layout::l3`: IPv6.
pub const L3_IPV6: u8 = 6;
/// `Layout::l3`: ARP.
pub const L3_ARP: u8 = 1;

/// IPv6 extension headers that are stepped over at most.
const MAX_EXT_HEADERS: u32 = 6;
/// Bytes that an IPv6 extension header has at least (RFC 8200 §4, RFC 4302 §2.2).
const MIN_EXT_HEADER: usize = 8;

/// Where the headers are, in bytes from the destination MAC.
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Layout {
    /// L3 header; meaningless when `l3` is [`L3_NONE`].
    pub l3_off: u16,
    /// L4 header; 0 = there is none to be read (later fragment, unknown protocol, cut short).
    pub l4_off: u16,
    /// [`L3_IPV4`] …
    pub l3: u8,
    /// Protocol of the L4 header.
    pub l4_proto: u8,
    /// 1: an IPv6 routing header has stops left, so that the destination in the IP header is
    /// not the one in the checksum's pseudo-header (RFC 8200 §8.1).
    pub routed: u8,
    /// Bit n: [`Anomaly`] of index n was met.
    pub anomalies: u8,
}

impl Layout {
    #[inline(always)]
    fn note(&mut self, a: Anomaly) {
        self.anomalies |= 1 << a.index();
    }
}

#[inline(always)]
const fn is_tag(eth_type: u16) -> bool {
    matches!(eth_type, ETH_8021Q | ETH_8021AD)
}

/// Fills `key`, whose words 1.. must be zero (word 0, metadata, is left alone), and `layout`.
/// `None`: the frame is shorter than its Ethernet header or tags.
#[inline(always)]
pub fn extract<F: Frame + ?Sized>(frame: &F, in_port: u32, key: &mut FlowKey, layout: &mut Layout) -> Option<()> {
    let dst = frame.u64(0)?;
    let src = frame.u64(6)?;
    let mut eth_type = src as u16;
    let mut off = 14usize;
    let mut tci = 0u64;
    *layout = Layout::default();
    if is_tag(eth_type) {
        let tag = frame.u32(14)?;
        tci = u64::from((tag >> 16) as u16 & !VLAN_PRESENT | VLAN_PRESENT);
        eth_type = tag as u16;
        off = 18;
        if is_tag(eth_type) {
            eth_type = frame.u16(20)?;
            off = 22;
            if is_tag(eth_type) {
                layout.note(Anomaly::DeepTags);
            }
        }
    }
    if eth_type < 0x0600 {
        eth_type = ETH_NONE;
        // LLC/SNAP with an EtherType (IEEE 802, OUI 0)
        if let Some(snap) = frame.u64(off)
            && snap >> 16 == 0xaaaa_0300_0000
            && snap as u16 >= 0x0600
        {
            eth_type = snap as u16;
            off += 8;
        }
    }
    key.words[1] = u64::from(in_port) | tci << 32 | u64::from(eth_type) << 48;
    key.words[2] = dst >> 16;
    key.words[3] = src >> 16;
    layout.l3_off = off as u16;
    let l4 = match eth_type {
        ETH_IPV4 => ipv4(frame, off, key, layout),
        ETH_IPV6 => ipv6(frame, off, key, layout),
        ETH_ARP => {
            arp(frame, off, key, layout);
            None
        }
        _ => return Some(()),
    };
    if layout.l3 == L3_NONE {
        layout.note(Anomaly::MalformedL3);
        return Some(());
    }
    let mut has = HAS_L3;
    if let Some(l4) = l4 {
        transport(frame, &l4, key, layout);
        if layout.l4_off != 0 {
            has |= HAS_L4;
        }
    }
    key.words[key::HAS.word] |= u64::from(has) << key::HAS.shift;
    Some(())
}

/// The L4 header to be read: where it starts, where the IP packet ends, its protocol.
struct Transport {
    off: usize,
    end: usize,
    proto: u8,
}

#[inline(always)]
fn ipv4<F: Frame + ?Sized>(frame: &F, off: usize, key: &mut FlowKey, layout: &mut Layout) -> Option<Transport> {
    let head = frame.u64(off)?; // version, IHL, TOS, total length, id, flags and offset
    let proto = (frame.u32(off + 8)? >> 16) as u8;
    let addrs = frame.u64(off + 12)?;
    let ihl = (head >> 56 & 15) as usize * 4;
    let total = (head >> 32) as u16 as usize;
    if head >> 60 != 4 || ihl < 20 || total < ihl || off + total > frame.len() {
        return None;
    }
    let frag = if head & 0x1fff != 0 {
        FRAG_ANY | FRAG_LATER
    } else if head & 0x2000 != 0 {
        FRAG_ANY
    } else {
        0
    };
    layout.l3 = L3_IPV4;
    key.words[2] |= u64::from(proto) << 48 | (head >> 48 & 0xff) << 56;
    key.words[3] |= u64::from(frag) << 48;
    key.words[4] = addrs >> 32;
    key.words[6] = addrs & 0xffff_ffff;
    if frag & FRAG_LATER != 0 {
        return None;
    }
    Some(Transport { off: off + ihl, end: off + total, proto })
}

#[inline(always)]
fn ipv6<F: Frame + ?Sized>(frame: &F, off: usize, key: &mut FlowKey, layout: &mut Layout) -> Option<Transport> {
    let head = frame.u64(off)?; // version, class, label, payload length, next header, hop limit
    let src_hi = frame.u64(off + 8)?;
    let src_lo = frame.u64(off + 16)?;
    let dst_hi = frame.u64(off + 24)?;
    let dst_lo = frame.u64(off + 32)?;
    let end = off + 40 + (head >> 16) as u16 as usize;
    if head >> 60 != 6 || end > frame.len() {
        return None;
    }
    let mut next = (head >> 8) as u8;
    let mut at = off + 40;
    let mut frag = 0u8;
    let mut steps = 0;
    let mut cut = false;
    while steps < MAX_EXT_HEADERS && is_ext_header(next) && frag & FRAG_LATER == 0 {
        // No extension header is shorter, and none goes on behind the packet.
        let step = if at + MIN_EXT_HEADER > end { 0 } else { frame.ext_header(next, at) };
        let after = (step >> 8) as usize & 0xffff;
        if step == 0 || after > end {
            cut = true;
            break;
        }
        next = step as u8;
        at = after;
        frag |= (step >> 32) as u8 & 3;
        layout.routed |= (step >> 34) as u8 & 1;
        steps += 1;
    }
    layout.l3 = L3_IPV6;
    key.words[2] |= u64::from(next) << 48 | (head >> 52 & 0xff) << 56;
    key.words[3] |= u64::from(frag) << 48;
    key.words[4] = src_hi;
    key.words[5] = src_lo;
    key.words[6] = dst_hi;
    key.words[7] = dst_lo;
    key.words[8] = (head >> 32 & 0x000f_ffff) << 32;
    if cut {
        layout.note(Anomaly::MalformedL4);
        return None;
    }
    if frag & FRAG_LATER != 0 {
        return None;
    }
    if is_ext_header(next) {
        layout.note(Anomaly::DeepExtensions);
        return None;
    }
    Some(Transport { off: at, end, proto: next })
}

#[inline(always)]
const fn is_ext_header(next: u8) -> bool {
    // hop-by-hop, routing, fragment, authentication, destination options, mobility (RFC 8200 §4, RFC 6275)
    matches!(next, 0 | 43 | 44 | 51 | 60 | 135)
}

/// One IPv6 extension header of type `next` at `off`: bits 7..0 the following header's type,
/// 23..8 its offset, 33..32 `FRAG_*`, 34 a routing header with stops left; 0 = cut short.
#[inline(always)]
pub fn ext_header<F: Frame + ?Sized>(frame: &F, next: u8, off: usize) -> u64 {
    let Some(head) = frame.u32(off) else { return 0 };
    let following = u64::from(head >> 24);
    let len_field = (head >> 16 & 0xff) as usize;
    let (len, frag) = match next {
        44 if head & 0xfff8 != 0 => (8, FRAG_ANY | FRAG_LATER),
        44 if head & 1 != 0 => (8, FRAG_ANY),
        44 => (8, 0),
        51 => ((len_field + 2) * 4, 0),
        _ => ((len_field + 1) * 8, 0),
    };
    let routed = u64::from(next == 43 && head & 0xff != 0);
    // bit 62 keeps the result from being 0 for a last header of type 0 at offset 0
    following | ((off + len) as u64 & 0xffff) << 8 | u64::from(frag) << 32 | routed << 34 | 1 << 62
}

#[inline(always)]
fn arp<F: Frame + ?Sized>(frame: &F, off: usize, key: &mut FlowKey, layout: &mut Layout) -> Option<()> {
    let head = frame.u64(off)?; // hardware type, protocol type, lengths, opcode
    let sha = frame.u64(off + 8)?;
    let spa = frame.u32(off + 14)?;
    let tha = frame.u64(off + 18)?;
    let tpa = frame.u32(off + 24)?;
    // Ethernet (1), 6-byte hardware and 4-byte protocol addresses (RFC 826)
    if head >> 16 != 1 << 32 | (ETH_IPV4 as u64) << 16 | 0x0604 {
        return None;
    }
    layout.l3 = L3_ARP;
    key.words[key::ARP_OP.word] |= (head & 0xffff) << key::ARP_OP.shift;
    key.words[4] = u64::from(spa);
    key.words[5] = sha >> 16;
    key.words[6] = u64::from(tpa);
    key.words[7] = tha >> 16;
    Some(())
}

#[inline(always)]
fn transport<F: Frame + ?Sized>(frame: &F, l4: &Transport, key: &mut FlowKey, layout: &mut Layout) {
    let need = match l4.proto {
        proto::TCP => 20,
        proto::UDP => 8,
        proto::SCTP => 12,
        // Each belongs to one version of IP; their checksums differ.
        proto::ICMP if layout.l3 == L3_IPV4 => 8,
        proto::ICMPV6 if layout.l3 == L3_IPV6 => 4,
        _ => return,
    };
    if l4.off + need > l4.end {
        layout.note(Anomaly::MalformedL4);
        return;
    }
    let Some(ports) = frame.u32(l4.off) else {
        layout.note(Anomaly::MalformedL4);
        return;
    };
    let ports = u64::from(ports);
    key.words[8] |= match l4.proto {
        proto::ICMP | proto::ICMPV6 => ports >> 24 | (ports >> 16 & 0xff) << 16,
        _ => ports >> 16 | (ports & 0xffff) << 16,
    };
    layout.l4_off = l4.off as u16;
    layout.l4_proto = l4.proto;
}

#[cfg(test)]
#[path = "extract_tests.rs"]
mod tests;
