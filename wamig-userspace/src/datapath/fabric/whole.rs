//! The switches as the one that the controller sees: its flows, and what each of them has and
//! should have. A batch becomes a [`Plan`]: what each switch is told, and what takes it back.
//!
//! No IO: [`super::Fabric`] sends what a plan says and tells how it went.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Instant;

use wamig_common::limits::{DEFAULT_FLOWS, MAX_TABLES};
use wamig_openflow::{FlowMod, FlowRemoved, FlowRemovedReason, FlowStats, Match, OfpError, PortDesc, TableId};

use super::lower::{self, Lowered};
use super::topology::Topology;
use super::transit::{self, Tags};
use crate::fastpath::{FlowCounters, FlowId};
use crate::hash::Map;
use crate::switch::flow_table::{Flow, FlowTables};
use crate::switch::modification::Modification;
use crate::switch::port::Ports;
use crate::switch::stats::describe;
use crate::switch::transaction::{FlowIds, Staged, begin, expire};

/// What tells flows of a switch apart (OpenFlow 1.3.5 §5.2): table, priority, match.
pub type Key = (TableId, u16, Match);

/// Flows of one switch.
#[derive(Debug, Default)]
struct Shelf {
    wanted: BTreeMap<Key, FlowMod>,
    held: BTreeMap<Key, FlowMod>,
    /// Where `held` may be wrong.
    unsure: BTreeSet<Key>,
    /// It has connected, and has not been told its flows since.
    fresh: bool,
    /// The whole began anew: every flow that is held is looked at.
    again: bool,
}

/// What one switch is told at once.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Part {
    /// Which switch.
    pub switch: usize,
    /// Adds, then deletes.
    pub mods: Vec<FlowMod>,
    /// Takes `mods` back; `None` = what was there before is not known, so they stay.
    pub undo: Option<Vec<FlowMod>>,
}

/// What a batch comes to.
#[derive(Debug)]
pub struct Plan {
    /// To be carried out in this order.
    pub parts: Vec<Part>,
    staged: Staged,
    tags: Tags,
    lowered: Vec<(FlowId, Option<Lowered>)>,
    changes: Vec<BTreeMap<Key, Option<FlowMod>>>,
}

/// The whole.
#[derive(Debug)]
pub struct Whole {
    topology: Topology,
    ports: Ports,
    tables: FlowTables,
    ids: FlowIds,
    tags: Tags,
    lowered: Map<FlowId, Lowered>,
    shelves: Vec<Shelf>,
}

fn key(m: &FlowMod) -> Key {
    (m.table, m.priority, m.matching.clone())
}

fn delete((table, priority, matching): &Key) -> FlowMod {
    FlowMod::delete_strict(*table, *priority, matching.clone())
}

/// The flow as it was added.
fn add(flow: &Flow) -> FlowMod {
    FlowMod {
        idle_timeout: flow.idle_timeout,
        hard_timeout: flow.hard_timeout,
        flags: flow.flags,
        ..FlowMod::add(flow.table, flow.priority, (*flow.matching).clone(), (*flow.instructions).clone(), flow.cookie)
    }
}

impl Whole {
    /// Switches that hold nothing.
    pub fn new(topology: Topology) -> Self {
        let shelves = topology.places().iter().map(|_| Shelf { fresh: true, ..Shelf::default() }).collect();
        let tags = Tags::new(topology.len());
        Self {
            topology,
            ports: Ports::default(),
            tables: FlowTables::new(MAX_TABLES as u8, DEFAULT_FLOWS as usize),
            ids: FlowIds::default(),
            tags,
            lowered: Map::default(),
            shelves,
        }
    }

    /// The switches and their links.
    pub fn topology(&self) -> &Topology {
        &self.topology
    }

    /// A switch has connected; what it has is not known here.
    pub fn connected(&mut self, switch: usize) {
        self.shelves[switch] = Shelf { fresh: true, ..Shelf::default() };
    }

    /// Every switch is there: the controller begins anew, with these ports.
    pub fn begin_again(&mut self, ports: Vec<PortDesc>) {
        self.ports = Ports::new(ports);
        self.tables = FlowTables::new(MAX_TABLES as u8, DEFAULT_FLOWS as usize);
        self.lowered.clear();
        self.tags = Tags::new(self.topology.len());
        for shelf in &mut self.shelves {
            shelf.wanted.clear();
            shelf.again = true;
        }
        for switch in 0..self.shelves.len() {
            let standing = transit::standing(&self.topology, switch);
            self.shelves[switch].wanted = standing.into_iter().map(|m| (key(&m), m)).collect();
        }
    }

    /// The ports are these now.
    pub fn set_ports(&mut self, ports: Vec<PortDesc>) {
        self.ports = Ports::new(ports);
    }

