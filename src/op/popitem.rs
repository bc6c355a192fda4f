//! `POPITEM`: takes the member added last out.

use super::{Absent, Arg, Example, OPERATORS, OpSpec, Operand, OperandKind, Repeats, Run, Site};
use crate::error::{ErrorCode, Result};
use crate::reply::Reply;

#[linkme::distributed_slice(OPERATORS)]
static POPITEM: OpSpec = OpSpec {
    name: "POPITEM",
    operands: &[Operand { name: "path", kind: OperandKind::Path }],
    summary: "Removes the member added last from an object and replies its name and value",
    accepts: "object",
    absent: Absent::Null,
    reply: "an array: the name as plain text, the value as JSON text; null where no member is",
    errors: &[ErrorCode::Type],
    complexity: "O(M) with M the size of the member",
    repeats: Repeats::Exactly,
    since: "0.1.0",
    examples: &[
        Example {
            before: r#"{"b":1,"a":"x"}"#,
            statement: &["POPITEM", "$"],
            reply: r#"[a "x"]"#,
            after: r#"{"b":1}"#,
        },
        Example {
            before: r#"{"a":null}"#,
            statement: &["POPITEM", "$"],
            reply: "[a null]",
            after: "{}",
        },
        Example { before: "{}", statement: &["POPITEM", "$"], reply: "(nil)", after: "{}" },
        Example { before: "{}", statement: &["POPITEM", "$.a"], reply: "(nil)", after: "{}" },
        Example {
            before: r#"[{"a":1},{}]"#,
            statement: &["POPITEM", "$[*]"],
            reply: "[[a 1] (nil)]",
            after: "[{},{}]",
        },
        Example { before: "[1]", statement: &["POPITEM", "$"], reply: "TYPE", after: "[1]" },
    ],
    run: Run::Each(popitem),
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
