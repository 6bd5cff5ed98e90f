//! One mask of one table: its flows by key and priority, its filter, its place in the search.

use std::collections::BTreeMap;

use wamig_common::entry::{SubtableRef, filter_bit, tag};
use wamig_common::key::{ETH_TYPE, FlowKey, FlowMask};
use wamig_common::limits::FILTER_WORDS;

use super::FlowId;
use crate::hash::Map;

/// Counts one less.
fn take_one(counts: &mut BTreeMap<u16, u32>, of: u16) {
    if let Some(n) = counts.get_mut(&of) {
        *n -= 1;
        if *n == 0 {
            counts.remove(&of);
        }
    }
}

/// A subtable. Flows of equal key and different priority share one map entry; the highest is
/// installed, the others wait behind it.
pub struct Subtable {
    /// Id in the maps.
    pub id: u32,
    /// Table it belongs to.
    pub table: u8,
    /// Its mask.
    pub mask: FlowMask,
    /// How the table's search order lists it; `None` = not listed.
    pub listed: Option<SubtableRef>,
    keys: Map<FlowKey, Vec<(u16, FlowId)>>,
    priorities: BTreeMap<u16, u32>,
    /// Flows of each EtherType, if the mask holds all of its bits.
    eth_types: BTreeMap<u16, u32>,
    filter: Box<[u64; FILTER_WORDS]>,
    /// Keys per filter bit.
    holders: Map<u32, u32>,
}

impl Subtable {
    /// An empty subtable.
    pub fn new(id: u32, table: u8, mask: FlowMask) -> Self {
        Self {
            id,
            table,
            mask,
            listed: None,
            keys: Map::default(),
            priorities: BTreeMap::new(),
            eth_types: BTreeMap::new(),
            filter: Box::new([0; FILTER_WORDS]),
            holders: Map::default(),
        }
    }

    /// The digest of one of its keys.
    pub fn tag(&self, key: &FlowKey) -> u32 {
        tag(self.id, key)
    }

    /// Adds a flow; the filter admits its key from now on.
    pub fn insert(&mut self, key: FlowKey, priority: u16, flow: FlowId) {
        let flows = self.keys.entry(key).or_default();
        let at = flows.partition_point(|(p, _)| *p > priority);
        flows.insert(at, (priority, flow));
        *self.priorities.entry(priority).or_default() += 1;
        *self.eth_types.entry(key.get(ETH_TYPE) as u16).or_default() += 1;
    }

    /// Removes a flow. The filter keeps admitting its key until [`Self::forget`].
    pub fn remove(&mut self, key: &FlowKey, priority: u16, flow: FlowId) {
        if let Some(flows) = self.keys.get_mut(key) {
            flows.retain(|(_, f)| *f != flow);
            if flows.is_empty() {
                self.keys.remove(key);
            }
        }
        take_one(&mut self.priorities, priority);
        take_one(&mut self.eth_types, key.get(ETH_TYPE) as u16);
    }

    /// The flow that the map entry of `key` must name.
    pub fn best(&self, key: &FlowKey) -> Option<(u16, FlowId)> {
        self.keys.get(key).and_then(|f| f.first().copied())
    }

    /// How many flows it holds.
    pub fn flows(&self) -> usize {
        self.priorities.values().sum::<u32>() as usize
    }

    /// Whether it holds no flow.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// How a search order has to list it now.
    pub fn listing(&self) -> SubtableRef {
        let whole = self.mask.get(ETH_TYPE) == ETH_TYPE.ones();
        let mut eth_types = self.eth_types.keys();
        let eth_type = match (eth_types.next(), eth_types.next()) {
            (Some(one), None) if whole => *one,
            _ => 0,
        };
        SubtableRef { subtable: self.id, max_priority: self.max_priority(), eth_type }
    }

    /// The highest priority in it.
    pub fn max_priority(&self) -> u16 {
        self.priorities.last_key_value().map_or(0, |(p, _)| *p)
    }

    /// Counts a key that now has a map entry.
    pub fn admit(&mut self, key: &FlowKey) {
        let (word, bit) = filter_bit(self.tag(key));
        *self.holders.entry(word << 6 | bit).or_default() += 1;
        self.filter[word as usize] |= 1 << bit;
    }

    /// Uncounts a key whose map entry is gone.
    pub fn forget(&mut self, key: &FlowKey) {
        let (word, bit) = filter_bit(self.tag(key));
        let index = word << 6 | bit;
        if let Some(n) = self.holders.get_mut(&index) {
            *n -= 1;
            if *n == 0 {
                self.holders.remove(&index);
                self.filter[word as usize] &= !(1 << bit);
            }
        }
    }

    /// Whether the filter admits a key of this digest.
    pub fn may_hold(&self, tag: u32) -> bool {
        let (word, bit) = filter_bit(tag);
        self.filter[word as usize] >> bit & 1 != 0
    }

    /// The filter's bits.
    pub fn filter(&self) -> &[u64; FILTER_WORDS] {
        &self.filter
    }
}
