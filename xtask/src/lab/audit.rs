//! What `wamig explain -o json` says, as far as the lab reads it: an address's way through the audit log. The types
//! are the lab's own, as those of [`super::status`].

use serde::Deserialize;

use super::proof::Proof;

/// What is known of an address.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
pub struct Explanation {
    /// The site that answers.
    pub site: String,
    /// The latest entries of its audit log, oldest first.
    pub history: Vec<Entry>,
}

/// A line of the audit log.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
pub struct Entry {
    /// When, in microseconds of the Unix epoch.
    pub at_unix_us: u64,
    /// `automatic`, or an operator's verb.
    pub verb: String,
    /// State before.
    pub from: String,
    /// State after.
    pub to: String,
    /// Why.
    pub reason: String,
}

/// The log says that the change `from` → `to`, the first from `since_us` on, was made for this evidence (`rarp`,
/// `data`, `arp-request` …).
pub fn made_for(log: &Explanation, (from, to): (&str, &str), evidence: &str, since_us: u64) -> Proof {
    let claim = format!("{}'s audit log: {from} → {to}, evidence {evidence}", log.site);
    let change = |entry: &&Entry| entry.at_unix_us >= since_us && entry.from == from && entry.to == to;
    let words = |entry: &Entry| entry.reason.split(", ").any(|part| part == format!("evidence {evidence}"));
    let verdict = match log.history.iter().find(change) {
        Some(entry) if words(entry) => Ok(entry.reason.clone()),
        Some(entry) => Err(format!("it says {:?}", entry.reason)),
        None => Err("there is no such change".to_owned()),
    };
    Proof::of(claim, verdict)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_evidence_of_this_very_change_counts() {
        let entry = |at_unix_us, from: &str, to: &str, reason: &str| Entry {
            at_unix_us,
            verb: "automatic".into(),
            from: from.into(),
            to: to.into(),
            reason: reason.into(),
        };
        let history = vec![
            entry(1, "PREPARED", "CLAIMED", "as planned (x), evidence rarp"),
            entry(5, "HOME", "CLAIMED", "granted"),
            entry(9, "PREPARED", "CLAIMED", "as planned (y), evidence data"),
        ];
        let log = Explanation { site: "dc1".into(), history };
        let change = ("PREPARED", "CLAIMED");
        assert!(made_for(&log, change, "rarp", 0).holds());
        assert!(!made_for(&log, change, "rarp", 2).holds(), "the later one has other evidence");
        assert!(!made_for(&log, ("HOME", "CLAIMED"), "rarp", 0).holds());
        assert!(!made_for(&log, change, "rarp", 10).holds(), "there is none any more");
    }
}
