//! A batch of flow-mods under way: in a bundle where the switch has them, else one by one with
//! a way back, in either case with barriers around.
//!
//! ```text
//!   bundle:  open, add, add, …, barrier ─▶ commit, barrier ─▶ barrier ─▶ done
//!                                      └ refused ─▶ discard, barrier ─▶ refused
//!   plain:   mod, mod, …, barrier ─▶ barrier ─▶ done
//!                                └ refused ─▶ undo, barrier ─▶ refused
//! ```
//! A refusal that comes after the changes were made is no end of the batch: without a bundle
//! they are taken back; where that is refused too, or a bundle was committed already, nobody
//! knows what is in force, and the session has to end ([`Outcome::Unsure`]).
//! The commit waits for the answers to the adds: a bundle without the flow-mod that was
//! refused would be committed as well. The second barrier is for Open vSwitch, which answers
//! the first before it has begun to look at the flows in its cache.

use bytes::BytesMut;
use wamig_openflow::message::{BundleAdd, BundleControl, BundleControlType, BundleFlags};
use wamig_openflow::{ErrorKind, FlowMod, FlowModCommand, Message, OfpError, TableId, Version, Xid, encode};

/// How bundles are applied.
pub const FLAGS: BundleFlags = BundleFlags { atomic: true, ordered: true };
/// The bundle that shows whether there are bundles.
pub const TRIAL_BUNDLE: u32 = 1;
/// The bundle of a batch; there is one at a time.
const BUNDLE: u32 = 2;

/// The next transaction of a connection.
pub fn next(last: &mut u32) -> Xid {
    *last = last.wrapping_add(1);
    Xid(*last)
}

/// A flow-mod as a version can say it. 1.0 names no table but where a flow is added, and no
/// cookie's mask; what is taken out is strictly named, and was seen to be ours.
pub fn worded(version: Version, m: &FlowMod) -> FlowMod {
    match (version, m.command) {
        (Version::V13, _) => m.clone(),
        (Version::V10, FlowModCommand::Add) => FlowMod { cookie_mask: 0, ..m.clone() },
        (Version::V10, _) => FlowMod { cookie_mask: 0, table: TableId::ALL, ..m.clone() },
    }
}

/// A step of the work, for its owner.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Progress {
    /// An answer is missing.
    Waits,
    /// To be sent.
    Sends(Vec<(Xid, Message)>),
    /// It is over.
    Done(Outcome),
}

/// What has become of a batch.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// It is in force as a whole.
    InForce,
    /// Nothing of it is in force.
    Refused(OfpError),
    /// Part of it may be.
    Unsure(OfpError),
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Stage {
    Adding,
    Committing,
    Settling,
    Undoing,
}

/// A batch under way.
#[derive(Debug)]
pub struct Work {
    version: Version,
    bundle: bool,
    stage: Stage,
    /// The barrier that ends the stage.
    barrier: Xid,
    /// The first and the last transaction of the flow-mods.
    range: (u32, u32),
    mods: Vec<FlowMod>,
    /// Those that were refused: there is nothing of them to be taken back, and a switch that
    /// has no words for a flow refuses to delete it, too.
    refused: Vec<FlowMod>,
    undo: Vec<FlowMod>,
    error: Option<OfpError>,
    /// The switch refuses to take a change back.
    stuck: bool,
}

impl Work {
    /// Work that has not begun.
    pub fn new(version: Version, bundle: bool, undo: Vec<FlowMod>) -> Self {
        let stage = Stage::Adding;
        Self {
            version,
            bundle,
            stage,
            barrier: Xid(0),
            range: (0, 0),
            mods: Vec::new(),
            refused: Vec::new(),
            undo,
            error: None,
            stuck: false,
        }
    }

    /// The first messages.
    pub fn begin(&mut self, mods: &[FlowMod], last: &mut u32) -> Vec<(Xid, Message)> {
        let mut out = Vec::new();
        self.range.0 = last.wrapping_add(1);
        if self.bundle {
            out.push(Self::control(BundleControlType::OpenRequest, last));
        }
        self.mods = mods.to_vec();
        for m in mods {
            let xid = next(last);
            match self.message(xid, m) {
                Ok(message) => out.push((xid, message)),
                Err(error) => self.fail(xid, error),
            }
        }
        self.range.1 = *last;
        out.push(self.barrier(last));
        out
    }

