//! Frames that are cut short, too long, contradict themselves or come back: counted by
//! reason, and never the end of anything.

use std::time::Duration;

use anyhow::Result;
use xtask::lab::raw::Sender;
use xtask::lab::status::Status;
use xtask::lab::topology::{GATEWAY1, Place, SERVER_MAC, Site, WEB};
use xtask::lab::{Lab, netns, signals, trial};

const XTASK: &str = env!("CARGO_BIN_EXE_xtask");
const HOST: Place = Place::Host(Site::Dc1);
const ROUTER: Place = Place::Router(Site::Dc1);
const SLOT2: Place = Place::Slot(Site::Dc2);
const SOON: Duration = Duration::from_secs(40);

/// Repeatable noise (xorshift64*).
struct Noise(u64);

impl Noise {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }
}

/// An Ethernet frame of host `HOST`.
fn frame(to: [u8; 6], ether_type: u16, payload: &[u8]) -> Vec<u8> {
    let from = HOST.mac();
    [&to[..], &from[..], &ether_type.to_be_bytes(), payload].concat()
}

/// A sound IPv4 packet with UDP in it.
fn packet() -> Vec<u8> {
    let mut packet = vec![0x45, 0, 0, 36, 0, 0, 0, 0, 64, 17, 0, 0, 192, 0, 2, 80, 192, 0, 2, 1];
    packet.extend([0x30, 0x39, 0, 9, 0, 16, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8]);
    packet
}

/// A sound ARP request for the gateway.
fn arp() -> Vec<u8> {
    let mut arp = vec![0, 1, 8, 0, 6, 4, 0, 1];
    arp.extend(HOST.mac());
    arp.extend([192, 0, 2, 80, 0, 0, 0, 0, 0, 0, 192, 0, 2, 1]);
    arp
}

fn bad_frames() -> Vec<Vec<u8>> {
    let to = ROUTER.mac();
    let mut all = Vec::new();
    for (ether_type, whole) in [(0x0800, packet()), (0x0806, arp()), (0x86dd, vec![0x60; 40])] {
        // Cut anywhere.
        all.extend((0..whole.len()).map(|end| frame(to, ether_type, &whole[..end])));
    }
    let mut lying = packet();
    for (at, lies) in [(0, &[0x00, 0x44, 0x4f, 0x55, 0xff][..]), (2, &[0, 0xff]), (3, &[0, 19, 24, 255]), (24, &[0xff])]
    {
        for &lie in lies {
            let truth = std::mem::replace(&mut lying[at], lie);
            all.push(frame(to, 0x0800, &lying));
            lying[at] = truth;
        }
    }
    for operation in [0, 3, 0xff] {
        let mut wrong = arp();
        wrong[7] = operation;
        all.push(frame([0xff; 6], 0x0806, &wrong));
        wrong[4] = 255;
        all.push(frame([0xff; 6], 0x0806, &wrong));
    }
    // Tags upon tags, none of them with anything behind it in the end.
    for depth in [1, 2, 3, 16, 300] {
        let tags: Vec<u8> = [0x00, 0x05, 0x81, 0x00].repeat(depth);
        all.push(frame(to, 0x8100, &tags));
    }
    // From nobody, from a group, from itself.
    for source in [[0; 6], [0xff; 6], to] {
        let mut odd = frame(to, 0x0800, &packet());
        odd[6..12].copy_from_slice(&source);
        all.push(odd);
    }
    // An extension header that chains to itself until the end of the frame.
    let mut chain = vec![0x60, 0, 0, 0, 1, 0x40, 0, 64];
    chain.extend([0xfe; 32]);
    chain.extend([0; 8].repeat(40));
    all.push(frame(to, 0x86dd, &chain));
    all
}

/// Everything a site counts about frames, in one number per reason.
fn counted(status: &Status, reason: &str) -> u64 {
    [&status.drops, &status.punts, &status.anomalies].iter().filter_map(|map| map.get(reason)).sum()
}

