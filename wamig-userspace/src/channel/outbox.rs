//! What is to be sent on a connection: one queue of bytes between the owner of the session,
//! which never waits, and the connection, which may be slow.
//!
//! * Replies are always taken. Their bound is that their owner asks [`Outbox::has_room`]
//!   before it takes on the next request.
//! * Packet-ins are dropped and counted from [`PACKET_INS`] bytes on.
//! * Other notices (flow-removed, port-status) from [`NOTICES`] bytes on: whoever has that much
//!   to read is as good as dead, and the inactivity probe will say so.

use std::mem;
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::BytesMut;
use tokio::sync::Notify;
use wamig_openflow::{EncodeError, Message, Version, Xid, encode};

/// Bytes in the queue from which on packet-ins are dropped.
pub const PACKET_INS: usize = 256 * 1024;
/// Bytes from which on the next request waits.
pub const REPLIES: usize = 1024 * 1024;
/// Bytes from which on notices are dropped.
pub const NOTICES: usize = 8 * 1024 * 1024;
/// Bytes that are written at once.
const CHUNK: usize = 64 * 1024;

/// How much a message matters.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Class {
    /// An answer: never dropped.
    Reply,
    /// Flow-removed, port-status.
    Notice,
    /// A frame.
    PacketIn,
}

/// Messages that were not sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Dropped {
    /// Packet-ins.
    pub packet_ins: u64,
    /// Flow-removed and port-status.
    pub notices: u64,
}

#[derive(Debug, Default)]
struct Queue {
    bytes: BytesMut,
    dropped: Dropped,
    /// The owner was told that there is no room, and waits.
    starved: bool,
    closed: Option<String>,
}

/// See the module.
#[derive(Debug, Default)]
pub struct Outbox {
    queue: Mutex<Queue>,
    filled: Notify,
}

/// The next thing to do for whoever writes.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// Send this; `room` = the owner waits to hear that there is room again.
    Bytes { bytes: BytesMut, room: bool },
    /// Everything is sent, and the connection shall end.
    Close(String),
}

impl Outbox {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Queues a message, or drops and counts it as its class says.
    ///
    /// # Errors
    /// [`EncodeError`] when the version has no form for it; nothing is queued then.
    pub fn push(&self, class: Class, version: Version, xid: Xid, message: &Message) -> Result<(), EncodeError> {
        let mut queue = self.queue();
        match class {
            Class::PacketIn if queue.bytes.len() >= PACKET_INS => queue.dropped.packet_ins += 1,
            Class::Notice if queue.bytes.len() >= NOTICES => queue.dropped.notices += 1,
            _ => {
                encode(version, xid, message, &mut queue.bytes)?;
                drop(queue);
                self.filled.notify_one();
            }
        }
        Ok(())
    }

    /// Whether the next request may be served. After a no, the owner hears when it may.
    pub fn has_room(&self) -> bool {
        let mut queue = self.queue();
        let room = queue.bytes.len() < REPLIES;
        queue.starved |= !room;
        room
    }

    /// Ends the connection once everything that is queued has been sent.
    pub fn close(&self, why: impl Into<String>) {
        self.queue().closed.get_or_insert(why.into());
        self.filled.notify_one();
    }

    /// Bytes that wait.
    pub fn len(&self) -> usize {
        self.queue().bytes.len()
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What was dropped.
    pub fn dropped(&self) -> Dropped {
        self.queue().dropped
    }

    /// Waits for something to do. Nothing is lost if the wait is abandoned.
    pub(super) async fn next(&self) -> Next {
        loop {
            // Registered before the look, so that nothing is missed in between.
            let filled = self.filled.notified();
            {
                let mut queue = self.queue();
                if !queue.bytes.is_empty() {
                    // Without the rest, not even the memory stays: one long reply is no reason to hold it for ever.
                    let last = queue.bytes.len() <= CHUNK;
                    let bytes = if last { mem::take(&mut queue.bytes) } else { queue.bytes.split_to(CHUNK) };
                    let room = queue.starved && queue.bytes.len() < REPLIES / 2;
                    queue.starved &= !room;
                    return Next::Bytes { bytes, room };
                }
                if let Some(why) = &queue.closed {
                    return Next::Close(why.clone());
                }
            }
            filled.await;
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use wamig_openflow::{Cookie, PacketIn, PacketInReason, PortNo, TableId};

    use super::*;

    fn frame(len: usize) -> Message {
        Message::PacketIn(PacketIn {
            buffer_id: None,
            reason: PacketInReason::Action,
            table: TableId(0),
            cookie: Cookie(0),
            in_port: PortNo(1),
            metadata: 0,
            tunnel_id: 0,
            total_len: len as u16,
            data: Bytes::from(vec![0; len]),
        })
    }

    #[test]
    fn packet_ins_go_first_and_replies_never() {
        let outbox = Outbox::default();
        for _ in 0..1000 {
            outbox.push(Class::PacketIn, Version::V13, Xid(0), &frame(1000)).unwrap();
        }
        let full = outbox.len();
        assert!((PACKET_INS..PACKET_INS + 2000).contains(&full), "{full}");
        let lost = outbox.dropped().packet_ins;
        assert!(lost > 700 && (1000 - lost) as usize * 1000 <= full, "{lost}");
        for n in 0..100_000 {
            outbox.push(Class::Reply, Version::V13, Xid(n), &Message::BarrierReply).unwrap();
        }
        assert_eq!(outbox.len(), full + 800_000);
        assert!(!outbox.has_room());
        outbox.push(Class::Notice, Version::V13, Xid(0), &Message::BarrierReply).unwrap();
        assert_eq!(outbox.dropped(), Dropped { packet_ins: lost, notices: 0 });
    }

    #[tokio::test]
    async fn the_owner_hears_once_that_there_is_room_again() {
        let outbox = Outbox::default();
        let big = Message::EchoReply(Bytes::from(vec![0; 60_000]));
        while outbox.has_room() {
            outbox.push(Class::Reply, Version::V13, Xid(1), &big).unwrap();
        }
        let mut rooms = Vec::new();
        while !outbox.is_empty() {
            let Next::Bytes { room, .. } = outbox.next().await else { panic!("closed") };
            rooms.push(room);
        }
        assert_eq!(rooms.iter().filter(|r| **r).count(), 1, "{rooms:?}");
        assert!(outbox.has_room());
        outbox.close("over");
        assert_eq!(outbox.next().await, Next::Close("over".into()));
    }
}
