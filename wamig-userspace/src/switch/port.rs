//! The ports of the switch, and the notices of their changes (OpenFlow 1.3.5 §7.2.1, §7.4.3).

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use wamig_openflow::message::PortConfig;
use wamig_openflow::{PortDesc, PortNo, PortReason, PortStatus};

/// What a watcher of interfaces saw.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum PortChange {
    /// A port appeared or looks like this from here on.
    Present(PortDesc),
    /// A port went away.
    Gone(PortNo),
}

/// The port table.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Ports {
    ports: BTreeMap<PortNo, PortDesc>,
    /// Since when each has been there.
    since: BTreeMap<PortNo, Instant>,
}

impl Ports {
    /// A table of these ports; of two with one number the last stays.
    pub fn new(ports: impl IntoIterator<Item = PortDesc>) -> Self {
        let with_state = |mut p: PortDesc| {
            p.state.live = is_live(&p);
            (p.port, p)
        };
        Self { ports: ports.into_iter().map(with_state).collect(), since: BTreeMap::new() }
    }

    /// The same ports, alive since `now`.
    #[must_use]
    pub fn alive_since(mut self, now: Instant) -> Self {
        self.since = self.ports.keys().map(|port| (*port, now)).collect();
        self
    }

    /// Takes a change in; `None` when nothing is different.
    pub fn apply(&mut self, change: PortChange, now: Instant) -> Option<PortStatus> {
        match change {
            PortChange::Gone(port) => {
                self.since.remove(&port);
                self.ports.remove(&port).map(|desc| PortStatus { reason: PortReason::Delete, desc })
            }
            PortChange::Present(mut desc) => {
                // The interface tells whether it is down; everything else is the controllers'.
                let before = self.ports.get(&desc.port).map(|p| p.config).unwrap_or_default();
                desc.config = PortConfig { down: desc.config.down, ..before };
                desc.state.live = is_live(&desc);
                self.since.entry(desc.port).or_insert(now);
                let reason = match self.ports.insert(desc.port, desc.clone()) {
                    None => PortReason::Add,
                    Some(old) if old != desc => PortReason::Modify,
                    Some(_) => return None,
                };
                Some(PortStatus { reason, desc })
            }
        }
    }

    /// The port of this number.
    pub fn get(&self, port: PortNo) -> Option<&PortDesc> {
        self.ports.get(&port)
    }

    /// Whether the number names a port of the switch ([`PortNo::LOCAL`] included, if it has one).
    pub fn contains(&self, port: PortNo) -> bool {
        self.ports.contains_key(&port)
    }

    /// Replaces the configuration of a port that is there.
    pub(super) fn configure(&mut self, port: PortNo, config: PortConfig) {
        if let Some(desc) = self.ports.get_mut(&port) {
            desc.config = config;
            desc.state.live = is_live(desc);
        }
    }

    /// Whether frames can leave by a port: it is there and neither down nor told not to forward.
    pub fn forwards(&self, port: PortNo) -> bool {
        self.ports.get(&port).is_some_and(|p| !p.config.no_fwd && !p.config.down)
    }

    /// Whether the port is one that floods reach.
    pub fn is_flooded(&self, port: PortNo) -> bool {
        self.ports.get(&port).is_some_and(|p| !p.config.no_flood)
    }

    /// Whether a table miss of a frame that came in here makes a packet-in.
    pub fn tells_misses(&self, port: PortNo) -> bool {
        self.ports.get(&port).is_none_or(|p| !p.config.no_packet_in)
    }

    /// How long a port has been there; zero if that is not known.
    pub fn age(&self, port: PortNo, now: Instant) -> Duration {
        self.since.get(&port).map_or(Duration::ZERO, |since| now.saturating_duration_since(*since))
    }

    /// The ports' numbers in ascending order.
    pub fn numbers(&self) -> impl Iterator<Item = PortNo> {
        self.ports.keys().copied()
    }

    /// The ports in ascending order.
    pub fn iter(&self) -> impl Iterator<Item = &PortDesc> {
        self.ports.values()
    }

    /// The numbers for an error's text: `1, 2, LOCAL`.
    pub fn listed(&self) -> String {
        let names: Vec<_> = self.ports.keys().map(ToString::to_string).collect();
        if names.is_empty() { "none".into() } else { names.join(", ") }
    }
}

/// Whether fast failover may use the port (§6.5).
fn is_live(desc: &PortDesc) -> bool {
    desc.link_up && !desc.config.down && !desc.state.blocked
}

#[cfg(test)]
mod tests {
    use wamig_openflow::message::PortState;

    use super::*;
    use crate::switch::fixtures::port;

    #[test]
    fn every_change_is_told_once() {
        let mut ports = Ports::default();
        let now = Instant::now();
        let reason = |s: Option<PortStatus>| s.map(|s| s.reason);
        assert_eq!(reason(ports.apply(PortChange::Present(port(1)), now)), Some(PortReason::Add));
        assert_eq!(ports.apply(PortChange::Present(port(1)), now), None);
        let down = PortDesc { link_up: false, state: PortState::default(), ..port(1) };
        assert_eq!(reason(ports.apply(PortChange::Present(down.clone()), now)), Some(PortReason::Modify));
        assert_eq!(
            ports.apply(PortChange::Gone(PortNo(1)), now),
            Some(PortStatus { reason: PortReason::Delete, desc: down })
        );
        assert_eq!(ports.apply(PortChange::Gone(PortNo(1)), now), None);
    }

    #[test]
    fn the_interface_tells_of_down_and_the_controller_of_the_rest() {
        let now = Instant::now();
        let mut ports = Ports::new([port(1)]);
        let flags = PortConfig { no_flood: true, no_fwd: true, down: true, ..PortConfig::default() };
        ports.configure(PortNo(1), flags);
        assert!(!ports.forwards(PortNo(1)) && !ports.is_flooded(PortNo(1)));
        assert!(!ports.get(PortNo(1)).unwrap().state.live);
        let told = ports.apply(PortChange::Present(port(1)), now).unwrap();
        assert_eq!(told.desc.config, PortConfig { down: false, ..flags });
        assert!(told.desc.state.live);
    }

    #[test]
    fn a_port_is_as_old_as_its_presence() {
        let now = Instant::now();
        let later = now + Duration::from_secs(5);
        let mut ports = Ports::new([port(1)]).alive_since(now);
        ports.apply(PortChange::Present(PortDesc { link_up: false, ..port(1) }), later);
        assert_eq!(ports.age(PortNo(1), later), Duration::from_secs(5));
        ports.apply(PortChange::Gone(PortNo(1)), later);
        ports.apply(PortChange::Present(port(1)), later);
        assert_eq!(ports.age(PortNo(1), later), Duration::ZERO);
    }

    #[test]
    fn ports_are_listed_for_people() {
        assert_eq!(Ports::default().listed(), "none");
        let local = PortDesc { port: PortNo::LOCAL, ..port(9) };
        assert_eq!(Ports::new([port(2), local, port(1)]).listed(), "1, 2, LOCAL");
    }
}
