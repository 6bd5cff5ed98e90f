//! Tells the switch how its ports' interfaces change: up, down, renamed, another MTU, gone.
//!
//! The kernel's messages are taken for a hint only; what counts is a look at all interfaces,
//! also without a hint every now and then, so that a lost message costs no more than that.

use std::time::Duration;

use futures_util::StreamExt;
use tokio::sync::mpsc;
use wamig_openflow::message::PortConfig;
use wamig_openflow::{PortDesc, PortNo};

use super::links::{self, Link, Monitor};
use super::preflight::Port;
use crate::fastpath::FastPort;
use crate::fastpath::xdp::ethtool;
use crate::switch::port::PortChange;

/// A look without a hint.
const LOOK: Duration = Duration::from_secs(2);

/// What a look showed to be different.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Change {
    /// For the switch; `None` when an interface was made anew, like the one before.
    pub change: Option<PortChange>,
    /// For the data path: the ports that have an interface now.
    pub ports: Vec<FastPort>,
}

/// A port as OpenFlow describes it: LOCAL as the host knows it.
pub fn describe(port: PortNo, link: &Link, host: Option<&Link>) -> PortDesc {
    let shown = host.unwrap_or(link);
    PortDesc {
        port,
        mac: shown.mac,
        name: shown.name.clone(),
        link_up: link.up,
        mtu: link.mtu,
        config: PortConfig { down: !link.enabled, ..PortConfig::default() },
        features: ethtool::features(&link.name),
        ..PortDesc::default()
    }
}

/// Logs why an interface is not promiscuous.
pub fn tell_unless_promiscuous(name: &str, result: Result<(), rtnetlink::Error>) {
    if let Err(error) = result {
        tracing::warn!(
            "{name} takes in frames for its own address only: {error}; run `ip link set dev {name} promisc on`"
        );
    }
}

/// Watches until `changes` is closed. `monitor`'s connection must be running.
pub async fn watch(mut monitor: Monitor, ports: Vec<Port>, changes: mpsc::Sender<Change>) {
    let mut known: Vec<Known> = ports.into_iter().map(Known::new).collect();
    let mut look = tokio::time::interval(LOOK);
    look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = look.tick() => {}
            hint = monitor.changes.next() => if hint.is_none() {
                return;
            },
        }
        let links = match links::links(&monitor.handle).await {
            Ok(links) => links,
            Err(error) => {
                tracing::warn!(%error, "the interfaces cannot be read; trying again");
                continue;
            }
        };
        for i in 0..known.len() {
            if !known[i].look(&links) {
                continue;
            }
            if let Some(link) = known[i].link.as_ref().filter(|l| !l.promiscuous) {
                let result = links::set_promiscuous(&monitor.handle, link.index, true).await;
                tell_unless_promiscuous(&link.name, result);
            }
            let change = known[i].change();
            let ports = known.iter().filter_map(Known::fast_port).collect();
            if changes.send(Change { change, ports }).await.is_err() {
                return;
            }
        }
    }
}

/// A port as the switch knows it.
struct Known {
    port: PortNo,
    configured: String,
    /// The interface, while there is one.
    link: Option<Link>,
    /// Its other end as it was last seen; it may be in another network namespace by now.
    host: Option<Link>,
    /// What the switch was told.
    told: Option<PortDesc>,
}

impl Known {
    fn new(port: Port) -> Self {
        let Port { port, link, host, .. } = port;
        let told = Some(describe(port, &link, host.as_ref()));
        Self { port, configured: link.name.clone(), link: Some(link), host, told }
    }

    fn fast_port(&self) -> Option<FastPort> {
        let link = self.link.as_ref()?;
        Some(FastPort { port: self.port, name: link.name.clone(), ifindex: link.index })
    }

