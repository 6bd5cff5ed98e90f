//! What a frame says, read byte by byte out of the specifications: IEEE 802.3 and 802.1Q,
//! RFC 791, 793, 768, 792, 826, 1042, 3032, 4302, 4443, 4861, 8200, 9260, and IEEE 802.1ah. Shares
//! no code with the switch.
//!
//! Where they leave a choice, the switch's documentation decides: at most two tags and six
//! IPv6 extension headers are stepped over, no header is read that starts beyond byte 511,
//! and one that does not lie wholly in what holds it is not read at all.

/// Farthest byte at which a header is looked for.
const FARTHEST: usize = 511;

/// What could be read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Headers {
    /// Destination MAC.
    pub eth_dst: u64,
    /// Source MAC.
    pub eth_src: u64,
    /// The outermost tag, without its type.
    pub tag: Option<u16>,
    /// Type behind the tags; 0x05ff if there is none.
    pub eth_type: u16,
    /// The header of that type.
    pub l3: L3,
}

/// Layer 3.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum L3 {
    /// None that is known, or none that is whole.
    Unread,
    /// ARP for Ethernet and IPv4, its first byte at `at`.
    Arp { at: usize, op: u16, sha: u64, spa: u32, tha: u64, tpa: u32 },
    /// IPv4 or IPv6.
    Ip(Ip),
    /// An MPLS label stack, its first entry at `at`.
    Mpls { at: usize, entry: u32 },
    /// A PBB service instance tag at `at`.
    Pbb { at: usize, tag: u32 },
}

/// An IP packet.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Ip {
    /// Version 6, not 4.
    pub v6: bool,
    /// First byte of its header, and the byte behind its last.
    pub at: usize,
    /// See `at`.
    pub end: usize,
    /// Type of service or traffic class.
    pub tos: u8,
    /// Flow label; 0 for IPv4.
    pub label: u32,
    /// Addresses.
    pub src: u128,
    /// See `src`.
    pub dst: u128,
    /// What it carries.
    pub proto: u8,
    /// It is a part of a packet.
    pub fragment: bool,
    /// It is the first part, or whole.
    pub first: bool,
    /// A routing header names stops to come.
    pub routed: bool,
    /// Layer 4, if its header is whole.
    pub l4: Option<L4>,
    /// The extension headers, as OpenFlow's flags.
    pub extensions: u16,
    /// Neighbour discovery.
    pub neighbour: Option<Neighbour>,
}

/// A neighbour solicitation or advertisement.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Neighbour {
    /// Who is asked for, or who tells.
    pub target: u128,
    /// First byte of the link-layer address of the asker or teller, and the address.
    pub address: Option<(usize, u64)>,
}

/// A header of TCP, UDP, SCTP, ICMP or ICMPv6.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct L4 {
    /// First byte.
    pub at: usize,
    /// Source port, or type.
    pub first: u16,
    /// Destination port, or code.
    pub second: u16,
}

/// A number of some bytes; `None` if they are not all there.
fn number(frame: &[u8], at: usize, bytes: usize) -> Option<u128> {
    if at > FARTHEST {
        return None;
    }
    Some(frame.get(at..at + bytes)?.iter().fold(0, |n, b| n << 8 | u128::from(*b)))
}

fn is_tag(kind: u16) -> bool {
    kind == 0x8100 || kind == 0x88a8
}

