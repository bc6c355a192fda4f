//! An ordered set of byte strings, in packed chunks.
//!
//! Chunks stand in groups, so that an insertion moves few pointers and the entries of a range are counted from the
//! lengths of groups and chunks. Neighbouring entries of an index have most of their bytes in common, which a chunk
//! stores once: an entry takes little more than what makes it different.

use super::chunk::{EntryChunk, EntryInsertion, KeyHead};
use super::key;
use super::page::EntryPage;

/// A group with more chunks is split.
const GROUP_CHUNKS: usize = 128;

/// An ordered set of byte strings.
#[derive(Default)]
pub struct EntryTree {
    groups: Vec<Group>,
    len: usize,
    /// Bytes in chunks.
    chunk_bytes: usize,
    /// The entries that have the key of the one before, where they are counted: see [`EntryTree::insert_unique`].
    pub duplicates: usize,
}

/// Chunks one after the other; never empty.
struct Group {
    chunks: Vec<EntryChunk>,
    /// The number of all entries.
    len: usize,
    /// That of the first chunk, so that a search among groups reads no chunk.
    head: KeyHead,
}

/// The place of the last insertion among those of strings that come in their order, see [`EntryTree::insert_next`]. It is
/// valid while the tree changes by them alone.
#[derive(Default)]
pub struct InsertionPoint {
    /// The numbers of the group, and of the chunk in it, that end with `last`; none if another string is behind `last` there.
    chunk: Option<(usize, usize)>,
    last: Vec<u8>,
}

/// The order in which entries are read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Direction {
    #[default]
    Ascending,
    Descending,
}

impl Group {
    fn new(chunks: Vec<EntryChunk>) -> Group {
        let len = chunks.iter().map(EntryChunk::count).sum();
        let head = chunks[0].head();
        Group { chunks, len, head }
    }

    /// As [`EntryChunk::begins_by`].
    #[inline]
    fn begins_by(&self, head: KeyHead, key: &[u8]) -> bool {
        if self.head == head { self.chunks[0].first() <= key } else { self.head < head }
    }

    /// The chunk in which a string is, or would be.
    fn find(&self, key: &[u8]) -> usize {
        let head = KeyHead::of(key);
        self.chunks.partition_point(|chunk| chunk.begins_by(head, key)).saturating_sub(1)
    }
}

/// A tree of strings that come in ascending order.
#[derive(Default)]
pub struct TreeBuilder {
    chunks: Vec<EntryChunk>,
    last: Vec<u8>,
    next: Vec<u8>,
}

impl TreeBuilder {
    /// Adds a string, given in two pieces, that is not less than the last one. One that equals it is there already.
    pub fn push(&mut self, pieces: [&[u8]; 2]) {
        let TreeBuilder { chunks, last, next } = self;
        next.clear();
        pieces.iter().for_each(|piece| next.extend_from_slice(piece));
        if !chunks.is_empty() && last == next {
            return;
        }
        if chunks.last().is_none_or(EntryChunk::is_filled) {
            chunks.last_mut().into_iter().for_each(EntryChunk::tighten);
            chunks.push(EntryChunk::default());
        }
        chunks.last_mut().expect("one was pushed").append(last, next);
        std::mem::swap(last, next);
    }

    pub fn finish(self) -> EntryTree {
        let mut chunks = self.chunks;
        chunks.last_mut().into_iter().for_each(EntryChunk::tighten);
        let (len, chunk_bytes) =
            chunks.iter().fold((0, 0), |(len, bytes), c| (len + c.count(), bytes + c.heap_bytes()));
        let mut groups = Vec::new();
        let mut chunks = chunks.into_iter().peekable();
        while chunks.peek().is_some() {
            let chunks: Vec<EntryChunk> = chunks.by_ref().take(GROUP_CHUNKS * 3 / 4).collect();
            groups.push(Group::new(chunks));
        }
        EntryTree { groups, len, chunk_bytes, duplicates: 0 }
    }
}

