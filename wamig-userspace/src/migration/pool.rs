//! The transfer addresses (paper §4.2: "an unused address of DC2"): which of the configured
//! ones are free, found out ahead of time as RFC 5227 §2.1 says, so that a guest never
//! waits for it. IPv6 addresses are asked for as often and as long, which is more than RFC 4862 wants.
//!
//! ```text
//! candidate → probing → ready → in use → quarantined → candidate
//!     └──────────┴─ conflict ─┴──────────────┘
//! ```

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use wamig_openflow::MacAddr;

use super::config::{SiteConfig, Timers};
use super::outbox::Outbox;
use super::prefix::{Family, number};
use super::resolution::{self, Resolution};
use super::status::PoolStatus;

/// RFC 5227 §1.1: PROBE_NUM.
const PROBES: u8 = 3;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Slot {
    Candidate,
    Probing { sent: u8, next: Instant },
    Ready,
    InUse(IpAddr),
    Quarantined { until: Instant },
}

/// Somebody else talks from a transfer address that is in use.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Conflict {
    /// The guest whose transfer address it is.
    pub(super) guest: IpAddr,
    /// Who talks.
    pub(super) mac: MacAddr,
}

/// The pool; addresses are taken in ascending order.
#[derive(Debug)]
pub(super) struct Pool {
    slots: BTreeMap<IpAddr, Slot>,
    /// How many of a family shall be ready ahead of time.
    target: usize,
    quarantine: Duration,
    /// Answers to probes come through only once the switch is programmed.
    started: bool,
}

impl Pool {
    pub(super) fn new(config: &SiteConfig) -> Self {
        let addresses = config.hosting.pool.iter().flat_map(|r| r.iter());
        Self {
            slots: addresses.map(|a| (a, Slot::Candidate)).collect(),
            target: config.hosting.ready.max(1),
            quarantine: config.hosting.quarantine,
            started: false,
        }
    }

    /// Takes another configuration. What it does not lend any more is let go, once it has rested
    /// if it has to.
    pub(super) fn adopt(&mut self, config: &SiteConfig) {
        (self.target, self.quarantine) = (config.hosting.ready.max(1), config.hosting.quarantine);
        let lends = |a: IpAddr| config.hosting.pool.iter().any(|r| r.contains(a));
        self.slots.retain(|a, s| lends(*a) || matches!(s, Slot::InUse(_) | Slot::Quarantined { .. }));
        for address in config.hosting.pool.iter().flat_map(|r| r.iter()) {
            self.slots.entry(address).or_insert(Slot::Candidate);
        }
    }

    pub(super) fn start(&mut self) {
        self.started = true;
    }

    /// Reserves a ready address of its family for `guest`.
    pub(super) fn take(&mut self, guest: IpAddr) -> Option<IpAddr> {
        let family = Family::of(guest);
        let free = |(t, s): &(&IpAddr, &mut Slot)| Family::of(**t) == family && **s == Slot::Ready;
        let (address, slot) = self.slots.iter_mut().find(free)?;
        *slot = Slot::InUse(guest);
        Some(*address)
    }

    /// Takes back an address that no packet was ever sent to.
    pub(super) fn give_back(&mut self, transfer: IpAddr) {
        self.slots.insert(transfer, Slot::Ready);
    }

    /// Takes back an address that may still be sent to.
    pub(super) fn rest(&mut self, transfer: IpAddr, now: Instant) {
        self.slots.insert(transfer, Slot::Quarantined { until: now + self.quarantine });
    }

    /// Marks an address as used by `guest` without asking: it was before a restart.
    pub(super) fn resume(&mut self, transfer: IpAddr, guest: IpAddr) {
        self.slots.insert(transfer, Slot::InUse(guest));
    }

