//! The keys about several switches elsewhere: `[[switch.member]]`, `[[switch.link]]`. What they
//! make has to be a tree, and a port is either a port of the whole or the end of a link.

use toml::Spanned;

use super::check::{Check, IFNAMSIZ, MAX_PORTS, is_interface_name};
use super::file::{self, Text};
use super::{Fabric, Member};
use crate::datapath::fabric::topology::{End, Topology};
use crate::peer::identity::is_site_name;

const PORT: &str = "allowed: SWITCH:PORT, as in \"leaf1:eth3\"";

impl Check<'_, '_> {
    /// Several switches, if there are.
    #[expect(clippy::option_option, reason = "a mistake, one switch, or several")]
    pub(super) fn fabric(&mut self, switch: &file::Switch) -> Option<Option<Fabric>> {
        let Some(first) = switch.member.first() else {
            return match switch.link.first() {
                None => Some(None),
                Some(link) => self.wrong(
                    link.span(),
                    "[[switch.link]] connects several switches, but there is no [[switch.member]]",
                    "needed: a [[switch.member]] for each switch, or take out [[switch.link]]",
                ),
            };
        };
        if let Some(remote) = &switch.remote {
            return self.wrong(
                remote.span(),
                "there are both [switch.remote] and [[switch.member]]",
                "allowed: [switch.remote] for one switch, [[switch.member]] for several",
            );
        }
        if let Some(id) = &switch.datapath_id {
            return self.wrong(
                id.span(),
                "datapath_id in [switch] is one switch's, but there are several",
                "take it out: each [[switch.member]] has its own",
            );
        }
        if switch.member.len() == 1 {
            return self.wrong(
                first.span(),
                "there is only one [[switch.member]]",
                "needed: another one, or [switch.remote] in its place",
            );
        }
        let members = self.members(&switch.member);
        let names: Vec<&str> = switch.member.iter().map(|m| m.get_ref().name.get_ref().as_str()).collect();
        let edges = self.edges(&switch.ports, &names);
        let links = self.links(&switch.link, &names, &edges.clone().unwrap_or_default());
        let (members, edges, links) = (members?, edges?, links?);
        self.connected(switch, &links)?;
        let topology = Topology::new(names.into_iter().map(str::to_owned).collect(), &edges, &links);
        Some(Some(Fabric { members, topology }))
    }

    fn members(&mut self, members: &[Spanned<file::Member>]) -> Option<Vec<Member>> {
        let mut good = Some(());
        let mut checked: Vec<Member> = Vec::new();
        for keys in members.iter().map(Spanned::get_ref) {
            let name = keys.name.get_ref();
            if !is_site_name(name) {
                good = self.wrong(
                    keys.name.span(),
                    format!("{name:?} is not a switch's name"),
                    "allowed: 1 to 63 letters, digits, '-', '_' or '.', not beginning with '.'",
                );
            } else if checked.iter().any(|m| m.name == *name) {
                good = self.wrong(
                    keys.name.span(),
                    format!("switch {name:?} is named twice"),
                    "allowed: each switch once",
                );
            }
            let id = self.datapath_id(&keys.datapath_id);
            if let Some(other) = checked.iter().find(|m| Some(m.datapath_id) == id) {
                good = self.wrong(
                    keys.datapath_id.span(),
                    format!("switch {:?} has the same datapath id", other.name),
                    "allowed: each switch's own (Open vSwitch: `ovs-ofctl show BRIDGE`)",
                );
            }
            match (id, self.remote_keys(&keys.remote, "[switch.member.remote]")) {
                (Some(datapath_id), Some(remote)) => checked.push(Member { name: name.clone(), datapath_id, remote }),
                _ => good = None,
            }
        }
        good?;
        self.full(members, &checked)?;
        self.apart(members, &checked)?;
        Some(checked)
    }

    /// Frames between switches are marked by a tag, which a narrow switch's flows cannot do.
    fn full(&mut self, members: &[Spanned<file::Member>], checked: &[Member]) -> Option<()> {
        let narrow = checked.iter().position(|m| m.remote.profile.is_narrow());
        let Some(at) = narrow else { return Some(()) };
        self.wrong(
            members[at].get_ref().remote.get_ref().profile.span(),
            format!("profile {} is for one switch alone, but there are several", checked[at].remote.profile),
            "allowed with [[switch.member]]: \"ovs\"",
        )
    }

    /// Who connects is told apart by the endpoint.
    fn apart(&mut self, members: &[Spanned<file::Member>], checked: &[Member]) -> Option<()> {
        for (at, member) in checked.iter().enumerate() {
            for endpoint in member.remote.endpoints.iter().filter(|e| e.is_passive()) {
                let Some(other) = checked[..at].iter().find(|m| m.remote.endpoints.contains(endpoint)) else {
                    continue;
                };
                return self.wrong(
                    members[at].get_ref().remote.span(),
                    format!("{endpoint} is where switch {:?} is waited for", other.name),
                    "allowed: an endpoint of its own for each switch, as in \"ptcp:6654\"",
                );
            }
        }
        Some(())
    }

