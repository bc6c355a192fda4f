//! The choice of an index for a condition, and the ranges of it to look at.
//!
//! Every document that fulfils the condition has exactly one entry in the ranges; others may have one, too: the
//! condition is asked of each document itself.

use smallvec::{SmallVec, smallvec};

use super::key::{self, Range, Relation};
use super::ready::ReadyIndexes;
use super::set::{Index, IndexSet, Part};
use super::source::IndexSource;
use super::tree::Direction;
use crate::error::{Error, ErrorCode, Result};
use crate::expr::{Term, TermTest};
use crate::value::{Measured, View};

/// Encoded values, mostly one.
type KeyList = SmallVec<[Vec<u8>; 1]>;

/// The most ranges of one plan.
const RANGES_MAX: usize = 1000;

/// A query, as far as indexes can serve it.
pub struct IndexPlanner<'q> {
    pub set: &'q IndexSet,
    /// Others are not planned with.
    pub ready: ReadyIndexes,
    /// The terms of the condition with their values.
    pub terms: &'q [(&'q Term, Option<Measured>)],
    /// The spellings of all terms of the condition.
    pub spellings: &'q [String],
    /// Flag: there is a condition.
    pub filters: bool,
    pub order: Option<(&'q [u8], Direction)>,
    /// Flag: all documents may be looked at.
    pub scans: bool,
}

/// The entries to look at.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IndexPlan {
    /// None for the names of all documents.
    pub index: Option<u8>,
    pub direction: Direction,
    /// Disjoint, in the order in which they are looked at.
    pub ranges: Vec<Range>,
    /// The number of parts that terms of the condition bound.
    pub bound: usize,
}

