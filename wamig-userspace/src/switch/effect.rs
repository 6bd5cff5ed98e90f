//! What the switch wants done: it tells, and it sends frames, but does neither itself.

use bytes::Bytes;
use wamig_openflow::{FlowRemoved, PacketIn, PortNo, PortStatus};

/// Something for the controllers.
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
}

/// To be done, in order.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Effect {
    /// Tell the controllers.
    Event(Event),
    /// Send a frame out of a port, [`PortNo::LOCAL`] included.
    Inject {
        /// Port of the switch.
        port: PortNo,
        /// The whole frame, without checksum of the link.
        frame: Bytes,
    },
}
