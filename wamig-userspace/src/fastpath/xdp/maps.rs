//! The BPF maps behind the writer.

use std::collections::{BTreeSet, HashMap as StdHashMap};
use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use aya::Ebpf;
use aya::maps::{Array, DevMap, HashMap, Map, MapData, MapError, PerCpuArray, PerCpuValues};
use aya::programs::{TestRun as _, TestRunOptions, Xdp};
use wamig_common::action::ActionList;
use wamig_common::entry::{
    FlowCount, FlowEntry, FlowMapKey, FlowRecord, FlowValue, NONE, PortCount, Table, TableCount,
};
use wamig_common::key::FlowMask;
use wamig_common::limits::{FILTER_WORDS, SUBTABLE_IDS};
use wamig_common::punt::{BucketConfig, CLASS_COUNT};
use wamig_common::rules::PortRules;
use wamig_common::straight::Edit;
use zerocopy::{FromBytes, Immutable, IntoBytes};

use super::attach::Attachments;
use super::clock::Clock;
use super::fit::{Fitter, Shared};
use super::grace::Grace;
use super::interface;
use super::mapped::Mapped;
use super::open::PuntRates;
use super::packet_socket::PacketSocket;
use super::pod::Plain;
use super::port_set::{GRACE_SET, PortSets};
use super::statistics::Statistics;
use super::syscall;
use crate::fastpath::maps::{Capacity, Maps};
use crate::fastpath::needs::Constants;
use crate::fastpath::{FastPort, InterfaceCounters, port_index};

/// What `stage` returns when it has changed a value (`XDP_PASS`).
const STAGED: u32 = 2;

type PlainArray<T> = Array<MapData, Plain<T>>;
type PlainCounters<T> = PerCpuArray<MapData, Plain<T>>;

/// The maps of one data path, shared by the programs of all its ports.
pub struct XdpMaps {
    /// One store of it publishes a batch.
    version: Mapped<u64>,
    tables: PlainArray<Table>,
    masks: Mapped<FlowMask>,
    filters: Mapped<[u64; FILTER_WORDS]>,
    /// A hash map of digests and [`FlowEntry`]s.
    flows: OwnedFd,
    records: Mapped<FlowRecord>,
    lists: Mapped<ActionList>,
    edits: Mapped<Edit>,
    flow_counts: PlainCounters<FlowCount>,
    flow_counts_fd: OwnedFd,
    table_counts: PlainCounters<TableCount>,
    port_counts: PlainCounters<PortCount>,
    stats: PerCpuArray<MapData, u64>,
    rules: PlainArray<PortRules>,
    ports: DevMap<MapData>,
    ports_fd: OwnedFd,
    port_sets: PortSets,
    grace: Grace,
    clock: Clock,
    cpus: usize,
    /// By port index: interface, and the socket to send by.
    sockets: StdHashMap<u32, (u32, PacketSocket)>,
    statistics: Statistics,
    /// Ports that may not send.
    closed: BTreeSet<u32>,
    object: Ebpf,
    attachments: Shared,
    fitter: Fitter,
}

