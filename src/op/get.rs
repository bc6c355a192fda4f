//! `GET`: reads, seeing the statements before it.

use super::{
    Absent, Action, Arg, Example, Frame, OPERATORS, OpSpec, Operand, OperandKind, Repeats,
};
use crate::budget::Allowance;
use crate::error::{Error, Result};
use crate::limit;
use crate::path::Path;
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
        Example::new(r#"{"a":[1,2.0]}"#, "GET $.a", "[1,2.0]", r#"{"a":[1,2.0]}"#),
        Example::new(r#"{"a":null}"#, "GET $.a", "null", r#"{"a":null}"#),
        Example::new(r#"{"a":null}"#, "GET $.b", "(nil)", r#"{"a":null}"#),
        Example::new(r#"{"a":[1,2]}"#, "GET $.a[*]", "[1,2]", r#"{"a":[1,2]}"#),
    ],
    run: Action::Once(get),
};

fn get(frame: &mut Frame<'_, '_>, args: &[Arg<'_>]) -> Result<Reply> {
    read(frame.view(), args[0].path(), frame.allowance)
}

/// Reads what a path names, as `MODEL.GET` does. The reply is counted by whoever gives it.
pub fn read(root: View<'_>, path: &Path<'_>, allowance: &Allowance<'_>) -> Result<Reply> {
    let query = match path {
        Path::Singular(singular) => {
            let Some(view) = singular.find(root) else { return Ok(Reply::Null) };
            allowance.transfer(view.work())?;
            return Ok(Reply::value(view));
        }
        Path::Query(query) => query,
    };
    let most = allowance.limits().query_bytes;
    let mut text = vec![b'['];
    for (nth, view) in query.select(root, allowance)?.into_iter().enumerate() {
        if nth > 0 {
            text.push(b',');
        }
        allowance.transfer(view.work())?;
        print::json(view, &mut text);
        if text.len() as u64 > most {
            return Err(Error::limit(limit::QUERY_BYTES, most));
        }
        allowance.check_reply(text.len() as u64)?;
    }
    text.push(b']');
    Ok(Reply::Json(text))
}
