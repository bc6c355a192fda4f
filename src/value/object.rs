//! Objects too large to be packed.

use std::collections::HashMap;

use super::chunks::{Child, ChunkContent, Chunks, ContentIter, Gather, IntoChildren};
use super::member_index::{AlikeMembers, MemberIndex};
use super::names::{self, Mark, NameId};
use super::pack::{self, PackedMembers, PackedName};
use super::tree::{Value, drop_flat};
use super::view::View;

/// A large object: members in the order they were added, and an index by name.
///
/// A removed member leaves a hole, so that the positions of the others stay as they are while a
/// command runs, and the index stays right; [`LargeObject::close_holes`] is called between commands.
#[derive(Clone, Default)]
pub struct LargeObject {
    pub(super) chunks: Chunks<SlotName>,
    live: usize,
    index: MemberIndex,
}

/// The name of a member that is a chunk of its own.
#[derive(Clone)]
pub enum SlotName {
    Shared(NameId),
    Text(Box<str>),
}

impl SlotName {
    fn new(name: &str) -> SlotName {
        names::admit(name).map_or_else(|| SlotName::Text(name.into()), SlotName::Shared)
    }

    #[inline]
    pub(super) fn packed(&self) -> PackedName<'_> {
        match self {
            SlotName::Shared(id) => PackedName::Shared(*id),
            SlotName::Text(text) => PackedName::Text(text.as_bytes()),
        }
    }
}

impl From<PackedName<'_>> for SlotName {
    fn from(name: PackedName<'_>) -> SlotName {
        match name {
            PackedName::Shared(id) => SlotName::Shared(id),
            PackedName::Text(_) => SlotName::Text(name.text().as_str().into()),
        }
    }
}

/// Fewer members than one in so many are looked up one by one, more are found in one pass over all.
const ONE_BY_ONE: usize = 8;

impl LargeObject {
    /// The members are named differently, and there are no holes among them.
    pub(super) fn new(chunks: Chunks<SlotName>) -> LargeObject {
        let mut object = LargeObject { live: chunks.len(), chunks, index: MemberIndex::None };
        object.rebuild_index();
        object
    }

    /// The members have these marks, and there are no holes among them. Of members with one name the last value is
    /// taken, in the place of the first one; also returns true if there were such members.
    pub(super) fn of_marked(chunks: Chunks<SlotName>, marks: &[Mark]) -> (LargeObject, bool) {
        debug_assert_eq!(chunks.len(), marks.len());
        let mut alike = Vec::new();
        let index = MemberIndex::of_marks(marks, &mut alike);
        let mut object = LargeObject { live: chunks.len(), chunks, index };
        if alike.is_empty() {
            return (object, false);
        }
        let (others, repeated) = object.told_apart(&alike);
        if !repeated.is_empty() {
            let chunks = without_repeated(std::mem::take(&mut object.chunks), &repeated);
            return (LargeObject::new(chunks), true);
        }
        others.iter().for_each(|at| object.index.add_alike(*at, marks[*at as usize]));
        (object, false)
    }

    /// Compares the names of members that are alike. Returns those that have a name of their own, and those that have
    /// the name of a member before them, with that one in front: both in ascending order.
    fn told_apart(&self, alike: &[AlikeMembers]) -> (Vec<u32>, Vec<AlikeMembers>) {
        let (mut others, mut repeated) = (Vec::new(), Vec::new());
        // Members with the mark of a member before them but not with its name, by that member.
        let mut different: HashMap<u32, Vec<u32>> = HashMap::new();
        let name = |at: u32| self.slot(at).expect("the member is there").0.as_str();
        let mut members = self.members();
        for (first, at) in alike {
            let new = match alike.len() * ONE_BY_ONE < self.live {
                true => name(*at),
                // Members are passed over faster than they are looked up.
                false => {
                    members.find(|(nth, ..)| nth == at).expect("the member is there").1.as_str()
                }
            };
            if name(*first) == new {
                repeated.push((*first, *at));
                continue;
            }
            let known = different.entry(*first).or_default();
            match known.iter().find(|known| name(**known) == new) {
                Some(known) => repeated.push((*known, *at)),
                None => {
                    known.push(*at);
                    others.push(*at);
                }
            }
        }
        (others, repeated)
    }

    pub fn len(&self) -> usize {
        self.live
    }

    /// Members and holes.
    fn slots(&self) -> usize {
        self.chunks.len()
    }

