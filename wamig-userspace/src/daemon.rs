//! The daemon of one site. Everything is wired here, and only here tasks are started:
//!
//! ```text
//!   signals ── stop ────────────────────────┐
//!           └─ SIGHUP ▶ Query::Reload       │
//!   links::Monitor ── hints ─▶ watch        │
//!   rtnetlink's connection    │ Change      ▼
//!                             └──────▶ ┌─────────┐ ── PortChange, flow-mods ─▶ Local (switch)
//!   punt thread (data path) ── Punt ─▶ │ Control │ ◀─ events ───────────────── │
//!   admin::server ── Query ──────────▶ │ (the    │ ── commit, inject, activate ▼
//!      ▲ the control socket            │  loop)  │                        data path
//!   Peers::run ── PeerEvent ─────────▶ └─────────┘ ── records ─▶ Store
//!      ▲ └────────── (peer, Message) ──────┘
//!   the other sites                     │ ▲
//!                                       ▼ │ the agent (sessions), polled by the loop
//!   Channels::run ── ChannelEvent ────▶ Agent ── mods, requests ─▶ the switch
//!      ▲ └───────────── Outbox ──────────┘
//!   OpenFlow controllers
//! ```
//! With `[switch.remote]` a `Remote` stands in the place of `Local`, which has connections of
//! its own with the switch, with `[[switch.member]]` a `Fabric` of several, and there is neither data path nor watch: see [`elsewhere`].
//!
//! Every channel is bounded. `Local` is polled by the loop, it is no task of its own. When a
//! task ends that should not, the daemon ends; its data path goes on forwarding.

pub mod audit;
pub mod control;
pub mod elsewhere;
pub mod links;
pub mod local_port;
pub mod order;
pub mod peer_table;
pub mod preflight;
pub mod reload;
pub mod report;
pub mod start_error;
pub mod supervisor;
pub mod timeline;
pub mod watch;

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::{Duration, Instant};

use tokio::net::{TcpListener, UnixListener};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use wamig_openflow::message::SwitchDesc;
use wamig_openflow::{DatapathId, PortDesc, PortNo};

use crate::admin::status::Configuration;
use crate::admin::{metrics, server, socket};
use crate::agent::Agent;
use crate::channel::tls::Tls;
use crate::channel::{Channels, Settings, hello};
use crate::config::{Config, FailMode, OpenFlowTls};
use crate::controller::Controller;
use crate::controller::standalone::Standalone;
use crate::datapath::any::Any;
use crate::datapath::local::{Inputs as SwitchInputs, Local};
use crate::fastpath::needs::Constants;
use crate::fastpath::xdp::attach::SharedPorts;
use crate::fastpath::xdp::{self, XdpConfig};
use crate::fastpath::{FastPath, FastPort, Punt};
use crate::migration::foreseen;
use crate::migration::record::Record;
use crate::peer::{Identity, Peers, RefusalCounters};
use crate::store::Store;
use crate::switch::port::{PortChange, Ports};
use crate::switch::{Switch, multipart};
use audit::Audit;
use control::{Control, Ended, Inputs, RECORDS, unix_us};
use peer_table::PeerTable;
use start_error::StartError;
use supervisor::Supervisor;
use timeline::Timeline;

/// Room in the channels to the loop.
const QUEUE: usize = 256;

/// Batches and news of controllers' connections that wait; small, so that none of them is far ahead.
const CHANNEL: usize = 16;

/// Why the daemon ended otherwise than by being told to.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// It did not start.
    #[error(transparent)]
    Start(#[from] StartError),
    /// It cannot go on.
    #[error("{0}; the data path keeps forwarding as it was told last: restart wamig")]
    Ended(String),
}

/// A data path with what belongs to it.
pub struct DataPath<F> {
    /// `xdp` or `memory`.
    pub kind: &'static str,
    /// The switch's identity.
    pub dpid: DatapathId,
    /// The fast path, with its ports set and nothing attached yet.
    pub fast: F,
    /// Frames that come up.
    pub punts: mpsc::Receiver<Punt>,
    /// The ports as OpenFlow describes them.
    pub ports: Vec<PortDesc>,
    /// The ports as the fast path knows them.
    pub fast_ports: Vec<FastPort>,
    /// How they are attached.
    pub attached: SharedPorts,
    /// What an operator should know about them.
    pub warnings: Vec<(PortNo, String)>,
    /// How they change.
    pub changes: mpsc::Receiver<watch::Change>,
    /// Frames that came up faster than they were taken.
    pub lost: Arc<AtomicU64>,
}

