//! Reading lists and maps, wherever their items are: in a document, or made by an expression.

use super::{Constant, Datum, Fault, List, Map, StepBudget, check_scalar};
use crate::value::Text;

impl<'a> List<'a> {
    pub fn len(&self) -> usize {
        match self {
            List::Document(array) => array.len(),
            List::Constant(items) => items.len(),
            List::Made(items) => items.len(),
        }
    }

    pub fn get(&self, index: usize) -> Option<Datum<'a>> {
        match self {
            List::Document(array) => array.get(index).map(Datum::from),
            List::Constant(items) => items.get(index).map(Constant::lend),
            List::Made(items) => items.get(index).cloned(),
        }
    }

    pub fn iter(&self) -> impl Iterator<Item = Datum<'a>> + use<'_, 'a> {
        match self {
            List::Document(array) => EitherIter3::A(array.iter().map(Datum::from)),
            List::Constant(items) => EitherIter3::B(items.iter().map(Constant::lend)),
            List::Made(items) => EitherIter3::C(items.iter().cloned()),
        }
    }
}

impl<'a> Map<'a> {
    pub fn len(&self) -> usize {
        match self {
            Map::Document(object) => object.len(),
            Map::Constant(entries) => entries.len(),
            Map::Made(entries) => entries.len(),
            Map::Documents(docs) => docs.count(),
        }
    }

    /// The value under a name.
    #[inline]
    pub fn get_name(
        &self,
        name: &str,
        budget: &mut StepBudget,
    ) -> Result<Option<Datum<'a>>, Fault> {
        match self {
            Map::Document(object) => Ok(object.get(name).map(Datum::from)),
            _ => self.get(&Datum::Str(Text::from(name)), budget),
        }
    }

    /// The value under a key, numbers by their value.
    pub fn get(
        &self,
        key: &Datum<'_>,
        budget: &mut StepBudget,
    ) -> Result<Option<Datum<'a>>, Fault> {
        match self {
            Map::Document(object) => match key.as_str() {
                Some(name) => {
                    budget.scan(name.len())?;
                    Ok(object.get(name).map(Datum::from))
                }
                None => Ok(None),
            },
            Map::Documents(docs) => {
                budget.charge(4)?;
                Ok(key.utf8().and_then(|key| docs.get(key)).map(Datum::from))
            }
            Map::Constant(entries) => {
                let entries = entries.iter().map(|(key, value)| (key.lend(), value.lend()));
                find(entries, key, budget)
            }
            Map::Made(entries) => find(entries.iter().cloned(), key, budget),
        }
    }

    /// Every key with its value, in order.
    pub fn entries(&self) -> impl Iterator<Item = (Datum<'a>, Datum<'a>)> + use<'_, 'a> {
        match self {
            Map::Document(object) => EitherIter3::A(
                object.iter().map(|(name, value)| (Datum::Str(name), Datum::from(value))),
            ),
            Map::Constant(entries) => {
                EitherIter3::B(entries.iter().map(|(key, value)| (key.lend(), value.lend())))
            }
            Map::Made(entries) => EitherIter3::C(Either3::Made(entries.iter().cloned())),
            Map::Documents(docs) => {
                let docs = *docs;
                EitherIter3::C(Either3::Documents(
                    (0..docs.count()).filter_map(move |nth| docs.nth(nth)),
                ))
            }
        }
    }
}

/// Maps that are no documents mostly come from the source of an expression and are small.
fn find<'a>(
    mut entries: impl Iterator<Item = (Datum<'a>, Datum<'a>)>,
    key: &Datum<'_>,
    budget: &mut StepBudget,
) -> Result<Option<Datum<'a>>, Fault> {
    entries
        .find_map(|(own, value)| match check_scalar(&own, key, budget) {
            Ok(true) => Some(Ok(value)),
            Ok(false) => None,
            Err(fault) => Some(Err(fault)),
        })
        .transpose()
}

/// One of several iterators over the same items.
enum EitherIter3<A, B, C> {
    A(A),
    B(B),
    C(C),
}

impl<T, A: Iterator<Item = T>, B: Iterator<Item = T>, C: Iterator<Item = T>> Iterator
    for EitherIter3<A, B, C>
{
    type Item = T;

    #[inline]
    fn next(&mut self) -> Option<T> {
        match self {
            EitherIter3::A(items) => items.next(),
            EitherIter3::B(items) => items.next(),
            EitherIter3::C(items) => items.next(),
        }
    }
}

enum Either3<A, B> {
    Made(A),
    Documents(B),
}

impl<T, A: Iterator<Item = T>, B: Iterator<Item = T>> Iterator for Either3<A, B> {
    type Item = T;

    fn next(&mut self) -> Option<T> {
        match self {
            Either3::Made(items) => items.next(),
            Either3::Documents(items) => items.next(),
        }
    }
}
