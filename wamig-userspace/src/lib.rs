//! placeholder

pub mod object;
