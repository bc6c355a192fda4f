//! Filter expressions: their syntax tree and its evaluation for one value.
//!
//! The tree is well-typed by construction: the parser builds no other (RFC 9535 section 2.4.3). It is
//! at most [`super::FILTER_DEPTH_MAX`] levels deep, which bounds every recursion over it.

use std::cmp::Ordering;
use std::rc::Rc;
use std::sync::Arc;

use super::pattern::{self, IRegexp, PATTERN_BYTES_MAX};
use super::query::{NodeBudget, Query};
use super::step::PathStep;
use crate::error::Result;
use crate::value::{Number, Text, Value, View};

/// A logical expression.
#[derive(Clone, Debug)]
pub(super) enum Logical {
    Or(Vec<Logical>),
    And(Vec<Logical>),
    Not(Box<Logical>),
    Exists(SubQuery),
    Compare {
        left: Comparable,
        comparison: FilterComparison,
        right: Comparable,
    },
    /// `match` (the whole text) or `search` (a part of it).
    Matches {
        text: Comparable,
        pattern: Matcher,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FilterComparison {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

/// An operand with one value or none.
#[derive(Clone, Debug)]
pub(super) enum Comparable {
    Literal(Literal),
    /// A value of `ARGS`; none where it has no such value, which is the standard's "nothing".
    Bound(Option<Arc<Value>>),
    Singular(SingularQuery),
    Length(Box<Comparable>),
    Count(Box<SubQuery>),
    Value(Box<SubQuery>),
}

#[derive(Clone, Debug)]
pub(super) enum Literal {
    Null,
    Bool(bool),
    Number(Number),
    Text(Box<str>),
}

/// Where a query inside a filter starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum QueryStart {
    /// `$`, the document.
    Root,
    /// `@`, the value being filtered.
    Current,
}

#[derive(Clone, Debug)]
pub(super) enum SubQuery {
    Singular(SingularQuery),
    Query(QueryStart, Query),
}

#[derive(Clone, Debug)]
pub(super) struct SingularQuery {
    pub origin: QueryStart,
    pub steps: Box<[PathStep<'static>]>,
}

/// The pattern of `match` or `search`.
#[derive(Clone, Debug)]
pub(super) enum Matcher {
    /// Known when the path was parsed; `None` matches nothing.
    Constant(Option<IRegexp>),
    /// Found in the document, or bound.
    Dynamic { source: Box<Comparable>, whole: bool },
}

/// The state of evaluating one query.
pub(super) struct QueryContext<'v> {
    pub root: View<'v>,
    pub budget: NodeBudget,
    patterns: PatternCache,
}

impl<'v> QueryContext<'v> {
    pub fn new(root: View<'v>, budget: NodeBudget) -> QueryContext<'v> {
        QueryContext { root, budget, patterns: PatternCache::default() }
    }

    fn start(&self, origin: QueryStart, current: View<'v>) -> View<'v> {
        match origin {
            QueryStart::Root => self.root,
            QueryStart::Current => current,
        }
    }
}

impl Logical {
    /// Evaluates the expression for `current`.
    pub fn test<'v>(&self, current: View<'v>, context: &mut QueryContext<'v>) -> Result<bool> {
        context.budget.charge(1)?;
        match self {
            Logical::Or(terms) => any(terms, true, current, context),
            Logical::And(terms) => any(terms, false, current, context).map(|found| !found),
            Logical::Not(term) => Ok(!term.test(current, context)?),
            Logical::Exists(query) => query.exists(current, context),
            Logical::Compare { left, comparison, right } => {
                let left = left.value(current, context)?;
                let right = right.value(current, context)?;
                comparison.holds(left, right, &mut context.budget)
            }
            Logical::Matches { text, pattern } => match text.value(current, context)? {
                Some(View::Str(text)) => pattern.matches(text, current, context),
                _ => Ok(false),
            },
        }
    }
}

/// Returns true if any term evaluates to `wanted`; terms behind the first such one are not evaluated.
fn any<'v>(
    terms: &[Logical],
    wanted: bool,
    current: View<'v>,
    context: &mut QueryContext<'v>,
) -> Result<bool> {
    for term in terms {
        if term.test(current, context)? == wanted {
            return Ok(true);
        }
    }
    Ok(false)
}

impl SubQuery {
    fn select<'v>(
        &self,
        current: View<'v>,
        context: &mut QueryContext<'v>,
    ) -> Result<Vec<View<'v>>> {
        match self {
            SubQuery::Singular(query) => Ok(query.find(current, context)?.into_iter().collect()),
            SubQuery::Query(origin, query) => {
                query.select_from(context.start(*origin, current), context)
            }
        }
    }

