//! The fast path's contract: what the switch programs, and what comes up from it.
//!
//! The switch tables are the truth; a fast path is derived from them and can be rebuilt from
//! them at any time. Two implementations share one writer: [`xdp`] (BPF maps) and
//! [`memory`] (the same structures in process memory, for tests and `trace`).

pub mod compile;

mod held;
mod intern;
pub mod maps;
pub mod memory;
pub mod needs;
pub mod owners;
mod port_state;
mod room;
mod subtable;
pub mod view;
pub mod writer;
pub mod xdp;

use bytes::Bytes;
use wamig_common::action::Op;
use wamig_common::key::{FlowKey, FlowMask};
use wamig_common::limits::{LOCAL_INDEX, MAX_PORTS};
use wamig_common::stats::{ANOMALIES, DROPS, LOSSES, PUNTS, SLOW};
use wamig_common::verdict::{Anomaly, DropReason, PuntLoss, PuntReason, SlowReason};
use wamig_openflow::{OfpError, PortNo};

use self::maps::Maps;
pub use self::port_state::PortSettings;
use self::view::View;
use self::writer::Writer;

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
    /// Apply-actions. The `value` of an [`wamig_common::action::OUTPUT_SET`] indexes `sets`.
    pub apply: Vec<Op>,
    /// Write-actions, likewise.
    pub write: Vec<Op>,
    /// Port sets (OpenFlow port numbers) that the ops name by index; exactly `[OFPP_ALL]` or
    /// `[OFPP_FLOOD]` mean what they say.
    pub sets: Vec<Vec<u32>>,
    /// Clear-actions comes before write-actions.
    pub clear: bool,
    /// Write-metadata (value, mask); mask 0 = none.
    pub metadata: (u64, u64),
    /// Number of the meter; 0 = none.
    pub meter: u32,
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

