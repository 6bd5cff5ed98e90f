//! `[switch.limits]`: how many flows the switch in this process holds, and how many frames a second it hands up.

use wamig_common::limits::DEFAULT_FLOWS;

use super::check::Check;
use super::file;
use crate::fastpath::xdp::open::PuntRates;
use crate::switch;

/// Most flows that can be asked for.
pub const MAX_FLOWS: u32 = 1 << 20;
/// Most frames a second.
const MAX_RATE: u32 = 1_000_000;

/// What may be held and handed up. Frames above a rate are dropped and counted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SwitchLimits {
    /// Flows in all tables together; memory is set aside for them.
    pub flows: u32,
    /// ARP frames a second to the controller.
    pub arp_rate: u32,
    /// Other frames a second to the controller.
    pub packet_in_rate: u32,
    /// Frames a second through the slow path.
    pub slow_rate: u32,
}

impl Default for SwitchLimits {
    fn default() -> Self {
        Self { flows: DEFAULT_FLOWS, arp_rate: 1000, packet_in_rate: 1000, slow_rate: 10_000 }
    }
}

impl SwitchLimits {
    /// The token buckets before frames come up: rate and burst, the latter a fifth, a half and a tenth of a second's.
    pub fn punt_rates(&self) -> PuntRates {
        let bucket = |rate: u32, part: u32| (u64::from(rate), u64::from((rate / part).max(1)));
        PuntRates {
            arp: bucket(self.arp_rate, 5),
            other: bucket(self.packet_in_rate, 2),
            slow: bucket(self.slow_rate, 10),
        }
    }

    /// The same for the switch itself.
    pub fn of_switch(&self) -> switch::Limits {
        switch::Limits {
            flows: self.flows as usize,
            slow_rate: self.slow_rate,
            slow_burst: (self.slow_rate / 10).max(1),
        }
    }
}

impl Check<'_, '_> {
    pub(super) fn limits(&mut self, limits: &file::Limits) -> Option<SwitchLimits> {
        let d = SwitchLimits::default();
        let mut number = |n: Option<&file::Number>, default: u32, min: u32, max: u32, unit| {
            let n = self.number(n, u64::from(default), u64::from(min), u64::from(max), unit)?;
            u32::try_from(n).ok()
        };
        let flows = number(limits.flows.as_ref(), d.flows, 1024, MAX_FLOWS, "flows");
        let mut rate = |n, default| number(n, default, 1, MAX_RATE, "frames a second");
        let arp_rate = rate(limits.arp_rate.as_ref(), d.arp_rate);
        let packet_in_rate = rate(limits.packet_in_rate.as_ref(), d.packet_in_rate);
        let slow_rate = rate(limits.slow_rate.as_ref(), d.slow_rate);
        Some(SwitchLimits {
            flows: flows?,
            arp_rate: arp_rate?,
            packet_in_rate: packet_in_rate?,
            slow_rate: slow_rate?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_those_of_who_is_limited() {
        let limits = SwitchLimits::default();
        assert_eq!(limits.of_switch(), switch::Limits::default());
        assert_eq!(limits.punt_rates(), PuntRates::default());
    }

    #[test]
    fn the_smallest_rate_lets_a_frame_through() {
        let limits = SwitchLimits { arp_rate: 1, packet_in_rate: 1, slow_rate: 1, ..SwitchLimits::default() };
        assert_eq!(limits.punt_rates().by_class(), [(1, 1); 3]);
        assert_eq!(limits.of_switch().slow_burst, 1);
    }
}
