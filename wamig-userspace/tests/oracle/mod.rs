//! A switch written from the text of OpenFlow 1.3.5 and nothing else: it looks at every flow
//! of a table for every frame, and makes every output when it comes to it. What it makes of a
//! frame is right by being simple. It shares no code with the switch that it judges, only the
//! words for matches and actions.

pub mod edit;
mod field;
pub mod headers;

pub use field::value;

use std::collections::BTreeMap;

use wamig_openflow::{Action, Field, Instructions, Match, PortNo};
use wamig_userspace::fastpath::FlowId;

use crate::paths::{PORTS, Seen, Up};

const SOURCE_PORTS: [Field; 3] = [Field::TcpSrc, Field::UdpSrc, Field::SctpSrc];
const DESTINATION_PORTS: [Field; 3] = [Field::TcpDst, Field::UdpDst, Field::SctpDst];

/// A flow.
#[derive(Clone, Debug)]
pub struct Rule {
    /// Its name.
    pub id: FlowId,
    /// Table.
    pub table: u8,
    /// Higher wins.
    pub priority: u16,
    /// Which frames.
    pub matching: Match,
    /// What becomes of them.
    pub instructions: Instructions,
}

/// What came of a frame.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Judgement {
    /// The flows met, table by table; `None` = miss.
    pub path: Vec<(u8, Option<FlowId>)>,
    /// Copies and packet-ins.
    pub seen: Seen,
}

/// One frame on its way.
struct Walk<'a> {
    in_port: PortNo,
    frame: Vec<u8>,
    metadata: u64,
    /// By the order of §5.10; with the flow that wrote it.
    set: BTreeMap<(u8, Option<Field>), (Action, &'a Rule)>,
    judgement: Judgement,
}

/// What the rules make of a frame.
pub fn judge(rules: &[Rule], in_port: PortNo, frame: &[u8]) -> Judgement {
    let set = BTreeMap::new();
    let mut walk = Walk { in_port, frame: frame.to_vec(), metadata: 0, set, judgement: Judgement::default() };
    walk.tables(rules);
    walk.judgement.seen = walk.judgement.seen.sorted();
    walk.judgement
}

impl<'a> Walk<'a> {
    /// §5.1.1: from table 0 on, as long as an instruction says so.
    fn tables(&mut self, rules: &'a [Rule]) {
        let mut table = 0;
        loop {
            let Some(headers) = headers::read(&self.frame) else { return };
            let takes = |m: &Match| {
                m.iter().all(|(f, m)| {
                    let value = field::value(f, &headers, self.in_port.0, self.metadata);
                    value.is_some_and(|value| value & m.mask == m.value)
                })
            };
            // §5.3: of those that match, the one with the highest priority.
            let best = rules.iter().filter(|r| r.table == table && takes(&r.matching)).max_by_key(|r| r.priority);
            self.judgement.path.push((table, best.map(|r| r.id)));
            // §5.4: without a table-miss flow, a frame that matches nothing is dropped.
            let Some(rule) = best else { return };
            // §5.9: instructions in this order.
            for action in &rule.instructions.apply {
                if !self.act(action, rule, rule) {
                    return;
                }
            }
            if rule.instructions.clear {
                self.set.clear();
            }
            for action in &rule.instructions.write {
                self.set.insert(place(action), (action.clone(), rule));
            }
            if let Some((value, mask)) = rule.instructions.metadata {
                self.metadata = self.metadata & !mask | value & mask;
            }
            let Some(next) = rule.instructions.goto else {
                self.run_set(rule);
                return;
            };
            table = next.0;
        }
    }

    /// §5.10: the action set at the end of the pipeline.
    fn run_set(&mut self, last: &'a Rule) {
        for (_, (action, writer)) in std::mem::take(&mut self.set) {
            if !self.act(&action, writer, last) {
                return;
            }
        }
    }

