//! Random messages: every kind, of the values that a version can say.

#![allow(dead_code, reason = "each test uses its own part")]

pub mod golden;
pub mod lengths;
pub mod parts;
pub mod v10;
pub mod v13;
