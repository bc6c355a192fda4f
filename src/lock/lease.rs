//! When leases end: which document has to be looked at next.
//!
//! A document with holders is watched under a number, which it knows. What is watched is a hint: the
//! document may have gone meanwhile, and is then no longer watched once its time has come.

use std::collections::BTreeSet;

use super::{At, Place};

/// Room that is kept when nothing is watched.
const KEPT: usize = 64;

/// The documents that are watched.
#[derive(Default)]
pub struct Leases {
    /// The number is the position; none are watched under 0.
    watched: Vec<Option<Watched>>,
    unused: Vec<u32>,
    /// By when the first lease of each ends.
    ends: BTreeSet<(u64, u32)>,
    /// How many grants all of them have.
    held: usize,
}

struct Watched {
    place: Place,
    ends_ms: u64,
    /// How many grants its locks have.
    held: usize,
}

impl Leases {
    /// Watches a document, from now on for this end, and under this place. Gives its number.
    pub fn watch(&mut self, watch: u32, at: At<'_>, ends_ms: u64, held: usize) -> u32 {
        if let Some(Some(known)) = self.watched.get_mut(watch as usize)
            && known.place.at() == at
        {
            self.held = self.held + held - known.held;
            known.held = held;
            if known.ends_ms != ends_ms {
                self.ends.remove(&(known.ends_ms, watch));
                self.ends.insert((ends_ms, watch));
                known.ends_ms = ends_ms;
            }
            return watch;
        }
        let new = self.unused.pop().unwrap_or_else(|| {
            if self.watched.is_empty() {
                self.watched.push(None);
            }
            self.watched.push(None);
            (self.watched.len() - 1) as u32
        });
        self.watched[new as usize] = Some(Watched { place: at.to_place(), ends_ms, held });
        self.held += held;
        self.ends.insert((ends_ms, new));
        new
    }

    /// The place under which a document is watched: no memory is taken for another.
    pub fn place(&self, watch: u32, at: At<'_>) -> Option<Place> {
        let known = self.watched.get(watch as usize)?.as_ref()?;
        (known.place.at() == at).then(|| known.place.clone())
    }

    /// When a document is to be looked at, if it is watched under this number.
    pub fn ends_of(&self, watch: u32, at: At<'_>) -> Option<u64> {
        let known = self.watched.get(watch as usize)?.as_ref()?;
        (known.place.at() == at).then_some(known.ends_ms)
    }

    /// Watches no longer.
    pub fn forget(&mut self, watch: u32, at: At<'_>) {
        let known = self.watched.get(watch as usize).and_then(Option::as_ref);
        if known.is_some_and(|known| known.place.at() == at) {
            self.remove(watch);
        }
    }

    fn remove(&mut self, watch: u32) {
        if let Some(known) = self.watched[watch as usize].take() {
            self.ends.remove(&(known.ends_ms, watch));
            self.held -= known.held;
            self.unused.push(watch);
        }
        // The numbers of a crowd that has gone.
        if self.ends.is_empty() && self.watched.len() > KEPT {
            *self = Leases::default();
        }
    }

    /// When the first lease ends.
    pub fn first(&self) -> Option<u64> {
        self.ends.first().map(|(ends_ms, _)| *ends_ms)
    }

    /// A document one of whose leases is over, which is no longer watched.
    pub fn take_ended(&mut self, now_ms: u64) -> Option<Place> {
        let (ends_ms, watch) = *self.ends.first()?;
        if ends_ms > now_ms {
            return None;
        }
        let place = self.watched[watch as usize].as_ref().map(|known| known.place.clone());
        self.remove(watch);
        place
    }

    /// How many grants there are.
    pub fn held(&self) -> usize {
        self.held
    }

    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// All documents that are watched.
    pub fn places(&self) -> Vec<Place> {
        self.watched.iter().flatten().map(|known| known.place.clone()).collect()
    }

    /// Forgets all of a database, or of all.
    pub fn flush(&mut self, db: Option<i32>) {
        let of_db = |place: &Place| db.is_none_or(|db| place.db == db);
        let numbers: Vec<u32> = (0..self.watched.len())
            .filter(|nth| self.watched[*nth].as_ref().is_some_and(|known| of_db(&known.place)))
            .map(|nth| nth as u32)
            .collect();
        for watch in numbers {
            if self.watched.get(watch as usize).is_some_and(Option::is_some) {
                self.remove(watch);
            }
        }
    }

    /// Two databases change places.
    pub fn swap(&mut self, one: i32, other: i32) {
        for known in self.watched.iter_mut().flatten() {
            if known.place.db == one {
                known.place.db = other;
            } else if known.place.db == other {
                known.place.db = one;
            }
        }
    }
}
