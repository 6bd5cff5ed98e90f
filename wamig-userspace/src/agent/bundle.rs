//! Bundles (ONF EXT-230): changes collected under a number, then made together or not at all.
//!
//! A change is decoded when it is added; whether the switch takes it is known at the commit.
//! Every bundle is committed as if it were atomic and ordered, which satisfies all flags.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use bytes::Bytes;
use wamig_openflow::message::{BundleAdd, BundleControl, BundleControlType, BundleFlags};
use wamig_openflow::{ErrorKind, Message, OfpError, Version, Xid};

use super::Agent;
use super::mods::{self, Asked};
use super::session::Session;
use crate::channel::ConnId;
use crate::channel::batch::Received;
use crate::fastpath::FastPath;
use crate::switch::Switch;
use crate::switch::effect::Event;
use crate::switch::modification::Modification;

/// Bundles of one session.
const BUNDLES: usize = 16;
/// Changes in all bundles of one session.
const CHANGES: usize = 262_144;
/// A bundle that nobody goes on with for so long is discarded.
const IDLE: Duration = Duration::from_secs(10);

/// A bundle that is not committed yet.
#[derive(Debug)]
pub(super) struct Open {
    /// Of the request that opened it, or of the first change.
    pub(super) xid: Xid,
    pub(super) quote: Bytes,
    flags: BundleFlags,
    closed: bool,
    touched: Instant,
    asked: Vec<(Xid, Bytes)>,
    mods: Vec<Modification>,
}

/// The bundles of a session.
#[derive(Debug, Default)]
pub(super) struct Bundles {
    open: HashMap<u32, Open>,
    changes: usize,
}

fn wrong(kind: ErrorKind, detail: String) -> OfpError {
    OfpError::new(kind, detail)
}

impl Bundles {
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.open.values().map(|b| b.touched + IDLE).min()
    }

    /// Takes out what is over.
    pub(super) fn expire(&mut self, now: Instant) -> Vec<(Open, OfpError)> {
        let over: Vec<u32> = self.open.iter().filter(|(_, b)| b.touched + IDLE <= now).map(|(id, _)| *id).collect();
        let error = |id| wrong(ErrorKind::BundleTimeout, format!("bundle {id}: nothing came for {} s", IDLE.as_secs()));
        over.into_iter().filter_map(|id| Some((self.take(id)?, error(id)))).collect()
    }

    fn take(&mut self, id: u32) -> Option<Open> {
        let bundle = self.open.remove(&id)?;
        self.changes -= bundle.mods.len();
        Some(bundle)
    }

    fn begin(
        &mut self,
        id: u32,
        flags: BundleFlags,
        (xid, quote): (Xid, &Bytes),
        now: Instant,
    ) -> Result<(), OfpError> {
        if self.open.len() >= BUNDLES {
            return Err(wrong(ErrorKind::BundleOutOfBundles, format!("{BUNDLES} bundles are open already")));
        }
        let (asked, mods) = (Vec::new(), Vec::new());
        let open = Open { xid, quote: quote.clone(), flags, closed: false, touched: now, asked, mods };
        self.open.insert(id, open);
        Ok(())
    }

    /// The bundle of this number, if it exists, is open and has these flags.
    fn get(&mut self, id: u32, flags: BundleFlags, now: Instant) -> Result<&mut Open, OfpError> {
        let Some(bundle) = self.open.get_mut(&id) else {
            return Err(wrong(ErrorKind::BundleBadId, format!("there is no bundle {id}")));
        };
        bundle.touched = now;
        if bundle.flags != flags {
            return Err(wrong(ErrorKind::BundleBadFlags, format!("bundle {id} was opened with other flags")));
        }
        Ok(bundle)
    }

    /// Adds the message that was in `add`.
    pub(super) fn add(
        &mut self,
        add: &BundleAdd,
        inner: Option<Box<Received>>,
        asked: (Xid, &Bytes),
        now: Instant,
    ) -> Result<(), OfpError> {
        let id = add.bundle;
        if self.changes >= CHANGES {
            return Err(wrong(ErrorKind::BundleMsgTooMany, format!("bundles hold {CHANGES} changes")));
        }
        // A change opens its bundle if need be.
        if !self.open.contains_key(&id) {
            self.begin(id, add.flags, asked, now)?;
        }
        let bundle = self.get(id, add.flags, now)?;
        if bundle.closed {
            return Err(wrong(ErrorKind::BundleBundleClosed, format!("bundle {id} is closed")));
        }
        let Some(inner) = inner else {
            return Err(wrong(ErrorKind::BundleMsgBadLen, "the message in the bundle is cut".to_owned()));
        };
        let message = inner.message.map_err(|e| e.error)?;
        let change = match mods::asked(message, Version::V13) {
            Asked::Change(change) => change,
            Asked::Refused(error) => return Err(error),
            Asked::Other(_) => {
                let detail = "bundles take flow-, group-, meter-, port- and table-mods".to_owned();
                return Err(wrong(ErrorKind::BundleMsgUnsup, detail));
            }
        };
        bundle.asked.push((inner.xid, inner.quote));
        bundle.mods.push(change);
        self.changes += 1;
        Ok(())
    }
}

