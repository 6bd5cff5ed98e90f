//! The group table (OpenFlow 1.3.5 §5.6, §6.5): what controllers asked for, which buckets are
//! live, which one a frame takes, and what was counted.
//!
//! The transaction checks and changes it; the slow path runs it. A flow that hands frames to a
//! group is marked for the slow path, because buckets work on copies of the frame.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use wamig_common::extract::{Layout, extract};
use wamig_common::group::place_of;
use wamig_common::key::FlowKey;
use wamig_common::limits::{MAX_BUCKETS, MAX_CHAIN, MAX_COPIES, MAX_GROUPS, PICKS};
use wamig_openflow::message::{Bucket, GroupDesc, GroupFeatures, GroupMod, GroupModCommand, GroupStats, GroupType};
use wamig_openflow::{Action, ErrorKind, GroupId, OfpError, PortNo};

use super::port::Ports;
use super::validate;

/// A group.
#[derive(Clone, PartialEq, Debug)]
pub struct Group {
    /// How it uses its buckets.
    pub ty: GroupType,
    /// Its buckets, in the controller's order.
    pub buckets: Vec<Bucket>,
    /// When it was added; a modify does not change that.
    pub added: Instant,
    /// (frames, bytes) in all.
    pub total: (u64, u64),
    /// (frames, bytes) of each bucket.
    pub counts: Vec<(u64, u64)>,
}

impl Group {
    /// The groups that its buckets hand frames to or watch.
    fn behind(&self) -> impl Iterator<Item = GroupId> + '_ {
        let watched = self.buckets.iter().map(|b| b.watch_group).filter(|g| *g != GroupId::ANY);
        watched.chain(self.buckets.iter().flat_map(|b| chained(&b.actions)))
    }
}

/// The groups that actions hand frames to.
fn chained(actions: &[Action]) -> impl Iterator<Item = GroupId> + '_ {
    actions.iter().filter_map(|a| match a {
        Action::Group(group) => Some(*group),
        _ => None,
    })
}

/// All groups.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct GroupTable {
    groups: BTreeMap<GroupId, Group>,
}

fn error(kind: ErrorKind, group: GroupId, why: impl std::fmt::Display) -> OfpError {
    OfpError::new(kind, format!("group {group}: {why}"))
}

impl GroupTable {
    /// The group of this number.
    pub fn get(&self, group: GroupId) -> Option<&Group> {
        self.groups.get(&group)
    }

    /// Refuses actions that name a group which is not there.
    ///
    /// # Errors
    /// `OFPBAC_BAD_OUT_GROUP`.
    pub fn check_actions(&self, actions: &[Action]) -> Result<(), OfpError> {
        match chained(actions).find(|g| !self.groups.contains_key(g)) {
            Some(g) => Err(error(ErrorKind::BadActionBadOutGroup, g, "there is no such group; add it first")),
            None => Ok(()),
        }
    }

    /// Checks a group-mod against the table as it is.
    ///
    /// # Errors
    /// The specification's `OFPGMFC_*`, or the `OFPBAC_*` of a bucket's action.
    pub fn check(&self, m: &GroupMod, ports: &Ports, now: Instant) -> Result<(), OfpError> {
        let refuse = |kind, why: String| Err(error(kind, m.group, why));
        let there = self.groups.contains_key(&m.group);
        match m.command {
            GroupModCommand::Delete if m.group == GroupId::ALL => return Ok(()),
            _ if m.group > GroupId::MAX => {
                return refuse(ErrorKind::GroupModInvalidGroup, format!("groups are 0 to {}", GroupId::MAX));
            }
            GroupModCommand::Delete => return self.check_delete(m.group),
            GroupModCommand::Add if there => {
                return refuse(ErrorKind::GroupModGroupExists, "it exists; modify it".into());
            }
            GroupModCommand::Add if self.groups.len() >= MAX_GROUPS as usize => {
                return refuse(ErrorKind::GroupModOutOfGroups, format!("there may be {MAX_GROUPS} groups"));
            }
            GroupModCommand::Modify if !there => {
                return refuse(ErrorKind::GroupModUnknownGroup, "there is no such group; add it first".into());
            }
            GroupModCommand::Add | GroupModCommand::Modify => {}
        }
        if m.buckets.len() > MAX_BUCKETS {
            return refuse(ErrorKind::GroupModOutOfBuckets, format!("a group may have {MAX_BUCKETS} buckets"));
        }
        if m.ty == GroupType::Indirect && m.buckets.len() != 1 {
            return refuse(ErrorKind::GroupModInvalidGroup, "an indirect group has exactly one bucket".into());
        }
        for bucket in &m.buckets {
            self.check_bucket(m, bucket, ports)?;
        }
        self.check_chain(m, now)
    }