fn other(e: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> io::Error {
    io::Error::other(e)
}

/// The errno of a refused map call is what tells "full" from "no memory".
fn map_error(e: MapError) -> io::Error {
    match e {
        MapError::SyscallError(e) => io::Error::new(e.io_error.kind(), e.to_string()),
        e => other(e),
    }
}

fn take(object: &mut Ebpf, name: &str) -> io::Result<Map> {
    object.take_map(name).ok_or_else(|| other(format!("the XDP object has no map {name}")))
}

macro_rules! typed {
    ($object:expr, $name:literal) => {
        take($object, $name)?.try_into().map_err(map_error)?
    };
}

impl XdpMaps {
    /// The maps of an object that is loaded.
    pub fn new(mut object: Ebpf, attachments: Attachments, rates: &PuntRates) -> io::Result<Self> {
        let outer = take(&mut object, "PORT_SET_MAPS")?;
        let Map::ArrayOfMaps(outer) = &outer else { return Err(other("PORT_SET_MAPS is no map of maps")) };
        let clone = || outer.fd().as_fd().try_clone_to_owned();
        let clock = Clock::new(&mut object)?;
        let attachments: Shared = Arc::new(Mutex::new(attachments));
        let ports = take(&mut object, "PORTS")?;
        let Map::DevMap(devmap) = &ports else { return Err(other("PORTS is no devmap")) };
        let ports_fd = devmap.fd().as_fd().try_clone_to_owned()?;
        let flows = take(&mut object, "FLOWS")?;
        let Map::HashMap(data) = &flows else { return Err(other("FLOWS is no hash map")) };
        let flows_fd = data.fd().as_fd().try_clone_to_owned()?;
        // Is it of such entries?
        HashMap::<MapData, u64, Plain<FlowEntry>>::try_from(flows).map_err(map_error)?;
        let flow_counts = take(&mut object, "FLOW_COUNTS")?;
        let Map::PerCpuArray(data) = &flow_counts else { return Err(other("FLOW_COUNTS is no array for each CPU")) };
        let flow_counts_fd = data.fd().as_fd().try_clone_to_owned()?;
        let mut maps = Self {
            version: Mapped::new(take(&mut object, "VERSION")?)?,
            tables: typed!(&mut object, "TABLES"),
            masks: Mapped::new(take(&mut object, "MASKS")?)?,
            filters: Mapped::new(take(&mut object, "FILTERS")?)?,
            flows: flows_fd,
            records: Mapped::new(take(&mut object, "RECORDS")?)?,
            lists: Mapped::new(take(&mut object, "LISTS")?)?,
            edits: Mapped::new(take(&mut object, "EDITS")?)?,
            flow_counts: flow_counts.try_into().map_err(map_error)?,
            flow_counts_fd,
            table_counts: typed!(&mut object, "TABLE_COUNTS"),
            port_counts: typed!(&mut object, "PORT_COUNTS"),
            stats: typed!(&mut object, "STATS"),
            rules: typed!(&mut object, "PORT_RULES"),
            ports: ports.try_into().map_err(map_error)?,
            ports_fd,
            port_sets: PortSets::new(clone()?),
            grace: Grace::new(clone()?)?,
            clock,
            cpus: aya::util::nr_cpus().map_err(|(_, e)| e)?,
            sockets: StdHashMap::new(),
            statistics: Statistics::open()?,
            closed: BTreeSet::new(),
            fitter: Fitter::start(Arc::clone(&attachments))?,
            attachments,
            object,
        };
        let mut buckets: PlainArray<BucketConfig> = typed!(&mut maps.object, "BUCKET_CONFIG");
        for (class, (rate, burst)) in rates.by_class().into_iter().enumerate().take(CLASS_COUNT as usize) {
            let config = BucketConfig { per_jiffy: rate * 1000 / maps.clock.hz(), burst: burst * 1000 };
            buckets.set(class as u32, Plain(config), 0).map_err(map_error)?;
        }
        Ok(maps)
    }

    /// Changes the value of a key in place; false = there is no such key.
    fn stage(&self, digest: u64, entry: &FlowEntry) -> io::Result<bool> {
        let program = self.object.program("stage").ok_or_else(|| other("the XDP object has no program stage"))?;
        let program: &Xdp = program.try_into().map_err(other)?;
        let entry = [digest.as_bytes(), entry.as_bytes()].concat();
        let mut options = TestRunOptions::new();
        options.data_in = Some(&entry);
        Ok(program.test_run(options).map_err(other)?.return_value == STAGED)
    }

    fn attachments(&self) -> MutexGuard<'_, Attachments> {
        self.attachments.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The port sets lead to the interfaces of those ports that may send.
    fn set_devices(&mut self) -> io::Result<()> {
        let open = self.sockets.iter().filter(|(index, _)| !self.closed.contains(index));
        let devices = open.map(|(index, (ifindex, _))| (*index, *ifindex)).collect();
        self.port_sets.set_devices(devices)
    }

    fn sum<T: IntoBytes + FromBytes + Immutable + Copy + Default + 'static>(
        map: &PlainCounters<T>,
        index: u32,
        add: impl Fn(&mut T, &T),
    ) -> T {
        let mut sum = T::default();
        if let Ok(values) = map.get(&index, 0) {
            values.iter().for_each(|v| add(&mut sum, &v.0));
        }
        sum
    }
}

impl Maps for XdpMaps {
    fn capacity(&self) -> Capacity {
        Capacity {
            flows: self.records.len(),
            lists: self.lists.len(),
            subtables: SUBTABLE_IDS as u32,
            port_sets: GRACE_SET,
        }
    }

    fn publish(&mut self, version: u64) {
        // There is one version, in a map of one place.
        let _ = self.version.store(0, 0, version, Ordering::Release);
    }

