//! `INSERT`: adds elements before an index.

use super::{
    Absent, Action, Arg, Example, OPERATORS, OpSpec, Operand, OperandKind, Repeats, Site, index,
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
        Example::new("[1,4]", "INSERT $ 1 [2,3]", "(integer) 4", "[1,2,3,4]"),
        Example::new("[1,3]", "INSERT $ -1 [2]", "(integer) 3", "[1,2,3]"),
        Example::new("[1]", "INSERT $ 99 [2]", "(integer) 2", "[1,2]"),
        Example::new("[1]", "INSERT $ -9223372036854775808 [0]", "(integer) 2", "[0,1]"),
        Example::new("[1]", "INSERT $ 0 []", "(integer) 1", "[1]"),
        Example::new("[[1],[]]", "INSERT $[*] 1 [0]", "[(integer) 2 (integer) 1]", "[[1,0],[0]]"),
        Example::new("{}", "INSERT $.a 0 [1]", "NOPATH", "{}"),
        Example::new(r#"{"a":1}"#, "INSERT $.a 0 [1]", "TYPE", r#"{"a":1}"#),
    ],
    run: Action::Each(insert),
};

fn insert(site: &mut Site<'_, '_>, args: &[Arg<'_>]) -> Result<Reply> {
    let len = site.present_array()?.len();
    let gap = index::gap(args[1].integer(), len);
    site.allowance().shift(gap, len)?;
    let (editor, place) = site.parts();
    editor.insert_array(place, gap, args[2].json())?;
    Ok(Reply::count(len + args[2].array().len()))
}
