//! `NOW`: puts the server's clock, the same moment for all statements of a command.
//!
//! `ISO` is a RFC 3339 string in UTC with milliseconds, `MS` and `S` are integers since 1970. What is
//! below the unit is cut off.

use jiff::Timestamp;

use super::{Absent, Action, Arg, Example, OPERATORS, OpSpec, Operand, OperandKind, Repeats, Site};
use crate::error::Result;
use crate::reply::Reply;
use crate::value::Value;

#[linkme::distributed_slice(OPERATORS)]
static NOW: OpSpec = OpSpec {
    name: "NOW",
    operands: &[
        Operand { name: "path", kind: OperandKind::Path },
        Operand { name: "unit", kind: OperandKind::Choice(&["ISO", "MS", "S"]) },
    ],
    summary: "Puts the server's time: RFC 3339 text in UTC, milliseconds or seconds since 1970",
    accepts: "any",
    absent: Absent::Create,
    reply: "the new value as JSON text",
    errors: &[],
    complexity: "O(N) with N the size of the old value",
    repeats: Repeats::Differently,
    since: "0.1.0",
    examples: &[
        Example::new(
            "{}",
            "NOW $.a ISO",
            r#""2023-11-14T22:13:20.123Z""#,
            r#"{"a":"2023-11-14T22:13:20.123Z"}"#,
        ),
        Example::new(r#"{"a":[]}"#, "NOW $.a MS", "1700000000123", r#"{"a":1700000000123}"#),
        Example::new(
            "[null,null]",
            "NOW $[*] s",
            "[1700000000 1700000000]",
            "[1700000000,1700000000]",
        ),
        Example::new(r#"{"a":1700000000}"#, "NOW $.a S", "1700000000", r#"{"a":1700000000}"#),
        Example::new("{}", "NOW $.a.b S", "NOPATH", "{}"),
        Example::new("{}", "NOW $.a US", "ERR", "{}"),
    ],
    run: Action::Each(now),
};

fn now(site: &mut Site<'_, '_>, args: &[Arg<'_>]) -> Result<Reply> {
    let unix_us =
        i64::try_from(site.clock().unix_us()).expect("the clock is within the years of RFC 3339");
    site.put(match args[1].choice() {
        0 => Value::string(&iso(unix_us)),
        1 => Value::from(unix_us / 1_000),
        _ => Value::from(unix_us / 1_000_000),
    })?;
    site.new_value()
}

fn iso(unix_us: i64) -> String {
    let time =
        Timestamp::from_microsecond(unix_us).expect("the clock is within the years of RFC 3339");
    format!("{time:.3}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn milliseconds_are_cut_off_and_always_there() {
        for (unix_us, expected) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (999, "1970-01-01T00:00:00.000Z"),
            (1_795_241_567_123_999, "2026-11-21T06:12:47.123Z"),
            (1_709_164_799_999_999, "2024-02-28T23:59:59.999Z"),
        ] {
            assert_eq!(iso(unix_us), expected);
        }
    }
}
