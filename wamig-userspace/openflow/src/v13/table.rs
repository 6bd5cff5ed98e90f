//! Flow tables: table-mod, counters, features (OpenFlow 1.3.5 §7.3.3, §7.3.5.4–5).
//!
//! ```text
//!  features: length | table | metadata match, write | config | max entries | properties ...
//!  property: type (16) | length (16, no padding) | ids ... | zeros up to 8
//! ```

use crate::buf::{EncodeError, Reader, Writer};
use crate::error::{ErrorKind, OfpError};
use crate::field::Field;
use crate::message::{FeatureField, FeatureId, Scope, TableFeatures, TableMod, TableProperty, TableStats};
use crate::types::TableId;
use crate::v13::oxm;

const EXPERIMENTER: u16 = 0xffff;
const CLASS_EXPERIMENTER: u32 = 0xffff;

pub(super) fn decode_mod(r: &mut Reader<'_>) -> Result<TableMod, OfpError> {
    let table = TableId(r.u8()?);
    r.skip(3)?;
    Ok(TableMod { table, config: r.u32()? })
}

pub(super) fn encode_mod(w: &mut Writer<'_>, m: TableMod) {
    w.u8(m.table.0);
    w.zeros(3);
    w.u32(m.config);
}

pub(super) fn decode_stats(r: &mut Reader<'_>) -> Result<TableStats, OfpError> {
    let table = TableId(r.u8()?);
    r.skip(3)?;
    Ok(TableStats { table, active: r.u32()?, lookups: r.u64()?, matched: r.u64()?, ..TableStats::default() })
}

pub(super) fn encode_stats(w: &mut Writer<'_>, s: &TableStats) {
    w.u8(s.table.0);
    w.zeros(3);
    w.u32(s.active);
    w.u64(s.lookups);
    w.u64(s.matched);
}

pub(super) fn decode_features(r: &mut Reader<'_>) -> Result<TableFeatures, OfpError> {
    let mut r = r.structure(0, 64, ErrorKind::TableFeaturesBadLen)?;
    r.skip(2)?;
    let table = TableId(r.u8()?);
    r.skip(5)?;
    Ok(TableFeatures {
        table,
        name: r.text(32)?,
        metadata_match: r.u64()?,
        metadata_write: r.u64()?,
        config: r.u32()?,
        max_entries: r.u32()?,
        properties: r.list(decode_property)?,
    })
}

pub(super) fn encode_features(w: &mut Writer<'_>, f: &TableFeatures) -> Result<(), EncodeError> {
    let mark = w.begin(0);
    w.u16(0);
    w.u8(f.table.0);
    w.zeros(5);
    w.text(&f.name, 32);
    w.u64(f.metadata_match);
    w.u64(f.metadata_write);
    w.u32(f.config);
    w.u32(f.max_entries);
    f.properties.iter().try_for_each(|p| encode_property(w, p))?;
    w.end(mark)
}

fn decode_property(r: &mut Reader<'_>) -> Result<TableProperty, OfpError> {
    let mut body = r.structure(2, 4, ErrorKind::TableFeaturesBadLen)?;
    let pad = body.len().next_multiple_of(8) - body.len();
    r.window(pad, ErrorKind::TableFeaturesBadLen)?;
    let ty = body.u16()?;
    body.skip(2)?;
    let scope = if ty & 1 == 0 { Scope::Flow } else { Scope::Miss };
    Ok(match ty {
        0 | 1 => TableProperty::Instructions(scope, body.list(decode_id)?),
        2 | 3 => TableProperty::NextTables(scope, body.list(|r| Ok(TableId(r.u8()?)))?),
        4 | 5 => TableProperty::WriteActions(scope, body.list(decode_id)?),
        6 | 7 => TableProperty::ApplyActions(scope, body.list(decode_id)?),
        8 => TableProperty::Match(body.list(decode_field)?),
        10 => TableProperty::Wildcards(body.list(decode_field)?),
        12 | 13 => TableProperty::WriteSetField(scope, body.list(decode_field)?),
        14 | 15 => TableProperty::ApplySetField(scope, body.list(decode_field)?),
        0xfffe | 0xffff => TableProperty::Experimenter {
            scope,
            experimenter: body.u32()?,
            exp_type: body.u32()?,
            data: body.remainder(),
        },
        _ => {
            let detail = format!("table feature property {ty}");
            return Err(OfpError::new(ErrorKind::TableFeaturesBadType, detail));
        }
    })
}