    fn exists<'v>(&self, current: View<'v>, context: &mut QueryContext<'v>) -> Result<bool> {
        match self {
            SubQuery::Singular(query) => Ok(query.find(current, context)?.is_some()),
            SubQuery::Query(..) => Ok(!self.select(current, context)?.is_empty()),
        }
    }
}

impl SingularQuery {
    fn find<'v>(
        &self,
        current: View<'v>,
        context: &mut QueryContext<'v>,
    ) -> Result<Option<View<'v>>> {
        let mut view = context.start(self.origin, current);
        for step in &self.steps {
            context.budget.charge_lookup(view)?;
            match step.child(view) {
                Some((_, child)) => view = child,
                None => return Ok(None),
            }
        }
        Ok(Some(view))
    }
}

impl Comparable {
    /// The value for `current`; `None` is the standard's "nothing".
    fn value<'x, 'v: 'x>(
        &'x self,
        current: View<'v>,
        context: &mut QueryContext<'v>,
    ) -> Result<Option<View<'x>>> {
        Ok(match self {
            Comparable::Literal(literal) => Some(literal.view()),
            Comparable::Bound(value) => value.as_ref().map(|value| value.view()),
            Comparable::Singular(query) => query.find(current, context)?,
            Comparable::Length(of) => {
                let of = of.value(current, context)?;
                of.map_or(Ok(None), |view| length(view, &mut context.budget))?.map(View::Int)
            }
            Comparable::Count(query) => {
                Some(View::Int(query.select(current, context)?.len() as i64))
            }
            Comparable::Value(query) => match query.select(current, context)?[..] {
                [only] => Some(only),
                _ => None,
            },
        })
    }
}

impl Literal {
    pub fn view(&self) -> View<'_> {
        match self {
            Literal::Null => View::Null,
            Literal::Bool(value) => View::Bool(*value),
            Literal::Number(Number::Int(value)) => View::Int(*value),
            Literal::Number(Number::Float(value)) => View::Float(*value),
            Literal::Text(text) => View::Str(Text::from(&**text)),
        }
    }
}

/// The function `length`: characters, items or members.
fn length(view: View<'_>, budget: &mut NodeBudget) -> Result<Option<i64>> {
    Ok(match view {
        View::Str(text) => {
            budget.charge_bytes(text.as_bytes().len())?;
            Some(text.code_points() as i64)
        }
        View::Array(array) => Some(array.len() as i64),
        View::Object(object) => Some(object.len() as i64),
        _ => None,
    })
}

impl FilterComparison {
    fn holds(
        self,
        left: Option<View<'_>>,
        right: Option<View<'_>>,
        budget: &mut NodeBudget,
    ) -> Result<bool> {
        Ok(match self {
            FilterComparison::Equal => same(left, right, budget)?,
            FilterComparison::NotEqual => !same(left, right, budget)?,
            FilterComparison::Less => less(left, right, budget)?,
            FilterComparison::Greater => less(right, left, budget)?,
            FilterComparison::LessOrEqual => {
                less(left, right, budget)? || same(left, right, budget)?
            }
            FilterComparison::GreaterOrEqual => {
                less(right, left, budget)? || same(left, right, budget)?
            }
        })
    }
}

/// Nothing equals nothing.
fn same(left: Option<View<'_>>, right: Option<View<'_>>, budget: &mut NodeBudget) -> Result<bool> {
    match (left, right) {
        (Some(left), Some(right)) => equal(left, right, budget),
        (left, right) => Ok(left.is_none() && right.is_none()),
    }
}

