//! Multipart requests and replies (OpenFlow 1.3.5 §7.3.5).
//!
//! ```text
//!  type (16) | flags (16): 1 = more | zeros (32) | body
//! ```

use crate::buf::{EncodeError, Reader, Writer};
use crate::error::{ErrorKind, OfpError};
use crate::message::{MultipartReply, MultipartRequest, SwitchDesc};
use crate::types::{GroupId, MeterId, PortNo};
use crate::v13::{experimenter, flow, group, meter, port, queue, table};

const DESC: u16 = 0;
const FLOW: u16 = 1;
const AGGREGATE: u16 = 2;
const TABLE: u16 = 3;
const PORT_STATS: u16 = 4;
const QUEUE: u16 = 5;
const GROUP: u16 = 6;
const GROUP_DESC: u16 = 7;
const GROUP_FEATURES: u16 = 8;
const METER: u16 = 9;
const METER_CONFIG: u16 = 10;
const METER_FEATURES: u16 = 11;
const TABLE_FEATURES: u16 = 12;
const PORT_DESC: u16 = 13;
const EXPERIMENTER: u16 = 0xffff;

fn decode_header(r: &mut Reader<'_>) -> Result<(u16, bool), OfpError> {
    let (ty, flags) = (r.u16()?, r.u16()?);
    r.skip(4)?;
    Ok((ty, flags & 1 != 0))
}

fn encode_header(w: &mut Writer<'_>, ty: u16, more: bool) {
    w.u16(ty);
    w.u16(u16::from(more));
    w.zeros(4);
}

pub(super) fn decode_request(r: &mut Reader<'_>) -> Result<(bool, MultipartRequest), OfpError> {
    let (ty, more) = decode_header(r)?;
    // A port, group or meter with 4 bytes of padding.
    let one = |r: &mut Reader<'_>| {
        let n = r.u32()?;
        r.skip(4)?;
        Ok::<_, OfpError>(n)
    };
    let body = match ty {
        DESC => MultipartRequest::Desc,
        FLOW => MultipartRequest::Flow(flow::decode_request(r)?),
        AGGREGATE => MultipartRequest::Aggregate(flow::decode_request(r)?),
        TABLE => MultipartRequest::Table,
        PORT_STATS => MultipartRequest::PortStats(PortNo(one(r)?)),
        QUEUE => MultipartRequest::Queue(queue::decode_request(r)?),
        GROUP => MultipartRequest::Group(GroupId(one(r)?)),
        GROUP_DESC => MultipartRequest::GroupDesc,
        GROUP_FEATURES => MultipartRequest::GroupFeatures,
        METER => MultipartRequest::Meter(MeterId(one(r)?)),
        METER_CONFIG => MultipartRequest::MeterConfig(MeterId(one(r)?)),
        METER_FEATURES => MultipartRequest::MeterFeatures,
        TABLE_FEATURES => MultipartRequest::TableFeatures(r.list(table::decode_features)?),
        PORT_DESC => MultipartRequest::PortDesc,
        EXPERIMENTER => {
            MultipartRequest::Experimenter { experimenter: r.u32()?, exp_type: Some(r.u32()?), data: r.remainder() }
        }
        _ => return Err(OfpError::new(ErrorKind::BadRequestBadMultipart, format!("multipart type {ty}"))),
    };
    Ok((more, body))
}

pub(super) fn encode_request(w: &mut Writer<'_>, more: bool, q: &MultipartRequest) -> Result<(), EncodeError> {
    let ty = match q {
        MultipartRequest::Desc => DESC,
        MultipartRequest::Flow(_) => FLOW,
        MultipartRequest::Aggregate(_) => AGGREGATE,
        MultipartRequest::Table => TABLE,
        MultipartRequest::PortStats(_) => PORT_STATS,
        MultipartRequest::Queue(_) => QUEUE,
        MultipartRequest::Group(_) => GROUP,
        MultipartRequest::GroupDesc => GROUP_DESC,
        MultipartRequest::GroupFeatures => GROUP_FEATURES,
        MultipartRequest::Meter(_) => METER,
        MultipartRequest::MeterConfig(_) => METER_CONFIG,
        MultipartRequest::MeterFeatures => METER_FEATURES,
        MultipartRequest::TableFeatures(_) => TABLE_FEATURES,
        MultipartRequest::PortDesc => PORT_DESC,
        MultipartRequest::Experimenter { .. } => EXPERIMENTER,
    };
    encode_header(w, ty, more);
    match q {
        MultipartRequest::Flow(q) | MultipartRequest::Aggregate(q) => flow::encode_request(w, q)?,
        MultipartRequest::PortStats(PortNo(n))
        | MultipartRequest::Group(GroupId(n))
        | MultipartRequest::Meter(MeterId(n))
        | MultipartRequest::MeterConfig(MeterId(n)) => {
            w.u32(*n);
            w.zeros(4);
        }
        MultipartRequest::Queue(q) => {
            w.u32(q.port.0);
            w.u32(q.queue);
        }
        MultipartRequest::TableFeatures(tables) => {
            tables.iter().try_for_each(|t| table::encode_features(w, t))?;
        }
        MultipartRequest::Experimenter { experimenter, exp_type, data } => {
            experimenter::encode_body(w, *experimenter, *exp_type, data)?;
        }
        _ => {}
    }
    Ok(())
}

