//! `SETXX`: puts a value where something is.

use super::{Absent, Arg, Example, OPERATORS, OpSpec, Operand, OperandKind, Repeats, Run, Site};
use crate::error::Result;
use crate::reply::Reply;

#[linkme::distributed_slice(OPERATORS)]
static SETXX: OpSpec = OpSpec {
    name: "SETXX",
    operands: &[
        Operand { name: "path", kind: OperandKind::Path },
        Operand { name: "json", kind: OperandKind::Json },
    ],
    summary: "Puts a value only if something is there; JSON null is something",
    accepts: "any",
    absent: Absent::Zero,
    reply: "1 if the value was put, otherwise 0",
    errors: &[],
    complexity: "O(N) with N the size of the old and the new value",
    repeats: Repeats::Exactly,
    since: "0.1.0",
    examples: &[
        Example {
            before: r#"{"a":1}"#,
            statement: &["SETXX", "$.a", "2"],
            reply: "(integer) 1",
            after: r#"{"a":2}"#,
        },
        Example {
            before: r#"{"a":null}"#,
            statement: &["SETXX", "$.a", "2"],
            reply: "(integer) 1",
            after: r#"{"a":2}"#,
        },
        Example {
            before: r#"{"a":2}"#,
            statement: &["SETXX", "$.a", "2"],
            reply: "(integer) 1",
            after: r#"{"a":2}"#,
        },
        Example {
            before: r#"{"a":1}"#,
            statement: &["SETXX", "$", "[]"],
            reply: "(integer) 1",
            after: "[]",
        },
        Example {
            before: "{}",
            statement: &["SETXX", "$.a", "2"],
            reply: "(integer) 0",
            after: "{}",
        },
        Example {
            before: r#"{"a":1}"#,
            statement: &["SETXX", "$.a.b", "2"],
            reply: "(integer) 0",
            after: r#"{"a":1}"#,
        },
        Example {
            before: "[1]",
            statement: &["SETXX", "$[1]", "2"],
            reply: "(integer) 0",
            after: "[1]",
        },
        Example {
            before: "[1,2]",
            statement: &["SETXX", "$[*]", "0"],
            reply: "[(integer) 1 (integer) 1]",
            after: "[0,0]",
        },
        Example { before: "{}", statement: &["SETXX", "$.a", "{"], reply: "ERR", after: "{}" },
    ],
    run: Run::Each(setxx),
};

fn setxx(site: &mut Site<'_, '_>, args: &[Arg<'_>]) -> Result<Reply> {
    site.put(args[1].json().clone())?;
    Ok(Reply::Int(1))
}
