//! Group `latency`: microseconds that a frame takes to the controller, and one of the controller's to the wire, one at
//! a time.

use std::time::{Duration, Instant};

use wamig_openflow::Message;

use super::Options;
use super::client::with_barrier;
use super::load;
use super::pair::{Pair, in_turn};
use super::punt::{out, to_controller, with};

const GROUP: (&str, &str) = ("latency", "µs");
/// Frames of one sample, whose median it is.
const FRAMES: usize = 200;
/// When one counts as lost.
const LATE: Duration = Duration::from_millis(500);

fn median(mut times: Vec<Duration>) -> Result<f64, String> {
    times.sort_unstable();
    let middle = times.get(times.len() / 2).ok_or("no frame arrived")?;
    Ok(middle.as_secs_f64() * 1e6)
}

/// Measures, and prints the rows.
pub fn measure(options: &Options) {
    let rounds = if options.quick { 3 } else { 9 };
    let pair = Pair::start();
    let contenders = pair.contenders();
    in_turn(GROUP, "packet-in", &contenders, rounds, |contender| {
        let mut client = with(contender, &[to_controller()])?;
        let (socket, frame) = (load::before(contender.row), load::frame());
        let (mut times, mut lost) = (Vec::new(), 0);
        for _ in 0..FRAMES {
            let began = Instant::now();
            load::send(&socket, &frame);
            match client.count(LATE, 1, |message| matches!(message, Message::PacketIn(_)))? {
                0 => lost += 1,
                _ => times.push(began.elapsed()),
            }
        }
        median(times).map(|time| (time, [("lost", lost)]))
    });
    let single = with_barrier(&[out()]);
    in_turn(GROUP, "packet-out", &contenders, rounds, |contender| {
        let mut client = with(contender, &[])?;
        let socket = load::behind(contender.row);
        let (mut times, mut lost) = (Vec::new(), 0);
        for _ in 0..FRAMES {
            let began = Instant::now();
            client.write(&single)?;
            if load::arrives(&socket) {
                times.push(began.elapsed());
            } else {
                lost += 1;
            }
            client.barrier()?;
        }
        median(times).map(|time| (time, [("lost", lost)]))
    });
    eprintln!();
}
