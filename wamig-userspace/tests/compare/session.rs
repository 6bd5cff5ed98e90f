//! Tables one after the other, each with many frames, through both switches.

use std::collections::BTreeMap;

use wamig_common::native::Outcome;
use wamig_openflow::message::{GroupMod, GroupModCommand, GroupType};
use wamig_openflow::{Action, Cookie, FlowMod, FlowModCommand, GroupId, Instructions, Match, Message, PortNo, TableId};

use super::Way;
use super::case::Case;
use super::native::Native;
use super::refusal;
use super::rules::explain;
use crate::oracle::Rule;
use crate::oracle::headers::{L3, read};
use crate::ovs::process::BRIDGE;
use crate::ovs::trace::{self, Trace};
use crate::ovs::{Vswitch, apply};
use crate::paths;
use wamig_userspace::fastpath::Batch;

/// Differences that are shown in full.
const MOST_SHOWN: usize = 40;

/// Bytes of an ARP frame with two tags and SNAP.
const LONGEST_ARP: usize = 14 + 2 * 4 + 8 + 28;

/// How often each thing happened, by name.
pub type Tally = BTreeMap<String, usize>;

/// Flows, groups and frames.
pub struct Table {
    /// The flows.
    pub rules: Vec<Rule>,
    /// The groups that they name.
    pub groups: Vec<GroupMod>,
    /// Frames and where they come in.
    pub frames: Vec<(PortNo, Vec<u8>)>,
}

/// What runs beside wamig's native code and has to do the same.
pub trait Beside {
    /// Changes the flows.
    fn install(&mut self, batch: &Batch);
    /// Does with a frame what the native fast path did.
    fn run(&mut self, native: &Native, in_port: PortNo, frame: &[u8], outcome: &Outcome);
    /// After the last frame of a table.
    fn end(&mut self);
}

/// Nothing.
impl Beside for () {
    fn install(&mut self, _: &Batch) {}
    fn run(&mut self, _: &Native, _: PortNo, _: &[u8], _: &Outcome) {}
    fn end(&mut self) {}
}

/// Both switches.
pub struct Session {
    native: Native,
    ovs: Vswitch,
    /// Frames by what came of them.
    pub tally: Tally,
    /// What nothing explains, at most a few.
    pub unexplained: Vec<String>,
}

fn flow_mod(rule: &Rule) -> Message {
    let Rule { id, table, priority, matching, instructions } = rule.clone();
    Message::FlowMod(FlowMod::add(TableId(table), priority, matching, instructions, Cookie(id.0)))
}

/// Everything out.
fn cleared() -> [Message; 2] {
    let flows = FlowMod {
        command: FlowModCommand::Delete,
        ..FlowMod::add(TableId::ALL, 0, Match::any(), Instructions::drop(), Cookie(0))
    };
    let groups =
        GroupMod { command: GroupModCommand::Delete, ty: GroupType::All, group: GroupId::ALL, buckets: Vec::new() };
    [Message::FlowMod(flows), Message::GroupMod(groups)]
}

/// Whether a flow has an action that OpenFlow 1.3, in which Open vSwitch is told, does not have.
fn has_v10_action(rule: &Rule) -> bool {
    let lists = [&rule.instructions.apply, &rule.instructions.write];
    let is_v10 = |a: &Action| {
        matches!(a, Action::SetVlanVid(_) | Action::SetVlanPcp(_) | Action::SetTpSrc(_) | Action::SetTpDst(_))
    };
    lists.iter().any(|list| list.iter().any(is_v10))
}

/// Open vSwitch 3.1 writes set-fields of ARP behind the end of a packet that is cut short, and its
/// heap is damaged: it ends, at that frame or a later one.
fn is_cut_arp(frame: &[u8]) -> bool {
    frame.len() < LONGEST_ARP && read(frame).is_some_and(|h| h.eth_type == 0x0806 && h.l3 == L3::Unread)
}

impl Session {
    /// Starts Open vSwitch.
    pub fn start() -> Self {
        Self { native: Native::default(), ovs: Vswitch::start(), tally: Tally::new(), unexplained: Vec::new() }
    }

    fn count(&mut self, name: &str, n: usize) {
        *self.tally.entry(name.to_owned()).or_default() += n;
    }

    fn unexplained(&mut self, what: String) {
        self.count("unexplained", 1);
        if self.unexplained.len() < MOST_SHOWN {
            self.unexplained.push(what);
        }
    }

