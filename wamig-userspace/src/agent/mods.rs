//! Changes of the switch: a run of them is judged one by one and made visible by one commit.

use std::time::Instant;

use bytes::Bytes;
use wamig_openflow::{ErrorKind, Message, OfpError, TableId, Version, Xid};

use super::Agent;
use super::session::Session;
use crate::channel::ConnId;
use crate::fastpath::FastPath;
use crate::switch::Switch;
use crate::switch::effect::Event;
use crate::switch::modification::Modification;

/// Changes of one session that wait for their commit.
#[derive(Debug, Default)]
pub(super) struct Run {
    asked: Vec<(Xid, Bytes)>,
    mods: Vec<Modification>,
}

impl Run {
    pub(super) fn push(&mut self, xid: Xid, quote: Bytes, modification: Modification) {
        self.asked.push((xid, quote));
        self.mods.push(modification);
    }
}

/// A message as far as it changes tables, groups, meters or ports.
pub(super) enum Asked {
    /// It does, like this.
    Change(Modification),
    /// It would, but not like this.
    Refused(OfpError),
    /// It does not.
    Other(Message),
}

/// What a session of this version asks for.
pub(super) fn asked(message: Message, version: Version) -> Asked {
    match message {
        Message::FlowMod(mut m) => {
            if let Err(error) = buffer(m.buffer_id) {
                return Asked::Refused(error);
            }
            Asked::Change(if version == Version::V10 {
                // It knows of no other table.
                m.table = TableId(0);
                Modification::FlowV10(m)
            } else {
                Modification::Flow(m)
            })
        }
        Message::GroupMod(m) => Asked::Change(Modification::Group(m)),
        Message::MeterMod(m) => Asked::Change(Modification::Meter(m)),
        Message::PortMod(m) => Asked::Change(Modification::Port(m)),
        Message::TableMod(m) => Asked::Change(Modification::Table(m)),
        other => Asked::Other(other),
    }
}

/// The switch keeps no frames.
pub(super) fn buffer(id: Option<u32>) -> Result<(), OfpError> {
    id.map_or(Ok(()), |id| {
        let detail = format!("buffer {id}: this switch keeps no frames, packet-ins carry them whole");
        Err(OfpError::new(ErrorKind::BadRequestBufferUnknown, detail))
    })
}

impl Agent {
    /// Commits a run, answers what was refused, and tells what came of it.
    pub(super) fn commit<F: FastPath>(
        &mut self,
        conn: ConnId,
        run: &mut Run,
        switch: &mut Switch<F>,
        now: Instant,
    ) -> Vec<Event> {
        if run.mods.is_empty() {
            return Vec::new();
        }
        let applied = switch.apply_each(std::mem::take(&mut run.mods), now);
        let asked = std::mem::take(&mut run.asked);
        if let Some(session) = self.sessions.get(&conn) {
            for ((xid, quote), verdict) in asked.into_iter().zip(applied.verdicts) {
                if let Err(error) = verdict {
                    session.error(xid, &quote, &error);
                }
            }
        }
        for event in &applied.events {
            self.tell(event);
        }
        applied.events
    }

    /// While a controller of OpenFlow 1.0 wants packet-ins of table misses, they are made
    /// (OpenFlow 1.0 §3.4); see [`super::notice`] for who gets them.
    pub(super) fn set_miss<F: FastPath>(&self, switch: &mut Switch<F>) {
        let wanted = self.sessions.values().any(Session::wants_misses);
        if let Err(error) = switch.set_miss_packet_in(wanted) {
            tracing::warn!(%error, "table misses are not told to the controllers as OpenFlow 1.0 wants it");
        }
    }
}
