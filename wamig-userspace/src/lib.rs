//! placeholder

pub mod migration;
pub mod peer;
