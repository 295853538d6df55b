//! Values under numbered places that are used again. A number given out earlier never finds a later value.

pub(super) struct Slab<T> {
    places: Vec<Place<T>>,
    free: Vec<u32>,
}

struct Place<T> {
    /// How often the place was used, so that an old key does not open it.
    uses: u32,
    value: Option<T>,
}

/// The place's number in the low half, its use in the high half.
pub(super) type Key = u64;

impl<T> Slab<T> {
    pub(super) const fn new() -> Self {
        Self { places: Vec::new(), free: Vec::new() }
    }

    pub(super) fn insert(&mut self, value: T) -> Key {
        let index = self.free.pop().unwrap_or_else(|| {
            self.places.push(Place { uses: 0, value: None });
            u32::try_from(self.places.len() - 1).unwrap_or(u32::MAX)
        });
        let Some(place) = self.places.get_mut(index as usize) else { return Key::MAX };
        place.value = Some(value);
        u64::from(place.uses) << 32 | u64::from(index)
    }

    pub(super) fn get_mut(&mut self, key: Key) -> Option<&mut T> {
        let place = self.places.get_mut(index_of(key)?)?;
        if u64::from(place.uses) == key >> 32 { place.value.as_mut() } else { None }
    }

    pub(super) fn remove(&mut self, key: Key) -> Option<T> {
        let index = index_of(key)?;
        let place = self.places.get_mut(index).filter(|place| u64::from(place.uses) == key >> 32)?;
        let value = place.value.take()?;
        place.uses = place.uses.wrapping_add(1);
        self.free.push(index.try_into().ok()?);
        Some(value)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &T> {
        self.places.iter().filter_map(|place| place.value.as_ref())
    }

    /// Takes everything out.
    pub(super) fn drain(&mut self) -> Vec<T> {
        let values = self.places.drain(..).filter_map(|place| place.value).collect();
        self.free.clear();
        values
    }
}

fn index_of(key: Key) -> Option<usize> {
    usize::try_from(key & u64::from(u32::MAX)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_old_key_does_not_open_a_place_used_again() {
        let mut slab = Slab::new();
        let old = slab.insert("old");
        assert_eq!(slab.remove(old), Some("old"));
        let new = slab.insert("new");
        assert_ne!(old, new);
        assert_eq!(slab.remove(old), None);
        assert_eq!(slab.iter().collect::<Vec<_>>(), [&"new"]);
        assert_eq!(slab.remove(new), Some("new"));
        assert_eq!(slab.remove(new), None);
    }

    #[test]
    fn places_are_used_again() {
        let mut slab = Slab::new();
        for round in 0..1000 {
            let key = slab.insert(round);
            assert_eq!(slab.remove(key), Some(round));
        }
        assert_eq!(slab.places.len(), 1);
    }
}