/// Reads a frame; `None` if not even its Ethernet header and tags are whole.
pub fn read(frame: &[u8]) -> Option<Headers> {
    let eth_dst = number(frame, 0, 6)? as u64;
    let eth_src = number(frame, 6, 6)? as u64;
    let mut kinds = vec![number(frame, 12, 2)? as u16];
    let mut at = 14;
    let mut tag = None;
    while kinds.len() < 3 && is_tag(kinds[kinds.len() - 1]) {
        let tci = number(frame, at, 2)? as u16;
        tag = tag.or(Some(tci));
        kinds.push(number(frame, at + 2, 2)? as u16);
        at += 4;
    }
    let mut eth_type = kinds[kinds.len() - 1];
    if eth_type < 0x600 {
        // A length. RFC 1042: SNAP of organisation 0 has an EtherType.
        let snap = number(frame, at, 6) == Some(0xaaaa_0300_0000);
        let inner = number(frame, at + 6, 2).filter(|t| snap && *t >= 0x600);
        eth_type = inner.map_or(0x05ff, |t| t as u16);
        at += if inner.is_some() { 8 } else { 0 };
    }
    let l3 = match eth_type {
        0x0800 => ipv4(frame, at).map(L3::Ip),
        0x86dd => ipv6(frame, at).map(L3::Ip),
        0x0806 => arp(frame, at),
        0x8847 | 0x8848 => number(frame, at, 4).map(|entry| L3::Mpls { at, entry: entry as u32 }),
        0x88e7 => number(frame, at, 4).map(|tag| L3::Pbb { at, tag: tag as u32 }),
        _ => None,
    };
    Some(Headers { eth_dst, eth_src, tag, eth_type, l3: l3.unwrap_or(L3::Unread) })
}

fn arp(frame: &[u8], at: usize) -> Option<L3> {
    let field = |from: usize, bytes| number(frame, at + from, bytes);
    if field(0, 6)? != 0x0001_0800_0604 {
        return None;
    }
    Some(L3::Arp {
        at,
        op: field(6, 2)? as u16,
        sha: field(8, 6)? as u64,
        spa: field(14, 4)? as u32,
        tha: field(18, 6)? as u64,
        tpa: field(24, 4)? as u32,
    })
}

fn ipv4(frame: &[u8], at: usize) -> Option<Ip> {
    let field = |from: usize, bytes| number(frame, at + from, bytes);
    field(0, 20)?;
    let (version, words) = (frame[at] >> 4, usize::from(frame[at] & 15));
    let length = field(2, 2)? as usize;
    let end = at + length;
    if version != 4 || words < 5 || length < words * 4 || end > frame.len() {
        return None;
    }
    let offset = field(6, 2)? as u16;
    let (more, offset) = (offset & 0x2000 != 0, offset & 0x1fff);
    let proto = field(9, 1)? as u8;
    let first = offset == 0;
    Some(Ip {
        v6: false,
        at,
        end,
        tos: frame[at + 1],
        label: 0,
        src: field(12, 4)?,
        dst: field(16, 4)?,
        proto,
        fragment: more || !first,
        first,
        routed: false,
        l4: if first { l4(frame, at + words * 4, end, proto, false) } else { None },
        extensions: 0,
        neighbour: None,
    })
}

fn ipv6(frame: &[u8], at: usize) -> Option<Ip> {
    let field = |from: usize, bytes| number(frame, at + from, bytes);
    let head = field(0, 4)? as u32;
    let end = at + 40 + field(4, 2)? as usize;
    let (src, dst) = (field(8, 16)?, field(24, 16)?);
    if head >> 28 != 6 || end > frame.len() {
        return None;
    }
    let (mut proto, mut next) = (field(6, 1)? as u8, at + 40);
    let (mut fragment, mut first, mut routed, mut whole) = (false, true, false, true);
    let mut kinds = Vec::new();
    for _ in 0..6 {
        if !is_extension(proto) || !first {
            break;
        }
        let Some(length) = extension(frame, proto, next).filter(|length| next + length <= end) else {
            whole = false;
            break;
        };
        match proto {
            44 => {
                let offset = number(frame, next + 2, 2)? as u16;
                first = offset >> 3 == 0;
                fragment |= !first || offset & 1 == 1;
            }
            43 => routed |= frame[next + 3] != 0,
            _ => {}
        }
        kinds.push(proto);
        proto = frame[next];
        next += length;
    }
    kinds.push(proto);
    let readable = first && whole && !is_extension(proto);
    let l4 = if readable { l4(frame, next, end, proto, true) } else { None };
    Some(Ip {
        v6: true,
        at,
        end,
        tos: (head >> 20) as u8,
        label: head & 0xf_ffff,
        src,
        dst,
        proto,
        fragment,
        first,
        routed,
        l4,
        extensions: flags(&kinds),
        neighbour: l4.filter(|_| proto == 58).and_then(|l4| neighbour(frame, l4, end)),
    })
}

