//! The daemon of one site.

pub mod control;
pub mod links;
pub mod path;
pub mod peer_table;
pub mod preflight;
pub mod report;
pub mod start_error;
pub mod timeline;
pub mod watch;
