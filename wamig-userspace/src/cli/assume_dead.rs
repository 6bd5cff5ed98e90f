//! `wamig assume-dead`.

use super::order::{self, Common};

/// Take another site as gone
///
/// Given at the home of servers that are at that site. Until a new session with it is up, nothing
/// waits for its word: a server that is started at home is served there as soon as it is heard,
/// without the question whether its copy is alive; grants that the site has not acted on and moves
/// to it that were prepared end. Servers that are there stay where they are until they are started
/// somewhere, and frozen ones stay frozen. If the site is alive after all, its copies are fenced.
///
/// Examples:
///   wamig assume-dead dc2 --reason "dc2 has no power, says its operator"
///   wamig assume-dead dc2 --reason test --dry-run
#[derive(clap::Args, Debug)]
#[command(verbatim_doc_comment)]
pub(super) struct Arguments {
    #[command(flatten)]
    common: Common,
    /// The site's name
    #[arg(value_name = "SITE")]
    site: String,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    order::give_of_site(&arguments.common, "assume-dead", &arguments.site)
}
