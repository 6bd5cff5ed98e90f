//! The learning switch: flows in tables 1 and 2 that make the switch an ordinary Ethernet
//! switch for everything that table 0 does not steer. Table 0 is the migration's, which sends
//! on to table 1 what it leaves alone, and nothing that comes from a hosting port.
//!
//! Which tables those are, and the cookie, is told by [`Settings`]; the text says 1 and 2.
//!
//! Table 1 (`learn`) holds a flow per known host, `in_port=P,eth_src=M → goto 2`; what it
//! does not know goes to the controller *and* on to table 2, so no frame waits for the
//! controller. Table 2 (`forward`) holds `eth_dst=M → output:P` for the same hosts; the rest
//! is flooded by an explicit list of ports. An output to the ingress port sends nothing
//! (OpenFlow 1.3.5 §4.5), so a frame never returns to where it came from.
//!
//! A host that is silent loses its flow of table 1 by idle timeout; its flow of table 2
//! follows at once. A host that is heard on another port moves at once, in one batch.
//!
//! No IO and no clock here: what a frame, an expiry or a port change calls for is a
//! [`Plan`], which takes effect on the tables of this module by [`Learning::commit`] when the
//! switch has accepted it. Hosts are known by MAC address alone: VLANs share one table.

use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant};

use wamig_openflow::{
    Action, Cookie, Field, FlowMod, FlowRemoved, FlowRemovedReason, Instructions, MacAddr, Match, PortDesc, PortNo,
    PortReason, PortStatus, TableId,
};

/// The cookie of every flow of this module beside the migration.
pub const COOKIE: Cookie = Cookie(0x4c53 << 48);
/// The bits of a cookie that name its owner.
pub const COOKIE_MASK: u64 = 0xffff << 48;
/// Table of known sources beside the migration.
pub const LEARN: TableId = TableId(1);
/// Table of known destinations beside the migration.
pub const FORWARD: TableId = TableId(2);

/// Known hosts.
const HOST: u16 = 10;
/// Above the known hosts.
const RULE: u16 = 20;
/// Bytes of a frame that the controller needs: the Ethernet header.
const HEADER: u16 = 64;
/// A frame that should have met its flow calls for that flow anew after this; earlier it is
/// one that was under way while the flow was installed.
const IN_FLIGHT: Duration = Duration::from_secs(1);

/// What the learning switch is told by the configuration.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Settings {
    /// Seconds until a silent host is forgotten.
    pub idle_s: u16,
    /// At most so many hosts.
    pub max_addresses: usize,
    /// Ports outside the LAN: nothing is flooded to them and nothing is learned from them.
    pub isolated: Vec<PortNo>,
    /// wamig's own address on the LAN, which is no host's; `None` = it has none.
    pub own: Option<MacAddr>,
    /// Every flow has this cookie.
    pub cookie: Cookie,
    /// Table of known sources.
    pub learn: TableId,
    /// Table of known destinations, behind it.
    pub forward: TableId,
}

/// A batch of flow-mods, and what it means once the switch has accepted it.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Plan {
    /// The batch.
    pub mods: Vec<FlowMod>,
    learn: Option<(MacAddr, PortNo, Instant)>,
    forget: Vec<MacAddr>,
}

impl Plan {
    /// Whether it is about the flows that are always there, and not about a host.
    pub fn is_start(&self) -> bool {
        self.learn.is_none() && self.forget.is_empty()
    }
}

#[derive(Clone, Copy, Debug)]
struct Host {
    port: PortNo,
    installed: Instant,
    /// Order of learning, ascending.
    seq: u64,
}

/// The learning switch.
#[derive(Debug)]
pub struct Learning {
    settings: Settings,
    ports: Vec<PortNo>,
    hosts: HashMap<MacAddr, Host>,
    /// Hosts of each port in the order of learning.
    by_port: BTreeMap<PortNo, BTreeMap<u64, MacAddr>>,
    seq: u64,
}

impl Learning {
    /// A switch with these ports that knows no host.
    pub fn new(settings: Settings, ports: &[PortDesc]) -> Self {
        let mut ports: Vec<_> = ports.iter().map(|p| p.port).collect();
        ports.sort_unstable();
        Self { settings, ports, hosts: HashMap::new(), by_port: BTreeMap::new(), seq: 0 }
    }

