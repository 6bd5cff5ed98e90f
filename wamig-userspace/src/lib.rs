//! placeholder

pub mod fastpath;
pub mod object;
