//! `wamig freeze`.

use std::net::IpAddr;

use super::order::{self, Common};

/// Let nothing move a server
///
/// Given at the server's home. From then on neither a claim of another site nor a sign of the
/// server at home moves its address; a move that is under way is finished first. It outlives a
/// restart of the daemon, and ends by `wamig unfreeze`. An address that moves too often freezes
/// by itself (moves and window_s of the configuration).
///
/// Examples:
///   wamig freeze 192.0.2.53 --reason "storage is being checked"
///   wamig freeze 192.0.2.53 --reason test --dry-run
#[derive(clap::Args, Debug)]
#[command(verbatim_doc_comment)]
pub(super) struct Arguments {
    #[command(flatten)]
    common: Common,
    /// The server's IP address
    #[arg(value_name = "ADDRESS")]
    address: IpAddr,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    order::give(&arguments.common, "freeze", arguments.address, None)
}
