//! The maps of a fast path as its writer sees them.

use std::io;

use wamig_common::action::ActionList;
use wamig_common::entry::{FlowCount, FlowEntry, FlowMapKey, FlowRecord, FlowValue, PortCount, Table, TableCount};
use wamig_common::key::FlowMask;
use wamig_common::limits::FILTER_WORDS;
use wamig_common::rules::PortRules;

use super::needs::Constants;
use super::{FastPort, InterfaceCounters};

/// How many entries the maps have.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Capacity {
    /// Flow ids, 1..flows.
    pub flows: u32,
    /// Action lists, 1..lists.
    pub lists: u32,
    /// Subtables, 1..subtables.
    pub subtables: u32,
    /// Port sets, from 0.
    pub port_sets: u32,
}

/// Stores and loads, one map each. Writes are made by one writer; readers run concurrently.
pub trait Maps: Send {
    /// Sizes.
    fn capacity(&self) -> Capacity;
    /// Makes `version` the present one: all that was staged for it becomes visible by this
    /// one store.
    fn publish(&mut self, version: u64);
    /// Readers of the next versions need this: when it returns, none is running that offers
    /// less.
    fn will_need(&mut self, _needs: &Constants) -> io::Result<()> {
        Ok(())
    }
    /// The present version needs no more than this.
    fn needs(&mut self, _needs: &Constants) {}
    /// A table's search order, for versions of this parity (0 or 1).
    fn set_table(&mut self, table: u8, parity: u8, order: &Table) -> io::Result<()>;
    /// A subtable's mask.
    fn set_mask(&mut self, subtable: u32, mask: &FlowMask) -> io::Result<()>;
    /// A subtable's filter.
    fn set_filter(&mut self, subtable: u32, filter: &[u64; FILTER_WORDS]) -> io::Result<()>;
    /// New flow map entries, under their digests, of which none is there.
    fn add_flows(&mut self, digests: &[u64], entries: &[FlowEntry]) -> io::Result<()>;
    /// The value of a flow map entry that is there. Its words are stored one by one, and
    /// readers keep seeing the slot of their version.
    fn set_flow(&mut self, key: &FlowMapKey, value: &FlowValue) -> io::Result<()>;
    /// Deletes flow map entries; it is no error if there is none.
    ///
    /// # Errors
    /// How many are gone, and what refuses to delete the next.
    fn remove_flows(&mut self, keys: &[FlowMapKey]) -> Result<(), (usize, io::Error)>;
    /// A flow's instructions as they were set; `None` = never.
    fn flow_record(&self, flow: u32) -> Option<&FlowRecord>;
    /// A flow's instructions.
    fn set_record(&mut self, flow: u32, record: &FlowRecord) -> io::Result<()>;
    /// An action list.
    fn set_list(&mut self, list: u32, actions: &ActionList) -> io::Result<()>;
    /// The members of a port set: OpenFlow numbers.
    fn set_port_set(&mut self, set: u32, members: &[u32]) -> io::Result<()>;
    /// A flow's counters, summed over CPUs; `last` is the latest.
    fn flow_count(&mut self, flow: u32) -> FlowCount;
    /// The same of many flows, in the order asked; cheapest for numbers that follow each other.
    fn flow_counts(&mut self, flows: &[u32]) -> Vec<FlowCount> {
        flows.iter().map(|flow| self.flow_count(*flow)).collect()
    }
    /// Zeroes a flow's counters.
    fn clear_flow_count(&mut self, flow: u32) -> io::Result<()>;
    /// A table's counters.
    fn table_count(&mut self, table: u8) -> TableCount;
    /// A port's counters, by index.
    fn port_count(&mut self, port: u32) -> PortCount;
    /// Counters of a port's interface, by index; `None` = there is no interface.
    fn interface_count(&mut self, port: u32) -> Option<InterfaceCounters>;
    /// Every counter of [`wamig_common::stats`].
    fn stats(&mut self) -> Vec<u64>;
    /// What a frame that comes now leaves as `last` (as in [`FlowCount`]).
    fn stamp(&mut self) -> u64;
    /// Milliseconds since `last`.
    fn age_ms(&mut self, last: u64) -> u64;
    /// Sends a frame out of a port, by index.
    fn send(&mut self, port: u32, frame: &[u8]) -> io::Result<()>;
    /// The ports that exist now.
    fn set_ports(&mut self, ports: &[FastPort]) -> io::Result<()>;
    /// The rules of a port, by index; it is a member of no port set while it may not send.
    fn set_rules(&mut self, port: u32, rules: PortRules) -> io::Result<()>;
    /// Sets the interface of a port up or down, by index.
    fn set_link(&mut self, port: u32, up: bool) -> io::Result<()>;
    /// Begins to forward.
    fn activate(&mut self) -> io::Result<()>;
    /// Starts waiting for every reader that is now running.
    fn begin_grace(&mut self);
    /// Whether all of them have finished; with `wait`, returns when they have.
    fn grace_is_over(&mut self, wait: bool) -> bool;
}