    /// The addresses that guests have, with the guests.
    pub(super) fn in_use(&self) -> impl Iterator<Item = (IpAddr, IpAddr)> + '_ {
        self.slots.iter().filter_map(|(t, s)| if let Slot::InUse(guest) = s { Some((*t, *guest)) } else { None })
    }

    /// Whether a guest with an address of the family can be given one.
    pub(super) fn has_ready(&self, family: Family) -> bool {
        self.slots.iter().any(|(t, s)| Family::of(*t) == family && *s == Slot::Ready)
    }

    /// The guest that a transfer address was taken for.
    pub(super) fn guest_of(&self, transfer: IpAddr) -> Option<IpAddr> {
        if let Slot::InUse(guest) = self.slots.get(&transfer)? { Some(*guest) } else { None }
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        let at = |s: &Slot| match s {
            Slot::Probing { next, .. } => Some(*next),
            Slot::Quarantined { until } => Some(*until),
            Slot::Candidate | Slot::Ready | Slot::InUse(_) => None,
        };
        self.slots.values().filter_map(at).min()
    }

    pub(super) fn on_time(&mut self, now: Instant, config: &SiteConfig, out: &mut Outbox) {
        let configured = |a: &IpAddr| config.hosting.pool.iter().any(|r| r.contains(*a));
        // An address that a former configuration lent is let go once it has rested.
        self.slots.retain(|a, s| !matches!(s, Slot::Quarantined { until } if *until <= now && !configured(a)));
        for slot in self.slots.values_mut() {
            if matches!(slot, Slot::Quarantined { until } if *until <= now) {
                *slot = Slot::Candidate;
            }
        }
        if !self.started {
            return;
        }
        for family in Family::ALL {
            let mut slots: Vec<_> = self.slots.iter_mut().filter(|(t, _)| Family::of(**t) == family).collect();
            let under_way = slots.iter().filter(|(_, s)| matches!(s, Slot::Ready | Slot::Probing { .. })).count();
            let candidates = slots.iter_mut().filter(|(_, s)| **s == Slot::Candidate);
            for (_, slot) in candidates.take(self.target.saturating_sub(under_way)) {
                **slot = Slot::Probing { sent: 0, next: now };
            }
        }
        for (address, slot) in &mut self.slots {
            let Slot::Probing { sent, next } = *slot else { continue };
            if next > now {
                continue;
            }
            if sent == PROBES {
                *slot = Slot::Ready;
                continue;
            }
            out.emit(resolution::ask(config.lan.mac, *address), lan_ports(config));
            let pause =
                if sent + 1 == PROBES { config.timers.announce_wait } else { pause(&config.timers, *address, sent) };
            *slot = Slot::Probing { sent: sent + 1, next: now + pause };
        }
    }

    /// Somebody of the LAN says something by ARP or ND.
    pub(super) fn on_heard(
        &mut self,
        now: Instant,
        heard: &Resolution,
        own: MacAddr,
        out: &mut Outbox,
    ) -> Option<Conflict> {
        let (subject, _) = heard.evidence()?;
        if heard.mac == own {
            return None;
        }
        let until = now + self.quarantine;
        let slot = self.slots.get_mut(&subject)?;
        match *slot {
            // The flows answer a probe for it; only who talks from it is in conflict.
            Slot::InUse(guest) => (!heard.is_probe()).then_some(Conflict { guest, mac: heard.mac }),
            Slot::Quarantined { .. } => {
                *slot = Slot::Quarantined { until };
                None
            }
            Slot::Candidate | Slot::Probing { .. } | Slot::Ready => {
                *slot = Slot::Quarantined { until };
                let by = heard.mac;
                out.alert(None, format!("{subject} of hosting.pool is used by {by}; take it out of the pool"));
                None
            }
        }
    }

    pub(super) fn status(&self) -> PoolStatus {
        let count = |f: fn(&Slot) -> bool| self.slots.values().filter(|s| f(s)).count();
        PoolStatus {
            size: self.slots.len(),
            ready: count(|s| *s == Slot::Ready),
            in_use: count(|s| matches!(s, Slot::InUse(_))),
            quarantined: count(|s| matches!(s, Slot::Quarantined { .. })),
        }
    }
}

/// Every port of the LAN.
pub(super) fn lan_ports(config: &SiteConfig) -> impl Iterator<Item = wamig_openflow::PortNo> {
    std::iter::once(config.lan.uplink).chain(config.lan.ports.iter().copied())
}

