//! One connection with a switch, without IO: messages go in, messages and news come out.
//!
//! ```text
//!   features ─▶ ports ─▶ role ─▶ description ─▶ bundles? ─▶ flows ─▶ trial ─▶ withdrawal ─▶ fragments ─▶ ready
//! ```
//! If the trial fails, those of the other profiles follow, to name one that would do.
//! Ready, it does one thing at a time: a batch of flow-mods ([`work`]) or a dump of flows.
//! Until then any refusal by the switch ends the session, but for what is merely asked.

use std::collections::VecDeque;

use wamig_openflow::message::{
    BundleControl, BundleControlType, ControllerRole, ErrorCode, ErrorMessage, Features, FlowStatsRequest, Fragments,
    MultipartReply, MultipartRequest, Role, SwitchConfig, SwitchDesc,
};
use wamig_openflow::{
    DatapathId, DecodeError, ErrorKind, FlowMod, FlowModCommand, FlowStats, Message, OfpError, PortDesc, Version, Xid,
};

use super::fragment::{self, Verdict};
use super::marks::Marks;
use super::profile::Profile;
use super::work::{self, Outcome, Progress, Work};
use crate::datapath::Event;

/// So many flow-mods said beside the batches are known by their transaction.
const REMEMBERED: usize = 1024;

/// What the session has to say to its owner.
#[derive(Clone, PartialEq, Debug)]
pub enum News {
    /// The switch is ours to control.
    Ready,
    /// The switch says something by itself; ports and flows as the switch numbers them.
    Event(Event),
    /// The batch is in force as a whole, or nothing of it.
    Done(Result<(), OfpError>),
    /// The flows that were asked for.
    Flows(Vec<FlowStats>),
    /// A flow that was added beside the batches is not there.
    Refused(FlowMod),
    /// The session cannot go on.
    Over(String),
}

/// What is expected of the switch.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Expected {
    /// Its identity; any other is refused.
    pub dpid: DatapathId,
    /// How it is used.
    pub profile: Profile,
    /// Our role, and the age of our claim to it (1.3).
    pub role: Role,
    /// By what our flows are told from others'.
    pub marks: Marks,
    /// It is one of several, and tags take frames from one to the next.
    pub has_links: bool,
}

