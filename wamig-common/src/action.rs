//! Actions in the form the executor runs: 24 bytes each.
//!
//! Every set-field is one operation, "write these bits of eight bytes at that header offset and
//! mend those checksums"; the compiler of flows chooses offset, mask and checksums. A move is
//! the same with the bits taken from another place of the frame.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::limits::MAX_OPS;

/// End of a list.
pub const END: u8 = 0;
/// Output to one port: `value` = index (1..=254, or 255 for LOCAL).
pub const OUTPUT: u8 = 1;
/// Output back to the ingress port.
pub const OUTPUT_IN_PORT: u8 = 2;
/// Output to a port set, ingress port excluded: `value` = index of the set.
pub const OUTPUT_SET: u8 = 3;
/// Packet-in: `value` = bytes of the frame at most.
pub const CONTROLLER: u8 = 4;
/// Write `value` under `mask` into the eight bytes at `base` + `off`.
pub const SET: u8 = 5;
/// As [`SET`], the bits coming from the eight bytes at `src_base` + `src_off`, rotated left by `value`.
pub const MOVE: u8 = 6;
/// Push a tag: `value` = EtherType of the tag; id and priority of the outer tag are copied.
pub const PUSH_VLAN: u8 = 7;
/// Pop the outer tag.
pub const POP_VLAN: u8 = 8;
/// Decrement TTL or hop limit.
pub const DEC_TTL: u8 = 9;
/// Push a tag of the EtherType in the lowest 16 bits of `value` if there is none, id and
/// priority 0; then write `value` under `mask` as [`SET`] does.
pub const SET_TAG: u8 = 10;
/// Decrement the TTL of the outermost MPLS label stack entry.
pub const DEC_MPLS_TTL: u8 = 11;

/// The first kind that the slow path alone knows.
pub const FIRST_SLOW: u8 = 32;
/// Hand a copy of the frame to a group: `value` = its OpenFlow number. Slow path only.
pub const GROUP: u8 = 32;
/// Put the frame through a meter: `value` = its OpenFlow number. In no list: the slow path's
/// walk asks by it what a flow's meter says.
pub const METER: u8 = 33;
/// Push an MPLS label stack entry: `value` = EtherType. Slow path only, as what follows.
pub const PUSH_MPLS: u8 = 34;
/// Pop the outermost MPLS label stack entry: `value` = EtherType of what is below.
pub const POP_MPLS: u8 = 35;
/// Push a PBB service instance tag: `value` = EtherType.
pub const PUSH_PBB: u8 = 36;
/// Pop the outermost PBB service instance tag.
pub const POP_PBB: u8 = 37;
/// Copy the TTL from the next header to the outermost one.
pub const COPY_TTL_OUT: u8 = 38;
/// Copy the TTL from the outermost header to the next one.
pub const COPY_TTL_IN: u8 = 39;
/// Write the protocol of an IPv4 packet, or the type of an IPv6 packet's upper-layer header: `value`.
pub const SET_PROTO: u8 = 40;
/// Write the bits of `mask` of the tunnel id from `value`.
pub const SET_TUNNEL: u8 = 41;

/// `base`: the frame's first byte.
pub const BASE_L2: u8 = 0;
/// `base`: the L3 header.
pub const BASE_L3: u8 = 1;
/// `base`: the L4 header.
pub const BASE_L4: u8 = 2;
/// `base`: the EtherType that names the L3 header.
pub const BASE_TYPE: u8 = 3;
/// `base`: the address in the link-layer address option of neighbour discovery.
pub const BASE_ND_LL: u8 = 4;

/// Flag: only for a frame with a sane IPv4 header.
pub const NEED_IPV4: u16 = 1;
/// Flag: only for a frame with a sane IPv6 header.
pub const NEED_IPV6: u16 = 2;
/// Flag: only for an ARP frame.
pub const NEED_ARP: u16 = 4;
/// Flag: only for a frame whose L4 header is there.
pub const NEED_L4: u16 = 8;
/// Flag: only for a tagged frame.
pub const NEED_TAG: u16 = 16;
/// Flag: only for a frame with an MPLS label stack entry.
pub const NEED_MPLS: u16 = 32;
/// Flag: only for a frame with a PBB service instance tag.
pub const NEED_PBB: u16 = 64;
/// Flag: only for a neighbour solicitation or advertisement.
pub const NEED_ND: u16 = 128;
/// Flag: only for TCP, UDP and SCTP.
pub const NEED_PORTS: u16 = 0x1000;
/// Flag: the bits are covered by the IPv4 header checksum.
pub const SUM_IPV4: u16 = 0x100;
/// Flag: the bits are in the pseudo-header of TCP, UDP and ICMPv6.
pub const SUM_PSEUDO: u16 = 0x200;
/// Flag: the bits are covered by the L4 checksum.
pub const SUM_L4: u16 = 0x400;
/// Flag: only for a message of neighbour discovery with the link-layer address option.
pub const NEED_ND_LL: u16 = 0x800;