    pub(super) fn own_bytes(&self) -> usize {
        let names = self.chunks.parts().map(|part| match part {
            ChunkContent::One(SlotName::Text(text), _) => text.len(),
            _ => 0,
        });
        self.chunks.table_bytes() + self.index.heap_bytes() + names.sum::<usize>()
    }

    pub fn find(&self, name: &str) -> Option<(u32, View<'_>)> {
        let (id, mark) = names::find_marked(name);
        self.find_marked(name, id, mark)
    }

    /// As [`LargeObject::find`], with what the table of names knows of it.
    pub(super) fn find_marked(
        &self,
        name: &str,
        id: Option<NameId>,
        mark: Mark,
    ) -> Option<(u32, View<'_>)> {
        let mut found = None;
        let position = self.index.find(mark, |position| {
            found = self.slot(position).filter(|(slot, _)| slot.is(id, name.as_bytes()));
            found.is_some()
        });
        match position {
            None => self.scan(id, name.as_bytes()),
            Some(position) => {
                found.map(|(_, value)| value).and_then(|value| Some((position?, value)))
            }
        }
    }

    fn scan(&self, id: Option<NameId>, name: &[u8]) -> Option<(u32, View<'_>)> {
        let mut first = 0;
        for part in self.chunks.parts() {
            match part {
                ChunkContent::Run(leaf) => {
                    if let Some((offset, value)) = leaf.get().body().find_named(id, name) {
                        return Some((first + offset as u32, value));
                    }
                }
                ChunkContent::One(slot, value) if slot.packed().is(id, name) => {
                    return Some((first, value.view()));
                }
                ChunkContent::One(..) => {}
            }
            first += part.count() as u32;
        }
        None
    }

    fn slot(&self, position: u32) -> Option<(PackedName<'_>, View<'_>)> {
        slot(&self.chunks, position)
    }

    #[inline]
    pub fn member(&self, position: u32) -> Option<(PackedName<'_>, View<'_>)> {
        self.slot(position).filter(|(name, _)| !name.is_hole())
    }

    pub fn members(&self) -> LargeMembers<'_> {
        LargeMembers { parts: self.chunks.parts(), run: PackedMembers::default(), next: 0 }
    }

    /// The member added last: the last slot is never a hole.
    pub fn last(&self) -> Option<(u32, PackedName<'_>, View<'_>)> {
        let last = self.slots().checked_sub(1)? as u32;
        self.member(last).map(|(name, value)| (last, name, value))
    }

    /// Adds a member that is not there yet behind all others; gives its position.
    pub(super) fn push(&mut self, name: &str, value: Value) -> u32 {
        debug_assert!(self.find(name).is_none());
        let position =
            u32::try_from(self.slots()).expect("sizes are limited far below 2^32 members");
        self.chunks.push(Child::new(SlotName::new(name), value));
        self.live += 1;
        self.add_to_index(position, name);
        position
    }

    /// Puts a member back where it was: into the hole it left, or, when it was taken out while the
    /// object was still packed and left none, between the others.
    pub(super) fn restore(&mut self, position: u32, name: &str, value: Value) {
        let child = Child::new(SlotName::new(name), value);
        let at = position as usize;
        self.live += 1;
        match self.slot(position) {
            Some((slot, _)) if slot.is_hole() => self.chunks.put(at, child),
            Some(_) => {
                let mut new = Chunks::default();
                new.push(child);
                self.chunks.insert(at, new);
                return self.rebuild_index();
            }
            None => {
                while self.slots() < at {
                    self.chunks.push(Child::Packed((&pack::HOLE).into()));
                }
                self.chunks.push(child);
            }
        }
        self.add_to_index(position, name);
    }

    /// Takes a member out. The last slot goes, and the holes before it; any other becomes a hole.
    pub(super) fn remove(&mut self, position: u32) -> Value {
        self.remove_from_index(position);
        self.live -= 1;
        let at = position as usize;
        let (nth, _) = self.chunks.locate(at).expect("the member is there");
        let value = match self.chunks.part_mut(nth) {
            ChunkContent::One(_, value) => std::mem::take(value),
            ChunkContent::Run(_) => {
                self.member(position).expect("the member is there").1.to_value()
            }
        };
        if at + 1 == self.slots() {
            self.chunks.take(at, 1);
            self.drop_holes_at_the_end();
        } else {
            self.chunks.put(at, Child::Packed((&pack::HOLE).into()));
        }
        if !self.index.shrink(self.live, self.slots()) {
            self.rebuild_index();
        }
        value
    }

    fn drop_holes_at_the_end(&mut self) {
        while let Some(ChunkContent::Run(leaf)) = self.chunks.parts().next_back() {
            let names = leaf.get().body().members().map(|(name, _)| name);
            let kept =
                names.zip(1..).filter(|(name, _)| !name.is_hole()).map(|(_, nth)| nth).last();
            let holes = leaf.get().body().len() - kept.unwrap_or(0);
            if holes > 0 {
                self.chunks.take(self.slots() - holes, holes);
            }
            if kept.is_some() {
                return;
            }
        }
    }

    /// Returns true if [`LargeObject::close_holes`] is worth its cost.
    pub(super) fn is_mostly_holes(&self) -> bool {
        self.slots() - self.live > self.live + 8
    }

    /// Moves the members together. Their positions change.
    pub(super) fn close_holes(&mut self) {
        let mut members = IntoChildren::new(std::mem::take(&mut self.chunks));
        let mut gather = Gather::new();
        while let Some(member) = members.next() {
            if !matches!(&member, Child::Packed(bytes) if **bytes == pack::HOLE) {
                gather.push(member);
            }
        }
        self.chunks = gather.finish();
        self.rebuild_index();
    }

    fn add_to_index(&mut self, position: u32, name: &str) {
        if !self.index.add(position, Mark::of(name), self.live) {
            // Names are read in order, which costs less than to look up each at its position.
            self.rebuild_index();
        }
    }

    fn rebuild_index(&mut self) {
        let marks = self.members().map(|(position, name, _)| (position, name.mark()));
        self.index = MemberIndex::new(self.live, self.slots(), marks);
    }

    fn remove_from_index(&mut self, position: u32) {
        let LargeObject { index, chunks, .. } = self;
        index.remove(position, || slot(chunks, position).expect("the member is there").0.mark());
    }
}

