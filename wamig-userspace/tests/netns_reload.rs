//! The configuration read again while the site runs, on real interfaces and by a switch
//! elsewhere; and what the service manager is told.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

#[allow(dead_code, reason = "shared by test programs that need different parts of it")]
mod site;

use std::collections::{BTreeMap, HashSet};
use std::fs::File;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use nix::sched::{CloneFlags, setns};
use nix::sys::signal::Signal;
use site::wire::Wire;
use site::{Site, TWO_PORTS, may_run};
use wamig_userspace::admin::client;
use wamig_userspace::admin::flow::FlowLine;
use wamig_userspace::admin::status::Status;

const A: [u8; 6] = [2, 0, 0, 0, 0, 0xa];
const B: [u8; 6] = [2, 0, 0, 0, 0, 0xb];

/// What the unit leaves of root.
const LEAST: &str = "setpriv --no-new-privs --bounding-set=-all,+bpf,+net_admin,+net_raw,+perfmon";

const FIRST: &str = "[[server]]\naddress = \"192.0.2.53\"\nmac = \"02:00:00:00:00:53\"\nhosts = [\"dc2\"]\n";
const SECOND: &str = "[[server]]\naddress = \"192.0.2.60\"\nmac = \"02:00:00:00:00:60\"\nhosts = [\"dc2\"]\n";

/// Sessions with a peer that is not there.
fn peering(dir: &Path) -> String {
    for site in ["dc1", "dc2"].iter().filter(|s| !dir.join(format!("{s}.pem")).exists()) {
        wamig_userspace::peer::identity::keygen(site, dir).unwrap();
    }
    let other = wamig_userspace::peer::Identity::load(&dir.join("dc2.pem"), &dir.join("dc2.key")).unwrap();
    format!(
        "[peering]\nlisten = \"127.0.0.1:7946\"\ncertificate = \"dc1.pem\"\nprivate_key = \"dc1.key\"\n\
         [[peer]]\nname = \"dc2\"\nendpoint = \"127.0.0.1:7947\"\nfingerprint = \"{}\"\n",
        other.fingerprint()
    )
}

fn servers(status: &Status) -> Vec<&str> {
    status.addresses.iter().map(|a| a.address.as_str()).collect()
}

fn flows(site: &Site) -> Vec<FlowLine> {
    client::get_json(&site.socket(), "/v1/flows").unwrap()
}

/// How old the flows are that are not of the configuration, by match; and those that are, by match.
fn ages(flows: &[FlowLine]) -> (BTreeMap<String, f64>, HashSet<String>) {
    let (base, other): (Vec<_>, Vec<_>) = flows.iter().partition(|f| f.cookie.starts_with("0x574d0"));
    let name = |f: &FlowLine| format!("table={} {}", f.table, f.matching);
    (other.into_iter().map(|f| (name(f), f.duration_s)).collect(), base.into_iter().map(name).collect())
}

