//! Open vSwitch of its own in a directory of its own: no root, no kernel datapath, no packets.
//! Its "dummy" datapath tells by `ofproto/trace` what it would do to a frame.

pub mod action;
pub mod apply;
pub mod control;
pub mod flow;
pub mod process;
pub mod trace;
pub mod unixctl;

pub use process::Vswitch;
