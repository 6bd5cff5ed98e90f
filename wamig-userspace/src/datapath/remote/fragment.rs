//! Later fragments of IPv4, which some switches damage where they write an address.
//!
//! A datagram's second fragment and those after it have no transport header. Open vSwitch's
//! userspace datapath (`datapath_type=netdev`, seen with 3.1) mends a checksum there all the
//! same: bytes 6 and 7 of the payload for UDP, 16 and 17 for TCP. Its kernel datapath does not.
//!
//! * [`Trial`] — before a session is ready, two such fragments go through an action that writes
//!   the destination, and come back by packet-in. No flow and no port sees them.
//! * [`detours`] — a switch that damages them has a flow above each of ours that writes an
//!   address, which sends UDP and TCP without ports here. OpenFlow has no field that says
//!   "fragment"; but a later fragment's ports are matched as 0 (OpenFlow 1.0 §3.4 says so, and
//!   Open vSwitch does in every version).
//! * [`Detour`] — does what the flow should have done, in this process.

use std::time::Instant;

use bytes::Bytes;
use wamig_openflow::{
    Action, Cookie, Field, FlowMod, Instructions, MacAddr, Match, PacketIn, PacketOut, PortDesc, PortNo, TableId,
};

use crate::fastpath::memory::{Memory, MemoryMaps};
use crate::migration::cookie;
use crate::switch::effect::Effect;
use crate::switch::port::Ports;
use crate::switch::{Limits, Switch};

/// The cookie of every detour, but for the switch's [marks](super::marks::Marks): of the
/// migration's space, of no role that it has.
pub const COOKIE: Cookie = Cookie(cookie::SPACE | 0xe << 44);
/// A station that there is not.
const NOBODY: MacAddr = MacAddr([0x02, 0x57, 0x4d, 0xff, 0xff, 0xfe]);
const TCP: u8 = 6;
const UDP: u8 = 17;
const IPV4: [u8; 2] = [0x08, 0x00];
/// Addresses for documentation (RFC 5737): the sender's, the receiver's, and what is written in its place.
const FROM: [u8; 4] = [192, 0, 2, 254];
const TO: [u8; 4] = [192, 0, 2, 255];
const WRITTEN: [u8; 4] = [198, 51, 100, 255];
const PAYLOAD: usize = 40;
const HEADERS: usize = 14 + 20;

/// What a switch does to later fragments where it writes an address.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// It leaves their payload alone.
    Sound,
    /// It changes their payload.
    Damages,
    /// It could not be tried, and why.
    Unknown(String),
}

impl Verdict {
    /// As in `wamig status -o json`.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Sound => "sound",
            Self::Damages => "damaged",
            Self::Unknown(_) => "unknown",
        }
    }
}

/// The trial of one session.
#[derive(Debug, Default)]
pub struct Trial {
    /// Of the fragments that have come back, whether they were whole.
    whole: Vec<(u8, bool)>,
}

impl Trial {
    /// What the switch is told.
    pub fn messages() -> [PacketOut; 2] {
        [UDP, TCP].map(|protocol| PacketOut {
            buffer_id: None,
            in_port: PortNo::CONTROLLER,
            actions: vec![Action::set_ip(Field::Ipv4Dst, WRITTEN), Action::controller()],
            data: fragment(protocol).into(),
        })
    }

    /// Takes a frame; the verdict, if it was the last one that was waited for.
    pub fn take(&mut self, m: &PacketIn) -> Option<Verdict> {
        let sent = [UDP, TCP].into_iter().find(|protocol| is_of(&m.data, *protocol))?;
        if m.data[30..HEADERS] != WRITTEN {
            return Some(Verdict::Unknown("an action that writes the destination left it as it was".to_owned()));
        }
        let payload = m.data.get(HEADERS..HEADERS + PAYLOAD);
        self.whole.retain(|(protocol, _)| *protocol != sent);
        self.whole.push((sent, payload == Some(&fragment(sent)[HEADERS..])));
        let all = self.whole.iter().all(|(_, whole)| *whole);
        (self.whole.len() == 2).then_some(if all { Verdict::Sound } else { Verdict::Damages })
    }
}

