//! What becomes of sessions in the long run: controllers that die, are silent, look on, forget
//! their bundles, or speak nonsense.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use wamig_openflow::message::{AsyncConfig, PortReason};

use super::*;

/// Says hello on a connection that the switch has made, and waits for its hello.
async fn greet(listener: &TcpListener) -> tokio::net::TcpStream {
    let accepted = timeout(Duration::from_secs(20), listener.accept()).await;
    let (mut tcp, _) = accepted.expect("the switch dials").unwrap();
    tcp.write_all(&[4, 0, 0, 8, 0, 0, 0, 1]).await.unwrap();
    let mut hello = [0; 16];
    tcp.read_exact(&mut hello).await.unwrap();
    assert_eq!(hello[..2], [4, 0]);
    tcp
}

#[tokio::test]
async fn a_controller_that_dies_is_dialled_for_ever() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let rig = Rig::new(&format!("controllers = [\"tcp:{address}\"]\n")).await;
    for _ in 0..5 {
        drop(greet(&listener).await);
    }
    let held = greet(&listener).await;
    drop(listener);
    drop(held);
    // Nobody listens for longer than any pause between two attempts.
    tokio::time::sleep(Duration::from_secs(2)).await;
    let listener = TcpListener::bind(address).await.unwrap();
    let mut tcp = greet(&listener).await;
    tcp.write_all(&[4, 20, 0, 8, 0, 0, 0, 9]).await.unwrap();
    let mut reply = [0; 8];
    tcp.read_exact(&mut reply).await.unwrap();
    assert_eq!(reply, [4, 21, 0, 8, 0, 0, 0, 9], "a barrier is answered");
    rig.end().await;
}

#[tokio::test]
async fn who_answers_probes_stays_and_who_does_not_goes() {
    let rig = Rig::new("inactivity_probe_s = 2\n").await;
    let mut c = Client::connect(rig.port, Version::V13).await;
    let mut other = Client::connect(rig.port, Version::V13).await;
    let Some((xid, Message::EchoRequest(data))) = c.next().await else { panic!("no probe") };
    c.send(xid, &Message::EchoReply(data)).await;
    assert!(matches!(c.next().await, Some((_, Message::EchoRequest(_)))), "it has stayed to be asked again");
    assert_eq!(c.next().await, None, "it did not answer");
    let mut probes = 0;
    while let Some((_, Message::EchoRequest(_))) = other.next().await {
        probes += 1;
    }
    assert_eq!(probes, 1, "nor did the other");
    rig.end().await;
}

/// A message of each kind that changes something.
fn modifications(desc: &PortDesc) -> Vec<Message> {
    let group = GroupMod { command: GroupModCommand::Add, ty: GroupType::All, group: GroupId(1), buckets: Vec::new() };
    let (flags, bands) = (MeterFlags { kbps: true, ..MeterFlags::default() }, Vec::new());
    let meter = MeterMod { command: MeterModCommand::Add, config: MeterConfig { meter: MeterId(1), flags, bands } };
    let out = PacketOut { buffer_id: None, in_port: PortNo::CONTROLLER, actions: Vec::new(), data: Bytes::new() };
    let flags = BundleFlags { atomic: true, ordered: true };
    let inner = Bytes::from_static(&[4, 20, 0, 8, 0, 0, 0, 3]);
    vec![
        Message::FlowMod(flow(1)),
        Message::GroupMod(group),
        Message::MeterMod(meter),
        config(desc, PortConfig::default()),
        Message::TableMod(TableMod { table: TableId(0), config: 0 }),
        Message::PacketOut(out),
        Message::SetConfig(SwitchConfig { fragments: Fragments::Normal, miss_send_len: 1 }),
        control(BundleControlType::OpenRequest),
        Message::BundleAdd(BundleAdd { bundle: 1, flags, message: inner }),
    ]
}

#[tokio::test]
async fn a_slave_changes_nothing_whatever_it_asks() {
    let rig = Rig::new("").await;
    let mut c = Client::connect(rig.port, Version::V13).await;
    let ports = ports(&mut c, 1).await;
    let role = Role { role: ControllerRole::Slave, generation_id: u64::MAX - 1 };
    assert_eq!(c.ask(2, &Message::RoleRequest(role)).await, Message::RoleReply(role));
    for m in modifications(&ports[0]) {
        assert_eq!(c.refused(3, &m).await, ErrorKind::BadRequestIsSlave, "{m:?}");
    }
    // Generations are compared as a circle: 1 is later than 2^64 - 2, and 2^64 - 3 is not.
    let ask = |role, generation_id| Message::RoleRequest(Role { role, generation_id });
    let stale = ask(ControllerRole::Slave, u64::MAX - 2);
    assert_eq!(c.refused(4, &stale).await, ErrorKind::RoleRequestStale);
    let master = c.ask(5, &ask(ControllerRole::Master, 1)).await;
    assert_eq!(master, Message::RoleReply(Role { role: ControllerRole::Master, generation_id: 1 }));
    c.send(6, &Message::FlowMod(flow(1))).await;
    assert_eq!(c.barrier(7).await, []);
    rig.end().await;
}

