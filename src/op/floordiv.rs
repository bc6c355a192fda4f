//! `FLOORDIV`: floored division, as Python's `//`.

use super::{Absent, Arg, Example, OPERATORS, OpSpec, Operand, OperandKind, Repeats, Run, Site};
use crate::error::{ErrorCode, Result};
use crate::reply::Reply;

#[linkme::distributed_slice(OPERATORS)]
static FLOORDIV: OpSpec = OpSpec {
    name: "FLOORDIV",
    operands: &[
        Operand { name: "path", kind: OperandKind::Path },
        Operand { name: "n", kind: OperandKind::Number },
    ],
    summary: "Divides and rounds down; two integers exactly, otherwise as doubles",
    accepts: "number",
    absent: Absent::NoPath,
    reply: "the new value as JSON text",
    errors: &[ErrorCode::Type, ErrorCode::Range, ErrorCode::Overflow],
    complexity: "O(1)",
    repeats: Repeats::Exactly,
    since: "0.1.0",
    examples: &[
        Example {
            before: r#"{"a":7}"#,
            statement: &["FLOORDIV", "$.a", "2"],
            reply: "3",
            after: r#"{"a":3}"#,
        },
        Example {
            before: r#"{"a":-7}"#,
            statement: &["FLOORDIV", "$.a", "2"],
            reply: "-4",
            after: r#"{"a":-4}"#,
        },
        Example {
            before: r#"{"a":7.5}"#,
            statement: &["FLOORDIV", "$.a", "-2"],
            reply: "-4.0",
            after: r#"{"a":-4.0}"#,
        },
        Example {
            before: r#"{"a":-0.0}"#,
            statement: &["FLOORDIV", "$.a", "2"],
            reply: "-0.0",
            after: r#"{"a":-0.0}"#,
        },
        Example {
            before: "[7,-7]",
            statement: &["FLOORDIV", "$[*]", "2"],
            reply: "[3 -4]",
            after: "[3,-4]",
        },
        Example {
            before: r#"{"a":1}"#,
            statement: &["FLOORDIV", "$.a", "0.0"],
            reply: "RANGE",
            after: r#"{"a":1}"#,
        },
        Example {
            before: r#"{"a":-9223372036854775808}"#,
            statement: &["FLOORDIV", "$.a", "-1"],
            reply: "OVERFLOW",
            after: r#"{"a":-9223372036854775808}"#,
        },
        Example {
            before: "{}",
            statement: &["FLOORDIV", "$.a", "2"],
            reply: "NOPATH",
            after: "{}",
        },
        Example {
            before: r#"{"a":"4"}"#,
            statement: &["FLOORDIV", "$.a", "2"],
            reply: "TYPE",
            after: r#"{"a":"4"}"#,
        },
        Example { before: "[]", statement: &["FLOORDIV", "$[*]", "2"], reply: "[]", after: "[]" },
        Example {
            before: r#"{"a":4}"#,
            statement: &["FLOORDIV", "$.a", "x"],
            reply: "ERR",
            after: r#"{"a":4}"#,
        },
    ],
    run: Run::Each(floor_divide),
};

fn floor_divide(site: &mut Site<'_, '_>, args: &[Arg<'_>]) -> Result<Reply> {
    site.change_number(|number| number.floor_divide(args[1].number()))
}
