//! Peers that are added, removed and changed while the sessions run. Sessions with all others
//! stay as they are.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::mpsc;
use tokio::task::{AbortHandle, JoinSet};
use tokio_rustls::rustls::ClientConfig;

use super::context::{Context, Live, PeerTimers};
use super::dial::Dialler;
use super::fingerprint::Fingerprint;
use super::identity::{self, Identity};
use super::registry::Registry;
use super::{PeerConfig, PeeringError, tls};

/// A peer, and how it is dialled.
pub(super) type Configured = (PeerConfig, Arc<ClientConfig>);

/// Peers with which there can be sessions, if they are adopted.
#[derive(Debug)]
pub struct Prepared {
    pub(super) live: Live,
    pub(super) configured: Vec<Configured>,
}

/// Checks peers; the certificates that count are settled by this.
pub(super) fn prepare(
    site: &str,
    identity: &Identity,
    peers: &[PeerConfig],
    timers: PeerTimers,
) -> Result<Prepared, PeeringError> {
    let names = names(site, identity.fingerprint(), peers)?;
    let tls = tls::server_config(identity, names.keys().copied().collect())?;
    let dialled = |peer: &PeerConfig| Ok((peer.clone(), tls::client_config(identity, peer.fingerprint)?));
    let configured = peers.iter().map(dialled).collect::<Result<_, PeeringError>>()?;
    Ok(Prepared { live: Live { tls, names, timers }, configured })
}

/// Changes the peers of [`super::Peers`] that run.
#[derive(Clone, Debug)]
pub struct Changer {
    context: Arc<Context>,
    identity: Identity,
    changes: mpsc::Sender<Vec<Configured>>,
}

impl Changer {
    pub(super) fn new(context: Arc<Context>, identity: Identity, changes: mpsc::Sender<Vec<Configured>>) -> Self {
        Self { context, identity, changes }
    }

    /// Of the certificate that this site shows, as long as it runs.
    pub fn fingerprint(&self) -> Fingerprint {
        self.identity.fingerprint()
    }

    /// Checks peers and timers without changing anything.
    ///
    /// # Errors
    /// [`PeeringError`], as [`super::Peers::bind`].
    pub fn prepare(&self, peers: &[PeerConfig], timers: PeerTimers) -> Result<Prepared, PeeringError> {
        prepare(&self.context.site, &self.identity, peers, timers)
    }

    /// From now on these are the peers. Sessions with those that are not as they were end, and
    /// are made anew; those that are keep theirs. Lost when the sessions do not run any more.
    pub async fn adopt(&self, prepared: Prepared) {
        self.context.adopt(prepared.live);
        // An error means that the daemon is about to stop.
        let _ = self.changes.send(prepared.configured).await;
    }
}

/// The peers that are dialled.
#[derive(Default)]
pub(super) struct Diallers(BTreeMap<String, (PeerConfig, AbortHandle)>);

impl Diallers {
    /// From now on these are dialled, and no others.
    pub(super) fn set(
        &mut self,
        context: &Arc<Context>,
        configured: Vec<Configured>,
        registry: &mut Registry,
        tasks: &mut JoinSet<()>,
    ) {
        self.0.retain(|name, (known, task)| {
            let stays = configured.iter().any(|(peer, _)| peer == known);
            if !stays {
                task.abort();
                registry.remove(name);
            }
            stays
        });
        for (peer, tls) in configured {
            if self.0.contains_key(&peer.name) {
                continue;
            }
            let dialler = Dialler {
                context: Arc::clone(context),
                up: registry.add(peer.name.clone(), peer.fingerprint),
                site: peer.name.clone(),
                endpoint: peer.endpoint.clone(),
                fingerprint: peer.fingerprint,
                tls,
            };
            let task = tasks.spawn(dialler.run());
            self.0.insert(peer.name.clone(), (peer, task));
        }
    }
}

/// The peers by certificate, once it is sure that everybody can be told from everybody.
fn names(site: &str, own: Fingerprint, peers: &[PeerConfig]) -> Result<BTreeMap<Fingerprint, String>, PeeringError> {
    let mut names: BTreeMap<Fingerprint, String> = BTreeMap::new();
    for PeerConfig { name, fingerprint, .. } in peers {
        let wrong = |problem: String| Err(PeeringError::Config { peer: name.clone(), problem });
        if !identity::is_site_name(name) {
            return wrong("a site name has 1 to 63 letters, digits, '-', '_' or '.'".to_owned());
        }
        if name == site {
            return wrong("this is the site's own name; a peer must have another".to_owned());
        }
        if *fingerprint == own {
            return wrong("the fingerprint is of this site's own certificate; set the peer's".to_owned());
        }
        if names.values().any(|known| known == name) {
            return wrong("the name is there twice".to_owned());
        }
        if let Some(other) = names.insert(*fingerprint, name.clone()) {
            return wrong(format!("the fingerprint is also that of {other}; every peer has its own"));
        }
    }
    Ok(names)
}
