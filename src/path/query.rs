//! Queries with any number of matches, evaluated over a document in place.
//!
//! Segment after segment, a list of nodes becomes the next list, in the order RFC 9535 gives. Reading
//! needs values only, writing needs places too; one evaluation serves both, through [`Track`], and
//! reading pays nothing for it. Nothing recurses over the document; the budget bounds time and memory.

use super::filter::{Logical, QueryContext};
use super::singular::Singular;
use super::step::{PathStep, from_end};
use crate::budget::{Allowance, weight};
use crate::error::{Error, Result};
use crate::limit;
use crate::value::{Place, View};

/// A parsed JSONPath query that is not singular.
#[derive(Clone, Debug)]
pub struct Query {
    segments: Vec<Segment>,
}

#[derive(Clone, Debug)]
pub(super) struct Segment {
    /// Written with two dots: the selectors apply to a node and to all below it.
    pub descendant: bool,
    pub selectors: Vec<Selector>,
}

#[derive(Clone, Debug)]
pub(super) enum Selector {
    Name(Box<str>),
    Index(i64),
    Wildcard,
    Slice(Slice),
    Filter(Box<Logical>),
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Slice {
    pub start: Option<i64>,
    pub end: Option<i64>,
    pub step: i64,
}

/// The work a command may still do while one of its queries is evaluated, counted in nodes.
pub(super) struct NodeBudget {
    left: u64,
    start: u64,
    /// The limit that ends the evaluation.
    limit: (limit::Limit, u64),
}

impl NodeBudget {
    fn of(allowance: &Allowance<'_>) -> NodeBudget {
        let (nodes, of_steps) = (allowance.nodes_left(), allowance.steps_left() / weight::NODE);
        let limits = allowance.limits();
        let limit = match nodes <= of_steps {
            true => (limit::QUERY_NODES, limits.query_nodes),
            false => (limit::COMMAND_STEPS, limits.command_steps),
        };
        let start = nodes.min(of_steps);
        NodeBudget { left: start, start, limit }
    }

    /// Charges the finished evaluation to the command.
    fn give_back(&self, allowance: &Allowance<'_>) {
        allowance.visit_counted(self.start - self.left);
    }

    #[inline]
    pub fn charge(&mut self, nodes: u64) -> Result<()> {
        match self.left.checked_sub(nodes) {
            Some(left) => {
                self.left = left;
                Ok(())
            }
            None => Err(Error::limit(self.limit.0, self.limit.1)),
        }
    }

    /// A text that is read from end to end.
    #[inline]
    pub fn charge_bytes(&mut self, bytes: usize) -> Result<()> {
        self.charge(bytes as u64 / 64)
    }

    /// A place that is kept. A deep one takes memory of its own.
    fn charge_place(&mut self, place: &Place) -> Result<()> {
        self.charge(place.len() as u64 / 16)
    }

    /// A child that is looked up. In a small container that is a scan.
    #[inline]
    pub fn charge_lookup(&mut self, container: View<'_>) -> Result<()> {
        const SCANNED_MAX: usize = 1024;
        let children = match container {
            View::Array(array) => array.len(),
            View::Object(object) => object.len(),
            _ => 0,
        };
        self.charge(1 + children.min(SCANNED_MAX) as u64 / 16)
    }
}

impl Query {
    pub(super) fn new(segments: Vec<Segment>) -> Query {
        Query { segments }
    }

    /// Returns true for a query of names and indexes only, one in each segment.
    fn is_singular(&self) -> bool {
        self.segments.iter().all(|segment| {
            !segment.descendant
                && matches!(segment.selectors[..], [Selector::Name(_) | Selector::Index(_)])
        })
    }

    /// The same path as steps, if it is singular.
    pub(super) fn into_singular<'a>(self) -> std::result::Result<Singular<'a>, Query> {
        if !self.is_singular() {
            return Err(self);
        }
        let selectors = self.segments.into_iter().flat_map(|segment| segment.selectors);
        Ok(Singular::from_steps(selectors.map(|selector| match selector {
            Selector::Name(name) => PathStep::Name(String::from(name).into()),
            Selector::Index(index) => PathStep::Index(index),
            _ => unreachable!("a singular query has names and indexes only"),
        })))
    }

    /// The values of all matches, in order, duplicates kept.
    pub fn select<'v>(&self, root: View<'v>, allowance: &Allowance<'_>) -> Result<Vec<View<'v>>> {
        let mut context = QueryContext::new(root, NodeBudget::of(allowance));
        let found = self.select_from(root, &mut context)?;
        context.budget.give_back(allowance);
        Ok(found)
    }

