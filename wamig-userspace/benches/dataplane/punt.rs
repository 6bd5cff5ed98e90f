//! Group `punt`: frames a second to and from a controller, and through what leaves the fast path (a group, a meter).
//! A hundred thousand come each second; what counts is how many are dealt with.

use std::time::Duration;

use bytes::Bytes;
use wamig_openflow::message::{
    BandKind, Bucket, Fragments, GroupMod, GroupModCommand, GroupType, MeterBand, MeterConfig, MeterFlags, MeterMod,
    MeterModCommand, SwitchConfig,
};
use wamig_openflow::{
    Action, Cookie, FlowMod, GroupId, Instructions, Match, Message, MeterId, PacketOut, PortNo, TableId,
};

use super::Options;
use super::client::{Client, with_barrier};
use super::control::clear;
use super::load;
use super::pair::{Contender, Pair, in_turn};

const GROUP: (&str, &str) = ("punt", "frames/s");
/// Frames a second that come; Open vSwitch's AF_PACKET ports give up where there are many more.
const OFFERED: u32 = 100_000;
/// Packet-outs of one measurement.
const OUTS: usize = 20_000;

/// A flow for everything that comes in by port 1.
fn flow(instructions: Instructions) -> Message {
    Message::FlowMod(FlowMod::add(TableId(0), 50100, Match::any().in_port(PortNo(1)), instructions, Cookie(0)))
}

/// The flow that sends all frames to the controller.
pub fn to_controller() -> Message {
    flow(Instructions::apply(vec![Action::Output { port: PortNo::CONTROLLER, max_len: 128 }]))
}

/// A packet-out of the frame by port 2.
pub fn out() -> Message {
    Message::PacketOut(PacketOut {
        buffer_id: None,
        in_port: PortNo::CONTROLLER,
        actions: vec![Action::output(PortNo(2))],
        data: Bytes::from(load::frame()),
    })
}

fn plain() -> Vec<Message> {
    vec![flow(Instructions::apply(vec![Action::output(PortNo(2))]))]
}

fn group() -> Vec<Message> {
    let change =
        |command, buckets| Message::GroupMod(GroupMod { command, ty: GroupType::Indirect, group: GroupId(1), buckets });
    let bucket = Bucket {
        weight: 0,
        watch_port: PortNo::ANY,
        watch_group: GroupId::ANY,
        actions: vec![Action::output(PortNo(2))],
    };
    let flow = flow(Instructions::apply(vec![Action::Group(GroupId(1))]));
    vec![change(GroupModCommand::Delete, Vec::new()), change(GroupModCommand::Add, vec![bucket]), flow]
}

/// A meter that nothing reaches.
fn meter() -> Vec<Message> {
    let change = |command, bands| {
        let config =
            MeterConfig { flags: MeterFlags { pktps: true, ..MeterFlags::default() }, meter: MeterId(1), bands };
        Message::MeterMod(MeterMod { command, config })
    };
    let band = MeterBand { kind: BandKind::Drop, rate: 100_000_000, burst: 0 };
    let instructions = Instructions { meter: Some(MeterId(1)), ..Instructions::apply(vec![Action::output(PortNo(2))]) };
    vec![change(MeterModCommand::Delete, Vec::new()), change(MeterModCommand::Add, vec![band]), flow(instructions)]
}

/// A session of a switch that has these flows and no others.
pub fn with(contender: &Contender<'_>, messages: &[Message]) -> Result<Client, String> {
    let mut client = contender.client()?;
    clear(&mut client)?;
    // Open vSwitch sends whoever connects by a listener no packet-in before it has said how long.
    let asked = Message::SetConfig(SwitchConfig { fragments: Fragments::Normal, miss_send_len: 128 });
    client.send(&with_barrier(&[&[asked], messages].concat()))?;
    Ok(client)
}

/// Measures, and prints the rows.
pub fn measure(options: &Options) {
    let (rounds, time) = if options.quick { (2, Duration::from_millis(500)) } else { (5, Duration::from_secs(2)) };
    let pair = Pair::start();
    let contenders = pair.contenders();
    in_turn(GROUP, "packet-ins", &contenders, rounds, |contender| {
        let mut client = with(contender, &[to_controller()])?;
        let (counted, _) = load::under(contender.row, OFFERED, || {
            // What the first frames find is not what later ones do: Open vSwitch caches.
            client.count(time / 2, u64::MAX, |_| false)?;
            client.count(time, u64::MAX, |message| matches!(message, Message::PacketIn(_)))
        });
        Ok((counted? as f64 / time.as_secs_f64(), []))
    });
    let outs = with_barrier(&vec![out(); OUTS]);
    in_turn(GROUP, "packet-outs", &contenders, rounds, |contender| {
        let mut client = with(contender, &[])?;
        let socket = load::behind(contender.row);
        let took = client.send(&outs)?;
        let arrived = (0..OUTS).take_while(|_| load::arrives(&socket)).count();
        Ok((OUTS as f64 / took.as_secs_f64(), [("lost", (OUTS - arrived) as u64)]))
    });
    for (what, messages) in
        [("forwarded", plain()), ("forwarded by a group", group()), ("forwarded by a meter", meter())]
    {
        in_turn(GROUP, what, &contenders, rounds, |contender| {
            with(contender, &messages)?;
            let socket = load::behind(contender.row);
            // The program that fits the tables is chosen within a second.
            let (rate, _) = load::under(contender.row, OFFERED, || {
                load::rate(&socket, Duration::from_millis(1500));
                load::rate(&socket, time)
            });
            Ok((rate, []))
        });
    }
    eprintln!();
}