#[tokio::test]
async fn each_role_hears_what_its_mask_says() {
    let rig = Rig::new("").await;
    let mut master = Client::connect(rig.port, Version::V13).await;
    let mut slave = Client::connect(rig.port, Version::V13).await;
    let desc = ports(&mut master, 1).await.remove(0);
    let ask = |role| Message::RoleRequest(Role { role, generation_id: 1 });
    assert!(matches!(master.ask(2, &ask(ControllerRole::Master)).await, Message::RoleReply(_)));
    assert!(matches!(slave.ask(2, &ask(ControllerRole::Slave)).await, Message::RoleReply(_)));
    let up = Action::Output { port: PortNo::CONTROLLER, max_len: 0xffff };
    let miss = FlowMod::add(TableId(0), 0, Match::any(), Instructions::apply(vec![up]), Cookie(77));
    master.send(3, &Message::FlowMod(miss)).await;
    assert_eq!(master.barrier(4).await, []);
    let frame = [&[2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 0x88, 0xb5][..], &[7; 50]].concat();
    let quiet = |on| PortConfig { no_fwd: on, ..PortConfig::default() };

    // Unless told otherwise: the slave hears of ports only.
    rig.into.send(arriving(3, &frame)).await.unwrap();
    assert!(matches!(master.next().await, Some((0, Message::PacketIn(_)))));
    master.send(5, &config(&desc, quiet(true))).await;
    assert!(matches!(master.next().await, Some((0, Message::PortStatus(_)))));
    let Some((0, Message::PortStatus(told))) = slave.next().await else { panic!("the packet-in was not for it") };
    assert_eq!(told.reason, PortReason::Modify);

    // The other way round.
    let wants = AsyncConfig { packet_in: [0, 0b111], port_status: [0, 0], flow_removed: [0, 0] };
    for c in [&mut master, &mut slave] {
        c.send(6, &Message::SetAsync(wants)).await;
        assert_eq!(c.ask(7, &Message::GetAsyncRequest).await, Message::GetAsyncReply(wants));
    }
    master.send(8, &config(&desc, quiet(false))).await;
    assert_eq!(master.barrier(9).await, []);
    rig.into.send(arriving(3, &frame)).await.unwrap();
    assert!(matches!(slave.next().await, Some((0, Message::PacketIn(_)))), "and no port-status before it");
    assert_eq!(master.barrier(10).await, []);
    rig.end().await;
}

#[tokio::test]
async fn a_bundle_that_is_left_alone_is_given_up() {
    use BundleControlType as Step;
    let rig = Rig::new("inactivity_probe_s = 0\n").await;
    let mut gone = Client::connect(rig.port, Version::V13).await;
    assert_eq!(gone.ask(2, &control(Step::OpenRequest)).await, control(Step::OpenReply));
    let bytes = added(&gone, 3, &Message::FlowMod(flow(1)));
    gone.raw(&bytes).await;
    assert_eq!(gone.barrier(4).await, []);
    drop(gone);
    let mut c = Client::connect(rig.port, Version::V13).await;
    assert_eq!(c.refused(2, &control(Step::CommitRequest)).await, ErrorKind::BundleBadId, "it was another session's");
    assert_eq!(c.ask(3, &control(Step::OpenRequest)).await, control(Step::OpenReply));
    let bytes = added(&c, 4, &Message::FlowMod(flow(2)));
    c.raw(&bytes).await;
    let Some((3, Message::Error(error))) = c.next().await else { panic!("no error") };
    assert_eq!(format!("{:?}", error.code), "Known(BundleTimeout)");
    assert_eq!(c.refused(5, &control(Step::CommitRequest)).await, ErrorKind::BundleBadId);
    assert_eq!(dump(&mut c, 6).await, []);
    rig.end().await;
}

