//! Ports: description, status, port-mod and counters (OpenFlow 1.3.5 §7.2.1, §7.4.3,
//! §7.3.4.3, §7.3.5.6–7).

use crate::buf::{Reader, Writer};
use crate::error::{ErrorKind, OfpError};
use crate::message::{PortConfig, PortDesc, PortFeatures, PortMod, PortReason, PortState, PortStats, PortStatus};
use crate::types::{MacAddr, PortNo};
use crate::v13::flow::{decode_duration, encode_duration};

const LINK_DOWN: u32 = 1;
const BLOCKED: u32 = 2;
const LIVE: u32 = 4;

pub(super) fn decode(r: &mut Reader<'_>) -> Result<PortDesc, OfpError> {
    let port = PortNo(r.u32()?);
    r.skip(4)?;
    let mac = MacAddr(r.array()?);
    r.skip(2)?;
    let name = r.text(16)?;
    let config = PortConfig::from_bits(r.u32()? & PortConfig::V13);
    let state = r.u32()?;
    let features = PortFeatures {
        current: r.u32()?,
        advertised: r.u32()?,
        supported: r.u32()?,
        peer: r.u32()?,
        current_speed: r.u32()?,
        max_speed: r.u32()?,
    };
    let link_up = state & LINK_DOWN == 0;
    let state = PortState { blocked: state & BLOCKED != 0, live: state & LIVE != 0, stp: 0 };
    Ok(PortDesc { port, mac, name, link_up, mtu: 0, config, state, features })
}

pub(super) fn encode(w: &mut Writer<'_>, p: &PortDesc) {
    w.u32(p.port.0);
    w.zeros(4);
    w.bytes(&p.mac.0);
    w.zeros(2);
    w.text(&p.name, 16);
    w.u32(p.config.to_bits() & PortConfig::V13);
    let bit = |on: bool, bit: u32| if on { bit } else { 0 };
    w.u32(bit(!p.link_up, LINK_DOWN) | bit(p.state.blocked, BLOCKED) | bit(p.state.live, LIVE));
    let f = &p.features;
    for n in [f.current, f.advertised, f.supported, f.peer, f.current_speed, f.max_speed] {
        w.u32(n);
    }
}

pub(super) fn decode_status(r: &mut Reader<'_>) -> Result<PortStatus, OfpError> {
    let reason = r.u8()?;
    let reason = PortReason::from_number(reason).ok_or_else(|| super::unknown("port-status reason", reason.into()))?;
    r.skip(7)?;
    Ok(PortStatus { reason, desc: decode(r)? })
}

pub(super) fn encode_status(w: &mut Writer<'_>, m: &PortStatus) {
    w.u8(m.reason.number());
    w.zeros(7);
    encode(w, &m.desc);
}

pub(super) fn decode_mod(r: &mut Reader<'_>) -> Result<PortMod, OfpError> {
    let port = PortNo(r.u32()?);
    r.skip(4)?;
    let mac = MacAddr(r.array()?);
    r.skip(2)?;
    let mut flags = || {
        let bits = r.u32()?;
        PortConfig::exact(bits)
            .filter(|c| c.to_bits() & !PortConfig::V13 == 0)
            .ok_or_else(|| OfpError::new(ErrorKind::PortModBadConfig, format!("config bits {bits:#x}")))
    };
    let (config, mask) = (flags()?, flags()?);
    let advertise = r.u32()?;
    r.skip(4)?;
    Ok(PortMod { port, mac, config, mask, advertise })
}

pub(super) fn encode_mod(w: &mut Writer<'_>, m: &PortMod) {
    w.u32(m.port.0);
    w.zeros(4);
    w.bytes(&m.mac.0);
    w.zeros(2);
    w.u32(m.config.to_bits() & PortConfig::V13);
    w.u32(m.mask.to_bits() & PortConfig::V13);
    w.u32(m.advertise);
    w.zeros(4);
}

/// The counters of port statistics, the same in both versions.
pub fn decode_counters(r: &mut Reader<'_>, port: PortNo) -> Result<PortStats, OfpError> {
    Ok(PortStats {
        port,
        rx_packets: r.u64()?,
        tx_packets: r.u64()?,
        rx_bytes: r.u64()?,
        tx_bytes: r.u64()?,
        rx_dropped: r.u64()?,
        tx_dropped: r.u64()?,
        rx_errors: r.u64()?,
        tx_errors: r.u64()?,
        rx_frame_err: r.u64()?,
        rx_over_err: r.u64()?,
        rx_crc_err: r.u64()?,
        collisions: r.u64()?,
        ..PortStats::default()
    })
}

/// Writes those counters.
pub fn encode_counters(w: &mut Writer<'_>, s: &PortStats) {
    let errors = [s.rx_errors, s.tx_errors, s.rx_frame_err, s.rx_over_err, s.rx_crc_err, s.collisions];
    let traffic = [s.rx_packets, s.tx_packets, s.rx_bytes, s.tx_bytes, s.rx_dropped, s.tx_dropped];
    for n in traffic.into_iter().chain(errors) {
        w.u64(n);
    }
}

pub(super) fn decode_stats(r: &mut Reader<'_>) -> Result<PortStats, OfpError> {
    let port = PortNo(r.u32()?);
    r.skip(4)?;
    let stats = decode_counters(r, port)?;
    Ok(PortStats { duration: decode_duration(r)?, ..stats })
}

pub(super) fn encode_stats(w: &mut Writer<'_>, s: &PortStats) {
    w.u32(s.port.0);
    w.zeros(4);
    encode_counters(w, s);
    encode_duration(w, s.duration);
}
