//! A key of the flow map as the writer knows it: what the map holds under it, and every flow that
//! has it. Flows of equal key and different priority share one entry; the highest is installed,
//! the others wait behind it.

use wamig_common::entry::{FlowEntry, FlowMapKey, FlowValue, Slot, tag_of_digest};

use super::FlowId;
use crate::hash::Map;

/// The keys by their digests, as in the kernel.
pub type Keys = Map<u64, Held>;

/// A flow that has the key.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Claim {
    /// Its priority.
    pub priority: u16,
    /// Its record.
    pub record: u32,
    /// The switch's name for it.
    pub flow: FlowId,
}

/// See the module.
pub struct Held {
    /// As the map holds it; [`Self::is_there`] says whether it does.
    pub entry: FlowEntry,
    best: Option<Claim>,
    /// Those behind the best, highest priority first.
    behind: Vec<Claim>,
}

impl Held {
    /// A key that the map does not hold yet and no flow has.
    pub fn new(key: FlowMapKey) -> Self {
        Self { entry: FlowEntry { value: FlowValue::default(), key }, best: None, behind: Vec::new() }
    }

    /// The version of the newest change of the map's value; 0 = the map does not hold it.
    pub fn since(&self) -> u64 {
        let [a, b] = self.entry.value.since;
        a.max(b)
    }

    /// Whether the map holds the key.
    pub fn is_there(&self) -> bool {
        self.since() != 0
    }

    /// Whether no flow has the key.
    pub fn is_free(&self) -> bool {
        self.best.is_none()
    }

    /// The slot that the map must have for it from now on.
    pub fn slot(&self, digest: u64) -> Slot {
        self.best.map_or(Slot::default(), |c| Slot::new(c.record, c.priority, tag_of_digest(digest)))
    }

    /// A flow more.
    pub fn add(&mut self, claim: Claim) {
        match self.best {
            None => self.best = Some(claim),
            Some(best) if claim.priority > best.priority => {
                self.best = Some(claim);
                self.behind.insert(0, best);
            }
            Some(_) => {
                let at = self.behind.partition_point(|c| c.priority > claim.priority);
                self.behind.insert(at, claim);
            }
        }
    }

    /// A flow less.
    pub fn take(&mut self, flow: FlowId) {
        if self.best.is_some_and(|c| c.flow == flow) {
            self.best = (!self.behind.is_empty()).then(|| self.behind.remove(0));
        } else {
            self.behind.retain(|c| c.flow != flow);
        }
    }

    /// A flow has another record.
    pub fn set_record(&mut self, flow: FlowId, record: u32) {
        if let Some(claim) = self.best.iter_mut().chain(&mut self.behind).find(|c| c.flow == flow) {
            claim.record = record;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_highest_priority_is_installed_and_the_others_wait() {
        let claim = |priority, flow| Claim { priority, record: u32::from(priority), flow: FlowId(flow) };
        let mut held = Held::new(FlowMapKey::default());
        for (priority, flow) in [(5, 1), (9, 2), (7, 3), (1, 4)] {
            held.add(claim(priority, flow));
        }
        held.set_record(FlowId(3), 70);
        let mut seen = Vec::new();
        for gone in [2, 4, 3, 1] {
            let slot = held.slot(0);
            seen.push((slot.priority(), slot.flow()));
            held.take(FlowId(gone));
        }
        assert_eq!(seen, [(9, 9), (7, 70), (7, 70), (5, 5)]);
        assert!(held.is_free() && held.slot(0).is_absent() && !held.is_there());
    }
}
