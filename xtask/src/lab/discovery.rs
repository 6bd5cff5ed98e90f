//! What the captured frames prove of IPv6 neighbour discovery, in which a server's address is
//! heard of first, and which has to stay where it belongs: nobody answers the server's question
//! whether its address is free, it hears of the router that it had at home and of no other, and
//! at home everybody goes on to hear its own MAC.

use std::net::IpAddr;

use super::capture::{Capture, Record};
use super::family::Plan;
use super::frame::{Frame, Mac, Neighbour};
use super::proof::{Proof, Window};
use super::topology::{SERVER_MAC, mac_text};

/// A message of neighbour discovery on a link.
struct Sight {
    at_us: u64,
    sent: bool,
    from: Mac,
    message: Neighbour,
}

impl Sight {
    fn of(record: &Record) -> Option<Self> {
        let frame = record.frame()?;
        Some(Self { at_us: record.at_us, sent: record.sent, from: frame.from, message: frame.neighbour()? })
    }

    /// The MAC that an answer tells; one that does not say it confirms the sender's.
    fn told(&self) -> Mac {
        self.message.link.unwrap_or(self.from)
    }
}

/// The messages on a link in a window.
fn sights(capture: &Capture, window: &Window) -> Vec<Sight> {
    let records = capture.records();
    records.iter().filter(|record| window.contains(&record.at_us)).filter_map(Sight::of).collect()
}

/// The first frame of the server in the window that has its address is its kernel's question
/// whether somebody else has it, too.
pub fn begins_with_detection(claim: &str, slot: &Capture, window: &Window, plan: &Plan) -> Proof {
    let records = slot.records();
    let own = |record: &&Record| record.sent && window.contains(&record.at_us);
    let names = |frame: &Frame<'_>| frame.is_ipv6() && frame.mentions(plan.server);
    let first = records.iter().filter(own).filter_map(Record::frame).find(names);
    let verdict = match first.map(|frame| (frame.from, frame.neighbour(), frame.carries)) {
        Some((from, Some(message), _))
            if message.asks && message.source.is_unspecified() && message.target == plan.server =>
        {
            Ok(format!("who has {}? from ::, {}", message.target, mac_text(from)))
        }
        first => Err(format!("its first frame was {:?}", first.map(|(_, _, carries)| carries))),
    };
    Proof::of(claim, verdict)
}

/// Nobody told the server of its own address: to its kernel that would be a duplicate.
pub fn detection_unanswered(claim: &str, slot: &Capture, window: &Window, plan: &Plan) -> Proof {
    Proof::of(claim, unanswered(&sights(slot, window), plan.server))
}

fn unanswered(sights: &[Sight], server: IpAddr) -> Result<String, String> {
    // The same question of somebody else is an answer, too.
    let detects = |message: &Neighbour| message.asks && message.source.is_unspecified();
    let of_it = |sight: &&Sight| sight.message.target == server;
    let asked = sights.iter().filter(of_it).filter(|sight| sight.sent && detects(&sight.message)).count();
    let answers = |sight: &&Sight| !sight.sent && (!sight.message.asks || detects(&sight.message));
    match (asked, sights.iter().filter(of_it).filter(answers).count()) {
        (0, _) => Err("it did not ask".to_owned()),
        (_, 0) => Ok(format!("{asked} asked, none answered")),
        (_, heard) => Err(format!("{heard} frames said that {server} is somebody else's")),
    }
}

/// Whatever the server heard of its gateway named the router of its home, and it heard nothing
/// before `ready_us`.
pub fn told_gateway(
    claim: &str,
    slot: &Capture,
    window: &Window,
    (gateway, router): (IpAddr, Mac),
    ready_us: u64,
) -> Proof {
    Proof::of(claim, told(&sights(slot, window), (gateway, router), ready_us))
}

fn told(sights: &[Sight], (gateway, router): (IpAddr, Mac), ready_us: u64) -> Result<String, String> {
    let about = |sight: &&Sight| !sight.sent && !sight.message.asks && sight.message.target == gateway;
    let answers: Vec<&Sight> = sights.iter().filter(about).collect();
    let early = answers.iter().filter(|sight| sight.at_us < ready_us).count();
    match answers.iter().find(|sight| sight.told() != router) {
        Some(sight) => Err(format!("it heard that {gateway} is at {}", mac_text(sight.told()))),
        None if answers.is_empty() => Err(format!("nobody told it of {gateway}")),
        None if early > 0 => Err(format!("{early} answers came before the flows")),
        None => Ok(format!("{gateway} is at {}, answers: {}", mac_text(router), answers.len())),
    }
}

