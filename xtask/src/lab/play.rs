//! The paper's experiment, act by act: normal operation, a control run, the move, the return.
//! Each act says what is done and why, waits for what has to follow, and prints what did.

use std::net::{IpAddr, Ipv4Addr, UdpSocket};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use super::capture::now_us;
use super::family::{Families, Family};
use super::proof::{self, Links, Proof, Window};
use super::script::{act, pool, render_flows, show_timeline, step};
use super::server::Boot;
use super::side::{Act, Served, Side, Switchover};
use super::status::Status;
use super::topology::{Place, Site};
use super::{Lab, netns, signals, timeline};

/// What a site notes first of a server that talks at a place where it was not.
const SIGNS_AT_HOST: [&str; 3] = ["arp-seen", "nd-seen", "guest-seen"];
const SIGNS_AT_HOME: [&str; 1] = ["seen-at-home"];

/// For what has to follow.
const PATIENCE: Duration = Duration::from_secs(40);

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

/// What a play showed.
pub struct Outcome {
    /// All proofs, in the order of the acts.
    pub proofs: Vec<Proof>,
    /// How each family was served, IPv4 first.
    pub served: Vec<Served>,
    /// Round trip between the two gateway boxes, as measured.
    pub wan_rtt: Duration,
}

impl Outcome {
    /// Whether everything is proven.
    pub fn holds(&self) -> bool {
        self.proofs.iter().all(Proof::holds)
    }

    /// Questions without an answer while the server was away and settled.
    pub fn lost_away(&self) -> usize {
        self.served.iter().map(|served| served.away.lost()).sum()
    }
}

struct Play<'l> {
    lab: &'l mut Lab,
    pace: Pace,
    families: Families,
    sides: Vec<Side>,
    links: &'l Links,
    /// Nothing migrates in the control run.
    calm: Vec<Proof>,
    wan_rtt: Duration,
}

