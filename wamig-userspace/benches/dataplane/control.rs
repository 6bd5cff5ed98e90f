//! Group `control`: flow-mods per second over OpenFlow. One client, which has encoded all
//! messages before, sends them to wamig and to Open vSwitch alike, then waits for the answer
//! to a barrier or to the commit of a bundle. The last storms pass beside a stream of frames
//! of other flows ([`stream`]).

use std::io::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use wamig_openflow::message::{BundleAdd, BundleControl, BundleControlType, BundleFlags};
use wamig_openflow::{Cookie, FlowMod, Message, TableId};

use super::Options;
use super::client::{Client, LAST, encoded};
use super::netns::try_run;
use super::pair::{Contender, Pair, Sample, in_turn};
use super::rules::exact;
use super::stream;

const GROUP: (&str, &str) = ("control", "flow-mods/s");

/// Longer than a switch cleans up behind flows that were deleted.
const SETTLE: Duration = Duration::from_millis(500);

/// How flow-mods are sent.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum How {
    /// Each a message of its own, a barrier behind them.
    Single,
    /// In one bundle.
    Bundle,
}

/// All of it as it goes over the wire, and how it ends.
pub fn storm(mods: &[FlowMod], how: How) -> Bytes {
    let mut out = BytesMut::new();
    let flags = BundleFlags { atomic: true, ordered: true };
    let control = |ty| Message::BundleControl(BundleControl { bundle: 1, ty, flags });
    if how == How::Bundle {
        encoded(1, &control(BundleControlType::OpenRequest), &mut out);
    }
    for (i, flow) in mods.iter().enumerate() {
        let (xid, message) = (i as u32 + 2, Message::FlowMod(flow.clone()));
        if how == How::Single {
            encoded(xid, &message, &mut out);
        } else {
            let mut inner = BytesMut::new();
            encoded(xid, &message, &mut inner);
            encoded(xid, &Message::BundleAdd(BundleAdd { bundle: 1, flags, message: inner.freeze() }), &mut out);
        }
    }
    let last = if how == How::Single { Message::BarrierRequest } else { control(BundleControlType::CommitRequest) };
    encoded(LAST, &last, &mut out);
    out.freeze()
}

/// Deletes the flows of a storm, which have no cookie. In table 0 only: Open vSwitch keeps
/// flows of its own without a cookie in its last table, and refuses to delete those.
pub fn clear(client: &mut Client) -> Result<(), String> {
    let delete = FlowMod { table: TableId(0), ..FlowMod::delete_by_cookie(Cookie(0), u64::MAX) };
    client.send(&storm(&[delete], How::Single)).map(drop)
}

/// Flow-mods per second of a storm, which leaves nothing behind.
fn rate(client: &mut Client, n: u32, messages: &Bytes) -> Result<f64, String> {
    clear(client)?;
    let took = client.send(messages)?;
    clear(client)?;
    // What either switch does behind that is not to take time from the other's storm.
    std::thread::sleep(SETTLE);
    Ok(f64::from(n) / took.as_secs_f64())
}

/// Flow-mods per second of `ovs-ofctl add-flows`, its start and its reading of the file included.
fn by_ofctl(contender: &Contender<'_>, n: u32, file: &Path, more: &[&str]) -> Sample<0> {
    clear(&mut contender.client()?)?;
    let (to, file) = (format!("unix:{}", contender.socket()?.display()), file.to_string_lossy());
    let began = Instant::now();
    try_run("ovs-ofctl", &[&["-O", "OpenFlow13"], more, &["add-flows", &to, &file]].concat())?;
    let rate = f64::from(n) / began.elapsed().as_secs_f64();
    clear(&mut contender.client()?)?;
    Ok((rate, []))
}

/// Measures storms of `n` flow-mods in turn, and prints the rows.
fn storms(contenders: &[Contender<'_>; 2], n: u32, rounds: usize, beside: bool) {
    let mods = exact(n, 1);
    for (how, name) in [(How::Single, "one by one"), (How::Bundle, "in a bundle")] {
        let messages = storm(&mods, how);
        if !beside {
            in_turn(GROUP, &format!("{n} flow-mods {name}"), contenders, rounds, |contender| {
                Ok((rate(&mut contender.client()?, n, &messages)?, []))
            });
            continue;
        }
        in_turn(GROUP, &format!("{n} flow-mods {name}, beside a stream"), contenders, rounds, |contender| {
            let mut client = contender.client()?;
            client.send(&storm(&stream::flows(), How::Single))?;
            let (rate, counted) = stream::beside(contender.row, || rate(&mut client, n, &messages))?;
            Ok((rate, [("frames", counted.sent), ("lost", counted.lost), ("wrong", counted.wrong)]))
        });
    }
    if beside {
        return;
    }
    let mut file = tempfile::NamedTempFile::new().unwrap();
    for flow in &mods {
        writeln!(file, "{flow}").unwrap();
    }
    file.flush().unwrap();
    for (name, more) in [("", &[][..]), (" --bundle", &["--bundle"])] {
        in_turn(GROUP, &format!("{n} flow-mods by ovs-ofctl{name}"), contenders, rounds, |contender| {
            by_ofctl(contender, n, file.path(), more)
        });
    }
}

/// Measures, and prints the rows.
pub fn measure(options: &Options) {
    let (sizes, rounds): (&[u32], usize) = if options.quick { (&[10_000], 2) } else { (&[10_000, 100_000], 3) };
    let pair = Pair::start();
    let contenders = pair.contenders();
    for n in sizes {
        storms(&contenders, *n, rounds, false);
    }
    storms(&contenders, sizes[sizes.len() - 1], rounds, true);
    eprintln!();
}
