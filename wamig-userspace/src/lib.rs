//! wamig's userspace: the OpenFlow switch around the XDP data path, the migration of servers
//! between sites, and the program that runs both.

pub mod admin;
pub mod agent;
pub mod channel;
pub mod cli;
pub mod config;
pub mod controller;
pub mod daemon;
pub mod datapath;
pub mod fastpath;
pub mod hash;
pub mod migration;
pub mod object;
pub mod peer;
pub mod store;
pub mod switch;
