//! Actions and instructions (OpenFlow 1.3.5 §5.9–5.12, §7.2.4–7.2.5).

use crate::field::Field;
use crate::types::{MacAddr, PortNo, TableId};
use std::net::Ipv4Addr;

/// `OFPCML_NO_BUFFER`: send the whole frame to the controller.
pub const CONTROLLER_WHOLE_FRAME: u16 = 0xffff;

/// One action. Group, meter, queue, MPLS, PBB and TTL-copy actions join with the messages
/// that need them.
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

    /// A full set-field of an IPv4 field (IP or ARP).
    pub fn set_ip(field: Field, addr: Ipv4Addr) -> Self {
        Self::set(field, u128::from(u32::from(addr)))
    }
}

/// A flow's instruction set; each instruction at most once, executed in the order of the
/// fields below (§5.9).
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct Instructions {
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

    /// Whether some apply or write action outputs to `port` (the out_port filter, §6.4).
    pub fn outputs_to(&self, port: PortNo) -> bool {
        self.apply.iter().chain(&self.write).any(|a| matches!(a, Action::Output { port: p, .. } if *p == port))
    }
}
