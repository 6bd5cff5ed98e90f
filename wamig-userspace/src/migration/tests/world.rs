//! Two or three sites, their routers, the server and its copies, joined by a network that can be made
//! to lose, double, delay and reorder messages. Everything happens in simulated time.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::time::{Duration, Instant};

use wamig_openflow::{Field, FlowMod, MacAddr, PacketOut, PortNo};

use super::arp::{Arp, Op};
use super::bench::{ms, up};
use super::dice::Dice;
use super::site::{self, G1, G1_MAC, G2_MAC, G3_MAC, LAN, S, S_MAC, SRV, UP};
use super::switch::{Frame, Switch};
use crate::migration::Migration;
use crate::migration::config::SiteConfig;
use crate::migration::io::{BatchId, Effect, Input, Note};
use crate::migration::order::{Order, Verb};
use crate::migration::record::Record;
use crate::migration::site_order::{SiteOrder, SiteVerb};
use crate::migration::status::{AddressStatus, Role, State};
use crate::peer::message::{Epoch, Message};

/// dc1 in arrays of sites.
pub(super) const HOME: usize = 0;
/// dc2 in arrays of sites.
pub(super) const HOST: usize = 1;
/// dc3 in arrays of sites, where there is one.
pub(super) const THIRD: usize = 2;
/// The sites' names.
pub(super) const NAMES: [&str; 3] = ["dc1", "dc2", "dc3"];
/// The sites' routers.
const ROUTERS: [MacAddr; 3] = [G1_MAC, G2_MAC, G3_MAC];
/// The server's kernel asks again for its gateway after so long.
const ARP_RETRY: Duration = Duration::from_secs(1);
/// The server's kernel checks its gateway after so long.
const ARP_CHECK: Duration = Duration::from_secs(8);

/// How bad the network is.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Faults {
    /// Messages lost, percent.
    pub(super) loss: u64,
    /// Messages doubled, percent.
    pub(super) doubled: u64,
    /// Greatest extra delay, milliseconds; with it, messages overtake each other.
    pub(super) jitter: u64,
    /// Batches that the switch refuses, percent.
    pub(super) refused: u64,
}

#[derive(Debug)]
enum Event {
    Message {
        from: usize,
        to: usize,
        session: u64,
        message: Message,
    },
    Programmed {
        site: usize,
        boot: u64,
        batch: BatchId,
        mods: Vec<FlowMod>,
    },
    /// The server or its copy looks for its gateway.
    Asks {
        site: usize,
        start: u64,
    },
}

/// The server, or its copy.
#[derive(Debug, Default)]
pub(super) struct Machine {
    pub(super) running: bool,
    /// Counts starts.
    start: u64,
    pub(super) gateway: Option<MacAddr>,
    /// It noticed that somebody else has its address.
    pub(super) conflicts: u32,
}

/// One site.
pub(super) struct Site {
    pub(super) config: SiteConfig,
    pub(super) migration: Option<Migration>,
    pub(super) switch: Switch,
    pub(super) machine: Machine,
    records: BTreeMap<Vec<u8>, Vec<u8>>,
    boot: u64,
    /// Batches are done in their order.
    busy: Instant,
    highest: Epoch,
    /// The daemon is killed after so many more effects.
    crash: Option<u64>,
    /// What the last daemon's placements were when it was killed.
    left: Vec<Kept>,
}

/// What a restart must not lose: the address, the side, the transfer address, the epoch, and
/// whether it is frozen.
type Kept = (IpAddr, Role, Option<IpAddr>, Epoch, bool);

/// Where a packet for the server ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Reached {
    /// At the server at home.
    Home,
    /// At its copy at dc2.
    Copy,
    /// At its copy at dc3.
    Third,
    /// Nowhere.
    Nobody,
}

/// Everything.
pub(super) struct World {
    pub(super) now: Instant,
    start: Instant,
    pub(super) sites: Vec<Site>,
    events: BTreeMap<(Instant, u64), Event>,
    serial: u64,
    pub(super) dice: Dice,
    pub(super) faults: Faults,
    /// One-way delay between the sites.
    pub(super) delay: Duration,
    /// The number of the home's session to each host while it is up.
    session: [Option<u64>; 3],
    sessions: u64,
    /// What was noted, with when and where.
    pub(super) notes: Vec<(Duration, usize, Note)>,
    /// Since when two sites deliver.
    split: Option<Instant>,
    /// Where the address was while it was frozen, until an operator unfreezes it.
    held: Option<String>,
}

