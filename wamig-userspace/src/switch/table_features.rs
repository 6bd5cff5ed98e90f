//! What the flow tables can do (OpenFlow 1.3.5 §7.3.5.5), told by asking the compiler of
//! flows: an action or a field is listed exactly if a flow with it would be taken.
//!
//! The tables cannot be made smaller. A request to change them is granted when all that it
//! asks for is there already, since "the new flow table features must be either a superset
//! of, or equal to the requested features".

use std::sync::OnceLock;

use wamig_openflow::flow_match::{ETH_TYPE_IPV4, VID_PRESENT};
use wamig_openflow::message::{FeatureField, FeatureId, Scope, TableFeatures, TableProperty};
use wamig_openflow::{Action, ErrorKind, Field, GroupId, Instructions, Match, OfpError, PortNo, TableId};

use crate::fastpath::FlowId;
use crate::fastpath::compile::compile;

/// `OFPIT_GOTO_TABLE`
const GOTO: u16 = 1;
/// `OFPIT_WRITE_METADATA`, write-actions, apply-actions and clear-actions.
const OTHERS: [u16; 4] = [2, 3, 4, 5];
/// `OFPIT_METER`
const METER: u16 = 6;
/// `ofp_table_config`: the bits that 1.3 deprecates (`OFPTC_DEPRECATED_MASK`).
pub const DEPRECATED_CONFIG: u32 = 3;

/// What the switch has, beside what the compiler knows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Pipeline {
    /// Tables, numbered from 0.
    pub tables: u8,
    /// Flows that fit in.
    pub max_entries: u32,
    /// Whether flows may name meters.
    pub meters: bool,
}

/// A table's name, in table statistics as well.
pub fn name(table: TableId) -> String {
    format!("table{table}")
}

/// What one table can do.
pub fn describe(table: TableId, pipeline: Pipeline) -> TableFeatures {
    let next: Vec<TableId> = (table.0 + 1..pipeline.tables).map(TableId).collect();
    let mut instructions: Vec<u16> = OTHERS.to_vec();
    if !next.is_empty() {
        instructions.insert(0, GOTO);
    }
    if pipeline.meters {
        instructions.push(METER);
    }
    let ids = |numbers: &[u16]| numbers.iter().copied().map(FeatureId::Number).collect::<Vec<_>>();
    let known = known();
    let set_fields: Vec<_> = known.set_fields.iter().copied().map(FeatureField::exact).collect();
    let fields = Field::ALL;
    let matches = fields.iter().map(|f| FeatureField::Known { field: *f, masked: f.maskable() }).collect();
    // A table-miss flow is a flow like any other, so its properties are the same and left out.
    TableFeatures {
        table,
        name: name(table),
        metadata_match: u64::MAX,
        metadata_write: u64::MAX,
        config: 0,
        max_entries: pipeline.max_entries,
        properties: vec![
            TableProperty::Instructions(Scope::Flow, ids(&instructions)),
            TableProperty::NextTables(Scope::Flow, next),
            TableProperty::WriteActions(Scope::Flow, ids(&known.write)),
            TableProperty::ApplyActions(Scope::Flow, ids(&known.apply)),
            TableProperty::Match(matches),
            TableProperty::Wildcards(fields.iter().copied().map(FeatureField::exact).collect()),
            TableProperty::WriteSetField(Scope::Flow, set_fields.clone()),
            TableProperty::ApplySetField(Scope::Flow, set_fields),
        ],
    }
}

/// Whether the tables can be as `requested`.
///
/// # Errors
/// `OFPET_TABLE_FEATURES_FAILED` with the code of what is not there.
pub fn check(requested: &[TableFeatures], pipeline: Pipeline) -> Result<(), OfpError> {
    for (i, wanted) in requested.iter().enumerate() {
        let table = wanted.table;
        let refuse = |kind, what: String| Err(OfpError::new(kind, format!("table {table}: {what}")));
        if table.0 >= pipeline.tables {
            return refuse(ErrorKind::TableFeaturesBadTable, format!("tables are 0 to {}", pipeline.tables - 1));
        }
        if requested[..i].iter().any(|f| f.table == table) {
            return refuse(ErrorKind::TableFeaturesBadTable, "is there twice".to_owned());
        }
        if wanted.max_entries > pipeline.max_entries {
            let what = format!("{} entries: {} at most", wanted.max_entries, pipeline.max_entries);
            return refuse(ErrorKind::TableFeaturesBadArgument, what);
        }
        if wanted.config & !DEPRECATED_CONFIG != 0 {
            return refuse(ErrorKind::TableFeaturesBadArgument, format!("config {:#x} is not defined", wanted.config));
        }
        let have = describe(table, pipeline);
        for property in &wanted.properties {
            if let Err(error) = has(&have.properties, property) {
                return refuse(error.kind, error.detail);
            }
        }
    }
    Ok(())
}

