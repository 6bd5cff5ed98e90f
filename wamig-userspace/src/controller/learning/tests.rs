//! The learning switch against a small interpreter of its flows.

use wamig_openflow::{FlowModCommand, FlowStats};

use super::*;

/// Tables that do what flow-mods say; knows the three fields that the learning switch uses.
#[derive(Default)]
struct Tables {
    flows: Vec<FlowMod>,
}

impl Tables {
    fn apply(&mut self, plan: &Plan) {
        for m in &plan.mods {
            let same = |f: &FlowMod| f.table == m.table && f.priority == m.priority && f.matching == m.matching;
            match m.command {
                FlowModCommand::Add => {
                    self.flows.retain(|f| !same(f));
                    self.flows.push(m.clone());
                }
                FlowModCommand::DeleteStrict => self.flows.retain(|f| !same(f)),
                FlowModCommand::Delete => {
                    self.flows.retain(|f| f.cookie.0 & m.cookie_mask != m.cookie.0 & m.cookie_mask);
                }
                other => panic!("{other:?} is not used"),
            }
        }
    }

    /// Ports that a frame leaves by, and whether the controller gets it.
    fn run(&self, in_port: u32, data: &[u8]) -> (Vec<u32>, bool) {
        let mac = |at: usize| u128::from(MacAddr(data[at..at + 6].try_into().unwrap()).to_u64());
        let value = |field| match field {
            Field::InPort => u128::from(in_port),
            Field::EthDst => mac(0),
            Field::EthSrc => mac(6),
            other => panic!("{other:?} is not used"),
        };
        let (mut outputs, mut up, mut table) = (Vec::new(), false, Some(LEARN));
        while let Some(t) = table {
            let hit = |f: &&FlowMod| f.table == t && f.matching.iter().all(|(k, m)| value(k) & m.mask == m.value);
            let Some(flow) = self.flows.iter().filter(hit).max_by_key(|f| f.priority) else { break };
            for action in &flow.instructions.apply {
                match action {
                    Action::Output { port: PortNo::CONTROLLER, .. } => up = true,
                    Action::Output { port, .. } if port.0 != in_port => outputs.push(port.0),
                    _ => {}
                }
            }
            table = flow.instructions.goto;
        }
        (outputs, up)
    }
}

struct Net {
    switch: Learning,
    tables: Tables,
    now: Instant,
}

const A: u8 = 1;
const B: u8 = 2;
const BROADCAST: u8 = 0xff;

fn mac(n: u8) -> MacAddr {
    if n == BROADCAST { MacAddr::BROADCAST } else { MacAddr([2, 0, 0, 0, 0, n]) }
}

fn port(n: u32, link_up: bool) -> PortDesc {
    PortDesc {
        port: PortNo(n),
        mac: MacAddr([2, 1, 0, 0, 0, n as u8]),
        name: format!("p{n}"),
        link_up,
        mtu: 1500,
        ..PortDesc::default()
    }
}

fn status(reason: PortReason, n: u32, link_up: bool) -> PortStatus {
    PortStatus { reason, desc: port(n, link_up) }
}

impl Net {
    /// Ports 1 to 4; 4 is isolated.
    fn new(max_addresses: usize) -> Self {
        let settings = Settings {
            idle_s: 300,
            max_addresses,
            isolated: vec![PortNo(4)],
            own: Some(mac(0x99)),
            cookie: COOKIE,
            learn: LEARN,
            forward: FORWARD,
        };
        let switch = Learning::new(settings, &[port(1, true), port(2, true), port(3, true), port(4, true)]);
        let mut tables = Tables::default();
        tables.apply(&switch.start());
        Self { switch, tables, now: Instant::now() }
    }

    /// Sends a frame; the controller hears of it and its flows are in when this returns.
    fn frame(&mut self, in_port: u32, dst: u8, src: u8) -> Vec<u32> {
        self.raw(in_port, mac(dst), mac(src)).0
    }