    /// Finds the interface again: the same one under whatever name, else another one under
    /// the configured name. True when something is different.
    fn look(&mut self, links: &[Link]) -> bool {
        let same = self.link.as_ref().and_then(|was| links.iter().find(|l| l.index == was.index));
        let now = same.or_else(|| links.iter().find(|l| l.name == self.configured)).cloned();
        let host = self.host.as_ref().and_then(|was| {
            let same = links.iter().find(|l| l.index == was.index);
            same.or_else(|| links.iter().find(|l| l.name == was.name))
        });
        let host = host.cloned().or_else(|| self.host.clone());
        let other_host = host != self.host;
        self.host = host;
        if now == self.link {
            return other_host;
        }
        let (port, name) = (self.port, &self.configured);
        match (&self.link, &now) {
            (_, None) => tracing::warn!(%port, "interface {name} is gone; the port comes back when it does"),
            (None, Some(_)) => tracing::info!(%port, "interface {name} is there again"),
            (Some(was), Some(is)) if was.index != is.index => {
                tracing::info!(%port, "interface {name} was made anew");
            }
            (Some(was), Some(is)) if was.name != is.name => {
                tracing::warn!(%port, "interface {} is now called {}; correct switch.ports", was.name, is.name);
            }
            (Some(was), Some(is)) if was.up != is.up => {
                tracing::info!(%port, "interface {name} is {}", if is.up { "up" } else { "down" });
            }
            _ => {}
        }
        self.link = now;
        true
    }

    /// What the switch has to be told.
    fn change(&mut self) -> Option<PortChange> {
        let now = self.link.as_ref().map(|l| describe(self.port, l, self.host.as_ref()));
        if now == self.told {
            return None;
        }
        self.told.clone_from(&now);
        Some(now.map_or(PortChange::Gone(self.port), PortChange::Present))
    }
}

#[cfg(test)]
mod tests {
    use wamig_openflow::MacAddr;

    use super::*;

    fn link(index: u32, name: &str, up: bool) -> Link {
        Link {
            index,
            name: name.to_owned(),
            mac: MacAddr([2, 0, 0, 0, 0, 1]),
            mtu: 1500,
            enabled: true,
            up,
            promiscuous: true,
            kind: String::new(),
            master: None,
            alias: String::new(),
        }
    }

    #[test]
    fn a_port_follows_its_interface() {
        let mut known = Known::new(Port { port: PortNo(1), link: link(7, "up", true), warning: None, host: None });
        let mut look = |links: &[Link]| {
            let different = known.look(links);
            (different, known.change(), known.fast_port().map(|p| (p.name, p.ifindex)))
        };
        let at = |name: &str, index| Some((name.to_owned(), index));
        let present = |l: &Link| Some(PortChange::Present(describe(PortNo(1), l, None)));
        assert_eq!(look(&[link(7, "up", true)]), (false, None, at("up", 7)));
        assert_eq!(look(&[link(7, "up", false)]), (true, present(&link(7, "up", false)), at("up", 7)));
        assert_eq!(look(&[link(7, "wan", false)]), (true, present(&link(7, "wan", false)), at("wan", 7)), "renamed");
        assert_eq!(look(&[link(8, "wan", true)]), (true, Some(PortChange::Gone(PortNo(1))), None), "another interface");
        assert_eq!(look(&[]), (false, None, None), "told once");
        assert_eq!(look(&[link(9, "up", true)]), (true, present(&link(9, "up", true)), at("up", 9)), "made anew");
        assert_eq!(look(&[link(10, "up", true)]), (true, None, at("up", 10)), "the data path has to know");
    }

    #[test]
    fn local_is_described_as_the_host_knows_it() {
        let host = |mac: u8, up| Link { mac: MacAddr([2, 0, 0, 0, 0, mac]), ..link(8, "br0", up) };
        let port =
            Port { port: PortNo::LOCAL, link: link(7, "br0-sw", true), warning: None, host: Some(host(5, true)) };
        let mut known = Known::new(port);
        let seen = |known: &Known| known.told.as_ref().map(|d| (d.name.clone(), d.mac.0[5], d.link_up));
        assert_eq!(seen(&known), Some(("br0".to_owned(), 5, true)));
        assert_eq!(known.fast_port().map(|p| p.name), Some("br0-sw".to_owned()));
        // The host's end goes down: it is the switch's that has no carrier.
        assert!(known.look(&[link(7, "br0-sw", false), host(5, false)]));
        assert!(known.change().is_some());
        assert_eq!(seen(&known), Some(("br0".to_owned(), 5, false)));
        assert!(known.look(&[link(7, "br0-sw", false), host(6, false)]), "another address");
        assert!(known.change().is_some());
        assert_eq!(seen(&known), Some(("br0".to_owned(), 6, false)));
        assert!(known.look(&[link(7, "br0-sw", true)]), "the host's end is in another namespace");
        assert!(known.change().is_some());
        assert_eq!(seen(&known), Some(("br0".to_owned(), 6, true)));
        assert!(known.look(&[]), "the pair is gone");
        assert_eq!(known.change(), Some(PortChange::Gone(PortNo::LOCAL)));
    }
}
