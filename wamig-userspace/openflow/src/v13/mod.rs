//! The wire form of OpenFlow 1.3.5 (wire version 4): one file per noun, the same names as in
//! [`crate::v10`].

pub mod action;
pub mod experimenter;
pub mod flow;
pub mod group;
pub mod instruction;
pub mod meter;
pub mod multipart;
pub mod oxm;
pub mod packet;
pub mod port;
pub mod queue;
pub mod session;
pub mod table;

use crate::buf::{EncodeError, Reader, Writer};
use crate::error::{ErrorKind, OfpError};
use crate::header::Header;
use crate::message::Message;
use crate::types::PortNo;

/// A number of an enum in a message that only switches send.
pub(crate) fn unknown(what: &str, n: u32) -> OfpError {
    OfpError::new(ErrorKind::BadRequestBadType, format!("{what} {n} is not one of the specification's"))
}

/// `OFPT_` of a message.
pub(crate) const fn type_of(message: &Message) -> u8 {
    match message {
        Message::Hello(_) => 0,
        Message::Error(_) => 1,
        Message::EchoRequest(_) => 2,
        Message::EchoReply(_) => 3,
        Message::Experimenter(_) | Message::BundleControl(_) | Message::BundleAdd(_) => 4,
        Message::FeaturesRequest => 5,
        Message::FeaturesReply(_) => 6,
        Message::GetConfigRequest => 7,
        Message::GetConfigReply(_) => 8,
        Message::SetConfig(_) => 9,
        Message::PacketIn(_) => 10,
        Message::FlowRemoved(_) => 11,
        Message::PortStatus(_) => 12,
        Message::PacketOut(_) => 13,
        Message::FlowMod(_) => 14,
        Message::GroupMod(_) => 15,
        Message::PortMod(_) => 16,
        Message::TableMod(_) => 17,
        Message::MultipartRequest { .. } => 18,
        Message::MultipartReply { .. } => 19,
        Message::BarrierRequest => 20,
        Message::BarrierReply => 21,
        Message::QueueGetConfigRequest(_) => 22,
        Message::QueueGetConfigReply(_) => 23,
        Message::RoleRequest(_) => 24,
        Message::RoleReply(_) => 25,
        Message::GetAsyncRequest => 26,
        Message::GetAsyncReply(_) => 27,
        Message::SetAsync(_) => 28,
        Message::MeterMod(_) => 29,
    }
}

/// The message after its header; all of it has to be used.
pub(crate) fn decode(header: Header, r: &mut Reader<'_>) -> Result<Message, OfpError> {
    let message = match header.ty {
        1 => Message::Error(session::decode_error(r)?),
        2 => Message::EchoRequest(r.remainder()),
        3 => Message::EchoReply(r.remainder()),
        4 => experimenter::decode(header.xid, r)?,
        5 => Message::FeaturesRequest,
        6 => Message::FeaturesReply(session::decode_features(r)?),
        7 => Message::GetConfigRequest,
        8 => Message::GetConfigReply(session::decode_config(r)?),
        9 => Message::SetConfig(session::decode_config(r)?),
        10 => Message::PacketIn(packet::decode_in(r)?),
        11 => Message::FlowRemoved(flow::decode_removed(r)?),
        12 => Message::PortStatus(port::decode_status(r)?),
        13 => Message::PacketOut(packet::decode_out(r)?),
        14 => Message::FlowMod(flow::decode_mod(r)?),
        15 => Message::GroupMod(group::decode_mod(r)?),
        16 => Message::PortMod(port::decode_mod(r)?),
        17 => Message::TableMod(table::decode_mod(r)?),
        18 => {
            let (more, body) = multipart::decode_request(r)?;
            Message::MultipartRequest { more, body }
        }
        19 => {
            let (more, body) = multipart::decode_reply(r)?;
            Message::MultipartReply { more, body }
        }
        20 => Message::BarrierRequest,
        21 => Message::BarrierReply,
        22 => {
            let port = PortNo(r.u32()?);
            r.skip(4)?;
            Message::QueueGetConfigRequest(port)
        }
        23 => Message::QueueGetConfigReply(queue::decode_config(r)?),
        24 => Message::RoleRequest(session::decode_role(r)?),
        25 => Message::RoleReply(session::decode_role(r)?),
        26 => Message::GetAsyncRequest,
        27 => Message::GetAsyncReply(session::decode_async(r)?),
        28 => Message::SetAsync(session::decode_async(r)?),
        29 => Message::MeterMod(meter::decode_mod(r)?),
        ty => return Err(OfpError::new(ErrorKind::BadRequestBadType, format!("message type {ty}"))),
    };
    if !r.is_empty() {
        return Err(r.fail(&format!("{} bytes after the message", r.len())));
    }
    Ok(message)
}

/// The message after its header.
pub(crate) fn encode(w: &mut Writer<'_>, message: &Message) -> Result<(), EncodeError> {
    match message {
        Message::Error(m) => session::encode_error(w, m),
        Message::EchoRequest(data) | Message::EchoReply(data) => w.bytes(data),
        Message::Experimenter(m) => experimenter::encode(w, m)?,
        Message::BundleControl(m) => experimenter::encode_control(w, *m),
        Message::BundleAdd(m) => experimenter::encode_add(w, m),
        Message::FeaturesReply(m) => session::encode_features(w, m),
        Message::GetConfigReply(m) | Message::SetConfig(m) => session::encode_config(w, m),
        Message::PacketIn(m) => packet::encode_in(w, m)?,
        Message::FlowRemoved(m) => flow::encode_removed(w, m)?,
        Message::PortStatus(m) => port::encode_status(w, m),
        Message::PacketOut(m) => packet::encode_out(w, m)?,
        Message::FlowMod(m) => flow::encode_mod(w, m)?,
        Message::GroupMod(m) => group::encode_mod(w, m)?,
        Message::PortMod(m) => port::encode_mod(w, m),
        Message::TableMod(m) => table::encode_mod(w, *m),
        Message::MeterMod(m) => meter::encode_mod(w, m),
        Message::MultipartRequest { more, body } => multipart::encode_request(w, *more, body)?,
        Message::MultipartReply { more, body } => multipart::encode_reply(w, *more, body)?,
        Message::QueueGetConfigRequest(port) => {
            w.u32(port.0);
            w.zeros(4);
        }
        Message::QueueGetConfigReply(m) => queue::encode_config(w, m)?,
        Message::RoleRequest(m) | Message::RoleReply(m) => session::encode_role(w, m),
        Message::GetAsyncReply(m) | Message::SetAsync(m) => session::encode_async(w, m),
        Message::Hello(_)
        | Message::FeaturesRequest
        | Message::GetConfigRequest
        | Message::BarrierRequest
        | Message::BarrierReply
        | Message::GetAsyncRequest => {}
    }
    Ok(())
}