/// What the daemon takes hold of before the data path.
pub struct Held {
    listener: UnixListener,
    _socket: SocketFile,
    store: Store,
    audit: Audit,
    metrics: Option<TcpListener>,
    records: Vec<Record>,
    peers: Option<Peers>,
    channels: Channels,
    hangup: Option<Signal>,
}

/// Removes the control socket at the end.
struct SocketFile(PathBuf);

impl Drop for SocketFile {
    fn drop(&mut self) {
        // The next daemon replaces it if this fails.
        let _ = std::fs::remove_file(&self.0);
    }
}

/// The datapath of a daemon, with what belongs to it.
struct Site<F> {
    datapath: Any<F>,
    kind: &'static str,
    dpid: DatapathId,
    ports: Vec<PortDesc>,
    warnings: Vec<(PortNo, String)>,
    attached: SharedPorts,
    port_changes: mpsc::Sender<PortChange>,
    fast_ports: Vec<FastPort>,
    changes: mpsc::Receiver<watch::Change>,
    lost: Arc<AtomicU64>,
}

/// TLS as configured.
fn openflow_tls(tls: Option<&OpenFlowTls>) -> Result<Option<Tls>, StartError> {
    let Some(tls) = tls else { return Ok(None) };
    let identity = Identity::load(&tls.certificate, &tls.private_key)?;
    Ok(Some(Tls::new(&identity, &tls.trust)?))
}

/// The endpoints of external controllers.
async fn channels(config: &Config) -> Result<Channels, StartError> {
    let keys = &config.openflow;
    let settings = Settings {
        probe: (keys.probe_s > 0).then(|| Duration::from_secs(keys.probe_s)),
        max_connections: keys.max_connections,
        tls: openflow_tls(keys.tls.as_ref())?,
        pins: keys.pins.clone(),
        ..Settings::new(hello::offer(&keys.versions))
    };
    Ok(Channels::bind(settings, keys.endpoints.clone()).await?)
}

/// What the switch does without controllers, if it is to do something: after three times the
/// probe's interval, as Open vSwitch; of the usual one if there are no probes.
fn standalone(config: &Config, now: Instant) -> Option<Standalone> {
    let probe = if config.openflow.probe_s > 0 { config.openflow.probe_s } else { 5 };
    let wanted = config.openflow.fail_mode == FailMode::Standalone;
    let learning = config.learning;
    let patience = Duration::from_secs(3 * probe);
    wanted.then(|| Standalone::new(patience, learning.idle_s, learning.max_addresses, now))
}

impl Held {
    /// The listeners for controllers, for who wants to know their ports.
    pub fn channels(&self) -> &Channels {
        &self.channels
    }

    /// Takes the control socket, the state file, the address for peers and those for controllers.
    ///
    /// # Errors
    /// [`StartError`], each with its remedy.
    pub async fn take(config: &Config) -> Result<Self, StartError> {
        let listener = socket::bind(&config.control_socket).await?;
        let socket = SocketFile(config.control_socket.clone());
        let store = Store::open(&config.state_dir)?;
        let audit = Audit::open(&config.state_dir)
            .map_err(|source| StartError::Audit { path: config.state_dir.join(audit::FILE_NAME), source })?;
        let metrics = match config.metrics {
            None => None,
            Some(address) => {
                let bound = TcpListener::bind(address).await;
                Some(bound.map_err(|source| StartError::Metrics { address, source })?)
            }
        };
        let records = records(&store)?;
        let peers = match &config.peering {
            None => None,
            Some(peering) => {
                let identity = Identity::load(&peering.certificate, &peering.private_key)?;
                Some(Peers::bind(config.peering(peering, identity)).await?)
            }
        };
        let channels = channels(config).await?;
        Ok(Self { listener, _socket: socket, store, audit, metrics, records, peers, channels, hangup: None })
    }
}

/// What is durable of every address.
fn records(store: &Store) -> Result<Vec<Record>, StartError> {
    let decoded = |(key, bytes): (String, Vec<u8>)| {
        let path = store.path().to_owned();
        Record::decode(&bytes).map_err(|source| StartError::Record { path, key, source })
    };
    store.load_all(RECORDS)?.into_iter().map(decoded).collect()
}

/// Signals that the daemon listens to.
struct Signals {
    /// They end it.
    ends: [Signal; 2],
    /// It has the configuration read again.
    hangup: Signal,
}

/// Catches them.
fn catch() -> Result<Signals, StartError> {
    let catch = |kind| signal(kind).map_err(|source| StartError::System { what: "signals cannot be caught", source });
    let ends = [catch(SignalKind::terminate())?, catch(SignalKind::interrupt())?];
    Ok(Signals { ends, hangup: catch(SignalKind::hangup())? })
}

