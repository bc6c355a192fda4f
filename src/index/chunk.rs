//! A sorted run of byte strings in one buffer, each stored as what differs from the string before it.
//!
//! ```text
//! chunk := entry*
//! entry := varint:shared varint:rest byte{rest}
//! ```
//!
//! `shared` is exactly the number of leading bytes that an entry has in common with the one before it; the first entry
//! shares none. So a search compares no byte twice and rebuilds no string, and an insertion or a removal rewrites the
//! next entry alone.

use std::cmp::Ordering;

use smallvec::SmallVec;

use crate::reply::{keep_text, text_of};
use crate::value::wire::put_varint;

/// A chunk that is longer is split, unless it holds one entry.
pub const CHUNK_BYTES: usize = 768;
/// A shorter chunk is merged with a neighbour where both fit.
const SPARSE_BYTES: usize = CHUNK_BYTES / 4;
/// Bulk loads fill chunks up to here, which leaves room for a few insertions.
const FILLED_BYTES: usize = CHUNK_BYTES * 7 / 8;
/// Buffers grow by this much, so that a chunk wastes little.
const GROWTH_BYTES: usize = 64;

/// A sorted run of different byte strings. Empty only while it is built.
#[derive(Default)]
pub struct EntryChunk {
    bytes: Vec<u8>,
    count: u32,
    /// That of the first string: most searches compare no more of a chunk.
    head: KeyHead,
}

/// The first bytes of a string, and zeros behind a shorter one. Of different heads the smaller one is that of the smaller
/// string.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct KeyHead([u64; 2]);

impl KeyHead {
    #[inline]
    pub fn of(key: &[u8]) -> KeyHead {
        let mut bytes = [0; 16];
        let len = key.len().min(16);
        bytes[..len].copy_from_slice(&key[..len]);
        let value = u128::from_be_bytes(bytes);
        KeyHead([(value >> 64) as u64, value as u64])
    }
}

/// The outcome of inserting a string.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EntryInsertion {
    /// It was there.
    Known,
    Within,
    /// It is greater than all others.
    Last,
}

/// One entry of a chunk.
struct PackedEntry<'c> {
    shared: usize,
    rest: &'c [u8],
    /// The offset of `rest`.
    start: usize,
    end: usize,
}

/// The position of a string in a chunk.
struct Spot {
    /// The offset of the entry that is equal or the next greater one; the end if all are smaller.
    at: usize,
    /// The number of entries before it.
    nth: usize,
    found: bool,
    /// Leading bytes in common with the entry before.
    shared_before: usize,
    /// Leading bytes in common with the entry at `at`, if that is greater.
    shared_after: usize,
}

/// The number of leading bytes that two strings have in common: eight are compared at once.
fn common(a: &[u8], b: &[u8]) -> usize {
    let (a_words, b_words) = (a.as_chunks::<8>().0, b.as_chunks::<8>().0);
    let words = a_words.iter().zip(b_words);
    for (nth, (a, b)) in words.enumerate() {
        let differing = u64::from_le_bytes(*a) ^ u64::from_le_bytes(*b);
        if differing != 0 {
            return nth * 8 + differing.trailing_zeros() as usize / 8;
        }
    }
    let at = 8 * a_words.len().min(b_words.len());
    at + a[at..].iter().zip(&b[at..]).take_while(|(a, b)| a == b).count()
}

/// Reads a varint that this file wrote.
#[inline]
fn read_varint(bytes: &[u8], at: &mut usize) -> usize {
    let (mut value, mut shift) = (0, 0);
    loop {
        let byte = bytes[*at];
        *at += 1;
        value |= usize::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return value;
        }
        shift += 7;
    }
}

/// The two lengths in front of an entry's bytes.
#[derive(Default)]
struct EntryLengths {
    /// Five bytes hold a varint of 32 bits, and no string is longer.
    bytes: [u8; 10],
    len: usize,
}

impl EntryLengths {
    #[inline]
    fn new(shared: usize, rest: usize) -> EntryLengths {
        let mut lengths = EntryLengths::default();
        for mut value in [shared, rest] {
            while value >= 0x80 {
                lengths.put(value as u8 | 0x80);
                value >>= 7;
            }
            lengths.put(value as u8);
        }
        lengths
    }

