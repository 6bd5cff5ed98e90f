//! The fast path in the kernel: one XDP program per port over shared maps.
//!
//! * [`mod@open`] — kernel, bpffs and object checked, maps made, programs loaded; nothing attached
//! * [`maps`] — the BPF maps behind the writer
//! * [`attach`] — programs on ports, links pinned and taken over from an earlier daemon
//! * `fit` — programs that fit the tables, swapped in on the live links
//! * `port_set`, [`grace`], [`clock`], `packet_socket` — devmaps of port sets, waiting for
//!   readers, the kernel's jiffies, frames sent out of ports
//! * [`ethtool`], `statistics` — what interfaces are and what they count
//! * [`punt`] — frames that come up
//! * [`mod@detach`] — takes everything down
//!
//! What is pinned under the configured directory:
//!
//! ```text
//! PIN_PATH/links/IFNAME-MODE  the XDP link of a port: as long as it is there, the port forwards
//! PIN_PATH/maps-N/NAME        the maps of daemon start N; the newest belong to the links
//! ```

pub mod attach;
pub mod clock;
pub mod detach;
pub mod ethtool;
mod fit;
pub mod grace;
mod interface;
mod mapped;
pub mod maps;
pub mod open;
mod packet_socket;
mod pod;
mod port_set;
pub mod punt;
mod statistics;
mod syscall;

pub use attach::{AttachedPort, XdpMode};
pub use open::{OpenError, Opened, XdpConfig, open};

use super::writer::Writer;

/// The fast path in the kernel.
pub type Xdp = Writer<maps::XdpMaps>;
