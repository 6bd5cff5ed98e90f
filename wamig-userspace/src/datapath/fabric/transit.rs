//! Frames between switches. The switch where a frame comes in decides what becomes of it and
//! says so by an outer 802.1Q tag, whose id names the ports that the frame is for; the others
//! obey the tag, and take it off where the frame leaves. So a frame is steered, learned from
//! and sent up once, by the flows of one switch, and no flow of the controller is met by frames
//! of a link (an edge that decides and a core that obeys labels: Casado, Koponen, Shenker and
//! Tootoonchian, "Fabric: A Retrospective on Evolving SDN", HotSDN 2012).
//!
//! Every port has the tag of its own number. A set of ports, as of a flood, has one above those,
//! by a hash of the set, so that a daemon that is started again finds the flows it would make.

use std::collections::{BTreeMap, BTreeSet};

use wamig_openflow::flow_match::VID_PRESENT;
use wamig_openflow::{Action, Cookie, ErrorKind, Field, FlowMod, Instructions, Match, OfpError, PortNo, TableId};

use super::topology::{Place, Topology};
use crate::hash::fnv1a;

/// The cookie of the flows of links, whose lower half is the tag: "FB".
pub const COOKIE: Cookie = Cookie(0x4642 << 48);
/// The bits of a cookie that name its owner.
pub const COOKIE_MASK: u64 = 0xffff << 48;
/// Frames of a link that are tagged; above all that steers.
pub const OBEY: u16 = 50900;
/// The other frames of a link: nobody's.
pub const GUARD: u16 = 50800;
/// The tag's type.
pub const TAG_TYPE: u16 = 0x8100;
/// The greatest id of a tag (IEEE 802.1Q-2018 table 9-2: 4095 is reserved).
const MAX_TAG: u16 = 4094;

/// Ports of the whole.
pub type Set = BTreeSet<PortNo>;

/// The tags in use.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Tags {
    /// Tags up to this one are ports' own.
    ports: u16,
    /// Sets of several ports, and how many outputs use them.
    sets: BTreeMap<u16, (Set, usize)>,
}

impl Tags {
    /// Tags for so many ports.
    pub fn new(ports: usize) -> Self {
        Self { ports: u16::try_from(ports).unwrap_or(MAX_TAG).min(MAX_TAG), sets: BTreeMap::new() }
    }

    /// The tag of these ports, used once more.
    ///
    /// # Errors
    /// `OFPFMFC_TABLE_FULL`: there are no more tags.
    pub fn take(&mut self, set: &Set) -> Result<u16, OfpError> {
        if let (Some(port), 1) = (set.first(), set.len()) {
            return Ok(port.0 as u16);
        }
        let room = MAX_TAG - self.ports;
        let hash = fnv1a(set.iter().map(|p| p.0));
        for step in 0..u32::from(room) {
            let tag = self.ports + 1 + (hash.wrapping_add(step) % u32::from(room)) as u16;
            let (held, uses) = self.sets.entry(tag).or_insert_with(|| (set.clone(), 0));
            if held == set {
                *uses += 1;
                return Ok(tag);
            }
        }
        let detail = format!("the {room} tags for sets of ports are all in use; flood to fewer different sets");
        Err(OfpError::new(ErrorKind::FlowModTableFull, detail))
    }

    /// A use is over. The tag stays until [`Self::sweep`]: frames with it may be under way.
    pub fn release(&mut self, tag: u16) {
        if let Some((_, uses)) = self.sets.get_mut(&tag) {
            *uses = uses.saturating_sub(1);
        }
    }

    /// Takes out the sets that nobody uses.
    pub fn sweep(&mut self) {
        self.sets.retain(|_, (_, uses)| *uses > 0);
    }

    /// The sets of several ports.
    pub fn sets(&self) -> impl Iterator<Item = (u16, &Set)> {
        self.sets.iter().map(|(tag, (set, _))| (*tag, set))
    }
}

/// The flows that are always there: every port's own tag, and the guard.
pub fn standing(topology: &Topology, switch: usize) -> Vec<FlowMod> {
    let place = &topology.places()[switch];
    let guard = |port| FlowMod::add(TableId(0), GUARD, Match::any().in_port(port), Instructions::drop(), COOKIE);
    let mut flows: Vec<FlowMod> = place.links.iter().map(|l| guard(l.port)).collect();
    for port in (1..=topology.len()).map(|n| PortNo(n as u32)) {
        flows.extend(obey(topology, switch, port.0 as u16, &Set::from([port])));
    }
    flows
}

