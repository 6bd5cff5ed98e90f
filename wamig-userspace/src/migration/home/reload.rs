//! Another configuration while the site runs: what of it a server of ours can take.

use super::prepare::Preparation;
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
            _ if self.prepared.is_some() => format!("`wamig unprepare {address} --reason TEXT` first."),
            Phase::Home | Phase::Probing { .. } => format!("`wamig unfreeze {address} --reason TEXT` first."),
            Phase::Claimed { .. } | Phase::Returning { .. } => "Wait until its move is over.".to_owned(),
            Phase::Away { .. } => "Bring it home first, by starting it there.".to_owned(),
        };
        let goes_to = self.prepared.as_ref().map(Preparation::peer);
        let is = match (self.placed(), goes_to) {
            (Some(placement), _) => format!("{address} is {} (at {})", self.state().as_str(), placement.peer),
            (None, Some(peer)) => format!("{address} is {} (for {peer})", self.state().as_str()),
            (None, None) => format!("{address} is {}", self.state().as_str()),
        };
        let Some(to) = to else {
            let text = || format!("{is} and cannot go out of the configuration");
            return (self.state() != State::Home).then(|| Refusal::new(text(), back));
        };
        let placed = self.placed().map(|p| p.peer.as_str());
        // Whom it is given to knows it by its MAC address.
        placed.or(goes_to)?;
        if to.mac != self.server.mac {
            return Some(Refusal::new(format!("{is} and cannot get another MAC address"), back));
        }
        let former = self.placement().map(|p| p.peer.as_str());
        let lost = [placed, former, goes_to].into_iter().flatten().find(|peer| !to.hosts.iter().any(|h| h == peer))?;
        Some(Refusal::new(format!("{is} and {lost} cannot be taken from its hosts"), back))
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
