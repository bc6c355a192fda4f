//! Validation of changes, in a document that was valid before them.

use smallvec::SmallVec;

use super::super::active::Active;
use super::super::assertion::SchemaAssertion;
use super::super::parts::Checker;
use super::super::subschema::NONE;
use super::super::trail::Trail;
use super::super::unique::is_unique_at;
use super::super::violation::{Cause, Verdict, pass};
use super::Walk;
use crate::error::Result;
use crate::value::edit::{ChangeKind, PlaceChange};
use crate::value::work::comparisons;
use crate::value::{ArrayView, ObjectView, View};

impl<'w> Walk<'w, '_> {
    /// Validates whatever the changes can have made invalid, in a document that was valid before.
    pub fn changes(&self, document: View<'w>, changes: &[PlaceChange]) -> Verdict<'w> {
        if let [change] = changes
            && change.kind == ChangeKind::Value
            && self.is_surely_valid(document, &change.place)?
        {
            return Ok(None);
        }
        self.changes_anywhere(document, changes)
    }

    #[inline(never)]
    pub fn changes_anywhere(&self, document: View<'w>, changes: &[PlaceChange]) -> Verdict<'w> {
        let mut active = Active::default();
        active.add(self.route, 0, document);
        let mut sorted: SmallVec<[&PlaceChange; 8]> = changes.iter().collect();
        sorted.sort_unstable_by(|a, b| a.place.cmp(&b.place));
        self.changed(document, &active, &sorted, 0, &Trail::ROOT)
    }

    /// Returns true if a change below an object can have altered which alternatives apply to it.
    #[inline]
    fn alters(
        &self,
        active: &Active<'w>,
        object: ObjectView<'_>,
        members: bool,
        below: &[&PlaceChange],
        depth: usize,
    ) -> bool {
        let nodes = active.ids().iter().map(|id| self.node(*id));
        let mut choices =
            nodes.filter(|node| self.route.opens(node)).flat_map(|node| &node.choices);
        choices.any(|choice| choice.is_altered(object, members, below, depth))
    }

    /// Validates a value in which something changed. All of `changes` are at it or below it, sorted by place; `depth`
    /// is the length of its place.
    fn changed(
        &self,
        view: View<'w>,
        active: &Active<'w>,
        changes: &[&PlaceChange],
        depth: usize,
        trail: &Trail<'_>,
    ) -> Verdict<'w> {
        if active.is_empty() {
            return Ok(None);
        }
        let here = changes.iter().take_while(|change| change.place.len() == depth).count();
        let (here, below) = changes.split_at(here);
        if here.iter().any(|change| change.kind == ChangeKind::Value) {
            return self.value(view, active, trail);
        }
        if let View::Object(object) = view
            && self.alters(active, object, !here.is_empty(), below, depth)
        {
            return self.value(view, active, trail);
        }
        for id in active.ids() {
            let node = self.node(*id);
            if !self.route.opens(node) {
                pass!(self.by_crate(*id, node, view, trail));
                continue;
            }
            for check in &node.deep {
                let passes = match (&check.assertion, view) {
                    (SchemaAssertion::UniqueItems, View::Array(array)) => {
                        is_unique(array, below, depth, self.checker)?
                    }
                    (assertion, view) => assertion.passes(view, self.checker)?,
                };
                if !passes {
                    pass!(self.report(*id, Cause::Check(check), view, trail, None));
                }
            }
            if !here.is_empty() {
                pass!(self.checks(*id, &node.members, view, trail));
            }
        }
        pass!(self.alternatives(active, view, trail));
        // Elements that moved are validated by other subschemas now, if `prefixItems` assigns them by position.
        if let View::Array(array) = view
            && !here.is_empty()
            && self.has_children(active, |children| !children.prefix.is_empty())
        {
            return self.moved(array, active, below, depth, trail);
        }
        self.below(view, active, below, depth, trail)
    }

    /// Validates the changed children of a value.
    fn below(
        &self,
        view: View<'w>,
        active: &Active<'w>,
        mut changes: &[&PlaceChange],
        depth: usize,
        trail: &Trail<'_>,
    ) -> Verdict<'w> {
        while let Some(first) = changes.first() {
            let position = first.place[depth];
            let count = changes.iter().take_while(|change| change.place[depth] == position).count();
            let (inside, rest) = changes.split_at(count);
            changes = rest;
            match view {
                View::Array(array) => {
                    let index = position as usize;
                    let item = array.get(index).expect("a changed place is in the document");
                    let inner = self.element_active(active, index, item);
                    pass!(self.changed(item, &inner, inside, depth + 1, &trail.index(index)));
                }
                View::Object(object) => {
                    let (name, value) =
                        object.member(position).expect("a changed place is in the document");
                    if first.place.len() == depth + 1 {
                        pass!(self.name(name, active, trail));
                    }
                    let inner = self.member_active(active, name, value)?;
                    pass!(self.changed(value, &inner, inside, depth + 1, &trail.name(name)));
                }
                _ => unreachable!("a changed place is in the document"),
            }
        }
        Ok(None)
    }

    /// Validates an array whose elements moved: those with a subschema for their position whole, of the others the
    /// changes.
    fn moved(
        &self,
        array: ArrayView<'w>,
        active: &Active<'w>,
        changes: &[&PlaceChange],
        depth: usize,
        trail: &Trail<'_>,
    ) -> Verdict<'w> {
        // An element that was validated by position may be anywhere now. If the same schema has a subschema for the
        // remaining elements, all elements are validated.
        let prefixed = self.children(active).filter(|(_, children)| !children.prefix.is_empty());
        let anew = prefixed.map(|(_, children)| match children.items {
            Some(id) if id != NONE => usize::MAX,
            _ => children.prefix.len(),
        });
        let anew = anew.max().unwrap_or(0).min(array.len());
        for (index, item) in array.iter().take(anew).enumerate() {
            let inner = self.element_active(active, index, item);
            pass!(self.value(item, &inner, &trail.index(index)));
        }
        let rest = changes.partition_point(|change| (change.place[depth] as usize) < anew);
        self.below(View::Array(array), active, &changes[rest..], depth, trail)
    }
}

/// Returns true if no two elements of an array are equal, given that none were before `changes`.
fn is_unique(
    array: ArrayView<'_>,
    changes: &[&PlaceChange],
    depth: usize,
    checker: &Checker<'_>,
) -> Result<bool> {
    // A few elements are compared with all others; with more of them, hashing the whole array is as fast.
    const COMPARED_MAX: usize = 4;
    let mut indexes: SmallVec<[u32; 8]> =
        changes.iter().map(|change| change.place[depth]).collect();
    indexes.dedup();
    if indexes.len() > COMPARED_MAX {
        return checker.is_unique(array);
    }
    for index in indexes {
        let work = array.get(index as usize).map_or(0, View::work);
        checker.spend(comparisons(array, work))?;
        if !is_unique_at(array, index as usize) {
            return Ok(false);
        }
    }
    Ok(true)
}
