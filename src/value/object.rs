//! Objects too large to be packed.

use hashbrown::HashTable;

use super::names::{self, NameId};
use super::tree::{Value, drop_flat};
use super::view::Text;

/// A large object: members in slots in the order they were added, and an index by name.
///
/// A removed member leaves a hole, so that the positions of the others stay as they are while a
/// command runs; [`Object::close_holes`] is called between commands.
#[derive(Clone, Default)]
pub struct Object {
    pub(super) slots: Vec<Slot>,
    live: usize,
    /// Slot numbers by name, kept from [`INDEX_FROM`] members on.
    index: HashTable<u32>,
}

#[derive(Clone)]
pub(super) struct Slot {
    pub(super) name: SlotName,
    /// Null in a hole.
    pub(super) value: Value,
}

#[derive(Clone, PartialEq)]
pub enum SlotName {
    Shared(NameId),
    Text(Box<str>),
    Hole,
}

/// Below this many members a scan is faster than a hash.
const INDEX_FROM: usize = 12;

impl SlotName {
    fn new(name: &str) -> SlotName {
        names::admit(name).map_or_else(|| SlotName::Text(name.into()), SlotName::Shared)
    }

    pub fn text(&self) -> Text<'_> {
        match self {
            SlotName::Shared(id) => id.text().into(),
            SlotName::Text(text) => Text::new(text.as_bytes()),
            SlotName::Hole => unreachable!("a hole has no name"),
        }
    }

    fn is(&self, name: &str) -> bool {
        match self {
            SlotName::Shared(id) => id.text() == name,
            SlotName::Text(text) => &**text == name,
            SlotName::Hole => false,
        }
    }
}

fn hash(name: &[u8]) -> u64 {
    use std::hash::BuildHasher;
    use std::sync::OnceLock;
    static HASHER: OnceLock<foldhash::fast::RandomState> = OnceLock::new();
    HASHER.get_or_init(foldhash::fast::RandomState::default).hash_one(name)
}

impl Object {
    pub fn len(&self) -> usize {
        self.live
    }

    pub(super) fn own_bytes(&self) -> usize {
        let names: usize = self
            .slots
            .iter()
            .map(|slot| if let SlotName::Text(text) = &slot.name { text.len() } else { 0 })
            .sum();
        self.slots.capacity() * size_of::<Slot>() + self.index.allocation_size() + names
    }

    pub fn find(&self, name: &str) -> Option<(u32, &Value)> {
        let position = if self.index.is_empty() {
            self.slots.iter().position(|slot| slot.name.is(name))? as u32
        } else {
            *self
                .index
                .find(hash(name.as_bytes()), |slot| self.slots[*slot as usize].name.is(name))?
        };
        Some((position, &self.slots[position as usize].value))
    }

    pub fn member(&self, position: u32) -> Option<(&SlotName, &Value)> {
        let slot = self.slots.get(position as usize)?;
        (slot.name != SlotName::Hole).then_some((&slot.name, &slot.value))
    }

    pub(super) fn member_mut(&mut self, position: u32) -> &mut Value {
        let slot = &mut self.slots[position as usize];
        assert!(slot.name != SlotName::Hole, "a place names a member that is there");
        &mut slot.value
    }

