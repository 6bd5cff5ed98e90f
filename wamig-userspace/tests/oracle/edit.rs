//! Actions on a frame, by the text of OpenFlow 1.3.5 §5.12 and §7.2.5: bytes are written where
//! the header has them, then every checksum is computed in full. Damage that a checksum showed
//! before, it shows afterwards.

use wamig_openflow::Field;

use super::field::value;
use super::headers::{self, Headers, Ip, L3};

/// The headers of a frame whose inner tags may be cut short, which pops have laid bare.
fn read(frame: &[u8]) -> Headers {
    headers::read(frame).unwrap_or_else(|| {
        let number = |bytes: &[u8]| bytes.iter().fold(0, |n, b| n << 8 | u64::from(*b));
        Headers {
            eth_dst: number(&frame[..6]),
            eth_src: number(&frame[6..12]),
            tag: is_tagged(frame).then(|| number(&frame[14..16]) as u16),
            eth_type: 0,
            l3: L3::Unread,
        }
    })
}

/// Writes the bits of `mask` in a field, if the frame has it.
pub fn set(frame: &mut [u8], field: Field, new: u128, mask: u128) {
    let headers = read(frame);
    let Some(old) = value(field, &headers, 0, 0) else { return };
    let Some((at, bytes, shift)) = place(field, &headers) else { return };
    let before = frame.to_vec();
    let new = old & !mask | new & mask;
    let ones = field.full_mask() & if field == Field::VlanVid { 0xfff } else { u128::MAX };
    let mut word = frame[at..at + bytes].iter().fold(0u128, |n, b| n << 8 | u128::from(*b));
    word = word & !(ones << shift) | (new & ones) << shift;
    frame[at..at + bytes].copy_from_slice(&word.to_be_bytes()[16 - bytes..]);
    mend(&before, frame);
}

/// First byte, number of bytes, and lowest bit there, of a field that the frame has.
fn place(field: Field, h: &Headers) -> Option<(usize, usize, u32)> {
    let arp = |off: usize| if let L3::Arp { at, .. } = h.l3 { Some(at + off) } else { None };
    let mpls = || if let L3::Mpls { at, .. } = h.l3 { Some(at) } else { None };
    let ip = || if let L3::Ip(ip) = &h.l3 { Some(ip) } else { None };
    let l4 = |off: usize| Some(ip()?.l4?.at + off);
    Some(match field {
        Field::InPort
        | Field::InPhyPort
        | Field::Metadata
        | Field::EthType
        | Field::IpProto
        | Field::TunnelId
        | Field::Ipv6Exthdr => return None,
        Field::MplsLabel => (mpls()?, 4, 12),
        Field::MplsTc => (mpls()?, 4, 9),
        Field::MplsBos => (mpls()?, 4, 8),
        Field::PbbIsid => (if let L3::Pbb { at, .. } = h.l3 { at + 1 } else { return None }, 3, 0),
        Field::Ipv6NdTarget => (l4(8)?, 16, 0),
        Field::Ipv6NdSll | Field::Ipv6NdTll => (ip()?.neighbour?.address?.0, 6, 0),
        Field::EthDst => (0, 6, 0),
        Field::EthSrc => (6, 6, 0),
        Field::VlanVid => (h.tag.map(|_| 14)?, 2, 0),
        Field::VlanPcp => (h.tag.map(|_| 14)?, 2, 13),
        Field::IpDscp | Field::IpEcn => {
            let low = if field == Field::IpDscp { 2 } else { 0 };
            if ip()?.v6 { (ip()?.at, 2, 4 + low) } else { (ip()?.at + 1, 1, low) }
        }
        Field::Ipv4Src => (ip()?.at + 12, 4, 0),
        Field::Ipv4Dst => (ip()?.at + 16, 4, 0),
        Field::Ipv6Flabel => (ip()?.at, 4, 0),
        Field::Ipv6Src => (ip()?.at + 8, 16, 0),
        Field::Ipv6Dst => (ip()?.at + 24, 16, 0),
        Field::TcpSrc | Field::UdpSrc | Field::SctpSrc => (l4(0)?, 2, 0),
        Field::TcpDst | Field::UdpDst | Field::SctpDst => (l4(2)?, 2, 0),
        Field::Icmpv4Type | Field::Icmpv6Type => (l4(0)?, 1, 0),
        Field::Icmpv4Code | Field::Icmpv6Code => (l4(1)?, 1, 0),
        Field::ArpOp => (arp(6)?, 2, 0),
        Field::ArpSha => (arp(8)?, 6, 0),
        Field::ArpSpa => (arp(14)?, 4, 0),
        Field::ArpTha => (arp(18)?, 6, 0),
        Field::ArpTpa => (arp(24)?, 4, 0),
    })
}

