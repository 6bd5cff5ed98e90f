//! Queues (OpenFlow 1.3.5 §7.2.2, §7.3.6, §7.3.5.8).

use crate::buf::{EncodeError, Reader, Writer};
use crate::error::{ErrorKind, OfpError};
use crate::message::{QueueConfig, QueueDesc, QueueProperty, QueueStats, QueueStatsRequest};
use crate::types::PortNo;
use crate::v13::flow::{decode_duration, encode_duration};

const MIN_RATE: u16 = 1;
const MAX_RATE: u16 = 2;
const EXPERIMENTER: u16 = 0xffff;

pub(super) fn decode_config(r: &mut Reader<'_>) -> Result<QueueConfig, OfpError> {
    let port = PortNo(r.u32()?);
    r.skip(4)?;
    let queues = r.list(|r| {
        let mut r = r.structure(8, 16, ErrorKind::BadRequestBadLen)?;
        let (queue, port) = (r.u32()?, PortNo(r.u32()?));
        r.skip(8)?;
        Ok(QueueDesc { queue, port, properties: r.list(decode_property)? })
    })?;
    Ok(QueueConfig { port, queues })
}

pub(super) fn encode_config(w: &mut Writer<'_>, c: &QueueConfig) -> Result<(), EncodeError> {
    w.u32(c.port.0);
    w.zeros(4);
    c.queues.iter().try_for_each(|q| {
        let mark = w.begin(8);
        w.u32(q.queue);
        w.u32(q.port.0);
        w.zeros(8);
        q.properties.iter().try_for_each(|p| encode_property(w, p))?;
        w.end(mark)
    })
}

/// The same in both versions.
pub fn decode_property(r: &mut Reader<'_>) -> Result<QueueProperty, OfpError> {
    let mut r = r.structure(2, 12, ErrorKind::BadRequestBadLen)?;
    let ty = r.u16()?;
    r.skip(6)?;
    Ok(match ty {
        MIN_RATE => QueueProperty::MinRate(r.u16()?),
        MAX_RATE => QueueProperty::MaxRate(r.u16()?),
        EXPERIMENTER => {
            let experimenter = r.u32()?;
            r.skip(4)?;
            QueueProperty::Experimenter { experimenter, data: r.remainder() }
        }
        _ => return Err(super::unknown("queue property", ty.into())),
    })
}

/// The same in both versions.
pub fn encode_property(w: &mut Writer<'_>, p: &QueueProperty) -> Result<(), EncodeError> {
    let mark = w.begin(2);
    w.u16(match p {
        QueueProperty::MinRate(_) => MIN_RATE,
        QueueProperty::MaxRate(_) => MAX_RATE,
        QueueProperty::Experimenter { .. } => EXPERIMENTER,
    });
    w.zeros(6);
    match p {
        QueueProperty::MinRate(rate) | QueueProperty::MaxRate(rate) => {
            w.u16(*rate);
            w.zeros(6);
        }
        QueueProperty::Experimenter { experimenter, data } => {
            w.u32(*experimenter);
            w.zeros(4);
            w.bytes(data);
        }
    }
    w.end(mark)
}

pub(super) fn decode_request(r: &mut Reader<'_>) -> Result<QueueStatsRequest, OfpError> {
    Ok(QueueStatsRequest { port: PortNo(r.u32()?), queue: r.u32()? })
}

pub(super) fn decode_stats(r: &mut Reader<'_>) -> Result<QueueStats, OfpError> {
    Ok(QueueStats {
        port: PortNo(r.u32()?),
        queue: r.u32()?,
        tx_bytes: r.u64()?,
        tx_packets: r.u64()?,
        tx_errors: r.u64()?,
        duration: decode_duration(r)?,
    })
}

pub(super) fn encode_stats(w: &mut Writer<'_>, s: &QueueStats) {
    w.u32(s.port.0);
    w.u32(s.queue);
    for n in [s.tx_bytes, s.tx_packets, s.tx_errors] {
        w.u64(n);
    }
    encode_duration(w, s.duration);
}
