//! `POPITEM`: takes the member added last out.

use super::{Absent, Action, Arg, Example, OPERATORS, OpSpec, Operand, OperandKind, Repeats, Site};
use crate::error::{ErrorCode, Result};
use crate::reply::Reply;

#[linkme::distributed_slice(OPERATORS)]
static POPITEM: OpSpec = OpSpec {
    name: "POPITEM",
    operands: &[Operand { name: "path", kind: OperandKind::Path }],
    summary: "Removes the member added last from an object and replies its name and value",
    accepts: "object",
    absent: Absent::Null,
    reply: "an array: the name as plain text, the value as JSON text; null for an object without members",
    errors: &[ErrorCode::Type],
    complexity: "O(M) with M the size of the member",
    repeats: Repeats::Exactly,
    since: "0.1.0",
    examples: &[
        Example::new(r#"{"b":1,"a":"x"}"#, "POPITEM $", r#"[a "x"]"#, r#"{"b":1}"#),
        Example::new(r#"{"a":null}"#, "POPITEM $", "[a null]", "{}"),
        Example::new("{}", "POPITEM $", "(nil)", "{}"),
        Example::new("{}", "POPITEM $.a", "(nil)", "{}"),
        Example::new(r#"[{"a":1},{}]"#, "POPITEM $[*]", "[[a 1] (nil)]", "[{},{}]"),
        Example::new("[1]", "POPITEM $", "TYPE", "[1]"),
    ],
    run: Action::Each(popitem),
};

fn popitem(site: &mut Site<'_, '_>, _: &[Arg<'_>]) -> Result<Reply> {
    let Some((position, name, value)) = site.present_object()?.last() else {
        return Ok(Reply::Null);
    };
    let reply = Reply::Array(vec![Reply::Text(name.as_bytes().to_vec()), Reply::value(value)]);
    let (editor, place) = site.parts();
    editor.remove_member(place, position)?;
    Ok(reply)
}
