//! One timeline out of two sites': what happened, where, and how long after the beginning.

use std::net::IpAddr;
use std::time::Duration;

use super::status::{Event, Status};

/// A line of the merged timeline.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Line {
    /// When, in microseconds of the Unix epoch.
    pub at_us: u64,
    /// `dc1`, `dc2` or `client`.
    pub place: String,
    /// For people.
    pub event: String,
    /// More of it.
    pub detail: String,
}

/// The event names of `wamig status` in the words of the paper, and of IPv6 where it had no word.
fn words(event: &Event) -> &str {
    match event.event.as_str() {
        "arp-seen" => "ARP seen, held",
        "nd-seen" => "NS seen, held",
        "arp-answered" if event.address.is_some_and(|address| address.is_ipv6()) => "NS answered",
        "guest-seen" => "guest heard",
        "claim-sent" => "Claim sent",
        "claim-received" => "Claim received",
        "claim-ack-sent" => "ClaimAck sent",
        "claim-ack-received" => "ClaimAck received",
        "claim-nack-sent" => "ClaimNack sent",
        "claim-nack-received" => "ClaimNack received",
        "flows-in" => "flows in, barrier",
        "flows-out" => "flows out, barrier",
        "ready-sent" => "Ready sent",
        "ready-received" => "Ready received",
        "active-sent" => "Active sent",
        "active-received" => "Active received",
        "arp-answered" => "ARP answered",
        "prepare-sent" => "Prepare sent",
        "prepare-received" => "Prepare received",
        "prepare-ack-received" => "PrepareAck received",
        "seen-at-home" => "server seen at home",
        "revoke-sent" => "Revoke sent",
        "revoke-received" => "Revoke received",
        "transfer-released" => "transfer released",
        other => other,
    }
}

/// Events of both sites from `from_us` on, oldest first; changes of state are left out, since
/// every one of them is the consequence of another line. Where addresses of both families are
/// told of, each line says which of them it is about.
pub fn merge(statuses: &[Status], from_us: u64) -> Vec<Line> {
    let recent = |event: &&Event| event.at_unix_us >= from_us && event.event != "state";
    let events = || statuses.iter().flat_map(|status| status.timeline.iter().filter(recent).map(move |e| (status, e)));
    let both = [IpAddr::is_ipv4, IpAddr::is_ipv6]
        .into_iter()
        .all(|family| events().any(|(_, event)| event.address.as_ref().is_some_and(family)));
    let detail = |event: &Event| match event.address {
        Some(IpAddr::V4(_)) if both => format!("IPv4: {}", event.detail),
        Some(IpAddr::V6(_)) if both => format!("IPv6: {}", event.detail),
        _ => event.detail.clone(),
    };
    let line = |(status, event): (&Status, &Event)| Line {
        at_us: event.at_unix_us,
        place: status.site.clone(),
        event: words(event).to_owned(),
        detail: detail(event),
    };
    let mut lines: Vec<Line> = events().map(line).collect();
    lines.sort_by_key(|line| line.at_us);
    lines
}

/// When a site first noted `event` from `from_us` on.
pub fn first(status: &Status, event: &str, from_us: u64) -> Option<u64> {
    status.timeline.iter().find(|entry| entry.event == event && entry.at_unix_us >= from_us).map(|e| e.at_unix_us)
}

/// When a site first noted one of these events of an address from `from_us` on.
pub fn first_of(status: &Status, events: &[&str], address: IpAddr, from_us: u64) -> Option<u64> {
    let wanted = |entry: &&Event| {
        events.contains(&entry.event.as_str()) && entry.address == Some(address) && entry.at_unix_us >= from_us
    };
    status.timeline.iter().find(wanted).map(|entry| entry.at_unix_us)
}

/// The lines as a table, in milliseconds after `zero_us`.
pub fn render(lines: &[Line], zero_us: u64) -> String {
    let width = lines.iter().map(|line| line.event.len()).max().unwrap_or(0);
    let mut text = String::new();
    for line in lines {
        let sign = if line.at_us < zero_us { '-' } else { '+' };
        let offset = format!("{sign}{:.1}", millis(line.at_us.abs_diff(zero_us)));
        let row = format!("  {offset:>9} ms  {:<6}  {:<width$}  {}", line.place, line.event, line.detail);
        text.push_str(row.trim_end());
        text.push('\n');
    }
    text
}

/// Microseconds as milliseconds, for people.
pub fn millis(us: u64) -> f64 {
    Duration::from_micros(us).as_secs_f64() * 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_aligned_and_relative() {
        let line = |at_us, event: &str| Line { at_us, place: "dc2".into(), event: event.into(), detail: String::new() };
        let text = render(&[line(1_000_000, "ARP seen, held"), line(1_012_340, "Claim sent")], 1_000_000);
        assert_eq!(text, "       +0.0 ms  dc2     ARP seen, held\n      +12.3 ms  dc2     Claim sent\n");
    }
}
