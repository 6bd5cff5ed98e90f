//! What the migration application takes in and gives out. It does no IO itself: the daemon
//! hands it inputs with the time, and carries out its effects in their order.

use std::net::IpAddr;

use bytes::Bytes;
use wamig_openflow::{FlowMod, PacketOut, PortNo};

use super::record::Record;
use super::status::Role;
use crate::peer::message::{Epoch, Message};

/// Names a batch of flow-mods until its barrier is answered.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct BatchId(pub u64);

/// Something happened.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Input {
    /// A frame punted by a flow of ours (cookie space of [`super::flows`]).
    Frame {
        /// Where it came in.
        in_port: PortNo,
        /// The frame as received.
        data: Bytes,
    },
    /// A batch of ours is visible in the switch, or was refused as a whole.
    Programmed {
        /// Which.
        batch: BatchId,
        /// The switch's error, if it refused.
        result: Result<(), String>,
    },
    /// The session to a peer is up, and which version of the protocol it speaks.
    PeerUp(String, u16),
    /// The session to a peer is down, and why.
    PeerDown(String, String),
    /// A peer says.
    Peer(String, Message),
    /// What the wall clock says, in milliseconds since 1970: for what has to be told with its
    /// time after a restart. Nothing is decided by it.
    WallClock(u64),
    /// The datapath (re)connected with empty tables or was re-synchronised: program everything.
    DatapathUp,
    /// [`super::Migration::next_deadline`] is over.
    Tick,
}

/// To be done, in order.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Effect {
    /// Make durable before anything after it happens.
    Persist(Record),
    /// Apply as one batch; answer with [`Input::Programmed`] once its barrier is answered.
    Program {
        /// Name of the batch.
        batch: BatchId,
        /// Its flow-mods.
        mods: Vec<FlowMod>,
    },
    /// Emit a frame.
    PacketOut(PacketOut),
    /// Tell a peer; silently lost when its session is down.
    Send(String, Message),
    /// Note for the timeline, the log and the audit.
    Note(Note),
}

/// One line of the timeline.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Note {
    /// The server's address, if the note is about one.
    pub address: Option<IpAddr>,
    /// A fixed name from [`event`].
    pub event: &'static str,
    /// For people.
    pub detail: String,
    /// Needs an operator's eye.
    pub alert: bool,
    /// The change of state that it tells of, for the audit.
    pub change: Option<Change>,
}

/// The verb of a [`Change`] that nobody ordered.
pub const AUTOMATIC: &str = "automatic";

/// An address goes from one state to another, or an operator's order is taken.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Change {
    /// Whose word it was: [`AUTOMATIC`], or the operator's verb.
    pub verb: &'static str,
    /// Which side this site is.
    pub role: Role,
    /// The state before.
    pub from: &'static str,
    /// The state after; `NONE` = forgotten.
    pub to: &'static str,
    /// The placement's epoch, or the highest one known.
    pub epoch: Epoch,
    /// Why.
    pub why: String,
}

/// The timeline's event names: part of the interface of `wamig status -o json`.
pub mod event {
    /// Either: the configuration file was read again, and is in force.
    pub const RELOADED: &str = "reloaded";
    /// Either: the configuration file was read again, and nothing of it is in force.
    pub const RELOAD_REFUSED: &str = "reload-refused";
    /// Either: a switch elsewhere is under control, or again.
    pub const SWITCH_UP: &str = "switch-up";
    /// Host: the guest's ARP was seen and is held.
    pub const ARP_SEEN: &str = "arp-seen";
    /// Host: the guest's neighbour discovery was seen and is held.
    pub const ND_SEEN: &str = "nd-seen";
    /// Host: a guest was heard otherwise than by ARP and neighbour discovery, which is held.
    pub const GUEST_SEEN: &str = "guest-seen";
    /// Host: claim sent.
    pub const CLAIM_SENT: &str = "claim-sent";
    /// Home: claim received.
    pub const CLAIM_RECEIVED: &str = "claim-received";
    /// Home: claim granted.
    pub const CLAIM_ACK_SENT: &str = "claim-ack-sent";
    /// Host: claim granted.
    pub const CLAIM_ACK_RECEIVED: &str = "claim-ack-received";
    /// Home: claim refused.
    pub const CLAIM_NACK_SENT: &str = "claim-nack-sent";
    /// Host: claim refused.
    pub const CLAIM_NACK_RECEIVED: &str = "claim-nack-received";
    /// Either: the address's flows are visible (barrier answered).
    pub const FLOWS_IN: &str = "flows-in";
    /// Either: the address's flows are gone (barrier answered).
    pub const FLOWS_OUT: &str = "flows-out";
    /// Host: ready sent.
    pub const READY_SENT: &str = "ready-sent";
    /// Home: ready received.
    pub const READY_RECEIVED: &str = "ready-received";
    /// Home: active sent.
    pub const ACTIVE_SENT: &str = "active-sent";
    /// Host: active received.
    pub const ACTIVE_RECEIVED: &str = "active-received";
    /// Host: the held ARP or solicitation was answered.
    pub const ARP_ANSWERED: &str = "arp-answered";
    /// Home: the server talks at home while it is away.
    pub const SEEN_AT_HOME: &str = "seen-at-home";
    /// Home: revoke sent.
    pub const REVOKE_SENT: &str = "revoke-sent";
    /// Host: revoke received.
    pub const REVOKE_RECEIVED: &str = "revoke-received";
    /// Home: no trigger moves the address any more.
    pub const FROZEN: &str = "frozen";
    /// Home: triggers move the address again.
    pub const UNFROZEN: &str = "unfrozen";
    /// Home: a host was asked to keep a transfer address for a planned move.
    pub const PREPARE_SENT: &str = "prepare-sent";
    /// Host: a transfer address is kept for a planned move.
    pub const PREPARE_RECEIVED: &str = "prepare-received";
    /// Home: the host is prepared for the planned move.
    pub const PREPARE_ACK_RECEIVED: &str = "prepare-ack-received";
    /// Host: the transfer address went into quarantine.
    pub const TRANSFER_RELEASED: &str = "transfer-released";
    /// Either: the state changed; the detail says from, to and why.
    pub const STATE: &str = "state";
    /// Either: something an operator should look at.
    pub const ALERT: &str = "alert";
}
