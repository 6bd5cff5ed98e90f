//! The maps of a fast path with frames on their way through them at all times: whenever the
//! writer touches a map, every reader that may still be running must see what it saw when it
//! read the version.
//!
//! A reader may begin as long as its version is the present one, and runs until a grace that
//! began after that version was replaced is over. So there is always one reader of the present
//! version, and one of each earlier version that no grace has ended yet.

use std::collections::HashMap;
use std::io;

use wamig_common::action::{ActionList, Op};
use wamig_common::entry::{
    FlowCount, FlowEntry, FlowMapKey, FlowRecord, FlowValue, PortCount, Records, Slot, Table, TableCount, Tables,
};
use wamig_common::key::{FlowKey, FlowMask};
use wamig_common::limits::FILTER_WORDS;
use wamig_common::native::{Store, walk};
use wamig_common::plan::Plan;
use wamig_common::rules::PortRules;
use wamig_common::verdict::Verdict;
use wamig_openflow::PortNo;
use wamig_userspace::fastpath::maps::{Capacity, Maps};
use wamig_userspace::fastpath::memory::MemoryMaps;
use wamig_userspace::fastpath::needs::Constants;
use wamig_userspace::fastpath::{FastPort, InterfaceCounters, port_index};

use crate::paths::edited;
use crate::random::Dice;

/// What a reader makes of a frame.
#[derive(Clone, PartialEq, Debug)]
pub struct Sight {
    /// The decision.
    pub verdict: Verdict,
    /// The plan.
    pub plan: Plan,
    /// Records met, table by table.
    pub path: Vec<(u8, u32)>,
    /// The frame as edited.
    pub frame: Vec<u8>,
}

/// The tables as a reader of one version sees them.
struct At<'a>(&'a MemoryMaps, u64);

impl Tables for At<'_> {
    fn used_words(&self) -> u32 {
        self.0.used_words()
    }

    fn mask(&self, subtable: u32) -> Option<&FlowMask> {
        self.0.mask(subtable)
    }

    fn may_hold(&self, subtable: u32, tag: u32) -> bool {
        self.0.may_hold(subtable, tag)
    }

    fn lookup(&self, subtable: u32, key: &FlowKey, mask: &FlowMask, digest: u64, version: u64) -> Slot {
        self.0.lookup(subtable, key, mask, digest, version)
    }
}

impl Records for At<'_> {
    fn record(&self, flow: u32) -> Option<&FlowRecord> {
        self.0.record(flow)
    }

    fn op(&self, list: u32, index: u32) -> Option<&Op> {
        self.0.op(list, index)
    }
}

impl Store for At<'_> {
    fn version(&self) -> u64 {
        self.1
    }

    fn table(&self, table: u8, version: u64) -> Option<&Table> {
        self.0.table(table, version)
    }

    fn rules(&self, port: u32) -> PortRules {
        self.0.rules(port)
    }
}

/// The maps, watched.
pub struct Watched {
    /// The maps.
    pub inner: MemoryMaps,
    dice: Dice,
    frames: Vec<(PortNo, Vec<u8>)>,
    /// Version, and what each frame came to; the last one is of the present version.
    readers: Vec<(u64, Vec<Sight>)>,
    /// Readers that the grace now running waits for.
    waited: usize,
    /// What the flow map holds.
    values: HashMap<FlowMapKey, FlowValue>,
    /// How many times a frame was looked at.
    pub looks: u64,
    /// What programs offer, and what the present version needs of them.
    offered: Constants,
    /// See `offered`.
    pub needed: Constants,
}

impl Watched {
    /// Maps of this capacity.
    pub fn new(capacity: Capacity, dice: Dice) -> Self {
        let inner = MemoryMaps::with_capacity(capacity);
        Self {
            inner,
            dice,
            frames: Vec::new(),
            readers: Vec::new(),
            waited: 0,
            values: HashMap::new(),
            looks: 0,
            offered: Constants::NOTHING,
            needed: Constants::NOTHING,
        }
    }

    /// Other frames; readers of earlier versions end.
    pub fn watch(&mut self, frames: Vec<(PortNo, Vec<u8>)>) {
        self.frames = frames;
        let version = self.inner.version();
        self.waited = 0;
        self.readers = vec![(version, self.sights(version))];
    }

    /// What the present version makes of the frames.
    pub fn present(&self) -> &[Sight] {
        self.readers.last().map_or(&[], |(_, sights)| sights)
    }

    fn sights(&mut self, version: u64) -> Vec<Sight> {
        self.looks += self.frames.len() as u64;
        let store = At(&self.inner, version);
        let sight = |(port, frame): &(PortNo, Vec<u8>)| {
            let outcome = walk(&store, port.0, port_index(*port).unwrap(), frame);
            let path = outcome.path.iter().collect();
            Sight { verdict: outcome.verdict, plan: outcome.plan, path, frame: edited(&outcome, frame) }
        };
        self.frames.iter().map(sight).collect()
    }

    /// Every reader looks again.
    fn look(&mut self, when: &str) {
        for i in 0..self.readers.len() {
            let version = self.readers[i].0;
            let now = self.sights(version);
            let present = self.inner.version();
            assert_eq!(
                self.readers[i].1, now,
                "{when}: a reader of version {version} sees a change, present: {present}"
            );
        }
    }

    /// Looks after some of the writes.
    fn wrote(&mut self, what: &str, result: io::Result<()>) -> io::Result<()> {
        if self.dice.chance(25) {
            self.look(what);
        }
        result
    }
}

