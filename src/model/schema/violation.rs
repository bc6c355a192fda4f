//! A violation of a schema, before it is explained.

use super::active::Open;
use super::assertion::Check;
use super::subschema::SubschemaId;
use crate::error::Result;
use crate::value::{Text, View};

/// The keyword that is violated.
#[derive(Clone, Copy)]
pub(super) enum Cause<'w> {
    Check(&'w Check),
    /// The value is invalid against the subschema of this number, which the crate validates whole.
    Whole(SubschemaId, &'w Check),
    /// No branch can be valid, or none of the possible ones is.
    Alternatives(Open<'w>),
}

/// A violation of a keyword.
pub(super) struct Violation<'w> {
    /// JSON Pointer of the value.
    pub place: String,
    /// JSON Pointer of the subschema.
    pub schema: &'w str,
    pub cause: Cause<'w>,
    pub view: View<'w>,
    /// The name of the member that the keyword refuses, if it is about names.
    pub name: Option<Text<'w>>,
}

/// The most violations that one error reports.
pub(super) const VIOLATIONS_MAX: usize = 8;

/// The first violation, if there is one that ends the walk.
pub(super) type Verdict<'w> = Result<Option<Box<Violation<'w>>>>;

/// Returns the violation, if there is one.
macro_rules! pass {
    ($verdict:expr) => {
        if let Some(violation) = $verdict? {
            return Ok(Some(violation));
        }
    };
}
pub(super) use pass;
