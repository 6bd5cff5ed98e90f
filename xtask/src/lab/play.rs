//! The paper's experiment, act by act: normal operation, a control run, the move, the return.
//! Each act says what is done and why, waits for what has to follow, and prints what did.

use std::net::{Ipv4Addr, UdpSocket};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use super::capture::now_us;
use super::dns::{self, Data, Kind};
use super::proof::{self, Links, Proof, Trail, Window};
use super::script::{act, pool, render_flows, said, show_timeline, step, text};
use super::server::{Boot, MARKER, Secondary, WWW};
use super::stream::{Stream, Tally, tally};
use super::timeline;
use super::topology::{GATEWAY1, Place, SECONDARY, SERVER, Site, WEB};
use super::{Lab, netns, signals, web};

/// How long the play stays in each act beyond what it waits for anyway.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Pace {
    /// With the server in one place.
    pub stay: Duration,
    /// In the control run: longer than a booting kernel would wait before it asks.
    pub control: Duration,
    /// Between two questions of the stream.
    pub beat: Duration,
}

impl Pace {
    /// The demo's.
    pub const DEMO: Self =
        Self { stay: Duration::from_secs(3), control: Duration::from_secs(3), beat: Duration::from_millis(20) };
    /// The tests'.
    pub const BRISK: Self = Self {
        stay: Duration::from_millis(700),
        control: Duration::from_millis(1500),
        beat: Duration::from_millis(20),
    };
}

/// A change of place as the client and the two sites saw it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Switchover {
    /// From the first sight of the server's ARP to the first answer at the client.
    pub to_first_answer_us: u64,
    /// From the last answer out of the old place to the first out of the new one: mostly the
    /// time during which the server was off.
    pub silence_us: u64,
}

/// What a play showed.
pub struct Outcome {
    /// All proofs, in the order of the acts.
    pub proofs: Vec<Proof>,
    /// Questions of the whole play.
    pub total: Tally,
    /// Questions while the server was away and settled.
    pub away: Tally,
    /// The move.
    pub moved: Switchover,
    /// The return.
    pub returned: Switchover,
    /// Round trip between the two gateway boxes, as measured.
    pub wan_rtt: Duration,
    /// The transfer address that was used.
    pub transfer: Ipv4Addr,
}

impl Outcome {
    /// Whether everything is proven.
    pub fn holds(&self) -> bool {
        self.proofs.iter().all(Proof::holds)
    }
}

/// The acts after the first, by the place of their proofs.
const CONTROL: usize = 1;
const AWAY: usize = 2;
const RETURN: usize = 3;

struct Play<'l> {
    lab: &'l mut Lab,
    pace: Pace,
    stream: Stream,
    secondary: Secondary,
    links: &'l Links,
    proofs: [Vec<Proof>; 4],
    wan_rtt: Duration,
}

/// Plays it in a lab whose daemons run and know each other.
///
/// # Errors
/// Something that had to follow did not, or the run was interrupted. What is merely not
/// proven is no error here; see [`Outcome::holds`].
pub fn run(lab: &mut Lab, links: &Links, pace: Pace) -> Result<Outcome> {
    let client = lab.name(Place::Client);
    let mut play = Play {
        wan_rtt: round_trip(lab)?,
        secondary: Secondary::start(&client)?,
        stream: Stream::start(&client, SERVER, MARKER, pace.beat)?,
        lab,
        pace,
        links,
        proofs: Default::default(),
    };
    let normal = play.normal_operation()?;
    play.control_run()?;
    let (transfer, away, moved) = play.moves()?;
    let (back, returned) = play.returns(transfer)?;
    Ok(play.conclude(&normal, &away, &back, transfer, moved, returned))
}

/// The round trip between the gateway boxes: the time of a refusal, the least of three.
///
/// # Errors
/// The WAN does not lead from one to the other.
pub fn round_trip(lab: &Lab) -> Result<Duration> {
    netns::enter(&lab.name(Place::Gateway(Site::Dc1)), || {
        let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
        socket.connect((Site::Dc2.management(), 9))?;
        socket.set_read_timeout(Some(Duration::from_secs(5)))?;
        let mut least = Duration::MAX;
        for _ in 0..3 {
            let sent = Instant::now();
            socket.send(b"?")?;
            // Nobody listens at the discard port: the refusal is the answer.
            match socket.recv(&mut [0; 16]) {
                Err(error) if error.kind() == std::io::ErrorKind::ConnectionRefused => {
                    least = least.min(sent.elapsed());
                }
                other => bail!("the WAN does not lead from DC1 to DC2: {other:?}"),
            }
        }
        Ok(least)
    })
}