/// Plays it in a lab whose daemons run and know each other.
///
/// # Errors
/// Something that had to follow did not, or the run was interrupted. What is merely not
/// proven is no error here; see [`Outcome::holds`].
pub fn run(lab: &mut Lab, links: &Links, pace: Pace) -> Result<Outcome> {
    let (client, families) = (lab.name(Place::Client), lab.families());
    let wan_rtt = round_trip(lab)?;
    let side = |family: &Family| Side::start(&client, *family, families, pace.beat);
    let sides = families.each().iter().map(side).collect::<Result<_>>()?;
    let mut play = Play { wan_rtt, families, sides, lab, pace, links, calm: Vec::new() };
    let normal = play.normal_operation()?;
    play.control_run()?;
    let (transfers, away, moved) = play.moves()?;
    let (back, returned) = play.returns(&transfers)?;
    Ok(play.conclude([&normal, &away, &back], &transfers, &moved, &returned))
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

    fn servers(&self) -> String {
        self.families.and(|plan| plan.server)
    }

    /// Boots a copy and waits for its first answers; when it was booted and when each came.
    fn boot(&mut self, site: Site) -> Result<(u64, Vec<u64>)> {
        let booted = now_us();
        self.sides.iter_mut().for_each(Side::expect_notify);
        self.lab.boot(site, Boot::Talking)?;
        let answered = |side: &Side| side.first_answer(self.lab, booted, site, PATIENCE);
        let answers = self.sides.iter().map(answered).collect::<Result<Vec<_>>>()?;
        self.sides.iter().try_for_each(|side| side.notified(self.lab))?;
        Ok((booted, answers))
    }

    /// Waits until a site says this of every address of the server.
    fn wait_each(&self, site: Site, what: &str, wanted: impl Fn(&Status, IpAddr) -> bool) -> Result<Status> {
        let all = |status: &Status| self.sides.iter().all(|side| wanted(status, side.plan.server));
        self.lab.wait_state(site, PATIENCE, what, all)
    }

    fn settled(&self, status: &Status) -> bool {
        self.sides.iter().all(|side| status.is_settled(side.plan.server))
    }

    fn normal_operation(&mut self) -> Result<Window> {
        act("Normal operation", "both switches are learning switches, the server is at home in DC1");
        step(&format!("Boot the server {} at DC1; like any name server, it notifies its secondary.", self.servers()));
        let (_, answers) = self.boot(Site::Dc1)?;
        for side in &self.sides {
            side.ask_marker(self.lab, "The client asks who it is", Site::Dc1)?;
            side.fetch_page(self.lab)?;
        }
        self.wait_each(Site::Dc1, "HOME", Status::is_settled)?;
        let window = self.stay(latest(&answers))?;
        self.show_flows()?;
        Ok(window)
    }

    fn control_run(&mut self) -> Result<()> {
        act("Control run", "a server that says nothing must not be moved");
        step("Stop the server at DC1: power off, no farewell.");
        self.lab.halt(Site::Dc1)?;
        step("Boot its copy at DC2 with its NOTIFY switched off: same address, same MAC, same gateway, silence.");
        if self.families.has(Family::V6) {
            step("Its kernel's duplicate address detection is off for this once, which would be a word of it, too.");
        }
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
        for side in &mut self.sides {
            side.prove_silence(self.links, &window);
        }
        let settled = statuses.iter().all(|status| self.settled(status));
        let events = timeline::merge(&statuses, from);
        let states = |status: &Status| {
            self.sides.iter().map(|side| status.state(side.plan.server)).collect::<Vec<_>>().join(" and ")
        };
        let verdict = match events.iter().find(|line| line.event != "alert") {
            None if settled => Ok(format!("no event in {:.1} s", self.pace.control.as_secs_f64())),
            None => Err(format!("dc1 is {}, dc2 {}", states(&statuses[0]), states(&statuses[1]))),
            Some(line) => Err(format!("{} noted {:?} {}", line.place, line.event, line.detail)),
        };
        let proof = Proof::of("control: and so nothing migrates", verdict);
        println!("  {proof}");
        self.calm.push(proof);
        Ok(())
    }

    fn moves(&mut self) -> Result<(Vec<IpAddr>, Window, Vec<Switchover>)> {
        act("The server moves", "booting the copy is the only command");
        step(match self.families {
            Families::V4 => {
                "Boot the copy at DC2, its NOTIFY switched on. Its kernel asks for the gateway of DC1: the trigger."
            }
            Families::V6 => {
                "Boot the copy at DC2. Its kernel asks whether somebody else has its address, as Linux does: the trigger."
            }
            Families::Dual => {
                "Boot the copy at DC2. Its kernel asks whether somebody else has its IPv6 address, as Linux does, then \
                 for the gateway of DC1: the triggers, one for each address."
            }
        });
        let (booted, answers) = self.boot(Site::Dc2)?;
        let host = self.wait_each(Site::Dc2, "HOSTING", |status, server| status.state(server) == "HOSTING")?;
        let home = self.wait_each(Site::Dc1, "AWAY", |status, server| status.state(server) == "AWAY")?;
        let moved = self.moved([&home, &host], booted, &answers, Site::Dc2)?;
        let mut transfers = Vec::new();
        for side in &self.sides {
            let server = side.plan.server;
            let entry = host.address(server).context("DC2 knows the server")?;
            let transfer = entry.transfer.context("DC2 says HOSTING without a transfer address")?;
            let whom = if self.families == Families::Dual { server.to_string() } else { "the server".to_owned() };
            println!("  {whom} is served at DC2 through the transfer address {transfer}");
            transfers.push(transfer);
        }
        println!();

        let from = now_us();
        for side in &self.sides {
            side.ask_marker(self.lab, "The client asks the same address again", Site::Dc2)?;
            side.fetch_page(self.lab)?;
            side.ask_as_neighbour(self.lab)?;
        }
        // The capture may come to it a little later than the one who asked.
        signals::sleep(Duration::from_secs(1))?;
        let neighbour_window = from..now_us();
        let claim = "away: DC1's neighbour reaches the moved server at its own address";
        let Links { neighbour, slot2, .. } = self.links;
        let served: Vec<Proof> = self
            .sides
            .iter()
            .map(|side| proof::neighbour_served(claim, neighbour, slot2, &neighbour_window, side.plan))
            .collect();

        let window = self.stay(latest(&answers))?;
        self.show_flows()?;
        let whole = booted..window.end;
        for (side, served) in self.sides.iter_mut().zip(served) {
            let ready = timeline::first_of(&home, &["flows-in"], side.plan.server, booted);
            side.prove_trigger_away(self.links, &whole);
            side.prove_discovery(self.links, &whole, ready.context("DC1's timeline has no flows-in")?);
            side.prove(Act::Away, served);
        }
        Ok((transfers, window, moved))
    }

    /// Shows how the server came to a site, and sums it up for each side.
    fn moved(&self, both: [&Status; 2], booted: u64, answers: &[u64], to: Site) -> Result<Vec<Switchover>> {
        let [home, host] = both;
        let (at, signs) = match to {
            Site::Dc1 => (home, &SIGNS_AT_HOME[..]),
            Site::Dc2 => (host, &SIGNS_AT_HOST[..]),
        };
        let seen = self.sides.iter().map(|side| side.seen(at, signs, booted)).collect::<Result<Vec<_>>>()?;
        let zero = seen.iter().copied().min().unwrap_or(booted);
        let clients: Vec<_> = answers.iter().zip(&self.sides).map(|(at, side)| (*at, side.plan.client)).collect();
        show_timeline(&[home.clone(), host.clone()], booted, zero, &clients, to);
        let each = self.sides.iter().zip(seen).zip(answers);
        Ok(each.map(|((side, seen), &answered)| side.switchover(seen, answered)).collect())
    }

    fn returns(&mut self, transfers: &[IpAddr]) -> Result<(Window, Vec<Switchover>)> {
        act("The server comes home", "it is booted at DC1 again; everything reverts by itself");
        step("Stop the copy at DC2.");
        self.lab.halt(Site::Dc2)?;
        step("Boot the server at DC1.");
        let (booted, answers) = self.boot(Site::Dc1)?;
        let home = self.wait_each(Site::Dc1, "HOME", Status::is_settled)?;
        let host = self.wait_each(Site::Dc2, "rid of the server", |status, server| {
            status.is_settled(server) && status.pool.in_use == 0
        })?;
        let returned = self.moved([&home, &host], booted, &answers, Site::Dc1)?;
        for side in &self.sides {
            side.ask_marker(self.lab, "The client asks the same address once more", Site::Dc1)?;
        }
        let reverted = now_us();
        let window = self.stay(latest(&answers))?;
        self.show_flows()?;

        let flows = [self.lab.gateway(Site::Dc1).flows()?, self.lab.gateway(Site::Dc2).flows()?].concat();
        let resting = self.sides.len();
        for (side, &transfer) in self.sides.iter_mut().zip(transfers) {
            side.prove_trigger_home(self.links, &(booted..reverted));
            let claim = format!("return: the transfer address {transfer} is released");
            let released = timeline::first_of(&host, &["transfer-released"], side.plan.server, booted);
            let verdict = match released {
                Some(_) if host.pool.quarantined >= resting => Ok(format!("pool: {}", pool(&host))),
                Some(_) => Err(format!("it is not in quarantine; pool: {}", pool(&host))),
                None => Err("DC2's timeline does not say so".to_owned()),
            };
            side.prove(Act::Return, Proof::of(claim, verdict));
            let left = flows.iter().filter(|flow| flow.names(transfer)).count();
            let verdict = if left == 0 { Ok("both switches".to_owned()) } else { Err(format!("{left} do")) };
            side.prove(Act::Return, Proof::of(format!("return: no flow names {transfer} any more"), verdict));
            let claim = format!("return: nothing leaves DC1 for {transfer} any more");
            let after = reverted..now_us();
            side.prove(Act::Return, proof::silent_towards(&claim, &self.links.uplink1, &after, transfer));
        }
        Ok((window, returned))
    }

    fn conclude(
        mut self,
        windows: [&Window; 3],
        transfers: &[IpAddr],
        moved: &[Switchover],
        returned: &[Switchover],
    ) -> Outcome {
        let links = self.links;
        let mut served = Vec::new();
        for (n, side) in self.sides.iter_mut().enumerate() {
            let switchovers = [moved[n], returned[n]];
            served.push(side.conclude(links, windows, transfers[n], switchovers));
        }
        let mut proofs = Vec::new();
        for act in Act::ALL {
            proofs.extend(self.sides.iter().flat_map(|side| side.proofs(act)).cloned());
            if act == Act::Control {
                proofs.append(&mut self.calm);
            }
        }
        let ends = [&links.client, &links.neighbour, &links.slot1, &links.slot2];
        for transfer in transfers {
            let claim = match self.families {
                Families::V4 | Families::V6 => "T never appears at client, neighbour or server".to_owned(),
                Families::Dual => format!("T = {transfer} never appears at client, neighbour or server"),
            };
            proofs.push(proof::nowhere(&claim, &ends, *transfer));
        }
        proofs.push(links.complete());
        Outcome { proofs, served, wan_rtt: self.wan_rtt }
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

fn latest(moments: &[u64]) -> u64 {
    moments.iter().copied().max().unwrap_or(0)
}