/// Says something when one of the signals comes.
fn stop_on(signals: [Signal; 2], tasks: &mut JoinSet<String>) -> mpsc::Receiver<()> {
    let (stopping, stop) = mpsc::channel(1);
    for mut signal in signals {
        let stopping = stopping.clone();
        tasks.spawn(async move {
            signal.recv().await;
            // Only that it is there counts.
            let _ = stopping.try_send(());
            std::future::pending().await
        });
    }
    stop
}

/// Runs the site until SIGTERM or SIGINT; the switch is left forwarding, be it the
/// XDP data path or a switch elsewhere.
///
/// # Errors
/// [`RunError`], with its remedy.
pub async fn run(config: &Config) -> Result<(), RunError> {
    match (&config.switch.remote, &config.switch.fabric) {
        (Some(remote), _) => elsewhere::run(config, remote).await,
        (None, Some(switches)) => elsewhere::run_several(config, switches).await,
        (None, None) => run_xdp(config).await,
    }
}

async fn run_xdp(config: &Config) -> Result<(), RunError> {
    let signals = catch()?;
    preflight::privilege()?;
    let mut monitor = links::Monitor::open().map_err(|e| StartError::Netlink(e.to_string()))?;
    let mut tasks = JoinSet::new();
    let connection = std::mem::replace(&mut monitor.connection, Box::pin(std::future::pending()));
    tasks.spawn(ends("rtnetlink", connection));
    let machine = links::machine(&monitor.handle).await.map_err(|e| StartError::Netlink(e.to_string()))?;
    let mut ports = preflight::ports(config, &machine)?;
    let held = Held { hangup: Some(signals.hangup), ..Held::take(config).await? };
    if let Some(name) = &config.switch.local {
        local_port::ensure(&monitor.handle, name).await?;
        let machine = links::machine(&monitor.handle).await.map_err(|e| StartError::Netlink(e.to_string()))?;
        ports.extend(preflight::local(config, &machine)?);
    }
    for port in &ports {
        let result = links::set_promiscuous(&monitor.handle, port.link.index, true).await;
        watch::tell_unless_promiscuous(&port.link.name, result);
    }

    let fast_ports: Vec<FastPort> =
        ports.iter().map(|p| FastPort { port: p.port, name: p.link.name.clone(), ifindex: p.link.index }).collect();
    let first_mac = ports.first().map_or(0, |p| p.link.mac.to_u64());
    let dpid = config.switch.datapath_id.unwrap_or(DatapathId(first_mac));
    let opened = xdp::open(&XdpConfig {
        pin_path: config.switch.pin_path.clone(),
        mode: config.switch.xdp_mode,
        ports: fast_ports.clone(),
        rates: config.switch.limits.punt_rates(),
        flows: config.switch.limits.flows,
        foreseen: config.site(dpid).map_or(Constants::NOTHING, |site| Constants::of_adds(&foreseen::flows(&site))),
    })
    .map_err(StartError::from)?;
    let (changed, changes) = mpsc::channel(QUEUE);
    let path = DataPath {
        kind: "xdp",
        dpid,
        fast: opened.fastpath,
        punts: opened.punts,
        ports: ports.iter().map(|p| watch::describe(p.port, &p.link, p.host.as_ref())).collect(),
        fast_ports,
        attached: opened.ports,
        warnings: ports.iter().filter_map(|p| Some((p.port, p.warning.clone()?))).collect(),
        changes,
        lost: opened.reader.lost(),
    };
    for (port, warning) in &path.warnings {
        tracing::warn!("port {port}: {warning}");
    }
    tasks.spawn(ends("the watch over the interfaces", watch::watch(monitor, ports, changed)));

    let stop = stop_on(signals.ends, &mut tasks);
    let ended = Box::pin(serve(config, path, held, tasks, stop)).await;
    // Its thread looks every 100 ms whether it should stop.
    tokio::task::spawn_blocking(move || drop(opened.reader)).await.ok();
    ended
}

