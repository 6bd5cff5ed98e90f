//! Scripted controllers over loopback against a whole daemon whose data path is in memory.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

#[path = "controllers/client.rs"]
mod client;
#[path = "controllers/refusals.rs"]
mod refusals;
#[path = "controllers/sessions.rs"]
mod sessions;
#[path = "controllers/slow.rs"]
mod slow;
#[path = "controllers/tls.rs"]
mod tls;
#[path = "world/wire.rs"]
mod wire;

use std::time::Duration;

use bytes::Bytes;
use tokio::sync::mpsc;
use tokio::task::{JoinSet, spawn_blocking};
use tokio::time::timeout;
use wamig_openflow::message::{
    BandKind, Bucket, BundleAdd, BundleControl, BundleControlType, BundleFlags, ControllerRole, Experimenter,
    FlowStatsRequest, Fragments, GroupMod, GroupModCommand, GroupType, MeterBand, MeterConfig, MeterFlags, MeterMod,
    MeterModCommand, MultipartReply, MultipartRequest, PortConfig, PortMod, Role, SwitchConfig, TableMod,
};
use wamig_openflow::{
    Action, Cookie, DatapathId, ErrorKind, Field, FlowMod, FlowModCommand, FlowModFlags, FlowStats, GroupId, Hello,
    Instructions, Match, Message, MeterId, PacketInReason, PacketOut, PortDesc, PortNo, TableId, Version,
};
use wamig_userspace::admin;
use wamig_userspace::admin::status::{ControllerLine, Status};
use wamig_userspace::config::Config;
use wamig_userspace::daemon::{self, Held};
use wamig_userspace::fastpath::Punt;

use client::Client;
use wire::{Sent, arriving, data_path};

/// A daemon in this process, under external control.
struct Rig {
    port: u16,
    into: mpsc::Sender<Punt>,
    out: mpsc::UnboundedReceiver<Sent>,
    stop: mpsc::Sender<()>,
    done: tokio::task::JoinHandle<()>,
    dir: tempfile::TempDir,
}

impl Rig {
    async fn new(keys: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let text = format!(
            "site = \"dc1\"\nstate_dir = \"state\"\ncontrol_socket = \"ctl.sock\"\n\
             [switch]\ndatapath_id = \"0000000000000007\"\nports = [\"a\", \"b\", \"c\"]\ncontrol = \"openflow\"\n\
             [openflow]\nlisten = [\"ptcp:0:127.0.0.1\"]\n{keys}"
        );
        let config = Config::parse(&dir.path().join("c.toml"), &text).unwrap_or_else(|e| panic!("{e}"));
        let held = Held::take(&config).await.map_err(|e| e.to_string()).unwrap();
        let port = (0..2).find_map(|endpoint| held.channels().local(endpoint)).unwrap().port();
        let (sent, out) = mpsc::unbounded_channel();
        let (path, into) = data_path(&config, 0, sent);
        let (stop, stopped) = mpsc::channel(1);
        let done = tokio::spawn(async move {
            daemon::serve(&config, path, held, JoinSet::new(), stopped).await.unwrap();
        });
        Self { port, into, out, stop, done, dir }
    }

    /// What status says of controllers.
    async fn controllers(&self) -> Vec<ControllerLine> {
        let socket = self.dir.path().join("ctl.sock");
        let status: Status =
            spawn_blocking(move || admin::client::get_json(&socket, "/v1/status").unwrap()).await.unwrap();
        status.controllers
    }

    async fn end(self) {
        self.stop.send(()).await.unwrap();
        self.done.await.unwrap();
    }
}

fn flow(n: u32) -> FlowMod {
    let out = Instructions::apply(vec![Action::Output { port: PortNo(2), max_len: 0 }]);
    FlowMod::add(TableId(0), 100, ip(n), out, Cookie(u64::from(n)))
}

fn ip(n: u32) -> Match {
    Match::any().with(Field::EthType, 0x0800).with(Field::Ipv4Dst, u128::from(n))
}

