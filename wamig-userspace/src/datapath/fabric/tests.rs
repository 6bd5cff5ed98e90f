//! The fabric over switches that the test plays.

use std::time::Instant;

use bytes::Bytes;
use wamig_openflow::{
    Action, Cookie, DatapathId, Field, FlowRemoved, FlowRemovedReason, Instructions, MacAddr, Match, PacketInReason,
    TableId,
};

use super::topology::End;
use super::*;
use crate::datapath::fake::{Fake, Script};
use crate::switch::fixtures::port;

/// Ports 1, 2 at leaf `a`, port 3 at leaf `b`, a spine between them.
fn row() -> Topology {
    let end = |switch, port: &str| End { switch, port: port.to_owned() };
    let edges = [end(0, "up"), end(0, "lan1"), end(2, "srv")];
    let links = [[end(0, "t"), end(1, "1")], [end(1, "2"), end(2, "t")]];
    Topology::new(["a", "spine", "b"].map(str::to_owned).to_vec(), &edges, &links)
}

struct Bench {
    fabric: Fabric<Fake>,
    scripts: Vec<Script>,
    now: Instant,
}

impl Bench {
    fn new() -> Self {
        let (topology, mut fakes, mut scripts) = (row(), Vec::new(), Vec::new());
        for (switch, place) in topology.places().iter().enumerate() {
            let ports = (1..=place.ports.len()).map(|n| port(n as u32)).collect();
            let (fake, script) = Fake::new(DatapathId(switch as u64 + 1), ports);
            fakes.push(fake);
            scripts.push(script);
        }
        Self { fabric: Fabric::new(topology, fakes), scripts, now: Instant::now() }
    }

    /// With all switches there and the whole programmed with this.
    async fn programmed(batch: Vec<FlowMod>) -> Self {
        let mut bench = Self::new();
        for switch in 0..3 {
            bench.says(switch, Event::Up(Vec::new()));
        }
        assert!(matches!(bench.hears().await, Event::Up(ports) if ports.len() == 3));
        bench.fabric.send(batch, bench.now).await.unwrap();
        bench
    }

    fn says(&self, switch: usize, event: Event) {
        self.scripts[switch].say(event);
    }

    async fn hears(&mut self) -> Event {
        let soon = std::time::Duration::from_secs(5);
        tokio::time::timeout(soon, self.fabric.next_event()).await.unwrap().unwrap()
    }

    /// Takes in what the switches say, of which nothing is for the controller.
    async fn hears_nothing(&mut self) {
        let quiet = tokio::time::timeout(std::time::Duration::from_millis(20), self.fabric.next_event()).await;
        assert!(quiet.is_err(), "{quiet:?}");
    }

    async fn send(&mut self, text: &str) -> Result<(), DatapathError> {
        self.fabric.send(vec![text.parse().unwrap()], self.now).await
    }

    /// The flows of a switch that are not the links'.
    fn flows(&self, switch: usize) -> Vec<String> {
        let flows = self.scripts[switch].flows(self.now).into_iter();
        let own = flows.filter(|f| f.cookie.0 & transit::COOKIE_MASK != transit::COOKIE.0);
        own.map(|f| format!("{} {}", f.matching, f.instructions)).collect()
    }

    /// All of its flows.
    fn all(&self, switch: usize) -> Vec<String> {
        self.scripts[switch].flows(self.now).iter().map(|f| format!("{f}")).collect()
    }
}

fn packet_in(in_port: u32) -> Event {
    Event::PacketIn(PacketIn {
        buffer_id: None,
        reason: PacketInReason::Action,
        table: TableId(0),
        cookie: Cookie(7),
        in_port: PortNo(in_port),
        metadata: 0,
        tunnel_id: 0,
        total_len: 60,
        data: Bytes::from_static(&[0; 60]),
    })
}

#[tokio::test]
async fn it_is_up_when_all_are_there_and_says_who_is_missing() {
    let mut bench = Bench::new();
    bench.says(0, Event::Up(Vec::new()));
    bench.says(2, Event::Up(Vec::new()));
    bench.hears_nothing().await;
    let refused = bench.send("actions=drop").await.unwrap_err();
    assert_eq!(refused, DatapathError::Down("switch spine is missing".into()));
    bench.says(1, Event::Up(Vec::new()));
    let Event::Up(ports) = bench.hears().await else { panic!("not up") };
    assert_eq!(ports.iter().map(|p| p.name.as_str()).collect::<Vec<_>>(), ["a:up", "a:lan1", "b:srv"]);
    bench.send("actions=drop").await.unwrap();
    bench.says(2, Event::Down("the cable is out".into()));
    assert_eq!(bench.hears().await, Event::Down("switch b: the cable is out".into()));
    bench.says(0, packet_in(1));
    bench.hears_nothing().await;
}

