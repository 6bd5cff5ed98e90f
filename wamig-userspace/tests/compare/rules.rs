//! By what the two may differ, each by name; whatever no rule explains fails the test.

use wamig_openflow::{Action, Field, PortNo};

use super::Event;
use super::bytes::BYTES;
use super::case::Case;
use super::reading;
use crate::oracle::Rule;
use crate::oracle::headers::{L3, read};
use crate::ovs::action::DpAction;

/// Whether a rule explains a difference.
type Explanation = fn(&Case<'_>) -> bool;

/// What is read alike and treated otherwise, by more than some bytes.
const EXPLANATIONS: [(&str, Explanation); 14] = [
    ("a masked set-field in the action set adds to the one before", masked_adds),
    ("a packet-in of the action set has the first flow's cookie and reason \"action\"", told_of_the_first),
    ("the action set runs after a TTL ran out in apply-actions", set_after_ttl),
    ("what is behind a third tag is not read after pop_vlan", third_tag),
    ("set-field of a VLAN field adds a tag where pop_vlan took the last one", set_adds_tag),
    ("an action set without output is not run", set_without_output),
    ("a miss behind the first table runs the action set", miss_runs_the_set),
    ("a frame with three labels gets no fourth", fourth_label),
    ("a label pushed over no IP has TTL 64, which does not run out", pushed_ttl),
    ("the label and class of a label pushed over IP are matched afterwards", pushed_label),
    ("what is set in a label stack that does not end with its third label pops and pushes labels", cut_stack),
    ("a label pushed where there is no EtherType is matched afterwards", label_without_type),
    (
        "a bucket that pushes or pops a tag of a frame with two or more damages it, and what leaves afterwards",
        tags_in_a_bucket,
    ),
    ("a trace ends where the datapath is to read the frame anew behind a label", left_to_the_datapath),
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
    let is_told = |a: &Action| {
        matches!(
            a,
            Action::Output { port: PortNo::CONTROLLER, .. } | Action::DecNwTtl | Action::DecMplsTtl | Action::Group(_)
        )
    };
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

/// It says that it holds three, and drops the frame or the bucket's copy.
fn fourth_label(case: &Case<'_>) -> bool {
    let said = case.trace.text.contains("it would have more MPLS LSEs than the 3 supported");
    said && case.ours.path.starts_with(&case.theirs.path)
}

/// §5.12, table 6: the TTL of a label that is pushed is that of the label or IP header below. What has none has TTL 0.
fn pushed_ttl(case: &Case<'_>) -> bool {
    let [before @ .., Event::Up { reason: "invalid-ttl", .. }] = &case.ours.events[..] else { return false };
    let mut theirs = case.theirs.events.iter();
    case.trace.text.contains("push_mpls:")
        && case.trace.text.contains("dec_mpls_ttl")
        && before.iter().all(|ours| theirs.any(|e| e == ours))
}

/// What it starts with differs (see `BYTES`).
fn pushed_label(case: &Case<'_>) -> bool {
    let asks = |r: &Rule| [Field::MplsLabel, Field::MplsTc].iter().any(|f| r.matching.get(*f).is_some());
    let reached = |r: &Rule| case.theirs.path.iter().chain(&case.ours.path).any(|(table, _)| *table == r.table);
    !case.same_path() && case.trace.text.contains("push_mpls:") && case.rules.iter().any(|r| reached(r) && asks(r))
}

/// It knows three labels, and takes those that are not there for 0; what its datapath makes of them, it does not see.
fn cut_stack(case: &Case<'_>) -> bool {
    let Some(L3::Mpls { at, .. }) = read(case.frame).map(|h| h.l3) else { return false };
    let ends = case.frame[at..].chunks_exact(4).take(3).any(|entry| entry[2] & 1 == 1);
    !ends && case.same_path() && case.ours.events.len() == case.theirs.events.len()
}

/// Wamig pushes none there.
fn label_without_type(case: &Case<'_>) -> bool {
    case.trace.flow.fields.get(&Field::EthType) == Some(&0x05ff) && case.trace.text.contains("push_mpls:")
}

/// It holds two tags, and undoes what a bucket did out of these.
fn tags_in_a_bucket(case: &Case<'_>) -> bool {
    let said = |text| case.trace.text.contains(text);
    let tags = case.trace.flow.tags + case.trace.text.matches("push_vlan:").count();
    said("bucket ") && (tags > 2 || tags == 2 && said("pop_vlan"))
}

/// It shows the flows up to there, and nothing more.
fn left_to_the_datapath(case: &Case<'_>) -> bool {
    case.trace.actions.contains(&DpAction::Recirculate) && case.ours.path.starts_with(&case.theirs.path)
}

/// Open vSwitch looks at a frame once; wamig anew after every edit.
fn third_tag(case: &Case<'_>) -> bool {
    let flow = &case.trace.flow;
    let tagged = flow.tags == 2 && matches!(flow.fields.get(&Field::EthType), Some(0x8100 | 0x88a8));
    tagged && case.actions().any(|a| *a == Action::PopVlan)
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
        decrements |= instructions.write.iter().any(|a| matches!(a, Action::DecNwTtl | Action::DecMplsTtl));
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
