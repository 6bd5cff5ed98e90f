//! The verbs of `cargo xtask`, one line of dispatch each.

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::{
    bench, bpf, conformance, fuzz, interrupt, lab, lint, suite,
    tally::{Skips, Tally},
};

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
    /// Check layout, clippy, documentation and the house rules
    Lint,
    /// Run the tests and checks; the last line counts them
    Test(suite::Options),
    /// Measure the data path and say which targets are met (needs root)
    Bench(bench::Options),
    /// Run fuzz targets on the entry points of what comes from outside
    Fuzz(fuzz::Options),
    /// Run os-ken's OpenFlow switch tester against wamig and count what passes (needs root)
    Conformance(conformance::Options),
    /// Play the paper's experiment in network namespaces (needs root)
    Demo(lab::demo::Demo),
    /// Poke at the two sites that `demo --keep` left up (needs root)
    Lab(lab::poke::Poke),
}

/// Run one verb; an error is printed with its causes and becomes exit status 1.
pub fn run(cli: Cli) -> ExitCode {
    let done = match cli.verb {
        Verb::BuildEbpf(options) => interrupt::watch().and_then(|()| bpf::build::run(&options)).map(done),
        Verb::BpfLinker => interrupt::watch().and_then(|()| bpf::linker::run()).map(done),
        Verb::Lint => interrupt::watch().and_then(|()| lint::run()).map(close),
        Verb::Test(options) => suite::run(&options),
        Verb::Conformance(options) => interrupt::watch().and_then(|()| conformance::run(&options)).map(done),
        Verb::Bench(options) => interrupt::watch().and_then(|()| bench::run(&options)).map(done),
        Verb::Fuzz(options) => fuzz::run(&options).map(done),
        Verb::Demo(demo) => return demo.run(),
        Verb::Lab(poke) => poke.run().map(done),
    };
    done.unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        ExitCode::FAILURE
    })
}

fn done((): ()) -> ExitCode {
    ExitCode::SUCCESS
}

fn close(tally: Tally) -> ExitCode {
    tally.close(Skips::Allow)
}
