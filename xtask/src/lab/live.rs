//! A virtual machine moves while it runs: QEMU migrates it from DC1 to DC2 and back, twice, and the client's one TCP
//! connection to it goes on. Nothing in the guest knows of it. The first move is planned: an operator says so at home,
//! and at the host site QEMU's own announcement, a RARP without an address, is enough. The second is not: there its
//! first packet is the sign, since its ARP cache is warm and it asks nobody. At home its MAC address is known, and the
//! RARP is enough each time.

use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};

use super::audit;
use super::capture::{Capture, now_us};
use super::frame::Mac;
use super::proof::Proof;
use super::script::{act, step};
use super::share::{Share, Way};
use super::status::Status;
use super::timeline::{self, millis};
use super::topology::{CLIENT, Place, SERVER, SERVER_MAC, Site, mac_text};
use super::vm::guest::{Begin, Guest};
use super::vm::image;
use super::vm::qmp::Migrated;
use super::vm::talk::{PORT, Talk};
use super::{Lab, signals};
use crate::qemu::machine::Machine;

/// EtherType of RARP (RFC 903).
const RARP: u16 = 0x8035;
/// How long the client may wait for its line after a move.
const PATIENCE: Duration = Duration::from_secs(30);
/// Between two lines of the conversation.
const BEAT: Duration = Duration::from_millis(5);

/// How a move went.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Move {
    /// How it was known.
    pub way: Way,
    /// What QEMU says of it.
    pub qemu: Migrated,
    /// From the first announcement at the new place to what wamig took for the sign, in microseconds.
    pub heard_us: u64,
    /// From the first announcement to home's flows being in, or out, by its barrier, in microseconds.
    pub switched_us: u64,
    /// From the first announcement to the first frame of the client at the new place, in microseconds.
    pub network_us: u64,
    /// The longest time without a line that came back, in microseconds.
    pub silence_us: u64,
}

/// What a play showed.
pub struct Outcome {
    /// All proofs.
    pub proofs: Vec<Proof>,
    /// To DC2 as planned and back, to DC2 unplanned and back.
    pub moves: Vec<Move>,
    /// Lines of the conversation, all of which came back over the one connection.
    pub lines: usize,
}

impl Outcome {
    /// Whether everything is proven.
    pub fn holds(&self) -> bool {
        self.proofs.iter().all(Proof::holds)
    }
}

struct Play<'l> {
    lab: &'l Lab,
    machine: Machine,
    initrd: std::path::PathBuf,
    guests: [Guest; 2],
    slots: [Capture; 2],
    proofs: Vec<Proof>,
}

/// Plays it in a lab whose daemons run and know each other.
///
/// # Errors
/// Something that had to follow did not, or the run was interrupted.
pub fn run(lab: &Lab) -> Result<Outcome> {
    let machine = Machine::find()?;
    let initrd = lab.dir()?.join("guest.initrd");
    image::write(&machine, &initrd)?;
    let guests = [lab.hypervisor(Site::Dc1)?, lab.hypervisor(Site::Dc2)?];
    let slot = |site: Site| lab.capture(&format!("{}-slot", site.name()), Place::Slot(site), "eth0");
    let slots = [slot(Site::Dc1)?, slot(Site::Dc2)?];
    let mut play = Play { lab, machine, initrd, guests, slots, proofs: Vec::new() };

    act("A virtual machine at home", "QEMU runs it at DC1, the client opens one TCP connection to it");
    step(&format!("Boot the guest {SERVER} at DC1 (emulated: some seconds)."));
    play.start(Site::Dc1, Begin::Boot)?;
    let talk = Talk::start(&lab.name(Place::Client), BEAT)?;
    step(&format!("The client {CLIENT} talks to its port {PORT}: a numbered line every {} ms.", BEAT.as_millis()));
    signals::sleep(Duration::from_secs(1))?;

    let ways = [Way::Planned, Way::Return, Way::Unplanned, Way::Return];
    let moves = ways.into_iter().map(|way| play.moves(way, &talk)).collect::<Result<Vec<_>>>()?;
    let record = talk.record();
    drop(talk);
    let verdict = match &record.ended {
        None => Ok(format!("{} lines came back in order", record.back_us.len())),
        Some(why) => Err(why.clone()),
    };
    play.proofs.push(Proof::of("the one TCP connection lived through all four moves", verdict));
    for guest in &mut play.guests {
        guest.off()?;
    }
    Ok(Outcome { proofs: play.proofs, moves, lines: record.back_us.len() })
}

