//! Member names stored once for the whole process.
//!
//! Documents of one shape repeat the same few names a million times over. A name that keeps coming
//! back is given a small number here, and packed documents hold the number instead of the text.
//!
//! The table only grows, up to fixed bounds, and nothing in it is ever freed: so a document can be
//! dropped on any thread without touching it, a name can be borrowed for ever, and readers take no
//! lock. A name is admitted after it was seen [`SIGHTINGS`] times by a small ageing sketch, so that
//! member names that are really data (user ids, dates) do not use the table up. Once it is full,
//! names are stored in the documents themselves, as they are in a Redis hash.
//!
//! Numbers are private to this process: nothing that leaves it (RDB, AOF, replication) may hold one.

use std::hash::BuildHasher;
use std::sync::atomic::{AtomicU8, AtomicU32, Ordering};
use std::sync::{Mutex, OnceLock};

/// Names the table can hold.
pub const NAMES_MAX: usize = 1 << 14;
/// Longest name, in bytes, that is worth sharing here: 16,384 names take 1.5 MiB at the most.
pub const NAME_BYTES_MAX: usize = 63;
/// How often a name must have been seen before it is admitted.
pub const SIGHTINGS: u8 = 8;

const INDEX_SLOTS: usize = NAMES_MAX * 4;
const SKETCH_SLOTS: usize = 1 << 14;
/// After so many sightings all counters are halved, so that rare names do not add up over days.
const SKETCH_PERIOD: u32 = SKETCH_SLOTS as u32 * 4;
const EMPTY: u32 = u32::MAX;

/// The number of an admitted name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct NameId(u16);

impl NameId {
    #[inline]
    pub(super) fn get(self) -> u16 {
        self.0
    }

    /// For numbers read back from a packed document of this process.
    #[inline]
    pub(super) fn from_packed(number: u16) -> NameId {
        NameId(number)
    }

    /// The name's text.
    #[inline]
    pub fn text(self) -> &'static str {
        let entry = self.entry();
        &entry.quoted[entry.text_range.0 as usize..entry.text_range.1 as usize]
    }

    /// The name as it is printed before a member's value: quoted, escaped and with the colon.
    #[inline]
    pub(super) fn printed(self) -> &'static str {
        let entry = self.entry();
        &entry.quoted[..entry.printed_len as usize]
    }

    #[inline]
    fn entry(self) -> &'static Entry {
        table().entries[self.0 as usize]
            .get()
            .expect("a packed name number was handed out by this table")
    }
}

/// Where the name needs no escape, text and printed form share one buffer.
struct Entry {
    quoted: Box<str>,
    printed_len: u16,
    text_range: (u16, u16),
}

impl Entry {
    fn new(name: &str) -> Entry {
        let mut printed = Vec::with_capacity(name.len() + 3);
        super::print::string(name.as_bytes(), &mut printed);
        printed.push(b':');
        let printed_len = printed.len() as u16;
        let text_range = if printed.len() == name.len() + 3 {
            (1, 1 + name.len() as u16)
        } else {
            printed.extend_from_slice(name.as_bytes());
            (printed_len, printed_len + name.len() as u16)
        };
        let quoted = String::from_utf8(printed).expect("escaped UTF-8 is UTF-8").into_boxed_str();
        Entry { quoted, printed_len, text_range }
    }
}

struct Table {
    hasher: foldhash::fast::RandomState,
    entries: Box<[OnceLock<Entry>]>,
    /// Open addressing from hash to number, written under `grow` alone.
    index: Box<[AtomicU32]>,
    sketch: Box<[AtomicU8]>,
    sighted: AtomicU32,
    grow: Mutex<usize>,
}

fn table() -> &'static Table {
    static TABLE: OnceLock<Table> = OnceLock::new();
    TABLE.get_or_init(|| Table {
        hasher: foldhash::fast::RandomState::default(),
        entries: (0..NAMES_MAX).map(|_| OnceLock::new()).collect(),
        index: (0..INDEX_SLOTS).map(|_| AtomicU32::new(EMPTY)).collect(),
        sketch: (0..SKETCH_SLOTS).map(|_| AtomicU8::new(0)).collect(),
        sighted: AtomicU32::new(0),
        grow: Mutex::new(0),
    })
}

