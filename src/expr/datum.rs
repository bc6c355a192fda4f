//! Values of CEL's types that borrow wherever they can.
//!
//! Documents and constants are lent, never copied; only values that an expression itself makes are owned,
//! and shared by counting. Those know how deep they nest, which is bounded: comparing, printing and dropping
//! them may recurse. Nothing here converts a document.

use std::cmp::Ordering;
use std::rc::Rc;

use super::budget::StepBudget;
use super::fault::Fault;
use super::scope::{DocumentSource, Scope};
use crate::error::Error;
use crate::limit;
use crate::value::{ArrayView, ObjectView, Text, View};

mod collections;

/// A value.
#[derive(Clone)]
pub(super) enum Datum<'a> {
    Null,
    Bool(bool),
    Int(i64),
    Uint(u64),
    Double(f64),
    Str(Text<'a>),
    MadeStr(Rc<str>),
    Bytes(&'a [u8]),
    MadeBytes(Rc<[u8]>),
    List(List<'a>),
    Map(Map<'a>),
    Timestamp(Instant),
    /// Nanoseconds.
    Duration(i64),
    /// A type, by its name.
    Type(&'static str),
    Optional(Option<Rc<Datum<'a>>>),
}

#[derive(Clone)]
pub(super) enum List<'a> {
    Document(ArrayView<'a>),
    Constant(&'a [Constant]),
    Made(Made<Datum<'a>>),
}

#[derive(Clone)]
pub(super) enum Map<'a> {
    Document(ObjectView<'a>),
    Constant(&'a [(Constant, Constant)]),
    Made(Made<(Datum<'a>, Datum<'a>)>),
    /// The documents of a transaction by their keys.
    Documents(Docs<'a>),
}

/// The items of a list or map that an expression made.
pub(super) struct Made<T> {
    items: Rc<[T]>,
    nesting: u8,
}

impl<T> Clone for Made<T> {
    fn clone(&self) -> Made<T> {
        Made { items: Rc::clone(&self.items), nesting: self.nesting }
    }
}

impl<T> std::ops::Deref for Made<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        &self.items
    }
}

/// The deepest nesting of values that expressions make out of each other. A document inside one counts as
/// a scalar: its own nesting is bounded, and nothing recurses over it.
const NESTING_MAX: u8 = crate::limit::EXPRESSION_NESTING.default as u8;

/// The documents of a scope, as one pointer: values stay small.
#[derive(Clone, Copy)]
pub(super) struct Docs<'a>(&'a Scope<'a>);

impl<'a> Docs<'a> {
    /// None where the scope has none.
    pub fn of(scope: &'a Scope<'a>) -> Option<Docs<'a>> {
        scope.docs.is_some().then_some(Docs(scope))
    }

    fn documents(self) -> &'a dyn DocumentSource {
        self.0.docs.expect("the scope has documents")
    }

    fn count(self) -> usize {
        self.documents().count(self.0.this)
    }

    fn get(self, key: &[u8]) -> Option<View<'a>> {
        self.documents().get(key, self.0.this)
    }

    fn nth(self, nth: usize) -> Option<(Datum<'a>, Datum<'a>)> {
        let (key, document) = self.documents().nth(nth, self.0.this)?;
        Some((Datum::Str(Text::from(key)), Datum::from(document)))
    }
}

/// A point in time: seconds since 1970 in UTC, and nanoseconds in `0..1_000_000_000`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Instant {
    pub seconds: i64,
    pub nanos: u32,
}

/// A value the compiler knew. Unlike a datum it owns what it holds and may go to another thread.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Constant {
    Null,
    Bool(bool),
    Int(i64),
    Uint(u64),
    Double(f64),
    Str(Box<str>),
    Bytes(Box<[u8]>),
    List(Box<[Constant]>),
    Map(Box<[(Constant, Constant)]>),
    Timestamp(Instant),
    Duration(i64),
    Type(&'static str),
}

const NANOS: i128 = 1_000_000_000;

impl Instant {
    /// Year 1 to year 9999, as CEL has it.
    const SECONDS_MIN: i64 = -62_135_596_800;
    const SECONDS_MAX: i64 = 253_402_300_799;

    pub fn new(seconds: i64, nanos: u32) -> Option<Instant> {
        (Self::SECONDS_MIN..=Self::SECONDS_MAX)
            .contains(&seconds)
            .then_some(Instant { seconds, nanos })
    }

    pub fn from_micros(micros: u64) -> Option<Instant> {
        let seconds = i64::try_from(micros / 1_000_000).ok()?;
        Instant::new(seconds, (micros % 1_000_000) as u32 * 1000)
    }

    fn total(self) -> i128 {
        i128::from(self.seconds) * NANOS + i128::from(self.nanos)
    }

    pub fn plus(self, nanos: i128) -> Option<Instant> {
        let total = self.total() + nanos;
        let seconds = i64::try_from(total.div_euclid(NANOS)).ok()?;
        Instant::new(seconds, total.rem_euclid(NANOS) as u32)
    }

    /// Nanoseconds from the other to this one, when they fit a duration.
    pub fn since(self, other: Instant) -> Option<i64> {
        i64::try_from(self.total() - other.total()).ok()
    }
}

impl Constant {
    pub fn lend(&self) -> Datum<'_> {
        match self {
            Constant::Null => Datum::Null,
            Constant::Bool(value) => Datum::Bool(*value),
            Constant::Int(value) => Datum::Int(*value),
            Constant::Uint(value) => Datum::Uint(*value),
            Constant::Double(value) => Datum::Double(*value),
            Constant::Str(text) => Datum::Str(Text::from(&**text)),
            Constant::Bytes(bytes) => Datum::Bytes(bytes),
            Constant::List(items) => Datum::List(List::Constant(items)),
            Constant::Map(entries) => Datum::Map(Map::Constant(entries)),
            Constant::Timestamp(instant) => Datum::Timestamp(*instant),
            Constant::Duration(nanos) => Datum::Duration(*nanos),
            Constant::Type(name) => Datum::Type(name),
        }
    }

    /// The constant as a part of a document, where it could be one without being copied.
    #[inline]
    pub fn view(&self) -> Option<View<'_>> {
        match self {
            Constant::Int(value) => Some(View::Int(*value)),
            Constant::Str(text) => Some(View::Str(Text::from(&**text))),
            Constant::Double(value) if value.is_finite() => Some(View::Float(*value)),
            Constant::Bool(value) => Some(View::Bool(*value)),
            _ => None,
        }
    }

    /// A copy of a datum, which holds no documents.
    pub fn copy(datum: &Datum<'_>) -> Option<Constant> {
        Some(match datum {
            Datum::Null => Constant::Null,
            Datum::Bool(value) => Constant::Bool(*value),
            Datum::Int(value) => Constant::Int(*value),
            Datum::Uint(value) => Constant::Uint(*value),
            Datum::Double(value) => Constant::Double(*value),
            Datum::Str(text) => Constant::Str(text.as_str().into()),
            Datum::MadeStr(text) => Constant::Str((**text).into()),
            Datum::Bytes(bytes) => Constant::Bytes((*bytes).into()),
            Datum::MadeBytes(bytes) => Constant::Bytes((**bytes).into()),
            Datum::List(list) => Constant::List(
                list.iter().map(|item| Constant::copy(&item)).collect::<Option<_>>()?,
            ),
            Datum::Map(map @ (Map::Constant(_) | Map::Made(_))) => Constant::Map(
                map.entries()
                    .map(|(key, value)| Some((Constant::copy(&key)?, Constant::copy(&value)?)))
                    .collect::<Option<_>>()?,
            ),
            Datum::Map(Map::Document(_) | Map::Documents(..)) => return None,
            Datum::Optional(_) => return None,
            Datum::Timestamp(instant) => Constant::Timestamp(*instant),
            Datum::Duration(nanos) => Constant::Duration(*nanos),
            Datum::Type(name) => Constant::Type(name),
        })
    }

    /// Bytes on the heap.
    pub fn heap_bytes(&self) -> usize {
        match self {
            Constant::Str(text) => text.len(),
            Constant::Bytes(bytes) => bytes.len(),
            Constant::List(items) => {
                size_of_val::<[Constant]>(items)
                    + items.iter().map(Constant::heap_bytes).sum::<usize>()
            }
            Constant::Map(entries) => {
                size_of_val::<[(Constant, Constant)]>(entries)
                    + entries.iter().map(|(k, v)| k.heap_bytes() + v.heap_bytes()).sum::<usize>()
            }
            _ => 0,
        }
    }
}

impl<'a> From<View<'a>> for Datum<'a> {
    #[inline]
    fn from(view: View<'a>) -> Datum<'a> {
        match view {
            View::Null => Datum::Null,
            View::Bool(value) => Datum::Bool(value),
            View::Int(value) => Datum::Int(value),
            View::Float(value) => Datum::Double(value),
            View::Str(text) => Datum::Str(text),
            View::Array(array) => Datum::List(List::Document(array)),
            View::Object(object) => Datum::Map(Map::Document(object)),
        }
    }
}

impl<'a> Datum<'a> {
    pub fn string(text: impl Into<Rc<str>>) -> Datum<'a> {
        Datum::MadeStr(text.into())
    }

    /// A list of these items; `LIMIT` where it would nest too deeply.
    pub fn list(items: Vec<Datum<'a>>) -> Result<Datum<'a>, Fault> {
        let nesting = nested(items.iter())?;
        Ok(Datum::List(List::Made(Made { items: items.into(), nesting })))
    }

    /// A map of these entries, whose keys are known to differ; `LIMIT` where it would nest too deeply.
    pub fn map(entries: Vec<(Datum<'a>, Datum<'a>)>) -> Result<Datum<'a>, Fault> {
        let nesting = nested(entries.iter().map(|(_, value)| value))?;
        Ok(Datum::Map(Map::Made(Made { items: entries.into(), nesting })))
    }

    /// `LIMIT` where [`Datum::map`] of these entries would be refused.
    pub fn check_entries(entries: &[(Datum<'a>, Datum<'a>)]) -> Result<(), Fault> {
        nested(entries.iter().map(|(_, value)| value)).map(drop)
    }

    /// An optional that has this value; `LIMIT` where it would nest too deeply.
    pub fn present(value: Datum<'a>) -> Result<Datum<'a>, Fault> {
        nested(std::iter::once(&value))?;
        Ok(Datum::Optional(Some(Rc::new(value))))
    }

    /// An optional with this value, if there is one.
    pub fn optional(value: Option<Datum<'a>>) -> Result<Datum<'a>, Fault> {
        value.map_or(Ok(Datum::Optional(None)), Datum::present)
    }

    /// The depth of its nesting, as far as an expression made it.
    fn nesting(&self) -> u8 {
        match self {
            Datum::List(List::Made(items)) => items.nesting,
            Datum::Map(Map::Made(entries)) => entries.nesting,
            // Bounded, because making each was.
            Datum::Optional(Some(value)) => 1 + value.nesting(),
            _ => 0,
        }
    }

    /// The UTF-8 of a string.
    #[inline]
    pub fn utf8(&self) -> Option<&[u8]> {
        match self {
            Datum::Str(text) => Some(text.as_bytes()),
            Datum::MadeStr(text) => Some(text.as_bytes()),
            _ => None,
        }
    }

    pub fn as_str(&self) -> Option<&str> {
        match self {
            Datum::Str(text) => Some(text.as_str()),
            Datum::MadeStr(text) => Some(text),
            _ => None,
        }
    }

    pub fn as_bytes(&self) -> Option<&[u8]> {
        match self {
            Datum::Bytes(bytes) => Some(bytes),
            Datum::MadeBytes(bytes) => Some(bytes),
            _ => None,
        }
    }

    /// The kind of value with its article, for messages.
    pub fn described(&self) -> &'static str {
        match self {
            Datum::Null => "null",
            Datum::Bool(_) => "a bool",
            Datum::Int(_) => "an int",
            Datum::Uint(_) => "a uint",
            Datum::Double(_) => "a double",
            Datum::Str(_) | Datum::MadeStr(_) => "a string",
            Datum::Bytes(_) | Datum::MadeBytes(_) => "bytes",
            Datum::List(_) => "a list",
            Datum::Map(_) => "a map",
            Datum::Timestamp(_) => "a timestamp",
            Datum::Duration(_) => "a duration",
            Datum::Type(_) => "a type",
            Datum::Optional(_) => "an optional",
        }
    }

    /// The name of its type, as `type()` gives it.
    pub fn type_name(&self) -> &'static str {
        match self {
            Datum::Null => "null_type",
            Datum::Bool(_) => "bool",
            Datum::Int(_) => "int",
            Datum::Uint(_) => "uint",
            Datum::Double(_) => "double",
            Datum::Str(_) | Datum::MadeStr(_) => "string",
            Datum::Bytes(_) | Datum::MadeBytes(_) => "bytes",
            Datum::List(_) => "list",
            Datum::Map(_) => "map",
            Datum::Timestamp(_) => "google.protobuf.Timestamp",
            Datum::Duration(_) => "google.protobuf.Duration",
            Datum::Type(_) => "type",
            Datum::Optional(_) => "optional_type",
        }
    }

    pub fn is_number(&self) -> bool {
        matches!(self, Datum::Int(_) | Datum::Uint(_) | Datum::Double(_))
    }

    fn is_container(&self) -> bool {
        matches!(self, Datum::List(_) | Datum::Map(_) | Datum::Optional(_))
    }

    /// A whole number without rounding, from any of the number types.
    pub fn as_whole(&self) -> Option<i128> {
        match self {
            Datum::Int(value) => Some((*value).into()),
            Datum::Uint(value) => Some((*value).into()),
            Datum::Double(value) if value.trunc() == *value && value.abs() < 1e19 => {
                Some(*value as i128)
            }
            _ => None,
        }
    }

    /// Deep equality, `1 == 1u` and `1 == 1.0`; values of different types are different.
    #[inline]
    pub fn equals(&self, other: &Datum<'_>, budget: &mut StepBudget) -> Result<bool, Fault> {
        if self.is_container() && other.is_container() {
            return deep_equals(self, other, budget);
        }
        self.scalar_equals(other, budget)
    }

    #[inline]
    fn scalar_equals(&self, other: &Datum<'_>, budget: &mut StepBudget) -> Result<bool, Fault> {
        Ok(match (self, other) {
            (Datum::Int(a), Datum::Int(b)) => a == b,
            (Datum::Null, Datum::Null) => true,
            (Datum::Bool(a), Datum::Bool(b)) => a == b,
            (Datum::Timestamp(a), Datum::Timestamp(b)) => a == b,
            (Datum::Duration(a), Datum::Duration(b)) => a == b,
            (Datum::Type(a), Datum::Type(b)) => a == b,
            _ => {
                if let (Some(a), Some(b)) = (self.utf8(), other.utf8()) {
                    return equal_bytes(a, b, budget);
                }
                if let (Some(a), Some(b)) = (self.as_bytes(), other.as_bytes()) {
                    return equal_bytes(a, b, budget);
                }
                compare_numbers(self, other) == Some(Ordering::Equal)
            }
        })
    }

    /// The order of two values; a fault when they have none.
    #[inline]
    pub fn compare(&self, other: &Datum<'_>, budget: &mut StepBudget) -> Result<Ordering, Fault> {
        match (self, other) {
            (Datum::Int(a), Datum::Int(b)) => return Ok(a.cmp(b)),
            (Datum::Bool(a), Datum::Bool(b)) => return Ok(a.cmp(b)),
            (Datum::Timestamp(a), Datum::Timestamp(b)) => return Ok(a.cmp(b)),
            (Datum::Duration(a), Datum::Duration(b)) => return Ok(a.cmp(b)),
            _ => {}
        }
        if self.is_number() && other.is_number() {
            return compare_numbers(self, other).ok_or(Fault::Because("NaN has no order"));
        }
        let texts = self.utf8().zip(other.utf8());
        match texts.or_else(|| self.as_bytes().zip(other.as_bytes())) {
            Some((a, b)) => {
                budget.scan(a.len().min(b.len()))?;
                Ok(a.cmp(b))
            }
            None => Err(Fault::text(format!(
                "{} and {} have no order",
                self.described(),
                other.described()
            ))),
        }
    }
}

