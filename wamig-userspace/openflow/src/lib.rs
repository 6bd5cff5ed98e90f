//! OpenFlow as version-neutral Rust values: what a controller, an agent and a switch say to
//! each other, independent of the wire form that carries it.
//!
//! The crate does no IO and knows no data path. Values are owned; frame payloads are
//! [`bytes::Bytes`]. Numbers are in host byte order everywhere; the wire order is the
//! codec's business alone.
//!
//! * [`types`] — port, table, cookie, datapath and MAC newtypes
//! * [`field`] — the one registry of match fields: name, width, OXM id, prerequisite
//! * [`flow_match`] — a match: fields with value and mask
//! * [`action`] — actions and instructions
//! * [`message`] — flow-mod, packet-in, packet-out, flow-removed, port descriptions, flow stats
//! * [`error`] — the specification's error types and codes
//! * [`text`] — ovs-ofctl syntax, out of the values above
#![forbid(unsafe_code)]

pub mod action;
pub mod error;
pub mod field;
pub mod flow_match;
pub mod message;
pub mod text;
pub mod types;

pub use action::{Action, Instructions};
pub use error::{ErrorKind, OfpError};
pub use field::Field;
pub use flow_match::Match;
pub use message::{
    FlowMod, FlowModCommand, FlowModFlags, FlowRemoved, FlowRemovedReason, FlowStats, PacketIn, PacketInReason,
    PacketOut, PortDesc, PortReason, PortStatus,
};
pub use types::{Cookie, DatapathId, MacAddr, PortNo, TableId};
