//! Multipart requests, in 1.0 called stats (OpenFlow 1.3.5 §7.3.5): what the switch knows of
//! itself. The agent cuts long replies into messages.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use wamig_openflow::message::{
    AggregateStats, FlowStatsRequest, MultipartReply, MultipartRequest, PortStats, SwitchDesc, TableFeatures,
    TableStats,
};
use wamig_openflow::{Action, ErrorKind, Instructions, OfpError, PortNo, TableId};

use super::flow_table::Selector;
use super::table_features::{self, Pipeline};
use super::{Switch, group, meter, queue};
use crate::fastpath::{FastPath, InterfaceCounters, PortCounters};

/// Actions of a bucket, bit n = `OFPAT_` n: output, push and pop VLAN, group, TTL, set-field.
const ACTIONS: u32 = 1 | 0b11 << 17 | 0b111 << 22 | 1 << 25;
/// `OFPFW_ALL`: 1.0's wildcards, all of which the tables support.
const WILDCARDS_V10: u32 = 0x003f_ffff;

/// The description of a switch that nobody has named.
pub fn description() -> SwitchDesc {
    SwitchDesc {
        manufacturer: "wamig".to_owned(),
        hardware: "XDP".to_owned(),
        software: format!("wamig {}", env!("CARGO_PKG_VERSION")),
        serial: "none".to_owned(),
        datapath: "none".to_owned(),
    }
}

impl From<InterfaceCounters> for PortStats {
    fn from(c: InterfaceCounters) -> Self {
        Self {
            rx_packets: c.rx_packets,
            tx_packets: c.tx_packets,
            rx_bytes: c.rx_bytes,
            tx_bytes: c.tx_bytes,
            rx_dropped: c.rx_dropped,
            tx_dropped: c.tx_dropped,
            rx_errors: c.rx_errors,
            tx_errors: c.tx_errors,
            rx_frame_err: c.rx_frame_errors,
            rx_over_err: c.rx_over_errors,
            rx_crc_err: c.rx_crc_errors,
            collisions: c.collisions,
            ..Self::default()
        }
    }
}

/// A port without an interface has counted only what went through the tables.
impl From<PortCounters> for PortStats {
    fn from(c: PortCounters) -> Self {
        const UNKNOWN: u64 = u64::MAX;
        Self {
            rx_packets: c.rx_packets,
            tx_packets: c.tx_packets,
            rx_bytes: c.rx_bytes,
            tx_bytes: c.tx_bytes,
            rx_dropped: c.rx_dropped,
            tx_dropped: UNKNOWN,
            rx_errors: UNKNOWN,
            tx_errors: UNKNOWN,
            rx_frame_err: UNKNOWN,
            rx_over_err: UNKNOWN,
            rx_crc_err: UNKNOWN,
            collisions: UNKNOWN,
            ..Self::default()
        }
    }
}

impl<F: FastPath> Switch<F> {
    /// Answers a request. Lists are whole, however long.
    ///
    /// # Errors
    /// The specification's, for tables, ports and queues that are not there, for changes of
    /// the tables' features, and for requests that are not known.
    pub fn multipart(&mut self, request: MultipartRequest, now: Instant) -> Result<MultipartReply, OfpError> {
        Ok(match request {
            MultipartRequest::Desc => MultipartReply::Desc(self.description.clone()),
            MultipartRequest::Flow(request) => {
                self.check_table(request.table)?;
                MultipartReply::Flow(self.dump_flows(&request.into(), now))
            }
            MultipartRequest::Aggregate(request) => MultipartReply::Aggregate(self.aggregate(request)?),
            MultipartRequest::Table => MultipartReply::Table(self.table_stats()),
            MultipartRequest::PortStats(port) => MultipartReply::PortStats(self.port_stats(port, now)?),
            MultipartRequest::Queue(request) => MultipartReply::Queue(queue::stats(request, &self.ports)?),
            MultipartRequest::TableFeatures(wanted) => MultipartReply::TableFeatures(self.table_features(&wanted)?),
            MultipartRequest::PortDesc => MultipartReply::PortDesc(self.ports.iter().cloned().collect()),
            MultipartRequest::Experimenter { experimenter, exp_type, .. } => {
                let of_type = exp_type.map_or_else(String::new, |t| format!(", type {t}"));
                let detail = format!("multipart of experimenter {experimenter:#010x}{of_type} is not known");
                return Err(OfpError::new(ErrorKind::BadRequestBadExperimenter, detail));
            }
            MultipartRequest::Group(group) => {
                let users = self.users(|i| {
                    i.apply.iter().chain(&i.write).filter_map(|a| match a {
                        Action::Group(group) => Some(*group),
                        _ => None,
                    })
                });
                let users = |group| users.get(&group).copied().unwrap_or(0);
                MultipartReply::Group(self.tables.groups.stats(group, now, users))
            }
            MultipartRequest::GroupDesc => MultipartReply::GroupDesc(self.tables.groups.describe()),
            MultipartRequest::GroupFeatures => MultipartReply::GroupFeatures(group::features(ACTIONS)),
            MultipartRequest::Meter(meter) => {
                let users = self.users(|i| i.meter.into_iter());
                let users = |meter| users.get(&meter).copied().unwrap_or(0);
                MultipartReply::Meter(self.tables.meters.stats(meter, now, users))
            }
            MultipartRequest::MeterConfig(meter) => MultipartReply::MeterConfig(self.tables.meters.configs(meter)),
            MultipartRequest::MeterFeatures => MultipartReply::MeterFeatures(meter::features()),
        })
    }