/// [`View::equals`], paid for node by node.
fn equal(left: View<'_>, right: View<'_>, budget: &mut NodeBudget) -> Result<bool> {
    budget.charge(1)?;
    match (left, right) {
        (View::Array(left), View::Array(right)) if left.len() == right.len() => {
            for (left, right) in left.iter().zip(right.iter()) {
                if !equal(left, right, budget)? {
                    return Ok(false);
                }
            }
            Ok(true)
        }
        (View::Object(left), View::Object(right)) if left.len() == right.len() => {
            for (name, value) in left.iter() {
                budget.charge_lookup(View::Object(right))?;
                match right.get(name.as_str()) {
                    Some(other) if equal(value, other, budget)? => {}
                    _ => return Ok(false),
                }
            }
            Ok(true)
        }
        (View::Array(_) | View::Object(_), _) | (_, View::Array(_) | View::Object(_)) => Ok(false),
        (left, right) => {
            if let (View::Str(left), View::Str(right)) = (left, right) {
                budget.charge_bytes(left.as_bytes().len().min(right.as_bytes().len()))?;
            }
            Ok(left.equals(right))
        }
    }
}

/// Numbers by value, texts by code points, and nothing else has an order.
fn less(left: Option<View<'_>>, right: Option<View<'_>>, budget: &mut NodeBudget) -> Result<bool> {
    let (Some(left), Some(right)) = (left, right) else { return Ok(false) };
    if let (View::Str(left), View::Str(right)) = (left, right) {
        budget.charge_bytes(left.as_bytes().len().min(right.as_bytes().len()))?;
        return Ok(left < right);
    }
    Ok(match (left.as_number(), right.as_number()) {
        (Some(left), Some(right)) => left.compare(right) == Ordering::Less,
        _ => false,
    })
}

impl Matcher {
    fn matches<'v>(
        &self,
        text: Text<'_>,
        current: View<'v>,
        context: &mut QueryContext<'v>,
    ) -> Result<bool> {
        match self {
            Matcher::Constant(pattern) => run_pattern(pattern.as_ref(), text, &mut context.budget),
            Matcher::Dynamic { source, whole } => match source.value(current, context)? {
                Some(View::Str(source)) => {
                    let QueryContext { patterns, budget, .. } = context;
                    let pattern = patterns.get(source, *whole, budget)?;
                    run_pattern(pattern.as_ref().as_ref(), text, budget)
                }
                _ => Ok(false),
            },
        }
    }
}

fn run_pattern(pattern: Option<&IRegexp>, text: Text<'_>, budget: &mut NodeBudget) -> Result<bool> {
    let Some(pattern) = pattern else { return Ok(false) };
    if !pattern.is_compiled() {
        budget.charge(pattern.compile_cost())?;
        pattern.compile()?;
    }
    budget.charge(pattern.match_cost(text.as_bytes().len()))?;
    Ok(pattern.is_match(text.as_bytes()))
}

/// The last few patterns found in the document, compiled. Most often there is just one.
#[derive(Default)]
struct PatternCache {
    entries: Vec<CachedPattern>,
    next: usize,
}

struct CachedPattern {
    source: Box<[u8]>,
    whole: bool,
    pattern: Rc<Option<IRegexp>>,
}

const CACHED_PATTERNS_MAX: usize = 8;

impl PatternCache {
    fn get(
        &mut self,
        source: Text<'_>,
        whole: bool,
        budget: &mut NodeBudget,
    ) -> Result<Rc<Option<IRegexp>>> {
        let bytes = source.as_bytes();
        if bytes.len() > PATTERN_BYTES_MAX {
            return Err(pattern::too_long());
        }
        budget.charge_bytes(bytes.len())?;
        if let Some(hit) = self.entries.iter().find(|e| e.whole == whole && *e.source == *bytes) {
            return Ok(hit.pattern.clone());
        }
        budget.charge(bytes.len() as u64)?;
        let pattern = Rc::new(IRegexp::parse(source.as_str(), whole)?);
        let entry = CachedPattern { source: bytes.into(), whole, pattern: pattern.clone() };
        if self.entries.len() < CACHED_PATTERNS_MAX {
            self.entries.push(entry);
        } else {
            self.entries[self.next] = entry;
            self.next = (self.next + 1) % CACHED_PATTERNS_MAX;
        }
        Ok(pattern)
    }
}
