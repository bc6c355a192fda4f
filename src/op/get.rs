//! `GET`: reads, seeing the statements before it.

use super::{Absent, Arg, Example, Frame, OPERATORS, OpSpec, Operand, OperandKind, Repeats, Run};
use crate::error::{Error, Result};
use crate::path::{Path, PathLimits};
use crate::reply::Reply;
use crate::value::{View, print};

#[linkme::distributed_slice(OPERATORS)]
static GET: OpSpec = OpSpec {
    name: "GET",
    operands: &[Operand { name: "path", kind: OperandKind::Path }],
    summary: "Reads a value, seeing the statements before it",
    accepts: "any",
    absent: Absent::Own,
    reply: "the value as JSON text, null where nothing is; with a non-singular path a JSON array of all matches",
    errors: &[],
    complexity: "O(N) with N the size of what is read",
    repeats: Repeats::Nothing,
    since: "0.1.0",
    examples: &[
        Example {
            before: r#"{"a":[1,2.0]}"#,
            statement: &["GET", "$.a"],
            reply: "[1,2.0]",
            after: r#"{"a":[1,2.0]}"#,
        },
        Example {
            before: r#"{"a":null}"#,
            statement: &["GET", "$.a"],
            reply: "null",
            after: r#"{"a":null}"#,
        },
        Example {
            before: r#"{"a":null}"#,
            statement: &["GET", "$.b"],
            reply: "(nil)",
            after: r#"{"a":null}"#,
        },
        Example {
            before: r#"{"a":[1,2]}"#,
            statement: &["GET", "$.a[*]"],
            reply: "[1,2]",
            after: r#"{"a":[1,2]}"#,
        },
    ],
    run: Run::Once(get),
};

fn get(frame: &mut Frame<'_, '_>, args: &[Arg<'_>]) -> Result<Reply> {
    read(frame.view(), args[0].path(), frame.paths)
}

/// Reads what a path names, as `MODEL.GET` does.
pub fn read(root: View<'_>, path: &Path<'_>, limits: &PathLimits) -> Result<Reply> {
    let query = match path {
        Path::Singular(singular) => {
            return Ok(singular.find(root).map_or(Reply::Null, Reply::value));
        }
        Path::Query(query) => query,
    };
    let mut text = vec![b'['];
    for (nth, view) in query.select(root, limits)?.into_iter().enumerate() {
        if nth > 0 {
            text.push(b',');
        }
        print::json(view, &mut text);
        if text.len() as u64 > limits.query_bytes {
            return Err(Error::limit("model.query-bytes", limits.query_bytes));
        }
    }
    text.push(b']');
    Ok(Reply::Json(text))
}
