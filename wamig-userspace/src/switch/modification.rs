//! What a controller may change in one batch or bundle (OpenFlow 1.3.5 §7.3.4): flows, groups,
//! meters, ports and tables, by one type, so that they can be applied together.

use std::fmt;

use wamig_openflow::message::{GroupMod, MeterMod, PortMod, TableMod};
use wamig_openflow::{FlowMod, OfpError};

use super::effect::Event;

/// One change.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Modification {
    /// Of the flow tables.
    Flow(FlowMod),
    /// Of the flow tables by OpenFlow 1.0: what modifies no flow adds one (1.0 §4.6), and headers
    /// are written [where there are any](super::validate::Headers::WhereThere).
    FlowV10(FlowMod),
    /// Of the group table.
    Group(GroupMod),
    /// Of the meter table.
    Meter(MeterMod),
    /// Of a port's configuration.
    Port(PortMod),
    /// Of a table's configuration.
    Table(TableMod),
}

impl From<FlowMod> for Modification {
    fn from(m: FlowMod) -> Self {
        Self::Flow(m)
    }
}

impl From<GroupMod> for Modification {
    fn from(m: GroupMod) -> Self {
        Self::Group(m)
    }
}

impl From<MeterMod> for Modification {
    fn from(m: MeterMod) -> Self {
        Self::Meter(m)
    }
}

impl From<PortMod> for Modification {
    fn from(m: PortMod) -> Self {
        Self::Port(m)
    }
}

impl From<TableMod> for Modification {
    fn from(m: TableMod) -> Self {
        Self::Table(m)
    }
}

impl Modification {
    /// The message's name, for error texts.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Flow(_) | Self::FlowV10(_) => "flow-mod",
            Self::Group(_) => "group-mod",
            Self::Meter(_) => "meter-mod",
            Self::Port(_) => "port-mod",
            Self::Table(_) => "table-mod",
        }
    }
}

/// Why a batch was refused as a whole.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Refused {
    /// Which modification is to blame, from 0; the last one where all were well and the fast
    /// path had no room for them together.
    pub index: usize,
    /// The specification's error.
    pub error: OfpError,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

impl std::error::Error for Refused {}

/// What became of modifications that were applied each on its own.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Applied {
    /// One verdict for each, in order.
    pub verdicts: Vec<Result<(), OfpError>>,
    /// What there is to tell.
    pub events: Vec<Event>,
}
