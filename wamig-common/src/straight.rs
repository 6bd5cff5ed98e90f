//! The straight way: what most frames of most tables need, without a header window.
//!
//! A *plain* frame is untagged IPv4 without options, no fragment, with a whole TCP, UDP or
//! ICMP header: its headers lie at fixed offsets. An [`Edit`] is an action list that writes
//! constant bits into such a frame and then sends it once. For a plain frame that meets flows
//! without anything else, the XDP program edits the frame where it is. Every other frame
//! takes the general walk, from the start.
//!
//! Both do the same: what is here is held against [`crate::extract`] and [`crate::execute`]
//! by tests, and so is the program that uses it.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::action::{
    BASE_L2, BASE_L3, BASE_L4, NEED_ARP, NEED_IPV4, NEED_IPV6, NEED_L4, NEED_PORTS, NEED_TAG, OUTPUT, OUTPUT_IN_PORT,
    OUTPUT_SET, Op, SET, SUM_IPV4, SUM_L4, SUM_PSEUDO,
};
use crate::checksum::{delta, update, update_udp};
use crate::extract::{ETH_IPV4, proto};
use crate::key::{self, FlowKey, HAS_L3, HAS_L4};

/// Bytes of a plain frame that are read: Ethernet, IPv4, and eight of the L4 header.
pub const HEAD: usize = 42;
/// Bytes of a plain TCP frame's headers.
pub const TCP_HEAD: usize = 54;
/// IPv4 header.
const L3: usize = 14;
/// L4 header.
const L4: usize = 34;
/// Flags of an operation on an IPv4 address, and on a port.
const ADDRESS: u16 = NEED_IPV4 | SUM_IPV4 | SUM_PSEUDO;
const PORT: u16 = NEED_L4 | SUM_L4;

/// The first [`HEAD`] bytes of a frame, [`TCP_HEAD`] if it is TCP. Whoever makes one has
/// checked that they are there. Numbers are as they stand in the frame, first byte first in
/// memory.
pub trait Head {
    /// One byte.
    fn u8(&self, off: usize) -> u8;
    /// Two bytes.
    fn u16(&self, off: usize) -> u16;
    /// Four bytes.
    fn u32(&self, off: usize) -> u32;
    /// Eight bytes.
    fn u64(&self, off: usize) -> u64;
    /// Whether [`TCP_HEAD`] bytes are there: always, for a plain TCP frame. The verifier has to
    /// be shown it where they are read, since Linux 6.1 forgets what an earlier check said.
    fn has_tcp(&self) -> bool;
    /// Writes two bytes.
    fn set_u16(&mut self, off: usize, value: u16);
    /// Writes four bytes.
    fn set_u32(&mut self, off: usize, value: u32);
    /// Writes eight bytes.
    fn set_u64(&mut self, off: usize, value: u64);
}