/// The nesting of a value made of these.
fn nested<'d, 'a: 'd>(items: impl Iterator<Item = &'d Datum<'a>>) -> Result<u8, Fault> {
    let nesting = 1 + items.map(Datum::nesting).max().unwrap_or(0);
    if nesting > NESTING_MAX {
        let error = Error::limit(limit::EXPRESSION_NESTING, NESTING_MAX.into());
        return Err(Fault::Refused(error.text("what", b"lists, maps and optionals in each other")));
    }
    Ok(nesting)
}

#[inline]
fn equal_bytes(a: &[u8], b: &[u8], budget: &mut StepBudget) -> Result<bool, Fault> {
    if a.len() != b.len() {
        return Ok(false);
    }
    budget.scan(a.len())?;
    Ok(a == b)
}

/// Exact, whatever the types; `None` for a NaN and for what is no number.
pub(super) fn compare_numbers(a: &Datum<'_>, b: &Datum<'_>) -> Option<Ordering> {
    let whole = |datum: &Datum<'_>| match datum {
        Datum::Int(value) => Some(i128::from(*value)),
        Datum::Uint(value) => Some(i128::from(*value)),
        _ => None,
    };
    match (a, b) {
        (Datum::Double(a), Datum::Double(b)) => a.partial_cmp(b),
        (Datum::Double(a), _) => compare_whole(whole(b)?, *a).map(Ordering::reverse),
        (_, Datum::Double(b)) => compare_whole(whole(a)?, *b),
        _ => Some(whole(a)?.cmp(&whole(b)?)),
    }
}

