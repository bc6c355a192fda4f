//! Validates a document by the plan: the whole of it, or only what changed.
//!
//! At each value the set of subschemas that apply to it is *active*. Where alternatives apply, only the branch that is
//! picked for the value is.
//!
//! Must never skip a keyword that a change can make fail, given that the document was valid before.

mod changes;
mod single;

use std::cell::RefCell;

use super::active::{Active, Route};
use super::assertion::Check;
use super::choice::Pick;
use super::parts::Checker;
use super::plan::{Children, PlanNode};
use super::subschema::SubschemaId;
use super::trail::Trail;
use super::violation::{Cause, VIOLATIONS_MAX, Verdict, Violation, pass};
use crate::error::Result;
use crate::value::{ArrayView, ObjectView, Text, View};

/// One walk. The first violation ends it, unless they are collected.
pub(super) struct Walk<'w, 'f> {
    pub route: Route<'w>,
    pub checker: &'w Checker<'w>,
    /// Collects violations; the walk continues until there are [`VIOLATIONS_MAX`].
    pub found: Option<&'f RefCell<Vec<Violation<'w>>>>,
}

impl<'w, 'f> Walk<'w, 'f> {
    pub fn new(route: Route<'w>, checker: &'w Checker<'w>) -> Walk<'w, 'f> {
        Walk { route, checker, found: None }
    }

    /// A walk that collects violations.
    pub fn collecting(
        route: Route<'w>,
        checker: &'w Checker<'w>,
        found: &'f RefCell<Vec<Violation<'w>>>,
    ) -> Walk<'w, 'f> {
        Walk { route, checker, found: Some(found) }
    }

    /// Validates a whole document.
    pub fn whole(&self, document: View<'w>) -> Verdict<'w> {
        self.by(0, document)
    }

    /// Validates a value by one subschema.
    pub fn by(&self, id: SubschemaId, view: View<'w>) -> Verdict<'w> {
        let mut active = Active::default();
        active.add(self.route, id, view);
        self.value(view, &active, &Trail::ROOT)
    }

    /// Reports a violation: ends the walk with it, or collects it.
    #[cold]
    fn report(
        &self,
        id: SubschemaId,
        cause: Cause<'w>,
        view: View<'w>,
        trail: &Trail<'_>,
        name: Option<Text<'w>>,
    ) -> Verdict<'w> {
        let schema = &self.node(id).pointer;
        let violation = Violation { place: trail.pointer(), schema, cause, view, name };
        if let Some(found) = self.found {
            let mut found = found.borrow_mut();
            if found.len() + 1 < VIOLATIONS_MAX {
                found.push(violation);
                return Ok(None);
            }
        }
        Ok(Some(Box::new(violation)))
    }

    #[inline]
    fn node(&self, id: SubschemaId) -> &'w PlanNode {
        self.route.node(id)
    }

    /// Validates a new value with everything in it.
    fn value(&self, view: View<'w>, active: &Active<'w>, trail: &Trail<'_>) -> Verdict<'w> {
        for id in active.ids() {
            let node = self.node(*id);
            if !self.route.opens(node) {
                pass!(self.by_crate(*id, node, view, trail));
                continue;
            }
            pass!(self.checks(*id, &node.shallow, view, trail));
            pass!(self.checks(*id, &node.members, view, trail));
            pass!(self.checks(*id, &node.deep, view, trail));
        }
        pass!(self.alternatives(active, view, trail));
        match view {
            View::Array(array) => self.elements(array, active, trail),
            View::Object(object) => self.members(object, active, trail),
            _ => Ok(None),
        }
    }

    #[inline]
    fn checks(
        &self,
        id: SubschemaId,
        checks: &'w [Check],
        view: View<'w>,
        trail: &Trail<'_>,
    ) -> Verdict<'w> {
        for check in checks {
            if !check.assertion.passes(view, self.checker)? {
                pass!(self.report(id, Cause::Check(check), view, trail, None));
            }
        }
        Ok(None)
    }

