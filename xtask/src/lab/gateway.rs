//! A gateway box: the `wamig` daemon of a site, its configuration and its interface.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde::de::DeserializeOwned;

use super::audit::Explanation;
use super::family::{Families, Family};
use super::journal::Journal;
use super::process::Process;
use super::status::{Flow, Status};
use super::topology::{POOL, POOL6, SERVER, SERVER_MAC, Site, mac_text};
use super::{signals, switch};
use crate::conformance::ovs;

/// What a test changes about a site's configuration.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Settings {
    /// DC2's transfer addresses of IPv4.
    pub pool: String,
    /// DC2's transfer addresses of IPv6.
    pub pool6: String,
    /// Lines for `[timers]`.
    pub timers: String,
    /// Lines for `[learning]`.
    pub learning: String,
    /// The site shows a certificate that the other one does not know.
    pub stranger: bool,
    /// Its switch.
    pub switch: switch::Kind,
    /// Which datapath Open vSwitch has.
    pub datapath: ovs::Datapath,
    /// Lines for `[switch.remote]`.
    pub remote: String,
    /// The daemon listens at [`Gateway::daemon_socket`], so that a test can stand in the middle.
    pub in_the_middle: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            pool: POOL.to_owned(),
            pool6: POOL6.to_owned(),
            timers: String::new(),
            learning: String::new(),
            stranger: false,
            switch: switch::Kind::default(),
            datapath: ovs::Datapath::default(),
            remote: String::new(),
            in_the_middle: false,
        }
    }
}

/// A site's gateway box.
pub struct Gateway {
    site: Site,
    namespace: String,
    wamig: PathBuf,
    dir: PathBuf,
    pins: PathBuf,
    process: Option<Process>,
}

impl Gateway {
    /// The gateway box of `site` in `namespace`; the daemon `wamig` is not started yet. Its
    /// pins go below `bpffs`.
    ///
    /// # Errors
    /// Its directory cannot be made.
    pub fn new(journal: &Journal, site: Site, namespace: String, wamig: &Path, bpffs: &Path) -> Result<Self> {
        let dir = journal.dir().join(site.name());
        fs::create_dir_all(&dir)?;
        let pins = bpffs.join(site.name());
        Ok(Self { site, namespace, wamig: wamig.to_owned(), dir, pins, process: None })
    }

    /// Its site.
    pub fn site(&self) -> Site {
        self.site
    }

    /// Its configuration file.
    pub fn config(&self) -> PathBuf {
        self.dir.join("wamig.toml")
    }

    /// The daemon's control socket.
    pub fn socket(&self) -> PathBuf {
        self.dir.join("ctl.sock")
    }

    /// The daemon's log.
    pub fn log(&self) -> PathBuf {
        self.dir.join("log")
    }

    /// Where its links and maps are pinned.
    pub fn pins(&self) -> &Path {
        &self.pins
    }

    /// Makes a key and a certificate; its fingerprint as the other site has to configure it.
    ///
    /// # Errors
    /// `wamig keygen` fails or prints no fingerprint.
    pub fn keygen(&self, into: &str) -> Result<String> {
        let dir = self.dir.join(into);
        fs::create_dir_all(&dir)?;
        let dir = dir.to_str().context("the lab's directory is no text")?;
        let output = self.run(&["keygen", "--site", self.site.name(), "--out", dir])?;
        let words = String::from_utf8_lossy(&output.stdout);
        let fingerprint = words.split_whitespace().find(|word| word.starts_with("sha256:"));
        Ok(fingerprint.with_context(|| format!("`wamig keygen` printed no fingerprint: {words}"))?.to_owned())
    }

