//! Objects too large to be packed.

use hashbrown::HashTable;

use super::chunks::{Child, ChunkContent, Chunks, ContentIter, Gather, IntoChildren};
use super::names::{self, NameId};
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
    /// Positions by name, where there are many members or chunks.
    index: HashTable<u32>,
}

/// The name of a member that is a chunk of its own.
#[derive(Clone)]
pub enum SlotName {
    Shared(NameId),
    Text(Box<str>),
}

/// Below this many members, in so many chunks at most, there is no index: it would take more memory than the
/// members do, and reading all of them takes about as long as in the largest packed object. Redis keeps hashes of
/// as many fields without one.
const INDEX_FROM: usize = 512;
const SCANNED_CHUNKS_MAX: usize = 16;
/// Bytes that the index takes for an entry when it is full: a position and a control byte, at seven eighths.
const INDEX_ENTRY_BYTES: usize = 6;

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

fn hash(name: &[u8]) -> u64 {
    use std::hash::BuildHasher;
    use std::sync::OnceLock;
    static HASHER: OnceLock<foldhash::fast::RandomState> = OnceLock::new();
    HASHER.get_or_init(foldhash::fast::RandomState::default).hash_one(name)
}

impl LargeObject {
    /// The members are named differently, and there are no holes among them.
    pub(super) fn new(chunks: Chunks<SlotName>) -> LargeObject {
        let mut object = LargeObject { live: chunks.len(), chunks, index: HashTable::new() };
        object.rebuild_index();
        object
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
        self.chunks.table_bytes() + self.index.allocation_size() + names.sum::<usize>()
    }

    pub fn find(&self, name: &str) -> Option<(u32, View<'_>)> {
        let id = names::find(name);
        if self.index.is_empty() {
            return self.scan(id, name.as_bytes());
        }
        let mut found = None;
        let position = self.index.find(hash(name.as_bytes()), |position| {
            found = self.slot(*position).filter(|(slot, _)| slot.is(id, name.as_bytes()));
            found.is_some()
        })?;
        found.map(|(_, value)| (*position, value))
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

    /// A member or a hole.
    #[inline]
    fn slot(&self, position: u32) -> Option<(PackedName<'_>, View<'_>)> {
        let (nth, offset) = self.chunks.locate(position as usize)?;
        match self.chunks.part(nth) {
            ChunkContent::Run(leaf) => leaf.get().body().member(offset),
            ChunkContent::One(name, value) => (offset == 0).then(|| (name.packed(), value.view())),
        }
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

    /// Adds or replaces, as the last of repeated members in JSON text does.
    pub(super) fn set(&mut self, name: &str, value: Value) {
        match self.find(name) {
            Some((position, _)) => {
                self.chunks.put(position as usize, Child::new(SlotName::new(name), value));
            }
            None => {
                self.push(name, value);
            }
        }
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
        // The bytes, and not the capacity: removed entries lower that, and their room is kept all the same.
        if self.index.allocation_size() > INDEX_ENTRY_BYTES * (4 * self.live + 64) {
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
        if self.index.is_empty() {
            self.keep_index();
        } else if self.index.len() == self.index.capacity() {
            // Names are read in order, which costs less than to look up each at its position.
            self.rebuild_index();
        } else {
            let rehash = |_: &u32| unreachable!("the index has room");
            self.index.insert_unique(hash(name.as_bytes()), position, rehash);
        }
    }

    fn wants_index(&self) -> bool {
        self.live >= INDEX_FROM || self.chunks.parts().len() > SCANNED_CHUNKS_MAX
    }

    /// Makes the index where there is none and should be one: values that grew may have spread over more chunks.
    #[inline]
    pub(super) fn keep_index(&mut self) {
        if self.index.is_empty() && self.wants_index() {
            self.rebuild_index();
        }
    }

    fn rebuild_index(&mut self) {
        self.index = HashTable::new();
        if !self.wants_index() {
            return;
        }
        let mut index = HashTable::with_capacity(self.live + 1);
        for (position, name, _) in self.members() {
            let rehash = |_: &u32| unreachable!("the index has room");
            index.insert_unique(hash(name.text().as_bytes()), position, rehash);
        }
        self.index = index;
    }

    fn remove_from_index(&mut self, position: u32) {
        if self.index.is_empty() {
            return;
        }
        let (name, _) = self.member(position).expect("the member is there");
        let hash = hash(name.text().as_bytes());
        let entry = self
            .index
            .find_entry(hash, |slot| *slot == position)
            .expect("every member is in the index");
        entry.remove();
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
    use super::*;

    fn text(bytes: usize) -> Value {
        Value::string(&"x".repeat(bytes))
    }

    /// A name is looked for in few chunks, or by the index, however the object came to be.
    #[test]
    fn no_more_than_a_few_chunks_are_scanned() {
        for bytes in [1, 10, 400, 2000] {
            let mut object = LargeObject::default();
            for nth in 0..600 {
                object.push(&format!("object-test-{nth}"), text(bytes));
                assert_eq!(object.index.is_empty(), !object.wants_index());
            }
            assert!(!object.index.is_empty());
            for nth in 0..600 {
                assert_eq!(object.find(&format!("object-test-{nth}")).map(|(at, _)| at), Some(nth));
            }
            assert!(object.find("object-test-none").is_none());
        }
        let mut object = LargeObject::default();
        for nth in 0..100 {
            object.push(&format!("{nth}"), text(1));
        }
        assert!(object.index.is_empty());
        for nth in 0..100 {
            object.set(&format!("{nth}"), text(400));
            object.keep_index();
        }
        assert!(!object.index.is_empty());
        assert_eq!(object.find("99").map(|(at, _)| at), Some(99));
        (0..100).rev().for_each(|at| drop(object.remove(at)));
        assert_eq!(object.index.capacity(), 0);
    }
}
