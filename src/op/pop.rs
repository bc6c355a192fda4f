//! `POP`: takes one element out.

use super::{
    Absent, Action, Arg, Example, OPERATORS, OpSpec, Operand, OperandKind, Repeats, Site, index,
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
        Example::new("[1,2,3]", "POP $ 0", "1", "[2,3]"),
        Example::new(r#"[1,{"a":2}]"#, "POP $ -1", r#"{"a":2}"#, "[1]"),
        Example::new("[1,null]", "POP $ 1", "null", "[1]"),
        Example::new("[1]", "POP $ 1", "(nil)", "[1]"),
        Example::new("[1]", "POP $ -2", "(nil)", "[1]"),
        Example::new("[]", "POP $ -1", "(nil)", "[]"),
        Example::new("{}", "POP $.a 0", "(nil)", "{}"),
        Example::new("[[1,2],[]]", "POP $[*] 0", "[1 (nil)]", "[[2],[]]"),
        Example::new(r#"{"a":{}}"#, "POP $.a 0", "TYPE", r#"{"a":{}}"#),
    ],
    run: Action::Each(pop),
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
