//! The LOCAL port: the host behind it, in either direction, and what becomes of its interface.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

#[allow(dead_code, reason = "shared by test programs that need different parts of it")]
mod site;

use std::fs::File;
use std::os::fd::AsRawFd;
use std::process::Command;
use std::time::Instant;

use nix::sched::{CloneFlags, setns};
use nix::sys::signal::Signal;
use site::controller::{Controller, PATIENCE};
use site::wire::Wire;
use site::{Daemon, Site, TWO_PORTS, may_run};
use wamig_openflow::{Action, Cookie, FlowMod, Instructions, MacAddr, Match, PortNo, PortReason, TableId, Version};
use wamig_userspace::fastpath::xdp::ethtool;

/// A machine on the wire of port 1, and the host behind LOCAL.
const MACHINE: [u8; 6] = [2, 0, 0, 0, 0, 0xa];
const MACHINE_IP: [u8; 4] = [192, 0, 2, 1];
const HOST_IP: [u8; 4] = [192, 0, 2, 9];

/// Gives the host's end its address. Neither IPv6 nor a second ARP probe disturbs the test.
const HOST_UP: &str = "sysctl -qw net.ipv6.conf.br0.disable_ipv6=1; ip addr add 192.0.2.9/24 dev br0; \
                       ip link set dev br0 up";

/// What comes from one port goes to the other, both ways.
fn flows() -> [FlowMod; 2] {
    [(PortNo(1), PortNo::LOCAL), (PortNo::LOCAL, PortNo(1))].map(|(from, to)| {
        let out = Instructions::apply(vec![Action::output(to)]);
        FlowMod::add(TableId(0), 100, Match::any().in_port(from), out, Cookie(1))
    })
}

/// Does `work` in a network namespace.
fn inside<T: Send>(namespace: &File, work: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            setns(namespace, CloneFlags::CLONE_NEWNET).unwrap();
            work()
        });
        thread.join().unwrap()
    })
}

/// Sends `ask` until a frame comes that `is_answer` takes.
fn exchange(wire: &Wire, mut ask: impl FnMut(), is_answer: impl Fn(&[u8]) -> bool) -> Vec<u8> {
    let begun = Instant::now();
    while begun.elapsed() < PATIENCE {
        ask();
        let asked = Instant::now();
        while asked.elapsed().as_millis() < 500 {
            match wire.take_frame() {
                Some(frame) if is_answer(&frame) => return frame,
                Some(_) => {}
                None => std::thread::sleep(std::time::Duration::from_millis(1)),
            }
        }
    }
    panic!("no answer")
}

/// An ARP request of the machine for the host.
fn arp_request() -> Vec<u8> {
    let mut frame = [&[0xff; 6][..], &MACHINE, &[8, 6, 0, 1, 8, 0, 6, 4, 0, 1], &MACHINE].concat();
    frame.extend_from_slice(&MACHINE_IP);
    frame.extend_from_slice(&[0; 6]);
    frame.extend_from_slice(&HOST_IP);
    frame.resize(60, 0);
    frame
}

/// The host's ARP reply, and its MAC address in it.
fn is_arp_reply(frame: &[u8]) -> bool {
    frame.len() >= 42 && frame[..6] == MACHINE && frame[12..14] == [8, 6] && frame[20..22] == [0, 2]
}

/// The checksum of UDP over IPv4 as it should be: the sum over pseudo-header and datagram.
fn udp_checksum_is_right(frame: &[u8]) -> bool {
    let len = usize::from(u16::from_be_bytes([frame[38], frame[39]]));
    let pseudo = [&frame[26..34], &[0, 17], &frame[38..40]].concat();
    let words = |bytes: &[u8]| -> u32 {
        bytes.chunks(2).map(|w| u32::from(w[0]) << 8 | u32::from(w.get(1).copied().unwrap_or(0))).sum()
    };
    let mut sum = words(&pseudo) + words(&frame[34..34 + len]);
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    sum == 0xffff
}

/// The whole way, both ways, over the host's own stack.
fn host_answers(daemon: &Daemon, namespace: &File, mac: MacAddr) {
    inside(namespace, || {
        ethtool::finish_frames("xup").unwrap();
        let wire = Wire::open("xup");
        let reply = exchange(&wire, || wire.send_frame(&arp_request()), is_arp_reply);
        assert_eq!((&reply[22..28], &reply[28..32]), (&mac.0[..], &HOST_IP[..]), "the host at LOCAL answers");
        // A datagram whose checksum the stack leaves to the interface unless told otherwise.
        let say = || drop(daemon.inside("echo hello | bash -c 'cat > /dev/udp/192.0.2.1/9'"));
        let is_udp = |f: &[u8]| f.len() > 42 && f[..6] == MACHINE && f[12..14] == [8, 0] && f[23] == 17;
        let datagram = exchange(&wire, say, is_udp);
        assert!(datagram[42..].starts_with(b"hello\n"), "{datagram:02x?}");
        assert!(udp_checksum_is_right(&datagram), "{datagram:02x?}");
    });
}

