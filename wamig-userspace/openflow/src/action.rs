//! Actions and instructions (OpenFlow 1.3.5 §5.9–5.12, §7.2.4–7.2.5).

use crate::field::Field;
use crate::flow_match::address_bits;
use crate::types::{GroupId, MacAddr, MeterId, PortNo, TableId};
use bytes::Bytes;
use std::net::IpAddr;

/// `OFPCML_NO_BUFFER`: send the whole frame to the controller.
pub const CONTROLLER_WHOLE_FRAME: u16 = 0xffff;

/// One action. Those that only one version has say so; the other version's wire form
/// refuses them.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Action {
    /// Send the frame as it stands now; `max_len` (bytes) counts for [`PortNo::CONTROLLER`] only.
    Output {
        /// Destination port, physical or reserved.
        port: PortNo,
        /// Bytes of the frame in the packet-in.
        max_len: u16,
    },
    /// Write `value` where `mask` is set (a full mask is the standard set-field).
    SetField {
        /// Field written.
        field: Field,
        /// New bits, `value & !mask == 0`.
        value: u128,
        /// Which bits are written.
        mask: u128,
    },
    /// Copy a whole field onto another of equal width (Nicira `NXAST_REG_MOVE`, in
    /// OpenFlow 1.5 copy-field).
    Move {
        /// Read from.
        src: Field,
        /// Written to.
        dst: Field,
    },
    /// Push a tag of this type (0x8100 or 0x88a8) with the outer tag's id and priority.
    PushVlan(u16),
    /// Remove the outermost tag.
    PopVlan,
    /// Decrement the IPv4 TTL or IPv6 hop limit; a frame that reaches 0 is a packet-in
    /// with reason `OFPR_INVALID_TTL`.
    DecNwTtl,
    /// Set the IPv4 TTL or IPv6 hop limit.
    SetNwTtl(u8),
    /// Hand the frame to a group (1.3).
    Group(GroupId),
    /// Queue used by the outputs that follow (1.3).
    SetQueue(u32),
    /// Output through a queue of the port (1.0 `OFPAT_ENQUEUE`).
    Enqueue {
        /// Destination port.
        port: PortNo,
        /// Queue of that port.
        queue: u32,
    },
    /// Write the tag's id, pushing a tag if there is none (1.0 `OFPAT_SET_VLAN_VID`).
    SetVlanVid(u16),
    /// Write the tag's priority, pushing a tag if there is none (1.0 `OFPAT_SET_VLAN_PCP`).
    SetVlanPcp(u8),
    /// Write the TCP or UDP source port, whichever there is (1.0 `OFPAT_SET_TP_SRC`).
    SetTpSrc(u16),
    /// Write the TCP or UDP destination port, whichever there is (1.0 `OFPAT_SET_TP_DST`).
    SetTpDst(u16),
    /// Push an MPLS shim header of this EtherType (0x8847 or 0x8848) (1.3).
    PushMpls(u16),
    /// Pop the outermost MPLS shim header; what follows is of this EtherType (1.3).
    PopMpls(u16),
    /// Set the MPLS TTL (1.3).
    SetMplsTtl(u8),
    /// Decrement the MPLS TTL (1.3).
    DecMplsTtl,
    /// Copy the TTL from the next-to-outermost header with a TTL to the outermost (1.3).
    CopyTtlOut,
    /// Copy the TTL from the outermost header with a TTL to the next-to-outermost (1.3).
    CopyTtlIn,
    /// Push a PBB service instance header of this EtherType (0x88e7) (1.3).
    PushPbb(u16),
    /// Pop the outermost PBB service instance header (1.3).
    PopPbb,
    /// An action of someone else: kept as it came, refused by the switch.
    Experimenter {
        /// Whose.
        experimenter: u32,
        /// What follows the experimenter id; a multiple of 8 bytes.
        data: Bytes,
    },
}

impl Action {
    /// `output:PORT`.
    pub const fn output(port: PortNo) -> Self {
        Self::Output { port, max_len: CONTROLLER_WHOLE_FRAME }
    }

    /// `output:CONTROLLER` with the whole frame.
    pub const fn controller() -> Self {
        Self::output(PortNo::CONTROLLER)
    }

    /// A full set-field.
    pub const fn set(field: Field, value: u128) -> Self {
        Self::SetField { field, value: value & field.full_mask(), mask: field.full_mask() }
    }

    /// A full set-field of a MAC field.
    pub fn set_mac(field: Field, mac: MacAddr) -> Self {
        Self::set(field, u128::from(mac.to_u64()))
    }

    /// A full set-field of a field that holds an IP address of the field's family.
    pub fn set_ip(field: Field, addr: impl Into<IpAddr>) -> Self {
        Self::set(field, address_bits(addr.into()))
    }
}

/// A flow's instruction set; each instruction at most once, executed in the order of the
/// fields below (§5.9).
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct Instructions {
    /// Meter: the frame goes through this meter first.
    pub meter: Option<MeterId>,
    /// Apply-actions: executed at once, in order.
    pub apply: Vec<Action>,
    /// Clear-actions: empties the action set.
    pub clear: bool,
    /// Write-actions: merged into the action set.
    pub write: Vec<Action>,
    /// Write-metadata: (value, mask).
    pub metadata: Option<(u64, u64)>,
    /// Goto-table.
    pub goto: Option<TableId>,
}

impl Instructions {
    /// Apply-actions alone.
    pub fn apply(actions: Vec<Action>) -> Self {
        Self { apply: actions, ..Self::default() }
    }

    /// No instruction: a frame that matches is dropped.
    pub fn drop() -> Self {
        Self::default()
    }

    /// Goto-table alone.
    pub fn goto(table: TableId) -> Self {
        Self { goto: Some(table), ..Self::default() }
    }

    /// Adds a goto-table.
    #[must_use]
    pub fn then_goto(mut self, table: TableId) -> Self {
        self.goto = Some(table);
        self
    }

    /// Whether some apply or write action hands the frame to `group` (the out_group filter, §6.4).
    pub fn uses_group(&self, group: GroupId) -> bool {
        self.apply.iter().chain(&self.write).any(|a| matches!(a, Action::Group(g) if *g == group))
    }

    /// Whether some apply or write action outputs to `port` (the out_port filter, §6.4).
    pub fn outputs_to(&self, port: PortNo) -> bool {
        self.apply
            .iter()
            .chain(&self.write)
            .any(|a| matches!(a, Action::Output { port: p, .. } | Action::Enqueue { port: p, .. } if *p == port))
    }
}