    /// Writes the configuration; `peer_fingerprint` is that of the other site's certificate.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn configure(&self, settings: &Settings, families: Families, peer_fingerprint: &str) -> Result<()> {
        Ok(fs::write(self.config(), self.configuration(settings, families, peer_fingerprint))?)
    }

    fn configuration(&self, settings: &Settings, families: Families, peer_fingerprint: &str) -> String {
        let (site, other) = (self.site, self.site.other());
        let n = site.number();
        let lan: String = families.each().iter().map(|family| lan_keys(*family, site)).collect();
        let [up, lan1, srv] = match settings.switch {
            switch::Kind::Xdp | switch::Kind::Ovs(_) | switch::Kind::Elsewhere(_) => ["up", "lan1", "srv"],
            switch::Kind::Pair => ["leaf1:up", "leaf1:lan1", "leaf2:srv"],
        };
        let keys = if settings.stranger { "stranger" } else { "keys" };
        let part = match site {
            Site::Dc1 => families.each().iter().map(|family| server_entry(*family, other)).collect(),
            Site::Dc2 => hosting(settings, families, srv, other),
        };
        format!(
            r#"site = "{name}"
state_dir = "{dir}/state"
control_socket = "{socket}"

[switch]
ports = ["{up}", "{lan1}", "{srv}"]
{switch}

[lan]
uplink = "{up}"
{lan}mac = "02:57:4d:00:00:{n:02x}"

[peering]
listen = "{listen}:7946"
certificate = "{keys}/{name}.pem"
private_key = "{keys}/{name}.key"

[[peer]]
name = "{other_name}"
endpoint = "{endpoint}:7946"
fingerprint = "{peer_fingerprint}"

{part}
[learning]
{learning}

[timers]
{timers}
"#,
            name = site.name(),
            dir = self.dir.display(),
            socket = self.socket().display(),
            switch = self.switch_keys(settings),
            listen = site.management(),
            other_name = other.name(),
            endpoint = other.management(),
            learning = settings.learning,
            timers = settings.timers,
        )
    }

    fn switch_keys(&self, settings: &Settings) -> String {
        let id = format!("datapath_id = \"{:016x}\"\n", self.site.number());
        match settings.switch {
            switch::Kind::Xdp => format!("{id}pin_path = \"{}\"", self.pins.display()),
            switch::Kind::Pair => switch::pair_keys(self.site, &self.switch_dir()),
            switch::Kind::Ovs(profile) | switch::Kind::Elsewhere(profile) => {
                let middle = settings.in_the_middle.then(|| self.daemon_socket());
                let (socket, profile) = (middle.unwrap_or_else(|| self.switch_socket()), profile.as_str());
                let more = &settings.remote;
                format!(
                    "{id}[switch.remote]\nlisten = [\"punix:{}\"]\nprofile = \"{profile}\"\n{more}",
                    socket.display()
                )
            }
        }
    }

    /// Where the daemon waits for a switch if somebody stands in the middle.
    pub fn daemon_socket(&self) -> PathBuf {
        self.dir.join("daemon.sock")
    }

    /// Where the daemon waits for a switch that is not its own: the one place where Open
    /// vSwitch agrees to connect to a unix socket.
    pub fn switch_socket(&self) -> PathBuf {
        switch::socket(&self.switch_dir(), "br0")
    }

    /// Where a switch that is not the daemon's own has its database and its sockets.
    pub fn switch_dir(&self) -> PathBuf {
        self.dir.join("ovs")
    }

    /// Starts a switch that is not the daemon's own, if the site has one.
    ///
    /// # Errors
    /// As [`switch::start`], or what the other `wamig` says.
    pub fn start_switch(&self, settings: &Settings, journal: &Journal) -> Result<()> {
        match settings.switch {
            switch::Kind::Xdp => Ok(()),
            switch::Kind::Ovs(profile) => {
                let kind = (profile.protocol(), settings.datapath);
                switch::start(journal, self.site, kind, &self.namespace, &self.dir, &self.switch_socket())
            }
            switch::Kind::Pair => switch::start_pair(journal, self.site, settings.datapath, &self.namespace, &self.dir),
            switch::Kind::Elsewhere(profile) => self.start_elsewhere(profile, journal),
        }
    }

    /// Another `wamig` that only switches. It ends with the lab.
    fn start_elsewhere(&self, profile: switch::Profile, journal: &Journal) -> Result<()> {
        let dir = self.switch_dir();
        fs::create_dir_all(&dir)?;
        let config = dir.join("wamig.toml");
        let text = format!(
            "site = \"switch\"\nstate_dir = \"state\"\ncontrol_socket = \"ctl.sock\"\n\n\
             [switch]\ndatapath_id = \"{:016x}\"\nports = [\"up\", \"lan1\", \"srv\"]\npin_path = \"{}\"\n\
             control = \"openflow\"\n\n[openflow]\ncontrollers = [\"unix:{}\"]\nprotocols = [\"{}\"]\n",
            self.site.number(),
            self.pins.display(),
            self.switch_socket().display(),
            profile.protocol()
        );
        fs::write(&config, text)?;
        let config = config.to_str().context("the lab's directory is no text")?;
        let label = format!("switch of {}", self.site.title());
        let args = ["run", "--config", config];
        Process::start(journal, &label, &self.namespace, &self.wamig, &args, &dir.join("log"), false).map(drop)
    }

    /// Starts the daemon; returns when it answers `wamig status`.
    ///
    /// # Errors
    /// It ends or says nothing; its last words are in the error.
    pub fn start(&mut self, journal: &Journal) -> Result<()> {
        ensure!(self.process.is_none(), "the daemon of {} runs already", self.site.title());
        let label = format!("wamig at {}", self.site.title());
        let config = self.config();
        let config = config.to_str().context("the lab's directory is no text")?;
        let args = ["run", "--config", config];
        let mut process = Process::start(journal, &label, &self.namespace, &self.wamig, &args, &self.log(), false)?;
        let deadline = Instant::now() + Duration::from_secs(40);
        loop {
            signals::check()?;
            match self.status() {
                Ok(_) => break,
                Err(error) if !process.running() || Instant::now() > deadline => {
                    bail!("{label} does not run: {error:#}\n{}", process.last_words(15));
                }
                Err(_) => std::thread::sleep(Duration::from_millis(50)),
            }
        }
        self.process = Some(process);
        Ok(())
    }

    /// Whether the daemon runs.
    pub fn running(&mut self) -> bool {
        self.process.as_mut().is_some_and(Process::running)
    }

    /// Stops the daemon; the data path goes on forwarding.
    ///
    /// # Errors
    /// It does not end by itself when it is asked to.
    pub fn stop(&mut self) -> Result<()> {
        match self.process.take() {
            Some(mut process) => {
                let status = process.stop(Duration::from_secs(5))?;
                ensure!(status.success(), "{} ended with {status}:\n{}", process.label(), process.last_words(15));
                Ok(())
            }
            None => Ok(()),
        }
    }

    /// Ends the daemon at once, as a loss of power would.
    ///
    /// # Errors
    /// None runs.
    pub fn kill(&mut self) -> Result<()> {
        let mut process = self.process.take().with_context(|| format!("no daemon runs at {}", self.site.title()))?;
        process.kill()
    }

    /// Takes the data path down.
    ///
    /// # Errors
    /// `wamig detach` says why it cannot.
    pub fn detach(&self) -> Result<()> {
        let config = self.config();
        let config = config.to_str().context("the lab's directory is no text")?;
        self.run(&["detach", "--config", config]).map(drop)
    }

    /// `wamig status`.
    ///
    /// # Errors
    /// The daemon does not answer, or not as the interface says.
    pub fn status(&self) -> Result<Status> {
        self.ask(&["status"])
    }

    /// `wamig flows`.
    ///
    /// # Errors
    /// As [`Self::status`].
    pub fn flows(&self) -> Result<Vec<Flow>> {
        self.ask(&["flows"])
    }

    /// `wamig explain`, for the server's address.
    ///
    /// # Errors
    /// As [`Self::status`].
    pub fn explain(&self) -> Result<Explanation> {
        self.ask(&["explain", &SERVER.to_string()])
    }

    /// An operator's order about the server, such as `["prepare", "--to", "dc2"]`; what `wamig` prints.
    ///
    /// # Errors
    /// It is refused, with the reason and the remedy.
    pub fn order(&self, verb: &[&str], reason: &str) -> Result<String> {
        let (address, socket) = (SERVER.to_string(), self.socket());
        let socket = socket.to_str().context("the lab's directory is no text")?;
        let output = self.run(&[verb, &[&address, "--reason", reason, "--socket", socket]].concat())?;
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    fn ask<T: DeserializeOwned>(&self, verb: &[&str]) -> Result<T> {
        let socket = self.socket();
        let socket = socket.to_str().context("the lab's directory is no text")?;
        let output = self.run(&[verb, &["--socket", socket, "-o", "json"]].concat())?;
        let said = || format!("`wamig {} -o json` says {}", verb.join(" "), String::from_utf8_lossy(&output.stdout));
        serde_json::from_slice(&output.stdout).with_context(said)
    }

    fn run(&self, args: &[&str]) -> Result<Output> {
        let output = Command::new(&self.wamig)
            .args(args)
            .stdin(Stdio::null())
            .output()
            .with_context(|| format!("cannot run {}", self.wamig.display()))?;
        if !output.status.success() {
            bail!("`wamig {}` failed: {}", args.join(" "), String::from_utf8_lossy(&output.stderr).trim());
        }
        Ok(output)
    }

    /// The last lines of the daemon's log.
    pub fn last_words(&self, lines: usize) -> String {
        super::process::last_words(&self.log(), lines)
    }
}