/// Copies a field onto another, if the frame has both.
pub fn copy(frame: &mut [u8], from: Field, to: Field) {
    if let Some(value) = value(from, &read(frame), 0, 0) {
        set(frame, to, value, to.full_mask());
    }
}

/// A new outermost tag with id and priority of the one before, or 0 (§5.12, table 6).
pub fn push_vlan(frame: &mut Vec<u8>, kind: u16) {
    let tci = if is_tagged(frame) { [frame[14], frame[15]] } else { [0, 0] };
    let tag = [kind.to_be_bytes(), tci].concat();
    frame.splice(12..12, tag);
}

/// Writes a field of the outermost tag; a frame without one gets one (1.0 §3.3, table 5).
pub fn set_tag(frame: &mut Vec<u8>, field: Field, new: u128) {
    if !is_tagged(frame) {
        push_vlan(frame, 0x8100);
    }
    set(frame, field, new, field.full_mask());
}

/// Writes the first of these fields that the frame has.
pub fn set_one_of(frame: &mut [u8], fields: [Field; 3], new: u16) {
    let headers = read(frame);
    if let Some(field) = fields.into_iter().find(|f| value(*f, &headers, 0, 0).is_some()) {
        set(frame, field, u128::from(new), 0xffff);
    }
}

/// Where the EtherType is in front of the L3 header; `None` if a length stands there.
fn type_at(frame: &[u8]) -> Option<usize> {
    let number = |at: usize| Some(u16::from_be_bytes([*frame.get(at)?, *frame.get(at + 1)?]));
    let mut at = 12;
    while at < 20 && matches!(number(at)?, 0x8100 | 0x88a8) {
        at += 4;
    }
    if number(at)? >= 0x600 {
        return Some(at);
    }
    let snap = frame.get(at + 2..at + 8)? == [0xaa, 0xaa, 3, 0, 0, 0];
    (snap && number(at + 8)? >= 0x600).then_some(at + 8)
}

/// A new outermost label stack entry behind the tags: a copy of the one there, or label 0 with
/// the TTL of the IP packet (§5.12, table 6).
pub fn push_mpls(frame: &mut Vec<u8>, kind: u16) {
    let Some(at) = type_at(frame) else { return };
    let entry = match &read(frame).l3 {
        L3::Mpls { entry, .. } => entry & !0x100,
        L3::Ip(ip) => 0x100 | u32::from(frame[ip.at + if ip.v6 { 7 } else { 8 }]),
        _ => 0x100,
    };
    frame[at..at + 2].copy_from_slice(&kind.to_be_bytes());
    frame.splice(at + 2..at + 2, entry.to_be_bytes());
}

/// Removes the outermost label stack entry; what follows is of this type.
pub fn pop_mpls(frame: &mut Vec<u8>, below: u16) {
    let L3::Mpls { at, .. } = read(frame).l3 else { return };
    frame.drain(at..at + 4);
    frame[at - 2..at].copy_from_slice(&below.to_be_bytes());
}

/// Sets the TTL of the outermost label stack entry.
pub fn set_mpls_ttl(frame: &mut [u8], new: u8) {
    if let L3::Mpls { at, .. } = read(frame).l3 {
        frame[at + 3] = new;
    }
}

/// Decrements that TTL; false = it would be 0 or less, and nothing was done.
pub fn dec_mpls_ttl(frame: &mut [u8]) -> bool {
    let L3::Mpls { at, .. } = read(frame).l3 else { return true };
    if frame[at + 3] > 1 {
        frame[at + 3] -= 1;
        return true;
    }
    false
}

/// Removes the outermost tag, if there is one.
pub fn pop_vlan(frame: &mut Vec<u8>) {
    if is_tagged(frame) {
        frame.drain(12..16);
    }
}

fn is_tagged(frame: &[u8]) -> bool {
    frame.len() >= 18 && (frame[12..14] == [0x81, 0] || frame[12..14] == [0x88, 0xa8])
}

