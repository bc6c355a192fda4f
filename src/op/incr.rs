//! `INCR`: adds to a number.

use super::{Absent, Action, Arg, Example, OPERATORS, OpSpec, Operand, OperandKind, Repeats, Site};
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
        Example::new(r#"{"a":1}"#, "INCR $.a 2", "3", r#"{"a":3}"#),
        Example::new(r#"{"a":1}"#, "INCR $.a 0.5", "1.5", r#"{"a":1.5}"#),
        Example::new("{}", "INCR $.a -1", "-1", r#"{"a":-1}"#),
        Example::new("[1,2]", "INCR $[*] 1", "[2 3]", "[2,3]"),
        Example::new(
            r#"{"a":9223372036854775807}"#,
            "INCR $.a 1",
            "OVERFLOW",
            r#"{"a":9223372036854775807}"#,
        ),
        Example::new(r#"{"a":1e308}"#, "INCR $.a 1e308", "RANGE", r#"{"a":1e308}"#),
        Example::new(
            r#"{"a":9007199254740993}"#,
            "INCR $.a 0.5",
            "RANGE",
            r#"{"a":9007199254740993}"#,
        ),
        Example::new(r#"{"a":"1"}"#, "INCR $.a 1", "TYPE", r#"{"a":"1"}"#),
    ],
    run: Action::Each(incr),
};

fn incr(site: &mut Site<'_, '_>, args: &[Arg<'_>]) -> Result<Reply> {
    let number = site.number()?.unwrap_or(Number::Int(0));
    let sum = number.plus(args[1].number())?;
    site.put(sum)?;
    Ok(Reply::Number(sum))
}
