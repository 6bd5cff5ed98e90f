//! The remote datapath against a switch that is played by the test.

use std::time::Duration;

use bytes::BytesMut;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use wamig_openflow::header;
use wamig_openflow::message::{
    BundleControl, BundleControlType, Capabilities, ControllerRole, ErrorCode, ErrorMessage,
    Features as SwitchFeatures, MultipartReply, MultipartRequest, SwitchDesc,
};
use wamig_openflow::{
    Action, Cookie, ErrorKind, FlowModCommand, Hello, Instructions, Match, PacketIn, PacketInReason, PortNo, TableId,
    Xid, decode, encode,
};

use super::*;
use crate::channel::pin::Pins;
use crate::channel::stream::Stream;
use crate::channel::tls::{Tls, Trust};
use crate::channel::{Channels, Settings as ChannelSettings, hello};
use crate::migration::cookie;
use crate::peer::{Identity, identity};

mod faults;
mod marked;

const OURS: Cookie = Cookie(cookie::SPACE | 1);

/// The switch: it does what flow-mods say to a list of flows, and keeps what it was told.
pub(in crate::datapath) struct Scripted {
    stream: Stream,
    buffer: BytesMut,
    dpid: u64,
    bundles: bool,
    /// Flow-mods with this text in them are refused.
    pub(in crate::datapath) refuses: Option<&'static str>,
    pub(in crate::datapath) flows: Vec<FlowMod>,
    /// Messages of an open bundle.
    bundle: Vec<FlowMod>,
    pub(in crate::datapath) packet_outs: Vec<PacketOut>,
    /// What writing an address does to a frame beside that.
    pub(in crate::datapath) damages: bool,
    /// By what the controller's flows are told from others'.
    marks: Marks,
    fault: Fault,
    /// The fault has begun.
    faulty: bool,
    /// What is to be refused later.
    refused: Option<Xid>,
}

