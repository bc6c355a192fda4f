//! Sorted runs of entries that go into one ordered set, in their order over all runs.
//!
//! An entry that is inserted by itself waits for memory at the place where it belongs. Entries that come in their order go
//! to the chunk that the one before went to.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::collections::binary_heap::PeekMut;

use super::chunk::{EntryChunk, KeyHead};
use super::tree::EntryTree;

/// EntryRuns that are merged. More may be added at any time.
#[derive(Default)]
pub struct EntryRuns {
    /// The run with the smallest entry is the first one.
    heap: BinaryHeap<Reverse<Front>>,
    /// The entries that are left.
    left: usize,
}

/// The next entry of a run, and those behind it. The first bytes decide most comparisons.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Front {
    head: KeyHead,
    run: Box<EntryRun>,
}

struct EntryRun {
    entry: Vec<u8>,
    /// The chunk that it was read from, and the offset behind it.
    chunk: EntryChunk,
    at: usize,
    chunks: std::vec::IntoIter<EntryChunk>,
}

impl PartialEq for EntryRun {
    fn eq(&self, other: &EntryRun) -> bool {
        self.entry == other.entry
    }
}

impl Eq for EntryRun {}

impl PartialOrd for EntryRun {
    fn partial_cmp(&self, other: &EntryRun) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for EntryRun {
    fn cmp(&self, other: &EntryRun) -> std::cmp::Ordering {
        self.entry.cmp(&other.entry)
    }
}

impl EntryRun {
    /// Reads the next entry. Returns false at the end.
    fn advance(&mut self) -> bool {
        if self.at == self.chunk.len() {
            let Some(chunk) = self.chunks.next() else { return false };
            (self.chunk, self.at) = (chunk, 0);
        }
        self.at = self.chunk.read(self.at, &mut self.entry);
        true
    }
}

impl EntryRuns {
    /// Adds the entries of a tree.
    pub fn add(&mut self, tree: EntryTree) {
        self.left += tree.len();
        let chunks = tree.into_chunks().into_iter();
        let mut run =
            Box::new(EntryRun { entry: Vec::new(), chunk: EntryChunk::default(), at: 0, chunks });
        if run.advance() {
            self.heap.push(Reverse(Front { head: KeyHead::of(&run.entry), run }));
        }
    }

    /// The number of entries that are left.
    pub fn left(&self) -> usize {
        self.left
    }

    /// Calls with the next entries in their order, at most this many, and removes them. Returns their number.
    pub fn take(&mut self, most: usize, mut take: impl FnMut(&[u8])) -> usize {
        let before = self.left;
        while before - self.left < most {
            let Some(mut first) = self.heap.peek_mut() else { break };
            let front = &mut first.0;
            take(&front.run.entry);
            self.left -= 1;
            if front.run.advance() {
                front.head = KeyHead::of(&front.run.entry);
            } else {
                PeekMut::pop(first);
            }
        }
        before - self.left
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn entries_of_all_runs_come_in_their_order(
            runs in prop::collection::vec(prop::collection::btree_set("[ab]{0,30}", 0..90), 0..9),
            most in 1_usize..200,
        ) {
            let (mut merged, mut taken) = (EntryRuns::default(), Vec::new());
            let mut expected: Vec<Vec<u8>> = Vec::new();
            for run in runs {
                merged.add(EntryTree::from_sorted(run.iter()));
                expected.extend(run.into_iter().map(String::into_bytes));
            }
            expected.sort();
            while merged.left() > 0 {
                let left = merged.left();
                let count = merged.take(most, |entry| taken.push(entry.to_vec()));
                prop_assert_eq!(count, most.min(left));
            }
            prop_assert_eq!(merged.take(1, |_| ()), 0);
            prop_assert_eq!(taken, expected);
        }
    }
}
