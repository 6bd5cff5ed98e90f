//! Random groups, with buckets that watch ports and groups, chained to each other. There are no select groups: which bucket
//! a frame takes is the switch's own affair (§5.6.1).

use wamig_openflow::message::{Bucket, GroupMod, GroupModCommand, GroupType};
use wamig_openflow::{GroupId, PortNo};

use super::Dice;
use super::rule::some_bucket_actions;
use crate::paths::DEAD_PORT;

/// Up to five groups, numbered from 1; each names those before it only.
pub fn some_groups(dice: &mut Dice) -> Vec<GroupMod> {
    (0..dice.below(6) as u32).map(|before| some_group(dice, before)).collect()
}

fn some_group(dice: &mut Dice, before: u32) -> GroupMod {
    let ty = dice.pick(&[GroupType::All, GroupType::Indirect, GroupType::FastFailover]);
    let buckets = if ty == GroupType::Indirect { 1 } else { dice.below(4) };
    let buckets = (0..buckets).map(|_| some_bucket(dice, ty, before)).collect();
    GroupMod { command: GroupModCommand::Add, ty, group: GroupId(before + 1), buckets }
}

fn some_bucket(dice: &mut Dice, ty: GroupType, before: u32) -> Bucket {
    let mut bucket = Bucket {
        weight: 0,
        watch_port: PortNo::ANY,
        watch_group: GroupId::ANY,
        actions: some_bucket_actions(dice, before),
    };
    if ty == GroupType::FastFailover {
        // Open vSwitch refuses one that watches nothing.
        match dice.below(3) {
            0 if before > 0 => bucket.watch_group = GroupId(1 + dice.below(before as usize) as u32),
            1 => bucket.watch_port = DEAD_PORT,
            _ => bucket.watch_port = dice.pick(&crate::paths::PORTS),
        }
    }
    bucket
}