impl Expected {
    /// The flows of a profile's trial, as the switch has them.
    fn trial(&self, profile: Profile) -> Vec<FlowMod> {
        let marked = |m: FlowMod| FlowMod { cookie: self.marks.cookie_out(m.cookie), ..m };
        profile.trial(self.has_links).into_iter().map(marked).collect()
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Step {
    Features,
    Ports,
    Role,
    Description,
    Bundles,
    Flows,
    Trial,
    Withdrawal,
    Fragments,
    Ready,
}

/// A session. See the module.
#[derive(Debug)]
pub struct Session {
    version: Version,
    expected: Expected,
    step: Step,
    /// The profile on trial.
    trying: Profile,
    /// Why the profile of the configuration does not fit.
    misfit: Option<String>,
    last_xid: u32,
    out: Vec<(Xid, Message)>,
    /// The request whose answer the step waits for.
    asked: Xid,
    work: Option<Work>,
    /// Dumps still to be asked for; true = its answer may be unreadable.
    dumps: VecDeque<(FlowStatsRequest, bool)>,
    flows: Vec<FlowStats>,
    /// Flow-mods said beside the batches, which the switch may still refuse.
    said: VecDeque<(Xid, FlowMod)>,
    /// The first and the last transaction of batches that are over.
    over: VecDeque<(u32, u32)>,
    fragments: fragment::Trial,
    /// What the switch does to later fragments.
    pub verdict: Verdict,
    /// Who made the switch.
    pub description: SwitchDesc,
    /// Its ports.
    pub ports: Vec<PortDesc>,
    /// Its tables.
    pub tables: u8,
    /// Changes can be made all at once.
    pub bundles: bool,
}

impl Session {
    /// A session on a connection that speaks `version`; it begins to ask at once.
    pub fn new(version: Version, expected: Expected) -> Self {
        let mut session = Self {
            version,
            expected,
            step: Step::Features,
            trying: expected.profile,
            misfit: None,
            last_xid: 0,
            out: Vec::new(),
            asked: Xid(0),
            work: None,
            dumps: VecDeque::new(),
            flows: Vec::new(),
            said: VecDeque::new(),
            over: VecDeque::new(),
            fragments: fragment::Trial::default(),
            verdict: Verdict::Unknown("not tried yet".to_owned()),
            description: SwitchDesc::default(),
            ports: Vec::new(),
            tables: 0,
            bundles: false,
        };
        session.ask(Message::FeaturesRequest);
        session
    }

    /// Takes what is to be sent.
    pub fn take_out(&mut self) -> Vec<(Xid, Message)> {
        std::mem::take(&mut self.out)
    }

    /// Whether the switch is ours to control.
    pub fn is_ready(&self) -> bool {
        self.step == Step::Ready
    }

    /// Whether fragments are under way that the switch may never send back: it need not.
    pub fn tries_fragments(&self) -> bool {
        self.step == Step::Fragments
    }

    /// What the switch does to later fragments is known, as far as it will be.
    pub fn tried(&mut self, verdict: Verdict) -> Vec<News> {
        self.verdict = verdict;
        self.step = Step::Ready;
        vec![News::Ready]
    }

    /// Makes a batch of changes in the order given; [`News::Done`] tells the outcome. `undo`
    /// takes back what has been done of it, for a switch without bundles.
    pub fn program(&mut self, mods: &[FlowMod], undo: Vec<FlowMod>) {
        let mut work = Work::new(self.version, self.bundles, undo);
        self.out.extend(work.begin(mods, &mut self.last_xid));
        self.work = Some(work);
    }

    /// Asks for our flows; [`News::Flows`] is the answer.
    pub fn dump(&mut self) {
        self.flows.clear();
        self.dumps = dumps(self.version, self.expected.marks, false);
        self.next_dump();
    }

    /// Says something that has no answer.
    pub fn say(&mut self, message: Message) {
        let xid = work::next(&mut self.last_xid);
        self.out.push((xid, message));
    }

    /// Says a flow-mod beside the batches; only a refusal is heard of.
    pub fn say_mod(&mut self, m: &FlowMod) {
        let xid = work::next(&mut self.last_xid);
        self.out.push((xid, Message::FlowMod(work::worded(self.version, m))));
        self.said.push_back((xid, m.clone()));
        if self.said.len() > REMEMBERED {
            self.said.pop_front();
        }
    }

    /// Takes a message of the switch.
    pub fn take(&mut self, xid: Xid, message: Result<Message, DecodeError>) -> Vec<News> {
        let message = match message {
            Ok(message) => message,
            // Somebody else's flow that we have no words for.
            Err(_) if xid == self.asked && self.dumps.front().is_some_and(|(_, lenient)| *lenient) => {
                return Vec::new();
            }
            Err(error) => return over(format!("the switch says what cannot be understood: {error}")),
        };
        match message {
            Message::EchoRequest(data) => {
                self.out.push((xid, Message::EchoReply(data)));
                Vec::new()
            }
            Message::PacketIn(m) if self.step == Step::Fragments => {
                self.fragments.take(&m).map_or_else(Vec::new, |verdict| self.tried(verdict))
            }
            Message::PacketIn(m) => self.event(Event::PacketIn(m)),
            Message::FlowRemoved(m) => self.event(Event::FlowRemoved(m)),
            Message::PortStatus(m) => self.event(Event::PortStatus(m)),
            Message::Error(error) => self.on_error(xid, &error),
            message if self.work.is_some() => self.on_work(xid, &message),
            message if xid == self.asked => self.on_answer(message),
            // An answer that nobody waits for any more.
            _ => Vec::new(),
        }
    }

    /// What is said before the session is ready concerns flows that may not be ours.
    fn event(&self, event: Event) -> Vec<News> {
        if self.is_ready() { vec![News::Event(event)] } else { Vec::new() }
    }

    fn ask(&mut self, message: Message) {
        let xid = work::next(&mut self.last_xid);
        self.asked = xid;
        self.out.push((xid, message));
    }

    fn ask_multipart(&mut self, body: MultipartRequest) {
        self.ask(Message::MultipartRequest { more: false, body });
    }

    fn on_answer(&mut self, message: Message) -> Vec<News> {
        match (self.step, message) {
            (Step::Features, Message::FeaturesReply(features)) => self.on_features(features),
            (Step::Ports, Message::MultipartReply { more, body: MultipartReply::PortDesc(ports) }) => {
                self.ports.extend(ports);
                if !more {
                    self.step = Step::Role;
                    self.ask(Message::RoleRequest(self.expected.role));
                }
                Vec::new()
            }
            (Step::Role, Message::RoleReply(role)) if role.role == ControllerRole::Slave => {
                over("the switch made us a slave: another controller is its master".to_owned())
            }
            (Step::Role, Message::RoleReply(_)) => self.describe(),
            (Step::Description, Message::MultipartReply { body: MultipartReply::Desc(description), .. }) => {
                self.description = description;
                self.try_bundles()
            }
            (Step::Bundles, Message::BundleControl(_)) => {
                self.bundles = true;
                let flags = work::FLAGS;
                self.say(Message::BundleControl(BundleControl {
                    bundle: work::TRIAL_BUNDLE,
                    ty: BundleControlType::DiscardRequest,
                    flags,
                }));
                self.ask_flows()
            }
            (Step::Flows | Step::Ready, Message::MultipartReply { more, body: MultipartReply::Flow(flows) }) => {
                self.flows.extend(flows);
                let lenient = self.dumps.front().is_some_and(|(_, lenient)| *lenient);
                if more || lenient { Vec::new() } else { self.dumped() }
            }
            // It closes a dump that may be unreadable.
            (Step::Flows, Message::BarrierReply) => self.dumped(),
            _ => Vec::new(),
        }
    }

    fn on_features(&mut self, features: Features) -> Vec<News> {
        let Features { datapath_id, auxiliary_id, tables, ports, .. } = features;
        if datapath_id != self.expected.dpid {
            return over(format!(
                "a switch with datapath id {datapath_id} is not the one that datapath_id in [switch] names, {}; correct the \
                 one that is wrong",
                self.expected.dpid
            ));
        }
        if auxiliary_id != 0 {
            return over("an auxiliary connection, which is not used".to_owned());
        }
        let Expected { profile, .. } = self.expected;
        if tables < profile.tables() {
            self.misfit = Some(format!("profile {profile} needs {} tables, the switch has {tables}", profile.tables()));
        }
        self.tables = tables;
        if self.version == Version::V10 {
            self.ports = ports;
            return self.describe();
        }
        self.step = Step::Ports;
        self.ask_multipart(MultipartRequest::PortDesc);
        Vec::new()
    }

    fn describe(&mut self) -> Vec<News> {
        // Whole frames: nothing is to be kept in the switch.
        self.say(Message::SetConfig(SwitchConfig { fragments: Fragments::Normal, miss_send_len: u16::MAX }));
        self.step = Step::Description;
        self.ask_multipart(MultipartRequest::Desc);
        Vec::new()
    }

    fn try_bundles(&mut self) -> Vec<News> {
        if self.version == Version::V10 || !self.expected.profile.bundles() {
            return self.ask_flows();
        }
        self.step = Step::Bundles;
        let ty = BundleControlType::OpenRequest;
        self.ask(Message::BundleControl(BundleControl { bundle: work::TRIAL_BUNDLE, ty, flags: work::FLAGS }));
        Vec::new()
    }

    fn ask_flows(&mut self) -> Vec<News> {
        self.step = Step::Flows;
        self.dumps = dumps(self.version, self.expected.marks, true);
        self.next_dump();
        Vec::new()
    }

    fn next_dump(&mut self) {
        let Some((request, lenient)) = self.dumps.front().cloned() else { return };
        self.ask_multipart(MultipartRequest::Flow(request));
        if lenient {
            // The barrier's answer has the dump's xid, so that both belong to one question.
            self.out.push((self.asked, Message::BarrierRequest));
        }
    }

    fn dumped(&mut self) -> Vec<News> {
        self.dumps.pop_front();
        if !self.dumps.is_empty() {
            self.next_dump();
            return Vec::new();
        }
        if self.is_ready() {
            return vec![News::Flows(std::mem::take(&mut self.flows))];
        }
        self.step = Step::Trial;
        if self.misfit.is_some() {
            return self.try_another(None);
        }
        self.try_out(self.expected.profile)
    }

    fn try_out(&mut self, profile: Profile) -> Vec<News> {
        self.step = Step::Trial;
        self.trying = profile;
        let trial = self.expected.trial(profile);
        self.program(&trial, Profile::withdrawal(&trial));
        Vec::new()
    }

    /// The profile of the configuration does not fit. Which does?
    fn try_another(&mut self, after: Option<Profile>) -> Vec<News> {
        if self.expected.has_links {
            let misfit = self.misfit.take().unwrap_or_default();
            return over(format!("{misfit}; no other profile is for several switches: use this one alone, or another"));
        }
        let others = Profile::ALL.iter().filter(|p| {
            let new = after.is_none_or(|tried| **p > tried);
            new && **p != self.expected.profile && p.version() == self.version && p.tables() <= self.tables
        });
        match others.min().copied() {
            Some(profile) => self.try_out(profile),
            None => over(format!(
                "{}; no other profile fits it either over OpenFlow {}",
                self.misfit.take().unwrap_or_default(),
                if self.version == Version::V10 {
                    "1.0; is the other version switched on there?"
                } else {
                    "1.3; of10 may"
                }
            )),
        }
    }

    /// The flows that were there when the session became ready.
    pub fn take_flows(&mut self) -> Vec<FlowStats> {
        std::mem::take(&mut self.flows)
    }

    fn on_work(&mut self, xid: Xid, message: &Message) -> Vec<News> {
        let Some(work) = &mut self.work else { return Vec::new() };
        match work.take(xid, message, &mut self.last_xid) {
            Progress::Waits => Vec::new(),
            Progress::Sends(more) => {
                self.out.extend(more);
                Vec::new()
            }
            Progress::Done(outcome) => {
                self.over.extend(self.work.take().map(|w| w.range()));
                if self.over.len() > REMEMBERED {
                    self.over.pop_front();
                }
                match outcome {
                    Outcome::InForce => self.done(Ok(())),
                    Outcome::Refused(error) => self.done(Err(error)),
                    Outcome::Unsure(error) => over(format!(
                        "part of a batch may be in force: {error}; the flows are read and brought up to date on a new connection"
                    )),
                }
            }
        }
    }

    fn done(&mut self, result: Result<(), OfpError>) -> Vec<News> {
        match (self.step, result) {
            (Step::Trial, Ok(())) => {
                self.step = Step::Withdrawal;
                let trial = Profile::withdrawal(&self.expected.trial(self.trying));
                self.program(&trial, Vec::new());
                Vec::new()
            }
            (Step::Trial, Err(error)) => {
                let tried = self.misfit.is_some().then_some(self.trying);
                let profile = self.expected.profile;
                self.misfit
                    .get_or_insert_with(|| format!("profile {profile} does not fit the switch, which refuses {error}"));
                self.try_another(tried)
            }
            (Step::Withdrawal, Err(error)) => over(format!("the switch does not take a trial back: {error}")),
            (Step::Withdrawal, Ok(())) => {
                if let Some(misfit) = self.misfit.take() {
                    return over(format!("{misfit}; profile = \"{}\" would do", self.trying));
                }
                self.step = Step::Fragments;
                for out in fragment::Trial::messages() {
                    self.ask(Message::PacketOut(out));
                }
                Vec::new()
            }
            (_, result) => vec![News::Done(result)],
        }
    }

    fn on_error(&mut self, xid: Xid, error: &ErrorMessage) -> Vec<News> {
        let error = plain(error);
        if let Some(at) = self.said.iter().position(|(said, _)| *said == xid) {
            let refused = self.said.remove(at).map(|(_, m)| m);
            tracing::debug!(%error, "the switch refuses a flow");
            return refused.filter(|m| m.command == FlowModCommand::Add).map(News::Refused).into_iter().collect();
        }
        if let Some(work) = &mut self.work {
            work.fail(xid, error);
            return Vec::new();
        }
        if self.over.iter().any(|(first, last)| (*first..=*last).contains(&xid.0)) {
            return over(format!(
                "the switch refuses part of a batch after its barrier: {error}; the flows are read and brought up to \
                 date on a new connection"
            ));
        }
        if xid != self.asked {
            tracing::debug!(%error, "the switch refuses something that has no answer");
            return Vec::new();
        }
        match self.step {
            Step::Fragments => self.tried(Verdict::Unknown(format!("the switch refuses to try: {error}"))),
            Step::Bundles => self.ask_flows(),
            // Of 1.3 but optional, as some switches have it.
            Step::Role if self.expected.role.role != ControllerRole::Master => self.describe(),
            Step::Flows | Step::Ready if self.dumps.front().is_some_and(|(_, lenient)| *lenient) => Vec::new(),
            _ => over(format!("the switch refuses what every session needs ({:?}): {error}", self.step)),
        }
    }
}

fn over(why: String) -> Vec<News> {
    vec![News::Over(why)]
}

/// Our flows; with `everybodys`, the others' too. OpenFlow 1.0 cannot tell them apart.
fn dumps(version: Version, marks: Marks, everybodys: bool) -> VecDeque<(FlowStatsRequest, bool)> {
    if version == Version::V10 {
        return [(FlowStatsRequest::all(), false)].into();
    }
    let of = |cookie, cookie_mask| (FlowStatsRequest { cookie, cookie_mask, ..FlowStatsRequest::all() }, false);
    let mut dumps: VecDeque<_> = marks.spaces().into_iter().map(|(cookie, mask)| of(cookie, mask)).collect();
    if everybodys {
        dumps.push_back((FlowStatsRequest::all(), true));
    }
    dumps
}

/// The error with a kind of ours.
fn plain(error: &ErrorMessage) -> OfpError {
    match error.code {
        ErrorCode::Known(kind) => OfpError::new(kind, "says the switch"),
        ErrorCode::Other(ty, code) => OfpError::new(ErrorKind::FlowModUnknown, format!("error {ty}, code {code}")),
        ErrorCode::Experimenter(who, ty) => {
            OfpError::new(ErrorKind::FlowModUnknown, format!("error {ty} of experimenter {who:#010x}"))
        }
    }
}
