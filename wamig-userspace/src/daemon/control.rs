//! The control loop: takes in what happens, hands it to the controller, carries out what the
//! controller wants done, in order, and answers questions. Nothing else touches the data path
//! or the store.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use tokio::sync::mpsc;
use tokio::time::{Instant as TokioInstant, sleep, sleep_until};
use wamig_openflow::{FlowMod, PortNo};

use super::audit::Audit;
use super::peer_table::PeerTable;
use super::report;
use super::supervisor::Supervisor;
use super::timeline::Timeline;
use super::watch::Change;
use crate::admin::Query;
use crate::admin::explain::Entry;
use crate::admin::flow::FlowLine;
use crate::admin::reload::ReloadAnswer;
use crate::admin::status::Configuration;
use crate::agent::Agent;
use crate::channel::ChannelEvent;
use crate::channel::endpoint::Endpoint;
use crate::config::Config;
use crate::controller::learning::Plan;
use crate::controller::standalone::Standalone;
use crate::controller::{Command, Controller};
use crate::datapath::any::Any;
use crate::datapath::remote::fragment::Verdict;
use crate::datapath::{Datapath, DatapathError, Event};
use crate::fastpath::xdp::attach::SharedPorts;
use crate::fastpath::{FastPath, FastPort};
use crate::migration::REFUSED;
use crate::migration::io::{Change as StateChange, Input, event};
use crate::migration::record::Record;
use crate::peer::message::Message;
use crate::peer::{Changer, PeerEvent, RefusalCounters};
use crate::store::Store;
use crate::switch::effect;
use crate::switch::port::PortChange;

/// The store's table of [`Record`]s.
pub const RECORDS: &str = "address";
/// Pause before a record that could not be written is written again.
const STORE_RETRY: Duration = Duration::from_secs(1);
/// Why nobody is obeyed meanwhile.
const UNWRITTEN: &str = "nothing can be changed until the state can be written: see `wamig status`";

/// What the loop takes in.
pub struct Inputs {
    /// From the peer sessions; never says anything without peers.
    pub peers: mpsc::Receiver<PeerEvent>,
    /// From the control socket.
    pub queries: mpsc::Receiver<Query>,
    /// From the watch over the interfaces.
    pub links: mpsc::Receiver<Change>,
    /// From the connections with controllers.
    pub channel: mpsc::Receiver<ChannelEvent>,
    /// Closed when the daemon shall stop.
    pub stop: mpsc::Receiver<()>,
}

/// Why the loop ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Ended {
    /// As told.
    Stopped,
    /// The data path does not begin to forward, or is gone.
    Datapath(String),
}

/// The loop's state.
pub struct Control<F> {
    /// What is configured.
    pub config: Config,
    /// Since when, and what was refused since.
    pub configuration: Configuration,
    /// The switch.
    pub datapath: Any<F>,
    /// `xdp`, `memory` or `openflow`.
    pub kind: &'static str,
    /// What an operator should know about the ports' interfaces.
    pub warnings: Vec<(PortNo, String)>,
    /// How the ports are attached.
    pub attached: SharedPorts,
    /// To the switch.
    pub port_changes: mpsc::Sender<PortChange>,
    /// The ports as the data path knows them.
    pub ports: Vec<FastPort>,
    /// Forwarding has begun.
    pub active: bool,
    /// Frames that came up faster than they were taken.
    pub lost: Arc<AtomicU64>,
    /// What decides, unless external controllers do.
    pub controller: Option<Controller>,
    /// What the switch does while external controllers are away.
    pub standalone: Option<Standalone>,
    /// External controllers.
    pub agent: Agent,
    /// Where they are.
    pub endpoints: Vec<Endpoint>,
    /// What survives.
    pub store: Store,
    /// What changed, for good.
    pub audit: Audit,
    /// It could not be written lately.
    pub audit_fails: bool,
    /// To the peer sessions.
    pub outbound: mpsc::Sender<(String, Message)>,
    /// Changes the peers; `None` = there are no sessions.
    pub changer: Option<Changer>,
    /// What the peer sessions refused.
    pub refusals: RefusalCounters,
    /// How the peers are.
    pub peers: PeerTable,
    /// What happened lately.
    pub timeline: Timeline,
    /// Whoever has started the daemon.
    pub supervisor: Supervisor,
    /// When the daemon started.
    pub started: Instant,
    /// What was asked of a switch elsewhere, or ordered, while a batch was under way.
    pub deferred: VecDeque<Query>,
}

