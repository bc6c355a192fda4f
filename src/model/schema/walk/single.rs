//! The common case: one new value, found with a single active subschema at each step.

use super::super::plan::PlanNode;
use super::super::subschema::{NONE, SubschemaId};
use super::Walk;
use crate::error::Result;
use crate::value::View;

impl<'w> Walk<'w, '_> {
    /// Whether a new value at a place is valid, found with no more than one subschema at a time: the
    /// common case. `false` says nothing.
    #[inline]
    pub(super) fn is_surely_valid(&self, document: View<'w>, place: &[u32]) -> Result<bool> {
        let (mut view, mut id) = (document, 0);
        for (depth, position) in place.iter().enumerate() {
            let Some(node) = self.alone(id, view) else { return Ok(false) };
            let Some(children) = node.children.as_deref() else { return Ok(true) };
            let next = match view {
                View::Object(object) => {
                    let is_last = depth + 1 == place.len();
                    if !children.patterns.is_empty() || (is_last && children.names.is_some()) {
                        return Ok(false);
                    }
                    let Some((name, value)) = object.member(*position) else { return Ok(false) };
                    view = value;
                    children.properties.get(name.as_bytes()).or(children.additional)
                }
                View::Array(array) => {
                    let Some(item) = array.get(*position as usize) else { return Ok(false) };
                    view = item;
                    children.of_element(*position as usize)
                }
                _ => return Ok(false),
            };
            match next {
                None | Some(NONE) => return Ok(true),
                Some(next) => id = next,
            }
        }
        if matches!(view, View::Array(_) | View::Object(_)) {
            return Ok(false);
        }
        self.is_valid_leaf(id, view)
    }

    /// The node that leads to the children of a container, if nothing else depends on what changed below
    /// it. Of alternatives it is the branch for the kind of value.
    #[inline]
    fn alone(&self, mut id: SubschemaId, view: View<'_>) -> Option<&'w PlanNode> {
        loop {
            let node = self.node(id);
            if node.whole.is_some() || !node.also.is_empty() || !node.deep.is_empty() {
                return None;
            }
            match &*node.choices {
                [] => return Some(node),
                [choice] if node.children.is_none() => id = choice.by_kind(view)?,
                _ => return None,
            }
        }
    }

    /// Whether a value that is no container is valid, with no more than one subschema at a time.
    #[inline]
    fn is_valid_leaf(&self, mut id: SubschemaId, view: View<'_>) -> Result<bool> {
        loop {
            let node = self.node(id);
            if node.whole.is_some() || !node.also.is_empty() {
                return Ok(false);
            }
            for checks in [&node.shallow, &node.members, &node.deep] {
                for check in checks {
                    if !check.assertion.passes(view, self.checker)? {
                        return Ok(false);
                    }
                }
            }
            match &*node.choices {
                [] => return Ok(true),
                [choice] => match choice.by_kind(view) {
                    Some(branch) => id = branch,
                    None => return Ok(false),
                },
                _ => return Ok(false),
            }
        }
    }
}
