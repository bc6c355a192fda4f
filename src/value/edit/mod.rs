//! Changes to a document, each recorded twice: how to undo it here, and how to repeat it elsewhere.
//!
//! Everything that changes a document goes through [`Editor`]: operators, merges, patches, and the
//! effects a replica receives. Eight primitives suffice. Each checks the limits before it changes
//! anything, and each that changed nothing records nothing. [`Editor::rollback`] replays the undo log
//! backwards, after which the document has the same content as before, to the byte.
//!
//! A change touches one leaf or one slot of a tree: no primitive does work that grows with the
//! document, only with the values put in or taken out.

mod changes;
mod effects;
mod exchange;
mod kept_way;
mod leaf_site;
mod net;
mod place;
mod watch;

use self::changes::Changes;
pub use self::changes::{CHANGES_MAX, ChangeKind, PlaceChange};
pub use self::exchange::Relaxed;
pub use self::watch::{Seen, Watch, WatchPaths};

use self::effects::{effect, spell, spell_member};
use self::kept_way::{KeptWay, WayTo};
use self::place::{
    ByPlace, FindSpot, OnWay, ReplaceSpot, TakenItems, WalkEnd, push_member, put_array,
    put_each_back, put_items, put_packed, restore_member, swap, swap_counting, take_each,
    take_items, take_member, try_walk, work_of,
};
use super::build::Measured;
use super::leaf::PackedWay;
use super::limits::Limits;
use super::number::Number;
use super::pack::PackedBody;
use super::root::Root;
use super::tree::{LargeArray, Repr, Value};
use super::view::{ArrayView, CONTAINER_BYTES, View, text_size};
use super::{Place, wire};
use crate::budget::{Allowance, weight};
use crate::error::{Error, Result};
use crate::limit;

/// The bytes one command puts into a document, and the bytes of its recorded effects, are each at most
/// as many bytes as this many documents of the largest size. A change is written down with the names on
/// the way to it: one of every member of a document with names of ordinary length takes about as many bytes as the
/// document does, while a name of a megabyte above a thousand members would be written a thousand times.
const JOURNAL_DOCUMENTS_MAX: u64 = 4;

/// The record of a command's changes to a document: undo, effects, changed places.
#[derive(Default)]
pub struct Journal {
    undo: Vec<Undo>,
    /// The changes in portable form; see [`Editor::apply_effects`].
    effects: Vec<u8>,
    /// Objects that may have holes worth closing once nothing can be undone any more.
    holes: Vec<Place>,
    /// Growth of the document's size.
    size_change: i64,
    /// The size of all that was put in.
    put_in: u64,
    /// The places that changed, where they are tracked.
    changes: Changes,
    /// The first so many steps filled in defaults, see [`Editor::mark_defaults`].
    defaults: usize,
    /// Flag: a statement addressed one of these defaults, so that they stay.
    defaults_confirmed: bool,
}

enum Undo {
    Replace {
        place: Place,
        old: Value,
    },
    /// Take out what was put in.
    Insert {
        place: Place,
        position: u32,
        count: u32,
    },
    PutMemberBack {
        place: Place,
        position: u32,
        name: Box<str>,
        old: Value,
    },
    PutEachBack {
        place: Place,
        positions: Vec<u32>,
        old: LargeArray,
    },
    PutItemsBack {
        place: Place,
        index: u32,
        old: TakenItems,
    },
    Exchange {
        a: Place,
        b: Place,
    },
    Lift {
        from: Place,
        to: Place,
        old: Value,
    },
}

impl Journal {
    pub fn is_empty(&self) -> bool {
        self.undo.is_empty()
    }

    /// How much the document's size changed so far.
    pub fn size_change(&self) -> i64 {
        self.size_change
    }

    /// The size of all that was put in so far, whatever became of it.
    pub fn put_in(&self) -> u64 {
        self.put_in
    }

    /// The changes in portable form, in order.
    pub fn effects(&self) -> &[u8] {
        &self.effects
    }

