//! `SETNX`: puts a value where nothing is.

use super::{Absent, Action, Arg, Example, OPERATORS, OpSpec, Operand, OperandKind, Repeats, Site};
use crate::error::Result;
use crate::reply::Reply;

#[linkme::distributed_slice(OPERATORS)]
static SETNX: OpSpec = OpSpec {
    name: "SETNX",
    operands: &[
        Operand { name: "path", kind: OperandKind::Path },
        Operand { name: "json", kind: OperandKind::Json },
    ],
    summary: "Puts a value only if the path matches none; JSON null is a value",
    accepts: "any",
    absent: Absent::Create,
    reply: "1 if the value was put, otherwise 0",
    errors: &[],
    complexity: "O(N) with N the size of the value",
    repeats: Repeats::Exactly,
    since: "0.1.0",
    examples: &[
        Example::new("{}", "SETNX $.a 1", "(integer) 1", r#"{"a":1}"#),
        Example::new(r#"{"a":1}"#, "SETNX $.a 2", "(integer) 0", r#"{"a":1}"#),
        Example::new(r#"{"a":null}"#, "SETNX $.a 2", "(integer) 0", r#"{"a":null}"#),
        Example::new("[1]", "SETNX $[1] 2", "(integer) 1", "[1,2]"),
        Example::new("[1]", "SETNX $[2] 2", "RANGE", "[1]"),
        Example::new("{}", "SETNX $.a.b 2", "NOPATH", "{}"),
        Example::new(r#"{"a":1}"#, "SETNX $.a.b 2", "TYPE", r#"{"a":1}"#),
        Example::new("[1,null]", "SETNX $[*] 2", "[(integer) 0 (integer) 0]", "[1,null]"),
        Example::new("{}", "SETNX $.a {", "ERR", "{}"),
    ],
    run: Action::Each(setnx),
};

fn setnx(site: &mut Site<'_, '_>, args: &[Arg<'_>]) -> Result<Reply> {
    if site.value().is_some() {
        return Ok(Reply::Int(0));
    }
    site.put(args[1].json().clone())?;
    Ok(Reply::Int(1))
}
