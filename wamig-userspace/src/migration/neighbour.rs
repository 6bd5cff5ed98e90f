//! The site's own router, as it is known in one family: its MAC address, asked for from wamig's own.
//!
//! The question is that of [`resolution::ask`], since wamig has no IP address in the LAN. The kernel's neighbour table
//! is never used: the frames do not pass it.

use std::net::IpAddr;
use std::time::Instant;

use wamig_openflow::{MacAddr, PortNo};

use super::config::{Lan, Timers};
use super::outbox::Outbox;
use super::prefix::Family;
use super::resolution::{self, Resolution};

/// Questions without an answer until an operator is told.
const PATIENCE: u32 = 5;

/// A router's MAC address and when to ask for it.
#[derive(Debug)]
pub(super) struct Neighbour {
    address: IpAddr,
    mac: Option<MacAddr>,
    /// Questions since the last answer.
    asked: u32,
    /// `None` until the switch can deliver an answer.
    ask_at: Option<Instant>,
}

impl Neighbour {
    /// A router of which at most an earlier answer is known.
    pub(super) fn new(address: IpAddr, mac: Option<MacAddr>) -> Self {
        Self { address, mac, asked: 0, ask_at: None }
    }

    pub(super) fn family(&self) -> Family {
        Family::of(self.address)
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
            let (how, key) = match self.family() {
                Family::V4 => ("ARP", "lan.gateway"),
                Family::V6 => ("neighbour solicitations", "lan.gateway6"),
            };
            out.alert(None, format!("the gateway {gateway} does not answer {how}; check {key} and the uplink"));
        }
        self.asked = self.asked.saturating_add(1);
        self.ask_at = Some(now + timers.gateway_retry);
        out.emit(resolution::ask(lan.mac, self.address), [lan.uplink]);
    }

    /// Takes an answer; true when it changes the MAC address. Only the uplink leads to the
    /// router: whoever answers elsewhere is not it.
    pub(super) fn on_answer(
        &mut self,
        now: Instant,
        in_port: PortNo,
        heard: &Resolution,
        lan: &Lan,
        timers: &Timers,
    ) -> bool {
        if !heard.answers(lan.mac) || in_port != lan.uplink || heard.sender != self.address || heard.mac == lan.mac {
            return false;
        }
        self.asked = 0;
        self.ask_at = Some(now + timers.gateway_refresh);
        self.mac.replace(heard.mac) != Some(heard.mac)
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;
    use crate::migration::io::Effect;
    use crate::migration::tests::arp::Arp;

    const G: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
    const G_MAC: MacAddr = MacAddr([2, 0, 0, 0, 0, 1]);
    const W: MacAddr = MacAddr([2, 0x57, 0x4d, 0, 0, 1]);

    fn lan() -> Lan {
        Lan { uplink: PortNo(1), ports: vec![PortNo(2)], subnets: Vec::new(), mac: W }
    }

    fn heard(arp: &Arp) -> Resolution {
        Resolution::parse(&arp.build()).unwrap()
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
        let reply = Arp::reply(G_MAC, G, W, IpAddr::V4(Ipv4Addr::UNSPECIFIED));
        assert!(n.on_answer(now, PortNo(1), &heard(&reply), &lan(), &timers));
        assert!(!n.on_answer(now, PortNo(1), &heard(&reply), &lan(), &timers), "nothing new");
        assert_eq!((n.mac(), n.deadline()), (Some(G_MAC), Some(now + timers.gateway_refresh)));
    }

    #[test]
    fn only_the_router_s_own_answer_counts() {
        let (mut n, now, timers) = (Neighbour::new(G, None), Instant::now(), Timers::default());
        let reply = Arp::reply(G_MAC, G, W, IpAddr::V4(Ipv4Addr::UNSPECIFIED));
        assert!(!n.on_answer(now, PortNo(2), &heard(&reply), &lan(), &timers), "from elsewhere than the uplink");
        let other = Arp { spa: IpAddr::V4(Ipv4Addr::new(192, 0, 2, 9)), ..reply };
        assert!(!n.on_answer(now, PortNo(1), &heard(&other), &lan(), &timers), "of another address");
        let gratuitous = Arp::announcement(G_MAC, G);
        assert!(!n.on_answer(now, PortNo(1), &heard(&gratuitous), &lan(), &timers), "not an answer");
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
