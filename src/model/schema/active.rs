//! The subschemas that apply to one value.
//!
//! They are a set: a value is validated by a subschema once, however many keywords lead to it, so the work is bounded
//! by the number of subschemas times the number of values.

use std::collections::HashSet;

use smallvec::SmallVec;

use super::choice::{Branches, Choice, Pick};
use super::plan::{Plan, PlanNode};
use super::subschema::{NONE, SubschemaId};
use crate::value::View;

/// The subschemas of a plan that are entered.
#[derive(Clone, Copy)]
pub(super) struct Route<'p> {
    pub plan: &'p Plan,
    /// Flag: subschemas that the crate validates whole are entered too.
    pub through: bool,
}

impl<'p> Route<'p> {
    pub fn node(&self, id: SubschemaId) -> &'p PlanNode {
        &self.plan.nodes[id as usize]
    }

    /// Returns true if the subschemas that a node leads to are active too.
    #[inline]
    pub fn opens(&self, node: &PlanNode) -> bool {
        node.whole.is_none() || self.through
    }
}

/// Alternatives without a picked branch.
#[derive(Clone, Copy)]
pub(super) struct Open<'p> {
    /// The subschema with the keyword.
    pub id: SubschemaId,
    pub branches: &'p Branches,
    pub pick: Pick,
}

/// The subschemas that apply to one value.
#[derive(Default)]
pub(super) struct Active<'p> {
    ids: SmallVec<[SubschemaId; 6]>,
    /// The same as a set, from [`Active::SCANNED_MAX`] subschemas on.
    seen: Option<HashSet<SubschemaId>>,
    pub open: SmallVec<[Open<'p>; 1]>,
}

impl<'p> Active<'p> {
    const SCANNED_MAX: usize = 32;

    /// Adds a subschema and those of its keywords that apply to the same value.
    #[inline]
    pub fn add(&mut self, route: Route<'p>, id: SubschemaId, view: View<'_>) {
        if id == NONE || !self.insert(id) {
            return;
        }
        let node = route.node(id);
        if !node.also.is_empty() || !node.choices.is_empty() {
            self.add_others(route, view);
        }
    }

    fn add_others(&mut self, route: Route<'p>, view: View<'_>) {
        let mut next = self.ids.len() - 1;
        while next < self.ids.len() {
            let id = self.ids[next];
            let node = route.node(id);
            if route.opens(node) {
                node.also.iter().for_each(|id| {
                    self.insert(*id);
                });
                for choice in &node.choices {
                    self.choose(route, id, choice, view);
                }
            }
            next += 1;
        }
    }

    fn choose(&mut self, route: Route<'p>, id: SubschemaId, choice: &'p Choice, view: View<'_>) {
        let pick = choice.pick(
            view,
            |test| route.plan.is_met(test, view),
            |id| {
                if id != NONE {
                    self.insert(id);
                }
            },
        );
        if let (Some(pick), Choice::Branches(branches)) = (pick, choice) {
            self.open.push(Open { id, branches, pick });
        }
    }

    /// As [`Active::add`], but in the schema's order and entering subschemas that the crate validates whole: for
    /// defaults.
    pub fn add_through(&mut self, plan: &Plan, id: SubschemaId, view: View<'_>) {
        let mut stack: SmallVec<[SubschemaId; 6]> = SmallVec::from_slice(&[id]);
        while let Some(id) = stack.pop() {
            if id != NONE && self.insert(id) {
                let node = &plan.nodes[id as usize];
                let before = stack.len();
                stack.extend(node.also.iter().copied());
                for choice in &node.choices {
                    let _undecided =
                        choice.pick(view, |test| plan.is_met(test, view), |id| stack.push(id));
                }
                stack[before..].reverse();
            }
        }
    }

    #[inline]
    fn insert(&mut self, id: SubschemaId) -> bool {
        if let Some(seen) = &mut self.seen {
            if !seen.insert(id) {
                return false;
            }
        } else if self.ids.contains(&id) {
            return false;
        } else if self.ids.len() == Active::SCANNED_MAX {
            let mut seen: HashSet<SubschemaId> = self.ids.iter().copied().collect();
            seen.insert(id);
            self.seen = Some(seen);
        }
        self.ids.push(id);
        true
    }

    pub fn ids(&self) -> &[SubschemaId] {
        &self.ids
    }

    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }
}
