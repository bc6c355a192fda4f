//! `MOD`: what floored division leaves, as Python's `%`.

use super::{Absent, Action, Arg, Example, OPERATORS, OpSpec, Operand, OperandKind, Repeats, Site};
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
        Example::new(r#"{"a":7}"#, "MOD $.a 3", "1", r#"{"a":1}"#),
        Example::new(r#"{"a":-7}"#, "MOD $.a 3", "2", r#"{"a":2}"#),
        Example::new(r#"{"a":7.5}"#, "MOD $.a -2", "-0.5", r#"{"a":-0.5}"#),
        Example::new(r#"{"a":-9223372036854775808}"#, "MOD $.a -1", "0", r#"{"a":0}"#),
        Example::new("[7,-7]", "MOD $[*] 4", "[3 1]", "[3,1]"),
        Example::new(r#"{"a":1}"#, "MOD $.a 0", "RANGE", r#"{"a":1}"#),
        Example::new("{}", "MOD $.a 2", "NOPATH", "{}"),
        Example::new(r#"{"a":"4"}"#, "MOD $.a 2", "TYPE", r#"{"a":"4"}"#),
        Example::new("[]", "MOD $[*] 2", "[]", "[]"),
        Example::new(r#"{"a":4}"#, "MOD $.a x", "ERR", r#"{"a":4}"#),
    ],
    run: Action::Each(modulo),
};

fn modulo(site: &mut Site<'_, '_>, args: &[Arg<'_>]) -> Result<Reply> {
    site.change_number(|number| number.modulo(args[1].number()))
}