    /// One action of `rule`, run at the flow `last`; false = the frame goes no further.
    fn act(&mut self, action: &Action, rule: &Rule, last: &Rule) -> bool {
        match action {
            Action::Output { port: PortNo::CONTROLLER, max_len } => {
                let miss = rule.priority == 0 && rule.matching.is_any();
                self.tell(rule, if miss { "no-match" } else { "action" }, usize::from(*max_len));
            }
            Action::Output { port, .. } => self.output(*port),
            Action::SetField { field, value, mask } => edit::set(&mut self.frame, *field, *value, *mask),
            Action::Move { src, dst } => edit::copy(&mut self.frame, *src, *dst),
            Action::PushVlan(kind) => edit::push_vlan(&mut self.frame, *kind),
            Action::PopVlan => edit::pop_vlan(&mut self.frame),
            Action::SetVlanVid(vid) => edit::set_tag(&mut self.frame, Field::VlanVid, u128::from(*vid)),
            Action::SetVlanPcp(pcp) => edit::set_tag(&mut self.frame, Field::VlanPcp, u128::from(*pcp)),
            Action::SetTpSrc(port) => edit::set_one_of(&mut self.frame, SOURCE_PORTS, *port),
            Action::SetTpDst(port) => edit::set_one_of(&mut self.frame, DESTINATION_PORTS, *port),
            Action::SetNwTtl(ttl) => edit::set_ttl(&mut self.frame, *ttl),
            Action::PushMpls(kind) => return self.reshape(|frame| edit::push_mpls(frame, *kind)),
            Action::PopMpls(below) => return self.reshape(|frame| edit::pop_mpls(frame, *below)),
            Action::SetMplsTtl(ttl) => edit::set_mpls_ttl(&mut self.frame, *ttl),
            Action::DecNwTtl | Action::DecMplsTtl => {
                let mpls = *action == Action::DecMplsTtl;
                let frame = &mut self.frame;
                if !if mpls { edit::dec_mpls_ttl(frame) } else { edit::dec_ttl(frame) } {
                    self.tell(last, "invalid-ttl", usize::MAX);
                    return false;
                }
            }
            other => panic!("the switch refuses {other:?}"),
        }
        true
    }

    /// An action on headers that are looked for before and after; false = the frame ends within its tags.
    fn reshape(&mut self, edit: impl FnOnce(&mut Vec<u8>)) -> bool {
        if headers::read(&self.frame).is_none() {
            return false;
        }
        edit(&mut self.frame);
        headers::read(&self.frame).is_some()
    }

    fn tell(&mut self, rule: &Rule, reason: &'static str, max_len: usize) {
        let frame = &self.frame;
        self.judgement.seen.ups.push(Up {
            flow: Some(rule.id),
            reason,
            metadata: self.metadata,
            frame_len: frame.len(),
            frame: frame[..frame.len().min(max_len)].to_vec(),
        });
    }

    /// §5.12: a frame leaves by the port it came in by through IN_PORT only.
    fn output(&mut self, port: PortNo) {
        let ports: Vec<PortNo> = match port {
            PortNo::IN_PORT => vec![self.in_port],
            PortNo::ALL | PortNo::FLOOD => PORTS.into_iter().filter(|p| *p != self.in_port).collect(),
            port if port == self.in_port => vec![],
            port => vec![port],
        };
        self.judgement.seen.copies.extend(ports.into_iter().map(|p| (p, self.frame.clone())));
    }
}

/// Where an action is in the action set (§5.10); there is one of each kind, and of each field.
fn place(action: &Action) -> (u8, Option<Field>) {
    match action {
        Action::PopVlan => (2, None),
        Action::PopMpls(_) => (2, Some(Field::MplsLabel)),
        Action::PushMpls(_) => (3, None),
        Action::DecMplsTtl => (7, Some(Field::MplsLabel)),
        Action::SetMplsTtl(_) => (9, Some(Field::MplsLabel)),
        Action::PushVlan(_) => (5, None),
        Action::DecNwTtl => (7, None),
        Action::SetVlanVid(_) => (8, Some(Field::VlanVid)),
        Action::SetVlanPcp(_) => (8, Some(Field::VlanPcp)),
        Action::SetTpSrc(_) => (8, Some(Field::TcpSrc)),
        Action::SetTpDst(_) => (8, Some(Field::TcpDst)),
        Action::SetField { field, .. } | Action::Move { dst: field, .. } => (8, Some(*field)),
        Action::SetNwTtl(_) => (9, None),
        Action::Output { .. } => (11, None),
        other => panic!("the switch refuses {other:?}"),
    }
}
