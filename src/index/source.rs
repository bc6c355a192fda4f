//! The source of an index, as it was given in a definition.

use crate::limit;

/// The most indexes of one model.
pub const INDEXES_MAX: usize = limit::INDEXES.default as usize;
/// The most parts of one index.
pub const PARTS_MAX: usize = limit::INDEX_PARTS.default as usize;
/// The most values that a document may have in one part when it is written.
pub const PART_VALUES_MAX: usize = limit::INDEX_VALUES.default as usize;
/// The longest name of an index, in bytes.
pub const INDEX_NAME_BYTES_MAX: usize = limit::INDEX_NAME_BYTES.default as usize;

/// The source of an index, which is stored and sent with the definition.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IndexSource {
    pub name: Box<str>,
    /// Paths and expressions; a path begins with `$` or `/`.
    pub parts: Vec<Box<str>>,
    /// Flag: no two documents have the same values in all parts.
    pub unique: bool,
    /// The condition of the documents that are in the index; none for all.
    pub only: Option<Box<str>>,
}

impl IndexSource {
    /// About the bytes when stored or sent.
    pub fn bytes(&self) -> usize {
        let parts = self.parts.iter().map(|part| part.len() + 1).sum::<usize>();
        4 + self.name.len() + parts + self.only.as_ref().map_or(0, |only| only.len())
    }
}
