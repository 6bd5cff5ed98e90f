//! The migration application: servers move between sites by being started there
//! (paper §4.2), decided here and carried out by whoever runs this.
//!
//! Sans-IO: [`Migration::handle`] takes an [`Input`] with the time and gives [`Effect`]s;
//! [`Migration::next_deadline`] says when [`Input::Tick`] is due. It reads no clock, opens no
//! socket, starts no task, and knows a switch only as something that takes flow-mods.
//!
//! A site can be the home of some servers and the host of others at once. Per address there
//! is one machine, in `home` or in `guest`; both share the pool of transfer addresses,
//! the router's MAC address and the sessions' state.

pub mod arp;
pub mod config;
mod context;
pub mod cookie;
mod damping;
pub mod flows;
pub mod foreseen;
mod guest;
mod home;
mod host;
pub mod io;
pub mod nd;
mod neighbour;
pub mod order;
mod outbox;
mod peers;
pub mod planned;
mod pool;
pub mod prefix;
pub mod record;
pub mod reload;
pub mod resolution;
mod revoke;
mod sign;
pub mod site_order;
pub mod status;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Instant;

use bytes::Bytes;
use wamig_openflow::{FlowModCommand, PortNo};

use crate::peer::message::{Message, NackReason};
use config::SiteConfig;
use context::Context;
use home::{Claim, HomeServer};
use host::Host;
use io::{AUTOMATIC, BatchId, Effect, Input, event};
use neighbour::Neighbour;
use outbox::Outbox;
use peers::Peers;
pub use peers::REFUSED;
use pool::Pool;
use prefix::{Family, is_link_local, is_of_a_host};
use record::Record;
use resolution::{Question, Resolution};
use sign::Sign;
use status::{AddressStatus, PoolStatus, reason};

/// Both sides of this site, for every address.
#[derive(Debug)]
pub struct Migration {
    config: SiteConfig,
    /// The own router, in each family of the LAN.
    gateways: Vec<Neighbour>,
    pool: Pool,
    peers: Peers,
    home: BTreeMap<IpAddr, HomeServer>,
    host: Host,
    out: Outbox,
    refused: BTreeMap<&'static str, u64>,
    /// The batch that brings the whole switch up to date, until it is answered.
    sync: Option<BatchId>,
    /// When to send such a batch, because the switch refused something.
    sync_at: Option<Instant>,
    /// What the wall clock said last, in milliseconds since 1970, and when that was.
    wall_clock: Option<(Instant, u64)>,
}

impl Migration {
    /// Takes up what was recorded before. The switch is told nothing until
    /// [`Input::DatapathUp`].
    pub fn new(config: SiteConfig, restored: Vec<Record>, now: Instant) -> (Self, Vec<Effect>) {
        let mut out = Outbox::default();
        let mut pool = Pool::new(&config);
        let mut host = Host::default();
        let servers = config.servers.iter().map(|s| (s.address, HomeServer::new(s.clone(), now)));
        let mut home: BTreeMap<_, _> = servers.collect();
        let mut gateway_macs = BTreeMap::new();
        for record in restored {
            match record {
                Record::Home { address, epoch, placement, frozen, planned } => {
                    if let Some(p) = &placement {
                        gateway_macs.insert(Family::of(address), p.gateway_mac);
                        out.note(address, event::STATE, format!("AWAY at {} by {}, as before", p.peer, p.transfer));
                    }
                    if let Some(f) = &frozen {
                        out.note(address, event::STATE, format!("FROZEN, as before: {}", f.reason));
                    }
                    if let Some(p) = &planned {
                        out.note(address, event::STATE, format!("PREPARED for {}, as before: {}", p.peer, p.reason));
                    }
                    match home.get_mut(&address) {
                        Some(server) => server.resume(now, &config.timers, epoch, placement, frozen, planned),
                        None if placement.is_some() => {
                            out.alert(Some(address), "it was away, and is in no [[server]] any more: its flows go out");
                        }
                        None => {}
                    }
                }
                Record::Host { address, epoch, binding: Some(binding), .. } => {
                    gateway_macs.insert(Family::of(address), binding.gateway_mac);
                    let (peer, transfer) = (binding.peer.clone(), binding.transfer);
                    if host.resume(now, &config, &mut pool, address, epoch, binding) {
                        out.note(address, event::STATE, format!("HOSTING for {peer} by {transfer}, as before"));
                    } else {
                        let (binding, resting, permit) = (None, Some(transfer), None);
                        out.persist(Record::Host { address, epoch, binding, resting, permit });
                        out.alert(
                            Some(address),
                            format!("it was hosted for {peer}, which the configuration no longer allows: released"),
                        );
                    }
                }
                Record::Host { address, epoch, binding: None, permit: Some(permit), .. } => {
                    if host.resume_prepared(now, &config, &mut pool, address, &permit) {
                        out.note(address, event::STATE, format!("PREPARED by {}, as before", permit.peer));
                    } else {
                        host.remember(address, epoch);
                    }
                }
                Record::Host { address, epoch, binding: None, permit: None, resting } => {
                    host.remember(address, epoch);
                    if let Some(transfer) = resting {
                        pool.rest(transfer, now);
                    }
                }
            }
        }
        let known = |s: &config::Subnet| gateway_macs.get(&s.prefix.family()).copied();
        let gateways = config.lan.subnets.iter().map(|s| Neighbour::new(s.gateway, known(s))).collect();
        let peers = Peers::default();
        let refused = BTreeMap::new();
        let effects = out.take();
        let (sync, sync_at, wall_clock) = (None, None, None);
        (Self { config, gateways, pool, peers, home, host, out, refused, sync, sync_at, wall_clock }, effects)
    }