/// The byte of TTL or hop limit.
fn ttl(frame: &[u8]) -> Option<usize> {
    match read(frame).l3 {
        L3::Ip(ip) => Some(ip.at + if ip.v6 { 7 } else { 8 }),
        _ => None,
    }
}

/// Sets TTL or hop limit.
pub fn set_ttl(frame: &mut [u8], new: u8) {
    if let Some(at) = ttl(frame) {
        let before = frame.to_vec();
        frame[at] = new;
        mend(&before, frame);
    }
}

/// Decrements TTL or hop limit; false = it would be 0 or less, and nothing was done.
pub fn dec_ttl(frame: &mut [u8]) -> bool {
    let Some(at) = ttl(frame) else { return true };
    if frame[at] <= 1 {
        return false;
    }
    let new = frame[at] - 1;
    set_ttl(frame, new);
    true
}

/// Makes the checksums of `after` right, or wrong by as much as those of `before` were.
fn mend(before: &[u8], after: &mut [u8]) {
    let (L3::Ip(old), L3::Ip(new)) = (read(before).l3, read(after).l3) else { return };
    if !old.v6 {
        let header = |ip: &Ip, frame: &[u8]| {
            let length = usize::from(frame[ip.at] & 15) * 4;
            words(&frame[ip.at..ip.at + length])
        };
        update(after, new.at + 10, header(&old, before), |f| header(&new, f), false);
    }
    let Some(l4) = new.l4 else { return };
    match new.proto {
        6 => update(after, l4.at + 16, packet(&old, before), |f| packet(&new, f), false),
        17 if after[l4.at + 6..l4.at + 8] == [0, 0] => {}
        17 => update(after, l4.at + 6, packet(&old, before), |f| packet(&new, f), true),
        1 | 58 => update(after, l4.at + 2, packet(&old, before), |f| packet(&new, f), false),
        132 if !new.fragment && crc32c(&before[l4.at..old.end]) == before[l4.at + 8..l4.at + 12] => {
            let crc = crc32c(&after[l4.at..new.end]);
            after[l4.at + 8..l4.at + 12].copy_from_slice(&crc);
        }
        _ => {}
    }
}

/// Sum of 16-bit words modulo 65535: RFC 1071's one's-complement sum, where 0 and 65535 are
/// the same.
fn words(bytes: &[u8]) -> u32 {
    let word = |c: &[u8]| u32::from(c[0]) << 8 | c.get(1).map_or(0, |b| u32::from(*b));
    bytes.chunks(2).fold(0, |sum, c| (sum + word(c)) % 65535)
}

/// Sum of pseudo-header and L4 packet. What stands in the pseudo-header of a packet with stops
/// to come is not its present destination; whatever it is, it does not change.
fn packet(ip: &Ip, frame: &[u8]) -> u32 {
    let at = ip.l4.map_or(ip.end, |l4| l4.at);
    let addresses = match (ip.v6, ip.proto) {
        (false, 1) => 0,
        (false, _) => words(&frame[ip.at + 12..ip.at + 20]),
        (true, _) if ip.routed => words(&frame[ip.at + 8..ip.at + 24]),
        (true, _) => words(&frame[ip.at + 8..ip.at + 40]),
    };
    (addresses + words(&frame[at..ip.end])) % 65535
}

/// A sum with its checksum in it is always the same; so the checksum changes by what the sum
/// without it has changed by.
fn update(frame: &mut [u8], at: usize, before: u32, sum: impl Fn(&[u8]) -> u32, udp: bool) {
    let now = sum(frame);
    if now == before {
        return;
    }
    let old = u32::from(frame[at]) << 8 | u32::from(frame[at + 1]);
    let new = match ((old + before + 65535 - now) % 65535) as u16 {
        0 if udp => 0xffff,
        new => new,
    };
    frame[at..at + 2].copy_from_slice(&new.to_be_bytes());
}

/// CRC32c of an SCTP packet, its own field taken as 0 (RFC 9260, appendix A).
pub fn crc32c(packet: &[u8]) -> [u8; 4] {
    let mut packet = packet.to_vec();
    packet[8..12].fill(0);
    let mut crc = u32::MAX;
    for bit in packet.iter().flat_map(|b| (0..8).map(move |i| u32::from(b >> i & 1))) {
        crc = if crc & 1 == bit { crc >> 1 } else { crc >> 1 ^ 0x82f6_3b78 };
    }
    (!crc).to_le_bytes()
}
