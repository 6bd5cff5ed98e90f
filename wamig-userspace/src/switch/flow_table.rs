//! The authoritative flow tables (OpenFlow 1.3.5 §5.1, §6.4): every flow a controller asked
//! for, found by strict key, by loose selection and by id.
//!
//! The fast path is derived from these tables and can be rebuilt from them at any time.
//! Nothing here validates, compiles or tells anybody: that is the transaction's business.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use wamig_common::verdict::SlowReason;
use wamig_openflow::message::FlowStatsRequest;
use wamig_openflow::{Cookie, FlowModFlags, GroupId, Instructions, Match, PortNo, TableId};

use super::group::GroupTable;
use super::meter::MeterTable;
use crate::fastpath::FlowId;
use crate::hash::Map;

/// A flow entry as the controller sees it.
#[derive(Clone, PartialEq, Debug)]
pub struct Flow {
    /// Name towards the fast path.
    pub id: FlowId,
    /// Table.
    pub table: TableId,
    /// Higher wins.
    pub priority: u16,
    /// Which frames.
    pub matching: Arc<Match>,
    /// The controller's cookie.
    pub cookie: Cookie,
    /// Seconds without a frame; 0 = never.
    pub idle_timeout: u16,
    /// Seconds in all; 0 = never.
    pub hard_timeout: u16,
    /// Flags of the add.
    pub flags: FlowModFlags,
    /// What happens to the frames.
    pub instructions: Arc<Instructions>,
    /// Why the fast path hands its frames to the slow path; `None` = it does not.
    pub slow: Option<SlowReason>,
    /// When it was added; a replacing add starts anew, a modify does not.
    pub added: Instant,
}

impl Flow {
    /// True for the table-miss flow: it matches everything at priority 0 (§5.4).
    pub fn is_table_miss(&self) -> bool {
        self.priority == 0 && self.matching.is_any()
    }
}

/// Which flows a modify, a delete or a stats request means.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Selector {
    /// Table, or [`TableId::ALL`].
    pub table: TableId,
    /// `Some`: only the flow of exactly this priority and the match below (strict). `None`:
    /// every flow within the match.
    pub strict: Option<u16>,
    /// The match.
    pub matching: Match,
    /// Compared under `cookie_mask`.
    pub cookie: Cookie,
    /// 0 = any cookie.
    pub cookie_mask: u64,
    /// Only flows that output here; [`PortNo::ANY`] = all.
    pub out_port: PortNo,
    /// Only flows that use this group; [`GroupId::ANY`] = all.
    pub out_group: GroupId,
}

impl Selector {
    /// Every flow of every table.
    pub fn all() -> Self {
        Self::from(FlowStatsRequest::all())
    }

    /// Whether cookie, output port and group let a flow pass.
    fn passes(&self, flow: &Flow) -> bool {
        (flow.cookie.0 ^ self.cookie.0) & self.cookie_mask == 0
            && (self.out_port == PortNo::ANY || flow.instructions.outputs_to(self.out_port))
            && (self.out_group == GroupId::ANY || flow.instructions.uses_group(self.out_group))
    }
}

impl From<FlowStatsRequest> for Selector {
    fn from(request: FlowStatsRequest) -> Self {
        let FlowStatsRequest { table, out_port, out_group, cookie, cookie_mask, matching } = request;
        Self { table, strict: None, matching, cookie, cookie_mask, out_port, out_group }
    }
}

/// Flows of one priority.
type Peers = Map<Arc<Match>, FlowId>;
/// Flows of one table, highest priority first.
type Ranks = BTreeMap<Reverse<u16>, Peers>;

/// Those whose match passes, in the order of their matches: asked for now and then, not kept up with every flow.
fn in_order(peers: &Peers, passes: impl Fn(&Match) -> bool) -> impl Iterator<Item = FlowId> {
    let mut found: Vec<(&Match, FlowId)> =
        peers.iter().map(|(m, id)| (m.as_ref(), *id)).filter(|(m, _)| passes(m)).collect();
    found.sort_unstable();
    found.into_iter().map(|(_, id)| id).collect::<Vec<_>>().into_iter()
}

/// All flow tables.
#[derive(Clone, PartialEq, Debug)]
pub struct FlowTables {
    flows: Map<FlowId, Flow>,
    ranks: Vec<Ranks>,
    capacity: usize,
    /// The groups that flows hand frames to.
    pub groups: GroupTable,
    /// The meters that flows put frames through.
    pub meters: MeterTable,
}

