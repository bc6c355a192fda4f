//! `MUL`: multiplies a number.

use super::{Absent, Action, Arg, Example, OPERATORS, OpSpec, Operand, OperandKind, Repeats, Site};
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
        Example::new(r#"{"a":3}"#, "MUL $.a -2", "-6", r#"{"a":-6}"#),
        Example::new(r#"{"a":3}"#, "MUL $.a 0.5", "1.5", r#"{"a":1.5}"#),
        Example::new(r#"{"a":3}"#, "MUL $.a 1", "3", r#"{"a":3}"#),
        Example::new("[2,1.5]", "MUL $[*] 2", "[4 3.0]", "[4,3.0]"),
        Example::new(
            r#"{"a":4611686018427387904}"#,
            "MUL $.a 2",
            "OVERFLOW",
            r#"{"a":4611686018427387904}"#,
        ),
        Example::new(r#"{"a":1e300}"#, "MUL $.a 1e300", "RANGE", r#"{"a":1e300}"#),
        Example::new(r#"{"a":1.5}"#, "MUL $.a 9007199254740993", "RANGE", r#"{"a":1.5}"#),
        Example::new("{}", "MUL $.a 2", "NOPATH", "{}"),
        Example::new(r#"{"a":"4"}"#, "MUL $.a 2", "TYPE", r#"{"a":"4"}"#),
        Example::new("[]", "MUL $[*] 2", "[]", "[]"),
        Example::new(r#"{"a":4}"#, "MUL $.a x", "ERR", r#"{"a":4}"#),
    ],
    run: Action::Each(multiply),
};

fn multiply(site: &mut Site<'_, '_>, args: &[Arg<'_>]) -> Result<Reply> {
    site.change_number(|number| number.times(args[1].number()))
}
