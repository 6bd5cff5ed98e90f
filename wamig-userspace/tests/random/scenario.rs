//! A switch full of flows, and the frames that it gets.

use wamig_openflow::PortNo;
use wamig_openflow::message::GroupMod;
use wamig_userspace::fastpath::FlowId;

use super::Dice;
use super::frame::{change, damage, some_frame};
use super::group::some_groups;
use super::rule::{Abilities, Place, some_rule};
use crate::frames::Frame;
use crate::oracle::Rule;
use crate::paths::PORTS;

/// Flows, and frames for them.
pub struct Scenario {
    /// What it is made with.
    pub dice: Dice,
    /// Tables in use, ascending.
    pub tables: Vec<u8>,
    templates: Vec<(PortNo, Frame)>,
    /// The flows; of two that overlap one has the higher priority.
    pub rules: Vec<Rule>,
    /// The groups that they may name, in an order in which they can be added.
    pub groups: Vec<GroupMod>,
    /// What they may do.
    pub can: Abilities,
    next_id: u64,
}

impl Scenario {
    /// A scenario in which flows count from `first_id`, with at most `most` of them.
    pub fn new(dice: Dice, first_id: u64, most: usize) -> Self {
        Self::of(dice, first_id, most, Vec::new(), Abilities::default())
    }

    /// The same with groups, for a switch that believes what flows say about frames.
    pub fn with_groups(mut dice: Dice, first_id: u64, most: usize) -> Self {
        let groups = some_groups(&mut dice);
        let can =
            Abilities { groups: groups.len() as u32, truthful: true, at_once: dice.chance(30), ..Abilities::default() };
        Self::of(dice, first_id, most, groups, can)
    }

    fn of(mut dice: Dice, first_id: u64, most: usize, groups: Vec<GroupMod>, can: Abilities) -> Self {
        let can = Abilities { neighbours: dice.chance(50), ..can };
        let mut tables = vec![0];
        while tables.len() < 5 && dice.chance(65) {
            let last = tables[tables.len() - 1];
            tables.push(dice.pick(&[last + 1, last + 1, last + 3]).min(15));
        }
        tables.dedup();
        let templates = (0..12).map(|_| (dice.pick(&PORTS), some_frame(&mut dice))).collect();
        let mut scenario = Self { dice, tables, templates, rules: Vec::new(), groups, can, next_id: first_id };
        for _ in 0..scenario.dice.pick(&[most / 8, most / 2, most]) {
            scenario.add();
        }
        scenario
    }

    /// One more flow, unless the one thrown overlaps another of its priority.
    pub fn add(&mut self) -> Option<Rule> {
        let place = self.dice.below(self.tables.len());
        let (in_port, mut template) = self.dice.pick(&self.templates);
        if self.dice.chance(30) {
            change(&mut self.dice, &mut template);
        }
        let later = &self.tables[place + 1..];
        let (id, table) = (FlowId(self.next_id), self.tables[place]);
        let place = Place { id, table, later, can: self.can };
        let rule = some_rule(&mut self.dice, &place, in_port, &template.bytes());
        let clashes =
            |r: &Rule| r.table == rule.table && r.priority == rule.priority && r.matching.overlaps(&rule.matching);
        if self.rules.iter().any(clashes) {
            return None;
        }
        self.next_id += 1;
        self.rules.push(rule.clone());
        Some(rule)
    }

    /// A frame and the port it comes in by.
    pub fn frame(&mut self) -> (PortNo, Vec<u8>) {
        let (mut in_port, mut frame) = self.dice.pick(&self.templates);
        if self.dice.chance(20) {
            in_port = self.dice.pick(&PORTS);
            frame = some_frame(&mut self.dice);
        }
        for _ in 0..self.dice.below(3) {
            change(&mut self.dice, &mut frame);
        }
        let mut bytes = frame.bytes();
        damage(&mut self.dice, &mut bytes);
        (in_port, bytes)
    }
}
