//! The subschema of an `if` that is decided without asking the crate.

use super::super::subschema::SubschemaId;
use super::node::PlanNode;
use crate::value::View;

/// Validates a value by the subschema of an `if` for which [`is_condition`] is true.
pub(in super::super) fn is_met(nodes: &[PlanNode], test: SubschemaId, view: View<'_>) -> bool {
    let node = &nodes[test as usize];
    let mut checks = node.shallow.iter().chain(&node.members);
    if !checks.all(|check| check.assertion.decide(view)) {
        return false;
    }
    let (Some(children), View::Object(object)) = (&node.children, view) else { return true };
    children.properties.entries().iter().all(|(name, id)| {
        let Some(node) = nodes.get(*id as usize) else { return true };
        let member = object.find(name);
        member.is_none_or(|(_, view)| node.shallow.iter().all(|check| check.assertion.decide(view)))
    })
}

/// Returns true if [`is_met`] decides the subschema of an `if`. `has_if`: the subschema of a number has an `if` itself, which
/// its node does not show before the plan is complete.
pub(in super::super) fn is_condition(
    nodes: &[PlanNode],
    test: SubschemaId,
    has_if: impl Fn(SubschemaId) -> bool,
) -> bool {
    let simple = |id: SubschemaId| {
        let node = &nodes[id as usize];
        !has_if(id)
            && node.whole.is_none()
            && node.also.is_empty()
            && node.choices.is_empty()
            && node.deep.is_empty()
            && node.shallow.iter().chain(&node.members).all(|check| check.assertion.is_plain())
    };
    let children = nodes[test as usize].children.as_deref().is_none_or(|children| {
        let properties = children.properties.entries().iter();
        children.is_properties_alone()
            && properties.into_iter().all(|(_, id)| {
                let node = &nodes[*id as usize];
                simple(*id) && node.members.is_empty() && node.children.is_none()
            })
    });
    simple(test) && children
}
