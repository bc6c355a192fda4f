//! The plan of one subschema.

use super::super::assertion::Check;
use super::super::choice::Choice;
use super::super::subschema::SubschemaId;
use super::children::Children;

/// One subschema.
#[derive(Default)]
pub(in super::super) struct PlanNode {
    /// JSON Pointer in the schema as it was given.
    pub pointer: Box<str>,
    pub shallow: Box<[Check]>,
    pub members: Box<[Check]>,
    pub deep: Box<[Check]>,
    /// Subschemas of the same value.
    pub also: Box<[SubschemaId]>,
    /// Alternatives for the same value.
    pub choices: Box<[Choice]>,
    pub children: Option<Box<Children>>,
    /// The check by the crate, if it validates the subschema whole.
    pub whole: Option<Box<Check>>,
}

impl PlanNode {
    /// Returns true if the subschema has no keyword that any value could violate, at it or below it.
    pub fn accepts_all(&self) -> bool {
        let checks = [&self.shallow, &self.members, &self.deep];
        let asserts = checks.iter().any(|checks| !checks.is_empty()) || self.whole.is_some();
        let leads = !self.also.is_empty() || !self.choices.is_empty() || self.children.is_some();
        !asserts && !leads
    }

    pub fn heap_bytes(&self) -> usize {
        let check = |check: &Check| size_of::<Check>() + check.assertion.heap_bytes();
        let checks = [&self.shallow, &self.members, &self.deep].into_iter().flatten();
        let choice = |choice: &Choice| size_of::<Choice>() + choice.heap_bytes();
        size_of::<PlanNode>()
            + self.pointer.len()
            + checks.map(check).sum::<usize>()
            + self.choices.iter().map(choice).sum::<usize>()
            + size_of_val(&*self.also)
            + self.children.as_deref().map_or(0, Children::heap_bytes)
    }
}
