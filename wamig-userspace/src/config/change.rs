//! The file read anew while the daemon runs: which keys differ, which of them can take effect at
//! once, and the words for those that cannot.
//!
//! [`keys`] is the one place that says so. It takes the configuration apart, so that a key that
//! is new has to be put in it; README.md has its table.

use std::fmt::Display;
use std::ops::Range;
use std::path::Path;

use toml::de::{DeTable, DeValue};

use super::error::{ConfigError, Mistakes};
use super::{Config, Peering, Switch};
use crate::migration::config::Hosting;

/// What it takes for a changed key to have effect.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Takes {
    /// `wamig reload`, or SIGHUP.
    Reload,
    /// A restart of the daemon.
    Restart,
}

/// A key of the file, or a section that is taken as one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Key {
    /// As in the file, with dots.
    pub name: &'static str,
    /// What it takes.
    pub takes: Takes,
    /// It is not as it was.
    pub differs: bool,
}

/// Every key, compared.
pub fn keys(old: &Config, new: &Config) -> Vec<Key> {
    let Config {
        path: _,
        site,
        state_dir,
        control_socket,
        metrics,
        switch,
        lan,
        openflow,
        peering,
        peers,
        servers,
        hosting,
        learning,
        damping,
        timers,
        peer_timers,
    } = old;
    let Switch { datapath_id, ports, local, pin_path, xdp_mode, in_band, limits, control, remote, fabric } = switch;
    let of_peering = |differs: fn(&Peering, &Peering) -> bool| match (peering, &new.peering) {
        (Some(old), Some(new)) => differs(old, new),
        (None, None) => false,
        _ => true,
    };
    let Hosting { ports: hosting_ports, pool, quarantine, ready, guests } = hosting;
    let reload = |name, differs| Key { name, takes: Takes::Reload, differs };
    let restart = |name, differs| Key { name, takes: Takes::Restart, differs };
    vec![
        restart("site", *site != new.site),
        restart("state_dir", *state_dir != new.state_dir),
        restart("control_socket", *control_socket != new.control_socket),
        restart("metrics", *metrics != new.metrics),
        restart("switch.datapath_id", *datapath_id != new.switch.datapath_id),
        restart("switch.ports", *ports != new.switch.ports),
        restart("switch.local", *local != new.switch.local),
        restart("switch.pin_path", *pin_path != new.switch.pin_path),
        restart("switch.xdp_mode", *xdp_mode != new.switch.xdp_mode),
        restart("switch.in_band", *in_band != new.switch.in_band),
        restart("switch.limits", *limits != new.switch.limits),
        restart("switch.control", *control != new.switch.control),
        restart("switch.remote", *remote != new.switch.remote),
        // `[[switch.link]]` has no meaning without members.
        restart("switch.member", *fabric != new.switch.fabric),
        restart("lan", *lan != new.lan),
        restart("openflow", *openflow != new.openflow),
        restart("peering.listen", of_peering(|a, b| a.listen != b.listen)),
        restart("peering.certificate", of_peering(|a, b| a.certificate != b.certificate)),
        restart("peering.private_key", of_peering(|a, b| a.private_key != b.private_key)),
        restart("hosting.ports", *hosting_ports != new.hosting.ports),
        restart("learning", *learning != new.learning),
        reload("peer", *peers != new.peers),
        reload("server", *servers != new.servers),
        reload("hosting.pool", *pool != new.hosting.pool),
        reload("hosting.ready", *ready != new.hosting.ready),
        reload("hosting.quarantine_s", *quarantine != new.hosting.quarantine),
        reload("hosting.guest", *guests != new.hosting.guests),
        reload("damping", *damping != new.damping),
        reload("timers", *timers != new.timers || *peer_timers != new.peer_timers),
    ]
}

