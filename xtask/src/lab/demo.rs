//! `cargo xtask demo`: the paper's experiment on a terminal.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use clap::Args;

use super::family::{Families, Family};
use super::play::{self, Outcome, Pace};
use super::proof::Links;
use super::side::Served;
use super::signals::{self, Interrupted};
use super::switch::Switches;
use super::timeline::millis;
use super::topology::{CLIENT, GATEWAY1, GATEWAY2, SERVER, Site, WEB};
use super::{DEMO_PREFIX, Lab, Options, live, poke};
use crate::interrupt;

/// Options of the demonstration.
#[derive(Args, Clone, Debug)]
pub struct Demo {
    /// Leave the two sites up at the end, and say how to poke at them
    #[arg(long)]
    keep: bool,
    /// Write a capture of each link into this directory
    #[arg(long, value_name = "DIR")]
    pcap: Option<PathBuf>,
    /// Delay of each of the two WAN links, one way, in milliseconds
    #[arg(long, value_name = "MS", default_value_t = 10, value_parser = clap::value_parser!(u64).range(0..=1000))]
    delay: u64,
    /// Move a virtual machine while it runs, with an open TCP connection, in place of booting a copy
    #[arg(long, conflicts_with = "pcap")]
    live_vm: bool,
    /// The switches: xdp (wamig's own), ovs (Open vSwitch), or 'ovs*2' (two of them, used as one), for each site
    /// dc1=…,dc2=…; ovs:of13 and ovs:of13-arp-punt use no more of it than a narrow hardware switch has
    #[arg(long, value_name = "KINDS", default_value = "xdp", conflicts_with = "live_vm")]
    switch: Switches,
    /// The version that Open vSwitch is controlled by: 1.3 or 1.0
    #[arg(long, value_name = "VERSION", default_value = "1.3", value_parser = ["1.3", "1.0"])]
    openflow: String,
    /// With IPv6 in place of IPv4: the server, the client and the sites' LANs have no IPv4
    #[arg(long, conflicts_with_all = ["dual_stack", "live_vm"])]
    ipv6: bool,
    /// With IPv4 and IPv6 side by side, and everything proven for both
    #[arg(long, conflicts_with = "live_vm")]
    dual_stack: bool,
    /// The wamig program (default: $WAMIG_BIN, else the one built beside this program)
    #[arg(long, value_name = "FILE")]
    wamig: Option<PathBuf>,
    /// What the names of everything it makes begin with
    #[arg(long, hide = true, default_value = DEMO_PREFIX)]
    prefix: String,
}

/// The `wamig` program: what `WAMIG_BIN` says, else the one built beside this program.
///
/// # Errors
/// It was not built.
pub fn built_wamig() -> Result<PathBuf> {
    if let Some(path) = std::env::var_os("WAMIG_BIN") {
        return Ok(path.into());
    }
    let own = std::env::current_exe()?;
    // A test's program lies one directory deeper.
    let candidates = own.ancestors().skip(1).take(2).map(|dir| dir.join("wamig"));
    let found = candidates.into_iter().find(|path| path.is_file());
    found.with_context(|| {
        format!("there is no wamig beside {}: cargo build --locked -p wamig-userspace builds it", own.display())
    })
}

impl Demo {
    /// Plays it. 0 if everything is proven, 1 if not, 128 + N after signal N.
    pub fn run(&self) -> ExitCode {
        match self.play() {
            Ok(true) => ExitCode::SUCCESS,
            Ok(false) => ExitCode::FAILURE,
            Err(error) => {
                if let Some(&interrupted) = error.downcast_ref::<Interrupted>() {
                    eprintln!("\ndemo: {interrupted}; everything was taken down");
                    return ExitCode::from(128_u8.wrapping_add(interrupted.0 as u8));
                }
                eprintln!("\ndemo: {error:#}");
                ExitCode::FAILURE
            }
        }
    }

