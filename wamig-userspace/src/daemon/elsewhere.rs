//! The daemon of a site whose switch is elsewhere, or whose switches are: it needs no privilege
//! and no interface, only connections with them.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::JoinSet;
use wamig_openflow::message::Role;
use wamig_openflow::{DatapathId, PortDesc};

use super::control::unix_us;
use super::start_error::StartError;
use super::{CHANNEL, Held, RunError, Site, catch, ends, openflow_tls, operate, stop_on};
use crate::channel::{Channels, Settings, hello};
use crate::config::{Config, Fabric as Switches, Remote};
use crate::datapath::any::Any;
use crate::datapath::fabric::Fabric;
use crate::datapath::narrow::Narrow;
use crate::datapath::remote;
use crate::datapath::{Datapath as _, Features};
use crate::fastpath::memory::Memory;
use crate::fastpath::xdp::attach::SharedPorts;

/// Connections that are held at once: one is used, the others are refused with a reason.
const CONNECTIONS: usize = 16;

/// Runs the site until SIGTERM or SIGINT; the switch is left forwarding.
///
/// # Errors
/// [`RunError`], with its remedy.
pub(super) async fn run(config: &Config, remote: &Remote) -> Result<(), RunError> {
    let signals = catch()?;
    let channels = channels(remote).await?;
    let held = Held { hangup: Some(signals.hangup), ..Held::take(config).await? };
    let mut tasks = JoinSet::new();
    let stop = stop_on(signals.ends, &mut tasks);
    let dpid = config.switch.datapath_id.unwrap_or(DatapathId(0));
    let switch = switch(&mut tasks, channels, remote, dpid, (config.switch.ports.clone(), false));
    let ports = switch.features().ports.clone();
    let datapath =
        if remote.profile.is_narrow() { Any::Narrow(Narrow::new(switch, remote.profile)) } else { Any::Remote(switch) };
    site(config, dpid, ports, datapath, held, tasks, stop).await
}

/// The same with several switches, which are used as one.
///
/// # Errors
/// As [`run`].
pub(super) async fn run_several(config: &Config, switches: &Switches) -> Result<(), RunError> {
    let signals = catch()?;
    let mut bound = Vec::new();
    for member in &switches.members {
        bound.push(channels(&member.remote).await?);
    }
    let held = Held { hangup: Some(signals.hangup), ..Held::take(config).await? };
    let mut tasks = JoinSet::new();
    let stop = stop_on(signals.ends, &mut tasks);
    let mut members = Vec::new();
    for ((member, place), channels) in switches.members.iter().zip(switches.topology.places()).zip(bound) {
        let ports = (place.ports.clone(), !place.links.is_empty());
        members.push(switch(&mut tasks, channels, &member.remote, member.datapath_id, ports));
    }
    let fabric = Fabric::new(switches.topology.clone(), members);
    let Features { dpid, ports, .. } = fabric.features().clone();
    site(config, dpid, ports, Any::Fabric(fabric), held, tasks, stop).await
}

/// One switch, with the task of its connections; its ports, and whether some are links.
fn switch(
    tasks: &mut JoinSet<String>,
    channels: Channels,
    remote: &Remote,
    dpid: DatapathId,
    (ports, has_links): (Vec<String>, bool),
) -> remote::Remote {
    let (heard, channel) = mpsc::channel(CHANNEL);
    tasks.spawn(ends("the channel to the switch", channels.run(heard)));
    let settings = remote::Settings {
        dpid,
        ports,
        profile: remote.profile,
        // Later daemons have the greater claim (OpenFlow 1.3.5 §6.3.6).
        role: Role { role: remote.role, generation_id: unix_us() },
        endpoints: remote.endpoints.iter().map(ToString::to_string).collect(),
        marks: remote.marks,
        has_links,
    };
    remote::Remote::new(settings, channel)
}

async fn site(
    config: &Config,
    dpid: DatapathId,
    ports: Vec<PortDesc>,
    datapath: Any<Memory>,
    held: Held,
    tasks: JoinSet<String>,
    stop: mpsc::Receiver<()>,
) -> Result<(), RunError> {
    // Never say anything; kept so that they are not closed.
    let (_changed, changes) = mpsc::channel(1);
    let (port_changes, _changed_ports) = mpsc::channel(1);
    let site = Site::<Memory> {
        kind: "openflow",
        dpid,
        ports,
        datapath,
        warnings: Vec::new(),
        attached: SharedPorts::default(),
        port_changes,
        fast_ports: Vec::new(),
        changes,
        lost: Arc::new(AtomicU64::new(0)),
    };
    Box::pin(operate(config, site, held, tasks, stop)).await
}

/// The endpoints of the switch.
async fn channels(remote: &Remote) -> Result<Channels, StartError> {
    let settings = Settings {
        probe: (remote.probe_s > 0).then(|| Duration::from_secs(remote.probe_s)),
        max_connections: CONNECTIONS,
        tls: openflow_tls(remote.tls.as_ref())?,
        pins: remote.pins(),
        ..Settings::new(hello::offer(&[remote.version]))
    };
    Channels::bind(settings, remote.endpoints.clone()).await.map_err(StartError::Switch)
}
