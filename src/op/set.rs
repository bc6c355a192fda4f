//! `SET`: puts a value.

use super::{Absent, Action, Arg, Example, OPERATORS, OpSpec, Operand, OperandKind, Repeats, Site};
use crate::error::Result;
use crate::reply::Reply;

#[linkme::distributed_slice(OPERATORS)]
static SET: OpSpec = OpSpec {
    name: "SET",
    operands: &[
        Operand { name: "path", kind: OperandKind::Path },
        Operand { name: "json", kind: OperandKind::Json },
    ],
    summary: "Puts a value; an index equal to the array's length appends",
    accepts: "any",
    absent: Absent::Create,
    reply: "1",
    errors: &[],
    complexity: "O(N) with N the size of the old and the new value",
    repeats: Repeats::Exactly,
    since: "0.1.0",
    examples: &[
        Example::new(r#"{"a":1}"#, "SET $.a [2]", "(integer) 1", r#"{"a":[2]}"#),
        Example::new("{}", "SET $.a 1", "(integer) 1", r#"{"a":1}"#),
        Example::new("[1]", "SET $[1] 2", "(integer) 1", "[1,2]"),
        Example::new("[1]", "SET $[2] 2", "RANGE", "[1]"),
        Example::new("{}", "SET $.a.b 1", "NOPATH", "{}"),
        Example::new(r#"{"a":1}"#, "SET $.a.b 1", "TYPE", r#"{"a":1}"#),
        Example::new("[1,2]", "SET $[*] 0", "[(integer) 1 (integer) 1]", "[0,0]"),
    ],
    run: Action::Each(set),
};

fn set(site: &mut Site<'_, '_>, args: &[Arg<'_>]) -> Result<Reply> {
    site.put(args[1].json().clone())?;
    Ok(Reply::Int(1))
}