/// RFC 5227 wants the pauses random, so that hosts that start together do not probe in
/// step; here they differ by address and turn.
fn pause(timers: &Timers, address: IpAddr, turn: u8) -> Duration {
    let spread = timers.arp_probe_max.saturating_sub(timers.arp_probe_min);
    let part = (number(address) as u32).wrapping_add(u32::from(turn)).wrapping_mul(0x9e37_79b1) >> 22;
    timers.arp_probe_min + spread * part / 1024
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;
    use crate::migration::io::Effect;
    use crate::migration::tests::arp::Arp;
    use crate::migration::tests::site::{self, T1, T2};

    const OTHER: MacAddr = MacAddr([2, 9, 9, 9, 9, 9]);
    const GUEST: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 53));

    struct Bench {
        pool: Pool,
        config: SiteConfig,
        now: Instant,
        probes: Vec<(Instant, IpAddr)>,
        alerts: usize,
    }

    impl Bench {
        fn new(ready: usize) -> Self {
            let mut config = site::host();
            config.hosting.ready = ready;
            let mut pool = Pool::new(&config);
            pool.start();
            Self { pool, config, now: Instant::now(), probes: Vec::new(), alerts: 0 }
        }

        fn run(&mut self, span: Duration) {
            let end = self.now + span;
            loop {
                let mut out = Outbox::default();
                self.pool.on_time(self.now, &self.config, &mut out);
                for effect in out.take() {
                    if let Effect::PacketOut(p) = effect {
                        self.probes.push((self.now, Arp::parse(&p.data).unwrap().tpa));
                    }
                }
                match self.pool.deadline() {
                    Some(at) if at <= end => self.now = at,
                    _ => break,
                }
            }
            self.now = end;
        }

        fn hear(&mut self, arp: Arp) -> Option<Conflict> {
            let mut out = Outbox::default();
            let conflict =
                self.pool.on_heard(self.now, &Resolution::parse(&arp.build()).unwrap(), self.config.lan.mac, &mut out);
            self.alerts += out.take().len();
            conflict
        }
    }

    #[test]
    fn an_address_is_ready_after_three_probes_and_a_wait() {
        let mut b = Bench::new(1);
        let start = b.now;
        b.run(Duration::from_secs(20));
        let at: Vec<_> = b.probes.iter().map(|(at, a)| (*at - start, *a)).collect();
        assert_eq!(at.len(), 3, "{at:?}");
        assert!(at.iter().all(|(_, a)| *a == T1));
        for w in at.windows(2) {
            let gap = w[1].0.abs_diff(w[0].0);
            assert!((1.0..2.0).contains(&gap.as_secs_f64()), "{gap:?}");
        }
        assert_eq!(b.pool.status(), PoolStatus { size: 3, ready: 1, in_use: 0, quarantined: 0 });
        assert_eq!(b.pool.take(GUEST), Some(T1));
        assert_eq!(b.pool.take(GUEST), None, "none is given unprobed");
        b.run(Duration::from_secs(20));
        assert_eq!(b.pool.take(GUEST), Some(T2), "the next was probed meanwhile");
    }

    #[test]
    fn nothing_is_probed_before_the_switch_is_programmed() {
        let mut b = Bench::new(2);
        b.pool.started = false;
        b.run(Duration::from_secs(20));
        assert!(b.probes.is_empty() && !b.pool.has_ready(Family::V4));
    }

    #[test]
    fn an_address_in_use_elsewhere_is_never_taken() {
        for arp in [
            Arp::reply(OTHER, T1, site::W2, IpAddr::V4(Ipv4Addr::UNSPECIFIED)),
            Arp::announcement(OTHER, T1),
            Arp { spa: T1, ..Arp::probe(OTHER, IpAddr::V4(Ipv4Addr::new(198, 51, 100, 1))) },
            Arp::probe(OTHER, T1),
        ] {
            let mut b = Bench::new(1);
            b.run(Duration::from_secs(1));
            assert_eq!(b.hear(arp), None);
            assert_eq!((b.alerts, b.pool.status().quarantined), (1, 1), "{arp:?}");
            b.run(Duration::from_secs(20));
            assert_eq!(b.pool.take(GUEST), Some(T2));
        }
    }

    #[test]
    fn a_ready_address_that_somebody_takes_is_ready_no_more() {
        let mut b = Bench::new(1);
        b.run(Duration::from_secs(20));
        b.hear(Arp::announcement(OTHER, T1));
        assert!(!b.pool.has_ready(Family::V4));
        b.hear(Arp::announcement(OTHER, T1));
        assert_eq!(b.alerts, 1, "said once");
    }

    #[test]
    fn own_frames_are_no_conflict() {
        let mut b = Bench::new(1);
        b.run(Duration::from_secs(20));
        b.hear(Arp::announcement(site::W2, T1));
        assert_eq!(b.pool.take(GUEST), Some(T1));
    }

    #[test]
    fn talking_from_an_address_in_use_is_a_conflict_and_asking_for_it_is_not() {
        let mut b = Bench::new(1);
        b.run(Duration::from_secs(20));
        b.pool.take(GUEST);
        assert_eq!(b.hear(Arp::probe(OTHER, T1)), None);
        assert_eq!(b.hear(Arp::announcement(OTHER, T1)), Some(Conflict { guest: GUEST, mac: OTHER }));
        assert_eq!(b.pool.status().in_use, 1);
    }

    #[test]
    fn a_used_address_rests_and_is_probed_again() {
        let mut b = Bench::new(1);
        b.config.hosting.pool.truncate(1);
        b.pool = Pool::new(&SiteConfig { hosting: b.config.hosting.clone(), ..b.config.clone() });
        b.pool.slots.retain(|a, _| *a == T1);
        b.pool.start();
        b.run(Duration::from_secs(20));
        let t = b.pool.take(GUEST).unwrap();
        b.pool.rest(t, b.now);
        b.run(b.config.hosting.quarantine.abs_diff(Duration::from_secs(1)));
        assert_eq!(b.pool.status().quarantined, 1);
        let before = b.probes.len();
        b.run(Duration::from_secs(20));
        assert_eq!((b.probes.len() - before, b.pool.has_ready(Family::V4)), (3, true));
    }

    #[test]
    fn an_address_the_configuration_no_longer_lends_is_let_go_after_its_rest() {
        let mut b = Bench::new(1);
        let old = IpAddr::V4(Ipv4Addr::new(198, 51, 100, 99));
        b.pool.resume(old, GUEST);
        assert_eq!(b.pool.status().size, 4);
        b.pool.rest(old, b.now);
        b.run(b.config.hosting.quarantine + Duration::from_secs(1));
        assert_eq!(b.pool.status().size, 3);
    }
}
