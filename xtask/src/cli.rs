//! The verbs of `cargo xtask`, one line of dispatch each.

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::bpf;

/// Build, test and demonstrate wamig.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
pub struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Build the XDP object into target/bpf/wamig.bpf.o, unless it is up to date
    BuildEbpf(bpf::build::Options),
    /// Build the pinned bpf-linker for the chosen BPF toolchain and print its path
    BpfLinker,
}

/// Run one verb; an error is printed with its causes and becomes exit status 1.
pub fn run(cli: Cli) -> ExitCode {
    let done = match cli.verb {
        Verb::BuildEbpf(options) => bpf::build::run(&options),
        Verb::BpfLinker => bpf::linker::run(),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
