//! `TRIM`: keeps a range of elements.

use super::{
    Absent, Action, Arg, Example, OPERATORS, OpSpec, Operand, OperandKind, Repeats, Site, index,
};
use crate::error::{ErrorCode, Result};
use crate::reply::Reply;

#[linkme::distributed_slice(OPERATORS)]
static TRIM: OpSpec = OpSpec {
    name: "TRIM",
    operands: &[
        Operand { name: "path", kind: OperandKind::Path },
        Operand { name: "start", kind: OperandKind::Integer },
        Operand { name: "stop", kind: OperandKind::Integer },
    ],
    summary: "Keeps the elements from start to stop, both included, negative from the end, as `LTRIM`",
    accepts: "array",
    absent: Absent::NoPath,
    reply: "the new length",
    errors: &[ErrorCode::NoPath, ErrorCode::Type],
    complexity: "O(M) with M the size of what is removed",
    repeats: Repeats::Exactly,
    since: "0.1.0",
    examples: &[
        Example::new("[0,1,2,3]", "TRIM $ 1 2", "(integer) 2", "[1,2]"),
        Example::new("[0,1,2,3]", "TRIM $ -2 -1", "(integer) 2", "[2,3]"),
        Example::new("[0,1]", "TRIM $ 0 -1", "(integer) 2", "[0,1]"),
        Example::new(
            "[0,1]",
            "TRIM $ -9223372036854775808 9223372036854775807",
            "(integer) 2",
            "[0,1]",
        ),
        Example::new("[0,1]", "TRIM $ 1 0", "(integer) 0", "[]"),
        Example::new("[0,1]", "TRIM $ 5 9", "(integer) 0", "[]"),
        Example::new("[[1,2],[]]", "TRIM $[*] 0 0", "[(integer) 1 (integer) 0]", "[[1],[]]"),
        Example::new("{}", "TRIM $.a 0 0", "NOPATH", "{}"),
        Example::new(r#"{"a":"xy"}"#, "TRIM $.a 0 0", "TYPE", r#"{"a":"xy"}"#),
    ],
    run: Action::Each(trim),
};

fn trim(site: &mut Site<'_, '_>, args: &[Arg<'_>]) -> Result<Reply> {
    let len = site.present_array()?.len();
    let kept = index::inclusive(args[1].integer(), args[2].integer(), len);
    let (editor, place) = site.parts();
    if kept.is_empty() {
        editor.remove_items(place, 0, len)?;
    } else {
        editor.remove_items(place, kept.end, len - kept.end)?;
        editor.remove_items(place, 0, kept.start)?;
    }
    Ok(Reply::count(kept.len()))
}