fn encode_property(w: &mut Writer<'_>, p: &TableProperty) -> Result<(), EncodeError> {
    let mark = w.begin(2);
    let of = |ty: u16, scope: &Scope| ty + u16::from(*scope == Scope::Miss);
    w.u16(match p {
        TableProperty::Instructions(scope, _) => of(0, scope),
        TableProperty::NextTables(scope, _) => of(2, scope),
        TableProperty::WriteActions(scope, _) => of(4, scope),
        TableProperty::ApplyActions(scope, _) => of(6, scope),
        TableProperty::Match(_) => 8,
        TableProperty::Wildcards(_) => 10,
        TableProperty::WriteSetField(scope, _) => of(12, scope),
        TableProperty::ApplySetField(scope, _) => of(14, scope),
        TableProperty::Experimenter { scope, .. } => of(0xfffe, scope),
    });
    w.u16(0);
    match p {
        TableProperty::Instructions(_, ids)
        | TableProperty::WriteActions(_, ids)
        | TableProperty::ApplyActions(_, ids) => ids.iter().try_for_each(|id| encode_id(w, id))?,
        TableProperty::NextTables(_, tables) => tables.iter().for_each(|t| w.u8(t.0)),
        TableProperty::Match(fields)
        | TableProperty::Wildcards(fields)
        | TableProperty::WriteSetField(_, fields)
        | TableProperty::ApplySetField(_, fields) => fields.iter().for_each(|f| encode_field(w, *f)),
        TableProperty::Experimenter { experimenter, exp_type, data, .. } => {
            w.u32(*experimenter);
            w.u32(*exp_type);
            w.bytes(data);
        }
    }
    w.end(mark)?;
    w.pad8(mark);
    Ok(())
}

fn decode_id(r: &mut Reader<'_>) -> Result<FeatureId, OfpError> {
    let mut body = r.structure(2, 4, ErrorKind::TableFeaturesBadLen)?;
    let ty = body.u16()?;
    body.skip(2)?;
    if ty == EXPERIMENTER {
        return Ok(FeatureId::Experimenter(body.u32()?, body.remainder()));
    }
    Ok(FeatureId::Number(ty))
}

fn encode_id(w: &mut Writer<'_>, id: &FeatureId) -> Result<(), EncodeError> {
    let mark = w.begin(2);
    match id {
        FeatureId::Number(n) => {
            w.u16(*n);
            w.u16(0);
        }
        FeatureId::Experimenter(experimenter, data) => {
            w.u16(EXPERIMENTER);
            w.u16(0);
            w.u32(*experimenter);
            w.bytes(data);
        }
    }
    w.end(mark)
}

/// The length in the header is that of the value, of value and mask together where there may be
/// a mask (§7.3.5.5.2). Implementations that always give the value's alone, or 0, are understood.
fn decode_field(r: &mut Reader<'_>) -> Result<FeatureField, OfpError> {
    const LENGTH: u32 = 0xff;
    let header = r.u32()?;
    if header >> 16 == CLASS_EXPERIMENTER {
        return Ok(FeatureField::Other(header, Some(r.u32()?)));
    }
    let masked = header & 0x100 != 0;
    let lengths = |field| [oxm::header(field, masked), oxm::header(field, false) | header & 0x100];
    Ok(match Field::from_oxm((header >> 9 & 0x7f) as u8) {
        Some(field) if lengths(field).iter().any(|full| header == *full || header == *full & !LENGTH) => {
            FeatureField::Known { field, masked }
        }
        _ => FeatureField::Other(header, None),
    })
}

fn encode_field(w: &mut Writer<'_>, f: FeatureField) {
    match f {
        FeatureField::Known { field, masked } => w.u32(oxm::header(field, masked)),
        FeatureField::Other(header, experimenter) => {
            w.u32(header);
            if let Some(id) = experimenter {
                w.u32(id);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::error::ErrorKind;

    #[test]
    fn a_field_is_known_whatever_its_length_may_mean() {
        // EtherType, ETH_DST with a mask: the value's length, both lengths, none; then one that is wrong.
        let headers = [0x8000_0a02_u32, 0x8000_0a00, 0x8000_0706, 0x8000_070c, 0x8000_0700, 0x8000_0707];
        let bytes: Bytes = headers.iter().flat_map(|header| header.to_be_bytes()).collect();
        let mut reader = Reader::new(&bytes, ErrorKind::BadRequestBadLen);
        let fields: Vec<_> = headers.iter().map(|_| decode_field(&mut reader).ok()).collect();
        let eth_type = Some(FeatureField::exact(Field::EthType));
        let eth_dst = Some(FeatureField::Known { field: Field::EthDst, masked: true });
        let wrong = Some(FeatureField::Other(0x8000_0707, None));
        assert_eq!(fields, [eth_type, eth_type, eth_dst, eth_dst, eth_dst, wrong]);
    }
}
