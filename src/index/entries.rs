//! The entries of one document: its keys in some indexes of its definition, or in all of them.

use std::mem;

use super::source::INDEXES_MAX;
use crate::reply::{empty_text, keep_text};
use crate::value::wire::{put_text, put_varint};

/// Some indexes of one definition, by their numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct IndexMask(u16);

const _: () = assert!(INDEXES_MAX <= u16::BITS as usize);

impl IndexMask {
    pub const NONE: IndexMask = IndexMask(0);
    pub const ALL: IndexMask = IndexMask(u16::MAX);

    pub fn one(index: u8) -> IndexMask {
        IndexMask(1 << index)
    }

    #[inline]
    pub fn has(self, index: u8) -> bool {
        self.0 >> index & 1 == 1
    }

    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    #[inline]
    #[must_use]
    pub fn with(self, other: IndexMask) -> IndexMask {
        IndexMask(self.0 | other.0)
    }
}

/// The entries of one document in some indexes: its keys in each of them, in their order, each once.
///
/// ```text
/// entries := (1:index varint:bytes key)*
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Entries {
    bytes: Vec<u8>,
    /// The indexes that these are the entries in.
    pub of: IndexMask,
    /// The most values of one part.
    pub values: usize,
    /// That of the [`super::IndexSet`] that made them.
    pub fingerprint: u64,
}

impl Entries {
    /// No entries yet, in these indexes, and room for this many bytes of them.
    pub fn new(of: IndexMask, fingerprint: u64, capacity: usize) -> Entries {
        let mut bytes = empty_text();
        bytes.reserve(capacity);
        Entries { of, fingerprint, bytes, values: 0 }
    }

    /// Adds a key, which `put` appends. Keys are added in the order of indexes and keys.
    #[inline]
    pub fn push_with(&mut self, index: u8, put: impl FnOnce(&mut Vec<u8>)) {
        let bytes = &mut self.bytes;
        bytes.extend_from_slice(&[index, 0]);
        let start = bytes.len();
        put(bytes);
        let len = bytes.len() - start;
        // Most keys have a length of one byte, for which there is room.
        if len < 0x80 {
            bytes[start - 1] = len as u8;
        } else {
            let mut prefix = Vec::new();
            put_varint(len as u64, &mut prefix);
            bytes.splice(start - 1..start, prefix);
        }
    }

    pub fn push(&mut self, index: u8, key: &[u8]) {
        self.bytes.push(index);
        put_text(key, &mut self.bytes);
    }

    pub fn iter(&self) -> EntriesIter<'_> {
        EntriesIter { rest: &self.bytes }
    }

    /// The number of entries.
    pub fn count(&self) -> usize {
        self.iter().count()
    }

    /// Goes through the entries, so it is for few.
    pub fn has(&self, index: u8, key: &[u8]) -> bool {
        #[cfg(test)]
        PASSED.with(|passed| passed.set(passed.get() + self.count()));
        self.iter().any(|entry| entry == (index, key))
    }

    /// The encoding that a record has.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The entries of these indexes and keys, in their order, for a test.
    #[cfg(test)]
    pub fn of_keys<'k>(keys: impl IntoIterator<Item = &'k (u8, Vec<u8>)>) -> Entries {
        let mut entries = Entries::new(IndexMask::ALL, 0, 0);
        entries.values = 1;
        keys.into_iter().for_each(|(index, key)| entries.push(*index, key));
        entries
    }
}

impl Drop for Entries {
    fn drop(&mut self) {
        keep_text(mem::take(&mut self.bytes));
    }
}

#[cfg(test)]
thread_local! {
    /// The entries that were gone through for one of them, to count them in tests.
    pub static PASSED: std::cell::Cell<usize> = const { std::cell::Cell::new(0) };
}

/// The indexes and keys of encoded entries.
#[derive(Clone)]
pub struct EntriesIter<'e> {
    rest: &'e [u8],
}

impl<'e> EntriesIter<'e> {
    /// Reads bytes that [`Entries`] wrote.
    pub fn new(rest: &'e [u8]) -> EntriesIter<'e> {
        EntriesIter { rest }
    }

    /// The bytes of the entries that are left.
    pub fn rest(&self) -> &'e [u8] {
        self.rest
    }
}

impl<'e> Iterator for EntriesIter<'e> {
    type Item = (u8, &'e [u8]);

    #[inline]
    fn next(&mut self) -> Option<(u8, &'e [u8])> {
        let [index, first, behind @ ..] = self.rest else { return None };
        let (mut len, mut rest, mut shift) = (usize::from(first & 0x7f), behind, 7);
        let mut last = *first;
        while last >= 0x80 {
            let [next, behind @ ..] = rest else { return None };
            len |= usize::from(next & 0x7f) << shift;
            (last, rest, shift) = (*next, behind, shift + 7);
        }
        let (key, rest) = rest.split_at(len);
        self.rest = rest;
        Some((*index, key))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_of_every_length_are_read_back() {
        let lengths = [0, 1, 127, 128, 129, 16_383, 16_384];
        let keys: Vec<(u8, Vec<u8>)> =
            lengths.iter().enumerate().map(|(nth, len)| (nth as u8, vec![7; *len])).collect();
        let mut entries = Entries::new(IndexMask::ALL, 0, 9);
        for (index, key) in &keys {
            entries.push_with(*index, |out| out.extend_from_slice(key));
        }
        let read: Vec<_> = entries.iter().map(|(index, key)| (index, key.to_vec())).collect();
        assert_eq!(read, keys);
        assert_eq!(entries.as_bytes(), Entries::of_keys(&keys).as_bytes());
        assert_eq!(entries.count(), keys.len());
    }

    #[test]
    fn a_mask_has_the_indexes_put_into_it() {
        let mask = IndexMask::one(0).with(IndexMask::one(15));
        let has: Vec<u8> = (0..16).filter(|index| mask.has(*index)).collect();
        assert_eq!(has, [0, 15]);
        assert!(IndexMask::NONE.is_empty() && !mask.is_empty());
        assert!((0..16).all(|index| IndexMask::ALL.has(index)));
    }
}
