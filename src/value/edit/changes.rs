//! The places of a document that changed, so that validation reads them alone.
//!
//! Places are those of the document as it stands after all changes so far: what shifts elements moves
//! the places noted before. What stands inside a value that is new as a whole is not noted again. The
//! notes are bounded: very many become one, that the whole document is new.

use smallvec::SmallVec;

use crate::value::Place;

/// One place that changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlaceChange {
    pub place: Place,
    pub kind: ChangeKind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChangeKind {
    /// The value at the place is new, whole.
    Value,
    /// Members or elements of the container at the place were added, removed or moved. Every added one
    /// has a [`ChangeKind::Value`] of its own; elements behind may have shifted.
    Members,
}

/// More places than this are noted as the whole document.
pub const CHANGES_MAX: usize = 64;

/// The changes of one command.
#[derive(Debug, Default)]
pub(super) struct Changes {
    noted: SmallVec<[PlaceChange; 1]>,
}

impl Changes {
    /// Bytes on the heap where there is no change.
    pub fn kept_bytes(&self) -> usize {
        match self.noted.spilled() {
            true => self.noted.capacity() * size_of::<PlaceChange>(),
            false => 0,
        }
    }

    pub fn as_slice(&self) -> &[PlaceChange] {
        &self.noted
    }

    pub fn clear(&mut self) {
        self.noted.clear();
    }

    /// The value at `place` is another one now.
    pub fn value(&mut self, place: &[u32]) {
        if self.is_noted(place, ChangeKind::Value) {
            return;
        }
        self.noted.retain(|change| !change.place.starts_with(place));
        self.note(place.into(), ChangeKind::Value);
    }

    /// `count` children were put in at `position` of the container at `place`. Elements behind them
    /// shifted; members never do, because they are added behind all others.
    pub fn inserted(&mut self, place: &[u32], position: u32, count: u32) {
        if self.is_noted(place, ChangeKind::Value) {
            return;
        }
        for step in self.steps_below(place) {
            *step += if *step >= position { count } else { 0 };
        }
        self.members(place);
        if count as usize > CHANGES_MAX {
            return self.value(place);
        }
        for position in position..position + count {
            let mut child: Place = place.into();
            child.push(position);
            self.value(&child);
        }
    }

    /// `count` children from `position` on were taken out of the container at `place`. `shifts`: those
    /// behind moved up, as elements do, and members that are packed.
    pub fn removed(&mut self, place: &[u32], position: u32, count: u32, shifts: bool) {
        if self.is_noted(place, ChangeKind::Value) {
            return;
        }
        let len = place.len();
        let taken = position..position + count;
        self.noted.retain(|change| {
            let below = change.place.len() > len && change.place.starts_with(place);
            !(below && taken.contains(&change.place[len]))
        });
        if shifts {
            for step in self.steps_below(place) {
                *step -= if *step >= taken.end { count } else { 0 };
            }
        }
        self.members(place);
    }

    /// The children at `positions`, which ascend, were taken out of the array at `place`.
    pub fn removed_each(&mut self, place: &[u32], positions: &[u32]) {
        for position in positions.iter().rev() {
            self.removed(place, *position, 1, true);
        }
    }

    fn members(&mut self, place: &[u32]) {
        if !self.is_noted(place, ChangeKind::Members) {
            self.note(place.into(), ChangeKind::Members);
        }
    }

    /// Returns true if an earlier note covers this change.
    fn is_noted(&self, place: &[u32], kind: ChangeKind) -> bool {
        self.noted.iter().any(|known| match known.kind {
            ChangeKind::Value => place.starts_with(&known.place),
            ChangeKind::Members => kind == ChangeKind::Members && *known.place == *place,
        })
    }

    fn note(&mut self, place: Place, kind: ChangeKind) {
        if self.noted.len() == CHANGES_MAX {
            self.noted.clear();
            self.noted.push(PlaceChange { place: Place::new(), kind: ChangeKind::Value });
            return;
        }
        self.noted.push(PlaceChange { place, kind });
    }

    /// The step that leads out of the container at `place`, of every place noted inside it.
    fn steps_below(&mut self, place: &[u32]) -> impl Iterator<Item = &mut u32> {
        let len = place.len();
        let below = self
            .noted
            .iter_mut()
            .filter(move |change| change.place.len() > len && change.place.starts_with(place));
        below.map(move |change| &mut change.place[len])
    }
}
