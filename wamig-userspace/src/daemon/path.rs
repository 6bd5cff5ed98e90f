//! What the daemon shows of a data path, beside what the switch needs of it.

use wamig_openflow::PortNo;

use crate::fastpath::FastPath;
use crate::fastpath::memory::Memory;

/// A data path that can be shown to people.
pub trait Path: FastPath {
    /// `xdp` or `memory`.
    fn kind(&self) -> &'static str;

    /// The variant of the program that is in force.
    fn program(&self) -> String;

    /// How a port is attached: `native`, `generic` or `none`.
    fn mode(&self, port: PortNo) -> &'static str;
}

impl Path for Memory {
    fn kind(&self) -> &'static str {
        "memory"
    }

    fn program(&self) -> String {
        "none".to_owned()
    }

    fn mode(&self, _: PortNo) -> &'static str {
        "none"
    }
}
