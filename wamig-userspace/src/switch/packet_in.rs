//! From a punted frame to the packet-in that a controller sees (OpenFlow 1.3.5 §7.4.1).

use bytes::Bytes;
use wamig_common::verdict::PuntReason;
use wamig_openflow::{Cookie, PacketIn, PacketInReason, PortNo, TableId};

use super::flow_table::FlowTables;
use crate::fastpath::FlowId;

/// The cookie of a packet-in whose flow is gone, or that no flow sent.
pub const NO_COOKIE: Cookie = Cookie(u64::MAX);

/// A frame on its way to the controllers.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ToController {
    /// The flow that sent it.
    pub flow: Option<FlowId>,
    /// Why.
    pub reason: PacketInReason,
    /// No flow sent it: the table has no miss flow, and misses go up (OpenFlow 1.0).
    pub missed: bool,
    /// Where the frame came in.
    pub in_port: PortNo,
    /// Pipeline metadata at the action.
    pub metadata: u64,
    /// Tunnel id at the action; 0 = none.
    pub tunnel_id: u64,
    /// Length of the whole frame in bytes.
    pub frame_len: usize,
    /// The frame, at most as many bytes of it as the action asked for.
    pub frame: Bytes,
}

impl ToController {
    /// The message, with table and cookie of the flow as it is now.
    pub fn into_message(self, tables: &FlowTables) -> PacketIn {
        let flow = self.flow.and_then(|id| tables.get(id));
        PacketIn {
            buffer_id: None,
            reason: self.reason,
            table: flow.map_or(TableId(0), |f| f.table),
            cookie: flow.map_or(NO_COOKIE, |f| f.cookie),
            in_port: self.in_port,
            metadata: self.metadata,
            tunnel_id: self.tunnel_id,
            total_len: u16::try_from(self.frame_len).unwrap_or(u16::MAX),
            data: self.frame,
        }
    }
}

/// The protocol's reason; `None` for a frame that is on its way to the slow path.
pub fn reason(punt: PuntReason) -> Option<PacketInReason> {
    match punt {
        PuntReason::NoMatch | PuntReason::Miss => Some(PacketInReason::NoMatch),
        PuntReason::Action => Some(PacketInReason::Action),
        PuntReason::InvalidTtl => Some(PacketInReason::InvalidTtl),
        PuntReason::Slow => None,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;
    use crate::switch::fixtures::flow;

    fn frame(id: u64) -> ToController {
        ToController {
            flow: Some(FlowId(id)),
            reason: PacketInReason::Action,
            missed: false,
            in_port: PortNo(3),
            metadata: 5,
            tunnel_id: 6,
            frame_len: 70_000,
            frame: Bytes::from_static(b"frame"),
        }
    }

    #[test]
    fn table_and_cookie_are_those_of_the_flow() {
        let mut tables = FlowTables::new(4, 9);
        tables.put(flow(7, 3, 1, Instant::now()));
        let message = frame(7).into_message(&tables);
        assert_eq!((message.table, message.cookie, message.total_len), (TableId(3), Cookie(7), u16::MAX));
        assert_eq!(message.data, "frame");
    }

    #[test]
    fn a_frame_of_a_flow_that_is_gone_still_arrives() {
        let message = frame(8).into_message(&FlowTables::new(4, 9));
        assert_eq!((message.table, message.cookie), (TableId(0), NO_COOKIE));
    }
}
