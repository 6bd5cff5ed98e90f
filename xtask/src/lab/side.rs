//! One family's part in a play: its questions, its secondary, its proofs. With IPv4 and IPv6 side
//! by side there are two, and everything is asked and proven of each.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};

use super::dns::{self, Data, Kind};
use super::family::{Families, Family, Plan};
use super::proof::{self, Links, Proof, Trail, Window};
use super::script::{said, step, text};
use super::server::{MARKER, Secondary, WWW};
use super::status::Status;
use super::stream::{Query, Stream, Tally, tally};
use super::topology::{Place, Site};
use super::{Lab, discovery, netns, signals, timeline, web};

/// A change of place as the client and the two sites saw it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Switchover {
    /// From the first sight of the server to the first answer at the client.
    pub to_first_answer_us: u64,
    /// From the last answer out of the old place to the first out of the new one: mostly the
    /// time during which the server was off.
    pub silence_us: u64,
}

/// How a family was served during a play.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Served {
    /// The family.
    pub family: Family,
    /// Questions of the whole play.
    pub total: Tally,
    /// Questions while the server was away and settled.
    pub away: Tally,
    /// The move.
    pub moved: Switchover,
    /// The return.
    pub returned: Switchover,
    /// The transfer address that was used.
    pub transfer: IpAddr,
}

/// An act, by the place of its proofs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Act {
    /// The server at home.
    Normal,
    /// A copy that says nothing.
    Control,
    /// The server at DC2.
    Away,
    /// The server at home again.
    Return,
}

impl Act {
    /// All of them, in the order of the play.
    pub const ALL: [Self; 4] = [Self::Normal, Self::Control, Self::Away, Self::Return];
}

/// A family's part in a play.
pub struct Side {
    /// Who has which address.
    pub plan: &'static Plan,
    family: Family,
    families: Families,
    stream: Stream,
    secondary: Secondary,
    heard: usize,
    proofs: [Vec<Proof>; 4],
}

impl Side {
    /// Starts the client's questions and the secondary, in the client's namespace.
    ///
    /// # Errors
    /// As [`Stream::start`] and [`Secondary::start`].
    pub fn start(client: &str, family: Family, families: Families, beat: Duration) -> Result<Self> {
        let plan = family.plan();
        Ok(Self {
            plan,
            family,
            families,
            secondary: Secondary::start(client, family)?,
            stream: Stream::start(client, plan.server, MARKER, beat)?,
            heard: 0,
            proofs: Default::default(),
        })
    }

    /// A claim of this side, `act: what`; it names the family if there are two.
    fn claim(&self, claim: &str) -> String {
        match (self.families, claim.split_once(": ")) {
            (Families::Dual, Some((act, what))) => format!("{act}, {}: {what}", self.family.title()),
            _ => claim.to_owned(),
        }
    }

    /// Keeps a proof of an act.
    pub fn prove(&mut self, act: Act, proof: Proof) {
        let claim = self.claim(&proof.claim);
        self.proofs[act as usize].push(Proof { claim, ..proof });
    }

    /// Prints and keeps a proof that an act ends with.
    pub fn note(&mut self, act: Act, proof: Proof) {
        self.prove(act, proof);
        if let Some(proof) = self.proofs[act as usize].last() {
            println!("  {proof}");
        }
    }

    /// The proofs of an act.
    pub fn proofs(&self, act: Act) -> &[Proof] {
        &self.proofs[act as usize]
    }

    /// From now on a NOTIFY is one of the boot that comes.
    pub fn expect_notify(&mut self) {
        self.heard = self.secondary.heard();
    }

    /// Waits for the NOTIFY of a boot, the first thing the server says.
    ///
    /// # Errors
    /// It does not come.
    pub fn notified(&self, lab: &Lab) -> Result<()> {
        let secondary = self.plan.secondary;
        let heard = || Ok((self.secondary.heard() > self.heard).then_some(()));
        match signals::wait_for(Duration::from_secs(40), heard)? {
            Some(()) => step(&format!("Its NOTIFY reached the secondary {secondary}.")),
            None => bail!("the server's NOTIFY did not reach {secondary}\n{}", lab.last_words(12)),
        }
        Ok(())
    }

