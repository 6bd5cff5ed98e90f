//! Open vSwitch's `ovs-ofctl`: a controller's tool that knows every message.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail, ensure};

/// Seconds after which it gives up by itself.
const PATIENCE: &str = "--timeout=20";

/// How one switch is spoken to.
#[derive(Clone, Debug)]
pub struct Ofctl {
    version: &'static str,
    target: String,
    namespace: String,
    dir: PathBuf,
    /// What every command gets besides.
    pub options: Vec<&'static str>,
}

/// What a run said.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Said {
    /// Its exit code.
    pub code: i32,
    /// What it printed.
    pub out: String,
    /// What it complained about.
    pub err: String,
}

/// Whether it is installed.
pub fn installed() -> bool {
    Path::new("/usr/bin/ovs-ofctl").exists()
}

impl Ofctl {
    /// Speaks `version` to `target` from `namespace`; its own files go to `dir`.
    pub fn new(version: &'static str, target: &str, namespace: &str, dir: &Path) -> Self {
        Self {
            version,
            target: target.to_owned(),
            namespace: namespace.to_owned(),
            dir: dir.to_owned(),
            options: Vec::new(),
        }
    }

    /// The version that it speaks.
    pub fn version(&self) -> &'static str {
        self.version
    }

    /// The same with `options` for every command.
    #[must_use]
    pub fn with(mut self, options: &[&'static str]) -> Self {
        self.options.extend(options);
        self
    }

    /// `ovs-ofctl`'s own arguments for a command.
    pub fn words<'a>(&'a self, command: &'a str, args: &[&'a str]) -> Vec<&'a str> {
        let mut words = vec!["-O", self.version, PATIENCE];
        words.extend(&self.options);
        words.extend([command, &self.target]);
        words.extend(args);
        words
    }

    /// Runs a command to its end.
    ///
    /// # Errors
    /// It cannot be run, or was killed.
    pub fn run(&self, command: &str, args: &[&str]) -> Result<Said> {
        let output = Command::new("nsenter")
            .arg(format!("--net=/run/netns/{}", self.namespace))
            .arg("ovs-ofctl")
            .args(self.words(command, args))
            .env("OVS_RUNDIR", &self.dir)
            .stdin(Stdio::null())
            .output()
            .context("cannot run nsenter (Debian package util-linux)")?;
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        let code =
            output.status.code().with_context(|| format!("`ovs-ofctl {command}` was killed: {}", output.status))?;
        Ok(Said { code, out: text(output.stdout), err: text(output.stderr) })
    }

    /// Runs a command that has to succeed and to complain about nothing; what it prints.
    ///
    /// # Errors
    /// It fails or complains.
    pub fn tell(&self, command: &str, args: &[&str]) -> Result<String> {
        let said = self.run(command, args)?;
        if said.code != 0 || !said.err.is_empty() {
            bail!(
                "`ovs-ofctl {}`: exit code {}:\n{}{}",
                self.words(command, args).join(" "),
                said.code,
                said.out,
                said.err
            );
        }
        Ok(said.out)
    }

    /// Runs a command that prints nothing when it succeeds, as it has to.
    ///
    /// # Errors
    /// It fails or says anything.
    pub fn quiet(&self, command: &str, args: &[&str]) -> Result<()> {
        let out = self.tell(command, args)?;
        ensure!(out.is_empty(), "`ovs-ofctl {}` says {out}", self.words(command, args).join(" "));
        Ok(())
    }

    /// Runs a command that the switch has to refuse; what it says about it.
    ///
    /// # Errors
    /// It succeeds.
    pub fn refused(&self, command: &str, args: &[&str]) -> Result<String> {
        let said = self.run(command, args)?;
        ensure!(said.code != 0, "`ovs-ofctl {}` succeeds: {}", self.words(command, args).join(" "), said.out);
        Ok(said.out + &said.err)
    }

    /// The flows that `filter` chooses, without counters, in the order of their text.
    ///
    /// # Errors
    /// As [`Self::tell`].
    pub fn flows(&self, filter: &[&str]) -> Result<Vec<String>> {
        let args: Vec<&str> = ["--no-stats"].iter().chain(filter).copied().collect();
        let out = self.tell("dump-flows", &args)?;
        let mut flows: Vec<String> =
            out.lines().filter_map(|line| line.strip_prefix(' ')).map(|line| line.trim().to_owned()).collect();
        flows.sort();
        Ok(flows)
    }
}
