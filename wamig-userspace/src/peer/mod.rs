//! Signalling between sites.
mod cbor;
pub mod codec;
mod fingerprint;
pub mod identity;
pub mod message;
mod tls;
