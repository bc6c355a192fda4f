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
//! Numbers are private to this process: nothing that leaves it (DUMP, AOF, replication) may hold one, but an RDB file,
//! which has a table of the names ([`super::saved`]).

use std::hash::BuildHasher;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU16, AtomicU32, Ordering};
use std::sync::{Mutex, OnceLock};

use super::quote::BLOCK;

/// Names the table can hold. One number of 14 bits is left for [`NameId::NONE`].
pub const NAMES_MAX: usize = (1 << 14) - 1;
/// Longest name, in bytes, that is worth sharing here: 16,383 names take little more than 2 MiB.
pub const NAME_BYTES_MAX: usize = 63;
/// How often a name must have been seen before it is admitted.
pub const SIGHTINGS: u8 = 8;

const INDEX_SLOTS: usize = 1 << 16;
/// Twice as many as there are sightings in a period, so that different names seldom add up in one counter.
const SKETCH_SLOTS: usize = 1 << 17;
/// After so many sightings all counters are halved, so that rare names do not add up over days.
const SKETCH_PERIOD: u32 = 1 << 16;
const EMPTY: u32 = 0;
const SUCCESSOR_SLOTS: usize = 1 << 10;

/// The number of an admitted name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct NameId(u16);

impl NameId {
    /// The number of no name.
    pub(super) const NONE: NameId = NameId(NAMES_MAX as u16);

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
        self.entry().text
    }

    #[inline]
    pub(super) fn mark(self) -> Mark {
        self.entry().mark
    }

    /// The name as it is printed before a member's value: quoted, escaped and with the colon. The
    /// bytes are longer than that, by no more than it takes to copy whole blocks of
    /// [`BLOCK`]; the second is where the name ends.
    #[inline]
    pub(super) fn printed(self) -> (&'static [u8], usize) {
        self.entry().printed()
    }

    #[inline]
    fn entry(self) -> &'static SharedName {
        ENTRIES[usize::from(self.0)]
            .get()
            .expect("a packed name number was handed out by this table")
    }
}

struct SharedName {
    text: &'static str,
    printed: &'static [u8],
    printed_len: u16,
    mark: Mark,
}

/// A hash of a name: equal for equal names, whether they have a number or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Mark(u32);

impl Mark {
    /// The mark of a name that may have no number.
    pub fn of(name: &str) -> Mark {
        Mark::of_hash(hash(name))
    }

    fn of_hash(hash: u64) -> Mark {
        Mark((hash >> 32) as u32)
    }

    pub fn get(self) -> u32 {
        self.0
    }
}

impl SharedName {
    #[inline]
    fn printed(&self) -> (&'static [u8], usize) {
        (self.printed, self.printed_len.into())
    }

    /// Where the name needs no escape, text and printed form share one buffer.
    fn new(name: &str, mark: Mark) -> SharedName {
        let mut printed = Vec::with_capacity(name.len() + 3 + BLOCK);
        super::quote::string(name.as_bytes(), &mut printed);
        printed.push(b':');
        let printed_len = printed.len();
        let blocks_len = printed_len.next_multiple_of(BLOCK);
        let text_start = if printed_len == name.len() + 3 {
            1
        } else {
            printed.extend_from_slice(name.as_bytes());
            printed_len
        };
        printed.resize(printed.len().max(blocks_len), b' ');
        let both: &'static str = String::from_utf8(printed).expect("escaped UTF-8 is UTF-8").leak();
        let text = &both[text_start..text_start + name.len()];
        let printed = &both.as_bytes()[..blocks_len];
        SharedName { text, printed, printed_len: printed_len as u16, mark }
    }
}

// Plain statics, so that a name is one load and one test away.

