//! `wamig prepare`.

use std::net::IpAddr;

use super::order::{self, Common};

/// Prepare a server's move to another site
///
/// Given at the server's home before it is moved, above all before a live migration. The other
/// site keeps a transfer address and, as soon as it hears the server (its hypervisor's RARP is
/// enough), takes it over without asking whether it is still here: the network's share of the
/// outage is then about one way between the sites. Nothing moves before that. It ends by itself
/// (timers.prepared_s, 600 s unless configured), or by `wamig unprepare`. A move that was not
/// prepared works as well, and takes longer.
///
/// Examples:
///   wamig prepare 192.0.2.53 --to dc2 --reason "the rack is taken down"
///   wamig prepare 192.0.2.53 --to dc2 --reason test --dry-run
#[derive(clap::Args, Debug)]
#[command(verbatim_doc_comment)]
pub(super) struct Arguments {
    #[command(flatten)]
    common: Common,
    /// The site that it is about to move to
    #[arg(long, value_name = "SITE")]
    to: String,
    /// The server's IP address
    #[arg(value_name = "ADDRESS")]
    address: IpAddr,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    order::give(&arguments.common, "prepare", arguments.address, Some(&arguments.to))
}
