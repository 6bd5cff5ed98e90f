//! Messages, version-neutral: one noun per file.

mod flow;
mod packet;
mod port;

pub use flow::{FlowMod, FlowModCommand, FlowModFlags, FlowRemoved, FlowRemovedReason, FlowStats};
pub use packet::{PacketIn, PacketInReason, PacketOut};
pub use port::{PortDesc, PortReason, PortStatus};
