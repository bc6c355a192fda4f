//! `if` with `then` and `else`, where the condition is about scalar values and members alone.

use super::super::outline::SubschemaId;
use super::super::plan::{Plan, PlanNode};
use super::discriminator::Touched;
use crate::value::View;

/// A condition that is decided by the value's kind or scalar value and by members of it.
pub(in super::super) struct Condition {
    pub test: SubschemaId,
    pub then: Option<SubschemaId>,
    pub otherwise: Option<SubschemaId>,
    /// Members that are looked at.
    pub members: Box<[Box<str>]>,
}

impl Condition {
    /// The branch that applies.
    pub fn applies(&self, plan: &Plan, view: View<'_>) -> Option<SubschemaId> {
        if is_met(plan, &plan.nodes[self.test as usize], view) { self.then } else { self.otherwise }
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

fn is_met(plan: &Plan, node: &PlanNode, view: View<'_>) -> bool {
    let mut checks = node.shallow.iter().chain(&node.members);
    if !checks.all(|check| check.assertion.decide(view)) {
        return false;
    }
    let (Some(children), View::Object(object)) = (&node.children, view) else { return true };
    children.properties.entries().iter().all(|(name, id)| {
        let Some(node) = plan.nodes.get(*id as usize) else { return true };
        let member = object.find(name);
        member.is_none_or(|(_, view)| node.shallow.iter().all(|check| check.assertion.decide(view)))
    })
}

/// Whether the subschema of an `if` says nothing but what [`Condition`] decides.
pub(in super::super) fn is_condition(nodes: &[PlanNode], test: SubschemaId) -> bool {
    let node = &nodes[test as usize];
    let simple = |node: &PlanNode| {
        node.whole.is_none()
            && node.also.is_empty()
            && node.choices.is_empty()
            && node.deep.is_empty()
            && node.shallow.iter().chain(&node.members).all(|check| check.assertion.is_plain())
    };
    let children = node.children.as_deref().is_none_or(|children| {
        let properties = children.properties.entries().iter();
        children.is_properties_alone()
            && properties.into_iter().all(|(_, id)| {
                let node = &nodes[*id as usize];
                simple(node) && node.members.is_empty() && node.children.is_none()
            })
    });
    simple(node) && children
}