    /// The places that changed, see [`Editor::track_changes`].
    pub fn changes(&self) -> &[PlaceChange] {
        self.changes.as_slice()
    }

    /// Returns true if `place` is a default that was filled in, or inside one.
    #[cold]
    fn is_in_default(&self, place: &[u32]) -> bool {
        self.undo[..self.defaults].iter().any(|undo| match undo {
            Undo::Insert { place: parent, position, count } => {
                let inside = place.get(parent.len()).filter(|_| place.starts_with(parent));
                inside.is_some_and(|step| (*position..*position + *count).contains(step))
            }
            _ => false,
        })
    }

    /// Bytes on the heap of an empty journal.
    pub fn kept_bytes(&self) -> usize {
        self.undo.capacity() * size_of::<Undo>()
            + self.effects.capacity()
            + self.holes.capacity() * size_of::<Place>()
            + self.changes.kept_bytes()
    }

    /// Empties the journal and keeps its buffers, up to a size worth keeping.
    pub fn clear(&mut self) {
        const KEEP: usize = 4096;
        const KEEP_UNDO: usize = KEEP / size_of::<Undo>();
        self.undo.clear();
        self.holes.clear();
        self.effects.clear();
        self.changes.clear();
        if self.undo.capacity() > KEEP_UNDO {
            self.undo.shrink_to(KEEP_UNDO);
        }
        if self.effects.capacity() > KEEP {
            self.effects.shrink_to(KEEP);
        }
        self.size_change = 0;
        self.put_in = 0;
        self.defaults = 0;
        self.defaults_confirmed = false;
    }
}

/// Flag: an editor records effects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effects {
    Recorded,
    /// No replica or AOF is sent them.
    Unrecorded,
}

/// Changes one document within limits.
pub struct Editor<'a> {
    root: &'a mut Root,
    journal: &'a mut Journal,
    limits: Limits,
    /// The document's size when the journal was empty.
    size_before: u64,
    effects: Effects,
    tracks: bool,
    /// Keeps values that rules compare with; none where no rule does.
    watch: Option<Box<Watch>>,
    /// The budget that pays for changes; `None` where changes are free.
    allowance: Option<&'a Allowance<'a>>,
    /// The way to the last place gone to; none where one place has nothing to do with the next one.
    kept_way: Option<Box<KeptWay>>,
}