/// What happened.
enum Happened {
    Datapath(Option<Event>),
    Peer(PeerEvent),
    Deadline,
    Query(Query),
    Links(Change),
    Channel(ChannelEvent),
    Agent,
    Stop,
}

impl<F: FastPath> Control<F> {
    /// Carries out `first`, then goes on until told to stop or the data path is gone.
    pub async fn run(&mut self, first: Vec<Command>, inputs: &mut Inputs) -> Ended {
        let wall_clock = Input::WallClock(unix_us() / 1000);
        if let Some(ended) = self.carry_out(first, inputs).await {
            return ended;
        }
        if self.controller.is_none() {
            self.supervisor.ready(self.summary());
        }
        let commands = self.on_migration(TokioInstant::now().into_std(), wall_clock);
        if let Some(ended) = self.carry_out(commands, inputs).await {
            return ended;
        }
        loop {
            let happened = self.wait(inputs).await;
            let now = TokioInstant::now().into_std();
            let commands = match happened {
                Happened::Stop => return Ended::Stopped,
                Happened::Datapath(None) => return Ended::Datapath("it says nothing any more".to_owned()),
                Happened::Datapath(Some(Event::Down(why))) if !self.datapath.is_elsewhere() => {
                    return Ended::Datapath(why);
                }
                Happened::Datapath(Some(event)) => {
                    self.note_session(&event);
                    if let Some(event) = said(&event)
                        && !(self.standalone.is_some() && Standalone::owns(&event))
                    {
                        self.agent.tell(&event);
                    }
                    self.on_datapath(now, event)
                }
                Happened::Peer(event) => self.on_peer(now, event),
                Happened::Deadline => {
                    self.agent.tick(now);
                    if let Some(standalone) = &mut self.standalone
                        && let Some(switch) = self.datapath.switch()
                    {
                        let plan = standalone.tick(switch.ports().iter().cloned(), now);
                        let begins = plan.is_some();
                        self.act_alone(plan, now);
                        if begins && let Err(ended) = self.activate() {
                            return ended;
                        }
                    }
                    self.controller.as_mut().map_or_else(Vec::new, |c| c.tick(now))
                }
                Happened::Channel(event) => {
                    let begins = matches!(event, ChannelEvent::Opened(_));
                    let changes = begins || matches!(event, ChannelEvent::Closed(..));
                    if let Some(switch) = self.datapath.switch() {
                        self.agent.on_channel(event, switch, now);
                    }
                    if changes {
                        self.count_controllers(now);
                    }
                    // Without an embedded controller nobody else says when the flows are in.
                    if begins
                        && self.controller.is_none()
                        && let Err(ended) = self.activate()
                    {
                        return ended;
                    }
                    Vec::new()
                }
                Happened::Agent => {
                    let switch = self.datapath.switch();
                    let events = switch.map_or_else(Vec::new, |switch| self.agent.work(switch, now));
                    events.into_iter().flat_map(|e| self.on_datapath(now, e.into())).collect()
                }
                Happened::Links(change) => {
                    self.on_links(change);
                    Vec::new()
                }
                Happened::Query(Query::Order(request, answer)) => {
                    if let Some(ended) = self.obey(now, &request, answer, inputs).await {
                        return ended;
                    }
                    Vec::new()
                }
                Happened::Query(Query::Reload(answer)) => {
                    if let Some(ended) = self.reload(answer, inputs).await {
                        return ended;
                    }
                    Vec::new()
                }
                Happened::Query(query) => {
                    self.answer(query).await;
                    Vec::new()
                }
            };
            if let Some(ended) = self.carry_out(commands, inputs).await {
                return ended;
            }
        }
    }

    async fn wait(&mut self, inputs: &mut Inputs) -> Happened {
        let controller = self.controller.as_ref().and_then(Controller::next_deadline);
        let standalone = self.standalone.as_ref().and_then(Standalone::next_deadline);
        let deadline = [controller, standalone, self.agent.next_deadline()].into_iter().flatten().min();
        let deadline = deadline.map(TokioInstant::from_std);
        let work = self.agent.has_work();
        if let Some(query) = self.deferred.pop_front() {
            return Happened::Query(query);
        }
        tokio::select! {
            // None of these loses anything when another is ready first.
            _ = inputs.stop.recv() => Happened::Stop,
            event = self.datapath.next_event() => Happened::Datapath(event),
            Some(event) = inputs.peers.recv() => Happened::Peer(event),
            Some(change) = inputs.links.recv() => Happened::Links(change),
            Some(query) = inputs.queries.recv() => Happened::Query(query),
            Some(event) = inputs.channel.recv() => Happened::Channel(event),
            // As likely as any other that is ready: nobody starves behind a long batch.
            () = std::future::ready(()), if work => Happened::Agent,
            () = sleep_until(deadline.unwrap_or_else(far)) => Happened::Deadline,
        }
    }

