//! The tables against a plain list of flows, searched from end to end.

use proptest::prelude::*;

use super::*;
use crate::switch::fixtures::{flow, some_match};

fn selector(table: u8) -> impl Strategy<Value = Selector> {
    let table = prop_oneof![4 => Just(TableId(table)), 1 => Just(TableId::ALL), 1 => Just(TableId(200))];
    let out_port = prop_oneof![3 => Just(PortNo::ANY), 1 => Just(PortNo(2))];
    (table, prop::option::of(0u16..3), some_match(), 0u64..4, prop_oneof![Just(0u64), Just(1), Just(3)], out_port)
        .prop_map(|(table, strict, matching, cookie, cookie_mask, out_port)| Selector {
            table,
            strict,
            matching,
            cookie: Cookie(cookie),
            cookie_mask,
            out_port,
            out_group: GroupId::ANY,
        })
}

fn naive(list: &[Flow], s: &Selector) -> Vec<FlowId> {
    let mut found: Vec<_> = list
        .iter()
        .filter(|f| s.table == TableId::ALL || s.table == f.table)
        .filter(|f| match s.strict {
            Some(priority) => f.priority == priority && *f.matching == s.matching,
            None => f.matching.is_within(&s.matching),
        })
        .filter(|f| f.cookie.0 & s.cookie_mask == s.cookie.0 & s.cookie_mask)
        .filter(|f| s.out_port == PortNo::ANY || f.instructions.outputs_to(s.out_port))
        .collect();
    found.sort_by_key(|f| (f.table, Reverse(f.priority), Arc::clone(&f.matching)));
    found.into_iter().map(|f| f.id).collect()
}

proptest! {
    #[test]
    fn lookups_agree_with_a_linear_search(
        flows in prop::collection::vec((0u8..2, 0u16..3, some_match(), 0u64..4, 1u32..4), 0..40),
        taken in prop::collection::vec(any::<prop::sample::Index>(), 0..10),
        asked in selector(1),
        probe in some_match(),
    ) {
        let now = Instant::now();
        let mut tables = FlowTables::new(2, 100);
        let mut list: Vec<Flow> = Vec::new();
        for (i, (table, priority, matching, cookie, out)) in flows.into_iter().enumerate() {
            let equal = list.iter().position(|f| f.table.0 == table && f.priority == priority && *f.matching == matching);
            let new = Flow {
                id: equal.map_or(FlowId(i as u64), |i| list[i].id),
                priority,
                matching: Arc::new(matching),
                cookie: Cookie(cookie),
                instructions: Arc::new(Instructions::apply(vec![wamig_openflow::Action::output(PortNo(out))])),
                ..flow(0, table, 1, now)
            };
            prop_assert_eq!(tables.put(new.clone()), equal.map(|i| list.remove(i)));
            list.push(new);
        }
        for index in taken {
            if !list.is_empty() {
                let gone = list.remove(index.index(list.len()));
                prop_assert_eq!(tables.take(gone.id), Some(gone));
            }
        }
        prop_assert_eq!(tables.select(&asked), naive(&list, &asked));
        prop_assert_eq!(tables.iter().map(|f| f.id).collect::<Vec<_>>(), naive(&list, &Selector::all()));
        prop_assert_eq!(tables.len(), list.len());
        prop_assert_eq!(tables.table_len(TableId(1)), list.iter().filter(|f| f.table.0 == 1).count());
        for table in [TableId(0), TableId(1), TableId(7)] {
            let peers: Vec<_> = list.iter().filter(|f| f.table == table && f.priority == 1).collect();
            prop_assert_eq!(
                tables.find(table, 1, &probe),
                peers.iter().copied().find(|f| *f.matching == probe)
            );
            prop_assert_eq!(
                tables.overlapping(table, 1, &probe).is_some(),
                peers.iter().any(|f| f.matching.overlaps(&probe))
            );
        }
    }
}

#[test]
fn the_table_miss_flow_is_known_by_priority_and_match() {
    let now = Instant::now();
    let any = Arc::new(Match::any());
    assert!(Flow { priority: 0, matching: Arc::clone(&any), ..flow(1, 0, 1, now) }.is_table_miss());
    assert!(!Flow { priority: 1, matching: any, ..flow(1, 0, 1, now) }.is_table_miss());
    assert!(!Flow { priority: 0, ..flow(1, 0, 1, now) }.is_table_miss());
}
