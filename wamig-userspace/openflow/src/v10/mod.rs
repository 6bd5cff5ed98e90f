//! The wire form of OpenFlow 1.0 (wire version 1): one file per noun, the same names as in
//! [`crate::v13`]. What 1.3 has and 1.0 has not is refused with
//! [`EncodeError::NotInVersion`] when it is to be written.

pub mod action;
pub mod experimenter;
pub mod flow;
pub mod flow_match;
pub mod multipart;
pub mod packet;
pub mod port;
pub mod port_no;
pub mod queue;
pub mod session;
pub mod table;

use crate::buf::{EncodeError, Reader, Writer};
use crate::error::{ErrorKind, OfpError};
use crate::header::Header;
use crate::message::Message;
use crate::v13::session::{decode_config, encode_config};

pub(crate) fn lacks(what: &str) -> EncodeError {
    EncodeError::NotInVersion { version: "1.0", what: what.to_owned() }
}

/// `OFPT_` of a message.
pub(crate) fn type_of(message: &Message) -> Result<u8, EncodeError> {
    Ok(match message {
        Message::Hello(_) => 0,
        Message::Error(_) => 1,
        Message::EchoRequest(_) => 2,
        Message::EchoReply(_) => 3,
        Message::Experimenter(_) | Message::RoleRequest(_) | Message::RoleReply(_) => 4,
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
        Message::PortMod(_) => 15,
        Message::MultipartRequest { .. } => 16,
        Message::MultipartReply { .. } => 17,
        Message::BarrierRequest => 18,
        Message::BarrierReply => 19,
        Message::QueueGetConfigRequest(_) => 20,
        Message::QueueGetConfigReply(_) => 21,
        Message::GroupMod(_) => return Err(lacks("group-mod")),
        Message::TableMod(_) => return Err(lacks("table-mod")),
        Message::MeterMod(_) => return Err(lacks("meter-mod")),
        Message::BundleControl(_) | Message::BundleAdd(_) => return Err(lacks("bundles")),
        Message::GetAsyncRequest | Message::GetAsyncReply(_) | Message::SetAsync(_) => {
            return Err(lacks("asynchronous masks"));
        }
    })
}

/// The message after its header; all of it has to be used.
pub(crate) fn decode(header: Header, r: &mut Reader<'_>) -> Result<Message, OfpError> {
    let message = match header.ty {
        1 => Message::Error(session::decode_error(r)?),
        2 => Message::EchoRequest(r.remainder()),
        3 => Message::EchoReply(r.remainder()),
        4 => experimenter::decode(r)?,
        5 => Message::FeaturesRequest,
        6 => Message::FeaturesReply(session::decode_features(r)?),
        7 => Message::GetConfigRequest,
        8 => Message::GetConfigReply(decode_config(r)?),
        9 => Message::SetConfig(decode_config(r)?),
        10 => Message::PacketIn(packet::decode_in(r)?),
        11 => Message::FlowRemoved(flow::decode_removed(r)?),
        12 => Message::PortStatus(port::decode_status(r)?),
        13 => Message::PacketOut(packet::decode_out(r)?),
        14 => Message::FlowMod(flow::decode_mod(r)?),
        15 => Message::PortMod(port::decode_mod(r)?),
        16 => {
            let (more, body) = multipart::decode_request(r)?;
            Message::MultipartRequest { more, body }
        }
        17 => {
            let (more, body) = multipart::decode_reply(r)?;
            Message::MultipartReply { more, body }
        }
        18 => Message::BarrierRequest,
        19 => Message::BarrierReply,
        20 => {
            let port = port_no::decode(r)?;
            r.skip(2)?;
            Message::QueueGetConfigRequest(port)
        }
        21 => Message::QueueGetConfigReply(queue::decode_config(r)?),
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
        Message::Error(m) => session::encode_error(w, m)?,
        Message::EchoRequest(data) | Message::EchoReply(data) => w.bytes(data),
        Message::Experimenter(m) => experimenter::encode(w, m),
        Message::RoleRequest(m) => experimenter::encode_role(w, m, false)?,
        Message::RoleReply(m) => experimenter::encode_role(w, m, true)?,
        Message::FeaturesReply(m) => session::encode_features(w, m)?,
        Message::GetConfigReply(m) | Message::SetConfig(m) => encode_config(w, m),
        Message::PacketIn(m) => packet::encode_in(w, m)?,
        Message::FlowRemoved(m) => flow::encode_removed(w, m)?,
        Message::PortStatus(m) => port::encode_status(w, m)?,
        Message::PacketOut(m) => packet::encode_out(w, m)?,
        Message::FlowMod(m) => flow::encode_mod(w, m)?,
        Message::PortMod(m) => port::encode_mod(w, m)?,
        Message::MultipartRequest { more, body } => multipart::encode_request(w, *more, body)?,
        Message::MultipartReply { more, body } => multipart::encode_reply(w, *more, body)?,
        Message::QueueGetConfigRequest(port) => {
            port_no::encode(w, *port)?;
            w.zeros(2);
        }
        Message::QueueGetConfigReply(m) => queue::encode_config(w, m)?,
        _ => {}
    }
    Ok(())
}
