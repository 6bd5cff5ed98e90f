//! What the operator's verbs have in common: they say why, can be tried, and go to the daemon.

use std::fmt::Write as _;
use std::net::IpAddr;

use super::{Format, Target};
use crate::admin::client;
use crate::admin::order::{OrderAnswer, OrderRequest};

/// The resource that takes orders.
const RESOURCE: &str = "/v1/order";

/// Arguments of every verb that orders something.
#[derive(clap::Args, Debug)]
pub(super) struct Common {
    #[command(flatten)]
    pub(super) target: Target,
    /// Form of the answer
    #[arg(short, long, value_enum, default_value_t = Format::Table, value_name = "FORM")]
    pub(super) output: Format,
    /// Why; recorded in the audit log
    #[arg(long, value_name = "TEXT")]
    reason: String,
    /// Tell what would be done and what stands in the way; do nothing
    #[arg(long)]
    pub(super) dry_run: bool,
}

/// Gives an order about a server and prints what becomes of it.
///
/// # Errors
/// When the daemon cannot be asked, or refuses the order for any address.
pub(super) fn give(common: &Common, verb: &str, address: IpAddr, to: Option<&str>) -> anyhow::Result<()> {
    send(common, verb, Some(address.to_string()), to.map(str::to_owned), None)
}

/// Gives an order about a site and prints what becomes of it, for each server that it is about as well.
///
/// # Errors
/// When the daemon cannot be asked, or refuses the order.
pub(super) fn give_of_site(common: &Common, verb: &str, site: &str) -> anyhow::Result<()> {
    send(common, verb, None, None, Some(site.to_owned()))
}

/// As [`give`], of every address or of none: first it is asked what stands in the way.
///
/// # Errors
/// As there.
pub(super) fn give_of_all(common: &Common, verb: &str, addresses: &[IpAddr], to: &str) -> anyhow::Result<()> {
    let (verb, to) = (verb.to_owned(), Some(to.to_owned()));
    let tried = |address: &IpAddr| {
        let (address, reason) = (Some(address.to_string()), common.reason.clone());
        let request = OrderRequest { verb: verb.clone(), address, to: to.clone(), site: None, reason, dry_run: true };
        client::json::<OrderAnswer>(&client::post_json(&common.target.socket()?, RESOURCE, &request)?)
            .map_err(anyhow::Error::from)
    };
    let tried = addresses.iter().map(tried).collect::<anyhow::Result<Vec<_>>>()?;
    let refused = tried.iter().filter(|a| a.results.iter().any(|r| r.refused.is_some())).count();
    if refused > 0 || common.dry_run {
        super::print(&tried.iter().map(text).collect::<String>())?;
        anyhow::ensure!(refused == 0, "{verb}: refused for {refused} of {} addresses, so for all", addresses.len());
        return Ok(());
    }
    addresses.iter().try_for_each(|address| send(common, &verb, Some(address.to_string()), to.clone(), None))
}

fn send(
    common: &Common,
    verb: &str,
    address: Option<String>,
    to: Option<String>,
    site: Option<String>,
) -> anyhow::Result<()> {
    let (reason, dry_run) = (common.reason.clone(), common.dry_run);
    let request = OrderRequest { verb: verb.to_owned(), address, to, site, reason, dry_run };
    let told = client::post_json(&common.target.socket()?, RESOURCE, &request)?;
    let answer: OrderAnswer = client::json(&told)?;
    match common.output {
        Format::Json => super::print(&(told + "\n"))?,
        Format::Table => super::print(&text(&answer))?,
    }
    let refused = answer.results.iter().filter(|r| r.refused.is_some()).count();
    if refused > 0 {
        match answer.results.iter().find_map(|r| r.site.as_deref()) {
            Some(site) => anyhow::bail!("{verb}: refused for site {site}"),
            None => anyhow::bail!("{verb}: refused for {refused} of {} addresses", answer.results.len()),
        }
    }
    Ok(())
}

fn text(answer: &OrderAnswer) -> String {
    let mut out = String::new();
    for result in &answer.results {
        let head = match (&result.refused, answer.dry_run) {
            (Some(why), false) => format!("refused: {why}"),
            (Some(why), true) => format!("would be refused: {why}"),
            (None, false) => "done".to_owned(),
            (None, true) => "would be done".to_owned(),
        };
        // Writing to a String does not fail.
        let _ = match &result.site {
            Some(site) => writeln!(out, "site {site}, at site {}: {head}", answer.site),
            None => writeln!(out, "{} at site {}: {head}", result.address, answer.site),
        };
        for step in &result.steps {
            let _ = writeln!(out, "  {step}");
        }
        if let Some(remedy) = &result.remedy {
            let _ = writeln!(out, "  what to do: {remedy}");
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::order::OrderResult;

    #[test]
    fn an_operator_reads_what_is_done_and_why_something_is_not() {
        let done = OrderResult {
            address: "192.0.2.53".to_owned(),
            site: None,
            steps: vec!["it stays at dc2, reached by 198.51.100.200".to_owned()],
            refused: None,
            remedy: None,
        };
        let refused = OrderResult {
            address: "192.0.2.54".to_owned(),
            site: None,
            steps: Vec::new(),
            refused: Some("it is not frozen".to_owned()),
            remedy: Some("Nothing is to be done.".to_owned()),
        };
        let mut answer = OrderAnswer { site: "dc1".to_owned(), dry_run: false, results: vec![done, refused] };
        let expected = "192.0.2.53 at site dc1: done\n  it stays at dc2, reached by 198.51.100.200\n\
                        192.0.2.54 at site dc1: refused: it is not frozen\n  what to do: Nothing is to be done.\n";
        assert_eq!(text(&answer), expected);
        answer.dry_run = true;
        assert!(text(&answer).starts_with("192.0.2.53 at site dc1: would be done\n"));
        assert!(text(&answer).contains("192.0.2.54 at site dc1: would be refused: it is not frozen\n"));
        let site = OrderResult { address: "-".to_owned(), site: Some("dc2".to_owned()), ..answer.results[0].clone() };
        answer.results.insert(0, site);
        assert!(text(&answer).starts_with("site dc2, at site dc1: would be done\n  it stays"));
    }
}
