//! Several switches elsewhere as one datapath. The controller sees one switch with the ports
//! that the configuration lists; how the switches are connected is known only here.
//!
//! ```text
//!   controller ── flow-mods ──▶ ┌───────┐ ── each switch's share ──▶ ┌────────┐ port 1
//!       ▲                       │ Whole │                            │ switch │──────
//!       │                       └───────┘ ── each switch's share ──▶ └───┬────┘
//!       │                                                    frames with │ a tag
//!       └── packet-ins, with the whole's ports ─────────────────────▶ ┌──┴─────┐ port 2
//!                                                                     │ switch │──────
//! ```
//!
//! * [`topology`] — which ports there are, and the tree of links
//! * [`transit`] — how a frame crosses links: by a tag that says where it leaves
//! * [`lower`] — a flow of the whole as flows of the switches
//! * [`whole`] — what each switch has and should have
//!
//! The whole is up when every switch is. While one is missing the others forward as they were
//! told last, and nothing can be changed; when it is back the controller programs all anew, and
//! each switch is sent the difference.

pub mod lower;
pub mod topology;
pub mod transit;
pub mod whole;

use std::collections::VecDeque;
use std::time::Instant;

use futures_util::future::select_all;
use wamig_openflow::{
    DatapathId, ErrorKind, FlowMod, FlowStats, OfpError, PacketIn, PacketOut, PortDesc, PortNo, PortReason, PortStatus,
};

use super::any::OwnFlow;
use super::remote::Remote;
use super::remote::status::SessionStatus;
use super::{Datapath, DatapathError, Event, Features};
use topology::Topology;
use whole::{Part, Whole};

/// A link, for status.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LinkStatus {
    /// Both ends, SWITCH:PORT.
    pub ends: [String; 2],
    /// Both switches say that it carries frames.
    pub up: bool,
}

/// One of the switches, for status.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct MemberStatus {
    /// Its name.
    pub name: String,
    /// Which switch it is.
    pub dpid: DatapathId,
    /// The session with it.
    pub session: SessionStatus,
}

/// The whole, for status.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FabricStatus {
    /// The switches.
    pub members: Vec<MemberStatus>,
    /// The links between them.
    pub links: Vec<LinkStatus>,
}

/// The switches as one.
pub struct Fabric<D> {
    members: Vec<D>,
    up: Vec<bool>,
    whole: Whole,
    features: Features,
    events: VecDeque<Event>,
    /// The controller has heard [`Event::Up`]; what it sent before meant other switches.
    announced: bool,
    /// Who is asked first for an event.
    turn: usize,
}

impl<D: Datapath> Fabric<D> {
    /// Switches that are not connected yet, in the order of the topology. Each numbers its
    /// ports as its [`topology::Place::ports`] do.
    pub fn new(topology: Topology, members: Vec<D>) -> Self {
        let dpid = members.first().map_or_else(Default::default, |m| m.features().dpid);
        let whole = Whole::new(topology);
        let features = Features { dpid, tables: whole.tables().tables(), ports: Vec::new() };
        let up = vec![false; members.len()];
        let mut fabric = Self { members, up, whole, features, events: VecDeque::new(), announced: false, turn: 0 };
        fabric.features.ports = fabric.ports();
        fabric
    }

    /// The links.
    pub fn links(&self) -> Vec<LinkStatus> {
        let places = self.whole.topology().places();
        let end = |switch: usize, port: PortNo| {
            let place = &places[switch];
            format!("{}:{}", place.name, place.ports[port.0 as usize - 1])
        };
        let up = |switch: usize, port: PortNo| {
            self.up[switch] && self.members[switch].features().ports.iter().any(|p| p.port == port && p.link_up)
        };
        let mut links = Vec::new();
        for (switch, place) in places.iter().enumerate() {
            for l in place.links.iter().filter(|l| l.peer > switch) {
                links.push(LinkStatus {
                    ends: [end(switch, l.port), end(l.peer, l.peer_port)],
                    up: up(switch, l.port) && up(l.peer, l.peer_port),
                });
            }
        }
        links
    }

    fn name(&self, switch: usize) -> &str {
        &self.whole.topology().places()[switch].name
    }

    /// The ports of the whole, as the switches describe them.
    fn ports(&self) -> Vec<PortDesc> {
        let topology = self.whole.topology();
        let one = |port: PortNo| {
            let (switch, there) = topology.place(port)?;
            let desc = self.members[switch].features().ports.iter().find(|p| p.port == there)?;
            Some(PortDesc { port, name: topology.name(port)?, ..desc.clone() })
        };
        (1..=topology.len()).filter_map(|n| one(PortNo(n as u32))).collect()
    }

