//! Builds, checks and tests wamig: everything that plain `cargo` cannot do.
//!
//! | module | verb | what |
//! |---|---|---|
//! | [`bpf`] | `build-ebpf`, `bpf-linker` | picks a BPF toolchain, builds the XDP object |
//! | [`fuzz`] | `fuzz` | libFuzzer on the entry points of what comes from outside |
//! | [`lint`] | `lint` | layout, clippy, documentation, house rules |
//! | [`suite`] | `test` | every test, counted |
//! | [`qemu`] | `test --kernel debian` | the kernel tests under Linux 6.1 |
//! | [`mod@bench`] | `bench` | the data path measured against programs of one purpose and other switches |
//! | [`conformance`] | `conformance` | os-ken's switch tester against wamig, beside Open vSwitch's score |
//! | [`interop`] | | real controllers and tools against wamig, for tests |
//! | [`lab`] | `demo`, `lab` | two sites in network namespaces: the demonstration and the end-to-end tests |
//!
//! [`workspace`] knows where things are, [`user`] who builds, [`process`] and [`bounded`] run other programs, [`python`] fetches some,
//! [`interrupt`] remembers a signal, [`exclusive`] keeps test networks apart and [`tally`] counts results.

pub mod bench;
pub mod bounded;
pub mod bpf;
pub mod cli;
pub mod conformance;
pub mod exclusive;
pub mod fuzz;
pub mod interop;
pub mod interrupt;
pub mod lab;
pub mod lint;
pub mod process;
pub mod python;
pub mod qemu;
pub mod suite;
pub mod tally;
pub mod user;
pub mod workspace;
