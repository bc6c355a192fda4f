//! The common case: one new value, with a single active subschema at each step of its place.

use super::super::plan::PlanNode;
use super::super::subschema::{NONE, SubschemaId};
use super::Walk;
use crate::error::Result;
use crate::value::View;

impl<'w> Walk<'w, '_> {
    /// Returns true if a new value at a place is certainly valid. Follows the place as long as a single subschema is
    /// active, which is the common case; `false` means that [`Walk::changes_anywhere`] has to decide.
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

    /// The node with the subschemas of a container's children, if no other keyword depends on a change below the
    /// container. A choice by the kind of value is followed to its branch.
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

    /// Returns true if a scalar is certainly valid, see [`Walk::is_surely_valid`].
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
