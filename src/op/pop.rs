//! `POP`: takes one element out.

use super::{
    Absent, Arg, Example, OPERATORS, OpSpec, Operand, OperandKind, Repeats, Run, Site, index,
};
use crate::error::{ErrorCode, Result};
use crate::reply::Reply;

#[linkme::distributed_slice(OPERATORS)]
static POP: OpSpec = OpSpec {
    name: "POP",
    operands: &[
        Operand { name: "path", kind: OperandKind::Path },
        Operand { name: "index", kind: OperandKind::Integer },
    ],
    summary: "Removes one element and replies it; -1 is the last",
    accepts: "array",
    absent: Absent::Null,
    reply: "the value as JSON text, null where no element is",
    errors: &[ErrorCode::Type],
    complexity: "O(M + S) with M the size of the value and S the elements on the shorter side of it",
    repeats: Repeats::Exactly,
    since: "0.1.0",
    examples: &[
        Example { before: "[1,2,3]", statement: &["POP", "$", "0"], reply: "1", after: "[2,3]" },
        Example {
            before: "[1,{\"a\":2}]",
            statement: &["POP", "$", "-1"],
            reply: r#"{"a":2}"#,
            after: "[1]",
        },
        Example { before: "[1,null]", statement: &["POP", "$", "1"], reply: "null", after: "[1]" },
        Example { before: "[1]", statement: &["POP", "$", "1"], reply: "(nil)", after: "[1]" },
        Example { before: "[1]", statement: &["POP", "$", "-2"], reply: "(nil)", after: "[1]" },
        Example { before: "[]", statement: &["POP", "$", "-1"], reply: "(nil)", after: "[]" },
        Example { before: "{}", statement: &["POP", "$.a", "0"], reply: "(nil)", after: "{}" },
        Example {
            before: "[[1,2],[]]",
            statement: &["POP", "$[*]", "0"],
            reply: "[1 (nil)]",
            after: "[[2],[]]",
        },
        Example {
            before: r#"{"a":{}}"#,
            statement: &["POP", "$.a", "0"],
            reply: "TYPE",
            after: r#"{"a":{}}"#,
        },
    ],
    run: Run::Each(pop),
};

fn pop(site: &mut Site<'_, '_>, args: &[Arg<'_>]) -> Result<Reply> {
    let array = site.present_array()?;
    let Some(index) = index::element(args[1].integer(), array.len()) else {
        return Ok(Reply::Null);
    };
    site.allowance().shift(index, array.len())?;
    let reply = Reply::value(array.get(index).expect("the index is inside"));
    let (editor, place) = site.parts();
    editor.remove_items(place, index, 1)?;
    Ok(reply)
}
