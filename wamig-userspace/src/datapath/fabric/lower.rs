//! A flow of the whole as flows of the switches: the same match on every switch where frames
//! may come in that it matches, and outputs to ports elsewhere by way of a link, with the tag
//! of the ports that the frame is for (see [`super::transit`]).

use wamig_openflow::{Action, ErrorKind, Field, FlowMod, Instructions, Match, OfpError, PortNo, TableId};

use super::topology::Topology;
use super::transit::{self, Set, Tags};

/// A flow of the whole on the switches.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Lowered {
    /// By switch.
    pub rows: Vec<(usize, FlowMod)>,
    /// The tags that it uses, as often as it uses them.
    pub tags: Vec<u16>,
}

/// Lowers an added flow. After a refusal `tags` may hold uses that are nobody's.
///
/// # Errors
/// The specification's, for what several switches cannot do as one, and what would do.
pub fn flow(topology: &Topology, tags: &mut Tags, m: &FlowMod) -> Result<Lowered, OfpError> {
    if m.table == TableId(0) && m.priority >= transit::GUARD {
        let what = format!("priority {} of table 0 is above what the links need", m.priority);
        return Err(OfpError::new(ErrorKind::FlowModEperm, format!("{what}; use less than {}", transit::GUARD)));
    }
    let switches = switches(topology, &m.matching)?;
    if switches.len() > 1 && (m.idle_timeout, m.hard_timeout) != (0, 0) {
        let what = "a flow of several switches would end on each at another time";
        return Err(OfpError::new(ErrorKind::FlowModBadTimeout, format!("{what}; name its in_port")));
    }
    if let Some(action) = m.instructions.write.iter().find(|a| sends(a)) {
        let what = format!("{} in write_actions", text(action));
        return Err(unsupported(&what, "apply it"));
    }
    let mut lowered = Lowered::default();
    for switch in switches {
        let apply = actions(topology, tags, switch, &m.instructions.apply, &mut lowered.tags)?;
        let mut row = FlowMod {
            matching: inner(topology, &m.matching),
            instructions: Instructions { apply, ..m.instructions.clone() },
            ..m.clone()
        };
        // Its end has to be known here; whether it is told on is the flow's own flag.
        row.flags.send_flow_removed |= (m.idle_timeout, m.hard_timeout) != (0, 0);
        row.flags.check_overlap = false;
        lowered.rows.push((switch, row));
    }
    Ok(lowered)
}

/// Where frames come in that the match may take.
fn switches(topology: &Topology, matching: &Match) -> Result<Vec<usize>, OfpError> {
    let in_port = matching.get(Field::InPort).map(|m| PortNo(m.value as u32)).filter(|p| *p <= PortNo::MAX);
    let Some(port) = in_port else {
        let with_edges = topology.places().iter().enumerate().filter(|(_, p)| !p.edges.is_empty());
        return Ok(with_edges.map(|(i, _)| i).collect());
    };
    match topology.place(port) {
        Some((switch, _)) => Ok(vec![switch]),
        None => Err(OfpError::new(
            ErrorKind::BadMatchBadValue,
            format!("in_port={port}: the ports are 1 to {}", topology.len()),
        )),
    }
}

/// The match with the switch's number of the port.
fn inner(topology: &Topology, matching: &Match) -> Match {
    let port = matching.get(Field::InPort).and_then(|m| topology.place(PortNo(m.value as u32)));
    port.map_or_else(|| matching.clone(), |(_, there)| matching.clone().in_port(there))
}

/// The match with the whole's number of the port; `None` = frames of a link.
pub fn outer(topology: &Topology, switch: usize, matching: &Match) -> Option<Match> {
    let port = matching.get(Field::InPort).map(|m| PortNo(m.value as u32)).filter(|p| *p <= PortNo::MAX);
    match port {
        None => Some(matching.clone()),
        Some(port) => topology.whole(switch, port).map(|whole| matching.clone().in_port(whole)),
    }
}

