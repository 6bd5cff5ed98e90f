//! Flow-mod, flow-removed and flow statistics (OpenFlow 1.3.5 §7.3.4.1, §7.4.2, §7.3.5.2).

use std::time::Duration;

use crate::action::Instructions;
use crate::flow_match::Match;
use crate::numbers::{flags, numbered};
use crate::types::{Cookie, GroupId, PortNo, TableId};

numbered! {
    /// What a flow-mod does.
    pub enum FlowModCommand: u8 {
        /// Add, or replace the flow of equal match and priority.
        Add = 0,
        /// Change the instructions of every flow within the match.
        Modify = 1,
        /// Change the instructions of the flow of equal match and priority.
        ModifyStrict = 2,
        /// Delete every flow within the match.
        Delete = 3,
        /// Delete the flow of equal match and priority.
        DeleteStrict = 4,
    }
}

flags! {
    /// `ofp_flow_mod_flags`.
    pub struct FlowModFlags: u16 {
        /// Send a flow-removed when the flow expires or is deleted.
        send_flow_removed = 1,
        /// Refuse to add over an overlapping flow of the same priority.
        check_overlap = 2,
        /// Zero the counters of a flow that is replaced or modified (1.3).
        reset_counts = 4,
        /// Packets need not be counted (1.3).
        no_packet_counts = 8,
        /// Bytes need not be counted (1.3).
        no_byte_counts = 16,
    }
}

/// A change of the flow tables.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FlowMod {
    /// What to do.
    pub command: FlowModCommand,
    /// Table; [`TableId::ALL`] for deletes only.
    pub table: TableId,
    /// Which frames.
    pub matching: Match,
    /// Higher wins (0..=65535); ignored by non-strict modify and delete.
    pub priority: u16,
    /// Stored with an added flow.
    pub cookie: Cookie,
    /// For modify and delete: only flows whose cookie equals `cookie` under this mask (0 = all).
    pub cookie_mask: u64,
    /// Seconds without a frame until the flow expires; 0 = never.
    pub idle_timeout: u16,
    /// Seconds until the flow expires; 0 = never.
    pub hard_timeout: u16,
    /// Flags.
    pub flags: FlowModFlags,
    /// For deletes: only flows that output here; [`PortNo::ANY`] = all.
    pub out_port: PortNo,
    /// For deletes: only flows that use this group; [`GroupId::ANY`] = all.
    pub out_group: GroupId,
    /// A frame buffered in the switch to run through the new flow; `None` = none.
    pub buffer_id: Option<u32>,
    /// What happens to the frames.
    pub instructions: Instructions,
}

impl FlowMod {
    /// An add of a permanent flow without flags.
    pub fn add(table: TableId, priority: u16, matching: Match, instructions: Instructions, cookie: Cookie) -> Self {
        Self {
            command: FlowModCommand::Add,
            table,
            matching,
            priority,
            cookie,
            cookie_mask: 0,
            idle_timeout: 0,
            hard_timeout: 0,
            flags: FlowModFlags::default(),
            out_port: PortNo::ANY,
            out_group: GroupId::ANY,
            buffer_id: None,
            instructions,
        }
    }

    /// A delete of every flow whose cookie equals `cookie` under `mask`, in any table.
    pub fn delete_by_cookie(cookie: Cookie, mask: u64) -> Self {
        Self {
            command: FlowModCommand::Delete,
            cookie_mask: mask,
            ..Self::add(TableId::ALL, 0, Match::any(), Instructions::default(), cookie)
        }
    }

    /// A delete of the one flow of equal table, priority and match.
    pub fn delete_strict(table: TableId, priority: u16, matching: Match) -> Self {
        Self {
            command: FlowModCommand::DeleteStrict,
            ..Self::add(table, priority, matching, Instructions::default(), Cookie(0))
        }
    }
}

numbered! {
    /// Why a flow is gone.
    pub enum FlowRemovedReason: u8 {
        /// No frame for `idle_timeout`.
        IdleTimeout = 0,
        /// `hard_timeout` is over.
        HardTimeout = 1,
        /// A flow-mod deleted it.
        Delete = 2,
        /// Its group was deleted (1.3).
        GroupDelete = 3,
    }
}

/// The notice that a flow is gone.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FlowRemoved {
    /// Why.
    pub reason: FlowRemovedReason,
    /// The flow and its last counters.
    pub stats: FlowStats,
}

/// One flow as a stats reply describes it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FlowStats {
    /// Table.
    pub table: TableId,
    /// Priority.
    pub priority: u16,
    /// Match.
    pub matching: Match,
    /// Cookie.
    pub cookie: Cookie,
    /// Time since the flow was added.
    pub duration: Duration,
    /// Time since the last frame, or since it was added when there was none.
    pub idle_age: Duration,
    /// Seconds; 0 = none.
    pub idle_timeout: u16,
    /// Seconds; 0 = none.
    pub hard_timeout: u16,
    /// Flags.
    pub flags: FlowModFlags,
    /// Frames that matched.
    pub packets: u64,
    /// Bytes of those frames, from the destination MAC to the last payload byte.
    pub bytes: u64,
    /// Instructions.
    pub instructions: Instructions,
    /// Why the fast path hands frames of this flow to the slow path; `None` = it does not.
    pub slow: Option<&'static str>,
}

/// Which flows a flow or aggregate stats request asks for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FlowStatsRequest {
    /// Table; [`TableId::ALL`] = every one.
    pub table: TableId,
    /// Only flows that output here; [`PortNo::ANY`] = all.
    pub out_port: PortNo,
    /// Only flows that use this group; [`GroupId::ANY`] = all.
    pub out_group: GroupId,
    /// Only flows whose cookie equals this under `cookie_mask`.
    pub cookie: Cookie,
    /// 0 = every cookie.
    pub cookie_mask: u64,
    /// Only flows within this match.
    pub matching: Match,
}

impl FlowStatsRequest {
    /// Every flow of every table.
    pub fn all() -> Self {
        Self {
            table: TableId::ALL,
            out_port: PortNo::ANY,
            out_group: GroupId::ANY,
            cookie: Cookie(0),
            cookie_mask: 0,
            matching: Match::any(),
        }
    }
}

/// The sum over the flows of an aggregate request.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct AggregateStats {
    /// Frames.
    pub packets: u64,
    /// Bytes.
    pub bytes: u64,
    /// Flows.
    pub flows: u32,
}