/// Whether what a property asks for is among ours.
fn has(ours: &[TableProperty], wanted: &TableProperty) -> Result<(), OfpError> {
    use TableProperty as P;
    let lacks = |what: String| Err(OfpError::new(ErrorKind::TableFeaturesBadArgument, what));
    for have in ours {
        let missing = match (have, wanted) {
            (P::Instructions(_, have), P::Instructions(_, wanted)) => first_missing(have, wanted, "instruction"),
            (P::WriteActions(_, have), P::WriteActions(_, wanted)) => first_missing(have, wanted, "write-action"),
            (P::ApplyActions(_, have), P::ApplyActions(_, wanted)) => first_missing(have, wanted, "apply-action"),
            (P::NextTables(_, have), P::NextTables(_, wanted)) => {
                wanted.iter().find(|t| !have.contains(t)).map(|t| format!("goto table {t}"))
            }
            (P::Match(have), P::Match(wanted)) => missing_field(have, wanted, "match"),
            (P::Wildcards(have), P::Wildcards(wanted)) => missing_field(have, &unmasked(wanted), "wildcard"),
            (P::WriteSetField(_, have), P::WriteSetField(_, wanted))
            | (P::ApplySetField(_, have), P::ApplySetField(_, wanted)) => {
                missing_field(have, &unmasked(wanted), "set-field")
            }
            _ => continue,
        };
        return missing.map_or(Ok(()), |what| lacks(format!("{what} is not supported")));
    }
    Err(OfpError::new(ErrorKind::TableFeaturesBadType, "an experimenter's property is not supported".to_owned()))
}

fn first_missing(have: &[FeatureId], wanted: &[FeatureId], what: &str) -> Option<String> {
    wanted.iter().find(|id| !have.contains(id)).map(|id| match id {
        FeatureId::Number(n) => format!("{what} {n}"),
        FeatureId::Experimenter(id, _) => format!("{what} of experimenter {id:#x}"),
    })
}

fn missing_field(have: &[FeatureField], wanted: &[FeatureField], what: &str) -> Option<String> {
    let there = |wanted: &FeatureField| match *wanted {
        FeatureField::Known { field, masked } => have
            .iter()
            .any(|h| matches!(*h, FeatureField::Known { field: f, masked: m } if f == field && (m || !masked))),
        FeatureField::Other(..) => false,
    };
    wanted.iter().find(|f| !there(f)).map(|f| match f {
        FeatureField::Known { field, masked: true } => format!("{what} {} with a mask", field.name()),
        FeatureField::Known { field, .. } => format!("{what} {}", field.name()),
        FeatureField::Other(header, _) => format!("{what} of OXM header {header:#010x}"),
    })
}

/// Some implementations set the mask bit where no mask is meant.
fn unmasked(fields: &[FeatureField]) -> Vec<FeatureField> {
    let exact = |f: &FeatureField| match *f {
        FeatureField::Known { field, .. } => FeatureField::exact(field),
        other @ FeatureField::Other(..) => other,
    };
    fields.iter().map(exact).collect()
}

/// What the compiler takes: `OFPAT_` numbers and fields.
struct Known {
    apply: Vec<u16>,
    write: Vec<u16>,
    set_fields: Vec<Field>,
}

fn known() -> &'static Known {
    static KNOWN: OnceLock<Known> = OnceLock::new();
    KNOWN.get_or_init(|| {
        let numbers = |wrap: fn(Vec<Action>) -> Instructions| {
            let taken = samples().into_iter().filter(|(_, action)| takes(action, wrap));
            taken.map(|(number, _)| number).collect::<Vec<_>>()
        };
        Known {
            apply: numbers(Instructions::apply),
            write: numbers(|write| Instructions { write, ..Instructions::default() }),
            set_fields: Field::ALL.iter().copied().filter(|f| f.settable()).collect(),
        }
    })
}

