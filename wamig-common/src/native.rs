//! The walk outside the kernel: over the same tables, with the same steps as the XDP program.
//!
//! Two ways of output: [`walk`] keeps one plan, as XDP does, and says "slow path" where one
//! plan is not enough; [`walk_all`] makes every output at once, as the slow path does.

use crate::action::{CONTROLLER, DEC_TTL, END, GROUP, METER, Op, SET_TUNNEL, SUM_L4};
use crate::classify::classify;
use crate::entry::{FlowRecord, Records, SLOW, Slot, Table, Tables};
use crate::execute::{self, Context, execute, step};
use crate::extract::{Layout, extract, proto};
use crate::frame::{Buffer, Edited};
use crate::key::{FlowKey, IP_TOS, METADATA, TUNNEL_ID};
use crate::limits::{MAX_OPS, MAX_SUBTABLES, MAX_TABLES, SET_SLOTS, SLOW_HEADROOM, SLOW_WINDOW_LEN};
use crate::meter::remark;
use crate::plan::{Plan, STALE_KEY};
use crate::reshape::reshape;
use crate::rules::PortRules;
use crate::translate::{ActionSet, Machine, refreshed, translate};
use crate::verdict::{DropReason, SlowReason, Verdict};

/// Tables that a walk outside the kernel needs.
pub trait Store: Tables + Records {
    /// The present version.
    fn version(&self) -> u64;
    /// A table's search order as `version` sees it.
    fn table(&self, table: u8, version: u64) -> Option<&Table>;
    /// The rules of a port, by index.
    fn rules(&self, port: u32) -> PortRules;
}

/// The flows that a frame met, table by table.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Path {
    /// (table, flow; 0 = miss).
    pub steps: [(u8, u32); MAX_TABLES],
    /// Steps in use.
    pub n: usize,
}

impl Path {
    /// The steps made.
    pub fn iter(&self) -> impl Iterator<Item = (u8, u32)> + '_ {
        self.steps.iter().take(self.n).copied()
    }
}

/// What came of a frame.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The decision.
    pub verdict: Verdict,
    /// The plan, to be carried out unless the verdict is slow.
    pub plan: Plan,
    /// The key as extracted from the frame received.
    pub key: FlowKey,
    /// The layout of the frame received.
    pub layout: Layout,
    /// The flows met.
    pub path: Path,
    window: Buffer,
}

impl Outcome {
    /// The edited frame in two parts: headers, and the untouched rest of `frame` (the frame
    /// as received).
    pub fn edited<'a>(&'a self, frame: &'a [u8]) -> (&'a [u8], &'a [u8]) {
        parts(&self.plan, &self.window, frame)
    }
}

fn parts<'a>(plan: &Plan, window: &'a Buffer, frame: &'a [u8]) -> (&'a [u8], &'a [u8]) {
    let start = plan.start as usize;
    let end = start + plan.held as usize;
    (&window.0[start..end], &frame[end - plan.room as usize..])
}

/// One output of [`walk_all`]: the frame as it stands at that action, in two parts.
#[derive(Clone, Copy, Debug)]
pub struct Emission<'a> {
    /// The output action.
    pub op: Op,
    /// The flow it belongs to and the metadata at that point.
    pub context: Context,
    /// Tunnel id at that point.
    pub tunnel_id: u64,
    /// Headers, as edited so far.
    pub header: &'a [u8],
    /// The rest of the frame.
    pub rest: &'a [u8],
}

/// Receives the outputs of [`walk_all`], and is asked what a meter says ([`METER`]): the reply
/// is [`PASS`], [`METERED`], or [`REMARK`] | levels; to everything else [`PASS`].
pub type Sink<'s> = dyn FnMut(Emission<'_>) -> u32 + 's;

/// Reply of a [`Sink`]: go on.
pub const PASS: u32 = 0;
/// Reply of a [`Sink`]: drop the frame.
pub const METERED: u32 = 1;
/// Reply of a [`Sink`]: raise the drop precedence by so many levels, which are in bits 7..0.
pub const REMARK: u32 = 0x100;

