//! Which switches there are, which of their ports are ports of the whole, and how the others
//! connect them: a tree, so that there is one way from each port to each other.

use std::collections::BTreeSet;

use wamig_openflow::PortNo;

/// A port of one of the switches.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct End {
    /// Which switch, from 0.
    pub switch: usize,
    /// The port's name or number there.
    pub port: String,
}

/// A link as one of its two switches sees it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Link {
    /// The port that it is at, in the switch's own numbering (see [`Place::ports`]).
    pub port: PortNo,
    /// The switch at the other end.
    pub peer: usize,
    /// The port there.
    pub peer_port: PortNo,
    /// The ports of the whole that lie that way.
    pub beyond: BTreeSet<PortNo>,
}

/// One switch.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Place {
    /// Its name.
    pub name: String,
    /// Its ports by name or number, those of the whole first; the first is its port 1.
    pub ports: Vec<String>,
    /// Ports of the whole that are here; the first is port 1 here.
    pub edges: Vec<PortNo>,
    /// Its links; they follow the ports of the whole.
    pub links: Vec<Link>,
}

/// The switches and their links.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Topology {
    places: Vec<Place>,
    /// Where each port of the whole is: the switch and the port there; the first is port 1.
    edges: Vec<(usize, PortNo)>,
}

impl Topology {
    /// The switches of these names, of which `edges` are ports of the whole. `links` make a
    /// tree, and every end names a switch that there is: the configuration has seen to both.
    pub fn new(names: Vec<String>, edges: &[End], links: &[[End; 2]]) -> Self {
        let mut places: Vec<Place> = names.into_iter().map(|name| Place { name, ..Place::default() }).collect();
        let mut whole = Vec::new();
        for (index, end) in edges.iter().enumerate() {
            let place = &mut places[end.switch];
            place.ports.push(end.port.clone());
            place.edges.push(number(index + 1));
            whole.push((end.switch, number(place.ports.len())));
        }
        for [a, b] in links {
            for (here, there) in [(a, b), (b, a)] {
                let place = &mut places[here.switch];
                place.ports.push(here.port.clone());
                let port = number(place.ports.len());
                let beyond = BTreeSet::new();
                place.links.push(Link { port, peer: there.switch, peer_port: PortNo(0), beyond });
            }
        }
        let mut topology = Self { places, edges: whole };
        for switch in 0..topology.places.len() {
            for at in 0..topology.places[switch].links.len() {
                let peer = topology.places[switch].links[at].peer;
                let peer_port = topology.towards(peer, switch);
                let beyond = topology.behind(peer, switch);
                let link = &mut topology.places[switch].links[at];
                (link.peer_port, link.beyond) = (peer_port, beyond);
            }
        }
        topology
    }

    /// The switches, in their order.
    pub fn places(&self) -> &[Place] {
        &self.places
    }

    /// How many ports the whole has.
    pub fn len(&self) -> usize {
        self.edges.len()
    }

    /// Whether the whole has no port.
    pub fn is_empty(&self) -> bool {
        self.edges.is_empty()
    }

    /// Where a port of the whole is: the switch and the port there.
    pub fn place(&self, port: PortNo) -> Option<(usize, PortNo)> {
        let at = port.0.checked_sub(1)?;
        self.edges.get(at as usize).copied()
    }

    /// The port of the whole at a port of a switch; `None` = a link.
    pub fn whole(&self, switch: usize, port: PortNo) -> Option<PortNo> {
        let at = port.0.checked_sub(1)?;
        self.places.get(switch)?.edges.get(at as usize).copied()
    }

    /// The name of a port of the whole.
    pub fn name(&self, port: PortNo) -> Option<String> {
        let (switch, there) = self.place(port)?;
        let place = self.places.get(switch)?;
        Some(format!("{}:{}", place.name, place.ports.get(there.0 as usize - 1)?))
    }

    /// The port of `switch` at its link with `peer`.
    fn towards(&self, switch: usize, peer: usize) -> PortNo {
        self.places[switch].links.iter().find(|l| l.peer == peer).map_or(PortNo(0), |l| l.port)
    }

    /// The ports of the whole at `switch` and behind it, seen from `from`.
    fn behind(&self, switch: usize, from: usize) -> BTreeSet<PortNo> {
        let mut found: BTreeSet<PortNo> = self.places[switch].edges.iter().copied().collect();
        for link in self.places[switch].links.iter().filter(|l| l.peer != from) {
            found.extend(self.behind(link.peer, switch));
        }
        found
    }
}

fn number(n: usize) -> PortNo {
    PortNo(u32::try_from(n).unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn end(switch: usize, port: &str) -> End {
        End { switch, port: port.to_owned() }
    }

    #[test]
    fn each_port_lies_behind_one_link_of_every_other_switch() {
        // leaf 0 ── spine 1 ── leaf 2
        let edges = [end(0, "up"), end(2, "srv"), end(0, "lan1")];
        let links = [[end(0, "t"), end(1, "a")], [end(2, "t"), end(1, "b")]];
        let t = Topology::new(vec!["l0".into(), "s".into(), "l2".into()], &edges, &links);
        assert_eq!(t.places()[0].ports, ["up", "lan1", "t"]);
        assert_eq!(t.place(PortNo(3)), Some((0, PortNo(2))));
        assert_eq!((t.whole(0, PortNo(2)), t.whole(0, PortNo(3))), (Some(PortNo(3)), None), "the third is a link");
        assert_eq!(t.name(PortNo(2)).unwrap(), "l2:srv");
        let beyond = |switch: usize, link: usize| t.places()[switch].links[link].beyond.iter().map(|p| p.0).collect();
        let (near, far): (Vec<u32>, Vec<u32>) = (beyond(0, 0), beyond(2, 0));
        assert_eq!((near, far), (vec![2], vec![1, 3]));
        let spine: [Vec<u32>; 2] = [beyond(1, 0), beyond(1, 1)];
        assert_eq!(spine, [vec![1, 3], vec![2]]);
        let link = &t.places()[1].links[1];
        assert_eq!((link.port, link.peer, link.peer_port), (PortNo(2), 2, PortNo(2)));
    }
}
