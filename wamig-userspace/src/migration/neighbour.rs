//! The site's own router: its MAC address, asked for from wamig's own.
//!
//! The question is an ARP probe (RFC 5227: sender address zero), since wamig has no IP
//! address in the LAN. The kernel's neighbour table is never used: the frames do not pass it.

use std::net::Ipv4Addr;
use std::time::Instant;

use wamig_openflow::{MacAddr, PortNo};

use super::arp::{Arp, Op};
use super::config::{Lan, Timers};
use super::outbox::Outbox;

/// Questions without an answer until an operator is told.
const PATIENCE: u32 = 5;

/// A router's MAC address and when to ask for it.
#[derive(Debug)]
pub(super) struct Neighbour {
    address: Ipv4Addr,
    mac: Option<MacAddr>,
    /// Questions since the last answer.
    asked: u32,
    /// `None` until the switch can deliver an answer.
    ask_at: Option<Instant>,
}

impl Neighbour {
    /// A router of which at most an earlier answer is known.
    pub(super) fn new(address: Ipv4Addr, mac: Option<MacAddr>) -> Self {
        Self { address, mac, asked: 0, ask_at: None }
    }

    pub(super) fn mac(&self) -> Option<MacAddr> {
        self.mac
    }

    /// Replies now come through: ask.
    pub(super) fn start(&mut self, now: Instant) {
        self.asked = 0;
        self.ask_at = Some(now);
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        self.ask_at
    }

    pub(super) fn on_time(&mut self, now: Instant, lan: &Lan, timers: &Timers, out: &mut Outbox) {
        if self.ask_at.is_none_or(|at| at > now) {
            return;
        }
        if self.asked == PATIENCE {
            let gateway = self.address;
            out.alert(None, format!("the gateway {gateway} does not answer ARP; check lan.gateway and the uplink"));
        }
        self.asked = self.asked.saturating_add(1);
        self.ask_at = Some(now + timers.gateway_retry);
        out.emit(&Arp::probe(lan.mac, self.address), [lan.uplink]);
    }

    /// Takes an answer; true when it changes the MAC address. Only the uplink leads to the
    /// router: whoever answers elsewhere is not it.
    pub(super) fn on_arp(&mut self, now: Instant, in_port: PortNo, arp: &Arp, lan: &Lan, timers: &Timers) -> bool {
        let ours = arp.op == Op::Reply && arp.eth_dst == lan.mac && in_port == lan.uplink;
        if !ours || arp.spa != self.address || arp.sha == lan.mac {
            return false;
        }
        self.asked = 0;
        self.ask_at = Some(now + timers.gateway_refresh);
        self.mac.replace(arp.sha) != Some(arp.sha)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::migration::config::Prefix;
    use crate::migration::io::Effect;

    const G: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
    const G_MAC: MacAddr = MacAddr([2, 0, 0, 0, 0, 1]);
    const W: MacAddr = MacAddr([2, 0x57, 0x4d, 0, 0, 1]);

    fn lan() -> Lan {
        Lan { uplink: PortNo(1), ports: vec![PortNo(2)], prefix: Prefix::new(G, 24), gateway: G, mac: W }
    }

    fn ask(n: &mut Neighbour, now: Instant) -> Vec<Effect> {
        let mut out = Outbox::default();
        n.on_time(now, &lan(), &Timers::default(), &mut out);
        out.take()
    }

    #[test]
    fn it_asks_until_it_is_answered_and_then_rarely() {
        let (mut n, now, timers) = (Neighbour::new(G, None), Instant::now(), Timers::default());
        assert!(ask(&mut n, now).is_empty(), "not before the switch is up");
        n.start(now);
        let Effect::PacketOut(out) = &ask(&mut n, now)[0] else { panic!() };
        assert_eq!(Arp::parse(&out.data), Some(Arp::probe(W, G)));
        assert_eq!(n.deadline(), Some(now + timers.gateway_retry));
        let reply = Arp::reply(G_MAC, G, W, Ipv4Addr::UNSPECIFIED);
        assert!(n.on_arp(now, PortNo(1), &reply, &lan(), &timers));
        assert!(!n.on_arp(now, PortNo(1), &reply, &lan(), &timers), "nothing new");
        assert_eq!((n.mac(), n.deadline()), (Some(G_MAC), Some(now + timers.gateway_refresh)));
    }

    #[test]
    fn only_the_router_s_own_answer_counts() {
        let (mut n, now, timers) = (Neighbour::new(G, None), Instant::now(), Timers::default());
        let reply = Arp::reply(G_MAC, G, W, Ipv4Addr::UNSPECIFIED);
        assert!(!n.on_arp(now, PortNo(2), &reply, &lan(), &timers), "from elsewhere than the uplink");
        let other = Arp { spa: Ipv4Addr::new(192, 0, 2, 9), ..reply };
        assert!(!n.on_arp(now, PortNo(1), &other, &lan(), &timers), "of another address");
        let gratuitous = Arp::announcement(G_MAC, G);
        assert!(!n.on_arp(now, PortNo(1), &gratuitous, &lan(), &timers), "not an answer");
        assert_eq!(n.mac(), None);
    }

    #[test]
    fn a_silent_router_is_reported_once() {
        let (mut n, mut now) = (Neighbour::new(G, None), Instant::now());
        n.start(now);
        let mut alerts = 0;
        for _ in 0..20 {
            alerts += ask(&mut n, now).iter().filter(|e| matches!(e, Effect::Note(n) if n.alert)).count();
            now += Timers::default().gateway_retry;
        }
        assert_eq!(alerts, 1);
    }
}
