//! Several switches beside the one that they stand for: random trees of switches, random flows,
//! random frames. What leaves the whole and what comes up is what one big switch sends and says.

#![expect(clippy::unwrap_used, reason = "a test may panic")]
#![allow(dead_code, unused_imports, reason = "the modules serve other tests, too")]

mod frames;
#[path = "oracle/mod.rs"]
mod oracle;
mod paths;
mod random;

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Instant;

use random::{Dice, Scenario, scaled};
use wamig_openflow::{Cookie, DatapathId, FlowMod, FlowStats, PacketOut, PortDesc, PortNo, TableId};
use wamig_userspace::datapath::fabric::Fabric;
use wamig_userspace::datapath::fabric::topology::{End, Topology};
use wamig_userspace::datapath::{Datapath, DatapathError, Event, Features};
use wamig_userspace::fastpath::memory::{Memory, MemoryMaps};
use wamig_userspace::switch::effect::{Effect, Event as Said};
use wamig_userspace::switch::flow_table::Selector;
use wamig_userspace::switch::port::Ports;
use wamig_userspace::switch::{Limits, Switch};

type Shared = Arc<Mutex<Switch<Memory>>>;

fn ports(count: usize) -> Vec<PortDesc> {
    (1..=count).map(|n| PortDesc { port: PortNo(n as u32), link_up: true, ..PortDesc::default() }).collect()
}

fn switch(count: usize, now: Instant) -> Switch<Memory> {
    let limits = Limits { slow_rate: u32::MAX, slow_burst: u32::MAX, ..Limits::default() };
    Switch::new(Memory::new(MemoryMaps::default()), Ports::new(ports(count)).alive_since(now), limits)
}

/// A switch of the fabric, in the test's hands as well.
struct Member {
    switch: Shared,
    features: Features,
    up: VecDeque<Event>,
}

impl Member {
    fn lock(&self) -> MutexGuard<'_, Switch<Memory>> {
        self.switch.lock().unwrap()
    }
}

impl Datapath for Member {
    fn features(&self) -> &Features {
        &self.features
    }

    async fn send(&mut self, batch: Vec<FlowMod>, now: Instant) -> Result<(), DatapathError> {
        self.lock().apply(batch, now).map_err(|refused| refused.error)?;
        Ok(())
    }

    async fn packet_out(&mut self, _: PacketOut, _: Instant) -> Result<(), DatapathError> {
        Ok(())
    }

    async fn dump_flows(&mut self, now: Instant) -> Result<Vec<FlowStats>, DatapathError> {
        Ok(self.lock().dump_flows(&Selector::all(), now))
    }

    async fn next_event(&mut self) -> Option<Event> {
        match self.up.pop_front() {
            Some(event) => Some(event),
            None => std::future::pending().await,
        }
    }
}

/// A tree of switches with four ports in all, and one switch with these ports.
struct Bench {
    now: Instant,
    topology: Topology,
    switches: Vec<Shared>,
    fabric: Fabric<Member>,
    big: Switch<Memory>,
    /// Frames that crossed a link.
    crossed: usize,
}

impl Bench {
    async fn new(dice: &mut Dice) -> Self {
        let now = Instant::now();
        let count = 2 + dice.below(4);
        let end = |switch: usize, port: String| End { switch, port };
        let links: Vec<_> =
            (1..count).map(|i| [end(i, format!("u{i}")), end(dice.below(i), format!("d{i}"))]).collect();
        let edges: Vec<_> = (1..=4).map(|n| end(dice.below(count), format!("p{n}"))).collect();
        let topology = Topology::new((0..count).map(|i| format!("s{i}")).collect(), &edges, &links);
        let (mut switches, mut members) = (Vec::new(), Vec::new());
        for (i, place) in topology.places().iter().enumerate() {
            let shared = Arc::new(Mutex::new(switch(place.ports.len(), now)));
            switches.push(Arc::clone(&shared));
            let features = Features { dpid: DatapathId(i as u64 + 1), tables: 16, ports: ports(place.ports.len()) };
            members.push(Member { switch: shared, features, up: [Event::Up(Vec::new())].into() });
        }
        let mut fabric = Fabric::new(topology.clone(), members);
        assert!(matches!(fabric.next_event().await, Some(Event::Up(ports)) if ports.len() == 4));
        fabric.send(Vec::new(), now).await.unwrap();
        Self { now, topology, switches, fabric, big: switch(4, now), crossed: 0 }
    }

    /// Changes both. What only several switches refuse is left out.
    async fn change(&mut self, m: FlowMod) -> bool {
        if self.fabric.send(vec![m.clone()], self.now).await.is_err() {
            return false;
        }
        self.big.apply(vec![m], self.now).unwrap();
        true
    }