pub(super) fn decode_reply(r: &mut Reader<'_>) -> Result<(bool, MultipartReply), OfpError> {
    let (ty, more) = decode_header(r)?;
    let body = match ty {
        DESC => MultipartReply::Desc(decode_desc(r)?),
        FLOW => MultipartReply::Flow(r.list(flow::decode_stats)?),
        AGGREGATE => MultipartReply::Aggregate(flow::decode_aggregate(r)?),
        TABLE => MultipartReply::Table(r.list(table::decode_stats)?),
        PORT_STATS => MultipartReply::PortStats(r.list(port::decode_stats)?),
        QUEUE => MultipartReply::Queue(r.list(queue::decode_stats)?),
        GROUP => MultipartReply::Group(r.list(group::decode_stats)?),
        GROUP_DESC => MultipartReply::GroupDesc(r.list(group::decode_desc)?),
        GROUP_FEATURES => MultipartReply::GroupFeatures(group::decode_features(r)?),
        METER => MultipartReply::Meter(r.list(meter::decode_stats)?),
        METER_CONFIG => MultipartReply::MeterConfig(r.list(meter::decode_config)?),
        METER_FEATURES => MultipartReply::MeterFeatures(meter::decode_features(r)?),
        TABLE_FEATURES => MultipartReply::TableFeatures(r.list(table::decode_features)?),
        PORT_DESC => MultipartReply::PortDesc(r.list(port::decode)?),
        EXPERIMENTER => {
            MultipartReply::Experimenter { experimenter: r.u32()?, exp_type: Some(r.u32()?), data: r.remainder() }
        }
        _ => return Err(OfpError::new(ErrorKind::BadRequestBadMultipart, format!("multipart type {ty}"))),
    };
    Ok((more, body))
}

pub(super) fn encode_reply(w: &mut Writer<'_>, more: bool, m: &MultipartReply) -> Result<(), EncodeError> {
    let ty = match m {
        MultipartReply::Desc(_) => DESC,
        MultipartReply::Flow(_) => FLOW,
        MultipartReply::Aggregate(_) => AGGREGATE,
        MultipartReply::Table(_) => TABLE,
        MultipartReply::PortStats(_) => PORT_STATS,
        MultipartReply::Queue(_) => QUEUE,
        MultipartReply::Group(_) => GROUP,
        MultipartReply::GroupDesc(_) => GROUP_DESC,
        MultipartReply::GroupFeatures(_) => GROUP_FEATURES,
        MultipartReply::Meter(_) => METER,
        MultipartReply::MeterConfig(_) => METER_CONFIG,
        MultipartReply::MeterFeatures(_) => METER_FEATURES,
        MultipartReply::TableFeatures(_) => TABLE_FEATURES,
        MultipartReply::PortDesc(_) => PORT_DESC,
        MultipartReply::Experimenter { .. } => EXPERIMENTER,
    };
    encode_header(w, ty, more);
    match m {
        MultipartReply::Desc(d) => encode_desc(w, d),
        MultipartReply::Flow(list) => list.iter().try_for_each(|s| flow::encode_stats(w, s))?,
        MultipartReply::Aggregate(s) => flow::encode_aggregate(w, s),
        MultipartReply::Table(list) => list.iter().for_each(|s| table::encode_stats(w, s)),
        MultipartReply::PortStats(list) => list.iter().for_each(|s| port::encode_stats(w, s)),
        MultipartReply::Queue(list) => list.iter().for_each(|s| queue::encode_stats(w, s)),
        MultipartReply::Group(list) => list.iter().try_for_each(|s| group::encode_stats(w, s))?,
        MultipartReply::GroupDesc(list) => list.iter().try_for_each(|d| group::encode_desc(w, d))?,
        MultipartReply::GroupFeatures(f) => group::encode_features(w, f),
        MultipartReply::Meter(list) => list.iter().try_for_each(|s| meter::encode_stats(w, s))?,
        MultipartReply::MeterConfig(list) => list.iter().try_for_each(|c| meter::encode_config(w, c))?,
        MultipartReply::MeterFeatures(f) => meter::encode_features(w, f),
        MultipartReply::TableFeatures(list) => list.iter().try_for_each(|t| table::encode_features(w, t))?,
        MultipartReply::PortDesc(list) => list.iter().for_each(|p| port::encode(w, p)),
        MultipartReply::Experimenter { experimenter, exp_type, data } => {
            experimenter::encode_body(w, *experimenter, *exp_type, data)?;
        }
    }
    Ok(())
}

/// The same in both versions.
pub fn decode_desc(r: &mut Reader<'_>) -> Result<SwitchDesc, OfpError> {
    Ok(SwitchDesc {
        manufacturer: r.text(256)?,
        hardware: r.text(256)?,
        software: r.text(256)?,
        serial: r.text(32)?,
        datapath: r.text(256)?,
    })
}

/// The same in both versions.
pub fn encode_desc(w: &mut Writer<'_>, d: &SwitchDesc) {
    w.text(&d.manufacturer, 256);
    w.text(&d.hardware, 256);
    w.text(&d.software, 256);
    w.text(&d.serial, 32);
    w.text(&d.datapath, 256);
}
