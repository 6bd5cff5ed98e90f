//! A server moves while the session between Open vSwitch and wamig goes wrong in one way after
//! the other: the move is completed later, or taken back and told of, and never shown as done
//! before it is.

mod middle;

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use middle::{Fate, From, Law, Middle};
use xtask::conformance::ovs;
use xtask::lab::capture::now_us;
use xtask::lab::server::{Boot, MARKER};
use xtask::lab::stream::Stream;
use xtask::lab::switch::{Kind, Profile};
use xtask::lab::topology::{Place, SERVER, Site};
use xtask::lab::{Lab, signals, trial};

const XTASK: &str = env!("CARGO_BIN_EXE_xtask");
const SOON: Duration = Duration::from_mins(2);
/// So long nothing may be shown as done that is not.
const WHILE: Duration = Duration::from_secs(6);
/// Both ways several times over is no flapping here.
const UNDAMPED: &str = "\n[damping]\nmoves = 100";

/// The lab and what is asked of it all the time.
struct Trial {
    lab: Lab,
    middle: Middle,
    stream: Stream,
}

impl Trial {
    fn new(profile: Profile) -> Result<Option<Self>> {
        if !ovs::installed() {
            println!("SKIP: Open vSwitch is not installed (scripts/setup of installs it)");
            return Ok(None);
        }
        let chosen = |options: &mut xtask::lab::Options| {
            options.dc1.switch = Kind::Ovs(profile);
            options.dc1.in_the_middle = true;
            for site in [&mut options.dc1, &mut options.dc2] {
                UNDAMPED.clone_into(&mut site.timers);
            }
        };
        let Some(mut lab) = trial::lab(XTASK, chosen)? else { return Ok(None) };
        let middle = Middle::start(&lab, Site::Dc1, middle::wire)?;
        lab.start_daemons()?;
        let stream = Stream::start(&lab.name(Place::Client), SERVER, MARKER, Duration::from_millis(50))?;
        Ok(Some(Self { lab, middle, stream }))
    }

    /// The server's copy at `site` is booted, the other one is off; when.
    fn boot(&mut self, site: Site) -> Result<u64> {
        self.lab.halt(site.other())?;
        let booted = now_us();
        self.lab.boot(site, Boot::Talking)?;
        Ok(booted)
    }

    /// In the end the copy at `site` answers, and both sites say so.
    fn ends_at(&self, site: Site, since_us: u64) -> Result<()> {
        let found = signals::wait_for(SOON, || Ok(self.stream.first_answer(since_us, site.name())))?;
        ensure!(found.is_some(), "no answer of {}\n{}", site.name(), self.lab.last_words(25));
        let (home, host) = if site == Site::Dc2 { ("AWAY", "HOSTING") } else { ("HOME", "") };
        let lab = &self.lab;
        lab.wait_state(Site::Dc1, SOON, home, |s| {
            s.state(SERVER) == home && s.switch_up() && s.address(SERVER).is_some_and(|a| a.reason.is_none())
        })?;
        lab.wait_state(Site::Dc2, SOON, host, |s| {
            if host.is_empty() { s.is_settled(SERVER) } else { s.state(SERVER) == host }
        })?;
        Ok(())
    }

    /// For a while neither site says that the server has moved, and no copy there answers.
    fn is_not_shown_as_moved(&self, since_us: u64) -> Result<()> {
        let end = Instant::now() + WHILE;
        while Instant::now() < end {
            let [home, host] = self.lab.statuses()?;
            ensure!(home.state(SERVER) != "AWAY", "dc1 says AWAY\n{}", self.lab.last_words(15));
            ensure!(host.state(SERVER) != "HOSTING", "dc2 says HOSTING\n{}", self.lab.last_words(15));
            ensure!(self.stream.first_answer(since_us, "dc2").is_none(), "half a move carries packets");
            std::thread::sleep(Duration::from_millis(100));
        }
        Ok(())
    }

    /// There and back while `law` holds; both are completed under it.
    fn completes(&mut self, law: impl Fn() -> Law) -> Result<()> {
        for site in [Site::Dc2, Site::Dc1] {
            self.middle.obey(law());
            let booted = self.boot(site)?;
            self.ends_at(site, booted)?;
        }
        Ok(())
    }