impl World {
    pub(super) fn new(seed: u64) -> Self {
        Self::with([site::home(), site::host()], seed)
    }

    /// dc3 hosts as well.
    pub(super) fn of_three(seed: u64) -> Self {
        Self::with([site::home(), site::host(), site::third()], seed).begun()
    }

    pub(super) fn with<const N: usize>(configs: [SiteConfig; N], seed: u64) -> Self {
        let now = Instant::now();
        let site = |config| Site {
            config,
            migration: None,
            switch: Switch::default(),
            machine: Machine::default(),
            records: BTreeMap::new(),
            boot: 0,
            busy: now,
            highest: Epoch::default(),
            crash: None,
            left: Vec::new(),
        };
        let sites = configs.into_iter().map(site).collect();
        Self {
            now,
            start: now,
            sites,
            events: BTreeMap::new(),
            serial: 0,
            dice: Dice::new(seed),
            faults: Faults::default(),
            delay: ms(10),
            session: [None; 3],
            sessions: 0,
            notes: Vec::new(),
            split: None,
            held: None,
        }
    }

    /// Both daemons run, the session is up, the pool is ready, the server is at home.
    pub(super) fn normal(seed: u64) -> Self {
        Self::new(seed).begun()
    }

    /// Every daemon runs, the sessions are up, the pools are ready, the server is at home.
    pub(super) fn begun(mut self) -> Self {
        self.start_daemons();
        self.connect();
        self.start_machine(HOME);
        self.pass(Duration::from_secs(10));
        self
    }

    // ---- what can be done to it ---------------------------------------------------------

    pub(super) fn start_daemon(&mut self, at: usize) {
        let site = &mut self.sites[at];
        let records: Vec<_> = site.records.values().map(|bytes| Record::decode(bytes).unwrap()).collect();
        let (migration, effects) = Migration::new(site.config.clone(), records, self.now);
        let kept = kept(&migration);
        for left in std::mem::take(&mut site.left) {
            assert!(kept.contains(&left), "{left:?} is lost by a restart: {kept:?}");
        }
        site.migration = Some(migration);
        site.boot += 1;
        self.carry_out(at, effects);
        self.feed(at, Input::DatapathUp);
    }

    /// Every daemon that does not run.
    pub(super) fn start_daemons(&mut self) {
        for at in 0..self.sites.len() {
            self.sites[at].crash = None;
            if self.sites[at].migration.is_none() {
                self.start_daemon(at);
            }
        }
    }

    /// The switch goes on with what it has; what it was being told may be lost.
    pub(super) fn kill_daemon(&mut self, at: usize) {
        self.disconnect_from(at);
        if let Some(migration) = self.sites[at].migration.take() {
            self.sites[at].left = kept(&migration);
        }
    }

    /// Kills the daemon once it has carried out `effects` more effects, wherever in what it
    /// has to do that is.
    pub(super) fn crash_daemon(&mut self, at: usize, effects: u64) {
        self.sites[at].crash = Some(effects);
    }

    pub(super) fn connect(&mut self) {
        (HOST..self.sites.len()).for_each(|host| self.connect_to(host));
    }

    /// The session between the home and a host, if both daemons run.
    pub(super) fn connect_to(&mut self, host: usize) {
        let run = [HOME, host].iter().all(|s| self.sites[*s].migration.is_some());
        if self.session[host].is_none() && run {
            self.sessions += 1;
            self.session[host] = Some(self.sessions);
            self.feed(HOME, up(NAMES[host]));
            self.feed(host, up(NAMES[HOME]));
        }
    }

    pub(super) fn disconnect(&mut self) {
        self.disconnect_from(HOME);
    }

    /// Ends every session of a site; all there are, if it is the home.
    pub(super) fn disconnect_from(&mut self, at: usize) {
        for host in (HOST..self.sites.len()).filter(|h| at == HOME || at == *h) {
            if self.session[host].take().is_some() {
                self.feed(HOME, Input::PeerDown(NAMES[host].into(), "no route".into()));
                self.feed(host, Input::PeerDown(NAMES[HOME].into(), "no route".into()));
            }
        }
    }

    pub(super) fn start_machine(&mut self, at: usize) {
        let machine = &mut self.sites[at].machine;
        if !machine.running {
            machine.start += 1;
            machine.running = true;
            machine.gateway = None;
            let start = machine.start;
            self.schedule(self.now, Event::Asks { site: at, start });
        }
    }

    pub(super) fn stop_machine(&mut self, at: usize) {
        self.sites[at].machine.running = false;
    }

