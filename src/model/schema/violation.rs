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
    /// The crate found the subschema of this number invalid, whole.
    Whole(SubschemaId, &'w Check),
    /// No branch was picked, or none of those that could be fits.
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
    /// The keyword is about this name, not about the value.
    pub name: Option<Text<'w>>,
}

/// The most violations that one error tells.
pub(super) const VIOLATIONS_MAX: usize = 8;

/// `None`: all is well.
pub(super) type Verdict<'w> = Result<Option<Box<Violation<'w>>>>;

/// Goes on unless there is a violation.
macro_rules! pass {
    ($verdict:expr) => {
        if let Some(violation) = $verdict? {
            return Ok(Some(violation));
        }
    };
}
pub(super) use pass;
