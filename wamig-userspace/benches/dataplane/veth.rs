//! Group `veth`: frames through a device under test between two veth pairs. What counts is
//! the CPU time for each frame that arrives: the ingress interface's kernel thread, and the
//! processes of the device under test.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use aya::programs::Xdp;
use aya::programs::xdp::XdpMode;

use super::Options;
use super::data_path::run_live;
use super::netns::{Row3, cpu_time};
use super::programs::Programs;
use super::rivals::{Contender, contenders};
use super::row::Row;
use super::rules::{address_old, udp};

const GROUP: &str = "veth";
/// Frames that one call of the generator makes.
const CALL: u32 = 1 << 16;

/// What a measurement gave.
struct Sample {
    ns_per_frame: f64,
    frames_per_second: f64,
    /// Frames that arrived unchanged or with a wrong checksum.
    wrong: u64,
}

/// Sends as fast as it can, and counts for `time` what arrives.
fn sample(
    row: &Row3,
    object: &Options,
    contender: &mut Contender,
    flows: u32,
    time: Duration,
) -> Result<Sample, String> {
    let mut sink = row.within(2, || {
        let mut sink = Programs::load(&object.object);
        let program = sink.xdp("sink");
        program.attach("wbs0", XdpMode::Driver).unwrap();
        sink
    });
    let running = contender.start(row, flows)?;
    let napi = row.pin_napi().ok_or("the ingress interface got no kernel thread")?;
    let mut pids = running.pids();
    pids.push(napi);
    let ifindex = row.ifindex(0, "wbg0");
    let mut generator = Programs::load(&object.object);
    let frame = udp(address_old(0));
    generator.prepare(&frame, flows, ifindex);
    let stop = AtomicBool::new(false);
    let sample = std::thread::scope(|scope| {
        let (generator, stop, frame) = (&mut generator, &stop, &frame);
        let made = scope.spawn(move || {
            let mut set = nix::sched::CpuSet::new();
            set.set(0).unwrap();
            nix::sched::sched_setaffinity(nix::unistd::Pid::from_raw(0), &set).unwrap();
            row.within(0, || {
                let program: &Xdp = generator.xdp("generate");
                while !stop.load(Ordering::Relaxed) {
                    run_live(program, frame, CALL);
                }
            });
        });
        std::thread::sleep(Duration::from_millis(300));
        let (before, cpu, began) = (sink.arrived(), cpu_time(&pids), Instant::now());
        std::thread::sleep(time);
        let (after, cpu, took) = (sink.arrived(), cpu_time(&pids) - cpu, began.elapsed());
        stop.store(true, Ordering::Relaxed);
        made.join().unwrap();
        let of = |i: usize| after[i] - before[i];
        let changed = if contender.rewrites() { of(1) } else { of(0) };
        Sample {
            ns_per_frame: cpu as f64 / of(0).max(1) as f64,
            frames_per_second: of(0) as f64 / took.as_secs_f64(),
            wrong: of(0) - changed + of(2),
        }
    });
    running.stop(row);
    drop(sink.0.take_map("ARRIVED"));
    if sample.frames_per_second < 1.0 { Err("no frame arrived".to_owned()) } else { Ok(sample) }
}

/// Measures, and prints the rows.
pub fn measure(options: &Options) {
    let (rounds, time) = if options.quick { (2, Duration::from_millis(700)) } else { (5, Duration::from_secs(2)) };
    for flows in [1, 1024] {
        let mut contenders = contenders(options, flows);
        let name =
            |c: &Contender| if flows == 1 { c.name().to_owned() } else { format!("{}, {flows} rules", c.name()) };
        let mut rows: Vec<_> = contenders.iter().map(|c| Row::new(GROUP, name(c), "ns of CPU per frame")).collect();
        let mut rates: Vec<Vec<f64>> = vec![Vec::new(); rows.len()];
        let mut wrong = vec![0u64; rows.len()];
        for round in 0..rounds {
            for (i, contender) in contenders.iter_mut().enumerate() {
                if rows[i].missing.is_some() {
                    continue;
                }
                let row = Row3::new();
                match sample(&row, options, contender, flows, time) {
                    Ok(sample) => {
                        rows[i].samples.push(sample.ns_per_frame);
                        rates[i].push(sample.frames_per_second);
                        wrong[i] += sample.wrong;
                    }
                    Err(why) => rows[i].missing = Some(why),
                }
                eprint!("\rveth, {flows} rules: round {} of {rounds}, {:<24}", round + 1, contender.name());
            }
        }
        eprintln!();
        for ((mut row, mut rates), wrong) in rows.into_iter().zip(rates).zip(wrong) {
            rates.sort_by(f64::total_cmp);
            if let Some(rate) = rates.get(rates.len() / 2) {
                row.notes.push(("frames per second".to_owned(), *rate));
                row.notes.push(("wrong frames".to_owned(), wrong as f64));
            }
            row.print();
        }
    }
}
