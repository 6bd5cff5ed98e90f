//! How often an address has moved lately. What moves too often is frozen: somebody starts the
//! server at several places at once, and each of them would take it from the others for ever.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::config::Damping;

/// One address's moves that nobody ordered.
#[derive(Debug, Default)]
pub(super) struct Moves {
    at: VecDeque<Instant>,
}

impl Moves {
    /// Counts a move. One too many gives how many there were, and in which time.
    pub(super) fn count(&mut self, now: Instant, damping: Damping) -> Option<(usize, Duration)> {
        if damping.moves == 0 {
            return None;
        }
        self.at.retain(|at| now.saturating_duration_since(*at) <= damping.window);
        self.at.push_back(now);
        let first = *self.at.front()?;
        (self.at.len() > damping.moves).then(|| (self.at.len(), now.saturating_duration_since(first)))
    }

    /// What was is no matter any more.
    pub(super) fn forget(&mut self) {
        self.at.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAMPING: Damping = Damping { moves: 3, window: Duration::from_mins(1) };

    /// What each of the moves at these seconds gives.
    fn counted(damping: Damping, seconds: &[u64]) -> Vec<Option<(usize, u64)>> {
        let (start, mut moves) = (Instant::now(), Moves::default());
        let count =
            |s: &u64| moves.count(start + Duration::from_secs(*s), damping).map(|(n, span)| (n, span.as_secs()));
        seconds.iter().map(count).collect()
    }

    #[test]
    fn one_more_than_is_borne_within_the_window_is_too_many() {
        assert_eq!(counted(DAMPING, &[0, 10, 20, 60]), [None, None, None, Some((4, 60))]);
    }

    #[test]
    fn old_moves_do_not_count() {
        assert_eq!(counted(DAMPING, &[0, 10, 20, 61, 71]), [None; 5]);
        assert_eq!(counted(DAMPING, &[0, 10, 20, 61, 70]).last(), Some(&Some((4, 60))));
    }

    #[test]
    fn none_means_any_number() {
        assert_eq!(counted(Damping { moves: 0, ..DAMPING }, &[0; 100]), [None; 100]);
    }

    #[test]
    fn what_is_forgotten_is_not_counted_again() {
        let (now, mut moves) = (Instant::now(), Moves::default());
        for _ in 0..3 {
            assert_eq!(moves.count(now, DAMPING), None);
        }
        moves.forget();
        assert_eq!(moves.count(now, DAMPING), None);
    }
}
