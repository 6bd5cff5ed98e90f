//! The datapath of a daemon, of whichever kind it is.

use std::time::Instant;

use wamig_openflow::{FlowMod, FlowStats, PacketOut};

use super::local::Local;
use super::narrow::Narrow;
use super::remote::Remote;
use super::remote::status::SessionStatus;
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
    /// In the place of a switch elsewhere while a batch is under way: what it was before.
    AtWork(Box<AtWork>),
}

/// A switch elsewhere, to be looked at only.
pub struct AtWork {
    features: Features,
    session: SessionStatus,
}

/// Why nothing can be asked of a switch.
fn at_work() -> DatapathError {
    DatapathError::Down("a batch of flows is under way; ask again".to_owned())
}

impl<F: FastPath> Any<F> {
    /// The switch in this process, if that is it.
    pub fn switch(&mut self) -> Option<&mut Switch<F>> {
        match self {
            Self::Local(local) => Some(local.switch()),
            Self::Remote(_) | Self::Narrow(_) | Self::AtWork(_) => None,
        }
    }

    /// Whether the switch is elsewhere.
    pub fn is_elsewhere(&self) -> bool {
        !matches!(self, Self::Local(_))
    }

    /// How the session with the switch is, if it is elsewhere.
    pub fn session(&self) -> Option<SessionStatus> {
        match self {
            Self::Local(_) => None,
            Self::Remote(remote) => Some(remote.status()),
            Self::Narrow(narrow) => Some(narrow.remote().status()),
            Self::AtWork(at_work) => Some(at_work.session.clone()),
        }
    }

    /// Takes a switch elsewhere out, for a batch that begins now, and leaves what there is to be
    /// seen of it; `None` for the switch in this process, which takes no time.
    pub fn take_to_work(&mut self, now: Instant) -> Option<Self> {
        let session = SessionStatus { batch_since: Some(now), ..self.session()? };
        let features = self.features().clone();
        Some(std::mem::replace(self, Self::AtWork(Box::new(AtWork { features, session }))))
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
            Self::AtWork(_) => Err(at_work()),
        }
    }
}

impl<F: FastPath> Datapath for Any<F> {
    fn features(&self) -> &Features {
        match self {
            Self::Local(local) => local.features(),
            Self::Remote(remote) => remote.features(),
            Self::Narrow(narrow) => narrow.features(),
            Self::AtWork(at_work) => &at_work.features,
        }
    }

    async fn send(&mut self, batch: Vec<FlowMod>, now: Instant) -> Result<(), DatapathError> {
        match self {
            Self::Local(local) => local.send(batch, now).await,
            Self::Remote(remote) => remote.send(batch, now).await,
            Self::Narrow(narrow) => narrow.send(batch, now).await,
            Self::AtWork(_) => Err(at_work()),
        }
    }

    async fn packet_out(&mut self, out: PacketOut, now: Instant) -> Result<(), DatapathError> {
        match self {
            Self::Local(local) => local.packet_out(out, now).await,
            Self::Remote(remote) => remote.packet_out(out, now).await,
            Self::Narrow(narrow) => narrow.packet_out(out, now).await,
            Self::AtWork(_) => Err(at_work()),
        }
    }

    async fn dump_flows(&mut self, now: Instant) -> Result<Vec<FlowStats>, DatapathError> {
        match self {
            Self::Local(local) => local.dump_flows(now).await,
            Self::Remote(remote) => remote.dump_flows(now).await,
            Self::Narrow(narrow) => narrow.dump_flows(now).await,
            Self::AtWork(_) => Err(at_work()),
        }
    }

    async fn next_event(&mut self) -> Option<Event> {
        match self {
            Self::Local(local) => local.next_event().await,
            Self::Remote(remote) => remote.next_event().await,
            Self::Narrow(narrow) => narrow.next_event().await,
            // It is taken out by whoever asks for events, who has to wait for the batch.
            Self::AtWork(_) => std::future::pending().await,
        }
    }
}