    /// DC1's timeline has an alert with this text.
    fn was_told(&self, text: &str) -> Result<()> {
        let status = self.lab.gateway(Site::Dc1).status()?;
        ensure!(
            status.timeline.iter().any(|e| e.detail.contains(text)),
            "{text:?} is nowhere in {:#?}",
            status.timeline
        );
        Ok(())
    }
}

/// Every message waits; a batch of some dozen flows and its barriers take their time.
fn slow() -> Law {
    Box::new(|from, message| match from {
        From::Switch if middle::is_barrier_reply(message) => Fate::Waits(Duration::from_millis(400)),
        From::Switch => Fate::Waits(Duration::from_millis(20)),
        From::Controller => Fate::Passes,
    })
}

/// The barriers after the move's first flow-mod are not answered, on one connection.
fn forgetful() -> Law {
    let (mut forgets, mut done) = (false, false);
    Box::new(move |from, message| {
        // A hello begins another connection.
        if message[1] == 0 && forgets {
            (forgets, done) = (false, true);
        }
        forgets |= !done && from == From::Controller && middle::adds_for_a_move(message);
        if forgets && from == From::Switch && middle::is_barrier_reply(message) { Fate::Lost } else { Fate::Passes }
    })
}

/// The connection ends with the move's third flow-mod, once.
fn cut_in_the_middle() -> Law {
    let mut count = 0;
    Box::new(move |from, message| {
        count += i32::from(from == From::Controller && middle::adds_for_a_move(message));
        if count == 3 {
            count += 1;
            return Fate::Cut;
        }
        Fate::Passes
    })
}

fn goes_wrong(profile: Profile) -> Result<()> {
    let Some(mut trial) = Trial::new(profile)? else { return Ok(()) };
    trial.completes(slow)?;

    trial.completes(forgetful)?;
    trial.was_told("it has not answered for 10 s")?;

    trial.completes(cut_in_the_middle)?;
    trial.was_told("the switch is not under control")?;

    // Every session ends in the middle of the move.
    trial.middle.obey(|from, message| {
        if from == From::Controller && middle::adds_for_a_move(message) { Fate::Cut } else { Fate::Passes }
    });
    let booted = trial.boot(Site::Dc2)?;
    trial.lab.wait_state(Site::Dc1, SOON, "told of", |s| {
        s.address(SERVER).is_some_and(|a| a.reason.as_deref() == Some("switch not under control") && a.remedy.is_some())
    })?;
    trial.is_not_shown_as_moved(booted)?;
    trial.middle.obey(middle::wire);
    trial.ends_at(Site::Dc2, booted)?;
    let booted = trial.boot(Site::Dc1)?;
    trial.ends_at(Site::Dc1, booted)?;

    // The table is full.
    trial.middle.obey(|from, message| {
        let full = from == From::Controller && middle::adds_for_a_move(message);
        if full { Fate::Answered(middle::table_full(message)) } else { Fate::Passes }
    });
    let booted = trial.boot(Site::Dc2)?;
    trial::expect_state(&trial.lab, Site::Dc1, "HOME", Some("switch refused the flows"), 0, SOON)?;
    let session = trial.lab.gateway(Site::Dc1).status()?.datapath.session;
    let refused = session.and_then(|s| s.refused).map(|r| r.reason).unwrap_or_default();
    ensure!(refused.contains("TABLE_FULL"), "the session does not tell what was refused: {refused:?}");
    trial.is_not_shown_as_moved(booted)?;
    trial.middle.obey(middle::wire);
    trial.ends_at(Site::Dc2, booted)?;
    let booted = trial.boot(Site::Dc1)?;
    trial.ends_at(Site::Dc1, booted)
}

#[test]
fn no_move_is_half_done_however_the_session_goes_wrong() -> Result<()> {
    goes_wrong(Profile::Ovs)
}

#[test]
fn no_move_of_a_narrow_switch_without_bundles_is_half_done() -> Result<()> {
    goes_wrong(Profile::Of13ArpPunt)
}
