//! `POPKEY`: takes one member out.

use super::{Absent, Arg, Example, OPERATORS, OpSpec, Operand, OperandKind, Repeats, Run, Site};
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
    reply: "the value as JSON text, null where no member is",
    errors: &[ErrorCode::Type],
    complexity: "O(M) with M the size of the value",
    repeats: Repeats::Exactly,
    since: "0.1.0",
    examples: &[
        Example {
            before: r#"{"a":[1],"b":2}"#,
            statement: &["POPKEY", "$", "a"],
            reply: "[1]",
            after: r#"{"b":2}"#,
        },
        Example {
            before: r#"{"a":null}"#,
            statement: &["POPKEY", "$", "a"],
            reply: "null",
            after: "{}",
        },
        Example {
            before: r#"{"x.y":1,"":2}"#,
            statement: &["POPKEY", "$", ""],
            reply: "2",
            after: r#"{"x.y":1}"#,
        },
        Example {
            before: r#"{"a":1}"#,
            statement: &["POPKEY", "$", "b"],
            reply: "(nil)",
            after: r#"{"a":1}"#,
        },
        Example { before: "{}", statement: &["POPKEY", "$.a", "b"], reply: "(nil)", after: "{}" },
        Example {
            before: r#"[{"a":1},{}]"#,
            statement: &["POPKEY", "$[*]", "a"],
            reply: "[1 (nil)]",
            after: "[{},{}]",
        },
        Example { before: "[1]", statement: &["POPKEY", "$", "0"], reply: "TYPE", after: "[1]" },
    ],
    run: Run::Each(popkey),
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
