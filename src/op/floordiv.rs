//! `FLOORDIV`: floored division, as Python's `//`.

use super::{Absent, Action, Arg, Example, OPERATORS, OpSpec, Operand, OperandKind, Repeats, Site};
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
        Example::new(r#"{"a":7}"#, "FLOORDIV $.a 2", "3", r#"{"a":3}"#),
        Example::new(r#"{"a":-7}"#, "FLOORDIV $.a 2", "-4", r#"{"a":-4}"#),
        Example::new(r#"{"a":7.5}"#, "FLOORDIV $.a -2", "-4.0", r#"{"a":-4.0}"#),
        Example::new(r#"{"a":-0.0}"#, "FLOORDIV $.a 2", "-0.0", r#"{"a":-0.0}"#),
        Example::new("[7,-7]", "FLOORDIV $[*] 2", "[3 -4]", "[3,-4]"),
        Example::new(r#"{"a":1}"#, "FLOORDIV $.a 0.0", "RANGE", r#"{"a":1}"#),
        Example::new(
            r#"{"a":-9223372036854775808}"#,
            "FLOORDIV $.a -1",
            "OVERFLOW",
            r#"{"a":-9223372036854775808}"#,
        ),
        Example::new("{}", "FLOORDIV $.a 2", "NOPATH", "{}"),
        Example::new(r#"{"a":"4"}"#, "FLOORDIV $.a 2", "TYPE", r#"{"a":"4"}"#),
        Example::new("[]", "FLOORDIV $[*] 2", "[]", "[]"),
        Example::new(r#"{"a":4}"#, "FLOORDIV $.a x", "ERR", r#"{"a":4}"#),
    ],
    run: Action::Each(floor_divide),
};

fn floor_divide(site: &mut Site<'_, '_>, args: &[Arg<'_>]) -> Result<Reply> {
    site.change_number(|number| number.floor_divide(args[1].number()))
}
