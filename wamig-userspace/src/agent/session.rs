//! One controller: what it is, what it wants to hear, what it has asked and not got yet.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use wamig_openflow::message::{AsyncConfig, ControllerRole, ErrorCode, ErrorMessage, TableFeatures};
use wamig_openflow::{ErrorKind, Message, OfpError, Version, Xid};

use super::bundle::Bundles;
use super::notice;
use crate::channel::Opened;
use crate::channel::batch::Batch;
use crate::channel::outbox::{Class, Outbox};

/// A session.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) endpoint: usize,
    pub(super) remote: String,
    pub(super) version: Version,
    pub(super) outbox: Arc<Outbox>,
    pub(super) since: Instant,
    pub(super) role: ControllerRole,
    /// What it wants to hear.
    pub(super) wants: AsyncConfig,
    /// Requests that wait.
    pub(super) pending: VecDeque<Batch>,
    pub(super) bundles: Bundles,
    /// Multipart requests of which not every part is there.
    pub(super) parts: HashMap<Xid, Vec<TableFeatures>>,
}

impl Session {
    pub(super) fn new(opened: Opened, now: Instant) -> Self {
        Self {
            endpoint: opened.endpoint,
            remote: opened.remote,
            version: opened.version,
            outbox: opened.outbox,
            since: now,
            role: ControllerRole::Equal,
            wants: notice::DEFAULT,
            pending: VecDeque::new(),
            bundles: Bundles::default(),
            parts: HashMap::new(),
        }
    }

    /// Whether a request waits and its answer has room.
    pub(super) fn is_ready(&self) -> bool {
        !self.pending.is_empty() && self.outbox.has_room()
    }

    /// Answers. What the version has no form for is told as an error of ours.
    pub(super) fn reply(&self, xid: Xid, message: &Message) {
        if let Err(error) = self.outbox.push(Class::Reply, self.version, xid, message) {
            tracing::error!(remote = self.remote, %error, "a reply cannot be said");
            let error = OfpError::new(ErrorKind::BadRequestEperm, error.to_string());
            self.error(xid, &Bytes::new(), &error);
        }
    }

    /// Answers with an error; `quote` is the start of what it is about.
    pub(super) fn error(&self, xid: Xid, quote: &Bytes, error: &OfpError) {
        tracing::debug!(remote = self.remote, xid = xid.0, "{error}");
        let message = ErrorMessage { code: ErrorCode::Known(error.kind), data: quote.clone() };
        // Every kind has a number in both versions.
        let _ = self.outbox.push(Class::Reply, self.version, xid, &Message::Error(message));
    }
}
