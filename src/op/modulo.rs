//! `MOD`: what floored division leaves, as Python's `%`.

use super::{Absent, Arg, Example, OPERATORS, OpSpec, Operand, OperandKind, Repeats, Run, Site};
use crate::error::{ErrorCode, Result};
use crate::reply::Reply;

#[linkme::distributed_slice(OPERATORS)]
static MOD: OpSpec = OpSpec {
    name: "MOD",
    operands: &[
        Operand { name: "path", kind: OperandKind::Path },
        Operand { name: "n", kind: OperandKind::Number },
    ],
    summary: "Takes the remainder of floored division, which has the divisor's sign; two integers exactly, otherwise as doubles",
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
            statement: &["MOD", "$.a", "3"],
            reply: "1",
            after: r#"{"a":1}"#,
        },
        Example {
            before: r#"{"a":-7}"#,
            statement: &["MOD", "$.a", "3"],
            reply: "2",
            after: r#"{"a":2}"#,
        },
        Example {
            before: r#"{"a":7.5}"#,
            statement: &["MOD", "$.a", "-2"],
            reply: "-0.5",
            after: r#"{"a":-0.5}"#,
        },
        Example {
            before: r#"{"a":-9223372036854775808}"#,
            statement: &["MOD", "$.a", "-1"],
            reply: "0",
            after: r#"{"a":0}"#,
        },
        Example {
            before: "[7,-7]",
            statement: &["MOD", "$[*]", "4"],
            reply: "[3 1]",
            after: "[3,1]",
        },
        Example {
            before: r#"{"a":1}"#,
            statement: &["MOD", "$.a", "0"],
            reply: "RANGE",
            after: r#"{"a":1}"#,
        },
        Example { before: "{}", statement: &["MOD", "$.a", "2"], reply: "NOPATH", after: "{}" },
        Example {
            before: r#"{"a":"4"}"#,
            statement: &["MOD", "$.a", "2"],
            reply: "TYPE",
            after: r#"{"a":"4"}"#,
        },
        Example { before: "[]", statement: &["MOD", "$[*]", "2"], reply: "[]", after: "[]" },
        Example {
            before: r#"{"a":4}"#,
            statement: &["MOD", "$.a", "x"],
            reply: "ERR",
            after: r#"{"a":4}"#,
        },
    ],
    run: Run::Each(modulo),
};

fn modulo(site: &mut Site<'_, '_>, args: &[Arg<'_>]) -> Result<Reply> {
    site.change_number(|number| number.modulo(args[1].number()))
}
