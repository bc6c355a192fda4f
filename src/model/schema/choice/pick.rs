//! The outcome of a choice.

use super::super::subschema::SubschemaId;

/// The branch that a value can be valid against, if there is one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Pick {
    Branch(SubschemaId),
    /// The value is invalid against every branch.
    Nothing,
    Undecided,
}