    /// Waits for the first answer of this copy to a question asked from now on; when it came.
    ///
    /// # Errors
    /// None comes.
    pub fn first_answer(&self, lab: &Lab, from_us: u64, site: Site, patience: Duration) -> Result<u64> {
        let found = signals::wait_for(patience, || Ok(self.stream.first_answer(from_us, site.name())))?;
        let query = found.with_context(|| {
            format!(
                "no answer of {}'s copy at {} reached the client within {patience:?}\n{}\n\
                 its name server's log ends:\n{}",
                site.title(),
                self.plan.server,
                lab.last_words(12),
                lab.slot(site).last_words(8)
            )
        })?;
        Ok(query.answered_us.unwrap_or(query.sent_us))
    }

    /// When a site first saw the server at a new place.
    ///
    /// # Errors
    /// Its timeline does not say so.
    pub fn seen(&self, status: &Status, events: &[&str], from_us: u64) -> Result<u64> {
        let server = self.plan.server;
        timeline::first_of(status, events, server, from_us)
            .with_context(|| format!("{}'s timeline has no {} of {server}", status.site, events.join(" or ")))
    }

    /// What a change of place came to.
    pub fn switchover(&self, seen_us: u64, answered_us: u64) -> Switchover {
        let queries = self.stream.queries();
        let before = queries.iter().filter_map(|query| query.answered_us).filter(|&at| at < answered_us).max();
        Switchover {
            to_first_answer_us: answered_us.saturating_sub(seen_us),
            silence_us: answered_us - before.unwrap_or(answered_us),
        }
    }

    /// The client asks which copy answers.
    ///
    /// # Errors
    /// No answer, or another copy's.
    pub fn ask_marker(&self, lab: &Lab, what: &str, expected: Site) -> Result<()> {
        let ask = || dns::ask(self.plan.server, MARKER, Kind::Txt, Duration::from_secs(5));
        let (data, took) = netns::enter(&lab.name(Place::Client), ask)?;
        said(&format!("{what}{}: {MARKER} TXT", self.over()), &text(&data), took);
        ensure!(data == Data::Text(expected.name().to_owned()), "the answer should have been {:?}", expected.name());
        Ok(())
    }

    /// As the paper's client: its resolver is the server, the page is fetched by name.
    ///
    /// # Errors
    /// The name does not lead to DC1's page.
    pub fn fetch_page(&self, lab: &Lab) -> Result<()> {
        let client = lab.name(Place::Client);
        let begun = Instant::now();
        let address = netns::enter(&client, || dns::resolve(self.plan.server, WWW, Duration::from_secs(5)))?;
        let page = web::fetch(&client, address, WWW, Duration::from_secs(10))?;
        let right = address == self.plan.web && page == web::PAGE;
        ensure!(right, "http://{WWW}/ is not DC1's page: {address} says {page:?}");
        said(&format!("The client fetches http://{WWW}/ by name"), &format!("{address}, 200 OK"), begun.elapsed());
        Ok(())
    }

    /// DC1's web server asks the moved server.
    ///
    /// # Errors
    /// No answer.
    pub fn ask_as_neighbour(&self, lab: &Lab) -> Result<()> {
        let ask = || dns::ask(self.plan.server, MARKER, Kind::Txt, Duration::from_secs(5));
        let (data, took) = netns::enter(&lab.name(Place::Host(Site::Dc1)), ask)
            .context("DC1's neighbour cannot reach the moved server")?;
        said(&format!("DC1's neighbour {} asks it, too: {MARKER} TXT", self.plan.web), &text(&data), took);
        Ok(())
    }

    /// Says over which family something is done, if there are two.
    fn over(&self) -> String {
        match self.families {
            Families::Dual => format!(", over {}", self.family.title()),
            Families::V4 | Families::V6 => String::new(),
        }
    }

    /// The silent copy was not heard of.
    pub fn prove_silence(&mut self, links: &Links, window: &Window) {
        let proof = match self.families {
            Families::V4 => proof::says_nothing("control: the silent copy sends no frame", &links.slot2, window),
            // A kernel with IPv6 joins its groups and has a link-local address, whoever is silent.
            Families::V6 | Families::Dual => {
                let server = self.plan.server;
                let claim = format!("control: the silent copy sends no frame with {server}");
                proof::never_names(&claim, &links.slot2, window, server)
            }
        };
        self.note(Act::Control, proof);
    }

