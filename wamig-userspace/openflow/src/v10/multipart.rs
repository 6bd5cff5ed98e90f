//! Stats requests and replies (OpenFlow 1.0 §5.3.5). The whole header has 12 bytes: there is
//! no padding behind the flags.
//!
//! ```text
//!  type (16) | flags (16): 1 = more | body
//! ```

use crate::buf::{EncodeError, Reader, Writer};
use crate::error::{ErrorKind, OfpError};
use crate::message::{MultipartReply, MultipartRequest};
use crate::v10::{experimenter, flow, port, port_no, queue, table};
use crate::v13::flow::{decode_aggregate, encode_aggregate};
use crate::v13::multipart::{decode_desc, encode_desc};

const DESC: u16 = 0;
const FLOW: u16 = 1;
const AGGREGATE: u16 = 2;
const TABLE: u16 = 3;
const PORT: u16 = 4;
const QUEUE: u16 = 5;
const VENDOR: u16 = 0xffff;

fn no_such(ty: u16) -> OfpError {
    OfpError::new(ErrorKind::BadRequestBadMultipart, format!("stats type {ty}"))
}

pub(super) fn decode_request(r: &mut Reader<'_>) -> Result<(bool, MultipartRequest), OfpError> {
    let (ty, flags) = (r.u16()?, r.u16()?);
    let body = match ty {
        DESC => MultipartRequest::Desc,
        FLOW => MultipartRequest::Flow(flow::decode_request(r)?),
        AGGREGATE => MultipartRequest::Aggregate(flow::decode_request(r)?),
        TABLE => MultipartRequest::Table,
        PORT => {
            let port = port_no::decode(r)?;
            r.skip(6)?;
            MultipartRequest::PortStats(port)
        }
        QUEUE => MultipartRequest::Queue(queue::decode_request(r)?),
        VENDOR => {
            let (experimenter, exp_type) = experimenter::decode_head(r)?;
            MultipartRequest::Experimenter { experimenter, exp_type, data: r.remainder() }
        }
        _ => return Err(no_such(ty)),
    };
    Ok((flags & 1 != 0, body))
}

pub(super) fn encode_request(w: &mut Writer<'_>, more: bool, q: &MultipartRequest) -> Result<(), EncodeError> {
    let mut head = |ty: u16| {
        w.u16(ty);
        w.u16(u16::from(more));
    };
    match q {
        MultipartRequest::Desc => head(DESC),
        MultipartRequest::Flow(q) => {
            head(FLOW);
            flow::encode_request(w, q)?;
        }
        MultipartRequest::Aggregate(q) => {
            head(AGGREGATE);
            flow::encode_request(w, q)?;
        }
        MultipartRequest::Table => head(TABLE),
        MultipartRequest::PortStats(port) => {
            head(PORT);
            port_no::encode(w, *port)?;
            w.zeros(6);
        }
        MultipartRequest::Queue(q) => {
            head(QUEUE);
            queue::encode_request(w, *q)?;
        }
        MultipartRequest::Experimenter { experimenter, exp_type, data } => {
            head(VENDOR);
            experimenter::encode_body(w, *experimenter, *exp_type, data);
        }
        _ => return Err(super::lacks("such a stats request")),
    }
    Ok(())
}

pub(super) fn decode_reply(r: &mut Reader<'_>) -> Result<(bool, MultipartReply), OfpError> {
    let (ty, flags) = (r.u16()?, r.u16()?);
    let body = match ty {
        DESC => MultipartReply::Desc(decode_desc(r)?),
        FLOW => MultipartReply::Flow(r.list(flow::decode_stats)?),
        AGGREGATE => MultipartReply::Aggregate(decode_aggregate(r)?),
        TABLE => MultipartReply::Table(r.list(table::decode_stats)?),
        PORT => MultipartReply::PortStats(r.list(port::decode_stats)?),
        QUEUE => MultipartReply::Queue(r.list(queue::decode_stats)?),
        VENDOR => {
            let (experimenter, exp_type) = experimenter::decode_head(r)?;
            MultipartReply::Experimenter { experimenter, exp_type, data: r.remainder() }
        }
        _ => return Err(no_such(ty)),
    };
    Ok((flags & 1 != 0, body))
}

pub(super) fn encode_reply(w: &mut Writer<'_>, more: bool, m: &MultipartReply) -> Result<(), EncodeError> {
    w.u16(match m {
        MultipartReply::Desc(_) => DESC,
        MultipartReply::Flow(_) => FLOW,
        MultipartReply::Aggregate(_) => AGGREGATE,
        MultipartReply::Table(_) => TABLE,
        MultipartReply::PortStats(_) => PORT,
        MultipartReply::Queue(_) => QUEUE,
        MultipartReply::Experimenter { .. } => VENDOR,
        _ => return Err(super::lacks("such a stats reply")),
    });
    w.u16(u16::from(more));
    match m {
        MultipartReply::Desc(d) => encode_desc(w, d),
        MultipartReply::Flow(list) => list.iter().try_for_each(|s| flow::encode_stats(w, s))?,
        MultipartReply::Aggregate(s) => encode_aggregate(w, s),
        MultipartReply::Table(list) => list.iter().for_each(|s| table::encode_stats(w, s)),
        MultipartReply::PortStats(list) => list.iter().try_for_each(|s| port::encode_stats(w, s))?,
        MultipartReply::Queue(list) => list.iter().try_for_each(|s| queue::encode_stats(w, s))?,
        MultipartReply::Experimenter { experimenter, exp_type, data } => {
            experimenter::encode_body(w, *experimenter, *exp_type, data);
        }
        _ => {}
    }
    Ok(())
}