    pub(super) fn select_from<'v>(
        &self,
        start: View<'v>,
        context: &mut QueryContext<'v>,
    ) -> Result<Vec<View<'v>>> {
        self.run(start, &mut Values, context)
    }

    /// The places of all matches, in the order of their first match, each once.
    pub fn places(&self, root: View<'_>, allowance: &Allowance<'_>) -> Result<Vec<Place>> {
        let mut links = Links::default();
        let mut context = QueryContext::new(root, NodeBudget::of(allowance));
        let nodes = self.run((root, Links::ROOT), &mut links, &mut context)?;
        let mut places = Vec::with_capacity(nodes.len());
        let mut deeper = 0;
        for (_, id) in nodes {
            let place = links.place(id);
            context.budget.charge_place(&place)?;
            deeper += (place.len() as u64).saturating_sub(1);
            places.push(place);
        }
        context.budget.give_back(allowance);
        // They are sorted into the order in which they are changed.
        let each = weight::PLACE + u64::from(places.len().checked_ilog2().unwrap_or(0));
        let of_ways = deeper * weight::PLACE_STEP + links.members * weight::PLACE_MEMBER;
        allowance.spend(each * places.len() as u64 + of_ways)?;
        if self.may_repeat() {
            keep_first(&mut places);
        }
        Ok(places)
    }

    /// Returns true if the query may match one node twice: through several selectors or from several ancestors.
    fn may_repeat(&self) -> bool {
        self.segments.iter().any(|segment| segment.selectors.len() > 1)
            || self.segments.iter().filter(|segment| segment.descendant).count() > 1
    }

    fn run<'v, T: Track<'v>>(
        &self,
        start: T::Node,
        track: &mut T,
        context: &mut QueryContext<'v>,
    ) -> Result<Vec<T::Node>> {
        let mut nodes = vec![start];
        for segment in &self.segments {
            let mut found = Vec::new();
            for node in nodes {
                if segment.descendant {
                    segment.descend(node, track, context, &mut found)?;
                } else {
                    segment.select(node, track, context, &mut found)?;
                }
            }
            nodes = found;
        }
        Ok(nodes)
    }
}

/// Drops every place that is equal to one before it.
fn keep_first(places: &mut Vec<Place>) {
    let mut order: Vec<usize> = (0..places.len()).collect();
    order.sort_unstable_by(|a, b| places[*a].cmp(&places[*b]).then(a.cmp(b)));
    let mut repeated = vec![false; places.len()];
    for pair in order.windows(2) {
        repeated[pair[1]] = places[pair[0]] == places[pair[1]];
    }
    let mut flags = repeated.into_iter();
    places.retain(|_| !flags.next().expect("there is a flag for every place"));
}

/// The data an evaluation keeps for each node: values alone, or places too.
trait Track<'v> {
    type Node: Copy;
    fn view(node: Self::Node) -> View<'v>;
    fn child(&mut self, parent: Self::Node, position: u32, view: View<'v>) -> Self::Node;
}

/// Track for reading: values alone.
struct Values;

impl<'v> Track<'v> for Values {
    type Node = View<'v>;

    #[inline]
    fn view(node: View<'v>) -> View<'v> {
        node
    }

    #[inline]
    fn child(&mut self, _parent: View<'v>, _position: u32, view: View<'v>) -> View<'v> {
        view
    }
}

/// For every node but the root, its parent and its position there.
#[derive(Default)]
struct Links {
    links: Vec<(u32, u32)>,
    /// The number of them that are members of objects.
    members: u64,
}

impl Links {
    const ROOT: u32 = u32::MAX;

    fn place(&self, mut id: u32) -> Place {
        let mut place = Place::new();
        while id != Links::ROOT {
            let (parent, position) = self.links[id as usize];
            place.push(position);
            id = parent;
        }
        place.reverse();
        place
    }
}