    fn will_need(&mut self, needs: &Constants) -> io::Result<()> {
        let swapped = self.attachments().will_need(needs)?;
        if swapped { self.grace.wait() } else { Ok(()) }
    }

    fn needs(&mut self, needs: &Constants) {
        if self.attachments().need(needs) {
            self.fitter.wake();
        }
    }

    fn set_table(&mut self, table: u8, parity: u8, order: &Table) -> io::Result<()> {
        self.tables.set(u32::from(table) * 2 + u32::from(parity), Plain(*order), 0).map_err(map_error)
    }

    fn set_mask(&mut self, subtable: u32, mask: &FlowMask) -> io::Result<()> {
        self.masks.set(subtable, mask)
    }

    fn set_filter(&mut self, subtable: u32, filter: &[u64; FILTER_WORDS]) -> io::Result<()> {
        self.filters.update(subtable, filter)
    }

    fn add_flows(&mut self, digests: &[u64], entries: &[FlowEntry]) -> io::Result<()> {
        syscall::add_all(self.flows.as_fd(), digests, entries)
    }

    fn set_flow(&mut self, key: &FlowMapKey, value: &FlowValue) -> io::Result<()> {
        let (digest, entry) = (key.digest(), FlowEntry { value: *value, key: *key });
        if self.stage(digest, &entry)? { Ok(()) } else { Err(io::ErrorKind::NotFound.into()) }
    }

    fn remove_flows(&mut self, keys: &[FlowMapKey]) -> Result<(), (usize, io::Error)> {
        let digests: Vec<u64> = keys.iter().map(FlowMapKey::digest).collect();
        let mut gone = 0;
        while let Err((some, e)) = syscall::delete_all(self.flows.as_fd(), &digests[gone..]) {
            gone += some;
            if e.raw_os_error() != Some(libc::ENOENT) || gone == digests.len() {
                return Err((gone, e));
            }
            // This one is gone already.
            gone += 1;
        }
        Ok(())
    }

    fn flow_record(&self, flow: u32) -> Option<&FlowRecord> {
        self.records.get(flow)
    }

    fn set_record(&mut self, flow: u32, record: &FlowRecord) -> io::Result<()> {
        self.records.set(flow, record)
    }

    fn set_list(&mut self, list: u32, actions: &ActionList) -> io::Result<()> {
        self.lists.set(list, actions)?;
        let used = actions.ops.get(..actions.n as usize).unwrap_or(&[]);
        self.edits.set(list, &Edit::of(used))
    }

    fn set_port_set(&mut self, set: u32, members: &[u32]) -> io::Result<()> {
        self.port_sets.set(set, members)
    }

    fn flow_count(&mut self, flow: u32) -> FlowCount {
        self.flow_counts
            .get(&flow, 0)
            .map_or_else(|_| FlowCount::default(), |values| total(values.iter().map(|v| &v.0)))
    }

    fn flow_counts(&mut self, flows: &[u32]) -> Vec<FlowCount> {
        let mut counts = Vec::with_capacity(flows.len());
        for run in flows.chunk_by(|a, b| a + 1 == *b) {
            let mut values = vec![FlowCount::default(); run.len() * self.cpus];
            let read = syscall::read_all(self.flow_counts_fd.as_fd(), run[0], self.cpus, &mut values);
            if run[0] != NONE && read.is_ok() {
                counts.extend(values.chunks_exact(self.cpus).map(total));
            } else {
                counts.extend(run.iter().map(|flow| self.flow_count(*flow)));
            }
        }
        counts
    }

    fn clear_flow_count(&mut self, flow: u32) -> io::Result<()> {
        let zeros = PerCpuValues::try_from(vec![Plain(FlowCount::default()); self.cpus])?;
        self.flow_counts.set(flow, zeros, 0).map_err(map_error)
    }

    fn table_count(&mut self, table: u8) -> TableCount {
        Self::sum(&self.table_counts, u32::from(table), |sum, one| {
            sum.matched += one.matched;
            sum.missed += one.missed;
        })
    }

    fn port_count(&mut self, port: u32) -> PortCount {
        Self::sum(&self.port_counts, port, |sum, one| {
            sum.rx_packets += one.rx_packets;
            sum.rx_bytes += one.rx_bytes;
            sum.tx_packets += one.tx_packets;
            sum.tx_bytes += one.tx_bytes;
            sum.rx_dropped += one.rx_dropped;
        })
    }