/// Set at the end of its life.
struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn a_file_takes_effect_whole_or_not_at_all_and_no_frame_is_lost() {
    if !may_run() {
        return;
    }
    let site = Site::new();
    let switch = format!("{}\nxdp_mode = \"generic\"", site.pinned());
    let peers = peering(site.dir());
    let write = |more: &str| site.configure(&switch, &format!("{peers}{more}"));
    write(FIRST);
    let mut daemon = site.start(&format!("ip link set dev lo up; {TWO_PORTS}"), "");
    daemon.until("forwarding", |s| s.datapath.ports.iter().all(|p| p.mode == "generic"));
    let namespace = File::open(daemon.namespace()).unwrap();

    let over = AtomicBool::new(false);
    let (sent, got) = std::thread::scope(|scope| {
        let traffic = scope.spawn(|| {
            setns(&namespace, CloneFlags::CLONE_NEWNET).unwrap();
            let (left, right) = (Wire::open("xup"), Wire::open("xsrv"));
            let (mut sent, mut got) = (0, Vec::new());
            right.send(A, B, 0);
            left.send(B, A, 0);
            while !over.load(Ordering::Relaxed) {
                sent += 1;
                left.send(B, A, sent);
                right.take(B, &mut got);
                std::thread::sleep(Duration::from_micros(500));
            }
            std::thread::sleep(Duration::from_millis(200));
            right.take(B, &mut got);
            (sent, got)
        });
        // Whatever becomes of the test, the traffic ends.
        let over = Over(&over);
        std::thread::sleep(Duration::from_millis(1500));
        let (before, base) = ages(&flows(&site));
        assert!(before.keys().any(|m| m.contains("02:00:00:00:00:0a")), "hosts are learned: {before:?}");

        // By a signal.
        write(&format!("{FIRST}{SECOND}"));
        daemon.hang_up();
        let status = daemon.until("the second server", |s| servers(s) == ["192.0.2.53", "192.0.2.60"]);
        assert!(status.timeline.iter().any(|e| e.event == "reloaded" && e.detail.contains("server 192.0.2.60: added")));
        let (after, more) = ages(&flows(&site));
        for (matching, age) in &before {
            assert!(after.get(matching).is_some_and(|a| a >= age), "{matching} is as it was: {before:?}, {after:?}");
        }
        assert!(base.is_subset(&more) && more.len() == base.len() + 2, "{more:?}");

        // What is broken changes nothing, and is told of.
        write("[damping]\nmoves = 1001\n[[server]]\n");
        daemon.hang_up();
        let status = daemon.until("a refusal", |s| s.configuration.refused.is_some());
        let refused = status.configuration.refused.as_ref().unwrap();
        assert!(refused.reason.contains("dc1.toml:22:1: missing key `address`"), "{}", refused.reason);
        assert_eq!(servers(&status), ["192.0.2.53", "192.0.2.60"]);
        write(&format!("{SECOND}[damping]\nmoves = 1001\n"));
        let said = site.wamig("reload");
        assert_eq!((said.status.code(), said.stdout.len()), (Some(1), 0));
        let said = String::from_utf8(said.stderr).unwrap();
        assert!(said.starts_with("wamig: nothing has changed:\n"), "{said}");
        assert!(said.contains("dc1.toml:25:9: 1001 is out of range; allowed: 0 to 1000 moves"), "{said}");

        // So does what takes a restart, whatever else is in the file.
        site.configure(&switch, &format!("{peers}{SECOND}").replace("7946", "7948"));
        let said = String::from_utf8(site.wamig("reload").stderr).unwrap();
        assert!(
            said.ends_with(
                "dc1.toml:13:10: peering.listen cannot change while wamig runs; restart wamig, or put it back\n"
            ),
            "{said}"
        );
        let status = daemon.until("an answer", |_| true);
        assert_eq!(servers(&status), ["192.0.2.53", "192.0.2.60"]);
        assert_eq!(status.configuration.refused.unwrap().times, 3);
        assert_eq!(ages(&flows(&site)).1, more);

        // By the command: a server goes, and the peer has another address.
        site.configure(&switch, &format!("{peers}{SECOND}").replace("7947", "7949"));
        let said = site.wamig("reload");
        let text = String::from_utf8(said.stdout).unwrap();
        assert_eq!(said.status.code(), Some(0), "{}", String::from_utf8_lossy(&said.stderr));
        assert!(text.ends_with("dc1.toml is in force\n  peer dc2: changed\n  server 192.0.2.53: removed\n"), "{text}");
        let status = daemon.until("the peer's new address", |s| {
            s.peers[0].reason.as_ref().is_some_and(|r| r.contains("127.0.0.1:7949"))
        });
        assert_eq!((servers(&status), status.configuration.refused.as_ref()), (vec!["192.0.2.60"], None));
        assert_eq!(ages(&flows(&site)).1.len(), base.len());
        std::thread::sleep(Duration::from_millis(300));
        drop(over);
        traffic.join().unwrap()
    });
    let numbers: HashSet<u32> = got.iter().copied().filter(|n| *n > 0).collect();
    let lost: Vec<u32> = (1..=sent).filter(|n| !numbers.contains(n)).collect();
    println!("{sent} frames sent, {} lost, 5 reloads", lost.len());
    assert!(sent > 1000 && lost.is_empty(), "{lost:?} of {sent}");

    // For good.
    let log = std::fs::read_to_string(site.dir().join("state/audit.jsonl")).unwrap();
    let outcomes: Vec<_> = log.lines().filter(|l| l.contains("\"verb\":\"reload\"")).collect();
    assert_eq!(outcomes.len(), 5, "{log}");
    assert!(outcomes[0].contains("\"to\":\"APPLIED\"") && outcomes[0].contains("server 192.0.2.60: added"));
    assert_eq!(outcomes.iter().filter(|l| l.contains("\"to\":\"REFUSED\"")).count(), 3);
    let (code, said) = daemon.signal(Signal::SIGTERM);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("reloaded: ") && said.contains("reload-refused: "), "{said}");
}

