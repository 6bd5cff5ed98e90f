//! Queues (OpenFlow 1.0 §5.2.2, §5.3.4, §5.3.5).

use std::time::Duration;

use crate::buf::{EncodeError, Reader, Writer};
use crate::error::{ErrorKind, OfpError};
use crate::message::{QueueConfig, QueueDesc, QueueProperty, QueueStats, QueueStatsRequest};
use crate::v10::port_no;
use crate::v13::queue::{decode_property, encode_property};

pub(super) fn decode_config(r: &mut Reader<'_>) -> Result<QueueConfig, OfpError> {
    let port = port_no::decode(r)?;
    r.skip(6)?;
    let queues = r.list(|r| {
        let mut r = r.structure(4, 8, ErrorKind::BadRequestBadLen)?;
        let queue = r.u32()?;
        r.skip(4)?;
        let mut properties = r.list(decode_property)?;
        properties.retain(is_known);
        Ok(QueueDesc { queue, port, properties })
    })?;
    Ok(QueueConfig { port, queues })
}

pub(super) fn encode_config(w: &mut Writer<'_>, c: &QueueConfig) -> Result<(), EncodeError> {
    port_no::encode(w, c.port)?;
    w.zeros(6);
    c.queues.iter().try_for_each(|q| {
        let mark = w.begin(4);
        w.u32(q.queue);
        w.zeros(4);
        q.properties.iter().filter(|p| is_known(p)).try_for_each(|p| encode_property(w, p))?;
        w.end(mark)
    })
}

/// 1.0 has no other property: what is not known to it is left out both ways.
const fn is_known(property: &QueueProperty) -> bool {
    matches!(property, QueueProperty::MinRate(_))
}

pub(super) fn decode_request(r: &mut Reader<'_>) -> Result<QueueStatsRequest, OfpError> {
    let port = port_no::decode(r)?;
    r.skip(2)?;
    Ok(QueueStatsRequest { port, queue: r.u32()? })
}

pub(super) fn encode_request(w: &mut Writer<'_>, q: QueueStatsRequest) -> Result<(), EncodeError> {
    port_no::encode(w, q.port)?;
    w.zeros(2);
    w.u32(q.queue);
    Ok(())
}

pub(super) fn decode_stats(r: &mut Reader<'_>) -> Result<QueueStats, OfpError> {
    let QueueStatsRequest { port, queue } = decode_request(r)?;
    let (tx_bytes, tx_packets, tx_errors) = (r.u64()?, r.u64()?, r.u64()?);
    Ok(QueueStats { port, queue, tx_bytes, tx_packets, tx_errors, duration: Duration::ZERO })
}

pub(super) fn encode_stats(w: &mut Writer<'_>, s: &QueueStats) -> Result<(), EncodeError> {
    encode_request(w, QueueStatsRequest { port: s.port, queue: s.queue })?;
    for n in [s.tx_bytes, s.tx_packets, s.tx_errors] {
        w.u64(n);
    }
    Ok(())
}
