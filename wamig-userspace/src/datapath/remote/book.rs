//! Two lists of a remote switch's flows: those the controller wants, and those of ours that the
//! switch has. A batch changes the first; what is sent is the difference of the two, so that
//! after a reconnection only what is missing is added, and only what is ours is deleted.

use std::collections::{BTreeMap, BTreeSet};

use wamig_openflow::{
    Cookie, ErrorKind, FlowMod, FlowModCommand, FlowModFlags, FlowRemoved, FlowStats, GroupId, Instructions, Match,
    OfpError, PortNo, TableId,
};

use super::fragment;
use super::marks::Marks;

/// What tells flows apart (OpenFlow 1.3.5 §5.2): table, priority, match.
type Key = (TableId, u16, Match);

/// The rest of a flow.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Entry {
    cookie: Cookie,
    idle_timeout: u16,
    hard_timeout: u16,
    flags: FlowModFlags,
    instructions: Instructions,
}

/// The two lists.
#[derive(Debug, Default)]
pub struct Book {
    wanted: BTreeMap<Key, Entry>,
    installed: BTreeMap<Key, Entry>,
    /// Flows of others.
    foreign: BTreeSet<Key>,
    /// The next batch is the whole of what is wanted.
    fresh: bool,
    /// Later fragments are kept from flows that write addresses ([`fragment::detours`]).
    detours: bool,
    /// Which are ours.
    marks: Marks,
}

/// What a batch comes to on the switch.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Plan {
    /// To be sent: what is added stands before what is deleted.
    pub mods: Vec<FlowMod>,
    /// Takes back what of `mods` has been done, in the opposite order.
    pub undo: Vec<FlowMod>,
    wanted: BTreeMap<Key, Option<Entry>>,
    installed: Vec<(Key, Option<Entry>)>,
}

impl Book {
    /// The switch was connected and has these flows; what was wanted before is forgotten. With
    /// `detours`, later fragments are kept from flows that write addresses.
    pub fn begin(&mut self, flows: Vec<FlowStats>, detours: bool, marks: Marks) {
        *self = Self { fresh: true, detours, marks, ..Self::default() };
        for flow in flows {
            let key = (flow.table, flow.priority, flow.matching);
            if marks.is_ours(flow.cookie) {
                let entry = Entry {
                    cookie: flow.cookie,
                    idle_timeout: flow.idle_timeout,
                    hard_timeout: flow.hard_timeout,
                    flags: flow.flags,
                    instructions: flow.instructions,
                };
                self.installed.insert(key, entry);
            } else {
                self.foreign.insert(key);
            }
        }
    }

    /// Flows of ours on the switch.
    pub fn count(&self) -> usize {
        self.installed.len()
    }

    /// What a batch comes to.
    ///
    /// # Errors
    /// `OFPFMFC_OVERLAP`: it would replace a flow of somebody else.
    pub fn plan(&self, batch: &[FlowMod]) -> Result<Plan, OfpError> {
        let mut plan = Plan::default();
        let mut named = BTreeSet::new();
        for change in batch {
            if change.command == FlowModCommand::Add {
                named.insert((change.table, change.priority, change.matching.clone()));
            }
            self.change(&mut plan.wanted, change);
        }
        let detour = self.detour();
        let mut goal = plan.wanted.clone();
        if self.fresh {
            for key in self.installed.keys() {
                goal.entry(key.clone()).or_insert(None);
            }
        }
        self.add_detours(&mut goal);
        let (mut deleted, mut restored) = (Vec::new(), Vec::new());
        for (key, entry) in goal {
            let there = self.installed.get(&key);
            // An add that is repeated is sent again: the switch may have lost the flow.
            let again = named.contains(&key) || entry.as_ref().is_some_and(|e| e.cookie == detour.cookie);
            if there == entry.as_ref() && (self.fresh || entry.is_none() || !again) {
                continue;
            }
            if entry.is_some() && there.is_none() && self.foreign.contains(&key) {
                return Err(taken(&key));
            }
            match &entry {
                Some(entry) => plan.mods.push(add(&key, entry)),
                None => deleted.extend(there.map(|old| delete(&key, old.cookie))),
            }
            restored.push(match (there, &entry) {
                (Some(old), _) => add(&key, old),
                (None, Some(new)) => delete(&key, new.cookie),
                (None, None) => continue,
            });
            plan.installed.push((key, entry));
        }
        // Never the flow without its detours: they come before it and go after it.
        plan.mods.sort_by_key(|m| m.cookie != detour.cookie);
        deleted.sort_by_key(|m| m.cookie == detour.cookie);
        plan.mods.extend(deleted);
        restored.reverse();
        restored.sort_by_key(|m| {
            let adds = m.command == FlowModCommand::Add;
            (!adds, adds != (m.cookie == detour.cookie))
        });
        plan.undo = restored;
        Ok(plan)
    }