    fn play(&self) -> Result<bool> {
        interrupt::watch()?;
        let begun = Instant::now();
        let wamig = match &self.wamig {
            Some(path) => path.canonicalize().with_context(|| format!("there is no {}", path.display()))?,
            None => built_wamig()?,
        };
        if let Some(dir) = &self.pcap {
            std::fs::create_dir_all(dir).with_context(|| format!("cannot make {}", dir.display()))?;
        }
        let mut options = Options::new(&self.prefix, &std::env::current_exe()?, &wamig);
        options.delay = Duration::from_millis(self.delay);
        let old = self.openflow == "1.0";
        ensure!(
            !old || self.switch != Switches::default(),
            "--openflow 1.0 is for Open vSwitch; wamig's own switch is controlled without OpenFlow: add --switch ovs"
        );
        let switches = if old { self.switch.over_openflow_10() } else { self.switch };
        options.families = self.families();
        ensure!(
            options.families == Families::V4 || !switches.any_over_openflow_10(),
            "OpenFlow 1.0 knows no IPv6: leave out --ipv6 and --dual-stack, or have the switches speak OpenFlow 1.3"
        );
        (options.dc1.switch, options.dc2.switch) = (switches.dc1, switches.dc2);

        let done = self.play_in(&options, &wamig);
        // Whatever an interrupted step complains of, the signal is the reason.
        signals::check()?;
        let holds = done?;
        println!("It took {:.0} s.", begun.elapsed().as_secs_f64());
        Ok(holds)
    }

    fn families(&self) -> Families {
        match (self.ipv6, self.dual_stack) {
            (true, _) => Families::V6,
            (_, true) => Families::Dual,
            _ => Families::V4,
        }
    }

    fn play_in(&self, options: &Options, wamig: &Path) -> Result<bool> {
        println!("wamig: a name server moves between two sites and back, by itself\n");
        println!("{}", picture(self.delay, options.families));
        let (mut lab, swept) = Lab::up(options)?;
        if !swept.is_empty() {
            let what = if swept.kept { "A demo that was left up" } else { "An earlier run that was killed" };
            println!("{what} was removed first: {swept}.");
        }
        if self.live_vm {
            return self.play_live(lab, wamig);
        }
        let links = Links::watch(&lab)?;
        let played = play_acts(&mut lab, &links);
        if let Some(dir) = &self.pcap {
            write_pcaps(&links, dir)?;
        }
        drop(links);
        // A play that fails is worth a look, too; one that is interrupted is over.
        if self.keep && signals::check().is_ok() {
            if let Err(error) = &played {
                eprintln!("\ndemo: {error:#}");
            }
            lab.keep()?;
            poke::advise(&lab, wamig);
            return Ok(played.unwrap_or(false));
        }
        let gone = lab.down();
        let holds = played?;
        ensure!(gone.failures.is_empty(), "not everything could be taken down: {gone}");
        Ok(holds)
    }
}

impl Demo {
    fn play_live(&self, mut lab: Lab, wamig: &Path) -> Result<bool> {
        let played = lab.start_daemons().and_then(|()| {
            let wan_rtt = play::round_trip(&lab)?;
            let outcome = live::run(&lab)?;
            live::summary(&outcome, wan_rtt);
            Ok(outcome.holds())
        });
        if self.keep && signals::check().is_ok() {
            lab.keep()?;
            poke::advise(&lab, wamig);
            return played;
        }
        let gone = lab.down();
        let holds = played?;
        ensure!(gone.failures.is_empty(), "not everything could be taken down: {gone}");
        Ok(holds)
    }
}

fn play_acts(lab: &mut Lab, links: &Links) -> Result<bool> {
    lab.start_daemons()?;
    for site in Site::BOTH {
        let switch = lab.gateway(site).status()?.datapath;
        let sessions = switch.session.iter().chain(switch.switches.iter().map(|member| &member.session));
        let controlled: Vec<String> = sessions.map(|s| format!("{}, profile {}", s.description, s.profile)).collect();
        if !controlled.is_empty() {
            println!("{}: wamig runs and controls {}", site.title(), controlled.join("; "));
            continue;
        }
        let modes: Vec<String> = switch.ports.iter().map(|port| format!("{} {}", port.name, port.mode)).collect();
        println!("{}: wamig runs, XDP mode of its ports: {}", site.title(), modes.join(", "));
    }
    let outcome = play::run(lab, links, Pace::DEMO)?;
    summary(&outcome);
    Ok(outcome.holds())
}

