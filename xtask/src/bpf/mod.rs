//! Builds the XDP program with whatever BPF-capable Rust toolchain this machine has.
//!
//! Plain stable Rust refuses `aya-ebpf`'s one feature gate and ships no `core` for BPF, so the object is built by
//! a toolchain of its own, found by [`toolchain`] and linked by the `bpf-linker` of [`linker`]. Nothing is ever
//! installed from here: `scripts/setup` does that, and says so. Userspace never needs any of this to build.

pub mod build;
pub mod linker;
pub mod rustc;
pub mod stamp;
pub mod toolchain;