/// An integer of at most 64 bits against a double.
fn compare_whole(whole: i128, double: f64) -> Option<Ordering> {
    if double.is_nan() {
        return None;
    }
    // Casting saturates far outside of 64 bits, which keeps the order.
    let ordering = whole.cmp(&(double.trunc() as i128));
    Some(ordering.then_with(|| {
        0.0.partial_cmp(&double.fract()).expect("the fraction of a number is a number")
    }))
}

/// The cost of descending into two containers.
const PAIR_STEPS: u64 = 8;

/// Without recursion: documents may nest deeper than a small stack allows.
#[inline(never)]
fn deep_equals(a: &Datum<'_>, b: &Datum<'_>, budget: &mut StepBudget) -> Result<bool, Fault> {
    let mut pairs = vec![(a.clone(), b.clone())];
    while let Some((a, b)) = pairs.pop() {
        match (&a, &b) {
            (Datum::List(a), Datum::List(b)) => {
                if a.len() != b.len() {
                    return Ok(false);
                }
                for (x, y) in a.iter().zip(b.iter()) {
                    if x.is_container() && y.is_container() {
                        budget.charge(PAIR_STEPS)?;
                        pairs.push((x, y));
                    } else if !check_scalar(&x, &y, budget)? {
                        return Ok(false);
                    }
                }
            }
            (Datum::Map(a), Datum::Map(b)) => {
                if a.len() != b.len() {
                    return Ok(false);
                }
                for (key, x) in a.entries() {
                    let Some(y) = b.get(&key, budget)? else { return Ok(false) };
                    if x.is_container() && y.is_container() {
                        budget.charge(PAIR_STEPS)?;
                        pairs.push((x, y));
                    } else if !check_scalar(&x, &y, budget)? {
                        return Ok(false);
                    }
                }
            }
            (Datum::Optional(None), Datum::Optional(None)) => {}
            (Datum::Optional(Some(x)), Datum::Optional(Some(y))) => {
                if x.is_container() && y.is_container() {
                    budget.charge(PAIR_STEPS)?;
                    pairs.push(((**x).clone(), (**y).clone()));
                } else if !check_scalar(x, y, budget)? {
                    return Ok(false);
                }
            }
            // Of different kinds.
            _ => return Ok(false),
        }
    }
    Ok(true)
}

