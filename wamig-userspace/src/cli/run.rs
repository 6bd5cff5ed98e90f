//! `wamig run`.

use std::path::PathBuf;

use anyhow::anyhow;

use crate::config::Config;
use crate::daemon;

/// Run the daemon of this site
///
/// Turns the configured interfaces into the ports of one switch, keeps up sessions with the
/// other sites, and moves servers. It stays in the foreground and logs to stderr.
///
/// SIGHUP, or `wamig reload`, has it read the configuration file again.
///
/// STOPPING IT LEAVES THE DATA PATH FORWARDING: after SIGTERM or SIGINT the ports
/// switch on as they were told last, and the next `wamig run` takes them over without losing
/// a frame. `wamig detach` takes the data path down.
///
/// With [switch.remote] or [[switch.member]] the switch is elsewhere, and no privilege is needed. Else it needs
/// root, or CAP_BPF, CAP_NET_ADMIN, CAP_NET_RAW and CAP_PERFMON.
///
/// Example: wamig run --config /etc/wamig/wamig.toml
#[derive(clap::Args, Debug)]
pub(super) struct Arguments {
    /// The configuration file
    #[arg(long, value_name = "FILE", default_value = super::DEFAULT_CONFIG)]
    config: PathBuf,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let config = Config::load(&arguments.config)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(|e| anyhow!("threads cannot be started: {e}; look at the limits of this process"))?;
    runtime.block_on(daemon::run(&config))?;
    if config.switch.is_elsewhere() {
        tracing::info!("stopped; the switch goes on forwarding with the flows that it has");
        return Ok(());
    }
    tracing::info!(
        "stopped; the data path goes on forwarding on {}: `wamig run` takes it over, `wamig detach --config {}` takes it down",
        config.switch.ports.join(", "),
        arguments.config.display()
    );
    Ok(())
}
