//! What the captured frames prove about a play. Each proof is one sentence and holds for every
//! frame and every question it speaks of, or fails with the first that contradicts it.

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;
use std::ops::Range;

use anyhow::Result;

use super::Lab;
use super::capture::{Capture, Record};
use super::dns;
use super::family::Plan;
use super::frame::{Frame, Ip};
use super::stream::Query;
use super::topology::{Place, SERVER_MAC, Site, mac_text};

/// A sentence and whether it holds.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Proof {
    /// What is claimed.
    pub claim: String,
    /// The evidence, or what contradicts the claim.
    pub verdict: Result<String, String>,
}

impl Proof {
    /// Whether it holds.
    pub fn holds(&self) -> bool {
        self.verdict.is_ok()
    }

    /// A proof out of a check.
    pub fn of(claim: impl Into<String>, verdict: Result<String, String>) -> Self {
        Self { claim: claim.into(), verdict }
    }
}

impl std::fmt::Display for Proof {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.verdict {
            Ok(evidence) => write!(f, "[proven] {} ({evidence})", self.claim),
            Err(contradiction) => write!(f, "[FAILED] {}: {contradiction}", self.claim),
        }
    }
}

/// A stretch of a play, in microseconds of the Unix epoch.
pub type Window = Range<u64>;

/// The captures of a play, one per link, each at the end away from the switch.
pub struct Links {
    /// The client's link.
    pub client: Capture,
    /// DC1's uplink, at its router.
    pub uplink1: Capture,
    /// DC1's web server's link.
    pub neighbour: Capture,
    /// DC1's slot.
    pub slot1: Capture,
    /// DC2's uplink, at its router.
    pub uplink2: Capture,
    /// DC2's local host's link.
    pub local: Capture,
    /// DC2's slot.
    pub slot2: Capture,
    /// DC1's end of the WAN.
    pub wan1: Capture,
    /// DC2's end of the WAN.
    pub wan2: Capture,
}

impl Links {
    /// Starts to capture on all of them.
    ///
    /// # Errors
    /// As [`Capture::start`].
    pub fn watch(lab: &Lab) -> Result<Self> {
        Ok(Self {
            client: lab.capture("client", Place::Client, "eth0")?,
            uplink1: lab.capture("dc1-uplink", Place::Router(Site::Dc1), "lan")?,
            neighbour: lab.capture("dc1-web", Place::Host(Site::Dc1), "eth0")?,
            slot1: lab.capture("dc1-server", Place::Slot(Site::Dc1), "eth0")?,
            uplink2: lab.capture("dc2-uplink", Place::Router(Site::Dc2), "lan")?,
            local: lab.capture("dc2-local", Place::Host(Site::Dc2), "eth0")?,
            slot2: lab.capture("dc2-server", Place::Slot(Site::Dc2), "eth0")?,
            wan1: lab.capture("dc1-wan", Place::Router(Site::Dc1), "wan")?,
            wan2: lab.capture("dc2-wan", Place::Router(Site::Dc2), "wan")?,
        })
    }

    /// All of them.
    pub fn all(&self) -> [&Capture; 9] {
        [
            &self.client,
            &self.uplink1,
            &self.neighbour,
            &self.slot1,
            &self.uplink2,
            &self.local,
            &self.slot2,
            &self.wan1,
            &self.wan2,
        ]
    }

    /// No frame was missed, so that what was not seen was not there.
    pub fn complete(&self) -> Proof {
        let mut frames = 0;
        for capture in self.all() {
            frames += capture.records().len();
            match capture.dropped() {
                Ok(0) => {}
                Ok(n) => return Proof::of("the captures are complete", Err(format!("{n} lost at {}", capture.link()))),
                Err(error) => return Proof::of("the captures are complete", Err(format!("{error:#}"))),
            }
        }
        Proof::of("the captures are complete", Ok(format!("{frames} frames on {} links", self.all().len())))
    }
}

/// How a question is recognised on a link.
struct Sight {
    sent: bool,
    destination: IpAddr,
    mac: [u8; 6],
}

