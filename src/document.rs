//! A document: a value with its model and its revision.

use crate::value::{Measured, Value};

/// The number of a model definition in this process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ModelId(pub u32);

/// The built-in model of documents without a schema.
pub const ANY: ModelId = ModelId(0);
/// The name of [`ANY`].
pub const ANY_NAME: &str = "any";

/// What one key holds.
#[derive(Clone, Debug)]
pub struct Document {
    /// Grows with every command that changes the content; below 2^53.
    pub revision: u64,
    pub root: Value,
    pub model: ModelId,
    /// As [`crate::value::View::size`] counts it.
    size: u32,
}

/// Revisions stay exact in clients whose numbers are doubles.
pub const REVISION_MAX: u64 = (1 << 53) - 1;

impl Document {
    pub fn new(content: Measured, model: ModelId, revision: u64) -> Document {
        assert!(revision <= REVISION_MAX, "a revision is below 2^53");
        let size = u32::try_from(content.size).expect("sizes are limited to 1 GiB");
        Document { revision, root: content.value, model, size }
    }

    pub fn size(&self) -> u64 {
        self.size.into()
    }

    /// After the content was edited in place.
    pub fn set_size(&mut self, size: u64) {
        debug_assert_eq!(size, self.root.view().size());
        self.size = u32::try_from(size).expect("sizes are limited to 1 GiB");
    }

    /// The document as it is right after its creation or replacement.
    pub fn content(&self) -> Measured {
        self.root.clone().into()
    }
}

/// The revision after `last`. `floor` is above every revision this server has seen and not before its
/// clock: so a revision grows and never repeats for a key, not even after the key was deleted and
/// created again within one microsecond, or a write was lost with a failed master.
pub fn next_revision(last: u64, floor: u64) -> u64 {
    (last + 1).max(floor).min(REVISION_MAX)
}
