//! placeholder
pub mod peer;
pub mod store;
