//! A switch elsewhere as a datapath: an OpenFlow switch that is controlled over a connection.
//!
//! ```text
//!   channel ── ChannelEvent ──▶ ┌────────┐ ── next_event ──▶ controller
//!      ▲ the switch             │ Remote │ ◀── send, packet_out ──┘
//!      └────── Outbox ◀──────── └────────┘
//! ```
//!
//! * [`session`] — one connection, without IO; [`work`] — a batch under way on it
//! * [`book`] — what is wanted and what the switch has: what has to be sent
//! * [`fragment`] — later fragments, which some switches damage
//! * [`ports`] — the switch's port numbers and the controller's
//! * [`marks`] — the cookies and priorities of our flows, among those of others
//! * [`profile`] — what is asked of the switch
//! * [`status`] — how the session is
//!
//! Connections come and go; the datapath is down in between, and says [`Event::Up`] when the
//! switch can be programmed again. One connection controls the switch at a time: another one
//! of the same datapath id is refused while it lasts.

pub mod book;
pub mod fragment;
pub mod marks;
pub mod ports;
pub mod profile;
pub mod session;
pub mod status;
pub mod work;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use tokio::time::{Instant as TokioInstant, sleep_until, timeout_at};
use wamig_openflow::message::Role;
use wamig_openflow::{
    DatapathId, FlowMod, FlowRemoved, FlowRemovedReason, FlowStats, Message, PacketIn, PacketOut, PortDesc, PortReason,
    PortStatus, Version,
};

use super::{Datapath, DatapathError, Event, Features};
use crate::channel::outbox::{Class, Outbox};
use crate::channel::{ChannelEvent, ConnId, Opened};
use crate::peer::Fingerprint;
use book::{Book, Plan};
use fragment::{Detour, Verdict};
use marks::Marks;
use ports::PortMap;
use profile::Profile;
use session::{Expected, News, Session};
use status::{Refusal, SessionStatus};

/// A switch that has not answered for so long is given up.
const PATIENCE: Duration = Duration::from_secs(10);

/// So long the fragments of a trial may take to come back.
const TRIAL_PATIENCE: Duration = Duration::from_secs(1);

/// Which switch, and how it is used.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Settings {
    /// Its identity.
    pub dpid: DatapathId,
    /// Names or numbers of its ports; the first is the controller's port 1.
    pub ports: Vec<String>,
    /// How it is used.
    pub profile: Profile,
    /// Our role at it (1.3).
    pub role: Role,
    /// Where it is waited for or dialled, for status.
    pub endpoints: Vec<String>,
    /// By what our flows are told from others'.
    pub marks: Marks,
    /// It is one of several, and tags take frames from one to the next.
    pub has_links: bool,
}

/// A connection.
#[derive(Debug)]
struct Link {
    conn: ConnId,
    remote: String,
    version: Version,
    certificate: Option<Fingerprint>,
    outbox: Arc<Outbox>,
    session: Session,
    /// It has to be ready by then.
    deadline: TokioInstant,
    since: Instant,
}

impl Link {
    fn flush(&mut self) {
        for (xid, message) in self.session.take_out() {
            if let Err(error) = self.outbox.push(Class::Reply, self.version, xid, &message) {
                tracing::error!(remote = self.remote, %error, "a message cannot be said");
            }
        }
    }
}

/// The remote switch.
#[derive(Debug)]
pub struct Remote {
    settings: Settings,
    features: Features,
    channel: mpsc::Receiver<ChannelEvent>,
    /// The connection that controls the switch.
    link: Option<Link>,
    /// Those that are not as far.
    greeting: Vec<Link>,
    book: Book,
    /// For a switch that damages later fragments.
    detour: Option<Detour>,
    refused: Option<Refusal>,
    turned_away: Option<Refusal>,
    map: PortMap,
    events: VecDeque<Event>,
    done: Option<Result<(), wamig_openflow::OfpError>>,
    flows: Option<Vec<FlowStats>>,
    last_error: Option<String>,
    down_since: Option<Instant>,
    closed: bool,
    /// A switch that has not answered for so long is given up.
    patience: Duration,
    /// The controller has heard [`Event::Up`]; what it sent before meant the last connection.
    announced: bool,
}