#[tokio::test]
async fn frames_come_up_with_the_port_of_the_whole_and_never_from_a_link() {
    let mut bench = Bench::programmed(Vec::new()).await;
    bench.says(2, packet_in(1));
    assert!(matches!(bench.hears().await, Event::PacketIn(m) if m.in_port == PortNo(3)));
    bench.says(2, packet_in(2));
    bench.says(1, packet_in(1));
    bench.hears_nothing().await;
    let down = |n| PortDesc { link_up: false, ..port(n) };
    bench.says(2, Event::PortStatus(PortStatus { reason: PortReason::Modify, desc: down(2) }));
    bench.hears_nothing().await;
    bench.says(2, Event::PortStatus(PortStatus { reason: PortReason::Modify, desc: down(1) }));
    let Event::PortStatus(status) = bench.hears().await else { panic!("no port status") };
    assert_eq!((status.desc.port, status.desc.name.as_str(), status.desc.link_up), (PortNo(3), "b:srv", false));
}

#[tokio::test]
async fn each_switch_has_its_share_and_the_spine_only_the_links_flows() {
    let flood = "actions=output:1,output:2,output:3".parse().unwrap();
    let bench = Bench::programmed(vec!["priority=5,in_port=3,actions=output:1".parse().unwrap(), flood]).await;
    assert_eq!(bench.flows(1), Vec::<String>::new());
    assert_eq!(bench.flows(0), [" output:1,output:2,push_vlan:0x8100,set_field:0x1003->vlan_vid,output:3,pop_vlan"]);
    let steers = "in_port=1 push_vlan:0x8100,set_field:0x1001->vlan_vid,output:2,pop_vlan";
    assert!(bench.flows(2).iter().any(|f| f == steers), "{:?}", bench.flows(2));
    assert!(
        bench.all(1).iter().any(|f| f.contains("in_port=1,vlan_vid=0x1003 actions=output:2")),
        "{:?}",
        bench.all(1)
    );
}

#[tokio::test]
async fn what_one_switch_refuses_is_taken_back_on_the_others() {
    let mut bench = Bench::programmed(vec!["priority=5,arp,actions=output:3".parse().unwrap()]).await;
    let before: Vec<_> = (0..3).map(|switch| bench.all(switch)).collect();
    let refusal = OfpError::new(ErrorKind::FlowModTableFull, "no room");
    bench.scripts[2].refuse(DatapathError::Refused(refusal));
    let batch = ["priority=5,arp,actions=output:1,output:2,output:3", "priority=6,ip,actions=output:1"];
    let batch: Vec<FlowMod> = batch.iter().map(|text| text.parse().unwrap()).collect();
    let refused = bench.fabric.send(batch.clone(), bench.now).await.unwrap_err();
    assert_eq!(refused.to_string(), "the switch refused: OFPFMFC_TABLE_FULL: switch b: no room");
    for (switch, before) in before.iter().enumerate() {
        assert_eq!(bench.all(switch), *before, "switch {switch}");
    }
    bench.fabric.send(batch, bench.now).await.unwrap();
    assert!(bench.flows(2).iter().any(|f| f.starts_with("ip ")), "{:?}", bench.flows(2));
}

#[tokio::test]
async fn what_cannot_be_taken_back_now_is_with_the_next_batch() {
    let bench = Bench::programmed(Vec::new()).await;
    // Both leaves refuse: `a` to take back, after it has done its share.
    bench.scripts[2].refuse(DatapathError::Refused(OfpError::new(ErrorKind::FlowModTableFull, "no room")));
    let (a, b) = (bench.scripts[0].clone(), bench.now);
    let mut fabric = bench.fabric;
    let plan = fabric.whole.plan(vec!["priority=6,ip,actions=output:1".parse().unwrap()], b).unwrap();
    fabric.members[0].send(plan.parts[0].mods.clone(), b).await.unwrap();
    fabric.whole.doubt(0, &plan.parts[0].mods);
    fabric.whole.revert(plan);
    assert_eq!(a.flows(b).iter().filter(|f| f.priority == 6).count(), 1, "still there");
    bench.scripts[2].batches();
    let _ = fabric.send(vec!["priority=7,arp,actions=drop".parse().unwrap()], b).await;
    fabric.send(vec!["priority=7,arp,actions=drop".parse().unwrap()], b).await.unwrap();
    assert_eq!(a.flows(b).iter().filter(|f| f.priority == 6).count(), 0, "gone");
}

