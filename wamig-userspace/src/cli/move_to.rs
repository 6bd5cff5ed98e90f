//! `wamig move`: prepares servers' move and follows it to its end.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::thread;
use std::time::{Duration, Instant};

use serde::Serialize;

use super::Format;
use super::order::{self, Common};
use crate::admin::client;
use crate::admin::status::{Address, Status};

/// Between two looks.
const PAUSE: Duration = Duration::from_millis(100);

/// Prepare the move of servers to another site, and follow it
///
/// Given at their home. Each of the servers is prepared, as by `wamig prepare`, or none of them, if something stands in
/// the way of one. Then it tells what becomes of them until all are at the other site: move them now, by the
/// hypervisor's means or by starting their copies there. It ends with 1 if a prepared move ends otherwise, or after
/// --wait seconds; what is prepared then, or when it is interrupted, stays so until its time is over.
///
/// Examples:
///   wamig move 192.0.2.53 --to dc2 --reason "the rack is taken down"
///   wamig move 192.0.2.53 192.0.2.80 2001:db8:1::53 --to dc2 --reason "the site is cleared"
#[derive(clap::Args, Debug)]
#[command(verbatim_doc_comment)]
pub(super) struct Arguments {
    #[command(flatten)]
    common: Common,
    /// The site that they move to
    #[arg(long, value_name = "SITE")]
    to: String,
    /// How long to follow it, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 600)]
    wait: u64,
    /// The servers' IP addresses
    #[arg(value_name = "ADDRESS", required = true)]
    addresses: Vec<IpAddr>,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let Arguments { common, to, wait, addresses } = arguments;
    order::give_of_all(common, "prepare", addresses, to)?;
    if common.dry_run {
        return Ok(());
    }
    let (socket, begun) = (common.target.socket()?, Instant::now());
    let mut following = Following::new(addresses, to);
    loop {
        let status: Status = client::get_json(&socket, "/v1/status")?;
        for step in following.look(&status.addresses) {
            super::print(&step.told(begun.elapsed(), common.output)?)?;
        }
        if following.there() {
            return Ok(());
        }
        if let Some(address) = &following.ended {
            anyhow::bail!("move: {address} does not move to {to}; `wamig explain {address}` tells why");
        }
        if begun.elapsed() >= Duration::from_secs(*wait) {
            let missing = following.missing().map(ToString::to_string).collect::<Vec<_>>().join(", ");
            anyhow::bail!("move: not at {to} after {wait} s: {missing}; see `wamig status`, there and here");
        }
        thread::sleep(PAUSE);
    }
}

/// What has become of a server.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
struct Step {
    address: IpAddr,
    state: String,
    peer: Option<String>,
    transfer: Option<String>,
    reason: Option<String>,
}

/// A step with its time, for machines.
#[derive(Serialize)]
struct Timed<'a> {
    elapsed_s: f64,
    #[serde(flatten)]
    step: &'a Step,
}

impl Step {
    fn told(&self, elapsed: Duration, form: Format) -> anyhow::Result<String> {
        let elapsed_s = (elapsed.as_secs_f64() * 1000.0).round() / 1000.0;
        if form == Format::Json {
            return Ok(serde_json::to_string(&Timed { elapsed_s, step: self })? + "\n");
        }
        let Self { address, state, peer, transfer, reason } = self;
        let mut said = format!("{elapsed_s:>8.3} s  {address}  {state}");
        for (word, what) in [("at or for", peer), ("by", transfer)] {
            said += &what.as_ref().map_or(String::new(), |what| format!(", {word} {what}"));
        }
        said += &reason.as_ref().map_or(String::new(), |reason| format!(": {reason}"));
        Ok(said + "\n")
    }
}

/// Servers on their way.
struct Following {
    to: String,
    /// The last step of each.
    last: BTreeMap<IpAddr, Option<Step>>,
    /// The first whose move has ended otherwise.
    ended: Option<IpAddr>,
}

impl Following {
    fn new(addresses: &[IpAddr], to: &str) -> Self {
        Self { to: to.to_owned(), last: addresses.iter().map(|a| (*a, None)).collect(), ended: None }
    }