    /// With every flow come and go its detours.
    fn add_detours(&self, goal: &mut BTreeMap<Key, Option<Entry>>) {
        if !self.detours {
            return;
        }
        let mut more = BTreeMap::new();
        for (key, entry) in goal.iter() {
            let old = self.wanted.get(key).into_iter().flat_map(|e| detours(key, e));
            more.extend(old.map(|key| (key, None)));
            more.extend(entry.iter().flat_map(|e| detours(key, e)).map(|key| (key, Some(self.detour()))));
        }
        goal.extend(more);
    }

    fn detour(&self) -> Entry {
        Entry {
            cookie: self.marks.cookie_out(fragment::COOKIE),
            idle_timeout: 0,
            hard_timeout: 0,
            flags: FlowModFlags::default(),
            instructions: fragment::instructions(),
        }
    }

    /// The switch has carried out a plan.
    pub fn commit(&mut self, plan: Plan) {
        self.fresh = false;
        for (key, entry) in plan.wanted {
            set(&mut self.wanted, key, entry);
        }
        for (key, entry) in plan.installed {
            set(&mut self.installed, key, entry);
        }
    }

    /// The switch says that a flow is gone. True if it was wanted.
    pub fn removed(&mut self, removed: &FlowRemoved) -> bool {
        let stats = &removed.stats;
        let key = (stats.table, stats.priority, stats.matching.clone());
        let same = |entry: &Entry| entry.cookie == stats.cookie;
        if self.installed.get(&key).is_some_and(same) {
            self.installed.remove(&key);
        }
        self.wanted.get(&key).is_some_and(same) && self.wanted.remove(&key).is_some()
    }

    /// Adds to `changes` what a flow-mod does to the flows that are wanted (§6.4).
    fn change(&self, changes: &mut BTreeMap<Key, Option<Entry>>, m: &FlowMod) {
        let exact = (m.table, m.priority, m.matching.clone());
        let meant: Vec<(Key, Entry)> = match m.command {
            FlowModCommand::Add => {
                changes.insert(exact, Some(entry(m)));
                return;
            }
            FlowModCommand::ModifyStrict | FlowModCommand::DeleteStrict => {
                let found = changes.get(&exact).map_or_else(|| self.wanted.get(&exact), Option::as_ref);
                found.filter(|e| passes(m, e)).cloned().map(|e| (exact, e)).into_iter().collect()
            }
            FlowModCommand::Modify | FlowModCommand::Delete => {
                let old = self.wanted.iter().filter(|(key, _)| !changes.contains_key(*key));
                let new = changes.iter().filter_map(|(key, entry)| Some((key, entry.as_ref()?)));
                let in_table = |key: &Key| m.table == TableId::ALL || m.table == key.0;
                let all =
                    old.chain(new).filter(|(key, e)| in_table(key) && key.2.is_within(&m.matching) && passes(m, e));
                all.map(|(key, e)| (key.clone(), e.clone())).collect()
            }
        };
        let deletes = matches!(m.command, FlowModCommand::Delete | FlowModCommand::DeleteStrict);
        for (key, old) in meant {
            let new = (!deletes).then(|| Entry { instructions: m.instructions.clone(), ..old });
            changes.insert(key, new);
        }
    }
}

