//! The command line of `cargo xtask`: see the library for what each verb does.

use std::process::ExitCode;

use clap::Parser as _;

fn main() -> ExitCode {
    xtask::cli::run(xtask::cli::Cli::parse())
}
