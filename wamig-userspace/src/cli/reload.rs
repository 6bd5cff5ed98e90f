//! `wamig reload`.

use std::fmt::Write as _;

use super::{Format, Target};
use crate::admin::client;
use crate::admin::reload::ReloadAnswer;

/// The resource that has the file read again.
const RESOURCE: &str = "/v1/reload";

/// Have the daemon read its configuration file again
///
/// The daemon reads the file that it was started with and checks it as `wamig check-config`
/// does. Either all of it is in force then, or nothing has changed: if it has a mistake, if a
/// key differs that takes a restart, or if it takes away what is in use (a server that is away,
/// a transfer address of a guest). Each is told with its place and what to do. Traffic, and
/// flows of addresses that it says nothing new of, are not touched.
///
/// SIGHUP does the same; what comes of it is in the log and in `wamig status`.
///
/// Example: wamig reload --config /etc/wamig/wamig.toml
#[derive(clap::Args, Debug)]
pub(super) struct Arguments {
    #[command(flatten)]
    target: Target,
    /// Form of the answer
    #[arg(short, long, value_enum, default_value_t = Format::Table, value_name = "FORM")]
    output: Format,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let told = client::post_json(&arguments.target.socket()?, RESOURCE, &())?;
    let answer: ReloadAnswer = client::json(&told)?;
    match arguments.output {
        Format::Json => super::print(&(told + "\n"))?,
        Format::Table => super::print(&text(&answer))?,
    }
    match answer.refused {
        Some(why) => anyhow::bail!("nothing has changed:\n{why}"),
        None => Ok(()),
    }
}

fn text(answer: &ReloadAnswer) -> String {
    let ReloadAnswer { site, file, changed, refused } = answer;
    if refused.is_some() {
        return String::new();
    }
    let mut out = format!("site {site}: {file} is in force\n");
    for line in changed {
        // Writing to a String does not fail.
        let _ = writeln!(out, "  {line}");
    }
    if changed.is_empty() {
        out += "  nothing differs\n";
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_operator_reads_what_is_in_force() {
        let changed = vec!["peer dc3: added".to_owned()];
        let mut answer = ReloadAnswer { site: "dc1".to_owned(), file: "w.toml".to_owned(), changed, refused: None };
        assert_eq!(text(&answer), "site dc1: w.toml is in force\n  peer dc3: added\n");
        answer.changed.clear();
        assert_eq!(text(&answer), "site dc1: w.toml is in force\n  nothing differs\n");
        answer.refused = Some("w.toml:1:1: a mistake".to_owned());
        assert_eq!(text(&answer), "", "the reason is on stderr");
    }
}
