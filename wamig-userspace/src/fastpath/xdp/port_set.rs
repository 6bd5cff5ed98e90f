//! Port sets: a devmap each, kept in a map of maps, so that one redirect sends to all members.

use std::collections::HashMap;
use std::io;
use std::os::fd::{AsFd, OwnedFd};

use wamig_common::limits::{PORT_SETS, PORT_SLOTS};
use wamig_openflow::PortNo;

use super::syscall::{create_devmap, set_device, set_inner};
use crate::fastpath::port_index;

/// The place in the map of maps that only the grace period uses.
pub const GRACE_SET: u32 = PORT_SETS - 1;

/// The sets, by number.
pub struct PortSets {
    outer: OwnedFd,
    members: HashMap<u32, Vec<u32>>,
    /// Interfaces, by port index.
    devices: HashMap<u32, u32>,
}

impl PortSets {
    /// Sets in this map of maps.
    pub fn new(outer: OwnedFd) -> Self {
        Self { outer, members: HashMap::new(), devices: HashMap::new() }
    }

    /// The members of a set: OpenFlow numbers. A port without an interface is left out until
    /// it has one. A frame that is on its way keeps the devmap that it found.
    pub fn set(&mut self, set: u32, members: &[u32]) -> io::Result<()> {
        self.members.insert(set, members.to_vec());
        self.write(set)
    }

    /// The interfaces of all ports, by index: rewrites the sets that a change concerns.
    pub fn set_devices(&mut self, devices: HashMap<u32, u32>) -> io::Result<()> {
        if self.devices == devices {
            return Ok(());
        }
        self.devices = devices;
        let sets: Vec<u32> = self.members.keys().copied().collect();
        sets.into_iter().try_for_each(|set| self.write(set))
    }

    fn write(&self, set: u32) -> io::Result<()> {
        let inner = create_devmap(PORT_SLOTS)?;
        for index in self.members.get(&set).into_iter().flatten().filter_map(|n| port_index(PortNo(*n))) {
            if let Some(ifindex) = self.devices.get(&index) {
                set_device(inner.as_fd(), index, *ifindex)?;
            }
        }
        // the map of maps holds a reference of its own
        set_inner(self.outer.as_fd(), set, inner.as_fd())
    }
}