    /// What a batch comes to. [`Self::commit`] or [`Self::revert`] has to follow.
    ///
    /// # Errors
    /// The specification's; nothing has changed then.
    pub fn plan(&mut self, batch: Vec<FlowMod>, now: Instant) -> Result<Plan, OfpError> {
        let mods = batch.into_iter().map(Modification::Flow).collect();
        let staged = begin(&mut self.tables, &mut self.ids, &self.ports, mods, now).map_err(|r| r.error)?;
        let mut plan = Plan {
            parts: Vec::new(),
            staged,
            tags: self.tags.clone(),
            lowered: Vec::new(),
            changes: vec![BTreeMap::new(); self.shelves.len()],
        };
        // Frames with tags that the last batch left behind have arrived by now.
        plan.tags.sweep();
        if let Err(error) = self.lower(&mut plan) {
            plan.staged.revert(&mut self.tables);
            return Err(error);
        }
        self.retag(&mut plan);
        self.divide(&mut plan);
        Ok(plan)
    }

    /// Notes what becomes of the flows that the batch touched.
    fn lower(&self, plan: &mut Plan) -> Result<(), OfpError> {
        let touched: Vec<FlowId> = plan.staged.touched().collect();
        for old in touched.iter().filter_map(|id| self.lowered.get(id)) {
            old.tags.iter().for_each(|tag| plan.tags.release(*tag));
            for (switch, m) in &old.rows {
                plan.changes[*switch].insert(key(m), None);
            }
        }
        for id in touched {
            let Some(flow) = self.tables.get(id) else {
                plan.lowered.push((id, None));
                continue;
            };
            let lowered = lower::flow(&self.topology, &mut plan.tags, &add(flow))?;
            for (switch, m) in &lowered.rows {
                plan.changes[*switch].insert(key(m), Some(m.clone()));
            }
            plan.lowered.push((id, Some(lowered)));
        }
        Ok(())
    }

    /// Notes the flows of the links for sets of ports that are new, and those that are over.
    fn retag(&self, plan: &mut Plan) {
        let before: BTreeMap<u16, _> = self.tags.sets().collect();
        let after: BTreeMap<u16, _> = plan.tags.sets().collect();
        for (switch, changes) in plan.changes.iter_mut().enumerate() {
            for (tag, set) in before.iter().filter(|(tag, set)| after.get(tag) != Some(set)) {
                let gone = transit::obey(&self.topology, switch, *tag, set);
                changes.extend(gone.iter().map(|m| (key(m), None)));
            }
            for (tag, set) in after.iter().filter(|(tag, set)| before.get(tag) != Some(set)) {
                let new = transit::obey(&self.topology, switch, *tag, set);
                changes.extend(new.into_iter().map(|m| (key(&m), Some(m))));
            }
        }
    }

    /// Each switch's share: first the links' new flows everywhere, so that no frame is tagged
    /// before its tag is obeyed, then the rest. A switch that has just connected is told all at
    /// once.
    fn divide(&self, plan: &mut Plan) {
        let mut rest = Vec::new();
        for (switch, shelf) in self.shelves.iter().enumerate() {
            let changes = &plan.changes[switch];
            let mut keys: BTreeSet<&Key> = changes.keys().chain(&shelf.unsure).collect();
            if shelf.fresh || shelf.again {
                keys.extend(shelf.wanted.keys().chain(shelf.held.keys()));
            }
            let (mut ahead, mut adds, mut deletes) = (Vec::new(), Vec::new(), Vec::new());
            for key in keys {
                let changed = changes.get(key);
                let wanted = changed.map_or_else(|| shelf.wanted.get(key), Option::as_ref);
                let held = shelf.held.get(key);
                let sure = !shelf.unsure.contains(key);
                match wanted {
                    // An add that is repeated is sent again, as to a single switch.
                    Some(m) if changed.is_none() && sure && held == Some(m) => {}
                    Some(m) if !shelf.fresh && held.is_none() && is_transit(m) => ahead.push(m.clone()),
                    Some(m) => adds.push(m.clone()),
                    None if held.is_some() || !sure => deletes.push(delete(key)),
                    None => {}
                }
            }
            adds.append(&mut deletes);
            let undo = |mods: &[FlowMod]| -> Option<Vec<FlowMod>> {
                let back = |m: &FlowMod| shelf.held.get(&key(m)).cloned().unwrap_or_else(|| delete(&key(m)));
                (!shelf.fresh && !shelf.again).then(|| mods.iter().rev().map(back).collect())
            };
            if !ahead.is_empty() {
                plan.parts.push(Part { switch, undo: undo(&ahead), mods: ahead });
            }
            if !adds.is_empty() || shelf.fresh {
                rest.push(Part { switch, undo: undo(&adds), mods: adds });
            }
        }
        plan.parts.append(&mut rest);
    }