    /// A switch elsewhere comes and goes; what is not programmed waits until it is back.
    fn note_session(&mut self, event: &Event) {
        if let Event::Down(_) | Event::Up(_) = event {
            self.tell_supervisor();
        }
        match event {
            Event::Down(why) => {
                let detail =
                    format!("the switch is not under control: {why}; it keeps its flows, nothing can be changed");
                self.timeline.add(unix_us(), None, event::ALERT, detail, true);
            }
            Event::Up(_) => {
                let detail = "the switch is under control; its flows are brought up to date".to_owned();
                self.timeline.add(unix_us(), None, event::SWITCH_UP, detail, false);
                let verdict = self.datapath.sessions().and_then(|sessions| sessions.fragments());
                let detail = match verdict {
                    Some(Verdict::Damages) => {
                        "the switch damages later IPv4 fragments where it writes an address; wamig sends those of moved \
                         addresses on itself"
                    }
                    .to_owned(),
                    Some(Verdict::Unknown(why)) => {
                        format!("whether the switch damages later IPv4 fragments is not known: {why}")
                    }
                    Some(Verdict::Sound) | None => return,
                };
                self.timeline.add(unix_us(), None, event::ALERT, detail, true);
            }
            _ => {}
        }
    }

    fn tell_supervisor(&mut self) {
        self.supervisor.status(self.summary());
    }

    fn on_datapath(&mut self, now: Instant, event: Event) -> Vec<Command> {
        if let Some(standalone) = &mut self.standalone
            && let Some(event) = said(&event)
        {
            let plan = standalone.on_event(&event, now);
            self.act_alone(plan, now);
        }
        self.controller.as_mut().map_or_else(Vec::new, |c| c.on_datapath(now, event))
    }

    /// Those that are dialled, if any is, else whoever has come: with controllers to dial, who
    /// comes in is a tool.
    fn count_controllers(&mut self, now: Instant) {
        let Some(standalone) = &mut self.standalone else { return };
        let dials = self.endpoints.iter().any(|e| !e.is_passive());
        let counts = |index: usize| !dials || self.endpoints.get(index).is_some_and(|e| !e.is_passive());
        let present = self.agent.status().iter().any(|s| counts(s.endpoint));
        let plan = standalone.controllers(present, now);
        self.act_alone(plan, now);
    }

    /// Applies flows of the switch's own. What comes of them is told to nobody.
    fn act_alone(&mut self, plan: Option<Plan>, now: Instant) {
        let (Some(plan), Some(standalone)) = (plan, &mut self.standalone) else { return };
        let Some(switch) = self.datapath.switch() else { return };
        let taken = switch.apply(plan.mods.clone(), now);
        if let Err(refused) = &taken {
            tracing::debug!("flows of the switch's own: {}", refused.error);
        }
        standalone.applied(&plan, taken.is_ok(), now);
    }

    pub(super) fn on_migration(&mut self, now: Instant, input: Input) -> Vec<Command> {
        self.controller.as_mut().map_or_else(Vec::new, |c| c.on_migration(now, input))
    }

    fn on_peer(&mut self, now: Instant, event: PeerEvent) -> Vec<Command> {
        match event {
            PeerEvent::Up { site, version } => {
                tracing::info!("peer {site} is up");
                self.peers.up(&site, unix_us() / 1000);
                self.tell_supervisor();
                self.on_migration(now, Input::PeerUp(site, version))
            }
            PeerEvent::Down { site, reason, detail } => {
                tracing::warn!("peer {site} is down: {}: {detail}", reason.as_str());
                self.peers.down(&site, unix_us() / 1000, reason, &detail);
                self.tell_supervisor();
                let why = if reason.is_unauthorised() {
                    format!("{REFUSED}: {}", reason.as_str())
                } else {
                    reason.as_str().to_owned()
                };
                self.on_migration(now, Input::PeerDown(site, why))
            }
            PeerEvent::Message { site, message } => self.on_migration(now, Input::Peer(site, message)),
            PeerEvent::Refused { reason, detail } => {
                self.timeline.add(unix_us(), None, event::ALERT, format!("{reason}: {detail}"), true);
                Vec::new()
            }
        }
    }