impl Remote {
    /// A switch that is not connected yet; its connections come by `channel`.
    pub fn new(settings: Settings, channel: mpsc::Receiver<ChannelEvent>) -> Self {
        let port = |(i, name): (usize, &String)| PortDesc {
            port: wamig_openflow::PortNo(i as u32 + 1),
            name: name.clone(),
            ..PortDesc::default()
        };
        let features = Features {
            dpid: settings.dpid,
            tables: settings.profile.tables(),
            ports: settings.ports.iter().enumerate().map(port).collect(),
        };
        Self {
            settings,
            features,
            channel,
            link: None,
            greeting: Vec::new(),
            book: Book::default(),
            detour: None,
            refused: None,
            turned_away: None,
            map: PortMap::default(),
            events: VecDeque::new(),
            done: None,
            flows: None,
            last_error: None,
            down_since: None,
            closed: false,
            patience: PATIENCE,
            announced: false,
        }
    }

    /// How the session is.
    pub fn status(&self) -> SessionStatus {
        let link = self.link.as_ref();
        let describe = |l: &Link| {
            let d = &l.session.description;
            [&d.manufacturer, &d.hardware, &d.software].map(String::as_str).join(" ").trim().to_owned()
        };
        SessionStatus {
            endpoints: self.settings.endpoints.clone(),
            remote: link.map(|l| l.remote.clone()),
            version: link.map(|l| l.version),
            since: link.map(|l| l.since).or(self.down_since),
            bundles: link.is_some_and(|l| l.session.bundles),
            description: link.map(describe).unwrap_or_default(),
            profile: self.settings.profile,
            flows: self.book.count(),
            fragments: link.map(|l| l.session.verdict.clone()),
            fragments_detoured: self.detour.as_ref().map_or(0, |d| d.taken),
            fragments_lost: self.detour.as_ref().map_or(0, Detour::lost),
            batch_since: None,
            refused: self.refused.clone(),
            turned_away: self.turned_away.clone(),
            last_error: self.last_error.clone(),
        }
    }

    /// Our flows as the switch has them, with its own port numbers.
    ///
    /// # Errors
    /// [`DatapathError::Down`].
    pub async fn installed_flows(&mut self) -> Result<Vec<FlowStats>, DatapathError> {
        self.ready_link()?.session.dump();
        self.flows = None;
        let mut flows = self.wait(|remote| remote.flows.take()).await?;
        // OpenFlow 1.0 tells of everybody's.
        flows.retain(|flow| self.settings.marks.is_ours(flow.cookie));
        Ok(flows)
    }

    /// Whether it can be programmed now.
    ///
    /// # Errors
    /// [`DatapathError::Down`], with the reason.
    pub fn check(&mut self) -> Result<(), DatapathError> {
        self.ready_link()?;
        if self.announced { Ok(()) } else { Err(DatapathError::Down("it has connected just now".to_owned())) }
    }

    /// By what our flows are told from others'.
    pub fn marks(&self) -> Marks {
        self.settings.marks
    }

    /// Whether later fragments go round the flows that write addresses.
    pub fn damages_fragments(&self) -> bool {
        self.detour.is_some()
    }

    /// One that went round came faster than it could be sent on.
    pub fn lose_fragment(&mut self) {
        if let Some(detour) = &mut self.detour {
            detour.elsewhere += 1;
        }
    }

    /// Emits a frame.
    ///
    /// # Errors
    /// [`DatapathError::Down`].
    pub fn emit(&mut self, out: PacketOut) -> Result<(), DatapathError> {
        let in_port = self.map.outward(out.in_port);
        let out = PacketOut { in_port, actions: self.map.actions_out(out.actions), ..out };
        let link = self.ready_link()?;
        link.session.say(Message::PacketOut(out));
        link.flush();
        Ok(())
    }

    /// Changes a flow, beside the batches and without waiting for the outcome: should the switch
    /// refuse to add it, an [`Event::FlowRemoved`] with reason `OFPRR_DELETE` tells.
    ///
    /// # Errors
    /// [`DatapathError::Down`], or it would replace a flow of somebody else.
    pub fn say(&mut self, m: FlowMod) -> Result<(), DatapathError> {
        self.check()?;
        let plan = self.book.plan(&[self.map.flow_out(m)])?;
        let link = self.ready_link()?;
        for m in &plan.mods {
            link.session.say_mod(m);
        }
        link.flush();
        self.commit(plan);
        Ok(())
    }