/// A LAN's prefix and router in a family.
fn lan_keys(family: Family, site: Site) -> String {
    let (prefix, gateway) = (family.plan().prefix(site), family.plan().gateway(site));
    match family {
        Family::V4 => format!("prefix = \"{prefix}\"\ngateway = \"{gateway}\"\n"),
        Family::V6 => format!("prefix6 = \"{prefix}\"\ngateway6 = \"{gateway}\"\n"),
    }
}

/// The server, by one of its addresses.
fn server_entry(family: Family, host: Site) -> String {
    let (server, mac) = (family.plan().server, mac_text(SERVER_MAC));
    format!("[[server]]\naddress = \"{server}\"\nmac = \"{mac}\"\nhosts = [\"{}\"]\n", host.name())
}

/// What the host site lends, and to whom.
fn hosting(settings: &Settings, families: Families, port: &str, home: Site) -> String {
    let list = |of: &dyn Fn(Family) -> String| families.each().iter().map(|f| of(*f)).collect::<Vec<_>>().join(", ");
    let pool = list(&|family| match family {
        Family::V4 => format!("\"{}\"", settings.pool),
        Family::V6 => format!("\"{}\"", settings.pool6),
    });
    let prefixes = list(&|family| format!("\"{}\"", family.plan().prefix(home)));
    format!(
        "[hosting]\nports = [\"{port}\"]\npool = [{pool}]\n\n\
         [[hosting.guest]]\npeer = \"{}\"\nprefixes = [{prefixes}]\n",
        home.name()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lan_has_the_keys_of_its_families_only() {
        assert_eq!(lan_keys(Family::V4, Site::Dc2), "prefix = \"198.51.100.0/24\"\ngateway = \"198.51.100.1\"\n");
        assert_eq!(lan_keys(Family::V6, Site::Dc1), "prefix6 = \"2001:db8:1::/64\"\ngateway6 = \"fe80::1\"\n");
    }

    #[test]
    fn either_family_is_lent_in_one_list() {
        let text = hosting(&Settings::default(), Families::Dual, "srv", Site::Dc1);
        assert!(
            text.contains("pool = [\"198.51.100.200-198.51.100.209\", \"2001:db8:2::c8-2001:db8:2::d1\"]"),
            "{text}"
        );
        assert!(text.contains("prefixes = [\"192.0.2.0/24\", \"2001:db8:1::/64\"]"), "{text}");
    }
}
