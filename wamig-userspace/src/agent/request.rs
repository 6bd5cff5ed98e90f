//! The requests of a session, in their order.

use std::time::Instant;

use bytes::Bytes;
use wamig_openflow::message::{Capabilities, ControllerRole, Features};
use wamig_openflow::{ErrorKind, Message, OfpError, Version, Xid};

use super::mods::{Asked, Run, asked, buffer};
use super::{Agent, multipart, role};
use crate::channel::ConnId;
use crate::channel::batch::{Batch, Received};
use crate::fastpath::FastPath;
use crate::switch::Switch;
use crate::switch::effect::Event;
use crate::switch::validate::Headers;

/// Actions that 1.0 numbers 0 to 10; `OFPAT_ENQUEUE` is none of them.
const ACTIONS_V10: u32 = 0x7ff;

impl Agent {
    /// Serves messages of a session until its outbox is full; the rest of the batch waits.
    pub fn on_messages<F: FastPath>(
        &mut self,
        conn: ConnId,
        mut batch: Batch,
        switch: &mut Switch<F>,
        now: Instant,
    ) -> Vec<Event> {
        let mut run = Run::default();
        let mut events = Vec::new();
        while let Some(Received { xid, message, quote, inner }) = batch.messages.pop_front() {
            let Some(session) = self.sessions.get(&conn) else { break };
            let slave = session.role == ControllerRole::Slave;
            let message = match message {
                Ok(m) if slave && role::changes(&m) => Err(role::is_slave()),
                Ok(m) => match asked(m, session.version) {
                    Asked::Change(change) => {
                        run.push(xid, quote, change);
                        continue;
                    }
                    Asked::Refused(error) => Err(error),
                    Asked::Other(other) => Ok(other),
                },
                Err(unreadable) => Err(unreadable.error),
            };
            events.extend(self.commit(conn, &mut run, switch, now));
            match message {
                Ok(message) => events.extend(self.serve(conn, (xid, &quote), (message, inner), switch, now)),
                Err(error) => {
                    if let Some(session) = self.sessions.get(&conn) {
                        session.error(xid, &quote, &error);
                    }
                }
            }
            if !batch.messages.is_empty()
                && let Some(session) = self.sessions.get_mut(&conn)
                && !session.outbox.has_room()
            {
                session.pending.push_front(batch);
                return events;
            }
        }
        events.extend(self.commit(conn, &mut run, switch, now));
        events
    }

    /// Serves a message that is no modification.
    fn serve<F: FastPath>(
        &mut self,
        conn: ConnId,
        (xid, quote): (Xid, &Bytes),
        (message, inner): (Message, Option<Box<Received>>),
        switch: &mut Switch<F>,
        now: Instant,
    ) -> Vec<Event> {
        let dpid = self.dpid;
        let Some(session) = self.sessions.get_mut(&conn) else { return Vec::new() };
        let mut events = Vec::new();
        let reply = match message {
            Message::EchoRequest(data) => Ok(Some(Message::EchoReply(data))),
            Message::FeaturesRequest => {
                let old = session.version == Version::V10;
                Ok(Some(Message::FeaturesReply(Features {
                    datapath_id: dpid,
                    buffers: 0,
                    tables: if old { 1 } else { switch.tables().tables() },
                    auxiliary_id: 0,
                    capabilities: Capabilities {
                        flow_stats: true,
                        table_stats: true,
                        port_stats: true,
                        group_stats: !old,
                        queue_stats: true,
                        arp_match_ip: old,
                        ..Capabilities::default()
                    },
                    actions: if old { ACTIONS_V10 } else { 0 },
                    ports: if old { switch.ports().iter().cloned().collect() } else { Vec::new() },
                })))
            }
            Message::GetConfigRequest => Ok(Some(Message::GetConfigReply(switch.config()))),
            Message::SetConfig(config) => switch.set_config(config).map(|()| None),
            Message::BarrierRequest => Ok(Some(Message::BarrierReply)),
            Message::PacketOut(out) => {
                let headers = Headers::of(session.version);
                buffer(out.buffer_id).and_then(|()| switch.packet_out_with(&out, headers, now)).map(|effects| {
                    events = switch.carry_out(effects);
                    None
                })
            }
            Message::MultipartRequest { more, body } => multipart::assemble(session, xid, more, body).map(|whole| {
                if let Some(body) = whole {
                    multipart::answer(session, (xid, quote), body, switch, now);
                }
                None
            }),
            Message::QueueGetConfigRequest(port) => {
                switch.queues(port).map(|queues| Some(Message::QueueGetConfigReply(queues)))
            }
            Message::RoleRequest(asked) => {
                let given = self.set_role(conn, asked);
                self.set_miss(switch);
                given.map(|role| Some(Message::RoleReply(role)))
            }
            Message::GetAsyncRequest => Ok(Some(Message::GetAsyncReply(session.wants))),
            Message::SetAsync(wants) => {
                session.wants = wants;
                self.set_miss(switch);
                Ok(None)
            }
            Message::BundleControl(control) => {
                return self.bundle_control(conn, control, (xid, quote), switch, now);
            }
            Message::BundleAdd(add) => session.bundles.add(&add, inner, (xid, quote), now).map(|()| None),
            Message::Experimenter(m) => {
                let of_type = m.exp_type.map_or_else(String::new, |t| format!(", type {t}"));
                let detail = format!("experimenter {:#010x}{of_type} is not known", m.experimenter);
                Err(OfpError::new(ErrorKind::BadRequestBadExperimenter, detail))
            }
            Message::Error(e) => {
                tracing::debug!(remote = session.remote, "the controller tells an error: {:?}", e.code);
                Ok(None)
            }
            Message::Hello(_) | Message::EchoReply(_) => Ok(None),
            _ => Err(OfpError::new(ErrorKind::BadRequestBadType, "only a switch says this")),
        };
        for event in &events {
            self.tell(event);
        }
        if let Some(session) = self.sessions.get(&conn) {
            match reply {
                Ok(Some(reply)) => session.reply(xid, &reply),
                Ok(None) => {}
                Err(error) => session.error(xid, quote, &error),
            }
        }
        events
    }
}