    /// Programs the switch from nothing: removes every flow of this module and installs
    /// those that are always there. Call [`Self::forget_all`] when it was a reconnection.
    pub fn start(&self) -> Plan {
        let multicast = u128::from(MacAddr([1, 0, 0, 0, 0, 0]).to_u64());
        let (learn, forward) = (self.settings.learn, self.settings.forward);
        let mut mods = vec![
            FlowMod::delete_by_cookie(self.settings.cookie, u64::MAX),
            // IEEE 802: a group address is never a source; all zeros is no station's.
            self.add(learn, RULE, Match::any().with_masked(Field::EthSrc, multicast, multicast), Instructions::drop()),
            self.add(learn, RULE, Match::any().mac(Field::EthSrc, MacAddr::ZERO), Instructions::drop()),
            self.add(
                learn,
                0,
                Match::any(),
                Instructions::apply(vec![Action::Output { port: PortNo::CONTROLLER, max_len: HEADER }])
                    .then_goto(forward),
            ),
            self.flood(),
        ];
        // Neighbours' caches may still name this address for a server that has left.
        let own = self.settings.own.map(|own| Match::any().mac(Field::EthDst, own));
        mods.extend(own.map(|own| self.add(forward, RULE, own, Instructions::drop())));
        Plan { mods, ..Plan::default() }
    }

    /// Takes every flow of this module out.
    pub fn stop(&self) -> Plan {
        Plan { mods: vec![FlowMod::delete_by_cookie(self.settings.cookie, u64::MAX)], ..Plan::default() }
    }

    /// The switch was connected again and has these ports now.
    pub fn begin_again(&mut self, ports: &[PortDesc]) {
        self.forget_all();
        self.ports = ports.iter().map(|p| p.port).collect();
        self.ports.sort_unstable();
    }

    /// The switch has lost its flows.
    pub fn forget_all(&mut self) {
        self.hosts.clear();
        self.by_port.clear();
    }

    /// Number of known hosts.
    pub fn len(&self) -> usize {
        self.hosts.len()
    }

    /// Whether no host is known.
    pub fn is_empty(&self) -> bool {
        self.hosts.is_empty()
    }

    /// Where a host is.
    pub fn port_of(&self, mac: MacAddr) -> Option<PortNo> {
        self.hosts.get(&mac).map(|h| h.port)
    }

    /// A frame that table 1 did not know.
    pub fn frame(&self, now: Instant, in_port: PortNo, data: &[u8]) -> Option<Plan> {
        let source = data.get(6..12).and_then(|b| <[u8; 6]>::try_from(b).ok()).map(MacAddr)?;
        let station = !source.is_multicast() && source != MacAddr::ZERO && Some(source) != self.settings.own;
        if !station || self.settings.isolated.contains(&in_port) || !self.ports.contains(&in_port) {
            return None;
        }
        let mut plan = Plan { learn: Some((source, in_port, now)), ..Plan::default() };
        match self.hosts.get(&source) {
            Some(host) if host.port == in_port => {
                if now.saturating_duration_since(host.installed) < IN_FLIGHT {
                    return None;
                }
            }
            Some(host) => plan.mods.push(self.delete(self.settings.learn, source_match(host.port, source))),
            None => {
                if self.hosts.len() >= self.settings.max_addresses {
                    let victim = self.victim()?;
                    self.forget(victim, &mut plan);
                }
            }
        }
        // Reachable before it counts as known: a frame of table 1 is never lost in table 2.
        plan.mods.push(self.add(
            self.settings.forward,
            HOST,
            Match::any().mac(Field::EthDst, source),
            Instructions::apply(vec![Action::output(in_port)]),
        ));
        let mut known = self.add(
            self.settings.learn,
            HOST,
            source_match(in_port, source),
            Instructions::goto(self.settings.forward),
        );
        known.idle_timeout = self.settings.idle_s;
        known.flags.send_flow_removed = true;
        plan.mods.push(known);
        Some(plan)
    }