    /// Whether it can be programmed now.
    fn check(&self) -> Result<(), DatapathError> {
        let missing: Vec<&str> = (0..self.up.len()).filter(|i| !self.up[*i]).map(|i| self.name(i)).collect();
        if !missing.is_empty() {
            return Err(DatapathError::Down(format!("switch {} is missing", missing.join(", "))));
        }
        if self.announced { Ok(()) } else { Err(DatapathError::Down("it has connected just now".to_owned())) }
    }

    /// The error with the switch's name.
    fn of(&self, switch: usize, error: DatapathError) -> DatapathError {
        let name = self.name(switch);
        match error {
            DatapathError::Refused(OfpError { kind, detail }) => {
                DatapathError::Refused(OfpError::new(kind, format!("switch {name}: {detail}")))
            }
            DatapathError::Down(why) => DatapathError::Down(format!("switch {name}: {why}")),
        }
    }

    /// Carries out the parts of a batch; if a switch refuses, the others take theirs back.
    async fn carry_out(&mut self, parts: &[Part], now: Instant) -> Result<(), DatapathError> {
        for (at, part) in parts.iter().enumerate() {
            let Err(error) = self.members[part.switch].send(part.mods.clone(), now).await else { continue };
            let error = self.of(part.switch, error);
            for done in parts[..at].iter().rev() {
                self.take_back(done, now).await;
            }
            return Err(error);
        }
        Ok(())
    }

    async fn take_back(&mut self, part: &Part, now: Instant) {
        let Some(undo) = &part.undo else { return self.whole.left_behind(part) };
        if let Err(error) = self.members[part.switch].send(undo.clone(), now).await {
            let error = self.of(part.switch, error);
            tracing::warn!(%error, "a change is not taken back now; it will be with the next one");
            self.whole.doubt(part.switch, undo);
        }
    }

    fn take_in(&mut self, switch: usize, event: Event) {
        match event {
            Event::Up(_) => self.on_up(switch),
            Event::Down(why) => self.on_down(switch, &why),
            // What is not programmed waits until all are there; so does what would call for it.
            _ if !self.announced => {}
            Event::PacketIn(m) => self.on_frame(switch, m),
            Event::FlowRemoved(m) => {
                let removed = self.whole.removed(switch, &m);
                self.events.extend(removed.map(Event::FlowRemoved));
            }
            Event::PortStatus(m) => self.on_port(switch, m),
            Event::Miss(_) => {}
        }
    }

    fn on_up(&mut self, switch: usize) {
        self.up[switch] = true;
        self.announced = false;
        self.whole.connected(switch);
        tracing::info!("switch {} is there", self.name(switch));
        if self.up.iter().all(|up| *up) {
            self.features.ports = self.ports();
            self.whole.begin_again(self.features.ports.clone());
            self.events.push_back(Event::Up(self.features.ports.clone()));
        }
    }

    fn on_down(&mut self, switch: usize, why: &str) {
        self.up[switch] = false;
        self.announced = false;
        // One that waits to be heard is over already.
        self.events.retain(|e| !matches!(e, Event::Up(_)));
        let why = format!("switch {}: {why}", self.name(switch));
        self.events.push_back(Event::Down(why));
    }

    fn on_frame(&mut self, switch: usize, m: PacketIn) {
        let reserved = (m.in_port > PortNo::MAX).then_some(m.in_port);
        // Frames of a link are sent up by nobody's flow but a stranger's.
        if let Some(in_port) = reserved.or_else(|| self.whole.topology().whole(switch, m.in_port)) {
            self.events.push_back(Event::PacketIn(PacketIn { in_port, ..m }));
        }
    }

    fn on_port(&mut self, switch: usize, m: PortStatus) {
        let topology = self.whole.topology();
        let Some(port) = topology.whole(switch, m.desc.port) else {
            let up = m.reason != PortReason::Delete && m.desc.link_up;
            tracing::warn!("link at {}:{} is {}", self.name(switch), m.desc.name, if up { "up" } else { "down" });
            return;
        };
        let name = topology.name(port).unwrap_or_default();
        self.features.ports = self.ports();
        self.whole.set_ports(self.features.ports.clone());
        let desc = PortDesc { port, name, ..m.desc };
        self.events.push_back(Event::PortStatus(PortStatus { reason: m.reason, desc }));
    }

