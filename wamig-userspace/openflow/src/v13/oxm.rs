//! Matches and OXM entries (OpenFlow 1.3.5 §7.2.3).
//!
//! ```text
//!  match:  type (16) = 1 | length (16, no padding) | entries ... | zeros up to 8
//!  entry:  class (16) | field (7) hasmask (1) | length (8) | value | mask
//! ```

use crate::buf::{EncodeError, Reader, Writer};
use crate::error::{ErrorKind, OfpError};
use crate::field::Field;
use crate::flow_match::Match;

/// `OFPXMC_OPENFLOW_BASIC`.
pub const CLASS_BASIC: u16 = 0x8000;
/// `OFPMT_OXM`.
const MATCH_OXM: u16 = 1;

/// Which errors an entry's faults are: those of a match or those of a set-field.
pub struct Faults {
    field: ErrorKind,
    len: ErrorKind,
    value: ErrorKind,
    mask: ErrorKind,
    wildcards: ErrorKind,
    /// Whether every field may be meant in part.
    parts: bool,
}

/// Faults of a match.
pub const MATCH: Faults = Faults {
    field: ErrorKind::BadMatchBadField,
    len: ErrorKind::BadMatchBadLen,
    value: ErrorKind::BadMatchBadValue,
    mask: ErrorKind::BadMatchBadMask,
    wildcards: ErrorKind::BadMatchBadWildcards,
    parts: false,
};
/// Faults of a set-field. Which field can be written in part is the switch's to say.
pub const SET_FIELD: Faults = Faults {
    field: ErrorKind::BadActionBadSetType,
    len: ErrorKind::BadActionBadSetLen,
    value: ErrorKind::BadActionBadSetArgument,
    mask: ErrorKind::BadActionBadSetArgument,
    wildcards: ErrorKind::BadActionBadSetArgument,
    parts: true,
};

/// The 32-bit header of a field's entry.
pub fn header(field: Field, masked: bool) -> u32 {
    let len = u32::from(field.wire_len()) << u32::from(masked);
    u32::from(CLASS_BASIC) << 16 | u32::from(field.oxm()) << 9 | u32::from(masked) << 8 | len
}

/// Field, value and mask of the next entry.
pub fn decode_entry(r: &mut Reader<'_>, faults: &Faults) -> Result<(Field, u128, u128), OfpError> {
    let class = r.u16()?;
    let number = r.u8()?;
    let len = usize::from(r.u8()?);
    let mut body = r.window(len, faults.len)?;
    let known = if class == CLASS_BASIC { Field::from_oxm(number >> 1) } else { None };
    let Some(field) = known else {
        return Err(OfpError::new(faults.field, format!("class {class:#06x} field {}", number >> 1)));
    };
    let masked = number & 1 != 0;
    let size = usize::from(field.wire_len());
    if len != size << u8::from(masked) {
        return Err(OfpError::new(faults.len, format!("{} of {len} bytes", field.name())));
    }
    let value = body.number(size)?;
    if value & !field.full_mask() != 0 {
        return Err(OfpError::new(faults.value, format!("{}={value:#x}", field.name())));
    }
    if !masked {
        return Ok((field, value, field.full_mask()));
    }
    let mask = body.number(size)?;
    let whole_only = !faults.parts && !field.maskable();
    if mask & !field.full_mask() != 0 || whole_only && mask != field.full_mask() {
        return Err(OfpError::new(faults.mask, format!("{}={value:#x}/{mask:#x}", field.name())));
    }
    if value & !mask != 0 {
        return Err(OfpError::new(faults.wildcards, format!("{}={value:#x}/{mask:#x}", field.name())));
    }
    Ok((field, value, mask))
}

/// Writes an entry.
pub fn encode_entry(w: &mut Writer<'_>, field: Field, value: u128, mask: Option<u128>) {
    let size = usize::from(field.wire_len());
    w.u32(header(field, mask.is_some()));
    w.number(value, size);
    if let Some(mask) = mask {
        w.number(mask, size);
    }
}

/// The window of a match's entries; its padding is passed over.
fn entries<'a>(r: &mut Reader<'a>) -> Result<Reader<'a>, OfpError> {
    let mut body = r.structure(2, 4, ErrorKind::BadMatchBadLen)?;
    let pad = body.len().next_multiple_of(8) - body.len();
    let ty = body.u16()?;
    if ty != MATCH_OXM {
        return Err(OfpError::new(ErrorKind::BadMatchBadType, format!("match type {ty}; 1 (OXM) is spoken here")));
    }
    body.skip(2)?;
    r.window(pad, ErrorKind::BadMatchBadLen)?;
    Ok(body)
}

/// A match with its padding.
pub fn decode(r: &mut Reader<'_>) -> Result<Match, OfpError> {
    let mut body = entries(r)?;
    let mut seen = 0u64;
    let mut out = Match::any();
    while !body.is_empty() {
        let (field, value, mask) = decode_entry(&mut body, &MATCH)?;
        if seen & 1 << field.oxm() != 0 {
            return Err(OfpError::new(ErrorKind::BadMatchDupField, field.name()));
        }
        seen |= 1 << field.oxm();
        out = out.with_masked(field, value, mask);
    }
    Ok(out)
}

/// A match of a packet-in: fields that are not ours are passed over.
pub fn decode_metadata(r: &mut Reader<'_>) -> Result<Match, OfpError> {
    let mut body = entries(r)?;
    let mut out = Match::any();
    while !body.is_empty() {
        let mut one = body.clone();
        if let Ok((field, value, mask)) = decode_entry(&mut one, &MATCH) {
            out = out.with_masked(field, value, mask);
            body = one;
        } else {
            body.skip(3)?;
            let len = body.u8()?;
            body.skip(usize::from(len))?;
        }
    }
    Ok(out)
}

/// Writes a match with its padding.
pub fn encode(w: &mut Writer<'_>, matching: &Match) -> Result<(), EncodeError> {
    let mark = w.begin(2);
    w.u16(MATCH_OXM);
    w.u16(0);
    for (field, m) in matching.iter() {
        encode_entry(w, field, m.value, (m.mask != field.full_mask()).then_some(m.mask));
    }
    w.end(mark)?;
    w.pad8(mark);
    Ok(())
}