    /// The switch has carried out a plan.
    fn commit(&mut self, plan: Plan) {
        if let Some(detour) = &mut self.detour {
            detour.follow(&plan.mods, TokioInstant::now().into_std());
        }
        self.book.commit(plan);
    }

    fn ready_link(&mut self) -> Result<&mut Link, DatapathError> {
        let why = self.last_error.as_deref().unwrap_or("it has not connected");
        match &mut self.link {
            Some(link) => Ok(link),
            None => Err(DatapathError::Down(why.to_owned())),
        }
    }

    /// Sends what is to be sent, then takes in what comes until the answer is there.
    async fn wait<T>(&mut self, answer: impl Fn(&mut Self) -> Option<T>) -> Result<T, DatapathError> {
        let deadline = TokioInstant::now() + self.patience;
        self.ready_link()?.flush();
        loop {
            if let Some(answer) = answer(self) {
                return Ok(answer);
            }
            self.ready_link()?;
            match timeout_at(deadline, self.channel.recv()).await {
                Ok(Some(event)) => self.on_channel(event),
                Ok(None) => self.close(),
                Err(_) => self.lose(&format!("it has not answered for {} s", self.patience.as_secs())),
            }
        }
    }

    fn close(&mut self) {
        self.closed = true;
        self.lose("the connections have ended");
    }

    /// Ends the connection in control.
    fn lose(&mut self, why: &str) {
        if let Some(link) = self.link.take() {
            link.outbox.close(why);
            self.announced = false;
            self.down_since = Some(TokioInstant::now().into_std());
            self.last_error = Some(why.to_owned());
            self.events.push_back(Event::Down(why.to_owned()));
        }
    }

    fn on_channel(&mut self, event: ChannelEvent) {
        match event {
            ChannelEvent::Opened(opened) => self.greet(opened),
            ChannelEvent::Batch(conn, batch) => {
                for received in batch.messages {
                    self.on_message(conn, |session| session.take(received.xid, received.message));
                }
            }
            ChannelEvent::Closed(conn, why) => {
                self.greeting.retain(|l| l.conn != conn);
                if self.link.as_ref().is_some_and(|l| l.conn == conn) {
                    self.lose(&why);
                }
            }
            ChannelEvent::Failed { why, .. } => {
                Refusal::note(&mut self.turned_away, &why);
                if self.link.is_none() {
                    self.last_error = Some(why);
                }
            }
            // What is said here is little, and waits for an answer each time.
            ChannelEvent::Room(_) => {}
        }
    }

    fn greet(&mut self, opened: Opened) {
        let Opened { conn, remote, version, certificate, outbox, .. } = opened;
        let Settings { dpid, profile, role, marks, has_links, .. } = self.settings;
        tracing::debug!(remote, "a switch connects");
        let session = Session::new(version, Expected { dpid, profile, role, marks, has_links });
        let now = TokioInstant::now();
        let (deadline, since) = (now + self.patience, now.into_std());
        let mut link = Link { conn, remote, version, certificate, outbox, session, deadline, since };
        link.flush();
        self.greeting.push(link);
    }

    fn on_message(&mut self, conn: ConnId, take: impl FnOnce(&mut Session) -> Vec<News>) {
        let in_control = self.link.as_mut().filter(|l| l.conn == conn);
        let Some(link) = in_control.or_else(|| self.greeting.iter_mut().find(|l| l.conn == conn)) else { return };
        let tried = link.session.tries_fragments();
        let news = take(&mut link.session);
        if !tried && link.session.tries_fragments() {
            link.deadline = TokioInstant::now() + TRIAL_PATIENCE;
        }
        link.flush();
        for news in news {
            self.on_news(conn, news);
        }
    }

    fn on_news(&mut self, conn: ConnId, news: News) {
        match news {
            News::Ready => self.promote(conn),
            News::Event(event) => self.tell(event),
            News::Done(result) => self.done = Some(result),
            News::Flows(flows) => self.flows = Some(flows),
            News::Refused(m) => {
                let removed = FlowRemoved { reason: FlowRemovedReason::Delete, stats: described(&m) };
                self.tell(Event::FlowRemoved(removed));
            }
            News::Over(why) => self.refuse(conn, &why),
        }
    }

