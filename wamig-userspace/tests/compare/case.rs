//! One frame, and what the two made of it.

use wamig_openflow::{Action, PortNo};

use super::{Event, Way};
use crate::oracle::Rule;
use crate::ovs::trace::Trace;

/// See above.
#[derive(Clone, Copy)]
pub struct Case<'a> {
    /// The flows.
    pub rules: &'a [Rule],
    /// Where it came in.
    pub in_port: PortNo,
    /// As received.
    pub frame: &'a [u8],
    /// What wamig made of it.
    pub ours: &'a Way,
    /// What Open vSwitch made of it.
    pub theirs: &'a Way,
    /// How it says so.
    pub trace: &'a Trace,
}

impl Case<'_> {
    /// The flows that the frame met in wamig.
    pub fn met(&self) -> impl Iterator<Item = &Rule> {
        self.ours.path.iter().filter_map(|(_, id)| self.rules.iter().find(|r| Some(r.id.0) == *id))
    }

    /// The actions of these flows.
    pub fn actions(&self) -> impl Iterator<Item = &Action> {
        self.met().flat_map(|r| r.instructions.apply.iter().chain(&r.instructions.write))
    }

    /// Their write-actions.
    pub fn written(&self) -> impl Iterator<Item = &Action> {
        self.met().flat_map(|r| &r.instructions.write)
    }

    /// Whether both met the same flows.
    pub fn same_path(&self) -> bool {
        self.ours.path == self.theirs.path
    }

    /// Whether both met the same flows and made as many outputs and packet-ins, each of which is alike.
    pub fn alike(&self, alike: impl Fn(&Event, &Event) -> bool) -> bool {
        let (ours, theirs) = (&self.ours.events, &self.theirs.events);
        self.same_path() && ours.len() == theirs.len() && ours.iter().zip(theirs).all(|(a, b)| alike(a, b))
    }

    /// What Open vSwitch did without wamig: `None` if it did not do all that wamig did.
    pub fn more(&self) -> Option<Vec<Event>> {
        let mut more = self.theirs.events.clone();
        for event in &self.ours.events {
            more.remove(more.iter().position(|m| m == event)?);
        }
        Some(more)
    }

    /// Bytes by which wamig's frames differ from the nearest ones of Open vSwitch.
    pub fn distance(&self) -> usize {
        let nearest = |a: &Event| self.theirs.events.iter().map(|b| distance(a, b)).min().unwrap_or(FAR);
        self.ours.events.iter().map(nearest).sum()
    }
}

/// The distance of things that are not alike at all.
const FAR: usize = 1 << 16;

fn distance(a: &Event, b: &Event) -> usize {
    let (a, b) = match (a, b) {
        (Event::Port(p, a), Event::Port(q, b)) if p == q => (a, b),
        (Event::Up { frame: a, .. }, Event::Up { frame: b, .. }) => (a, b),
        _ => return FAR,
    };
    if a.len() == b.len() { a.iter().zip(b).filter(|(a, b)| a != b).count() } else { FAR }
}
