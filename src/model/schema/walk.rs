//! Walks a document along the plan: the whole of it, or just where it changed.
//!
//! At every value a set of places is *active*: those that judge it. Sets, not lists: however often a
//! schema leads to a place, a value is judged by it once, so the work is bounded by places times values.
//!
//! Must never judge less than what a change can alter, given that the document was valid before.

use std::collections::HashSet;

use smallvec::SmallVec;

use super::assertion::Test;
use super::instance;
use super::outline::Id;
use super::parts::Run;
use super::plan::{Ask, Children, NONE, Node, Plan};
use super::uri::push_token;
use crate::error::Result;
use crate::value::edit::{Change, ChangeKind};
use crate::value::work::comparisons;
use crate::value::{ArrayView, ObjectView, Text, View};

/// The places that judge one value.
#[derive(Default)]
pub(super) struct Active {
    ids: SmallVec<[Id; 6]>,
    /// Kept from [`Active::SCANNED_MAX`] places on.
    seen: Option<HashSet<Id>>,
}

impl Active {
    const SCANNED_MAX: usize = 32;

    /// Adds a place and all that judge the same value along with it.
    #[inline]
    fn add(&mut self, plan: &Plan, id: Id) {
        if id == NONE || !self.insert(id) {
            return;
        }
        if !plan.nodes[id as usize].also.is_empty() {
            self.add_others(plan);
        }
    }

    fn add_others(&mut self, plan: &Plan) {
        let mut next = self.ids.len() - 1;
        while next < self.ids.len() {
            let node = &plan.nodes[self.ids[next] as usize];
            if !node.opaque {
                node.also.iter().for_each(|id| {
                    self.insert(*id);
                });
            }
            next += 1;
        }
    }

    /// As [`Active::add`], in the schema's order, and through what the crate judges too: for defaults.
    pub fn add_through(&mut self, plan: &Plan, id: Id) {
        let mut stack: SmallVec<[Id; 6]> = SmallVec::from_slice(&[id]);
        while let Some(id) = stack.pop() {
            if id != NONE && self.insert(id) {
                stack.extend(plan.nodes[id as usize].also.iter().rev().copied());
            }
        }
    }

    #[inline]
    fn insert(&mut self, id: Id) -> bool {
        if let Some(seen) = &mut self.seen {
            if !seen.insert(id) {
                return false;
            }
        } else if self.ids.contains(&id) {
            return false;
        } else if self.ids.len() == Active::SCANNED_MAX {
            let mut seen: HashSet<Id> = self.ids.iter().copied().collect();
            seen.insert(id);
            self.seen = Some(seen);
        }
        self.ids.push(id);
        true
    }

    pub fn ids(&self) -> &[Id] {
        &self.ids
    }

    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }
}

/// The way from the root to a value, for the place of a violation.
#[derive(Clone, Copy)]
pub(super) struct Trail<'t> {
    outer: Option<&'t Trail<'t>>,
    step: Step<'t>,
}

#[derive(Clone, Copy)]
enum Step<'t> {
    Root,
    Name(Text<'t>),
    Index(usize),
}

impl Trail<'_> {
    pub const ROOT: Trail<'static> = Trail { outer: None, step: Step::Root };

    fn name<'t>(&'t self, name: Text<'t>) -> Trail<'t> {
        Trail { outer: Some(self), step: Step::Name(name) }
    }

    fn index(&self, index: usize) -> Trail<'_> {
        Trail { outer: Some(self), step: Step::Index(index) }
    }

    fn pointer(&self) -> String {
        let mut steps = Vec::new();
        let mut trail = Some(self);
        while let Some(here) = trail {
            steps.push(here.step);
            trail = here.outer;
        }
        let mut out = String::new();
        for step in steps.iter().rev() {
            match step {
                Step::Root => {}
                Step::Name(name) => {
                    out.push('/');
                    push_token(&mut out, name.as_str());
                }
                Step::Index(index) => out.push_str(&format!("/{index}")),
            }
        }
        out
    }
}

/// A question that was answered no.
pub(super) struct Violation<'w> {
    /// JSON Pointer of the value.
    pub place: String,
    /// JSON Pointer of the place of the schema.
    pub schema: &'w str,
    pub ask: &'w Ask,
    pub view: View<'w>,
    /// The keyword is about this name, not about the value.
    pub name: Option<Text<'w>>,
}

/// One walk. The first violation ends it.
pub(super) struct Walk<'w> {
    pub plan: &'w Plan,
    pub run: &'w Run<'w>,
}

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

