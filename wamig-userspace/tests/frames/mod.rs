//! Frames written out byte by byte, so that an expected frame is the received one with other
//! fields: `Frame { ttl: 63, ..udp() }.bytes()`. Every length and checksum is computed anew
//! (RFC 791, 793, 768, 792, 826, 8200, 4443, 9260, 1071; IEEE 802.1Q). Nothing here comes from
//! the switch.

/// EtherType of IPv4.
pub const IPV4: u16 = 0x0800;
/// EtherType of ARP.
pub const ARP: u16 = 0x0806;
/// EtherType of IPv6.
pub const IPV6: u16 = 0x86dd;
/// EtherType of MPLS.
pub const MPLS: u16 = 0x8847;
/// Tag of a customer (IEEE 802.1Q).
pub const CTAG: u16 = 0x8100;
/// Tag of a provider (IEEE 802.1ad).
pub const STAG: u16 = 0x88a8;

/// IP protocol numbers.
pub const ICMP: u8 = 1;
/// See [`ICMP`].
pub const TCP: u8 = 6;
/// See [`ICMP`].
pub const UDP: u8 = 17;
/// See [`ICMP`].
pub const ICMPV6: u8 = 58;
/// See [`ICMP`].
pub const SCTP: u8 = 132;

/// What stands in the checksum of L4.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Sum {
    /// The right one.
    Right,
    /// Nothing: UDP's "not computed".
    Zero,
    /// That of a packet with this word more in it, as if a word had been lost on the way.
    Damaged(u16),
}

/// A frame.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Frame {
    /// Destination MAC.
    pub eth_dst: u64,
    /// Source MAC.
    pub eth_src: u64,
    /// Tags, outermost first: (type, priority 15..13, DEI 12, id 11..0).
    pub tags: Vec<(u16, u16)>,
    /// As 802.3 with LLC and SNAP before the EtherType.
    pub snap: bool,
    /// [`IPV4`], [`ARP`], [`IPV6`], or anything else: `payload` follows at once.
    pub eth_type: u16,
    /// Source of IPv4 (32 bits) or IPv6, sender of ARP.
    pub src: u128,
    /// Destination or target.
    pub dst: u128,
    /// DSCP 7..2, ECN 1..0.
    pub tos: u8,
    /// TTL or hop limit.
    pub ttl: u8,
    /// IPv6 flow label.
    pub label: u32,
    /// IPv4 options, a multiple of four bytes.
    pub options: Vec<u8>,
    /// IPv6 extension headers: (type, bytes behind "next header", 7 or 15 or 23 … of them).
    pub extensions: Vec<(u8, Vec<u8>)>,
    /// (offset in units of eight bytes, more to come). With an offset there is no L4 header.
    pub fragment: Option<(u16, bool)>,
    /// [`UDP`] …
    pub proto: u8,
    /// Source port; ICMP type.
    pub sport: u16,
    /// Destination port; ICMP code.
    pub dport: u16,
    /// Checksum of L4.
    pub sum: Sum,
    /// What the packet carries.
    pub payload: Vec<u8>,
    /// ARP: opcode, sender's and target's MAC.
    pub arp: (u16, u64, u64),
    /// MPLS label stack entries behind the tags, outermost first.
    pub labels: Vec<u32>,
    /// Ethernet padding behind the packet.
    pub padding: usize,
}

/// An IPv4 address as a number.
pub const fn ip(a: u8, b: u8, c: u8, d: u8) -> u128 {
    u32::from_be_bytes([a, b, c, d]) as u128
}

/// Sum of 16-bit words, an odd last byte counting as the first of its word.
fn words(bytes: &[u8]) -> u64 {
    bytes.chunks(2).map(|c| u64::from(c[0]) << 8 | u64::from(*c.get(1).unwrap_or(&0))).sum()
}

fn ones_complement(mut sum: u64) -> u16 {
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

/// CRC32c as SCTP has it (RFC 9260, appendix A).
fn crc32c(bytes: &[u8]) -> [u8; 4] {
    let mut crc = u32::MAX;
    for byte in bytes {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = if crc & 1 == 1 { crc >> 1 ^ 0x82f6_3b78 } else { crc >> 1 };
        }
    }
    (!crc).to_le_bytes()
}

impl Frame {
    /// The frame on the wire.
    pub fn bytes(&self) -> Vec<u8> {
        let packet = match self.eth_type {
            IPV4 => self.ipv4(),
            IPV6 => self.ipv6(),
            ARP => self.arp(),
            _ => self.payload.clone(),
        };
        let mut out = [&self.eth_dst.to_be_bytes()[2..], &self.eth_src.to_be_bytes()[2..]].concat();
        for (kind, tci) in &self.tags {
            out.extend(kind.to_be_bytes());
            out.extend(tci.to_be_bytes());
        }
        if self.snap {
            out.extend((packet.len() as u16 + 8).to_be_bytes());
            out.extend([0xaa, 0xaa, 3, 0, 0, 0]);
        }
        let outer = if self.labels.is_empty() { self.eth_type } else { MPLS };
        out.extend(outer.to_be_bytes());
        out.extend(self.labels.iter().flat_map(|entry| entry.to_be_bytes()));
        out.extend(packet);
        out.extend(vec![0xee; self.padding]);
        out
    }