    #[inline]
    fn put(&mut self, byte: u8) {
        self.bytes[self.len] = byte;
        self.len += 1;
    }

    fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

fn put_entry(shared: usize, rest: &[&[u8]], out: &mut Vec<u8>) {
    put_varint(shared as u64, out);
    put_varint(rest.iter().map(|part| part.len() as u64).sum(), out);
    rest.iter().for_each(|part| out.extend_from_slice(part));
}

impl EntryChunk {
    pub fn one(key: &[u8]) -> EntryChunk {
        let mut chunk = EntryChunk { bytes: Vec::new(), count: 1, head: KeyHead::of(key) };
        put_entry(0, &[key], &mut chunk.bytes);
        chunk
    }

    #[cfg(test)]
    pub fn unsorted(keys: &[Vec<u8>]) -> EntryChunk {
        let (count, head) = (keys.len() as u32, KeyHead::of(&keys[0]));
        let mut chunk = EntryChunk { bytes: Vec::new(), count, head };
        keys.iter().for_each(|key| put_entry(0, &[key], &mut chunk.bytes));
        chunk
    }

    pub fn count(&self) -> usize {
        self.count as usize
    }

    /// The bytes of all entries.
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Bytes on the heap.
    pub fn heap_bytes(&self) -> usize {
        self.bytes.capacity()
    }

    pub fn is_full(&self) -> bool {
        self.bytes.len() > CHUNK_BYTES && self.count > 1
    }

    pub fn is_filled(&self) -> bool {
        self.bytes.len() >= FILLED_BYTES
    }

    /// Returns true if this chunk is short and fits into one with its neighbour.
    pub fn merges_with(&self, neighbour: &EntryChunk) -> bool {
        self.bytes.len() < SPARSE_BYTES && self.bytes.len() + neighbour.bytes.len() < FILLED_BYTES
    }

    #[inline]
    fn entry(&self, at: usize) -> PackedEntry<'_> {
        let (shared, len, start) = match self.bytes[at..] {
            // Most lengths take a byte.
            [shared, len, ..] if (shared | len) < 0x80 => (shared.into(), len.into(), at + 2),
            _ => {
                let mut start = at;
                let shared = read_varint(&self.bytes, &mut start);
                let len = read_varint(&self.bytes, &mut start);
                (shared, len, start)
            }
        };
        let end = start + len;
        PackedEntry { shared, rest: &self.bytes[start..end], start, end }
    }

    /// The first string.
    #[inline]
    pub fn first(&self) -> &[u8] {
        self.entry(0).rest
    }

    #[inline]
    pub fn head(&self) -> KeyHead {
        self.head
    }

    /// Returns true if the first string is at most this one, whose head is known.
    #[inline]
    pub fn begins_by(&self, head: KeyHead, key: &[u8]) -> bool {
        if self.head == head { self.first() <= key } else { self.head < head }
    }

    /// The last string.
    pub fn last(&self) -> Vec<u8> {
        let mut last = Vec::new();
        self.each_from(&[], |key| {
            last.clear();
            last.extend_from_slice(key);
            true
        });
        last
    }

    /// Passes the entries from `at` on that are smaller than a key and have no more in common with it than the one before:
    /// `matched` bytes, behind which the key has `next`. Returns their end and their number.
    ///
    /// Most entries that a search passes are such ones, so this loop is what it costs.
    #[inline]
    fn pass(&self, mut at: usize, matched: usize, next: u8) -> (usize, usize) {
        let mut passed = 0;
        // Of an empty string, which is smaller than a key that has a next byte, `first` is a byte 0 behind it.
        while let Some(&[shared, len, first]) = self.bytes.get(at..at + 3) {
            let is_smaller = match usize::from(shared).cmp(&matched) {
                Ordering::Greater => true,
                Ordering::Equal => first < next,
                Ordering::Less => false,
            };
            if (shared | len) >= 0x80 || !is_smaller {
                break;
            }
            at += 2 + usize::from(len);
            passed += 1;
        }
        (at, passed)
    }

