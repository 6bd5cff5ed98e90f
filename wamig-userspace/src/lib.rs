//! placeholder

pub mod datapath;
pub mod fastpath;
pub mod migration;
pub mod object;
pub mod peer;
pub mod store;
pub mod switch;