fn picture(delay: u64, families: Families) -> String {
    let blank = " ".repeat(21);
    if families == Families::V4 {
        return format!(
            "                       {delay} ms\n\
             client ─── internet ─┬─ WAN ── r1 {GATEWAY1} ───── gw1 ┬─ web server {WEB}\n\
             {CLIENT}         │                                └─ slot for the server {SERVER}    DC1\n\
             {blank}{delay} ms\n\
             {blank}└─ WAN ── r2 {GATEWAY2} ── gw2 ┬─ local host\n\
             {blank}                                 └─ slot for the server {SERVER}    DC2\n",
        );
    }
    let mut text = format!(
        "                       {delay} ms\n\
         client ─── internet ─┬─ WAN ── r1 ── gw1 ┬─ web server\n\
         {blank}│                   └─ slot for the server    DC1\n\
         {blank}{delay} ms\n\
         {blank}└─ WAN ── r2 ── gw2 ┬─ local host\n\
         {blank}                    └─ slot for the server    DC2\n\n",
    );
    for (who, addresses) in [
        ("client", families.and(|plan| plan.client)),
        ("server", families.and(|plan| plan.server)),
        ("web server", families.and(|plan| plan.web)),
        ("r1, DC1's gateway", families.and(|plan| plan.gateway1)),
        ("r2, DC2's gateway", families.and(|plan| plan.gateway2)),
    ] {
        let _ = writeln!(text, "{who:<18} {addresses}");
    }
    text
}

fn summary(outcome: &Outcome) {
    println!("\n── What the captures prove\n");
    for proof in &outcome.proofs {
        println!("  {proof}");
    }
    println!("\n── Summary\n");
    println!(
        "  round trip of the WAN, gateway box to gateway box   {:8.1} ms",
        millis(outcome.wan_rtt.as_micros() as u64)
    );
    for served in &outcome.served {
        if outcome.served.len() > 1 {
            println!("\n  {}", served.family.title());
        }
        count(served);
    }
    let failed = outcome.proofs.iter().filter(|proof| !proof.holds()).count();
    if failed == 0 {
        println!("\n  All {} statements are proven by the frames on the links.", outcome.proofs.len());
    } else {
        println!("\n  {failed} of {} statements FAILED.", outcome.proofs.len());
    }
}

fn count(served: &Served) {
    let Served { family, total, away, moved, returned, .. } = served;
    let row = |what: String, us: u64| println!("  {what:<51} {:8.1} ms", millis(us));
    let question = family.question();
    let silence = "        client without answers, server off included";
    row(format!("move:   {question} seen at DC2 → first answer at client"), moved.to_first_answer_us);
    println!("  {silence:<51} {:8.1} ms   (the control run is in it)", millis(moved.silence_us));
    row(format!("return: {question} seen at DC1 → first answer at client"), returned.to_first_answer_us);
    row(silence.to_owned(), returned.silence_us);
    if *family == Family::V6 {
        println!("          (each with the second in which the kernel waits whether its address is somebody else's)");
    }
    println!(
        "  while away: {} questions, {} answered, {} lost, longest gap {:.1} ms",
        away.sent,
        away.answered,
        away.lost(),
        millis(away.longest_gap_us)
    );
    println!("  in all:     {} questions, {} answered, {} lost", total.sent, total.answered, total.lost());
}

fn write_pcaps(links: &Links, dir: &Path) -> Result<()> {
    for capture in links.all() {
        let path = dir.join(format!("{}.pcap", capture.link()));
        capture.write_pcap(&path)?;
        give_to_caller(&path)?;
    }
    give_to_caller(dir)?;
    println!("  captures: {}/*.pcap", dir.display());
    Ok(())
}

/// Files made under sudo belong to who called it.
fn give_to_caller(path: &Path) -> Result<()> {
    let id = |name: &str| std::env::var(name).ok().and_then(|value| value.parse::<u32>().ok());
    if let (Some(uid), Some(gid)) = (id("SUDO_UID"), id("SUDO_GID")) {
        std::os::unix::fs::chown(path, Some(uid), Some(gid))?;
    }
    Ok(())
}
