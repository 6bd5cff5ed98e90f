//! The plans that the program makes, read back from its scratch memory.

use std::path::Path;

use aya::maps::{MapData, PerCpuArray};
use wamig_common::key::FlowKey;
use wamig_common::limits::{MAX_TABLES, SET_SLOTS, WINDOW_BUF};
use wamig_common::plan::{LOADED, PacketIn, Plan};
use wamig_userspace::fastpath::xdp::maps::pin_of;

/// The scratch memory, as the program lays it out.
#[derive(Clone, Copy)]
#[repr(C)]
struct Scratch {
    key: FlowKey,
    layout: [u64; 2],
    plan: Plan,
    path: [u32; MAX_TABLES],
    hits: u64,
    rest: [u64; 1 + 1 + 2 + 3 * SET_SLOTS + WINDOW_BUF / 8],
}

// SAFETY: whole numbers only, no padding, no pointers.
unsafe impl aya::Pod for Scratch {}

/// The plans of runs on CPU 0.
pub struct Plans(PerCpuArray<MapData, Scratch>);

impl Plans {
    /// Those of the data path whose maps are pinned here.
    pub fn open(maps_dir: &Path) -> Self {
        let map = MapData::from_pin(pin_of(maps_dir, "SCRATCH")).unwrap();
        Self(PerCpuArray::try_from(aya::maps::Map::PerCpuArray(map)).unwrap())
    }

    /// Frames whose way through the tables was remembered.
    pub fn hits(&self) -> u64 {
        self.0.get(&0, 0).unwrap()[0].hits
    }

    /// The plan of the last run.
    pub fn last(&self) -> Plan {
        self.0.get(&0, 0).unwrap()[0].plan
    }
}

/// The plan without what is left in it of earlier frames and what each machine has numbers of
/// its own for.
pub fn comparable(plan: Plan) -> Plan {
    let up = |p: PacketIn| if p.reason == 0 { PacketIn::default() } else { PacketIn { flow: 0, ..p } };
    Plan { flags: plan.flags & !LOADED, early: up(plan.early), late: up(plan.late), ..plan }
}
