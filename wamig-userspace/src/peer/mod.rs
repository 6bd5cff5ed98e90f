//! Signalling between sites.
pub mod message;