    /// How many flows use each group or meter that `used` finds in their instructions.
    fn users<'s, K: Ord + Copy + 's, I: Iterator<Item = K> + 's>(
        &'s self,
        used: impl Fn(&'s Instructions) -> I,
    ) -> BTreeMap<K, usize> {
        let mut users = BTreeMap::new();
        for flow in self.tables.iter() {
            for one in used(&flow.instructions).collect::<BTreeSet<K>>() {
                *users.entry(one).or_default() += 1;
            }
        }
        users
    }

    fn check_table(&self, table: TableId) -> Result<(), OfpError> {
        let tables = self.tables.tables();
        if table == TableId::ALL || table.0 < tables {
            return Ok(());
        }
        let detail = format!("table {table}: tables are 0 to {}, and ALL", tables - 1);
        Err(OfpError::new(ErrorKind::BadRequestBadTableId, detail))
    }

    fn aggregate(&mut self, request: FlowStatsRequest) -> Result<AggregateStats, OfpError> {
        self.check_table(request.table)?;
        let ids = self.tables.select(&Selector::from(request));
        let mut sum = AggregateStats { flows: ids.len() as u32, ..AggregateStats::default() };
        for counters in self.fast.flow_counters(&ids) {
            sum.packets += counters.packets;
            sum.bytes += counters.bytes;
        }
        Ok(sum)
    }

    fn table_stats(&mut self) -> Vec<TableStats> {
        let tables = (0..self.tables.tables()).map(TableId);
        let stats = tables.map(|table| {
            let counters = self.fast.table_counters(table.0);
            TableStats {
                table,
                active: self.tables.table_len(table) as u32,
                lookups: counters.matched + counters.missed,
                matched: counters.matched,
                name: table_features::name(table),
                wildcards: WILDCARDS_V10,
                max_entries: self.tables.capacity() as u32,
            }
        });
        stats.collect()
    }

    /// 1.0 asks for every port by `OFPP_NONE`, which is 1.3's `OFPP_ANY`.
    fn port_stats(&mut self, port: PortNo, now: Instant) -> Result<Vec<PortStats>, OfpError> {
        if port != PortNo::ANY && !self.ports.contains(port) {
            let detail = format!("port {port}: there are {}", self.ports.listed());
            return Err(OfpError::new(ErrorKind::BadRequestBadPort, detail));
        }
        let asked = self.ports.numbers().filter(|p| port == PortNo::ANY || *p == port);
        let stats = asked.map(|port| {
            let duration = self.ports.age(port, now);
            match self.fast.interface_counters(port) {
                Some(counters) => PortStats { port, duration, ..counters.into() },
                None => PortStats { port, duration, ..self.fast.port_counters(port).into() },
            }
        });
        Ok(stats.collect())
    }

    /// What the tables can do; `wanted` is empty or what they are to be.
    fn table_features(&self, wanted: &[TableFeatures]) -> Result<Vec<TableFeatures>, OfpError> {
        let pipeline = Pipeline {
            tables: self.tables.tables(),
            max_entries: u32::try_from(self.tables.capacity()).unwrap_or(u32::MAX),
            meters: true,
        };
        table_features::check(wanted, pipeline)?;
        Ok((0..pipeline.tables).map(|t| table_features::describe(TableId(t), pipeline)).collect())
    }
}