static ENTRIES: [OnceLock<SharedName>; NAMES_MAX] = [const { OnceLock::new() }; NAMES_MAX];
/// Open addressing from hash to number plus one, 0 where it is empty; written under `GROW` alone.
static INDEX: [AtomicU32; INDEX_SLOTS] = [const { AtomicU32::new(EMPTY) }; INDEX_SLOTS];
static SKETCH: [AtomicU8; SKETCH_SLOTS] = [const { AtomicU8::new(0) }; SKETCH_SLOTS];
static SIGHTED: AtomicU32 = AtomicU32::new(0);
/// Flag: no more names are admitted.
static FULL: AtomicBool = AtomicBool::new(false);
/// How many names there are.
static GROW: Mutex<usize> = Mutex::new(0);
/// Which name came after which the last time: a guess, whoever wrote it.
static SUCCESSORS: [AtomicU16; SUCCESSOR_SLOTS] = [const { AtomicU16::new(0) }; SUCCESSOR_SLOTS];

#[inline]
fn hash(name: &str) -> u64 {
    static HASHER: OnceLock<foldhash::fast::RandomState> = OnceLock::new();
    HASHER.get_or_init(foldhash::fast::RandomState::default).hash_one(name.as_bytes())
}

/// A name that is looked up again and again: its hash, and its number once it has one, are kept with it. Numbers
/// never change, and the table never forgets one.
#[derive(Debug)]
pub struct KeptName {
    text: Box<str>,
    hash: u64,
    number: AtomicU16,
}

impl KeptName {
    pub fn new(text: &str) -> KeptName {
        KeptName { text: text.into(), hash: hash(text), number: AtomicU16::new(NameId::NONE.0) }
    }

    #[inline]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// As [`find`].
    #[inline]
    pub(super) fn number(&self) -> Option<NameId> {
        let known = NameId(self.number.load(Ordering::Relaxed));
        if known == NameId::NONE { self.find() } else { Some(known) }
    }

    /// As [`find_marked`].
    #[inline]
    pub(super) fn find_marked(&self) -> (Option<NameId>, Mark) {
        (self.number(), Mark::of_hash(self.hash))
    }

    fn find(&self) -> Option<NameId> {
        if self.text.len() > NAME_BYTES_MAX {
            return None;
        }
        let id = find_hashed(&self.text, self.hash)?;
        self.number.store(id.0, Ordering::Relaxed);
        Some(id)
    }
}

/// The number of `name`, if it was admitted. For looking members up.
#[inline]
pub fn find(name: &str) -> Option<NameId> {
    if name.len() > NAME_BYTES_MAX {
        return None;
    }
    find_hashed(name, hash(name))
}

/// As [`find`], with the name's mark.
#[inline]
pub(super) fn find_marked(name: &str) -> (Option<NameId>, Mark) {
    let hash = hash(name);
    let id = if name.len() > NAME_BYTES_MAX { None } else { find_hashed(name, hash) };
    (id, Mark::of_hash(hash))
}

/// The number of `name`, admitting it when it has been seen often enough. For storing members.
pub fn admit(name: &str) -> Option<NameId> {
    admit_marked(name).0
}

/// As [`admit`], with the name's mark.
fn admit_marked(name: &str) -> (Option<NameId>, Mark) {
    let hash = hash(name);
    if name.len() > NAME_BYTES_MAX {
        return (None, Mark::of_hash(hash));
    }
    let mut id = find_hashed(name, hash);
    if id.is_none() && !FULL.load(Ordering::Relaxed) && sighting_suffices(hash) {
        id = insert(name, hash);
    }
    (id, Mark::of_hash(hash))
}

/// The number of a name that another process had admitted; none where the table is full.
pub(super) fn admit_saved(name: &str) -> Option<NameId> {
    if name.len() > NAME_BYTES_MAX {
        return None;
    }
    let hash = hash(name);
    find_hashed(name, hash).or_else(|| insert(name, hash))
}

/// All names, by their numbers.
pub fn all() -> impl Iterator<Item = &'static str> {
    ENTRIES.iter().map_while(|entry| entry.get().map(|entry| entry.text))
}