/// Fills the words of `key` that `used` names (word 0, metadata, is left alone) from a plain
/// frame of `len` bytes; its L4 protocol. `None`: the frame is not plain.
#[inline(always)]
pub fn extract<H: Head>(head: &H, len: usize, in_port: u32, used: u32, key: &mut FlowKey) -> Option<u8> {
    const IPV4: u16 = ETH_IPV4.to_be();
    if head.u16(12) != IPV4 || head.u8(L3) != 0x45 || head.u16(L3 + 6) & 0x3fffu16.to_be() != 0 {
        return None;
    }
    let proto = head.u8(L3 + 9);
    let need = match proto {
        proto::TCP => 20,
        proto::UDP | proto::ICMP => 8,
        _ => return None,
    };
    let total = u16::from_be(head.u16(L3 + 2)) as usize;
    if total < 20 + need || L3 + total > len {
        return None;
    }
    let words = &mut key.words;
    if used >> 1 & 1 != 0 {
        words[1] = u64::from(in_port) | (ETH_IPV4 as u64) << key::ETH_TYPE.shift;
    }
    if used >> 2 & 1 != 0 {
        let tos = u64::from(head.u8(L3 + 1));
        words[2] = u64::from_be(head.u64(0)) >> 16 | u64::from(proto) << 48 | tos << 56;
    }
    if used >> 3 & 1 != 0 {
        let has = u64::from(HAS_L3 | HAS_L4) << key::HAS.shift;
        words[3] = u64::from_be(head.u64(6)) >> 16 | has;
    }
    if used >> 4 & 1 != 0 {
        words[4] = u64::from(u32::from_be(head.u32(L3 + 12)));
    }
    if used >> 6 & 1 != 0 {
        words[6] = u64::from(u32::from_be(head.u32(L3 + 16)));
    }
    if used >> 8 & 1 != 0 {
        let ports = u64::from(u32::from_be(head.u32(L4)));
        words[8] = if proto == proto::ICMP {
            ports >> 24 | (ports >> 16 & 0xff) << 16
        } else {
            ports >> 16 | (ports & 0xffff) << 16
        };
    }
    macro_rules! absent {
        ($($i:literal)*) => { $(
            if used >> $i & 1 != 0 {
                words[$i] = 0;
            }
        )* };
    }
    absent!(5 7 9 10 11 12);
    Some(proto)
}

/// [`Edit::does`]: it stands for its list.
pub const STRAIGHT: u32 = 1;
/// [`Edit::does`]: writes MAC addresses.
pub const MACS: u32 = 2;
/// [`Edit::does`]: writes bits of the source address.
pub const SOURCE: u32 = 4;
/// [`Edit::does`]: writes bits of the destination address.
pub const DESTINATION: u32 = 8;
/// [`Edit::does`]: writes bits of the ports.
pub const PORTS: u32 = 16;

/// An action list as the straight way takes it. Values and masks are as they stand in the
/// frame; bits outside a mask are zero in its value.
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct Edit {
    /// [`STRAIGHT`] …; 0 = the list takes the general walk.
    pub does: u32,
    /// [`OUTPUT`], [`OUTPUT_IN_PORT`] or [`OUTPUT_SET`].
    pub out_kind: u32,
    /// Index of the port or set.
    pub out: u32,
    /// Zero.
    pub reserved: u32,
    /// Bytes 0 to 7 of the frame: value, mask.
    pub macs: [u64; 2],
    /// Bytes 8 to 11: value, mask.
    pub last_macs: [u32; 2],
    /// Source address: value, mask.
    pub source: [u32; 2],
    /// Destination address: value, mask.
    pub destination: [u32; 2],
    /// Source and destination port: value, mask.
    pub ports: [u32; 2],
}

const _: () = assert!(size_of::<Edit>() == 64);

impl Edit {
    /// What a list does to a plain frame, if it is nothing but that.
    pub fn of(ops: &[Op]) -> Self {
        Self::straight(ops).unwrap_or_default()
    }

