//! A batch is all or nothing, and its net change is what makes the fast path equal to the
//! tables.

use std::collections::BTreeMap;

use proptest::prelude::*;
use wamig_openflow::{Action, Cookie, Field, FlowModFlags, Instructions, Match, TableId};

use super::*;
use crate::switch::fixtures::{port, some_mod};

struct World {
    tables: FlowTables,
    ids: FlowIds,
    ports: Ports,
    now: Instant,
}

impl World {
    fn new(capacity: usize) -> Self {
        Self {
            tables: FlowTables::new(3, capacity),
            ids: FlowIds::default(),
            ports: Ports::new([port(1), port(2), port(3)]),
            now: Instant::now(),
        }
    }

    fn begin(&mut self, mods: Vec<FlowMod>) -> Result<Staged, OfpError> {
        let mods = mods.into_iter().map(Modification::Flow).collect();
        begin(&mut self.tables, &mut self.ids, &self.ports, mods, self.now).map_err(|refused| refused.error)
    }

    fn apply(&mut self, mods: Vec<FlowMod>) -> Batch {
        self.begin(mods).unwrap().batch(&self.tables)
    }

    fn only(&self) -> &Flow {
        assert_eq!(self.tables.len(), 1);
        self.tables.iter().next().unwrap()
    }
}

fn add(priority: u16, matching: Match, out: u32) -> FlowMod {
    FlowMod::add(TableId(0), priority, matching, Instructions::apply(vec![Action::output(PortNo(out))]), Cookie(7))
}

/// What a fast path holds after a batch, refusing what its contract forbids.
fn carry_out(held: &mut BTreeMap<FlowId, CompiledFlow>, batch: &Batch) {
    for change in &batch.changes {
        match change {
            Change::Insert(flow) => {
                let place = |f: &CompiledFlow| (f.table, f.priority, f.key, f.mask);
                assert!(held.values().all(|f| place(f) != place(flow)), "inserted over another flow");
                assert!(held.insert(flow.id, flow.clone()).is_none(), "an id was used again");
            }
            Change::Replace(flow) => {
                assert!(held.insert(flow.id, flow.clone()).is_some(), "replaced what is not there");
            }
            Change::Remove(id) => assert!(held.remove(id).is_some(), "removed what is not there"),
        }
    }
}

fn compiled(tables: &FlowTables) -> BTreeMap<FlowId, CompiledFlow> {
    let flows = tables.iter().map(|f| {
        (f.id, compile(f.id, f.table, f.priority, &f.matching, &f.instructions).expect("it was compiled before"))
    });
    flows.collect()
}

proptest! {
    #[test]
    fn a_refused_or_reverted_batch_leaves_everything_as_it_was(
        first in prop::collection::vec(some_mod(), 0..20),
        second in prop::collection::vec(some_mod(), 1..12),
    ) {
        let mut w = World::new(12);
        for m in first {
            let _ = w.begin(vec![m]);
        }
        let before = w.tables.clone();
        w.now += std::time::Duration::from_secs(1);
        if let Ok(staged) = w.begin(second) {
            staged.revert(&mut w.tables);
        }
        prop_assert_eq!(&w.tables, &before);
    }

    #[test]
    fn net_changes_keep_the_fast_path_equal_to_the_tables(
        batches in prop::collection::vec(prop::collection::vec(some_mod(), 1..6), 0..12),
    ) {
        let mut w = World::new(12);
        let mut held = BTreeMap::new();
        for mods in batches {
            if let Ok(mut staged) = w.begin(mods) {
                carry_out(&mut held, &staged.batch(&w.tables));
            }
            prop_assert_eq!(&held, &compiled(&w.tables));
        }
    }

    #[test]
    fn a_batch_equals_its_flow_mods_one_by_one(mods in prop::collection::vec(some_mod(), 1..12)) {
        let (mut one, mut all) = (World::new(12), World::new(12));
        let whole = all.begin(mods.clone());
        let each: Result<Vec<_>, _> = mods.into_iter().map(|m| one.begin(vec![m])).collect();
        prop_assert_eq!(whole.is_ok(), each.is_ok());
        if let (Ok(whole), Ok(each)) = (whole, each) {
            let describe = |t: &FlowTables| t.iter().map(|f| (f.table, f.priority, f.matching.clone(), f.cookie, f.instructions.clone())).collect::<Vec<_>>();
            prop_assert_eq!(describe(&one.tables), describe(&all.tables));
            prop_assert_eq!(whole.removed().len(), each.iter().map(|s| s.removed().len()).sum::<usize>());
        }
    }
}