    /// What the server's own first words were, at DC2.
    pub fn prove_trigger_away(&mut self, links: &Links, window: &Window) {
        let proof = match self.family {
            Family::V4 => {
                let claim = "away: triggered by the booting kernel's own ARP for its gateway";
                proof::asks_for_gateway(claim, &links.slot2, window, self.plan)
            }
            Family::V6 => {
                let claim = "away: triggered by the booting kernel's own duplicate address detection";
                discovery::begins_with_detection(claim, &links.slot2, window, self.plan)
            }
        };
        self.prove(Act::Away, proof);
    }

    /// What the server's own first words were, at DC1 again.
    pub fn prove_trigger_home(&mut self, links: &Links, window: &Window) {
        match self.family {
            Family::V4 => {
                let claim = "return: triggered by the booting kernel's own ARP for its gateway";
                self.prove(Act::Return, proof::asks_for_gateway(claim, &links.slot1, window, self.plan));
            }
            Family::V6 => {
                let claim = "return: triggered by the booting kernel's own duplicate address detection";
                self.prove(Act::Return, discovery::begins_with_detection(claim, &links.slot1, window, self.plan));
                let claim = "return: nobody answers its duplicate address detection";
                self.prove(Act::Return, discovery::detection_unanswered(claim, &links.slot1, window, self.plan));
            }
        }
    }

    /// What neighbour discovery shows while the server is away; of IPv4 there is nothing.
    /// `ready_us` is when the flows of both sites were in.
    pub fn prove_discovery(&mut self, links: &Links, window: &Window, ready_us: u64) {
        if self.family == Family::V4 {
            return;
        }
        let (plan, gateway) = (self.plan, self.plan.gateway1);
        let router = Place::Router(Site::Dc1).mac();
        let claim = "away: nobody answers its duplicate address detection";
        self.prove(Act::Away, discovery::detection_unanswered(claim, &links.slot2, window, plan));
        let claim = format!("away: {gateway} is DC1's router to it, from when both sites have their flows");
        let told = discovery::told_gateway(&claim, &links.slot2, window, (gateway, router), ready_us);
        self.prove(Act::Away, told);
        let claim = "away: DC2's own LAN sees none of its neighbour discovery";
        self.prove(Act::Away, discovery::stays_inside(claim, &[&links.uplink2, &links.local], window, plan));
        let claim = "away: who asks at DC1 hears the MAC that it had there";
        self.prove(Act::Away, discovery::keeps_mac(claim, &[&links.uplink1, &links.neighbour], window, plan));
    }

    /// Follows the client's questions along the links, at home, away and at home again, and counts them.
    pub fn conclude(
        &mut self,
        links: &Links,
        [normal, away, back]: [&Window; 3],
        transfer: IpAddr,
        [moved, returned]: [Switchover; 2],
    ) -> Served {
        let queries = self.stream.queries();
        self.follow(links, &queries, [normal, away, back], transfer);
        Served {
            family: self.family,
            total: tally(&queries, 0, u64::MAX),
            away: tally(&queries, away.start, away.end),
            moved,
            returned,
            transfer,
        }
    }

    fn follow(&mut self, links: &Links, queries: &[Query], windows: [&Window; 3], t: IpAddr) {
        let (plan, port) = (self.plan, self.stream.port());
        let [normal, away, back] = windows.map(|window| Trail { queries, plan, port, window });
        let server = plan.server;
        self.prove(Act::Normal, normal.marked("normal: DC1's copy answers", "dc1"));
        self.prove(Act::Normal, normal.enters_slot("normal: questions enter DC1's server port", &links.slot1));

        let claim = format!("away: questions reach DC1 with destination S = {server}");
        self.prove(Act::Away, away.comes_down(&claim, &links.uplink1, server));
        let claim = format!("away: they leave DC1's uplink with destination T = {t}");
        self.prove(Act::Away, away.goes_up(&claim, &links.uplink1, t));
        self.prove(Act::Away, away.comes_down("away: they reach DC2 with destination T", &links.uplink2, t));
        let claim = "away: they enter DC2's server port with destination S and the server's MAC";
        self.prove(Act::Away, away.enters_slot(claim, &links.slot2));
        self.prove(Act::Away, away.marked("away: DC2's copy answers, from address S", "dc2"));

        let answers = back.marked("return: DC1's copy answers", "dc1");
        let enters = back.enters_slot("return: questions enter DC1's server port", &links.slot1);
        // They are told before what happened since.
        let later = std::mem::take(&mut self.proofs[Act::Return as usize]);
        self.prove(Act::Return, answers);
        self.prove(Act::Return, enters);
        self.proofs[Act::Return as usize].extend(later);
    }
}