impl IndexPlanner<'_> {
    /// The plan that looks at the fewest entries; `count` gives those of an index in a range. `NOINDEX` if no index
    /// that is ready serves the query, `ERR` for an unknown one.
    pub fn plan(&self, count: impl Fn(u8, &Range) -> usize) -> Result<IndexPlan> {
        if let Some((name, direction)) = self.order {
            let plan = self.number(name).map(|number| self.plan_for(number, direction))?;
            let served = |plan: &IndexPlan| {
                self.ready.has(plan.index) && (plan.bound > 0 || !self.filters || self.scans)
            };
            return plan.filter(served).ok_or_else(|| self.refusal(Some(name)));
        }
        if !self.filters && self.ready.names {
            return Ok(self.all());
        }
        let mut plans = (0..self.set.indexes.len()).filter_map(|number| {
            let plan = self.plan_for(number as u8, Direction::Ascending);
            plan.filter(|plan| plan.bound > 0 && self.ready.has(plan.index))
        });
        let entries = |plan: &IndexPlan| -> usize {
            let index = plan.index.expect("it is the plan for an index");
            plan.ranges.iter().map(|range| count(index, range)).sum()
        };
        // Entries are counted where there is a choice.
        let best = match (plans.next(), plans.next()) {
            (Some(first), Some(second)) => {
                [first, second].into_iter().chain(plans).min_by_key(entries)
            }
            (only, _) => only,
        };
        match best {
            Some(plan) => Ok(plan),
            None if self.scans && self.ready.names => Ok(self.all()),
            None => Err(self.refusal(None)),
        }
    }

    /// The plan for a query that goes on where a cursor ended, by the same index.
    pub fn resumed(&self, index: Option<u8>, direction: Direction) -> Option<IndexPlan> {
        match index {
            Some(number) if usize::from(number) < self.set.indexes.len() => {
                self.plan_for(number, direction)
            }
            Some(_) => None,
            None => Some(IndexPlan { direction, ..self.all() }),
        }
    }

    fn number(&self, name: &[u8]) -> Result<u8> {
        let named = |source: &IndexSource| source.name.as_bytes() == name;
        let number = self.set.sources().position(named);
        number
            .map(|number| number as u8)
            .ok_or_else(|| Error::syntax("the model has no such index").text("index", name))
    }

    /// All documents, by their names.
    fn all(&self) -> IndexPlan {
        let ranges = vec![Range::names()];
        IndexPlan { index: None, direction: Direction::Ascending, ranges, bound: 0 }
    }

    /// The ranges of one index; `None` if it lacks documents that the query wants, or has some more than once.
    fn plan_for(&self, number: u8, direction: Direction) -> Option<IndexPlan> {
        let index = &self.set.indexes[usize::from(number)];
        if !self.implies_only(index) {
            return None;
        }
        let (mut prefixes, mut bound, mut last): (KeyList, _, _) = (smallvec![Vec::new()], 0, None);
        for part in &index.parts {
            let digests = index.source.unique;
            if let Some(mut values) = self.equal_to(part, digests)
                && prefixes.len() * values.len() <= RANGES_MAX
            {
                match (&mut prefixes[..], &mut values[..]) {
                    ([prefix], [value]) if prefix.is_empty() => *prefix = std::mem::take(value),
                    ([prefix], [value]) => prefix.extend_from_slice(value),
                    _ => {
                        let behind = |prefix: &Vec<u8>| -> KeyList {
                            values.iter().map(|value| [&prefix[..], value].concat()).collect()
                        };
                        prefixes = prefixes.iter().flat_map(behind).collect();
                    }
                }
                bound += 1;
                continue;
            }
            last = self.range_of(part, digests);
            bound += usize::from(last.is_some());
            break;
        }
        let equal = bound - usize::from(last.is_some());
        if index.many_part().is_some_and(|many| many >= equal) {
            return None;
        }
        let mut ranges: Vec<Range> = prefixes
            .into_iter()
            .map(|prefix| match &last {
                Some(range) => range.behind(&prefix),
                None => Range::of_prefix(prefix),
            })
            .collect();
        if direction == Direction::Descending {
            ranges.reverse();
        }
        Some(IndexPlan { index: Some(number), direction, ranges, bound })
    }

    /// Returns true if every document that fulfils the condition is in the index.
    fn implies_only(&self, index: &Index) -> bool {
        match &index.only_terms {
            Some(terms) => terms.iter().all(|term| self.spellings.contains(term)),
            None => false,
        }
    }

    fn terms_of<'s>(
        &'s self,
        part: &'s Part,
    ) -> impl Iterator<Item = (TermTest, Option<View<'s>>)> + 's {
        let own = move |term: &Term| part.subject.as_ref() == Some(&term.subject);
        self.terms
            .iter()
            .filter(move |(term, _)| own(term))
            .map(|(term, value)| (term.test, value.as_ref().map(|value| value.value.view())))
    }

    /// The encoded values that the part has one of, ascending, each once; none where no term says so.
    fn equal_to(&self, part: &Part, digests: bool) -> Option<KeyList> {
        let encode = |value| key::equal(value, digests);
        let mut found: Option<KeyList> = None;
        for (test, value) in self.terms_of(part) {
            let values = match (test, value, part.many) {
                (TermTest::Equal, Some(value), false) | (TermTest::Contains, Some(value), true) => {
                    encode(value).map(|value| smallvec![value])
                }
                // A longer one serves no plan, and encoding it for each index would take long.
                (TermTest::In, Some(View::Array(items)), false) if items.len() <= RANGES_MAX => {
                    items.iter().map(encode).collect::<Option<KeyList>>()
                }
                _ => None,
            };
            if let Some(mut values) = values
                && found.as_ref().is_none_or(|found| values.len() < found.len())
            {
                values.sort_unstable();
                values.dedup();
                found = Some(values);
            }
        }
        found
    }

    /// The range of values that the part may have; none where no term bounds it.
    fn range_of(&self, part: &Part, digests: bool) -> Option<Range> {
        if part.many {
            return None;
        }
        let ranges = self.terms_of(part).filter_map(|(test, value)| {
            let relation = match test {
                TermTest::Less => Relation::Less,
                TermTest::LessEqual => Relation::LessEqual,
                TermTest::Greater => Relation::Greater,
                TermTest::GreaterEqual => Relation::GreaterEqual,
                TermTest::StartsWith => Relation::StartsWith,
                TermTest::Present => return Some(Range::present()),
                TermTest::Equal | TermTest::In | TermTest::Contains => return None,
            };
            Range::of(relation, value?, digests)
        });
        ranges.reduce(Range::and)
    }

    fn refusal(&self, order: Option<&[u8]>) -> Error {
        let message = match order {
            Some(_) => {
                "the index of ORDER does not serve the condition; name one that does, or say SCAN to look at all of it, if it has every document once"
            }
            None => "no index serves the condition; add one, or say SCAN to look at all documents",
        };
        let error = Error::new(ErrorCode::NoIndex, message);
        order.into_iter().fold(error, |error, name| error.text("index", name))
    }
}