/// Where the detours of a flow are.
fn detours((table, priority, matching): &Key, entry: &Entry) -> Vec<Key> {
    let Some(above) = priority.checked_add(1) else { return Vec::new() };
    fragment::detours(matching, &entry.instructions).into_iter().map(|m| (*table, above, m)).collect()
}

fn set(list: &mut BTreeMap<Key, Entry>, key: Key, entry: Option<Entry>) {
    match entry {
        Some(entry) => drop(list.insert(key, entry)),
        None => drop(list.remove(&key)),
    }
}

/// Whether cookie and output of a flow are those that a modify or a delete asks for.
fn passes(m: &FlowMod, entry: &Entry) -> bool {
    (entry.cookie.0 ^ m.cookie.0) & m.cookie_mask == 0
        && (m.out_port == PortNo::ANY || entry.instructions.outputs_to(m.out_port))
        && (m.out_group == GroupId::ANY || entry.instructions.uses_group(m.out_group))
}

fn entry(m: &FlowMod) -> Entry {
    Entry {
        cookie: m.cookie,
        idle_timeout: m.idle_timeout,
        hard_timeout: m.hard_timeout,
        flags: m.flags,
        instructions: m.instructions.clone(),
    }
}

fn add((table, priority, matching): &Key, entry: &Entry) -> FlowMod {
    FlowMod {
        idle_timeout: entry.idle_timeout,
        hard_timeout: entry.hard_timeout,
        flags: entry.flags,
        ..FlowMod::add(*table, *priority, matching.clone(), entry.instructions.clone(), entry.cookie)
    }
}

/// Deletes the flow only while it has our cookie.
fn delete((table, priority, matching): &Key, cookie: Cookie) -> FlowMod {
    FlowMod { cookie, cookie_mask: u64::MAX, ..FlowMod::delete_strict(*table, *priority, matching.clone()) }
}

fn taken((table, priority, matching): &Key) -> OfpError {
    OfpError::new(
        ErrorKind::FlowModOverlap,
        format!(
            "table={table},priority={priority},{matching}: somebody else's flow is there; move it to another priority, or delete it \
             if wamig left it there under other cookies"
        ),
    )
}

#[cfg(test)]
mod tests {
    use wamig_openflow::{Action, Field, FlowRemovedReason};

    use super::*;
    use crate::datapath::remote::described as stats;
    use crate::migration::cookie;

    const OURS: Cookie = Cookie(cookie::SPACE | 7);

    fn matching(port: u32) -> Match {
        Match::any().in_port(PortNo(port))
    }

    fn flow(port: u32, out: u32) -> FlowMod {
        FlowMod::add(TableId(0), 5, matching(port), Instructions::apply(vec![Action::output(PortNo(out))]), OURS)
    }

    fn texts(mods: &[FlowMod]) -> Vec<(FlowModCommand, String)> {
        mods.iter().map(|m| (m.command, m.matching.to_string())).collect()
    }

    #[test]
    fn after_a_connection_only_the_difference_is_sent_and_only_ours_is_deleted() {
        let mut book = Book::default();
        let theirs = FlowMod { cookie: Cookie(9), ..flow(4, 1) };
        book.begin([flow(1, 2), flow(2, 9), flow(3, 1), theirs].iter().map(stats).collect(), false, Marks::default());
        let batch = [FlowMod::delete_by_cookie(Cookie(cookie::SPACE), cookie::SPACE_MASK), flow(1, 2), flow(2, 1)];
        let plan = book.plan(&batch).unwrap();
        assert_eq!(
            texts(&plan.mods),
            [(FlowModCommand::Add, "in_port=2".into()), (FlowModCommand::DeleteStrict, "in_port=3".into())]
        );
        assert!(plan.mods[1].cookie_mask == u64::MAX && plan.mods[1].cookie == OURS, "only while it is ours");
        assert_eq!(
            texts(&plan.undo),
            [(FlowModCommand::Add, "in_port=3".into()), (FlowModCommand::Add, "in_port=2".into())]
        );
        book.commit(plan);
        assert_eq!(book.count(), 2);
        assert_eq!(book.plan(&[flow(1, 2)]).unwrap().mods.len(), 1, "an add that is repeated is sent");
    }

