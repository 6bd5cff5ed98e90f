//! The answer to `GET /v1/status`, put together from everything that knows a part of it.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::PoisonError;
use std::sync::atomic::Ordering;
use std::time::Instant;

use super::control::Control;
use wamig_openflow::{PortDesc, Version};

use crate::admin::explain::{self, Explanation};
use crate::admin::status::{
    Address, ControllerLine, Datapath as Switch, Fragments, LinkLine, Peer, Pool, Port, Refusal, Status, SwitchLine,
    SwitchSession,
};
use crate::controller::Controller;
use crate::controller::standalone::Standalone;
use crate::datapath::any::Sessions;
use crate::datapath::fabric::{FabricStatus, MemberStatus};
use crate::datapath::remote::fragment::Verdict;
use crate::datapath::remote::status::{self as session, SessionStatus};
use crate::datapath::{Datapath, Features};
use crate::fastpath::FastPath;
use crate::migration::Migration;
use crate::migration::status::{AddressStatus, reason};

/// The one variant of the program so far: nothing is left out.
const PROGRAM: &str = "general";
/// Frames that came up faster than the control loop took them.
const CONTROL_BUSY: &str = "control-busy";
/// Frames that the slow path had no time for.
const SLOW_PATH_BUSY: &str = "slow-path-busy";

/// The peers, and which of them an operator has called dead.
fn peers<F: FastPath>(control: &Control<F>) -> Vec<Peer> {
    let mut peers = control.peers.list();
    let migration = control.controller.as_ref().map(Controller::migration);
    for (name, said) in migration.into_iter().flat_map(Migration::assumed_dead) {
        for peer in peers.iter_mut().filter(|p| p.name == name) {
            let before = peer.reason.take().map_or_else(String::new, |reason| format!("; {reason}"));
            peer.reason = Some(format!("assumed dead by the operator: {said}{before}"));
        }
    }
    peers
}

