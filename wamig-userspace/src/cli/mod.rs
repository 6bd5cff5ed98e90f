//! The verbs of `wamig`, one file each. `run` is the daemon; the others are clients of its
//! socket or need none.
//!
//! Exit codes: 0 done, 1 not done (the reason is on stderr), 2 the command line is wrong.

mod assume_dead;
mod check_config;
mod detach;
mod explain;
mod export_flows;
mod flows;
mod freeze;
mod keygen;
mod layout;
mod move_to;
mod order;
mod prepare;
mod reload;
mod return_home;
mod run;
mod status;
mod trace;
mod unfreeze;
mod unprepare;

use std::ffi::OsString;
use std::io::IsTerminal;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::config::{Config, DEFAULT_SOCKET};

/// Where the configuration is unless told otherwise.
pub const DEFAULT_CONFIG: &str = "/etc/wamig/wamig.toml";

/// The command line.
#[derive(Parser, Debug)]
#[command(
    name = "wamig",
    version,
    about = "Moves servers between sites without changing their addresses",
    long_about = "wamig is an edge switch (XDP, OpenFlow tables) with a controller that notices when a server \
                  boots at another site and steers its traffic there, and back when it returns.\n\n\
                  `wamig run` is the daemon of one site. Stopping it leaves the data path forwarding; \
                  `wamig detach` takes the data path down.",
    after_help = "Exit codes: 0 done, 1 not done (the reason is on stderr), 2 the command line is wrong.",
    subcommand_required = true,
    arg_required_else_help = true
)]
pub struct Cli {
    /// Log filter, e.g. "info" or "wamig_userspace::migration=debug" [default: RUST_LOG, else info]
    #[arg(long, global = true, value_name = "FILTER")]
    pub log: Option<String>,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand, Debug)]
enum Verb {
    Run(run::Arguments),
    CheckConfig(check_config::Arguments),
    Keygen(keygen::Arguments),
    Status(status::Arguments),
    Explain(explain::Arguments),
    Freeze(freeze::Arguments),
    Unfreeze(unfreeze::Arguments),
    Move(move_to::Arguments),
    Prepare(prepare::Arguments),
    Unprepare(unprepare::Arguments),
    Return(return_home::Arguments),
    AssumeDead(assume_dead::Arguments),
    Reload(reload::Arguments),
    Flows(flows::Arguments),
    Trace(trace::Arguments),
    ExportFlows(export_flows::Arguments),
    Detach(detach::Arguments),
}

/// Which daemon a client verb talks to.
#[derive(Args, Debug)]
struct Target {
    /// The daemon's control socket [default: /run/wamig/ctl.sock]
    #[arg(long, value_name = "PATH")]
    socket: Option<PathBuf>,
    /// Take the control socket from this configuration file
    #[arg(long, value_name = "FILE", conflicts_with = "socket")]
    config: Option<PathBuf>,
}

impl Target {
    fn socket(&self) -> anyhow::Result<PathBuf> {
        match (&self.socket, &self.config) {
            (Some(path), _) => Ok(path.clone()),
            (None, Some(file)) => Ok(Config::control_socket_of(file)?),
            (None, None) => Ok(PathBuf::from(DEFAULT_SOCKET)),
        }
    }
}

/// The form of the answer.
#[derive(ValueEnum, Clone, Copy, PartialEq, Eq, Debug)]
enum Format {
    /// For people
    Table,
    /// For machines
    Json,
}

/// Runs the command line of this process.
pub fn main() -> ExitCode {
    carry_out(std::env::args_os())
}