/// Makes the changes of a bundle, all of them or none.
fn commit<F: FastPath>(
    session: &mut Session,
    control: BundleControl,
    switch: &mut Switch<F>,
    now: Instant,
) -> Result<Vec<Event>, OfpError> {
    let id = control.bundle;
    session.bundles.get(id, control.flags, now)?;
    let (asked, mods) = session.bundles.take(id).map(|b| (b.asked, b.mods)).unwrap_or_default();
    switch.apply(mods, now).map_err(|refused| {
        // The change that is to blame, then the commit that failed for it.
        if let Some((xid, quote)) = asked.get(refused.index) {
            session.error(*xid, quote, &refused.error);
        }
        wrong(ErrorKind::BundleMsgFailed, format!("bundle {id}: {}; nothing has changed", refused.error))
    })
}

impl Agent {
    /// A step in a bundle's life; answers it.
    pub(super) fn bundle_control<F: FastPath>(
        &mut self,
        conn: ConnId,
        control: BundleControl,
        (xid, quote): (Xid, &Bytes),
        switch: &mut Switch<F>,
        now: Instant,
    ) -> Vec<Event> {
        let Some(session) = self.sessions.get_mut(&conn) else { return Vec::new() };
        let mut events = Vec::new();
        let (id, bundles) = (control.bundle, &mut session.bundles);
        let done = match control.ty {
            BundleControlType::OpenRequest if bundles.open.contains_key(&id) => {
                Err(wrong(ErrorKind::BundleBundleExist, format!("bundle {id} is there already")))
            }
            BundleControlType::OpenRequest => {
                bundles.begin(id, control.flags, (xid, quote), now).map(|()| BundleControlType::OpenReply)
            }
            BundleControlType::CloseRequest => bundles.get(id, control.flags, now).and_then(|bundle| {
                if std::mem::replace(&mut bundle.closed, true) {
                    return Err(wrong(ErrorKind::BundleBundleClosed, format!("bundle {id} is closed already")));
                }
                Ok(BundleControlType::CloseReply)
            }),
            BundleControlType::DiscardRequest => bundles
                .take(id)
                .map(|_| BundleControlType::DiscardReply)
                .ok_or_else(|| wrong(ErrorKind::BundleBadId, format!("there is no bundle {id}"))),
            BundleControlType::CommitRequest => commit(session, control, switch, now).map(|told| {
                events = told;
                BundleControlType::CommitReply
            }),
            other => Err(wrong(ErrorKind::BundleBadType, format!("{other:?} is the switch's to say"))),
        };
        for event in &events {
            self.tell(event);
        }
        if let Some(session) = self.sessions.get(&conn) {
            match done {
                Ok(ty) => session.reply(xid, &Message::BundleControl(BundleControl { ty, ..control })),
                Err(error) => session.error(xid, quote, &error),
            }
        }
        events
    }
}
