//! The trees that have all their entries, while others are built.

use super::entries::IndexMask;
use super::set::IndexSet;

/// The trees that have all their entries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReadyIndexes {
    pub indexes: IndexMask,
    /// The names of all documents.
    pub names: bool,
}

impl ReadyIndexes {
    pub const ALL: ReadyIndexes = ReadyIndexes { indexes: IndexMask::ALL, names: true };
    pub const NONE: ReadyIndexes = ReadyIndexes { indexes: IndexMask::NONE, names: false };

    pub fn is_all_of(self, set: &IndexSet) -> bool {
        self.names && (0..set.indexes.len()).all(|index| self.indexes.has(index as u8))
    }

    /// Flag: the tree of an index is ready, or that of all names where none is given.
    pub fn has(self, index: Option<u8>) -> bool {
        index.map_or(self.names, |index| self.indexes.has(index))
    }
}
