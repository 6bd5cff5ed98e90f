//! Ports: description, status, port-mod and counters (OpenFlow 1.0 §5.2.1, §5.4.3, §5.3.3,
//! §5.3.5).

use crate::buf::{EncodeError, Reader, Writer};
use crate::error::{ErrorKind, OfpError};
use crate::message::{PortConfig, PortDesc, PortFeatures, PortMod, PortReason, PortState, PortStats, PortStatus};
use crate::types::MacAddr;
use crate::v10::port_no;
use crate::v13::port::{decode_counters, encode_counters};
use crate::v13::unknown;

const LINK_DOWN: u32 = 1;
const STP_SHIFT: u32 = 8;

/// Feature bits of 1.0 as 1.3 numbers them: the rates are the same, media begin at bit 7
/// instead of 11.
fn widen_features(bits: u32) -> u32 {
    bits & 0x7f | (bits & 0xf80) << 4
}

fn narrow_features(bits: u32) -> u32 {
    bits & 0x7f | bits >> 4 & 0xf80
}

pub(super) fn decode(r: &mut Reader<'_>) -> Result<PortDesc, OfpError> {
    let port = port_no::decode(r)?;
    let mac = MacAddr(r.array()?);
    let name = r.text(16)?;
    let config = PortConfig::from_bits(r.u32()?);
    let state = r.u32()?;
    let features = PortFeatures {
        current: widen_features(r.u32()?),
        advertised: widen_features(r.u32()?),
        supported: widen_features(r.u32()?),
        peer: widen_features(r.u32()?),
        ..PortFeatures::default()
    };
    let link_up = state & LINK_DOWN == 0;
    let state = PortState { stp: (state >> STP_SHIFT & 3) as u8, ..PortState::default() };
    Ok(PortDesc { port, mac, name, link_up, mtu: 0, config, state, features })
}

pub(super) fn encode(w: &mut Writer<'_>, p: &PortDesc) -> Result<(), EncodeError> {
    port_no::encode(w, p.port)?;
    w.bytes(&p.mac.0);
    w.text(&p.name, 16);
    w.u32(p.config.to_bits());
    w.u32((u32::from(!p.link_up) * LINK_DOWN) | (u32::from(p.state.stp & 3) << STP_SHIFT));
    for bits in [p.features.current, p.features.advertised, p.features.supported, p.features.peer] {
        w.u32(narrow_features(bits));
    }
    Ok(())
}

pub(super) fn decode_status(r: &mut Reader<'_>) -> Result<PortStatus, OfpError> {
    let reason = r.u8()?;
    let reason = PortReason::from_number(reason).ok_or_else(|| unknown("port-status reason", reason.into()))?;
    r.skip(7)?;
    Ok(PortStatus { reason, desc: decode(r)? })
}

pub(super) fn encode_status(w: &mut Writer<'_>, m: &PortStatus) -> Result<(), EncodeError> {
    w.u8(m.reason.number());
    w.zeros(7);
    encode(w, &m.desc)
}

pub(super) fn decode_mod(r: &mut Reader<'_>) -> Result<PortMod, OfpError> {
    let port = port_no::decode(r)?;
    let mac = MacAddr(r.array()?);
    let mut flags = || {
        let bits = r.u32()?;
        PortConfig::exact(bits)
            .ok_or_else(|| OfpError::new(ErrorKind::PortModBadConfig, format!("config bits {bits:#x}")))
    };
    let (config, mask) = (flags()?, flags()?);
    let advertise = widen_features(r.u32()?);
    r.skip(4)?;
    Ok(PortMod { port, mac, config, mask, advertise })
}

pub(super) fn encode_mod(w: &mut Writer<'_>, m: &PortMod) -> Result<(), EncodeError> {
    port_no::encode(w, m.port)?;
    w.bytes(&m.mac.0);
    w.u32(m.config.to_bits());
    w.u32(m.mask.to_bits());
    w.u32(narrow_features(m.advertise));
    w.zeros(4);
    Ok(())
}

pub(super) fn decode_stats(r: &mut Reader<'_>) -> Result<PortStats, OfpError> {
    let port = port_no::decode(r)?;
    r.skip(6)?;
    decode_counters(r, port)
}

pub(super) fn encode_stats(w: &mut Writer<'_>, s: &PortStats) -> Result<(), EncodeError> {
    port_no::encode(w, s.port)?;
    w.zeros(6);
    encode_counters(w, s);
    Ok(())
}
