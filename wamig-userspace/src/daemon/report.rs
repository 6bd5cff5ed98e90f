//! The answer to `GET /v1/status`, put together from everything that knows a part of it.

use std::collections::BTreeMap;
use std::sync::PoisonError;
use std::sync::atomic::Ordering;
use std::time::Instant;

use super::control::Control;
use crate::admin::status::{Address, Datapath as Switch, Pool, Port, Status};
use crate::datapath::Datapath;
use crate::fastpath::FastPath;
use crate::migration::status::AddressStatus;

/// The one variant of the program so far: nothing is left out.
const PROGRAM: &str = "general";
/// Frames that came up faster than the control loop took them.
const CONTROL_BUSY: &str = "control-busy";
/// Frames that the slow path had no time for.
const SLOW_PATH_BUSY: &str = "slow-path-busy";

/// The status of `control` at `now`, which the wall clock calls `unix_us`.
pub fn status<F: FastPath>(control: &mut Control<F>, now: Instant, unix_us: u64) -> Status {
    let reasons = control.datapath.switch().fast_path().reasons();
    let mut drops = named(reasons.drops);
    drops.insert(SLOW_PATH_BUSY.to_owned(), control.datapath.switch().slow_counters().limited);
    let mut punts = named(reasons.punts);
    punts.insert(CONTROL_BUSY.to_owned(), control.lost.load(Ordering::Relaxed));
    let mut refused = named(control.refusals.snapshot());
    for (name, count) in control.controller.migration().refused() {
        *refused.entry((*name).to_owned()).or_default() += count;
    }
    let pool = control.controller.migration().pool_status();
    let wall = |since: Instant| {
        let age = now.saturating_duration_since(since).as_millis() as u64;
        (unix_us / 1000).saturating_sub(age)
    };
    Status {
        site: control.site.clone(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        uptime_s: now.saturating_duration_since(control.started).as_secs(),
        datapath: switch(control),
        peers: control.peers.list(),
        addresses: control.controller.migration().status().into_iter().map(|a| address(a, wall)).collect(),
        pool: Pool { size: pool.size, ready: pool.ready, in_use: pool.in_use, quarantined: pool.quarantined },
        timeline: control.timeline.events(),
        drops,
        anomalies: named(reasons.anomalies),
        punts,
        refused,
    }
}

fn switch<F: FastPath>(control: &mut Control<F>) -> Switch {
    let dpid = control.datapath.features().dpid.to_string();
    let descs = control.datapath.features().ports.clone();
    let fast = control.datapath.switch().fast_path();
    let attached = control.attached.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let mut ports = Vec::new();
    for desc in descs {
        let counters = fast.port_counters(desc.port);
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
    Switch { dpid, kind: control.kind.to_owned(), program: PROGRAM.to_owned(), ports }
}

fn address(status: AddressStatus, wall: impl Fn(Instant) -> u64) -> Address {
    Address {
        address: status.address.to_string(),
        mac: Some(status.mac.to_string()),
        role: status.role.as_str().to_owned(),
        state: status.state.as_str().to_owned(),
        since_unix_ms: wall(status.since),
        peer: status.peer,
        transfer: status.transfer.map(|t| t.to_string()),
        epoch: Some(status.epoch.to_string()),
        reason: status.reason.map(str::to_owned),
        remedy: status.remedy,
    }
}

fn named(counters: Vec<(&'static str, u64)>) -> BTreeMap<String, u64> {
    counters.into_iter().map(|(name, count)| (name.to_owned(), count)).collect()
}
