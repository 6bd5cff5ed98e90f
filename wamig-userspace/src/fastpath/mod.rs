//! The fast path's contract: what the switch programs, and what comes up from it.
//!
//! The switch tables are the truth; a fast path is derived from them and can be rebuilt from
//! them at any time. Two implementations share one writer: [`xdp`] (BPF maps) and
//! [`memory`] (the same structures in process memory, for tests and `trace`).

pub mod compile;

use bytes::Bytes;
use wamig_common::action::Op;
use wamig_common::key::{FlowKey, FlowMask};
use wamig_common::verdict::{PuntReason, SlowReason};
use wamig_openflow::{OfpError, PortNo};

/// A flow's name between switch and fast path; never reused while the daemon runs.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct FlowId(pub u64);

/// A flow in the fast path's terms.
#[derive(Clone, PartialEq, Debug)]
pub struct CompiledFlow {
    /// The switch's name for it.
    pub id: FlowId,
    /// Table (0..[`wamig_common::limits::MAX_TABLES`]).
    pub table: u8,
    /// Priority.
    pub priority: u16,
    /// Value of the match; `key & !mask == 0`.
    pub key: FlowKey,
    /// Mask of the match.
    pub mask: FlowMask,
    /// Apply-actions. An [`wamig_common::action::OUTPUT_SET`] op's `arg` indexes `sets`.
    pub apply: Vec<Op>,
    /// Write-actions, likewise.
    pub write: Vec<Op>,
    /// Port sets (OpenFlow port numbers) that the ops name by index.
    pub sets: Vec<Vec<u32>>,
    /// Clear-actions comes before write-actions.
    pub clear: bool,
    /// Write-metadata (value, mask); mask 0 = none.
    pub metadata: (u64, u64),
    /// Goto-table.
    pub goto: Option<u8>,
    /// Every frame of this flow takes the slow path, and why.
    pub slow: Option<SlowReason>,
}

/// One change of a batch.
#[derive(Clone, PartialEq, Debug)]
pub enum Change {
    /// A new flow. A flow of equal table, key, mask and priority must not be present.
    Insert(CompiledFlow),
    /// The flow of this id gets other instructions; match and priority stay, counters stay.
    Replace(CompiledFlow),
    /// The flow is gone.
    Remove(FlowId),
}

/// Changes that become visible together, by one store.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Batch {
    /// In order.
    pub changes: Vec<Change>,
}

/// A flow's counters.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct FlowCounters {
    /// Frames.
    pub packets: u64,
    /// Bytes, from the destination MAC to the last payload byte.
    pub bytes: u64,
    /// Milliseconds since the last frame; `None` = there was none.
    pub idle_ms: Option<u64>,
}

/// A table's counters.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct TableCounters {
    /// Frames that matched a flow of the table.
    pub matched: u64,
    /// Frames that matched none.
    pub missed: u64,
}

/// A port's counters.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct PortCounters {
    /// Frames received.
    pub rx_packets: u64,
    /// Bytes received.
    pub rx_bytes: u64,
    /// Frames that the fast path sent out of this port alone (a flood is counted at the
    /// interface only).
    pub tx_packets: u64,
    /// Bytes of those.
    pub tx_bytes: u64,
    /// Frames received here and dropped.
    pub rx_dropped: u64,
}

/// A port of the switch as the fast path sees it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FastPort {
    /// OpenFlow number, 1..=[`wamig_common::limits::MAX_PORTS`]; LOCAL has a number of its own there.
    pub port: PortNo,
    /// Interface name.
    pub name: String,
    /// Interface index.
    pub ifindex: u32,
}

/// A frame that came up.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Punt {
    /// Where it came in.
    pub in_port: PortNo,
    /// Why. [`PuntReason::Slow`]: the frame is as received and must be translated and
    /// executed by the slow path; it has been counted already. Otherwise it is a packet-in:
    /// the frame as it stood at the output action.
    pub reason: PuntReason,
    /// The flow that sent it, if it still exists.
    pub flow: Option<FlowId>,
    /// Pipeline metadata at the action.
    pub metadata: u64,
    /// Length of the frame, though `frame` may hold less.
    pub frame_len: u32,
    /// The frame, at most `max_len` bytes for a packet-in.
    pub frame: Bytes,
}

/// Named counters of everything dropped or punted, for `status` and metrics.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct ReasonCounters {
    /// (name of the [`wamig_common::verdict::DropReason`], frames), all reasons.
    pub drops: Vec<(&'static str, u64)>,
    /// (name of the [`PuntReason`] or of the limiter that refused it, frames).
    pub punts: Vec<(&'static str, u64)>,
}

/// What the switch programs. Calls are made by one writer.
pub trait FastPath: Send {
    /// Makes a batch visible at once. When it returns, the next frame follows the new flows.
    ///
    /// # Errors
    /// `OFPFMFC_TABLE_FULL` when a map or the subtables of a table are full; nothing of the
    /// batch is visible then.
    fn commit(&mut self, batch: &Batch) -> Result<(), OfpError>;

    /// Counters of flows, in the order asked; zeros for an unknown id.
    fn flow_counters(&mut self, flows: &[FlowId]) -> Vec<FlowCounters>;

    /// Zeroes a flow's counters (`OFPFF_RESET_COUNTS`).
    fn reset_counters(&mut self, flow: FlowId);

    /// Counters of one table.
    fn table_counters(&mut self, table: u8) -> TableCounters;

    /// Counters of one port.
    fn port_counters(&mut self, port: PortNo) -> PortCounters;

    /// All drops and punts by reason.
    fn reasons(&mut self) -> ReasonCounters;

    /// Sends a frame out of one physical port, or to the host through LOCAL.
    ///
    /// # Errors
    /// The operating system's, naming the port.
    fn inject(&mut self, port: PortNo, frame: &[u8]) -> std::io::Result<()>;
}
