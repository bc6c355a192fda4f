//! The outcome of a choice.

use super::super::subschema::SubschemaId;

/// Which branch fits, if any does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Pick {
    Branch(SubschemaId),
    /// No branch can fit.
    Nothing,
    Undecided,
}
