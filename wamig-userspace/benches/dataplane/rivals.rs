//! The devices under test of group `veth`: each rewrites the destinations of the same frames.

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};

use aya::Ebpf;
use aya::programs::tc::{SchedClassifier, TcAttachType};
use aya::programs::xdp::XdpMode;
use wamig_openflow::{Field, FlowMod, Instructions, MacAddr, Match, PortNo, TableId};
use wamig_userspace::fastpath::needs::Constants;
use wamig_userspace::fastpath::{FastPath as _, FastPort};

use super::Options;
use super::data_path::DataPath;
use super::netns::{CPU, Row3, try_run};
use super::programs::{Programs, pairs};
use super::rules::{self, NEW_MACS, compiled, rewrite};

/// What rewrites.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Redirect,
    Limit(XdpMode),
    Tc,
    Wamig(wamig_userspace::fastpath::xdp::XdpMode, Tables),
    NftDnat,
    /// Open vSwitch's userspace data path; the ports' type.
    Ovs(&'static str),
}

/// What wamig's tables hold beside a flow for each server.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Tables {
    /// Nothing.
    Exact,
    /// A way through ten tables.
    Ten,
    /// 15 masks of higher priority.
    SixteenMasks,
}

/// A device under test.
pub struct Contender {
    kind: Kind,
    name: &'static str,
    object: PathBuf,
}

/// All of them.
pub fn contenders(options: &Options, flows: u32) -> Vec<Contender> {
    use wamig_userspace::fastpath::xdp::XdpMode as Mode;
    let all = [
        ("limit", Kind::Limit(XdpMode::Driver)),
        ("redirect alone", Kind::Redirect),
        ("wamig", Kind::Wamig(Mode::Native, Tables::Exact)),
        ("wamig, 10 tables", Kind::Wamig(Mode::Native, Tables::Ten)),
        ("wamig, 16 masks", Kind::Wamig(Mode::Native, Tables::SixteenMasks)),
        ("limit, generic mode", Kind::Limit(XdpMode::Skb)),
        ("wamig, generic mode", Kind::Wamig(Mode::Generic, Tables::Exact)),
        ("tc-bpf", Kind::Tc),
        ("nft DNAT", Kind::NftDnat),
        ("OVS netdev, AF_XDP", Kind::Ovs("afxdp")),
        ("OVS netdev, AF_PACKET", Kind::Ovs("")),
    ];
    let object = &options.object;
    let one_rule = |kind: &Kind| flows == 1 || !matches!(kind, Kind::Wamig(_, Tables::Ten | Tables::SixteenMasks));
    all.into_iter()
        .filter(|(_, kind)| one_rule(kind))
        .map(|(name, kind)| Contender { kind, name, object: object.clone() })
        .collect()
}

/// One that runs.
#[derive(Default)]
pub struct Running {
    object: Option<Ebpf>,
    path: Option<DataPath>,
    ovs: Option<Ovs>,
}

impl Running {
    /// Its processes.
    pub fn pids(&self) -> Vec<u32> {
        self.ovs.iter().map(|o| o.switch).collect()
    }

    /// Ends it.
    pub fn stop(mut self, row: &Row3) {
        // The links belong to the namespace.
        row.within(1, || drop((self.object.take(), self.path.take(), self.ovs.take())));
    }
}

impl Contender {
    /// Its name.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Whether frames leave it with another destination.
    pub fn rewrites(&self) -> bool {
        self.kind != Kind::Redirect
    }

    /// Starts it; frames are forwarded when it returns.
    pub fn start(&mut self, row: &Row3, flows: u32) -> Result<Running, String> {
        let (input, output) = (row.ifindex(1, "in"), row.ifindex(1, "out"));
        let mut running = Running::default();
        match self.kind {
            Kind::Redirect | Kind::Limit(_) | Kind::Tc => {
                if self.kind == Kind::Tc || self.kind == Kind::Limit(XdpMode::Skb) {
                    row.exec(&["ethtool", "-K", "in", "gro", "on"])?;
                }
                running.object = Some(row.within(1, || self.programs(flows, output))?);
            }
            Kind::Wamig(mode, tables) => {
                if mode == wamig_userspace::fastpath::xdp::XdpMode::Generic {
                    row.exec(&["ethtool", "-K", "in", "gro", "on"])?;
                }
                let ports = [("in", input), ("out", output)];
                running.path = Some(row.within(1, || forward(ports, mode, &tables.mods(flows)))?);
            }
            Kind::NftDnat => nft_dnat(row, flows)?,
            Kind::Ovs(kind) => running.ovs = Some(Ovs::start(row, kind, flows)?),
        }
        Ok(running)
    }

    fn programs(&self, flows: u32, output: u32) -> Result<Ebpf, String> {
        let mut programs = Programs::load(&self.object);
        programs.rewrite(&pairs(flows), output);
        match self.kind {
            Kind::Redirect => programs.xdp("redirect").attach("in", XdpMode::Driver).map(drop),
            Kind::Limit(mode) => programs.xdp("limit").attach("in", mode).map(drop),
            _ => {
                let program: &mut SchedClassifier = programs.0.program_mut("tc_limit").unwrap().try_into().unwrap();
                program.attach("in", TcAttachType::Ingress).map(drop)
            }
        }
        .map_err(|e| format!("{e}: {:?}", std::error::Error::source(&e)))?;
        Ok(programs.0)
    }
}