/// Runs a command line; its first word is the program's name.
fn carry_out(words: impl IntoIterator<Item = OsString>) -> ExitCode {
    let cli = match Cli::try_parse_from(words) {
        Ok(cli) => cli,
        Err(e) => {
            // Help and version are no mistakes; clap knows which stream each goes to. Nothing
            // can be done about a stream that is closed.
            let _ = e.print();
            return ExitCode::from(e.exit_code() as u8);
        }
    };
    if let Err(e) = start_log(cli.log.as_deref()) {
        eprintln!("wamig: {e}");
        return ExitCode::from(2);
    }
    let done = match &cli.verb {
        Verb::Run(arguments) => run::run(arguments),
        Verb::CheckConfig(arguments) => check_config::run(arguments),
        Verb::Keygen(arguments) => keygen::run(arguments),
        Verb::Status(arguments) => status::run(arguments),
        Verb::Explain(arguments) => explain::run(arguments),
        Verb::Freeze(arguments) => freeze::run(arguments),
        Verb::Unfreeze(arguments) => unfreeze::run(arguments),
        Verb::Move(arguments) => move_to::run(arguments),
        Verb::Prepare(arguments) => prepare::run(arguments),
        Verb::Unprepare(arguments) => unprepare::run(arguments),
        Verb::Return(arguments) => return_home::run(arguments),
        Verb::AssumeDead(arguments) => assume_dead::run(arguments),
        Verb::Reload(arguments) => reload::run(arguments),
        Verb::Flows(arguments) => flows::run(arguments),
        Verb::Trace(arguments) => trace::run(arguments),
        Verb::ExportFlows(arguments) => export_flows::run(arguments),
        Verb::Detach(arguments) => detach::run(arguments),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            // Each error tells its cause itself, before the remedy.
            eprintln!("wamig: {e}");
            ExitCode::FAILURE
        }
    }
}

/// Logs to stderr by `--log`, else by `RUST_LOG`, else at level info.
fn start_log(filter: Option<&str>) -> Result<(), String> {
    use tracing_subscriber::EnvFilter;
    let from_environment = std::env::var("RUST_LOG").ok().filter(|f| !f.is_empty());
    let wanted = filter.map(str::to_owned).or(from_environment).unwrap_or_else(|| "info".to_owned());
    let filter = EnvFilter::try_new(&wanted).map_err(|e| {
        format!("{wanted:?} is no log filter: {e}; allowed: error, warn, info, debug, trace, or MODULE=LEVEL,…")
    })?;
    // A second call in one process, as in tests, leaves the first in force.
    let _ = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .try_init();
    Ok(())
}

/// Prints to stdout; a reader that has gone away (`| head`) is no mistake.
fn print(text: &str) -> anyhow::Result<()> {
    use std::io::{ErrorKind, Write};
    match std::io::stdout().lock().write_all(text.as_bytes()) {
        Err(e) if e.kind() == ErrorKind::BrokenPipe => Ok(()),
        other => Ok(other?),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_verb_explains_itself() {
        for verb in Cli::command().get_subcommands() {
            let name = verb.get_name();
            assert!(verb.get_about().is_some(), "{name} has no summary");
            let long = verb.get_long_about().unwrap_or_else(|| panic!("{name} has no long help")).to_string();
            assert!(long.contains(&format!("wamig {name}")), "{name} has no example");
            for argument in verb.get_arguments() {
                assert!(argument.get_help().is_some(), "{name} --{} has no help", argument.get_id());
            }
        }
    }

    #[test]
    fn a_wrong_command_line_is_told_from_a_failure() {
        let code = |words: &[&str]| carry_out(words.iter().map(OsString::from));
        assert_eq!(code(&["wamig", "fly"]), ExitCode::from(2));
        assert_eq!(code(&["wamig"]), ExitCode::from(2));
        assert_eq!(code(&["wamig", "status", "--socket", "a", "--config", "b"]), ExitCode::from(2));
        assert_eq!(code(&["wamig", "--log", "a=b=c", "status"]), ExitCode::from(2));
        assert_eq!(code(&["wamig", "status", "--socket", "/nowhere/ctl.sock"]), ExitCode::FAILURE);
        assert_eq!(code(&["wamig", "--help"]), ExitCode::SUCCESS);
    }
}