async fn dump(client: &mut Client, xid: u32) -> Vec<FlowStats> {
    let body = MultipartRequest::Flow(FlowStatsRequest { table: TableId(0), ..FlowStatsRequest::all() });
    client.send(xid, &Message::MultipartRequest { more: false, body }).await;
    let mut flows = Vec::new();
    loop {
        match client.next().await {
            Some((got, Message::MultipartReply { more, body: MultipartReply::Flow(page) })) if got == xid => {
                flows.extend(page);
                if !more {
                    return flows;
                }
            }
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn either_version_is_spoken_and_flows_read_back() {
    let rig = Rig::new("").await;
    for version in [Version::V13, Version::V10] {
        let mut c = Client::connect(rig.port, version).await;
        let Message::FeaturesReply(features) = c.ask(2, &Message::FeaturesRequest).await else { panic!("features") };
        assert_eq!((features.datapath_id, features.buffers), (DatapathId(7), 0));
        let echo = Bytes::from_static(b"hi");
        assert_eq!(c.ask(3, &Message::EchoRequest(echo.clone())).await, Message::EchoReply(echo));
        c.send(4, &Message::FlowMod(flow(9))).await;
        assert_eq!(c.barrier(5).await, []);
        let flows = dump(&mut c, 6).await;
        assert_eq!(flows.len(), 1, "{flows:?}");
        assert_eq!((&flows[0].matching, flows[0].cookie), (&ip(9), Cookie(9)));
    }
    rig.end().await;
}

#[tokio::test]
async fn what_modifies_nothing_adds_a_flow_in_the_old_version_only() {
    let rig = Rig::new("").await;
    for (version, flows) in [(Version::V13, 0), (Version::V10, 2)] {
        let mut c = Client::connect(rig.port, version).await;
        for (n, command) in [(1, FlowModCommand::Modify), (2, FlowModCommand::ModifyStrict)] {
            for _ in 0..2 {
                c.send(n, &Message::FlowMod(FlowMod { command, ..flow(n) })).await;
            }
        }
        assert_eq!(c.barrier(3).await, []);
        assert_eq!(dump(&mut c, 4).await.len(), flows);
    }
    rig.end().await;
}

/// ovs-ofctl, for one, takes an empty list of table features for broken.
#[tokio::test]
async fn a_reply_in_parts_ends_with_a_part_that_is_not_empty() {
    let rig = Rig::new("").await;
    let mut c = Client::connect(rig.port, Version::V13).await;
    let flows: Vec<u32> = (0..3000).collect();
    for n in &flows {
        c.send(7, &Message::FlowMod(flow(*n))).await;
    }
    assert_eq!(c.barrier(8).await, []);
    let all_flows = MultipartRequest::Flow(FlowStatsRequest::all());
    for (body, elements) in [(all_flows, flows.len()), (MultipartRequest::TableFeatures(Vec::new()), 16)] {
        c.send(9, &Message::MultipartRequest { more: false, body }).await;
        let mut parts = Vec::new();
        loop {
            let Some((9, Message::MultipartReply { more, body })) = c.next().await else { panic!("no reply") };
            parts.push(match body {
                MultipartReply::Flow(part) => part.len(),
                MultipartReply::TableFeatures(part) => part.len(),
                other => panic!("{other:?}"),
            });
            if !more {
                break;
            }
        }
        assert!(parts.iter().all(|part| *part > 0), "{parts:?}");
        assert_eq!(parts.iter().sum::<usize>(), elements);
    }
    rig.end().await;
}

#[tokio::test]
async fn without_a_common_version_the_other_side_is_told() {
    let rig = Rig::new("protocols = [\"OpenFlow13\"]\n").await;
    let mut c = Client::silent(rig.port, Version::V10).await;
    c.send(7, &Message::Hello(Hello { version: 1, versions: None })).await;
    assert!(matches!(c.next().await, Some((_, Message::Hello(_)))));
    let Some((7, Message::Error(error))) = c.next().await else { panic!("no error") };
    assert_eq!(format!("{:?}", error.code), "Known(HelloFailedIncompatible)");
    assert!(String::from_utf8_lossy(&error.data).contains("no version in common"));
    assert_eq!(c.next().await, None);
    rig.end().await;
}

#[tokio::test]
async fn each_flow_mod_of_a_run_has_its_own_verdict() {
    let rig = Rig::new("").await;
    let mut c = Client::connect(rig.port, Version::V13).await;
    let overlap = FlowMod { flags: FlowModFlags { check_overlap: true, ..FlowModFlags::default() }, ..flow(1) };
    let kept = FlowMod { buffer_id: Some(3), ..flow(2) };
    let mut run = Vec::new();
    for (xid, m) in [(10, flow(1)), (11, overlap), (12, kept), (13, flow(3))] {
        run.extend_from_slice(&c.encoded(xid, &Message::FlowMod(m)));
    }
    c.raw(&run).await;
    let errors: Vec<_> = c.barrier(14).await.into_iter().map(|(xid, m)| (xid, format!("{m:?}"))).collect();
    assert_eq!(errors.iter().map(|(xid, _)| *xid).collect::<Vec<_>>(), [11, 12]);
    assert!(errors[0].1.contains("FlowModOverlap") && errors[1].1.contains("BufferUnknown"), "{errors:?}");
    assert_eq!(dump(&mut c, 15).await.len(), 2);
    rig.end().await;
}

#[tokio::test]
async fn slaves_look_on_and_old_elections_are_refused() {
    let rig = Rig::new("").await;
    let mut one = Client::connect(rig.port, Version::V13).await;
    let mut two = Client::connect(rig.port, Version::V13).await;
    let ask = |role, generation_id| Message::RoleRequest(Role { role, generation_id });
    let reply = |role, generation_id| Message::RoleReply(Role { role, generation_id });
    let answer = one.ask(1, &ask(ControllerRole::Master, 5)).await;
    assert_eq!(answer, reply(ControllerRole::Master, 5));
    assert_eq!(two.ask(2, &ask(ControllerRole::Master, 6)).await, reply(ControllerRole::Master, 6));
    assert_eq!(one.ask(3, &ask(ControllerRole::NoChange, 0)).await, reply(ControllerRole::Slave, 6));
    assert_eq!(one.refused(4, &Message::FlowMod(flow(1))).await, ErrorKind::BadRequestIsSlave);
    assert_eq!(one.refused(5, &ask(ControllerRole::Master, 4)).await, ErrorKind::RoleRequestStale);
    two.send(6, &Message::FlowMod(flow(1))).await;
    assert_eq!(two.barrier(7).await, []);
    assert_eq!(dump(&mut one, 8).await.len(), 1, "a slave may look");
    rig.end().await;
}

fn control(ty: BundleControlType) -> Message {
    let flags = BundleFlags { atomic: true, ordered: true };
    Message::BundleControl(BundleControl { bundle: 1, ty, flags })
}

fn added(c: &Client, xid: u32, m: &Message) -> Bytes {
    let flags = BundleFlags { atomic: true, ordered: true };
    let message = c.encoded(xid, m);
    c.encoded(xid, &Message::BundleAdd(BundleAdd { bundle: 1, flags, message }))
}

#[tokio::test]
async fn a_bundle_is_all_or_nothing() {
    use BundleControlType as Step;
    let rig = Rig::new("").await;
    let mut c = Client::connect(rig.port, Version::V13).await;
    assert_eq!(c.refused(1, &control(Step::CommitRequest)).await, ErrorKind::BundleBadId);
    assert_eq!(c.ask(2, &control(Step::OpenRequest)).await, control(Step::OpenReply));
    let overlap = FlowMod { flags: FlowModFlags { check_overlap: true, ..FlowModFlags::default() }, ..flow(1) };
    for (xid, m) in [(3, flow(1)), (4, overlap)] {
        let bytes = added(&c, xid, &Message::FlowMod(m));
        c.raw(&bytes).await;
    }
    c.send(5, &control(Step::CommitRequest)).await;
    let errors: Vec<_> = c.barrier(6).await.into_iter().map(|(xid, m)| (xid, format!("{m:?}"))).collect();
    assert!(errors[0].0 == 4 && errors[0].1.contains("FlowModOverlap"), "{errors:?}");
    assert!(errors[1].0 == 5 && errors[1].1.contains("BundleMsgFailed"), "{errors:?}");
    assert_eq!(dump(&mut c, 7).await, []);

    assert_eq!(c.ask(8, &control(Step::OpenRequest)).await, control(Step::OpenReply));
    let mut many = Vec::new();
    for n in 0..3000 {
        many.extend_from_slice(&added(&c, 100 + n, &Message::FlowMod(flow(n))));
    }
    c.raw(&many).await;
    assert_eq!(c.ask(9, &control(Step::CloseRequest)).await, control(Step::CloseReply));
    assert_eq!(c.ask(10, &control(Step::CommitRequest)).await, control(Step::CommitReply));
    assert_eq!(dump(&mut c, 11).await.len(), 3000, "more than one message holds");
    rig.end().await;
}

/// The ports as the switch describes them.
async fn ports(c: &mut Client, xid: u32) -> Vec<PortDesc> {
    c.send(xid, &Message::MultipartRequest { more: false, body: MultipartRequest::PortDesc }).await;
    let mut all = Vec::new();
    loop {
        match c.next().await {
            Some((_, Message::MultipartReply { more, body: MultipartReply::PortDesc(page) })) => {
                all.extend(page);
                if !more {
                    return all;
                }
            }
            other => panic!("{other:?}"),
        }
    }
}

fn config(desc: &PortDesc, config: PortConfig) -> Message {
    let mask = PortConfig { no_fwd: true, ..PortConfig::default() };
    Message::PortMod(PortMod { port: desc.port, mac: desc.mac, config, mask, advertise: 0 })
}

#[tokio::test]
async fn a_bundle_takes_every_kind_of_modification_or_none() {
    use BundleControlType as Step;
    let rig = Rig::new("").await;
    let mut c = Client::connect(rig.port, Version::V13).await;
    let before = ports(&mut c, 1).await;
    let quiet = PortConfig { no_fwd: true, ..PortConfig::default() };
    let table = |config| Message::TableMod(TableMod { table: TableId(0), config });
    let bucket = Bucket {
        weight: 0,
        watch_port: PortNo::ANY,
        watch_group: GroupId::ANY,
        actions: vec![Action::output(PortNo(2))],
    };
    let group =
        GroupMod { command: GroupModCommand::Add, ty: GroupType::Indirect, group: GroupId(1), buckets: vec![bucket] };
    let band = MeterBand { kind: BandKind::Drop, rate: 1, burst: 0 };
    let (flags, bands) = (MeterFlags { kbps: true, ..MeterFlags::default() }, vec![band]);
    let meter = MeterMod { command: MeterModCommand::Add, config: MeterConfig { meter: MeterId(1), flags, bands } };
    let to_group = Instructions { meter: Some(MeterId(1)), ..Instructions::apply(vec![Action::Group(GroupId(1))]) };
    let uses = FlowMod::add(TableId(0), 5, Match::any(), to_group, Cookie(1));
    let all = |last: Message| {
        [
            Message::GroupMod(group.clone()),
            Message::MeterMod(meter.clone()),
            Message::FlowMod(uses.clone()),
            config(&before[0], quiet),
            last,
        ]
    };
    let absent = PortDesc { port: PortNo(77), ..before[0].clone() };
    for (last, index, kind) in [(table(8), 4, "TableModBadConfig"), (config(&absent, quiet), 4, "PortModBadPort")] {
        assert_eq!(c.ask(2, &control(Step::OpenRequest)).await, control(Step::OpenReply));
        for (i, m) in all(last).iter().enumerate() {
            let bytes = added(&c, 10 + i as u32, m);
            c.raw(&bytes).await;
        }
        c.send(3, &control(Step::CommitRequest)).await;
        let errors: Vec<_> = c.barrier(4).await.into_iter().map(|(xid, m)| (xid, format!("{m:?}"))).collect();
        assert!(errors.len() == 2 && errors[0].0 == 10 + index && errors[0].1.contains(kind), "{errors:?}");
        assert!(errors[1].0 == 3 && errors[1].1.contains("BundleMsgFailed"), "{errors:?}");
        assert_eq!(ports(&mut c, 5).await, before);
        assert_eq!(dump(&mut c, 6).await, []);
    }
    assert_eq!(c.ask(2, &control(Step::OpenRequest)).await, control(Step::OpenReply));
    for (i, m) in all(table(3)).iter().enumerate() {
        let bytes = added(&c, 10 + i as u32, m);
        c.raw(&bytes).await;
    }
    c.send(3, &control(Step::CommitRequest)).await;
    let told = c.barrier(4).await;
    let [(0, Message::PortStatus(status)), (3, reply)] = &told[..] else { panic!("{told:?}") };
    assert_eq!((status.desc.config, reply), (quiet, &control(Step::CommitReply)));
    assert_eq!(ports(&mut c, 5).await[0].config, quiet);
    assert_eq!(dump(&mut c, 6).await.len(), 1);

    // What a bundle does not take: other messages, and those of another transaction.
    let echo = added(&c, 20, &Message::EchoRequest(Bytes::new()));
    c.raw(&echo).await;
    let mut alien = added(&c, 21, &Message::FlowMod(flow(1))).to_vec();
    alien[7] = 22;
    c.raw(&alien).await;
    let errors: Vec<_> = c.barrier(7).await.into_iter().map(|(xid, m)| (xid, format!("{m:?}"))).collect();
    assert!(errors[0].0 == 20 && errors[0].1.contains("BundleMsgUnsup"), "{errors:?}");
    assert!(errors[1].0 == 22 && errors[1].1.contains("BundleMsgBadXid"), "{errors:?}");
    rig.end().await;
}

#[tokio::test]
async fn a_switch_that_stands_alone_learns_until_a_controller_comes() {
    let mut rig = Rig::new("fail_mode = \"standalone\"\ninactivity_probe_s = 1\n").await;
    let frame = |dst: u8, src: u8| [&[2, 0, 0, 0, 0, dst, 2, 0, 0, 0, 0, src, 0x88, 0xb5][..], &[7; 50]].concat();
    // Nothing is forwarded at first; when the switch acts, the first frame is flooded.
    let flooded = loop {
        rig.into.send(arriving(1, &frame(2, 1))).await.unwrap();
        if let Ok(Some(sent)) = timeout(Duration::from_millis(200), rig.out.recv()).await {
            break [sent, rig.out.recv().await.unwrap()];
        }
    };
    assert_eq!(flooded.map(|s| s.port), [2, 3]);
    // The host was learned: what goes to it leaves by its port alone, at the latest when the
    // flows are in.
    loop {
        rig.into.send(arriving(3, &frame(1, 3))).await.unwrap();
        let first = rig.out.recv().await.unwrap();
        if timeout(Duration::from_millis(200), rig.out.recv()).await.is_err() {
            break assert_eq!((first.port, first.frame), (1, frame(1, 3)));
        }
    }
    let mut c = Client::connect(rig.port, Version::V13).await;
    assert_eq!(c.barrier(1).await, [], "and nobody tells it about flows that were never its own");
    let body = MultipartRequest::Flow(FlowStatsRequest::all());
    let answer = c.ask(2, &Message::MultipartRequest { more: false, body }).await;
    let Message::MultipartReply { body: MultipartReply::Flow(flows), .. } = answer else { panic!("{answer:?}") };
    assert_eq!(flows, []);
    rig.end().await;
}

#[tokio::test]
async fn frames_go_up_and_down() {
    let mut rig = Rig::new("").await;
    let mut c = Client::connect(rig.port, Version::V13).await;
    let frame = [&[2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 0x88, 0xb5][..], &[7; 50]].concat();
    let up = Action::Output { port: PortNo::CONTROLLER, max_len: 20 };
    let miss = FlowMod::add(TableId(0), 0, Match::any(), Instructions::apply(vec![up]), Cookie(77));
    c.send(1, &Message::FlowMod(miss)).await;
    assert_eq!(c.barrier(2).await, []);
    rig.into.send(arriving(3, &frame)).await.unwrap();
    let Some((0, Message::PacketIn(m))) = c.next().await else { panic!("no packet-in") };
    assert_eq!((m.in_port, m.cookie, m.reason, m.total_len), (PortNo(3), Cookie(77), PacketInReason::NoMatch, 64));
    assert_eq!(m.data, frame[..20]);
    let out = PacketOut {
        buffer_id: None,
        in_port: PortNo(3),
        actions: vec![Action::Output { port: PortNo(1), max_len: 0 }],
        data: Bytes::from(frame.clone()),
    };
    c.send(3, &Message::PacketOut(out.clone())).await;
    assert_eq!(rig.out.recv().await, Some(Sent { site: 0, port: 1, frame }));
    let kept = Message::PacketOut(PacketOut { buffer_id: Some(1), ..out });
    assert_eq!(c.refused(4, &kept).await, ErrorKind::BadRequestBufferUnknown);
    rig.end().await;
}

#[tokio::test]
async fn a_miss_goes_up_to_controllers_of_the_old_version_alone() {
    let mut rig = Rig::new("").await;
    let mut old = Client::connect(rig.port, Version::V10).await;
    let mut new = Client::connect(rig.port, Version::V13).await;
    assert_eq!(old.barrier(1).await, []);
    assert_eq!(dump(&mut old, 2).await, [], "no flow stands for it");
    let frame = [&[2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 0x88, 0xb5][..], &[7; 300]].concat();
    rig.into.send(arriving(1, &frame)).await.unwrap();
    let Some((0, Message::PacketIn(m))) = old.next().await else { panic!("no packet-in") };
    assert_eq!((m.reason, m.total_len, m.data.len()), (PacketInReason::NoMatch, 314, 128), "miss_send_len");
    old.send(3, &Message::SetConfig(SwitchConfig { fragments: Fragments::Normal, miss_send_len: 20 })).await;
    assert_eq!(old.barrier(4).await, []);
    rig.into.send(arriving(1, &frame)).await.unwrap();
    let Some((0, Message::PacketIn(m))) = old.next().await else { panic!("no packet-in") };
    assert_eq!(m.data, frame[..20]);
    assert_eq!(new.barrier(5).await, [], "1.3 has a miss flow for it or drops");
    let slave = Role { role: ControllerRole::Slave, generation_id: 0 };
    assert!(matches!(old.ask(6, &Message::RoleRequest(slave)).await, Message::RoleReply(_)));
    rig.into.send(arriving(1, &frame)).await.unwrap();
    // What comes in later and goes out tells that the miss is over.
    let taken = [&[2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 0x08, 0x06][..], &[7; 50]].concat();
    let arp = FlowMod::add(TableId(0), 1, Match::any().arp(), flow(0).instructions, Cookie(1));
    new.send(7, &Message::FlowMod(arp)).await;
    assert_eq!(new.barrier(8).await, []);
    rig.into.send(arriving(1, &taken)).await.unwrap();
    assert_eq!(rig.out.recv().await, Some(Sent { site: 0, port: 2, frame: taken }));
    assert_eq!((old.barrier(9).await, new.barrier(10).await), (vec![], vec![]), "a slave is told nothing");
    rig.end().await;
}

#[tokio::test]
async fn the_old_versions_own_flows_read_back_in_both() {
    let rig = Rig::new("").await;
    let mut old = Client::connect(rig.port, Version::V10).await;
    let mut new = Client::connect(rig.port, Version::V13).await;
    let tcp6 = Match::any().with(Field::EthType, 0x86dd).with(Field::IpProto, 6).with(Field::TcpSrc, 11111);
    let actions = vec![Action::SetVlanVid(7), Action::SetTpDst(80), Action::output(PortNo(2))];
    let asked = FlowMod::add(TableId(0), 9, tcp6.clone(), Instructions::apply(actions.clone()), Cookie(1));
    old.send(1, &Message::FlowMod(asked)).await;
    assert_eq!(old.barrier(2).await, []);
    let seen = dump(&mut old, 3).await;
    assert_eq!((seen.len(), &seen[0].matching, &seen[0].instructions.apply), (1, &tcp6, &actions));
    let seen = dump(&mut new, 4).await;
    let words = "push_vlan:0x8100,set_field:0x1007->vlan_vid,set_field:80->tcp_dst,output:2";
    assert_eq!((seen.len(), seen[0].matching.clone(), seen[0].instructions.to_string()), (1, tcp6, words.to_owned()));
    rig.end().await;
}

#[tokio::test]
async fn the_old_version_writes_addresses_where_there_are_any() {
    let mut rig = Rig::new("").await;
    let mut old = Client::connect(rig.port, Version::V10).await;
    let mut new = Client::connect(rig.port, Version::V13).await;
    let to = std::net::Ipv4Addr::new(203, 0, 113, 7);
    let actions = vec![Action::set_ip(Field::Ipv4Dst, to), Action::output(PortNo(2))];
    let add = FlowMod::add(TableId(0), 9, Match::any(), Instructions::apply(actions.clone()), Cookie(1));
    assert_eq!(new.refused(1, &Message::FlowMod(add.clone())).await, ErrorKind::BadActionMatchInconsistent);
    old.send(1, &Message::FlowMod(add)).await;
    assert_eq!(old.barrier(2).await, []);
    for client in [&mut old, &mut new] {
        let seen = dump(client, 3).await;
        assert_eq!((seen.len(), &seen[0].instructions.apply), (1, &actions));
    }
    let arp = [&[2; 12][..], &[8, 6, 0, 1, 8, 0, 6, 4, 0, 1], &[0; 38]].concat();
    let out = |data: &[u8]| PacketOut {
        buffer_id: None,
        in_port: PortNo::CONTROLLER,
        actions: actions.clone(),
        data: data.to_vec().into(),
    };
    assert_eq!(new.refused(4, &Message::PacketOut(out(&arp))).await, ErrorKind::BadActionMatchInconsistent);
    old.send(4, &Message::PacketOut(out(&arp))).await;
    assert_eq!(old.barrier(5).await, []);
    assert_eq!(rig.out.recv().await, Some(Sent { site: 0, port: 2, frame: arp }), "no IPv4 header, nothing written");
    rig.end().await;
}

#[tokio::test]
async fn what_cannot_be_read_costs_one_error_and_nobody_else() {
    let rig = Rig::new("").await;
    let mut c = Client::connect(rig.port, Version::V13).await;
    let mut other = Client::connect(rig.port, Version::V13).await;
    let whole = c.encoded(1, &Message::FlowMod(flow(1)));
    // Of 72 bytes it is whole again, without instructions.
    for len in (8..whole.len()).filter(|len| *len != 72) {
        let mut cut = whole[..len].to_vec();
        cut[3] = len as u8;
        c.raw(&cut).await;
        let Some((1, Message::Error(_))) = c.next().await else { panic!("{len} bytes are taken") };
    }
    let mut alien = whole.to_vec();
    alien[0] = 5;
    c.raw(&alien).await;
    let Some((1, Message::Error(error))) = c.next().await else { panic!("version 5 is taken") };
    assert_eq!(format!("{:?}", error.code), "Known(BadRequestBadVersion)");
    let unknown = Experimenter { experimenter: 0xdead_beef, exp_type: Some(1), data: Bytes::new() };
    assert_eq!(c.refused(2, &Message::Experimenter(unknown)).await, ErrorKind::BadRequestBadExperimenter);
    assert_eq!(c.barrier(3).await, []);
    let mut old = Client::connect(rig.port, Version::V10).await;
    old.raw(&[1, 4, 0, 13, 0, 0, 0, 7, 0, 0xc0, 0xff, 0xee, 1]).await;
    let Some((7, Message::Error(error))) = old.next().await else { panic!("a vendor's message is taken") };
    assert_eq!(format!("{:?}", error.code), "Known(BadRequestBadExperimenter)");
    c.raw(&[4, 2, 0, 7, 0, 0, 0, 9]).await;
    assert!(matches!(c.next().await, Some((9, Message::Error(_)))));
    assert_eq!(c.next().await, None, "no boundary of messages is known any more");
    assert_eq!(other.barrier(4).await, []);
    rig.end().await;
}

#[tokio::test]
async fn who_comes_when_all_places_are_taken_is_turned_away() {
    let rig = Rig::new("max_connections = 2\n").await;
    let mut one = Client::connect(rig.port, Version::V13).await;
    let two = Client::connect(rig.port, Version::V13).await;
    let mut three = Client::silent(rig.port, Version::V13).await;
    assert_eq!(three.next().await, None);
    assert_eq!(one.barrier(1).await, []);
    drop(two);
    let mut again = Client::silent(rig.port, Version::V13).await;
    // The place is free once the switch has noticed.
    while again.next().await.is_none() {
        again = Client::silent(rig.port, Version::V13).await;
    }
    rig.end().await;
}

#[tokio::test]
async fn a_controller_that_reads_nothing_holds_up_itself_only() {
    let rig = Rig::new("inactivity_probe_s = 1\n").await;
    let mut slow = Client::connect(rig.port, Version::V13).await;
    let mut quick = Client::connect(rig.port, Version::V13).await;
    let mut many = Vec::new();
    for n in 0..2000 {
        many.extend_from_slice(&quick.encoded(n, &Message::FlowMod(flow(n))));
    }
    quick.raw(&many).await;
    assert_eq!(quick.barrier(1).await, []);
    let body = MultipartRequest::Flow(FlowStatsRequest::all());
    let ask = slow.encoded(1, &Message::MultipartRequest { more: false, body });
    for _ in 0..200 {
        slow.raw(&ask).await;
    }
    assert_eq!(quick.barrier(2).await, []);
    assert_eq!(dump(&mut quick, 3).await.len(), 2000);
    rig.end().await;
}