/// Runs the site over a data path until `stop` says something or is closed. `tasks` are those
/// that the data path needs; none of them should end.
///
/// # Errors
/// [`RunError::Ended`].
pub async fn serve<F: FastPath>(
    config: &Config,
    path: DataPath<F>,
    held: Held,
    tasks: JoinSet<String>,
    stop: mpsc::Receiver<()>,
) -> Result<(), RunError> {
    let (port_changes, changed) = mpsc::channel(QUEUE);
    let ports = Ports::new(path.ports.clone()).alive_since(Instant::now());
    let mut switch = Switch::new(path.fast, ports, config.switch.limits.of_switch());
    switch.set_description(SwitchDesc {
        hardware: format!("{} data path", path.kind),
        serial: path.dpid.to_string(),
        datapath: config.site.clone(),
        ..multipart::description()
    });
    let local = Local::new(switch, path.dpid, SwitchInputs { punts: path.punts, ports: changed });
    let site = Site {
        datapath: Any::Local(local),
        kind: path.kind,
        dpid: path.dpid,
        ports: path.ports,
        warnings: path.warnings,
        attached: path.attached,
        port_changes,
        fast_ports: path.fast_ports,
        changes: path.changes,
        lost: path.lost,
    };
    Box::pin(operate(config, site, held, tasks, stop)).await
}

async fn operate<F: FastPath>(
    config: &Config,
    path: Site<F>,
    held: Held,
    mut tasks: JoinSet<String>,
    stop: mpsc::Receiver<()>,
) -> Result<(), RunError> {
    let now = Instant::now();
    let (ask, queries) = mpsc::channel(QUEUE);
    if let Some(listener) = held.metrics {
        let metrics = metrics::serve(listener, ask.clone());
        tasks.spawn(async move { format!("/metrics does not work any more: {:?}", metrics.await) });
    }
    if let Some(span) = supervisor::watchdog() {
        tasks.spawn(supervisor::watch(span, ask.clone()));
    }
    if let Some(signal) = held.hangup {
        tasks.spawn(supervisor::hangups(signal, ask.clone()));
    }
    let admin = server::serve(held.listener, ask);
    tasks.spawn(async move { format!("the control socket does not work any more: {:?}", admin.await) });

    let (said, peer_events) = mpsc::channel(QUEUE);
    let (outbound, to_say) = mpsc::channel(QUEUE);
    let changer = held.peers.as_ref().map(Peers::changer);
    let refusals = held.peers.as_ref().map_or_else(RefusalCounters::default, Peers::refusals);
    match held.peers {
        Some(peers) => {
            let peers = peers.run(said, to_say);
            tasks.spawn(async move { format!("the peer sessions do not work any more: {:?}", peers.await) });
        }
        // Nothing is ever said to nobody.
        None => drop((said, to_say)),
    }

    let learning = config.learning(path.dpid);
    let embedded = config.site(path.dpid).map(|site| Controller::new(site, learning, held.records, &path.ports, now));
    let (controller, first) = embedded.map_or((None, Vec::new()), |(c, first)| (Some(c), first));
    let (heard, channel) = mpsc::channel(CHANNEL);
    let endpoints = held.channels.endpoints().to_vec();
    tasks.spawn(ends("the channel to the controllers", held.channels.run(heard)));
    let mut control = Control {
        config: config.clone(),
        configuration: Configuration {
            file: config.path.display().to_string(),
            since_unix_ms: unix_us() / 1000,
            refused: None,
        },
        datapath: path.datapath,
        kind: path.kind,
        warnings: path.warnings,
        attached: path.attached,
        port_changes: path.port_changes,
        ports: path.fast_ports,
        active: false,
        lost: path.lost,
        controller,
        standalone: standalone(config, now),
        agent: Agent::new(path.dpid),
        endpoints,
        store: held.store,
        audit: held.audit,
        audit_fails: false,
        outbound,
        changer,
        refusals,
        peers: PeerTable::new(config.peers.iter().map(|p| p.name.clone()), unix_us() / 1000),
        timeline: Timeline::default(),
        supervisor: Supervisor::default(),
        started: now,
        deferred: VecDeque::new(),
    };
    let mut inputs = Inputs { peers: peer_events, queries, links: path.changes, channel, stop };
    tracing::info!(
        "site {}: wamig {}, switch {}, control socket {}",
        config.site,
        env!("CARGO_PKG_VERSION"),
        path.dpid,
        config.control_socket.display()
    );
    let ended = tokio::select! {
        ended = control.run(first, &mut inputs) => ended,
        Some(task) = tasks.join_next() => Ended::Datapath(task.unwrap_or_else(|e| format!("a task ended: {e}"))),
    };
    let (said, ended) = match ended {
        Ended::Stopped => ("stopping; the switch goes on forwarding".to_owned(), Ok(())),
        Ended::Datapath(why) => (format!("stopping: {why}"), Err(RunError::Ended(why))),
    };
    control.supervisor.stopping(&said);
    ended
}

async fn ends(name: &'static str, task: impl Future<Output = ()>) -> String {
    task.await;
    format!("{name} does not work any more")
}