    fn message(&self, xid: Xid, m: &FlowMod) -> Result<Message, OfpError> {
        let mut bytes = BytesMut::new();
        let message = Message::FlowMod(worded(self.version, m));
        encode(self.version, xid, &message, &mut bytes)
            .map_err(|e| OfpError::new(ErrorKind::FlowModUnknown, e.to_string()))?;
        if !self.bundle {
            return Ok(message);
        }
        Ok(Message::BundleAdd(BundleAdd { bundle: BUNDLE, flags: FLAGS, message: bytes.freeze() }))
    }

    fn control(ty: BundleControlType, last: &mut u32) -> (Xid, Message) {
        (next(last), Message::BundleControl(BundleControl { bundle: BUNDLE, ty, flags: FLAGS }))
    }

    fn barrier(&mut self, last: &mut u32) -> (Xid, Message) {
        self.barrier = next(last);
        (self.barrier, Message::BarrierRequest)
    }

    /// The switch refuses one of our messages. The first refusal is the reason.
    pub fn fail(&mut self, xid: Xid, error: OfpError) {
        if self.stage == Stage::Undoing {
            tracing::warn!(%error, "the switch refuses to take a change back");
            self.stuck = true;
            return;
        }
        let place = xid.0.wrapping_sub(self.range.0) as usize;
        let text = match place.checked_sub(usize::from(self.bundle)).map(|at| self.mods.get(at)) {
            None => "a bundle".to_owned(),
            Some(None) => "the commit".to_owned(),
            Some(Some(m)) => {
                self.refused.push(m.clone());
                m.to_string()
            }
        };
        self.error.get_or_insert(OfpError::new(error.kind, format!("{text}: {}", error.detail)));
    }

    /// The first and the last transaction of the flow-mods.
    pub fn range(&self) -> (u32, u32) {
        self.range
    }

    /// Takes an answer.
    pub fn take(&mut self, xid: Xid, message: &Message, last: &mut u32) -> Progress {
        if *message != Message::BarrierReply || xid != self.barrier {
            return Progress::Waits;
        }
        match (self.stage, self.error.take()) {
            (Stage::Adding, None) if self.bundle => {
                self.stage = Stage::Committing;
                let commit = Self::control(BundleControlType::CommitRequest, last);
                Progress::Sends(vec![commit, self.barrier(last)])
            }
            (Stage::Adding | Stage::Committing, None) => {
                self.stage = Stage::Settling;
                Progress::Sends(vec![self.barrier(last)])
            }
            (Stage::Settling, None) => Progress::Done(Outcome::InForce),
            (Stage::Settling, Some(error)) if self.bundle => Progress::Done(Outcome::Unsure(error)),
            (Stage::Adding | Stage::Settling, Some(error)) => {
                self.error = Some(error);
                self.stage = Stage::Undoing;
                let mut out = Vec::new();
                if self.bundle {
                    out.push(Self::control(BundleControlType::DiscardRequest, last));
                } else {
                    let is_of = |a: &FlowMod, b: &FlowMod| {
                        (a.table, a.priority, &a.matching) == (b.table, b.priority, &b.matching)
                    };
                    let undo = std::mem::take(&mut self.undo);
                    for m in undo.into_iter().filter(|m| !self.refused.iter().any(|r| is_of(r, m))) {
                        let xid = next(last);
                        out.extend(self.message(xid, &m).ok().map(|message| (xid, message)));
                    }
                }
                out.push(self.barrier(last));
                Progress::Sends(out)
            }
            (Stage::Undoing, Some(error)) if self.stuck => Progress::Done(Outcome::Unsure(error)),
            (Stage::Committing | Stage::Undoing, Some(error)) => Progress::Done(Outcome::Refused(error)),
            (Stage::Undoing, None) => Progress::Waits,
        }
    }
}
