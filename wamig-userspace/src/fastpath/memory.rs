//! The fast path in process memory: the same writer, the same walk, plain collections instead
//! of BPF maps. For tests, for the images of switches elsewhere and for `trace`.

use std::collections::HashMap;
use std::io;
use std::time::Instant;

use wamig_common::action::{ActionList, Op};
use wamig_common::entry::{
    FlowCount, FlowEntry, FlowMapKey, FlowRecord, FlowValue, PortCount, Records, Slot, Table, TableCount, Tables,
    filter_bit,
};
use wamig_common::key::{ALL_WORDS, FlowKey, FlowMask};
use wamig_common::limits::{ACTION_LISTS, DEFAULT_FLOWS, FILTER_WORDS, PORT_SETS, SUBTABLE_IDS};
use wamig_common::native::{Outcome, Store, walk};
use wamig_common::rules::PortRules;
use wamig_common::stats::{ANOMALIES, COUNT, DROPS};
use wamig_common::verdict::{Anomaly, Verdict};

use super::maps::{Capacity, Maps};
use super::writer::Writer;
use super::{FastPort, InterfaceCounters};

/// A fast path in process memory.
pub type Memory = Writer<MemoryMaps>;

/// The maps.
#[derive(Default)]
pub struct MemoryMaps {
    version: u64,
    tables: HashMap<(u8, u8), Table>,
    masks: HashMap<u32, FlowMask>,
    filters: HashMap<u32, Box<[u64; FILTER_WORDS]>>,
    flows: HashMap<FlowMapKey, FlowValue>,
    records: HashMap<u32, FlowRecord>,
    lists: HashMap<u32, ActionList>,
    /// Members of the port sets, by number.
    pub port_sets: HashMap<u32, Vec<u32>>,
    flow_counts: HashMap<u32, FlowCount>,
    table_counts: HashMap<u8, TableCount>,
    port_counts: HashMap<u32, PortCount>,
    stats: Vec<u64>,
    began: Option<Instant>,
    now_ms: u64,
    capacity: Option<Capacity>,
    rules: HashMap<u32, PortRules>,
    /// Interfaces set up or down: (port index, up).
    pub links: Vec<(u32, bool)>,
    /// What interfaces count, by port index; empty = there are none.
    pub interfaces: HashMap<u32, InterfaceCounters>,
    /// Frames injected: (port index, frame).
    pub sent: Vec<(u32, Vec<u8>)>,
    /// Whether forwarding has begun.
    pub active: bool,
}

impl MemoryMaps {
    /// Maps of other sizes.
    pub fn with_capacity(capacity: Capacity) -> Self {
        Self { capacity: Some(capacity), ..Self::default() }
    }

    /// Entries of the flow map, those of deleted flows included.
    pub fn flow_entries(&self) -> usize {
        self.flows.len()
    }

    /// The time that frames arrive at, for idle times.
    pub fn set_now(&mut self, now: Instant) {
        let began = *self.began.get_or_insert(now);
        self.now_ms = now.saturating_duration_since(began).as_millis() as u64;
    }

    /// Walks a frame as the XDP program does, counting as it does. The plan is not carried out.
    pub fn process(&mut self, in_port: u32, port_index: u32, frame: &[u8]) -> Outcome {
        let outcome = walk(self, in_port, port_index, frame);
        let bytes = frame.len() as u64;
        let port = self.port_counts.entry(port_index).or_default();
        port.rx_packets += 1;
        port.rx_bytes += bytes;
        for (table, flow) in outcome.path.iter() {
            let count = self.table_counts.entry(table).or_default();
            if flow == 0 {
                count.missed += 1;
                continue;
            }
            count.matched += 1;
            let count = self.flow_counts.entry(flow).or_default();
            count.packets += 1;
            count.bytes += bytes;
            // 0 means "none yet"
            count.last = self.now_ms + 1;
        }
        if self.stats.is_empty() {
            self.stats = vec![0; COUNT as usize];
        }
        for a in Anomaly::ALL {
            if outcome.layout.anomalies >> a.index() & 1 != 0 {
                self.stats[(ANOMALIES + a.index()) as usize] += 1;
            }
        }
        if let Verdict::Drop(reason) = outcome.verdict {
            self.stats[(DROPS + reason.index()) as usize] += 1;
            if let Some(port) = self.port_counts.get_mut(&port_index) {
                port.rx_dropped += 1;
            }
        }
        outcome
    }
}

impl Tables for MemoryMaps {
    fn used_words(&self) -> u32 {
        ALL_WORDS
    }

    fn mask(&self, subtable: u32) -> Option<&FlowMask> {
        self.masks.get(&subtable)
    }

    fn may_hold(&self, subtable: u32, tag: u32) -> bool {
        let (word, bit) = filter_bit(tag);
        self.filters.get(&subtable).is_some_and(|f| f[word as usize] >> bit & 1 != 0)
    }

