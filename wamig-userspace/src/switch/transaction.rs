//! A batch of modifications as one change (after Open vSwitch's begin, revert, finish).
//!
//! *Begin* checks and carries out every modification in order on the tables themselves, so
//! each sees what those before it did, and notes how to undo it. One that is refused has
//! changed nothing: a step checks all that it will do before it does any of it. *Revert* puts
//! the tables back as they were: when a modification is refused (by `begin` itself), or when
//! the fast path refuses the batch. What is sent to the fast path is the net change: a flow that is added and
//! deleted within the batch never reaches it. The notices of removed flows are given out
//! only once nothing can fail any more.

use std::collections::hash_map::Entry;
use std::sync::Arc;
use std::time::Instant;

use wamig_openflow::message::{GroupMod, GroupModCommand, MeterMod, MeterModCommand};
use wamig_openflow::{
    ErrorKind, FlowMod, FlowModCommand, FlowRemovedReason, GroupId, Instructions, Match, MeterId, OfpError, PortNo,
};

use super::flow_table::{Flow, FlowTables, Selector};
use super::group::Group;
use super::meter::Meter;
use super::modification::{Modification, Refused};
use super::port::Ports;
use super::port_config;
use super::validate::{self, Headers};
use crate::fastpath::compile::compile;
use crate::fastpath::{Batch, Change, CompiledFlow, FlowId};
use crate::hash::{Map, State};

/// Gives every flow a name that is never used again.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct FlowIds(u64);

impl FlowIds {
    /// The next name; 0 is never given out.
    pub fn allocate(&mut self) -> FlowId {
        self.0 += 1;
        FlowId(self.0)
    }
}

/// A flow that a batch or a timeout took out.
#[derive(Clone, PartialEq, Debug)]
pub struct Removed {
    /// As it was.
    pub flow: Flow,
    /// Why.
    pub reason: FlowRemovedReason,
}

/// A batch that the tables hold and the fast path does not yet.
#[derive(Debug, Default)]
pub struct Staged {
    /// In the order of touch.
    flows: Vec<Touched>,
    /// Where each of them is in `flows`.
    places: Map<FlowId, usize>,
    taken: Vec<Taken>,
    removed: Vec<Removed>,
    reset: Vec<FlowId>,
    /// What each touched group was before the batch, in the order of touch; the first counts.
    groups: Vec<(GroupId, Option<Group>)>,
    /// The same for meters.
    meters: Vec<(MeterId, Option<Meter>)>,
}

/// A flow that a batch touched; `None`: not there.
#[derive(Debug)]
struct Touched {
    id: FlowId,
    before: Option<Flow>,
    now: Option<CompiledFlow>,
}

/// What a flow of the tables took over from the modification of this index.
#[derive(Debug)]
struct Taken {
    index: usize,
    matching: Option<Arc<Match>>,
    instructions: Arc<Instructions>,
}

/// Carries out the batch on the tables.
///
/// # Errors
/// The specification's error for the first modification that is refused; the tables are as
/// they were before the call.
pub fn begin(
    tables: &mut FlowTables,
    ids: &mut FlowIds,
    ports: &Ports,
    mut mods: Vec<Modification>,
    now: Instant,
) -> Result<Staged, Refused> {
    let count = mods.len();
    let mut staged = Staged::for_some(count);
    for (index, m) in mods.iter_mut().enumerate() {
        if let Err(mut error) = staged.step(tables, ids, ports, (index, m), now) {
            if count > 1 {
                let name = m.name();
                error.detail = format!("{name} {} of {count}: {}", index + 1, error.detail);
            }
            staged.revert(tables);
            return Err(Refused { index, error });
        }
    }
    Ok(staged)
}

/// Carries out of the batch what can be carried out, and tells what became of each. Matches and
/// instructions go from the batch into the tables: [`Staged::undo`] brings them back.
pub fn begin_each(
    tables: &mut FlowTables,
    ids: &mut FlowIds,
    ports: &Ports,
    mods: &mut [Modification],
    now: Instant,
) -> (Staged, Vec<Result<(), OfpError>>) {
    let mut staged = Staged::for_some(mods.len());
    let verdicts = mods.iter_mut().enumerate().map(|m| staged.step(tables, ids, ports, m, now)).collect();
    (staged, verdicts)
}

