//! Documents that are gathered, to build the trees of a table at once by sorting.
//!
//! Entries are sorted where they are in the records of their documents, eight bytes at a time, which are copied beside each
//! of them: sorting reads a record once for eight bytes, and nothing is copied before a tree is written. Records that come
//! next in an order other than that of memory are read ahead, some together, so that the waits for memory overlap.

use std::hint::black_box;

use smallvec::SmallVec;

use super::entries::{Entries, EntriesIter};
use super::key::{NAME_TAG, is_exempt};
use super::records::{entries_of, name_of, record};
use super::tree::{EntryTree, TreeBuilder};

/// Fewer entries with the same bytes are compared whole.
const RUN_MIN: usize = 4;
/// Entries with so many bytes in common are compared whole.
const DEPTH_MAX: usize = 1024;
/// The bytes that are compared at once.
const HEAD_BYTES: usize = size_of::<u64>();
/// Fewer entries are compared, more are distributed by each byte of their heads.
const DISTRIBUTED_MIN: usize = 512;
/// The records that are read ahead together. All of them fit in the nearest cache.
const AHEAD: usize = 64;

/// The records of documents with different names.
#[derive(Default)]
pub struct Gathered {
    records: Vec<Box<[u8]>>,
    /// That of the entries, see [`Entries`]; more where they are of different indexes.
    fingerprints: SmallVec<[u64; 1]>,
}

/// An entry of an index, or a name, in the record of its document.
#[derive(Clone, Copy)]
struct Item<'r> {
    /// Some of its bytes, which the items around it are being sorted by.
    head: u64,
    record: &'r [u8],
    /// The offset in the record, see [`EntriesIter`]; none for the name.
    at: Option<u32>,
}

impl Gathered {
    pub fn add(&mut self, name: &[u8], entries: &Entries) {
        self.records.push(record(name, entries));
        if !self.fingerprints.contains(&entries.fingerprint) {
            self.fingerprints.push(entries.fingerprint);
        }
    }

    /// Removes the document that was added last.
    pub fn remove_last(&mut self) {
        self.records.pop();
    }

    /// Keeps the documents with these names.
    pub fn retain(&mut self, is_kept: impl Fn(&[u8]) -> bool) {
        self.records.retain(|record| is_kept(name_of(record)));
    }

    /// Returns true if all entries are those in the indexes of this fingerprint.
    pub fn is_of(&self, fingerprint: u64) -> bool {
        self.fingerprints.iter().all(|of| *of == fingerprint)
    }

    /// The number of records.
    pub fn count(&self) -> usize {
        self.records.len()
    }

    /// The tree of all names. It has fewer entries than there are records if a name was gathered twice.
    pub fn names(&self) -> EntryTree {
        let names = self.records.iter().map(|record| Item { head: 0, record, at: None });
        tree(names.collect(), false)
    }

    /// The tree of an index. For one with UNIQUE duplicates are counted, where no name was gathered twice.
    pub fn tree(&self, index: u8, is_unique: bool) -> EntryTree {
        let mut items = Vec::with_capacity(self.records.len());
        for record in &self.records {
            let mut entries = entries_of(record);
            loop {
                let at = record.len() - entries.rest().len();
                match entries.next() {
                    Some((number, _)) if number == index => {
                        items.push(Item { head: 0, record, at: Some(at as u32) });
                    }
                    // They are in the order of indexes.
                    Some((number, _)) if number < index => {}
                    _ => break,
                }
            }
        }
        tree(items, is_unique)
    }

    pub fn into_records(self) -> Vec<Box<[u8]>> {
        self.records
    }
}

fn tree(mut items: Vec<Item<'_>>, is_unique: bool) -> EntryTree {
    let mut spare = items.clone();
    sort(&mut items, &mut spare, 0);
    drop(spare);
    let mut tree = TreeBuilder::default();
    let (mut last, mut duplicates) = (None, 0);
    for items in items.chunks(AHEAD) {
        read_ahead(items, 0);
        for item in items {
            let pieces = item.pieces();
            tree.push(pieces);
            if is_unique && last.replace(pieces[0]) == Some(pieces[0]) && !is_exempt(pieces[0]) {
                duplicates += 1;
            }
        }
    }
    let mut tree = tree.finish();
    tree.duplicates = duplicates;
    tree
}

