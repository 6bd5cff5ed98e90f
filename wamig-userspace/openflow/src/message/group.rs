//! Groups (OpenFlow 1.3.5 §5.6, §7.3.4.2, §7.3.5.9–11).

use std::time::Duration;

use crate::action::Action;
use crate::numbers::numbered;
use crate::types::{GroupId, PortNo};

numbered! {
    /// What a group-mod does.
    pub enum GroupModCommand: u16 {
        /// Add.
        Add = 0,
        /// Replace.
        Modify = 1,
        /// Delete, with the flows that use it.
        Delete = 2,
    }
}

numbered! {
    /// How a group uses its buckets.
    pub enum GroupType: u8 {
        /// Every one.
        All = 0,
        /// One, by weight.
        Select = 1,
        /// The only one.
        Indirect = 2,
        /// The first live one.
        FastFailover = 3,
    }
}

/// A bucket of actions.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Bucket {
    /// Share of a select group.
    pub weight: u16,
    /// Live while this port is ([`PortNo::ANY`] = not watched).
    pub watch_port: PortNo,
    /// Live while this group is ([`GroupId::ANY`] = not watched).
    pub watch_group: GroupId,
    /// Action set.
    pub actions: Vec<Action>,
}

/// A change of the group table.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct GroupMod {
    /// What to do.
    pub command: GroupModCommand,
    /// How the group uses its buckets.
    pub ty: GroupType,
    /// Which group.
    pub group: GroupId,
    /// Its buckets, in order.
    pub buckets: Vec<Bucket>,
}

/// A group as a description reply gives it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct GroupDesc {
    /// Which group.
    pub group: GroupId,
    /// How it uses its buckets.
    pub ty: GroupType,
    /// Its buckets, in order.
    pub buckets: Vec<Bucket>,
}

/// Counters of a group.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct GroupStats {
    /// Which group.
    pub group: GroupId,
    /// Flows and groups that hand frames to it.
    pub ref_count: u32,
    /// Frames.
    pub packets: u64,
    /// Bytes.
    pub bytes: u64,
    /// Time since it was added.
    pub duration: Duration,
    /// (frames, bytes) of each bucket.
    pub buckets: Vec<(u64, u64)>,
}

/// What the group table can do; arrays by [`GroupType`].
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct GroupFeatures {
    /// Supported types, bit n = type n.
    pub types: u32,
    /// `ofp_group_capabilities`: 1 weights, 2 liveness, 4 chaining, 8 chaining checks.
    pub capabilities: u32,
    /// Most groups.
    pub max_groups: [u32; 4],
    /// Supported actions, bit n = `OFPAT_` n.
    pub actions: [u32; 4],
}
