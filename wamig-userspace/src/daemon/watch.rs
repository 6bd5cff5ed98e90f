//! Tells the switch how its ports' interfaces change: up, down, renamed, another MTU, gone.
//!
//! The kernel's messages are taken for a hint only; what counts is a look at all interfaces,
//! also without a hint every now and then, so that a lost message costs no more than that.

use std::time::Duration;

use futures_util::StreamExt;
use tokio::sync::mpsc;
use wamig_openflow::{PortDesc, PortNo};

use super::links::{self, Link, Monitor};
use super::preflight::Port;
use crate::switch::port::PortChange;

/// A look without a hint.
const LOOK: Duration = Duration::from_secs(2);

/// A port as OpenFlow describes it.
pub fn describe(port: PortNo, link: &Link) -> PortDesc {
    PortDesc { port, mac: link.mac, name: link.name.clone(), link_up: link.up, mtu: link.mtu }
}

/// Watches until `changes` is closed. `monitor`'s connection must be running.
pub async fn watch(mut monitor: Monitor, ports: Vec<Port>, changes: mpsc::Sender<PortChange>) {
    let mut known: Vec<Known> = ports.into_iter().map(Known::new).collect();
    let mut look = tokio::time::interval(LOOK);
    look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = look.tick() => {}
            hint = monitor.changes.next() => if hint.is_none() {
                tracing::error!("the kernel tells nothing about interfaces any more; restart wamig to notice changes of ports");
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
        for change in known.iter_mut().filter_map(|k| k.look(&links)) {
            if changes.send(change).await.is_err() {
                return;
            }
        }
    }
}

/// A port as the switch knows it.
struct Known {
    port: PortNo,
    configured: String,
    index: u32,
    desc: Option<PortDesc>,
}

impl Known {
    fn new(port: Port) -> Self {
        let desc = Some(describe(port.port, &port.link));
        Self { port: port.port, configured: port.link.name, index: port.link.index, desc }
    }

    fn look(&mut self, links: &[Link]) -> Option<PortChange> {
        let now = links.iter().find(|l| l.index == self.index).map(|l| describe(self.port, l));
        if now == self.desc {
            return None;
        }
        let (port, name) = (self.port, &self.configured);
        match (&self.desc, &now) {
            (_, None) => tracing::warn!(
                %port, "interface {name} is gone; make it again and restart wamig, which attaches it as before"
            ),
            (Some(was), Some(is)) if was.link_up != is.link_up => {
                tracing::info!(%port, "interface {name} is {}", if is.link_up { "up" } else { "down" });
            }
            (Some(was), Some(is)) if was.name != is.name => {
                tracing::warn!(%port, "interface {} is now called {}; correct switch.ports", was.name, is.name);
            }
            _ => {}
        }
        self.desc.clone_from(&now);
        Some(now.map_or(PortChange::Gone(port), PortChange::Present))
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
            up,
            kind: String::new(),
            master: None,
        }
    }

    #[test]
    fn a_port_follows_its_interface_by_index() {
        let mut known = Known::new(Port { port: PortNo(1), link: link(7, "up", true), warning: None });
        let present = |l: &Link| Some(PortChange::Present(describe(PortNo(1), l)));
        assert_eq!(known.look(&[link(7, "up", true)]), None);
        assert_eq!(known.look(&[link(7, "up", false)]), present(&link(7, "up", false)));
        assert_eq!(known.look(&[link(7, "wan", false)]), present(&link(7, "wan", false)), "renamed");
        assert_eq!(known.look(&[link(9, "up", true)]), Some(PortChange::Gone(PortNo(1))), "another interface");
        assert_eq!(known.look(&[]), None, "told once");
    }
}