/// Action-set slots, in the order of OpenFlow 1.3.5 §5.10.
pub mod slot {
    /// Copy the TTL inwards.
    pub const COPY_TTL_IN: u8 = 1;
    /// Pop a tag.
    pub const POP_VLAN: u8 = 2;
    /// Pop a PBB tag.
    pub const POP_PBB: u8 = 3;
    /// Pop an MPLS label stack entry.
    pub const POP_MPLS: u8 = 4;
    /// Push an MPLS label stack entry.
    pub const PUSH_MPLS: u8 = 5;
    /// Push a PBB tag.
    pub const PUSH_PBB: u8 = 6;
    /// Push a tag.
    pub const PUSH_VLAN: u8 = 7;
    /// Copy the TTL outwards.
    pub const COPY_TTL_OUT: u8 = 8;
    /// Decrement TTL.
    pub const DEC_TTL: u8 = 9;
    /// Decrement the MPLS TTL.
    pub const DEC_MPLS_TTL: u8 = 10;
    /// First slot of the set-fields; each field has one of its own, IPv6 addresses two.
    pub const FIRST_SET: u8 = 11;
    /// Last slot of the set-fields.
    pub const LAST_SET: u8 = 49;
    /// Set the TTL.
    pub const SET_TTL: u8 = 50;
    /// Set the MPLS TTL.
    pub const SET_MPLS_TTL: u8 = 51;
    /// Group; an output beside it is ignored.
    pub const GROUP: u8 = 52;
    /// Output, last of all.
    pub const OUTPUT: u8 = 53;
}

/// One action.
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct Op {
    /// [`OUTPUT`], [`SET`], …
    pub kind: u8,
    /// Slot in the action set ([`slot`]); used by write-actions.
    pub slot: u8,
    /// Header that `off` counts from.
    pub base: u8,
    /// Bytes from there.
    pub off: u8,
    /// [`MOVE`]: header of the source.
    pub src_base: u8,
    /// [`MOVE`]: offset of the source.
    pub src_off: u8,
    /// `NEED_*` and `SUM_*`.
    pub flags: u16,
    /// New bits, at the place that `mask` gives them; or as the kind says.
    pub value: u64,
    /// Which of the eight bytes' 64 bits are written; the first byte is most significant.
    pub mask: u64,
}

/// `ActionList::flags`: some action changes the frame, so its headers must be in the window.
pub const LIST_EDITS: u32 = 1;

/// A list of actions.
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct ActionList {
    /// Actions in use.
    pub n: u32,
    /// [`LIST_EDITS`].
    pub flags: u32,
    /// The actions; [`END`] from `n` on.
    pub ops: [Op; MAX_OPS],
}

const _: () = assert!(size_of::<Op>() == 24 && size_of::<ActionList>() == 392);

impl Default for ActionList {
    fn default() -> Self {
        Self { n: 0, flags: 0, ops: [Op::default(); MAX_OPS] }
    }
}

impl Op {
    /// Whether the action changes the frame (rather than sending it).
    pub const fn is_edit(&self) -> bool {
        let here = matches!(self.kind, SET | MOVE | PUSH_VLAN | POP_VLAN | DEC_TTL | SET_TAG | DEC_MPLS_TTL);
        here || self.kind >= PUSH_MPLS
    }

    /// Whether the fast path leaves it to the slow path.
    pub const fn is_slow(&self) -> bool {
        self.kind >= FIRST_SLOW
    }

    /// Whether headers come, go or change their meaning, so that the frame has to be read anew.
    pub const fn reshapes(&self) -> bool {
        matches!(self.kind, PUSH_MPLS | POP_MPLS | PUSH_PBB | POP_PBB)
    }

    /// Whether the action sends the frame somewhere.
    pub const fn is_output(&self) -> bool {
        matches!(self.kind, OUTPUT | OUTPUT_IN_PORT | OUTPUT_SET | CONTROLLER | GROUP)
    }
}

impl ActionList {
    /// The list of `ops`; `None` when there are more than [`MAX_OPS`].
    pub fn from_ops(ops: &[Op]) -> Option<Self> {
        let mut list = Self::default();
        list.ops.get_mut(..ops.len())?.copy_from_slice(ops);
        list.n = ops.len() as u32;
        if ops.iter().any(Op::is_edit) {
            list.flags |= LIST_EDITS;
        }
        Some(list)
    }
}