/// Admits names in the order in which documents have them. Objects of one shape repeat, so the name
/// that followed the last one before is tried first: then there is nothing to hash or to look up.
pub(super) struct Sequence {
    slot: usize,
}

impl Sequence {
    pub fn new() -> Sequence {
        Sequence { slot: 0 }
    }

    /// The name that came next the last time, if `text` begins with it as it is printed, with its quotes and its
    /// colon: its number, its text, its mark, and the bytes of the printed form.
    #[inline(always)]
    pub fn predict(&mut self, text: &[u8]) -> Option<(NameId, &'static str, Mark, usize)> {
        let guess = NameId(SUCCESSORS[self.slot].load(Ordering::Relaxed));
        let entry = ENTRIES[usize::from(guess.0)].get()?;
        let (printed, len) = entry.printed();
        let begins = match (text.first_chunk::<BLOCK>(), printed.first_chunk::<BLOCK>()) {
            (Some(text), Some(printed)) if len <= BLOCK => {
                let differences = u128::from_le_bytes(*text) ^ u128::from_le_bytes(*printed);
                differences << (8 * (BLOCK - len)) == 0
            }
            _ => text.get(..len) == Some(&printed[..len]),
        };
        if !begins {
            return None;
        }
        self.slot = (usize::from(guess.0) + 1) % SUCCESSOR_SLOTS;
        Some((guess, entry.text, entry.mark, len))
    }

    /// As [`admit`], with the name's mark.
    #[inline]
    pub fn admit(&mut self, name: &str) -> (Option<NameId>, Mark) {
        let successor = &SUCCESSORS[self.slot];
        let guess = NameId(successor.load(Ordering::Relaxed));
        let (id, mark) = match ENTRIES[usize::from(guess.0)].get() {
            Some(entry) if entry.text == name => (Some(guess), entry.mark),
            _ => admit_marked(name),
        };
        if let Some(id) = id {
            if id != guess {
                successor.store(id.0, Ordering::Relaxed);
            }
            self.slot = (usize::from(id.0) + 1) % SUCCESSOR_SLOTS;
        }
        (id, mark)
    }
}

#[inline]
fn find_hashed(name: &str, hash: u64) -> Option<NameId> {
    let mut slot = hash as usize % INDEX_SLOTS;
    loop {
        let number = INDEX[slot].load(Ordering::Acquire);
        if number == EMPTY {
            return None;
        }
        let id = NameId((number - 1) as u16);
        if id.text() == name {
            return Some(id);
        }
        slot = (slot + 1) % INDEX_SLOTS;
    }
}

/// Counts one sighting; the counters are approximate on purpose.
fn sighting_suffices(hash: u64) -> bool {
    let sighted = SIGHTED.load(Ordering::Relaxed);
    SIGHTED.store(sighted + 1, Ordering::Relaxed);
    if sighted >= SKETCH_PERIOD {
        SIGHTED.store(0, Ordering::Relaxed);
        for counter in &SKETCH {
            counter.store(counter.load(Ordering::Relaxed) / 2, Ordering::Relaxed);
        }
    }
    let counter = &SKETCH[(hash >> 40) as usize % SKETCH_SLOTS];
    let seen = counter.load(Ordering::Relaxed).saturating_add(1);
    counter.store(seen, Ordering::Relaxed);
    seen >= SIGHTINGS
}

