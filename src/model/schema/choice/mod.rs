//! Alternatives: the branch of `anyOf`, `oneOf`, `if` or `dependentSchemas` that applies to a value.
//!
//! The compiler determines by which kind of value, or by which member with a constant, branches differ. A value is then
//! validated by the only branch that can be valid, as if the schema had no other: messages, changes and defaults are
//! those of the branch. If several could be valid, the choice is undecided, and the crate validates the keyword whole.
//!
//! A pick must be certain: the value is invalid against every branch that is not picked. It depends only on the kind of
//! the value, and on the kinds or scalar values of its members.

mod branches;
mod condition;
mod discriminator;
mod facts;
mod kinds;
mod pick;

pub(super) use self::branches::{Branches, study_branches};
pub(super) use self::condition::Condition;
use self::discriminator::Touched;
pub(super) use self::facts::Study;
pub(super) use self::pick::Pick;
use super::subschema::SubschemaId;
use crate::value::edit::PlaceChange;
use crate::value::{ObjectView, View};

/// One keyword with alternatives.
pub(super) enum Choice {
    Branches(Branches),
    Condition(Condition),
    /// `dependentSchemas`: schemas that apply where a member is present.
    Dependents(Box<[(Box<str>, SubschemaId)]>),
}

impl Choice {
    /// Passes the branches that apply to a value to `add`. Returns a pick if it is not a branch: no branch can be
    /// valid, or the choice is undecided. `is_met` evaluates the subschema of an `if`.
    #[inline]
    pub fn pick(
        &self,
        view: View<'_>,
        is_met: impl Fn(SubschemaId) -> bool,
        mut add: impl FnMut(SubschemaId),
    ) -> Option<Pick> {
        match self {
            Choice::Branches(branches) => match branches.pick(view) {
                Pick::Branch(id) => add(id),
                other => return Some(other),
            },
            Choice::Condition(condition) => {
                condition.branch(is_met).into_iter().for_each(add);
            }
            Choice::Dependents(all) => {
                if let View::Object(object) = view {
                    let there = all.iter().filter(|(name, _)| object.find(name).is_some());
                    there.for_each(|(_, id)| add(*id));
                }
            }
        }
        None
    }

    /// The branch, if the kind of the value alone decides it.
    #[inline]
    pub fn by_kind(&self, view: View<'_>) -> Option<SubschemaId> {
        match self {
            Choice::Branches(branches) => branches.by_kind(view),
            _ => None,
        }
    }

    /// Returns true if `changes` below an object can have altered which branches apply to it. `members`: members were
    /// added or removed. `depth`: the length of the place of the object.
    pub fn is_altered(
        &self,
        object: ObjectView<'_>,
        members: bool,
        changes: &[&PlaceChange],
        depth: usize,
    ) -> bool {
        let touched = Touched { object, members, changes, depth };
        match self {
            Choice::Branches(branches) => branches.is_altered(&touched),
            Choice::Condition(condition) => condition.is_altered(&touched),
            // A subschema that no longer applies cannot fail.
            Choice::Dependents(all) => all.iter().any(|(name, _)| touched.is_new(name)),
        }
    }

    /// All subschemas that may apply.
    pub fn ids(&self) -> Vec<SubschemaId> {
        match self {
            Choice::Branches(branches) => branches.ids().to_vec(),
            Choice::Condition(condition) => condition.ids(),
            Choice::Dependents(all) => all.iter().map(|(_, id)| *id).collect(),
        }
    }

    pub fn heap_bytes(&self) -> usize {
        match self {
            Choice::Branches(branches) => branches.heap_bytes(),
            Choice::Condition(condition) => condition.heap_bytes(),
            Choice::Dependents(all) => all.iter().map(|(name, _)| name.len() + 24).sum(),
        }
    }
}