    fn raw(&mut self, in_port: u32, dst: MacAddr, src: MacAddr) -> (Vec<u32>, bool) {
        let data = [&dst.0[..], &src.0[..], &[0x08, 0x00]].concat();
        let (out, up) = self.tables.run(in_port, &data);
        if up {
            let plan = self.switch.frame(self.now, PortNo(in_port), &data);
            self.accept(plan);
        }
        (out, up)
    }

    fn accept(&mut self, plan: Option<Plan>) {
        let Some(plan) = plan else { return };
        self.tables.apply(&plan);
        self.switch.commit(&plan);
    }

    fn expire(&mut self, reason: FlowRemovedReason, flow: &FlowMod) {
        self.tables.flows.retain(|f| f != flow);
        let stats = FlowStats {
            table: flow.table,
            priority: flow.priority,
            matching: flow.matching.clone(),
            cookie: flow.cookie,
            duration: Duration::from_secs(301),
            idle_age: Duration::from_mins(5),
            idle_timeout: flow.idle_timeout,
            hard_timeout: 0,
            flags: flow.flags,
            packets: 1,
            bytes: 60,
            instructions: flow.instructions.clone(),
            slow: None,
        };
        let plan = self.switch.flow_removed(&FlowRemoved { reason, stats });
        self.accept(plan);
    }

    fn known_source(&self, src: u8) -> FlowMod {
        let value = u128::from(mac(src).to_u64());
        let is = |f: &&FlowMod| f.table == LEARN && f.matching.get(Field::EthSrc).is_some_and(|m| m.value == value);
        self.tables.flows.iter().find(is).unwrap().clone()
    }
}

#[test]
fn the_first_frame_floods_and_the_answer_goes_straight_back() {
    let mut net = Net::new(16);
    assert_eq!(net.frame(1, BROADCAST, A), [2, 3], "not to its ingress, not to the isolated port");
    assert_eq!(net.frame(2, A, B), [1]);
    assert_eq!(net.frame(1, B, A), [2]);
    let (out, up) = net.raw(1, mac(B), mac(A));
    assert_eq!((out, up), (vec![2], false), "known frames do not reach the controller");
}

#[test]
fn a_frame_never_returns_to_its_ingress() {
    let mut net = Net::new(16);
    net.frame(1, BROADCAST, A);
    net.frame(1, BROADCAST, B);
    assert_eq!(net.frame(1, A, B), [] as [u32; 0], "both behind port 1");
}

#[test]
fn a_host_that_moves_is_followed_at_once() {
    let mut net = Net::new(16);
    net.frame(1, BROADCAST, A);
    net.frame(2, A, B);
    let old = net.known_source(A);
    net.frame(3, BROADCAST, A);
    assert_eq!(net.switch.port_of(mac(A)), Some(PortNo(3)));
    assert_eq!(net.frame(2, A, B), [3]);
    assert_eq!(net.known_source(A).matching.get(Field::InPort).unwrap().value, 3, "the old place is forgotten");
    net.expire(FlowRemovedReason::IdleTimeout, &old);
    assert_eq!(net.frame(2, A, B), [3], "a late expiry of the old place means nothing");
}

#[test]
fn a_silent_host_is_forgotten_in_both_tables() {
    let mut net = Net::new(16);
    net.frame(1, BROADCAST, A);
    let flow = net.known_source(A);
    assert_eq!((flow.idle_timeout, flow.flags.send_flow_removed), (300, true));
    net.expire(FlowRemovedReason::IdleTimeout, &flow);
    assert!(net.switch.is_empty());
    assert_eq!(net.frame(2, A, B), [1, 3], "flooded again");
}

#[test]
fn group_and_zero_sources_are_neither_learned_nor_forwarded() {
    let mut net = Net::new(16);
    for source in [MacAddr([1, 0, 0x5e, 0, 0, 1]), MacAddr::BROADCAST, MacAddr::ZERO] {
        assert_eq!(net.raw(1, MacAddr::BROADCAST, source), (vec![], false), "{source}");
        let frame = [&[0xff; 6][..], &source.0[..], &[8, 0]].concat();
        assert_eq!(net.switch.frame(net.now, PortNo(1), &frame), None);
    }
}

