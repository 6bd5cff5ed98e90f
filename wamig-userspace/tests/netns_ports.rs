//! Ports of a switch that controllers own, on real interfaces: what is told of their changes,
//! what they count, what they are.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

#[allow(dead_code, reason = "shared by test programs that need different parts of it")]
mod site;

use std::fs::File;
use std::time::Instant;

use nix::sched::{CloneFlags, setns};
use site::controller::{Controller, PATIENCE};
use site::wire::Wire;
use site::{Daemon, Site, TWO_PORTS, may_run};
use wamig_openflow::{Action, Cookie, FlowMod, Instructions, Match, PortNo, PortReason, PortStatus, TableId, Version};
use wamig_userspace::fastpath::xdp::ethtool;

const A: [u8; 6] = [2, 0, 0, 0, 0, 0xa];
const B: [u8; 6] = [2, 0, 0, 0, 0, 0xb];

/// What a notice has to say.
type Wanted = fn(&PortStatus) -> bool;

/// From one port to another.
fn flow(from: PortNo, to: PortNo) -> FlowMod {
    let out = Instructions::apply(vec![Action::output(to)]);
    FlowMod::add(TableId(0), 100, Match::any().in_port(from), out, Cookie(1))
}

/// Does `work` in the daemon's network namespace.
fn inside<T: Send>(daemon: &Daemon, work: impl FnOnce() -> T + Send) -> T {
    let namespace = File::open(daemon.namespace()).unwrap();
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            setns(&namespace, CloneFlags::CLONE_NEWNET).unwrap();
            work()
        });
        thread.join().unwrap()
    })
}

#[test]
fn controllers_of_either_version_hear_of_every_change() {
    if !may_run() {
        return;
    }
    let site = Site::new();
    site.configure_openflow("");
    let mut daemon = site.start(TWO_PORTS, "");
    let both = [Version::V13, Version::V10].map(|v| Controller::connect(&site.openflow(), v));
    daemon.until("links", |s| s.datapath.ports.iter().all(|p| p.link_up));
    let mut heard: Vec<_> = both.into_iter().map(|c| (c, Vec::<PortStatus>::new())).collect();
    for (controller, _) in &mut heard {
        assert_eq!(controller.ports().iter().map(|p| p.name.as_str()).collect::<Vec<_>>(), ["up", "srv"]);
    }
    // Each is told as it comes about; what is told in between is a step on the way there.
    let steps: [(&str, PortReason, Wanted); 6] = [
        ("ip link set dev xsrv down", PortReason::Modify, |s| !s.desc.link_up && !s.desc.config.down),
        ("ip link set dev srv down", PortReason::Modify, |s| !s.desc.link_up && s.desc.config.down),
        ("ip link set dev xsrv up; ip link set dev srv up", PortReason::Modify, |s| {
            s.desc.link_up && !s.desc.config.down
        }),
        ("ip link del srv", PortReason::Delete, |s| s.desc.name == "srv"),
        ("ip link add name srv type veth peer name xsrv", PortReason::Add, |s| s.desc.name == "srv"),
        ("ip link set dev xsrv up; ip link set dev srv up", PortReason::Modify, |s| {
            s.desc.link_up && !s.desc.config.down
        }),
    ];
    for (change, reason, wanted) in steps {
        daemon.inside(change);
        for (controller, told) in &mut heard {
            loop {
                let status = controller.port_status();
                assert_eq!(status.desc.port, PortNo(2), "{change}: {status:?}");
                let is_it = status.reason == reason && wanted(&status);
                assert!(is_it || status.reason == PortReason::Modify, "{change}: {status:?}");
                told.push(status);
                if is_it {
                    break;
                }
            }
        }
    }
    for (controller, told) in &mut heard {
        let reasons = told.iter().map(|s| s.reason).filter(|r| *r != PortReason::Modify);
        assert_eq!(reasons.collect::<Vec<_>>(), [PortReason::Delete, PortReason::Add]);
        let ports = controller.ports();
        assert!(ports.len() == 2 && ports.iter().all(|p| p.link_up && !p.config.down), "{ports:?}");
    }
}