impl EntryTree {
    /// A tree of strings in ascending order.
    pub fn from_sorted<K: AsRef<[u8]>>(keys: impl Iterator<Item = K>) -> EntryTree {
        let mut tree = TreeBuilder::default();
        keys.for_each(|key| tree.push([key.as_ref(), &[]]));
        tree.finish()
    }

    /// A tree with these strings in this order.
    #[cfg(test)]
    pub fn unsorted(keys: &[Vec<u8>]) -> EntryTree {
        let chunk = EntryChunk::unsorted(keys);
        let (len, chunk_bytes) = (chunk.count(), chunk.heap_bytes());
        EntryTree { groups: vec![Group::new(vec![chunk])], len, chunk_bytes, duplicates: 0 }
    }

    /// The chunks in their order.
    pub fn into_chunks(self) -> Vec<EntryChunk> {
        self.groups.into_iter().flat_map(|group| group.chunks).collect()
    }

    pub fn len(&self) -> usize {
        self.len
    }

    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Bytes on the heap.
    pub fn heap_bytes(&self) -> usize {
        let chunks = self.groups.iter().map(|group| group.chunks.capacity());
        self.chunk_bytes
            + self.groups.capacity() * size_of::<Group>()
            + chunks.sum::<usize>() * size_of::<EntryChunk>()
    }

    fn find(&self, key: &[u8]) -> usize {
        let head = KeyHead::of(key);
        self.groups.partition_point(|group| group.begins_by(head, key)).saturating_sub(1)
    }

    pub fn contains(&self, key: &[u8]) -> bool {
        let Some(group) = self.groups.get(self.find(key)) else { return false };
        group.chunks[group.find(key)].contains(key)
    }

    /// Adds a string; returns false if it was there.
    pub fn insert(&mut self, key: &[u8]) -> bool {
        let at = self.find(key);
        let Some(group) = self.groups.get_mut(at) else {
            let chunk = EntryChunk::one(key);
            self.chunk_bytes += chunk.heap_bytes();
            self.groups.push(Group::new(vec![chunk]));
            self.len += 1;
            return true;
        };
        let nth = group.find(key);
        let chunk = &mut group.chunks[nth];
        self.chunk_bytes -= chunk.heap_bytes();
        let insertion = chunk.insert(key);
        let inserted = insertion != EntryInsertion::Known;
        if chunk.is_full() {
            let greater = chunk.split(insertion);
            self.chunk_bytes += greater.heap_bytes();
            group.chunks.insert(nth + 1, greater);
        }
        self.chunk_bytes += group.chunks[nth].heap_bytes();
        group.len += usize::from(inserted);
        group.head = group.chunks[0].head();
        self.len += usize::from(inserted);
        self.split_if_full(at);
        inserted
    }

    /// As [`EntryTree::insert`], of a string that is greater than the one that was inserted at this point before. Strings that
    /// come in their order with no other ones between them are appended to chunks.
    pub fn insert_next(&mut self, key: &[u8], point: &mut InsertionPoint) -> bool {
        if let Some((at, nth)) = point.chunk
            && *point.last < *key
            && !self.begins_behind(at, nth, key)
        {
            let group = &mut self.groups[at];
            let chunk = &mut group.chunks[nth];
            self.chunk_bytes -= chunk.heap_bytes();
            if chunk.is_filled() {
                chunk.tighten();
                let next = EntryChunk::one(key);
                self.chunk_bytes += chunk.heap_bytes() + next.heap_bytes();
                group.chunks.insert(nth + 1, next);
                point.chunk = Some((at, nth + 1));
            } else {
                chunk.append(&point.last, key);
                self.chunk_bytes += chunk.heap_bytes();
            }
            group.len += 1;
            self.len += 1;
            if self.split_if_full(at) {
                point.chunk = None;
            }
            key.clone_into(&mut point.last);
            return true;
        }
        let inserted = self.insert(key);
        let at = self.find(key);
        let nth = self.groups[at].find(key);
        point.chunk = self.groups[at].chunks[nth].ends_with(key).then_some((at, nth));
        key.clone_into(&mut point.last);
        inserted
    }

