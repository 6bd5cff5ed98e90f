//! By what the two may differ, each by name; whatever no rule explains fails the test.

use wamig_openflow::{Action, Field, PortNo};

use super::Event;
use super::bytes::BYTES;
use super::case::Case;
use super::reading;

/// Whether a rule explains a difference.
type Explanation = fn(&Case<'_>) -> bool;

/// What is read alike and treated otherwise, by more than some bytes.
const EXPLANATIONS: [(&str, Explanation); 7] = [
    ("a masked set-field in the action set adds to the one before", masked_adds),
    ("a packet-in of the action set has the first flow's cookie and reason \"action\"", told_of_the_first),
    ("the action set runs after a TTL ran out in apply-actions", set_after_ttl),
    ("what is behind a third tag is not read after pop_vlan", third_tag),
    ("set-field of a VLAN field adds a tag where pop_vlan took the last one", set_adds_tag),
    ("an action set without output is not run", set_without_output),
    ("a miss behind the first table runs the action set", miss_runs_the_set),
];

/// The names of the rules that explain why the two differ: how the frame is read, or some bytes,
/// or these and one way to treat it.
pub fn explain(case: &Case<'_>) -> Option<Vec<&'static str>> {
    if let Some(name) = reading::explain(case) {
        return Some(vec![name]);
    }
    // Only what brings the frames nearer to each other is named, unless that is not enough.
    treated(case, |nearer| nearer).or_else(|| treated(case, |_| true))
}

/// The names of the rules about bytes that `take` takes, which is told whether they bring the frames
/// nearer to each other, and of the one that explains what is left.
fn treated(case: &Case<'_>, take: impl Fn(bool) -> bool) -> Option<Vec<&'static str>> {
    let (mut ours, mut theirs) = (case.ours.clone(), case.theirs.clone());
    let mut names = Vec::new();
    for bytes in BYTES.iter().filter(|b| (b.applies)(case)) {
        let (less_ours, less_theirs) = (bytes.blanked(&ours), bytes.blanked(&theirs));
        let before = Case { ours: &ours, theirs: &theirs, ..*case }.distance();
        if take((Case { ours: &less_ours, theirs: &less_theirs, ..*case }).distance() < before) {
            names.push(bytes.name);
            (ours, theirs) = (less_ours, less_theirs);
        }
    }
    if ours == theirs {
        return Some(names);
    }
    let case = Case { ours: &ours, theirs: &theirs, ..*case };
    let name = EXPLANATIONS.iter().find(|(_, explains)| explains(&case)).map(|(name, _)| *name)?;
    Some([vec![name], names].concat())
}

/// §7.4.1 asks for the flow that sent the frame up. Open vSwitch takes that of the first table for
/// whatever the action set sends; wamig the one that wrote the action, or for a TTL that ran out the
/// last one. A table-miss flow's write-actions are a miss to wamig (§5.4).
fn told_of_the_first(case: &Case<'_>) -> bool {
    let first = case.ours.path.first().and_then(|(_, id)| *id);
    let is_told =
        |a: &Action| matches!(a, Action::Output { port: PortNo::CONTROLLER, .. } | Action::DecNwTtl | Action::Group(_));
    let in_set = case.written().any(is_told);
    case.alike(|ours, theirs| match (ours, theirs) {
        (Event::Up { reason: a, .. }, Event::Up { cookie, reason: b, .. }) if ours != theirs => {
            let mut told = ours.clone();
            let Event::Up { cookie: new, reason, .. } = &mut told else { return false };
            (*new, *reason) = (*cookie, *b);
            in_set && Some(*cookie) == first && (a == b || (*a, *b) == ("no-match", "action")) && told == *theirs
        }
        _ => ours == theirs,
    })
}

/// §5.4: what matches nothing is dropped if there is no table-miss flow. What apply-actions sent
/// before is the same.
fn miss_runs_the_set(case: &Case<'_>) -> bool {
    let missed = case.ours.path.len() > 1 && case.ours.path.last().is_some_and(|(_, id)| id.is_none());
    missed && case.same_path() && case.more().is_some()
}

/// §7.4.1: a frame whose TTL is invalid goes to the controller; with wamig, nowhere else from then on.
fn set_after_ttl(case: &Case<'_>) -> bool {
    let ran_out = matches!(case.ours.events.last(), Some(Event::Up { reason: "invalid-ttl", .. }));
    ran_out && case.same_path() && case.more().is_some()
}

/// Open vSwitch looks at a frame once; wamig anew after every edit.
fn third_tag(case: &Case<'_>) -> bool {
    let flow = &case.trace.flow;
    let tagged = flow.tags == 2 && matches!(flow.fields.get(&Field::EthType), Some(0x8100 | 0x88a8));
    tagged && case.met().any(|r| r.instructions.apply.contains(&Action::PopVlan))
}

/// §5.10: "set-field: one for each type of field", of which the last counts. A mask is an extension
/// of OpenFlow 1.5 that both have.
fn masked_adds(case: &Case<'_>) -> bool {
    let mut written = std::collections::BTreeSet::new();
    let mut adds = false;
    for rule in case.met() {
        if rule.instructions.clear {
            written.clear();
        }
        for action in &rule.instructions.write {
            if let Action::SetField { field, mask, .. } = action {
                adds |= !written.insert(*field) && *mask != field.full_mask();
            }
        }
    }
    adds && case.same_path() && case.ours.events.len() == case.theirs.events.len()
}

/// §5.10: without output or group the frame is dropped. Wamig tells of a TTL that ran out before.
fn set_without_output(case: &Case<'_>) -> bool {
    let mut outputs = false;
    let mut decrements = false;
    for instructions in case.met().map(|r| &r.instructions) {
        if instructions.clear {
            (outputs, decrements) = (false, false);
        }
        outputs |= instructions.write.iter().any(|a| matches!(a, Action::Output { .. } | Action::Group(_)));
        decrements |= instructions.write.contains(&Action::DecNwTtl);
    }
    let ran_out = matches!(case.ours.events.last(), Some(Event::Up { reason: "invalid-ttl", .. }));
    let before = case.ours.events.len().saturating_sub(1);
    decrements && !outputs && ran_out && case.same_path() && case.ours.events[..before] == case.theirs.events
}

/// §5.12: what is not there is not set. Whose cookie a packet-in has is not looked at again.
fn set_adds_tag(case: &Case<'_>) -> bool {
    let is_tagged = |frame: &[u8]| frame.len() >= 16 && frame[12..14] == [0x81, 0x00];
    let is_bare =
        |ours: &[u8], theirs: &[u8]| is_tagged(theirs) && ours.starts_with(&[&theirs[..12], &theirs[16..]].concat());
    let added = |ours: &Event, theirs: &Event| match (ours, theirs) {
        (Event::Port(p, ours), Event::Port(q, theirs)) => p == q && is_bare(ours, theirs),
        (Event::Up { frame: ours, frame_len: m, .. }, Event::Up { frame: theirs, frame_len: n, .. }) => {
            m + 4 == *n && (theirs.len() < 16 || is_bare(ours, theirs))
        }
        _ => false,
    };
    let sets = |a: &Action| matches!(a, Action::SetField { field: Field::VlanVid | Field::VlanPcp, .. });
    case.written().any(sets)
        && case.actions().any(|a| *a == Action::PopVlan)
        && case.alike(|ours, theirs| ours == theirs || added(ours, theirs))
}
