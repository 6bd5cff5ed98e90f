//! Two sites with their routers, a client, a neighbour and a server that is plugged in here or
//! there: just enough hosts to see what the switches make of their frames.

pub mod wire;

use std::collections::HashMap;
use std::net::Ipv4Addr;
use std::time::Duration;

use etherparse::{NetSlice, PacketBuilder, SlicedPacket, TransportSlice};
use tokio::sync::mpsc;
use wamig_openflow::MacAddr;
use wamig_userspace::fastpath::Punt;
use wamig_userspace::migration::arp::{Arp, Op};

use wire::{Sent, arriving};

/// The server (S) and its MAC address (s).
pub const S: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 53);
pub const S_MAC: MacAddr = MacAddr([2, 0, 0, 0, 0, 0x53]);
/// A client on the internet.
pub const CLIENT: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 10);
/// The server's neighbour at home.
pub const NEIGHBOUR: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 80);
pub const NEIGHBOUR_MAC: MacAddr = MacAddr([2, 0, 0, 0, 0, 0x80]);
/// The routers, which are the sites' gateways.
pub const GATEWAYS: [Ipv4Addr; 2] = [Ipv4Addr::new(192, 0, 2, 1), Ipv4Addr::new(198, 51, 100, 1)];
pub const GATEWAY_MACS: [MacAddr; 2] = [MacAddr([2, 0, 0, 0, 1, 1]), MacAddr([2, 0, 0, 0, 2, 1])];

/// Ports of either switch.
pub const UP: u32 = 1;
pub const LAN: u32 = 2;
pub const SRV: u32 = 3;

/// Everything outside the switches.
pub struct World {
    into: [mpsc::Sender<Punt>; 2],
    sent: mpsc::UnboundedReceiver<Sent>,
    /// Each router's ARP cache.
    caches: [HashMap<Ipv4Addr, MacAddr>; 2],
    /// Packets that a router holds until ARP is answered: (site, destination, packet).
    waiting: Vec<(usize, Ipv4Addr, Vec<u8>)>,
    /// Where the server is plugged in.
    pub server_at: Option<usize>,
    /// What it knows of its gateway.
    pub server_gateway: Option<MacAddr>,
    /// Payloads that reached the client, newest last.
    pub answers: Vec<String>,
    /// Payloads that reached the neighbour, newest last.
    pub neighbour_answers: Vec<String>,
    /// What the neighbour's ARP cache says of the server.
    pub neighbour_sees: Option<MacAddr>,
    /// Every frame the switches sent.
    pub log: Vec<Sent>,
}

impl World {
    pub fn new(into: [mpsc::Sender<Punt>; 2], sent: mpsc::UnboundedReceiver<Sent>) -> Self {
        Self {
            into,
            sent,
            caches: Default::default(),
            waiting: Vec::new(),
            server_at: None,
            server_gateway: None,
            answers: Vec::new(),
            neighbour_answers: Vec::new(),
            neighbour_sees: None,
            log: Vec::new(),
        }
    }

    /// Lets frames flow until something holds, 10 s at most.
    pub async fn until(&mut self, what: &str, holds: impl Fn(&Self) -> bool) {
        let patience = tokio::time::sleep(Duration::from_secs(40));
        tokio::pin!(patience);
        while !holds(self) {
            tokio::select! {
                sent = self.sent.recv() => self.react(sent.expect("the switches are there")).await,
                () = &mut patience => panic!("{what} does not come; the last frames: {:?}", self.last_frames()),
            }
        }
    }

    /// Lets frames flow for a while.
    pub async fn idle(&mut self, time: Duration) {
        let over = tokio::time::sleep(time);
        tokio::pin!(over);
        loop {
            tokio::select! {
                sent = self.sent.recv() => self.react(sent.expect("the switches are there")).await,
                () = &mut over => return,
            }
        }
    }

    fn last_frames(&self) -> Vec<String> {
        let show = |s: &Sent| format!("dc{} port {}: {:02x?}", s.site + 1, s.port, &s.frame[..s.frame.len().min(42)]);
        self.log.iter().rev().take(6).map(show).collect()
    }

    /// Plugs the server in and boots it: it asks for its gateway, as a host does that has
    /// something to say.
    pub async fn boot(&mut self, site: usize) {
        self.server_at = Some(site);
        self.server_gateway = None;
        let ask = request(S_MAC, S, GATEWAYS[0]);
        self.enter(site, SRV, &ask).await;
    }

    /// Pulls the server's plug.
    pub fn stop(&mut self) {
        self.server_at = None;
    }

    /// The client asks the server.
    pub async fn query(&mut self) {
        let packet = udp(GATEWAY_MACS[0], GATEWAY_MACS[0], CLIENT, S, b"who?");
        self.route(packet).await;
    }

    /// The neighbour asks for the server's MAC address, then asks the server.
    pub async fn neighbour_arp(&mut self) {
        self.neighbour_sees = None;
        self.enter(0, LAN, &request(NEIGHBOUR_MAC, NEIGHBOUR, S)).await;
    }

    pub async fn neighbour_query(&mut self) {
        let mac = self.neighbour_sees.expect("ARP was answered");
        self.enter(0, LAN, &udp(NEIGHBOUR_MAC, mac, NEIGHBOUR, S, b"who?")).await;
    }

    async fn enter(&self, site: usize, port: u32, frame: &[u8]) {
        self.into[site].send(arriving(port, frame)).await.expect("the switch is there");
    }