    /// Returns true if the chunk behind this one begins by a string.
    fn begins_behind(&self, at: usize, nth: usize, key: &[u8]) -> bool {
        let next = self.groups[at].chunks.get(nth + 1);
        let next = next.or_else(|| self.groups.get(at + 1).map(|group| &group.chunks[0]));
        next.is_some_and(|chunk| chunk.begins_by(KeyHead::of(key), key))
    }

    /// Splits a group that has too many chunks. Returns true if it had.
    fn split_if_full(&mut self, at: usize) -> bool {
        let group = &mut self.groups[at];
        let is_full = group.chunks.len() > GROUP_CHUNKS;
        if is_full {
            let chunks = group.chunks.split_off(GROUP_CHUNKS / 2);
            let greater = Group::new(chunks);
            group.len -= greater.len;
            self.groups.insert(at + 1, greater);
        }
        is_full
    }

    /// Removes a string; returns false if it was not there.
    pub fn remove(&mut self, key: &[u8]) -> bool {
        let at = self.find(key);
        let Some(group) = self.groups.get_mut(at) else { return false };
        let nth = group.find(key);
        let chunk = &mut group.chunks[nth];
        let before = chunk.heap_bytes();
        if !chunk.remove(key) {
            return false;
        }
        self.chunk_bytes = self.chunk_bytes + chunk.heap_bytes() - before;
        group.len -= 1;
        self.len -= 1;
        if chunk.count() == 0 {
            self.chunk_bytes -= group.chunks.remove(nth).heap_bytes();
            if group.chunks.is_empty() {
                self.groups.remove(at);
                return true;
            }
        } else if nth + 1 < group.chunks.len()
            && group.chunks[nth].merges_with(&group.chunks[nth + 1])
        {
            let greater = group.chunks.remove(nth + 1);
            let chunk = &mut group.chunks[nth];
            self.chunk_bytes -= greater.heap_bytes() + chunk.heap_bytes();
            chunk.merge(&greater);
            self.chunk_bytes += chunk.heap_bytes();
        }
        group.head = group.chunks[0].head();
        let len = group.chunks.len();
        if group.chunks.capacity() > 4 * len.max(4) {
            group.chunks.shrink_to(2 * len);
        }
        true
    }

    /// As [`EntryTree::insert`], of an entry of an index with UNIQUE, which begins with this key: duplicates are counted.
    pub fn insert_unique(&mut self, entry: &[u8], key: &[u8]) -> bool {
        let inserted = self.insert(entry);
        if inserted && !key::is_exempt(key) && self.holders(key, 2) > 1 {
            self.duplicates += 1;
        }
        inserted
    }

    /// As [`EntryTree::remove`], of an entry of an index with UNIQUE, which begins with this key: duplicates are counted.
    pub fn remove_unique(&mut self, entry: &[u8], key: &[u8]) -> bool {
        let removed = self.remove(entry);
        if removed && !key::is_exempt(key) && self.holders(key, 1) > 0 {
            self.duplicates = self.duplicates.saturating_sub(1);
        }
        removed
    }

    /// The number of entries that begin with a key, at most `most`.
    fn holders(&self, key: &[u8], most: usize) -> usize {
        self.page(key, &key::successor(key.to_vec()), Direction::Ascending, most).len()
    }

    /// The number of strings that are smaller.
    pub fn rank(&self, key: &[u8]) -> usize {
        let at = self.find(key);
        let Some(group) = self.groups.get(at) else { return 0 };
        let nth = group.find(key);
        let groups: usize = self.groups[..at].iter().map(|group| group.len).sum();
        let chunks: usize = group.chunks[..nth].iter().map(EntryChunk::count).sum();
        groups + chunks + group.chunks[nth].rank(key)
    }

