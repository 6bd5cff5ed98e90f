//! wamig's daemon and Open vSwitch, each on two ports of its own, under the same client in turn.

use std::path::PathBuf;

use super::client::Client;
use super::daemon::Daemon;
use super::netns::Row3;
use super::rivals::Ovs;
use super::row::Row;

/// Both switches, running.
pub struct Pair {
    row: Row3,
    daemon: Result<Daemon, String>,
    /// The daemon keeps the ports of the first row.
    other: Row3,
    ovs: Result<Ovs, String>,
}

impl Pair {
    /// Started; one that cannot be is named in its rows.
    pub fn start() -> Self {
        let (row, other) = (Row3::new(), Row3::numbered(1));
        let (daemon, ovs) = (Daemon::start(&row), Ovs::start(&other, "", 1));
        Self { row, daemon, other, ovs }
    }

    /// The two, wamig first.
    pub fn contenders(&self) -> [Contender<'_>; 2] {
        let socket = self.daemon.as_ref().map(Daemon::socket).map_err(Clone::clone);
        let ovs = self.ovs.as_ref().map(Ovs::socket).map_err(Clone::clone);
        [
            Contender { name: "wamig", row: &self.row, socket },
            Contender { name: "OVS netdev", row: &self.other, socket: ovs },
        ]
    }
}

/// A switch, the row that it stands in, and where it listens.
pub struct Contender<'a> {
    name: &'static str,
    /// Generator, switch, sink.
    pub row: &'a Row3,
    socket: Result<PathBuf, String>,
}

impl Contender<'_> {
    /// A new session.
    pub fn client(&self) -> Result<Client, String> {
        Client::connect(&self.socket()?)
    }

    /// Where it listens.
    pub fn socket(&self) -> Result<PathBuf, String> {
        self.socket.clone()
    }
}

/// One measurement: the figure of the row, and counts that are summed over the rounds.
pub type Sample<const N: usize> = Result<(f64, [(&'static str, u64); N]), String>;

/// Takes samples of both switches in turn, and prints a row for each.
pub fn in_turn<const N: usize>(
    (group, unit): (&'static str, &'static str),
    what: &str,
    contenders: &[Contender<'_>; 2],
    rounds: usize,
    mut sample: impl FnMut(&Contender<'_>) -> Sample<N>,
) {
    let mut rows = contenders.each_ref().map(|c| Row::new(group, format!("{}, {what}", c.name), unit));
    for round in 0..rounds {
        for (contender, row) in contenders.iter().zip(&mut rows) {
            if row.missing.is_some() {
                continue;
            }
            match sample(contender) {
                Ok((figure, counts)) => {
                    row.samples.push(figure);
                    for (name, n) in counts {
                        match row.notes.iter_mut().find(|(known, _)| known == name) {
                            Some((_, sum)) => *sum += n as f64,
                            None => row.notes.push((name.to_owned(), n as f64)),
                        }
                    }
                }
                Err(why) => row.missing = Some(why),
            }
        }
        eprint!("\r{group}, {what}: round {} of {rounds}        ", round + 1);
    }
    for mut row in rows {
        if row.missing.is_some() {
            row.notes.clear();
        }
        row.print();
    }
}
