//! Errors, features, switch configuration, roles and asynchronous masks (OpenFlow 1.3.5
//! §7.4.4, §7.3.1, §7.3.2, §7.3.9, §7.3.10).

use crate::buf::{Reader, Writer};
use crate::error::{ERROR_TYPE_EXPERIMENTER, ErrorKind, OfpError};
use crate::message::{
    AsyncConfig, Capabilities, ControllerRole, ErrorCode, ErrorMessage, Features, Fragments, Role, SwitchConfig,
};
use crate::types::DatapathId;
use crate::v13::experimenter::ONF;

pub(super) fn decode_error(r: &mut Reader<'_>) -> Result<ErrorMessage, OfpError> {
    let (ty, code) = (r.u16()?, r.u16()?);
    let known = ErrorKind::from_v13(ty, code).map(ErrorCode::Known);
    let code = if ty == ERROR_TYPE_EXPERIMENTER {
        let experimenter = r.u32()?;
        known.filter(|_| experimenter == ONF).unwrap_or(ErrorCode::Experimenter(experimenter, code))
    } else {
        known.unwrap_or(ErrorCode::Other(ty, code))
    };
    Ok(ErrorMessage { code, data: r.remainder() })
}

pub(super) fn encode_error(w: &mut Writer<'_>, e: &ErrorMessage) {
    let (ty, code, experimenter) = match e.code {
        ErrorCode::Known(kind) => (kind.v13().0, kind.v13().1, ONF),
        ErrorCode::Other(ty, code) => (ty, code, 0),
        ErrorCode::Experimenter(experimenter, code) => (ERROR_TYPE_EXPERIMENTER, code, experimenter),
    };
    w.u16(ty);
    w.u16(code);
    if ty == ERROR_TYPE_EXPERIMENTER {
        w.u32(experimenter);
    }
    w.bytes(&e.data);
}

pub(super) fn decode_features(r: &mut Reader<'_>) -> Result<Features, OfpError> {
    let datapath_id = DatapathId(r.u64()?);
    let (buffers, tables, auxiliary_id) = (r.u32()?, r.u8()?, r.u8()?);
    r.skip(2)?;
    let capabilities = Capabilities { stp: false, arp_match_ip: false, ..Capabilities::from_bits(r.u32()?) };
    r.skip(4)?;
    Ok(Features { datapath_id, buffers, tables, auxiliary_id, capabilities, actions: 0, ports: Vec::new() })
}

pub(super) fn encode_features(w: &mut Writer<'_>, f: &Features) {
    w.u64(f.datapath_id.0);
    w.u32(f.buffers);
    w.u8(f.tables);
    w.u8(f.auxiliary_id);
    w.zeros(2);
    w.u32(Capabilities { stp: false, arp_match_ip: false, ..f.capabilities }.to_bits());
    w.zeros(4);
}

/// The same in both versions.
pub fn decode_config(r: &mut Reader<'_>) -> Result<SwitchConfig, OfpError> {
    let flags = r.u16()?;
    let fragments = Fragments::from_number(flags)
        .ok_or_else(|| OfpError::new(ErrorKind::SwitchConfigBadFlags, format!("flags {flags:#06x}")))?;
    Ok(SwitchConfig { fragments, miss_send_len: r.u16()? })
}

/// The same in both versions.
pub fn encode_config(w: &mut Writer<'_>, c: &SwitchConfig) {
    w.u16(c.fragments.number());
    w.u16(c.miss_send_len);
}

pub(super) fn decode_role(r: &mut Reader<'_>) -> Result<Role, OfpError> {
    let role = r.u32()?;
    let role = ControllerRole::from_number(role)
        .ok_or_else(|| OfpError::new(ErrorKind::RoleRequestBadRole, format!("role {role}")))?;
    r.skip(4)?;
    Ok(Role { role, generation_id: r.u64()? })
}

pub(super) fn encode_role(w: &mut Writer<'_>, m: &Role) {
    w.u32(m.role.number());
    w.zeros(4);
    w.u64(m.generation_id);
}

pub(super) fn decode_async(r: &mut Reader<'_>) -> Result<AsyncConfig, OfpError> {
    Ok(AsyncConfig {
        packet_in: [r.u32()?, r.u32()?],
        port_status: [r.u32()?, r.u32()?],
        flow_removed: [r.u32()?, r.u32()?],
    })
}

pub(super) fn encode_async(w: &mut Writer<'_>, m: &AsyncConfig) {
    for mask in m.packet_in.iter().chain(&m.port_status).chain(&m.flow_removed) {
        w.u32(*mask);
    }
}
