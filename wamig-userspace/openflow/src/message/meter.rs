//! Meters (OpenFlow 1.3.5 §5.7, §7.3.4.4, §7.3.5.12–14).

use std::time::Duration;

use crate::numbers::{flags, numbered};
use crate::types::MeterId;

numbered! {
    /// What a meter-mod does.
    pub enum MeterModCommand: u16 {
        /// Add.
        Add = 0,
        /// Replace.
        Modify = 1,
        /// Delete, with the flows that use it.
        Delete = 2,
    }
}

flags! {
    /// `ofp_meter_flags`.
    pub struct MeterFlags: u16 {
        /// Rates in kbit/s.
        kbps = 1,
        /// Rates in frames per second.
        pktps = 2,
        /// `burst` counts.
        burst = 4,
        /// Collect statistics.
        stats = 8,
    }
}

/// What a band does to frames above its rate.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum BandKind {
    /// Drop.
    Drop,
    /// Raise the drop precedence in the DSCP by this much.
    DscpRemark(u8),
    /// Another's, by experimenter id.
    Experimenter(u32),
}

/// A band of a meter.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct MeterBand {
    /// What happens.
    pub kind: BandKind,
    /// Above this rate, in the meter's unit.
    pub rate: u32,
    /// Burst in kbit or frames.
    pub burst: u32,
}

/// A change of the meter table.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct MeterMod {
    /// What to do.
    pub command: MeterModCommand,
    /// Flags and which meter, with its bands.
    pub config: MeterConfig,
}

/// A meter as a configuration reply gives it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct MeterConfig {
    /// Units.
    pub flags: MeterFlags,
    /// Which meter.
    pub meter: MeterId,
    /// Its bands.
    pub bands: Vec<MeterBand>,
}

/// Counters of a meter.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct MeterStats {
    /// Which meter.
    pub meter: MeterId,
    /// Flows that use it.
    pub flows: u32,
    /// Frames.
    pub packets: u64,
    /// Bytes.
    pub bytes: u64,
    /// Time since it was added.
    pub duration: Duration,
    /// (frames, bytes) that each band took.
    pub bands: Vec<(u64, u64)>,
}

/// What the meter table can do.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct MeterFeatures {
    /// Most meters.
    pub max_meters: u32,
    /// Supported bands, bit n = band type n.
    pub band_types: u32,
    /// Supported `ofp_meter_flags`.
    pub capabilities: u32,
    /// Most bands of a meter.
    pub max_bands: u8,
    /// Most colours.
    pub max_color: u8,
}