/// Takes flows out because they expired; reverted like any other batch.
pub fn expire(tables: &mut FlowTables, flows: &[(FlowId, FlowRemovedReason)]) -> Staged {
    let mut staged = Staged::default();
    for (id, reason) in flows {
        staged.remove(tables, *id, *reason);
    }
    staged
}

fn selector(m: &FlowMod) -> Selector {
    let delete = matches!(m.command, FlowModCommand::Delete | FlowModCommand::DeleteStrict);
    let strict = matches!(m.command, FlowModCommand::ModifyStrict | FlowModCommand::DeleteStrict);
    Selector {
        table: m.table,
        strict: strict.then_some(m.priority),
        matching: m.matching.clone(),
        cookie: m.cookie,
        cookie_mask: m.cookie_mask,
        // §6.4: for deletes only
        out_port: if delete { m.out_port } else { PortNo::ANY },
        out_group: if delete { m.out_group } else { GroupId::ANY },
    }
}

/// The flow in the fast path's terms beside it.
fn compiled(mut flow: Flow) -> Result<(Flow, CompiledFlow), OfpError> {
    let compiled = compile(flow.id, flow.table, flow.priority, &flow.matching, &flow.instructions)?;
    flow.slow = compiled.slow;
    Ok((flow, compiled))
}

impl Staged {
    /// With room for so many flows.
    fn for_some(flows: usize) -> Self {
        let places = Map::with_capacity_and_hasher(flows, State::default());
        Self { flows: Vec::with_capacity(flows), places, taken: Vec::with_capacity(flows), ..Self::default() }
    }

    /// The net change for the fast path: removals, then replacements, then insertions, so
    /// that a match which changed hands is free before it is taken.
    ///
    /// It is made once: the compiled flows go into it.
    pub fn batch(&mut self, tables: &FlowTables) -> Batch {
        let mut changes = Vec::with_capacity(self.flows.len());
        let mut replacements = Vec::new();
        for Touched { id, before, now } in &mut self.flows {
            match (before, now.as_ref()) {
                (Some(_), None) => changes.push(Change::Remove(*id)),
                // A flow that is only refreshed costs the fast path nothing.
                (Some(old), Some(_)) if tables.get(*id).is_some_and(|new| new.instructions == old.instructions) => {}
                (Some(_), Some(_)) => replacements.extend(now.take().map(Change::Replace)),
                (None, _) => {}
            }
        }
        changes.append(&mut replacements);
        let fresh = self.flows.iter_mut().filter(|flow| flow.before.is_none());
        changes.extend(fresh.filter_map(|flow| flow.now.take()).map(Change::Insert));
        Batch { changes }
    }

    /// Flows that the batch added, changed or took out.
    pub fn touched(&self) -> impl Iterator<Item = FlowId> {
        self.flows.iter().map(|flow| flow.id)
    }

    /// Flows that the batch took out, in the order of the modifications.
    pub fn removed(&self) -> &[Removed] {
        &self.removed
    }

    /// Flows whose counters start anew (`OFPFF_RESET_COUNTS`).
    pub fn reset(&self) -> &[FlowId] {
        &self.reset
    }

    /// Puts the tables back as they were before [`begin`].
    pub fn revert(self, tables: &mut FlowTables) {
        for (group, before) in self.groups.into_iter().rev() {
            tables.groups.restore(group, before);
        }
        for (meter, before) in self.meters.into_iter().rev() {
            tables.meters.restore(meter, before);
        }
        // All out before any goes in: two flows of one match may have followed each other.
        for flow in &self.flows {
            tables.take(flow.id);
        }
        for flow in self.flows.into_iter().filter_map(|flow| flow.before) {
            tables.put(flow);
        }
    }

