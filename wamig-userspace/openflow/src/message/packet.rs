//! Packet-in and packet-out (OpenFlow 1.3.5 §7.4.1, §7.3.7). Our switch never
//! buffers frames: its packet-ins carry them, and a buffer id that comes back is refused.

use bytes::Bytes;

use crate::action::Action;
use crate::numbers::numbered;
use crate::types::{Cookie, PortNo, TableId};

numbered! {
    /// Why a frame comes to the controller.
    pub enum PacketInReason: u8 {
        /// A table-miss flow (`OFPR_NO_MATCH`).
        NoMatch = 0,
        /// An output action (`OFPR_ACTION`).
        Action = 1,
        /// A TTL that ran out (`OFPR_INVALID_TTL`).
        InvalidTtl = 2,
    }
}

/// A frame for the controller, as it stood at the output action.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PacketIn {
    /// Where the sender keeps the whole frame; `None` = nowhere.
    pub buffer_id: Option<u32>,
    /// Why.
    pub reason: PacketInReason,
    /// Table of the flow that sent it.
    pub table: TableId,
    /// Cookie of that flow.
    pub cookie: Cookie,
    /// Where the frame came in.
    pub in_port: PortNo,
    /// Pipeline metadata at the output action.
    pub metadata: u64,
    /// Tunnel id at the output action; 0 = none.
    pub tunnel_id: u64,
    /// Length of the frame in bytes, though `data` may hold less.
    pub total_len: u16,
    /// The frame, at most `max_len` bytes of it.
    pub data: Bytes,
}

/// A frame from the controller.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PacketOut {
    /// The frame to send, if the switch keeps it; `None` = `data`.
    pub buffer_id: Option<u32>,
    /// The port the frame is taken to have come in by; [`PortNo::CONTROLLER`] = none.
    pub in_port: PortNo,
    /// What to do with it; [`PortNo::TABLE`] runs the pipeline.
    pub actions: Vec<Action>,
    /// The frame.
    pub data: Bytes,
}
