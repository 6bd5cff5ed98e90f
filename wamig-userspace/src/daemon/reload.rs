//! The configuration file read again while the site runs: as a whole, or not at all. First
//! everything is looked at that may stand in the way; then the switch is told what differs, as
//! one batch; when it has taken that, the sessions and the controller follow, which cannot fail.

use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::{Instant, timeout};

use super::control::{Control, Ended, Inputs, unix_us};
use super::start_error::StartError;
use crate::admin::explain::Entry;
use crate::admin::reload::ReloadAnswer;
use crate::admin::status::{Configuration, Refusal};
use crate::config::Config;
use crate::config::change::{self, Candidate, Objection};
use crate::config::error::ConfigError;
use crate::controller::Command;
use crate::datapath::{Datapath as _, DatapathError};
use crate::fastpath::FastPath;
use crate::migration::config::SiteConfig;
use crate::migration::io::event;
use crate::migration::record::Record;
use crate::migration::reload::About;
use crate::peer::{Fingerprint, Identity, PeeringError, Prepared};

/// The file and what it names have to be read in this time: meanwhile nothing moves.
const PATIENCE: Duration = Duration::from_secs(3);
/// The verb in the audit log.
const VERB: &str = "reload";

/// Why the new configuration is not in force.
enum No {
    /// It cannot be, or not yet.
    Refused(String),
    /// The daemon ends.
    Ended(Ended),
}

impl From<ConfigError> for No {
    fn from(error: ConfigError) -> Self {
        Self::Refused(error.to_string())
    }
}

/// Everything that a new configuration takes.
struct Ready {
    config: Config,
    peers: Option<Prepared>,
    site: Option<SiteConfig>,
    records: Vec<Record>,
}

impl<F: FastPath> Control<F> {
    /// Reads the configuration file again, and tells everybody what became of it.
    pub(super) async fn reload(&mut self, answer: oneshot::Sender<ReloadAnswer>, inputs: &mut Inputs) -> Option<Ended> {
        self.supervisor.reloading();
        let outcome = self.take_over(inputs).await;
        let (changed, commands, refused) = match outcome {
            Ok((changed, commands)) => (changed, commands, None),
            Err(No::Refused(why)) => (Vec::new(), Vec::new(), Some(why)),
            Err(No::Ended(ended)) => return Some(ended),
        };
        self.tell_of_reload(&changed, refused.as_deref());
        let ended = self.carry_out(commands, inputs).await;
        self.supervisor.reloaded(self.summary());
        let file = self.config.path.display().to_string();
        // Whoever asked may have gone away.
        drop(answer.send(ReloadAnswer { site: self.config.site.clone(), file, changed, refused }));
        ended
    }

    fn tell_of_reload(&mut self, changed: &[String], refused: Option<&str>) {
        let (now, file) = (unix_us(), self.config.path.display().to_string());
        let (event, to, why) = match refused {
            None if changed.is_empty() => (event::RELOADED, "APPLIED", "nothing differs".to_owned()),
            None => (event::RELOADED, "APPLIED", changed.join("; ")),
            Some(why) => (event::RELOAD_REFUSED, "REFUSED", why.replace('\n', "; ")),
        };
        match refused {
            None => self.configuration = Configuration { file: file.clone(), since_unix_ms: now / 1000, refused: None },
            Some(why) => {
                let times = self.configuration.refused.as_ref().map_or(1, |r| r.times + 1);
                self.configuration.refused = Some(Refusal { at_unix_ms: now / 1000, times, reason: why.to_owned() });
            }
        }
        let none = "-".to_owned();
        let entry = Entry {
            at_unix_us: now,
            verb: VERB.to_owned(),
            address: none.clone(),
            role: none.clone(),
            from: none.clone(),
            to: to.to_owned(),
            epoch: none,
            reason: why.clone(),
        };
        self.append(None, &entry);
        let what = if refused.is_some() { "nothing of it is in force" } else { "it is in force" };
        self.timeline.add(now, None, event, format!("{file} was read again, {what}: {why}"), refused.is_some());
    }

