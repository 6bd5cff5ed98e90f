//! Actions (OpenFlow 1.3.5 §7.2.5).
//!
//! ```text
//!  type (16) | length (16, a multiple of 8) | body
//! ```

use crate::action::Action;
use crate::buf::{EncodeError, Reader, Writer};
use crate::error::{ErrorKind, OfpError};
use crate::nicira::{self, NICIRA};
use crate::types::{GroupId, PortNo};
use crate::v13::oxm;

const OUTPUT: u16 = 0;
const COPY_TTL_OUT: u16 = 11;
const COPY_TTL_IN: u16 = 12;
const SET_MPLS_TTL: u16 = 15;
const DEC_MPLS_TTL: u16 = 16;
const PUSH_VLAN: u16 = 17;
const POP_VLAN: u16 = 18;
const PUSH_MPLS: u16 = 19;
const POP_MPLS: u16 = 20;
const SET_QUEUE: u16 = 21;
const GROUP: u16 = 22;
const SET_NW_TTL: u16 = 23;
const DEC_NW_TTL: u16 = 24;
const SET_FIELD: u16 = 25;
const PUSH_PBB: u16 = 26;
const POP_PBB: u16 = 27;
const EXPERIMENTER: u16 = 0xffff;

/// Every action up to the window's end.
pub fn decode_list(r: &mut Reader<'_>) -> Result<Vec<Action>, OfpError> {
    r.list(decode)
}

fn decode(r: &mut Reader<'_>) -> Result<Action, OfpError> {
    let mut body = r.structure(2, 8, ErrorKind::BadActionBadLen)?;
    let len = body.len();
    let ty = body.u16()?;
    body.skip(2)?;
    let fixed = match ty {
        OUTPUT => 16,
        SET_FIELD | EXPERIMENTER => len.next_multiple_of(8),
        COPY_TTL_OUT | COPY_TTL_IN | SET_MPLS_TTL..=DEC_NW_TTL | PUSH_PBB | POP_PBB => 8,
        _ => return Err(OfpError::new(ErrorKind::BadActionBadType, format!("action type {ty}"))),
    };
    if len != fixed {
        return Err(OfpError::new(ErrorKind::BadActionBadLen, format!("action type {ty} of {len} bytes")));
    }
    Ok(match ty {
        OUTPUT => Action::Output { port: PortNo(body.u32()?), max_len: body.u16()? },
        COPY_TTL_OUT => Action::CopyTtlOut,
        COPY_TTL_IN => Action::CopyTtlIn,
        SET_MPLS_TTL => Action::SetMplsTtl(body.u8()?),
        DEC_MPLS_TTL => Action::DecMplsTtl,
        PUSH_VLAN => Action::PushVlan(body.u16()?),
        POP_VLAN => Action::PopVlan,
        PUSH_MPLS => Action::PushMpls(body.u16()?),
        POP_MPLS => Action::PopMpls(body.u16()?),
        SET_QUEUE => Action::SetQueue(body.u32()?),
        GROUP => Action::Group(GroupId(body.u32()?)),
        SET_NW_TTL => Action::SetNwTtl(body.u8()?),
        DEC_NW_TTL => Action::DecNwTtl,
        SET_FIELD => decode_set_field(&mut body)?,
        PUSH_PBB => Action::PushPbb(body.u16()?),
        POP_PBB => Action::PopPbb,
        _ => {
            let experimenter = body.u32()?;
            let data = body.remainder();
            let known = if experimenter == NICIRA { nicira::decode(&data) } else { None };
            known.unwrap_or(Action::Experimenter { experimenter, data })
        }
    })
}

fn decode_set_field(body: &mut Reader<'_>) -> Result<Action, OfpError> {
    let (field, value, mask) = oxm::decode_entry(body, &oxm::SET_FIELD)?;
    if mask != field.full_mask() {
        return Err(OfpError::new(ErrorKind::BadActionBadSetArgument, format!("{} with a mask", field.name())));
    }
    if body.len() >= 8 {
        return Err(OfpError::new(ErrorKind::BadActionBadLen, format!("{} bytes after the field", body.len())));
    }
    Ok(Action::SetField { field, value, mask })
}

/// Writes actions.
pub fn encode_list(w: &mut Writer<'_>, actions: &[Action]) -> Result<(), EncodeError> {
    actions.iter().try_for_each(|a| encode(w, a))
}

fn encode(w: &mut Writer<'_>, action: &Action) -> Result<(), EncodeError> {
    let mark = w.begin(2);
    w.u16(number(action)?);
    w.u16(0);
    match action {
        Action::Output { port, max_len } => {
            w.u32(port.0);
            w.u16(*max_len);
        }
        Action::SetField { field, value, mask } if *mask == field.full_mask() => {
            oxm::encode_entry(w, *field, *value, None);
        }
        Action::SetField { field, value, mask } => {
            w.u32(NICIRA);
            nicira::encode_load(w, *field, *value, *mask);
        }
        Action::Move { src, dst } => {
            w.u32(NICIRA);
            nicira::encode_move(w, *src, *dst);
        }
        Action::Experimenter { experimenter, data } => {
            w.u32(*experimenter);
            w.bytes(data);
        }
        Action::PushVlan(ty) | Action::PushMpls(ty) | Action::PopMpls(ty) | Action::PushPbb(ty) => w.u16(*ty),
        Action::SetQueue(n) | Action::Group(GroupId(n)) => w.u32(*n),
        Action::SetMplsTtl(ttl) | Action::SetNwTtl(ttl) => w.u8(*ttl),
        _ => w.zeros(4),
    }
    w.pad8(mark);
    w.end(mark)
}

fn number(action: &Action) -> Result<u16, EncodeError> {
    Ok(match action {
        Action::Output { .. } => OUTPUT,
        Action::SetField { field, mask, .. } if *mask == field.full_mask() => SET_FIELD,
        Action::SetField { .. } | Action::Move { .. } | Action::Experimenter { .. } => EXPERIMENTER,
        Action::PushVlan(_) => PUSH_VLAN,
        Action::PopVlan => POP_VLAN,
        Action::DecNwTtl => DEC_NW_TTL,
        Action::SetNwTtl(_) => SET_NW_TTL,
        Action::Group(_) => GROUP,
        Action::SetQueue(_) => SET_QUEUE,
        Action::PushMpls(_) => PUSH_MPLS,
        Action::PopMpls(_) => POP_MPLS,
        Action::SetMplsTtl(_) => SET_MPLS_TTL,
        Action::DecMplsTtl => DEC_MPLS_TTL,
        Action::CopyTtlOut => COPY_TTL_OUT,
        Action::CopyTtlIn => COPY_TTL_IN,
        Action::PushPbb(_) => PUSH_PBB,
        Action::PopPbb => POP_PBB,
        Action::Enqueue { .. }
        | Action::SetVlanVid(_)
        | Action::SetVlanPcp(_)
        | Action::SetTpSrc(_)
        | Action::SetTpDst(_) => {
            return Err(EncodeError::NotInVersion { version: "1.3", what: action.to_string() });
        }
    })
}
