//! `DIV`: true division, as Python's `/`. The quotient of two integers is the double nearest to the exact
//! one, however large they are.

use super::{Absent, Arg, Example, OPERATORS, OpSpec, Operand, OperandKind, Repeats, Run, Site};
use crate::error::{ErrorCode, Result};
use crate::reply::Reply;

#[linkme::distributed_slice(OPERATORS)]
static DIV: OpSpec = OpSpec {
    name: "DIV",
    operands: &[
        Operand { name: "path", kind: OperandKind::Path },
        Operand { name: "n", kind: OperandKind::Number },
    ],
    summary: "Divides; always gives a double, the one nearest to the exact quotient",
    accepts: "number",
    absent: Absent::NoPath,
    reply: "the new value as JSON text",
    errors: &[ErrorCode::Type, ErrorCode::Range],
    complexity: "O(1)",
    repeats: Repeats::Exactly,
    since: "0.1.0",
    examples: &[
        Example {
            before: r#"{"a":7}"#,
            statement: &["DIV", "$.a", "2"],
            reply: "3.5",
            after: r#"{"a":3.5}"#,
        },
        Example {
            before: r#"{"a":6}"#,
            statement: &["DIV", "$.a", "2"],
            reply: "3.0",
            after: r#"{"a":3.0}"#,
        },
        Example {
            before: r#"{"a":9223372036854775807}"#,
            statement: &["DIV", "$.a", "9223372036854775807"],
            reply: "1.0",
            after: r#"{"a":1.0}"#,
        },
        Example {
            before: "[1,2.0]",
            statement: &["DIV", "$[*]", "4"],
            reply: "[0.25 0.5]",
            after: "[0.25,0.5]",
        },
        Example {
            before: r#"{"a":1}"#,
            statement: &["DIV", "$.a", "0"],
            reply: "RANGE",
            after: r#"{"a":1}"#,
        },
        Example {
            before: r#"{"a":1e300}"#,
            statement: &["DIV", "$.a", "1e-300"],
            reply: "RANGE",
            after: r#"{"a":1e300}"#,
        },
        Example { before: "{}", statement: &["DIV", "$.a", "2"], reply: "NOPATH", after: "{}" },
        Example {
            before: r#"{"a":"4"}"#,
            statement: &["DIV", "$.a", "2"],
            reply: "TYPE",
            after: r#"{"a":"4"}"#,
        },
        Example { before: "[]", statement: &["DIV", "$[*]", "2"], reply: "[]", after: "[]" },
        Example {
            before: r#"{"a":4}"#,
            statement: &["DIV", "$.a", "x"],
            reply: "ERR",
            after: r#"{"a":4}"#,
        },
    ],
    run: Run::Each(divide),
};

fn divide(site: &mut Site<'_, '_>, args: &[Arg<'_>]) -> Result<Reply> {
    site.change_number(|number| number.divide(args[1].number()))
}
