//! `DELRANGE`: deletes a range of elements.

use super::{
    Absent, Action, Arg, Example, OPERATORS, OpSpec, Operand, OperandKind, Repeats, Site, index,
};
use crate::error::{ErrorCode, Result};
use crate::reply::Reply;

#[linkme::distributed_slice(OPERATORS)]
static DELRANGE: OpSpec = OpSpec {
    name: "DELRANGE",
    operands: &[
        Operand { name: "path", kind: OperandKind::Path },
        Operand { name: "start", kind: OperandKind::Integer },
        Operand { name: "stop", kind: OperandKind::Integer },
    ],
    summary: "Deletes the elements from start up to but without stop, negative from the end, as Python's `del a[start:stop]`",
    accepts: "array",
    absent: Absent::NoPath,
    reply: "the new length",
    errors: &[ErrorCode::NoPath, ErrorCode::Type],
    complexity: "O(M + S) with M the size of what is removed and S the elements on the shorter side of it",
    repeats: Repeats::Exactly,
    since: "0.1.0",
    examples: &[
        Example::new("[0,1,2,3]", "DELRANGE $ 1 3", "(integer) 2", "[0,3]"),
        Example::new("[0,1,2,3]", "DELRANGE $ -3 -1", "(integer) 2", "[0,3]"),
        Example::new("[0,1]", "DELRANGE $ 1 99", "(integer) 1", "[0]"),
        Example::new(
            "[0,1]",
            "DELRANGE $ -9223372036854775808 9223372036854775807",
            "(integer) 0",
            "[]",
        ),
        Example::new("[0,1]", "DELRANGE $ 1 1", "(integer) 2", "[0,1]"),
        Example::new("[0,1]", "DELRANGE $ 1 0", "(integer) 2", "[0,1]"),
        Example::new("[[1,2],[]]", "DELRANGE $[*] 0 1", "[(integer) 1 (integer) 0]", "[[2],[]]"),
        Example::new("{}", "DELRANGE $.a 0 1", "NOPATH", "{}"),
        Example::new(r#"{"a":{}}"#, "DELRANGE $.a 0 1", "TYPE", r#"{"a":{}}"#),
    ],
    run: Action::Each(delrange),
};

fn delrange(site: &mut Site<'_, '_>, args: &[Arg<'_>]) -> Result<Reply> {
    let len = site.present_array()?.len();
    let doomed = index::slice(args[1].integer(), args[2].integer(), len);
    site.allowance().scan(doomed.start.min(len - doomed.end))?;
    let (editor, place) = site.parts();
    editor.remove_items(place, doomed.start, doomed.len())?;
    Ok(Reply::count(len - doomed.len()))
}