/// What the kernel counts at a port's interface, since the interface was made: every frame,
/// whichever way it took.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct InterfaceCounters {
    /// Frames received.
    pub rx_packets: u64,
    /// Frames sent.
    pub tx_packets: u64,
    /// Bytes received.
    pub rx_bytes: u64,
    /// Bytes sent.
    pub tx_bytes: u64,
    /// Good frames that the kernel dropped on receipt, for want of room.
    pub rx_dropped: u64,
    /// Frames that were dropped on their way out.
    pub tx_dropped: u64,
    /// Bad frames received, of any kind.
    pub rx_errors: u64,
    /// Frames that could not be sent.
    pub tx_errors: u64,
    /// Bad ones by their alignment.
    pub rx_frame_errors: u64,
    /// Overruns of the receiver.
    pub rx_over_errors: u64,
    /// Bad ones by their checksum.
    pub rx_crc_errors: u64,
    /// Collisions.
    pub collisions: u64,
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
    /// (name of the [`PuntReason`], of the limiter that refused it or of the reason for the
    /// slow path, frames).
    pub punts: Vec<(&'static str, u64)>,
    /// (name of the [`Anomaly`], frames): odd frames that were matched by what could be read.
    pub anomalies: Vec<(&'static str, u64)>,
}

/// What the switch programs. Calls are made by one writer.
pub trait FastPath: Send {
    /// Makes a batch visible at once. When it returns, the next frame follows the new flows.
    ///
    /// # Errors
    /// `OFPFMFC_TABLE_FULL` when a map or the subtables of a table are full; nothing of the
    /// batch is visible then.
    fn commit(&mut self, batch: &Batch) -> Result<(), OfpError>;

    /// Whether earlier batches left much behind that [`Self::tidy`] can clean up some
    /// milliseconds later. The next batch does it as well, at its own cost.
    fn is_untidy(&self) -> bool {
        false
    }

    /// Cleans up behind earlier batches, as far as nobody uses that any more.
    fn tidy(&mut self) {}

    /// The flows in force, to be walked outside the fast path.
    fn view(&self) -> &impl View
    where
        Self: Sized;

    /// Counters of flows, in the order asked; zeros for an unknown id.
    fn flow_counters(&mut self, flows: &[FlowId]) -> Vec<FlowCounters>;

    /// Zeroes a flow's counters (`OFPFF_RESET_COUNTS`).
    fn reset_counters(&mut self, flow: FlowId);
    /// Counts a frame of so many bytes, which others led on through the tables: the table, and
    /// the flow that it matched there (`None` = none).
    fn count(&mut self, steps: &[(u8, Option<FlowId>)], bytes: u64);

    /// Counters of one table.
    fn table_counters(&mut self, table: u8) -> TableCounters;

    /// Counters of one port.
    fn port_counters(&mut self, port: PortNo) -> PortCounters;

    /// Counters of the interface of a port; `None` = it has none, or they cannot be read.
    fn interface_counters(&mut self, port: PortNo) -> Option<InterfaceCounters>;

    /// All drops and punts by reason.
    fn reasons(&mut self) -> ReasonCounters;

    /// Sends a frame out of one physical port, or to the host through LOCAL.
    ///
    /// # Errors
    /// The operating system's, naming the port.
    fn inject(&mut self, port: PortNo, frame: &[u8]) -> std::io::Result<()>;

    /// The ports that exist now: ALL and FLOOD mean these, and frames can be sent to them.
    ///
    /// # Errors
    /// The operating system's, naming the port.
    fn set_ports(&mut self, ports: &[FastPort]) -> std::io::Result<()>;

    /// How frames are treated at the ports, from the next frame on.
    ///
    /// # Errors
    /// The operating system's.
    fn set_port_settings(&mut self, settings: &PortSettings) -> std::io::Result<()>;

    /// Sets the interface of a port up or down.
    ///
    /// # Errors
    /// The operating system's.
    fn set_link(&mut self, port: PortNo, up: bool) -> std::io::Result<()>;

    /// Begins to forward on every port. Until then nothing is attached, and what an earlier
    /// daemon left attached keeps forwarding by its own tables; so it is called once the
    /// first flows are in.
    ///
    /// # Errors
    /// Naming the port and the remedy.
    fn activate(&mut self) -> std::io::Result<()>;
}

/// The fast path's index of a port; `None` for a reserved port other than LOCAL.
pub fn port_index(port: PortNo) -> Option<u32> {
    match port {
        PortNo::LOCAL => Some(LOCAL_INDEX),
        PortNo(n) if (1..=MAX_PORTS).contains(&n) => Some(n),
        _ => None,
    }
}

impl<M: Maps> FastPath for Writer<M> {
    fn commit(&mut self, batch: &Batch) -> Result<(), OfpError> {
        Self::commit(self, batch)
    }

    fn is_untidy(&self) -> bool {
        Self::is_untidy(self)
    }

    fn tidy(&mut self) {
        self.collect(false);
    }

    fn view(&self) -> &impl View {
        self
    }

    fn flow_counters(&mut self, flows: &[FlowId]) -> Vec<FlowCounters> {
        let counters = |id: &FlowId| {
            let count = self.count(*id);
            let idle_ms = (count.last != 0).then(|| self.maps_mut().age_ms(count.last));
            FlowCounters { packets: count.packets, bytes: count.bytes, idle_ms }
        };
        flows.iter().map(counters).collect()
    }

    fn reset_counters(&mut self, flow: FlowId) {
        self.reset_count(flow);
    }

    fn count(&mut self, steps: &[(u8, Option<FlowId>)], bytes: u64) {
        self.count_beside(steps, bytes);
    }

    fn table_counters(&mut self, table: u8) -> TableCounters {
        let (count, beside) = (self.maps_mut().table_count(table), self.table_count_beside(table));
        TableCounters { matched: count.matched + beside.matched, missed: count.missed + beside.missed }
    }

    fn port_counters(&mut self, port: PortNo) -> PortCounters {
        let Some(index) = port_index(port) else { return PortCounters::default() };
        let c = self.maps_mut().port_count(index);
        PortCounters {
            rx_packets: c.rx_packets,
            rx_bytes: c.rx_bytes,
            tx_packets: c.tx_packets,
            tx_bytes: c.tx_bytes,
            rx_dropped: c.rx_dropped,
        }
    }

    fn interface_counters(&mut self, port: PortNo) -> Option<InterfaceCounters> {
        port_index(port).and_then(|index| self.maps_mut().interface_count(index))
    }

    fn reasons(&mut self) -> ReasonCounters {
        let stats = self.maps_mut().stats();
        let at = |base: u32, index: u32| stats.get((base + index) as usize).copied().unwrap_or(0);
        let drops = DropReason::ALL.iter().map(|r| (r.as_str(), at(DROPS, r.index()))).collect();
        let punts = PuntReason::ALL.iter().map(|r| (r.as_str(), at(PUNTS, r.index())));
        let losses = PuntLoss::ALL.iter().map(|r| (r.as_str(), at(LOSSES, r.index())));
        let slow = SlowReason::ALL.iter().map(|r| (r.as_str(), at(SLOW, r.index())));
        let anomalies = Anomaly::ALL.iter().map(|r| (r.as_str(), at(ANOMALIES, r.index()))).collect();
        ReasonCounters { drops, punts: punts.chain(losses).chain(slow).collect(), anomalies }
    }

    fn inject(&mut self, port: PortNo, frame: &[u8]) -> std::io::Result<()> {
        let index = port_index(port).ok_or_else(|| std::io::Error::other(format!("there is no port {port}")))?;
        self.maps_mut().send(index, frame)
    }

    fn set_ports(&mut self, ports: &[FastPort]) -> std::io::Result<()> {
        self.maps_mut().set_ports(ports)?;
        self.port_state().ports = ports.to_vec();
        self.write_port_sets()
    }

    fn set_port_settings(&mut self, settings: &PortSettings) -> std::io::Result<()> {
        let before = std::mem::replace(&mut self.port_state().settings, settings.clone());
        // Index 0 stands for no port at all: frames of packet-outs.
        for index in 0..=LOCAL_INDEX {
            let port = if index == LOCAL_INDEX { PortNo::LOCAL } else { PortNo(index) };
            if before.rules(port) != settings.rules(port) {
                self.maps_mut().set_rules(index, settings.rules(port))?;
            }
        }
        self.write_port_sets()
    }

    fn set_link(&mut self, port: PortNo, up: bool) -> std::io::Result<()> {
        let index = port_index(port).ok_or_else(|| std::io::Error::other(format!("there is no port {port}")))?;
        self.maps_mut().set_link(index, up)
    }

    fn activate(&mut self) -> std::io::Result<()> {
        self.maps_mut().activate()
    }
}