    pub fn members(&self) -> Members<'_> {
        Members { slots: self.slots.iter().enumerate() }
    }

    pub fn last(&self) -> Option<(u32, &SlotName, &Value)> {
        let position = self.slots.iter().rposition(|slot| slot.name != SlotName::Hole)?;
        Some((position as u32, &self.slots[position].name, &self.slots[position].value))
    }

    /// Adds a member that is not there yet behind all others; gives its position.
    pub(super) fn push(&mut self, name: &str, value: Value) -> u32 {
        debug_assert!(self.find(name).is_none());
        let position =
            u32::try_from(self.slots.len()).expect("sizes are limited far below 2^32 members");
        self.slots.push(Slot { name: SlotName::new(name), value });
        self.live += 1;
        self.add_to_index(position);
        position
    }

    /// Adds or replaces, as the last of repeated members in JSON text does.
    pub(super) fn set(&mut self, name: &str, value: Value) {
        match self.find(name) {
            Some((position, _)) => *self.member_mut(position) = value,
            None => {
                self.push(name, value);
            }
        }
    }

    /// Puts a member back where it was: into the hole it left, or, when it was taken out while the
    /// object was still packed and left none, between the others.
    pub(super) fn restore(&mut self, position: u32, name: &str, value: Value) {
        let slot = Slot { name: SlotName::new(name), value };
        let at = position as usize;
        self.live += 1;
        if at < self.slots.len() && self.slots[at].name != SlotName::Hole {
            self.slots.insert(at, slot);
            self.rebuild_index();
            return;
        }
        if at == self.slots.len() {
            self.slots.push(slot);
        } else {
            self.slots[at] = slot;
        }
        self.add_to_index(position);
    }

    /// Takes a member out. The last slot goes, any other becomes a hole.
    pub(super) fn remove(&mut self, position: u32) -> (SlotName, Value) {
        self.remove_from_index(position);
        self.live -= 1;
        if position as usize + 1 == self.slots.len() {
            let slot = self.slots.pop().expect("the position is inside");
            return (slot.name, slot.value);
        }
        let hole = Slot { name: SlotName::Hole, value: Value::NULL };
        let slot = std::mem::replace(&mut self.slots[position as usize], hole);
        assert!(slot.name != SlotName::Hole, "a place names a member that is there");
        (slot.name, slot.value)
    }

    /// Whether [`Object::close_holes`] is worth its cost.
    pub(super) fn is_mostly_holes(&self) -> bool {
        self.slots.len() - self.live > self.live + 8
    }

    /// Moves the members together. Their positions change.
    pub(super) fn close_holes(&mut self) {
        self.slots.retain(|slot| slot.name != SlotName::Hole);
        self.slots.shrink_to_fit();
        self.rebuild_index();
    }

    fn add_to_index(&mut self, position: u32) {
        if !self.index.is_empty() {
            let (index, slots) = (&mut self.index, &self.slots);
            let hash_of = |slot: &u32| hash(slots[*slot as usize].name.text().as_bytes());
            index.insert_unique(hash_of(&position), position, hash_of);
        } else if self.live >= INDEX_FROM {
            self.rebuild_index();
        }
    }

    fn rebuild_index(&mut self) {
        self.index = HashTable::new();
        if self.live < INDEX_FROM {
            return;
        }
        let slots = &self.slots;
        let hash_of = |slot: &u32| hash(slots[*slot as usize].name.text().as_bytes());
        for (position, slot) in slots.iter().enumerate() {
            if slot.name != SlotName::Hole {
                self.index.insert_unique(hash_of(&(position as u32)), position as u32, hash_of);
            }
        }
    }

    fn remove_from_index(&mut self, position: u32) {
        if self.index.is_empty() {
            return;
        }
        let hash = hash(self.slots[position as usize].name.text().as_bytes());
        let entry = self
            .index
            .find_entry(hash, |slot| *slot == position)
            .expect("every member is in the index");
        entry.remove();
    }
}

/// Iterates the members of a large object: position, name and value.
#[derive(Clone)]
pub struct Members<'a> {
    slots: std::iter::Enumerate<std::slice::Iter<'a, Slot>>,
}

impl<'a> Iterator for Members<'a> {
    type Item = (u32, &'a SlotName, &'a Value);

    #[inline]
    fn next(&mut self) -> Option<(u32, &'a SlotName, &'a Value)> {
        let (position, slot) = self.slots.find(|(_, slot)| slot.name != SlotName::Hole)?;
        Some((position as u32, &slot.name, &slot.value))
    }
}

impl Drop for Object {
    fn drop(&mut self) {
        drop_flat(self.slots.drain(..).map(|slot| slot.value));
    }
}
