//! The OpenFlow pipeline of wamig, written once.
//!
//! The same functions run in the XDP program, in the slow path, in `wamig trace` and in the
//! tests. A frame's way through this crate:
//!
//! ```text
//! frame::Frame ──extract──▶ key::FlowKey + extract::Layout
//!                               │
//!              classify ◀───────┤  entry::Table, Subtable, FlowValue (BPF map values)
//!                  │ flow       │
//!                  ▼            │
//!             translate ── apply list ──▶ execute on the header window (a copy)
//!                  │ goto ──────┘  re-extracted from the window if it was edited
//!                  ▼
//!             plan::Plan ──▶ the caller punts, writes the window back, outputs
//! ```
//!
//! The frame itself is not touched before the plan is complete, so a frame that takes the
//! slow path is byte-identical to the one received.
//!
//! The crate is `no_std`, allocates nothing, contains no `unsafe` and knows neither BPF nor
//! the OpenFlow wire format.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

pub mod action;
pub mod cache;
pub mod checksum;
pub mod classify;
pub mod entry;
pub mod execute;
pub mod extract;
pub mod frame;
pub mod group;
pub mod key;
pub mod limits;
pub mod meter;
pub mod native;
pub mod plan;
pub mod punt;
pub mod reshape;
pub mod rules;
pub mod stats;
pub mod straight;
pub mod translate;
pub mod verdict;
