//! Values kept once under a number: action lists and port sets, shared by many flows.

use std::hash::Hash;

use crate::hash::Map;

/// Interned values with reference counts. A number whose last reference is gone stays
/// reserved until [`Interned::recycle`], because readers may still be using it.
pub struct Interned<T> {
    by_value: Map<T, (u32, u32)>,
    by_id: Map<u32, T>,
    free: Vec<u32>,
    next: u32,
    end: u32,
}

impl<T: Clone + Eq + Hash> Interned<T> {
    /// Numbers from `first` up to but not including `end`.
    pub fn new(first: u32, end: u32) -> Self {
        Self { by_value: Map::default(), by_id: Map::default(), free: Vec::new(), next: first, end }
    }

    /// The value's number, if it has one.
    pub fn id(&self, value: &T) -> Option<u32> {
        self.by_value.get(value).map(|(id, _)| *id)
    }

    /// The value of a number.
    pub fn get(&self, id: u32) -> Option<&T> {
        self.by_id.get(&id)
    }

    /// Numbers left.
    pub fn room(&self) -> usize {
        self.free.len() + (self.end - self.next) as usize
    }

    /// Takes a reference; true = the value is new and must be written. `None` = full.
    pub fn take(&mut self, value: &T) -> Option<(u32, bool)> {
        if let Some((id, refs)) = self.by_value.get_mut(value) {
            *refs += 1;
            return Some((*id, false));
        }
        let id = self.free.pop().or_else(|| {
            (self.next < self.end).then(|| {
                self.next += 1;
                self.next - 1
            })
        })?;
        self.by_value.insert(value.clone(), (id, 1));
        self.by_id.insert(id, value.clone());
        Some((id, true))
    }

    /// Drops a reference; true = it was the last, and the number waits for [`Self::recycle`].
    pub fn release(&mut self, id: u32) -> bool {
        let Some(value) = self.by_id.get(&id) else { return false };
        let Some((_, refs)) = self.by_value.get_mut(value) else { return false };
        *refs -= 1;
        if *refs > 0 {
            return false;
        }
        self.by_value.remove(value);
        self.by_id.remove(&id);
        true
    }

    /// Makes a released number usable again.
    pub fn recycle(&mut self, id: u32) {
        self.free.push(id);
    }
}

#[cfg(test)]
mod tests {
    use super::Interned;

    #[test]
    fn a_number_is_shared_and_reused_only_after_recycling() {
        let mut i = Interned::new(1, 3);
        assert_eq!(i.take(&"a"), Some((1, true)));
        assert_eq!(i.take(&"a"), Some((1, false)));
        assert_eq!(i.take(&"b"), Some((2, true)));
        assert_eq!(i.take(&"c"), None);
        assert!(!i.release(1));
        assert!(i.release(1));
        assert_eq!(i.take(&"c"), None);
        i.recycle(1);
        assert_eq!(i.take(&"c"), Some((1, true)));
    }
}
