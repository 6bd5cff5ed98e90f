//! Needs, told from the flows.

use wamig_openflow::{Action, Field, Instructions, MacAddr, Match, PortNo, TableId};

use super::*;
use crate::fastpath::FlowId;
use crate::fastpath::compile::compile;

fn flow(table: u8, matching: Match, instructions: Instructions) -> CompiledFlow {
    compile(FlowId(1), TableId(table), 10, &matching, &instructions).unwrap()
}

#[test]
fn no_flow_needs_one_lookup_that_misses() {
    let needed = Constants::needed([]);
    assert_eq!((needed.tables, needed.masks, needed.words), (1, 0, 0));
    assert!(!needed.edits && !needed.action_set);
}

#[test]
fn tables_count_whether_flows_are_in_them_or_go_there() {
    let flows = [flow(2, Match::any(), Instructions::goto(TableId(7))), flow(2, Match::any(), Instructions::drop())];
    assert_eq!(Constants::needed(&flows).tables, 3);
}

#[test]
fn the_fullest_table_tells_the_number_of_masks() {
    let port = |n| Match::any().in_port(PortNo(n));
    let mac = || Match::any().mac(Field::EthDst, MacAddr([2, 0, 0, 0, 0, 1]));
    let drop = Instructions::drop;
    let flows = [flow(0, port(1), drop()), flow(0, port(2), drop()), flow(1, port(1), drop()), flow(1, mac(), drop())];
    let needed = Constants::needed(&flows);
    assert_eq!((needed.masks, needed.words), (2, 1 << 1 | 1 << 2));
}

#[test]
fn edits_and_the_action_set_are_needed_where_an_action_says_so() {
    let set = || Action::set_mac(Field::EthDst, MacAddr([2, 0, 0, 0, 0, 1]));
    let output = || Action::output(PortNo(1));
    let needed = |instructions| Constants::needed(&[flow(0, Match::any(), instructions)]);
    let sends = needed(Instructions::apply(vec![output()]));
    assert!(!sends.edits && !sends.action_set);
    let edits = needed(Instructions::apply(vec![set(), output()]));
    assert!(edits.edits && !edits.action_set);
    let writes = needed(Instructions { write: vec![set(), output()], ..Instructions::drop() });
    assert!(writes.edits && writes.action_set);
}

#[test]
fn two_needs_together_are_covered_by_their_sum_only() {
    let left = Constants { tables: 3, masks: 2, words: 1, action_set: false, edits: true, cache: true };
    let right = Constants { tables: 1, masks: 9, words: 2, action_set: true, edits: false, cache: true };
    let both = left.and(&right);
    assert_eq!(both, Constants { tables: 3, masks: 9, words: 3, action_set: true, edits: true, cache: true });
    assert!(both.covers(&left) && both.covers(&right) && !left.covers(&both) && !right.covers(&both));
}

#[test]
fn a_program_covers_what_it_was_made_for_and_less() {
    let general = Constants::default();
    let small = Constants { tables: 1, masks: 2, words: 3, action_set: false, edits: true, cache: false };
    assert!(general.covers(&small) && small.covers(&small) && !small.covers(&general));
    let changed = [
        Constants { tables: 2, ..small },
        Constants { masks: 3, ..small },
        Constants { words: 4, ..small },
        Constants { action_set: true, ..small },
    ];
    assert!(changed.iter().all(|more| !small.covers(more) && general.covers(more)));
    assert!(!Constants { edits: false, ..small }.covers(&small));
}
