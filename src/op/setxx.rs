//! `SETXX`: puts a value where something is.

use super::{Absent, Action, Arg, Example, OPERATORS, OpSpec, Operand, OperandKind, Repeats, Site};
use crate::error::Result;
use crate::reply::Reply;

#[linkme::distributed_slice(OPERATORS)]
static SETXX: OpSpec = OpSpec {
    name: "SETXX",
    operands: &[
        Operand { name: "path", kind: OperandKind::Path },
        Operand { name: "json", kind: OperandKind::Json },
    ],
    summary: "Puts a value only if the path matches one; JSON null is a value",
    accepts: "any",
    absent: Absent::Zero,
    reply: "1 if the value was put, otherwise 0",
    errors: &[],
    complexity: "O(N) with N the size of the old and the new value",
    repeats: Repeats::Exactly,
    since: "0.1.0",
    examples: &[
        Example::new(r#"{"a":1}"#, "SETXX $.a 2", "(integer) 1", r#"{"a":2}"#),
        Example::new(r#"{"a":null}"#, "SETXX $.a 2", "(integer) 1", r#"{"a":2}"#),
        Example::new(r#"{"a":2}"#, "SETXX $.a 2", "(integer) 1", r#"{"a":2}"#),
        Example::new(r#"{"a":1}"#, "SETXX $ []", "(integer) 1", "[]"),
        Example::new("{}", "SETXX $.a 2", "(integer) 0", "{}"),
        Example::new(r#"{"a":1}"#, "SETXX $.a.b 2", "(integer) 0", r#"{"a":1}"#),
        Example::new("[1]", "SETXX $[1] 2", "(integer) 0", "[1]"),
        Example::new("[1,2]", "SETXX $[*] 0", "[(integer) 1 (integer) 1]", "[0,0]"),
        Example::new("{}", "SETXX $.a {", "ERR", "{}"),
    ],
    run: Action::Each(setxx),
};

fn setxx(site: &mut Site<'_, '_>, args: &[Arg<'_>]) -> Result<Reply> {
    site.put(args[1].json().clone())?;
    Ok(Reply::Int(1))
}
