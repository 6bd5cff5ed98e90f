//! The daemon of a site whose switch is elsewhere: it needs no privilege and no interface,
//! only connections with the switch.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::JoinSet;
use wamig_openflow::DatapathId;
use wamig_openflow::message::Role;

use super::control::unix_us;
use super::start_error::StartError;
use super::{CHANNEL, Held, RunError, Site, catch, ends, openflow_tls, operate, stop_on};
use crate::channel::{Channels, Settings, hello};
use crate::config::{Config, Remote};
use crate::datapath::Datapath as _;
use crate::datapath::any::Any;
use crate::datapath::narrow::Narrow;
use crate::datapath::remote;
use crate::fastpath::memory::Memory;
use crate::fastpath::xdp::attach::SharedPorts;

/// Connections that are held at once: one is used, the others are refused with a reason.
const CONNECTIONS: usize = 16;

/// Runs the site until SIGTERM, SIGINT or SIGHUP; the switch is left forwarding.
///
/// # Errors
/// [`RunError`], with its remedy.
pub(super) async fn run(config: &Config, remote: &Remote) -> Result<(), RunError> {
    let signals = catch();
    let channels = channels(remote).await?;
    let held = Held::take(config).await?;
    let mut tasks = JoinSet::new();
    let stop = stop_on(signals, &mut tasks)?;
    let (heard, channel) = mpsc::channel(CHANNEL);
    tasks.spawn(ends("the channel to the switch", channels.run(heard)));
    let dpid = config.switch.datapath_id.unwrap_or(DatapathId(0));
    let switch = remote::Remote::new(
        remote::Settings {
            dpid,
            ports: config.switch.ports.clone(),
            profile: remote.profile,
            // Later daemons have the greater claim (OpenFlow 1.3.5 §6.3.6).
            role: Role { role: remote.role, generation_id: unix_us() },
            endpoints: remote.endpoints.iter().map(ToString::to_string).collect(),
        },
        channel,
    );
    // Never say anything; kept so that they are not closed.
    let (_changed, changes) = mpsc::channel(1);
    let (port_changes, _changed_ports) = mpsc::channel(1);
    let site = Site::<Memory> {
        kind: "openflow",
        dpid,
        ports: switch.features().ports.clone(),
        datapath: if remote.profile.is_narrow() {
            Any::Narrow(Narrow::new(switch, remote.profile))
        } else {
            Any::Remote(switch)
        },
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
