//! The machines against what is asked of them.

mod arrival;
mod bench;
mod failures;
mod flow_text;
mod home;
mod hosted;
mod restart;
mod simulation;
pub(in crate::migration) mod site;
mod steering;
mod story;
mod switch;
mod world;