/// The number of `name`, if it was admitted. For looking members up.
#[inline]
pub fn find(name: &str) -> Option<NameId> {
    if name.len() > NAME_BYTES_MAX {
        return None;
    }
    let table = table();
    table.find(name, table.hasher.hash_one(name.as_bytes()))
}

/// The number of `name`, admitting it when it has been seen often enough. For storing members.
pub fn admit(name: &str) -> Option<NameId> {
    admit_hashed(name).0
}

/// As [`admit`], with a hash of the name: equal for equal names, whether they have a number or not.
pub(super) fn admit_hashed(name: &str) -> (Option<NameId>, u32) {
    let table = table();
    let hash = table.hasher.hash_one(name.as_bytes());
    let short_hash = (hash >> 32) as u32;
    if name.len() > NAME_BYTES_MAX {
        return (None, short_hash);
    }
    let mut id = table.find(name, hash);
    if id.is_none() && table.sighting_suffices(hash) {
        id = table.insert(name, hash);
    }
    (id, short_hash)
}

impl Table {
    #[inline]
    fn find(&self, name: &str, hash: u64) -> Option<NameId> {
        let mut slot = hash as usize % INDEX_SLOTS;
        loop {
            let number = self.index[slot].load(Ordering::Acquire);
            if number == EMPTY {
                return None;
            }
            let id = NameId(number as u16);
            if id.text() == name {
                return Some(id);
            }
            slot = (slot + 1) % INDEX_SLOTS;
        }
    }

    /// Counts one sighting; the counters are approximate on purpose.
    fn sighting_suffices(&self, hash: u64) -> bool {
        if self.sighted.fetch_add(1, Ordering::Relaxed) >= SKETCH_PERIOD {
            self.sighted.store(0, Ordering::Relaxed);
            for counter in self.sketch.iter() {
                counter.store(counter.load(Ordering::Relaxed) / 2, Ordering::Relaxed);
            }
        }
        let counter = &self.sketch[(hash >> 40) as usize % SKETCH_SLOTS];
        let seen = counter.load(Ordering::Relaxed).saturating_add(1);
        counter.store(seen, Ordering::Relaxed);
        seen >= SIGHTINGS
    }

    fn insert(&self, name: &str, hash: u64) -> Option<NameId> {
        let mut count = self.grow.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        if let Some(id) = self.find(name, hash) {
            return Some(id);
        }
        if *count == NAMES_MAX {
            return None;
        }
        let number = *count;
        assert!(self.entries[number].set(Entry::new(name)).is_ok(), "a name's number is used once");
        *count += 1;
        let mut slot = hash as usize % INDEX_SLOTS;
        while self.index[slot].load(Ordering::Relaxed) != EMPTY {
            slot = (slot + 1) % INDEX_SLOTS;
        }
        // The entry is complete before its number can be found.
        self.index[slot].store(number as u32, Ordering::Release);
        Some(NameId(number as u16))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admit_often(name: &str) -> Option<NameId> {
        (0..SIGHTINGS).find_map(|_| admit(name))
    }

    #[test]
    fn a_name_is_admitted_when_it_keeps_coming_back() {
        assert_eq!(find("names-test-once"), None);
        let id = admit_often("names-test-often").unwrap();
        assert_eq!(find("names-test-often"), Some(id));
        assert_eq!(admit("names-test-often"), Some(id));
        assert_eq!(id.text(), "names-test-often");
        assert_eq!(id.printed(), "\"names-test-often\":");
    }

    #[test]
    fn a_name_that_needs_escapes_has_both_forms() {
        let id = admit_often("names\"test\n~/\0").unwrap();
        assert_eq!(id.text(), "names\"test\n~/\0");
        assert_eq!(id.printed(), "\"names\\\"test\\n~/\\u0000\":");
    }

    #[test]
    fn long_names_are_left_alone() {
        let long = "x".repeat(NAME_BYTES_MAX + 1);
        assert_eq!(admit_often(&long), None);
        assert!(admit_often(&long[..NAME_BYTES_MAX]).is_some());
    }

    #[test]
    fn threads_agree_on_numbers() {
        let ids: Vec<Vec<_>> = std::thread::scope(|scope| {
            let work =
                || (0..64).map(|i| admit_often(&format!("names-thread-{i}")).unwrap()).collect();
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(work)).collect();
            threads.into_iter().map(|t| t.join().unwrap()).collect()
        });
        assert!(ids.iter().all(|other| *other == ids[0]));
    }
}
