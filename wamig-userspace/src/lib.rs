//! placeholder

pub mod datapath;
pub mod fastpath;
pub mod object;
pub mod switch;
