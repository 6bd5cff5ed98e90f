//! The daemon of one site.

pub mod links;
pub mod preflight;
pub mod start_error;
pub mod timeline;
pub mod watch;
