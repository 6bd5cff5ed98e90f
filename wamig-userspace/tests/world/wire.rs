//! A data path in process memory with its ports in the hands of the test. Every frame takes
//! the switch's slow path, which knows the same flows.

use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::mpsc;
use wamig_common::verdict::PuntReason;
use wamig_openflow::{MacAddr, OfpError, PortDesc, PortNo};
use wamig_userspace::config::Config;
use wamig_userspace::daemon::DataPath;
use wamig_userspace::fastpath::memory::{Memory, MemoryMaps};
use wamig_userspace::fastpath::view::View;
use wamig_userspace::fastpath::xdp::attach::SharedPorts;
use wamig_userspace::fastpath::{
    Batch, FastPath, FastPort, FlowCounters, FlowId, InterfaceCounters, PortCounters, PortSettings, Punt,
    ReasonCounters, TableCounters,
};

/// A frame that a site's switch sent.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Sent {
    /// 0 = dc1, 1 = dc2.
    pub site: usize,
    /// Out of which port.
    pub port: u32,
    /// The frame.
    pub frame: Vec<u8>,
}

/// [`Memory`], but what it sends reaches the test.
pub struct Wire {
    inner: Memory,
    site: usize,
    out: mpsc::UnboundedSender<Sent>,
}

impl FastPath for Wire {
    fn commit(&mut self, batch: &Batch) -> Result<(), OfpError> {
        self.inner.commit(batch)
    }

    fn view(&self) -> &impl View {
        &self.inner
    }

    fn flow_counters(&mut self, flows: &[FlowId]) -> Vec<FlowCounters> {
        self.inner.flow_counters(flows)
    }

    fn reset_counters(&mut self, flow: FlowId) {
        self.inner.reset_counters(flow);
    }

    fn count(&mut self, steps: &[(u8, Option<FlowId>)], bytes: u64) {
        self.inner.count_beside(steps, bytes);
    }

    fn table_counters(&mut self, table: u8) -> TableCounters {
        self.inner.table_counters(table)
    }

    fn port_counters(&mut self, port: PortNo) -> PortCounters {
        self.inner.port_counters(port)
    }

    fn interface_counters(&mut self, port: PortNo) -> Option<InterfaceCounters> {
        self.inner.interface_counters(port)
    }

    fn reasons(&mut self) -> ReasonCounters {
        self.inner.reasons()
    }

    fn inject(&mut self, port: PortNo, frame: &[u8]) -> std::io::Result<()> {
        let sent = Sent { site: self.site, port: port.0, frame: frame.to_vec() };
        self.out.send(sent).map_err(std::io::Error::other)
    }

    fn set_ports(&mut self, ports: &[FastPort]) -> std::io::Result<()> {
        self.inner.set_ports(ports)
    }

    fn set_port_settings(&mut self, settings: &PortSettings) -> std::io::Result<()> {
        self.inner.set_port_settings(settings)
    }

    fn set_link(&mut self, port: PortNo, up: bool) -> std::io::Result<()> {
        self.inner.set_link(port, up)
    }

    fn activate(&mut self) -> std::io::Result<()> {
        self.inner.activate()
    }
}

/// The data path of a site, and the way into its ports.
pub fn data_path(
    config: &Config,
    site: usize,
    out: mpsc::UnboundedSender<Sent>,
) -> (DataPath<Wire>, mpsc::Sender<Punt>) {
    let (into, punts) = mpsc::channel(1024);
    // Nothing changes about these ports.
    let (_, changes) = mpsc::channel(1);
    let desc = |(port, name): (PortNo, &str)| PortDesc {
        port,
        mac: MacAddr([2, 0xff, 0, 0, site as u8, port.0 as u8]),
        name: name.to_owned(),
        link_up: true,
        mtu: 1500,
        ..PortDesc::default()
    };
    let fast_port = |(port, name): (PortNo, &str)| FastPort { port, name: name.to_owned(), ifindex: port.0 };
    let mut fast = Wire { inner: Memory::new(MemoryMaps::default()), site, out };
    let fast_ports: Vec<_> = config.switch.numbered().map(fast_port).collect();
    fast.set_ports(&fast_ports).unwrap();
    let path = DataPath {
        kind: "memory",
        dpid: config.switch.datapath_id.unwrap(),
        fast,
        punts,
        ports: config.switch.numbered().map(desc).collect(),
        fast_ports,
        attached: SharedPorts::default(),
        warnings: Vec::new(),
        changes,
        lost: Arc::default(),
    };
    (path, into)
}

/// A frame on its way into a port.
pub fn arriving(port: u32, frame: &[u8]) -> Punt {
    Punt {
        in_port: PortNo(port),
        reason: PuntReason::Slow,
        flow: None,
        metadata: 0,
        frame_len: frame.len() as u32,
        frame: Bytes::copy_from_slice(frame),
    }
}