impl Sight {
    fn to(&self) -> String {
        format!("{} at {}", self.destination, mac_text(self.mac))
    }
}

/// Every sight of the client's questions on a link: by id, where to and in which direction.
fn sights(capture: &Capture, client: IpAddr, port: u16) -> HashMap<u16, Vec<Sight>> {
    let mut found: HashMap<u16, Vec<Sight>> = HashMap::new();
    for record in capture.records().iter() {
        let Some(frame) = record.frame() else { continue };
        let Some(ip) = frame.ip() else { continue };
        if ip.source != client || ip.ports != (port, 53) {
            continue;
        }
        if let Some((id, false)) = dns::header(ip.payload) {
            let sight = Sight { sent: record.sent, destination: ip.destination, mac: frame.to };
            found.entry(id).or_default().push(sight);
        }
    }
    found
}

/// The questions of an act, to be followed across the links.
pub struct Trail<'q> {
    /// All questions of the play.
    pub queries: &'q [Query],
    /// Who has which address in their family.
    pub plan: &'q Plan,
    /// The client's UDP port.
    pub port: u16,
    /// The act.
    pub window: &'q Window,
}

impl<'q> Trail<'q> {
    fn answered(&self) -> impl Iterator<Item = &'q Query> {
        let window = self.window;
        self.queries.iter().filter(|query| window.contains(&query.sent_us) && query.answered_us.is_some())
    }

    /// Every answer carries this marker.
    pub fn marked(&self, claim: &str, marker: &str) -> Proof {
        let mut count = 0;
        for query in self.answered() {
            if query.marker.as_deref() != Some(marker) {
                return Proof::of(claim, Err(format!("question {} was answered {:?}", query.id, query.marker)));
            }
            count += 1;
        }
        let verdict = if count > 0 { Ok(format!("{count} answers")) } else { Err("there was no answer".to_owned()) };
        Proof::of(claim, verdict)
    }

    /// Every answered question was seen on the link in this direction, there always so.
    fn seen(&self, claim: &str, capture: &Capture, sent: bool, is: impl Fn(&Sight) -> bool) -> Proof {
        let sights = sights(capture, self.plan.client, self.port);
        let mut count = 0;
        for query in self.answered() {
            let mut of_this = sights.get(&query.id).into_iter().flatten().filter(|sight| sight.sent == sent).peekable();
            if of_this.peek().is_none() {
                return Proof::of(claim, Err(format!("question {} was not seen there", query.id)));
            }
            if let Some(other) = of_this.find(|sight| !is(sight)) {
                return Proof::of(claim, Err(format!("question {} was seen on its way to {}", query.id, other.to())));
            }
            count += 1;
        }
        let verdict =
            if count > 0 { Ok(format!("{count} questions")) } else { Err("there was no question".to_owned()) };
        Proof::of(claim, verdict)
    }

    /// They entered this slot with the server's own addresses.
    pub fn enters_slot(&self, claim: &str, slot: &Capture) -> Proof {
        let server = self.plan.server;
        self.seen(claim, slot, false, |sight| sight.destination == server && sight.mac == SERVER_MAC)
    }

    /// They came from this router for `destination`.
    pub fn comes_down(&self, claim: &str, uplink: &Capture, destination: IpAddr) -> Proof {
        self.seen(claim, uplink, true, |sight| sight.destination == destination)
    }

    /// They went up to this router for `destination`.
    pub fn goes_up(&self, claim: &str, uplink: &Capture, destination: IpAddr) -> Proof {
        self.seen(claim, uplink, false, |sight| sight.destination == destination)
    }
}

/// An address is in no frame of these links, in no header and no payload.
pub fn nowhere(claim: &str, captures: &[&Capture], address: IpAddr) -> Proof {
    let mut count = 0;
    for capture in captures {
        for record in capture.records().iter() {
            if record.frame().is_some_and(|frame| frame.mentions(address)) {
                return Proof::of(claim, Err(format!("a frame on the link {} has it", capture.link())));
            }
            count += 1;
        }
    }
    Proof::of(claim, Ok(format!("{count} frames")))
}