    /// What has changed, and what is still to be done for it.
    async fn take_over(&mut self, inputs: &mut Inputs) -> Result<(Vec<String>, Vec<Command>), No> {
        let Ready { config, peers, site, records } = self.look().await?;
        let now = Instant::now().into_std();
        let mods = self.controller.iter().zip(&site).flat_map(|(c, site)| c.rebase(site)).collect::<Vec<_>>();
        if !mods.is_empty() {
            match self.program(mods, now, inputs).await {
                // Everything is programmed anew when it is back.
                Err(DatapathError::Down(_)) if self.datapath.is_elsewhere() => {}
                Err(DatapathError::Down(why)) => return Err(No::Ended(Ended::Datapath(why))),
                Err(refused) => {
                    let file = config.path.display();
                    let why = format!(
                        "{file}: the switch refuses the flows that it calls for: {refused}; make room there, or put it back"
                    );
                    return Err(No::Refused(why));
                }
                Ok(()) => {}
            }
        }
        let changed = change::changes(&self.config, &config);
        if let (Some(changer), Some(prepared)) = (&self.changer, peers) {
            changer.adopt(prepared).await;
        }
        self.peers.configure(config.peers.iter().map(|p| p.name.clone()), unix_us() / 1000);
        self.config = config;
        let commands = match (&mut self.controller, site) {
            (Some(controller), Some(site)) => controller.adopt(Instant::now().into_std(), site, records),
            _ => Vec::new(),
        };
        Ok((changed, commands))
    }

    /// Looks for everything that stands in the way.
    async fn look(&self) -> Result<Ready, No> {
        let (candidate, shown) = self.read().await?;
        let mut objections = candidate.fixed(&self.config);
        let in_use = self.changer.as_ref().map(crate::peer::Changer::fingerprint);
        if objections.is_empty() && shown != in_use {
            objections.push(Objection {
                key: "peering.certificate",
                entry: None,
                what: "the file holds another certificate than the one in use".to_owned(),
                remedy: "restart wamig, or put it back".to_owned(),
            });
        }
        let site = candidate.config.site(self.datapath.features().dpid);
        if objections.is_empty() {
            objections.extend(self.controller.iter().zip(&site).flat_map(|(c, site)| c.objections(site)).map(
                |(about, refusal)| {
                    let (key, entry) = match about {
                        About::Server(address) => ("server", Some(address.to_string())),
                        About::Guests => ("hosting.guest", None),
                        About::Pool => ("hosting.pool", None),
                    };
                    Objection { key, entry, what: refusal.text, remedy: refusal.remedy }
                },
            ));
        }
        let config = &candidate.config;
        let peers = self.changer.as_ref().map(|changer| changer.prepare(&config.peers, config.peer_timers)).transpose();
        let peers = peers.map_err(|error| match error {
            PeeringError::Config { peer, problem } => {
                let (entry, remedy) = (Some(peer), "correct this [[peer]]".to_owned());
                candidate.refused(vec![Objection { key: "peer", entry, what: problem, remedy }]).into()
            }
            other => No::Refused(other.to_string()),
        })?;
        if !objections.is_empty() {
            return Err(candidate.refused(objections).into());
        }
        let records = super::records(&self.store).map_err(|error| No::Refused(error.to_string()))?;
        Ok(Ready { config: candidate.config, peers, site, records })
    }

    /// Reads the file, and the certificate that it names.
    async fn read(&self) -> Result<(Candidate, Option<Fingerprint>), No> {
        let path = self.config.path.clone();
        let read = tokio::task::spawn_blocking(move || {
            let candidate = Candidate::load(&path).map_err(No::from)?;
            let peering = candidate.config.peering.as_ref();
            let identity = peering.map(|p| Identity::load(&p.certificate, &p.private_key)).transpose();
            let identity = identity.map_err(|error| No::Refused(StartError::from(error).to_string()))?;
            Ok((candidate, identity.map(|i| i.fingerprint())))
        });
        match timeout(PATIENCE, read).await {
            Ok(Ok(read)) => read,
            Ok(Err(error)) => Err(No::Refused(format!("the file was not read: {error}"))),
            Err(_) => {
                let (file, patience) = (self.config.path.display(), PATIENCE.as_secs());
                Err(No::Refused(format!(
                    "{file} cannot be read within {patience} s; check what it and its keys are on"
                )))
            }
        }
    }

    /// One line on how the site is, for the service manager.
    pub(super) fn summary(&self) -> String {
        let (up, all) = self.peers.count();
        let switch = match (super::report::uncontrolled(self), self.active) {
            (Some(_), _) => "no session with the switch, which keeps its flows",
            (None, true) => "forwarding",
            (None, false) => "waiting for a controller",
        };
        format!("site {}: {switch}, {up} of {all} peers up", self.config.site)
    }
}
