//! `SETNX`: puts a value where nothing is.

use super::{Absent, Arg, Example, OPERATORS, OpSpec, Operand, OperandKind, Repeats, Run, Site};
use crate::error::Result;
use crate::reply::Reply;

#[linkme::distributed_slice(OPERATORS)]
static SETNX: OpSpec = OpSpec {
    name: "SETNX",
    operands: &[
        Operand { name: "path", kind: OperandKind::Path },
        Operand { name: "json", kind: OperandKind::Json },
    ],
    summary: "Puts a value only if nothing is there; JSON null is something",
    accepts: "any",
    absent: Absent::Create,
    reply: "1 if the value was put, otherwise 0",
    errors: &[],
    complexity: "O(N) with N the size of the value",
    repeats: Repeats::Exactly,
    since: "0.1.0",
    examples: &[
        Example {
            before: "{}",
            statement: &["SETNX", "$.a", "1"],
            reply: "(integer) 1",
            after: r#"{"a":1}"#,
        },
        Example {
            before: r#"{"a":1}"#,
            statement: &["SETNX", "$.a", "2"],
            reply: "(integer) 0",
            after: r#"{"a":1}"#,
        },
        Example {
            before: r#"{"a":null}"#,
            statement: &["SETNX", "$.a", "2"],
            reply: "(integer) 0",
            after: r#"{"a":null}"#,
        },
        Example {
            before: "[1]",
            statement: &["SETNX", "$[1]", "2"],
            reply: "(integer) 1",
            after: "[1,2]",
        },
        Example { before: "[1]", statement: &["SETNX", "$[2]", "2"], reply: "RANGE", after: "[1]" },
        Example { before: "{}", statement: &["SETNX", "$.a.b", "2"], reply: "NOPATH", after: "{}" },
        Example {
            before: r#"{"a":1}"#,
            statement: &["SETNX", "$.a.b", "2"],
            reply: "TYPE",
            after: r#"{"a":1}"#,
        },
        Example {
            before: "[1,null]",
            statement: &["SETNX", "$[*]", "2"],
            reply: "[(integer) 0 (integer) 0]",
            after: "[1,null]",
        },
        Example { before: "{}", statement: &["SETNX", "$.a", "{"], reply: "ERR", after: "{}" },
    ],
    run: Run::Each(setnx),
};

fn setnx(site: &mut Site<'_, '_>, args: &[Arg<'_>]) -> Result<Reply> {
    if site.value().is_some() {
        return Ok(Reply::Int(0));
    }
    site.put(args[1].json().clone())?;
    Ok(Reply::Int(1))
}