/// Sorts items that have their first `depth` bytes in common. `spare` has the same length.
fn sort<'r>(items: &mut [Item<'r>], spare: &mut [Item<'r>], depth: usize) {
    if items.len() < RUN_MIN || depth > DEPTH_MAX {
        // No key is the beginning of another one, so pieces compare as what they make in a row.
        return items.sort_unstable_by(|a, b| a.pieces().cmp(&b.pieces()));
    }
    for items in items.chunks_mut(AHEAD) {
        read_ahead(items, depth);
        items.iter_mut().for_each(|item| item.head = item.head_at(depth));
    }
    match items.len() {
        ..DISTRIBUTED_MIN => items.sort_unstable_by_key(|item| item.head),
        _ => distribute(items, spare),
    }
    for run in items.chunk_by_mut(|a, b| a.head == b.head) {
        if run.len() > 1 {
            let len = run.len();
            sort(run, &mut spare[..len], depth + HEAD_BYTES);
        }
    }
}

/// Reads the length of each name, and the bytes of each entry from `depth` on.
fn read_ahead(items: &[Item<'_>], depth: usize) {
    let mut bytes = 0;
    for Item { record, at, .. } in items {
        let last = record.len() - 1;
        let at = at.unwrap_or_default() as usize;
        bytes ^= record[0]
            ^ record[(at + depth).min(last)]
            ^ record[(at + depth + HEAD_BYTES).min(last)];
    }
    black_box(bytes);
}

/// Sorts items by their heads: by each byte in turn, the last one first. A byte that all have in common costs nothing.
fn distribute<'r>(items: &mut [Item<'r>], spare: &mut [Item<'r>]) {
    let byte = |item: &Item<'_>, nth: usize| usize::from((item.head >> (8 * nth)) as u8);
    let mut starts = [[0_usize; 256]; HEAD_BYTES];
    for item in &*items {
        starts.iter_mut().enumerate().for_each(|(nth, counts)| counts[byte(item, nth)] += 1);
    }
    let (mut from, mut to) = (items, spare);
    let mut is_elsewhere = false;
    for (nth, starts) in starts.iter_mut().enumerate() {
        if starts[byte(&from[0], nth)] == from.len() {
            continue;
        }
        let mut before = 0;
        starts.iter_mut().for_each(|start| before += std::mem::replace(start, before));
        for item in &*from {
            let start = &mut starts[byte(item, nth)];
            to[*start] = *item;
            *start += 1;
        }
        std::mem::swap(&mut from, &mut to);
        is_elsewhere = !is_elsewhere;
    }
    if is_elsewhere {
        to.copy_from_slice(from);
    }
}

impl<'r> Item<'r> {
    /// Key and name, which in a row are the entry.
    fn pieces(&self) -> [&'r [u8]; 2] {
        let name = name_of(self.record);
        match self.at {
            None => [&[NAME_TAG], name],
            Some(at) => {
                let mut entries = EntriesIter::new(&self.record[at as usize..]);
                [entries.next().expect("an entry is there").1, name]
            }
        }
    }

