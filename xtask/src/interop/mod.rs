//! wamig as the switch of other people's OpenFlow programs, between hosts in network namespaces.
//!
//! | module | what |
//! |---|---|
//! | [`rig`] | the hosts, their links, the daemon under external control |
//! | [`ofctl`] | Open vSwitch's command-line tool, run and listened to |
//! | [`apps`] | controllers from their Python packages |

pub mod apps;
pub mod ofctl;
pub mod rig;
