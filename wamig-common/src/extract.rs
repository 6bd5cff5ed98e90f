//! Frame → key: which header fields a frame has, and where its headers are.
//!
//! A header that is cut short or contradicts the length of what holds it is not read; the
//! frame is then matched by what lies before it, and the oddity is counted ([`Anomaly`]).

use network_types::eth::EtherType;
use network_types::ip::IpProto;

use crate::frame::Frame;
use crate::key::{self, FRAG_ANY, FRAG_LATER, FlowKey, HAS_L3, HAS_L4, HAS_ND, HAS_ND_LL, VLAN_PRESENT};
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
/// MPLS, unicast and multicast (RFC 5332).
pub const ETH_MPLS: u16 = 0x8847;
/// See [`ETH_MPLS`].
pub const ETH_MPLS_MULTICAST: u16 = 0x8848;
/// Backbone service instance tag, I-TAG (IEEE 802.1ah).
pub const ETH_PBB: u16 = 0x88e7;
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
/// `Layout::l3`: an MPLS label stack.
pub const L3_MPLS: u8 = 2;
/// `Layout::l3`: a PBB service instance tag.
pub const L3_PBB: u8 = 3;

/// IPv6 extension headers as a match sees them: `ofp_ipv6exthdr_flags` (OpenFlow 1.3.5 §7.2.3.8).
pub mod exthdr {
    /// "No next header" was met.
    pub const NO_NEXT: u16 = 1;
    /// Encapsulating security payload.
    pub const ESP: u16 = 2;
    /// Authentication.
    pub const AUTH: u16 = 4;
    /// One or two headers of destination options.
    pub const DEST: u16 = 8;
    /// Fragment.
    pub const FRAG: u16 = 16;
    /// Routing.
    pub const ROUTER: u16 = 32;
    /// Hop-by-hop options.
    pub const HOP: u16 = 64;
    /// A header came more often than expected.
    pub const UNREP: u16 = 128;
    /// They came in another order than the preferred one (RFC 8200 §4.1).
    pub const UNSEQ: u16 = 256;
    /// All of these.
    pub const ALL: u16 = 0x1ff;
    /// While headers are walked: destination options came twice.
    pub(super) const DEST_TWICE: u16 = 512;
}

