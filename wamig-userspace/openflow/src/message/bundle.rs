//! Bundles: changes that succeed or fail together (ONF EXT-230 for OpenFlow 1.3).

use bytes::Bytes;

use crate::numbers::{flags, numbered};

numbered! {
    /// What a bundle-control asks or answers (`onf_bundle_ctrl_type`).
    pub enum BundleControlType: u16 {
        /// Open.
        OpenRequest = 0,
        /// Opened.
        OpenReply = 1,
        /// Close.
        CloseRequest = 2,
        /// Closed.
        CloseReply = 3,
        /// Commit.
        CommitRequest = 4,
        /// Committed.
        CommitReply = 5,
        /// Discard.
        DiscardRequest = 6,
        /// Discarded.
        DiscardReply = 7,
    }
}

flags! {
    /// `onf_bundle_flags`.
    pub struct BundleFlags: u16 {
        /// All or nothing.
        atomic = 1,
        /// In the order of the messages.
        ordered = 2,
    }
}

/// A step in a bundle's life.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BundleControl {
    /// Which bundle.
    pub bundle: u32,
    /// Which step.
    pub ty: BundleControlType,
    /// How it is applied.
    pub flags: BundleFlags,
}

/// A message joins a bundle.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BundleAdd {
    /// Which bundle.
    pub bundle: u32,
    /// How it is applied; as at opening.
    pub flags: BundleFlags,
    /// The whole message with its header: what it says is checked when it is taken, by the
    /// one decoder, so that its errors carry its own start.
    pub message: Bytes,
}