    /// Takes one input and says what is to be done, in order. Every deadline that is over by
    /// `now` is handled too, whatever the input.
    pub fn handle(&mut self, now: Instant, input: Input) -> Vec<Effect> {
        match input {
            Input::Frame { in_port, data } => self.on_frame(now, in_port, data),
            Input::Programmed { batch, result } => self.on_programmed(now, batch, result),
            Input::PeerUp(peer, version) => {
                if let Some(why) = self.peers.set_up(&peer, version) {
                    self.out
                        .alert(None, format!("{peer} was assumed dead ({why}), and is up again: it is asked as ever"));
                }
                let (mut cx, home, host) = self.split(now);
                for server in home.values_mut() {
                    server.on_peer_up(&mut cx, &peer);
                }
                host.on_peer_up(&mut cx, &peer);
            }
            Input::PeerDown(peer, why) => {
                self.peers.set_down(&peer, &why);
                let (mut cx, home, host) = self.split(now);
                for server in home.values_mut() {
                    server.on_peer_down(&mut cx, &peer);
                }
                host.on_peer_down(&mut cx, &peer);
            }
            Input::Peer(peer, message) => self.on_message(now, &peer, message),
            Input::WallClock(unix_ms) => self.wall_clock = Some((now, unix_ms)),
            Input::DatapathUp => self.synchronise(now),
            Input::Tick => {}
        }
        self.on_time(now);
        self.out.take()
    }

    /// When [`Input::Tick`] is due at the latest; `None` = not before some other input.
    pub fn next_deadline(&self) -> Option<Instant> {
        let home = self.home.values().filter_map(HomeServer::deadline).min();
        let shared = [self.pool.deadline(), self.sync_at, home, self.host.deadline(&self.config)];
        shared.into_iter().chain(self.gateways.iter().map(Neighbour::deadline)).flatten().min()
    }

    /// Every address, own servers first, each side in ascending order.
    pub fn status(&self) -> Vec<AddressStatus> {
        self.home.values().map(|server| server.status(&self.peers)).chain(self.host.status()).collect()
    }

    /// One address's state, of the side that this site is; `None` = nothing is known of it.
    pub fn state_of(&self, address: IpAddr) -> Option<status::State> {
        self.home.get(&address).map(HomeServer::state).or_else(|| self.host.state_of(address))
    }

    /// The transfer addresses.
    pub fn pool_status(&self) -> PoolStatus {
        self.pool.status()
    }