#[test]
fn a_switch_elsewhere_follows_a_reload_too() {
    if !may_run() {
        return;
    }
    // The switch is wamig's own, under the control of another wamig.
    let (there, here) = (Site::new(), Site::new());
    there.configure_openflow("");
    let mut switch = there.start(TWO_PORTS, "");
    switch.until("a switch", |_| there.openflow().exists());
    let remote = format!(
        "datapath_id = \"0000000000000007\"\n[switch.remote]\nconnect = [\"unix:{}\"]\nprofile = \"ovs\"\n",
        there.openflow().display()
    );
    let peers = peering(here.dir());
    here.configure(&remote, &format!("{peers}{FIRST}"));
    let mut daemon = here.start("ip link set dev lo up", "");
    let state = |s: &Status| s.datapath.session.as_ref().map(|s| s.state.clone());
    daemon.until("control of it", |s| state(s).as_deref() == Some("up"));
    let watched = |server: &str| flows(&there).iter().filter(|f| f.matching.contains(server)).count();
    for _ in 0..200 {
        if watched("192.0.2.53") == 2 {
            break;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    assert_eq!((watched("192.0.2.53"), watched("192.0.2.60")), (2, 0));

    here.configure(&remote, &format!("{peers}{SECOND}"));
    daemon.hang_up();
    daemon.until("the other server", |s| servers(s) == ["192.0.2.60"]);
    assert_eq!((watched("192.0.2.53"), watched("192.0.2.60")), (0, 2), "the switch knows before anybody is told");

    // Without its switch it takes a configuration, too, and the switch follows when it is back.
    drop(switch);
    daemon.until("loss of it", |s| state(s).as_deref() == Some("down"));
    here.configure(&remote, &format!("{peers}{FIRST}{SECOND}"));
    assert!(here.wamig("reload").status.success());
    daemon.until("both servers", |s| servers(s).len() == 2);
    here.configure(&remote.replace("\"ovs\"", "\"of13\""), &format!("{peers}{FIRST}"));
    let said = String::from_utf8(here.wamig("reload").stderr).unwrap();
    assert!(said.contains("switch.remote cannot change while wamig runs; restart wamig"), "{said}");
}

/// What systemd hears next, the signs of life left out; each message one line.
fn heard(socket: &UnixDatagram, alive: &mut usize) -> String {
    let mut message = [0; 1024];
    loop {
        let len = socket.recv(&mut message).expect("a message in time");
        let text = std::str::from_utf8(&message[..len]).unwrap().trim_end().replace('\n', " | ");
        if text != "WATCHDOG=1" {
            return text;
        }
        *alive += 1;
    }
}

#[test]
fn the_service_manager_is_told_with_no_more_privilege_than_the_unit_leaves() {
    if !may_run() {
        return;
    }
    let site = Site::new();
    let path = site.dir().join("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    let wrapper = format!("env NOTIFY_SOCKET={} WATCHDOG_USEC=400000 {LEAST}", path.display());
    let mut daemon = site.start(TWO_PORTS, &wrapper);
    let mut alive = 0;
    let ready = "READY=1 | STATUS=site dc1: forwarding, 0 of 0 peers up";
    assert_eq!(heard(&socket, &mut alive), ready);
    // It is true: no waiting here.
    let status: Status = client::get_json(&site.socket(), "/v1/status").unwrap();
    assert!(status.datapath.ports.iter().all(|p| p.mode == "native"), "{:?}", status.datapath.ports);

    let switch = site.pinned();
    for (more, refused) in [("[damping]\nmoves = 4\n", false), ("[damping]\nmoves = -4\n", true)] {
        site.configure(&switch, more);
        daemon.hang_up();
        let begun = heard(&socket, &mut alive);
        let at = begun.strip_prefix("RELOADING=1 | MONOTONIC_USEC=").unwrap_or_else(|| panic!("{begun}"));
        assert!(at.parse::<u64>().unwrap() > 0);
        assert_eq!(heard(&socket, &mut alive), ready, "and the end of it is told, whatever came of it");
        daemon.until("the outcome", |s| s.configuration.refused.is_some() == refused);
    }
    let before = alive;
    std::thread::sleep(Duration::from_secs(1));
    let (code, said) = daemon.signal(Signal::SIGTERM);
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(heard(&socket, &mut alive), "STOPPING=1 | STATUS=stopping; the switch goes on forwarding");
    assert!(alive - before >= 3, "a sign of life every 200 ms: {alive} in all");
    assert!(!site.socket().exists());
}
