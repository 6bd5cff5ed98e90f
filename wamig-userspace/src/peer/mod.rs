//! Signalling between sites.
mod cbor;
pub mod codec;
pub mod message;