/// No frame of the window on this link is addressed to `address`.
pub fn silent_towards(claim: &str, capture: &Capture, window: &Window, address: IpAddr) -> Proof {
    let records = capture.records();
    let inside = records.iter().filter(|record| window.contains(&record.at_us));
    let to_it = |frame: &Frame<'_>| frame.ip().is_some_and(|ip| ip.destination == address);
    let (mut count, mut bad) = (0, 0);
    for record in inside {
        count += 1;
        bad += usize::from(record.frame().as_ref().is_some_and(to_it));
    }
    Proof::of(claim, if bad == 0 { Ok(format!("{count} frames")) } else { Err(format!("{bad} frames are")) })
}

/// What the server itself sent in the window: none at all, in the control run.
pub fn says_nothing(claim: &str, slot: &Capture, window: &Window) -> Proof {
    let records = slot.records();
    let said = records.iter().filter(|record| record.sent && window.contains(&record.at_us)).count();
    Proof::of(claim, if said == 0 { Ok("no frame".into()) } else { Err(format!("it sent {said} frames")) })
}

/// What the server itself sent in the window has its address in no header and no payload.
pub fn never_names(claim: &str, slot: &Capture, window: &Window, address: IpAddr) -> Proof {
    let records = slot.records();
    let said = records.iter().filter(|record| record.sent && window.contains(&record.at_us));
    let naming = said.clone().filter(|record| record.frame().is_some_and(|frame| frame.mentions(address))).count();
    let verdict = match naming {
        0 => Ok(format!("{} frames, of its kernel's groups and its link-local address", said.count())),
        _ => Err(format!("{naming} frames have {address}")),
    };
    Proof::of(claim, verdict)
}

/// The server asked for its gateway by ARP in the window, before anything else but IPv6.
pub fn asks_for_gateway(claim: &str, slot: &Capture, window: &Window, plan: &Plan) -> Proof {
    let records = slot.records();
    let own = |record: &&Record| record.sent && window.contains(&record.at_us);
    let first = records.iter().filter(own).find(|record| record.frame().is_none_or(|frame| !frame.is_ipv6()));
    let frame = first.and_then(Record::frame);
    let (server, gateway) = (plan.server, plan.gateway1);
    let verdict = match frame.as_ref().and_then(|frame| frame.arp().map(|arp| (frame.from, arp))) {
        Some((from, arp)) if arp.operation == 1 && server == arp.sender && gateway == arp.target => {
            Ok(format!("who-has {} tell {}, from {}", arp.target, arp.sender, mac_text(from)))
        }
        _ => Err(format!("its first frame was {:?}", frame.map(|frame| frame.carries))),
    };
    Proof::of(claim, verdict)
}

/// The neighbour's question went to the server where it is, and the answer came back from the
/// server's own address.
pub fn neighbour_served(claim: &str, neighbour: &Capture, slot2: &Capture, window: &Window, plan: &Plan) -> Proof {
    let ids = |capture: &Capture, wanted: &dyn Fn(bool, &Ip<'_>) -> bool| -> HashSet<u16> {
        let records = capture.records();
        let inside = records.iter().filter(|record| window.contains(&record.at_us));
        inside
            .filter_map(|record| {
                let frame = record.frame()?;
                let ip = frame.ip()?;
                wanted(record.sent, ip).then(|| dns::header(ip.payload).map(|(id, _)| id))?
            })
            .collect()
    };
    let Plan { server, web, .. } = *plan;
    let asked = ids(neighbour, &|sent, ip| sent && ip.destination == server && ip.ports.1 == 53);
    let arrived = ids(slot2, &|sent, ip| !sent && ip.source == web && ip.destination == server && ip.ports.1 == 53);
    let answered = ids(neighbour, &|sent, ip| !sent && ip.source == server && ip.ports.0 == 53);
    let whole = asked.iter().filter(|id| arrived.contains(id) && answered.contains(id)).count();
    Proof::of(
        claim,
        if whole > 0 {
            Ok(format!("{web} asked {server}, {whole} answered"))
        } else {
            Err(format!("{} asked, {} arrived, {} answered", asked.len(), arrived.len(), answered.len()))
        },
    )
}
