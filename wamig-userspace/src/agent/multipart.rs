//! Multipart requests: their parts put together, and replies cut into messages of at most
//! 64 KiB (OpenFlow 1.3.5 §7.3.5).

use std::collections::VecDeque;
use std::time::Instant;

use bytes::Bytes;
use wamig_openflow::message::{FlowStatsRequest, MultipartReply, MultipartRequest};
use wamig_openflow::{ErrorKind, FlowStats, Instructions, Message, OfpError, TableId, Version, Xid};

use super::session::Session;
use super::translate;
use crate::channel::outbox::Class;
use crate::fastpath::FastPath;
use crate::switch::Switch;

/// Requests of one session of which parts are missing.
const INCOMPLETE: usize = 8;
/// Tables in one request.
const TABLES: usize = 1024;
/// Elements that are tried in one message first.
const FIRST_GUESS: usize = 128;

/// The request once it is whole.
///
/// # Errors
/// `OFPBRC_MULTIPART_BUFFER_OVERFLOW` for more than is kept, and for parts of what has one.
pub(super) fn assemble(
    session: &mut Session,
    xid: Xid,
    more: bool,
    body: MultipartRequest,
) -> Result<Option<MultipartRequest>, OfpError> {
    let overflow = |detail: &str| Err(OfpError::new(ErrorKind::BadRequestMultipartBufferOverflow, detail));
    match body {
        MultipartRequest::TableFeatures(part) => {
            let known = session.parts.contains_key(&xid);
            if !more && !known {
                return Ok(Some(MultipartRequest::TableFeatures(part)));
            }
            if !known && session.parts.len() >= INCOMPLETE {
                return overflow("too many requests of which parts are missing");
            }
            let mut whole = session.parts.remove(&xid).unwrap_or_default();
            whole.extend(part);
            if whole.len() > TABLES {
                return overflow("the request names more tables than there can be");
            }
            if !more {
                return Ok(Some(MultipartRequest::TableFeatures(whole)));
            }
            session.parts.insert(xid, whole);
            Ok(None)
        }
        _ if more => overflow("only table features come in parts"),
        body => Ok(Some(body)),
    }
}

/// Answers a request.
pub(super) fn answer<F: FastPath>(
    session: &Session,
    (xid, quote): (Xid, &Bytes),
    body: MultipartRequest,
    switch: &mut Switch<F>,
    now: Instant,
) {
    let old = session.version == Version::V10;
    let only_first = |mut r: FlowStatsRequest| {
        if r.table == TableId::ALL {
            r.table = TableId(0);
        }
        r
    };
    let body = match body {
        MultipartRequest::Flow(r) if old => MultipartRequest::Flow(only_first(r)),
        MultipartRequest::Aggregate(r) if old => MultipartRequest::Aggregate(only_first(r)),
        body => body,
    };
    match switch.multipart(body, now) {
        Ok(reply) => send(session, xid, if old { as_v10(reply) } else { as_v13(reply) }),
        Err(error) => session.error(xid, quote, &error),
    }
}

/// What 1.0 is shown: the first table, flows by their immediate actions.
fn as_v10(reply: MultipartReply) -> MultipartReply {
    match reply {
        MultipartReply::Flow(flows) => {
            let plain = |f: FlowStats| FlowStats { instructions: Instructions::apply(f.instructions.apply), ..f };
            MultipartReply::Flow(flows.into_iter().map(plain).collect())
        }
        MultipartReply::Table(mut tables) => {
            tables.retain(|t| t.table == TableId(0));
            MultipartReply::Table(tables)
        }
        reply => reply,
    }
}

/// What 1.3 is shown: flows of 1.0 in its own words.
fn as_v13(reply: MultipartReply) -> MultipartReply {
    match reply {
        MultipartReply::Flow(flows) => MultipartReply::Flow(flows.into_iter().map(translate::as_v13).collect()),
        reply => reply,
    }
}

fn send(session: &Session, xid: Xid, reply: MultipartReply) {
    match reply {
        MultipartReply::Flow(list) => pages(session, xid, list, MultipartReply::Flow),
        MultipartReply::Table(list) => pages(session, xid, list, MultipartReply::Table),
        MultipartReply::PortStats(list) => pages(session, xid, list, MultipartReply::PortStats),
        MultipartReply::Queue(list) => pages(session, xid, list, MultipartReply::Queue),
        MultipartReply::Group(list) => pages(session, xid, list, MultipartReply::Group),
        MultipartReply::GroupDesc(list) => pages(session, xid, list, MultipartReply::GroupDesc),
        MultipartReply::Meter(list) => pages(session, xid, list, MultipartReply::Meter),
        MultipartReply::MeterConfig(list) => pages(session, xid, list, MultipartReply::MeterConfig),
        MultipartReply::TableFeatures(list) => pages(session, xid, list, MultipartReply::TableFeatures),
        MultipartReply::PortDesc(list) => pages(session, xid, list, MultipartReply::PortDesc),
        body => session.reply(xid, &Message::MultipartReply { more: false, body }),
    }
}

/// Sends a list in as many messages as it takes. An element that the version has no form for
/// is left out. Only where nothing is left, or the last elements have no form, is the last
/// message an empty one: some controllers take an empty list of table features for broken.
fn pages<T: Clone>(session: &Session, xid: Xid, list: Vec<T>, body: fn(Vec<T>) -> MultipartReply) {
    let push = |more, list| {
        let message = Message::MultipartReply { more, body: body(list) };
        session.outbox.push(Class::Reply, session.version, xid, &message)
    };
    let mut rest = VecDeque::from(list);
    let mut count = FIRST_GUESS;
    let mut open = true;
    while !rest.is_empty() {
        count = count.min(rest.len());
        let page: Vec<T> = rest.iter().take(count).cloned().collect();
        let before = session.outbox.len();
        let more = count < rest.len();
        if push(more, page).is_ok() {
            open = more;
            rest.drain(..count);
            let len = session.outbox.len().saturating_sub(before).max(1);
            count = (count * 60_000 / len).clamp(1, count * 4);
        } else if count > 1 {
            count /= 2;
        } else {
            rest.pop_front();
            count = FIRST_GUESS;
        }
    }
    if open {
        // An empty list is of every version.
        let _ = push(false, Vec::new());
    }
}
