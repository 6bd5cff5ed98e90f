//! Actions (OpenFlow 1.0 §5.2.4).
//!
//! ```text
//!  type (16) | length (16, a multiple of 8) | body
//! ```

use crate::action::Action;
use crate::buf::{EncodeError, Reader, Writer};
use crate::error::{ErrorKind, OfpError};
use crate::field::Field;
use crate::nicira::{self, NICIRA};
use crate::v10::port_no;

const OUTPUT: u16 = 0;
const SET_VLAN_VID: u16 = 1;
const SET_VLAN_PCP: u16 = 2;
const STRIP_VLAN: u16 = 3;
const SET_DL_SRC: u16 = 4;
const SET_DL_DST: u16 = 5;
const SET_NW_SRC: u16 = 6;
const SET_NW_DST: u16 = 7;
const SET_NW_TOS: u16 = 8;
const SET_TP_SRC: u16 = 9;
const SET_TP_DST: u16 = 10;
const ENQUEUE: u16 = 11;
const VENDOR: u16 = 0xffff;

/// Every action up to the window's end.
pub(super) fn decode_list(r: &mut Reader<'_>) -> Result<Vec<Action>, OfpError> {
    r.list(decode)
}

fn decode(r: &mut Reader<'_>) -> Result<Action, OfpError> {
    let mut body = r.structure(2, 8, ErrorKind::BadActionBadLen)?;
    let len = body.len();
    let ty = body.u16()?;
    body.skip(2)?;
    let fixed = match ty {
        SET_DL_SRC | SET_DL_DST | ENQUEUE => 16,
        OUTPUT..=SET_TP_DST => 8,
        VENDOR => len.next_multiple_of(8),
        _ => return Err(OfpError::new(ErrorKind::BadActionBadType, format!("action type {ty}"))),
    };
    if len != fixed {
        return Err(OfpError::new(ErrorKind::BadActionBadLen, format!("action type {ty} of {len} bytes")));
    }
    let fits = |n: u16, most: u16, what: &str| {
        let bad = || OfpError::new(ErrorKind::BadActionBadArgument, format!("{what} {n}"));
        (n <= most).then_some(n).ok_or_else(bad)
    };
    Ok(match ty {
        OUTPUT => Action::Output { port: port_no::decode(&mut body)?, max_len: body.u16()? },
        SET_VLAN_VID => Action::SetVlanVid(fits(body.u16()?, 0xfff, "VLAN id")?),
        SET_VLAN_PCP => Action::SetVlanPcp(fits(body.u8()?.into(), 7, "VLAN priority")? as u8),
        STRIP_VLAN => Action::PopVlan,
        SET_DL_SRC => Action::set(Field::EthSrc, body.number(6)?),
        SET_DL_DST => Action::set(Field::EthDst, body.number(6)?),
        SET_NW_SRC => Action::set(Field::Ipv4Src, body.number(4)?),
        SET_NW_DST => Action::set(Field::Ipv4Dst, body.number(4)?),
        SET_NW_TOS => {
            let tos = body.u8()?;
            fits((tos & 3).into(), 0, "ECN bits in the type of service:")?;
            Action::set(Field::IpDscp, u128::from(tos >> 2))
        }
        SET_TP_SRC => Action::SetTpSrc(body.u16()?),
        SET_TP_DST => Action::SetTpDst(body.u16()?),
        ENQUEUE => {
            let port = port_no::decode(&mut body)?;
            body.skip(6)?;
            Action::Enqueue { port, queue: body.u32()? }
        }
        _ => {
            let experimenter = body.u32()?;
            let data = body.remainder();
            let known = if experimenter == NICIRA { nicira::decode(&data) } else { None };
            known.unwrap_or(Action::Experimenter { experimenter, data })
        }
    })
}

/// Writes actions.
pub(super) fn encode_list(w: &mut Writer<'_>, actions: &[Action]) -> Result<(), EncodeError> {
    actions.iter().try_for_each(|a| encode(w, a))
}

fn encode(w: &mut Writer<'_>, action: &Action) -> Result<(), EncodeError> {
    let mark = w.begin(2);
    let ty = number(action).ok_or_else(|| super::lacks(&format!("action {action}")))?;
    w.u16(ty);
    w.u16(0);
    match action {
        Action::Output { port, max_len } => {
            port_no::encode(w, *port)?;
            w.u16(*max_len);
        }
        Action::SetVlanVid(n) | Action::SetTpSrc(n) | Action::SetTpDst(n) => w.u16(*n),
        Action::SetVlanPcp(n) => w.u8(*n),
        Action::SetField { value, .. } if ty == SET_NW_TOS => w.u8((*value as u8) << 2),
        Action::SetField { value, .. } if matches!(ty, SET_NW_SRC | SET_NW_DST) => w.number(*value, 4),
        Action::SetField { value, .. } if matches!(ty, SET_DL_SRC | SET_DL_DST) => w.number(*value, 6),
        Action::SetField { field, value, mask } => {
            w.u32(NICIRA);
            nicira::encode_load(w, *field, *value, *mask);
        }
        Action::Move { src, dst } => {
            w.u32(NICIRA);
            nicira::encode_move(w, *src, *dst);
        }
        Action::Enqueue { port, queue } => {
            port_no::encode(w, *port)?;
            w.zeros(6);
            w.u32(*queue);
        }
        Action::Experimenter { experimenter, data } => {
            w.u32(*experimenter);
            w.bytes(data);
        }
        _ => w.zeros(4),
    }
    w.pad8(mark);
    w.end(mark)
}

fn number(action: &Action) -> Option<u16> {
    Some(match action {
        Action::Output { .. } => OUTPUT,
        Action::SetVlanVid(_) => SET_VLAN_VID,
        Action::SetVlanPcp(_) => SET_VLAN_PCP,
        Action::PopVlan => STRIP_VLAN,
        Action::SetField { field, mask, .. } if *mask == field.full_mask() => match field {
            Field::EthSrc => SET_DL_SRC,
            Field::EthDst => SET_DL_DST,
            Field::Ipv4Src => SET_NW_SRC,
            Field::Ipv4Dst => SET_NW_DST,
            Field::IpDscp => SET_NW_TOS,
            // As Open vSwitch says it.
            _ => VENDOR,
        },
        Action::SetTpSrc(_) => SET_TP_SRC,
        Action::SetTpDst(_) => SET_TP_DST,
        Action::Enqueue { .. } => ENQUEUE,
        Action::SetField { .. } | Action::Move { .. } | Action::Experimenter { .. } => VENDOR,
        _ => return None,
    })
}
