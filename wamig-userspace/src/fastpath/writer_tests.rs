//! The writer over memory maps: what batches leave behind is used again.

use wamig_common::entry;
use wamig_common::key::{self, FlowKey};
use wamig_common::limits::MAX_SUBTABLES;

use super::*;
use crate::fastpath::maps::Capacity;
use crate::fastpath::memory::{Memory, MemoryMaps};

fn flow(id: u64, mask_bits: u32, value: u64) -> CompiledFlow {
    let (mut key, mut mask) = (FlowKey::default(), FlowMask::default());
    mask.set(key::METADATA, u64::MAX >> (63 - mask_bits));
    key.set(key::METADATA, value & mask.words[0]);
    CompiledFlow {
        id: FlowId(id),
        table: 0,
        priority: 1,
        key,
        mask,
        apply: vec![Op { kind: OUTPUT_SET, value: 0, ..Op::default() }],
        write: Vec::new(),
        sets: vec![vec![id as u32 % 7 + 1, 9]],
        clear: false,
        metadata: (0, 0),
        goto: None,
        meter: 0,
        slow: None,
    }
}

fn small() -> Memory {
    Writer::new(MemoryMaps::with_capacity(Capacity { flows: 9, lists: 5, subtables: 4, port_sets: 6 }))
}

fn one(change: Change) -> Batch {
    Batch { changes: vec![change] }
}

#[test]
fn records_lists_sets_and_subtables_are_used_again() {
    let mut writer = small();
    for round in 0..500u64 {
        let mask = (round % 40) as u32;
        writer.commit(&one(Change::Insert(flow(round, mask, round)))).unwrap_or_else(|e| panic!("round {round}: {e}"));
        writer.commit(&one(Change::Remove(FlowId(round)))).unwrap();
    }
}

#[test]
fn a_batch_that_does_not_fit_changes_nothing() {
    let mut writer = small();
    writer.commit(&one(Change::Insert(flow(0, 0, 0)))).unwrap();
    let many = Batch { changes: (1..=3).map(|i| Change::Insert(flow(i, i as u32, i))).collect() };
    let refused = writer.commit(&many).unwrap_err();
    assert_eq!(refused.kind, ErrorKind::FlowModTableFull, "{refused}");
    assert_eq!((writer.flows.len(), writer.subtables.len(), writer.installed.len()), (1, 1, 1));
    writer.commit(&one(Change::Insert(flow(1, 1, 1)))).unwrap();
}

#[test]
fn the_65th_mask_of_a_table_is_refused() {
    let mut writer = Memory::new(MemoryMaps::default());
    for i in 0..64 {
        writer.commit(&one(Change::Insert(flow(i, i as u32, 0)))).unwrap();
    }
    let mut other = flow(99, 0, 0);
    other.mask.set(key::IN_PORT, 1);
    let refused = writer.commit(&one(Change::Insert(other.clone()))).unwrap_err();
    assert_eq!(refused.kind, ErrorKind::FlowModTableFull);
    assert!(refused.to_string().contains(&MAX_SUBTABLES.to_string()), "{refused}");
    // and fits as soon as another mask has gone
    writer.commit(&one(Change::Remove(FlowId(5)))).unwrap();
    writer.commit(&one(Change::Insert(other))).unwrap();
}

#[test]
fn a_replaced_flow_keeps_its_counters() {
    let mut writer = Memory::new(MemoryMaps::default());
    writer.commit(&one(Change::Insert(flow(1, 0, 0)))).unwrap();
    for round in 1..4 {
        writer.maps_mut().process(1, 1, &[0; 60]);
        assert_eq!(writer.count(FlowId(1)).packets, round);
        writer.commit(&one(Change::Replace(flow(1, 0, 0)))).unwrap();
        assert_eq!(writer.count(FlowId(1)).packets, round);
    }
    writer.reset_count(FlowId(1));
    assert_eq!(writer.count(FlowId(1)).packets, 0);
}

/// Two flows of one mask whose keys have the same digest: what one word adds to the sum, the
/// other takes away. Each word is folded (`w ^ w >> 32`, its own inverse), then multiplied.
fn equal_digests() -> [CompiledFlow; 2] {
    let (a, b) = (key::METADATA, key::IPV6_SRC_HI);
    let factor = |word: usize| entry::tag_word(word, 1);
    // Newton's iteration for the inverse of an odd number modulo 2^64.
    let inverse = (0..6).fold(factor(4), |x, _| x.wrapping_mul(2u64.wrapping_sub(factor(4).wrapping_mul(x))));
    let fold = |w: u64| w ^ w >> 32;
    let pair = [(1u64, 0u64), (0, factor(0).wrapping_mul(inverse))];
    [0, 1].map(|i| {
        let mut flow = flow(i as u64 + 1, 63, 0);
        flow.mask.set(b, u64::MAX);
        flow.key.set(a, fold(pair[i].0));
        flow.key.set(b, fold(pair[i].1));
        flow
    })
}

#[test]
fn of_two_keys_with_one_digest_the_second_is_refused() {
    let [one_flow, other] = equal_digests();
    assert_ne!(one_flow.key, other.key);
    assert_eq!(entry::digest(3, &one_flow.key), entry::digest(3, &other.key), "the pair is forged well");
    let mut writer = Memory::new(MemoryMaps::default());
    let both = Batch { changes: vec![Change::Insert(one_flow.clone()), Change::Insert(other.clone())] };
    let refused = writer.commit(&both).unwrap_err();
    assert_eq!(refused.kind, ErrorKind::FlowModTableFull, "{refused}");
    assert_eq!((writer.flows.len(), writer.installed.len()), (0, 0), "nothing of it is in");
    writer.commit(&one(Change::Insert(one_flow.clone()))).unwrap();
    let refused = writer.commit(&one(Change::Insert(other.clone()))).unwrap_err();
    assert!(refused.kind == ErrorKind::FlowModTableFull && refused.detail.contains("digest"), "{refused}");
    // The writer goes on: another priority of the key that is there, then the other key instead.
    writer.commit(&one(Change::Insert(CompiledFlow { id: FlowId(7), priority: 9, ..one_flow }))).unwrap();
    writer.commit(&Batch { changes: vec![Change::Remove(FlowId(1)), Change::Remove(FlowId(7))] }).unwrap();
    writer.commit(&one(Change::Insert(other))).unwrap();
    assert_eq!((writer.flows.len(), writer.installed.len()), (1, 1));
}
