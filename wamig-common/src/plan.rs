//! What the walk has decided for a frame so far: one output, at most two packet-ins, and the
//! state of the header window.

use crate::action::{OUTPUT, OUTPUT_IN_PORT, OUTPUT_SET};
use crate::limits::{WINDOW_HEADROOM, WINDOW_LEN};

/// `flags`: the window differs from the frame.
pub const EDITED: u32 = 1;
/// `flags`: the window was edited since the key was extracted.
pub const STALE_KEY: u32 = 2;
/// `flags`: an output to the ingress port was left out, as the specification says.
pub const TO_INGRESS: u32 = 4;
/// `flags`: the walk met a table miss.
pub const MISSED: u32 = 8;

/// `flags`: the window holds the frame's headers.
pub const LOADED: u32 = 16;

/// `PacketIn::reason` bits above the reason: this slot is used.
pub const USED: u32 = 0x100;

/// A packet-in to be made.
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct PacketIn {
    /// Flow that sent it.
    pub flow: u32,
    /// [`USED`] | index of the [`crate::verdict::PuntReason`]; 0 = none.
    pub reason: u32,
    /// Bytes of the frame at most.
    pub max_len: u32,
    /// Zero.
    pub reserved: u32,
    /// Metadata at the action.
    pub metadata: u64,
}

/// The plan.
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Plan {
    /// 0, [`OUTPUT`], [`OUTPUT_IN_PORT`] or [`OUTPUT_SET`].
    pub out_kind: u32,
    /// Port index or set index.
    pub out: u32,
    /// [`EDITED`] …
    pub flags: u32,
    /// Ingress port's index.
    pub in_port: u32,
    /// Offset of the frame's first byte in the window's buffer.
    pub start: u32,
    /// Bytes of the frame in the window.
    pub held: u32,
    /// Length of the frame as received.
    pub total: u32,
    /// `start` at the time the key was extracted: the layout's offsets count from there.
    pub origin: u32,
    /// Room before the frame's first byte, as received, in the window's buffer.
    pub room: u32,
    /// Zero.
    pub reserved: u32,
    /// Packet-in of the frame as received (before any edit).
    pub early: PacketIn,
    /// Packet-in of the frame as edited.
    pub late: PacketIn,
}

impl Plan {
    /// The plan of a frame of `total` bytes that nothing has been decided about.
    #[inline(always)]
    pub fn reset(&mut self, in_port: u32, total: u32) {
        self.out_kind = 0;
        self.out = 0;
        self.flags = 0;
        self.in_port = in_port;
        self.room = WINDOW_HEADROOM as u32;
        self.start = WINDOW_HEADROOM as u32;
        self.held = if total > WINDOW_LEN as u32 { WINDOW_LEN as u32 } else { total };
        self.total = total;
        self.origin = WINDOW_HEADROOM as u32;
        self.early.reason = 0;
        self.late.reason = 0;
    }

    /// Whether a bit of `flags` is set.
    #[inline(always)]
    pub const fn has(&self, flag: u32) -> bool {
        self.flags & flag != 0
    }

    /// Length of the frame as it stands in the window: tags pushed or popped change it.
    #[inline(always)]
    pub const fn edited_total(&self) -> u32 {
        (self.total + self.room).wrapping_sub(self.start)
    }

    /// Whether the frame goes on behind the window.
    #[inline(always)]
    pub const fn is_cut(&self) -> bool {
        self.held < self.edited_total()
    }

    /// Whether the plan sends the frame out of a port.
    #[inline(always)]
    pub const fn outputs(&self) -> bool {
        matches!(self.out_kind as u8, OUTPUT | OUTPUT_IN_PORT | OUTPUT_SET)
    }
}
