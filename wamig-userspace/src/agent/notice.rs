//! What controllers are told without having asked, and which of them (OpenFlow 1.3.5 §7.4,
//! §6.3.5): each by its own mask for its own role.

use wamig_openflow::message::{AsyncConfig, ControllerRole};
use wamig_openflow::{Message, PacketInReason, Version, Xid};

use super::Agent;
use super::session::Session;
use crate::channel::outbox::Class;
use crate::switch::effect::Event;

/// Until a controller says otherwise: everything but frames whose TTL ran out, and for slaves
/// the ports only.
pub(super) const DEFAULT: AsyncConfig =
    AsyncConfig { packet_in: [0b011, 0], port_status: [0b111, 0b111], flow_removed: [0b1111, 0] };

impl Session {
    fn wants(&self, event: &Event) -> bool {
        let slave = usize::from(self.role == ControllerRole::Slave);
        let (masks, reason) = match event {
            Event::PacketIn(m) | Event::Miss(m) => (self.wants.packet_in, m.reason.number()),
            Event::FlowRemoved(m) => (self.wants.flow_removed, m.reason.number()),
            Event::PortStatus(m) => (self.wants.port_status, m.reason.number()),
        };
        let hidden = match (self.version, event) {
            (Version::V10, Event::FlowRemoved(m)) => m.stats.table.0 != 0,
            // From 1.3 on a miss goes up by a miss flow or not at all.
            (version, Event::Miss(_)) => version != Version::V10,
            _ => false,
        };
        !hidden && masks[slave] >> reason & 1 != 0
    }

    /// Whether it is told of table misses that no flow sends up: so it is in 1.0, unless the
    /// controller is a slave.
    pub(super) fn wants_misses(&self) -> bool {
        let slave = usize::from(self.role == ControllerRole::Slave);
        let reason = PacketInReason::NoMatch.number();
        self.version == Version::V10 && self.wants.packet_in[slave] >> reason & 1 != 0
    }
}

impl Agent {
    /// Tells every controller that wants to know.
    pub fn tell(&self, event: &Event) {
        if self.sessions.is_empty() {
            return;
        }
        let (class, message) = match event {
            Event::PacketIn(m) | Event::Miss(m) => (Class::PacketIn, Message::PacketIn(m.clone())),
            Event::FlowRemoved(m) => (Class::Notice, Message::FlowRemoved(m.clone())),
            Event::PortStatus(m) => (Class::Notice, Message::PortStatus(m.clone())),
        };
        for session in self.sessions.values().filter(|s| s.wants(event)) {
            if let Err(error) = session.outbox.push(class, session.version, Xid(0), &message) {
                // A flow of 1.3 whose match 1.0 has no words for.
                tracing::trace!(remote = session.remote, %error, "a notice cannot be said");
            }
        }
    }
}
