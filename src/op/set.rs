//! `SET`: puts a value.

use super::{Absent, Arg, Example, OPERATORS, OpSpec, Operand, OperandKind, Repeats, Run, Site};
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
        Example {
            before: r#"{"a":1}"#,
            statement: &["SET", "$.a", "[2]"],
            reply: "(integer) 1",
            after: r#"{"a":[2]}"#,
        },
        Example {
            before: "{}",
            statement: &["SET", "$.a", "1"],
            reply: "(integer) 1",
            after: r#"{"a":1}"#,
        },
        Example {
            before: "[1]",
            statement: &["SET", "$[1]", "2"],
            reply: "(integer) 1",
            after: "[1,2]",
        },
        Example { before: "[1]", statement: &["SET", "$[2]", "2"], reply: "RANGE", after: "[1]" },
        Example { before: "{}", statement: &["SET", "$.a.b", "1"], reply: "NOPATH", after: "{}" },
        Example {
            before: r#"{"a":1}"#,
            statement: &["SET", "$.a.b", "1"],
            reply: "TYPE",
            after: r#"{"a":1}"#,
        },
        Example {
            before: "[1,2]",
            statement: &["SET", "$[*]", "0"],
            reply: "[(integer) 1 (integer) 1]",
            after: "[0,0]",
        },
    ],
    run: Run::Each(set),
};

fn set(site: &mut Site<'_, '_>, args: &[Arg<'_>]) -> Result<Reply> {
    site.put(args[1].json().clone())?;
    Ok(Reply::Int(1))
}
