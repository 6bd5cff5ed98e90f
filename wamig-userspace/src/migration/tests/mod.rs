//! The machines against what is asked of them.

mod announced;
pub(in crate::migration) mod arp;
mod arrival;
mod bench;
mod dice;
mod failures;
mod flow_text;
mod frozen;
mod home;
mod hosted;
mod ipv6;
mod prepared;
mod reload;
mod restart;
mod returned;
mod simulation;
pub(in crate::migration) mod site;
mod steering;
mod story;
mod switch;
mod world;
