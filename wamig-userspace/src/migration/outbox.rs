//! Where the state machines put what is to be done, in order.

use std::net::IpAddr;

use bytes::Bytes;
use wamig_openflow::action::Action;
use wamig_openflow::{FlowMod, PacketOut, PortNo};

use super::io::{BatchId, Change, Effect, Note, event};
use super::record::Record;
use crate::peer::message::Message;

/// Collects effects and names batches.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    effects: Vec<Effect>,
    last_batch: u64,
}

impl Outbox {
    /// Takes everything collected so far.
    pub(super) fn take(&mut self) -> Vec<Effect> {
        std::mem::take(&mut self.effects)
    }

    pub(super) fn persist(&mut self, record: Record) {
        self.effects.push(Effect::Persist(record));
    }

    pub(super) fn program(&mut self, mods: Vec<FlowMod>) -> BatchId {
        self.last_batch += 1;
        let batch = BatchId(self.last_batch);
        self.effects.push(Effect::Program { batch, mods });
        batch
    }

    pub(super) fn send(&mut self, peer: &str, message: Message) {
        self.effects.push(Effect::Send(peer.to_owned(), message));
    }

    /// Emits a frame out of each port.
    pub(super) fn emit(&mut self, data: Bytes, ports: impl IntoIterator<Item = PortNo>) {
        let actions: Vec<_> = ports.into_iter().map(Action::output).collect();
        let out = PacketOut { buffer_id: None, in_port: PortNo::CONTROLLER, actions, data };
        self.effects.push(Effect::PacketOut(out));
    }

    pub(super) fn packet_out(&mut self, out: PacketOut) {
        self.effects.push(Effect::PacketOut(out));
    }

    pub(super) fn note(&mut self, address: IpAddr, event: &'static str, detail: impl Into<String>) {
        let detail = detail.into();
        self.effects.push(Effect::Note(Note { address: Some(address), event, detail, alert: false, change: None }));
    }

    /// Notes a change of state; the note's detail says from, to and why.
    pub(super) fn change(&mut self, address: IpAddr, change: Change) {
        let detail = format!("{} -> {}: {}", change.from, change.to, change.why);
        let note = Note { address: Some(address), event: event::STATE, detail, alert: false, change: Some(change) };
        self.effects.push(Effect::Note(note));
    }

    pub(super) fn alert(&mut self, address: Option<IpAddr>, detail: impl Into<String>) {
        let detail = detail.into();
        self.effects.push(Effect::Note(Note { address, event: event::ALERT, detail, alert: true, change: None }));
    }
}
