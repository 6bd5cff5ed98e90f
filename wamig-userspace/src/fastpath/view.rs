//! The flows in force as a walk outside the kernel reads them: for the slow path and for `trace`.
//!
//! They are read from what the [writer](super::writer) knows to be in the maps, so that there is one copy of them,
//! and frames of the slow path follow the flows that those of the fast path do.

use wamig_common::native::Store;

use super::FlowId;

/// The tables, and what the numbers in their records stand for.
pub trait View: Store {
    /// The flow of a record; `None` = it is gone.
    fn owner(&self, record: u32) -> Option<FlowId>;
    /// Members of a port set that is neither of all ports nor FLOOD's: OpenFlow numbers.
    fn port_set(&self, set: u32) -> &[u32];
}