    /// Ends a connection for a reason of ours.
    fn refuse(&mut self, conn: ConnId, why: &str) {
        if self.link.as_ref().is_some_and(|l| l.conn == conn) {
            tracing::warn!("switch {}: {why}", self.settings.dpid);
            self.lose(why);
        } else if let Some(at) = self.greeting.iter().position(|l| l.conn == conn) {
            let link = self.greeting.swap_remove(at);
            let shown = link.certificate.map_or_else(String::new, |c| format!(" (its certificate is {c})"));
            let why = &*format!("{why}{shown}");
            let known = [&self.last_error, &self.turned_away.as_ref().map(|r| r.why.clone())];
            let known = known.iter().any(|e| e.as_deref() == Some(why));
            Refusal::note(&mut self.turned_away, why);
            if !known {
                tracing::warn!("the switch at {} is refused: {why}", link.remote);
            }
            link.outbox.close(why);
            if self.link.is_none() {
                self.last_error = Some(why.to_owned());
                if !known {
                    self.events.push_back(Event::Down(why.to_owned()));
                }
            }
        }
    }

    /// A session is ready: it controls the switch from now on.
    fn promote(&mut self, conn: ConnId) {
        if self.link.is_some() {
            let why = format!("another switch with datapath id {} is connected", self.settings.dpid);
            return self.refuse(conn, &why);
        }
        let Some(at) = self.greeting.iter().position(|l| l.conn == conn) else { return };
        let marks = self.settings.marks;
        let map = match PortMap::find(&self.settings.ports, &self.greeting[at].session.ports, marks) {
            Ok(map) => map,
            Err(why) => return self.refuse(conn, &why),
        };
        let mut link = self.greeting.swap_remove(at);
        link.since = TokioInstant::now().into_std();
        self.map = map;
        self.features.tables = link.session.tables;
        let ports = link.session.ports.iter().filter_map(|p| self.map.port_in(p));
        self.features.ports = ports.filter(|p| p.port <= wamig_openflow::PortNo::MAX).collect();
        self.features.ports.sort_unstable_by_key(|p| p.port);
        let damages = link.session.verdict == Verdict::Damages;
        self.book.begin(link.session.take_flows(), damages, marks);
        self.detour = damages.then(|| Detour::new(&link.session.ports, marks.cookie_out(fragment::COOKIE), link.since));
        self.last_error = None;
        tracing::info!("switch {} at {} is connected", self.settings.dpid, link.remote);
        self.link = Some(link);
        self.events.push_back(Event::Up(self.features.ports.clone()));
    }

    /// The switch says something: with the controller's port numbers, if it is its business.
    fn tell(&mut self, event: Event) {
        let event = match event {
            Event::PacketIn(m) => {
                let Some(cookie) = self.map.cookie_in(m.cookie) else { return };
                Event::PacketIn(PacketIn { cookie, ..m })
            }
            other => other,
        };
        match event {
            // In the process of a narrow profile the whole pipeline is at hand.
            Event::PacketIn(m) if m.cookie == fragment::COOKIE && !self.settings.profile.is_narrow() => {
                self.go_round(&m);
            }
            Event::PacketIn(mut m) => {
                if fragment::is_later(&m.data)
                    && let Some(detour) = &mut self.detour
                {
                    detour.taken += 1;
                }
                let Some(port) = self.map.inward(m.in_port) else { return };
                m.in_port = port;
                self.events.push_back(Event::PacketIn(m));
            }
            Event::FlowRemoved(mut m) => {
                if self.book.removed(&m) {
                    m.stats = self.map.flow_in(m.stats);
                    self.events.push_back(Event::FlowRemoved(m));
                }
            }
            Event::PortStatus(m) => self.on_port(&m),
            Event::Miss(_) | Event::Down(_) | Event::Up(_) => {}
        }
    }

