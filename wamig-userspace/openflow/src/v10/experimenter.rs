//! Vendor messages, and Nicira's roles among them (OpenFlow 1.0 §5.5.4).
//!
//! ```text
//!  vendor (32) | whatever the vendor likes, mostly: subtype (32) | data
//!  Nicira 10 role request, 11 role reply: role (32): 0 other, 1 master, 2 slave
//! ```

use crate::buf::{EncodeError, Reader, Writer};
use crate::error::{ErrorKind, OfpError};
use crate::message::{ControllerRole, Experimenter, Message, Role};
use crate::nicira::NICIRA;

const ROLE_REQUEST: u32 = 10;
const ROLE_REPLY: u32 = 11;

pub(super) fn decode(r: &mut Reader<'_>) -> Result<Message, OfpError> {
    let (experimenter, exp_type) = decode_head(r)?;
    match (experimenter, exp_type) {
        (NICIRA, Some(ROLE_REQUEST)) => decode_role(r).map(Message::RoleRequest),
        (NICIRA, Some(ROLE_REPLY)) => decode_role(r).map(Message::RoleReply),
        _ => Ok(Message::Experimenter(Experimenter { experimenter, exp_type, data: r.remainder() })),
    }
}

/// Whose it is and the type, also of statistics. Nicira's always have one.
pub(super) fn decode_head(r: &mut Reader<'_>) -> Result<(u32, Option<u32>), OfpError> {
    let experimenter = r.u32()?;
    let exp_type = if r.len() < 4 && experimenter != NICIRA { None } else { Some(r.u32()?) };
    Ok((experimenter, exp_type))
}

fn decode_role(r: &mut Reader<'_>) -> Result<Role, OfpError> {
    let role = match r.u32()? {
        0 => ControllerRole::Equal,
        1 => ControllerRole::Master,
        2 => ControllerRole::Slave,
        n => return Err(OfpError::new(ErrorKind::RoleRequestBadRole, format!("role {n}"))),
    };
    Ok(Role { role, generation_id: 0 })
}

pub(super) fn encode(w: &mut Writer<'_>, m: &Experimenter) {
    encode_body(w, m.experimenter, m.exp_type, &m.data);
}

/// What both the messages and the statistics of a vendor consist of.
pub(super) fn encode_body(w: &mut Writer<'_>, experimenter: u32, exp_type: Option<u32>, data: &[u8]) {
    w.u32(experimenter);
    if let Some(exp_type) = exp_type {
        w.u32(exp_type);
    }
    w.bytes(data);
}

pub(super) fn encode_role(w: &mut Writer<'_>, m: &Role, reply: bool) -> Result<(), EncodeError> {
    w.u32(NICIRA);
    w.u32(if reply { ROLE_REPLY } else { ROLE_REQUEST });
    w.u32(match m.role {
        ControllerRole::Equal => 0,
        ControllerRole::Master => 1,
        ControllerRole::Slave => 2,
        ControllerRole::NoChange => return Err(super::lacks("role request without a role")),
    });
    Ok(())
}
