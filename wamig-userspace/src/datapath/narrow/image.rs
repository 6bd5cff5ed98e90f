//! The fast path of a switch that is an image of another: flows in process memory. Most frames
//! go past it, so flows that are known to be met there count as just used.

use std::collections::HashSet;
use std::io;
use std::time::Instant;

use wamig_openflow::{OfpError, PortNo};

use crate::fastpath::memory::{Memory, MemoryMaps};
use crate::fastpath::view::View;
use crate::fastpath::{
    Batch, FastPath, FastPort, FlowCounters, FlowId, InterfaceCounters, PortCounters, PortSettings, ReasonCounters,
    TableCounters,
};

/// The image.
pub struct Image {
    memory: Memory,
    busy: HashSet<FlowId>,
}

impl Default for Image {
    fn default() -> Self {
        Self { memory: Memory::new(MemoryMaps::default()), busy: HashSet::new() }
    }
}

impl Image {
    /// The time, for idle times.
    pub fn set_now(&mut self, now: Instant) {
        self.memory.maps_mut().set_now(now);
    }

    /// The flows whose frames go past this image.
    pub fn set_busy(&mut self, flows: impl Iterator<Item = FlowId>) {
        self.busy = flows.collect();
    }
}

impl FastPath for Image {
    fn commit(&mut self, batch: &Batch) -> Result<(), OfpError> {
        self.memory.commit(batch)
    }

    fn view(&self) -> &impl View {
        &self.memory
    }

    fn flow_counters(&mut self, flows: &[FlowId]) -> Vec<FlowCounters> {
        let mut counters = self.memory.flow_counters(flows);
        for (id, counters) in flows.iter().zip(&mut counters) {
            if self.busy.contains(id) {
                counters.idle_ms = Some(0);
            }
        }
        counters
    }

    fn reset_counters(&mut self, flow: FlowId) {
        self.memory.reset_counters(flow);
    }

    fn count(&mut self, steps: &[(u8, Option<FlowId>)], bytes: u64) {
        FastPath::count(&mut self.memory, steps, bytes);
    }

    fn table_counters(&mut self, table: u8) -> TableCounters {
        self.memory.table_counters(table)
    }

    fn port_counters(&mut self, port: PortNo) -> PortCounters {
        self.memory.port_counters(port)
    }

    fn interface_counters(&mut self, port: PortNo) -> Option<InterfaceCounters> {
        self.memory.interface_counters(port)
    }

    fn reasons(&mut self) -> ReasonCounters {
        self.memory.reasons()
    }

    fn inject(&mut self, port: PortNo, _: &[u8]) -> io::Result<()> {
        Err(io::Error::other(format!("port {port} is the other switch's")))
    }

    fn set_ports(&mut self, ports: &[FastPort]) -> io::Result<()> {
        self.memory.set_ports(ports)
    }

    fn set_port_settings(&mut self, settings: &PortSettings) -> io::Result<()> {
        self.memory.set_port_settings(settings)
    }

    fn set_link(&mut self, port: PortNo, up: bool) -> io::Result<()> {
        self.memory.set_link(port, up)
    }

    fn activate(&mut self) -> io::Result<()> {
        self.memory.activate()
    }
}