impl Tables {
    fn mods(self, flows: u32) -> Vec<FlowMod> {
        match self {
            Self::Exact => mods(flows),
            Self::Ten => rules::tables(10),
            Self::SixteenMasks => [rules::masks(16, 0), mods(flows)].concat(),
        }
    }
}

/// wamig on two interfaces of this thread's namespace.
pub fn forward(
    ports: [(&str, u32); 2],
    mode: wamig_userspace::fastpath::xdp::XdpMode,
    mods: &[FlowMod],
) -> Result<DataPath, String> {
    let port = |(i, (name, ifindex)): (usize, (&str, u32))| FastPort {
        port: PortNo(i as u32 + 1),
        name: name.to_owned(),
        ifindex,
    };
    let mut path = DataPath::new(ports.into_iter().enumerate().map(port).collect(), mode, 8192);
    let flows = compiled(mods);
    path.install(&flows);
    path.opened.fastpath.activate().map_err(|e| e.to_string())?;
    // What is measured is the program that runs in the long run.
    let fitting = Constants::needed(&flows).rounded();
    let fitted = || path.opened.ports.lock().unwrap().iter().all(|port| port.program == fitting);
    let since = std::time::Instant::now();
    while !fitted() {
        if since.elapsed().as_secs() > 20 {
            return Err("no program was fitted to the tables".to_owned());
        }
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    Ok(path)
}

/// wamig on two interfaces, until the process is ended: for other benches.
pub fn hold(input: &str, output: &str, flows: u32) {
    let index = |name: &str| nix::net::if_::if_nametoindex(name).unwrap_or_else(|e| panic!("{name}: {e}"));
    let ports = [(input, index(input)), (output, index(output))];
    let path = forward(ports, wamig_userspace::fastpath::xdp::XdpMode::Auto, &mods(flows));
    let _path = path.unwrap_or_else(|e| panic!("{e}"));
    println!("forwarding");
    let mut signals = nix::sys::signal::SigSet::empty();
    signals.add(nix::sys::signal::Signal::SIGTERM);
    signals.add(nix::sys::signal::Signal::SIGINT);
    signals.thread_block().unwrap();
    signals.wait().unwrap();
}

/// One exact flow for each server.
fn mods(flows: u32) -> Vec<FlowMod> {
    let flow = |(from, to): (Ipv4Addr, Ipv4Addr)| {
        let matching = Match::any().in_port(PortNo(1)).ipv4().ip(Field::Ipv4Dst, from);
        FlowMod::add(TableId(0), 50100, matching, Instructions::apply(rewrite(to)), wamig_openflow::Cookie(0))
    };
    pairs(flows).into_iter().map(flow).collect()
}

fn script(file: &str, text: &str) -> Result<tempfile::TempDir, String> {
    let dir = tempfile::Builder::new().prefix("wamig-bench-").tempdir().map_err(|e| e.to_string())?;
    std::fs::write(dir.path().join(file), text).map_err(|e| e.to_string())?;
    Ok(dir)
}

fn path_of(dir: &Path, file: &str) -> String {
    dir.join(file).to_string_lossy().into_owned()
}

const NFT: &str = "/usr/sbin/nft";

/// Connection tracking and destination NAT, then the kernel's routing.
fn nft_dnat(row: &Row3, flows: u32) -> Result<(), String> {
    if !Path::new(NFT).exists() {
        return Err(format!("there is no {NFT}: sudo scripts/setup bench"));
    }
    let map: Vec<String> = pairs(flows).iter().map(|(from, to)| format!("{from} : {to}")).collect();
    let rules = format!(
        "table ip t {{ map m {{ type ipv4_addr : ipv4_addr; elements = {{ {} }} }}\n\
         chain c {{ type nat hook prerouting priority dstnat; dnat to ip daddr map @m\n}}\n}}\n",
        map.join(",")
    );
    let dir = script("rules.nft", &rules)?;
    row.exec(&["ethtool", "-K", "in", "gro", "on"])?;
    let settings = ["net.ipv4.ip_forward=1", "net.ipv4.conf.all.rp_filter=0", "net.ipv4.conf.in.rp_filter=0"];
    row.exec(&[&["sysctl", "-qw"], settings.as_slice()].concat())?;
    for line in [
        "addr add 10.2.0.254/24 dev in",
        "addr add 10.3.0.1/24 dev out",
        "neigh add 10.3.0.2 lladdr 02:00:00:00:02:02 dev out nud permanent",
        "route add 10.192.0.0/12 via 10.3.0.2",
        "route add 203.0.113.0/24 dev in",
    ] {
        row.exec(&["ip"].into_iter().chain(line.split(' ')).collect::<Vec<_>>())?;
    }
    row.exec(&[NFT, "-f", &path_of(dir.path(), "rules.nft")]).map(drop)
}

/// Open vSwitch with its userspace data path, state in a directory of its own.
pub struct Ovs {
    dir: tempfile::TempDir,
    switch: u32,
    database: u32,
}

impl Ovs {
    /// Where it listens for OpenFlow 1.0 and 1.3.
    pub fn socket(&self) -> std::path::PathBuf {
        self.dir.path().join("br0.mgmt")
    }

    /// Started, with a flow for each server.
    pub fn start(row: &Row3, kind: &str, flows: u32) -> Result<Self, String> {
        row.exec(&["ethtool", "-K", "in", "gro", "on"])?;
        let mac = |m: &[u8]| MacAddr(m.try_into().unwrap());
        let flow = |(from, to): &(Ipv4Addr, Ipv4Addr)| {
            format!(
                "priority=10,ip,in_port=1,nw_dst={from},actions=mod_nw_dst:{to},mod_dl_dst:{},mod_dl_src:{},output:2",
                mac(&NEW_MACS[..6]),
                mac(&NEW_MACS[6..])
            )
        };
        let lines: Vec<String> = pairs(flows).iter().map(flow).collect();
        let dir = script("flows", &lines.join("\n"))?;
        let at = |file: &str| path_of(dir.path(), file);
        let env = ["OVS_RUNDIR", "OVS_LOGDIR", "OVS_DBDIR"].map(|v| format!("{v}={}", dir.path().display()));
        // AF_PACKET sockets keep the default receive buffer, which holds 50 frames.
        let buffer = row.exec(&["sysctl", "-n", "net.core.rmem_default"]).unwrap_or_default();
        let with_env = |args: &[&str]| -> Result<String, String> {
            let all: Vec<&str> = env.iter().map(String::as_str).chain(args.iter().copied()).collect();
            try_run("env", &all)
        };
        with_env(&["ovsdb-tool", "create", &at("conf.db"), "/usr/share/openvswitch/vswitch.ovsschema"])?;
        let remote = format!("--remote=punix:{}", at("db.sock"));
        let (pidfile, log) = (format!("--pidfile={}", at("db.pid")), format!("--log-file={}", at("db.log")));
        with_env(&["ovsdb-server", &at("conf.db"), &remote, &pidfile, "--detach", &log])?;
        let db = format!("--db=unix:{}", at("db.sock"));
        with_env(&["ovs-vsctl", &db, "--no-wait", "init"])?;
        if kind == "afxdp" {
            let mask = format!("other_config:pmd-cpu-mask={}", 1 << CPU);
            with_env(&["ovs-vsctl", &db, "--no-wait", "set", "Open_vSwitch", ".", &mask])?;
        }
        let switch = format!("unix:{}", at("db.sock"));
        let (pidfile, log) = (format!("--pidfile={}", at("sw.pid")), format!("--log-file={}", at("sw.log")));
        let cpu = CPU.to_string();
        let daemon = ["taskset", "-c", &cpu, "ovs-vswitchd", &switch, &pidfile, "--detach", &log];
        with_env(&[&["ip", "netns", "exec", row.dut()], daemon.as_slice()].concat())?;
        let pid = |file| -> Result<u32, String> {
            let text = std::fs::read_to_string(at(file)).map_err(|e| format!("{file}: {e}"))?;
            text.trim().parse().map_err(|e| format!("{file}: {e}"))
        };
        let ovs = Self { switch: pid("sw.pid")?, database: pid("db.pid")?, dir };
        let at = |file: &str| path_of(ovs.dir.path(), file);
        let mut args: Vec<&str> = vec!["ovs-vsctl", &db, "--timeout=15", "add-br", "br0"];
        args.extend(
            "-- set bridge br0 datapath_type=netdev fail-mode=secure protocols=OpenFlow10,OpenFlow13".split(' '),
        );
        let ports = ["in", "out"].map(|p| {
            let number = if p == "in" { 1 } else { 2 };
            let kind = if kind.is_empty() { String::new() } else { format!(" type={kind} options:n_rxq=1") };
            format!("-- add-port br0 {p} -- set interface {p} ofport_request={number}{kind}")
        });
        args.extend(ports.iter().flat_map(|p| p.split(' ')));
        let _ = row.exec(&["sysctl", "-qw", "net.core.rmem_default=16777216"]);
        let made = with_env(&args);
        std::thread::sleep(std::time::Duration::from_millis(300));
        if !buffer.trim().is_empty() {
            let _ = row.exec(&["sysctl", "-qw", &format!("net.core.rmem_default={}", buffer.trim())]);
        }
        made?;
        with_env(&["ovs-ofctl", "-O", "OpenFlow10", "add-flows", &at("br0.mgmt"), &at("flows")])?;
        Ok(ovs)
    }
}

impl Drop for Ovs {
    fn drop(&mut self) {
        for pid in [self.switch, self.database] {
            let pid = nix::unistd::Pid::from_raw(pid as i32);
            let _ = nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM);
            for _ in 0..40 {
                if nix::sys::signal::kill(pid, None).is_err() {
                    break;
                }
                std::thread::sleep(std::time::Duration::from_millis(50));
            }
        }
    }
}