    fn interface_count(&mut self, port: u32) -> Option<InterfaceCounters> {
        let (ifindex, _) = self.sockets.get(&port)?;
        self.statistics.of(*ifindex).map_err(|error| tracing::debug!(port, %error, "no counters")).ok()
    }

    fn stats(&mut self) -> Vec<u64> {
        (0..self.stats.len()).map(|i| self.stats.get(&i, 0).map_or(0, |v| v.iter().sum())).collect()
    }

    fn stamp(&mut self) -> u64 {
        self.clock.jiffies(&self.object).unwrap_or_default()
    }

    fn age_ms(&mut self, last: u64) -> u64 {
        match self.stamp() {
            0 => 0,
            now => now.saturating_sub(last) * 1000 / self.clock.hz(),
        }
    }

    fn send(&mut self, port: u32, frame: &[u8]) -> io::Result<()> {
        let (_, socket) = self.sockets.get(&port).ok_or_else(|| other(format!("port {port} has no interface")))?;
        socket.send(frame)
    }

    fn set_ports(&mut self, ports: &[FastPort]) -> io::Result<()> {
        let devices: StdHashMap<u32, u32> =
            ports.iter().filter_map(|p| Some((port_index(p.port)?, p.ifindex))).collect();
        let gone: Vec<u32> = self.sockets.keys().filter(|i| !devices.contains_key(*i)).copied().collect();
        for index in gone {
            self.sockets.remove(&index);
            syscall::delete(self.ports_fd.as_fd(), index)?;
        }
        for (index, ifindex) in &devices {
            if self.sockets.get(index).is_none_or(|(i, _)| i != ifindex) {
                if !self.closed.contains(index) {
                    self.ports.set(*index, *ifindex, None, 0).map_err(other)?;
                }
                self.sockets.insert(*index, (*ifindex, PacketSocket::new(*ifindex)?));
            }
        }
        self.set_devices()?;
        self.attachments().set_ports(ports)?;
        self.fitter.wake();
        Ok(())
    }

    fn set_rules(&mut self, port: u32, rules: PortRules) -> io::Result<()> {
        self.rules.set(port, Plain(rules), 0).map_err(map_error)?;
        let device = self.sockets.get(&port).map(|(ifindex, _)| *ifindex);
        if rules.has(PortRules::NO_FORWARD) {
            if self.closed.insert(port) && device.is_some() {
                syscall::delete(self.ports_fd.as_fd(), port)?;
            }
        } else if self.closed.remove(&port)
            && let Some(ifindex) = device
        {
            self.ports.set(port, ifindex, None, 0).map_err(other)?;
        }
        self.set_devices()
    }

    fn set_link(&mut self, port: u32, up: bool) -> io::Result<()> {
        let (ifindex, _) = self.sockets.get(&port).ok_or_else(|| other(format!("port {port} has no interface")))?;
        interface::set_up(*ifindex, up)
    }

    fn activate(&mut self) -> io::Result<()> {
        self.attachments().activate()?;
        self.fitter.wake();
        Ok(())
    }

    fn begin_grace(&mut self) {
        self.grace.begin();
    }

    fn grace_is_over(&mut self, wait: bool) -> bool {
        self.grace.is_over(wait)
    }
}

/// A flow's counters on all CPUs together.
fn total<'a>(counts: impl IntoIterator<Item = &'a FlowCount>) -> FlowCount {
    counts.into_iter().fold(FlowCount::default(), |sum, one| FlowCount {
        packets: sum.packets + one.packets,
        bytes: sum.bytes + one.bytes,
        last: sum.last.max(one.last),
    })
}

/// Names of all maps, for pinning.
pub const NAMES: [&str; 22] = [
    "SCRATCH",
    "VERSION",
    "TABLES",
    "CACHE",
    "MASKS",
    "FILTERS",
    "FLOWS",
    "RECORDS",
    "LISTS",
    "EDITS",
    "FLOW_COUNTS",
    "TABLE_COUNTS",
    "PORT_COUNTS",
    "STATS",
    "PORT_RULES",
    "PORTS",
    "PORT_SET_MAPS",
    "PUNT_ARP",
    "PUNT_OTHER",
    "BUCKETS",
    "BUCKET_CONFIG",
    "AYA_LOGS",
];

/// Path of a pinned map.
pub fn pin_of(dir: &std::path::Path, name: &str) -> PathBuf {
    dir.join(name.to_lowercase())
}
