//! Errors and features (OpenFlow 1.0 §5.4.4, §5.3.1).

use crate::buf::{EncodeError, Reader, Writer};
use crate::error::{ErrorKind, OfpError};
use crate::message::{Capabilities, ErrorCode, ErrorMessage, Features};
use crate::types::DatapathId;
use crate::v10::port;

/// `OFPC_STP`, where 1.3 has `OFPC_GROUP_STATS`.
const STP: u32 = 8;
/// The bits that 1.0 knows, `STP` among them.
const KNOWN: u32 = 0xef;

pub(super) fn decode_error(r: &mut Reader<'_>) -> Result<ErrorMessage, OfpError> {
    let (ty, code) = (r.u16()?, r.u16()?);
    let code = ErrorKind::from_v10(ty, code).map_or(ErrorCode::Other(ty, code), ErrorCode::Known);
    Ok(ErrorMessage { code, data: r.remainder() })
}

pub(super) fn encode_error(w: &mut Writer<'_>, e: &ErrorMessage) -> Result<(), EncodeError> {
    let (ty, code) = match e.code {
        ErrorCode::Known(kind) => kind.v10(),
        ErrorCode::Other(ty, code) => (ty, code),
        ErrorCode::Experimenter(..) => return Err(super::lacks("experimenter error")),
    };
    w.u16(ty);
    w.u16(code);
    w.bytes(&e.data);
    Ok(())
}

pub(super) fn decode_features(r: &mut Reader<'_>) -> Result<Features, OfpError> {
    let datapath_id = DatapathId(r.u64()?);
    let (buffers, tables) = (r.u32()?, r.u8()?);
    r.skip(3)?;
    let (bits, actions) = (r.u32()?, r.u32()?);
    let capabilities = Capabilities { stp: bits & STP != 0, ..Capabilities::from_bits(bits & KNOWN & !STP) };
    let ports = r.list(port::decode)?;
    Ok(Features { datapath_id, buffers, tables, auxiliary_id: 0, capabilities, actions, ports })
}

pub(super) fn encode_features(w: &mut Writer<'_>, f: &Features) -> Result<(), EncodeError> {
    w.u64(f.datapath_id.0);
    w.u32(f.buffers);
    w.u8(f.tables);
    w.zeros(3);
    w.u32(f.capabilities.to_bits() & KNOWN & !STP | (u32::from(f.capabilities.stp) * STP));
    w.u32(f.actions);
    f.ports.iter().try_for_each(|p| port::encode(w, p))
}