/// The bytes of the codec's golden files, by name.
fn golden(version: &str) -> Vec<(String, Vec<u8>)> {
    let dir = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("openflow/tests/golden").join(version);
    let read = |path: std::path::PathBuf| {
        let text = std::fs::read_to_string(&path).unwrap();
        let (hex, _) = text.split_once("--\n").unwrap();
        let digits: String = hex.lines().map(|l| l.split('#').next().unwrap_or_default()).collect();
        let digits: Vec<char> = digits.chars().filter(|c| !c.is_whitespace()).collect();
        let byte = |two: &[char]| u8::from_str_radix(&two.iter().collect::<String>(), 16).unwrap();
        (path.display().to_string(), digits.chunks(2).map(byte).collect())
    };
    std::fs::read_dir(dir).unwrap().map(|entry| read(entry.unwrap().path())).collect()
}

/// Every 16-bit word of a message, the one with its own length left out, changed as a length
/// may be wrong; and every cut, the header saying so; and every other version.
fn mutations(bytes: &[u8]) -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    for cut in 8..bytes.len() {
        let mut cut = bytes[..cut].to_vec();
        let len = cut.len() as u16;
        cut[2..4].copy_from_slice(&len.to_be_bytes());
        all.push(cut);
    }
    for at in (8..bytes.len().saturating_sub(1)).step_by(2) {
        let word = u16::from_be_bytes([bytes[at], bytes[at + 1]]);
        for wrong in [word.wrapping_sub(1), word.wrapping_add(1), 0, 0xffff] {
            let mut bytes = bytes.to_vec();
            bytes[at..at + 2].copy_from_slice(&wrong.to_be_bytes());
            all.push(bytes);
        }
    }
    for version in (0..=255).filter(|v| *v != bytes[0]) {
        let mut bytes = bytes.to_vec();
        bytes[0] = version;
        all.push(bytes);
    }
    all
}

/// The xid of the first malformed message; the others follow.
const FIRST: u32 = 0x1_0000;

#[tokio::test]
async fn no_malformed_message_ends_a_session() {
    let rig = Rig::new("inactivity_probe_s = 0\n").await;
    let mut other = Client::connect(rig.port, Version::V13).await;
    for (dir, version) in [("v10", Version::V10), ("v13", Version::V13)] {
        for (name, message) in golden(dir) {
            let mut c = Client::connect(rig.port, version).await;
            let mut sent = mutations(&message);
            for (n, bytes) in sent.iter_mut().enumerate() {
                bytes[4..8].copy_from_slice(&(FIRST + n as u32).to_be_bytes());
            }
            c.raw(&sent.concat()).await;
            let mut errors = 0;
            for (xid, answer) in c.barrier(7).await {
                // What it tells unasked has no xid, and what was no mistake is answered as well.
                let request = sent.get(xid.wrapping_sub(FIRST) as usize);
                assert!(xid == 0 || request.is_some(), "{name}: {answer:?}");
                let Message::Error(error) = answer else { continue };
                errors += 1;
                let request = request.unwrap_or_else(|| panic!("{name}: an error about nothing: {error:?}"));
                let quoted = &request[..request.len().min(64)];
                assert_eq!(error.data[..], *quoted, "{name}: at least 64 bytes of the request, or all of it");
            }
            // Of the versions each is an error, but in a hello, which may have any.
            assert!(errors >= 255 || message[1] == 0, "{name}: {errors} errors");
        }
        assert_eq!(other.barrier(1).await, [], "{dir}");
    }
    rig.end().await;
}

#[tokio::test]
async fn a_length_that_cannot_be_costs_the_offender_its_session_only() {
    let rig = Rig::new("").await;
    let mut other = Client::connect(rig.port, Version::V13).await;
    for len in 0..8 {
        let mut c = Client::connect(rig.port, Version::V13).await;
        c.raw(&[4, 14, 0, len, 0, 0, 0, 9]).await;
        let Some((9, Message::Error(error))) = c.next().await else { panic!("{len}: no error") };
        assert_eq!(format!("{:?}", error.code), "Known(BadRequestBadLen)");
        assert_eq!(c.next().await, None);
    }
    // One that promises more than it sends waits, and holds up nobody.
    let mut c = Client::connect(rig.port, Version::V13).await;
    c.raw(&[4, 14, 0xff, 0xff, 0, 0, 0, 9]).await;
    assert_eq!(other.barrier(1).await, []);
    c.raw(&vec![0; 0xffff - 8]).await;
    assert!(matches!(c.next().await, Some((9, Message::Error(_)))));
    assert_eq!(c.barrier(2).await, []);
    rig.end().await;
}
