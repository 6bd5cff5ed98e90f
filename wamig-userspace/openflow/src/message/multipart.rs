//! Multipart requests and replies, in 1.0 called stats (OpenFlow 1.3.5 §7.3.5).

use bytes::Bytes;

use super::{
    AggregateStats, FlowStats, FlowStatsRequest, GroupDesc, GroupFeatures, GroupStats, MeterConfig, MeterFeatures,
    MeterStats, PortDesc, PortStats, QueueStats, QueueStatsRequest, TableFeatures, TableStats,
};
use crate::types::{GroupId, MeterId, PortNo};

/// Who made a switch.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct SwitchDesc {
    /// Manufacturer (at most 255 bytes).
    pub manufacturer: String,
    /// Hardware (at most 255 bytes).
    pub hardware: String,
    /// Software (at most 255 bytes).
    pub software: String,
    /// Serial number (at most 31 bytes).
    pub serial: String,
    /// Of this data path (at most 255 bytes).
    pub datapath: String,
}

/// What a multipart request asks for.
#[derive(Clone, PartialEq, Eq, Debug)]
#[expect(missing_docs, reason = "each is named by its own OFPMP constant")]
pub enum MultipartRequest {
    Desc,
    Flow(FlowStatsRequest),
    Aggregate(FlowStatsRequest),
    Table,
    PortStats(PortNo),
    Queue(QueueStatsRequest),
    Group(GroupId),
    GroupDesc,
    GroupFeatures,
    Meter(MeterId),
    MeterConfig(MeterId),
    MeterFeatures,
    /// Empty = only asked for.
    TableFeatures(Vec<TableFeatures>),
    PortDesc,
    Experimenter {
        experimenter: u32,
        exp_type: Option<u32>,
        data: Bytes,
    },
}

/// What a multipart reply gives.
#[derive(Clone, PartialEq, Eq, Debug)]
#[expect(missing_docs, reason = "each is named by its own OFPMP constant")]
pub enum MultipartReply {
    Desc(SwitchDesc),
    Flow(Vec<FlowStats>),
    Aggregate(AggregateStats),
    Table(Vec<TableStats>),
    PortStats(Vec<PortStats>),
    Queue(Vec<QueueStats>),
    Group(Vec<GroupStats>),
    GroupDesc(Vec<GroupDesc>),
    GroupFeatures(GroupFeatures),
    Meter(Vec<MeterStats>),
    MeterConfig(Vec<MeterConfig>),
    MeterFeatures(MeterFeatures),
    TableFeatures(Vec<TableFeatures>),
    PortDesc(Vec<PortDesc>),
    Experimenter { experimenter: u32, exp_type: Option<u32>, data: Bytes },
}