const fn index(site: Site) -> usize {
    match site {
        Site::Dc1 => 0,
        Site::Dc2 => 1,
    }
}

impl Play<'_> {
    fn start(&mut self, site: Site, begin: Begin) -> Result<()> {
        self.lab.start_guest(&mut self.guests[index(site)], &self.machine, &self.initrd, begin)
    }

    /// The operator at home says what is going to happen; returns when both sites are prepared.
    fn prepare(&self) -> Result<()> {
        let reason = "a live migration";
        let said = self.lab.gateway(Site::Dc1).order(&["prepare", "--to", Site::Dc2.name()], reason)?;
        step(&format!("DC1's operator: wamig prepare {SERVER} --to {} --reason {reason:?}", Site::Dc2.name()));
        said.lines().for_each(|line| println!("    {line}"));
        for site in [Site::Dc2, Site::Dc1] {
            self.lab.wait_state(site, PATIENCE, "PREPARED", |status| {
                let entry = status.address(SERVER);
                entry.is_some_and(|entry| entry.state == "PREPARED" && entry.transfer.is_some())
            })?;
        }
        step("Both sites show it as PREPARED.");
        Ok(())
    }

    fn moves(&mut self, way: Way, talk: &Talk) -> Result<Move> {
        let (to, sign) = match way {
            Way::Planned => (Site::Dc2, "a planned live migration; QEMU's announcement is the sign"),
            Way::Unplanned => (Site::Dc2, "a live migration that nobody announced; its first packet is the sign"),
            Way::Return => (Site::Dc1, "a live migration; QEMU's announcement is the sign"),
        };
        act(&format!("It moves to {}", to.title()), sign);
        let began = now_us();
        if way == Way::Planned {
            self.prepare()?;
        }
        self.start(to, Begin::Incoming)?;
        let [a, b] = &mut self.guests;
        let (source, target) = if to == Site::Dc2 { (a, b) } else { (b, a) };
        let qemu = source.migrate(target)?;
        ensure!(target.running()?, "the guest does not run at {}", to.title());
        step(&format!(
            "QEMU moved {} MB in {} ms; the guest stood still for {} ms.",
            qemu.bytes / 1_000_000,
            qemu.total_ms,
            qemu.downtime_ms
        ));
        let (announced, kind) = self.first_frame(to, began)?;
        let claim = format!("{}, {}: its first frame is QEMU's RARP, without an address", to.title(), way.as_str());
        let verdict =
            if kind == RARP { Ok(mac_text(SERVER_MAC)) } else { Err(format!("it has EtherType 0x{kind:04x}")) };
        self.proofs.push(Proof::of(claim, verdict));
        let back = signals::wait_for(PATIENCE, || {
            ensure!(talk.record().ended.is_none(), "the connection is over: {:?}", talk.record().ended);
            Ok(talk.first_back(announced))
        })?;
        let Some(back) = back else {
            bail!("no line came back from {} within {PATIENCE:?}\n{}", to.title(), self.lab.last_words(12));
        };
        let [home, host] = self.settled(to)?;
        println!("\n{}", timeline::render(&timeline::merge(&[home.clone(), host.clone()], began), announced));
        if way == Way::Planned {
            let changes = [(Site::Dc1, ("PREPARED", "CLAIMED")), (Site::Dc2, ("PREPARED", "READY"))];
            for (site, change) in changes {
                let log = self.lab.gateway(site).explain()?;
                self.proofs.push(audit::made_for(&log, change, "rarp", began));
            }
        }
        let (signs, change): (&[&str], _) = match to {
            Site::Dc2 => (&["guest-seen", "arp-seen"], "flows-in"),
            Site::Dc1 => (&["seen-at-home"], "flows-out"),
        };
        let at = if to == Site::Dc1 { &home } else { &host };
        let heard = signs.iter().filter_map(|event| timeline::first(at, event, announced)).min();
        let heard = heard.with_context(|| format!("{}'s timeline has no {signs:?}", to.title()))?;
        let switched = timeline::first(&home, change, announced);
        let switched = switched.filter(|at| *at >= heard);
        let switched = switched.with_context(|| format!("DC1's timeline has no {change} after the sign"))?;
        let reached = self.client_reaches(to, announced).context("the client's frames do not reach the guest")?;
        Ok(Move {
            way,
            qemu,
            heard_us: heard - announced,
            switched_us: switched - announced,
            network_us: reached - announced,
            silence_us: talk.record().longest_gap(began, back + 1).0,
        })
    }

    /// What both sites say once the move is over, DC1's first.
    fn settled(&self, at: Site) -> Result<[Status; 2]> {
        let state = |site: Site, wanted: &'static str| {
            self.lab.wait_state(site, PATIENCE, wanted, |status| {
                status.state(SERVER) == wanted || (wanted == "settled" && status.is_settled(SERVER))
            })
        };
        Ok(match at {
            Site::Dc2 => [state(Site::Dc1, "AWAY")?, state(Site::Dc2, "HOSTING")?],
            Site::Dc1 => [state(Site::Dc1, "settled")?, state(Site::Dc2, "settled")?],
        })
    }

    /// The guest's first frame at a site from `from_us` on: when, and its EtherType.
    fn first_frame(&self, site: Site, from_us: u64) -> Result<(u64, u16)> {
        let found = signals::wait_for(PATIENCE, || {
            let records = self.slots[index(site)].records();
            let own = records.iter().find(|record| {
                record.at_us >= from_us && record.sent && record.bytes.get(6..12) == Some(&SERVER_MAC as &[u8])
            });
            Ok(own.map(|record| (record.at_us, u16::from_be_bytes([record.bytes[12], record.bytes[13]]))))
        })?;
        found.with_context(|| format!("the guest says nothing at {}", site.title()))
    }

    /// When the client's first frame came to the guest at a site.
    fn client_reaches(&self, site: Site, from_us: u64) -> Option<u64> {
        let guest: Mac = SERVER_MAC;
        let records = self.slots[index(site)].records();
        let arrived = |record: &&super::capture::Record| {
            let frame = record.frame().filter(|frame| frame.to == guest);
            !record.sent
                && record.at_us >= from_us
                && frame.as_ref().and_then(|frame| frame.ip()).is_some_and(|ip| ip.source == CLIENT)
        };
        records.iter().find(arrived).map(|record| record.at_us)
    }
}

