//! What the writer put into force, read back from its own books.

use wamig_common::action::{END, Op};
use wamig_common::entry::{FlowRecord, Records, Slot, Table, Tables};
use wamig_common::key::{ALL_WORDS, FlowKey, FlowMask};
use wamig_common::limits::LOCAL_INDEX;
use wamig_common::native::Store;
use wamig_common::rules::PortRules;
use wamig_openflow::PortNo;

use super::Writer;
use crate::fastpath::FlowId;
use crate::fastpath::maps::Maps;
use crate::fastpath::view::View;

/// Behind the last action of every list.
const BEHIND: Op = Op { kind: END, slot: 0, base: 0, off: 0, src_base: 0, src_off: 0, flags: 0, value: 0, mask: 0 };

impl<M: Maps> Tables for Writer<M> {
    fn used_words(&self) -> u32 {
        ALL_WORDS
    }

    fn mask(&self, subtable: u32) -> Option<&FlowMask> {
        self.subtables.get(&subtable).map(|s| &s.mask)
    }

    fn may_hold(&self, subtable: u32, tag: u32) -> bool {
        self.subtables.get(&subtable).is_some_and(|s| s.may_hold(tag))
    }

    fn lookup(&self, subtable: u32, key: &FlowKey, mask: &FlowMask, digest: u64, version: u64) -> Slot {
        let entry = self
            .installed
            .get(&digest)
            .map(|held| &held.entry)
            .filter(|entry| entry.key.subtable == u64::from(subtable));
        let entry = entry.filter(|entry| entry.key.words == key.masked(mask).words);
        entry.map_or(Slot::default(), |entry| entry.value.slot(version))
    }
}

impl<M: Maps> Records for Writer<M> {
    fn record(&self, flow: u32) -> Option<&FlowRecord> {
        self.maps.flow_record(flow)
    }

    fn op(&self, list: u32, index: u32) -> Option<&Op> {
        self.lists.get(list).map(|ops| ops.get(index as usize).unwrap_or(&BEHIND))
    }
}

impl<M: Maps> Store for Writer<M> {
    fn version(&self) -> u64 {
        self.version
    }

    /// The order of now; nobody asks for another version's, because nobody reads while the writer writes.
    fn table(&self, table: u8, _version: u64) -> Option<&Table> {
        self.orders.get(&table)
    }

    fn rules(&self, port: u32) -> PortRules {
        self.port_state.settings.rules(if port == LOCAL_INDEX { PortNo::LOCAL } else { PortNo(port) })
    }
}

impl<M: Maps> View for Writer<M> {
    fn owner(&self, record: u32) -> Option<FlowId> {
        self.owners.get(record)
    }

    fn port_set(&self, set: u32) -> &[u32] {
        self.sets.get(set).unwrap_or_default()
    }
}
