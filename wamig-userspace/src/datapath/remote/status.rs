//! How the session with a switch is, for `wamig status`.

use std::time::Instant;

use tokio::time::Instant as TokioInstant;
use wamig_openflow::Version;

use super::fragment::Verdict;
use super::profile::Profile;

/// How the session is, for status.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SessionStatus {
    /// Where the switch is waited for or dialled.
    pub endpoints: Vec<String>,
    /// Who is at the other end; `None` = nobody.
    pub remote: Option<String>,
    /// What is spoken.
    pub version: Option<Version>,
    /// Since when it is as it is.
    pub since: Option<Instant>,
    /// Whether changes are made in bundles.
    pub bundles: bool,
    /// What the switch says it is.
    pub description: String,
    /// How it is used.
    pub profile: Profile,
    /// Our flows on it.
    pub flows: usize,
    /// What it does to later fragments where it writes an address; `None` without a session.
    pub fragments: Option<Verdict>,
    /// Later fragments that went through this process, so that they were not damaged.
    pub fragments_detoured: u64,
    /// Those among them that came too fast and were lost.
    pub fragments_lost: u64,
    /// Why there is no session, or why the last one ended.
    pub last_error: Option<String>,
    /// A batch has been under way since then.
    pub batch_since: Option<Instant>,
    /// The last batch that the switch refused as a whole.
    pub refused: Option<Refusal>,
    /// The last connection that was turned away.
    pub turned_away: Option<Refusal>,
}

/// Something was refused.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Refusal {
    /// When it was last.
    pub at: Instant,
    /// How often since the daemon started.
    pub times: u64,
    /// Why.
    pub why: String,
}

impl Refusal {
    /// Notes one more.
    pub fn note(last: &mut Option<Self>, why: &str) {
        let times = last.as_ref().map_or(0, |r| r.times) + 1;
        *last = Some(Self { at: TokioInstant::now().into_std(), times, why: why.to_owned() });
    }
}
