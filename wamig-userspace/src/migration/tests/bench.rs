//! One site alone: inputs by hand, effects to look at.

use std::net::{IpAddr, Ipv4Addr};
use std::time::{Duration, Instant};

use wamig_openflow::{FlowMod, MacAddr, PacketOut, PortNo};

use super::arp::Arp;
use super::site::{G1, G1_MAC, G2, G2_MAC, S, S_MAC, SRV, T1, UP};
use crate::migration::Migration;
use crate::migration::config::SiteConfig;
use crate::migration::io::{BatchId, Effect, Input, Note};
use crate::migration::order::{Order, Plan, Verb};
use crate::migration::record::Record;
use crate::migration::status::{AddressStatus, State};
use crate::peer::PROTOCOL_VERSION;
use crate::peer::message::{Epoch, Evidence, HomeProfile, Message};

/// A site under test.
pub(super) struct Bench {
    pub(super) migration: Migration,
    pub(super) now: Instant,
    config: SiteConfig,
}

/// Milliseconds.
pub(super) fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

/// The `n`th epoch of a site that never lost its log.
pub(super) fn epoch(counter: u32) -> Epoch {
    Epoch { incarnation: 1, counter }
}

impl Bench {
    /// A site of which nothing is up yet.
    pub(super) fn cold(config: SiteConfig, restored: Vec<Record>) -> Self {
        let now = Instant::now();
        let (migration, _) = Migration::new(config.clone(), restored, now);
        Self { migration, now, config }
    }

    /// A site whose switch, router and peers are up, and whose pool is ready.
    pub(super) fn new(config: SiteConfig) -> Self {
        let mut bench = Self::cold(config, Vec::new());
        bench.switch_up();
        bench.gateway();
        bench.pass(ms(20_000));
        bench.feed(up("dc1"));
        bench.feed(up("dc2"));
        bench
    }

    pub(super) fn switch_up(&mut self) -> Vec<Effect> {
        let up = self.feed(Input::DatapathUp);
        let mut effects = self.done(batch(&up));
        effects.splice(0..0, up);
        effects
    }

    fn router(&self) -> IpAddr {
        self.config.lan.subnets[0].gateway
    }

    /// The router answers.
    pub(super) fn gateway(&mut self) -> Vec<Effect> {
        let (address, w) = (self.router(), self.config.lan.mac);
        let mac = if address == G1 { G1_MAC } else { G2_MAC };
        self.frame(UP, &Arp::reply(mac, address, w, IpAddr::V4(Ipv4Addr::UNSPECIFIED)))
    }

    pub(super) fn feed(&mut self, input: Input) -> Vec<Effect> {
        self.migration.handle(self.now, input)
    }

    /// An operator orders something about the server; what becomes of it, and what is to be done.
    pub(super) fn order(&mut self, verb: Verb, dry_run: bool) -> (Plan, Vec<Effect>) {
        let order = Order { verb, address: S, reason: "the operator's reason".into(), dry_run };
        let (mut verdicts, effects) = self.migration.order(self.now, &order);
        assert_eq!(verdicts.len(), 1, "{verdicts:?}");
        (verdicts.remove(0).plan, effects)
    }

    /// As [`Bench::order`], of what must not be refused.
    pub(super) fn ordered(&mut self, verb: Verb) -> Vec<Effect> {
        let (plan, effects) = self.order(verb, false);
        assert!(plan.is_ok(), "{plan:?}");
        effects
    }

    pub(super) fn peer(&mut self, peer: &str, message: Message) -> Vec<Effect> {
        self.feed(Input::Peer(peer.into(), message))
    }

    pub(super) fn frame(&mut self, port: PortNo, arp: &Arp) -> Vec<Effect> {
        self.feed(Input::Frame { in_port: port, data: arp.build() })
    }

    /// The switch has done the batch.
    pub(super) fn done(&mut self, batch: BatchId) -> Vec<Effect> {
        self.feed(Input::Programmed { batch, result: Ok(()) })
    }

    /// The switch refuses the batch.
    pub(super) fn refuse(&mut self, batch: BatchId) -> Vec<Effect> {
        self.feed(Input::Programmed { batch, result: Err("table full".into()) })
    }

    /// Lets time pass, a tick at every deadline; the router goes on answering. Gives what
    /// was to be done.
    pub(super) fn pass(&mut self, span: Duration) -> Vec<Effect> {
        let end = self.now + span;
        let mut effects = Vec::new();
        while let Some(at) = self.migration.next_deadline().filter(|at| *at <= end) {
            self.now = self.now.max(at);
            let now = self.feed(Input::Tick);
            let asks = now.iter().any(|e| arp_of(e).is_some_and(|a| a.is_probe() && a.tpa == self.router()));
            effects.extend(now);
            if asks {
                effects.extend(self.gateway());
            }
        }
        self.now = end;
        effects
    }

    /// The one address's status.
    pub(super) fn status(&self) -> AddressStatus {
        let all = self.migration.status();
        assert_eq!(all.len(), 1, "{all:?}");
        all[0].clone()
    }

    pub(super) fn state(&self) -> State {
        self.status().state
    }

    // ---- the home's way --------------------------------------------------------------

    pub(super) fn claim(&mut self, peer: &str, transfer: IpAddr) -> Vec<Effect> {
        self.claim_knowing(peer, transfer, Epoch::default())
    }

    pub(super) fn claim_knowing(&mut self, peer: &str, transfer: IpAddr, last_epoch: Epoch) -> Vec<Effect> {
        let evidence = Evidence::ArpRequest;
        self.peer(peer, Message::Claim { address: S, mac: S_MAC, transfer, evidence, last_epoch, token: false })
    }