/// The members without those that repeat the name of another one, which takes the value of the last of them. Each is
/// given behind the one whose name it repeats, in ascending order.
fn without_repeated(chunks: Chunks<SlotName>, repeated: &[AlikeMembers]) -> Chunks<SlotName> {
    // For each member the last one that repeats its name; then the number of that one, counted from one, among `last`.
    let mut last_of = vec![0; chunks.len()];
    repeated.iter().for_each(|(first, at)| last_of[*first as usize] = *at);
    let (mut kept, mut last) = (Gather::new(), Vec::new());
    let mut all = IntoChildren::new(chunks);
    let (mut rest, mut at) = (repeated.iter().peekable(), 0);
    while let Some(member) = all.next() {
        match rest.next_if(|(_, repeated)| *repeated == at) {
            None => kept.push(member),
            Some((first, _)) if last_of[*first as usize] == at => {
                last.push(Some(member.into_owned()));
                last_of[*first as usize] = last.len() as u32;
            }
            Some(_) => {}
        }
        at += 1;
    }
    let mut members = Gather::new();
    let mut all = IntoChildren::new(kept.finish());
    let (mut rest, mut at) = (repeated.iter().peekable(), 0);
    while let Some(member) = all.next() {
        while rest.next_if(|(_, repeated)| *repeated == at).is_some() {
            at += 1;
        }
        let new = (last_of[at as usize] as usize).checked_sub(1).and_then(|nth| last[nth].take());
        members.push(new.unwrap_or(member));
        at += 1;
    }
    members.finish()
}

/// A member or a hole.
#[inline]
fn slot(chunks: &Chunks<SlotName>, position: u32) -> Option<(PackedName<'_>, View<'_>)> {
    let (nth, offset) = chunks.locate(position as usize)?;
    match chunks.part(nth) {
        ChunkContent::Run(leaf) => leaf.get().body().member(offset),
        ChunkContent::One(name, value) => (offset == 0).then(|| (name.packed(), value.view())),
    }
}

/// Iterates the members of a large object: position, name and value.
#[derive(Clone)]
pub struct LargeMembers<'a> {
    parts: ContentIter<'a, SlotName>,
    /// The rest of the current run.
    run: PackedMembers<'a>,
    next: u32,
}

impl<'a> Iterator for LargeMembers<'a> {
    type Item = (u32, PackedName<'a>, View<'a>);

    #[inline]
    fn next(&mut self) -> Option<(u32, PackedName<'a>, View<'a>)> {
        loop {
            for (name, value) in self.run.by_ref() {
                let position = self.next;
                self.next += 1;
                if !name.is_hole() {
                    return Some((position, name, value));
                }
            }
            match self.parts.next()? {
                ChunkContent::Run(leaf) => self.run = leaf.get().body().members(),
                ChunkContent::One(name, value) => {
                    self.next += 1;
                    return Some((self.next - 1, name.packed(), value.view()));
                }
            }
        }
    }
}