/// Outputs with no edit between them send one frame: one tag for all that is elsewhere.
fn actions(
    topology: &Topology,
    tags: &mut Tags,
    switch: usize,
    list: &[Action],
    used: &mut Vec<u16>,
) -> Result<Vec<Action>, OfpError> {
    let mut out = Vec::new();
    let mut run = Set::new();
    for action in list {
        if let Action::Output { port, .. } = action
            && *port <= PortNo::MAX
        {
            if topology.place(*port).is_none() {
                let what = format!("output:{port}: the ports are 1 to {}", topology.len());
                return Err(OfpError::new(ErrorKind::BadActionBadOutPort, what));
            }
            if run.contains(port) {
                send(topology, tags, switch, &mut run, &mut out, used)?;
            }
            run.insert(*port);
            continue;
        }
        send(topology, tags, switch, &mut run, &mut out, used)?;
        match action {
            Action::Output { port: PortNo::CONTROLLER | PortNo::IN_PORT, .. } => {}
            other if sends(other) => return Err(unsupported(&text(other), "name the ports")),
            _ => {}
        }
        out.push(action.clone());
    }
    send(topology, tags, switch, &mut run, &mut out, used)?;
    Ok(out)
}

/// Sends the frame as it stands to the ports of `run`, which is empty then.
fn send(
    topology: &Topology,
    tags: &mut Tags,
    switch: usize,
    run: &mut Set,
    out: &mut Vec<Action>,
    used: &mut Vec<u16>,
) -> Result<(), OfpError> {
    let set = std::mem::take(run);
    let place = &topology.places()[switch];
    let (here, elsewhere): (Vec<PortNo>, Vec<PortNo>) = set.iter().partition(|p| place.edges.contains(p));
    out.extend(here.iter().filter_map(|p| topology.place(*p)).map(|(_, there)| Action::output(there)));
    if elsewhere.is_empty() {
        return Ok(());
    }
    let named = if elsewhere.len() == 1 { elsewhere.into_iter().collect() } else { set };
    let tag = tags.take(&named)?;
    used.push(tag);
    out.push(Action::PushVlan(transit::TAG_TYPE));
    out.push(Action::set(Field::VlanVid, transit::vid(tag)));
    out.extend(transit::onward(place, &named, None));
    out.push(Action::PopVlan);
    Ok(())
}

/// Whether an action sends a frame somewhere.
fn sends(action: &Action) -> bool {
    matches!(action, Action::Output { .. } | Action::Enqueue { .. } | Action::Group(_))
}

fn unsupported(what: &str, remedy: &str) -> OfpError {
    OfpError::new(ErrorKind::BadActionBadOutPort, format!("{what} is for one switch, but there are several; {remedy}"))
}

fn text(action: &Action) -> String {
    Instructions::apply(vec![action.clone()]).to_string()
}

/// A packet-out of the whole for one switch: what of it leaves there. `None` = nothing.
/// `decides`: it is where the frame comes in, or stands for that.
pub fn packet_out(topology: &Topology, switch: usize, decides: bool, list: &[Action]) -> Option<Vec<Action>> {
    let mut out = Vec::new();
    for action in list {
        match action {
            Action::Output { port, max_len } if *port <= PortNo::MAX => {
                if let Some((_, there)) = topology.place(*port).filter(|(at, _)| *at == switch) {
                    out.push(Action::Output { port: there, max_len: *max_len });
                }
            }
            action if sends(action) && !decides => {}
            action => out.push(action.clone()),
        }
    }
    let end = out.iter().rposition(sends)?;
    out.truncate(end + 1);
    Some(out)
}

