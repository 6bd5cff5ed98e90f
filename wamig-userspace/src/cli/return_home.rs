//! `wamig return`.

use std::net::IpAddr;

use super::order::{self, Common};

/// Take a server's traffic back home
///
/// Given at the server's home while it is away. Its traffic is local again at once: the site that
/// hosts it is not asked, and fences its copy off until that falls silent. The server is reached
/// when it runs at home; until then it is nowhere. Not needed when a server is simply started at
/// home: then it comes back by itself, and its host is asked.
///
/// Examples:
///   wamig return 192.0.2.53 --reason "dc2's copy is not to be used"
///   wamig return 192.0.2.53 --reason test --dry-run
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
    order::give(&arguments.common, "return", arguments.address, None)
}
