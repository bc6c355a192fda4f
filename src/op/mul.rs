//! `MUL`: multiplies a number.

use super::{Absent, Arg, Example, OPERATORS, OpSpec, Operand, OperandKind, Repeats, Run, Site};
use crate::error::{ErrorCode, Result};
use crate::reply::Reply;

#[linkme::distributed_slice(OPERATORS)]
static MUL: OpSpec = OpSpec {
    name: "MUL",
    operands: &[
        Operand { name: "path", kind: OperandKind::Path },
        Operand { name: "n", kind: OperandKind::Number },
    ],
    summary: "Multiplies; two integers exactly, otherwise as doubles",
    accepts: "number",
    absent: Absent::NoPath,
    reply: "the new value as JSON text",
    errors: &[ErrorCode::Type, ErrorCode::Overflow, ErrorCode::Range],
    complexity: "O(1)",
    repeats: Repeats::Exactly,
    since: "0.1.0",
    examples: &[
        Example {
            before: r#"{"a":3}"#,
            statement: &["MUL", "$.a", "-2"],
            reply: "-6",
            after: r#"{"a":-6}"#,
        },
        Example {
            before: r#"{"a":3}"#,
            statement: &["MUL", "$.a", "0.5"],
            reply: "1.5",
            after: r#"{"a":1.5}"#,
        },
        Example {
            before: r#"{"a":3}"#,
            statement: &["MUL", "$.a", "1"],
            reply: "3",
            after: r#"{"a":3}"#,
        },
        Example {
            before: "[2,1.5]",
            statement: &["MUL", "$[*]", "2"],
            reply: "[4 3.0]",
            after: "[4,3.0]",
        },
        Example {
            before: r#"{"a":4611686018427387904}"#,
            statement: &["MUL", "$.a", "2"],
            reply: "OVERFLOW",
            after: r#"{"a":4611686018427387904}"#,
        },
        Example {
            before: r#"{"a":1e300}"#,
            statement: &["MUL", "$.a", "1e300"],
            reply: "RANGE",
            after: r#"{"a":1e300}"#,
        },
        Example {
            before: r#"{"a":1.5}"#,
            statement: &["MUL", "$.a", "9007199254740993"],
            reply: "RANGE",
            after: r#"{"a":1.5}"#,
        },
        Example { before: "{}", statement: &["MUL", "$.a", "2"], reply: "NOPATH", after: "{}" },
        Example {
            before: r#"{"a":"4"}"#,
            statement: &["MUL", "$.a", "2"],
            reply: "TYPE",
            after: r#"{"a":"4"}"#,
        },
        Example { before: "[]", statement: &["MUL", "$[*]", "2"], reply: "[]", after: "[]" },
        Example {
            before: r#"{"a":4}"#,
            statement: &["MUL", "$.a", "x"],
            reply: "ERR",
            after: r#"{"a":4}"#,
        },
    ],
    run: Run::Each(multiply),
};

fn multiply(site: &mut Site<'_, '_>, args: &[Arg<'_>]) -> Result<Reply> {
    site.change_number(|number| number.times(args[1].number()))
}
