//! Instructions (OpenFlow 1.3.5 §7.2.4).
//!
//! ```text
//!  type (16) | length (16, a multiple of 8) | body
//! ```

use crate::action::Instructions;
use crate::buf::{EncodeError, Reader, Writer};
use crate::error::{ErrorKind, OfpError};
use crate::types::{MeterId, TableId};
use crate::v13::action;

const GOTO_TABLE: u16 = 1;
const WRITE_METADATA: u16 = 2;
const WRITE_ACTIONS: u16 = 3;
const APPLY_ACTIONS: u16 = 4;
const CLEAR_ACTIONS: u16 = 5;
const METER: u16 = 6;
const EXPERIMENTER: u16 = 0xffff;

/// Every instruction up to the window's end.
pub fn decode(r: &mut Reader<'_>) -> Result<Instructions, OfpError> {
    let mut out = Instructions::default();
    let mut seen = 0u8;
    while !r.is_empty() {
        let mut body = r.structure(2, 8, ErrorKind::BadInstructionBadLen)?;
        let len = body.len();
        let ty = body.u16()?;
        body.skip(2)?;
        let fixed = match ty {
            WRITE_METADATA => 24,
            GOTO_TABLE | CLEAR_ACTIONS | METER => 8,
            WRITE_ACTIONS | APPLY_ACTIONS => len.next_multiple_of(8),
            EXPERIMENTER => {
                let detail = format!("experimenter {:#010x}", body.u32()?);
                return Err(OfpError::new(ErrorKind::BadInstructionBadExperimenter, detail));
            }
            _ => return Err(OfpError::new(ErrorKind::BadInstructionUnknownInst, format!("instruction type {ty}"))),
        };
        if len != fixed {
            let detail = format!("instruction type {ty} of {len} bytes");
            return Err(OfpError::new(ErrorKind::BadInstructionBadLen, detail));
        }
        if seen & 1 << ty != 0 {
            return Err(OfpError::new(ErrorKind::BadInstructionDupInst, format!("instruction type {ty} twice")));
        }
        seen |= 1 << ty;
        match ty {
            GOTO_TABLE => out.goto = Some(TableId(body.u8()?)),
            WRITE_METADATA => {
                body.skip(4)?;
                out.metadata = Some((body.u64()?, body.u64()?));
            }
            METER => out.meter = Some(MeterId(body.u32()?)),
            CLEAR_ACTIONS => out.clear = true,
            _ => {
                body.skip(4)?;
                let list = action::decode_list(&mut body.failing(ErrorKind::BadActionBadLen))?;
                if ty == APPLY_ACTIONS {
                    out.apply = list;
                } else {
                    out.write = list;
                }
            }
        }
    }
    Ok(out)
}

/// Writes instructions in the order of their execution; empty lists are left out.
pub fn encode(w: &mut Writer<'_>, i: &Instructions) -> Result<(), EncodeError> {
    if let Some(meter) = i.meter {
        w.u16(METER);
        w.u16(8);
        w.u32(meter.0);
    }
    if !i.apply.is_empty() {
        encode_actions(w, APPLY_ACTIONS, &i.apply)?;
    }
    if i.clear {
        w.u16(CLEAR_ACTIONS);
        w.u16(8);
        w.zeros(4);
    }
    if !i.write.is_empty() {
        encode_actions(w, WRITE_ACTIONS, &i.write)?;
    }
    if let Some((value, mask)) = i.metadata {
        w.u16(WRITE_METADATA);
        w.u16(24);
        w.zeros(4);
        w.u64(value);
        w.u64(mask);
    }
    if let Some(table) = i.goto {
        w.u16(GOTO_TABLE);
        w.u16(8);
        w.u8(table.0);
        w.zeros(3);
    }
    Ok(())
}

fn encode_actions(w: &mut Writer<'_>, ty: u16, actions: &[crate::action::Action]) -> Result<(), EncodeError> {
    let mark = w.begin(2);
    w.u16(ty);
    w.u16(0);
    w.zeros(4);
    action::encode_list(w, actions)?;
    w.end(mark)
}
