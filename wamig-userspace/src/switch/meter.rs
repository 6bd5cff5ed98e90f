//! The meter table (OpenFlow 1.3.5 §5.7, §7.3.4.4): what controllers asked for, and the token
//! buckets that frames take from. A flow with a meter is marked for the slow path.
//!
//! A band without a burst of its own may save up a tenth of a second of its rate, or one frame.

use std::collections::BTreeMap;
use std::time::Instant;

use wamig_common::limits::{MAX_BANDS, MAX_METERS};
use wamig_common::meter::{Band, Bands, DROP, MAX_BURST, NO_BAND, REMARK, measure, take};
use wamig_common::native;
use wamig_openflow::message::{
    BandKind, MeterBand, MeterConfig, MeterFeatures, MeterFlags, MeterMod, MeterModCommand, MeterStats,
};
use wamig_openflow::{ErrorKind, MeterId, OfpError};

/// A second in the units of the token buckets.
const SECOND: u128 = 256_000_000_000;
/// Bytes of a usual long frame.
const FRAME: u128 = 1514;

/// A meter.
#[derive(Clone, PartialEq, Debug)]
pub struct Meter {
    config: MeterConfig,
    bands: Bands,
    full_at: [u64; MAX_BANDS],
    added: Instant,
    total: (u64, u64),
    counts: [(u64, u64); MAX_BANDS],
}

/// All meters.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct MeterTable {
    meters: BTreeMap<MeterId, Meter>,
}

fn refuse(kind: ErrorKind, meter: MeterId, why: impl std::fmt::Display) -> Result<(), OfpError> {
    Err(OfpError::new(kind, format!("meter {meter}: {why}")))
}

impl MeterTable {
    /// Refuses a flow's meter that is not there.
    ///
    /// # Errors
    /// `OFPMMFC_UNKNOWN_METER`.
    pub fn check_used(&self, meter: MeterId) -> Result<(), OfpError> {
        if self.meters.contains_key(&meter) {
            return Ok(());
        }
        refuse(ErrorKind::MeterModUnknownMeter, meter, "there is no such meter; add it first")
    }

    /// Checks a meter-mod against the table as it is.
    ///
    /// # Errors
    /// The specification's `OFPMMFC_*`.
    pub fn check(&self, m: &MeterMod) -> Result<(), OfpError> {
        let meter = m.config.meter;
        let there = self.meters.contains_key(&meter);
        match m.command {
            MeterModCommand::Delete if meter == MeterId::ALL => return Ok(()),
            _ if meter == MeterId(0) || meter > MeterId::MAX => {
                let why = format!("meters are 1 to {}; there are no virtual meters", MeterId::MAX);
                return refuse(ErrorKind::MeterModInvalidMeter, meter, why);
            }
            // One that is gone already is as good as deleted, as with groups (§6.5) and in Open vSwitch.
            MeterModCommand::Delete => return Ok(()),
            MeterModCommand::Modify if !there => {
                return refuse(ErrorKind::MeterModUnknownMeter, meter, "there is no such meter; add it first");
            }
            MeterModCommand::Add if there => {
                return refuse(ErrorKind::MeterModMeterExists, meter, "it exists; modify it");
            }
            MeterModCommand::Add if self.meters.len() >= MAX_METERS as usize => {
                return refuse(ErrorKind::MeterModOutOfMeters, meter, format!("there may be {MAX_METERS} meters"));
            }
            _ => {}
        }
        if m.config.flags.kbps && m.config.flags.pktps {
            return refuse(ErrorKind::MeterModBadFlags, meter, "rates are in kbit/s or in frames per second, not both");
        }
        if m.config.bands.len() > MAX_BANDS {
            return refuse(ErrorKind::MeterModOutOfBands, meter, format!("a meter may have {MAX_BANDS} bands"));
        }
        for band in &m.config.bands {
            match band.kind {
                _ if band.rate == 0 => return refuse(ErrorKind::MeterModBadRate, meter, "a rate must not be 0"),
                BandKind::Experimenter(e) => {
                    let why = format!("bands of experimenter {e:#010x} are not known");
                    return refuse(ErrorKind::MeterModBadBand, meter, why);
                }
                BandKind::Drop | BandKind::DscpRemark(_) => {}
            }
        }
        Ok(())
    }

