//! The network's share of a live migration: from the first frame at the new place by which wamig can know the guest to
//! the moment from which its home sends what is for it there. QEMU's own pause comes before, and is not in it.

use std::fmt;
use std::time::Duration;

/// How a move goes, by what is known of it beforehand.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Way {
    /// Away from home, after `wamig prepare`.
    Planned,
    /// Away from home, by itself.
    Unplanned,
    /// Back home.
    Return,
}

/// The longest that a share shall be: round trips of the WAN, in tenths, and what the sites themselves may take.
/// It is said of the protocol: a planned move takes Claim and Ready one way; an unplanned one takes Claim, ClaimAck and
/// Ready, and two probes of the home's LAN of 150 ms each.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Target {
    tenths: u32,
    more: Duration,
}

impl Way {
    /// As in the headings of the play.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Planned => "planned",
            Self::Unplanned => "unplanned",
            Self::Return => "return",
        }
    }

    /// What it shall take at most; a return has no target.
    pub const fn target(self) -> Option<Target> {
        match self {
            Self::Planned => Some(Target { tenths: 15, more: Duration::from_millis(10) }),
            Self::Unplanned => Some(Target { tenths: 20, more: Duration::from_millis(350) }),
            Self::Return => None,
        }
    }
}

impl Target {
    /// As a time, by the round trip as measured.
    pub fn of(self, round_trip: Duration) -> Duration {
        round_trip * self.tenths / 10 + self.more
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let trips = f64::from(self.tenths) / 10.0;
        write!(f, "≤ {trips} round trips + {} ms", self.more.as_millis())
    }
}

/// A share as measured.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Share {
    /// How the move went.
    pub way: Way,
    /// How long it took.
    pub took: Duration,
    /// The WAN's round trip, gateway box to gateway box.
    pub round_trip: Duration,
}

impl Share {
    /// Whether it is as short as it shall be; `None` = nobody says how short.
    pub fn meets(&self) -> Option<bool> {
        self.way.target().map(|target| self.took <= target.of(self.round_trip))
    }
}

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let trips = self.took.as_secs_f64() / self.round_trip.as_secs_f64().max(f64::EPSILON);
        write!(f, "{:8.1} ms = {trips:.2} round trips", self.took.as_secs_f64() * 1e3)?;
        if let (Some(target), Some(met)) = (self.way.target(), self.meets()) {
            let limit = target.of(self.round_trip).as_secs_f64() * 1e3;
            let met = if met { "met" } else { "NOT met" };
            write!(f, "; target {target} = {limit:.1} ms: {met}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_held_against_the_round_trip_that_was_measured() {
        let share = |way, ms| Share { way, took: Duration::from_millis(ms), round_trip: Duration::from_millis(40) };
        assert_eq!(
            share(Way::Planned, 70).to_string(),
            "    70.0 ms = 1.75 round trips; target ≤ 1.5 round trips + 10 ms = 70.0 ms: met"
        );
        assert_eq!(share(Way::Planned, 71).meets(), Some(false));
        assert_eq!(
            share(Way::Unplanned, 500).to_string(),
            "   500.0 ms = 12.50 round trips; target ≤ 2 round trips + 350 ms = 430.0 ms: NOT met"
        );
        assert_eq!(share(Way::Return, 20).to_string(), "    20.0 ms = 0.50 round trips");
    }
}