    #[test]
    fn a_flow_of_somebody_else_is_never_replaced() {
        let mut book = Book::default();
        book.begin(vec![stats(&FlowMod { cookie: Cookie(9), ..flow(4, 1) })], false, Marks::default());
        let refused = book.plan(&[flow(4, 2)]).unwrap_err();
        assert_eq!(refused.kind, ErrorKind::FlowModOverlap);
    }

    #[test]
    fn deletes_and_modifies_are_worked_out_here() {
        let mut book = Book::default();
        book.begin(Vec::new(), false, Marks::default());
        let other = FlowMod { cookie: Cookie(OURS.0 + 1), ..flow(2, 1) };
        book.commit(book.plan(&[flow(1, 2), other]).unwrap());
        let modify = FlowMod { command: FlowModCommand::Modify, cookie_mask: u64::MAX, ..flow(1, 7) };
        let plan = book.plan(&[FlowMod { matching: Match::any(), ..modify }]).unwrap();
        assert_eq!(texts(&plan.mods), [(FlowModCommand::Add, "in_port=1".into())]);
        let plan = book.plan(&[FlowMod::delete_by_cookie(OURS, u64::MAX)]).unwrap();
        assert_eq!(texts(&plan.mods), [(FlowModCommand::DeleteStrict, "in_port=1".into())]);
        book.commit(plan);
        let undone = book.plan(&[FlowMod::delete_by_cookie(OURS, u64::MAX)]).unwrap();
        assert_eq!(undone.mods, []);
    }

    #[test]
    fn where_fragments_would_be_damaged_detours_come_and_go_with_the_flows_that_write_addresses() {
        let to = std::net::Ipv4Addr::new(192, 0, 2, 53);
        let write = Instructions::apply(vec![Action::set_ip(Field::Ipv4Dst, to), Action::output(PortNo(2))]);
        let moved = FlowMod::add(TableId(0), 5, Match::any().ipv4().ip(Field::Ipv4Dst, to), write, OURS);
        let mut book = Book::default();
        book.begin(Vec::new(), true, Marks::default());
        let plan = book.plan(&[moved.clone(), flow(1, 2)]).unwrap();
        let sent = |plan: &Plan| plan.mods.iter().map(|m| (m.command, m.priority)).collect::<Vec<_>>();
        let (add, delete) = (FlowModCommand::Add, FlowModCommand::DeleteStrict);
        assert_eq!(sent(&plan), [(add, 6), (add, 6), (add, 5), (add, 5)], "never the flow without them");
        assert_eq!(plan.undo.len(), 4);
        let there: Vec<_> = plan.mods.iter().map(stats).collect();
        book.commit(plan);
        let plan = book.plan(&[FlowMod::delete_by_cookie(OURS, u64::MAX)]).unwrap();
        assert_eq!(sent(&plan), [(delete, 5), (delete, 5), (delete, 6), (delete, 6)], "nor when it goes");
        book.commit(plan);
        // A switch that is connected again and has them already; then one that needs none.
        book.begin(there.clone(), true, Marks::default());
        assert_eq!(sent(&book.plan(&[moved.clone(), flow(1, 2)]).unwrap()), []);
        book.begin(there, false, Marks::default());
        assert_eq!(sent(&book.plan(&[moved, flow(1, 2)]).unwrap()), [(delete, 6), (delete, 6)]);
    }

    #[test]
    fn a_flow_that_expired_is_neither_wanted_nor_there() {
        let mut book = Book::default();
        book.begin(Vec::new(), false, Marks::default());
        book.commit(book.plan(&[flow(1, 2)]).unwrap());
        let removed = FlowRemoved { reason: FlowRemovedReason::IdleTimeout, stats: stats(&flow(1, 2)) };
        assert!(book.removed(&removed));
        assert!(!book.removed(&removed), "once");
        assert_eq!(book.plan(&[FlowMod::delete_strict(TableId(0), 5, matching(1))]).unwrap().mods, []);
    }
}