    /// Validates by a subschema that the crate evaluates whole.
    fn by_crate(
        &self,
        id: SubschemaId,
        node: &'w PlanNode,
        view: View<'w>,
        trail: &Trail<'_>,
    ) -> Verdict<'w> {
        let check = node.whole.as_deref().expect("only such a subschema does not open");
        if check.assertion.passes(view, self.checker)? {
            return Ok(None);
        }
        self.report(id, Cause::Whole(id, check), view, trail, None)
    }

    /// Validates alternatives without a picked branch.
    #[inline]
    fn alternatives(&self, active: &Active<'w>, view: View<'w>, trail: &Trail<'_>) -> Verdict<'w> {
        for open in &active.open {
            let fits = open.pick == Pick::Undecided
                && open.branches.check.assertion.passes(view, self.checker)?;
            if !fits {
                pass!(self.report(open.id, Cause::Alternatives(*open), view, trail, None));
            }
        }
        Ok(None)
    }

    fn elements(
        &self,
        array: ArrayView<'w>,
        active: &Active<'w>,
        trail: &Trail<'_>,
    ) -> Verdict<'w> {
        if !self.has_children(active, |children| {
            !children.prefix.is_empty() || children.items.is_some()
        }) {
            return Ok(None);
        }
        self.checker.enter(array.len())?;
        for (index, item) in array.iter().enumerate() {
            let inner = self.element_active(active, index, item);
            if !inner.is_empty() {
                pass!(self.value(item, &inner, &trail.index(index)));
            }
        }
        Ok(None)
    }

    fn members(
        &self,
        object: ObjectView<'w>,
        active: &Active<'w>,
        trail: &Trail<'_>,
    ) -> Verdict<'w> {
        if !self.has_children(active, Children::apply_to_members) {
            return Ok(None);
        }
        self.checker.enter(object.len())?;
        for (name, value) in object.iter() {
            pass!(self.name(name, active, trail));
            let inner = self.member_active(active, name, value)?;
            if !inner.is_empty() {
                pass!(self.value(value, &inner, &trail.name(name)));
            }
        }
        Ok(None)
    }

    fn has_children(&self, active: &Active<'w>, wanted: impl Fn(&Children) -> bool) -> bool {
        active.ids().iter().any(|id| {
            let node = self.node(*id);
            self.route.opens(node) && node.children.as_deref().is_some_and(&wanted)
        })
    }

    /// The subschemas of a value's children, by active subschema.
    #[inline]
    fn children(&self, active: &Active<'w>) -> impl Iterator<Item = (SubschemaId, &'w Children)> {
        let nodes = active.ids().iter().map(|id| (*id, self.node(*id)));
        let open = nodes.filter(|(_, node)| self.route.opens(node));
        open.filter_map(|(id, node)| Some((id, node.children.as_deref()?)))
    }

    fn element_active(&self, active: &Active<'w>, index: usize, item: View<'_>) -> Active<'w> {
        let mut inner = Active::default();
        for (_, children) in self.children(active) {
            if let Some(id) = children.of_element(index) {
                inner.add(self.route, id, item);
            }
        }
        inner
    }

    #[inline]
    fn member_active(
        &self,
        active: &Active<'w>,
        name: Text<'_>,
        value: View<'_>,
    ) -> Result<Active<'w>> {
        let mut inner = Active::default();
        for (_, children) in self.children(active) {
            children.of_member(name, self.checker, |id| inner.add(self.route, id, value))?;
        }
        Ok(inner)
    }

    /// Validates the name of a member by `propertyNames`.
    #[inline]
    fn name(&self, name: Text<'w>, active: &Active<'w>, trail: &Trail<'_>) -> Verdict<'w> {
        for (id, children) in self.children(active) {
            if let Some(check) = &children.names
                && !check.assertion.passes(View::Str(name), self.checker)?
            {
                let view = View::Str(name);
                pass!(self.report(id, Cause::Check(check), view, trail, Some(name)));
            }
        }
        Ok(None)
    }
}