    /// The data path takes in the interfaces as they are now, then the switch learns of it.
    fn on_links(&mut self, Change { change, ports }: Change) {
        if ports != self.ports {
            if let Some(switch) = self.datapath.switch()
                && let Err(error) = switch.fast_path().set_ports(&ports)
            {
                let detail = format!("the data path cannot follow its interfaces: {error}; restart wamig");
                self.timeline.add(unix_us(), None, event::ALERT, detail, true);
            }
            self.ports = ports;
        }
        if let Some(change) = change
            && self.port_changes.try_send(change).is_err()
        {
            tracing::error!("a change of a port is lost on the switch; restart wamig");
        }
    }

    /// Begins to forward, once the first flows are in.
    fn activate(&mut self) -> Result<(), Ended> {
        if self.active {
            return Ok(());
        }
        let begun = self.datapath.switch().map_or(Ok(()), |switch| switch.fast_path().activate());
        begun.map_err(|error| Ended::Datapath(format!("the data path does not begin to forward: {error}")))?;
        self.active = true;
        self.supervisor.ready(self.summary());
        for port in self.attached.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            tracing::info!("port {} ({}) forwards, XDP mode {}", port.port, port.name, port.mode);
            if let Some(warning) = &port.warning {
                tracing::warn!("port {} ({}): {warning}", port.port, port.name);
            }
        }
        Ok(())
    }

    /// Carries out commands, and those that follow from their outcome.
    pub(super) async fn carry_out(&mut self, commands: Vec<Command>, inputs: &mut Inputs) -> Option<Ended> {
        let mut queue = VecDeque::from(commands);
        while let Some(command) = queue.pop_front() {
            let now = TokioInstant::now().into_std();
            match command {
                Command::Persist(record) => {
                    if self.persist(&record, inputs).await == Persisted::Stop {
                        return Some(Ended::Stopped);
                    }
                }
                Command::Program { ticket, mods } => {
                    let result = match self.program(mods, now, inputs).await {
                        // Everything is programmed anew when it is back.
                        Err(DatapathError::Down(_)) if self.datapath.is_elsewhere() => continue,
                        Err(DatapathError::Down(why)) => return Some(Ended::Datapath(why)),
                        Err(refused) => Err(refused.to_string()),
                        Ok(()) => Ok(()),
                    };
                    if result.is_ok()
                        && let Err(ended) = self.activate()
                    {
                        return Some(ended);
                    }
                    let visible = TokioInstant::now().into_std();
                    if let Some(controller) = &mut self.controller {
                        queue.extend(controller.programmed(visible, ticket, result));
                    }
                }
                Command::PacketOut(out) => match self.datapath.packet_out(out, now).await {
                    Err(DatapathError::Down(why)) if !self.datapath.is_elsewhere() => {
                        return Some(Ended::Datapath(why));
                    }
                    // Frame by frame, so for those only who want to know all of it.
                    Err(refused) => tracing::trace!("packet-out: {refused}"),
                    Ok(()) => {}
                },
                Command::Send(peer, message) => {
                    // The sessions are gone only when the daemon is about to stop.
                    let _ = self.outbound.send((peer, message)).await;
                }
                Command::Note(note) => {
                    if let (Some(address), Some(change)) = (note.address, &note.change) {
                        self.record(address, change);
                    }
                    self.timeline.add(unix_us(), note.address, note.event, note.detail, note.alert);
                }
            }
        }
        None
    }

    /// Applies a batch. A switch elsewhere takes its time; meanwhile it is told how things are.
    pub(super) async fn program(
        &mut self,
        mods: Vec<FlowMod>,
        now: Instant,
        inputs: &mut Inputs,
    ) -> Result<(), DatapathError> {
        let Some(mut elsewhere) = self.datapath.take_to_work(now) else {
            return self.datapath.send(mods, now).await;
        };
        let result = {
            let sending = elsewhere.send(mods, now);
            tokio::pin!(sending);
            loop {
                tokio::select! {
                    result = &mut sending => break result,
                    Some(query) = inputs.queries.recv() => match query {
                        Query::Status(_) | Query::Explain(..) => self.answer(query).await,
                        Query::Flows(..) | Query::Order(..) | Query::Reload(_) | Query::Trace(..) => {
                            self.deferred.push_back(query);
                        }
                    }
                }
            }
        };
        self.datapath = elsewhere;
        result
    }

    fn record(&mut self, address: IpAddr, change: &StateChange) {
        let entry = Entry {
            at_unix_us: unix_us(),
            verb: change.verb.to_owned(),
            address: address.to_string(),
            role: change.role.as_str().to_owned(),
            from: change.from.to_owned(),
            to: change.to.to_owned(),
            epoch: change.epoch.to_string(),
            reason: change.why.clone(),
        };
        self.append(Some(address), &entry);
    }

    /// Appends to the audit log. One that cannot be written is told of once, and again only after
    /// it could be.
    pub(super) fn append(&mut self, about: Option<IpAddr>, entry: &Entry) {
        let written = self.audit.append(entry);
        let failed = std::mem::replace(&mut self.audit_fails, written.is_err());
        if let Err(error) = written
            && !failed
        {
            let path = self.audit.path().display();
            let detail = format!("changes are not recorded in {path}: {error}; check the disk's free space and health");
            self.timeline.add(unix_us(), about, event::ALERT, detail, true);
        }
    }

    /// Writes a record, for as long as it takes: what comes after it must not happen before.
    /// Meanwhile frames are forwarded as the flows say, and questions are answered.
    async fn persist(&mut self, record: &Record, inputs: &mut Inputs) -> Persisted {
        let mut told = false;
        loop {
            let Err(error) = self.store.put(RECORDS, &key(record), &record.encode()) else {
                return Persisted::Done;
            };
            if !told {
                let detail = format!("nothing can be changed until the state can be written: {error}");
                self.timeline.add(unix_us(), Some(record.address()), event::ALERT, detail, true);
                told = true;
            }
            let retry = sleep(STORE_RETRY);
            tokio::pin!(retry);
            loop {
                tokio::select! {
                    () = &mut retry => break,
                    _ = inputs.stop.recv() => return Persisted::Stop,
                    Some(query) = inputs.queries.recv() => self.answer(query).await,
                }
            }
        }
    }

    async fn answer(&mut self, query: Query) {
        let now = TokioInstant::now().into_std();
        match query {
            // Whoever asked may have gone away.
            Query::Status(answer) => drop(answer.send(report::status(self, now, unix_us()))),
            Query::Explain(address, answer) => drop(answer.send(report::explain(self, now, unix_us(), address))),
            Query::Flows(filter, answer) => {
                let flows = self.datapath.own_flows(now).await;
                let lines = flows.map(|all| all.iter().filter(|f| filter.takes(f)).map(FlowLine::from).collect());
                drop(answer.send(lines.map_err(|e| e.to_string())));
            }
            // Asked while something else waits to be written.
            Query::Order(_, answer) => drop(answer.send(Err(UNWRITTEN.to_owned()))),
            Query::Reload(answer) => {
                let (site, file) = (self.config.site.clone(), self.configuration.file.clone());
                let refused = Some(UNWRITTEN.to_owned());
                drop(answer.send(ReloadAnswer { site, file, changed: Vec::new(), refused }));
            }
            Query::Trace(request, answer) => {
                let trace = match self.datapath.switch() {
                    Some(switch) => switch.trace(request.in_port, &request.frame).map_err(|e| e.to_string()),
                    None => Err("the switch is elsewhere: on Open vSwitch, ask `ovs-appctl ofproto/trace`".to_owned()),
                };
                drop(answer.send(trace));
            }
        }
    }
}

/// The event as the switch said it.
fn said(event: &Event) -> Option<effect::Event> {
    Some(match event.clone() {
        Event::PacketIn(m) => effect::Event::PacketIn(m),
        Event::Miss(m) => effect::Event::Miss(m),
        Event::FlowRemoved(m) => effect::Event::FlowRemoved(m),
        Event::PortStatus(m) => effect::Event::PortStatus(m),
        Event::Down(_) | Event::Up(_) => return None,
    })
}

#[derive(PartialEq, Eq)]
enum Persisted {
    Done,
    Stop,
}

/// The record's key in the store: hexadecimal digits.
fn key(record: &Record) -> String {
    record.key().iter().fold(String::new(), |all, octet| format!("{all}{octet:02x}"))
}

fn far() -> TokioInstant {
    TokioInstant::now() + Duration::from_hours(1)
}

/// Microseconds since 1970.
pub fn unix_us() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_micros() as u64)
}