/// The last fragment of a datagram that nobody has sent to nobody.
fn fragment(protocol: u8) -> Vec<u8> {
    let mut ip = vec![0x45, 0, 0, (20 + PAYLOAD) as u8, 0x57, 0x4d, 0, 185, 64, protocol, 0, 0];
    ip.extend([FROM, TO].concat());
    let sum = ip.chunks(2).map(|b| u32::from(u16::from_be_bytes([b[0], b[1]]))).sum::<u32>();
    let folded = (sum & 0xffff) + (sum >> 16);
    let checksum = !((folded & 0xffff) + (folded >> 16)) as u16;
    ip[10..12].copy_from_slice(&checksum.to_be_bytes());
    let mut frame = [&NOBODY.0[..], &NOBODY.0, &IPV4].concat();
    frame.extend(ip);
    // Nowhere 0, which a checksum of UDP may mean to be none.
    frame.extend((0..PAYLOAD).map(|n| 0x41 + n as u8));
    frame
}

fn is_of(frame: &[u8], protocol: u8) -> bool {
    let sent = fragment(protocol);
    // All but the checksum and the destination of the IPv4 header.
    frame.len() >= HEADERS && frame[..24] == sent[..24] && frame[26..30] == sent[26..30]
}

/// Whether a frame is a later fragment of IPv4, with no tag or one.
pub fn is_later(frame: &[u8]) -> bool {
    let at = if frame.get(12..14) == Some(&[0x81, 0x00]) { 16 } else { 12 };
    let offset = frame.get(at + 8..at + 10).map_or(0, |b| u16::from_be_bytes([b[0], b[1]]) & 0x1fff);
    frame.get(at..at + 2) == Some(&IPV4) && offset != 0
}

/// Whether an address of IPv4 is written.
pub fn writes_address(instructions: &Instructions) -> bool {
    let writes = |a: &Action| matches!(a, Action::SetField { field: Field::Ipv4Src | Field::Ipv4Dst, .. });
    instructions.apply.iter().any(writes)
}

/// The matches, one priority above it, that take the later fragments that a flow would damage.
pub fn detours(matching: &Match, instructions: &Instructions) -> Vec<Match> {
    if !writes_address(instructions) {
        return Vec::new();
    }
    let without_ports = |protocol: u8, [from, to]: [Field; 2]| {
        let is = |field, value: u128| matching.get(field).is_none_or(|m| m.value == value & m.mask);
        let may = is(Field::IpProto, u128::from(protocol)) && is(from, 0) && is(to, 0);
        let m = matching.clone().with(Field::IpProto, u128::from(protocol)).with(from, 0).with(to, 0);
        (may && m.validate().is_ok()).then_some(m)
    };
    let all = [(TCP, [Field::TcpSrc, Field::TcpDst]), (UDP, [Field::UdpSrc, Field::UdpDst])];
    all.into_iter().filter_map(|(protocol, ports)| without_ports(protocol, ports)).collect()
}

/// To the controller, whole.
pub fn instructions() -> Instructions {
    Instructions::apply(vec![Action::controller()])
}

/// The flows that write addresses, in this process.
pub struct Detour {
    switch: Switch<Memory>,
    /// Of the detours themselves, which the flows here do not need.
    cookie: Cookie,
    /// Fragments that went this way.
    pub taken: u64,
    /// Those of them that were lost where the whole pipeline is at hand.
    pub elsewhere: u64,
}

impl std::fmt::Debug for Detour {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Detour").field("taken", &self.taken).finish_non_exhaustive()
    }
}

impl Detour {
    /// Without flows; ports and the detours' cookie as the switch has them.
    pub fn new(ports: &[PortDesc], cookie: Cookie, now: Instant) -> Self {
        let ports = Ports::new(ports.iter().cloned()).alive_since(now);
        Self {
            switch: Switch::new(Memory::new(MemoryMaps::default()), ports, Limits::default()),
            cookie,
            taken: 0,
            elsewhere: 0,
        }
    }

    /// The switch has been told this.
    pub fn follow(&mut self, mods: &[FlowMod], now: Instant) {
        let delete = |m: &FlowMod| FlowMod::delete_strict(m.table, m.priority, m.matching.clone());
        let mut batch: Vec<FlowMod> = Vec::new();
        for m in mods.iter().filter(|m| m.table == TableId(0) && m.cookie != self.cookie) {
            let writes = writes_address(&m.instructions);
            // An add that writes no address any more takes the place of one that may have.
            batch.push(if writes { m.clone() } else { delete(m) });
        }
        if let Err(refused) = self.switch.apply(batch, now) {
            tracing::error!(error = %refused.error, "later fragments of moved addresses may be lost");
        }
    }

    /// Fragments that came faster than they are sent on, and are lost.
    pub fn lost(&self) -> u64 {
        self.switch.slow_counters().limited + self.elsewhere
    }