    /// Sends a later fragment on as its flow would have, had the switch not damaged it.
    fn go_round(&mut self, m: &PacketIn) {
        let Some(detour) = &mut self.detour else { return };
        let outs = detour.frames(m, TokioInstant::now().into_std());
        if let Some(link) = &mut self.link {
            for out in outs {
                link.session.say(Message::PacketOut(out));
            }
            link.flush();
        }
    }

    fn on_port(&mut self, status: &PortStatus) {
        let Some(desc) = self.map.port_in(&status.desc) else {
            // Its flows name the old number: everything anew.
            if status.reason == PortReason::Add && self.settings.ports.contains(&status.desc.name) {
                self.lose(&format!("port {} has another number now, {}", status.desc.name, status.desc.port));
            }
            return;
        };
        if desc.port > wamig_openflow::PortNo::MAX {
            return;
        }
        self.features.ports.retain(|p| p.port != desc.port);
        if status.reason != PortReason::Delete {
            self.features.ports.push(desc.clone());
            self.features.ports.sort_unstable_by_key(|p| p.port);
        }
        self.events.push_back(Event::PortStatus(PortStatus { reason: status.reason, desc }));
    }

    /// Gives up connections that do not become ready.
    fn on_time(&mut self) {
        let now = TokioInstant::now();
        let late: Vec<ConnId> = self.greeting.iter().filter(|l| l.deadline <= now).map(|l| l.conn).collect();
        for conn in late {
            if let Some(link) = self.greeting.iter_mut().find(|l| l.conn == conn && l.session.tries_fragments()) {
                let why = format!("no fragment came back within {} s", TRIAL_PATIENCE.as_secs());
                for news in link.session.tried(Verdict::Unknown(why)) {
                    self.on_news(conn, news);
                }
                continue;
            }
            self.refuse(
                conn,
                &format!("it did not answer what every session asks within {} s", self.patience.as_secs()),
            );
        }
    }
}

/// A flow that was asked for, as a switch tells of it that has just added it.
fn described(m: &FlowMod) -> FlowStats {
    FlowStats {
        table: m.table,
        priority: m.priority,
        matching: m.matching.clone(),
        cookie: m.cookie,
        duration: Duration::ZERO,
        idle_age: Duration::ZERO,
        idle_timeout: m.idle_timeout,
        hard_timeout: m.hard_timeout,
        flags: m.flags,
        packets: 0,
        bytes: 0,
        instructions: m.instructions.clone(),
        slow: None,
    }
}

impl Datapath for Remote {
    fn features(&self) -> &Features {
        &self.features
    }

    async fn send(&mut self, batch: Vec<FlowMod>, _: Instant) -> Result<(), DatapathError> {
        self.check()?;
        let batch: Vec<FlowMod> = batch.into_iter().map(|m| self.map.flow_out(m)).collect();
        let plan = self.book.plan(&batch)?;
        if !plan.mods.is_empty() {
            self.done = None;
            self.ready_link()?.session.program(&plan.mods, plan.undo.clone());
            let done = self.wait(|remote| remote.done.take()).await?;
            if let Err(error) = &done {
                Refusal::note(&mut self.refused, &error.to_string());
            }
            done?;
        }
        self.commit(plan);
        Ok(())
    }

    async fn packet_out(&mut self, out: PacketOut, _: Instant) -> Result<(), DatapathError> {
        self.emit(out)
    }

    async fn dump_flows(&mut self, _: Instant) -> Result<Vec<FlowStats>, DatapathError> {
        let flows = self.installed_flows().await?;
        Ok(flows.into_iter().map(|f| self.map.flow_in(f)).collect())
    }

    async fn next_event(&mut self) -> Option<Event> {
        loop {
            if let Some(event) = self.events.pop_front() {
                self.announced |= matches!(event, Event::Up(_)) && self.link.is_some();
                return Some(event);
            }
            if self.closed {
                return None;
            }
            let far = TokioInstant::now() + Duration::from_hours(1);
            let deadline = self.greeting.iter().map(|l| l.deadline).min().unwrap_or(far);
            tokio::select! {
                event = self.channel.recv() => match event {
                    Some(event) => self.on_channel(event),
                    None => self.close(),
                },
                () = sleep_until(deadline) => self.on_time(),
            }
        }
    }
}

#[cfg(test)]
pub(in crate::datapath) mod tests;
