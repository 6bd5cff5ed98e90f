//! The datapath of a daemon, of whichever kind it is.

use std::time::Instant;

use wamig_openflow::{FlowMod, FlowStats, PacketOut};

use super::fabric::{Fabric, FabricStatus};
use super::local::Local;
use super::narrow::Narrow;
use super::remote::Remote;
use super::remote::fragment::Verdict;
use super::remote::status::SessionStatus;
use super::{Datapath, DatapathError, Event, Features};
use crate::fastpath::FastPath;
use crate::switch::Switch;

/// A flow of ours with the numbers, and under the marks, of the switch that has it.
#[derive(Clone, PartialEq, Debug)]
pub struct OwnFlow {
    /// Which switch, if there are several.
    pub switch: Option<String>,
    /// It takes frames from one of several switches to the next.
    pub is_links: bool,
    /// The flow.
    pub flow: FlowStats,
}

/// Either kind.
pub enum Any<F> {
    /// The switch in this process.
    Local(Local<F>),
    /// A switch elsewhere.
    Remote(Remote),
    /// A switch elsewhere that holds only part of the flows.
    Narrow(Narrow),
    /// Several switches elsewhere.
    Fabric(Fabric<Remote>),
    /// In the place of switches elsewhere while a batch is under way: what they were before.
    AtWork(Box<AtWork>),
}

/// Switches elsewhere, to be looked at only.
pub struct AtWork {
    features: Features,
    sessions: Sessions,
}

/// How the sessions with switches elsewhere are.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Sessions {
    /// The only one.
    One(SessionStatus),
    /// Those of several.
    Several(FabricStatus),
}

impl Sessions {
    /// Each of them.
    pub fn iter(&self) -> impl Iterator<Item = &SessionStatus> {
        let (one, several) = match self {
            Self::One(session) => (Some(session), [].as_slice()),
            Self::Several(fabric) => (None, fabric.members.as_slice()),
        };
        one.into_iter().chain(several.iter().map(|m| &m.session))
    }

    /// What the worst of them does to later fragments, if that is known of all.
    pub fn fragments(&self) -> Option<Verdict> {
        let verdicts: Vec<Verdict> = self.iter().map(|s| s.fragments.clone()).collect::<Option<_>>()?;
        let worst = verdicts.iter().position(|v| *v == Verdict::Damages);
        let worst = worst.or_else(|| verdicts.iter().position(|v| *v != Verdict::Sound));
        verdicts.into_iter().nth(worst.unwrap_or(0))
    }

    /// The same with a batch that began at `now`.
    fn working(mut self, now: Instant) -> Self {
        match &mut self {
            Self::One(session) => session.batch_since = Some(now),
            Self::Several(fabric) => fabric.members.iter_mut().for_each(|m| m.session.batch_since = Some(now)),
        }
        self
    }
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
            Self::Remote(_) | Self::Narrow(_) | Self::Fabric(_) | Self::AtWork(_) => None,
        }
    }

    /// Whether no switch is in this process.
    pub fn is_elsewhere(&self) -> bool {
        !matches!(self, Self::Local(_))
    }

    /// How the sessions with the switches are that are elsewhere.
    pub fn sessions(&self) -> Option<Sessions> {
        match self {
            Self::Local(_) => None,
            Self::Remote(remote) => Some(Sessions::One(remote.status())),
            Self::Narrow(narrow) => Some(Sessions::One(narrow.remote().status())),
            Self::Fabric(fabric) => Some(Sessions::Several(fabric.status())),
            Self::AtWork(at_work) => Some(at_work.sessions.clone()),
        }
    }

    /// Takes a switch elsewhere out, for a batch that begins now, and leaves what there is to be
    /// seen of it; `None` for the switch in this process, which takes no time.
    pub fn take_to_work(&mut self, now: Instant) -> Option<Self> {
        let sessions = self.sessions()?.working(now);
        let features = self.features().clone();
        Some(std::mem::replace(self, Self::AtWork(Box::new(AtWork { features, sessions }))))
    }

    /// Every flow of ours as the switch itself has it.
    ///
    /// # Errors
    /// As [`Datapath::dump_flows`].
    pub async fn own_flows(&mut self, now: Instant) -> Result<Vec<OwnFlow>, DatapathError> {
        let flows = match self {
            Self::Local(local) => local.dump_flows(now).await?,
            Self::Remote(remote) => remote.installed_flows().await?,
            Self::Narrow(narrow) => narrow.installed_flows().await?,
            Self::Fabric(fabric) => return fabric.installed_flows().await,
            Self::AtWork(_) => return Err(at_work()),
        };
        Ok(flows.into_iter().map(|flow| OwnFlow { switch: None, is_links: false, flow }).collect())
    }
}

impl<F: FastPath> Datapath for Any<F> {
    fn features(&self) -> &Features {
        match self {
            Self::Local(local) => local.features(),
            Self::Remote(remote) => remote.features(),
            Self::Narrow(narrow) => narrow.features(),
            Self::Fabric(fabric) => fabric.features(),
            Self::AtWork(at_work) => &at_work.features,
        }
    }

    async fn send(&mut self, batch: Vec<FlowMod>, now: Instant) -> Result<(), DatapathError> {
        match self {
            Self::Local(local) => local.send(batch, now).await,
            Self::Remote(remote) => remote.send(batch, now).await,
            Self::Narrow(narrow) => narrow.send(batch, now).await,
            Self::Fabric(fabric) => fabric.send(batch, now).await,
            Self::AtWork(_) => Err(at_work()),
        }
    }

    async fn packet_out(&mut self, out: PacketOut, now: Instant) -> Result<(), DatapathError> {
        match self {
            Self::Local(local) => local.packet_out(out, now).await,
            Self::Remote(remote) => remote.packet_out(out, now).await,
            Self::Narrow(narrow) => narrow.packet_out(out, now).await,
            Self::Fabric(fabric) => fabric.packet_out(out, now).await,
            Self::AtWork(_) => Err(at_work()),
        }
    }

    async fn dump_flows(&mut self, now: Instant) -> Result<Vec<FlowStats>, DatapathError> {
        match self {
            Self::Local(local) => local.dump_flows(now).await,
            Self::Remote(remote) => remote.dump_flows(now).await,
            Self::Narrow(narrow) => narrow.dump_flows(now).await,
            Self::Fabric(fabric) => fabric.dump_flows(now).await,
            Self::AtWork(_) => Err(at_work()),
        }
    }

    async fn next_event(&mut self) -> Option<Event> {
        match self {
            Self::Local(local) => local.next_event().await,
            Self::Remote(remote) => remote.next_event().await,
            Self::Narrow(narrow) => narrow.next_event().await,
            Self::Fabric(fabric) => fabric.next_event().await,
            // It is taken out by whoever asks for events, who has to wait for the batch.
            Self::AtWork(_) => std::future::pending().await,
        }
    }
}
