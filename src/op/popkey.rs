//! `POPKEY`: takes one member out.

use super::{Absent, Action, Arg, Example, OPERATORS, OpSpec, Operand, OperandKind, Repeats, Site};
use crate::error::{ErrorCode, Result};
use crate::reply::Reply;

#[linkme::distributed_slice(OPERATORS)]
static POPKEY: OpSpec = OpSpec {
    name: "POPKEY",
    operands: &[
        Operand { name: "path", kind: OperandKind::Path },
        Operand { name: "name", kind: OperandKind::Name },
    ],
    summary: "Removes the member of that name from an object and replies its value",
    accepts: "object",
    absent: Absent::Null,
    reply: "the value as JSON text, null if the member is missing",
    errors: &[ErrorCode::Type],
    complexity: "O(M) with M the size of the value",
    repeats: Repeats::Exactly,
    since: "0.1.0",
    examples: &[
        Example::new(r#"{"a":[1],"b":2}"#, "POPKEY $ a", "[1]", r#"{"b":2}"#),
        Example::new(r#"{"a":null}"#, "POPKEY $ a", "null", "{}"),
        Example::new(r#"{"x.y":1,"":2}"#, "POPKEY $ ''", "2", r#"{"x.y":1}"#),
        Example::new(r#"{"a":1}"#, "POPKEY $ b", "(nil)", r#"{"a":1}"#),
        Example::new("{}", "POPKEY $.a b", "(nil)", "{}"),
        Example::new(r#"[{"a":1},{}]"#, "POPKEY $[*] a", "[1 (nil)]", "[{},{}]"),
        Example::new("[1]", "POPKEY $ 0", "TYPE", "[1]"),
    ],
    run: Action::Each(popkey),
};

fn popkey(site: &mut Site<'_, '_>, args: &[Arg<'_>]) -> Result<Reply> {
    let Some((position, value)) = site.present_object()?.find(args[1].text()) else {
        return Ok(Reply::Null);
    };
    let reply = Reply::value(value);
    let (editor, place) = site.parts();
    editor.remove_member(place, position)?;
    Ok(reply)
}
