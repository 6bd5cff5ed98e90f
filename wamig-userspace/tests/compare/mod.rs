//! Wamig and Open vSwitch over the same flows and frames: what each makes of a frame, and the
//! named rules by which they may differ.

pub mod bytes;
pub mod case;
pub mod native;
pub mod reading;
pub mod refusal;
pub mod rules;
pub mod run;
pub mod session;

use std::fmt;

use wamig_openflow::PortNo;

use crate::paths::hex;

/// One thing that becomes of a frame.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Event {
    /// It leaves by a port.
    Port(PortNo, Vec<u8>),
    /// It goes to the controller.
    Up {
        /// Of the flow that sent it.
        cookie: u64,
        /// Name of the reason.
        reason: &'static str,
        /// Length of the frame as it stood.
        frame_len: usize,
        /// As much of it as was asked for.
        frame: Vec<u8>,
    },
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Port(port, frame) => write!(f, "port {port}: {}", hex(frame)),
            Self::Up { cookie, reason, frame_len, frame } => {
                write!(f, "{reason} of {cookie:#x}, {frame_len} bytes: {}", hex(frame))
            }
        }
    }
}

/// What one switch made of a frame.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Way {
    /// Flows met, table by table, by cookie; `None` = miss.
    pub path: Vec<(u8, Option<u64>)>,
    /// First the outputs in their order, then the packet-ins in theirs: which of an output and a
    /// packet-in comes first cannot be told from outside. Nor can the order in which the same frame
    /// leaves by several ports: these are in ascending order.
    pub events: Vec<Event>,
}

impl Way {
    /// A way out of outputs and packet-ins in the order in which they were made.
    pub fn new(path: Vec<(u8, Option<u64>)>, mut events: Vec<Event>) -> Self {
        events.sort_by_key(|e| matches!(e, Event::Up { .. }));
        let same = |a: &Event, b: &Event| matches!((a, b), (Event::Port(_, a), Event::Port(_, b)) if a == b);
        events.chunk_by_mut(same).for_each(<[Event]>::sort);
        Self { path, events }
    }
}

impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "  {:?}", self.path)?;
        self.events.iter().try_for_each(|e| writeln!(f, "    {e}"))
    }
}