    fn straight(ops: &[Op]) -> Option<Self> {
        let (last, edits) = ops.split_last()?;
        if !matches!(last.kind, OUTPUT | OUTPUT_IN_PORT | OUTPUT_SET) {
            return None;
        }
        let mut edit =
            Self { does: STRAIGHT, out_kind: u32::from(last.kind), out: last.value as u32, ..Self::default() };
        // The headers that are written: bytes 0 to 15, addresses, ports.
        let (mut macs, mut addresses, mut ports) = ([0u128; 2], [0u64; 2], [0u64; 2]);
        for op in edits {
            if op.kind != SET {
                return None;
            }
            if op.flags & (NEED_ARP | NEED_IPV6 | NEED_TAG) != 0 {
                // Not done to a plain frame.
                continue;
            }
            match (op.base, op.off) {
                (BASE_L2, off @ 0..=8) => {
                    let place = |bits: u64| u128::from(bits) << 64 >> (u32::from(off) * 8);
                    macs = [macs[0] & !place(op.mask) | place(op.value & op.mask), macs[1] | place(op.mask)];
                }
                (BASE_L3, off @ (12 | 16)) if op.flags == ADDRESS && (off == 12 || op.mask as u32 == 0) => {
                    let shift = u32::from(off - 12) * 8;
                    let place = |bits: u64| bits >> shift;
                    addresses =
                        [addresses[0] & !place(op.mask) | place(op.value & op.mask), addresses[1] | place(op.mask)];
                }
                (BASE_L4, off @ (0 | 2)) if op.flags & !NEED_PORTS == PORT && (off == 0 || op.mask as u16 == 0) => {
                    let place = |bits: u64| bits >> (u32::from(off) * 8);
                    ports = [ports[0] & !place(op.mask) | place(op.value & op.mask), ports[1] | place(op.mask)];
                }
                _ => return None,
            }
        }
        if macs[1] as u32 != 0 || ports[1] as u32 != 0 {
            // bytes behind the MAC addresses or the ports
            return None;
        }
        let upper = |bits: u64| ((bits >> 32) as u32).to_be();
        let lower = |bits: u64| (bits as u32).to_be();
        edit.macs = macs.map(|bits| ((bits >> 64) as u64).to_be());
        edit.last_macs = macs.map(|bits| upper(bits as u64));
        edit.source = addresses.map(upper);
        edit.destination = addresses.map(lower);
        edit.ports = ports.map(upper);
        let bit = |mask: bool, bit: u32| if mask { bit } else { 0 };
        edit.does |= bit(macs[1] != 0, MACS)
            | bit(edit.source[1] != 0, SOURCE)
            | bit(edit.destination[1] != 0, DESTINATION)
            | bit(edit.ports[1] != 0, PORTS);
        Some(edit)
    }

    /// Whether the list changes anything.
    #[inline(always)]
    pub const fn is_edit(&self) -> bool {
        self.does & !STRAIGHT != 0
    }

    /// Whether it can be done to a frame of this L4 protocol.
    #[inline(always)]
    pub const fn suits(&self, proto: u8) -> bool {
        self.does & STRAIGHT != 0 && (self.does & PORTS == 0 || matches!(proto, proto::TCP | proto::UDP))
    }

    /// Does it to a plain frame of L4 protocol `proto`.
    #[inline(always)]
    pub fn apply<H: Head>(&self, head: &mut H, proto: u8) {
        if self.does & MACS != 0 {
            let old = head.u64(0);
            head.set_u64(0, old & !self.macs[1] | self.macs[0]);
            let old = head.u32(8);
            head.set_u32(8, old & !self.last_macs[1] | self.last_macs[0]);
        }
        let mut addresses = 0;
        if self.does & SOURCE != 0 {
            addresses += write(head, L3 + 12, self.source);
        }
        if self.does & DESTINATION != 0 {
            addresses += write(head, L3 + 16, self.destination);
        }
        if addresses != 0 {
            let sum = head.u16(L3 + 10);
            head.set_u16(L3 + 10, update(sum, addresses));
        }
        let mut all = addresses;
        if self.does & PORTS != 0 {
            all += write(head, L4, self.ports);
        }
        if all == 0 {
            return;
        }
        if proto == proto::UDP {
            let sum = head.u16(L4 + 6);
            // 0: the sender computed none
            if sum != 0 {
                head.set_u16(L4 + 6, update_udp(sum, all));
            }
        } else if proto == proto::TCP && head.has_tcp() {
            let sum = head.u16(L4 + 16);
            head.set_u16(L4 + 16, update(sum, all));
        }
    }
}

/// Writes bits of four bytes; what that means to a checksum (0 = nothing changed).
#[inline(always)]
fn write<H: Head>(head: &mut H, off: usize, [value, mask]: [u32; 2]) -> u64 {
    let old = head.u32(off);
    let new = old & !mask | value;
    if old == new {
        return 0;
    }
    head.set_u32(off, new);
    // Bytes are swapped alike in both and in the checksum, to which that makes no difference.
    delta(u64::from(old), u64::from(new))
}

#[cfg(test)]
#[path = "straight_tests.rs"]
mod tests;