impl<'a> Editor<'a> {
    /// Edits a document of this `size`, as [`View::size`] counts it. The editor has the document and the
    /// journal until it is committed or dropped; there is no other way to give them back.
    pub fn new(
        root: &'a mut Root,
        size: u64,
        limits: Limits,
        journal: &'a mut Journal,
    ) -> Editor<'a> {
        assert!(journal.is_empty(), "an editor starts with an empty journal");
        Editor {
            root,
            journal,
            limits,
            size_before: size,
            effects: Effects::Recorded,
            tracks: false,
            watch: None,
            allowance: None,
            kept_way: None,
        }
    }

    /// The same editor, recording effects or not.
    pub fn with_effects(mut self, effects: Effects) -> Editor<'a> {
        self.effects = effects;
        self
    }

    /// The same editor, noting which places change.
    pub fn track_changes(mut self, tracks: bool) -> Editor<'a> {
        self.set_tracking(tracks);
        self
    }

    /// The same editor, whose changes are paid for: each when it was made, together with undoing it. The
    /// last one goes beyond the budget by no more than its own size, and is undone as any other.
    pub fn with_allowance(mut self, allowance: &'a Allowance<'a>) -> Editor<'a> {
        self.allowance = Some(allowance);
        self
    }

    /// The budget that pays for changes.
    pub fn allowance(&self) -> Option<&'a Allowance<'a>> {
        self.allowance
    }

    /// Pays for work on the way to a change.
    pub fn spend(&self, steps: u64) -> Result<()> {
        self.allowance.map_or(Ok(()), |allowance| allowance.spend(steps))
    }

    /// Pays for values put in, taken out or compared.
    #[inline]
    fn pay(&self, steps: u64) -> Result<()> {
        match self.allowance {
            Some(allowance) if steps > 0 => allowance.transfer_values(steps),
            _ => Ok(()),
        }
    }

    /// Pays for one change, with the values it put in or took out, and the leaves it unpacked.
    #[inline]
    fn pay_change(&self, steps: u64, unpacked: u64) -> Result<()> {
        if let Some(allowance) = self.allowance {
            allowance.spend(weight::CHANGE + unpacked * weight::UNPACK)?;
        }
        self.pay(steps)
    }

    /// Notes which places change from now on, or stops doing so.
    pub fn set_tracking(&mut self, tracks: bool) {
        self.tracks = tracks;
    }

    /// Keeps the values at these paths as they are now, before changes touch them.
    pub fn watch(&mut self, paths: &WatchPaths) {
        assert!(self.journal.is_empty(), "what is watched has not changed yet");
        self.watch = (!paths.is_empty()).then(|| Box::new(paths.watch()));
    }

    /// The values before the first change, where any are watched.
    pub fn watched(&self) -> Option<&Watch> {
        self.watch.as_deref()
    }

    /// Before a change of the value at `place`, or of the member of that name there.
    #[inline]
    fn touch(&mut self, place: &[u32], member: Option<&str>) -> Result<()> {
        match &mut self.watch {
            None => Ok(()),
            Some(watch) => watch.keep(self.root.view(), place, member, self.allowance),
        }
    }

    /// Marks all changes made so far as defaults that were filled in. They alone do not count as a change
    /// of the document, unless a statement confirms one of them.
    pub fn mark_defaults(&mut self) {
        self.journal.defaults = self.journal.undo.len();
    }

    /// Reverts defaults that were filled in for statements which then changed nothing.
    pub fn revert_unused_defaults(&mut self) {
        if self.journal.defaults > 0 && !self.changed() {
            self.rollback();
        }
    }

    /// Keeps the defaults that were filled in, if `place` is one of them or inside one: an operator that
    /// creates what is missing found it there.
    #[inline]
    pub fn confirm_default(&mut self, place: &[u32]) {
        if self.journal.defaults > 0 && self.journal.is_in_default(place) {
            self.journal.defaults_confirmed = true;
        }
    }

    /// The places that changed so far, where they are tracked.
    pub fn changes(&self) -> &[PlaceChange] {
        self.journal.changes()
    }

    /// The document as it stands now.
    #[inline]
    pub fn view(&self) -> View<'_> {
        self.root.view()
    }

    /// The value at a place that exists.
    #[inline]
    pub fn at(&self, place: &[u32]) -> View<'_> {
        match &self.kept_way {
            None => self.root.view().at(place).expect("the place exists"),
            Some(kept) => self.at_near(kept, place),
        }
    }

    /// As [`Editor::at`]. `way` leads to the place, and nothing has changed since it was gone.
    #[inline]
    pub fn at_end_of(&self, way: &PackedWay, place: &[u32]) -> View<'_> {
        let on_way = |value| Some(self.root.packed()?.view_from(value));
        match way.value_at().and_then(on_way) {
            Some(view) => {
                debug_assert!(self.at(place).identical(view), "the way leads to the place");
                view
            }
            None => self.at(place),
        }
    }

    fn at_near(&self, kept: &KeptWay, place: &[u32]) -> View<'_> {
        let known = kept.known_way(self.root, place).and_then(|known| known.view(place));
        known.or_else(|| self.root.view().at(place)).expect("the place exists")
    }

    /// As [`Editor::at`], of one of many places that are gone to one after the other, close to each other and best from
    /// the back to the front: the way is kept for the next one, until [`Editor::end_ways`].
    pub fn go_to(&mut self, place: &[u32]) -> View<'_> {
        self.kept_way.get_or_insert_default().go(self.root, place)
    }

    /// No more places are gone to that are close to the last one.
    pub fn end_ways(&mut self) {
        self.kept_way = None;
    }

    /// Forgets what a change moved on the way that is kept: a change of the value at `place`, or, in the container there,
    /// of the children from `child` on.
    #[inline]
    fn cut_way(&mut self, place: &[u32], child: Option<u32>) {
        if let Some(kept) = &mut self.kept_way {
            kept.cut(place, child);
        }
    }

    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Returns true if the document was changed, by more than marked defaults.
    pub fn changed(&self) -> bool {
        self.journal.undo.len() > self.journal.defaults || self.journal.defaults_confirmed
    }

    /// The size of all that was put in so far, whatever became of it.
    pub fn put_in(&self) -> u64 {
        self.journal.put_in
    }

    /// The bytes of the changes in portable form so far.
    pub fn effect_bytes(&self) -> u64 {
        self.journal.effects.len() as u64
    }

    /// The document's size as it stands now.
    pub fn size(&self) -> u64 {
        self.size_before
            .checked_add_signed(self.journal.size_change)
            .expect("a size is never negative")
    }

    /// Puts `new` in the place of what is there. Nothing happens when they are identical.
    pub fn replace(&mut self, place: &[u32], new: impl Into<Measured>) -> Result<()> {
        self.replace_found(place, ByPlace, new.into())
    }

    /// As [`Editor::replace`]. `way` leads to the place, where it is known, and `number` is the value there, where it is known
    /// to be a number; nothing has changed since they were found.
    pub fn replace_on_way(
        &mut self,
        place: &[u32],
        way: &PackedWay,
        number: Option<Number>,
        new: Measured,
    ) -> Result<()> {
        match way.is_known() {
            true => self.replace_found(place, OnWay { way, number }, new),
            false => self.replace_found(place, ByPlace, new),
        }
    }

    /// Replaces the value that `find` gives.
    fn replace_found(
        &mut self,
        place: &[u32],
        find: impl FindSpot,
        mut new: Measured,
    ) -> Result<()> {
        // The recorded effect is taken back where nothing is to be done.
        let start = self.journal.effects.len();
        if self.effects == Effects::Recorded {
            self.spell_replacement(place, find.name_in_root());
        }
        // The place is looked up once: to read what is there, and to replace it.
        let mut found = find.find(self.root, WayTo { place, kept: self.kept_way.as_deref() });
        let (old, put) = (found.view(), new.value.view());
        let mut work = 0;
        if old.identical_counting(put, &mut work) {
            drop(found);
            self.journal.effects.truncate(start);
            self.confirm_assigned(place);
            return self.pay(work);
        }
        // The two values themselves are the change.
        work = work - weight::IDENTICAL + put.work() + old.work();
        if new.depth > 0 {
            work += weight::CONTAINER;
        }
        let growth = new.size as i64 - old.size() as i64;
        let size = self.size_before.saturating_add_signed(self.journal.size_change);
        let depth = place.len() as u32 + new.depth;
        let checked = check(&self.limits, self.journal, size, depth, new.size, growth);
        if checked.is_err() {
            self.journal.effects.truncate(start);
            return checked;
        }
        if self.watch.is_some() {
            drop(found);
            if let Err(refusal) = self.touch(place, None) {
                self.journal.effects.truncate(start);
                return Err(refusal);
            }
            let to = WayTo { place, kept: self.kept_way.as_deref() };
            found = find.find(self.root, to);
        }
        if self.effects == Effects::Recorded {
            wire::put_value(new.value.view(), &mut self.journal.effects);
            check_effects(&self.limits, &mut self.journal.effects, start)?;
        }
        self.journal.put_in += new.size;
        let mut unpacked = 0;
        if !found.exchange(&mut new.value) {
            let to = WayTo { place, kept: self.kept_way.as_deref() };
            (new.value, unpacked) = swap_counting(self.root, to, new.value);
        }
        self.cut_way(place, None);
        self.note(|changes| changes.value(place));
        self.push(Undo::Replace { place: copied(place), old: new.value }, growth);
        self.pay_change(work, unpacked)
    }

    /// Begins the effect of replacing the value at `place`. `name_at`: see [`FindSpot::name_in_root`].
    #[inline(never)]
    fn spell_replacement(&mut self, place: &[u32], name_at: Option<usize>) {
        let out = &mut self.journal.effects;
        match name_at {
            Some(name_at) => spell_member(self.root, effect::REPLACE, place, name_at, out),
            None => {
                let to = WayTo { place, kept: self.kept_way.as_deref() };
                spell(self.root, effect::REPLACE, to, out);
            }
        }
    }

    /// Checks that limits allow a member of this size and depth in the object at `place`.
    pub fn check_member(&self, place: &[u32], name: &str, size: u64, depth: u32) -> Result<()> {
        let growth = (text_size(name.into()) + size) as i64;
        self.check(place.len() as u32 + 1 + depth, size, growth)
    }

    /// Adds a member the object at `place` does not have, behind all others; gives its position.
    pub fn insert_member(
        &mut self,
        place: &[u32],
        name: &str,
        new: impl Into<Measured>,
    ) -> Result<u32> {
        let new = new.into();
        let growth = (text_size(name.into()) + new.size) as i64;
        self.check_member(place, name, new.size, new.depth)?;
        self.touch(place, Some(name))?;
        self.record(effect::INSERT_MEMBER, place, |out| {
            wire::put_text(name.as_bytes(), out);
            wire::put_value(new.value.view(), out);
        })?;
        self.journal.put_in += new.size;
        let work = new.value.view().work() + name.len() as u64 / weight::TEXT_BYTES;
        let to = WayTo { place, kept: self.kept_way.as_deref() };
        let (position, unpacked) = push_member(self.root, to, name, new.value);
        self.cut_way(place, Some(position));
        self.note(|changes| changes.inserted(place, position, 1));
        self.push(Undo::Insert { place: place.into(), position, count: 1 }, growth);
        self.pay_change(work, unpacked)?;
        Ok(position)
    }

    /// Takes the member at `position` out of the object at `place`.
    pub fn remove_member(&mut self, place: &[u32], position: u32) -> Result<()> {
        let object = self.at(place).as_object().expect("the place is an object");
        let (name, value) = object.member(position).expect("the member is there");
        let name: Box<str> = name.as_str().into();
        let growth = -((text_size((&*name).into()) + value.size()) as i64);
        self.touch(place, Some(&name))?;
        self.record(effect::REMOVE_MEMBER, place, |out| wire::put_text(name.as_bytes(), out))?;
        let to = WayTo { place, kept: self.kept_way.as_deref() };
        let (old, has_holes) = take_member(self.root, to, position);
        self.cut_way(place, Some(position));
        if has_holes {
            self.journal.holes.push(place.into());
        }
        self.note(|changes| changes.removed(place, position, 1, !has_holes));
        let work =
            weight::REMOVED_MEMBER + old.view().work() + name.len() as u64 / weight::TEXT_BYTES;
        self.push(Undo::PutMemberBack { place: place.into(), position, name, old }, growth);
        self.pay_change(work, 0)
    }

    /// Inserts elements before `index` of the array at `place`; at its length, behind all.
    pub fn insert_items(&mut self, place: &[u32], index: usize, new: Vec<Measured>) -> Result<()> {
        if new.is_empty() {
            return Ok(());
        }
        let inserted = Insertion {
            index,
            size: new.iter().map(|item| item.size).sum(),
            depth: new.iter().map(|item| item.depth).max().unwrap_or(0),
            work: work_of(new.iter().map(|item| item.value.view())),
        };
        let new = NewItems::Each(new.into_iter().map(|item| item.value).collect());
        self.insert(place, &inserted, new)
    }

    /// As [`Editor::insert_items`], of all elements of an array, which are not unpacked.
    pub fn insert_array(&mut self, place: &[u32], index: usize, new: &Measured) -> Result<()> {
        let (work, items) = match (&new.value.0, new.value.view()) {
            (Repr::Array(large), view) => {
                let work = weight::ELEMENT * large.len() as u64 + view.work();
                (work, NewItems::Array((**large).clone()))
            }
            (_, View::Array(ArrayView::Packed(body))) => {
                (work_of(body.items()), NewItems::Packed(body))
            }
            _ => unreachable!("the elements are those of an array"),
        };
        if items.len() == 0 {
            return Ok(());
        }
        let (size, depth) = (new.size - CONTAINER_BYTES, new.depth - 1);
        self.insert(place, &Insertion { index, size, depth, work }, items)
    }

    fn insert(&mut self, place: &[u32], inserted: &Insertion, new: NewItems<'_>) -> Result<()> {
        let &Insertion { index, size, depth, work } = inserted;
        let growth = size as i64;
        self.check(place.len() as u32 + 1 + depth, size, growth)?;
        self.touch(place, None)?;
        let count = new.len();
        self.record(effect::INSERT_ITEMS, place, |out| {
            wire::put_varint(index as u64, out);
            wire::put_varint(count as u64, out);
            new.put(out);
        })?;
        self.journal.put_in += size;
        let to = WayTo { place, kept: self.kept_way.as_deref() };
        let unpacked = match new {
            NewItems::Each(new) => put_items(self.root, to, index, new),
            NewItems::Packed(new) => put_packed(self.root, to, index, new),
            NewItems::Array(new) => put_array(self.root, to, index, new),
        };
        let (position, count) = (index as u32, count as u32);
        self.cut_way(place, Some(position));
        self.note(|changes| changes.inserted(place, position, count));
        self.push(Undo::Insert { place: place.into(), position, count }, growth);
        self.spend(weight::INSERTION)?;
        self.pay_change(work, unpacked)
    }

    /// Takes `count` elements out of the array at `place`, from `index` on.
    pub fn remove_items(&mut self, place: &[u32], index: usize, count: usize) -> Result<()> {
        if count == 0 {
            return Ok(());
        }
        self.touch(place, None)?;
        self.record(effect::REMOVE_ITEMS, place, |out| {
            wire::put_varint(index as u64, out);
            wire::put_varint(count as u64, out);
        })?;
        let to = WayTo { place, kept: self.kept_way.as_deref() };
        let old = take_items(self.root, to, index, count);
        self.cut_way(place, Some(index as u32));
        let (size, work) = old.size_and_work();
        let growth = -(size as i64);
        self.note(|changes| changes.removed(place, index as u32, count as u32, true));
        self.push(Undo::PutItemsBack { place: place.into(), index: index as u32, old }, growth);
        self.pay_change(work, 0)
    }

    /// Takes elements out of the array at `place` wherever they stand, in one pass over it.
    /// `positions` ascend and exist.
    pub fn remove_each(&mut self, place: &[u32], positions: &[u32]) -> Result<()> {
        let (Some(first), Some(last)) = (positions.first(), positions.last()) else {
            return Ok(());
        };
        if (last - first) as usize + 1 == positions.len() {
            return self.remove_items(place, *first as usize, positions.len());
        }
        self.touch(place, None)?;
        self.record(effect::REMOVE_EACH, place, |out| {
            wire::put_varint(positions.len() as u64, out);
            let mut next = 0;
            for position in positions {
                wire::put_varint((position - next).into(), out);
                next = position + 1;
            }
        })?;
        let to = WayTo { place, kept: self.kept_way.as_deref() };
        let old = take_each(self.root, to, positions);
        self.cut_way(place, Some(*first));
        let growth = -(old.iter().map(|item| item.size() as i64).sum::<i64>());
        self.note(|changes| changes.removed_each(place, positions));
        let work = work_of(old.iter());
        let undo = Undo::PutEachBack { place: place.into(), positions: positions.into(), old };
        self.push(undo, growth);
        self.pay_change(work, 0)
    }

    /// Takes away whatever child stands at `place`, which is not the root.
    pub fn remove(&mut self, place: &[u32]) -> Result<()> {
        let (position, parent) = place.split_last().expect("the root is never removed");
        match self.at(parent) {
            View::Array(_) => self.remove_items(parent, *position as usize, 1),
            _ => self.remove_member(parent, *position),
        }
    }

    /// Undoes everything since the journal was empty, and empties it. Dropping an editor that was
    /// not committed does the same: a refusal, or a panic, on the way leaves nothing behind.
    pub fn rollback(&mut self) {
        // Places of many changes are close to each other, as they were when they were changed.
        const FEW: usize = 4;
        let many = self.journal.undo.len() > FEW;
        let mut ways = KeptWay::default();
        self.kept_way = None;
        while let Some(undo) = self.journal.undo.pop() {
            let undo = match undo {
                Undo::Replace { place, old } => {
                    if many {
                        ways.go(self.root, &place);
                    }
                    swap(self.root, WayTo { place: &place, kept: Some(&ways) }, old);
                    ways.cut(&place, None);
                    continue;
                }
                other => other,
            };
            ways.clear();
            match undo {
                Undo::Replace { .. } => unreachable!("it was reverted"),
                Undo::Insert { place, position, count } => match self.at(&place) {
                    View::Array(_) => {
                        take_items(self.root, (&place).into(), position as usize, count as usize);
                    }
                    _ => {
                        take_member(self.root, (&place).into(), position);
                    }
                },
                Undo::PutMemberBack { place, position, name, old } => {
                    restore_member(self.root, (&place).into(), position, &name, old);
                }
                Undo::PutEachBack { place, positions, old } => {
                    put_each_back(self.root, (&place).into(), &positions, old);
                }
                Undo::PutItemsBack { place, index, old } => {
                    old.put_back(self.root, (&place).into(), index as usize);
                }
                Undo::Exchange { a, b } => exchange::exchange(self.root, &a, &b),
                Undo::Lift { from, to, old } => exchange::lower(self.root, &from, &to, old),
            }
        }
        self.journal.clear();
    }

    /// Keeps the defaults that were filled in, if `place`, to which an equal value was assigned, is one of
    /// them, inside one or around one.
    fn confirm_assigned(&mut self, place: &[u32]) {
        let journal = &mut *self.journal;
        let around = |undo: &Undo| matches!(undo, Undo::Insert { place: parent, .. } if parent.starts_with(place));
        if journal.defaults > 0
            && (journal.is_in_default(place) || journal.undo[..journal.defaults].iter().any(around))
        {
            journal.defaults_confirmed = true;
        }
    }

    /// Ends the possibility to undo, and frees what undo needed. Returns the document's size. The journal
    /// keeps its effects and the size of what was put in; another editor may go on with it.
    pub fn commit(mut self) -> u64 {
        self.end()
    }

    /// As [`Editor::commit`], of an editor that is dropped where it is. Nothing is changed through it any more.
    #[inline]
    pub fn end(&mut self) -> u64 {
        let size = self.size();
        if !self.journal.holes.is_empty() {
            self.close_holes();
        }
        self.journal.undo.clear();
        self.journal.size_change = 0;
        size
    }

    #[cold]
    fn close_holes(&mut self) {
        while let Some(place) = self.journal.holes.pop() {
            // The place may belong to another value by now, or to none: tidying any object is harmless.
            let value = match try_walk(self.root, (&place).into()) {
                Some(WalkEnd::Value(value)) => value,
                Some(WalkEnd::One(runs, nth)) => runs.one_mut(nth),
                _ => continue,
            };
            if let Repr::Object(object) = &mut value.0
                && object.is_mostly_holes()
            {
                object.close_holes();
            }
        }
    }

    fn check(&self, depth: u32, size: u64, growth: i64) -> Result<()> {
        check(&self.limits, self.journal, self.size(), depth, size, growth)
    }

    /// Writes the change down before it is made; nothing is written where that would be too much.
    fn record(
        &mut self,
        tag: u8,
        place: &[u32],
        operands: impl FnOnce(&mut Vec<u8>),
    ) -> Result<()> {
        if self.effects == Effects::Unrecorded {
            return Ok(());
        }
        let start = self.journal.effects.len();
        let to = WayTo { place, kept: self.kept_way.as_deref() };
        spell(self.root, tag, to, &mut self.journal.effects);
        operands(&mut self.journal.effects);
        check_effects(&self.limits, &mut self.journal.effects, start)
    }

    fn note(&mut self, change: impl FnOnce(&mut Changes)) {
        if self.tracks {
            change(&mut self.journal.changes);
        }
    }

    fn push(&mut self, undo: Undo, growth: i64) {
        self.journal.undo.push(undo);
        self.journal.size_change += growth;
    }
}

