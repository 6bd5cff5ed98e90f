//! Meters (OpenFlow 1.3.5 §7.3.4.4, §7.3.5.12–14).

use crate::buf::{EncodeError, Reader, Writer};
use crate::error::{ErrorKind, OfpError};
use crate::message::{
    BandKind, MeterBand, MeterConfig, MeterFeatures, MeterFlags, MeterMod, MeterModCommand, MeterStats,
};
use crate::types::MeterId;
use crate::v13::flow::{decode_duration, encode_duration};

const DROP: u16 = 1;
const DSCP_REMARK: u16 = 2;
const EXPERIMENTER: u16 = 0xffff;
/// Every band that this crate knows has this length.
const BAND_LEN: usize = 16;

fn decode_band(r: &mut Reader<'_>) -> Result<MeterBand, OfpError> {
    let mut r = r.structure(2, 12, ErrorKind::BadRequestBadLen)?;
    let bad = |detail| OfpError::new(ErrorKind::MeterModBadBand, detail);
    let len = r.len();
    let ty = r.u16()?;
    r.skip(2)?;
    let (rate, burst) = (r.u32()?, r.u32()?);
    let known = matches!(ty, DROP | DSCP_REMARK | EXPERIMENTER);
    if known && len != BAND_LEN {
        return Err(r.fail("a meter band has 16 bytes"));
    }
    let kind = match ty {
        DROP => BandKind::Drop,
        DSCP_REMARK => BandKind::DscpRemark(r.u8()?),
        EXPERIMENTER => BandKind::Experimenter(r.u32()?),
        _ => return Err(bad(format!("meter band type {ty}"))),
    };
    Ok(MeterBand { kind, rate, burst })
}

fn encode_band(w: &mut Writer<'_>, b: &MeterBand) {
    let (ty, last) = match b.kind {
        BandKind::Drop => (DROP, 0),
        BandKind::DscpRemark(levels) => (DSCP_REMARK, u32::from(levels) << 24),
        BandKind::Experimenter(id) => (EXPERIMENTER, id),
    };
    w.u16(ty);
    w.u16(BAND_LEN as u16);
    w.u32(b.rate);
    w.u32(b.burst);
    w.u32(last);
}

fn decode_rest(r: &mut Reader<'_>) -> Result<MeterConfig, OfpError> {
    let bits = r.u16()?;
    let flags = MeterFlags::exact(bits)
        .ok_or_else(|| OfpError::new(ErrorKind::MeterModBadFlags, format!("meter flags {bits:#06x}")))?;
    Ok(MeterConfig { flags, meter: MeterId(r.u32()?), bands: r.list(decode_band)? })
}

fn encode_rest(w: &mut Writer<'_>, c: &MeterConfig) {
    w.u16(c.flags.to_bits());
    w.u32(c.meter.0);
    c.bands.iter().for_each(|b| encode_band(w, b));
}

pub(super) fn decode_mod(r: &mut Reader<'_>) -> Result<MeterMod, OfpError> {
    let command = r.u16()?;
    let command = MeterModCommand::from_number(command)
        .ok_or_else(|| OfpError::new(ErrorKind::MeterModBadCommand, format!("command {command}")))?;
    Ok(MeterMod { command, config: decode_rest(r)? })
}

pub(super) fn encode_mod(w: &mut Writer<'_>, m: &MeterMod) {
    w.u16(m.command.number());
    encode_rest(w, &m.config);
}

pub(super) fn decode_config(r: &mut Reader<'_>) -> Result<MeterConfig, OfpError> {
    let mut r = r.structure(0, 8, ErrorKind::BadRequestBadLen)?;
    r.skip(2)?;
    decode_rest(&mut r)
}

pub(super) fn encode_config(w: &mut Writer<'_>, c: &MeterConfig) -> Result<(), EncodeError> {
    let mark = w.begin(0);
    w.u16(0);
    encode_rest(w, c);
    w.end(mark)
}

pub(super) fn decode_stats(r: &mut Reader<'_>) -> Result<MeterStats, OfpError> {
    let mut r = r.structure(4, 40, ErrorKind::BadRequestBadLen)?;
    let meter = MeterId(r.u32()?);
    r.skip(8)?;
    let (flows, packets, bytes, duration) = (r.u32()?, r.u64()?, r.u64()?, decode_duration(&mut r)?);
    Ok(MeterStats { meter, flows, packets, bytes, duration, bands: r.list(|r| Ok((r.u64()?, r.u64()?)))? })
}

pub(super) fn encode_stats(w: &mut Writer<'_>, s: &MeterStats) -> Result<(), EncodeError> {
    let mark = w.begin(4);
    w.u32(s.meter.0);
    w.zeros(8);
    w.u32(s.flows);
    w.u64(s.packets);
    w.u64(s.bytes);
    encode_duration(w, s.duration);
    for (packets, bytes) in &s.bands {
        w.u64(*packets);
        w.u64(*bytes);
    }
    w.end(mark)
}

pub(super) fn decode_features(r: &mut Reader<'_>) -> Result<MeterFeatures, OfpError> {
    let features = MeterFeatures {
        max_meters: r.u32()?,
        band_types: r.u32()?,
        capabilities: r.u32()?,
        max_bands: r.u8()?,
        max_color: r.u8()?,
    };
    r.skip(2)?;
    Ok(features)
}

pub(super) fn encode_features(w: &mut Writer<'_>, f: &MeterFeatures) {
    w.u32(f.max_meters);
    w.u32(f.band_types);
    w.u32(f.capabilities);
    w.u8(f.max_bands);
    w.u8(f.max_color);
    w.zeros(2);
}