impl Drop for LargeObject {
    fn drop(&mut self) {
        drop_flat(self.chunks.drain());
    }
}

#[cfg(test)]
mod tests {
    use super::super::member_index::COMPARED;
    use super::*;

    fn text(bytes: usize) -> Value {
        Value::string(&"x".repeat(bytes))
    }

    /// Every member is found, and no other, however many there are and however the object came to be.
    #[test]
    fn members_are_found_under_every_kind_of_index() {
        let name = |nth: usize| format!("object-test-{nth}");
        for bytes in [1, 10, 400, 2000] {
            let mut object = LargeObject::default();
            for count in 1..=600 {
                object.push(&name(count - 1), text(bytes));
                let kind = match &object.index {
                    MemberIndex::None => 0..32,
                    MemberIndex::Marks(_) => 32..512,
                    MemberIndex::Table(_) => 512..601,
                };
                assert!(kind.contains(&count), "{count}");
                if [31, 32, 33, 511, 512, 600].contains(&count) {
                    for nth in 0..count {
                        assert_eq!(object.find(&name(nth)).map(|(at, _)| at), Some(nth as u32));
                    }
                    assert!(object.find(&name(count)).is_none());
                }
            }
            // Every second one becomes a hole, and comes back.
            for nth in (0..600).step_by(2) {
                object.remove(nth);
                assert!(object.find(&name(nth as usize)).is_none());
            }
            for nth in (0..600).step_by(2) {
                object.restore(nth, &name(nth as usize), text(bytes));
            }
            for nth in 0..600 {
                assert_eq!(object.find(&name(nth)).map(|(at, _)| at), Some(nth as u32));
            }
            (0..600).rev().for_each(|at| drop(object.remove(at)));
            assert_eq!(object.index.heap_bytes(), 0);
        }
    }

    /// Some hundred short members take about a byte each for the index.
    #[test]
    fn the_index_of_some_hundred_members_is_small() {
        let mut object = LargeObject::default();
        for nth in 0..500 {
            object.push(&format!("{nth}"), text(1));
        }
        assert!((500..600).contains(&object.index.heap_bytes()), "{}", object.index.heap_bytes());
        object.rebuild_index();
        assert_eq!(object.index.heap_bytes(), 500);
    }
    #[test]
    fn many_different_names_are_all_kept_and_are_compared_with_few() {
        // So many that several pairs have one mark.
        const COUNT: usize = 400_000;
        let names: Vec<_> = (0..COUNT).map(|nth| format!("m{nth}")).collect();
        let marks: Vec<_> = names.iter().map(|name| Mark::of(name)).collect();
        let mut different = std::collections::HashSet::new();
        assert!(!marks.iter().all(|mark| different.insert(*mark)), "no pair has one mark");
        let mut members = Gather::new();
        for name in &names {
            members.push(Child::new(SlotName::Text((**name).into()), 1.into()));
        }
        let before = COMPARED.get();
        let (object, repeated) = LargeObject::of_marked(members.finish(), &marks);
        let compared = COMPARED.get() - before;
        assert!(compared < COUNT as u64, "{compared} comparisons of marks");
        assert!(!repeated);
        assert_eq!(object.len(), COUNT);
        for (nth, name) in names.iter().enumerate() {
            assert_eq!(object.find(name).map(|(at, _)| at), Some(nth as u32), "{name}");
        }
    }

    /// Names with one mark cannot be chosen, so the mark of all members is a made-up one.
    #[test]
    fn members_whose_names_have_one_mark_are_told_apart_by_their_names() {
        for count in [2, 40, 600] {
            let name = |nth: usize| format!("n{}", nth % (count / 2));
            let mut members = Gather::new();
            for nth in 0..count {
                members.push(Child::new(SlotName::Text(name(nth).into()), (nth as i64).into()));
            }
            let marks = vec![Mark::of("alike"); count];
            let (object, repeated) = LargeObject::of_marked(members.finish(), &marks);
            assert!(repeated);
            assert_eq!(object.len(), count / 2);
            for nth in 0..count / 2 {
                let (at, value) = object.find(&name(nth)).unwrap();
                assert_eq!(at as usize, nth);
                assert!(value.equals(View::Int((nth + count / 2) as i64)));
            }
        }
    }
}