    /// The plan has been carried out.
    pub fn commit(&mut self, plan: Plan) {
        self.tags = plan.tags;
        for (id, lowered) in plan.lowered {
            match lowered {
                Some(lowered) => drop(self.lowered.insert(id, lowered)),
                None => drop(self.lowered.remove(&id)),
            }
        }
        for (shelf, changes) in self.shelves.iter_mut().zip(plan.changes) {
            for (key, m) in changes {
                match m {
                    Some(m) => drop(shelf.wanted.insert(key, m)),
                    None => drop(shelf.wanted.remove(&key)),
                }
            }
            (shelf.fresh, shelf.again) = (false, false);
        }
        for part in &plan.parts {
            self.carried_out(part.switch, &part.mods);
        }
    }

    /// The plan came to nothing; what was carried out of it has been told by
    /// [`Self::carried_out`] and [`Self::doubt`].
    pub fn revert(&mut self, plan: Plan) {
        plan.staged.revert(&mut self.tables);
    }

    /// A switch has done this.
    pub fn carried_out(&mut self, switch: usize, mods: &[FlowMod]) {
        let shelf = &mut self.shelves[switch];
        for m in mods {
            let key = key(m);
            shelf.unsure.remove(&key);
            if m.command == wamig_openflow::FlowModCommand::Add {
                shelf.held.insert(key, m.clone());
            } else {
                shelf.held.remove(&key);
            }
        }
    }

    /// A part is on the switch and stays there, though the whole has not changed.
    pub fn left_behind(&mut self, part: &Part) {
        self.carried_out(part.switch, &part.mods);
        let shelf = &mut self.shelves[part.switch];
        (shelf.fresh, shelf.again) = (false, true);
    }

    /// Whether a switch has done this is not known.
    pub fn doubt(&mut self, switch: usize, mods: &[FlowMod]) {
        self.shelves[switch].unsure.extend(mods.iter().map(key));
    }

    /// A flow of a switch is gone; the flow of the whole that ended by that, if its owner wants
    /// to know. One that somebody else has deleted is put back with the next batch.
    pub fn removed(&mut self, switch: usize, gone: &FlowRemoved) -> Option<FlowRemoved> {
        let stats = &gone.stats;
        let there = (stats.table, stats.priority, stats.matching.clone());
        let ended = matches!(gone.reason, FlowRemovedReason::IdleTimeout | FlowRemovedReason::HardTimeout);
        let outer = lower::outer(&self.topology, switch, &stats.matching);
        let found = outer.and_then(|m| self.tables.find(stats.table, stats.priority, &m)).cloned();
        let Some(flow) = found.filter(|f| ended && f.cookie == stats.cookie) else {
            let shelf = &mut self.shelves[switch];
            if shelf.wanted.contains_key(&there) && shelf.held.remove(&there).is_some() {
                shelf.unsure.insert(there);
            }
            return None;
        };
        drop(expire(&mut self.tables, &[(flow.id, gone.reason)]));
        for (at, m) in self.lowered.remove(&flow.id).unwrap_or_default().rows {
            let key = key(&m);
            self.shelves[at].wanted.remove(&key);
            self.shelves[at].held.remove(&key);
        }
        let stats = FlowStats {
            matching: (*flow.matching).clone(),
            instructions: (*flow.instructions).clone(),
            flags: flow.flags,
            ..stats.clone()
        };
        flow.flags.send_flow_removed.then_some(FlowRemoved { reason: gone.reason, stats })
    }

    /// The flows of the whole, their counters the sums of those of the switches, idle since the
    /// last frame on any of them. `there` are the switches' flows.
    pub fn dump(&self, there: &[(usize, Vec<FlowStats>)], now: Instant) -> Vec<FlowStats> {
        let mut counted: BTreeMap<Key, (FlowCounters, std::time::Duration)> = BTreeMap::new();
        for (switch, flows) in there {
            for f in flows {
                let Some(matching) = lower::outer(&self.topology, *switch, &f.matching) else { continue };
                let (sum, idle) =
                    counted.entry((f.table, f.priority, matching)).or_insert((FlowCounters::default(), f.idle_age));
                sum.packets += f.packets;
                sum.bytes += f.bytes;
                *idle = f.idle_age.min(*idle);
            }
        }
        let one = |flow: &Flow| {
            let key = (flow.table, flow.priority, Match::clone(&Arc::clone(&flow.matching)));
            let mut stats = describe(flow, FlowCounters::default(), now);
            if let Some((sum, idle)) = counted.get(&key) {
                (stats.packets, stats.bytes, stats.idle_age) = (sum.packets, sum.bytes, *idle);
            }
            stats
        };
        self.tables.iter().map(one).collect()
    }

    /// Flows of the whole.
    pub fn tables(&self) -> &FlowTables {
        &self.tables
    }
}

/// Whether a flow is of the links.
fn is_transit(m: &FlowMod) -> bool {
    m.cookie.0 & transit::COOKIE_MASK == transit::COOKIE.0
}
