//! Group `upkeep`: what a table full of flows costs the daemon while nobody changes it, as the share of a core: timeouts
//! that become due, and statistics that a controller asks for once a minute.

use std::path::Path;
use std::time::{Duration, Instant};

use nix::unistd::{SysconfVar, sysconf};
use wamig_openflow::message::{FlowStatsRequest, MultipartRequest};
use wamig_openflow::{FlowMod, Message};

use super::Options;
use super::client::{Client, with_barrier};
use super::control::{How, clear, storm};
use super::daemon::Daemon;
use super::netns::Row3;
use super::row::Row;
use super::rules::exact;

const GROUP: (&str, &str) = ("upkeep", "% of a core");
/// The flows end one after the other, within so many seconds.
const SPREAD: u16 = 600;
/// How often a controller is taken to ask for statistics.
const POLL: Duration = Duration::from_mins(1);

/// CPU time of the daemon, all its threads.
fn cpu(daemon: &Daemon) -> Duration {
    let stat = std::fs::read_to_string(Path::new("/proc").join(daemon.pid().to_string()).join("stat")).unwrap();
    // The name is in parentheses and may hold anything.
    let fields: Vec<u64> = stat[stat.rfind(')').unwrap()..].split(' ').filter_map(|field| field.parse().ok()).collect();
    let hertz = sysconf(SysconfVar::CLK_TCK).unwrap().unwrap() as u64;
    // Of the numbers behind the state, utime and stime are the 11th and 12th (proc(5)).
    Duration::from_millis((fields[10] + fields[11]) * 1000 / hertz)
}

/// Flows that expire evenly spread over [`SPREAD`], from the second `first` on.
fn expiring(n: u32, first: u16) -> Vec<FlowMod> {
    let mut mods = exact(n, 1);
    for (i, flow) in mods.iter_mut().enumerate() {
        flow.idle_timeout = first + (i % usize::from(SPREAD)) as u16;
    }
    mods
}

/// The daemon's share of a core, in per cent, while `work` goes on.
fn share(daemon: &Daemon, work: impl FnOnce() -> Result<Duration, String>) -> Result<f64, String> {
    let before = cpu(daemon);
    let over = work()?;
    Ok(cpu(daemon).saturating_sub(before).as_secs_f64() / over.as_secs_f64() * 100.0)
}

/// Lets the time pass; the switch has to be answered meanwhile.
fn rest(client: &mut Client, time: Duration) -> Result<Duration, String> {
    let began = Instant::now();
    client.count(time, u64::MAX, |_| false)?;
    Ok(began.elapsed())
}

/// Fills the table, and waits until what follows from that is done: programs are exchanged a little later.
fn fill(client: &mut Client, mods: &[FlowMod]) -> Result<(), String> {
    clear(client)?;
    client.send(&storm(mods, How::Single))?;
    rest(client, Duration::from_secs(5)).map(drop)
}

/// How it is measured.
struct Plan {
    flows: u32,
    rounds: usize,
    /// How long the daemon is watched.
    window: Duration,
    /// Seconds until the first flow expires: until then the table has to be full.
    first: u16,
}

fn rows(plan: &Plan, rows: &mut [Row; 4]) -> Result<(), String> {
    let net = Row3::new();
    let daemon = Daemon::holding(&net, 1 << 20)?;
    let mut client = Client::connect(&daemon.socket())?;
    fill(&mut client, &exact(plan.flows, 1))?;
    let all = FlowStatsRequest::all();
    let asked = |body| Message::MultipartRequest { more: false, body };
    let aggregate = with_barrier(&[asked(MultipartRequest::Aggregate(all.clone()))]);
    let each = with_barrier(&[asked(MultipartRequest::Flow(all))]);
    for _ in 0..plan.rounds {
        rows[0].samples.push(share(&daemon, || rest(&mut client, plan.window))?);
        for (row, request) in [(1, &aggregate), (2, &each)] {
            let polled = share(&daemon, || client.send(request).map(|_| POLL))?;
            rows[row].samples.push(polled);
        }
    }
    let began = Instant::now();
    fill(&mut client, &expiring(plan.flows, plan.first))?;
    rest(&mut client, Duration::from_secs(u64::from(plan.first)).saturating_sub(began.elapsed()))?;
    for _ in 0..plan.rounds {
        rows[3].samples.push(share(&daemon, || rest(&mut client, plan.window))?);
    }
    rows[3].notes.push(("due a second".to_owned(), f64::from(plan.flows) / f64::from(SPREAD)));
    clear(&mut client)
}

/// Measures, and prints the rows.
pub fn measure(options: &Options) {
    let seconds = Duration::from_secs;
    let plan = if options.quick {
        Plan { flows: 100_000, rounds: 3, window: seconds(2), first: 15 }
    } else {
        Plan { flows: 1_000_000, rounds: 3, window: seconds(20), first: 90 }
    };
    let names = ["at rest", "summed up once a minute", "listed once a minute", "expiring within 10 minutes"];
    let mut measured = names.map(|what| Row::new(GROUP.0, format!("{} flows {what}", plan.flows), GROUP.1));
    let done = rows(&plan, &mut measured);
    for mut row in measured {
        if let (Err(why), true) = (&done, row.samples.is_empty()) {
            row.missing = Some(why.clone());
        }
        row.print();
    }
}
