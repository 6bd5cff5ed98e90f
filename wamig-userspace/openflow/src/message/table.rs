//! Flow tables: table-mod, counters and features (OpenFlow 1.3.5 §7.3.3, §7.3.5.4–5).

use bytes::Bytes;

use crate::field::Field;
use crate::types::TableId;

/// A change of a table's configuration.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TableMod {
    /// Which table; [`TableId::ALL`] = every one.
    pub table: TableId,
    /// `ofp_table_config`; 1.3 deprecates every bit.
    pub config: u32,
}

/// Counters of a table.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct TableStats {
    /// Which table.
    pub table: TableId,
    /// Flows.
    pub active: u32,
    /// Frames looked up.
    pub lookups: u64,
    /// Frames that matched.
    pub matched: u64,
    /// Name (1.0).
    pub name: String,
    /// Wildcards that it supports, `OFPFW_` bits (1.0).
    pub wildcards: u32,
    /// Most flows (1.0).
    pub max_entries: u32,
}

/// A field in a table feature: whose number it is, and whether it may be masked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FeatureField {
    /// One of ours.
    Known {
        /// Which field.
        field: Field,
        /// Whether a mask is allowed.
        masked: bool,
    },
    /// Another OXM header, and for class 0xffff its experimenter.
    Other(u32, Option<u32>),
}

impl FeatureField {
    /// A field of ours without mask.
    pub const fn exact(field: Field) -> Self {
        Self::Known { field, masked: false }
    }
}

/// An instruction or an action that a table supports.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum FeatureId {
    /// By number (`OFPIT_`, `OFPAT_`).
    Number(u16),
    /// By experimenter, with what follows its id.
    Experimenter(u32, Bytes),
}

/// What a property speaks of: every flow, or the table-miss flow only (`_MISS`).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Scope {
    /// Every flow.
    Flow,
    /// The table-miss flow.
    Miss,
}

/// One property of a table.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum TableProperty {
    /// Instructions.
    Instructions(Scope, Vec<FeatureId>),
    /// Tables that a goto may name.
    NextTables(Scope, Vec<TableId>),
    /// Actions of write-actions.
    WriteActions(Scope, Vec<FeatureId>),
    /// Actions of apply-actions.
    ApplyActions(Scope, Vec<FeatureId>),
    /// Fields that a match may name.
    Match(Vec<FeatureField>),
    /// Fields that a match may leave out.
    Wildcards(Vec<FeatureField>),
    /// Fields of a set-field in write-actions.
    WriteSetField(Scope, Vec<FeatureField>),
    /// Fields of a set-field in apply-actions.
    ApplySetField(Scope, Vec<FeatureField>),
    /// Another's.
    Experimenter {
        /// Speaks of.
        scope: Scope,
        /// Whose.
        experimenter: u32,
        /// Type within the experimenter's space.
        exp_type: u32,
        /// Its body.
        data: Bytes,
    },
}

/// What a table can do.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TableFeatures {
    /// Which table.
    pub table: TableId,
    /// Name (at most 31 characters).
    pub name: String,
    /// Metadata bits that can be matched.
    pub metadata_match: u64,
    /// Metadata bits that can be written.
    pub metadata_write: u64,
    /// `ofp_table_config`.
    pub config: u32,
    /// Most flows.
    pub max_entries: u32,
    /// Properties, in order.
    pub properties: Vec<TableProperty>,
}
