//! `INCR`: adds to a number.

use super::{Absent, Arg, Example, OPERATORS, OpSpec, Operand, OperandKind, Repeats, Run, Site};
use crate::error::{ErrorCode, Result};
use crate::reply::Reply;
use crate::value::Number;

#[linkme::distributed_slice(OPERATORS)]
static INCR: OpSpec = OpSpec {
    name: "INCR",
    operands: &[
        Operand { name: "path", kind: OperandKind::Path },
        Operand { name: "n", kind: OperandKind::Number },
    ],
    summary: "Adds; two integers exactly, otherwise as doubles",
    accepts: "number",
    absent: Absent::Create,
    reply: "the new value as JSON text; it starts at 0 where nothing is",
    errors: &[ErrorCode::Type, ErrorCode::Overflow, ErrorCode::Range],
    complexity: "O(1)",
    repeats: Repeats::Exactly,
    since: "0.1.0",
    examples: &[
        Example {
            before: r#"{"a":1}"#,
            statement: &["INCR", "$.a", "2"],
            reply: "3",
            after: r#"{"a":3}"#,
        },
        Example {
            before: r#"{"a":1}"#,
            statement: &["INCR", "$.a", "0.5"],
            reply: "1.5",
            after: r#"{"a":1.5}"#,
        },
        Example {
            before: "{}",
            statement: &["INCR", "$.a", "-1"],
            reply: "-1",
            after: r#"{"a":-1}"#,
        },
        Example {
            before: "[1,2]",
            statement: &["INCR", "$[*]", "1"],
            reply: "[2 3]",
            after: "[2,3]",
        },
        Example {
            before: r#"{"a":9223372036854775807}"#,
            statement: &["INCR", "$.a", "1"],
            reply: "OVERFLOW",
            after: r#"{"a":9223372036854775807}"#,
        },
        Example {
            before: r#"{"a":1e308}"#,
            statement: &["INCR", "$.a", "1e308"],
            reply: "RANGE",
            after: r#"{"a":1e308}"#,
        },
        Example {
            before: r#"{"a":9007199254740993}"#,
            statement: &["INCR", "$.a", "0.5"],
            reply: "RANGE",
            after: r#"{"a":9007199254740993}"#,
        },
        Example {
            before: r#"{"a":"1"}"#,
            statement: &["INCR", "$.a", "1"],
            reply: "TYPE",
            after: r#"{"a":"1"}"#,
        },
    ],
    run: Run::Each(incr),
};

fn incr(site: &mut Site<'_, '_>, args: &[Arg<'_>]) -> Result<Reply> {
    let number = site.number()?.unwrap_or(Number::Int(0));
    let sum = number.plus(args[1].number())?;
    site.put(sum)?;
    Ok(Reply::Number(sum))
}