    /// `SWITCH:PORT`.
    fn end(&mut self, text: &Text, names: &[&str]) -> Option<End> {
        let s = text.get_ref();
        let parts = s.split_once(':').filter(|(_, port)| is_interface_name(port, IFNAMSIZ));
        let Some((name, port)) = parts else {
            return self.wrong(text.span(), format!("{s:?} is not a port of one of several switches"), PORT);
        };
        match names.iter().position(|n| *n == name) {
            Some(switch) => Some(End { switch, port: port.to_owned() }),
            None => self.wrong(
                text.span(),
                format!("{s:?} is a port of a switch that there is not"),
                format!("allowed (name in [[switch.member]]): {}", names.join(", ")),
            ),
        }
    }

    fn edges(&mut self, ports: &Spanned<Vec<Text>>, names: &[&str]) -> Option<Vec<End>> {
        let mut good = self.not_empty(ports, "the ports that frames come in by, as in [\"leaf1:up\", \"leaf2:eth3\"]");
        if ports.get_ref().len() > MAX_PORTS {
            let count = ports.get_ref().len();
            good = self.wrong(ports.span(), format!("{count} ports are too many"), format!("allowed: {MAX_PORTS}"));
        }
        let mut ends: Vec<End> = Vec::new();
        for text in ports.get_ref() {
            match self.end(text, names) {
                None => good = None,
                Some(end) if ends.contains(&end) => {
                    let what = format!("port {:?} is named twice", text.get_ref());
                    good = self.wrong(text.span(), what, "allowed: each port once");
                }
                Some(end) => ends.push(end),
            }
        }
        good.map(|()| ends)
    }

    fn links(&mut self, links: &[Spanned<file::Link>], names: &[&str], edges: &[End]) -> Option<Vec<[End; 2]>> {
        let mut good = Some(());
        let mut checked: Vec<[End; 2]> = Vec::new();
        for link in links.iter().map(Spanned::get_ref) {
            let Some(ends) = self.link(link, names, edges, &checked) else {
                good = None;
                continue;
            };
            // The switches that are connected so far.
            if reached(ends[0].switch, &checked).contains(&ends[1].switch) {
                let [a, b] = [&ends[0], &ends[1]].map(|e| names[e.switch]);
                good = self.wrong(
                    link.ends.span(),
                    format!("this link closes a loop: {a} and {b} are connected already"),
                    "allowed: links that make a tree; take one of the loop out (a standby link can be a bond of both)",
                );
                continue;
            }
            checked.push(ends);
        }
        good.map(|()| checked)
    }

    fn link(&mut self, link: &file::Link, names: &[&str], edges: &[End], before: &[[End; 2]]) -> Option<[End; 2]> {
        let [a, b] = link.ends.get_ref().as_slice() else {
            return self.wrong(
                link.ends.span(),
                format!("a link has two ends, not {}", link.ends.get_ref().len()),
                "allowed: [\"SWITCH:PORT\", \"SWITCH:PORT\"]",
            );
        };
        let ends = [(a, self.end(a, names)), (b, self.end(b, names))];
        for (text, end) in &ends {
            let Some(end) = end else { continue };
            if edges.contains(end) {
                return self.wrong(
                    text.span(),
                    format!("{:?} is a port of [switch] and the end of a link", text.get_ref()),
                    "allowed: one of the two; take it out of ports, or correct the link",
                );
            }
            if before.iter().flatten().any(|e| e == end) {
                return self.wrong(
                    text.span(),
                    format!("{:?} is the end of another link", text.get_ref()),
                    "allowed: each port once; several cables between two switches are one port there (a bond)",
                );
            }
        }
        let [(text, a), (_, b)] = ends;
        let (a, b) = (a?, b?);
        if a.switch == b.switch {
            return self.wrong(
                text.span(),
                format!("this link connects {:?} with itself", names[a.switch]),
                "allowed: ports of two switches",
            );
        }
        Some([a, b])
    }

    fn connected(&mut self, switch: &file::Switch, links: &[[End; 2]]) -> Option<()> {
        let reached = reached(0, links);
        let mut good = Some(());
        for (at, member) in switch.member.iter().enumerate().filter(|(at, _)| !reached.contains(at)) {
            let first = switch.member[0].get_ref().name.get_ref();
            let span = member.get_ref().name.span();
            good = self.wrong(
                span,
                format!("no link leads from switch {:?} to {first:?}", switch.member[at].get_ref().name.get_ref()),
                "needed: [[switch.link]] with ends = [\"SWITCH:PORT\", \"SWITCH:PORT\"]",
            );
        }
        good
    }
}

/// The switches that links lead to from one of them, itself included.
fn reached(from: usize, links: &[[End; 2]]) -> Vec<usize> {
    let mut found = vec![from];
    let mut at = 0;
    while let Some(here) = found.get(at).copied() {
        for [a, b] in links {
            for (near, far) in [(a.switch, b.switch), (b.switch, a.switch)] {
                if near == here && !found.contains(&far) {
                    found.push(far);
                }
            }
        }
        at += 1;
    }
    found
}
