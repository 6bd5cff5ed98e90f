//! Messages, version-neutral: one noun per file.

mod bundle;
mod flow;
mod group;
mod meter;
mod multipart;
mod packet;
mod port;
mod queue;
mod session;
mod table;

use bytes::Bytes;

use crate::types::PortNo;

pub use bundle::{BundleAdd, BundleControl, BundleControlType, BundleFlags};
pub use flow::{
    AggregateStats, FlowMod, FlowModCommand, FlowModFlags, FlowRemoved, FlowRemovedReason, FlowStats, FlowStatsRequest,
};
pub use group::{Bucket, GroupDesc, GroupFeatures, GroupMod, GroupModCommand, GroupStats, GroupType};
pub use meter::{BandKind, MeterBand, MeterConfig, MeterFeatures, MeterFlags, MeterMod, MeterModCommand, MeterStats};
pub use multipart::{MultipartReply, MultipartRequest, SwitchDesc};
pub use packet::{PacketIn, PacketInReason, PacketOut};
pub use port::{PortConfig, PortDesc, PortFeatures, PortMod, PortReason, PortState, PortStats, PortStatus};
pub use queue::{QUEUE_ALL, QueueConfig, QueueDesc, QueueProperty, QueueStats, QueueStatsRequest};
pub use session::{
    AsyncConfig, Capabilities, ControllerRole, ErrorCode, ErrorMessage, Experimenter, Features, Fragments, Hello, Role,
    SwitchConfig,
};
pub use table::{FeatureField, FeatureId, Scope, TableFeatures, TableMod, TableProperty, TableStats};

/// Any message of OpenFlow 1.0 or 1.3.
#[derive(Clone, PartialEq, Eq, Debug)]
#[expect(missing_docs, reason = "each is named by its own OFPT constant")]
pub enum Message {
    Hello(Hello),
    Error(ErrorMessage),
    EchoRequest(Bytes),
    EchoReply(Bytes),
    Experimenter(Experimenter),
    BundleControl(BundleControl),
    BundleAdd(BundleAdd),
    FeaturesRequest,
    FeaturesReply(Features),
    GetConfigRequest,
    GetConfigReply(SwitchConfig),
    SetConfig(SwitchConfig),
    PacketIn(PacketIn),
    FlowRemoved(FlowRemoved),
    PortStatus(PortStatus),
    PacketOut(PacketOut),
    FlowMod(FlowMod),
    GroupMod(GroupMod),
    PortMod(PortMod),
    TableMod(TableMod),
    MeterMod(MeterMod),
    MultipartRequest {
        /// More parts of the same request follow.
        more: bool,
        body: MultipartRequest,
    },
    MultipartReply {
        /// More parts of the same reply follow.
        more: bool,
        body: MultipartReply,
    },
    BarrierRequest,
    BarrierReply,
    QueueGetConfigRequest(PortNo),
    QueueGetConfigReply(QueueConfig),
    RoleRequest(Role),
    RoleReply(Role),
    GetAsyncRequest,
    GetAsyncReply(AsyncConfig),
    SetAsync(AsyncConfig),
}