/// What a reload changes, a line for each thing; empty = nothing.
pub fn changes(old: &Config, new: &Config) -> Vec<String> {
    let mut lines = Vec::new();
    for key in keys(old, new).into_iter().filter(|k| k.differs) {
        let before = lines.len();
        match key.name {
            "peer" => items(&mut lines, key.name, &old.peers, &new.peers, |p| &p.name),
            "server" => items(&mut lines, key.name, &old.servers, &new.servers, |s| &s.address),
            "hosting.guest" => items(&mut lines, key.name, &old.hosting.guests, &new.hosting.guests, |g| &g.peer),
            "hosting.pool" => items(&mut lines, key.name, &old.hosting.pool, &new.hosting.pool, |r| r),
            _ => {}
        }
        if lines.len() == before {
            lines.push(format!("{}: changed", key.name));
        }
    }
    lines
}

/// What was added, removed and changed in a list whose entries have names.
fn items<T: PartialEq, N: PartialEq + Display>(
    lines: &mut Vec<String>,
    key: &str,
    old: &[T],
    new: &[T],
    name: impl Fn(&T) -> &N,
) {
    for gone in old.iter().filter(|o| !new.iter().any(|n| name(n) == name(o))) {
        lines.push(format!("{key} {}: removed", name(gone)));
    }
    for item in new {
        match old.iter().find(|o| name(o) == name(item)) {
            None => lines.push(format!("{key} {}: added", name(item))),
            Some(before) if before != item => lines.push(format!("{key} {}: changed", name(item))),
            Some(_) => {}
        }
    }
}

/// Something that stands in the way of a reload.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Objection {
    /// The key, as [`Key::name`].
    pub key: &'static str,
    /// The entry of a list that it is about: the value of one of its keys.
    pub entry: Option<String>,
    /// What stands in the way.
    pub what: String,
    /// What to do about it.
    pub remedy: String,
}

/// A file that is good, as it was read anew.
#[derive(Clone, Debug)]
pub struct Candidate {
    /// What it says.
    pub config: Config,
    text: String,
}

impl Candidate {
    /// Reads and checks a file, as [`Config::load`] does.
    ///
    /// # Errors
    /// As there.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let text = super::read(path)?;
        Ok(Self { config: Config::parse(path, &text)?, text })
    }

    /// The keys that differ from what is in force and cannot take effect.
    pub fn fixed(&self, in_force: &Config) -> Vec<Objection> {
        let fixed = keys(in_force, &self.config).into_iter().filter(|k| k.differs && k.takes == Takes::Restart);
        let objection = |k: Key| Objection {
            key: k.name,
            entry: None,
            what: format!("{} cannot change while wamig runs", k.name),
            remedy: "restart wamig, or put it back".to_owned(),
        };
        fixed.map(objection).collect()
    }

    /// The objections at their places in the file. Where the key is not there any more, the place
    /// is that of its section, or the beginning.
    pub fn refused(&self, objections: Vec<Objection>) -> ConfigError {
        let mut mistakes = Mistakes::new(&self.text);
        for o in objections {
            mistakes.add(self.place(o.key, o.entry.as_deref()), o.what, o.remedy);
        }
        let mistakes = mistakes.finish().unwrap_or_default();
        ConfigError::Mistakes { path: self.config.path.clone(), mistakes }
    }

    fn place(&self, key: &str, entry: Option<&str>) -> Range<usize> {
        let Ok(table) = DeTable::parse(&self.text) else { return 0..0 };
        let root = DeValue::Table(table.into_inner());
        let (mut place, mut value) = (0..0, &root);
        for part in key.split('.') {
            let Some(inner) = value.get(part) else { return place };
            (place, value) = (inner.span(), inner.get_ref());
        }
        let DeValue::Array(list) = value else { return place };
        let is = |v: &DeValue<'_>| match v {
            DeValue::Table(table) => table.values().any(|v| v.get_ref().as_str() == entry),
            other => other.as_str() == entry,
        };
        let found = entry.and_then(|_| list.iter().find(|v| is(v.get_ref())));
        found.or_else(|| list.first().filter(|v| v.get_ref().is_table())).map_or(place, toml::Spanned::span)
    }
}

#[cfg(test)]
mod tests;