/// The status of `control` at `now`, which the wall clock calls `unix_us`.
pub fn status<F: FastPath>(control: &mut Control<F>, now: Instant, unix_us: u64) -> Status {
    let (mut drops, mut punts, mut anomalies) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
    if let Some(switch) = control.datapath.switch() {
        let reasons = switch.fast_path().reasons();
        drops = named(reasons.drops);
        drops.insert(SLOW_PATH_BUSY.to_owned(), switch.slow_counters().limited);
        punts = named(reasons.punts);
        punts.insert(CONTROL_BUSY.to_owned(), control.lost.load(Ordering::Relaxed));
        anomalies = named(reasons.anomalies);
    }
    let mut refused = named(control.refusals.snapshot());
    let migration = control.controller.as_ref().map(Controller::migration);
    for (name, count) in migration.iter().flat_map(|m| m.refused()) {
        *refused.entry((*name).to_owned()).or_default() += count;
    }
    let pool = migration.map(Migration::pool_status);
    let pool = pool.map_or_else(Pool::default, |p| Pool {
        size: p.size,
        ready: p.ready,
        in_use: p.in_use,
        quarantined: p.quarantined,
    });
    let wall = |since: Instant| {
        let age = now.saturating_duration_since(since).as_millis() as u64;
        (unix_us / 1000).saturating_sub(age)
    };
    let uncontrolled = uncontrolled(control);
    let addresses = migration.iter().flat_map(|m| m.status()).map(|a| address(a, wall, uncontrolled.as_deref()));
    let addresses: Vec<_> = addresses.collect();
    let controllers = controllers(control, wall);
    Status {
        site: control.config.site.clone(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        uptime_s: now.saturating_duration_since(control.started).as_secs(),
        configuration: control.configuration.clone(),
        datapath: match control.datapath.sessions() {
            Some(Sessions::One(session)) => elsewhere(control.datapath.features(), session, wall),
            Some(Sessions::Several(switches)) => several(control.datapath.features(), switches, wall),
            None => switch(control, wall),
        },
        peers: peers(control),
        controllers,
        addresses,
        pool,
        timeline: control.timeline.events(),
        drops,
        anomalies,
        punts,
        refused,
    }
}

/// So many of an address's latest changes are told.
const CHANGES: usize = 20;

/// The explanation of `address`.
///
/// # Errors
/// Why the audit log cannot be read.
pub fn explain<F: FastPath>(
    control: &Control<F>,
    now: Instant,
    unix_us: u64,
    address: IpAddr,
) -> Result<Explanation, String> {
    let wall = |since: Instant| {
        let age = now.saturating_duration_since(since).as_millis() as u64;
        (unix_us / 1000).saturating_sub(age)
    };
    let migration = control.controller.as_ref().map(Controller::migration);
    let status = migration.and_then(|m| m.status().into_iter().find(|s| s.address == address));
    let uncontrolled = uncontrolled(control);
    let found = status.map(|s| self::address(s, wall, uncontrolled.as_deref()));
    let waits_for = found.as_ref().and_then(|a| explain::waits_for(&a.state, a.peer.as_deref()));
    let history = control
        .audit
        .latest(address, CHANGES)
        .map_err(|e| format!("{} cannot be read: {e}; check the disk's health", control.audit.path().display()))?;
    Ok(Explanation { site: control.config.site.clone(), now: found, waits_for, history })
}

/// Every endpoint with its sessions; one without a session still has a line.
fn controllers<F: FastPath>(control: &Control<F>, wall: impl Fn(Instant) -> u64) -> Vec<ControllerLine> {
    let sessions = control.agent.status();
    let mut lines = Vec::new();
    for (index, endpoint) in control.endpoints.iter().enumerate() {
        let failure = control.agent.failure(index);
        let idle = ControllerLine {
            endpoint: endpoint.to_string(),
            state: if endpoint.is_passive() { "listening" } else { "connecting" }.to_owned(),
            since_unix_ms: failure.map(|(at, _)| wall(*at)),
            last_error: failure.map(|(_, why)| why.clone()),
            ..ControllerLine::default()
        };
        let before = lines.len();
        lines.extend(sessions.iter().filter(|s| s.endpoint == index).map(|s| ControllerLine {
            remote: Some(s.remote.clone()),
            state: "connected".to_owned(),
            version: Some(if s.version == Version::V10 { "1.0" } else { "1.3" }.to_owned()),
            role: Some(s.role.to_owned()),
            since_unix_ms: Some(wall(s.since)),
            queued_bytes: s.queued as u64,
            dropped_packet_ins: s.dropped.packet_ins,
            dropped_notices: s.dropped.notices,
            ..idle.clone()
        }));
        if lines.len() == before {
            lines.push(idle);
        }
    }
    lines
}

fn switch<F: FastPath>(control: &mut Control<F>, wall: impl Fn(Instant) -> u64) -> Switch {
    let standalone_since_unix_ms = control.standalone.as_ref().and_then(Standalone::since).map(wall);
    let dpid = control.datapath.features().dpid.to_string();
    let descs = control.datapath.features().ports.clone();
    let mut fast = control.datapath.switch().map(crate::switch::Switch::fast_path);
    let attached = control.attached.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let mut ports = Vec::new();
    for desc in descs {
        let counters = fast.as_mut().map(|fast| fast.port_counters(desc.port)).unwrap_or_default();
        let attached = attached.iter().find(|a| a.port == desc.port);
        let mode = attached.map_or("none", |a| a.mode);
        let of_kind = control.warnings.iter().filter(|(p, _)| *p == desc.port).map(|(_, w)| w.as_str());
        let warnings: Vec<&str> = attached.and_then(|a| a.warning.as_deref()).into_iter().chain(of_kind).collect();
        ports.push(Port {
            port: desc.port.0,
            name: desc.name,
            mode: mode.to_owned(),
            link_up: desc.link_up,
            warning: (!warnings.is_empty()).then(|| warnings.join("; ")),
            rx_packets: counters.rx_packets,
            rx_bytes: counters.rx_bytes,
            tx_packets: counters.tx_packets,
            tx_bytes: counters.tx_bytes,
            rx_dropped: counters.rx_dropped,
        });
    }
    Switch {
        dpid,
        kind: control.kind.to_owned(),
        program: PROGRAM.to_owned(),
        standalone_since_unix_ms,
        session: None,
        switches: Vec::new(),
        links: Vec::new(),
        ports,
    }
}

/// A port of a switch elsewhere, which counts for itself.
fn port_elsewhere(desc: &PortDesc) -> Port {
    Port {
        port: desc.port.0,
        name: desc.name.clone(),
        mode: "none".to_owned(),
        link_up: desc.link_up,
        warning: None,
        rx_packets: 0,
        rx_bytes: 0,
        tx_packets: 0,
        tx_bytes: 0,
        rx_dropped: 0,
    }
}

/// A switch elsewhere.
fn elsewhere(features: &Features, session: SessionStatus, wall: impl Fn(Instant) -> u64) -> Switch {
    Switch {
        dpid: features.dpid.to_string(),
        kind: "openflow".to_owned(),
        program: session.profile.to_string(),
        standalone_since_unix_ms: None,
        ports: features.ports.iter().map(port_elsewhere).collect(),
        session: Some(session_line(session, wall)),
        switches: Vec::new(),
        links: Vec::new(),
    }
}

/// Several switches elsewhere.
fn several(features: &Features, switches: FabricStatus, wall: impl Fn(Instant) -> u64) -> Switch {
    let line = |m: MemberStatus| SwitchLine {
        name: m.name,
        dpid: m.dpid.to_string(),
        session: session_line(m.session, &wall),
    };
    Switch {
        dpid: features.dpid.to_string(),
        kind: "openflow".to_owned(),
        program: "fabric".to_owned(),
        standalone_since_unix_ms: None,
        ports: features.ports.iter().map(port_elsewhere).collect(),
        session: None,
        switches: switches.members.into_iter().map(line).collect(),
        links: switches.links.into_iter().map(|l| LinkLine { ends: l.ends.to_vec(), up: l.up }).collect(),
    }
}

fn session_line(session: SessionStatus, wall: impl Fn(Instant) -> u64) -> SwitchSession {
    SwitchSession {
        state: if session.remote.is_some() { "up" } else { "down" }.to_owned(),
        since_unix_ms: session.since.map(&wall),
        endpoints: session.endpoints,
        remote: session.remote,
        version: session.version.map(|v| if v == Version::V10 { "1.0" } else { "1.3" }.to_owned()),
        profile: session.profile.to_string(),
        bundles: session.bundles,
        description: session.description,
        flows: session.flows,
        fragments: session.fragments.map(|verdict| Fragments {
            detoured: session.fragments_detoured,
            lost: session.fragments_lost,
            since_unix_ms: session.since.map(&wall),
            ..fragments(verdict)
        }),
        last_error: session.last_error,
        batch_since_unix_ms: session.batch_since.map(&wall),
        refused: session.refused.map(|r| refusal(r, &wall)),
        turned_away: session.turned_away.map(|r| refusal(r, &wall)),
    }
}

fn fragments(verdict: Verdict) -> Fragments {
    let name = verdict.as_str().to_owned();
    let (reason, remedy) = match verdict {
        Verdict::Sound => (None, None),
        Verdict::Damages => (
            Some("the switch changes the payload of later IPv4 fragments where it writes an address".to_owned()),
            Some(
                "wamig sends those of moved addresses on itself, frame by frame; use a datapath without this fault \
                 (Open vSwitch: datapath_type=system)."
                    .to_owned(),
            ),
        ),
        Verdict::Unknown(why) => (
            Some(why),
            Some(
                "Send a datagram of 3000 bytes to a moved server: if it gets no answer, use another switch.".to_owned(),
            ),
        ),
    };
    Fragments { verdict: name, reason, remedy, ..Fragments::default() }
}

fn refusal(r: session::Refusal, wall: impl Fn(Instant) -> u64) -> Refusal {
    Refusal { at_unix_ms: wall(r.at), times: r.times, reason: r.why }
}

/// What to do about a switch elsewhere that cannot be told anything, and why that is so; `None` = it can.
pub(super) fn uncontrolled<F: FastPath>(control: &Control<F>) -> Option<String> {
    let sessions = control.datapath.sessions()?;
    let missing = sessions.iter().find(|session| session.remote.is_none())?;
    let why = missing.last_error.as_deref().unwrap_or("it has not connected");
    Some(format!(
        "Restore the session with the switch; it keeps the flows it has, and what is under way goes on then: {why}."
    ))
}

fn address(status: AddressStatus, wall: impl Fn(Instant) -> u64, uncontrolled: Option<&str>) -> Address {
    // What is known of the address itself says more.
    let uncontrolled = uncontrolled.filter(|_| status.reason.is_none());
    Address {
        address: status.address.to_string(),
        mac: Some(status.mac.to_string()),
        role: status.role.as_str().to_owned(),
        state: status.state.as_str().to_owned(),
        since_unix_ms: status.since_unix_ms.unwrap_or_else(|| wall(status.since)),
        peer: status.peer,
        transfer: status.transfer.map(|t| t.to_string()),
        epoch: Some(status.epoch.to_string()),
        reason: uncontrolled.map_or(status.reason, |_| Some(reason::SWITCH_DOWN)).map(str::to_owned),
        remedy: uncontrolled.map(str::to_owned).or(status.remedy),
    }
}

fn named(counters: Vec<(&'static str, u64)>) -> BTreeMap<String, u64> {
    counters.into_iter().map(|(name, count)| (name.to_owned(), count)).collect()
}