/// Prints what it came to.
pub fn summary(outcome: &Outcome, wan_rtt: Duration) {
    println!("\n── What the captures and the audit logs prove\n");
    for proof in &outcome.proofs {
        println!("  {proof}");
    }
    println!("\n── Summary\n");
    let row = |what: &str, figure: String| println!("  {what:<53} {figure}");
    let ms = |us: u64| format!("{:8.1} ms", millis(us));
    row("round trip of the WAN, gateway box to gateway box", format!("{:8.1} ms", wan_rtt.as_secs_f64() * 1e3));
    for Move { way, qemu, heard_us, switched_us, network_us, silence_us } in &outcome.moves {
        let to = if *way == Way::Return { "home" } else { "to DC2" };
        println!("\n  {to}, {}", way.as_str());
        row("  the guest stood still, by QEMU's word", format!("{:6}   ms", qemu.downtime_ms));
        row("  first announcement → taken for a sign", ms(*heard_us));
        // Of a guest that it does not expect, the host site hears nothing in a RARP that names no address.
        let (since, what) = match way {
            Way::Unplanned => (*heard_us, "  its first packet → path switched"),
            Way::Planned | Way::Return => (0, "  first announcement → path switched"),
        };
        let took = Duration::from_micros(switched_us - since);
        row(what, Share { way: *way, took, round_trip: wan_rtt }.to_string());
        row("  first announcement → the client's frames arrive", ms(*network_us));
        row("  longest silence of the connection", ms(*silence_us));
    }
    println!("\n  {} lines came back over the one connection", outcome.lines);
}
