//! `if` with `then` and `else`, where the condition is about scalar values and members alone.

use super::super::subschema::SubschemaId;
use super::discriminator::Touched;

/// A condition that is decided by the value's kind or scalar value and by members of it.
pub(in super::super) struct Condition {
    pub test: SubschemaId,
    pub then: Option<SubschemaId>,
    pub otherwise: Option<SubschemaId>,
    /// Members that are looked at.
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
