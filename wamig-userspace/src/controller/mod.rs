//! The embedded controller: a learning switch, and the migration application beside it.

pub mod learning;