impl Play<'_> {
    /// Time for everything under way to arrive.
    fn settle(&self) -> Duration {
        self.lab.delay() * 8 + Duration::from_millis(150)
    }

    /// Stays in an act; the window of it, without the questions under way at its end.
    fn stay(&self, from_us: u64) -> Result<Window> {
        signals::sleep(self.pace.stay)?;
        let until_us = now_us();
        signals::sleep(self.settle())?;
        Ok(from_us..until_us)
    }

    /// Waits for the NOTIFY of a boot, the first thing the server says.
    fn notified(&self, before: usize) -> Result<()> {
        let heard = || Ok((self.secondary.heard() > before).then_some(()));
        match signals::wait_for(Duration::from_secs(40), heard)? {
            Some(()) => step(&format!("Its NOTIFY reached the secondary {SECONDARY}.")),
            None => bail!("the server's NOTIFY did not reach {SECONDARY}\n{}", self.lab.last_words(12)),
        }
        Ok(())
    }

    fn client(&self) -> String {
        self.lab.name(Place::Client)
    }

    /// Waits for the first answer of this copy to a question asked from now on.
    fn first_answer(&self, from_us: u64, site: Site, patience: Duration) -> Result<(u64, u64)> {
        let found = signals::wait_for(patience, || Ok(self.stream.first_answer(from_us, site.name())))?;
        let query = found.with_context(|| {
            format!(
                "no answer of {}'s copy reached the client within {patience:?}\n{}\nits name server's log ends:\n{}",
                site.title(),
                self.lab.last_words(12),
                self.lab.slot(site).last_words(8)
            )
        })?;
        Ok((query.sent_us, query.answered_us.unwrap_or(query.sent_us)))
    }

    fn normal_operation(&mut self) -> Result<Window> {
        act("Normal operation", "both switches are learning switches, the server is at home in DC1");
        step(&format!("Boot the server {SERVER} at DC1; like any name server, it notifies its secondary."));
        let booted = now_us();
        let heard = self.secondary.heard();
        self.lab.boot(Site::Dc1, Boot::Talking)?;
        let (_, answered) = self.first_answer(booted, Site::Dc1, Duration::from_secs(40))?;
        self.notified(heard)?;
        self.ask_marker("The client asks who it is", "dc1")?;
        self.fetch_page()?;
        self.lab.wait_state(Site::Dc1, Duration::from_secs(40), "HOME", |status| status.is_settled(SERVER))?;
        let window = self.stay(answered)?;
        self.show_flows()?;
        Ok(window)
    }

    fn control_run(&mut self) -> Result<()> {
        act("Control run", "a server that says nothing must not be moved");
        step("Stop the server at DC1: power off, no farewell.");
        self.lab.halt(Site::Dc1)?;
        step("Boot its copy at DC2 with its NOTIFY switched off: same address, same MAC, same gateway, silence.");
        let from = now_us();
        self.lab.boot(Site::Dc2, Boot::Silent)?;
        signals::sleep(self.pace.control)?;
        ensure!(
            self.lab.slot_running(Site::Dc2),
            "the name server does not run: {}",
            self.lab.slot(Site::Dc2).last_words(8)
        );
        let window = from..now_us();
        let statuses = self.lab.statuses()?;
        self.lab.halt(Site::Dc2)?;
        let claim = "control: the silent copy sends no frame";
        self.note(CONTROL, proof::says_nothing(claim, &self.links.slot2, &window));
        let settled = statuses.iter().all(|status| status.is_settled(SERVER));
        let events = timeline::merge(&statuses, from);
        let verdict = match events.iter().find(|line| line.event != "alert") {
            None if settled => Ok(format!("no event in {:.1} s", self.pace.control.as_secs_f64())),
            None => Err(format!("dc1 is {}, dc2 {}", statuses[0].state(SERVER), statuses[1].state(SERVER))),
            Some(line) => Err(format!("{} noted {:?} {}", line.place, line.event, line.detail)),
        };
        self.note(CONTROL, Proof::of("control: and so nothing migrates", verdict));
        Ok(())
    }

    fn moves(&mut self) -> Result<(Ipv4Addr, Window, Switchover)> {
        act("The server moves", "booting the copy is the only command");
        step("Boot the copy at DC2, its NOTIFY switched on. Its kernel asks for the gateway of DC1: the trigger.");
        let booted = now_us();
        let heard = self.secondary.heard();
        self.lab.boot(Site::Dc2, Boot::Talking)?;
        let (_, answered) = self.first_answer(booted, Site::Dc2, Duration::from_secs(40))?;
        self.notified(heard)?;
        let host = self
            .lab
            .wait_state(Site::Dc2, Duration::from_secs(40), "HOSTING", |status| status.state(SERVER) == "HOSTING")?;
        let home =
            self.lab.wait_state(Site::Dc1, Duration::from_secs(40), "AWAY", |status| status.state(SERVER) == "AWAY")?;
        let entry = host.address(SERVER).context("DC2 knows the server")?;
        let transfer = entry.transfer.context("DC2 says HOSTING without a transfer address")?;

        let seen = timeline::first(&host, "arp-seen", booted).context("DC2's timeline has no arp-seen")?;
        show_timeline(&[home, host], booted, seen, answered, Site::Dc2);
        let moved = self.switchover(seen, answered);
        println!("  the server is served at DC2 through the transfer address {transfer}\n");

        let from = now_us();
        self.ask_marker("The client asks the same address again", "dc2")?;
        self.fetch_page()?;
        let neighbour = self.lab.name(Place::Host(Site::Dc1));
        let (data, took) = netns::enter(&neighbour, || dns::ask(SERVER, MARKER, Kind::Txt, Duration::from_secs(5)))
            .context("DC1's neighbour cannot reach the moved server")?;
        said(&format!("DC1's neighbour {WEB} asks it, too: {MARKER} TXT"), &text(&data), took);
        // The capture may come to it a little later than the one who asked.
        signals::sleep(Duration::from_secs(1))?;
        let neighbour_window = from..now_us();
        let claim = "away: DC1's neighbour reaches the moved server at its own address";
        let served = proof::neighbour_served(claim, &self.links.neighbour, &self.links.slot2, &neighbour_window);

        let window = self.stay(answered)?;
        self.show_flows()?;
        let claim = "away: triggered by the booting kernel's own ARP for its gateway";
        let asked = proof::asks_for_gateway(claim, &self.links.slot2, &(booted..window.end), GATEWAY1);
        self.proofs[AWAY].extend([asked, served]);
        Ok((transfer, window, moved))
    }

    fn returns(&mut self, transfer: Ipv4Addr) -> Result<(Window, Switchover)> {
        act("The server comes home", "it is booted at DC1 again; everything reverts by itself");
        step("Stop the copy at DC2.");
        self.lab.halt(Site::Dc2)?;
        step("Boot the server at DC1.");
        let booted = now_us();
        let heard = self.secondary.heard();
        self.lab.boot(Site::Dc1, Boot::Talking)?;
        let (_, answered) = self.first_answer(booted, Site::Dc1, Duration::from_secs(40))?;
        self.notified(heard)?;
        let home =
            self.lab.wait_state(Site::Dc1, Duration::from_secs(40), "HOME", |status| status.is_settled(SERVER))?;
        let host = self.lab.wait_state(Site::Dc2, Duration::from_secs(40), "rid of the server", |status| {
            status.is_settled(SERVER) && status.pool.in_use == 0
        })?;
        let seen = timeline::first(&home, "seen-at-home", booted).context("DC1's timeline has no seen-at-home")?;
        let released = timeline::first(&host, "transfer-released", booted);
        show_timeline(&[home.clone(), host.clone()], booted, seen, answered, Site::Dc1);
        let returned = self.switchover(seen, answered);
        self.ask_marker("The client asks the same address once more", "dc1")?;
        let reverted = now_us();
        let window = self.stay(answered)?;
        self.show_flows()?;

        let claim = "return: triggered by the booting kernel's own ARP for its gateway";
        let asked = proof::asks_for_gateway(claim, &self.links.slot1, &(booted..reverted), GATEWAY1);
        self.proofs[RETURN].push(asked);
        let claim = format!("return: the transfer address {transfer} is released");
        let verdict = match released {
            Some(_) if host.pool.quarantined > 0 => Ok(format!("pool: {}", pool(&host))),
            Some(_) => Err(format!("it is not in quarantine; pool: {}", pool(&host))),
            None => Err("DC2's timeline does not say so".to_owned()),
        };
        self.proofs[RETURN].push(Proof::of(claim, verdict));
        let mut left = 0;
        for site in Site::BOTH {
            left += self.lab.gateway(site).flows()?.iter().filter(|flow| flow.names(transfer)).count();
        }
        let verdict = if left == 0 { Ok("both switches".to_owned()) } else { Err(format!("{left} do")) };
        self.proofs[RETURN].push(Proof::of(format!("return: no flow names {transfer} any more"), verdict));
        let claim = format!("return: nothing leaves DC1 for {transfer} any more");
        let after = reverted..now_us();
        self.proofs[RETURN].push(proof::silent_towards(&claim, &self.links.uplink1, &after, transfer));
        Ok((window, returned))
    }

    fn conclude(
        mut self,
        normal: &Window,
        away: &Window,
        back: &Window,
        transfer: Ipv4Addr,
        moved: Switchover,
        returned: Switchover,
    ) -> Outcome {
        let queries = self.stream.queries();
        let port = self.stream.port();
        let links = self.links;
        let t = transfer;
        let trail = |window| Trail { queries: &queries, port, window };
        let (normal, away, back) = (trail(normal), trail(away), trail(back));
        let [normally, _, while_away, after] = &mut self.proofs;
        normally.push(normal.marked("normal: DC1's copy answers", "dc1"));
        normally.push(normal.enters_slot("normal: questions enter DC1's server port", &links.slot1));

        let claim = format!("away: questions reach DC1 with destination S = {SERVER}");
        while_away.push(away.comes_down(&claim, &links.uplink1, SERVER));
        let claim = format!("away: they leave DC1's uplink with destination T = {t}");
        while_away.push(away.goes_up(&claim, &links.uplink1, t));
        while_away.push(away.comes_down("away: they reach DC2 with destination T", &links.uplink2, t));
        let claim = "away: they enter DC2's server port with destination S and the server's MAC";
        while_away.push(away.enters_slot(claim, &links.slot2));
        while_away.push(away.marked("away: DC2's copy answers, from address S", "dc2"));

        after.insert(0, back.marked("return: DC1's copy answers", "dc1"));
        after.insert(1, back.enters_slot("return: questions enter DC1's server port", &links.slot1));

        let mut proofs = self.proofs.concat();
        let ends = [&links.client, &links.neighbour, &links.slot1, &links.slot2];
        proofs.push(proof::nowhere("T never appears at client, neighbour or server", &ends, t));
        proofs.push(links.complete());
        Outcome {
            proofs,
            total: tally(&queries, 0, u64::MAX),
            away: tally(&queries, away.window.start, away.window.end),
            moved,
            returned,
            wan_rtt: self.wan_rtt,
            transfer,
        }
    }

    /// Prints and keeps a proof that an act ends with.
    fn note(&mut self, act: usize, proof: Proof) {
        println!("  {proof}");
        self.proofs[act].push(proof);
    }

    fn switchover(&self, seen_us: u64, answered_us: u64) -> Switchover {
        let queries = self.stream.queries();
        let before = queries.iter().filter_map(|query| query.answered_us).filter(|&at| at < answered_us).max();
        Switchover {
            to_first_answer_us: answered_us.saturating_sub(seen_us),
            silence_us: answered_us - before.unwrap_or(answered_us),
        }
    }

    fn ask_marker(&self, what: &str, expected: &str) -> Result<()> {
        let (data, took) =
            netns::enter(&self.client(), || dns::ask(SERVER, MARKER, Kind::Txt, Duration::from_secs(5)))?;
        said(&format!("{what}: {MARKER} TXT"), &text(&data), took);
        ensure!(data == Data::Text(expected.to_owned()), "the answer should have been {expected:?}");
        Ok(())
    }

    /// As the paper's client: its resolver is the server, the page is fetched by name.
    fn fetch_page(&self) -> Result<()> {
        let begun = Instant::now();
        let address = netns::enter(&self.client(), || dns::resolve(SERVER, WWW, Duration::from_secs(5)))?;
        let page = web::fetch(&self.client(), address, WWW, Duration::from_secs(10))?;
        ensure!(address == WEB && page == web::PAGE, "http://{WWW}/ is not DC1's page: {address} says {page:?}");
        said(&format!("The client fetches http://{WWW}/ by name"), &format!("{address}, 200 OK"), begun.elapsed());
        Ok(())
    }

    fn show_flows(&self) -> Result<()> {
        for site in Site::BOTH {
            let flows = self.lab.gateway(site).flows()?;
            println!("\n  flows of {} ({})", site.title(), flows.len());
            print!("{}", render_flows(&flows));
        }
        println!();
        Ok(())
    }
}