    fn lookup(&self, subtable: u32, key: &FlowKey, mask: &FlowMask, _digest: u64, version: u64) -> Slot {
        let key = FlowMapKey { words: key.masked(mask).words, subtable: u64::from(subtable) };
        self.flows.get(&key).map_or(Slot::default(), |v| v.slot(version))
    }
}

impl Records for MemoryMaps {
    fn record(&self, flow: u32) -> Option<&FlowRecord> {
        self.flow_record(flow)
    }

    fn op(&self, list: u32, index: u32) -> Option<&Op> {
        self.lists.get(&list).and_then(|l| l.ops.get(index as usize))
    }
}

impl Store for MemoryMaps {
    fn version(&self) -> u64 {
        self.version
    }

    fn table(&self, table: u8, version: u64) -> Option<&Table> {
        self.tables.get(&(table, (version & 1) as u8))
    }

    fn rules(&self, port: u32) -> PortRules {
        self.rules.get(&port).copied().unwrap_or_default()
    }
}

impl Maps for MemoryMaps {
    fn capacity(&self) -> Capacity {
        self.capacity.unwrap_or(Capacity {
            flows: DEFAULT_FLOWS,
            lists: ACTION_LISTS,
            subtables: SUBTABLE_IDS as u32,
            port_sets: PORT_SETS,
        })
    }

    fn publish(&mut self, version: u64) {
        self.version = version;
    }

    fn set_table(&mut self, table: u8, parity: u8, order: &Table) -> io::Result<()> {
        self.tables.insert((table, parity), *order);
        Ok(())
    }

    fn set_mask(&mut self, subtable: u32, mask: &FlowMask) -> io::Result<()> {
        self.masks.insert(subtable, *mask);
        Ok(())
    }

    fn set_filter(&mut self, subtable: u32, filter: &[u64; FILTER_WORDS]) -> io::Result<()> {
        self.filters.insert(subtable, Box::new(*filter));
        Ok(())
    }

    fn add_flows(&mut self, _digests: &[u64], entries: &[FlowEntry]) -> io::Result<()> {
        self.flows.extend(entries.iter().map(|e| (e.key, e.value)));
        Ok(())
    }

    fn set_flow(&mut self, key: &FlowMapKey, value: &FlowValue) -> io::Result<()> {
        self.flows.insert(*key, *value);
        Ok(())
    }

    fn remove_flows(&mut self, keys: &[FlowMapKey]) -> Result<(), (usize, io::Error)> {
        for key in keys {
            self.flows.remove(key);
        }
        Ok(())
    }

    fn flow_record(&self, flow: u32) -> Option<&FlowRecord> {
        self.records.get(&flow)
    }

    fn set_record(&mut self, flow: u32, record: &FlowRecord) -> io::Result<()> {
        self.records.insert(flow, *record);
        Ok(())
    }

    fn set_list(&mut self, list: u32, actions: &ActionList) -> io::Result<()> {
        self.lists.insert(list, *actions);
        Ok(())
    }

    fn set_port_set(&mut self, set: u32, members: &[u32]) -> io::Result<()> {
        self.port_sets.insert(set, members.to_vec());
        Ok(())
    }

    fn flow_count(&mut self, flow: u32) -> FlowCount {
        self.flow_counts.get(&flow).copied().unwrap_or_default()
    }

    fn clear_flow_count(&mut self, flow: u32) -> io::Result<()> {
        self.flow_counts.remove(&flow);
        Ok(())
    }

    fn table_count(&mut self, table: u8) -> TableCount {
        self.table_counts.get(&table).copied().unwrap_or_default()
    }

    fn interface_count(&mut self, port: u32) -> Option<InterfaceCounters> {
        self.interfaces.get(&port).copied()
    }

    fn port_count(&mut self, port: u32) -> PortCount {
        self.port_counts.get(&port).copied().unwrap_or_default()
    }

    fn stats(&mut self) -> Vec<u64> {
        if self.stats.is_empty() { vec![0; COUNT as usize] } else { self.stats.clone() }
    }

    fn stamp(&mut self) -> u64 {
        // 0 means "none yet"
        self.now_ms + 1
    }

    fn age_ms(&mut self, last: u64) -> u64 {
        (self.now_ms + 1).saturating_sub(last)
    }

    fn send(&mut self, port: u32, frame: &[u8]) -> io::Result<()> {
        self.sent.push((port, frame.to_vec()));
        Ok(())
    }

    fn set_ports(&mut self, _ports: &[FastPort]) -> io::Result<()> {
        Ok(())
    }

    fn set_rules(&mut self, port: u32, rules: PortRules) -> io::Result<()> {
        self.rules.insert(port, rules);
        Ok(())
    }

    fn set_link(&mut self, port: u32, up: bool) -> io::Result<()> {
        self.links.push((port, up));
        Ok(())
    }

    fn activate(&mut self) -> io::Result<()> {
        self.active = true;
        Ok(())
    }

    fn begin_grace(&mut self) {}

    fn grace_is_over(&mut self, _wait: bool) -> bool {
        true
    }
}