    /// What the fabric does with a frame, link by link.
    fn forward(&mut self, in_port: PortNo, frame: &[u8]) -> Seen {
        let (at, port) = self.topology.place(in_port).unwrap();
        let mut seen = Seen::default();
        let mut under_way = vec![(at, port, frame.to_vec())];
        for hop in 0.. {
            let Some((at, port, frame)) = under_way.pop() else { break };
            assert!(hop < 200, "frames go round");
            let (effects, _) = self.switches[at].lock().unwrap().forward(port, &frame, self.now).unwrap();
            for effect in effects {
                match effect {
                    Effect::Inject { port, frame } => {
                        if let Some(whole) = self.topology.whole(at, port) {
                            seen.sent.push((whole, frame.to_vec()));
                        } else {
                            let link = self.topology.places()[at].links.iter().find(|l| l.port == port).unwrap();
                            self.crossed += 1;
                            under_way.push((link.peer, link.peer_port, frame.to_vec()));
                        }
                    }
                    Effect::Event(Said::PacketIn(m)) => {
                        let whole = self.topology.whole(at, m.in_port).expect("nothing of a link comes up");
                        seen.told.push(format!("{:?} of {} at {whole}: {}", m.reason, m.cookie, paths::hex(&m.data)));
                    }
                    Effect::Event(_) => {}
                }
            }
        }
        seen.sorted()
    }

    fn check(&mut self, in_port: PortNo, frame: &[u8]) {
        let (effects, _) = self.big.forward(in_port, frame, self.now).unwrap();
        let mut should = Seen::default();
        for effect in effects {
            match effect {
                Effect::Inject { port, frame } => should.sent.push((port, frame.to_vec())),
                Effect::Event(Said::PacketIn(m)) => {
                    should.told.push(format!(
                        "{:?} of {} at {}: {}",
                        m.reason,
                        m.cookie,
                        m.in_port,
                        paths::hex(&m.data)
                    ));
                }
                Effect::Event(_) => {}
            }
        }
        let does = self.forward(in_port, frame);
        assert_eq!(does, should.sorted(), "port {in_port}, {}\n{}", paths::hex(frame), self.listed());
    }

    fn listed(&self) -> String {
        let mut out = format!("{:#?}\n", self.topology);
        let mut list = |title: &str, tables: &wamig_userspace::switch::flow_table::FlowTables| {
            let _ = writeln!(out, "{title}:");
            for f in tables.iter() {
                let _ = writeln!(
                    out,
                    "  table={},priority={},{} actions={}",
                    f.table, f.priority, f.matching, f.instructions
                );
            }
        };
        list("whole", self.big.tables());
        for (i, switch) in self.switches.iter().enumerate() {
            list(&format!("switch {i}"), switch.lock().unwrap().tables());
        }
        out
    }
}

#[derive(Clone, PartialEq, Eq, Debug, Default)]
struct Seen {
    sent: Vec<(PortNo, Vec<u8>)>,
    told: Vec<String>,
}

impl Seen {
    fn sorted(mut self) -> Self {
        self.sent.sort();
        self.told.sort();
        self
    }
}

/// No shorter than Ethernet has them (60 bytes, IEEE 802.3 §4A.4.2): what is shorter is padded
/// where a tag is put on.
fn as_on_a_wire(mut frame: Vec<u8>) -> Vec<u8> {
    frame.resize(frame.len().max(60), 0);
    frame
}

fn add(rule: &oracle::Rule) -> FlowMod {
    let (matching, instructions) = (rule.matching.clone(), rule.instructions.clone());
    FlowMod::add(TableId(rule.table), rule.priority, matching, instructions, Cookie(rule.id.0))
}

#[tokio::test]
async fn several_switches_do_what_one_big_switch_does() {
    let mut dice = Dice::seeded();
    let (mut crossed, mut flows) = (0, 0);
    for _ in 0..scaled(200) {
        let mut scenario = Scenario::new(Dice::new(dice.any()), 1, 30);
        let mut bench = Bench::new(&mut dice).await;
        let mut taken = Vec::new();
        for rule in std::mem::take(&mut scenario.rules) {
            if bench.change(add(&rule)).await {
                taken.push(rule);
            }
        }
        scenario.rules = taken;
        for number in 0..60 {
            let (in_port, frame) = scenario.frame();
            if in_port > PortNo::MAX || frame.len() < 14 {
                continue;
            }
            bench.check(in_port, &as_on_a_wire(frame));
            if number % 10 == 9
                && let Some(rule) = scenario.add()
                && !bench.change(add(&rule)).await
            {
                scenario.rules.pop();
            }
            if number % 20 == 19 && !scenario.rules.is_empty() {
                let rule = scenario.rules.swap_remove(dice.below(scenario.rules.len()));
                let gone = FlowMod::delete_strict(TableId(rule.table), rule.priority, rule.matching);
                assert!(bench.change(gone).await);
            }
        }
        let (now, big) = (bench.now, bench.big.tables().len());
        assert_eq!(bench.fabric.dump_flows(now).await.unwrap().len(), big);
        crossed += bench.crossed;
        flows += big;
    }
    println!("{flows} flows, {crossed} frames over links");
    assert!(crossed > 0 && flows > 0);
}

#[tokio::test]
async fn counters_of_the_whole_are_those_of_one_big_switch() {
    let mut dice = Dice::new(7);
    let mut bench = Bench::new(&mut dice).await;
    let text = "priority=3,ip,actions=output:1,output:2,output:3,output:4";
    assert!(bench.change(text.parse().unwrap()).await);
    for port in 1..=4 {
        bench.check(PortNo(port), &as_on_a_wire(frames::udp().bytes()));
    }
    let now = bench.now;
    let counted = bench.fabric.dump_flows(now).await.unwrap();
    let big = bench.big.dump_flows(&Selector::all(), now);
    assert_eq!((counted[0].packets, counted[0].bytes), (4, big[0].bytes));
    assert_eq!(counted[0].instructions, big[0].instructions);
}
