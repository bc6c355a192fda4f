//! `DIV`: true division, as Python's `/`. The quotient of two integers is the double nearest to the exact
//! one, however large they are.

use super::{Absent, Action, Arg, Example, OPERATORS, OpSpec, Operand, OperandKind, Repeats, Site};
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
        Example::new(r#"{"a":7}"#, "DIV $.a 2", "3.5", r#"{"a":3.5}"#),
        Example::new(r#"{"a":6}"#, "DIV $.a 2", "3.0", r#"{"a":3.0}"#),
        Example::new(
            r#"{"a":9223372036854775807}"#,
            "DIV $.a 9223372036854775807",
            "1.0",
            r#"{"a":1.0}"#,
        ),
        Example::new("[1,2.0]", "DIV $[*] 4", "[0.25 0.5]", "[0.25,0.5]"),
        Example::new(r#"{"a":1}"#, "DIV $.a 0", "RANGE", r#"{"a":1}"#),
        Example::new(r#"{"a":1e300}"#, "DIV $.a 1e-300", "RANGE", r#"{"a":1e300}"#),
        Example::new("{}", "DIV $.a 2", "NOPATH", "{}"),
        Example::new(r#"{"a":"4"}"#, "DIV $.a 2", "TYPE", r#"{"a":"4"}"#),
        Example::new("[]", "DIV $[*] 2", "[]", "[]"),
        Example::new(r#"{"a":4}"#, "DIV $.a x", "ERR", r#"{"a":4}"#),
    ],
    run: Action::Each(divide),
};

fn divide(site: &mut Site<'_, '_>, args: &[Arg<'_>]) -> Result<Reply> {
    site.change_number(|number| number.divide(args[1].number()))
}