fn insert(name: &str, hash: u64) -> Option<NameId> {
    let mut count = GROW.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    if let Some(id) = find_hashed(name, hash) {
        return Some(id);
    }
    if *count == NAMES_MAX {
        return None;
    }
    let number = *count;
    let entry = SharedName::new(name, Mark::of_hash(hash));
    assert!(ENTRIES[number].set(entry).is_ok(), "a name's number is used once");
    *count += 1;
    FULL.store(*count == NAMES_MAX, Ordering::Relaxed);
    let mut slot = hash as usize % INDEX_SLOTS;
    while INDEX[slot].load(Ordering::Relaxed) != EMPTY {
        slot = (slot + 1) % INDEX_SLOTS;
    }
    // The entry is complete before its number can be found.
    INDEX[slot].store(number as u32 + 1, Ordering::Release);
    Some(NameId(number as u16))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admit_often(name: &str) -> Option<NameId> {
        (0..SIGHTINGS).find_map(|_| admit(name))
    }

    fn printed(id: NameId) -> &'static str {
        let (bytes, len) = id.printed();
        assert!(bytes.len().is_multiple_of(BLOCK) && bytes.len() - len < BLOCK);
        std::str::from_utf8(&bytes[..len]).unwrap()
    }

    #[test]
    fn a_name_is_admitted_when_it_keeps_coming_back() {
        assert_eq!(find("names-test-once"), None);
        let id = admit_often("names-test-often").unwrap();
        assert_eq!(find("names-test-often"), Some(id));
        assert_eq!(admit("names-test-often"), Some(id));
        assert_eq!(id.text(), "names-test-often");
        assert_eq!(printed(id), "\"names-test-often\":");
    }

    #[test]
    fn a_name_that_needs_escapes_has_both_forms() {
        let id = admit_often("names\"test\n~/\0").unwrap();
        assert_eq!(id.text(), "names\"test\n~/\0");
        assert_eq!(printed(id), "\"names\\\"test\\n~/\\u0000\":");
    }

    #[test]
    fn a_sequence_admits_what_the_table_does() {
        let names: Vec<_> = (0..8).map(|i| format!("names-sequence-{i}")).collect();
        let ids: Vec<_> = names.iter().map(|name| admit_often(name)).collect();
        for shape in [[0, 1, 2, 3], [0, 1, 2, 3], [0, 2, 1, 7], [7, 7, 0, 1]] {
            let mut sequence = Sequence::new();
            for nth in shape {
                let (id, mark) = sequence.admit(&names[nth]);
                assert_eq!(id, ids[nth]);
                assert_eq!(mark, Mark::of_hash(hash(&names[nth])));
                let mut again = Sequence { slot: sequence.slot };
                let guess = SUCCESSORS[again.slot].load(Ordering::Relaxed);
                for behind in ["", "1", ":123456789012345"] {
                    for known in &names {
                        let slot = again.slot;
                        let text = format!("\"{known}\":{behind}");
                        let predicted = again.predict(text.as_bytes());
                        match NameId(guess).entry().text == known {
                            true => {
                                let (number, name, of, len) = predicted.unwrap();
                                assert_eq!(
                                    (number.0, name, len),
                                    (guess, &**known, known.len() + 3)
                                );
                                assert_eq!(of, Mark::of_hash(hash(known)));
                            }
                            false => assert!(predicted.is_none() && again.slot == slot),
                        }
                        again.slot = slot;
                    }
                }
                let (unknown, mark) = sequence.admit("names-sequence-unknown");
                assert_eq!(
                    (unknown, mark),
                    (find("names-sequence-unknown"), Mark::of_hash(hash("names-sequence-unknown")))
                );
            }
        }
    }

    #[test]
    fn a_kept_name_learns_its_number() {
        let kept = KeptName::new("names-test-kept");
        assert_eq!(kept.find_marked(), (None, Mark::of("names-test-kept")));
        let id = admit_often("names-test-kept");
        assert!(id.is_some());
        for _ in 0..2 {
            assert_eq!(kept.find_marked(), (id, Mark::of("names-test-kept")));
        }
        let long = "y".repeat(NAME_BYTES_MAX + 1);
        assert_eq!(KeptName::new(&long).find_marked(), find_marked(&long));
    }

    #[test]
    fn names_that_are_seen_once_do_not_use_the_table_up() {
        let seen = |nth: u32| admit(&format!("names-test-once-{nth}")).is_some();
        let admitted = (0..500_000).filter(|nth| seen(*nth)).count();
        assert!(admitted < 2000, "{admitted}");
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
