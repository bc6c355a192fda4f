//! `INSERT`: adds elements before an index.

use super::{
    Absent, Arg, Example, OPERATORS, OpSpec, Operand, OperandKind, Repeats, Run, Site, index,
};
use crate::error::{ErrorCode, Result};
use crate::reply::Reply;

#[linkme::distributed_slice(OPERATORS)]
static INSERT: OpSpec = OpSpec {
    name: "INSERT",
    operands: &[
        Operand { name: "path", kind: OperandKind::Path },
        Operand { name: "index", kind: OperandKind::Integer },
        Operand { name: "array", kind: OperandKind::JsonArray },
    ],
    summary: "Adds every element of an array before an index, negative from the end; outside, at the nearer end",
    accepts: "array",
    absent: Absent::NoPath,
    reply: "the new length",
    errors: &[ErrorCode::NoPath, ErrorCode::Type],
    complexity: "O(M + S) with M the size of what is added and S the elements on the shorter side of the index",
    repeats: Repeats::Exactly,
    since: "0.1.0",
    examples: &[
        Example {
            before: "[1,4]",
            statement: &["INSERT", "$", "1", "[2,3]"],
            reply: "(integer) 4",
            after: "[1,2,3,4]",
        },
        Example {
            before: "[1,3]",
            statement: &["INSERT", "$", "-1", "[2]"],
            reply: "(integer) 3",
            after: "[1,2,3]",
        },
        Example {
            before: "[1]",
            statement: &["INSERT", "$", "99", "[2]"],
            reply: "(integer) 2",
            after: "[1,2]",
        },
        Example {
            before: "[1]",
            statement: &["INSERT", "$", "-9223372036854775808", "[0]"],
            reply: "(integer) 2",
            after: "[0,1]",
        },
        Example {
            before: "[1]",
            statement: &["INSERT", "$", "0", "[]"],
            reply: "(integer) 1",
            after: "[1]",
        },
        Example {
            before: "[[1],[]]",
            statement: &["INSERT", "$[*]", "1", "[0]"],
            reply: "[(integer) 2 (integer) 1]",
            after: "[[1,0],[0]]",
        },
        Example {
            before: "{}",
            statement: &["INSERT", "$.a", "0", "[1]"],
            reply: "NOPATH",
            after: "{}",
        },
        Example {
            before: r#"{"a":1}"#,
            statement: &["INSERT", "$.a", "0", "[1]"],
            reply: "TYPE",
            after: r#"{"a":1}"#,
        },
    ],
    run: Run::Each(insert),
};

fn insert(site: &mut Site<'_, '_>, args: &[Arg<'_>]) -> Result<Reply> {
    let len = site.present_array()?.len();
    let gap = index::gap(args[1].integer(), len);
    site.allowance().shift(gap, len)?;
    let (editor, place) = site.parts();
    editor.insert_items(place, gap, args[2].items())?;
    Ok(Reply::count(len + args[2].array().len()))
}