impl<'w> Walk<'w> {
    /// Judges a whole document.
    pub fn whole(&self, document: View<'w>) -> Verdict<'w> {
        let mut active = Active::default();
        active.add(self.plan, 0);
        self.value(document, &active, &Trail::ROOT)
    }

    /// Judges what changes can have altered of a document that was valid before.
    pub fn changes(&self, document: View<'w>, changes: &[Change]) -> Verdict<'w> {
        if let [change] = changes
            && change.kind == ChangeKind::Value
            && self.is_surely_fine(document, &change.place)?
        {
            return Ok(None);
        }
        self.changes_anywhere(document, changes)
    }

    /// Whether a new value at a place is well, found with no more than one place of the schema at a time:
    /// the common case. `false` says nothing.
    #[inline]
    fn is_surely_fine(&self, document: View<'w>, place: &[u32]) -> Result<bool> {
        let (mut view, mut id) = (document, 0);
        for (depth, position) in place.iter().enumerate() {
            let node = self.node(id);
            if node.opaque || !node.also.is_empty() || !node.deep.is_empty() {
                return Ok(false);
            }
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
        let node = self.node(id);
        if !node.also.is_empty() || matches!(view, View::Array(_) | View::Object(_)) {
            return Ok(false);
        }
        for asks in [&node.shallow, &node.members, &node.deep] {
            for ask in asks {
                if !ask.test.passes(view, self.run)? {
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }

    #[inline(never)]
    fn changes_anywhere(&self, document: View<'w>, changes: &[Change]) -> Verdict<'w> {
        let mut active = Active::default();
        active.add(self.plan, 0);
        let mut sorted: SmallVec<[&Change; 8]> = changes.iter().collect();
        sorted.sort_unstable_by(|a, b| a.place.cmp(&b.place));
        self.changed(document, &active, &sorted, 0, &Trail::ROOT)
    }

    #[inline]
    fn node(&self, id: Id) -> &'w Node {
        &self.plan.nodes[id as usize]
    }

    /// A value that is new, with everything in it.
    fn value(&self, view: View<'w>, active: &Active, trail: &Trail<'_>) -> Verdict<'w> {
        for id in active.ids() {
            let node = self.node(*id);
            pass!(self.ask(node, &node.shallow, view, trail));
            pass!(self.ask(node, &node.members, view, trail));
            pass!(self.ask(node, &node.deep, view, trail));
        }
        match view {
            View::Array(array) => self.elements(array, active, trail),
            View::Object(object) => self.members(object, active, trail),
            _ => Ok(None),
        }
    }

    #[inline]
    fn ask(
        &self,
        node: &'w Node,
        asks: &'w [Ask],
        view: View<'w>,
        trail: &Trail<'_>,
    ) -> Verdict<'w> {
        for ask in asks {
            if !ask.test.passes(view, self.run)? {
                return Ok(Some(violation(node, ask, view, trail, None)));
            }
        }
        Ok(None)
    }

    fn elements(&self, array: ArrayView<'w>, active: &Active, trail: &Trail<'_>) -> Verdict<'w> {
        if !self.has_children(active, |children| {
            !children.prefix.is_empty() || children.items.is_some()
        }) {
            return Ok(None);
        }
        self.run.enter(array.len())?;
        for (index, item) in array.iter().enumerate() {
            let inner = self.element_active(active, index);
            if !inner.is_empty() {
                pass!(self.value(item, &inner, &trail.index(index)));
            }
        }
        Ok(None)
    }

    fn members(&self, object: ObjectView<'w>, active: &Active, trail: &Trail<'_>) -> Verdict<'w> {
        if !self.has_children(active, Children::judge_members) {
            return Ok(None);
        }
        self.run.enter(object.len())?;
        for (name, value) in object.iter() {
            pass!(self.name(name, active, trail));
            let inner = self.member_active(active, name)?;
            if !inner.is_empty() {
                pass!(self.value(value, &inner, &trail.name(name)));
            }
        }
        Ok(None)
    }

    fn has_children(&self, active: &Active, wanted: impl Fn(&Children) -> bool) -> bool {
        active.ids().iter().any(|id| {
            let node = self.node(*id);
            !node.opaque && node.children.as_deref().is_some_and(&wanted)
        })
    }

    /// What judges the members of a value that `active` judges.
    #[inline]
    fn children(&self, active: &Active) -> impl Iterator<Item = (&'w Node, &'w Children)> {
        let nodes = active.ids().iter().map(|id| self.node(*id));
        nodes.filter(|node| !node.opaque).filter_map(|node| Some((node, node.children.as_deref()?)))
    }

    fn element_active(&self, active: &Active, index: usize) -> Active {
        let mut inner = Active::default();
        for (_, children) in self.children(active) {
            if let Some(id) = children.of_element(index) {
                inner.add(self.plan, id);
            }
        }
        inner
    }

    #[inline]
    fn member_active(&self, active: &Active, name: Text<'_>) -> Result<Active> {
        let mut inner = Active::default();
        for (_, children) in self.children(active) {
            children.of_member(name, self.run, |id| inner.add(self.plan, id))?;
        }
        Ok(inner)
    }

    /// The name of a member, which a `propertyNames` may judge.
    #[inline]
    fn name(&self, name: Text<'w>, active: &Active, trail: &Trail<'_>) -> Verdict<'w> {
        for (node, children) in self.children(active) {
            if let Some(ask) = &children.names
                && !ask.test.passes(View::Str(name), self.run)?
            {
                return Ok(Some(violation(node, ask, View::Str(name), trail, Some(name))));
            }
        }
        Ok(None)
    }

    /// A value in which something changed. All of `changes` are at or below it, sorted by place; `depth`
    /// is how many steps lead to it.
    fn changed(
        &self,
        view: View<'w>,
        active: &Active,
        changes: &[&Change],
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
        for id in active.ids() {
            let node = self.node(*id);
            for ask in &node.deep {
                let passes = match (&ask.test, view) {
                    (Test::UniqueItems, View::Array(array)) => {
                        is_unique(array, below, depth, self.run)?
                    }
                    (test, view) => test.passes(view, self.run)?,
                };
                if !passes {
                    return Ok(Some(violation(node, ask, view, trail, None)));
                }
            }
            if !here.is_empty() {
                pass!(self.ask(node, &node.members, view, trail));
            }
        }
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
        active: &Active,
        mut changes: &[&Change],
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
                    let inner = self.element_active(active, index);
                    pass!(self.changed(item, &inner, inside, depth + 1, &trail.index(index)));
                }
                View::Object(object) => {
                    let (name, value) =
                        object.member(position).expect("a changed place is in the document");
                    if first.place.len() == depth + 1 {
                        pass!(self.name(name, active, trail));
                    }
                    let inner = self.member_active(active, name)?;
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
        active: &Active,
        changes: &[&Change],
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
            let inner = self.element_active(active, index);
            pass!(self.value(item, &inner, &trail.index(index)));
        }
        let rest = changes.partition_point(|change| (change.place[depth] as usize) < anew);
        self.below(View::Array(array), active, &changes[rest..], depth, trail)
    }
}

