//! Another configuration while the site runs: what of it a server of ours can take.

use super::{HomeServer, Phase};
use crate::migration::config::Server;
use crate::migration::order::Refusal;
use crate::migration::status::State;

impl HomeServer {
    /// What stands in the way of the server becoming what `to` says; `None` = it goes out of the
    /// configuration.
    pub(in crate::migration) fn objection(&self, to: Option<&Server>) -> Option<Refusal> {
        let address = self.address();
        let back = match &self.phase {
            Phase::Home | Phase::Probing { .. } => format!("`wamig unfreeze {address} --reason TEXT` first."),
            Phase::Claimed { .. } | Phase::Returning { .. } => "Wait until its move is over.".to_owned(),
            Phase::Away { .. } => "Bring it home first, by starting it there.".to_owned(),
        };
        let is = match self.placed() {
            Some(placement) => format!("{address} is {} (at {})", self.state().as_str(), placement.peer),
            None => format!("{address} is {}", self.state().as_str()),
        };
        let Some(to) = to else {
            let text = || format!("{is} and cannot go out of the configuration");
            return (self.state() != State::Home).then(|| Refusal::new(text(), back));
        };
        let placement = self.placed()?;
        if to.mac != self.server.mac {
            return Some(Refusal::new(format!("{is} and cannot get another MAC address"), back));
        }
        let stays = |peer: &String| to.hosts.contains(peer);
        let former = self.placement().filter(|p| !stays(&p.peer));
        let lost = Some(placement).filter(|p| !stays(&p.peer)).or(former)?;
        Some(Refusal::new(format!("{is} and {} cannot be taken from its hosts", lost.peer), back))
    }

    /// The configuration says this of it, and nothing stood in its way.
    pub(in crate::migration) fn adopt(&mut self, server: Server) {
        if let Phase::Probing { peer, .. } = &self.phase
            && (server.mac != self.server.mac || !server.hosts.contains(peer))
        {
            self.phase = Phase::Home;
        }
        self.server = server;
    }
}
