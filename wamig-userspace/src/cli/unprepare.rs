//! `wamig unprepare`.

use std::net::IpAddr;

use super::order::{self, Common};

/// Take back that a server is about to move
///
/// Given at the server's home. The other site gives the transfer address back; if the server
/// is started there all the same, it is looked for here first, as ever.
///
/// Examples:
///   wamig unprepare 192.0.2.53 --reason "the move is put off"
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
    order::give(&arguments.common, "unprepare", arguments.address, None)
}
