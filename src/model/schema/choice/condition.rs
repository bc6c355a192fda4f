//! `if` with `then` and `else`, where the condition reads scalar values and members only.

use super::super::subschema::SubschemaId;
use super::discriminator::Touched;

/// An `if` that is decided by the kind or scalar value of a value, and of its members.
pub(in super::super) struct Condition {
    pub test: SubschemaId,
    pub then: Option<SubschemaId>,
    pub otherwise: Option<SubschemaId>,
    /// The members that the condition reads.
    pub members: Box<[Box<str>]>,
}

impl Condition {
    /// The branch that applies. `is_met` validates the value by the subschema of the `if`.
    pub fn branch(&self, is_met: impl Fn(SubschemaId) -> bool) -> Option<SubschemaId> {
        if is_met(self.test) { self.then } else { self.otherwise }
    }

    pub(super) fn is_altered(&self, touched: &Touched<'_>) -> bool {
        self.members.iter().any(|name| touched.is_altered(name))
    }

    pub fn ids(&self) -> Vec<SubschemaId> {
        self.then.into_iter().chain(self.otherwise).collect()
    }

    pub fn heap_bytes(&self) -> usize {
        self.members.iter().map(|name| name.len() + 16).sum()
    }
}
