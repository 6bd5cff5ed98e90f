//! By what our flows are told from others' on a switch: the upper 16 bits of their cookies, and
//! the priorities that they have in table 0. Both can be configured, for a switch on which
//! somebody else has the usual ones. As with [`super::ports`], the controller does not notice:
//! it names its flows in one way, and each switch has them in its own.

use std::ops::Range;

use wamig_openflow::{Cookie, TableId};

use crate::controller::learning;
use crate::datapath::fabric::transit;
use crate::migration::cookie::{self, SPACE_MASK};

/// The controller's own cookies: of the migration, of the learning switch, of links.
const SPACES: [u16; 3] =
    [(cookie::SPACE >> 48) as u16, (learning::COOKIE.0 >> 48) as u16, (transit::COOKIE.0 >> 48) as u16];
/// The least priority of table 0 that the migration and links use, but for the flow that sends
/// the rest on.
const LEAST: u16 = 49_000;
/// So many priorities from there.
pub const SPAN: u16 = 2000;

/// The marks of our flows on one switch.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Marks {
    /// In the order of [`SPACES`].
    cookies: [u16; 3],
    /// In the place of [`LEAST`].
    priority: u16,
}

impl Default for Marks {
    fn default() -> Self {
        Self { cookies: SPACES, priority: LEAST }
    }
}

impl Marks {
    /// Cookies that begin with these 16 bits, no two the same, and priorities of table 0 from
    /// `priority`, [`SPAN`] of them.
    pub const fn new(migration: u16, learning: u16, links: u16, priority: u16) -> Self {
        Self { cookies: [migration, learning, links], priority }
    }

    /// The upper 16 bits of the cookies of migration, learning switch and links.
    pub const fn cookies(&self) -> [u16; 3] {
        self.cookies
    }

    /// The least priority of table 0 for moved servers.
    pub const fn priority(&self) -> u16 {
        self.priority
    }

    /// Value and mask of each kind of our cookies, as the switch has them.
    pub fn spaces(&self) -> [(Cookie, u64); 3] {
        self.cookies.map(|space| (Cookie(u64::from(space) << 48), SPACE_MASK))
    }

    /// Whether a flow on the switch is one of ours.
    pub fn is_ours(&self, cookie: Cookie) -> bool {
        self.cookies.contains(&space(cookie))
    }

    /// Whether it is one of a link between switches.
    pub fn is_links(&self, cookie: Cookie) -> bool {
        space(cookie) == self.cookies[2]
    }

    /// The switch's cookie of a flow of the controller's; any other stays as it is.
    pub fn cookie_out(&self, cookie: Cookie) -> Cookie {
        let kind = SPACES.iter().position(|s| *s == space(cookie));
        kind.map_or(cookie, |kind| with(cookie, self.cookies[kind]))
    }

    /// The controller's cookie; `None` = the flow looks like one of the controller's, but is
    /// somebody else's.
    pub fn cookie_in(&self, cookie: Cookie) -> Option<Cookie> {
        if let Some(kind) = self.cookies.iter().position(|s| *s == space(cookie)) {
            return Some(with(cookie, SPACES[kind]));
        }
        (!SPACES.contains(&space(cookie))).then_some(cookie)
    }

    /// The switch's priority.
    pub fn priority_out(&self, table: TableId, priority: u16) -> u16 {
        moved(table, priority, LEAST, self.priority)
    }

    /// The controller's priority of a flow of ours.
    pub fn priority_in(&self, table: TableId, priority: u16) -> u16 {
        moved(table, priority, self.priority, LEAST)
    }
}

fn space(cookie: Cookie) -> u16 {
    (cookie.0 >> 48) as u16
}

fn with(cookie: Cookie, space: u16) -> Cookie {
    Cookie(cookie.0 & !SPACE_MASK | u64::from(space) << 48)
}

fn moved(table: TableId, priority: u16, from: u16, to: u16) -> u16 {
    let all: Range<u32> = u32::from(from)..u32::from(from) + u32::from(SPAN);
    if table == TableId(0) && all.contains(&u32::from(priority)) { priority - from + to } else { priority }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_controller_names_is_on_the_switch_under_other_marks_and_comes_back() {
        let marks = Marks::new(0xa001, 0xa002, 0x574d, 20_000);
        for (controllers, switches) in [
            (0x574d_1003_c000_0235, 0xa001_1003_c000_0235),
            (0x4c53 << 48, 0xa002 << 48),
            (0x4642 << 48 | 3, 0x574d << 48 | 3),
        ] {
            assert_eq!(marks.cookie_out(Cookie(controllers)), Cookie(switches));
            assert_eq!(marks.cookie_in(Cookie(switches)), Some(Cookie(controllers)));
            assert!(marks.is_ours(Cookie(switches)));
        }
        assert_eq!(marks.cookie_in(Cookie(0x4c53 << 48)), None, "another wamig's");
        assert_eq!(marks.cookie_in(Cookie(9)), Some(Cookie(9)), "an operator's");
        assert!(marks.is_links(Cookie(0x574d << 48)) && !marks.is_ours(Cookie(0x4c53 << 48)));
    }

    #[test]
    fn only_the_priorities_of_moved_servers_are_others() {
        let marks = Marks::new(1, 2, 3, 20_000);
        for (table, controllers, switches) in
            [(0, 0, 0), (0, 1, 1), (0, 49_100, 20_100), (0, 50_901, 21_901), (1, 50_000, 50_000), (2, 10, 10)]
        {
            assert_eq!(marks.priority_out(TableId(table), controllers), switches);
            assert_eq!(marks.priority_in(TableId(table), switches), controllers);
        }
        let usual = Marks::default();
        assert_eq!((usual.priority_out(TableId(0), 50_100), usual.priority_in(TableId(0), 50_100)), (50_100, 50_100));
    }
}
