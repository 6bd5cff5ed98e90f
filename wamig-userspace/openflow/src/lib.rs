//! OpenFlow as version-neutral Rust values: what a controller, an agent and a switch say to
//! each other, independent of the wire form that carries it.
//!
//! The crate does no IO and knows no data path. Values are owned; frame payloads are
//! [`bytes::Bytes`]. Numbers are in host byte order everywhere; the wire order is the
//! codec's business alone.
//!
//! * [`types`] — port, table, cookie, group, meter, datapath and MAC newtypes
//! * [`field`] — the one registry of match fields: name, width, OXM id, prerequisite
//! * [`flow_match`] — a match: fields with value and mask
//! * [`action`] — actions and instructions
//! * [`message`] — every message of 1.0 and 1.3, version-neutral
//! * [`error`] — the specification's error types and codes
//! * [`text`] — ovs-ofctl syntax, out of the values above and back
//! * [`header`] — messages out of a byte stream
//! * [`wire`] — bytes to messages and back: [`decode`] and [`encode`]
//! * [`v10`], [`v13`] — the two wire forms, over [`buf`]; [`nicira`] — actions both have
#![forbid(unsafe_code)]

pub mod action;
pub mod buf;
pub mod error;
pub mod field;
pub mod flow_match;
pub mod header;
pub mod message;
pub mod nicira;
mod numbers;
pub mod text;
pub mod types;
pub mod v10;
pub mod v13;
pub mod wire;

pub use action::{Action, Instructions};
pub use buf::EncodeError;
pub use error::{ErrorKind, OfpError};
pub use field::Field;
pub use flow_match::Match;
pub use header::{Frame, Header, LostStream};
pub use message::{
    FlowMod, FlowModCommand, FlowModFlags, FlowRemoved, FlowRemovedReason, FlowStats, Hello, Message, PacketIn,
    PacketInReason, PacketOut, PortDesc, PortReason, PortStatus,
};
pub use types::{Cookie, DatapathId, GroupId, MacAddr, MeterId, PortNo, TableId, Xid};
pub use wire::{DecodeError, Version, decode, encode};