/// Whether no two elements of an array are equal, as they were not before `changes`.
fn is_unique(
    array: ArrayView<'_>,
    changes: &[&Change],
    depth: usize,
    run: &Run<'_>,
) -> Result<bool> {
    // A few elements are compared with all others; many are as well hashed along with them.
    const COMPARED_MAX: usize = 4;
    let mut indexes: SmallVec<[u32; 8]> =
        changes.iter().map(|change| change.place[depth]).collect();
    indexes.dedup();
    if indexes.len() > COMPARED_MAX {
        return run.is_unique(array);
    }
    for index in indexes {
        let work = array.get(index as usize).map_or(0, View::work);
        run.spend(comparisons(array, work))?;
        if !instance::is_unique_at(array, index as usize) {
            return Ok(false);
        }
    }
    Ok(true)
}

#[cold]
fn violation<'w>(
    node: &'w Node,
    ask: &'w Ask,
    view: View<'w>,
    trail: &Trail<'_>,
    name: Option<Text<'w>>,
) -> Box<Violation<'w>> {
    Box::new(Violation { place: trail.pointer(), schema: &node.pointer, ask, view, name })
}

impl Children {
    pub fn judge_members(&self) -> bool {
        self.properties.len() > 0
            || !self.patterns.is_empty()
            || self.additional.is_some()
            || self.names.is_some()
    }

    /// The place that judges the element at an index.
    pub fn of_element(&self, index: usize) -> Option<Id> {
        self.prefix.get(index).copied().or(self.items)
    }

    /// The places that judge the member of a name.
    #[inline]
    pub fn of_member(&self, name: Text<'_>, run: &Run<'_>, mut add: impl FnMut(Id)) -> Result<()> {
        let known = self.properties.get(name.as_bytes());
        known.into_iter().for_each(&mut add);
        let mut matched = known.is_some();
        for (pattern, id) in &self.patterns {
            if run.passes(*pattern, View::Str(name))? {
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
