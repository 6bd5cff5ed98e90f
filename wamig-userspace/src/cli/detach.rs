//! `wamig detach`.

use std::os::unix::net::UnixStream;
use std::path::PathBuf;

use anyhow::{anyhow, bail};
use rtnetlink::Handle;

use crate::config::Config;
use crate::daemon::links;
use crate::daemon::local_port;
use crate::fastpath::xdp::detach::{Detached, detach};

/// Take the data path down
///
/// Removes the XDP programs from the ports, and the maps, that a stopped daemon left
/// forwarding. From then on the interfaces belong to the kernel again, and nothing is
/// switched between them. A daemon that runs must be stopped first.
///
/// Example: wamig detach --config /etc/wamig/wamig.toml
#[derive(clap::Args, Debug)]
pub(super) struct Arguments {
    /// The configuration file, for its pin_path
    #[arg(long, value_name = "FILE", default_value = super::DEFAULT_CONFIG)]
    config: PathBuf,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let config = Config::load(&arguments.config)?;
    if UnixStream::connect(&config.control_socket).is_ok() {
        bail!(
            "wamig is running (it answers at {}) and would keep forwarding; stop it first, then detach",
            config.control_socket.display()
        );
    }
    let pins = &config.switch.pin_path;
    let done = detach(pins).map_err(|e| {
        anyhow!("the data path under {} is not taken down: {e}; become root, then try again", pins.display())
    })?;
    if let Some(name) = &config.switch.local {
        match on_interfaces(async |handle| Ok(local_port::remove(handle, name).await?)) {
            Ok(true) => super::print(&format!("removed: {name}, the host's interface at port LOCAL\n"))?,
            Ok(false) => {}
            Err(e) => eprintln!("wamig: {name} may still be there ({e}); remove it with: ip link del {name}"),
        }
    }
    // The link may be in another network namespace than this process, or gone.
    if let Err(e) = back_to_own_frames(&done.ports) {
        eprintln!("wamig: the ports may still be promiscuous ({e}); see `ip -d link`");
    }
    super::print(&format!("{}\n", told(&done, &pins.display().to_string())))
}

/// Lets the interfaces take in their own frames only, as before they were ports.
fn back_to_own_frames(names: &[String]) -> anyhow::Result<()> {
    on_interfaces(async |handle| {
        for link in links::links(handle).await? {
            if link.promiscuous && names.contains(&link.name) {
                links::set_promiscuous(handle, link.index, false).await?;
            }
        }
        Ok(())
    })
}

/// Does `work` with the interfaces of this process's network namespace.
fn on_interfaces<T>(work: impl AsyncFnOnce(&Handle) -> anyhow::Result<T>) -> anyhow::Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let (connection, handle, _) = rtnetlink::new_connection()?;
        tokio::select! {
            done = work(&handle) => done,
            () = connection => bail!("rtnetlink ended"),
        }
    })
}

fn told(done: &Detached, pins: &str) -> String {
    match (&done.ports[..], done.maps) {
        ([], 0) => format!("nothing was attached: no link and no map under {pins}"),
        (ports, maps) => {
            let ports = if ports.is_empty() { "no port".to_owned() } else { ports.join(", ") };
            format!("detached: {ports}; removed {maps} maps under {pins}")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_removed_is_said() {
        let done = Detached { ports: vec!["srv".to_owned(), "up".to_owned()], maps: 14 };
        assert_eq!(told(&done, "/p"), "detached: srv, up; removed 14 maps under /p");
        assert_eq!(told(&Detached::default(), "/p"), "nothing was attached: no link and no map under /p");
    }
}
