//! Values written in a schema, as its keywords need them.

use serde_json::{Map, Value as Serde};

use crate::error::{Error, Result};
use crate::value::number::Number;
use crate::value::{Limits, Value, parse};

/// The names of members.
pub(super) type MemberNames = Box<[Box<str>]>;
/// The names of the members that each member requires.
pub(super) type Dependents = Box<[(Box<str>, MemberNames)]>;

/// A number written in the schema; `None` for one that no document can contain.
pub(in super::super) fn number(value: &Serde) -> Option<Number> {
    let Serde::Number(number) = value else { return None };
    if let Some(value) = number.as_i64() {
        return Some(Number::Int(value));
    }
    // An integer above the range of i64 is left to the crate, which has u64.
    if number.as_u64().is_some() {
        return None;
    }
    number.as_f64().filter(|value| value.is_finite()).map(Number::Float)
}

/// A divisor for which the remainder of integers is exact, as the crate computes it.
pub(in super::super) fn small_divisor(number: Number) -> Option<i64> {
    const SAFE_MAX: i64 = 1 << 53;
    let divisor = match number {
        Number::Int(value) => value,
        Number::Float(value) if value.trunc() == value && value <= SAFE_MAX as f64 => value as i64,
        Number::Float(_) => return None,
    };
    (1..=SAFE_MAX).contains(&divisor).then_some(divisor)
}

/// A bound on a count, as the crate reads it.
pub(super) fn count(value: &Serde) -> Option<u64> {
    if let Some(count) = value.as_u64() {
        return Some(count);
    }
    let float = value.as_f64().filter(|count| *count >= 0.0 && count.trunc() == *count)?;
    Some(float as u64)
}

pub(super) fn names(value: &Serde) -> Option<MemberNames> {
    value.as_array()?.iter().map(|name| Some(name.as_str()?.into())).collect()
}

pub(super) fn dependent(map: &Map<String, Serde>) -> Option<Dependents> {
    map.iter().map(|(name, needed)| Some((name.as_str().into(), names(needed)?))).collect()
}

/// A value of the schema as a document value; `None` if no document can contain it.
pub(in super::super) fn value(value: &Serde) -> Option<Value> {
    let text = serde_json::to_vec(value).ok()?;
    parse::json(&text, &Limits::NONE).ok().map(|parsed| parsed.value)
}

/// Refuses a schema with a number that is not finite as a double.
pub(in super::super) fn refuse_odd_numbers(schema: &Serde) -> Result<()> {
    let mut stack = vec![schema];
    while let Some(value) = stack.pop() {
        match value {
            Serde::Number(number) if !number.as_f64().is_some_and(f64::is_finite) => {
                return Err(Error::syntax("a number in the schema is out of range"));
            }
            Serde::Array(items) => stack.extend(items),
            Serde::Object(map) => stack.extend(map.values()),
            _ => {}
        }
    }
    Ok(())
}
