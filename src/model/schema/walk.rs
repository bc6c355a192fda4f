//! Walks a document along the plan: the whole of it, or just where it changed.
//!
//! At every value a set of subschemas is *active*: those that apply to it. Of alternatives it is the branch
//! that is meant, as if that stood alone.
//!
//! Must never validate less than what a change can alter, given that the document was valid before.

use std::cell::RefCell;

use smallvec::SmallVec;

use super::active::{Active, Open, Route};
use super::assertion::SchemaAssertion;
use super::choice::Pick;
use super::instance;
use super::outline::SubschemaId;
use super::parts::Checker;
use super::plan::{Check, Children, NONE, PlanNode};
use super::trail::Trail;
use crate::error::Result;
use crate::value::edit::{ChangeKind, PlaceChange};
use crate::value::work::comparisons;
use crate::value::{ArrayView, ObjectView, Text, View};

/// The keyword that is violated.
#[derive(Clone, Copy)]
pub(super) enum Cause<'w> {
    Check(&'w Check),
    /// The crate found the subschema of this number invalid, whole.
    Whole(SubschemaId, &'w Check),
    /// No branch was picked, or none of those that could be fits.
    Alternatives(Open<'w>),
}

/// A violation of a keyword.
pub(super) struct Violation<'w> {
    /// JSON Pointer of the value.
    pub place: String,
    /// JSON Pointer of the subschema.
    pub schema: &'w str,
    pub cause: Cause<'w>,
    pub view: View<'w>,
    /// The keyword is about this name, not about the value.
    pub name: Option<Text<'w>>,
}

/// One walk. The first violation ends it, unless they are collected.
pub(super) struct Walk<'w, 'f> {
    pub route: Route<'w>,
    pub checker: &'w Checker<'w>,
    /// Violations are put here, and the walk goes on until there are [`VIOLATIONS_MAX`].
    pub found: Option<&'f RefCell<Vec<Violation<'w>>>>,
}

/// The most violations that one error tells.
pub(super) const VIOLATIONS_MAX: usize = 8;

/// `None`: all is well.
pub(super) type Verdict<'w> = Result<Option<Box<Violation<'w>>>>;

/// Goes on unless there is a violation.
macro_rules! pass {
    ($verdict:expr) => {
        if let Some(violation) = $verdict? {
            return Ok(Some(violation));
        }
    };
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

    /// Ends the walk with a violation, or collects it.
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

    /// Validates what changes can have altered of a document that was valid before.
    pub fn changes(&self, document: View<'w>, changes: &[PlaceChange]) -> Verdict<'w> {
        if let [change] = changes
            && change.kind == ChangeKind::Value
            && self.is_surely_valid(document, &change.place)?
        {
            return Ok(None);
        }
        self.changes_anywhere(document, changes)
    }

    /// Whether a new value at a place is valid, found with no more than one subschema at a time: the
    /// common case. `false` says nothing.
    #[inline]
    fn is_surely_valid(&self, document: View<'w>, place: &[u32]) -> Result<bool> {
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

    #[inline(never)]
    pub fn changes_anywhere(&self, document: View<'w>, changes: &[PlaceChange]) -> Verdict<'w> {
        let mut active = Active::default();
        active.add(self.route, 0, document);
        let mut sorted: SmallVec<[&PlaceChange; 8]> = changes.iter().collect();
        sorted.sort_unstable_by(|a, b| a.place.cmp(&b.place));
        self.changed(document, &active, &sorted, 0, &Trail::ROOT)
    }

    #[inline]
    fn node(&self, id: SubschemaId) -> &'w PlanNode {
        self.route.node(id)
    }

    /// A value that is new, with everything in it.
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

    /// A subschema that the crate validates whole.
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

    /// Alternatives of which no branch was picked.
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

    /// What leads to the children of a value.
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

    /// The name of a member, which a `propertyNames` may validate.
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

    /// Whether what changed below an object can have changed which alternatives apply to it.
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

    /// A value in which something changed. All of `changes` are at or below it, sorted by place; `depth`
    /// is how many steps lead to it.
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
        // Elements that moved are judged by other places now, where places go by position.
        if let View::Array(array) = view
            && !here.is_empty()
            && self.has_children(active, |children| !children.prefix.is_empty())
        {
            return self.moved(array, active, below, depth, trail);
        }
        self.below(view, active, below, depth, trail)
    }

    /// What changed below a value, child by child.
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

    /// An array whose elements moved: those that are judged by position are judged anew. What of the
    /// others changed is judged as ever.
    fn moved(
        &self,
        array: ArrayView<'w>,
        active: &Active<'w>,
        changes: &[&PlaceChange],
        depth: usize,
        trail: &Trail<'_>,
    ) -> Verdict<'w> {
        // An element that was judged by position may stand anywhere now, so where the others are
        // judged by something of the same schema, every element is.
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

/// Whether no two elements of an array are equal, as they were not before `changes`.
fn is_unique(
    array: ArrayView<'_>,
    changes: &[&PlaceChange],
    depth: usize,
    checker: &Checker<'_>,
) -> Result<bool> {
    // A few elements are compared with all others; many are as well hashed along with them.
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
        if !instance::is_unique_at(array, index as usize) {
            return Ok(false);
        }
    }
    Ok(true)
}

impl Children {
    /// The place that judges the element at an index.
    pub fn of_element(&self, index: usize) -> Option<SubschemaId> {
        self.prefix.get(index).copied().or(self.items)
    }

    /// The places that judge the member of a name.
    #[inline]
    pub fn of_member(
        &self,
        name: Text<'_>,
        checker: &Checker<'_>,
        mut add: impl FnMut(SubschemaId),
    ) -> Result<()> {
        let known = self.properties.get(name.as_bytes());
        known.into_iter().for_each(&mut add);
        let mut matched = known.is_some();
        for (pattern, id) in &self.patterns {
            if checker.passes(*pattern, View::Str(name))? {
                matched = true;
                add(*id);
            }
        }
        if let Some(id) = self.additional
            && !matched
        {
            add(id);
        }
        Ok(())
    }
}
