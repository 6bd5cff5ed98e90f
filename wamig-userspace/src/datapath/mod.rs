//! What a controller holds: a datapath, be it the switch in this process, a remote OpenFlow
//! switch, one that holds only part of the flows, several that act as one, or a fake for tests.
//! The migration code and the learning switch know only this.

pub mod any;
pub mod fabric;
pub mod fake;
pub mod local;
pub mod narrow;
pub mod remote;

use std::time::Instant;

use wamig_openflow::{
    DatapathId, FlowMod, FlowRemoved, FlowStats, OfpError, PacketIn, PacketOut, PortDesc, PortStatus,
};

/// What a datapath is and can do.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Features {
    /// Identity.
    pub dpid: DatapathId,
    /// Tables, numbered from 0.
    pub tables: u8,
    /// Ports.
    pub ports: Vec<PortDesc>,
}

/// Something a datapath tells its controller.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Event {
    /// A frame.
    PacketIn(PacketIn),
    /// A frame that no flow took, for controllers of OpenFlow 1.0 only.
    Miss(PacketIn),
    /// A flow is gone.
    FlowRemoved(FlowRemoved),
    /// A port changed.
    PortStatus(PortStatus),
    /// The switch is lost, and why.
    Down(String),
    /// The switch is there, or there again, with these ports: it has to be programmed as if
    /// from nothing.
    Up(Vec<PortDesc>),
}

/// Why a datapath did not do as told.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum DatapathError {
    /// The switch refused; nothing of the batch is in force.
    #[error("the switch refused: {0}")]
    Refused(#[from] OfpError),
    /// The switch cannot be reached.
    #[error("the switch is not reachable: {0}")]
    Down(String),
}

/// A switch in a controller's hands.
pub trait Datapath: Send {
    /// Identity and ports.
    fn features(&self) -> &Features;

    /// Applies the batch as one change, and returns when it is visible (barrier answered).
    fn send(&mut self, batch: Vec<FlowMod>, now: Instant) -> impl Future<Output = Result<(), DatapathError>> + Send;

    /// Emits a frame.
    fn packet_out(&mut self, out: PacketOut, now: Instant) -> impl Future<Output = Result<(), DatapathError>> + Send;

    /// Every flow with its counters.
    fn dump_flows(&mut self, now: Instant) -> impl Future<Output = Result<Vec<FlowStats>, DatapathError>> + Send;

    /// The next event; `None` when there will be no more.
    fn next_event(&mut self) -> impl Future<Output = Option<Event>> + Send;
}