/// An action of every `OFPAT_` number.
fn samples() -> [(u16, Action); 16] {
    [
        (0, Action::output(PortNo(1))),
        (11, Action::CopyTtlOut),
        (12, Action::CopyTtlIn),
        (15, Action::SetMplsTtl(1)),
        (16, Action::DecMplsTtl),
        (17, Action::PushVlan(0x8100)),
        (18, Action::PopVlan),
        (19, Action::PushMpls(0x8847)),
        (20, Action::PopMpls(ETH_TYPE_IPV4)),
        (21, Action::SetQueue(1)),
        (22, Action::Group(GroupId(1))),
        (23, Action::SetNwTtl(1)),
        (24, Action::DecNwTtl),
        (25, Action::set(Field::EthDst, 1)),
        (26, Action::PushPbb(0x88e7)),
        (27, Action::PopPbb),
    ]
}

/// Whether a flow with the action compiles, for frames that have what the action needs.
fn takes(action: &Action, wrap: fn(Vec<Action>) -> Instructions) -> bool {
    let eth_type = match action {
        Action::SetMplsTtl(_) | Action::DecMplsTtl | Action::PopMpls(_) | Action::CopyTtlIn | Action::CopyTtlOut => {
            0x8847
        }
        Action::PopPbb => 0x88e7,
        _ => ETH_TYPE_IPV4,
    };
    let mut matching = Match::any().with(Field::EthType, u128::from(eth_type));
    if *action == Action::PopVlan {
        matching = matching.with(Field::VlanVid, u128::from(VID_PRESENT | 1));
    }
    compile(FlowId(1), TableId(0), 1, &matching, &wrap(vec![action.clone()])).is_ok()
}

#[cfg(test)]
mod tests {
    use wamig_openflow::message::Scope::Flow;

    use super::*;

    const PIPELINE: Pipeline = Pipeline { tables: 16, max_entries: 1000, meters: false };

    fn refused(change: impl FnOnce(&mut TableFeatures)) -> Option<ErrorKind> {
        let mut wanted = describe(TableId(3), PIPELINE);
        change(&mut wanted);
        check(&[wanted], PIPELINE).err().map(|e| e.kind)
    }

    #[test]
    fn what_is_told_can_be_asked_for() {
        let all: Vec<_> = (0..16).map(|t| describe(TableId(t), PIPELINE)).collect();
        assert_eq!(check(&all, PIPELINE), Ok(()));
        assert_eq!(refused(|f| f.properties.truncate(1)), None);
        assert_eq!(refused(|f| f.name = "vlan".to_owned()), None);
    }

    #[test]
    fn what_is_not_there_is_refused_by_its_own_code() {
        let argument = Some(ErrorKind::TableFeaturesBadArgument);
        assert_eq!(refused(|f| f.table = TableId(16)), Some(ErrorKind::TableFeaturesBadTable));
        assert_eq!(refused(|f| f.max_entries = 1001), argument);
        assert_eq!(refused(|f| f.config = 4), argument);
        let with = |p: TableProperty| refused(|f| f.properties = vec![p]);
        assert_eq!(with(TableProperty::NextTables(Flow, vec![TableId(3)])), argument);
        assert_eq!(with(TableProperty::Instructions(Flow, vec![FeatureId::Number(METER)])), argument);
        assert_eq!(with(TableProperty::ApplyActions(Flow, vec![FeatureId::Number(21)])), argument);
        let masked = FeatureField::Known { field: Field::IpProto, masked: true };
        assert_eq!(with(TableProperty::Match(vec![masked])), argument);
        assert_eq!(with(TableProperty::Wildcards(vec![masked])), None);
        assert_eq!(with(TableProperty::ApplySetField(Flow, vec![FeatureField::exact(Field::Metadata)])), argument);
        let alien =
            TableProperty::Experimenter { scope: Flow, experimenter: 1, exp_type: 1, data: [].as_slice().into() };
        assert_eq!(with(alien), Some(ErrorKind::TableFeaturesBadType));
        let twice = [describe(TableId(0), PIPELINE), describe(TableId(0), PIPELINE)];
        assert_eq!(check(&twice, PIPELINE).unwrap_err().kind, ErrorKind::TableFeaturesBadTable);
    }

    #[test]
    fn the_last_table_goes_nowhere() {
        let last = describe(TableId(15), PIPELINE);
        let TableProperty::Instructions(_, ids) = &last.properties[0] else { panic!("{last:?}") };
        assert!(!ids.contains(&FeatureId::Number(GOTO)));
        assert_eq!(last.properties[1], TableProperty::NextTables(Flow, vec![]));
    }

    #[test]
    fn actions_are_those_that_flows_may_have() {
        let known = known();
        for number in [0, 17, 18, 23, 24, 25] {
            assert!(known.apply.contains(&number) && known.write.contains(&number), "{number}");
        }
        // There are no queues.
        assert!(!known.apply.contains(&21));
    }
}