/// Sees a walk as it happens. Nothing that it is told can be changed by it.
pub trait Observer {
    /// A table was searched for a key.
    fn looked_up(&mut self, table: u8, key: &FlowKey, found: Slot);
    /// An action was run, and this is the [`step`] that came of it, the plan, and the frame
    /// as it stands, in two parts.
    fn ran(&mut self, op: &Op, result: u32, plan: &Plan, frame: (&[u8], &[u8]));
    /// The action set begins to run.
    fn runs_set(&mut self);
}

/// The packet-in of a TTL that ran out: of the whole frame.
fn ttl_ran_out() -> Op {
    Op { kind: DEC_TTL, value: u64::MAX, ..Op::default() }
}

/// The action as the slow path runs it: SCTP's checksum covers the whole packet, so that
/// whoever receives the frame computes it.
fn by_the_slow_path(op: &Op, l4_proto: u8) -> Op {
    let sums = if l4_proto == proto::SCTP { SUM_L4 } else { 0 };
    Op { flags: op.flags & !sums, ..*op }
}

/// A frame under the hands of actions.
struct Held<'a> {
    frame: &'a [u8],
    in_port: u32,
    key: FlowKey,
    layout: Layout,
    window: Buffer,
    plan: Plan,
    /// As the slow path holds it: nothing is left to anybody else.
    slow: bool,
}

impl<'a> Held<'a> {
    /// `None`: it is shorter than its Ethernet header or tags.
    fn new(in_port: u32, port_index: u32, frame: &'a [u8], slow: bool) -> (Self, Option<()>) {
        let mut plan = Plan::default();
        plan.reset(port_index, frame.len() as u32);
        if slow {
            plan.held = frame.len().min(SLOW_WINDOW_LEN) as u32;
            plan.room = SLOW_HEADROOM as u32;
            (plan.start, plan.origin) = (plan.room, plan.room);
        }
        let window = Buffer::of(frame, plan.room as usize);
        let mut held = Self { frame, in_port, key: FlowKey::default(), layout: Layout::default(), window, plan, slow };
        let read = extract(frame, in_port, &mut held.key, &mut held.layout);
        (held, read)
    }

    fn parts(&self) -> (&[u8], &[u8]) {
        parts(&self.plan, &self.window, self.frame)
    }

    /// The frame as it stands, at an action that hands it out.
    fn emission(&self, op: Op, context: Context) -> Emission<'_> {
        let (header, rest) = self.parts();
        Emission { op, context, tunnel_id: self.key.get(TUNNEL_ID), header, rest }
    }

    /// Runs an action that is no output: a [`step`].
    fn edit(&mut self, op: &Op, cx: Context) -> u32 {
        if !self.slow {
            return execute(&mut self.plan, &mut self.window, &self.layout, op, cx);
        }
        if !op.is_slow() {
            let op = &by_the_slow_path(op, self.layout.l4_proto);
            let result = execute(&mut self.plan, &mut self.window, &self.layout, op, cx);
            let full = result == step::SLOW | SlowReason::Headroom.index();
            return if full { step::DROP | DropReason::NoHeadroom.index() } else { result };
        }
        if op.kind == SET_TUNNEL {
            let old = self.key.get(TUNNEL_ID);
            self.key.set(TUNNEL_ID, old & !op.mask | op.value);
            return step::NEXT;
        }
        // It has to know the headers as they stand, and so has the action behind it.
        let read = self.refresh();
        if read != step::NEXT {
            return read;
        }
        let result = reshape(&mut self.plan, &mut self.window, &self.layout, op);
        if result == step::NEXT && op.reshapes() { self.refresh() } else { result }
    }

    /// Reads the key anew if the frame was edited since: a [`step`]. What is not in the frame
    /// stays.
    fn refresh(&mut self) -> u32 {
        if !self.plan.has(STALE_KEY) {
            return step::NEXT;
        }
        let edited = Edited {
            window: &self.window,
            start: self.plan.start,
            held: self.plan.held,
            total: self.plan.edited_total(),
        };
        let mut key = FlowKey::default();
        let read = extract(&edited, self.in_port, &mut key, &mut self.layout);
        for field in [METADATA, TUNNEL_ID] {
            key.set(field, self.key.get(field));
        }
        self.key = key;
        self.plan.origin = self.plan.start;
        self.plan.flags &= !STALE_KEY;
        let result = refreshed(read, &self.plan, &self.layout, &self.key);
        // The slow path's window holds every header that is read at all.
        if self.slow && result & step::SLOW != 0 { step::NEXT } else { result }
    }
}