/// What a switch does with frames of its links that have the tag of a set.
pub fn obey(topology: &Topology, switch: usize, tag: u16, set: &Set) -> Vec<FlowMod> {
    let place = &topology.places()[switch];
    let one = |from: PortNo| {
        let mut actions = onward(place, set, Some(from));
        let here = leaving(place, set);
        if !here.is_empty() {
            actions.push(Action::PopVlan);
            actions.extend(here);
        }
        let matching = Match::any().in_port(from).with(Field::VlanVid, vid(tag));
        let cookie = Cookie(COOKIE.0 | u64::from(tag));
        (!actions.is_empty()).then(|| FlowMod::add(TableId(0), OBEY, matching, Instructions::apply(actions), cookie))
    };
    place.links.iter().filter_map(|l| one(l.port)).collect()
}

/// Outputs to the links that lead to some of these ports, but for the one they came by.
pub fn onward(place: &Place, set: &Set, from: Option<PortNo>) -> Vec<Action> {
    let leads = |l: &&super::topology::Link| Some(l.port) != from && !l.beyond.is_disjoint(set);
    place.links.iter().filter(leads).map(|l| Action::output(l.port)).collect()
}

/// Outputs to those of these ports that are here.
fn leaving(place: &Place, set: &Set) -> Vec<Action> {
    let here = place.edges.iter().enumerate().filter(|(_, port)| set.contains(port));
    here.map(|(i, _)| Action::output(PortNo(i as u32 + 1))).collect()
}

/// A tag as the field has it.
pub fn vid(tag: u16) -> u128 {
    u128::from(VID_PRESENT | tag)
}

#[cfg(test)]
mod tests {
    use super::super::topology::End;
    use super::*;

    fn set(ports: &[u32]) -> Set {
        ports.iter().map(|p| PortNo(*p)).collect()
    }

    /// Ports 1, 2 at switch 0, none at 1, port 3 at 2; in a row.
    fn row() -> Topology {
        let end = |switch, port: &str| End { switch, port: port.to_owned() };
        let links = [[end(0, "t"), end(1, "a")], [end(1, "b"), end(2, "t")]];
        let edges = [end(0, "up"), end(0, "lan1"), end(2, "srv")];
        Topology::new(["l0", "s", "l2"].map(str::to_owned).to_vec(), &edges, &links)
    }

    #[test]
    fn a_set_has_one_tag_while_it_is_used_and_the_same_the_next_time() {
        let mut tags = Tags::new(3);
        assert_eq!(tags.take(&set(&[2])).unwrap(), 2, "its own number");
        let both = tags.take(&set(&[1, 3])).unwrap();
        assert!(both > 3 && tags.take(&set(&[1, 3])).unwrap() == both);
        assert_ne!(tags.take(&set(&[1, 2, 3])).unwrap(), both);
        tags.release(both);
        tags.sweep();
        assert_eq!(tags.sets().count(), 2, "one use is left");
        tags.release(both);
        assert_eq!(tags.sets().count(), 2, "frames with it may be under way");
        tags.sweep();
        assert_eq!(tags.sets().count(), 1);
        assert_eq!(tags.take(&set(&[1, 3])).unwrap(), both);
    }

    #[test]
    fn tags_come_to_an_end() {
        let mut tags = Tags::new(4092);
        let (a, b) = (tags.take(&set(&[1, 2])).unwrap(), tags.take(&set(&[1, 3])).unwrap());
        assert_eq!(BTreeSet::from([a, b]), BTreeSet::from([4093, 4094]));
        let full = tags.take(&set(&[2, 3])).unwrap_err();
        assert_eq!(full.kind, ErrorKind::FlowModTableFull);
        assert_eq!(tags.take(&set(&[1, 3])).unwrap(), b);
    }

    #[test]
    fn a_frame_of_a_link_goes_on_with_its_tag_and_leaves_without() {
        let text = |switch, ports: &[u32]| -> Vec<String> {
            obey(&row(), switch, 9, &set(ports)).iter().map(|f| format!("{} {}", f.matching, f.instructions)).collect()
        };
        assert_eq!(text(1, &[1, 3]), ["in_port=1,vlan_vid=0x1009 output:2", "in_port=2,vlan_vid=0x1009 output:1"]);
        assert_eq!(text(2, &[1, 3]), ["in_port=2,vlan_vid=0x1009 pop_vlan,output:1"]);
        assert_eq!(text(0, &[1, 2]), ["in_port=3,vlan_vid=0x1009 pop_vlan,output:1,output:2"]);
        assert_eq!(text(2, &[1]), Vec::<String>::new(), "nothing of it comes here");
        let standing: Vec<String> = standing(&row(), 2).iter().map(ToString::to_string).collect();
        assert!(
            standing[0].ends_with("priority=50800,cookie=0x4642000000000000,in_port=2 actions=drop"),
            "{standing:?}"
        );
    }
}
