//! Equality of the elements of an array.

use super::meter::Meter;
use crate::value::{ArrayView, View};

/// Up to so many elements are compared in pairs.
const PAIRWISE_MAX: usize = 8;
/// The steps for an element that is hashed, beside those for what is in it.
const HASH_STEPS: u64 = 12;

/// Returns true if no two elements are equal. Meaningless once the meter is spent.
pub(super) fn is_unique_within(array: ArrayView<'_>, meter: &Meter) -> bool {
    if array.len() > PAIRWISE_MAX {
        meter.charge(array.len() as u64 * HASH_STEPS);
    }
    meter.look_through(View::Array(array)) && is_unique(array)
}

/// Returns true if no two elements are equal.
pub(super) fn is_unique(array: ArrayView<'_>) -> bool {
    if array.len() <= PAIRWISE_MAX {
        return array
            .iter()
            .enumerate()
            .all(|(nth, item)| array.iter().take(nth).all(|other| !item.equals(other)));
    }
    // The hash is seeded, so that no client can choose elements that collide.
    let state = foldhash::quality::RandomState::default();
    let mut seen = hashbrown::HashTable::with_capacity(array.len());
    array.iter().all(|item| {
        let hash = item.hash_with(&state);
        let entry = seen.entry(hash, |(_, other)| item.equals(*other), |(hash, _)| *hash);
        match entry {
            hashbrown::hash_table::Entry::Occupied(_) => false,
            hashbrown::hash_table::Entry::Vacant(vacant) => {
                vacant.insert((hash, item));
                true
            }
        }
    })
}

/// Returns true if no other element is equal to the one at `index`.
pub(super) fn is_unique_at(array: ArrayView<'_>, index: usize) -> bool {
    let Some(item) = array.get(index) else { return true };
    array.iter().enumerate().all(|(nth, other)| nth == index || !item.equals(other))
}
