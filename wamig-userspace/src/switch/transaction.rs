//! A batch of modifications as one change (after Open vSwitch's begin, revert, finish).
//!
//! *Begin* checks and carries out every modification in order on the tables themselves, so
//! each sees what those before it did, and notes how to undo it. One that is refused has
//! changed nothing: a step checks all that it will do before it does any of it. *Revert* puts
//! the tables back as they were: when a modification is refused (by `begin` itself), or when
//! the fast path refuses the batch. What is sent to the fast path is the net change: a flow that is added and
//! deleted within the batch never reaches it. The notices of removed flows are given out
//! only once nothing can fail any more.

use std::sync::Arc;
use std::time::Instant;

use wamig_openflow::message::{GroupMod, GroupModCommand, MeterMod, MeterModCommand};
use wamig_openflow::{ErrorKind, FlowMod, FlowModCommand, FlowRemovedReason, GroupId, MeterId, OfpError, PortNo};

use super::flow_table::{Flow, FlowTables, Selector};
use super::group::Group;
use super::meter::Meter;
use super::modification::{Modification, Refused};
use super::port::Ports;
use super::port_config;
use super::validate::{self, Headers};
use crate::fastpath::compile::compile;
use crate::fastpath::{Batch, Change, CompiledFlow, FlowId};
use crate::hash::Map;

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
    /// What each touched flow was before the batch (`None`: not there), in the order of touch.
    before: Vec<(FlowId, Option<Flow>)>,
    touched: Map<FlowId, Option<CompiledFlow>>,
    removed: Vec<Removed>,
    reset: Vec<FlowId>,
    /// What each touched group was before the batch, in the order of touch; the first counts.
    groups: Vec<(GroupId, Option<Group>)>,
    /// The same for meters.
    meters: Vec<(MeterId, Option<Meter>)>,
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
    mods: Vec<Modification>,
    now: Instant,
) -> Result<Staged, Refused> {
    let mut staged = Staged::default();
    let count = mods.len();
    for (index, m) in mods.into_iter().enumerate() {
        let name = m.name();
        if let Err(mut error) = staged.step(tables, ids, ports, m, now) {
            if count > 1 {
                error.detail = format!("{name} {} of {count}: {}", index + 1, error.detail);
            }
            staged.revert(tables);
            return Err(Refused { index, error });
        }
    }
    Ok(staged)
}