    /// The number of strings from `low` on and before `high`.
    pub fn count(&self, low: &[u8], high: &[u8]) -> usize {
        if low < high { self.rank(high) - self.rank(low) } else { 0 }
    }

    /// The first strings from `low` on and before `high`, at most `most`; in descending order the last ones.
    pub fn page(&self, low: &[u8], high: &[u8], direction: Direction, most: usize) -> EntryPage {
        if low >= high || most == 0 {
            return EntryPage::default();
        }
        let mut page = EntryPage::for_entries(most);
        match direction {
            Direction::Ascending => self.ascend(low, high, most, &mut page),
            Direction::Descending => self.descend(low, high, most, &mut page),
        }
        page
    }

    fn ascend(&self, low: &[u8], high: &[u8], most: usize, page: &mut EntryPage) {
        let first = self.find(low);
        for (at, group) in self.groups.iter().enumerate().skip(first) {
            let from = if at == first { group.find(low) } else { 0 };
            for chunk in &group.chunks[from..] {
                let more = chunk.each_from(low, |key| {
                    let within = key < high;
                    if within {
                        page.push(key);
                    }
                    within && page.len() < most
                });
                if !more {
                    return;
                }
            }
        }
    }

    fn descend(&self, low: &[u8], high: &[u8], most: usize, page: &mut EntryPage) {
        let mut keys = EntryPage::default();
        let last = self.find(high);
        for (at, group) in self.groups.iter().enumerate().take(last + 1).rev() {
            let to = if at == last { group.find(high) } else { group.chunks.len() - 1 };
            for chunk in group.chunks[..=to].iter().rev() {
                keys.clear();
                chunk.each_from(low, |key| {
                    let within = key < high;
                    if within {
                        keys.push(key);
                    }
                    within
                });
                let room = most - page.len();
                keys.iter().rev().take(room).for_each(|key| page.push(key));
                if page.len() == most || chunk.first() <= low {
                    return;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn check(tree: &EntryTree, naive: &BTreeSet<Vec<u8>>, low: &[u8], high: &[u8], most: usize) {
        assert_eq!(tree.len(), naive.len());
        assert_eq!(tree.rank(low), naive.iter().filter(|key| key[..] < *low).count());
        let within: Vec<_> =
            naive.iter().filter(|key| key[..] >= *low && key[..] < *high).cloned().collect();
        assert_eq!(tree.count(low, high), within.len());
        let ascending: Vec<_> = within.iter().take(most).cloned().collect();
        let page = |direction| -> Vec<Vec<u8>> {
            tree.page(low, high, direction, most).iter().map(<[u8]>::to_vec).collect()
        };
        assert_eq!(page(Direction::Ascending), ascending);
        let descending: Vec<_> = within.iter().rev().take(most).cloned().collect();
        assert_eq!(page(Direction::Descending), descending);
        let bytes = tree.groups.iter().flat_map(|group| &group.chunks).map(EntryChunk::heap_bytes);
        assert_eq!(tree.chunk_bytes, bytes.sum::<usize>());
        for group in &tree.groups {
            assert_eq!(group.head, group.chunks[0].head());
            group.chunks.iter().for_each(|one| assert_eq!(one.head(), KeyHead::of(one.first())));
        }
        let sorted = EntryTree::from_sorted(naive.iter());
        assert_eq!(sorted.page(&[], &[255; 9], Direction::Ascending, 1 << 20).len(), naive.len());
    }

    fn key() -> impl Strategy<Value = Vec<u8>> {
        let long = prop_oneof![Just(0_usize), Just(0), Just(0), Just(200), Just(900)];
        (prop::collection::vec(prop_oneof![Just(0_u8), Just(1), Just(97), Just(254)], 0..7), long)
            .prop_map(|(mut key, long)| {
                key.extend(std::iter::repeat_n(7, long));
                key
            })
    }

    proptest! {
        #[test]
        fn a_tree_is_an_ordered_set(
            steps in prop::collection::vec((key(), any::<bool>()), 1..400),
            low in key(), high in key(), most in 0_usize..40,
        ) {
            let (mut tree, mut naive) = (EntryTree::default(), BTreeSet::new());
            for (key, adds) in steps {
                if adds {
                    prop_assert_eq!(tree.insert(&key), naive.insert(key.clone()));
                } else {
                    prop_assert_eq!(tree.remove(&key), naive.remove(&key));
                }
                prop_assert_eq!(tree.contains(&key), adds);
            }
            check(&tree, &naive, &low, &high, most);
        }
    }

    proptest! {
        #[test]
        fn strings_are_inserted_in_their_order_among_others(
            there in prop::collection::btree_set("[ab]{0,30}", 0..90),
            runs in prop::collection::vec(prop::collection::btree_set("[ab]{0,30}", 0..400), 0..4),
        ) {
            let (mut tree, mut naive) = (EntryTree::default(), BTreeSet::new());
            for key in there {
                tree.insert(key.as_bytes());
                naive.insert(key.into_bytes());
            }
            for run in runs {
                let mut point = InsertionPoint::default();
                for key in run {
                    let inserted = tree.insert_next(key.as_bytes(), &mut point);
                    prop_assert_eq!(inserted, naive.insert(key.into_bytes()));
                }
            }
            check(&tree, &naive, b"ab", b"bb", 1000);
        }
    }

    #[test]
    fn strings_in_their_order_fill_chunks() {
        let keys: Vec<Vec<u8>> = (0..50_000).map(|nth| format!("order:{nth:08}").into()).collect();
        let mut tree = EntryTree::default();
        keys.iter().for_each(|key| assert!(tree.insert(key)));
        check(&tree, &keys.iter().cloned().collect(), b"order:00020000", b"order:00030007", 1000);
        let built = EntryTree::from_sorted(keys.iter());
        assert!(tree.heap_bytes() < built.heap_bytes() * 6 / 5, "{}", tree.heap_bytes());
        let (mut appended, mut point) = (EntryTree::default(), InsertionPoint::default());
        keys.iter().for_each(|key| assert!(appended.insert_next(key, &mut point)));
        check(
            &appended,
            &keys.iter().cloned().collect(),
            b"order:00020000",
            b"order:00030007",
            1000,
        );
        assert!(appended.heap_bytes() < built.heap_bytes() * 11 / 10, "{}", appended.heap_bytes());
    }

    #[test]
    fn large_trees_grow_and_shrink() {
        let (mut tree, mut naive) = (EntryTree::default(), BTreeSet::new());
        let mut state = 7_u64;
        let mut next = |below: u64| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 33) % below
        };
        for phase in 0..3 {
            for _ in 0..60_000 {
                let key = format!("order:{:08}", next(100_000)).into_bytes();
                if next(10) < if phase == 1 { 3 } else { 8 } {
                    assert_eq!(tree.insert(&key), naive.insert(key));
                } else {
                    assert_eq!(tree.remove(&key), naive.remove(&key));
                }
            }
            check(&tree, &naive, b"order:00020000", b"order:00030007", 1000);
            check(&tree, &naive, b"", b"\xff", 5);
        }
        let sorted = EntryTree::from_sorted(naive.iter());
        check(&sorted, &naive, b"order:00020000", b"order:00030007", 1000);
        assert!(sorted.heap_bytes() < naive.len() * 10, "{}", sorted.heap_bytes());
        // Memory follows the entries that are left, wherever they are.
        for (nth, key) in naive.iter().enumerate() {
            if nth % 1000 != 0 {
                assert!(tree.remove(key));
            }
        }
        let left = tree.heap_bytes();
        assert!(left < tree.len() * 1000, "{left} bytes of {} entries", tree.len());
        for key in &naive {
            tree.insert(key);
        }
        for key in &naive {
            assert!(tree.remove(key));
        }
        assert!(
            tree.is_empty()
                && tree.chunk_bytes == 0
                && tree.page(b"", b"z", Direction::Descending, 9).is_empty()
        );
    }
}