    /// A group that others chain to or watch cannot go alone (`OFPGMFC_CHAINED_GROUP`).
    fn check_delete(&self, group: GroupId) -> Result<(), OfpError> {
        match self.groups.iter().find(|(id, g)| **id != group && g.behind().any(|b| b == group)) {
            Some((other, _)) => Err(error(ErrorKind::GroupModChainedGroup, group, format!("group {other} uses it"))),
            None => Ok(()),
        }
    }

    fn check_bucket(&self, m: &GroupMod, bucket: &Bucket, ports: &Ports) -> Result<(), OfpError> {
        let watches = bucket.watch_port != PortNo::ANY || bucket.watch_group != GroupId::ANY;
        if watches && !matches!(m.ty, GroupType::FastFailover | GroupType::Select) {
            let why = "only buckets of fast-failover and select groups watch ports or groups";
            return Err(error(ErrorKind::GroupModWatchUnsupported, m.group, why));
        }
        if bucket.watch_port != PortNo::ANY && !ports.contains(bucket.watch_port) {
            let why = format!("watch_port {}: there are {}", bucket.watch_port, ports.listed());
            return Err(error(ErrorKind::GroupModBadWatch, m.group, why));
        }
        let known = |g: GroupId| g == m.group || self.groups.contains_key(&g);
        if bucket.watch_group != GroupId::ANY && !known(bucket.watch_group) {
            let why = format!("watch_group {}: there is no such group", bucket.watch_group);
            return Err(error(ErrorKind::GroupModBadWatch, m.group, why));
        }
        validate::check_bucket(&bucket.actions, ports)?;
        match chained(&bucket.actions).find(|g| !known(*g)) {
            Some(g) => Err(error(ErrorKind::BadActionBadOutGroup, g, "there is no such group; add it first")),
            None => Ok(()),
        }
    }

    /// Loops are refused, and chains that are too long or make too many copies.
    fn check_chain(&self, m: &GroupMod, now: Instant) -> Result<(), OfpError> {
        let mut next = self.clone();
        next.put(m, now);
        if next.reaches(m.group, m.group) {
            return Err(error(ErrorKind::GroupModLoop, m.group, "its buckets lead back to it"));
        }
        for group in next.groups.keys() {
            if next.copies(*group, 0).is_none_or(|n| n > MAX_COPIES) {
                let why =
                    format!("a frame may go through {MAX_CHAIN} groups one after the other and {MAX_COPIES} buckets");
                return Err(error(ErrorKind::GroupModChainingUnsupported, *group, why));
            }
        }
        Ok(())
    }

    fn reaches(&self, from: GroupId, to: GroupId) -> bool {
        let (mut seen, mut open) = (BTreeSet::new(), vec![from]);
        while let Some(group) = open.pop() {
            for next in self.groups.get(&group).into_iter().flat_map(Group::behind) {
                if next == to {
                    return true;
                }
                if seen.insert(next) {
                    open.push(next);
                }
            }
        }
        false
    }

    /// How many buckets a frame runs at most; `None` = the chain is too long.
    fn copies(&self, group: GroupId, depth: usize) -> Option<usize> {
        if depth == MAX_CHAIN {
            return None;
        }
        let Some(g) = self.groups.get(&group) else { return Some(0) };
        let mut sum = 0usize;
        for bucket in &g.buckets {
            let mut one = 1;
            for next in chained(&bucket.actions) {
                one += self.copies(next, depth + 1)?;
            }
            sum = if g.ty == GroupType::All { sum + one } else { sum.max(one) };
        }
        Some(sum)
    }

    /// Adds or modifies a group that was checked.
    pub(super) fn put(&mut self, m: &GroupMod, now: Instant) {
        let old = self.groups.get(&m.group);
        let group = Group {
            ty: m.ty,
            buckets: m.buckets.clone(),
            added: old.map_or(now, |g| g.added),
            total: old.map_or((0, 0), |g| g.total),
            counts: vec![(0, 0); m.buckets.len()],
        };
        self.groups.insert(m.group, group);
    }

    /// Takes a group out, or puts one back.
    pub(super) fn restore(&mut self, id: GroupId, group: Option<Group>) -> Option<Group> {
        match group {
            Some(group) => self.groups.insert(id, group),
            None => self.groups.remove(&id),
        }
    }

