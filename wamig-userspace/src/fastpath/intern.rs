//! Values kept once under a number: action lists and port sets, shared by many flows.

use std::hash::Hash;
use std::sync::Arc;

use crate::hash::Map;

struct Place<T: ?Sized> {
    value: Arc<T>,
    refs: u32,
}

/// Interned values with reference counts. A number whose last reference is gone stays
/// reserved until [`Interned::recycle`], because readers may still be using it.
pub struct Interned<T: ?Sized> {
    by_value: Map<Arc<T>, u32>,
    /// From `first` on.
    by_id: Vec<Option<Place<T>>>,
    free: Vec<u32>,
    first: u32,
    next: u32,
    end: u32,
}

impl<T: Eq + Hash + ?Sized> Interned<T>
where
    for<'a> Arc<T>: From<&'a T>,
{
    /// Numbers from `first` up to but not including `end`.
    pub fn new(first: u32, end: u32) -> Self {
        Self { by_value: Map::default(), by_id: Vec::new(), free: Vec::new(), first, next: first, end }
    }

    /// The value's number, if it has one.
    pub fn id(&self, value: &T) -> Option<u32> {
        self.by_value.get(value).copied()
    }

    /// The value of a number.
    pub fn get(&self, id: u32) -> Option<&T> {
        self.by_id.get(id.checked_sub(self.first)? as usize)?.as_ref().map(|place| &*place.value)
    }

    /// Numbers left.
    pub fn room(&self) -> usize {
        self.free.len() + (self.end - self.next) as usize
    }

    fn place(&mut self, id: u32) -> Option<&mut Option<Place<T>>> {
        self.by_id.get_mut(id.checked_sub(self.first)? as usize)
    }

    /// Takes a reference; true = the value is new and must be written. `None` = full.
    pub fn take(&mut self, value: &T) -> Option<(u32, bool)> {
        if let Some(id) = self.id(value) {
            self.place(id)?.as_mut()?.refs += 1;
            return Some((id, false));
        }
        let id = match self.free.pop() {
            Some(id) => id,
            None if self.next < self.end => {
                self.by_id.push(None);
                self.next += 1;
                self.next - 1
            }
            None => return None,
        };
        let value: Arc<T> = Arc::from(value);
        self.by_value.insert(Arc::clone(&value), id);
        *self.place(id)? = Some(Place { value, refs: 1 });
        Some((id, true))
    }

    /// Drops a reference; true = it was the last, and the number waits for [`Self::recycle`].
    pub fn release(&mut self, id: u32) -> bool {
        let Some(place) = self.place(id) else { return false };
        match place {
            Some(Place { refs, .. }) if *refs > 1 => {
                *refs -= 1;
                false
            }
            _ => place.take().is_some_and(|gone| self.by_value.remove(&*gone.value).is_some()),
        }
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
        let mut i = Interned::<str>::new(1, 3);
        assert_eq!(i.take("a"), Some((1, true)));
        assert_eq!(i.take("a"), Some((1, false)));
        assert_eq!(i.take("b"), Some((2, true)));
        assert_eq!(i.take("c"), None);
        assert!(!i.release(1));
        assert!(i.release(1));
        assert_eq!((i.get(1), i.get(2)), (None, Some("b")));
        assert_eq!(i.take("c"), None);
        i.recycle(1);
        assert_eq!(i.take("c"), Some((1, true)));
    }
}