#[test]
fn own_address_is_no_host_and_no_destination() {
    let mut net = Net::new(16);
    assert_eq!(net.frame(1, BROADCAST, 0x99), [2, 3]);
    assert!(net.switch.is_empty());
    assert_eq!(net.frame(1, 0x99, A), [] as [u32; 0]);
}

#[test]
fn an_isolated_port_is_neither_flooded_nor_learned_from() {
    let net = Net::new(16);
    let frame = [&[0xff; 6][..], &mac(A).0[..], &[8, 0]].concat();
    assert_eq!(net.tables.run(1, &frame).0, [2, 3]);
    assert_eq!(net.switch.frame(net.now, PortNo(4), &frame), None);
}

#[test]
fn short_frames_and_unknown_ports_teach_nothing() {
    let net = Net::new(16);
    assert_eq!(net.switch.frame(net.now, PortNo(1), &[2; 11]), None);
    assert_eq!(net.switch.frame(net.now, PortNo(9), &[2; 14]), None);
}

#[test]
fn forged_sources_push_out_their_own_kind() {
    let mut net = Net::new(4);
    net.frame(1, BROADCAST, A);
    for n in 10..40 {
        net.frame(2, BROADCAST, n);
    }
    assert_eq!(net.switch.len(), 4);
    assert_eq!(net.switch.port_of(mac(A)), Some(PortNo(1)), "port 1 had one, port 2 had most");
    assert_eq!(net.switch.port_of(mac(39)), Some(PortNo(2)));
    let hosts = |t| net.tables.flows.iter().filter(|f| f.table == t && f.priority == HOST).count();
    assert_eq!((hosts(LEARN), hosts(FORWARD)), (4, 4), "flows are in step");
}

#[test]
fn a_frame_in_flight_changes_nothing_and_a_lost_flow_is_put_back() {
    let mut net = Net::new(16);
    net.frame(1, BROADCAST, A);
    let frame = [&mac(BROADCAST).0[..], &mac(A).0[..], &[8, 0]].concat();
    assert_eq!(net.switch.frame(net.now, PortNo(1), &frame), None);
    assert!(net.switch.frame(net.now + IN_FLIGHT, PortNo(1), &frame).is_some());
}

#[test]
fn a_refused_batch_leaves_everything_as_it_was() {
    let mut net = Net::new(16);
    net.frame(1, BROADCAST, A);
    let frame = [&mac(BROADCAST).0[..], &mac(A).0[..], &[8, 0]].concat();
    let refused = net.switch.frame(net.now, PortNo(3), &frame);
    assert!(refused.is_some());
    assert_eq!(net.switch.port_of(mac(A)), Some(PortNo(1)), "no commit, no move");
    assert_eq!(net.frame(2, A, B), [1]);
}

#[test]
fn a_link_that_goes_down_takes_its_hosts_along() {
    let mut net = Net::new(16);
    net.frame(1, BROADCAST, A);
    net.frame(2, BROADCAST, B);
    let plan = net.switch.port_status(&status(PortReason::Modify, 1, false));
    net.accept(plan);
    assert_eq!((net.switch.port_of(mac(A)), net.switch.port_of(mac(B))), (None, Some(PortNo(2))));
    assert_eq!(net.switch.port_status(&status(PortReason::Modify, 1, true)), None, "coming up changes no flow");
}

#[test]
fn the_flood_list_follows_the_ports() {
    let mut net = Net::new(16);
    let plan = net.switch.port_status(&status(PortReason::Delete, 3, false));
    net.accept(plan);
    assert_eq!(net.frame(1, BROADCAST, A), [2]);
    let plan = net.switch.port_status(&status(PortReason::Add, 3, true));
    net.accept(plan);
    assert_eq!(net.frame(1, BROADCAST, A), [2, 3]);
}

#[test]
fn a_reconnected_switch_is_programmed_from_nothing() {
    let mut net = Net::new(16);
    net.frame(1, BROADCAST, A);
    net.switch.forget_all();
    let plan = net.switch.start();
    net.accept(Some(plan));
    assert_eq!(net.frame(2, A, B), [1, 3]);
    assert!(net.tables.flows.iter().all(|f| f.cookie.0 & COOKIE_MASK == COOKIE.0));
}
