//! Changes of the switch: a run of them is judged one by one and made visible by one commit.

use std::time::Instant;

use bytes::Bytes;
use wamig_openflow::message::SwitchConfig;
use wamig_openflow::{
    Action, Cookie, ErrorKind, FlowMod, FlowModCommand, Instructions, Match, Message, OfpError, PortNo, TableId,
    Version, Xid,
};

use super::Agent;
use crate::channel::ConnId;
use crate::fastpath::FastPath;
use crate::switch::Switch;
use crate::switch::effect::Event;
use crate::switch::modification::Modification;

/// The flow that stands for OpenFlow 1.0's table miss.
pub(super) const MISS: Cookie = Cookie(0x6d69_7373_0001_0000);

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

/// A message as far as it changes tables.
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
            if version == Version::V10 {
                // It knows of no other table.
                m.table = TableId(0);
            }
            match buffer(m.buffer_id) {
                Ok(()) => Asked::Change(Modification::Flow(m)),
                Err(error) => Asked::Refused(error),
            }
        }
        Message::GroupMod(m) => Asked::Change(Modification::Group(m)),
        Message::MeterMod(m) => Asked::Change(Modification::Meter(m)),
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

fn miss_flow(config: SwitchConfig) -> FlowMod {
    let up = Action::Output { port: PortNo::CONTROLLER, max_len: config.miss_send_len };
    FlowMod::add(TableId(0), 0, Match::any(), Instructions::apply(vec![up]), MISS)
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
        self.set_miss(switch, now);
        applied.events
    }

    /// While there are controllers and all of them speak 1.0, a table miss is a packet-in
    /// (OpenFlow 1.0 §3.4): a flow of the lowest priority that 1.0 does not show, and that any
    /// flow of the controllers in its place replaces.
    pub(super) fn set_miss<F: FastPath>(&mut self, switch: &mut Switch<F>, now: Instant) {
        let only_v10 = !self.sessions.is_empty() && self.sessions.values().all(|s| s.version == Version::V10);
        let present = switch.tables().find(TableId(0), 0, &Match::any());
        let flow = miss_flow(switch.config());
        let wanted = match present {
            None if only_v10 => flow,
            Some(p) if p.cookie == MISS && only_v10 && *p.instructions != flow.instructions => flow,
            Some(p) if p.cookie == MISS && !only_v10 => {
                FlowMod { command: FlowModCommand::DeleteStrict, cookie_mask: u64::MAX, ..flow }
            }
            _ => return,
        };
        if let Err(error) = switch.apply(vec![wanted], now) {
            tracing::warn!(%error, "table misses are not told to the controllers as OpenFlow 1.0 wants it");
        }
    }
}