#[test]
fn ports_count_as_their_interfaces_do_and_tell_their_speed() {
    const FRAMES: u32 = 200;
    if !may_run() {
        return;
    }
    let site = Site::new();
    site.configure_openflow("");
    let mut daemon = site.start(TWO_PORTS, "");
    let mut controller = Controller::connect(&site.openflow(), Version::V13);
    let everywhere = Instructions::apply(vec![Action::output(PortNo::FLOOD)]);
    let flood = FlowMod::add(TableId(0), 100, Match::any().in_port(PortNo(1)), everywhere, Cookie(1));
    controller.program(&[flood]);
    daemon.until("forwarding", |s| s.datapath.ports.iter().all(|p| p.link_up && p.mode == "native"));

    // A flood is what the data path itself does not count by port.
    let before = [1, 2].map(|p| controller.port_stats(PortNo(p)));
    let arrived = inside(&daemon, || {
        let (left, right) = (Wire::open("xup"), Wire::open("xsrv"));
        ethtool::finish_frames("xsrv").unwrap();
        let (begun, mut got) = (Instant::now(), Vec::new());
        for n in 1..=FRAMES {
            left.send(B, A, n);
        }
        while got.len() < FRAMES as usize && begun.elapsed() < PATIENCE {
            right.take(B, &mut got);
        }
        got.len()
    });
    assert_eq!(arrived, FRAMES as usize);
    let after = [1, 2].map(|p| controller.port_stats(PortNo(p)));
    // On its way in, a veth with XDP counts frames without their Ethernet header.
    let (frames, received, sent) = (u64::from(FRAMES), u64::from(FRAMES) * 46, u64::from(FRAMES) * 60);
    assert!(after[0].rx_packets >= before[0].rx_packets + frames, "{before:?} {after:?}");
    assert!(after[0].rx_bytes >= before[0].rx_bytes + received, "{before:?} {after:?}");
    assert!(after[1].tx_packets >= before[1].tx_packets + frames, "{before:?} {after:?}");
    assert!(after[1].tx_bytes >= before[1].tx_bytes + sent, "{before:?} {after:?}");
    for s in after {
        let errors = [s.rx_errors, s.tx_errors, s.rx_frame_err, s.rx_over_err, s.rx_crc_err, s.collisions];
        assert_eq!(errors, [0; 6], "counted, and none");
    }
    // The same as iproute2 tells, as soon as the kernel's own chatter pauses.
    let begun = Instant::now();
    loop {
        let shown: serde_json::Value = serde_json::from_str(&daemon.inside("ip -j -s -s link show dev srv")).unwrap();
        let of = |way: &str, key: &str| shown[0]["stats64"][way][key].as_u64().unwrap();
        let s = controller.port_stats(PortNo(2));
        let ours = [s.rx_packets, s.rx_bytes, s.rx_dropped, s.tx_packets, s.tx_bytes, s.tx_dropped];
        let keys = ["packets", "bytes", "dropped"];
        let theirs = ["rx", "tx"].map(|way| keys.map(|key| of(way, key))).concat();
        if ours[..] == theirs[..] {
            break;
        }
        assert!(begun.elapsed() < PATIENCE, "{ours:?} {theirs:?}");
    }

    // A veth says: 10 Gbit/s, full duplex, twisted pair.
    for port in controller.ports() {
        let f = port.features;
        assert_eq!((f.current, f.current_speed), (1 << 6 | 1 << 11, 10_000_000), "{port:?}");
    }
    let old = Controller::connect(&site.openflow(), Version::V10).ports();
    assert!(old.iter().all(|p| p.features.current == 1 << 6 | 1 << 11), "{old:?}");
}

#[test]
fn a_port_that_a_controller_sets_down_is_down() {
    if !may_run() {
        return;
    }
    let site = Site::new();
    site.configure_openflow("");
    let mut daemon = site.start(TWO_PORTS, "");
    let mut controller = Controller::connect(&site.openflow(), Version::V13);
    controller.program(&[flow(PortNo(1), PortNo(2))]);
    daemon.until("links", |s| s.datapath.ports.iter().all(|p| p.link_up));
    let desc = controller.ports().remove(1);
    for down in [true, false] {
        controller.set_down(&desc, down);
        loop {
            let told = controller.port_status();
            assert_eq!((told.reason, told.desc.port), (PortReason::Modify, PortNo(2)), "{told:?}");
            if told.desc.config.down == down && told.desc.link_up != down {
                break;
            }
        }
        let shown = daemon.inside("ip link show dev srv");
        assert_eq!(shown.contains(",UP,"), !down, "{shown}");
    }
}
