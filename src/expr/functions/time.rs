//! Timestamps and durations.

use super::Function;
use super::arguments::text;
use super::foreign::Cost::Linear;
use crate::expr::datum::Datum;
use crate::expr::eval::{Eval, Evaluated};
use crate::time::{Duration, Unreadable};

/// The functions of this family.
pub(super) static FUNCTIONS: [Function; 12] = [
    Function::foreign(
        "timestamp",
        (1, 1),
        Linear,
        [
            "timestamp(text)",
            "timestamp from RFC 3339 text, or from seconds since 1970",
            "bytes / 8",
            "timestamp('2024-02-29T12:30:00+01:00')",
            "\"2024-02-29T11:30:00Z\"",
        ],
    ),
    Function::global(
        "duration",
        (1, 1),
        duration,
        [
            "duration(text)",
            "duration from 1h30m, 2d, 250ms or ISO 8601; a year is 365 days, months are refused",
            "bytes / 4",
            "duration('PT1H0.5S')",
            "\"3600.5s\"",
        ],
    ),
    Function::foreign_method(
        "getFullYear",
        (1, 2),
        Linear,
        [
            "time.getFullYear(zone)",
            "year, in UTC or in the zone: +02:00, Europe/Berlin",
            "40",
            "timestamp('2024-12-31T23:30:00Z').getFullYear('+02:00')",
            "2025",
        ],
    ),
    Function::foreign_method(
        "getMonth",
        (1, 2),
        Linear,
        [
            "time.getMonth(zone)",
            "month, 0 to 11",
            "40",
            "timestamp('2024-02-29T12:30:00Z').getMonth()",
            "1",
        ],
    ),
    Function::foreign_method(
        "getDate",
        (1, 2),
        Linear,
        [
            "time.getDate(zone)",
            "day of the month, 1 to 31",
            "40",
            "timestamp('2024-02-29T12:30:00Z').getDate()",
            "29",
        ],
    ),
    Function::foreign_method(
        "getDayOfMonth",
        (1, 2),
        Linear,
        [
            "time.getDayOfMonth(zone)",
            "day of the month, 0 to 30",
            "40",
            "timestamp('2024-02-29T12:30:00Z').getDayOfMonth()",
            "28",
        ],
    ),
    Function::foreign_method(
        "getDayOfYear",
        (1, 2),
        Linear,
        [
            "time.getDayOfYear(zone)",
            "day of the year, 0 to 365",
            "40",
            "timestamp('2024-02-29T12:30:00Z').getDayOfYear()",
            "59",
        ],
    ),
    Function::foreign_method(
        "getDayOfWeek",
        (1, 2),
        Linear,
        [
            "time.getDayOfWeek(zone)",
            "day of the week, 0 is Sunday",
            "40",
            "timestamp('2024-02-29T12:30:00Z').getDayOfWeek()",
            "4",
        ],
    ),
    Function::foreign_method(
        "getHours",
        (1, 2),
        Linear,
        [
            "x.getHours(zone)",
            "hour of a timestamp, or whole hours of a duration",
            "40",
            "duration('90m').getHours()",
            "1",
        ],
    ),
    Function::foreign_method(
        "getMinutes",
        (1, 2),
        Linear,
        [
            "x.getMinutes(zone)",
            "minute, or whole minutes",
            "40",
            "duration('90m').getMinutes()",
            "90",
        ],
    ),
    Function::foreign_method(
        "getSeconds",
        (1, 2),
        Linear,
        [
            "x.getSeconds(zone)",
            "second, or whole seconds",
            "40",
            "duration('90m').getSeconds()",
            "5400",
        ],
    ),
    Function::method(
        "getMilliseconds",
        (1, 2),
        milliseconds,
        [
            "x.getMilliseconds(zone)",
            "milliseconds of the second, of a timestamp or a duration",
            "40",
            "duration('1.25s').getMilliseconds()",
            "250",
        ],
    ),
];

static OF_TIMESTAMP: Function =
    Function::foreign_method("getMilliseconds", (1, 2), Linear, [""; 5]);

/// The crate gives all of a duration in milliseconds, where CEL has those behind the whole seconds.
fn milliseconds<'a>(eval: &mut Eval<'a>, arguments: &[Datum<'a>]) -> Evaluated<'a> {
    match arguments {
        [Datum::Duration(nanos)] => Ok(Datum::Int(nanos / 1_000_000 % 1000)),
        _ => OF_TIMESTAMP.call(eval, arguments),
    }
}

/// A duration from its text: `1h30m`, `-1.5s`, `250ms`, or ISO 8601, `PT2H3S`.
fn duration<'a>(eval: &mut Eval<'a>, arguments: &[Datum<'a>]) -> Evaluated<'a> {
    if let Datum::Duration(_) = arguments[0] {
        return Ok(arguments[0].clone());
    }
    let text = text(&arguments[0])?;
    eval.budget.scan(8 * text.len())?;
    let duration = match Duration::read(text) {
        Ok(duration) => duration,
        Err(Unreadable::NotADuration) => return Err("not a duration".into()),
        Err(Unreadable::TooLong) => return Err("the duration is too long".into()),
    };
    let nanos = duration.nanoseconds().ok_or("months have no fixed length: write days")?;
    let nanos = i64::try_from(nanos).map_err(|_| "the duration is too long")?;
    Ok(Datum::Duration(nanos))
}
