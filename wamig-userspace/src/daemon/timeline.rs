//! The latest events, for `wamig status`, and the same for the log.

use std::collections::VecDeque;
use std::net::IpAddr;

use crate::admin::status::Event;

/// So many events are kept.
const KEPT: usize = 1000;

/// What happened lately.
#[derive(Debug, Default)]
pub struct Timeline {
    events: VecDeque<Event>,
}

impl Timeline {
    /// Adds an event, and logs it: alerts as warnings.
    pub fn add(&mut self, at_unix_us: u64, address: Option<IpAddr>, event: &str, detail: String, alert: bool) {
        let about = address.map_or_else(|| "-".to_owned(), |a| a.to_string());
        if alert {
            tracing::warn!("{about} {event}: {detail}");
        } else {
            tracing::info!("{about} {event}: {detail}");
        }
        if self.events.len() == KEPT {
            self.events.pop_front();
        }
        let address = address.map(|a| a.to_string());
        self.events.push_back(Event { at_unix_us, address, event: event.to_owned(), detail, alert });
    }

    /// Oldest first.
    pub fn events(&self) -> Vec<Event> {
        self.events.iter().cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_make_room() {
        let mut timeline = Timeline::default();
        for i in 0..KEPT as u64 + 5 {
            timeline.add(i, None, "state", String::new(), false);
        }
        let events = timeline.events();
        assert_eq!((events.len(), events[0].at_unix_us), (KEPT, 5));
    }
}