/// IPv6 extension headers that are stepped over at most.
const MAX_EXT_HEADERS: u32 = 6;
/// Options of a message of neighbour discovery that are looked at.
const MAX_ND_OPTIONS: u32 = 4;
/// Where the options begin, in bytes from the ICMPv6 header (RFC 4861 §4.3, §4.4).
const ND_OPTIONS: usize = 24;
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
    /// Neighbour discovery: 0 = it is none, 1 = without the option, else where the address in
    /// the link-layer address option is, in bytes from the L4 header.
    pub nd: u8,
    /// Zero.
    pub reserved: u8,
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
        ETH_MPLS | ETH_MPLS_MULTICAST | ETH_PBB => {
            label(frame, off, eth_type, key, layout);
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
        has |= match layout.nd {
            0 => 0,
            1 => HAS_ND,
            _ => HAS_ND | HAS_ND_LL,
        };
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

/// The outermost MPLS label stack entry, or the PBB service instance tag: four bytes.
#[inline(always)]
fn label<F: Frame + ?Sized>(frame: &F, off: usize, eth_type: u16, key: &mut FlowKey, layout: &mut Layout) {
    let Some(entry) = frame.u32(off) else { return };
    let (l3, bits) = if eth_type == ETH_PBB { (L3_PBB, 0x00ff_ffff) } else { (L3_MPLS, 0xffff_ff00) };
    layout.l3 = l3;
    key.words[key::LABEL.word] = u64::from(entry & bits) << key::LABEL.shift;
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
    let mut seen = 0u16;
    while steps < MAX_EXT_HEADERS && is_ext_header(next) && frag & FRAG_LATER == 0 {
        // No extension header is shorter, and none goes on behind the packet.
        let step = if at + MIN_EXT_HEADER > end { 0 } else { frame.ext_header(next, seen, at) };
        // Fewer bits than there are, so that the verifier of Linux 6.1 may add them to a frame.
        let after = (step >> 8) as usize & 0x7fff;
        if step == 0 || after > end {
            cut = true;
            break;
        }
        next = step as u8;
        at = after;
        frag |= (step >> 32) as u8 & 3;
        layout.routed |= (step >> 34) as u8 & 1;
        seen = (step >> 35) as u16 & 0x3ff;
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
    key.words[key::EXTHDR.word] = u64::from(met(next, seen) & exthdr::ALL) << key::EXTHDR.shift;
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

/// Where the IPv6 packet at `l3` says what its upper-layer header is: bytes from the
/// frame's first. The headers are those that [`extract`] found whole.
pub fn last_next_header<F: Frame + ?Sized>(frame: &F, l3: usize) -> usize {
    let (mut at, mut next) = (l3 + 6, frame.u8(l3 + 6).unwrap_or_default());
    let mut behind = l3 + 40;
    for _ in 0..MAX_EXT_HEADERS {
        if !is_ext_header(next) {
            break;
        }
        let step = frame.ext_header(next, 0, behind);
        if step == 0 {
            break;
        }
        at = behind;
        next = step as u8;
        behind = (step >> 8) as usize & 0xffff;
        if (step >> 32) as u8 & FRAG_LATER != 0 {
            break;
        }
    }
    at
}

/// The extension headers met so far when one of type `next` follows those in `seen`.
#[inline(always)]
const fn met(next: u8, seen: u16) -> u16 {
    use exthdr::{AUTH, DEST, DEST_TWICE, ESP, FRAG, HOP, NO_NEXT, ROUTER, UNREP, UNSEQ};
    // what it is, and what should come behind it
    let (this, behind) = match next {
        0 => (HOP, HOP | DEST | ROUTER | FRAG | AUTH | ESP),
        43 => (ROUTER, FRAG | AUTH | ESP),
        44 => (FRAG, AUTH | ESP),
        51 => (AUTH, ESP),
        50 => (ESP, 0),
        59 => (NO_NEXT, 0),
        60 => {
            let again = if seen & DEST_TWICE != 0 {
                UNREP
            } else if seen & DEST != 0 {
                DEST_TWICE
            } else {
                0
            };
            return seen | DEST | again;
        }
        _ => return seen,
    };
    let unrep = if seen & this != 0 { UNREP } else { 0 };
    let unseq = if seen & behind != 0 { UNSEQ } else { 0 };
    seen | this | unrep | unseq
}

/// One IPv6 extension header of type `next` at `off`, behind those in `seen`: bits 7..0 the
/// following header's type, 23..8 its offset, 33..32 `FRAG_*`, 34 a routing header with stops
/// left, 44..35 `seen` with this one; 0 = cut short.
#[inline(always)]
pub fn ext_header<F: Frame + ?Sized>(frame: &F, next: u8, seen: u16, off: usize) -> u64 {
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
    let seen = u64::from(met(next, seen) & 0x3ff);
    following | ((off + len) as u64 & 0xffff) << 8 | u64::from(frag) << 32 | routed << 34 | seen << 35 | 1 << 62
}

/// Parts of a message of neighbour discovery, for [`nd_part`].
pub mod nd {
    /// Solicitation: what there is.
    pub const SOLICITATION: u32 = 1;
    /// Advertisement: what there is.
    pub const ADVERTISEMENT: u32 = 2;
    /// Target, bits 127..64.
    pub const TARGET_HI: u32 = 3;
    /// Target, bits 63..0.
    pub const TARGET_LO: u32 = 4;
    /// Added to where it is: the link-layer address.
    pub const ADDRESS: u32 = 0x100;
}

/// A part of a message of neighbour discovery whose ICMPv6 header is at `l4` and which ends at
/// `end`. What there is: as in [`Layout::nd`].
#[inline(always)]
pub fn nd_part<F: Frame + ?Sized>(frame: &F, part: u32, l4: usize, end: usize) -> u64 {
    match part {
        nd::TARGET_HI => frame.u64(l4 + 8).unwrap_or_default(),
        nd::TARGET_LO => frame.u64(l4 + 16).unwrap_or_default(),
        nd::SOLICITATION | nd::ADVERTISEMENT => nd_found(frame, part as u8, l4, end),
        // The option's type and length, then the address.
        _ => frame.u64(l4 + (part & 0xff) as usize - 2).unwrap_or_default() & 0xffff_ffff_ffff,
    }
}

#[inline(always)]
fn nd_found<F: Frame + ?Sized>(frame: &F, wanted: u8, l4: usize, end: usize) -> u64 {
    if l4 + ND_OPTIONS > end || frame.u64(l4 + 16).is_none() {
        return 0;
    }
    let mut at = l4 + ND_OPTIONS;
    let mut n = 0;
    while n < MAX_ND_OPTIONS && at + 8 <= end {
        let Some(head) = frame.u16(at) else { break };
        let units = head as usize & 0xff;
        if (head >> 8) as u8 == wanted {
            let whole = units == 1 && at - l4 < 254 && frame.u64(at).is_some();
            return if whole { (at - l4) as u64 + 2 } else { 1 };
        }
        if units == 0 {
            break;
        }
        at += units * 8;
        n += 1;
    }
    1
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
    if l4.proto == proto::ICMPV6 {
        neighbour(frame, l4, key, layout);
    }
}

/// Target and link-layer address of a neighbour solicitation (135) or advertisement (136).
#[inline(always)]
fn neighbour<F: Frame + ?Sized>(frame: &F, l4: &Transport, key: &mut FlowKey, layout: &mut Layout) {
    // type and code: the code is 0
    let message = match key.words[key::TP_SRC.word] as u32 {
        135 => nd::SOLICITATION,
        136 => nd::ADVERTISEMENT,
        _ => return,
    };
    let found = frame.nd_part(message, l4.off, l4.end);
    if found == 0 {
        return;
    }
    layout.nd = found as u8;
    key.words[key::ND_TARGET_HI.word] = frame.nd_part(nd::TARGET_HI, l4.off, l4.end);
    key.words[key::ND_TARGET_LO.word] = frame.nd_part(nd::TARGET_LO, l4.off, l4.end);
    if found > 1 {
        key.words[key::ND_LL.word] |= frame.nd_part(nd::ADDRESS | found as u32, l4.off, l4.end);
    }
}

#[cfg(test)]
#[path = "extract_tests.rs"]
mod tests;
