//! Values written in a schema, as its keywords need them.

use serde_json::{Map, Value as Serde};

use crate::error::{Error, Result};
use crate::value::number::Number;
use crate::value::{Limits, Value, ValueBuilder};

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

/// A value of the schema as a document value; `None` if no document can contain it. The schema's depth is limited.
pub(in super::super) fn value(value: &Serde) -> Option<Value> {
    let mut builder = ValueBuilder::new(&Limits::NONE);
    build(value, &mut builder).ok()?;
    Some(builder.finish().value)
}

fn build(value: &Serde, builder: &mut ValueBuilder) -> Result<()> {
    match value {
        Serde::Null => builder.null(),
        Serde::Bool(value) => builder.boolean(*value),
        // The text that was written.
        Serde::Number(number) => builder.number(Number::parse(number.as_str().as_bytes())?),
        Serde::String(text) => builder.string(text),
        Serde::Array(items) => {
            builder.begin_array()?;
            items.iter().try_for_each(|item| build(item, builder))?;
            builder.end();
            Ok(())
        }
        Serde::Object(members) => {
            builder.begin_object()?;
            for (name, value) in members {
                builder.name(name)?;
                build(value, builder)?;
            }
            builder.end();
            Ok(())
        }
    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::{parse, print};

    #[test]
    fn a_value_of_a_schema_is_what_its_text_is_in_a_document() {
        let long = format!("[{}]", vec![r#"{"a":[1,2.50,"x"],"b":null}"#; 500].join(","));
        for text in [
            "null",
            "true",
            "\"a\\u00e9\\n\"",
            "0",
            "-0",
            "-0.0",
            "1.0",
            "1e2",
            "9223372036854775807",
            "9223372036854775808",
            "18446744073709551615",
            "1e400",
            "123456789012345678901234567890",
            "0.1000000000000000055511151231257827",
            "[]",
            "{}",
            r#"{"a":1,"b":[{"c":-1.5e-7}],"a":2}"#,
            &long,
        ] {
            let written: Serde = serde_json::from_str(text).unwrap();
            let parsed =
                parse::json(text.as_bytes(), &Limits::NONE).ok().map(|parsed| parsed.value);
            let text_of = |value: Option<Value>| value.map(|value| print::to_string(value.view()));
            assert_eq!(text_of(value(&written)), text_of(parsed), "{text}");
        }
    }
}
