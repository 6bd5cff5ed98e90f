//! `wamig unfreeze`.

use std::net::IpAddr;

use super::order::{self, Common};

/// Let a frozen server move again
///
/// Given at the server's home. Without --to the address stays where it is until something moves
/// it. With --to it is to be at that site, its home or the one that hosts it, and the copy at
/// the other is fenced off until it falls silent.
///
/// Examples:
///   wamig unfreeze 192.0.2.53 --reason "the second copy is gone"
///   wamig unfreeze 192.0.2.53 --to dc1 --reason "dc2's copy is old"
#[derive(clap::Args, Debug)]
#[command(verbatim_doc_comment)]
pub(super) struct Arguments {
    #[command(flatten)]
    common: Common,
    /// The site where it is to be
    #[arg(long, value_name = "SITE")]
    to: Option<String>,
    /// The server's IP address
    #[arg(value_name = "ADDRESS")]
    address: IpAddr,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    order::give(&arguments.common, "unfreeze", arguments.address, arguments.to.as_deref())
}