    fn locate(&self, key: &[u8]) -> Spot {
        let (mut at, mut nth, mut matched) = (0, 0, 0);
        while at < self.bytes.len() {
            if let Some(next) = key.get(matched) {
                let (end, passed) = self.pass(at, matched, *next);
                (at, nth) = (end, nth + passed);
                if at == self.bytes.len() {
                    break;
                }
            }
            let entry = self.entry(at);
            // An entry that shares more with the one before than `key` does is smaller for the same reason.
            if entry.shared <= matched {
                let mut equal = entry.shared;
                if entry.shared == matched {
                    let rest = &key[matched..];
                    let same = common(entry.rest, rest);
                    equal += same;
                    if same == rest.len() && same == entry.rest.len() {
                        let (found, shared_before) = (true, matched);
                        return Spot { at, nth, found, shared_before, shared_after: 0 };
                    }
                    let smaller = same == entry.rest.len()
                        || (same < rest.len() && entry.rest[same] < rest[same]);
                    if smaller {
                        matched = equal;
                        (at, nth) = (entry.end, nth + 1);
                        continue;
                    }
                }
                let (shared_before, shared_after) = (matched, equal);
                return Spot { at, nth, found: false, shared_before, shared_after };
            }
            (at, nth) = (entry.end, nth + 1);
        }
        Spot { at, nth, found: false, shared_before: matched, shared_after: 0 }
    }

    pub fn contains(&self, key: &[u8]) -> bool {
        self.locate(key).found
    }

    /// Returns true if a string, which is there, is the last one.
    pub fn ends_with(&self, key: &[u8]) -> bool {
        let spot = self.locate(key);
        debug_assert!(spot.found, "the string is there");
        self.entry(spot.at).end == self.bytes.len()
    }

    /// The number of strings that are smaller.
    pub fn rank(&self, key: &[u8]) -> usize {
        self.locate(key).nth
    }

    /// Adds a string.
    pub fn insert(&mut self, key: &[u8]) -> EntryInsertion {
        let spot = self.locate(key);
        if spot.found {
            return EntryInsertion::Known;
        }
        let is_last = spot.at == self.bytes.len();
        let rest = &key[spot.shared_before..];
        let own = EntryLengths::new(spot.shared_before, rest.len());
        let (mut end, mut behind) = (spot.at, EntryLengths::default());
        if spot.at < self.bytes.len() {
            let next = self.entry(spot.at);
            let dropped = spot.shared_after - next.shared;
            behind = EntryLengths::new(spot.shared_after, next.rest.len() - dropped);
            end = next.start + dropped;
        }
        self.splice(spot.at, end, &[own.as_bytes(), rest, behind.as_bytes()]);
        self.count += 1;
        if spot.at == 0 {
            self.head = KeyHead::of(key);
        }
        if is_last { EntryInsertion::Last } else { EntryInsertion::Within }
    }

    /// Removes a string; returns false if it was not there.
    pub fn remove(&mut self, key: &[u8]) -> bool {
        let spot = self.locate(key);
        if !spot.found {
            return false;
        }
        let removed = self.entry(spot.at);
        let (mut behind, mut kept, mut end) =
            (EntryLengths::default(), SmallVec::<[u8; 64]>::new(), removed.end);
        if removed.end < self.bytes.len() {
            let next = self.entry(removed.end);
            let more = next.shared.saturating_sub(removed.shared);
            let shared = next.shared.min(removed.shared);
            behind = EntryLengths::new(shared, more + next.rest.len());
            kept.extend_from_slice(&removed.rest[..more]);
            end = next.start;
        }
        self.splice(spot.at, end, &[behind.as_bytes(), &kept]);
        self.count -= 1;
        if spot.at == 0 && self.count > 0 {
            self.head = KeyHead::of(self.first());
        }
        true
    }