fn check_scalar(x: &Datum<'_>, y: &Datum<'_>, budget: &mut StepBudget) -> Result<bool, Fault> {
    budget.charge(1)?;
    x.scalar_equals(y, budget)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_different_types_are_compared_exactly() {
        use Ordering::{Equal, Greater, Less};
        let int = |value| Datum::Int(value);
        for (a, b, expected) in [
            (int(1), Datum::Double(1.0), Some(Equal)),
            (int(1), Datum::Double(1.5), Some(Less)),
            (int(-1), Datum::Double(-1.5), Some(Greater)),
            (int((1 << 53) + 1), Datum::Double((1u64 << 53) as f64), Some(Greater)),
            (int(i64::MAX), Datum::Double(9_223_372_036_854_775_808.0), Some(Less)),
            (int(i64::MIN), Datum::Double(-9_223_372_036_854_775_808.0), Some(Equal)),
            (Datum::Uint(u64::MAX), Datum::Double(18_446_744_073_709_551_616.0), Some(Less)),
            (Datum::Uint(u64::MAX), int(-1), Some(Greater)),
            (int(0), Datum::Double(-0.0), Some(Equal)),
            (int(0), Datum::Double(f64::INFINITY), Some(Less)),
            (int(0), Datum::Double(f64::NEG_INFINITY), Some(Greater)),
            (int(0), Datum::Double(f64::MIN_POSITIVE), Some(Less)),
            (int(0), Datum::Double(f64::NAN), None),
            (int(0), Datum::Null, None),
        ] {
            assert_eq!(compare_numbers(&a, &b), expected);
            assert_eq!(compare_numbers(&b, &a), expected.map(Ordering::reverse));
        }
    }

    #[test]
    fn instants_carry_and_stay_between_the_years_1_and_9999() {
        let at = |seconds, nanos| Instant::new(seconds, nanos).unwrap();
        assert_eq!(at(0, 0).plus(-1), Some(at(-1, 999_999_999)));
        assert_eq!(at(-1, 999_999_999).plus(1), Some(at(0, 0)));
        assert_eq!(at(5, 3).since(at(7, 4)), Some(-2_000_000_001));
        assert_eq!(at(Instant::SECONDS_MAX, 999_999_999).plus(1), None);
        assert_eq!(at(Instant::SECONDS_MIN, 0).plus(-1), None);
        assert_eq!(at(Instant::SECONDS_MAX, 0).since(at(Instant::SECONDS_MIN, 0)), None);
        assert_eq!(Instant::from_micros(1_500_000), Some(at(1, 500_000_000)));
        assert_eq!(Instant::from_micros(u64::MAX), None);
    }

    #[test]
    fn values_stay_small() {
        // They are moved and cloned at every step.
        assert!(size_of::<Datum<'_>>() <= 40, "{}", size_of::<Datum<'_>>());
        assert!(size_of::<Fault>() <= 24, "{}", size_of::<Fault>());
    }
}