    /// The groups that a delete means: [`GroupId::ALL`], or one with those that chain to it
    /// already refused.
    pub(super) fn selected(&self, group: GroupId) -> Vec<GroupId> {
        self.groups.keys().copied().filter(|g| group == GroupId::ALL || *g == group).collect()
    }

    /// Whether a bucket is live: what it watches is, if it watches anything (§6.5).
    fn is_live(&self, bucket: &Bucket, ports: &Ports, depth: usize) -> bool {
        let port = bucket.watch_port == PortNo::ANY || ports.get(bucket.watch_port).is_some_and(|p| p.state.live);
        let group = || {
            bucket.watch_group == GroupId::ANY
                || depth < MAX_CHAIN
                    && self
                        .groups
                        .get(&bucket.watch_group)
                        .is_some_and(|g| g.buckets.iter().any(|b| self.is_live(b, ports, depth + 1)))
        };
        port && group()
    }

    /// The buckets that a frame runs, by index.
    pub fn choose(&self, group: GroupId, ports: &Ports, frame: &[u8]) -> Vec<usize> {
        let Some(g) = self.groups.get(&group) else { return Vec::new() };
        let live = |(_, b): &(usize, &Bucket)| self.is_live(b, ports, 0);
        let buckets = g.buckets.iter().enumerate();
        match g.ty {
            GroupType::All | GroupType::Indirect => (0..g.buckets.len()).collect(),
            GroupType::FastFailover => buckets.filter(live).map(|(i, _)| i).take(1).collect(),
            GroupType::Select => {
                let weights: Vec<_> = buckets.filter(live).map(|(i, b)| (i, u64::from(b.weight))).collect();
                by_weight(&weights, place(frame)).into_iter().collect()
            }
        }
    }

    /// Counts a frame of a group.
    pub(super) fn count(&mut self, group: GroupId, buckets: &[usize], bytes: usize) {
        let Some(g) = self.groups.get_mut(&group) else { return };
        let add = |(packets, sum): &mut (u64, u64)| {
            *packets += 1;
            *sum += bytes as u64;
        };
        add(&mut g.total);
        for bucket in buckets {
            g.counts.get_mut(*bucket).into_iter().for_each(add);
        }
    }

    /// `OFPMP_GROUP` of a group or of all; `flows` says how many flows use a group.
    pub fn stats(&self, group: GroupId, now: Instant, flows: impl Fn(GroupId) -> usize) -> Vec<GroupStats> {
        let asked = self.groups.iter().filter(|(id, _)| group == GroupId::ALL || **id == group);
        let stats = asked.map(|(id, g)| GroupStats {
            group: *id,
            ref_count: (flows(*id) + self.groups.values().flat_map(Group::behind).filter(|b| b == id).count()) as u32,
            packets: g.total.0,
            bytes: g.total.1,
            duration: now.saturating_duration_since(g.added),
            buckets: g.counts.clone(),
        });
        stats.collect()
    }

    /// `OFPMP_GROUP_DESC`.
    pub fn describe(&self) -> Vec<GroupDesc> {
        let desc = |(id, g): (&GroupId, &Group)| GroupDesc { group: *id, ty: g.ty, buckets: g.buckets.clone() };
        self.groups.iter().map(desc).collect()
    }
}

/// Of buckets with weights, the one that has a place: the places are shared in the proportion
/// of the weights, and weight 0 has none.
fn by_weight(weights: &[(usize, u64)], place: u64) -> Option<usize> {
    let total: u64 = weights.iter().map(|(_, w)| w).sum();
    let mut before = 0;
    for (bucket, weight) in weights {
        before += weight;
        if place * total < before * PICKS as u64 {
            return Some(*bucket);
        }
    }
    None
}

fn place(frame: &[u8]) -> u64 {
    let (mut key, mut layout) = (FlowKey::default(), Layout::default());
    // A frame without Ethernet header has the key of zeros.
    let _ = extract(frame, 0, &mut key, &mut layout);
    u64::from(place_of(&key))
}

/// `OFPMP_GROUP_FEATURES`: every type, weights, liveness, chaining with checks; the actions of
/// `actions` in each type.
pub fn features(actions: u32) -> GroupFeatures {
    GroupFeatures { types: 0xf, capabilities: 0xf, max_groups: [MAX_GROUPS; 4], actions: [actions; 4] }
}
