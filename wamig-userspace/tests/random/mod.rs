//! Random flows and frames that meet: flows are made out of frames, frames out of few values,
//! so that most frames match something and most edits are matched again.

mod dice;
mod frame;
mod group;
pub mod rule;
mod scenario;

pub use dice::{Dice, scaled};
pub use scenario::Scenario;