    /// What is new, in the order of the addresses.
    fn look(&mut self, now: &[Address]) -> Vec<Step> {
        let mut news = Vec::new();
        for (address, last) in &mut self.last {
            let ours = |a: &&Address| a.role == "home" && a.address.parse() == Ok(*address);
            let step = now.iter().find(ours).map(|a| Step {
                address: *address,
                state: a.state.clone(),
                peer: a.peer.clone(),
                transfer: a.transfer.clone(),
                reason: a.reason.clone(),
            });
            // A server that is back at home without a plan, frozen or gone from the configuration will not come.
            let goes_on = |s: &Step| matches!(s.state.as_str(), "PREPARED" | "CLAIMED" | "AWAY" | "STALE");
            if !step.as_ref().is_some_and(goes_on) {
                self.ended = self.ended.or(Some(*address));
            }
            if step.is_some() && step != *last {
                news.extend(step.clone());
                *last = step;
            }
        }
        news
    }

    /// Those that are not at the other site.
    fn missing(&self) -> impl Iterator<Item = &IpAddr> {
        let is_there = |s: &Step| s.state == "AWAY" && s.peer.as_ref() == Some(&self.to);
        self.last.iter().filter(move |(_, s)| !s.as_ref().is_some_and(is_there)).map(|(address, _)| address)
    }

    fn there(&self) -> bool {
        self.missing().next().is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: &str = "192.0.2.53";
    const S6: &str = "2001:db8:1::53";

    fn line(address: &str, state: &str, transfer: Option<&str>) -> Address {
        Address {
            address: address.to_owned(),
            mac: None,
            role: "home".to_owned(),
            state: state.to_owned(),
            since_unix_ms: 0,
            peer: (state != "HOME").then(|| "dc2".to_owned()),
            transfer: transfer.map(str::to_owned),
            epoch: None,
            reason: None,
            remedy: None,
        }
    }

    fn following() -> Following {
        Following::new(&[S, S6].map(|a| a.parse().unwrap()), "dc2")
    }

    #[test]
    fn each_step_is_told_once_until_all_are_there() {
        let mut f = following();
        let begin = [line(S, "PREPARED", None), line(S6, "PREPARED", None)];
        assert_eq!(f.look(&begin).len(), 2);
        assert!(f.look(&begin).is_empty() && !f.there());
        let first = [line(S, "AWAY", Some("198.51.100.200")), line(S6, "PREPARED", None)];
        let news = f.look(&first);
        let told = news[0].told(Duration::from_millis(1250), Format::Table).unwrap();
        assert_eq!(
            (news.len(), told.as_str()),
            (1, "   1.250 s  192.0.2.53  AWAY, at or for dc2, by 198.51.100.200\n")
        );
        let json = news[0].told(Duration::from_millis(1250), Format::Json).unwrap();
        assert!(json.starts_with(r#"{"elapsed_s":1.25,"address":"192.0.2.53","state":"AWAY""#), "{json}");
        assert_eq!(f.missing().map(ToString::to_string).collect::<Vec<_>>(), [S6]);
        f.look(&[line(S, "AWAY", Some("198.51.100.200")), line(S6, "AWAY", Some("2001:db8:2::c8"))]);
        assert!(f.there() && f.ended.is_none());
    }

    #[test]
    fn a_move_that_ends_otherwise_is_noticed() {
        for state in ["HOME", "FROZEN", "RETURNING"] {
            let mut f = following();
            f.look(&[line(S, "PREPARED", None), line(S6, state, None)]);
            assert_eq!(f.ended, Some(S6.parse().unwrap()), "{state}");
        }
        let mut f = following();
        f.look(&[line(S6, "PREPARED", None)]);
        assert_eq!(f.ended, Some(S.parse().unwrap()), "it is in the configuration no more");
    }

    #[test]
    fn another_site_is_not_the_one() {
        let mut f = Following::new(&[S.parse().unwrap()], "dc3");
        f.look(&[line(S, "AWAY", None)]);
        assert!(!f.there());
    }
}
