//! placeholder

pub mod datapath;
pub mod fastpath;
pub mod object;
pub mod peer;
pub mod store;
pub mod switch;
