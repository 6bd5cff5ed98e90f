//! The embedded controller: a learning switch, and the migration application beside it.
//!
//! Each has a space of cookies of its own ([`learning::COOKIE`], [`migration::cookie`]); what
//! a switch says about a flow goes to the owner of the flow's cookie. The two share nothing
//! else: either would work with the other taken out, but for table 0, whose default flow is
//! the migration's.
//!
//! No IO and no clock: the daemon hands in events with the time, and carries out
//! [`Command`]s in their order. Which switch it is, in this process or elsewhere, is not
//! known here.
//!
//! [`migration::cookie`]: crate::migration::cookie

pub mod learning;
pub mod standalone;

use std::collections::HashMap;
use std::time::{Duration, Instant};

use wamig_openflow::{FlowMod, PacketOut, PortDesc};

use crate::datapath::Event;
use crate::migration::config::SiteConfig;
use crate::migration::io::{BatchId, Effect, Input, Note, event};
use crate::migration::order::{Order, Refusal, Verdict};
use crate::migration::record::Record;
use crate::migration::reload::About;
use crate::migration::site_order::{SiteOrder, SiteVerdict};
use crate::migration::{self, Migration};
use crate::peer::message::Message;
use learning::{Learning, Plan, Settings};

/// Pause before the flows that are always there are sent again to a switch that refused them.
const START_RETRY: Duration = Duration::from_secs(1);

/// Names a batch of flow-mods until its outcome is known.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Ticket(u64);

/// To be done, in order.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Command {
    /// Make durable before anything after it happens.
    Persist(Record),
    /// Apply as one batch, then call [`Controller::programmed`].
    Program {
        /// Name of the batch.
        ticket: Ticket,
        /// Its flow-mods.
        mods: Vec<FlowMod>,
    },
    /// Emit a frame.
    PacketOut(PacketOut),
    /// Tell a peer.
    Send(String, Message),
    /// A line for the timeline and the log.
    Note(Note),
}

/// Whose batch it is.
enum Owner {
    Learning(Plan),
    Migration(BatchId),
    /// Both, to begin with.
    Start(Plan, Vec<BatchId>),
}

/// The controller of one switch.
pub struct Controller {
    learning: Learning,
    migration: Migration,
    batches: HashMap<Ticket, Owner>,
    next_ticket: u64,
    /// The switch refused a learning batch and has not accepted one since.
    learning_refused: bool,
    learn_again: Option<Instant>,
}

impl Controller {
    /// A controller, and what programs its switch: one batch, so that a switch whose data
    /// path outlived the last daemon goes from the old flows to the new ones in one step.
    pub fn new(
        site: SiteConfig,
        settings: Settings,
        records: Vec<Record>,
        ports: &[PortDesc],
        now: Instant,
    ) -> (Self, Vec<Command>) {
        let (migration, effects) = Migration::new(site, records, now);
        let mut controller = Self {
            learning: Learning::new(settings, ports),
            migration,
            batches: HashMap::new(),
            next_ticket: 0,
            learning_refused: false,
            learn_again: None,
        };
        let commands = controller.start(now, effects);
        (controller, commands)
    }

    /// The migration application, for status.
    pub fn migration(&self) -> &Migration {
        &self.migration
    }

    /// The learning switch, for status.
    pub fn learning(&self) -> &Learning {
        &self.learning
    }

    /// The switch says something. That it is down is the daemon's to deal with.
    pub fn on_datapath(&mut self, now: Instant, said: Event) -> Vec<Command> {
        match said {
            Event::PacketIn(frame) if frame.cookie.0 & learning::COOKIE_MASK == learning::COOKIE.0 => {
                let plan = self.learning.frame(now, frame.in_port, &frame.data);
                self.learn(plan)
            }
            Event::PacketIn(frame) if migration::cookie::is_ours(frame.cookie) => {
                self.on_migration(now, Input::Frame { in_port: frame.in_port, data: frame.data })
            }
            Event::PacketIn(frame) => {
                tracing::trace!(cookie = %frame.cookie, "a packet-in of nobody's flow");
                Vec::new()
            }
            Event::FlowRemoved(removed) if removed.stats.cookie == learning::COOKIE => {
                let plan = self.learning.flow_removed(&removed);
                self.learn(plan)
            }
            Event::PortStatus(status) => {
                let plan = self.learning.port_status(&status);
                self.learn(plan)
            }
            Event::Up(ports) => self.begin_again(now, &ports),
            Event::FlowRemoved(_) | Event::Miss(_) | Event::Down(_) => Vec::new(),
        }
    }

    /// Something happened to a peer or to the switch as a whole.
    pub fn on_migration(&mut self, now: Instant, input: Input) -> Vec<Command> {
        let effects = self.migration.handle(now, input);
        effects.into_iter().map(|e| self.command(e)).collect()
    }

    /// An operator orders something: what becomes of it, and what is to be done.
    pub fn order(&mut self, now: Instant, order: &Order) -> (Vec<Verdict>, Vec<Command>) {
        let (verdicts, effects) = self.migration.order(now, order);
        (verdicts, effects.into_iter().map(|e| self.command(e)).collect())
    }

