//! Counters of tables (OpenFlow 1.0 §5.3.5).

use crate::buf::{Reader, Writer};
use crate::error::OfpError;
use crate::message::TableStats;
use crate::types::TableId;

pub(super) fn decode_stats(r: &mut Reader<'_>) -> Result<TableStats, OfpError> {
    let table = TableId(r.u8()?);
    r.skip(3)?;
    Ok(TableStats {
        table,
        name: r.text(32)?,
        wildcards: r.u32()?,
        max_entries: r.u32()?,
        active: r.u32()?,
        lookups: r.u64()?,
        matched: r.u64()?,
    })
}

pub(super) fn encode_stats(w: &mut Writer<'_>, s: &TableStats) {
    w.u8(s.table.0);
    w.zeros(3);
    w.text(&s.name, 32);
    w.u32(s.wildcards);
    w.u32(s.max_entries);
    w.u32(s.active);
    w.u64(s.lookups);
    w.u64(s.matched);
}