/// Carries out of the batch what can be carried out, and tells what became of each.
pub fn begin_each(
    tables: &mut FlowTables,
    ids: &mut FlowIds,
    ports: &Ports,
    mods: Vec<Modification>,
    now: Instant,
) -> (Staged, Vec<Result<(), OfpError>>) {
    let mut staged = Staged::default();
    let verdicts = mods.into_iter().map(|m| staged.step(tables, ids, ports, m, now)).collect();
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
    /// The net change for the fast path: removals, then replacements, then insertions, so
    /// that a match which changed hands is free before it is taken.
    ///
    /// It is made once: the compiled flows go into it.
    pub fn batch(&mut self, tables: &FlowTables) -> Batch {
        let mut removals = Vec::new();
        let mut replacements = Vec::new();
        let mut insertions = Vec::new();
        for (id, before) in &self.before {
            match (before, self.touched.get_mut(id).and_then(Option::take)) {
                (Some(_), None) => removals.push(Change::Remove(*id)),
                (Some(old), Some(flow)) => {
                    // A flow that is only refreshed costs the fast path nothing.
                    if tables.get(*id).is_none_or(|new| new.instructions != old.instructions) {
                        replacements.push(Change::Replace(flow));
                    }
                }
                (None, Some(flow)) => insertions.push(Change::Insert(flow)),
                (None, None) => {}
            }
        }
        removals.append(&mut replacements);
        removals.append(&mut insertions);
        Batch { changes: removals }
    }

    /// Flows that the batch added, changed or took out.
    pub fn touched(&self) -> impl Iterator<Item = FlowId> {
        self.before.iter().map(|(id, _)| *id)
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
        for (id, _) in &self.before {
            tables.take(*id);
        }
        for (_, before) in self.before {
            if let Some(flow) = before {
                tables.put(flow);
            }
        }
    }

    fn step(
        &mut self,
        tables: &mut FlowTables,
        ids: &mut FlowIds,
        ports: &Ports,
        m: Modification,
        now: Instant,
    ) -> Result<(), OfpError> {
        match m {
            Modification::Flow(m) => self.flow(tables, ids, ports, (m, Headers::Named), now),
            Modification::FlowV10(mut m) => {
                let modifies = matches!(m.command, FlowModCommand::Modify | FlowModCommand::ModifyStrict);
                if modifies && tables.select(&selector(&m)).is_empty() {
                    m.command = FlowModCommand::Add;
                }
                self.flow(tables, ids, ports, (m, Headers::WhereThere), now)
            }
            // Carried out by whoever commits the batch: they are no part of the tables.
            Modification::Port(m) => port_config::check_port(&m, ports),
            Modification::Table(m) => port_config::check_table(m, tables.tables()),
            Modification::Group(m) => self.group(tables, ports, &m, now),
            Modification::Meter(m) => self.meter(tables, &m, now),
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
        (m, headers): (FlowMod, Headers),
        now: Instant,
    ) -> Result<(), OfpError> {
        validate::check(&m, headers, tables.tables(), ports)?;
        if !matches!(m.command, FlowModCommand::Delete | FlowModCommand::DeleteStrict) {
            tables.groups.check_actions(&m.instructions.apply)?;
            tables.groups.check_actions(&m.instructions.write)?;
            m.instructions.meter.map_or(Ok(()), |meter| tables.meters.check_used(meter))?;
        }
        match m.command {
            FlowModCommand::Add => self.add(tables, ids, m, now),
            FlowModCommand::Modify | FlowModCommand::ModifyStrict => self.modify(tables, m),
            FlowModCommand::Delete | FlowModCommand::DeleteStrict => {
                for id in tables.select(&selector(&m)) {
                    self.remove(tables, id, FlowRemovedReason::Delete);
                }
                Ok(())
            }
        }
    }

    /// §6.4: an equal flow is cleared, duration included; its counters go over to the new one
    /// unless they are to be reset; no flow-removed is sent.
    fn add(&mut self, tables: &mut FlowTables, ids: &mut FlowIds, m: FlowMod, now: Instant) -> Result<(), OfpError> {
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
        let (id, matching) = match equal {
            Some(flow) => (flow.id, Arc::clone(&flow.matching)),
            None => (ids.allocate(), Arc::new(m.matching)),
        };
        let reset = equal.is_some() && m.flags.reset_counts;
        let (flow, compiled) = compiled(Flow {
            id,
            table: m.table,
            priority: m.priority,
            matching,
            cookie: m.cookie,
            idle_timeout: m.idle_timeout,
            hard_timeout: m.hard_timeout,
            flags: m.flags,
            instructions: Arc::new(m.instructions),
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
    fn modify(&mut self, tables: &mut FlowTables, m: FlowMod) -> Result<(), OfpError> {
        let selected = tables.select(&selector(&m));
        let instructions = Arc::new(m.instructions);
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
        self.note(id, before);
        self.touched.insert(id, Some(compiled));
    }

    fn remove(&mut self, tables: &mut FlowTables, id: FlowId, reason: FlowRemovedReason) {
        let Some(flow) = tables.take(id) else { return };
        self.note(id, Some(flow.clone()));
        self.touched.insert(id, None);
        self.removed.push(Removed { flow, reason });
    }

    /// Keeps what a flow was before the batch touched it first.
    fn note(&mut self, id: FlowId, before: Option<Flow>) {
        if !self.touched.contains_key(&id) {
            self.before.push((id, before));
        }
    }
}

#[cfg(test)]
mod tests;