    /// Puts the tables and the batch back as they were before [`begin_each`].
    pub fn undo(mut self, tables: &mut FlowTables, mods: &mut [Modification]) {
        let taken = std::mem::take(&mut self.taken);
        self.revert(tables);
        for Taken { index, matching, instructions } in taken {
            if let Some(Modification::Flow(m) | Modification::FlowV10(m)) = mods.get_mut(index) {
                m.instructions = Arc::unwrap_or_clone(instructions);
                if let Some(matching) = matching {
                    m.matching = Arc::unwrap_or_clone(matching);
                }
            }
        }
    }

    fn step(
        &mut self,
        tables: &mut FlowTables,
        ids: &mut FlowIds,
        ports: &Ports,
        (index, m): (usize, &mut Modification),
        now: Instant,
    ) -> Result<(), OfpError> {
        match m {
            Modification::Flow(m) => {
                let command = m.command;
                self.flow(tables, ids, ports, (index, m), (command, Headers::Named), now)
            }
            Modification::FlowV10(m) => {
                let modifies = matches!(m.command, FlowModCommand::Modify | FlowModCommand::ModifyStrict);
                let adds = modifies && tables.select(&selector(m)).is_empty();
                let command = if adds { FlowModCommand::Add } else { m.command };
                self.flow(tables, ids, ports, (index, m), (command, Headers::WhereThere), now)
            }
            // Carried out by whoever commits the batch: they are no part of the tables.
            Modification::Port(m) => port_config::check_port(m, ports),
            Modification::Table(m) => port_config::check_table(*m, tables.tables()),
            Modification::Group(m) => self.group(tables, ports, m, now),
            Modification::Meter(m) => self.meter(tables, m, now),
        }
    }

    /// §6.5: deleting a group takes the flows out that use it.
    fn group(&mut self, tables: &mut FlowTables, ports: &Ports, m: &GroupMod, now: Instant) -> Result<(), OfpError> {
        tables.groups.check(m, ports, now)?;
        if m.command != GroupModCommand::Delete {
            self.groups.push((m.group, tables.groups.get(m.group).cloned()));
            tables.groups.put(m, now);
            return Ok(());
        }
        let gone = tables.groups.selected(m.group);
        let uses = |f: &&Flow| gone.iter().any(|g| f.instructions.uses_group(*g));
        let flows: Vec<FlowId> = tables.iter().filter(uses).map(|f| f.id).collect();
        for id in flows {
            self.remove(tables, id, FlowRemovedReason::GroupDelete);
        }
        for group in gone {
            self.groups.push((group, tables.groups.restore(group, None)));
        }
        Ok(())
    }

    /// §6.6: deleting a meter takes the flows out that use it.
    fn meter(&mut self, tables: &mut FlowTables, m: &MeterMod, now: Instant) -> Result<(), OfpError> {
        tables.meters.check(m)?;
        let meter = m.config.meter;
        if m.command != MeterModCommand::Delete {
            self.meters.push((meter, tables.meters.get(meter).cloned()));
            tables.meters.put(&m.config, now);
            return Ok(());
        }
        let gone = tables.meters.selected(meter);
        let uses = |f: &&Flow| f.instructions.meter.is_some_and(|m| gone.contains(&m));
        let flows: Vec<FlowId> = tables.iter().filter(uses).map(|f| f.id).collect();
        for id in flows {
            self.remove(tables, id, FlowRemovedReason::Delete);
        }
        for meter in gone {
            self.meters.push((meter, tables.meters.restore(meter, None)));
        }
        Ok(())
    }

    fn flow(
        &mut self,
        tables: &mut FlowTables,
        ids: &mut FlowIds,
        ports: &Ports,
        (index, m): (usize, &mut FlowMod),
        (command, headers): (FlowModCommand, Headers),
        now: Instant,
    ) -> Result<(), OfpError> {
        validate::check(m, headers, tables.tables(), ports)?;
        if !matches!(m.command, FlowModCommand::Delete | FlowModCommand::DeleteStrict) {
            tables.groups.check_actions(&m.instructions.apply)?;
            tables.groups.check_actions(&m.instructions.write)?;
            m.instructions.meter.map_or(Ok(()), |meter| tables.meters.check_used(meter))?;
        }
        match command {
            FlowModCommand::Add => self.add(tables, ids, (index, m), now),
            FlowModCommand::Modify | FlowModCommand::ModifyStrict => self.modify(tables, (index, m)),
            FlowModCommand::Delete | FlowModCommand::DeleteStrict => {
                for id in tables.select(&selector(m)) {
                    self.remove(tables, id, FlowRemovedReason::Delete);
                }
                Ok(())
            }
        }
    }

