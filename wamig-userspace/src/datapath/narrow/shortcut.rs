//! Frames of one kind that the controller has taken through the whole pipeline, and that the
//! switch takes by itself from then on: a flow for one pair of stations at one port, which does
//! what the last of the flows met says.
//!
//! Such a flow is right as long as no flow that its frames could meet instead has come, and
//! none that they met has gone or changed; [`Shortcuts::outdated`] finds those that are not.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use wamig_openflow::{Cookie, Field, FlowMod, Instructions, MacAddr, Match, PortNo, TableId};

use super::lower::Key;
use crate::controller::learning;
use crate::datapath::remote::profile::Profile;
use crate::fastpath::FlowId;
use crate::switch::flow_table::{Flow, FlowTables};
use crate::switch::slowpath::Steps;

/// The cookie of every shortcut: of the learning switch's space, of no flow that it has.
pub const COOKIE: Cookie = Cookie(learning::COOKIE.0 | 0x7363);
/// Seconds of silence after which the switch forgets one.
pub const IDLE_S: u16 = 30;
/// At most so many at a time.
const MOST: usize = 4096;

/// A shortcut that is on the switch.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Shortcut {
    /// The flows that its frames meet; for each its table and priority.
    met: Vec<(FlowId, TableId, u16)>,
}

/// Those that are on the switch.
#[derive(Debug, Default)]
pub struct Shortcuts {
    by_key: BTreeMap<Key, Shortcut>,
}

impl Shortcuts {
    /// A shortcut for a frame that went this way; `None` where there can be none, or is.
    pub fn find(
        &mut self,
        tables: &FlowTables,
        profile: Profile,
        in_port: PortNo,
        frame: &[u8],
        steps: &Steps,
    ) -> Option<FlowMod> {
        if self.by_key.len() >= MOST {
            return None;
        }
        let met: Option<Vec<&Flow>> = steps.iter().map(|(_, id)| tables.get((*id)?)).collect();
        let met = met?;
        let (last, leading) = met.split_last()?;
        let only_goes_on = |f: &&Flow| {
            let i = &f.instructions;
            i.goto.is_some() && (i.apply.is_empty() && i.write.is_empty()) && i.meter.is_none() && i.metadata.is_none()
        };
        if !leading.iter().all(only_goes_on) || !profile.carries(&last.instructions) {
            return None;
        }
        let mut matching = pair(in_port, frame)?;
        for flow in &met {
            matching = both(&matching, &flow.matching)?;
        }
        if !profile.matching(&matching).1 {
            return None;
        }
        let decides = |x: &&Flow| met.iter().all(|m| m.id != x.id) && x.matching.overlaps(&matching);
        for flow in &met[1..] {
            let mut others = tables.iter().filter(|x| x.table == flow.table && x.priority >= flow.priority);
            if others.any(|x| decides(&x)) {
                return None;
            }
        }
        let priority = place(tables, profile, met[0], &matching)?;
        let key = (priority, matching.clone());
        if self.by_key.contains_key(&key) {
            return None;
        }
        let met = met.iter().map(|f| (f.id, f.table, f.priority)).collect();
        self.by_key.insert(key, Shortcut { met });
        let mut add = FlowMod::add(TableId(0), priority, matching, Instructions::clone(&last.instructions), COOKIE);
        add.idle_timeout = IDLE_S;
        add.flags.send_flow_removed = true;
        Some(add)
    }

    /// Forgets those that are not right any more, since these flows have come, changed or
    /// gone, and returns them. `tables` are those after the change.
    pub fn outdated(&mut self, tables: &FlowTables, profile: Profile, changed: &[FlowId]) -> Vec<Key> {
        let now: Vec<&Flow> = changed.iter().filter_map(|id| tables.get(*id)).collect();
        let is_wrong = |key: &Key, shortcut: &Shortcut| {
            let met = |id: &FlowId| shortcut.met.iter().any(|(m, ..)| m == id);
            changed.iter().any(met)
                || now.iter().any(|x| {
                    let meets =
                        |(_, table, priority): &(FlowId, TableId, u16)| *table == x.table && x.priority >= *priority;
                    // In table 0 it is the switch that decides, by what it was told.
                    let told =
                        if x.table == TableId(0) { profile.matching(&x.matching).0 } else { (*x.matching).clone() };
                    shortcut.met.iter().any(meets) && told.overlaps(&key.1)
                })
        };
        let wrong: Vec<Key> = self.by_key.iter().filter(|(k, s)| is_wrong(k, s)).map(|(k, _)| k.clone()).collect();
        for key in &wrong {
            self.by_key.remove(key);
        }
        wrong
    }

    /// The switch has forgotten one. True if it was one.
    pub fn removed(&mut self, key: &Key) -> bool {
        self.by_key.remove(key).is_some()
    }

    /// Their places in the switch's table.
    pub fn keys(&self) -> impl Iterator<Item = &Key> {
        self.by_key.keys()
    }

    /// The flows that some shortcut's frames meet.
    pub fn busy(&self) -> impl Iterator<Item = FlowId> {
        self.by_key.values().flat_map(|s| s.met.iter().map(|(id, ..)| *id))
    }

    /// The switch has lost them all.
    pub fn clear(&mut self) {
        self.by_key.clear();
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.by_key.is_empty()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.by_key.len()
    }
}

/// Flows and what they do.
pub type Snapshot = HashMap<FlowId, Arc<Instructions>>;

/// What there is.
pub fn snapshot(tables: &FlowTables) -> Snapshot {
    tables.iter().map(|flow| (flow.id, flow.instructions.clone())).collect()
}

/// The flows that have come, changed or gone.
pub fn changes(before: &Snapshot, after: &Snapshot) -> Vec<FlowId> {
    let missing = |of: &Snapshot, there: &Snapshot| {
        let same = |(id, i): &(&FlowId, &Arc<Instructions>)| there.get(*id).is_some_and(|other| Arc::ptr_eq(i, other));
        of.iter().filter(|flow| !same(flow)).map(|(id, _)| *id).collect::<Vec<_>>()
    };
    [missing(before, after), missing(after, before)].concat()
}

/// The frames of a pair of stations at a port.
fn pair(in_port: PortNo, frame: &[u8]) -> Option<Match> {
    let mac = |at: usize| frame.get(at..at + 6).and_then(|b| <[u8; 6]>::try_from(b).ok()).map(MacAddr);
    Some(Match::any().in_port(in_port).mac(Field::EthDst, mac(0)?).mac(Field::EthSrc, mac(6)?))
}

/// The frames that both matches take.
fn both(a: &Match, b: &Match) -> Option<Match> {
    a.overlaps(b).then(|| {
        b.iter().fold(a.clone(), |all, (field, m)| {
            let (value, mask) = all.get(field).map_or((0, 0), |old| (old.value, old.mask));
            all.with_masked(field, value | m.value, mask | m.mask)
        })
    })
}

/// Where in the switch's table a shortcut has to stand: above what takes its frames to the
/// controller, and below whatever else they could meet.
fn place(tables: &FlowTables, profile: Profile, first: &Flow, matching: &Match) -> Option<u16> {
    let above = |f: &&Flow| f.table == TableId(0) && f.priority >= first.priority && f.id != first.id;
    let mut place = first.priority.checked_add(1)?;
    let mut walls = Vec::new();
    for flow in tables.iter().filter(above) {
        if flow.matching.overlaps(matching) {
            walls.push(flow.priority);
        } else if profile.matching(&flow.matching).0.overlaps(matching) {
            place = place.max(flow.priority.checked_add(1)?);
        }
    }
    walls.iter().all(|wall| *wall > place).then_some(place)
}
