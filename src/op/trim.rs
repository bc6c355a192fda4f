//! `TRIM`: keeps a range of elements.

use super::{
    Absent, Arg, Example, OPERATORS, OpSpec, Operand, OperandKind, Repeats, Run, Site, index,
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
        Example {
            before: "[0,1,2,3]",
            statement: &["TRIM", "$", "1", "2"],
            reply: "(integer) 2",
            after: "[1,2]",
        },
        Example {
            before: "[0,1,2,3]",
            statement: &["TRIM", "$", "-2", "-1"],
            reply: "(integer) 2",
            after: "[2,3]",
        },
        Example {
            before: "[0,1]",
            statement: &["TRIM", "$", "0", "-1"],
            reply: "(integer) 2",
            after: "[0,1]",
        },
        Example {
            before: "[0,1]",
            statement: &["TRIM", "$", "-9223372036854775808", "9223372036854775807"],
            reply: "(integer) 2",
            after: "[0,1]",
        },
        Example {
            before: "[0,1]",
            statement: &["TRIM", "$", "1", "0"],
            reply: "(integer) 0",
            after: "[]",
        },
        Example {
            before: "[0,1]",
            statement: &["TRIM", "$", "5", "9"],
            reply: "(integer) 0",
            after: "[]",
        },
        Example {
            before: "[[1,2],[]]",
            statement: &["TRIM", "$[*]", "0", "0"],
            reply: "[(integer) 1 (integer) 0]",
            after: "[[1],[]]",
        },
        Example {
            before: "{}",
            statement: &["TRIM", "$.a", "0", "0"],
            reply: "NOPATH",
            after: "{}",
        },
        Example {
            before: r#"{"a":"xy"}"#,
            statement: &["TRIM", "$.a", "0", "0"],
            reply: "TYPE",
            after: r#"{"a":"xy"}"#,
        },
    ],
    run: Run::Each(trim),
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