    /// §6.4: an equal flow is cleared, duration included; its counters go over to the new one
    /// unless they are to be reset; no flow-removed is sent.
    fn add(
        &mut self,
        tables: &mut FlowTables,
        ids: &mut FlowIds,
        (index, m): (usize, &mut FlowMod),
        now: Instant,
    ) -> Result<(), OfpError> {
        if m.flags.check_overlap
            && let Some(other) = tables.overlapping(m.table, m.priority, &m.matching)
        {
            let detail = format!(
                "table {}, priority {}: \"{}\" overlaps \"{}\" (cookie {})",
                m.table, m.priority, m.matching, other.matching, other.cookie
            );
            return Err(OfpError::new(ErrorKind::FlowModOverlap, detail));
        }
        let equal = tables.find(m.table, m.priority, &m.matching);
        if equal.is_none() && tables.len() >= tables.capacity() {
            return Err(OfpError::new(
                ErrorKind::FlowModTableFull,
                format!("the switch holds {} flows at most", tables.capacity()),
            ));
        }
        let there = equal.map(|flow| (flow.id, Arc::clone(&flow.matching)));
        let reset = equal.is_some() && m.flags.reset_counts;
        let fresh = there.is_none().then(|| Arc::new(std::mem::take(&mut m.matching)));
        let instructions = Arc::new(std::mem::take(&mut m.instructions));
        self.taken.push(Taken { index, matching: fresh.clone(), instructions: Arc::clone(&instructions) });
        let (id, matching) = there.unwrap_or_else(|| (ids.allocate(), fresh.unwrap_or_default()));
        let (flow, compiled) = compiled(Flow {
            id,
            table: m.table,
            priority: m.priority,
            matching,
            cookie: m.cookie,
            idle_timeout: m.idle_timeout,
            hard_timeout: m.hard_timeout,
            flags: m.flags,
            instructions,
            slow: None,
            added: now,
        })?;
        if reset {
            self.reset.push(id);
        }
        self.put(tables, flow, compiled);
        Ok(())
    }

    /// §6.4: only the instructions change; no flow in the match is no error.
    fn modify(&mut self, tables: &mut FlowTables, (index, m): (usize, &mut FlowMod)) -> Result<(), OfpError> {
        let selected = tables.select(&selector(m));
        let instructions = Arc::new(std::mem::take(&mut m.instructions));
        self.taken.push(Taken { index, matching: None, instructions: Arc::clone(&instructions) });
        let changed = selected.iter().filter_map(|id| tables.get(*id));
        let changed = changed.map(|flow| compiled(Flow { instructions: Arc::clone(&instructions), ..flow.clone() }));
        for (flow, compiled) in changed.collect::<Result<Vec<_>, _>>()? {
            if m.flags.reset_counts {
                self.reset.push(flow.id);
            }
            self.put(tables, flow, compiled);
        }
        Ok(())
    }

    fn put(&mut self, tables: &mut FlowTables, flow: Flow, compiled: CompiledFlow) {
        let id = flow.id;
        let before = tables.put(flow);
        self.touch(id, before, Some(compiled));
    }

    fn remove(&mut self, tables: &mut FlowTables, id: FlowId, reason: FlowRemovedReason) {
        let Some(flow) = tables.take(id) else { return };
        self.touch(id, Some(flow.clone()), None);
        self.removed.push(Removed { flow, reason });
    }

    /// Keeps what a flow was before the batch touched it first, and what it is now.
    fn touch(&mut self, id: FlowId, before: Option<Flow>, now: Option<CompiledFlow>) {
        match self.places.entry(id) {
            Entry::Occupied(place) => self.flows[*place.get()].now = now,
            Entry::Vacant(place) => {
                place.insert(self.flows.len());
                self.flows.push(Touched { id, before, now });
            }
        }
    }
}

#[cfg(test)]
mod tests;
