//! The switch's side of OpenFlow: sessions with controllers, and what each request does.
//!
//! ```text
//!   channel ── Opened, Batch, Room, Closed ──▶ sessions ── work ──▶ requests ──▶ Switch
//!      ▲ └──────────── Outbox ◀── replies, errors ────┘  └─ run of mods: one commit
//!      └───────────── Outbox ◀── tell: packet-in, flow-removed, port-status ◀── events
//! ```
//!
//! No IO and no clock: the daemon hands in what the channel says and calls [`Agent::work`]
//! for as long as [`Agent::has_work`]; each call serves a slice of one session, in turn, so
//! that nobody waits for another's hundred thousand requests. A session whose outbox is full
//! is served again when there is room.

mod bundle;
mod mods;
mod multipart;
mod notice;
mod request;
mod role;
mod session;
pub mod translate;

use std::collections::BTreeMap;
use std::time::Instant;

use wamig_openflow::{DatapathId, Version};

use crate::channel::batch::Batch;
use crate::channel::outbox::Dropped;
use crate::channel::{ChannelEvent, ConnId};
use crate::fastpath::FastPath;
use crate::switch::Switch;
use crate::switch::effect::Event;
use session::Session;

/// A session as status shows it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SessionStatus {
    /// Index of its endpoint.
    pub endpoint: usize,
    /// Who is at the other end.
    pub remote: String,
    /// What is spoken.
    pub version: Version,
    /// `equal`, `master` or `slave`.
    pub role: &'static str,
    /// Since when.
    pub since: Instant,
    /// Bytes that wait for it to read.
    pub queued: usize,
    /// What it did not get.
    pub dropped: Dropped,
}

/// See the module.
#[derive(Debug)]
pub struct Agent {
    dpid: DatapathId,
    sessions: BTreeMap<ConnId, Session>,
    /// Who was served last.
    last: ConnId,
    /// Age of the last mastership election that a controller told of.
    generation: Option<u64>,
    /// Why there is no session on an endpoint, or was none lately.
    failures: BTreeMap<usize, (Instant, String)>,
}

impl Agent {
    /// An agent without sessions, for the switch of this identity.
    pub fn new(dpid: DatapathId) -> Self {
        Self { dpid, sessions: BTreeMap::new(), last: ConnId(0), generation: None, failures: BTreeMap::new() }
    }

    /// Takes in what happened on the channel.
    pub fn on_channel<F: FastPath>(&mut self, event: ChannelEvent, switch: &mut Switch<F>, now: Instant) {
        match event {
            ChannelEvent::Opened(opened) => {
                tracing::info!("OpenFlow: {} is connected, {:?}", opened.remote, opened.version);
                self.failures.remove(&opened.endpoint);
                self.sessions.insert(opened.conn, Session::new(opened, now));
                self.set_miss(switch);
            }
            ChannelEvent::Batch(conn, batch) => self.on_batch(conn, batch),
            // Only a reason to look again.
            ChannelEvent::Room(_) => {}
            ChannelEvent::Closed(conn, why) => {
                if let Some(session) = self.sessions.remove(&conn) {
                    tracing::info!("OpenFlow: {} is gone: {why}", session.remote);
                    self.failures.insert(session.endpoint, (now, why));
                }
                self.set_miss(switch);
            }
            ChannelEvent::Failed { endpoint, why } => {
                if self.failures.get(&endpoint).is_none_or(|(_, before)| *before != why) {
                    tracing::warn!("OpenFlow: {why}");
                }
                self.failures.insert(endpoint, (now, why));
            }
        }
    }

    /// Messages for a session to work on.
    pub fn on_batch(&mut self, conn: ConnId, batch: Batch) {
        if let Some(session) = self.sessions.get_mut(&conn) {
            session.pending.push_back(batch);
        }
    }

    /// Whether [`Self::work`] has something to do.
    pub fn has_work(&self) -> bool {
        self.sessions.values().any(Session::is_ready)
    }

    /// Serves a slice of the next session. What the switch has to tell about it was told to
    /// the sessions already, and is returned for others who want to know.
    pub fn work<F: FastPath>(&mut self, switch: &mut Switch<F>, now: Instant) -> Vec<Event> {
        let after = (std::ops::Bound::Excluded(self.last), std::ops::Bound::Unbounded);
        let ready = |(conn, session): (&ConnId, &Session)| session.is_ready().then_some(*conn);
        let next = self.sessions.range(after).find_map(ready).or_else(|| self.sessions.iter().find_map(ready));
        let Some(conn) = next else { return Vec::new() };
        self.last = conn;
        let batch = self.sessions.get_mut(&conn).and_then(|s| s.pending.pop_front());
        batch.map_or_else(Vec::new, |batch| self.on_messages(conn, batch, switch, now))
    }

    /// How many sessions there are.
    pub fn sessions(&self) -> usize {
        self.sessions.len()
    }

    /// The sessions, in the order of their beginning.
    pub fn status(&self) -> Vec<SessionStatus> {
        let status = |s: &Session| SessionStatus {
            endpoint: s.endpoint,
            remote: s.remote.clone(),
            version: s.version,
            role: role::name(s.role),
            since: s.since,
            queued: s.outbox.len(),
            dropped: s.outbox.dropped(),
        };
        self.sessions.values().map(status).collect()
    }

    /// Why an endpoint has no session, or the last one ended.
    pub fn failure(&self, endpoint: usize) -> Option<&(Instant, String)> {
        self.failures.get(&endpoint)
    }

    /// When [`Self::tick`] has something to do.
    pub fn next_deadline(&self) -> Option<Instant> {
        self.sessions.values().filter_map(|s| s.bundles.next_deadline()).min()
    }

    /// Gives up bundles that nobody goes on with.
    pub fn tick(&mut self, now: Instant) {
        for session in self.sessions.values_mut() {
            for (open, error) in session.bundles.expire(now) {
                session.error(open.xid, &open.quote, &error);
            }
        }
    }
}
