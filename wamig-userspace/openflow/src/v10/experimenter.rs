//! Vendor messages, and Nicira's roles among them (OpenFlow 1.0 §5.5.4).
//!
//! ```text
//!  vendor (32) | subtype (32) | data
//!  Nicira 10 role request, 11 role reply: role (32): 0 other, 1 master, 2 slave
//! ```

use crate::buf::{EncodeError, Reader, Writer};
use crate::error::{ErrorKind, OfpError};
use crate::message::{ControllerRole, Experimenter, Message, Role};
use crate::nicira::NICIRA;

const ROLE_REQUEST: u32 = 10;
const ROLE_REPLY: u32 = 11;

pub(super) fn decode(r: &mut Reader<'_>) -> Result<Message, OfpError> {
    let (experimenter, exp_type) = (r.u32()?, r.u32()?);
    match (experimenter, exp_type) {
        (NICIRA, ROLE_REQUEST) => decode_role(r).map(Message::RoleRequest),
        (NICIRA, ROLE_REPLY) => decode_role(r).map(Message::RoleReply),
        _ => Ok(Message::Experimenter(Experimenter { experimenter, exp_type, data: r.remainder() })),
    }
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
    w.u32(m.experimenter);
    w.u32(m.exp_type);
    w.bytes(&m.data);
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