impl FlowTables {
    /// `tables` empty tables that together hold at most `capacity` flows.
    pub fn new(tables: u8, capacity: usize) -> Self {
        Self {
            flows: Map::default(),
            ranks: vec![Ranks::new(); usize::from(tables)],
            capacity,
            groups: GroupTable::default(),
            meters: MeterTable::default(),
        }
    }

    /// How many tables there are.
    pub fn tables(&self) -> u8 {
        self.ranks.len() as u8
    }

    /// Flows in all tables.
    pub fn len(&self) -> usize {
        self.flows.len()
    }

    /// True without a single flow.
    pub fn is_empty(&self) -> bool {
        self.flows.is_empty()
    }

    /// How many flows the tables may hold together.
    pub fn capacity(&self) -> usize {
        self.capacity
    }

    /// Flows of one table.
    pub fn table_len(&self, table: TableId) -> usize {
        self.ranks.get(usize::from(table.0)).map_or(0, |r| r.values().map(Peers::len).sum())
    }

    /// The flow of this id.
    pub fn get(&self, id: FlowId) -> Option<&Flow> {
        self.flows.get(&id)
    }

    /// The flow of exactly this priority and match.
    pub fn find(&self, table: TableId, priority: u16, matching: &Match) -> Option<&Flow> {
        let id = self.ranks.get(usize::from(table.0))?.get(&Reverse(priority))?.get(matching)?;
        self.flows.get(id)
    }

    /// A flow of the same priority that some frame could match as well (§6.4, `CHECK_OVERLAP`).
    pub fn overlapping(&self, table: TableId, priority: u16, matching: &Match) -> Option<&Flow> {
        let peers = self.ranks.get(usize::from(table.0))?.get(&Reverse(priority))?;
        let id = peers.iter().find(|(m, _)| m.overlaps(matching))?.1;
        self.flows.get(id)
    }

    /// Every flow: tables ascending, priorities descending.
    pub fn iter(&self) -> impl Iterator<Item = &Flow> {
        let ids = self.ranks.iter().flat_map(BTreeMap::values).flat_map(|peers| in_order(peers, |_| true));
        ids.filter_map(|id| self.flows.get(&id))
    }

    /// The flows that a selector means, in the order of [`Self::iter`].
    pub fn select(&self, selector: &Selector) -> Vec<FlowId> {
        let tables = match selector.table {
            TableId::ALL => 0..self.tables(),
            TableId(t) => t..t.saturating_add(1),
        };
        let mut out = Vec::new();
        for table in tables.map(TableId) {
            if let Some(priority) = selector.strict {
                let found = self.find(table, priority, &selector.matching);
                out.extend(found.filter(|f| selector.passes(f)).map(|f| f.id));
                continue;
            }
            let Some(ranks) = self.ranks.get(usize::from(table.0)) else { continue };
            let ids = ranks.values().flat_map(|peers| in_order(peers, |m| m.is_within(&selector.matching)));
            out.extend(ids.filter(|id| self.flows.get(id).is_some_and(|f| selector.passes(f))));
        }
        out
    }

    /// Stores a flow, new or changed; returns what was stored under its id. Table, priority
    /// and match of a stored flow never change, and no two flows share all three: the
    /// transaction sees to both.
    pub(super) fn put(&mut self, flow: Flow) -> Option<Flow> {
        if let Some(ranks) = self.ranks.get_mut(usize::from(flow.table.0)) {
            ranks.entry(Reverse(flow.priority)).or_default().insert(Arc::clone(&flow.matching), flow.id);
        }
        self.flows.insert(flow.id, flow)
    }

    /// Takes a flow out.
    pub(super) fn take(&mut self, id: FlowId) -> Option<Flow> {
        let flow = self.flows.remove(&id)?;
        if let Some(ranks) = self.ranks.get_mut(usize::from(flow.table.0))
            && let Some(peers) = ranks.get_mut(&Reverse(flow.priority))
        {
            peers.remove(&flow.matching);
            if peers.is_empty() {
                ranks.remove(&Reverse(flow.priority));
            }
        }
        Some(flow)
    }
}

#[cfg(test)]
mod tests;