    /// Puts flows and groups into Open vSwitch; flows that it refuses are taken out of the
    /// table, too, and counted by its error.
    pub fn load(&mut self, table: &mut Table) {
        let groups = table.groups.iter().cloned().map(Message::GroupMod);
        let before: Vec<Message> = cleared().into_iter().chain(groups).collect();
        let refused = self.ovs.control.send(&before);
        assert!(refused.is_empty(), "{refused:?} of {before:?}");
        let before = table.rules.len();
        table.rules.retain(|r| !has_v10_action(r));
        self.count("flow left out: an action of OpenFlow 1.0", before - table.rules.len());
        let flows: Vec<Message> = table.rules.iter().map(flow_mod).collect();
        for (place, why) in self.ovs.control.send(&flows).into_iter().rev() {
            let rule = table.rules.remove(place);
            match refusal::explain(&rule, &why) {
                Some(name) => self.count(&format!("flow refused by Open vSwitch, explained: {name}"), 1),
                None => self.unexplained(format!("{why}: {} actions={}", rule.matching, rule.instructions)),
            }
        }
        self.count("flows", table.rules.len());
    }

    /// What Open vSwitch makes of frames that come to this table; `None` where an assertion of its own ends it.
    fn theirs(&mut self, table: &Table, frames: &[(PortNo, Vec<u8>)]) -> Vec<Option<(Way, Trace)>> {
        if let Some(all) = self.asked(frames) {
            return all.into_iter().map(Some).collect();
        }
        self.restart(table);
        let one_by_one = |frame| {
            let one = self.asked(std::slice::from_ref(frame)).map(|mut one| one.remove(0));
            if one.is_none() {
                self.restart(table);
                self.count("not put to Open vSwitch: ends it", 1);
            }
            one
        };
        frames.iter().map(one_by_one).collect()
    }

    /// Starts Open vSwitch again where it left off, if it ended by a failed assertion.
    fn restart(&mut self, table: &Table) {
        let said = self.ovs.last_words();
        assert!(said.contains("assertion"), "Open vSwitch ended: {said}");
        self.ovs = Vswitch::start();
        let groups = table.groups.iter().cloned().map(Message::GroupMod);
        let all: Vec<Message> = groups.chain(table.rules.iter().map(flow_mod)).collect();
        let refused = self.ovs.control.send(&all);
        assert!(refused.is_empty(), "{refused:?}");
    }

    /// `None`: Open vSwitch ended.
    fn asked(&mut self, frames: &[(PortNo, Vec<u8>)]) -> Option<Vec<(Way, Trace)>> {
        let params =
            |(port, frame): &(PortNo, Vec<u8>)| vec![BRIDGE.to_owned(), format!("in_port={port}"), paths::hex(frame)];
        let params: Vec<_> = frames.iter().map(params).collect();
        let texts = self.ovs.unixctl.ask_all("ofproto/trace", &params)?;
        let way = |((_, frame), text): (&(PortNo, Vec<u8>), String)| {
            let trace = trace::read(&text).unwrap_or_else(|e| panic!("frame {}: {e}", paths::hex(frame)));
            let events = apply::apply(&trace.actions, |n| self.ovs.port(n), frame);
            (Way::new(trace.path.clone(), events), trace)
        };
        Some(frames.iter().zip(texts).map(way).collect())
    }

    /// Loads a table and compares every frame.
    pub fn compare(&mut self, mut table: Table, beside: &mut impl Beside) {
        self.load(&mut table);
        beside.install(&self.native.install(&table.rules, &table.groups));
        let frames = std::mem::take(&mut table.frames);
        let (asked, left_out): (Vec<_>, Vec<_>) = frames.into_iter().partition(|(_, f)| !is_cut_arp(f));
        for (in_port, frame) in left_out {
            let (_, outcome) = self.native.run(in_port, &frame);
            beside.run(&self.native, in_port, &frame, &outcome);
            self.count("not put to Open vSwitch: an ARP packet cut short", 1);
        }
        let theirs = self.theirs(&table, &asked);
        for ((in_port, frame), theirs) in asked.iter().zip(&theirs) {
            let (ours, outcome) = self.native.run(*in_port, frame);
            beside.run(&self.native, *in_port, frame, &outcome);
            let Some((theirs, trace)) = theirs else { continue };
            let case = Case { rules: &table.rules, in_port: *in_port, frame, ours: &ours, theirs, trace };
            if ours == *theirs {
                self.count("agree", 1);
            } else if let Some(names) = explain(&case) {
                self.count(&format!("differ, explained: {}", names.join("; ")), 1);
            } else {
                let flows = listed(&table.rules, &ours, theirs);
                let (hex, text) = (paths::hex(frame), &trace.text);
                self.unexplained(format!(
                    "port {in_port}, frame {hex}\nwamig:\n{ours}Open vSwitch:\n{theirs}flows met:\n{flows}{text}"
                ));
            }
        }
        beside.end();
    }
}

/// The flows that either met, as people read them.
fn listed(rules: &[Rule], ours: &Way, theirs: &Way) -> String {
    let met = |r: &&Rule| ours.path.iter().chain(&theirs.path).any(|(_, id)| *id == Some(r.id.0));
    let line = |r: &Rule| {
        format!("  {:#x} table={},priority={},{} actions={}\n", r.id.0, r.table, r.priority, r.matching, r.instructions)
    };
    rules.iter().filter(met).map(line).collect()
}
