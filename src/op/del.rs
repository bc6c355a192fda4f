//! `DEL`: removes.

use super::{Absent, Arg, Example, OPERATORS, OpSpec, Operand, OperandKind, Run, Site};
use crate::error::Result;
use crate::reply::Reply;

#[linkme::distributed_slice(OPERATORS)]
static DEL: OpSpec = OpSpec {
    name: "DEL",
    operands: &[Operand { name: "path", kind: OperandKind::PathBelowRoot }],
    summary: "Removes members and elements; the elements behind shift",
    accepts: "any",
    absent: Absent::Zero,
    reply: "the number removed",
    errors: &[],
    complexity: "O(N) with N the size of what is removed, and the elements that shift",
    since: "0.1.0",
    examples: &[
        Example {
            before: r#"{"a":1,"b":2}"#,
            statement: &["DEL", "$.a"],
            reply: "(integer) 1",
            after: r#"{"b":2}"#,
        },
        Example {
            before: r#"{"b":2}"#,
            statement: &["DEL", "$.a"],
            reply: "(integer) 0",
            after: r#"{"b":2}"#,
        },
        Example {
            before: "[1,2,3,4]",
            statement: &["DEL", "$[0,2]"],
            reply: "(integer) 2",
            after: "[2,4]",
        },
        Example { before: "[1]", statement: &["DEL", "$"], reply: "ERR", after: "[1]" },
    ],
    run: Run::Total(del),
};

fn del(site: &mut Site<'_, '_>, _: &[Arg<'_>]) -> Result<Reply> {
    site.remove();
    Ok(Reply::Int(1))
}