    /// Adds or modifies a meter that was checked; its buckets begin full.
    pub(super) fn put(&mut self, config: &MeterConfig, now: Instant) {
        let old = self.meters.get(&config.meter);
        let mut bands = Bands::default();
        for (place, band) in bands.bands.iter_mut().zip(&config.bands) {
            *place = compiled(*band, config.flags);
        }
        let meter = Meter {
            config: config.clone(),
            bands,
            full_at: [0; MAX_BANDS],
            added: old.map_or(now, |m| m.added),
            total: old.map_or((0, 0), |m| m.total),
            counts: [(0, 0); MAX_BANDS],
        };
        self.meters.insert(config.meter, meter);
    }

    /// Takes a meter out, or puts one back.
    pub(super) fn restore(&mut self, id: MeterId, meter: Option<Meter>) -> Option<Meter> {
        match meter {
            Some(meter) => self.meters.insert(id, meter),
            None => self.meters.remove(&id),
        }
    }

    /// The meters that a delete means.
    pub(super) fn selected(&self, meter: MeterId) -> Vec<MeterId> {
        self.meters.keys().copied().filter(|m| meter == MeterId::ALL || *m == meter).collect()
    }

    /// The meter of this number.
    pub fn get(&self, meter: MeterId) -> Option<&Meter> {
        self.meters.get(&meter)
    }

    /// Puts a frame of so many bytes through a meter: a reply of a [`native::Sink`].
    pub(super) fn charge(&mut self, meter: MeterId, bytes: usize, now: Instant) -> u32 {
        let Some(m) = self.meters.get_mut(&meter) else { return native::PASS };
        let elapsed = now.saturating_duration_since(m.added).as_nanos();
        let now = (elapsed << 8) as u64;
        let full_at = &mut m.full_at;
        let band = measure(&m.bands, bytes as u32, |i, cost, burst| match take(full_at[i], now, cost, burst) {
            Some(then) => {
                full_at[i] = then;
                true
            }
            None => false,
        });
        let add = |count: &mut (u64, u64)| *count = (count.0 + 1, count.1 + bytes as u64);
        add(&mut m.total);
        if band == NO_BAND {
            return native::PASS;
        }
        add(&mut m.counts[band as usize]);
        let band = m.bands.bands[band as usize];
        if band.kind == DROP { native::METERED } else { native::REMARK | u32::from(band.level) }
    }

    /// `OFPMP_METER` of a meter or of all; `flows` says how many flows use a meter.
    pub fn stats(&self, meter: MeterId, now: Instant, flows: impl Fn(MeterId) -> usize) -> Vec<MeterStats> {
        let asked = self.meters.iter().filter(|(id, _)| meter == MeterId::ALL || **id == meter);
        let stats = asked.map(|(id, m)| MeterStats {
            meter: *id,
            flows: flows(*id) as u32,
            packets: m.total.0,
            bytes: m.total.1,
            duration: now.saturating_duration_since(m.added),
            bands: m.counts.iter().copied().take(m.config.bands.len()).collect(),
        });
        stats.collect()
    }

    /// `OFPMP_METER_CONFIG` of a meter or of all.
    pub fn configs(&self, meter: MeterId) -> Vec<MeterConfig> {
        self.selected(meter).iter().filter_map(|id| self.meters.get(id)).map(|m| m.config.clone()).collect()
    }
}

/// A band in the terms of the token bucket.
fn compiled(band: MeterBand, flags: MeterFlags) -> Band {
    let rate = u128::from(band.rate);
    let (kind, level) = match band.kind {
        BandKind::DscpRemark(level) => (REMARK, level),
        BandKind::Drop | BandKind::Experimenter(_) => (DROP, 0),
    };
    // A kilobit is 125 bytes.
    let (per_frame, per_byte) = if flags.pktps { (SECOND / rate, 0) } else { (0, (SECOND << 16) / (125 * rate)) };
    // At low rates that is less than a frame, and frames that come a little early would be lost.
    let frame = if flags.pktps { per_frame } else { (FRAME * per_byte) >> 16 };
    let configured = flags.burst && band.burst != 0;
    let burst = if configured { u128::from(band.burst) * SECOND / rate } else { frame.max(SECOND / 10) };
    Band {
        kind,
        level,
        rate: band.rate,
        per_frame: per_frame as u64,
        per_byte: per_byte as u64,
        burst: burst.min(u128::from(MAX_BURST)) as u64,
    }
}

/// `OFPMP_METER_FEATURES`: bands drop and DSCP remark, every flag.
pub fn features() -> MeterFeatures {
    MeterFeatures {
        max_meters: MAX_METERS,
        band_types: 0b110,
        capabilities: 0xf,
        max_bands: MAX_BANDS as u8,
        max_color: 0,
    }
}
