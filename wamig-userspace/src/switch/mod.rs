//! The OpenFlow switch: what the controllers asked for, kept and carried out.

#[cfg(test)]
pub(crate) mod fixtures;
pub mod flow_table;
pub mod port;
pub mod timeout;
pub mod token_bucket;
pub mod transaction;
pub mod validate;