    /// A flow of this module is gone. Deletions are this module's own doing.
    pub fn flow_removed(&self, removed: &FlowRemoved) -> Option<Plan> {
        let stats = &removed.stats;
        if removed.reason == FlowRemovedReason::Delete || stats.table != self.settings.learn {
            return None;
        }
        let mac = MacAddr::from_u64(stats.matching.get(Field::EthSrc)?.value as u64);
        let port = PortNo(stats.matching.get(Field::InPort)?.value as u32);
        if self.port_of(mac) != Some(port) {
            return None;
        }
        Some(Plan {
            mods: vec![self.delete(self.settings.forward, Match::any().mac(Field::EthDst, mac))],
            forget: vec![mac],
            learn: None,
        })
    }

    /// A port appeared, went away, or changed. Hosts behind a link that is down may come back
    /// elsewhere, so they are forgotten.
    pub fn port_status(&mut self, status: &PortStatus) -> Option<Plan> {
        let port = status.desc.port;
        let mut plan = Plan::default();
        let known = self.ports.binary_search(&port);
        match (status.reason, known) {
            (PortReason::Delete, Ok(at)) => {
                self.ports.remove(at);
                plan.mods.push(self.flood());
            }
            (PortReason::Add | PortReason::Modify, Err(at)) => {
                self.ports.insert(at, port);
                plan.mods.push(self.flood());
            }
            _ => {}
        }
        if status.reason == PortReason::Delete || !status.desc.link_up {
            for mac in self.by_port.get(&port).into_iter().flat_map(BTreeMap::values) {
                self.forget(*mac, &mut plan);
            }
        }
        (!plan.mods.is_empty()).then_some(plan)
    }

    /// The switch has accepted a plan.
    pub fn commit(&mut self, plan: &Plan) {
        for mac in &plan.forget {
            self.drop_host(*mac);
        }
        if let Some((mac, port, installed)) = plan.learn {
            self.drop_host(mac);
            self.seq += 1;
            self.hosts.insert(mac, Host { port, installed, seq: self.seq });
            self.by_port.entry(port).or_default().insert(self.seq, mac);
        }
    }

    fn drop_host(&mut self, mac: MacAddr) {
        let Some(host) = self.hosts.remove(&mac) else { return };
        if let Some(hosts) = self.by_port.get_mut(&host.port) {
            hosts.remove(&host.seq);
            if hosts.is_empty() {
                self.by_port.remove(&host.port);
            }
        }
    }

    /// Who makes room: the host learned longest ago on the port that has most, so that one
    /// port's forged sources do not push out the hosts of the others.
    fn victim(&self) -> Option<MacAddr> {
        let crowd = self.by_port.values().max_by_key(|hosts| hosts.len())?;
        crowd.values().next().copied()
    }

    fn forget(&self, mac: MacAddr, plan: &mut Plan) {
        let Some(host) = self.hosts.get(&mac) else { return };
        plan.mods.push(self.delete(self.settings.learn, source_match(host.port, mac)));
        plan.mods.push(self.delete(self.settings.forward, Match::any().mac(Field::EthDst, mac)));
        plan.forget.push(mac);
    }

    /// The flow for destinations that are groups or unknown.
    fn flood(&self) -> FlowMod {
        let ports = self.ports.iter().filter(|p| !self.settings.isolated.contains(p));
        let out = Instructions::apply(ports.map(|p| Action::output(*p)).collect());
        self.add(self.settings.forward, 0, Match::any(), out)
    }

    fn add(&self, table: TableId, priority: u16, matching: Match, instructions: Instructions) -> FlowMod {
        FlowMod::add(table, priority, matching, instructions, self.settings.cookie)
    }

    /// Takes a host's flow out, if it is this module's.
    fn delete(&self, table: TableId, matching: Match) -> FlowMod {
        let mut delete = FlowMod::delete_strict(table, HOST, matching);
        (delete.cookie, delete.cookie_mask) = (self.settings.cookie, u64::MAX);
        delete
    }
}

fn source_match(port: PortNo, mac: MacAddr) -> Match {
    Match::any().in_port(port).mac(Field::EthSrc, mac)
}

#[cfg(test)]
mod tests;