    /// An operator orders something at home. That it can be asked first changes nothing, and
    /// tells what is then done.
    pub(super) fn order(&mut self, verb: Verb) {
        let Some(migration) = self.sites[HOME].migration.as_mut() else { return };
        let mut order = Order { verb, address: S, reason: "chance".into(), dry_run: true };
        let before = format!("{migration:?}");
        let (told, effects) = migration.order(self.now, &order);
        assert!(effects.is_empty() && before == format!("{migration:?}"), "{order:?} was only asked");
        order.dry_run = false;
        let (done, effects) = migration.order(self.now, &order);
        assert_eq!(done, told, "{order:?}");
        if done.iter().all(|v| v.plan.is_ok()) {
            self.held = None;
        }
        self.carry_out(HOME, effects);
        self.check();
    }

    /// An operator at home calls a host dead; whether it is makes no difference.
    pub(super) fn assume_dead(&mut self, host: usize) {
        let Some(migration) = self.sites[HOME].migration.as_mut() else { return };
        let (verb, reason) = (SiteVerb::AssumeDead, "chance".into());
        let order = SiteOrder { verb, site: NAMES[host].into(), reason, dry_run: false };
        let (_, effects) = migration.order_site(self.now, &order);
        self.carry_out(HOME, effects);
        self.check();
    }

    // ---- what can be seen of it ---------------------------------------------------------

    pub(super) fn state(&self, at: usize) -> Option<State> {
        self.sites[at].migration.as_ref()?.state_of(S)
    }

