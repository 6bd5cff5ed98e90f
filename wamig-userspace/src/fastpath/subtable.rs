//! One mask of one table: how many flows it has, its filter, its place in the search.

use std::collections::BTreeMap;

use wamig_common::entry::{SubtableRef, filter_bit};
use wamig_common::key::{ETH_TYPE, FlowMask};
use wamig_common::limits::FILTER_WORDS;

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

/// A subtable.
pub struct Subtable {
    /// Id in the maps.
    pub id: u32,
    /// Table it belongs to.
    pub table: u8,
    /// Its mask.
    pub mask: FlowMask,
    /// How the table's search order lists it; `None` = not listed.
    pub listed: Option<SubtableRef>,
    flows: usize,
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
            flows: 0,
            priorities: BTreeMap::new(),
            eth_types: BTreeMap::new(),
            filter: Box::new([0; FILTER_WORDS]),
            holders: Map::default(),
        }
    }

    /// A flow more, which asks for this EtherType.
    pub fn insert(&mut self, eth_type: u16, priority: u16) {
        self.flows += 1;
        *self.priorities.entry(priority).or_default() += 1;
        *self.eth_types.entry(eth_type).or_default() += 1;
    }

    /// A flow less. The filter keeps admitting its key until [`Self::forget`].
    pub fn remove(&mut self, eth_type: u16, priority: u16) {
        self.flows -= 1;
        take_one(&mut self.priorities, priority);
        take_one(&mut self.eth_types, eth_type);
    }

    /// How many flows it holds.
    pub fn flows(&self) -> usize {
        self.flows
    }

    /// Whether it holds no flow.
    pub fn is_empty(&self) -> bool {
        self.flows == 0
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

    /// Counts a key of this tag that now has a map entry.
    pub fn admit(&mut self, tag: u32) {
        let (word, bit) = filter_bit(tag);
        *self.holders.entry(word << 6 | bit).or_default() += 1;
        self.filter[word as usize] |= 1 << bit;
    }

    /// Uncounts a key whose map entry is gone.
    pub fn forget(&mut self, tag: u32) {
        let (word, bit) = filter_bit(tag);
        let index = word << 6 | bit;
        if let Some(n) = self.holders.get_mut(&index) {
            *n -= 1;
            if *n == 0 {
                self.holders.remove(&index);
                self.filter[word as usize] &= !(1 << bit);
            }
        }
    }

    /// Whether the filter admits a key of this tag.
    pub fn may_hold(&self, tag: u32) -> bool {
        let (word, bit) = filter_bit(tag);
        self.filter[word as usize] >> bit & 1 != 0
    }

    /// The filter's bits.
    pub fn filter(&self) -> &[u64; FILTER_WORDS] {
        &self.filter
    }
}