/// What is wrong with the switch from the flow-mod on that has this text.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Fault {
    None,
    /// It takes its time for every barrier.
    Slow(Duration),
    /// It answers no barrier any more.
    ForgetsBarriers(&'static str),
    /// It goes away without having done this one.
    Cuts(&'static str),
    /// It does not do it, and says so only after so many barriers.
    RefusesLate(&'static str, u8),
    /// It refuses it, and to take anything back.
    RefusesForGood(&'static str),
}

impl Scripted {
    pub(in crate::datapath) async fn connect(address: std::net::SocketAddr, dpid: u64) -> Self {
        let tcp = TcpStream::connect(address).await.unwrap();
        Self::on(Stream::new(tcp, "the datapath"), dpid).await
    }

    /// The same, with a certificate.
    async fn with_certificate(address: std::net::SocketAddr, tls: &Tls, dpid: u64) -> Self {
        let tcp = TcpStream::connect(address).await.unwrap();
        Self::on(tls.connect(tcp, "the datapath").await.unwrap(), dpid).await
    }

    async fn on(mut stream: Stream, dpid: u64) -> Self {
        let mut out = BytesMut::new();
        let hello = Message::Hello(Hello { version: 4, versions: Some(1 << 4) });
        encode(Version::V13, Xid(1), &hello, &mut out).unwrap();
        // Refused, it may be gone already.
        let _ = stream.write_all(&out).await;
        let _ = stream.flush().await;
        Self {
            stream,
            buffer: BytesMut::new(),
            dpid,
            bundles: true,
            refuses: None,
            flows: Vec::new(),
            bundle: Vec::new(),
            packet_outs: Vec::new(),
            damages: false,
            marks: Marks::default(),
            fault: Fault::None,
            faulty: false,
            refused: None,
        }
    }

    pub(in crate::datapath) async fn say(&mut self, xid: Xid, message: Message) {
        let mut out = BytesMut::new();
        encode(Version::V13, xid, &message, &mut out).unwrap();
        self.stream.write_all(&out).await.unwrap();
        self.stream.flush().await.unwrap();
    }

    /// Serves until the other side closes the connection, or `enough`.
    async fn serve(&mut self, enough: impl Fn(&Self) -> bool) -> bool {
        while !enough(self) {
            let frame = loop {
                if let Some(frame) = header::decode(&mut self.buffer).unwrap() {
                    break frame;
                }
                if self.stream.read_buf(&mut self.buffer).await.unwrap_or(0) == 0 {
                    return false;
                }
            };
            let (xid, message) = (frame.header.xid, decode(&frame).unwrap());
            if self.fails(xid, &message).await {
                if matches!(self.fault, Fault::Cuts(_)) {
                    self.stream.shutdown().await.unwrap();
                    return false;
                }
                continue;
            }
            for answer in self.answer(xid, message) {
                self.say(xid, answer).await;
            }
        }
        true
    }

    /// What the fault makes of a message; whether the message is done with.
    async fn fails(&mut self, xid: Xid, message: &Message) -> bool {
        let is = |text: &str| matches!(message, Message::FlowMod(m) if m.to_string().contains(text));
        let begins = match self.fault {
            Fault::None => return false,
            Fault::Slow(by) => {
                if *message == Message::BarrierRequest {
                    tokio::time::sleep(by).await;
                }
                return false;
            }
            Fault::ForgetsBarriers(text)
            | Fault::Cuts(text)
            | Fault::RefusesLate(text, _)
            | Fault::RefusesForGood(text) => is(text),
        };
        self.faulty |= begins;
        let taken_back = matches!(message, Message::FlowMod(m) if m.command == FlowModCommand::DeleteStrict);
        match &mut self.fault {
            Fault::ForgetsBarriers(_) => self.faulty && *message == Message::BarrierRequest,
            Fault::RefusesLate(_, left) if self.faulty && *message == Message::BarrierRequest => {
                *left -= 1;
                if *left == 0 {
                    self.faulty = false;
                    let refused = self.refused.take().unwrap();
                    self.say(xid, Message::BarrierReply).await;
                    self.say(refused, Self::error(ErrorKind::FlowModTableFull).remove(0)).await;
                    return true;
                }
                false
            }
            Fault::RefusesLate(..) => {
                self.refused = begins.then_some(xid).or(self.refused);
                begins
            }
            Fault::RefusesForGood(_) if begins || self.faulty && taken_back => {
                self.say(xid, Self::error(ErrorKind::FlowModTableFull).remove(0)).await;
                true
            }
            Fault::Cuts(_) => begins,
            Fault::None | Fault::Slow(_) | Fault::RefusesForGood(_) => false,
        }
    }

    fn error(kind: ErrorKind) -> Vec<Message> {
        vec![Message::Error(ErrorMessage { code: ErrorCode::Known(kind), data: bytes::Bytes::new() })]
    }

    fn answer(&mut self, xid: Xid, message: Message) -> Vec<Message> {
        let reply = |body| vec![Message::MultipartReply { more: false, body }];
        match message {
            Message::FeaturesRequest => vec![Message::FeaturesReply(SwitchFeatures {
                datapath_id: DatapathId(self.dpid),
                buffers: 0,
                tables: 254,
                auxiliary_id: 0,
                capabilities: Capabilities::default(),
                actions: 0,
                ports: Vec::new(),
            })],
            Message::RoleRequest(role) => vec![Message::RoleReply(role)],
            Message::BarrierRequest => vec![Message::BarrierReply],
            Message::MultipartRequest { body: MultipartRequest::PortDesc, .. } => {
                let port = |port, name: &str| PortDesc { port: PortNo(port), name: name.into(), ..PortDesc::default() };
                reply(MultipartReply::PortDesc(vec![port(11, "up"), port(12, "lan1")]))
            }
            Message::MultipartRequest { body: MultipartRequest::Desc, .. } => {
                reply(MultipartReply::Desc(SwitchDesc { manufacturer: "Scripted".into(), ..SwitchDesc::default() }))
            }
            Message::MultipartRequest { body: MultipartRequest::Flow(asked), .. } => {
                let meant = |m: &&FlowMod| (m.cookie.0 ^ asked.cookie.0) & asked.cookie_mask == 0;
                reply(MultipartReply::Flow(self.flows.iter().filter(meant).map(described).collect()))
            }
            Message::BundleControl(_) if !self.bundles => Self::error(ErrorKind::BadRequestBadExperimenter),
            Message::BundleControl(control) => {
                let taken = std::mem::take(&mut self.bundle);
                if control.ty == BundleControlType::CommitRequest {
                    for m in taken {
                        self.change(m);
                    }
                }
                let ty = BundleControlType::from_number(control.ty.number() + 1).unwrap();
                vec![Message::BundleControl(BundleControl { ty, ..control })]
            }
            Message::BundleAdd(add) => {
                let mut bytes = BytesMut::from(&add.message[..]);
                let frame = header::decode(&mut bytes).unwrap().unwrap();
                assert_eq!(frame.header.xid, xid, "EXT-230: the same xid inside and outside");
                let Ok(Message::FlowMod(m)) = decode(&frame) else { panic!("no flow-mod in the bundle") };
                if self.is_refused(&m) {
                    return Self::error(ErrorKind::BadActionBadType);
                }
                self.bundle.push(m);
                Vec::new()
            }
            Message::FlowMod(m) if self.is_refused(&m) => Self::error(ErrorKind::FlowModTableFull),
            Message::FlowMod(m) => {
                self.change(m);
                Vec::new()
            }
            Message::PacketOut(out) if out.actions.last() == Some(&Action::controller()) => vec![self.comes_back(&out)],
            Message::PacketOut(out) => {
                self.packet_outs.push(out);
                Vec::new()
            }
            Message::Hello(_) | Message::SetConfig(_) => Vec::new(),
            other => panic!("not expected of a controller: {other:?}"),
        }
    }

    /// A frame of a trial whose destination is written.
    fn comes_back(&self, out: &PacketOut) -> Message {
        let Action::SetField { value, .. } = &out.actions[0] else { panic!("{:?}", out.actions) };
        let mut data = out.data.to_vec();
        data[30..34].copy_from_slice(&(*value as u32).to_be_bytes());
        data[40] ^= u8::from(self.damages);
        Message::PacketIn(PacketIn {
            buffer_id: None,
            reason: PacketInReason::Action,
            table: TableId(0),
            cookie: Cookie(u64::MAX),
            in_port: out.in_port,
            metadata: 0,
            tunnel_id: 0,
            total_len: data.len() as u16,
            data: data.into(),
        })
    }

    fn is_refused(&self, m: &FlowMod) -> bool {
        m.command == FlowModCommand::Add && self.refuses.is_some_and(|text| m.to_string().contains(text))
    }

    fn change(&mut self, m: FlowMod) {
        let same = |f: &FlowMod| (f.table, f.priority, &f.matching) == (m.table, m.priority, &m.matching);
        match m.command {
            FlowModCommand::Add => {
                self.flows.retain(|f| !same(f));
                self.flows.push(m);
            }
            FlowModCommand::DeleteStrict => {
                assert!(m.cookie_mask == u64::MAX && self.marks.is_ours(m.cookie), "only ours is deleted");
                self.flows.retain(|f| !same(f) || f.cookie != m.cookie);
            }
            other => panic!("{other:?} is worked out by the controller"),
        }
    }

    fn listed(&self) -> Vec<String> {
        let mut lines: Vec<_> = self.flows.iter().map(ToString::to_string).collect();
        lines.sort();
        lines
    }
}

fn flow(priority: u16, port: u32, out: u32) -> FlowMod {
    let instructions = Instructions::apply(vec![Action::output(PortNo(out))]);
    FlowMod::add(TableId(0), priority, Match::any().in_port(PortNo(port)), instructions, OURS)
}

/// A datapath that listens; where.
async fn remote() -> (Remote, std::net::SocketAddr) {
    remote_by(Profile::Ovs).await
}

/// The same for a switch that is used by this profile.
pub(in crate::datapath) async fn remote_by(profile: Profile) -> (Remote, std::net::SocketAddr) {
    remote_on("ptcp:0:127.0.0.1", ChannelSettings::new(hello::offer(&[Version::V13])), profile).await
}

async fn remote_on(endpoint: &str, settings: ChannelSettings, profile: Profile) -> (Remote, std::net::SocketAddr) {
    let channels = Channels::bind(settings, vec![endpoint.parse().unwrap()]).await.unwrap();
    let address = channels.local(0).unwrap();
    let (heard, channel) = mpsc::channel(8);
    tokio::spawn(channels.run(heard));
    let settings = Settings {
        dpid: DatapathId(7),
        ports: vec!["up".into(), "lan1".into()],
        profile,
        role: Role { role: ControllerRole::Equal, generation_id: 1 },
        endpoints: vec!["ptcp:0".into()],
        marks: Marks::default(),
        has_links: false,
    };
    (Remote::new(settings, channel), address)
}

/// Connects a switch, serves it in a task until `enough`, and gives it back.
pub(in crate::datapath) fn play(
    mut switch: Scripted,
    enough: impl Fn(&Scripted) -> bool + Send + 'static,
) -> tokio::task::JoinHandle<(Scripted, bool)> {
    tokio::spawn(async move {
        let done = switch.serve(enough).await;
        (switch, done)
    })
}

#[tokio::test]
async fn a_switch_is_brought_up_to_date_and_what_is_not_ours_stays() {
    let (mut remote, address) = remote().await;
    let mut switch = Scripted::connect(address, 7).await;
    let theirs = FlowMod { cookie: Cookie(99), ..flow(7, 12, 11) };
    let numbered =
        |m: FlowMod| PortMap::find(&["11".into(), "12".into()], &ports(), Marks::default()).unwrap().flow_out(m);
    switch.flows = vec![theirs.clone(), numbered(flow(1, 1, 2)), numbered(flow(2, 1, 2))];
    let playing = play(switch, |s| s.flows.len() == 3 && s.flows.iter().any(|f| f.priority == 3));
    let Some(Event::Up(ports)) = remote.next_event().await else { panic!("it does not come up") };
    assert_eq!(ports.iter().map(|p| (p.port.0, p.name.as_str())).collect::<Vec<_>>(), [(1, "up"), (2, "lan1")]);
    let batch = vec![FlowMod::delete_by_cookie(OURS, u64::MAX), flow(1, 1, 2), flow(3, 2, 1)];
    let sending = tokio::spawn(async move {
        // The switch stops answering when it has what the test waits for.
        let _ = tokio::time::timeout(Duration::from_secs(5), remote.send(batch, Instant::now())).await;
    });
    let (switch, done) = playing.await.unwrap();
    sending.abort();
    assert!(done, "the switch was dropped");
    let wanted = [numbered(flow(1, 1, 2)), numbered(flow(3, 2, 1)), theirs];
    let wanted: Vec<_> = wanted.iter().map(ToString::to_string).collect();
    assert_eq!(switch.listed(), wanted);
}

fn ports() -> Vec<PortDesc> {
    [11, 12].map(|p| PortDesc { port: PortNo(p), ..PortDesc::default() }).to_vec()
}

#[tokio::test]
async fn a_refused_batch_leaves_nothing_behind_with_bundles_and_without() {
    for bundles in [true, false] {
        let (mut remote, address) = remote().await;
        let mut switch = Scripted::connect(address, 7).await;
        (switch.bundles, switch.refuses) = (bundles, Some("priority=5"));
        let playing = play(switch, |s| !s.packet_outs.is_empty());
        assert!(matches!(remote.next_event().await, Some(Event::Up(_))));
        assert_eq!(remote.status().bundles, bundles);
        remote.send(vec![flow(4, 1, 2)], Instant::now()).await.unwrap();
        let batch = vec![flow(6, 1, 2), flow(5, 1, 2), flow(4, 1, 1)];
        let refused = remote.send(batch, Instant::now()).await.unwrap_err();
        assert!(refused.to_string().contains("priority=5"), "{refused}");
        let out = PacketOut {
            buffer_id: None,
            in_port: PortNo::CONTROLLER,
            actions: vec![Action::output(PortNo(2))],
            data: bytes::Bytes::from_static(&[0; 60]),
        };
        remote.packet_out(out, Instant::now()).await.unwrap();
        let (switch, _) = playing.await.unwrap();
        let left: Vec<_> = switch.flows.iter().map(ToString::to_string).collect();
        assert_eq!(left, ["table=0,priority=4,cookie=0x574d000000000001,in_port=11 actions=output:12"]);
        assert_eq!(switch.packet_outs[0].actions, [Action::output(PortNo(12))], "by the switch's numbers");
    }
}

#[tokio::test]
async fn frames_come_in_by_the_configurations_numbers_and_a_lost_session_is_told() {
    let (mut remote, address) = remote().await;
    let switch = Scripted::connect(address, 7).await;
    let playing = play(switch, |s| s.flows.iter().any(|f| f.priority == 44));
    assert!(matches!(remote.next_event().await, Some(Event::Up(_))));
    let early = tokio::time::timeout(Duration::from_secs(5), remote.send(vec![flow(44, 1, 2)], Instant::now()));
    let (answer, played) = tokio::join!(early, async {
        let (mut switch, _) = playing.await.unwrap();
        for in_port in [13, 12] {
            let m = PacketIn {
                buffer_id: None,
                reason: PacketInReason::Action,
                table: TableId(0),
                cookie: OURS,
                in_port: PortNo(in_port),
                metadata: 0,
                tunnel_id: 0,
                total_len: 3,
                data: bytes::Bytes::from_static(b"arp"),
            };
            switch.say(Xid(0), Message::PacketIn(m)).await;
        }
        // An orderly end: what was said is read before it.
        switch.stream.shutdown().await.unwrap();
        switch.stream.read_to_end(&mut Vec::new()).await.unwrap();
    });
    let () = played;
    assert!(matches!(answer, Ok(Err(DatapathError::Down(_)))), "{answer:?}");
    let Some(Event::PacketIn(m)) = remote.next_event().await else { panic!("no frame") };
    assert_eq!((m.in_port, &m.data[..]), (PortNo(2), &b"arp"[..]), "port 13 is nobody's");
    assert!(matches!(remote.next_event().await, Some(Event::Down(_))));
    assert!(remote.status().remote.is_none() && remote.status().last_error.is_some());
}

#[tokio::test]
async fn only_the_switch_that_is_named_is_taken_and_only_once() {
    let (mut remote, address) = remote().await;
    let stranger = play(Scripted::connect(address, 8).await, |_| false);
    let Some(Event::Down(why)) = remote.next_event().await else { panic!("not told") };
    assert!(why.contains("0000000000000008") && why.contains("0000000000000007"), "{why}");
    assert!(!stranger.await.unwrap().1);
    let _first = play(Scripted::connect(address, 7).await, |_| false);
    assert!(matches!(remote.next_event().await, Some(Event::Up(_))));
    let second = play(Scripted::connect(address, 7).await, |_| false);
    tokio::select! {
        turned_away = second => assert!(!turned_away.unwrap().1),
        told = remote.next_event() => panic!("the first stays, and nothing is told: {told:?}"),
    }
    let status = remote.status();
    let turned_away = status.turned_away.expect("status tells of it");
    assert!(status.remote.is_some() && turned_away.times == 2, "{turned_away:?}");
    assert!(turned_away.why.contains("another switch with datapath id 0000000000000007"), "{}", turned_away.why);
}

/// An identity of its own.
fn fresh(name: &str) -> Identity {
    let dir = tempfile::tempdir().unwrap();
    identity::keygen(name, dir.path()).unwrap();
    Identity::load(&dir.path().join(format!("{name}.pem")), &dir.path().join(format!("{name}.key"))).unwrap()
}

#[tokio::test]
async fn the_datapath_id_is_bound_to_a_certificate() {
    let [ours, right, wrong] = ["controller", "right", "wrong"].map(fresh);
    let trust = Trust::Pinned([right.fingerprint(), wrong.fingerprint()].into());
    let pins = Pins::new("switch_certificate", [(0, [right.fingerprint()].into())].into());
    let tls = Some(Tls::new(&ours, &trust).unwrap());
    let settings = ChannelSettings { tls, pins, ..ChannelSettings::new(hello::offer(&[Version::V13])) };
    let (mut remote, address) = remote_on("ptls:0:127.0.0.1", settings, Profile::Ovs).await;
    let as_switch = |identity: &Identity| Tls::new(identity, &Trust::Pinned([ours.fingerprint()].into())).unwrap();
    let (as_right, as_wrong) = (as_switch(&right), as_switch(&wrong));

    // Another switch that is trusted, and says it is this one.
    let impostor = play(Scripted::with_certificate(address, &as_wrong, 7).await, |_| false);
    assert!(!impostor.await.unwrap().1);
    let refused = async {
        while !remote.status().last_error.is_some_and(|e| e.contains("refused: its certificate is")) {
            let event = tokio::time::timeout(Duration::from_millis(50), remote.next_event()).await;
            assert!(event.is_err(), "nothing to tell of: {event:?}");
        }
    };
    tokio::time::timeout(Duration::from_secs(30), refused).await.expect("it is refused");
    let why = remote.status().last_error.unwrap();
    for part in [wrong.fingerprint().to_string(), right.fingerprint().to_string(), "switch_certificate".to_owned()] {
        assert!(why.contains(&part), "{why}");
    }

    // The right certificate, but another datapath id.
    let other = play(Scripted::with_certificate(address, &as_right, 8).await, |_| false);
    let Some(Event::Down(why)) = remote.next_event().await else { panic!("not told") };
    for part in ["0000000000000008", "datapath_id in [switch]", &right.fingerprint().to_string()] {
        assert!(why.contains(part), "{why}");
    }
    assert!(!other.await.unwrap().1);

    let _right = play(Scripted::with_certificate(address, &as_right, 7).await, |_| false);
    assert!(matches!(remote.next_event().await, Some(Event::Up(_))));

    // While it is under control an impostor changes nothing, but is told of.
    let before = remote.status().turned_away.unwrap().times;
    let late = play(Scripted::with_certificate(address, &as_wrong, 7).await, |_| false);
    let told = async {
        while remote.status().turned_away.is_none_or(|t| t.times == before) {
            let event = tokio::time::timeout(Duration::from_millis(50), remote.next_event()).await;
            assert!(event.is_err(), "nothing to tell of: {event:?}");
        }
    };
    tokio::time::timeout(Duration::from_secs(30), told).await.expect("status tells of it");
    let status = remote.status();
    assert!(status.remote.is_some() && status.last_error.is_none());
    assert!(status.turned_away.unwrap().why.contains(&wrong.fingerprint().to_string()));
    assert!(!late.await.unwrap().1);
}

#[tokio::test]
async fn a_switch_that_a_profile_does_not_fit_is_told_what_it_refuses() {
    let (mut remote, address) = remote().await;
    let mut switch = Scripted::connect(address, 7).await;
    switch.refuses = Some("move:");
    let playing = play(switch, |_| false);
    let Some(Event::Down(why)) = remote.next_event().await else { panic!("not told") };
    assert!(why.contains("profile ovs does not fit") && why.contains("move:"), "{why}");
    assert!(why.contains("profile = \"of13\" would do"), "{why}");
    assert_eq!(playing.await.unwrap().0.listed(), [] as [String; 0], "the trial is taken back");
}

#[tokio::test]
async fn a_switch_that_no_profile_fits_is_told_so() {
    let (mut remote, address) = remote().await;
    let mut switch = Scripted::connect(address, 7).await;
    switch.refuses = Some("set_field:");
    let playing = play(switch, |_| false);
    let Some(Event::Down(why)) = remote.next_event().await else { panic!("not told") };
    assert!(why.contains("profile ovs does not fit") && why.contains("no other profile fits"), "{why}");
    assert_eq!(playing.await.unwrap().0.listed(), [] as [String; 0], "every trial is taken back");
}

#[tokio::test]
async fn what_is_said_beside_the_batches_and_refused_is_told_and_harms_no_batch() {
    let (mut remote, address) = remote().await;
    let mut switch = Scripted::connect(address, 7).await;
    switch.refuses = Some("priority=9,");
    let playing = play(switch, |s| !s.packet_outs.is_empty());
    assert!(matches!(remote.next_event().await, Some(Event::Up(_))));
    remote.send(vec![flow(4, 1, 2)], Instant::now()).await.unwrap();
    for priority in [8, 9] {
        remote.say(flow(priority, 1, 2)).unwrap();
    }
    remote.send(vec![flow(5, 1, 2)], Instant::now()).await.unwrap();
    let Some(Event::FlowRemoved(m)) = remote.next_event().await else { panic!("not told") };
    assert_eq!((m.stats.priority, m.stats.matching), (9, Match::any().in_port(PortNo(1))), "by our numbers");
    remote.say(FlowMod::delete_strict(TableId(0), 8, Match::any().in_port(PortNo(1)))).unwrap();
    let data = bytes::Bytes::from_static(&[0; 60]);
    let actions = vec![Action::output(PortNo(2))];
    remote.emit(PacketOut { buffer_id: None, in_port: PortNo::CONTROLLER, actions, data }).unwrap();
    let (switch, _) = playing.await.unwrap();
    let left: Vec<_> = switch.flows.iter().map(|f| f.priority).collect();
    assert_eq!(left, [4, 5]);
}