    pub(super) fn reason(&self, at: usize) -> Option<&'static str> {
        self.status(at)?.reason
    }

    fn status(&self, at: usize) -> Option<AddressStatus> {
        self.sites[at].migration.as_ref()?.status().into_iter().find(|s| s.address == S)
    }

    /// The site where the address is frozen.
    fn frozen_at(&self) -> Option<String> {
        let frozen = self.status(HOME).filter(|s| s.state == State::Frozen)?;
        Some(frozen.peer.unwrap_or_else(|| NAMES[HOME].into()))
    }

    /// A client's packet.
    pub(super) fn query(&self) -> Reached {
        let client = IpAddr::V4(Ipv4Addr::new(203, 0, 113, 9));
        let packet = Frame::udp((G1_MAC, S_MAC), (client, S), (40000, 53));
        let at_home = self.sites[HOME].switch.receive(UP, &packet);
        if at_home.learned {
            return if self.sites[HOME].machine.running { Reached::Home } else { Reached::Nobody };
        }
        let Some((UP, packet)) = at_home.sent.first() else { return Reached::Nobody };
        assert_eq!((packet.mac(Field::EthDst), at_home.sent.len()), (G1_MAC, 1));
        let transfer = packet.ip(Field::Ipv4Dst);
        let Some(host) = self.sites.iter().position(|s| s.config.lan.contains(transfer)) else {
            return Reached::Nobody;
        };
        let site = &self.sites[host];
        let routed = Frame::udp((ROUTERS[host], site.config.lan.mac), (client, transfer), (40000, 53));
        match site.switch.receive(UP, &routed).sent.first() {
            Some((SRV, packet)) if packet.ip(Field::Ipv4Dst) == S && site.machine.running => {
                if host == HOST {
                    Reached::Copy
                } else {
                    Reached::Third
                }
            }
            _ => Reached::Nobody,
        }
    }

    /// Whether the copy's packets leave dc2.
    pub(super) fn copy_talks(&self) -> bool {
        self.copy_talks_at(HOST)
    }

    /// Whether the copy's packets leave a host's site.
    pub(super) fn copy_talks_at(&self, at: usize) -> bool {
        let answer = Frame::udp((S_MAC, G1_MAC), (S, IpAddr::V4(Ipv4Addr::new(203, 0, 113, 9))), (53, 40000));
        let sent = self.sites[at].switch.receive(SRV, &answer).sent;
        self.sites[at].machine.running && sent.iter().any(|(p, _)| *p == UP)
    }

    /// The events noted at a site since a time, in order.
    pub(super) fn events_since(&self, at: usize, since: Duration) -> Vec<&'static str> {
        self.notes.iter().filter(|(t, s, _)| *s == at && *t >= since).map(|(_, _, n)| n.event).collect()
    }

    pub(super) fn clock(&self) -> Duration {
        self.now - self.start
    }

    // ---- time ---------------------------------------------------------------------------

    pub(super) fn pass(&mut self, span: Duration) {
        let end = self.now + span;
        loop {
            let event = self.events.keys().next().map(|(at, _)| *at);
            let ticks = self.sites.iter().map(|s| s.migration.as_ref().and_then(Migration::next_deadline));
            let tick = ticks.enumerate().filter_map(|(i, at)| Some((at?, i))).min();
            let (at, site) = match (event, tick) {
                (Some(event), Some((tick, _))) if event <= tick => (event, None),
                (_, Some((tick, site))) => (tick, Some(site)),
                (Some(event), None) => (event, None),
                (None, None) => break,
            };
            if at > end {
                break;
            }
            self.now = self.now.max(at);
            match site {
                Some(site) => self.feed(site, Input::Tick),
                None => self.next_event(),
            }
        }
        self.now = end;
    }

    fn schedule(&mut self, at: Instant, event: Event) {
        self.serial += 1;
        self.events.insert((at, self.serial), event);
    }

    fn next_event(&mut self) {
        let Some((_, event)) = self.events.pop_first() else { return };
        match event {
            Event::Message { from, to, session, message } => {
                if self.session[from.max(to)] == Some(session) {
                    self.feed(to, Input::Peer(NAMES[from].into(), message));
                }
            }
            Event::Programmed { site, boot, batch, mods } => {
                // What a killed daemon had sent may or may not arrive.
                if self.sites[site].boot == boot && (self.sites[site].migration.is_some() || self.dice.chance(50)) {
                    let result = if self.dice.chance(self.faults.refused) { Err("table full".into()) } else { Ok(()) };
                    if result.is_ok() {
                        self.sites[site].switch.apply(&mods);
                    }
                    self.feed(site, Input::Programmed { batch, result });
                }
            }
            Event::Asks { site, start } => {
                let machine = &self.sites[site].machine;
                if machine.running && machine.start == start {
                    let again = if machine.gateway.is_some() { ARP_CHECK } else { ARP_RETRY };
                    self.schedule(self.now + again, Event::Asks { site, start });
                    self.emit(site, SRV, &Arp { spa: S, ..Arp::probe(S_MAC, G1) });
                }
            }
        }
    }

    fn feed(&mut self, at: usize, input: Input) {
        let Some(migration) = self.sites[at].migration.as_mut() else { return };
        let effects = migration.handle(self.now, input);
        self.carry_out(at, effects);
        self.check();
    }

    fn carry_out(&mut self, at: usize, effects: Vec<Effect>) {
        for effect in effects {
            if let Some(left) = &mut self.sites[at].crash {
                if *left == 0 {
                    self.sites[at].crash = None;
                    self.sites[at].migration = None;
                    // A freeze may have been on its way to the disk.
                    self.held = self.held.take().filter(|_| at != HOME);
                    self.disconnect_from(at);
                    return;
                }
                *left -= 1;
            }
            match effect {
                Effect::Persist(record) => {
                    if let Record::Home { epoch, .. } = &record {
                        assert!(*epoch >= self.sites[at].highest, "an epoch went back");
                        self.sites[at].highest = *epoch;
                    }
                    self.sites[at].records.insert(record.key(), record.encode());
                }
                Effect::Program { batch, mods } => {
                    let delay = ms(1 + if self.faults.jitter > 0 { self.dice.below(40) } else { 0 });
                    let site = &mut self.sites[at];
                    site.busy = site.busy.max(self.now + delay);
                    let (done, boot) = (site.busy, site.boot);
                    self.schedule(done, Event::Programmed { site: at, boot, batch, mods });
                }
                Effect::PacketOut(out) => self.packet_out(at, &out),
                Effect::Send(peer, message) => {
                    let to = NAMES.iter().position(|n| *n == peer).unwrap();
                    assert!(at != to && (at == HOME || to == HOME), "{} tells {peer}", NAMES[at]);
                    self.send(at, to, message);
                }
                Effect::Note(note) => self.notes.push((self.clock(), at, note)),
            }
        }
    }

    fn send(&mut self, from: usize, to: usize, message: Message) {
        if let Message::ClaimAck { epoch, .. } | Message::Revoke { epoch, .. } | Message::Prepare { epoch, .. } =
            &message
        {
            assert!(*epoch <= self.sites[from].highest, "told before it was durable: {message:?}");
        }
        let Some(session) = self.session[from.max(to)] else { return };
        let copies = if self.dice.chance(self.faults.doubled) { 2 } else { 1 };
        for _ in 0..copies {
            if !self.dice.chance(self.faults.loss) {
                let jitter = if self.faults.jitter > 0 { self.dice.below(self.faults.jitter) } else { 0 };
                let event = Event::Message { from, to, session, message: message.clone() };
                self.schedule(self.now + self.delay + ms(jitter), event);
            }
        }
    }

    // ---- frames -------------------------------------------------------------------------

    fn packet_out(&mut self, at: usize, out: &PacketOut) {
        let Some(arp) = Arp::parse(&out.data) else { panic!("only ARP is emitted") };
        for action in &out.actions {
            let text = action.to_string();
            match text.strip_prefix("output:").map(str::parse) {
                Some(Ok(port)) => self.arrives(at, PortNo(port), &arp),
                _ if text == "TABLE" => self.emit(at, out.in_port, &arp),
                _ => panic!("not expected: {text}"),
            }
        }
    }

    /// A frame enters the switch by a port.
    fn emit(&mut self, at: usize, port: PortNo, arp: &Arp) {
        let outcome = self.sites[at].switch.receive(port, &Frame::arp(arp));
        for (port, frame) in outcome.sent {
            if let Some(arp) = frame.as_arp() {
                self.arrives(at, port, &arp);
            }
        }
        if outcome.learned {
            let hosting = self.sites[at].config.hosting.ports.clone();
            for out in [UP, LAN, SRV].into_iter().filter(|p| *p != port && !hosting.contains(p)) {
                self.arrives(at, out, arp);
            }
        }
        if let Some(data) = outcome.punted {
            self.feed(at, Input::Frame { in_port: port, data });
        }
    }

    /// A frame leaves the switch by a port.
    fn arrives(&mut self, at: usize, port: PortNo, arp: &Arp) {
        match port {
            UP => {
                let (address, mac) = (self.sites[at].config.lan.subnets[0].gateway, ROUTERS[at]);
                if arp.op == Op::Request && arp.tpa == address && arp.spa != address {
                    self.emit(at, UP, &Arp::reply(mac, address, arp.sha, arp.spa));
                }
            }
            SRV => self.machine_hears(at, arp),
            _ => {}
        }
    }

    fn machine_hears(&mut self, at: usize, arp: &Arp) {
        let machine = &mut self.sites[at].machine;
        if !machine.running {
            return;
        }
        if arp.op == Op::Reply && arp.tha == S_MAC && arp.spa == G1 {
            machine.gateway = Some(arp.sha);
        }
        if arp.spa == S && arp.sha != S_MAC {
            machine.conflicts += 1;
        }
        if arp.op == Op::Request && arp.tpa == S && arp.sha != S_MAC {
            self.emit(at, SRV, &Arp::reply(S_MAC, S, arp.sha, arp.spa));
        }
    }

    // ---- what must always hold ----------------------------------------------------------

    /// Two sites never deliver the address for longer than a lease: the home while it has it at
    /// home, a host while its lease is renewed.
    fn check(&mut self) {
        let frozen_at = self.frozen_at();
        let delivers = |at: &usize| match self.state(*at) {
            Some(State::Frozen) => frozen_at.as_deref() == Some(NAMES[HOME]),
            state if *at == HOME => matches!(state, Some(State::Home | State::Prepared)),
            state => state == Some(State::Hosting),
        };
        let split = (0..self.sites.len()).filter(delivers).count() > 1;
        self.split = if split { self.split.or(Some(self.now)) } else { None };
        if let Some(since) = self.split {
            let lease = self.sites[HOST].config.timers.lease;
            assert!(self.now - since <= lease, "two deliver for longer than a lease, at {:?}", self.clock());
        }
        // What is frozen stays, unless its host lets go of it.
        if let Some(now) = frozen_at {
            let held = self.held.get_or_insert_with(|| now.clone());
            assert!(*held == now || now == NAMES[HOME], "frozen at {held:?}, and moved to {now:?}");
            *held = now;
        }
        let conflicts: u32 = self.sites.iter().map(|s| s.machine.conflicts).sum();
        assert_eq!(conflicts, 0, "a server met its own address");
    }
}

/// The placements of a daemon that has told of them.
fn kept(migration: &Migration) -> Vec<Kept> {
    let placed = [State::Frozen, State::Prepared, State::Away, State::Stale, State::Ready, State::Hosting];
    let status = migration.status().into_iter().filter(|s| placed.contains(&s.state));
    // A home asks again which transfer address is kept.
    let transfer = |s: &AddressStatus| s.transfer.filter(|_| (s.role, s.state) != (Role::Home, State::Prepared));
    status.map(|s| (s.address, s.role, transfer(&s), s.epoch, s.state == State::Frozen)).collect()
}