struct Walker<'a, 's, 'o, S> {
    store: &'a S,
    version: u64,
    held: Held<'a>,
    rules: PortRules,
    set: ActionSet,
    path: Path,
    sink: Option<&'a mut Sink<'s>>,
    observer: Option<&'a mut (dyn Observer + 'o)>,
}

impl<S: Store> Walker<'_, '_, '_, S> {
    fn run(&mut self, op: &Op, cx: Context, in_set: bool) -> u32 {
        let result = self.run_unseen(op, cx, in_set);
        if let Some(observer) = self.observer.as_mut()
            && op.kind != END
        {
            observer.ran(op, result, &self.held.plan, self.held.parts());
        }
        result
    }

    fn run_unseen(&mut self, op: &Op, cx: Context, in_set: bool) -> u32 {
        if let Some(sink) = self.sink.as_mut()
            && op.is_output()
        {
            sink(self.held.emission(*op, cx));
            // A group leaves an output beside it in the action set without effect (§5.10).
            return if in_set && op.kind == GROUP { step::END } else { step::NEXT };
        }
        let result = self.held.edit(op, cx);
        if let Some(sink) = self.sink.as_mut()
            && result == step::STOP
        {
            sink(self.held.emission(ttl_ran_out(), cx));
        }
        result
    }
}

impl<S: Store> Machine for Walker<'_, '_, '_, S> {
    fn tables(&self) -> u32 {
        MAX_TABLES as u32
    }

    fn classify(&mut self, table: u8) -> u32 {
        let found = match self.store.table(table, self.version) {
            Some(t) => classify(self.store, &self.held.key, t, MAX_SUBTABLES, self.version),
            None => Slot::default(),
        };
        if let Some(observer) = self.observer.as_mut() {
            observer.looked_up(table, &self.held.key, found);
        }
        if let Some(step) = self.path.steps.get_mut(self.path.n) {
            *step = (table, found.flow());
            self.path.n += 1;
        }
        found.flow()
    }

    fn miss(&mut self, cx: Context) -> u32 {
        if !self.rules.has(PortRules::MISSES_GO_UP) {
            return step::NEXT;
        }
        let op = Op { kind: CONTROLLER, value: u64::from(u32::MAX), ..Op::default() };
        let result = match self.sink.as_mut() {
            Some(sink) => {
                sink(self.held.emission(op, cx));
                step::NEXT
            }
            None => execute::miss(&mut self.held.plan, cx),
        };
        if let Some(observer) = self.observer.as_mut() {
            observer.ran(&op, result, &self.held.plan, self.held.parts());
        }
        result
    }

    fn record(&mut self, flow: u32) -> Option<FlowRecord> {
        let mut record = self.store.record(flow).copied()?;
        if self.sink.is_some() {
            // This is the slow path: what flows are sent here for.
            record.flags &= !SLOW;
        }
        Some(record)
    }

    fn meter(&mut self, meter: u32, cx: Context) -> u32 {
        let Some(sink) = self.sink.as_mut() else { return step::SLOW | SlowReason::Meter.index() };
        let op = Op { kind: METER, value: u64::from(meter), ..Op::default() };
        match sink(self.held.emission(op, cx)) {
            PASS => step::NEXT,
            METERED => step::DROP | DropReason::Metered.index(),
            reply => match remark(self.held.layout.l3, self.held.key.get(IP_TOS) as u32, reply & 0xff) {
                Some(op) => self.run(&op, cx, false),
                None => step::NEXT,
            },
        }
    }

    fn apply(&mut self, list: u32, cx: Context) -> u32 {
        for i in 0..MAX_OPS as u32 {
            let Some(op) = self.store.op(list, i).copied() else {
                return step::DROP | DropReason::Inconsistent.index();
            };
            let result = self.run(&op, cx, false);
            if result != step::NEXT {
                return result;
            }
        }
        step::NEXT
    }

    fn merge(&mut self, list: u32, cx: Context) -> u32 {
        for i in 0..MAX_OPS as u32 {
            let Some(op) = self.store.op(list, i) else { return step::DROP | DropReason::Inconsistent.index() };
            if op.kind == END {
                break;
            }
            self.set.write(op, cx);
        }
        step::NEXT
    }

    fn clear_set(&mut self) {
        self.set.used = 0;
    }

    fn run_set(&mut self, cx: Context) -> u32 {
        if self.set.used != 0
            && let Some(observer) = self.observer.as_mut()
        {
            observer.runs_set();
        }
        for i in 0..SET_SLOTS {
            if self.set.used >> i & 1 == 0 {
                continue;
            }
            let op = self.set.ops[i];
            let result = self.run(&op, self.set.context(i as u8, cx), true);
            if result != step::NEXT {
                return result;
            }
        }
        step::NEXT
    }

    fn metadata(&self) -> u64 {
        self.held.key.get(METADATA)
    }

    fn set_metadata(&mut self, value: u64) {
        self.held.key.set(METADATA, value);
    }

    fn refresh_key(&mut self) -> u32 {
        self.held.refresh()
    }

    fn plan(&mut self) -> &mut Plan {
        &mut self.held.plan
    }
}