#[test]
fn adding_an_equal_flow_restarts_it_and_keeps_its_counters() {
    let mut w = World::new(9);
    w.apply(vec![add(5, Match::any(), 1)]);
    let first = w.only().clone();
    w.now += std::time::Duration::from_secs(3);
    let mut staged = w.begin(vec![FlowMod { cookie: Cookie(8), idle_timeout: 4, ..add(5, Match::any(), 2) }]).unwrap();
    assert!(matches!(staged.batch(&w.tables).changes.as_slice(), [Change::Replace(f)] if f.id == first.id));
    assert!(staged.reset().is_empty() && staged.removed().is_empty());
    let second = w.only();
    assert_eq!((second.added, second.cookie, second.idle_timeout), (w.now, Cookie(8), 4));
    let reset = FlowModFlags { reset_counts: true, ..FlowModFlags::default() };
    let mut staged = w.begin(vec![FlowMod { flags: reset, ..add(5, Match::any(), 2) }]).unwrap();
    assert_eq!(staged.reset(), [first.id]);
    assert!(staged.batch(&w.tables).changes.is_empty(), "the same instructions again");
}

#[test]
fn modify_changes_the_instructions_alone() {
    let mut w = World::new(9);
    w.apply(vec![FlowMod { idle_timeout: 9, ..add(5, Match::any().in_port(PortNo(1)), 1) }]);
    let first = w.only().clone();
    w.now += std::time::Duration::from_secs(3);
    let modify = FlowMod { command: FlowModCommand::Modify, ..add(0, Match::any(), 2) };
    w.apply(vec![modify.clone()]);
    let expected = Flow { instructions: Arc::new(modify.instructions.clone()), ..first.clone() };
    assert_eq!(*w.only(), expected);
    let strict = FlowMod { command: FlowModCommand::ModifyStrict, ..add(5, Match::any(), 3) };
    assert!(w.apply(vec![strict]).changes.is_empty(), "another match");
    let other_cookie = FlowMod { cookie: Cookie(1), cookie_mask: u64::MAX, ..modify };
    assert!(w.apply(vec![FlowMod { instructions: Instructions::drop(), ..other_cookie }]).changes.is_empty());
}

#[test]
fn overlap_is_refused_only_when_asked_for() {
    let mut w = World::new(9);
    w.apply(vec![add(5, Match::any().in_port(PortNo(1)), 1)]);
    let check = FlowModFlags { check_overlap: true, ..FlowModFlags::default() };
    let m = FlowMod { flags: check, ..add(5, Match::any().ipv4(), 1) };
    assert_eq!(w.begin(vec![m.clone()]).unwrap_err().kind, ErrorKind::FlowModOverlap);
    w.apply(vec![FlowMod { priority: 6, ..m.clone() }]);
    w.apply(vec![FlowMod { matching: Match::any().in_port(PortNo(2)), ..m }]);
}

#[test]
fn a_full_switch_takes_replacements_only() {
    let mut w = World::new(2);
    w.apply(vec![add(1, Match::any(), 1), add(2, Match::any(), 1)]);
    let err = w.begin(vec![add(3, Match::any(), 1)]).unwrap_err();
    assert_eq!(err.kind, ErrorKind::FlowModTableFull);
    assert!(err.detail.contains('2'), "{err}");
    w.apply(vec![add(2, Match::any(), 3)]);
    w.apply(vec![FlowMod::delete_strict(TableId(0), 2, Match::any()), add(3, Match::any(), 1)]);
}

#[test]
fn what_came_and_went_within_a_batch_never_reaches_the_fast_path() {
    let mut w = World::new(9);
    let flags = FlowModFlags { send_flow_removed: true, ..FlowModFlags::default() };
    let m = FlowMod { flags, ..add(1, Match::any(), 1) };
    let mut staged = w.begin(vec![m, FlowMod::delete_strict(TableId::ALL, 1, Match::any())]).unwrap();
    assert!(staged.batch(&w.tables).changes.is_empty());
    assert_eq!(staged.removed().len(), 1);
}

#[test]
fn a_match_that_changes_hands_is_freed_before_it_is_taken() {
    let mut w = World::new(9);
    w.apply(vec![add(1, Match::any(), 1)]);
    let batch = w.apply(vec![FlowMod::delete_strict(TableId(0), 1, Match::any()), add(1, Match::any(), 2)]);
    assert!(matches!(batch.changes.as_slice(), [Change::Remove(_), Change::Insert(_)]));
}

#[test]
fn the_error_names_the_flow_mod_of_the_batch() {
    let mut w = World::new(9);
    let bad = add(1, Match::any().with(Field::TcpDst, 80), 1);
    let err = w.begin(vec![add(1, Match::any(), 1), bad]).unwrap_err();
    assert_eq!(err.kind, ErrorKind::BadMatchBadPrereq);
    assert!(err.detail.starts_with("flow-mod 2 of 2: tcp_dst"), "{err}");
    assert!(w.tables.is_empty());
}
