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

/// A port as OpenFlow describes it.
pub fn describe(port: PortNo, link: &Link) -> PortDesc {
    PortDesc {
        port,
        mac: link.mac,
        name: link.name.clone(),
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
    /// What the switch was told.
    told: Option<PortDesc>,
}

impl Known {
    fn new(port: Port) -> Self {
        let told = Some(describe(port.port, &port.link));
        Self { port: port.port, configured: port.link.name.clone(), link: Some(port.link), told }
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
        if now == self.link {
            return false;
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
        let now = self.link.as_ref().map(|l| describe(self.port, l));
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
        }
    }

    #[test]
    fn a_port_follows_its_interface() {
        let mut known = Known::new(Port { port: PortNo(1), link: link(7, "up", true), warning: None });
        let mut look = |links: &[Link]| {
            let different = known.look(links);
            (different, known.change(), known.fast_port().map(|p| (p.name, p.ifindex)))
        };
        let at = |name: &str, index| Some((name.to_owned(), index));
        let present = |l: &Link| Some(PortChange::Present(describe(PortNo(1), l)));
        assert_eq!(look(&[link(7, "up", true)]), (false, None, at("up", 7)));
        assert_eq!(look(&[link(7, "up", false)]), (true, present(&link(7, "up", false)), at("up", 7)));
        assert_eq!(look(&[link(7, "wan", false)]), (true, present(&link(7, "wan", false)), at("wan", 7)), "renamed");
        assert_eq!(look(&[link(8, "wan", true)]), (true, Some(PortChange::Gone(PortNo(1))), None), "another interface");
        assert_eq!(look(&[]), (false, None, None), "told once");
        assert_eq!(look(&[link(9, "up", true)]), (true, present(&link(9, "up", true)), at("up", 9)), "made anew");
        assert_eq!(look(&[link(10, "up", true)]), (true, None, at("up", 10)), "the data path has to know");
    }
}