    /// The next event of any switch, each being the first to be asked in turn.
    async fn next_of_members(&mut self) -> (usize, Option<Event>) {
        if self.members.is_empty() {
            return (0, None);
        }
        self.turn = (self.turn + 1) % self.members.len();
        let next = |(switch, member): (usize, _)| Box::pin(next_of(switch, member));
        let mut nexts: Vec<_> = self.members.iter_mut().enumerate().map(next).collect();
        nexts.rotate_left(self.turn);
        select_all(nexts).await.0
    }
}

async fn next_of<D: Datapath>(switch: usize, member: &mut D) -> (usize, Option<Event>) {
    (switch, member.next_event().await)
}

impl Fabric<Remote> {
    /// How the switches and the links are.
    pub fn status(&self) -> FabricStatus {
        let member = |(place, remote): (&topology::Place, &Remote)| MemberStatus {
            name: place.name.clone(),
            dpid: remote.features().dpid,
            session: remote.status(),
        };
        let members = self.whole.topology().places().iter().zip(&self.members).map(member).collect();
        FabricStatus { members, links: self.links() }
    }

    /// Our flows as the switches that are there have them, with their own port numbers.
    ///
    /// # Errors
    /// [`DatapathError::Down`]: none is there.
    pub async fn installed_flows(&mut self) -> Result<Vec<OwnFlow>, DatapathError> {
        let mut found = Vec::new();
        let mut missing = None;
        for switch in 0..self.members.len() {
            match self.members[switch].installed_flows().await {
                Ok(flows) => found.extend(flows.into_iter().map(|flow| OwnFlow {
                    switch: Some(self.name(switch).to_owned()),
                    is_links: self.members[switch].marks().is_links(flow.cookie),
                    flow,
                })),
                Err(error) => missing = Some(self.of(switch, error)),
            }
        }
        match missing {
            Some(error) if found.is_empty() => Err(error),
            _ => Ok(found),
        }
    }
}

impl<D: Datapath> Datapath for Fabric<D> {
    fn features(&self) -> &Features {
        &self.features
    }

    async fn send(&mut self, batch: Vec<FlowMod>, now: Instant) -> Result<(), DatapathError> {
        self.check()?;
        let plan = self.whole.plan(batch, now)?;
        match self.carry_out(&plan.parts, now).await {
            Ok(()) => self.whole.commit(plan),
            Err(error) => {
                self.whole.revert(plan);
                return Err(error);
            }
        }
        Ok(())
    }

    async fn packet_out(&mut self, out: PacketOut, now: Instant) -> Result<(), DatapathError> {
        self.check()?;
        let topology = self.whole.topology();
        let place = topology.place(out.in_port);
        if place.is_none() && out.in_port <= PortNo::MAX {
            let detail = format!("in_port {}: the ports are 1 to {}", out.in_port, topology.len());
            return Err(OfpError::new(ErrorKind::BadRequestBadPort, detail).into());
        }
        lower::check_packet_out(topology, &out.actions)?;
        let first = topology.places().iter().position(|p| !p.edges.is_empty()).unwrap_or(0);
        let (owner, there) = place.unwrap_or((first, out.in_port));
        let share = |switch: usize| {
            let actions = lower::packet_out(topology, switch, switch == owner, &out.actions)?;
            let in_port = if switch == owner { there } else { PortNo::CONTROLLER };
            Some((switch, PacketOut { in_port, actions, ..out.clone() }))
        };
        let shares: Vec<_> = (0..self.members.len()).filter_map(share).collect();
        for (switch, share) in shares {
            let sent = self.members[switch].packet_out(share, now).await;
            sent.map_err(|error| self.of(switch, error))?;
        }
        Ok(())
    }

    async fn dump_flows(&mut self, now: Instant) -> Result<Vec<FlowStats>, DatapathError> {
        self.check()?;
        let mut there = Vec::new();
        for switch in 0..self.members.len() {
            let flows = self.members[switch].dump_flows(now).await;
            there.push((switch, flows.map_err(|error| self.of(switch, error))?));
        }
        Ok(self.whole.dump(&there, now))
    }

    async fn next_event(&mut self) -> Option<Event> {
        loop {
            if let Some(event) = self.events.pop_front() {
                self.announced |= matches!(event, Event::Up(_));
                return Some(event);
            }
            let (switch, event) = self.next_of_members().await;
            self.take_in(switch, event?);
        }
    }
}

#[cfg(test)]
mod tests;
