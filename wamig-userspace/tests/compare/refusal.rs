//! Flows that wamig takes and Open vSwitch refuses, by name.

use wamig_openflow::{Action, Field};

use crate::oracle::Rule;

/// The name of the rule that explains why Open vSwitch refuses a flow with this error.
pub fn explain(rule: &Rule, error: &str) -> Option<&'static str> {
    let lists = [&rule.instructions.apply, &rule.instructions.write];
    let pops = lists.iter().any(|list| list.contains(&Action::PopVlan));
    let reshapes = |a: &Action| matches!(a, Action::PushMpls(_) | Action::PopMpls(_));
    match error {
        // It takes write-actions to come at once behind apply-actions. They come at the end of the pipeline.
        "BadActionMatchInconsistent" if rule.instructions.apply.iter().any(reshapes) => {
            Some("an action to write that does not go with a label pushed or popped by apply-actions")
        }
        // §5.12 has no such rule; table 6 of §5.12 has it for set-field only.
        "BadActionMatchInconsistent" if pops => Some("pop_vlan where nothing says that there is a tag"),
        // ovs-fields(7): "supports values between 1 and 255".
        "BadMatchBadValue" if rule.matching.get(Field::ArpOp).is_some_and(|m| m.value > 0xff) => {
            Some("a match on an ARP opcode above 255")
        }
        // §7.2.3.7, table 12, asks for the type alone.
        "BadMatchBadPrereq" | "BadActionMatchInconsistent"
            if rule.matching.get(Field::Icmpv6Code).is_some_and(|m| m.value != 0) =>
        {
            Some("neighbour discovery with a code other than 0")
        }
        // ovs-fields(7): "read-only".
        "BadActionBadSetArgument" if lists.iter().any(|list| list.iter().any(sets_bottom)) => {
            Some("the bottom of stack to set")
        }
        // As for the match.
        "BadActionBadSetArgument" if lists.iter().any(|list| list.iter().any(sets_opcode)) => {
            Some("an ARP opcode above 255 to set")
        }
        _ => None,
    }
}

fn sets_opcode(action: &Action) -> bool {
    matches!(action, Action::SetField { field: Field::ArpOp, value, .. } if *value > 0xff)
}

fn sets_bottom(action: &Action) -> bool {
    matches!(action, Action::SetField { field: Field::MplsBos, .. } | Action::Move { dst: Field::MplsBos, .. })
}