    /// How often something was refused, by fixed name.
    pub fn refused(&self) -> &BTreeMap<&'static str, u64> {
        &self.refused
    }

    fn split(&mut self, now: Instant) -> (Context<'_>, &mut BTreeMap<IpAddr, HomeServer>, &mut Host) {
        let unix_ms = |(at, ms): (Instant, u64)| ms + now.saturating_duration_since(at).as_millis() as u64;
        let cx = Context {
            now,
            unix_ms: self.wall_clock.map(unix_ms),
            verb: AUTOMATIC,
            config: &self.config,
            gateways: &self.gateways,
            peers: &self.peers,
            pool: &mut self.pool,
            out: &mut self.out,
            refused: &mut self.refused,
        };
        (cx, &mut self.home, &mut self.host)
    }

    // ---- the switch ---------------------------------------------------------------------

    /// Brings the switch up to date, whatever it holds: what is wanted is added first, so
    /// that a wanted flow that is there is never missing; then the rest of ours goes.
    fn synchronise(&mut self, now: Instant) {
        let mut mods = flows::base(&self.config);
        let (cx, home, host) = self.split(now);
        mods.extend(home.values().flat_map(|s| s.flows(&cx)));
        mods.extend(host.flows(&cx));
        let added = mods.iter().filter(|m| m.command == FlowModCommand::Add);
        let keep: Vec<_> = added.map(|m| m.cookie).collect::<BTreeSet<_>>().into_iter().collect();
        mods.extend(cookie::delete_all_but(&keep));
        let batch = cx.out.program(mods);
        for server in home.values_mut() {
            server.resync(batch);
        }
        host.resync(batch);
        self.sync = Some(batch);
        self.sync_at = None;
    }

    fn on_programmed(&mut self, now: Instant, batch: BatchId, result: Result<(), String>) {
        let (mut cx, home, host) = self.split(now);
        let mut taken = false;
        for server in home.values_mut() {
            taken |= server.on_programmed(&mut cx, batch, &result);
        }
        taken |= host.on_programmed(&mut cx, batch, &result);
        let is_sync = self.sync == Some(batch);
        match result {
            Ok(()) if is_sync => {
                self.sync = None;
                self.gateways.iter_mut().for_each(|g| g.start(now));
                self.pool.start();
            }
            // Nobody waits for it, but the switch is not as it should be.
            Err(e) if is_sync || !taken => {
                self.out.alert(None, format!("the switch refused flows of the migration: {e}"));
                self.sync_at = Some(now + self.config.timers.program_retry);
            }
            Ok(()) | Err(_) => {}
        }
    }

    // ---- frames -------------------------------------------------------------------------

    fn on_frame(&mut self, now: Instant, in_port: PortNo, data: Bytes) {
        let Some(heard) = Resolution::parse(&data) else {
            if let Some(sign) = Sign::parse(&data) {
                self.on_sign(now, in_port, &sign, data);
                return;
            }
            *self.refused.entry("frame-not-understood").or_default() += 1;
            return;
        };
        if heard.mac == self.config.lan.mac {
            return;
        }
        if self.config.hosting.ports.contains(&in_port) {
            let (mut cx, _, host) = self.split(now);
            host.on_heard(&mut cx, in_port, &heard);
            return;
        }
        if !self.config.lan.has(in_port) {
            return;
        }
        self.on_answer(now, in_port, &heard);
        let conflict = self.pool.on_heard(now, &heard, self.config.lan.mac, &mut self.out);
        let asked_for = self.pool.guest_of(heard.target).filter(|_| heard.question == Question::Asks);
        let (mut cx, home, host) = self.split(now);
        if let Some(conflict) = conflict {
            host.on_conflict(&mut cx, conflict);
        }
        if let Some(guest) = asked_for {
            host.on_asked_for(&mut cx, guest, in_port, &heard);
        }
        if let Some(server) = home.get(&heard.target).filter(|_| heard.question == Question::Asks) {
            server.on_asked_for(&mut cx, in_port, &heard);
        }
        if let Some((subject, evidence)) = heard.evidence()
            && let Some(server) = home.get_mut(&subject)
        {
            server.on_evidence(&mut cx, in_port, heard.mac, evidence, data);
        }
    }

    /// It may be the own router's answer.
    fn on_answer(&mut self, now: Instant, in_port: PortNo, heard: &Resolution) {
        let (lan, timers) = (&self.config.lan, &self.config.timers);
        let news = |g: &mut Neighbour| g.on_answer(now, in_port, heard, lan, timers).then(|| g.mac()).flatten();
        let Some(mac) = self.gateways.iter_mut().find_map(news) else { return };
        let (mut cx, home, host) = self.split(now);
        for server in home.values_mut().filter(|s| s.family() == heard.family()) {
            server.on_gateway(&mut cx, mac);
        }
        host.on_gateway(&mut cx, heard.family(), mac);
    }

    /// A server is heard otherwise than by ARP and ND. At home a MAC address is enough to know it, by each of its
    /// addresses.
    fn on_sign(&mut self, now: Instant, in_port: PortNo, sign: &Sign, data: Bytes) {
        if sign.mac == self.config.lan.mac {
            return;
        }
        let (hosting, of_lan) = (self.config.hosting.ports.contains(&in_port), self.config.lan.has(in_port));
        let (mut cx, home, host) = self.split(now);
        if hosting {
            host.on_sign(&mut cx, in_port, sign);
        } else if of_lan {
            let is = |s: &&mut HomeServer| sign.address.map_or(s.mac() == sign.mac, |a| s.is(a));
            for server in home.values_mut().filter(is) {
                server.on_evidence(&mut cx, in_port, sign.mac, sign.evidence, data.clone());
            }
        }
    }

    // ---- peers --------------------------------------------------------------------------

    fn on_message(&mut self, now: Instant, peer: &str, message: Message) {
        let (mut cx, home, host) = self.split(now);
        let cx = &mut cx;
        if host.on_message(cx, peer, &message) {
            return;
        }
        match message {
            Message::Claim { address, mac, transfer, evidence, last_epoch, token } => {
                if home.contains_key(&address) && !can_be_transfer(cx.config, home, address, transfer) {
                    if let Some(server) = home.get(&address) {
                        server.refuse_transfer(cx, peer, transfer);
                    }
                } else if let Some(server) = home.get_mut(&address) {
                    server.on_claim(cx, peer, &Claim { mac, transfer, evidence, last_epoch, token });
                } else {
                    not_ours(cx, peer, address);
                }
            }
            Message::Ready { address, epoch } => match home.get_mut(&address) {
                Some(server) => server.on_ready(cx, peer, epoch),
                None => not_ours(cx, peer, address),
            },
            Message::Renew(renewals) => {
                let mut renewed = Vec::new();
                for renewal in renewals {
                    let Some(server) = home.get_mut(&renewal.address) else {
                        not_ours(cx, peer, renewal.address);
                        continue;
                    };
                    if server.on_renewal(cx, peer, renewal) {
                        renewed.push((renewal.address, renewal.epoch));
                    }
                }
                cx.out.send(peer, Message::RenewAck(renewed));
            }
            Message::QueryAck { address, epoch, alive } => {
                if let Some(server) = home.get_mut(&address) {
                    server.on_query_ack(cx, peer, epoch, alive);
                }
            }
            Message::PrepareAck { address, epoch, transfer } => {
                let usable = can_be_transfer(cx.config, home, address, transfer);
                if let Some(server) = home.get_mut(&address) {
                    server.on_prepare_ack(cx, peer, epoch, transfer, usable);
                }
            }
            Message::PrepareNack { address, epoch, reason, last_epoch } => {
                if let Some(server) = home.get_mut(&address) {
                    server.on_prepare_nack(cx, peer, epoch, reason, last_epoch);
                }
            }
            Message::RevokeAck { address, epoch } => {
                if let Some(server) = home.get_mut(&address) {
                    server.on_revoke_ack(peer, epoch);
                }
            }
            Message::Release { address, epoch } => match home.get_mut(&address) {
                Some(server) => server.on_release(cx, peer, epoch),
                None => cx.out.send(peer, Message::ReleaseAck { address, epoch }),
            },
            // The session's own, or a host's and handled above.
            Message::Hello { .. }
            | Message::ClaimAck { .. }
            | Message::ClaimNack { .. }
            | Message::Active { .. }
            | Message::RenewAck(_)
            | Message::Query { .. }
            | Message::Revoke { .. }
            | Message::Prepare { .. }
            | Message::ReleaseAck { .. } => {}
        }
    }

    // ---- time ---------------------------------------------------------------------------

    fn on_time(&mut self, now: Instant) {
        if self.sync_at.is_some_and(|at| at <= now) {
            self.synchronise(now);
        }
        for gateway in &mut self.gateways {
            gateway.on_time(now, &self.config.lan, &self.config.timers, &mut self.out);
        }
        self.pool.on_time(now, &self.config, &mut self.out);
        let (mut cx, home, host) = self.split(now);
        for server in home.values_mut() {
            server.on_time(&mut cx);
        }
        host.on_time(&mut cx);
        if Family::ALL.iter().any(|family| cx.pool.has_ready(*family)) {
            host.retry(&mut cx, reason::POOL_EXHAUSTED);
        }
    }
}

/// Whether packets for `server` can be sent to `transfer`: an address of somewhere else, and
/// of no other server of ours.
fn can_be_transfer(config: &SiteConfig, home: &BTreeMap<IpAddr, HomeServer>, server: IpAddr, transfer: IpAddr) -> bool {
    let elsewhere = Family::of(server) == Family::of(transfer)
        && !config.lan.contains(transfer)
        && !config.servers.iter().any(|s| s.address == transfer);
    elsewhere
        && is_of_a_host(transfer)
        && !is_link_local(transfer)
        && !home.values().any(|s| !s.is(server) && s.uses(transfer))
}

/// Refuses what is said of an address that has no home here.
fn not_ours(cx: &mut Context<'_>, peer: &str, address: IpAddr) {
    cx.refuse("claim-unauthorised");
    cx.out.note(address, event::CLAIM_NACK_SENT, format!("to {peer}: it has no home here"));
    cx.out.alert(Some(address), format!("claim of {peer} refused: the address has no home here"));
    cx.out.send(peer, Message::ClaimNack { address, reason: NackReason::Unauthorised });
}