    /// Bytes from `depth` on, and zeros behind the last one: of different heads the smaller one is that of the smaller
    /// entry.
    fn head_at(&self, depth: usize) -> u64 {
        let [key, name] = self.pieces();
        let mut head = [0; HEAD_BYTES];
        let of_key = key.get(depth..).unwrap_or_default();
        let of_name = name.get(depth.saturating_sub(key.len())..).unwrap_or_default();
        let len = of_key.len().min(HEAD_BYTES);
        head[..len].copy_from_slice(&of_key[..len]);
        let more = of_name.len().min(HEAD_BYTES - len);
        head[len..len + more].copy_from_slice(&of_name[..more]);
        u64::from_be_bytes(head)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::index::{Direction, IndexMask};

    fn all(tree: &EntryTree) -> Vec<Vec<u8>> {
        let page = tree.page(&[], &[255; 4], Direction::Ascending, usize::MAX);
        page.iter().map(<[u8]>::to_vec).collect()
    }

    /// Names with much in common, some of which begin others, some longer than is sorted by heads.
    fn name() -> impl Strategy<Value = Vec<u8>> {
        let common = prop_oneof![Just(0_usize), Just(3), Just(17), Just(1100)];
        let end =
            prop::collection::vec(prop_oneof![Just(0_u8), Just(1), Just(97), Just(254)], 0..12);
        (common, end).prop_map(|(common, end)| [vec![7; common], end].concat())
    }

    proptest! {
        #[test]
        fn gathered_documents_are_sorted(
            names in prop::collection::btree_set(name(), 0..120),
            values in prop::collection::vec(prop::collection::btree_set(0_u8..9, 0..4), 120),
        ) {
            let mut gathered = Gathered::default();
            let mut expected = vec![Vec::new(); 2];
            for (name, values) in names.iter().zip(&values) {
                let keys = values.iter().map(|value| (value % 2, vec![5, *value, 0]));
                let keys: std::collections::BTreeSet<_> = keys.collect();
                gathered.add(name, &Entries::of_keys(&keys));
                for (index, key) in keys {
                    expected[usize::from(index)].push([&key[..], name].concat());
                }
            }
            for (index, mut expected) in expected.into_iter().enumerate() {
                expected.sort();
                prop_assert_eq!(all(&gathered.tree(index as u8, false)), expected);
            }
            let tagged: Vec<_> = names.iter().map(|name| [&[NAME_TAG], &name[..]].concat()).collect();
            prop_assert_eq!(all(&gathered.names()), tagged);
            prop_assert_eq!(gathered.count(), names.len());
        }
    }

    #[test]
    fn many_documents_are_sorted() {
        let mut gathered = Gathered::default();
        let key =
            |nth: u32| vec![5, (nth.wrapping_mul(2_654_435_761) >> 20) as u8, (nth % 3) as u8];
        let name = |nth: u32| format!("order:{}", nth.wrapping_mul(40_503) % 5000).into_bytes();
        (0..5000).for_each(|nth| gathered.add(&name(nth), &Entries::of_keys(&[(0, key(nth))])));
        let mut expected: Vec<Vec<u8>> =
            (0..5000).map(|nth| [key(nth), name(nth)].concat()).collect();
        expected.sort();
        assert_eq!(all(&gathered.tree(0, false)), expected);
        let mut names: Vec<Vec<u8>> =
            (0..5000).map(|nth| [vec![NAME_TAG], name(nth)].concat()).collect();
        names.sort();
        assert_eq!(all(&gathered.names()), names);
    }

    #[test]
    fn gathered_documents_are_taken_back() {
        let of = |fingerprint| Entries::new(IndexMask::ALL, fingerprint, 0);
        let mut gathered = Gathered::default();
        assert!(gathered.is_of(7));
        (0..9).for_each(|nth| gathered.add(&[nth], &of(7)));
        gathered.remove_last();
        gathered.retain(|name| name[0] % 2 == 0);
        let names: Vec<Vec<u8>> = (0..4).map(|nth| vec![NAME_TAG, 2 * nth]).collect();
        assert_eq!(all(&gathered.names()), names);
        assert!(gathered.is_of(7) && !gathered.is_of(8));
        gathered.add(&[1], &of(8));
        assert!(!gathered.is_of(7) && !gathered.is_of(8));
    }

    #[test]
    fn a_name_that_was_gathered_twice_is_in_the_tree_once() {
        let mut gathered = Gathered::default();
        (0..50).for_each(|nth| gathered.add(&[nth % 25], &Entries::default()));
        assert_eq!((gathered.count(), gathered.names().len()), (50, 25));
    }
}
