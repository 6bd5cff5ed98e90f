//! Builds, checks and tests wamig: everything that plain `cargo` cannot do.
//!
//! | module | verb | what |
//! |---|---|---|
//! | [`bpf`] | `build-ebpf`, `bpf-linker` | picks a BPF toolchain, builds the XDP object |
//!
//! [`workspace`] knows where things are, [`process`] runs other programs.

pub mod bpf;
pub mod cli;
pub mod process;
pub mod workspace;