impl Drop for Editor<'_> {
    fn drop(&mut self) {
        if !self.journal.undo.is_empty() {
            self.rollback();
        }
    }
}

/// Where elements are inserted, and what all of them together are.
struct Insertion {
    index: usize,
    size: u64,
    /// The depth of the deepest.
    depth: u32,
    work: u64,
}

/// Elements to be inserted.
enum NewItems<'n> {
    Each(Vec<Value>),
    Packed(PackedBody<'n>),
    Array(LargeArray),
}

impl NewItems<'_> {
    fn len(&self) -> usize {
        match self {
            NewItems::Each(items) => items.len(),
            NewItems::Packed(body) => body.len(),
            NewItems::Array(array) => array.len(),
        }
    }

    /// Appends them in portable form.
    fn put(&self, out: &mut Vec<u8>) {
        match self {
            NewItems::Each(items) => {
                items.iter().for_each(|item| wire::put_value(item.view(), out))
            }
            NewItems::Packed(body) => body.items().for_each(|item| wire::put_value(item, out)),
            NewItems::Array(array) => array.iter().for_each(|item| wire::put_value(item, out)),
        }
    }
}

/// A copy of a place, most of which have few steps.
#[inline]
fn copied(place: &[u32]) -> Place {
    match *place {
        [one] => Place::from_buf_and_len([one, 0, 0, 0, 0, 0, 0, 0], 1),
        [one, two] => Place::from_buf_and_len([one, two, 0, 0, 0, 0, 0, 0], 2),
        _ => Place::from_slice(place),
    }
}

