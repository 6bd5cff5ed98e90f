//! Flows of a whole pipeline, made into those that one table of a narrow switch can hold.
//!
//! A flow of table 0 that the switch can carry out stays as it is. Any other sends its frames to
//! the controller, where the whole pipeline is; its match may take more frames there than the
//! flow itself does, which costs time and changes nothing.

use std::collections::BTreeMap;

use wamig_openflow::{Action, Cookie, FlowMod, Instructions, Match, TableId};

use crate::datapath::remote::profile::Profile;
use crate::switch::flow_table::FlowTables;

/// What tells flows of one table apart: priority, match.
pub type Key = (u16, Match);

/// A flow of the switch.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Row {
    /// The cookie of the flow that it stands for.
    pub cookie: Cookie,
    /// What the switch does.
    pub instructions: Instructions,
}

/// The rows that stand for the flows of table 0.
pub fn rows(tables: &FlowTables, profile: Profile) -> BTreeMap<Key, Row> {
    let mut rows: BTreeMap<Key, Row> = BTreeMap::new();
    for flow in tables.iter().filter(|flow| flow.table == TableId(0)) {
        let (matching, same) = profile.matching(&flow.matching);
        // What has a time to live is counted here, so that it ends where it is wanted.
        let lasts = flow.idle_timeout == 0 && flow.hard_timeout == 0;
        let carried = same && lasts && profile.carries(&flow.instructions);
        let instructions = if carried { Instructions::clone(&flow.instructions) } else { punt() };
        let row = Row { cookie: flow.cookie, instructions };
        // Where two come to the same match, the controller tells their frames apart.
        rows.entry((flow.priority, matching))
            .and_modify(|there| {
                if !carried {
                    *there = row.clone();
                }
            })
            .or_insert(row);
    }
    rows
}

/// What has to be said to come from the rows that there are to those that there shall be.
pub fn difference(there: &BTreeMap<Key, Row>, wanted: &BTreeMap<Key, Row>) -> Vec<FlowMod> {
    let added = wanted.iter().filter(|(key, row)| there.get(*key) != Some(*row)).map(|(key, row)| add(key, row));
    let gone = there.iter().filter(|(key, _)| !wanted.contains_key(*key));
    let deleted = gone.map(|((priority, matching), _)| delete(*priority, matching));
    added.chain(deleted).collect()
}

/// Takes a flow out.
pub fn delete(priority: u16, matching: &Match) -> FlowMod {
    FlowMod::delete_strict(TableId(0), priority, matching.clone())
}

fn add((priority, matching): &Key, row: &Row) -> FlowMod {
    FlowMod::add(TableId(0), *priority, matching.clone(), row.instructions.clone(), row.cookie)
}

/// The whole frame to the controller.
fn punt() -> Instructions {
    Instructions::apply(vec![Action::controller()])
}