fn still_well(lab: &mut Lab) -> Result<()> {
    for site in Site::BOTH {
        assert!(lab.gateway_running(site), "the daemon of {} has ended:\n{}", site.title(), lab.last_words(20));
        lab.gateway(site).status()?;
    }
    // Frames that lied about their source have misled the switch, as they would any: it is
    // right again as soon as the true owner speaks. New hosts may wait for the token bucket.
    let both_ways = || {
        let (down, up) = ((ROUTER, WEB), (HOST, GATEWAY1));
        for (from, to) in [down, up] {
            if !trial::reaches(&lab.name(from), to, Duration::from_secs(1))? {
                return Ok(None);
            }
        }
        Ok(Some(()))
    };
    assert!(signals::wait_for(SOON, both_ways)?.is_some(), "the switch no longer forwards");
    Ok(())
}

#[test]
fn bad_frames_are_counted_and_nothing_ends() -> Result<()> {
    let Some(mut lab) = trial::lab(XTASK, |_| {})? else { return Ok(()) };
    lab.start_daemons()?;
    netns::ip(&lab.name(SLOT2), "link set eth0 up")?;
    still_well(&mut lab)?;
    let before = lab.statuses()?;

    let frames = bad_frames();
    for (place, site) in [(HOST, Site::Dc1), (SLOT2, Site::Dc2)] {
        let sender = Sender::open(&lab.name(place), "eth0")?;
        let taken = frames.iter().filter(|frame| sender.send(frame)).count();
        assert!(taken > frames.len() / 2, "the kernel took {taken} of {} frames", frames.len());
        // The switch counts in its own time.
        let is = |status: &Status| counted(status, "malformed-l3") > counted(&before[index(site)], "malformed-l3");
        lab.wait_state(site, SOON, "counting malformed-l3", is)?;
    }
    let [home, _] = lab.statuses()?;
    for reason in ["malformed-l3", "malformed-l4", "more-than-two-tags"] {
        let (was, is) = (counted(&before[0], reason), counted(&home, reason));
        assert!(is > was, "{reason} is not counted: {was}, then {is}");
    }
    still_well(&mut lab)
}

#[test]
fn noise_at_every_port_ends_nothing() -> Result<()> {
    let Some(mut lab) = trial::lab(XTASK, |_| {})? else { return Ok(()) };
    lab.start_daemons()?;
    netns::ip(&lab.name(SLOT2), "link set eth0 up")?;
    let mut noise = Noise(0x57_41_4d_49_47);
    let sources = [HOST.mac(), SERVER_MAC, [2, 0x57, 0x4d, 0, 0, 2]];
    for (place, interface) in [(HOST, "eth0"), (ROUTER, "lan"), (SLOT2, "eth0")] {
        let sender = Sender::open(&lab.name(place), interface)?;
        for _ in 0..4000 {
            let length = 14 + (noise.next() % 1480) as usize;
            let mut bytes: Vec<u8> = (0..length).map(|_| noise.next() as u8).collect();
            // Mostly of kinds that are looked into, from addresses that matter.
            let kinds: [[u8; 2]; 6] = [[8, 0], [8, 6], [0x86, 0xdd], [0x81, 0], [0x80, 0x35], [0x88, 0xa8]];
            bytes[12..14].copy_from_slice(&kinds[(noise.next() % 6) as usize]);
            bytes[6..12].copy_from_slice(&sources[(noise.next() % 3) as usize]);
            if noise.next().is_multiple_of(3) {
                bytes[..6].copy_from_slice(&[0xff; 6]);
            }
            if length > 40 && noise.next().is_multiple_of(2) {
                bytes[14] = 0x45;
                bytes[26..30].copy_from_slice(&[192, 0, 2, 53]);
            }
            sender.send(&bytes);
        }
    }
    still_well(&mut lab)
}

#[test]
fn frames_longer_than_the_wire_end_nothing() -> Result<()> {
    let Some(mut lab) = trial::lab(XTASK, |_| {})? else { return Ok(()) };
    lab.start_daemons()?;
    // A host whose MTU is wrong; the port's own stays 1500.
    netns::ip(&lab.name(HOST), "link set eth0 mtu 3000")?;
    let sender = Sender::open(&lab.name(HOST), "eth0")?;
    for length in [1514, 1515, 1518, 1519, 1522, 2048, 3014] {
        let mut long = frame(ROUTER.mac(), 0x0800, &packet());
        long.resize(length, 0xa5);
        sender.send(&long);
    }
    still_well(&mut lab)
}

fn index(site: Site) -> usize {
    usize::from(site.number()) - 1
}