/// No message of the server, and none about it, is on these links.
pub fn stays_inside(claim: &str, captures: &[&Capture], window: &Window, plan: &Plan) -> Proof {
    let mut count = 0;
    for capture in captures {
        for sight in sights(capture, window) {
            let Neighbour { source, target, .. } = sight.message;
            if sight.from == SERVER_MAC || source == plan.server || target == plan.server {
                let what = format!("{} has one from {source} about {target}", capture.link());
                return Proof::of(claim, Err(what));
            }
            count += 1;
        }
    }
    Proof::of(claim, Ok(format!("{count} messages on the links {}", list(captures))))
}

/// Whoever heard of the server on these links heard that it has the MAC that it always had.
pub fn keeps_mac(claim: &str, captures: &[&Capture], window: &Window, plan: &Plan) -> Proof {
    let mut count = 0;
    for capture in captures {
        for sight in sights(capture, window) {
            if sight.message.asks || sight.message.target != plan.server {
                continue;
            }
            if sight.told() != SERVER_MAC {
                let what = format!("{} heard that it is at {}", capture.link(), mac_text(sight.told()));
                return Proof::of(claim, Err(what));
            }
            count += 1;
        }
    }
    Proof::of(claim, Ok(format!("{}, {count} answers on the links {}", mac_text(SERVER_MAC), list(captures))))
}

fn list(captures: &[&Capture]) -> String {
    captures.iter().map(|capture| capture.link()).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use std::net::Ipv6Addr;

    use super::*;
    use crate::lab::topology::{ROUTER6, SERVER6};

    const HOME: Mac = [2, 0, 0, 0, 1, 1];
    const OTHER: Mac = [2, 0, 0, 0, 2, 1];

    fn asks(sent: bool, source: Ipv6Addr, target: Ipv6Addr) -> Sight {
        let message = Neighbour { asks: true, source: source.into(), target: target.into(), link: None };
        Sight { at_us: 5, sent, from: if sent { SERVER_MAC } else { OTHER }, message }
    }

    fn tells(at_us: u64, target: Ipv6Addr, from: Mac, link: Option<Mac>) -> Sight {
        let message = Neighbour { asks: false, source: target.into(), target: target.into(), link };
        Sight { at_us, sent: false, from, message }
    }

    #[test]
    fn detection_is_answered_by_an_advertisement_or_by_the_same_question() {
        let own = || asks(true, Ipv6Addr::UNSPECIFIED, SERVER6);
        let server = SERVER6.into();
        assert!(unanswered(&[own(), asks(false, ROUTER6, SERVER6)], server).is_ok(), "who looks for it is no answer");
        assert!(unanswered(&[own(), tells(6, ROUTER6, HOME, None)], server).is_ok(), "nor is one of another");
        assert!(unanswered(&[own(), tells(6, SERVER6, HOME, None)], server).is_err());
        assert!(unanswered(&[own(), asks(false, Ipv6Addr::UNSPECIFIED, SERVER6)], server).is_err());
        assert!(unanswered(&[asks(true, SERVER6, ROUTER6)], server).is_err(), "it did not ask");
    }

    #[test]
    fn the_gateway_is_the_home_router_and_not_before_the_flows_are_in() {
        let gateway = (ROUTER6.into(), HOME);
        assert!(told(&[tells(9, ROUTER6, HOME, None), tells(10, ROUTER6, OTHER, Some(HOME))], gateway, 9).is_ok());
        assert!(told(&[tells(8, ROUTER6, HOME, None)], gateway, 9).is_err(), "too early");
        assert!(told(&[tells(9, ROUTER6, HOME, Some(OTHER))], gateway, 9).is_err(), "another site's router");
        assert!(told(&[tells(9, SERVER6, HOME, None)], gateway, 9).is_err(), "nobody told");
    }
}