#[tokio::test]
async fn a_switch_that_is_back_is_told_all_and_the_others_the_difference() {
    let mut bench = Bench::programmed(vec!["priority=5,arp,actions=output:3".parse().unwrap()]).await;
    bench.send("priority=9,ip,actions=drop").await.unwrap();
    for script in &bench.scripts {
        script.batches();
    }
    bench.says(2, Event::Down("lost".into()));
    assert!(matches!(bench.hears().await, Event::Down(_)));
    bench.says(2, Event::Up(Vec::new()));
    assert!(matches!(bench.hears().await, Event::Up(_)));
    bench.send("priority=5,arp,actions=output:3").await.unwrap();
    let told = |switch: usize| -> Vec<FlowMod> { bench.scripts[switch].batches().concat() };
    let (a, b) = (told(0), told(2));
    assert!(a.iter().any(|m| m.priority == 9 && m.command == wamig_openflow::FlowModCommand::DeleteStrict), "{a:?}");
    assert!(!a.iter().any(|m| m.priority == transit::OBEY), "the links' flows are there");
    assert!(b.iter().any(|m| m.priority == transit::OBEY) && b.iter().all(|m| m.priority != 9), "{b:?}");
}

#[tokio::test]
async fn a_flow_that_ends_is_told_of_and_one_that_was_deleted_is_put_back() {
    let known = "table=1,priority=10,in_port=3,dl_src=02:00:00:00:00:53,idle_timeout=300,send_flow_rem,\
                 actions=goto_table:2";
    let mut bench =
        Bench::programmed(vec![known.parse().unwrap(), "arp,priority=3,actions=drop".parse().unwrap()]).await;
    let gone = |bench: &Bench, switch: usize, priority, reason| {
        let stats = bench.scripts[switch].flows(bench.now).into_iter().find(|f| f.priority == priority).unwrap();
        bench.scripts[switch].say(Event::FlowRemoved(FlowRemoved { reason, stats }));
    };
    gone(&bench, 2, 10, FlowRemovedReason::IdleTimeout);
    let Event::FlowRemoved(told) = bench.hears().await else { panic!("not told") };
    let mac = MacAddr([2, 0, 0, 0, 0, 0x53]);
    assert_eq!(told.stats.matching, Match::any().in_port(PortNo(3)).mac(Field::EthSrc, mac));
    assert_eq!(bench.fabric.whole.tables().len(), 1);

    gone(&bench, 0, 3, FlowRemovedReason::Delete);
    bench.hears_nothing().await;
    bench.scripts[0].batches();
    bench.send("ip,priority=4,actions=drop").await.unwrap();
    let told = bench.scripts[0].batches().concat();
    assert_eq!(told.iter().map(|m| m.priority).collect::<Vec<_>>(), [3, 4]);
}

#[tokio::test]
async fn a_packet_out_leaves_where_its_ports_are() {
    let mut bench = Bench::programmed(Vec::new()).await;
    let out = |in_port, ports: &[u32]| PacketOut {
        buffer_id: None,
        in_port,
        actions: ports.iter().map(|p| Action::output(PortNo(*p))).collect(),
        data: Bytes::from_static(&[0; 60]),
    };
    bench.fabric.packet_out(out(PortNo::CONTROLLER, &[1, 3]), bench.now).await.unwrap();
    let sent: Vec<_> = bench.scripts.iter().map(Script::packet_outs).collect();
    assert_eq!([sent[0].len(), sent[1].len(), sent[2].len()], [1, 0, 1]);
    assert_eq!(sent[2][0].actions, [Action::output(PortNo(1))]);
    let table = PacketOut { actions: vec![Action::output(PortNo::TABLE)], ..out(PortNo(3), &[]) };
    bench.fabric.packet_out(table, bench.now).await.unwrap();
    let sent = bench.scripts[2].packet_outs();
    assert_eq!((sent.len(), sent[0].in_port), (1, PortNo(1)));
    assert!(bench.fabric.packet_out(out(PortNo(9), &[1]), bench.now).await.is_err());
    assert!(bench.fabric.packet_out(out(PortNo::CONTROLLER, &[9]), bench.now).await.is_err());
}

#[tokio::test]
async fn counters_of_the_whole_are_the_sums() {
    let bench = Bench::programmed(vec!["arp,priority=3,actions=output:3".parse().unwrap()]).await;
    let of = |switch: usize, packets, idle| {
        let mut flows = bench.scripts[switch].flows(bench.now);
        for f in &mut flows {
            (f.packets, f.bytes, f.idle_age) = (packets, packets * 60, std::time::Duration::from_secs(idle));
        }
        (switch, flows)
    };
    let whole = bench.fabric.whole.dump(&[of(0, 2, 9), of(1, 50, 1), of(2, 3, 4)], bench.now);
    assert_eq!(whole.len(), 1, "the links' flows are none of the whole's");
    assert_eq!((whole[0].packets, whole[0].bytes, whole[0].idle_age.as_secs()), (5, 300, 4));
    assert_eq!(whole[0].instructions, Instructions::apply(vec![Action::output(PortNo(3))]));
}
