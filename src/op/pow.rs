//! `POW`: power, as Python's `**`.

use super::{Absent, Arg, Example, OPERATORS, OpSpec, Operand, OperandKind, Repeats, Run, Site};
use crate::error::{ErrorCode, Result};
use crate::reply::Reply;

#[linkme::distributed_slice(OPERATORS)]
static POW: OpSpec = OpSpec {
    name: "POW",
    operands: &[
        Operand { name: "path", kind: OperandKind::Path },
        Operand { name: "n", kind: OperandKind::Number },
    ],
    summary: "Raises to a power; an integer to a non-negative integer exactly, otherwise as doubles",
    accepts: "number",
    absent: Absent::NoPath,
    reply: "the new value as JSON text",
    errors: &[ErrorCode::Type, ErrorCode::Range, ErrorCode::Overflow],
    complexity: "O(1)",
    repeats: Repeats::Differently,
    since: "0.1.0",
    examples: &[
        Example {
            before: r#"{"a":3}"#,
            statement: &["POW", "$.a", "4"],
            reply: "81",
            after: r#"{"a":81}"#,
        },
        Example {
            before: r#"{"a":2}"#,
            statement: &["POW", "$.a", "-1"],
            reply: "0.5",
            after: r#"{"a":0.5}"#,
        },
        Example {
            before: r#"{"a":2.0}"#,
            statement: &["POW", "$.a", "3"],
            reply: "8.0",
            after: r#"{"a":8.0}"#,
        },
        Example {
            before: r#"{"a":-2}"#,
            statement: &["POW", "$.a", "63"],
            reply: "-9223372036854775808",
            after: r#"{"a":-9223372036854775808}"#,
        },
        Example {
            before: r#"{"a":0}"#,
            statement: &["POW", "$.a", "0"],
            reply: "1",
            after: r#"{"a":1}"#,
        },
        Example {
            before: "[2,-3]",
            statement: &["POW", "$[*]", "2"],
            reply: "[4 9]",
            after: "[4,9]",
        },
        Example {
            before: r#"{"a":0}"#,
            statement: &["POW", "$.a", "-1"],
            reply: "RANGE",
            after: r#"{"a":0}"#,
        },
        Example {
            before: r#"{"a":-8}"#,
            statement: &["POW", "$.a", "0.5"],
            reply: "RANGE",
            after: r#"{"a":-8}"#,
        },
        Example {
            before: r#"{"a":1e300}"#,
            statement: &["POW", "$.a", "2"],
            reply: "RANGE",
            after: r#"{"a":1e300}"#,
        },
        Example {
            before: r#"{"a":2}"#,
            statement: &["POW", "$.a", "63"],
            reply: "OVERFLOW",
            after: r#"{"a":2}"#,
        },
        Example { before: "{}", statement: &["POW", "$.a", "2"], reply: "NOPATH", after: "{}" },
        Example {
            before: r#"{"a":"4"}"#,
            statement: &["POW", "$.a", "2"],
            reply: "TYPE",
            after: r#"{"a":"4"}"#,
        },
        Example { before: "[]", statement: &["POW", "$[*]", "2"], reply: "[]", after: "[]" },
        Example {
            before: r#"{"a":4}"#,
            statement: &["POW", "$.a", "x"],
            reply: "ERR",
            after: r#"{"a":4}"#,
        },
    ],
    run: Run::Each(power),
};

fn power(site: &mut Site<'_, '_>, args: &[Arg<'_>]) -> Result<Reply> {
    site.change_number(|number| number.power(args[1].number()))
}