    /// An operator orders something about another site, in the same way.
    pub fn order_site(&mut self, now: Instant, order: &SiteOrder) -> (SiteVerdict, Vec<Command>) {
        let (verdict, effects) = self.migration.order_site(now, order);
        (verdict, effects.into_iter().map(|e| self.command(e)).collect())
    }

    /// What stands in the way of another configuration; see [`crate::migration::reload`].
    pub fn objections(&self, to: &SiteConfig) -> Vec<(About, Refusal)> {
        self.migration.objections(to)
    }

    /// What the switch has to be told before another configuration is in force.
    pub fn rebase(&self, to: &SiteConfig) -> Vec<FlowMod> {
        self.migration.rebase(to)
    }

    /// Another configuration is in force from now on; what is to be done for it.
    pub fn adopt(&mut self, now: Instant, to: SiteConfig, records: Vec<Record>) -> Vec<Command> {
        let effects = self.migration.adopt(now, to, records);
        effects.into_iter().map(|e| self.command(e)).collect()
    }

    /// The outcome of a [`Command::Program`].
    pub fn programmed(&mut self, now: Instant, ticket: Ticket, result: Result<(), String>) -> Vec<Command> {
        match self.batches.remove(&ticket) {
            None => Vec::new(),
            Some(Owner::Learning(plan)) => self.learned(now, &plan, result),
            Some(Owner::Migration(batch)) => self.on_migration(now, Input::Programmed { batch, result }),
            Some(Owner::Start(plan, batches)) => {
                let mut commands = self.learned(now, &plan, result.clone());
                for batch in batches {
                    let result = result.clone();
                    commands.extend(self.on_migration(now, Input::Programmed { batch, result }));
                }
                commands
            }
        }
    }

    /// When [`Self::tick`] has something to do.
    pub fn next_deadline(&self) -> Option<Instant> {
        [self.migration.next_deadline(), self.learn_again].into_iter().flatten().min()
    }

    /// The deadline is over. The migration sends again itself what was refused.
    pub fn tick(&mut self, now: Instant) -> Vec<Command> {
        let mut commands = Vec::new();
        if self.learn_again.is_some_and(|at| at <= now) {
            self.learn_again = None;
            self.learning.forget_all();
            let plan = self.learning.start();
            commands.extend(self.learn(Some(plan)));
        }
        commands.extend(self.on_migration(now, Input::Tick));
        commands
    }

    /// The switch is there again: batches that were under way are in the new one or void.
    fn begin_again(&mut self, now: Instant, ports: &[PortDesc]) -> Vec<Command> {
        self.batches.clear();
        self.learn_again = None;
        self.learning.begin_again(ports);
        self.start(now, Vec::new())
    }

    /// Programs the switch from nothing. The migration's batches join the learning switch's
    /// in one; what must be durable goes before it, the rest after it.
    fn start(&mut self, now: Instant, mut effects: Vec<Effect>) -> Vec<Command> {
        effects.extend(self.migration.handle(now, Input::DatapathUp));
        let plan = self.learning.start();
        let mut mods = plan.mods.clone();
        let (mut before, mut batches, mut after) = (Vec::new(), Vec::new(), Vec::new());
        for effect in effects {
            match effect {
                Effect::Program { batch, mods: more } => {
                    batches.push(batch);
                    mods.extend(more);
                }
                Effect::Persist(record) => before.push(Command::Persist(record)),
                other => after.push(self.command(other)),
            }
        }
        let ticket = self.ticket(Owner::Start(plan, batches));
        before.push(Command::Program { ticket, mods });
        before.extend(after);
        before
    }

    fn learn(&mut self, plan: Option<Plan>) -> Vec<Command> {
        let Some(plan) = plan else { return Vec::new() };
        let mods = plan.mods.clone();
        let ticket = self.ticket(Owner::Learning(plan));
        vec![Command::Program { ticket, mods }]
    }

    fn learned(&mut self, now: Instant, plan: &Plan, result: Result<(), String>) -> Vec<Command> {
        if result.is_err() && plan.is_start() {
            self.learn_again = Some(now + START_RETRY);
        }
        let was_refused = std::mem::replace(&mut self.learning_refused, result.is_err());
        match result {
            Ok(()) => {
                self.learning.commit(plan);
                Vec::new()
            }
            Err(why) if !was_refused => vec![Command::Note(Note {
                address: None,
                event: event::ALERT,
                detail: format!("the switch refuses flows of the learning switch, which floods meanwhile: {why}"),
                alert: true,
                change: None,
            })],
            Err(_) => Vec::new(),
        }
    }

    fn command(&mut self, effect: Effect) -> Command {
        match effect {
            Effect::Persist(record) => Command::Persist(record),
            Effect::Program { batch, mods } => {
                let ticket = self.ticket(Owner::Migration(batch));
                Command::Program { ticket, mods }
            }
            Effect::PacketOut(out) => Command::PacketOut(out),
            Effect::Send(peer, message) => Command::Send(peer, message),
            Effect::Note(note) => Command::Note(note),
        }
    }

    fn ticket(&mut self, owner: Owner) -> Ticket {
        self.next_ticket += 1;
        let ticket = Ticket(self.next_ticket);
        self.batches.insert(ticket, owner);
        ticket
    }
}

#[cfg(test)]
mod tests;
