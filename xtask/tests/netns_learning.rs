//! The learning switch of a gateway box, between real hosts: it learns, forgets, follows a
//! host that moves, and sends nothing back to where it came from.

use std::time::Duration;

use anyhow::Result;
use xtask::lab::capture::{Capture, now_us};
use xtask::lab::raw::Sender;
use xtask::lab::topology::{GATEWAY1, Place, Site, WEB, mac_text};
use xtask::lab::{Lab, netns, signals, trial};

const XTASK: &str = env!("CARGO_BIN_EXE_xtask");
const ROUTER: Place = Place::Router(Site::Dc1);
const HOST: Place = Place::Host(Site::Dc1);
const SLOT: Place = Place::Slot(Site::Dc1);
const SOON: Duration = Duration::from_secs(40);

fn lab() -> Result<Option<Lab>> {
    let Some(mut lab) = trial::lab(XTASK, |options| options.dc1.learning = "idle_s = 2".into())? else {
        return Ok(None);
    };
    lab.start_daemon(Site::Dc1)?;
    Ok(Some(lab))
}

/// The port at which the switch has learned a place's MAC, by the flow that says so.
fn learned_at(lab: &Lab, mac: [u8; 6]) -> Result<Option<u32>> {
    let mac = mac_text(mac);
    let flows = lab.gateway(Site::Dc1).flows()?;
    let flow = flows.iter().find(|flow| flow.is_learning() && flow.table == 1 && flow.matching.contains(&mac));
    Ok(flow.and_then(|flow| {
        let port = flow.matching.split(',').find_map(|part| part.strip_prefix("in_port="))?;
        port.parse().ok()
    }))
}

fn wait_learned(lab: &Lab, mac: [u8; 6], port: Option<u32>, patience: Duration) -> Result<()> {
    let is = || Ok((learned_at(lab, mac)? == port).then_some(()));
    let found = signals::wait_for(patience, is)?;
    assert!(found.is_some(), "{} should be at {port:?}, is at {:?}", mac_text(mac), learned_at(lab, mac)?);
    Ok(())
}

/// Received frames of a capture that hold these octets.
fn copies(capture: &Capture, needle: &[u8]) -> usize {
    let holds = |bytes: &[u8]| bytes.windows(needle.len()).any(|part| part == needle);
    capture.records().iter().filter(|record| !record.sent && holds(&record.bytes)).count()
}

#[test]
fn learns_where_hosts_are_and_forgets_the_silent() -> Result<()> {
    let Some(lab) = lab()? else { return Ok(()) };
    netns::ip(&lab.name(SLOT), "link set eth0 up")?;
    let (router, host) = (ROUTER.mac(), HOST.mac());
    assert!(trial::reaches(&lab.name(HOST), GATEWAY1, SOON)?, "hosts reach each other through the switch");
    wait_learned(&lab, router, Some(1), SOON)?;
    wait_learned(&lab, host, Some(2), SOON)?;

    // What is known is not flooded.
    let slot = lab.capture("slot", SLOT, "eth0")?;
    for _ in 0..20 {
        assert!(trial::reaches(&lab.name(HOST), GATEWAY1, SOON)?);
    }
    let unicast = slot.records().iter().filter(|record| !record.sent && record.bytes[0] & 1 == 0).count();
    assert_eq!(unicast, 0, "unicast frames between others reached the slot");

    wait_learned(&lab, host, None, SOON)?;
    assert!(trial::reaches(&lab.name(HOST), GATEWAY1, SOON)?, "a forgotten host is learned again");
    wait_learned(&lab, host, Some(2), SOON)
}

#[test]
fn follows_a_host_that_moves() -> Result<()> {
    let Some(lab) = lab()? else { return Ok(()) };
    let mac = HOST.mac();
    assert!(trial::reaches(&lab.name(ROUTER), WEB, SOON)?);
    wait_learned(&lab, mac, Some(2), SOON)?;

    // The same host, plugged in at the port `srv`.
    netns::ip(&lab.name(HOST), "link set eth0 down")?;
    let moved = format!(
        "addr flush dev eth0\nlink set eth0 address {}\naddr add {WEB}/24 dev eth0\nlink set eth0 up",
        mac_text(mac)
    );
    netns::ip(&lab.name(SLOT), &moved)?;
    let begun = now_us();
    assert!(trial::reaches(&lab.name(SLOT), GATEWAY1, SOON)?, "it reaches the others from its new port");
    assert!(trial::reaches(&lab.name(ROUTER), WEB, SOON)?, "they reach it at its new port");
    assert!(now_us() - begun < 2_000_000, "it took {} ms to follow", (now_us() - begun) / 1000);
    wait_learned(&lab, mac, Some(3), SOON)
}

#[test]
fn a_broadcast_goes_out_once_and_never_back() -> Result<()> {
    let Some(lab) = lab()? else { return Ok(()) };
    netns::ip(&lab.name(SLOT), "link set eth0 up")?;
    let (router, host, slot) =
        (lab.capture("r", ROUTER, "lan")?, lab.capture("h", HOST, "eth0")?, lab.capture("s", SLOT, "eth0")?);
    let sender = Sender::open(&lab.name(HOST), "eth0")?;
    // Flooded: to everybody, to a group, to a host that nobody has seen. The second round is
    // sent when the sender is known.
    for round in 0..2_u8 {
        for (n, to) in [[0xff; 6], [1, 0, 0x5e, 0, 0, 9], [2, 0, 0, 0, 9, 9]].into_iter().enumerate() {
            let needle = [b"once?", &[round, n as u8][..]].concat();
            let mut frame = [&to[..], &HOST.mac(), &[0x88, 0xb5], &needle].concat();
            frame.resize(60, 0);
            assert!(sender.send(&frame));
            std::thread::sleep(Duration::from_millis(300));
            let counts = (copies(&router, &needle), copies(&slot, &needle), copies(&host, &needle));
            assert_eq!(counts, (1, 1, 0), "to {} in round {round}: at router, slot, sender", mac_text(to));
        }
    }
    Ok(())
}
