//! `POW`: power, as Python's `**`.

use super::{Absent, Action, Arg, Example, OPERATORS, OpSpec, Operand, OperandKind, Repeats, Site};
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
        Example::new(r#"{"a":3}"#, "POW $.a 4", "81", r#"{"a":81}"#),
        Example::new(r#"{"a":2}"#, "POW $.a -1", "0.5", r#"{"a":0.5}"#),
        Example::new(r#"{"a":2.0}"#, "POW $.a 3", "8.0", r#"{"a":8.0}"#),
        Example::new(
            r#"{"a":-2}"#,
            "POW $.a 63",
            "-9223372036854775808",
            r#"{"a":-9223372036854775808}"#,
        ),
        Example::new(r#"{"a":0}"#, "POW $.a 0", "1", r#"{"a":1}"#),
        Example::new("[2,-3]", "POW $[*] 2", "[4 9]", "[4,9]"),
        Example::new(r#"{"a":0}"#, "POW $.a -1", "RANGE", r#"{"a":0}"#),
        Example::new(r#"{"a":-8}"#, "POW $.a 0.5", "RANGE", r#"{"a":-8}"#),
        Example::new(r#"{"a":1e300}"#, "POW $.a 2", "RANGE", r#"{"a":1e300}"#),
        Example::new(r#"{"a":2}"#, "POW $.a 63", "OVERFLOW", r#"{"a":2}"#),
        Example::new("{}", "POW $.a 2", "NOPATH", "{}"),
        Example::new(r#"{"a":"4"}"#, "POW $.a 2", "TYPE", r#"{"a":"4"}"#),
        Example::new("[]", "POW $[*] 2", "[]", "[]"),
        Example::new(r#"{"a":4}"#, "POW $.a x", "ERR", r#"{"a":4}"#),
    ],
    run: Action::Each(power),
};

fn power(site: &mut Site<'_, '_>, args: &[Arg<'_>]) -> Result<Reply> {
    site.change_number(|number| number.power(args[1].number()))
}