    async fn react(&mut self, sent: Sent) {
        self.log.push(sent.clone());
        match sent.port {
            UP => self.router(sent.site, sent.frame).await,
            SRV if self.server_at == Some(sent.site) => self.server(sent.site, &sent.frame).await,
            LAN if sent.site == 0 => self.neighbour(&sent.frame).await,
            _ => {}
        }
    }

    async fn router(&mut self, site: usize, frame: Vec<u8>) {
        let (own, own_mac) = (GATEWAYS[site], GATEWAY_MACS[site]);
        if let Some(arp) = Arp::parse(&frame) {
            self.caches[site].insert(arp.spa, arp.sha);
            if arp.op == Op::Request && arp.tpa == own {
                let reply = Arp::reply(own_mac, own, arp.sha, arp.spa).build();
                self.enter(site, UP, &reply).await;
            }
            let (ready, waiting) = self.waiting.drain(..).partition(|(s, to, _)| *s == site && *to == arp.spa);
            self.waiting = waiting;
            for (_, _, packet) in ready {
                self.route(packet).await;
            }
        } else if frame[..6] == own_mac.0 {
            self.route(frame).await;
        }
    }

    /// What both routers and the internet between them do with a packet.
    async fn route(&mut self, mut packet: Vec<u8>) {
        let to = ipv4(&packet).1;
        let site = match to.octets() {
            [192, 0, 2, _] => 0,
            [198, 51, 100, _] => 1,
            _ => {
                assert_eq!(to, CLIENT, "nothing else is out there");
                self.answers.push(payload(&packet));
                return;
            }
        };
        let Some(mac) = self.caches[site].get(&to).copied() else {
            self.waiting.push((site, to, packet));
            self.enter(site, UP, &request(GATEWAY_MACS[site], GATEWAYS[site], to)).await;
            return;
        };
        packet[..6].copy_from_slice(&mac.0);
        packet[6..12].copy_from_slice(&GATEWAY_MACS[site].0);
        self.enter(site, UP, &packet).await;
    }

    async fn server(&mut self, site: usize, frame: &[u8]) {
        if let Some(arp) = Arp::parse(frame) {
            if arp.op == Op::Request && arp.tpa == S {
                let reply = Arp::reply(S_MAC, S, arp.sha, arp.spa).build();
                self.enter(site, SRV, &reply).await;
            } else if arp.op == Op::Reply && arp.spa == GATEWAYS[0] && frame[..6] == S_MAC.0 {
                self.server_gateway = Some(arp.sha);
            }
            return;
        }
        if frame[..6] != S_MAC.0 {
            return;
        }
        let (from, to) = ipv4(frame);
        assert_eq!(to, S, "the server sees its own address only");
        if let (Some(gateway), true) = (self.server_gateway, from == CLIENT || from == NEIGHBOUR) {
            let answer = udp(S_MAC, gateway, S, from, format!("dc{}", site + 1).as_bytes());
            self.enter(site, SRV, &answer).await;
        }
    }

    async fn neighbour(&mut self, frame: &[u8]) {
        match Arp::parse(frame) {
            Some(arp) if arp.op == Op::Request && arp.tpa == NEIGHBOUR => {
                let reply = Arp::reply(NEIGHBOUR_MAC, NEIGHBOUR, arp.sha, arp.spa).build();
                self.enter(0, LAN, &reply).await;
            }
            Some(arp) if arp.op == Op::Reply && arp.spa == S => self.neighbour_sees = Some(arp.sha),
            None if frame[..6] == NEIGHBOUR_MAC.0 => self.neighbour_answers.push(payload(frame)),
            _ => {}
        }
    }

    /// Frames sent out of a port with an IPv4 destination.
    pub fn sent_to(&self, site: usize, port: u32, to: Ipv4Addr) -> usize {
        let is = |s: &&Sent| s.site == site && s.port == port && is_ipv4(&s.frame) && ipv4(&s.frame).1 == to;
        self.log.iter().filter(is).count()
    }
}

fn request(mac: MacAddr, from: Ipv4Addr, target: Ipv4Addr) -> Vec<u8> {
    let mut arp = Arp::probe(mac, target);
    arp.spa = from;
    arp.build().to_vec()
}

fn udp(from_mac: MacAddr, to_mac: MacAddr, from: Ipv4Addr, to: Ipv4Addr, payload: &[u8]) -> Vec<u8> {
    let mut frame = Vec::new();
    PacketBuilder::ethernet2(from_mac.0, to_mac.0)
        .ipv4(from.octets(), to.octets(), 64)
        .udp(53, 53)
        .write(&mut frame, payload)
        .unwrap();
    frame
}

pub fn is_ipv4(frame: &[u8]) -> bool {
    frame[12..14] == [8, 0]
}

/// Source and destination.
pub fn ipv4(frame: &[u8]) -> (Ipv4Addr, Ipv4Addr) {
    let Some(NetSlice::Ipv4(ip)) = SlicedPacket::from_ethernet(frame).unwrap().net else { panic!("no IPv4") };
    (ip.header().source_addr(), ip.header().destination_addr())
}

/// A UDP payload, its checksum checked.
fn payload(frame: &[u8]) -> String {
    let packet = SlicedPacket::from_ethernet(frame).unwrap();
    let (Some(NetSlice::Ipv4(ip)), Some(TransportSlice::Udp(udp))) = (packet.net, packet.transport) else {
        panic!("no UDP over IPv4")
    };
    let right = udp.to_header().calc_checksum_ipv4(&ip.header().to_header(), udp.payload()).unwrap();
    assert_eq!(udp.to_header().checksum, right, "the checksum of what arrives is right");
    String::from_utf8(udp.payload().to_vec()).unwrap()
}
