//! The record of each document: its name, and the entries that it has in the trees.
//!
//! ```text
//! record := text:name (1:index text:key)*
//! ```
//!
//! A hash table is rebuilt as a whole when it grows, which would hold the server for most of a second with ten million
//! records. So many records are in many tables, each of which grows by itself, and shrinks when most of it is gone.

use std::hash::BuildHasher;

use hashbrown::HashTable;

use super::entries::{Entries, EntriesIter};
use crate::value::wire::{Reader, put_text};

/// The tables of many records.
const SHARDS: usize = 256;
/// More records are put into so many tables.
const ONE_TABLE_MAX: usize = 4096;
/// A table with a smaller capacity is left as it is.
const CAPACITY_MIN: usize = 28;

/// The records of the documents of one model in one database.
pub struct Records {
    /// One, or [`SHARDS`].
    shards: Vec<Shard>,
    len: usize,
    bytes: usize,
    hasher: foldhash::fast::RandomState,
}

type Shard = HashTable<Box<[u8]>>;

impl Default for Records {
    fn default() -> Records {
        let shards = vec![HashTable::new()];
        Records { shards, len: 0, bytes: 0, hasher: foldhash::fast::RandomState::default() }
    }
}

pub fn name_of(record: &[u8]) -> &[u8] {
    let mut reader = Reader::new(record);
    let len = reader.varint().expect("a record has a name") as usize;
    reader.bytes(len).expect("a record has a name")
}

/// The entries of a record, in the order of indexes and keys.
pub fn entries_of(record: &[u8]) -> EntriesIter<'_> {
    let mut reader = Reader::new(record);
    let len = reader.varint().expect("a record is whole") as usize;
    reader.bytes(len).expect("a record is whole");
    EntriesIter::new(reader.take_rest())
}

pub fn record(name: &[u8], entries: &Entries) -> Box<[u8]> {
    // Exactly as many bytes as it has, so that it stays where it is.
    let len_bytes = (usize::BITS - (name.len() | 1).leading_zeros()).div_ceil(7) as usize;
    let mut record = Vec::with_capacity(len_bytes + name.len() + entries.as_bytes().len());
    put_text(name, &mut record);
    record.extend_from_slice(entries.as_bytes());
    debug_assert_eq!(record.len(), record.capacity());
    record.into()
}

impl Records {
    pub fn len(&self) -> usize {
        self.len
    }

    /// Bytes on the heap.
    pub fn heap_bytes(&self) -> usize {
        let slots: usize = self.shards.iter().map(|shard| shard.capacity() * 8 / 7).sum();
        self.bytes
            + slots * (size_of::<Box<[u8]>>() + 1)
            + self.shards.capacity() * size_of::<Shard>()
    }

    /// Makes room for this many records.
    pub fn reserve(&mut self, len: usize) {
        self.divide_for(len);
        let of_each = len / self.shards.len();
        for shard in &mut self.shards {
            shard.reserve(of_each, |record| self.hasher.hash_one(name_of(record)));
        }
    }

    /// The bits of a hash that its table does not use first.
    fn nth(&self, hash: u64) -> usize {
        (hash >> 40) as usize % self.shards.len()
    }

    fn divide_for(&mut self, len: usize) {
        if self.shards.len() == 1 && len > ONE_TABLE_MAX {
            self.divide_into(SHARDS);
        }
    }

    fn divide_into(&mut self, shards: usize) {
        let new = (0..shards).map(|_| HashTable::new()).collect();
        let old = std::mem::replace(&mut self.shards, new);
        old.into_iter().flatten().for_each(|record| self.put(record));
    }

    fn put(&mut self, record: Box<[u8]>) {
        let hash = self.hasher.hash_one(name_of(&record));
        let (nth, hasher) = (self.nth(hash), &self.hasher);
        self.shards[nth].insert_unique(hash, record, |record| hasher.hash_one(name_of(record)));
    }

    pub fn get(&self, name: &[u8]) -> Option<&[u8]> {
        let hash = self.hasher.hash_one(name);
        let shard = &self.shards[self.nth(hash)];
        shard.find(hash, |record| name_of(record) == name).map(|record| &**record)
    }

    /// Adds the record of a document that has none.
    pub fn insert(&mut self, record: Box<[u8]>) {
        self.divide_for(self.len + 1);
        self.bytes += record.len();
        self.len += 1;
        self.put(record);
    }

    /// Calls with the record of a document, to change it. Returns false if it has none.
    pub fn update(&mut self, name: &[u8], update: impl FnOnce(&mut Box<[u8]>)) -> bool {
        let hash = self.hasher.hash_one(name);
        let nth = self.nth(hash);
        let Some(record) = self.shards[nth].find_mut(hash, |record| name_of(record) == name) else {
            return false;
        };
        let before = record.len();
        update(record);
        self.bytes = self.bytes + record.len() - before;
        true
    }

    pub fn remove(&mut self, name: &[u8]) -> Option<Box<[u8]>> {
        let hash = self.hasher.hash_one(name);
        let nth = self.nth(hash);
        let shard = &mut self.shards[nth];
        let (record, _) = shard.find_entry(hash, |record| name_of(record) == name).ok()?.remove();
        if shard.capacity() > CAPACITY_MIN && shard.len() < shard.capacity() / 4 {
            let hasher = &self.hasher;
            shard.shrink_to(shard.len() * 2, |record| hasher.hash_one(name_of(record)));
        }
        self.bytes -= record.len();
        self.len -= 1;
        if self.shards.len() > 1 && self.len < ONE_TABLE_MAX / 4 {
            self.divide_into(1);
        }
        Some(record)
    }

    #[cfg(test)]
    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        self.shards.iter().flatten().map(|record| &**record)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_records_are_found_and_their_memory_goes_with_them() {
        let of = |nth: usize| record(format!("k{nth}").as_bytes(), &Entries::default());
        let mut records = Records::default();
        for nth in 0..3 * ONE_TABLE_MAX {
            records.insert(of(nth));
        }
        let full = records.heap_bytes();
        for nth in 0..3 * ONE_TABLE_MAX {
            let name = format!("k{nth}").into_bytes();
            assert_eq!(records.get(&name), Some(&*of(nth)));
            assert!(records.update(&name, |record| assert_eq!(*record, of(nth))));
            if nth >= 100 {
                assert_eq!(records.remove(&name), Some(of(nth)));
                assert_eq!(records.remove(&name), None);
                assert!(!records.update(&name, |_| unreachable!("it is gone")));
            }
        }
        assert_eq!(records.len(), 100);
        assert_eq!(records.iter().count(), 100);
        assert!(records.heap_bytes() < full / 40, "{} of {full}", records.heap_bytes());
        (0..100).for_each(|nth| assert!(records.remove(format!("k{nth}").as_bytes()).is_some()));
        assert!(records.heap_bytes() < 1000, "{}", records.heap_bytes());
    }

    #[test]
    fn gathered_records_take_what_they_need() {
        let mut records = Records::default();
        records.reserve(100_000);
        let reserved = records.heap_bytes();
        for nth in 0..100_000 {
            records.insert(record(format!("k{nth}").as_bytes(), &Entries::default()));
        }
        assert!(records.heap_bytes() - records.bytes <= 2 * reserved);
        assert_eq!(records.iter().count(), 100_000);
    }
}