    fn arp(&self) -> Vec<u8> {
        let (op, sha, tha) = self.arp;
        let mut out = vec![0, 1, 8, 0, 6, 4];
        out.extend(op.to_be_bytes());
        out.extend(&sha.to_be_bytes()[2..]);
        out.extend((self.src as u32).to_be_bytes());
        out.extend(&tha.to_be_bytes()[2..]);
        out.extend((self.dst as u32).to_be_bytes());
        out
    }

    fn ipv4(&self) -> Vec<u8> {
        let l4 = self.l4();
        let len = 20 + self.options.len();
        let (offset, more) = self.fragment.unwrap_or_default();
        let mut out = vec![0x40 | (len / 4) as u8, self.tos];
        out.extend(((len + l4.len()) as u16).to_be_bytes());
        out.extend([0x12, 0x34]);
        out.extend((offset | u16::from(more) << 13).to_be_bytes());
        out.extend([self.ttl, self.proto, 0, 0]);
        out.extend((self.src as u32).to_be_bytes());
        out.extend((self.dst as u32).to_be_bytes());
        out.extend(&self.options);
        let sum = ones_complement(words(&out));
        out[10..12].copy_from_slice(&sum.to_be_bytes());
        out.extend(l4);
        out
    }

    fn ipv6(&self) -> Vec<u8> {
        let mut extensions = self.extensions.clone();
        if let Some((offset, more)) = self.fragment {
            let [a, b] = (offset << 3 | u16::from(more)).to_be_bytes();
            extensions.push((44, vec![0, a, b, 0, 0, 0, 9]));
        }
        let types: Vec<u8> = extensions.iter().map(|e| e.0).chain([self.proto]).collect();
        let mut body = Vec::new();
        for (next, (_, rest)) in types[1..].iter().zip(&extensions) {
            body.push(*next);
            body.extend(rest);
        }
        body.extend(self.l4());
        let mut out = (6 << 28 | u32::from(self.tos) << 20 | self.label).to_be_bytes().to_vec();
        out.extend((body.len() as u16).to_be_bytes());
        out.extend([types[0], self.ttl]);
        out.extend(self.src.to_be_bytes());
        out.extend(self.dst.to_be_bytes());
        out.extend(body);
        out
    }

    /// What the IP packet carries, with its checksum.
    fn l4(&self) -> Vec<u8> {
        if self.fragment.is_some_and(|(offset, _)| offset != 0) {
            return self.payload.clone();
        }
        let ports = [self.sport.to_be_bytes(), self.dport.to_be_bytes()].concat();
        let icmp = vec![self.sport as u8, self.dport as u8, 0, 0, 0, 1, 0, 2];
        let mut out = match self.proto {
            TCP => [&ports[..], &[0, 0, 0, 1, 0, 0, 0, 2, 0x50, 0x10, 0x20, 0, 0, 0, 0, 0]].concat(),
            UDP => [&ports[..], &((8 + self.payload.len()) as u16).to_be_bytes(), &[0, 0]].concat(),
            SCTP => [&ports[..], &[0, 0, 0, 9, 0, 0, 0, 0]].concat(),
            ICMP if self.eth_type == IPV4 => icmp,
            ICMPV6 if self.eth_type == IPV6 => icmp,
            _ => return self.payload.clone(),
        };
        out.extend(&self.payload);
        let at = match self.proto {
            TCP => 16,
            UDP => 6,
            SCTP => {
                let crc = crc32c(&out);
                out[8..12].copy_from_slice(&crc);
                return out;
            }
            _ => 2,
        };
        if self.sum == Sum::Zero {
            return out;
        }
        let mut sum = words(&out);
        if self.proto != ICMP {
            sum += words(&self.src.to_be_bytes()) + words(&self.dst.to_be_bytes());
            sum += u64::from(self.proto) + out.len() as u64;
        }
        if let Sum::Damaged(word) = self.sum {
            sum += u64::from(word);
        }
        let mut sum = ones_complement(sum);
        if self.proto == UDP && sum == 0 {
            sum = 0xffff;
        }
        out[at..at + 2].copy_from_slice(&sum.to_be_bytes());
        out
    }
}

/// A UDP datagram over IPv4: 192.0.2.1 port 40000 to 192.0.2.53 port 53, TTL 64.
pub fn udp() -> Frame {
    Frame {
        eth_dst: 0x0200_0000_0002,
        eth_src: 0x0200_0000_0001,
        tags: Vec::new(),
        snap: false,
        eth_type: IPV4,
        src: ip(192, 0, 2, 1),
        dst: ip(192, 0, 2, 53),
        tos: 0,
        ttl: 64,
        label: 0,
        options: Vec::new(),
        extensions: Vec::new(),
        fragment: None,
        proto: UDP,
        sport: 40000,
        dport: 53,
        sum: Sum::Right,
        payload: b"what is the time?".to_vec(),
        arp: (1, 0x0200_0000_0001, 0),
        labels: Vec::new(),
        padding: 0,
    }
}

/// The same over IPv6: 2001:db8::1 to 2001:db8::53.
pub fn udp6() -> Frame {
    let net = 0x2001_0db8 << 96;
    Frame { eth_type: IPV6, src: net | 1, dst: net | 0x53, ..udp() }
}

/// An ARP request from 192.0.2.1 for 192.0.2.53, padded as a wire has it.
pub fn arp() -> Frame {
    Frame { eth_dst: 0xffff_ffff_ffff, eth_type: ARP, padding: 18, ..udp() }
}