/// `depth` and `put_in` are of what is put in, `growth` is the document's, `size` what it is so far.
fn check(
    limits: &Limits,
    journal: &Journal,
    size: u64,
    depth: u32,
    put_in: u64,
    growth: i64,
) -> Result<()> {
    limits.check_depth(depth)?;
    // The journal is bounded too: statements that put in and take out large values in turn
    // would let it grow without the document growing.
    check_put_in(limits, journal.put_in + put_in)?;
    if growth > 0 {
        limits.check_bytes(size + growth as u64)?;
    }
    Ok(())
}

/// Takes back the effects recorded from `start` on if they exceed the limit. One change is no longer than the
/// names on one way through the document and what it puts in, so that asking after each is soon enough.
fn check_effects(limits: &Limits, effects: &mut Vec<u8>, start: usize) -> Result<()> {
    check_written(limits, effects.len() as u64).inspect_err(|_| effects.truncate(start))
}

/// Checks the size of all effects one command records. A replica repeats changes under [`Limits::NONE`],
/// and is never refused.
pub fn check_written(limits: &Limits, bytes: u64) -> Result<()> {
    if *limits == Limits::NONE { Ok(()) } else { check_put_in(limits, bytes) }
}

/// Checks the size of all values one command puts in.
pub fn check_put_in(limits: &Limits, bytes: u64) -> Result<()> {
    let most = limits.bytes.saturating_mul(JOURNAL_DOCUMENTS_MAX);
    if bytes > most {
        return Err(Error::limit(limit::JOURNAL_BYTES, most));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
