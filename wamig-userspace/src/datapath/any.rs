//! The datapath of a daemon, of whichever kind it is.

use std::time::Instant;

use wamig_openflow::{FlowMod, FlowStats, PacketOut};

use super::local::Local;
use super::narrow::Narrow;
use super::remote::Remote;
use super::{Datapath, DatapathError, Event, Features};
use crate::fastpath::FastPath;
use crate::switch::Switch;

/// Either kind.
pub enum Any<F> {
    /// The switch in this process.
    Local(Local<F>),
    /// A switch elsewhere.
    Remote(Remote),
    /// A switch elsewhere that holds only part of the flows.
    Narrow(Narrow),
}

impl<F: FastPath> Any<F> {
    /// The switch in this process, if that is it.
    pub fn switch(&mut self) -> Option<&mut Switch<F>> {
        match self {
            Self::Local(local) => Some(local.switch()),
            Self::Remote(_) | Self::Narrow(_) => None,
        }
    }

    /// The switch elsewhere, if that is it.
    pub fn remote(&self) -> Option<&Remote> {
        match self {
            Self::Local(_) => None,
            Self::Remote(remote) => Some(remote),
            Self::Narrow(narrow) => Some(narrow.remote()),
        }
    }

    /// Every flow, with the port numbers that the switch itself uses.
    ///
    /// # Errors
    /// As [`Datapath::dump_flows`].
    pub async fn own_flows(&mut self, now: Instant) -> Result<Vec<FlowStats>, DatapathError> {
        match self {
            Self::Local(local) => local.dump_flows(now).await,
            Self::Remote(remote) => remote.installed_flows().await,
            Self::Narrow(narrow) => narrow.installed_flows().await,
        }
    }
}

impl<F: FastPath> Datapath for Any<F> {
    fn features(&self) -> &Features {
        match self {
            Self::Local(local) => local.features(),
            Self::Remote(remote) => remote.features(),
            Self::Narrow(narrow) => narrow.features(),
        }
    }

    async fn send(&mut self, batch: Vec<FlowMod>, now: Instant) -> Result<(), DatapathError> {
        match self {
            Self::Local(local) => local.send(batch, now).await,
            Self::Remote(remote) => remote.send(batch, now).await,
            Self::Narrow(narrow) => narrow.send(batch, now).await,
        }
    }

    async fn packet_out(&mut self, out: PacketOut, now: Instant) -> Result<(), DatapathError> {
        match self {
            Self::Local(local) => local.packet_out(out, now).await,
            Self::Remote(remote) => remote.packet_out(out, now).await,
            Self::Narrow(narrow) => narrow.packet_out(out, now).await,
        }
    }

    async fn dump_flows(&mut self, now: Instant) -> Result<Vec<FlowStats>, DatapathError> {
        match self {
            Self::Local(local) => local.dump_flows(now).await,
            Self::Remote(remote) => remote.dump_flows(now).await,
            Self::Narrow(narrow) => narrow.dump_flows(now).await,
        }
    }

    async fn next_event(&mut self) -> Option<Event> {
        match self {
            Self::Local(local) => local.next_event().await,
            Self::Remote(remote) => remote.next_event().await,
            Self::Narrow(narrow) => narrow.next_event().await,
        }
    }
}