    /// What the switch has to send in place of a frame that came up by a detour.
    pub fn frames(&mut self, m: &PacketIn, now: Instant) -> Vec<PacketOut> {
        self.taken += 1;
        let Some((effects, _)) = self.switch.forward(m.in_port, &m.data, now) else { return Vec::new() };
        let out = |effect| match effect {
            Effect::Inject { port, frame } => Some(send(m.in_port, port, frame)),
            Effect::Event(_) => None,
        };
        effects.into_iter().filter_map(out).collect()
    }
}

fn send(in_port: PortNo, port: PortNo, data: Bytes) -> PacketOut {
    let port = if port == in_port { PortNo::IN_PORT } else { port };
    PacketOut { buffer_id: None, in_port, actions: vec![Action::output(port)], data }
}

#[cfg(test)]
mod tests {
    use wamig_openflow::PacketInReason;

    use super::*;
    use crate::switch::effect::Event;

    fn comes_back(data: Vec<u8>) -> PacketIn {
        PacketIn {
            buffer_id: None,
            reason: PacketInReason::Action,
            table: TableId(0),
            cookie: Cookie(u64::MAX),
            in_port: PortNo::CONTROLLER,
            metadata: 0,
            tunnel_id: 0,
            total_len: data.len() as u16,
            data: data.into(),
        }
    }

    fn written(protocol: u8) -> Vec<u8> {
        let mut frame = fragment(protocol);
        frame[30..34].copy_from_slice(&WRITTEN);
        frame
    }

    #[test]
    fn a_switch_is_sound_only_if_both_fragments_come_back_whole() {
        let mut trial = Trial::default();
        assert_eq!(trial.take(&comes_back(vec![0; 60])), None, "somebody else's frame");
        assert_eq!(trial.take(&comes_back(written(UDP))), None);
        assert_eq!(trial.take(&comes_back(written(TCP))), Some(Verdict::Sound));
        for (protocol, at) in [(UDP, 6), (TCP, 16)] {
            let mut trial = Trial::default();
            let other = if protocol == UDP { TCP } else { UDP };
            let mut damaged = written(protocol);
            damaged[HEADERS + at] ^= 1;
            assert_eq!(trial.take(&comes_back(damaged)), None);
            assert_eq!(trial.take(&comes_back(written(other))), Some(Verdict::Damages));
        }
        let unwritten = Trial::default().take(&comes_back(fragment(UDP)));
        assert!(matches!(unwritten, Some(Verdict::Unknown(_))), "{unwritten:?}");
    }

    #[test]
    fn wamigs_own_switch_is_sound() {
        let now = Instant::now();
        let ports = [PortDesc { port: PortNo(1), link_up: true, ..PortDesc::default() }];
        let mut switch = Detour::new(&ports, COOKIE, now).switch;
        let mut trial = Trial::default();
        let mut verdict = None;
        for out in Trial::messages() {
            for effect in switch.packet_out(&out, now).unwrap() {
                let Effect::Event(Event::PacketIn(m)) = effect else { panic!("{effect:?}") };
                verdict = trial.take(&m);
            }
        }
        assert_eq!(verdict, Some(Verdict::Sound));
    }

    #[test]
    fn a_later_fragment_is_told_from_other_frames() {
        assert!(is_later(&fragment(UDP)));
        let mut tagged = fragment(UDP);
        tagged.splice(12..12, [0x81, 0x00, 0x00, 0x07]);
        assert!(is_later(&tagged));
        let mut first = fragment(UDP);
        first[20..22].copy_from_slice(&[0x20, 0]);
        assert!(!is_later(&first) && !is_later(&[]));
    }

    #[test]
    fn a_detour_lies_above_every_flow_that_writes_an_address_and_may_meet_a_fragment() {
        let to = |m: Match| {
            let write = Instructions::apply(vec![Action::set_ip(Field::Ipv4Dst, TO), Action::output(PortNo(1))]);
            detours(&m, &write).iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        let s = Match::any().ipv4().ip(Field::Ipv4Dst, TO);
        assert_eq!(
            to(s.clone()),
            [
                "ip,nw_proto=6,nw_dst=192.0.2.255,tcp_src=0,tcp_dst=0",
                "ip,nw_proto=17,nw_dst=192.0.2.255,udp_src=0,udp_dst=0"
            ]
        );
        let udp = s.clone().with(Field::IpProto, 17);
        assert_eq!(to(udp.clone()), ["ip,nw_proto=17,nw_dst=192.0.2.255,udp_src=0,udp_dst=0"]);
        assert_eq!(to(udp.with(Field::UdpDst, 53)), [] as [String; 0], "a later fragment has no ports");
        assert_eq!(detours(&s, &Instructions::apply(vec![Action::output(PortNo(1))])), []);
    }
}