/// `ofp_ipv6exthdr_flags` of headers in the order of the packet, of which the first seven count
/// (RFC 8200 §4.1 has the preferred order).
fn flags(kinds: &[u8]) -> u16 {
    let order = [0, 60, 43, 44, 51, 50];
    let bits = [(59, 1), (50, 2), (51, 4), (60, 8), (44, 16), (43, 32), (0, 64)];
    let mut flags = 0;
    for (n, kind) in kinds.iter().enumerate() {
        let before = &kinds[..n];
        let Some((_, bit)) = bits.iter().find(|(k, _)| k == kind) else { continue };
        flags |= bit;
        let times: usize = before.iter().map(|k| usize::from(k == kind)).sum();
        if times > usize::from(*kind == 60) {
            flags |= 128;
        }
        let place = |kind: &u8| order.iter().position(|k| k == kind);
        // Destination options have two places, the second one last of all; nothing comes
        // before hop-by-hop options, not even another one.
        let late = |k: &u8| match (place(k), place(kind)) {
            (Some(_), Some(0)) => true,
            (Some(1), _) | (_, Some(1)) => false,
            (Some(other), Some(this)) => other > this,
            _ => false,
        };
        if before.iter().any(late) {
            flags |= 256;
        }
    }
    flags
}

/// Of up to four options, the first one with the address, of one unit of eight bytes.
fn neighbour(frame: &[u8], l4: L4, end: usize) -> Option<Neighbour> {
    let wanted = match (l4.first, l4.second) {
        (135, 0) => 1,
        (136, 0) => 2,
        _ => return None,
    };
    if l4.at + 24 > end {
        return None;
    }
    let target = number(frame, l4.at + 8, 8)? << 64 | number(frame, l4.at + 16, 8)?;
    let mut at = l4.at + 24;
    for _ in 0..4 {
        let Some(head) = number(frame, at, 2).filter(|_| at + 8 <= end) else { break };
        let (kind, units) = ((head >> 8) as u8, head as usize & 255);
        if kind == wanted {
            let near = units == 1 && at - l4.at < 254;
            let address = number(frame, at, 8).filter(|_| near).map(|a| (at + 2, a as u64 & 0xffff_ffff_ffff));
            return Some(Neighbour { target, address });
        }
        if units == 0 {
            break;
        }
        at += units * 8;
    }
    Some(Neighbour { target, address: None })
}

fn is_extension(proto: u8) -> bool {
    // hop-by-hop options, routing, fragment, authentication, destination options, mobility
    [0, 43, 44, 51, 60, 135].contains(&proto)
}

/// Length of an extension header.
fn extension(frame: &[u8], proto: u8, at: usize) -> Option<usize> {
    number(frame, at, 4)?;
    let length = usize::from(frame[at + 1]);
    Some(match proto {
        44 => 8,
        51 => (length + 2) * 4,
        _ => (length + 1) * 8,
    })
}

fn l4(frame: &[u8], at: usize, end: usize, proto: u8, v6: bool) -> Option<L4> {
    let (length, ports) = match proto {
        6 => (20, true),
        17 => (8, true),
        132 => (12, true),
        1 if !v6 => (8, false),
        58 if v6 => (4, false),
        _ => return None,
    };
    if at + length > end {
        return None;
    }
    let part = |from, bytes| number(frame, at, 4).map(|_| number(&frame[at..], from, bytes));
    let width = if ports { 2 } else { 1 };
    Some(L4 { at, first: part(0, width)?? as u16, second: part(width, width)?? as u16 })
}