impl Maps for Watched {
    fn capacity(&self) -> Capacity {
        self.inner.capacity()
    }

    fn publish(&mut self, version: u64) {
        self.look("before the version is stored");
        self.inner.publish(version);
        let sights = self.sights(version);
        self.readers.push((version, sights));
        self.look("after the version was stored");
    }

    fn will_need(&mut self, needs: &Constants) -> io::Result<()> {
        assert!(needs.covers(&self.needed), "{needs:?} is asked for while {:?} is needed", self.needed);
        self.offered = *needs;
        Ok(())
    }

    fn needs(&mut self, needs: &Constants) {
        assert!(self.offered.covers(needs), "{needs:?} is needed, but {:?} was asked for", self.offered);
        self.needed = *needs;
    }

    fn set_table(&mut self, table: u8, parity: u8, order: &Table) -> io::Result<()> {
        let result = self.inner.set_table(table, parity, order);
        self.wrote("search order", result)
    }

    fn set_mask(&mut self, subtable: u32, mask: &FlowMask) -> io::Result<()> {
        let result = self.inner.set_mask(subtable, mask);
        self.wrote("mask", result)
    }

    fn set_filter(&mut self, subtable: u32, filter: &[u64; FILTER_WORDS]) -> io::Result<()> {
        let result = self.inner.set_filter(subtable, filter);
        self.wrote("filter", result)
    }

    fn add_flows(&mut self, digests: &[u64], entries: &[FlowEntry]) -> io::Result<()> {
        // In two calls: a reader may come in between.
        for (digests, entries) in digests.chunks(2).zip(entries.chunks(2)) {
            for (digest, entry) in digests.iter().zip(entries) {
                assert_eq!(*digest, entry.key.digest());
                assert_eq!(self.values.insert(entry.key, entry.value), None, "{:?} is there", entry.key);
            }
            let result = self.inner.add_flows(digests, entries);
            self.wrote("new flows", result)?;
        }
        Ok(())
    }

    /// Word by word, as the kernel's maps are written.
    fn set_flow(&mut self, key: &FlowMapKey, value: &FlowValue) -> io::Result<()> {
        let Some(mut now) = self.values.get(key).copied() else { panic!("{key:?} is not there") };
        for i in 0..2 {
            now.slots[i] = value.slots[i];
            let result = self.inner.set_flow(key, &now);
            self.wrote("a slot", result)?;
            now.since[i] = value.since[i];
            let result = self.inner.set_flow(key, &now);
            self.wrote("a slot's version", result)?;
        }
        self.values.insert(*key, *value);
        let result = self.inner.set_flow(key, value);
        self.wrote("flow", result)
    }

    fn remove_flows(&mut self, keys: &[FlowMapKey]) -> Result<(), (usize, io::Error)> {
        for (gone, key) in keys.iter().enumerate() {
            self.values.remove(key);
            self.inner.remove_flows(&[*key])?;
            self.wrote("flow removed", Ok(())).map_err(|e| (gone, e))?;
        }
        Ok(())
    }

    fn flow_record(&self, flow: u32) -> Option<&FlowRecord> {
        self.inner.flow_record(flow)
    }

    fn set_record(&mut self, flow: u32, record: &FlowRecord) -> io::Result<()> {
        let result = self.inner.set_record(flow, record);
        self.wrote("record", result)
    }

    fn set_list(&mut self, list: u32, actions: &ActionList) -> io::Result<()> {
        let result = self.inner.set_list(list, actions);
        self.wrote("action list", result)
    }

    fn set_port_set(&mut self, set: u32, members: &[u32]) -> io::Result<()> {
        let result = self.inner.set_port_set(set, members);
        self.wrote("port set", result)
    }

    fn flow_count(&mut self, flow: u32) -> FlowCount {
        self.inner.flow_count(flow)
    }

    fn clear_flow_count(&mut self, flow: u32) -> io::Result<()> {
        self.inner.clear_flow_count(flow)
    }

    fn table_count(&mut self, table: u8) -> TableCount {
        self.inner.table_count(table)
    }

    fn interface_count(&mut self, port: u32) -> Option<InterfaceCounters> {
        self.inner.interface_count(port)
    }

    fn port_count(&mut self, port: u32) -> PortCount {
        self.inner.port_count(port)
    }

    fn stats(&mut self) -> Vec<u64> {
        self.inner.stats()
    }

    fn stamp(&mut self) -> u64 {
        self.inner.stamp()
    }

    fn age_ms(&mut self, last: u64) -> u64 {
        self.inner.age_ms(last)
    }

    fn send(&mut self, port: u32, frame: &[u8]) -> io::Result<()> {
        self.inner.send(port, frame)
    }

    fn set_ports(&mut self, ports: &[FastPort]) -> io::Result<()> {
        self.inner.set_ports(ports)
    }

    fn set_rules(&mut self, port: u32, rules: PortRules) -> io::Result<()> {
        self.inner.set_rules(port, rules)
    }

    fn set_link(&mut self, port: u32, up: bool) -> io::Result<()> {
        self.inner.set_link(port, up)
    }

    fn activate(&mut self) -> io::Result<()> {
        self.inner.activate()
    }

    fn begin_grace(&mut self) {
        self.waited = self.readers.len().saturating_sub(1);
    }

    fn grace_is_over(&mut self, wait: bool) -> bool {
        if !wait && self.dice.chance(50) {
            return false;
        }
        self.readers.drain(..std::mem::take(&mut self.waited));
        true
    }
}
