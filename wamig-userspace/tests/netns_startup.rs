//! Starting, stopping and taking over on real interfaces; and every reason not to start.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

#[allow(dead_code, reason = "shared by test programs that need different parts of it")]
mod site;

use nix::sys::signal::Signal;
use site::{Site, TWO_PORTS, may_run};

#[test]
fn a_missing_interface_is_named() {
    if !may_run() {
        return;
    }
    let said = Site::new().refusal("ip link add name up type veth peer name xup", "");
    let (what, there_are) = said.split_once("; there are: ").unwrap();
    assert_eq!(what, "interface \"srv\" (switch.ports) does not exist; create it or correct switch.ports");
    assert!(there_are.contains("xup"), "{there_are}");
}

#[test]
fn the_default_route_is_kept_unless_in_band() {
    if !may_run() {
        return;
    }
    let site = Site::new();
    let setup = format!("{TWO_PORTS}; ip addr add 192.0.2.9/24 dev up; ip route add default via 192.0.2.1");
    let said = site.refusal(&setup, "");
    assert!(said.starts_with("interface \"up\" (switch.ports) carries the default route"), "{said}");
    site.configure(&format!("{}\nin_band = true", site.pinned()), "");
    site.start(&setup, "").until("a start", |_| true);
}

#[test]
fn an_address_of_this_machine_is_not_lent() {
    if !may_run() {
        return;
    }
    let site = Site::new();
    let hosting = "[hosting]\nports = [\"srv\"]\npool = [\"192.0.2.200-192.0.2.209\"]\n";
    site.configure(&site.pinned(), hosting);
    let said = site.refusal(&format!("{TWO_PORTS}; ip addr add 192.0.2.201/24 dev up"), "");
    assert!(said.starts_with("the pool (hosting.pool) contains 192.0.2.201, which this machine has on up"), "{said}");
}

#[test]
fn a_pin_path_outside_bpffs_is_refused_with_the_remedy() {
    if !may_run() {
        return;
    }
    let site = Site::new();
    site.configure(&format!("pin_path = \"{}/elsewhere\"", site.dir().display()), "");
    let said = site.refusal(TWO_PORTS, "");
    assert!(said.contains("is not in a BPF file system") && said.contains("mount -t bpf bpf"), "{said}");
}

#[test]
fn missing_privilege_is_named_with_the_remedy() {
    if !may_run() {
        return;
    }
    let said = Site::new().refusal(TWO_PORTS, "setpriv --bounding-set=-bpf,-sys_admin,-perfmon");
    assert_eq!(
        said,
        "no privilege: CAP_PERFMON, CAP_BPF missing; run as root, or with \
         AmbientCapabilities=CAP_BPF CAP_NET_ADMIN CAP_NET_RAW CAP_PERFMON in the systemd unit"
    );
}

#[test]
fn a_damaged_state_file_is_left_alone() {
    if !may_run() {
        return;
    }
    let site = Site::new();
    std::fs::create_dir(site.dir().join("state")).unwrap();
    std::fs::write(site.dir().join("state/wamig.redb"), [0x5a; 8192]).unwrap();
    let said = site.refusal(TWO_PORTS, "");
    assert!(said.contains("is damaged or no wamig state") && said.contains("move it away"), "{said}");
}

#[test]
fn a_driver_without_native_xdp_falls_back_and_says_so() {
    if !may_run() {
        return;
    }
    let site = Site::new();
    let mut daemon = site.start("for p in up srv; do ip link add name $p type bridge; ip link set dev $p up; done", "");
    let status = daemon.until("forwarding", |s| s.datapath.ports.iter().all(|p| p.mode != "detached"));
    for port in &status.datapath.ports {
        assert_eq!(port.mode, "generic");
        assert!(port.warning.as_ref().unwrap().contains("generic mode"), "{:?}", port.warning);
    }
}

#[test]
fn stopping_leaves_the_data_path_and_detach_takes_it_down() {
    if !may_run() {
        return;
    }
    let site = Site::new();
    let mut daemon = site.start(TWO_PORTS, "");
    let status = daemon.until("forwarding", |s| s.datapath.ports.iter().all(|p| p.mode == "native"));
    assert_eq!((status.site.as_str(), status.datapath.kind.as_str()), ("dc1", "xdp"));
    let refused = site.wamig("detach");
    assert_eq!(refused.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("stop it first, then detach"));
    let (code, said) = daemon.signal(Signal::SIGTERM);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("the data path goes on forwarding on up, srv"), "{said}");
    assert!(!site.socket().exists());
    assert_eq!(std::fs::read_dir(site.pins().join("links")).unwrap().count(), 2);
    let done = site.wamig("detach");
    let said = String::from_utf8_lossy(&done.stdout);
    assert!(done.status.success() && said.starts_with("detached: srv, up; removed "), "{said}");
    assert!(!site.pins().exists());
    assert!(String::from_utf8_lossy(&site.wamig("detach").stdout).starts_with("nothing was attached"));
}

#[test]
fn ports_follow_their_interfaces() {
    if !may_run() {
        return;
    }
    let site = Site::new();
    let mut daemon = site.start(TWO_PORTS, "");
    daemon.until("links", |s| s.datapath.ports.iter().all(|p| p.link_up && p.mode == "native"));
    daemon.inside("ip link set dev xsrv down");
    daemon.until("a link that is down", |s| s.datapath.ports.iter().any(|p| p.name == "srv" && !p.link_up));
    daemon.inside("ip link del srv");
    daemon.until("a port that is gone", |s| s.datapath.ports.iter().all(|p| p.name != "srv"));
    daemon.inside("ip link add name srv type veth peer name xsrv; ip link set dev srv up; ip link set dev xsrv up");
    daemon.until("a port that is back", |s| {
        s.datapath.ports.iter().any(|p| p.name == "srv" && p.link_up && p.mode == "native")
    });
    let shown = daemon.inside("ip link show dev srv");
    assert!(shown.contains("xdp") && shown.contains("PROMISC"), "the new interface is a port: {shown}");
    daemon.inside("ip link set dev srv name guest");
    daemon.until("a port with its new name", |s| s.datapath.ports.iter().any(|p| p.name == "guest"));
}