#[test]
fn the_host_is_at_local_as_long_as_the_data_path_is_there() {
    if !may_run() {
        return;
    }
    for mode in ["native", "generic"] {
        let site = Site::new();
        site.configure_openflow(&format!("xdp_mode = \"{mode}\"\nlocal = \"br0\""));
        let mut daemon = site.start(TWO_PORTS, "");
        let mut controller = Controller::connect(&site.openflow(), Version::V13);
        controller.program(&flows());
        let local = |s: &wamig_userspace::admin::status::Port| PortNo(s.port) == PortNo::LOCAL;
        daemon.until("LOCAL", |s| s.datapath.ports.iter().any(|p| local(p) && p.mode == mode));
        daemon.inside(HOST_UP);
        daemon.until("a host", |s| s.datapath.ports.iter().any(|p| local(p) && p.link_up));
        let namespace = File::open(daemon.namespace()).unwrap();

        // As the host sees it: by its name and its address, for either version.
        let shown = daemon.inside("cat /sys/class/net/br0/address 2>/dev/null || ip -o link show dev br0");
        let ports = controller.ports();
        let port = ports.iter().find(|p| p.port == PortNo::LOCAL).expect("the port is described");
        assert!(port.name == "br0" && port.link_up, "{port:?}");
        let link = daemon.inside("ip -o link show dev br0");
        assert!(link.contains(&port.mac.to_string()), "{shown} {link} {port:?}");
        let old = Controller::connect(&site.openflow(), Version::V10).ports();
        assert!(old.iter().any(|p| p.port == PortNo::LOCAL && p.name == "br0"), "{old:?}");
        host_answers(&daemon, &namespace, port.mac);
        let stats = controller.port_stats(PortNo::LOCAL);
        assert!(stats.rx_packets >= 2 && stats.tx_packets >= 1 && stats.rx_errors == 0, "{stats:?}");

        // The host's end goes down: the port has no link.
        daemon.inside("ip link set dev br0 down");
        loop {
            let told = controller.port_status();
            assert_eq!((told.reason, told.desc.port), (PortReason::Modify, PortNo::LOCAL), "{told:?}");
            if !told.desc.link_up {
                break;
            }
        }
        daemon.inside("ip link set dev br0 up");

        // It stays when the daemon is stopped, is found again, and goes with the data path.
        let mac = port.mac;
        let (code, said) = daemon.signal(Signal::SIGTERM);
        assert_eq!(code, Some(0), "{said}");
        let net = format!("/proc/{}/fd/{}", std::process::id(), namespace.as_raw_fd());
        let mut daemon = site.start_in(&net);
        let mut controller = Controller::connect(&site.openflow(), Version::V13);
        controller.program(&flows());
        daemon.until("the host again", |s| s.datapath.ports.iter().any(|p| local(p) && p.mode == mode && p.link_up));
        host_answers(&daemon, &namespace, mac);
        daemon.signal(Signal::SIGTERM);
        let done = Command::new("nsenter")
            .arg(format!("--net={net}"))
            .args([env!("CARGO_BIN_EXE_wamig"), "detach", "--config"])
            .arg(site.config())
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&done.stdout);
        assert!(done.status.success() && said.contains("br0"), "{said}");
        let left = inside(&namespace, || nix::net::if_::if_nametoindex("br0").is_ok());
        assert!(!left, "br0 is gone");
    }
}

#[test]
fn an_interface_that_is_there_becomes_the_port_and_stays() {
    if !may_run() {
        return;
    }
    let site = Site::new();
    site.configure_openflow("local = \"mine\"");
    let setup = format!(
        "{TWO_PORTS}; ip link add name mine type veth peer name xmine; ip link set dev mine up; ip link set dev xmine up"
    );
    let mut daemon = site.start(&setup, "");
    let mut controller = Controller::connect(&site.openflow(), Version::V13);
    controller.program(&flows());
    daemon.until("LOCAL", |s| {
        s.datapath.ports.iter().any(|p| PortNo(p.port) == PortNo::LOCAL && p.mode == "native" && p.link_up)
    });
    let namespace = File::open(daemon.namespace()).unwrap();
    inside(&namespace, || {
        for other_end in ["xup", "xmine"] {
            ethtool::finish_frames(other_end).unwrap();
        }
        let (machine, host) = (Wire::open("xup"), Wire::open("xmine"));
        for (from, to, mac) in [(&machine, &host, [2, 0, 0, 0, 0, 0xb]), (&host, &machine, MACHINE)] {
            let mut got = Vec::new();
            let begun = Instant::now();
            from.send(mac, [2, 0, 0, 0, 0, 0xc], 7);
            while got.is_empty() && begun.elapsed() < PATIENCE {
                to.take(mac, &mut got);
            }
            assert_eq!(got, [7]);
        }
    });
    daemon.signal(Signal::SIGTERM);
    let net = format!("/proc/{}/fd/{}", std::process::id(), namespace.as_raw_fd());
    let mut detach = Command::new("nsenter");
    detach.arg(format!("--net={net}")).args([env!("CARGO_BIN_EXE_wamig"), "detach", "--config"]).arg(site.config());
    assert!(detach.output().unwrap().status.success());
    assert!(inside(&namespace, || nix::net::if_::if_nametoindex("mine").is_ok()), "it is not wamig's to remove");
}
