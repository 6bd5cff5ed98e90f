//! Queues of a port (OpenFlow 1.3.5 §7.2.2, §7.3.6, §7.3.5.8).

use std::time::Duration;

use bytes::Bytes;

use crate::types::PortNo;

/// Wildcard in queue stats requests (`OFPQ_ALL`).
pub const QUEUE_ALL: u32 = 0xffff_ffff;

/// A property of a queue.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum QueueProperty {
    /// Least rate in 1/10 %; above 1000 = off.
    MinRate(u16),
    /// Highest rate in 1/10 %; above 1000 = off (1.3).
    MaxRate(u16),
    /// Another's (1.3).
    Experimenter {
        /// Whose.
        experimenter: u32,
        /// Its body.
        data: Bytes,
    },
}

/// A queue.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct QueueDesc {
    /// Number.
    pub queue: u32,
    /// Its port (1.3; in 1.0 the reply's).
    pub port: PortNo,
    /// Properties.
    pub properties: Vec<QueueProperty>,
}

/// The queues of a port.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct QueueConfig {
    /// Which port was asked for.
    pub port: PortNo,
    /// Its queues.
    pub queues: Vec<QueueDesc>,
}

/// Which queues a stats request asks for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct QueueStatsRequest {
    /// Port; [`PortNo::ANY`] = every one.
    pub port: PortNo,
    /// Queue; [`QUEUE_ALL`] = every one.
    pub queue: u32,
}

/// Counters of a queue.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct QueueStats {
    /// Port.
    pub port: PortNo,
    /// Queue.
    pub queue: u32,
    /// Bytes sent.
    pub tx_bytes: u64,
    /// Frames sent.
    pub tx_packets: u64,
    /// Frames dropped.
    pub tx_errors: u64,
    /// Time since it was set up (1.3).
    pub duration: Duration,
}