fn start<S: Store>(
    store: &S,
    in_port: u32,
    port_index: u32,
    frame: &[u8],
    sink: Option<&mut Sink<'_>>,
    observer: Option<&mut (dyn Observer + '_)>,
) -> Outcome {
    let (held, read) = Held::new(in_port, port_index, frame, sink.is_some());
    let (key, layout) = (held.key, held.layout);
    let rules = store.rules(port_index);
    let (set, path) = (ActionSet::default(), Path::default());
    let mut walker = Walker { store, version: store.version(), held, rules, set, path, sink, observer };
    let verdict = match rules.refuses(&key) {
        _ if read.is_none() => Verdict::Drop(DropReason::Truncated),
        Some(reason) => Verdict::Drop(reason),
        None => translate(&mut walker),
    };
    Outcome { verdict, plan: walker.held.plan, key, layout, path: walker.path, window: walker.held.window }
}

/// Walks a frame as the XDP program does. `in_port` is the OpenFlow number that flows match,
/// `port_index` the fast path's number of the same port.
pub fn walk<S: Store>(store: &S, in_port: u32, port_index: u32, frame: &[u8]) -> Outcome {
    start(store, in_port, port_index, frame, None, None)
}

/// Walks a frame as the slow path does: every output and packet-in goes to `sink` as it is
/// met. An emission of kind [`crate::action::DEC_TTL`] is the packet-in of a TTL that ran out,
/// one of no flow and kind [`CONTROLLER`] that of a table miss.
pub fn walk_all<S: Store>(store: &S, in_port: u32, port_index: u32, frame: &[u8], sink: &mut Sink<'_>) -> Outcome {
    start(store, in_port, port_index, frame, Some(sink), None)
}

/// As [`walk_all`] if there is a sink, else as [`walk`], under the eyes of an observer.
pub fn walk_observed<S: Store>(
    store: &S,
    in_port: u32,
    port_index: u32,
    frame: &[u8],
    sink: Option<&mut Sink<'_>>,
    observer: &mut (dyn Observer + '_),
) -> Outcome {
    start(store, in_port, port_index, frame, sink, Some(observer))
}

/// Runs a list of actions on a frame, as packet-outs and buckets of groups do: no table is
/// looked up. `cx` is whose they are; the frame comes with a tunnel id, or 0.
pub fn run_list(
    ops: &[Op],
    in_port: u32,
    port_index: u32,
    frame: &[u8],
    (cx, tunnel_id): (Context, u64),
    sink: &mut Sink<'_>,
) -> Result<(), DropReason> {
    let (mut held, read) = Held::new(in_port, port_index, frame, true);
    read.ok_or(DropReason::Truncated)?;
    held.key.set(TUNNEL_ID, tunnel_id);
    for op in ops {
        if op.is_output() {
            sink(held.emission(*op, cx));
            continue;
        }
        let result = held.edit(op, cx);
        if result & step::DROP != 0 {
            return Err(DropReason::from_index(result & 0xff).unwrap_or(DropReason::Inconsistent));
        }
        if result == step::STOP {
            sink(held.emission(ttl_ran_out(), cx));
        }
        if result != step::NEXT {
            break;
        }
    }
    Ok(())
}