    /// Replaces bytes by these pieces, and keeps the buffer tight.
    fn splice(&mut self, start: usize, end: usize, pieces: &[&[u8]]) {
        let (old_len, removed) = (self.bytes.len(), end - start);
        let added: usize = pieces.iter().map(|piece| piece.len()).sum();
        if added > removed {
            let needed = old_len + added - removed;
            if needed > self.bytes.capacity() {
                let capacity = needed.next_multiple_of(GROWTH_BYTES);
                self.bytes.reserve_exact(capacity - old_len);
            }
            self.bytes.resize(needed, 0);
            self.bytes.copy_within(end..old_len, start + added);
        } else {
            self.bytes.copy_within(end.., start + added);
            self.bytes.truncate(old_len + added - removed);
            if self.bytes.capacity() - self.bytes.len() > 4 * GROWTH_BYTES {
                self.bytes.shrink_to(self.bytes.len().next_multiple_of(GROWTH_BYTES));
            }
        }
        let mut at = start;
        for piece in pieces {
            self.bytes[at..at + piece.len()].copy_from_slice(piece);
            at += piece.len();
        }
    }

    /// Adds a string that is greater than all others; `last` is the greatest so far.
    pub fn append(&mut self, last: &[u8], key: &[u8]) {
        debug_assert!(self.count == 0 || last < key);
        let shared = if self.count == 0 { 0 } else { common(last, key) };
        if self.count == 0 {
            self.bytes.reserve_exact(FILLED_BYTES);
            self.head = KeyHead::of(key);
        }
        put_entry(shared, &[&key[shared..]], &mut self.bytes);
        self.count += 1;
    }

    /// Gives back memory that a bulk load did not use.
    pub fn tighten(&mut self) {
        self.bytes.shrink_to_fit();
    }

    /// Splits off the greater half; behind an insertion of the last string that one alone. So strings that come in their order
    /// fill chunks, instead of leaving halves of them behind.
    pub fn split(&mut self, insertion: EntryInsertion) -> EntryChunk {
        let (mut at, mut nth, mut key) = (0, 0, Vec::new());
        let from = match insertion {
            EntryInsertion::Last => self.bytes.len(),
            _ => self.bytes.len() / 2,
        };
        while nth == 0 || (at < from && nth + 1 < self.count) {
            at = self.read(at, &mut key);
            nth += 1;
        }
        let end = self.read(at, &mut key);
        let mut greater = EntryChunk::default();
        greater.bytes.reserve_exact(self.bytes.len() - at + key.len());
        put_entry(0, &[&key], &mut greater.bytes);
        greater.bytes.extend_from_slice(&self.bytes[end..]);
        greater.count = self.count - nth;
        greater.head = KeyHead::of(&key);
        self.bytes.truncate(at);
        self.bytes.shrink_to(at.next_multiple_of(GROWTH_BYTES));
        self.count = nth;
        greater
    }

    /// Appends a chunk whose strings are all greater.
    pub fn merge(&mut self, greater: &EntryChunk) {
        let (last, first) = (self.last(), greater.entry(0));
        let shared = common(&last, first.rest);
        self.bytes.reserve_exact(greater.bytes.len());
        put_entry(shared, &[&first.rest[shared..]], &mut self.bytes);
        self.bytes.extend_from_slice(&greater.bytes[first.end..]);
        self.count += greater.count;
    }

    /// Makes `key`, the string before the entry at `at`, that entry's string. Returns the offset behind it.
    #[inline]
    pub fn read(&self, at: usize, key: &mut Vec<u8>) -> usize {
        let entry = self.entry(at);
        key.truncate(entry.shared);
        key.extend_from_slice(entry.rest);
        entry.end
    }

    /// Calls with each string from `from` on, in order, until it returns false. Returns false if it did.
    pub fn each_from(&self, from: &[u8], mut visit: impl FnMut(&[u8]) -> bool) -> bool {
        // Of three strings in order the outer two have no more in common than either has with the middle one: so what
        // the first entry shares with the one before it is a part of `from`.
        let spot = self.locate(from);
        let mut key = text_of(&from[..spot.shared_before]);
        let (mut at, mut goes_on) = (spot.at, true);
        while goes_on && at < self.bytes.len() {
            at = self.read(at, &mut key);
            goes_on = visit(&key);
        }
        keep_text(key);
        goes_on
    }
}
