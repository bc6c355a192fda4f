//! `PREPEND`: adds elements before all others.

use super::{Absent, Action, Arg, Example, OPERATORS, OpSpec, Operand, OperandKind, Repeats, Site};
use crate::error::{ErrorCode, Result};
use crate::reply::Reply;

#[linkme::distributed_slice(OPERATORS)]
static PREPEND: OpSpec = OpSpec {
    name: "PREPEND",
    operands: &[
        Operand { name: "path", kind: OperandKind::Path },
        Operand { name: "array", kind: OperandKind::JsonArray },
    ],
    summary: "Adds every element of an array at the beginning, order kept",
    accepts: "array",
    absent: Absent::Create,
    reply: "the new length",
    errors: &[ErrorCode::Type],
    complexity: "O(M) with M the size of what is added",
    repeats: Repeats::Exactly,
    since: "0.1.0",
    examples: &[
        Example::new(r#"{"a":[3]}"#, "PREPEND $.a [1,2]", "(integer) 3", r#"{"a":[1,2,3]}"#),
        Example::new(r#"{"a":[1]}"#, "PREPEND $.a []", "(integer) 1", r#"{"a":[1]}"#),
        Example::new("{}", "PREPEND $.a [1,2]", "(integer) 2", r#"{"a":[1,2]}"#),
        Example::new("[[1],[]]", "PREPEND $[*] [0]", "[(integer) 2 (integer) 1]", "[[0,1],[0]]"),
        Example::new(r#"{"a":{}}"#, "PREPEND $.a [1]", "TYPE", r#"{"a":{}}"#),
        Example::new(r#"{"a":[1]}"#, "PREPEND $.a 2", "ERR", r#"{"a":[1]}"#),
    ],
    run: Action::Each(prepend),
};

fn prepend(site: &mut Site<'_, '_>, args: &[Arg<'_>]) -> Result<Reply> {
    let Some(len) = site.array()?.map(|array| array.len()) else {
        site.put(args[1].json().clone())?;
        return Ok(Reply::count(args[1].array().len()));
    };
    let (editor, place) = site.parts();
    editor.insert_array(place, 0, args[1].json())?;
    Ok(Reply::count(len + args[1].array().len()))
}
