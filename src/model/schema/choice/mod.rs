//! Alternatives: which branch of `anyOf`, `oneOf`, `if` or `dependentSchemas` applies to a value.
//!
//! When a schema is compiled, it is worked out by which kind of value, or by which member with a
//! constant, its branches differ. A value is then validated by the one branch that can fit, as if that
//! stood alone: messages, changes and defaults are those of the branch. Where several could fit, the
//! choice is undecided, and the crate validates the keyword whole.
//!
//! A pick must hold for certain: every branch that is not picked does not fit the value. It depends on
//! nothing but the kind of the value, and on members of it with their values' kinds or scalar values.

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
    /// Gives the branches that apply to a value to `add`. Another pick than a branch: no branch fits,
    /// or it is undecided.
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

    /// The branch, where nothing but the kind of the value says which it is.
    #[inline]
    pub fn by_kind(&self, view: View<'_>) -> Option<SubschemaId> {
        match self {
            Choice::Branches(branches) => branches.by_kind(view),
            _ => None,
        }
    }

    /// Whether `changes` below an object can have altered what applies to it. `members`: members came
    /// or went. `depth` steps lead to the object.
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
            // A schema that applies no longer has nothing to say.
            Choice::Dependents(all) => all.iter().any(|(name, _)| touched.is_new(name)),
        }
    }

    /// All places that may apply.
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