/// Whether a packet-out can be done by several switches.
///
/// # Errors
/// `OFPBAC_BAD_OUT_PORT`, with what would do.
pub fn check_packet_out(topology: &Topology, list: &[Action]) -> Result<(), OfpError> {
    for action in list {
        match action {
            Action::Output { port: PortNo::CONTROLLER | PortNo::IN_PORT | PortNo::TABLE, .. } => {}
            Action::Output { port, .. } if topology.place(*port).is_some() => {}
            action if sends(action) => return Err(unsupported(&text(action), "name the ports")),
            _ => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use wamig_openflow::Cookie;

    use super::super::topology::End;
    use super::*;

    /// Ports 1, 2 at switch 0, ports 3, 4 at switch 1.
    fn pair() -> Topology {
        let end = |switch, port: &str| End { switch, port: port.to_owned() };
        let edges = [end(0, "up"), end(0, "lan1"), end(1, "srv"), end(1, "lan2")];
        Topology::new(["a", "b"].map(str::to_owned).to_vec(), &edges, &[[end(0, "t"), end(1, "t")]])
    }

    fn lower(text: &str) -> Result<Vec<String>, OfpError> {
        let mut tags = Tags::new(4);
        let lowered = flow(&pair(), &mut tags, &text.parse().unwrap())?;
        for tag in lowered.tags {
            tags.release(tag);
        }
        tags.sweep();
        assert_eq!(tags.sets().count(), 0, "every use is told");
        Ok(lowered.rows.iter().map(|(switch, m)| format!("{switch}: {} {}", m.matching, m.instructions)).collect())
    }

    #[test]
    fn a_flow_is_where_its_frames_come_in() {
        assert_eq!(lower("in_port=3,actions=drop").unwrap(), ["1: in_port=1 drop"]);
        assert_eq!(lower("arp,actions=CONTROLLER,goto_table:1").unwrap().len(), 2);
        let out = lower("in_port=1,ip,actions=mod_dl_src:02:00:00:00:00:01,output:3,IN_PORT").unwrap();
        let tagged = "push_vlan:0x8100,set_field:0x1003->vlan_vid,output:3,pop_vlan";
        assert_eq!(out.len(), 1);
        assert!(out[0].ends_with(&format!("{tagged},IN_PORT")), "{out:?}");
    }

    #[test]
    fn a_flood_crosses_a_link_once() {
        let out = lower("actions=output:1,output:2,output:3,output:4").unwrap();
        for line in &out {
            assert_eq!(line.matches("push_vlan").count(), 1, "{line}");
            assert_eq!(line.matches("output:3").count(), 1, "{line}");
        }
        // What is edited in between is another frame.
        let edited = lower("in_port=1,ip,actions=output:3,mod_nw_dst:192.0.2.9,output:3").unwrap();
        assert_eq!(edited[0].matches("push_vlan").count(), 2, "{edited:?}");
    }

    #[test]
    fn what_several_switches_cannot_do_is_refused_with_a_remedy() {
        for (text, kind, remedy) in [
            ("priority=50800,actions=drop", ErrorKind::FlowModEperm, "use less than 50800"),
            ("idle_timeout=5,arp,actions=drop", ErrorKind::FlowModBadTimeout, "name its in_port"),
            ("in_port=5,actions=drop", ErrorKind::BadMatchBadValue, "1 to 4"),
            ("actions=output:5", ErrorKind::BadActionBadOutPort, "1 to 4"),
            ("actions=NORMAL", ErrorKind::BadActionBadOutPort, "name the ports"),
            ("actions=write_actions(output:3)", ErrorKind::BadActionBadOutPort, "apply it"),
        ] {
            let refused = lower(text).expect_err(text);
            assert_eq!(refused.kind, kind, "{text}");
            assert!(refused.detail.contains(remedy), "{refused}");
        }
        assert!(lower("idle_timeout=5,in_port=2,actions=goto_table:2").is_ok());
        assert!(lower("table=1,priority=60000,actions=drop").is_ok());
    }

    #[test]
    fn a_packet_out_leaves_at_each_switch_that_has_its_ports() {
        let list = |text: &str| text.parse::<FlowMod>().map(|m| m.instructions.apply).unwrap();
        let out = |switch, decides, text: &str| {
            packet_out(&pair(), switch, decides, &list(text)).map(|a| Instructions::apply(a).to_string())
        };
        let text = "actions=output:1,output:3,output:4";
        assert_eq!(out(0, true, text).unwrap(), "output:1");
        assert_eq!(out(1, false, text).unwrap(), "output:1,output:2");
        assert_eq!(out(1, false, "actions=IN_PORT"), None);
        assert!(check_packet_out(&pair(), &list("actions=FLOOD")).is_err());
        assert_eq!(FlowMod::delete_by_cookie(Cookie(0), 0).instructions.apply, []);
    }
}
