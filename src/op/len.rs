//! `LEN`: how much a container or a string holds.

use super::{Absent, Action, Arg, Example, OPERATORS, OpSpec, Operand, OperandKind, Repeats, Site};
use crate::error::{ErrorCode, Result};
use crate::reply::Reply;
use crate::value::View;

#[linkme::distributed_slice(OPERATORS)]
static LEN: OpSpec = OpSpec {
    name: "LEN",
    operands: &[Operand { name: "path", kind: OperandKind::Path }],
    summary: "Counts the elements of an array, the members of an object, the code points of a string",
    accepts: "array, object, string",
    absent: Absent::Null,
    reply: "an integer, null where nothing is",
    errors: &[ErrorCode::Type],
    complexity: "O(1); O(N) for a string, with N its length",
    repeats: Repeats::Nothing,
    since: "0.1.0",
    examples: &[
        Example::new(r#"{"a":[1,[2,3]]}"#, "LEN $.a", "(integer) 2", r#"{"a":[1,[2,3]]}"#),
        Example::new(r#"{"a":1,"b":2}"#, "LEN $", "(integer) 2", r#"{"a":1,"b":2}"#),
        Example::new(r#"{"a":"a€😀"}"#, "LEN $.a", "(integer) 3", r#"{"a":"a€😀"}"#),
        Example::new("[]", "LEN ''", "(integer) 0", "[]"),
        Example::new("{}", "LEN $.a", "(nil)", "{}"),
        Example::new("{}", "LEN $.a.b", "(nil)", "{}"),
        Example::new(
            r#"[[],"ab",{"c":1}]"#,
            "LEN $[*]",
            "[(integer) 0 (integer) 2 (integer) 1]",
            r#"[[],"ab",{"c":1}]"#,
        ),
        Example::new(r#"{"a":1}"#, "LEN $.a", "TYPE", r#"{"a":1}"#),
        Example::new(r#"{"a":null}"#, "LEN $.a", "TYPE", r#"{"a":null}"#),
        Example::new(r#"["a",1]"#, "LEN $[*]", "TYPE", r#"["a",1]"#),
    ],
    run: Action::Each(len),
};

fn len(site: &mut Site<'_, '_>, _: &[Arg<'_>]) -> Result<Reply> {
    match site.present() {
        View::Str(text) => {
            site.allowance().text(text.as_bytes().len())?;
            Ok(Reply::count(text.code_points()))
        }
        View::Array(array) => Ok(Reply::count(array.len())),
        View::Object(object) => Ok(Reply::count(object.len())),
        View::Null | View::Bool(_) | View::Int(_) | View::Float(_) => {
            Err(site.wrong_kind("an array, an object or a string"))
        }
    }
}
