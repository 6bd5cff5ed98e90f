//! `cargo xtask lab`: poking at a lab that was left up.

use std::path::Path;
use std::time::Duration;

use anyhow::{Result, bail, ensure};
use clap::{Args, Subcommand, ValueEnum};

use super::delay_line::{self, End};
use super::dns::{self, Data, Kind};
use super::family::Families;
use super::journal::{self, Journal};
use super::server::{Boot, MARKER, Slot};
use super::topology::{Place, Site};
use super::{DEMO_PREFIX, Lab, netns};

/// A lab that was left up, and what to do with it.
#[derive(Args, Clone, Debug)]
pub struct Poke {
    /// What the names of the lab begin with
    #[arg(long, hide = true, default_value = DEMO_PREFIX)]
    prefix: String,
    #[command(subcommand)]
    verb: Verb,
}

/// What can be done with a lab that was left up.
#[derive(Subcommand, Clone, Debug)]
enum Verb {
    /// Boot the server's copy at a site
    Boot {
        /// Where
        site: Where,
        /// Without its NOTIFY: nothing must happen then
        #[arg(long)]
        silent: bool,
    },
    /// Stop the server's copy at a site
    Halt {
        /// Where
        site: Where,
    },
    /// Ask the server who it is, from the client
    Ask,
    /// Take down what `demo --keep` or a killed run has left
    Clean,
    /// The process of a WAN link
    #[command(hide = true)]
    DelayLine {
        /// One end, NAMESPACE:INTERFACE
        a: End,
        /// The other end
        b: End,
        /// Delay, one way, in microseconds
        #[arg(long)]
        delay_us: u64,
    },
}

/// A site on the command line.
#[derive(ValueEnum, Clone, Copy, PartialEq, Eq, Debug)]
enum Where {
    /// The server's home
    Dc1,
    /// The other site
    Dc2,
}

impl From<Where> for Site {
    fn from(site: Where) -> Self {
        match site {
            Where::Dc1 => Self::Dc1,
            Where::Dc2 => Self::Dc2,
        }
    }
}

/// Says how to poke at a lab that stays up.
pub fn advise(lab: &Lab, wamig: &Path) {
    let xtask = std::env::current_exe().unwrap_or_else(|_| "xtask".into());
    let wamig = wamig.display();
    let xtask = match lab.prefix() {
        DEMO_PREFIX => format!("{} lab", xtask.display()),
        other => format!("{} lab --prefix {other}", xtask.display()),
    };
    println!("\n── It is left up. As root:\n");
    for site in Site::BOTH {
        let gateway = lab.gateway(site);
        println!("  {wamig} status --socket {}", gateway.socket().display());
        println!("  {wamig} flows --socket {}", gateway.socket().display());
    }
    println!("  {xtask} halt dc1        # the server's copies: halt or boot, dc1 or dc2");
    println!("  {xtask} boot dc2");
    println!("  {xtask} ask             # the client asks who answers");
    println!("  ip netns exec {} bash  # a shell at the client", lab.name(Place::Client));
    println!("  tail {}", lab.gateway(Site::Dc2).log().display());
    println!("  {xtask} clean           # takes it down; so does the next demo");
}

impl Poke {
    /// Does it.
    ///
    /// # Errors
    /// No lab is up, or what the verb needs fails.
    pub fn run(&self) -> Result<()> {
        let place = |place: Place| format!("{}{}", self.prefix, place.name());
        match &self.verb {
            Verb::DelayLine { a, b, delay_us } => delay_line::run([a, b], Duration::from_micros(*delay_us)),
            Verb::Clean => {
                let swept = Journal::clean(&self.prefix)?;
                println!("{}", if swept.is_empty() { "nothing was left".to_owned() } else { swept.to_string() });
                Ok(())
            }
            Verb::Boot { site, silent } => {
                let site = Site::from(*site);
                let journal = Journal::attach(&self.prefix)?;
                if !journal.running(&Slot::label(site)).is_empty() {
                    bail!("the server runs at {} already", site.title());
                }
                let families = Families::noted(journal.dir())?;
                let mut slot = Slot::new(&journal, site, place(Place::Slot(site)), families)?;
                slot.boot(&journal, if *silent { Boot::Silent } else { Boot::Talking })
            }
            Verb::Halt { site } => {
                let site = Site::from(*site);
                let journal = Journal::attach(&self.prefix)?;
                let families = Families::noted(journal.dir())?;
                Slot::new(&journal, site, place(Place::Slot(site)), families)?.halt()?;
                let label = Slot::label(site);
                let running: Vec<_> = journal.running(&label).into_iter().map(|id| (label.as_str(), id)).collect();
                let (_, failures) = super::process::end_all(&running);
                ensure!(failures.is_empty(), "{}", failures.join("; "));
                Ok(())
            }
            Verb::Ask => {
                let families = Families::noted(&journal::directory(&self.prefix)?)?;
                for family in families.each() {
                    let server = family.plan().server;
                    let ask = || dns::ask(server, MARKER, Kind::Txt, Duration::from_secs(3));
                    let (data, took) = netns::enter(&place(Place::Client), ask)?;
                    let Data::Text(marker) = data else { bail!("the answer is {data:?}") };
                    println!("{server} is {marker}'s copy, {:.1} ms", took.as_secs_f64() * 1000.0);
                }
                Ok(())
            }
        }
    }
}
