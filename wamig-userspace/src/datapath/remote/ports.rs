//! The switch's port numbers and the controller's: the controller numbers the ports as the
//! configuration lists them, from 1, so that what it remembers of a port holds when the switch
//! numbers its ports anew. A port that the configuration does not list is none of its business.
//! The same for cookies and priorities ([`Marks`]).

use wamig_openflow::{Action, Cookie, Field, FlowMod, FlowStats, Instructions, Match, PortDesc, PortNo};

use super::marks::Marks;

/// Both numbers of every configured port.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct PortMap {
    /// The switch's number of the configuration's port 1, 2, …
    numbers: Vec<PortNo>,
    marks: Marks,
}

impl PortMap {
    /// Finds the configured ports, by name or by number.
    ///
    /// # Errors
    /// The switch has no such port; what it has.
    pub fn find(configured: &[String], there: &[PortDesc], marks: Marks) -> Result<Self, String> {
        let mut numbers = Vec::new();
        for name in configured {
            let by_name = there.iter().find(|p| p.name == *name);
            let by_number = || there.iter().find(|p| Ok(p.port.0) == name.parse());
            let Some(port) = by_name.or_else(by_number) else {
                let names: Vec<_> = there.iter().map(|p| format!("{} ({})", p.name, p.port)).collect();
                return Err(format!(
                    "the switch has no port {name:?}; it has {}; add the port there, or correct switch.ports",
                    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
                ));
            };
            if numbers.contains(&port.port) {
                return Err(format!("port {name:?} is {} once more; name each port once in switch.ports", port.port));
            }
            numbers.push(port.port);
        }
        Ok(Self { numbers, marks })
    }

    /// The controller's number; `None` = not configured.
    pub fn inward(&self, port: PortNo) -> Option<PortNo> {
        if port > PortNo::MAX {
            return Some(port);
        }
        self.numbers.iter().position(|p| *p == port).map(|i| PortNo(i as u32 + 1))
    }

    /// The switch's number. One that is not configured stays as it is, to be refused there.
    pub fn outward(&self, port: PortNo) -> PortNo {
        let place = port.0.checked_sub(1).map(|i| i as usize);
        place.and_then(|i| self.numbers.get(i)).copied().unwrap_or(port)
    }

    /// A flow-mod with the switch's numbers.
    pub fn flow_out(&self, m: FlowMod) -> FlowMod {
        FlowMod {
            cookie: self.marks.cookie_out(m.cookie),
            priority: self.marks.priority_out(m.table, m.priority),
            matching: matching(m.matching, |p| self.outward(p)),
            instructions: instructions(m.instructions, |p| self.outward(p)),
            out_port: self.outward(m.out_port),
            ..m
        }
    }

    /// Actions with the switch's numbers.
    pub fn actions_out(&self, list: Vec<Action>) -> Vec<Action> {
        actions(list, &|p| self.outward(p))
    }

    /// The cookie that the controller knows; `None` = the flow is not its.
    pub fn cookie_in(&self, cookie: Cookie) -> Option<Cookie> {
        self.marks.cookie_in(cookie)
    }

    /// A flow of ours with the controller's numbers.
    pub fn flow_in(&self, flow: FlowStats) -> FlowStats {
        let inward = |p| self.inward(p).unwrap_or(p);
        FlowStats {
            cookie: self.marks.cookie_in(flow.cookie).unwrap_or(flow.cookie),
            priority: self.marks.priority_in(flow.table, flow.priority),
            matching: matching(flow.matching, inward),
            instructions: instructions(flow.instructions, inward),
            ..flow
        }
    }

    /// A port with the controller's number; `None` = not configured.
    pub fn port_in(&self, desc: &PortDesc) -> Option<PortDesc> {
        Some(PortDesc { port: self.inward(desc.port)?, ..desc.clone() })
    }
}

fn matching(matching: Match, number: impl Fn(PortNo) -> PortNo) -> Match {
    match matching.get(Field::InPort) {
        Some(port) => matching.in_port(number(PortNo(port.value as u32))),
        None => matching,
    }
}

fn instructions(instructions: Instructions, number: impl Fn(PortNo) -> PortNo) -> Instructions {
    Instructions {
        apply: actions(instructions.apply, &number),
        write: actions(instructions.write, &number),
        ..instructions
    }
}

fn actions(list: Vec<Action>, number: &impl Fn(PortNo) -> PortNo) -> Vec<Action> {
    let one = |action| match action {
        Action::Output { port, max_len } => Action::Output { port: number(port), max_len },
        Action::Enqueue { port, queue } => Action::Enqueue { port: number(port), queue },
        other => other,
    };
    list.into_iter().map(one).collect()
}

#[cfg(test)]
mod tests {
    use wamig_openflow::{Cookie, TableId};

    use super::*;

    fn desc(port: u32, name: &str) -> PortDesc {
        PortDesc { port: PortNo(port), name: name.to_owned(), ..PortDesc::default() }
    }

    fn map(names: &[&str]) -> Result<PortMap, String> {
        let there = [desc(7, "up"), desc(3, "lan1"), desc(12, "srv"), desc(0xffff_fffe, "br0")];
        PortMap::find(&names.iter().map(|s| (*s).to_owned()).collect::<Vec<_>>(), &there, Marks::default())
    }

    #[test]
    fn flows_go_out_with_the_switchs_numbers() {
        let map = map(&["up", "3", "srv"]).unwrap();
        let out = Instructions::apply(vec![Action::output(PortNo(2)), Action::output(PortNo::IN_PORT)]);
        let m = FlowMod::add(TableId(0), 1, Match::any().in_port(PortNo(3)), out, Cookie(1));
        assert_eq!(map.flow_out(m).to_string(), "table=0,priority=1,cookie=0x1,in_port=12 actions=output:3,IN_PORT");
        assert_eq!(map.inward(PortNo(7)), Some(PortNo(1)));
        assert_eq!(map.inward(PortNo(9)), None, "somebody else's");
        assert_eq!(map.inward(PortNo::LOCAL), Some(PortNo::LOCAL));
    }

    #[test]
    fn a_port_that_is_not_there_is_named_with_those_that_are() {
        let why = map(&["up", "eth9"]).unwrap_err();
        assert!(why.contains("\"eth9\"") && why.contains("lan1 (3)"), "{why}");
        assert!(map(&["up", "7"]).unwrap_err().contains("once"));
    }
}
