//! Documents that were gathered for new indexes, whose entries are not all in the trees yet.
//!
//! They have records; their entries are in sorted runs, which are merged into the trees when all documents were visited. A
//! document that changes meanwhile gets all its entries at once, and those that are left of it in the runs are passed over.

use std::collections::HashSet;

use super::gathered::Gathered;
use super::ready::ReadyIndexes;
use super::runs::EntryRuns;
use super::tree::EntryTree;

/// The state of a build: the documents of one table that were gathered for it.
#[derive(Default)]
pub struct Building {
    names: EntryRuns,
    /// One for each index.
    trees: Vec<EntryRuns>,
    /// The documents that were written or removed since the build began: all their entries are in the trees.
    followed: HashSet<Box<[u8]>>,
    /// The documents and the entries that were gathered, and the bytes of the latter.
    documents: usize,
    entries: usize,
    bytes: usize,
}

impl Building {
    /// Adds the entries of documents, in the trees that are not ready.
    pub fn add(&mut self, gathered: &Gathered, indexes: usize, ready: ReadyIndexes) {
        self.trees.resize_with(indexes, EntryRuns::default);
        self.documents += gathered.count();
        if !ready.has(None) {
            let tree = self.counted(gathered.names());
            self.names.add(tree);
        }
        for index in (0..indexes as u8).filter(|index| !ready.has(Some(*index))) {
            let tree = self.counted(gathered.tree(index, false));
            self.trees[usize::from(index)].add(tree);
        }
    }

    fn counted(&mut self, tree: EntryTree) -> EntryTree {
        self.entries += tree.len();
        self.bytes += tree.heap_bytes();
        tree
    }

    /// Records that a document is being written or removed. Returns true the first time.
    pub fn follow(&mut self, name: &[u8]) -> bool {
        !self.is_followed(name) && self.followed.insert(name.into())
    }

    /// Removes the next entries of one tree, at most this many, and calls with those that belong there. Returns their number:
    /// none when nothing is left. `key_len` tells the bytes of an entry that are in front of the name.
    pub fn take(
        &mut self,
        most: usize,
        key_len: impl Fn(u8, &[u8]) -> usize,
        mut take: impl FnMut(Option<u8>, &[u8]),
    ) -> usize {
        let Building { names, trees, followed, .. } = self;
        let has_followed = !followed.is_empty();
        if names.left() > 0 {
            return names.take(most, |entry| {
                if !has_followed || !followed.contains(&entry[1..]) {
                    take(None, entry);
                }
            });
        }
        let mut trees = trees.iter_mut().enumerate();
        let Some((index, runs)) = trees.find(|(_, runs)| runs.left() > 0) else { return 0 };
        let index = index as u8;
        runs.take(most, |entry| {
            if !has_followed || !followed.contains(&entry[key_len(index, entry)..]) {
                take(Some(index), entry);
            }
        })
    }

    fn left(&self) -> usize {
        self.names.left() + self.trees.iter().map(EntryRuns::left).sum::<usize>()
    }

    /// Bytes on the heap of entries that are left.
    pub fn heap_bytes(&self) -> usize {
        (self.bytes as u128 * self.left() as u128 / self.entries.max(1) as u128) as usize
    }

    /// About the number of documents that are left.
    pub fn documents_left(&self) -> usize {
        (self.documents as u128 * self.left() as u128 / self.entries.max(1) as u128) as usize
    }

    pub fn is_followed(&self, name: &[u8]) -> bool {
        !self.followed.is_empty() && self.followed.contains(name)
    }

    pub fn followed(&self) -> usize {
        self.followed.len()
    }
}