    /// Home: claimed by dc2 and found silent here.
    pub(super) fn claimed(&mut self) -> Epoch {
        self.claim("dc2", T1);
        let effects = self.pass(ms(300));
        assert_eq!(self.state(), State::Claimed, "{effects:?}");
        self.status().epoch
    }

    /// Home: away at dc2.
    pub(super) fn away(&mut self) -> Epoch {
        let epoch = self.claimed();
        let ready = self.peer("dc2", Message::Ready { address: S, epoch });
        self.done(batch(&ready));
        assert_eq!(self.state(), State::Away);
        epoch
    }

    /// Home: the server asks for its gateway.
    pub(super) fn seen_at_home(&mut self) -> Vec<Effect> {
        self.frame(SRV, &asks(S_MAC))
    }

    // ---- the host's way --------------------------------------------------------------

    /// Host: the guest asks for its gateway.
    pub(super) fn seen(&mut self) -> Vec<Effect> {
        self.frame(SRV, &asks(S_MAC))
    }

    pub(super) fn ack(&mut self, epoch: Epoch) -> Vec<Effect> {
        self.peer("dc1", Message::ClaimAck { address: S, epoch, lease: 30, profile: profile(), transfer: None })
    }

    /// Host: granted, and the flows are in.
    pub(super) fn ready(&mut self) -> Epoch {
        self.seen();
        let acked = self.ack(epoch(1));
        self.done(batch(&acked));
        assert_eq!(self.state(), State::Ready);
        epoch(1)
    }

    /// Host: served.
    pub(super) fn hosting(&mut self) -> Epoch {
        let epoch = self.ready();
        self.peer("dc1", Message::Active { address: S, epoch });
        assert_eq!(self.state(), State::Hosting);
        epoch
    }

    pub(super) fn revoke(&mut self, epoch: Epoch, fence: bool) -> Vec<Effect> {
        self.peer("dc1", Message::Revoke { address: S, epoch, fence, drain: 2 })
    }
}

/// The session to a peer of this version is up.
pub(super) fn up(peer: &str) -> Input {
    Input::PeerUp(peer.into(), PROTOCOL_VERSION)
}

/// dc1's profile.
pub(super) fn profile() -> HomeProfile {
    HomeProfile { prefix_len: 24, gateway: G1, gateway_mac: G1_MAC }
}

/// A server at `mac` with address S asks for its gateway.
pub(super) fn asks(mac: MacAddr) -> Arp {
    Arp { spa: S, ..Arp::probe(mac, G1) }
}

/// What QEMU sends after a live migration: it names no address.
pub(super) fn rarp(mac: MacAddr, in_port: PortNo) -> Input {
    let head = [&[0xff; 6], &mac.0[..], &[0x80, 0x35, 0, 1, 8, 0, 6, 4, 0, 3]].concat();
    let data = [&head[..], &mac.0, &[0; 4], &mac.0, &[0; 4], &[0; 18]].concat().into();
    Input::Frame { in_port, data }
}

/// dc2's router's view of nothing in particular: somebody else's ARP.
pub(super) fn other_arp() -> Arp {
    Arp { spa: IpAddr::V4(Ipv4Addr::new(198, 51, 100, 7)), ..Arp::probe(MacAddr([2, 7, 7, 7, 7, 7]), G2) }
}

pub(super) fn messages(effects: &[Effect]) -> Vec<(&str, &Message)> {
    effects.iter().filter_map(|e| if let Effect::Send(p, m) = e { Some((p.as_str(), m)) } else { None }).collect()
}

pub(super) fn message(effects: &[Effect]) -> &Message {
    let all = messages(effects);
    assert_eq!(all.len(), 1, "{effects:?}");
    all[0].1
}

pub(super) fn programs(effects: &[Effect]) -> Vec<(BatchId, &[FlowMod])> {
    let program = |e| if let &Effect::Program { batch, ref mods } = e { Some((batch, mods.as_slice())) } else { None };
    effects.iter().filter_map(program).collect()
}

pub(super) fn batch(effects: &[Effect]) -> BatchId {
    let all = programs(effects);
    assert_eq!(all.len(), 1, "{effects:?}");
    all[0].0
}

pub(super) fn packet_outs(effects: &[Effect]) -> Vec<&PacketOut> {
    effects.iter().filter_map(|e| if let Effect::PacketOut(p) = e { Some(p) } else { None }).collect()
}

/// The ARP frame that the effect emits.
pub(super) fn arp_of(effect: &Effect) -> Option<Arp> {
    if let Effect::PacketOut(p) = effect { Arp::parse(&p.data) } else { None }
}

pub(super) fn arps(effects: &[Effect]) -> Vec<Arp> {
    effects.iter().filter_map(arp_of).collect()
}

pub(super) fn records(effects: &[Effect]) -> Vec<&Record> {
    effects.iter().filter_map(|e| if let Effect::Persist(r) = e { Some(r) } else { None }).collect()
}

pub(super) fn notes(effects: &[Effect]) -> Vec<&Note> {
    effects.iter().filter_map(|e| if let Effect::Note(n) = e { Some(n) } else { None }).collect()
}

pub(super) fn has_event(effects: &[Effect], event: &str) -> bool {
    notes(effects).iter().any(|n| n.event == event)
}

pub(super) fn has_alert(effects: &[Effect]) -> bool {
    notes(effects).iter().any(|n| n.alert)
}

/// Where in the order of effects the first that satisfies `f` stands.
pub(super) fn place(effects: &[Effect], f: impl Fn(&Effect) -> bool) -> usize {
    effects.iter().position(f).unwrap_or_else(|| panic!("not among {effects:?}"))
}