impl<'v> Track<'v> for Links {
    type Node = (View<'v>, u32);

    #[inline]
    fn view(node: (View<'v>, u32)) -> View<'v> {
        node.0
    }

    #[inline]
    fn child(&mut self, parent: (View<'v>, u32), position: u32, view: View<'v>) -> Self::Node {
        let id = self.links.len();
        assert!(id < Links::ROOT as usize, "a query's budget is below 2^32 nodes");
        self.links.push((parent.1, position));
        self.members += u64::from(matches!(parent.0, View::Object(_)));
        (view, id as u32)
    }
}

impl Segment {
    /// Applies the selectors to the node and to everything below it, parents first.
    fn descend<'v, T: Track<'v>>(
        &self,
        node: T::Node,
        track: &mut T,
        context: &mut QueryContext<'v>,
        found: &mut Vec<T::Node>,
    ) -> Result<()> {
        let mut stack = vec![node];
        while let Some(node) = stack.pop() {
            self.select(node, track, context, found)?;
            let first = stack.len();
            each_child(T::view(node), |position, view| {
                context.budget.charge(1)?;
                // A scalar has no children to be selected.
                if matches!(view, View::Array(_) | View::Object(_)) {
                    stack.push(track.child(node, position, view));
                }
                Ok(())
            })?;
            stack[first..].reverse();
        }
        Ok(())
    }

    /// Applies the selectors to the node, one after the other.
    fn select<'v, T: Track<'v>>(
        &self,
        node: T::Node,
        track: &mut T,
        context: &mut QueryContext<'v>,
        found: &mut Vec<T::Node>,
    ) -> Result<()> {
        for selector in &self.selectors {
            let view = T::view(node);
            let mut take = |position, view| found.push(track.child(node, position, view));
            match selector {
                Selector::Name(name) => {
                    context.budget.charge_lookup(view)?;
                    if let Some((position, child)) = view.as_object().and_then(|o| o.find(name)) {
                        take(position, child);
                    }
                }
                Selector::Index(index) => {
                    context.budget.charge_lookup(view)?;
                    if let Some((position, child)) = item(view, *index) {
                        take(position, child);
                    }
                }
                Selector::Wildcard => each_child(view, |position, child| {
                    context.budget.charge(1)?;
                    take(position, child);
                    Ok(())
                })?,
                Selector::Slice(slice) => slice.select(view, &mut context.budget, take)?,
                Selector::Filter(filter) => each_child(view, |position, child| {
                    context.budget.charge(1)?;
                    if filter.test(child, context)? {
                        take(position, child);
                    }
                    Ok(())
                })?,
            }
        }
        Ok(())
    }
}

/// Every child of a container, with its position, in order.
fn each_child<'v>(
    view: View<'v>,
    mut visit: impl FnMut(u32, View<'v>) -> Result<()>,
) -> Result<()> {
    match view {
        View::Array(array) => {
            (0..).zip(array.iter()).try_for_each(|(position, item)| visit(position, item))
        }
        View::Object(object) => {
            object.entries().try_for_each(|(position, _, value)| visit(position, value))
        }
        _ => Ok(()),
    }
}

fn item(view: View<'_>, index: i64) -> Option<(u32, View<'_>)> {
    let array = view.as_array()?;
    let index = from_end(index, array.len())?;
    Some((u32::try_from(index).ok()?, array.get(index)?))
}

impl Slice {
    /// Walks the items between the bounds once, because looking one up may be a scan.
    fn select<'v>(
        &self,
        view: View<'v>,
        budget: &mut NodeBudget,
        mut take: impl FnMut(u32, View<'v>),
    ) -> Result<()> {
        let Some(array) = view.as_array() else { return budget.charge(1) };
        let (lower, upper) = self.bounds(array.len());
        let stride = self.step.unsigned_abs() as usize;
        budget.charge(1 + upper as u64)?;
        if lower >= upper || stride == 0 {
            return Ok(());
        }
        let items = (0..).zip(array.iter()).take(upper);
        if self.step > 0 {
            items.skip(lower).step_by(stride).for_each(|(position, item)| take(position, item));
        } else {
            // Walking forwards, the last of the items wanted comes first.
            let first = lower + (upper - 1 - lower) % stride;
            let wanted: Vec<_> = items.skip(first).step_by(stride).collect();
            wanted.into_iter().rev().for_each(|(position, item)| take(position, item));
        }
        Ok(())
    }

    /// The items wanted are in `lower..upper`: counted from `lower` up, or from `upper - 1` down.
    fn bounds(&self, len: usize) -> (usize, usize) {
        let len = len as i64;
        let normal = |index: i64| if index < 0 { index + len } else { index };
        let (lower, upper) = if self.step >= 0 {
            (normal(self.start.unwrap_or(0)), normal(self.end.unwrap_or(len)))
        } else {
            let first = normal(self.start.unwrap_or(len - 1));
            let stop = self.end.map_or(-1, normal);
            (stop.saturating_add(1), first.saturating_add(1))
        };
        (lower.clamp(0, len) as usize, upper.clamp(0, len) as usize)
    }
}
