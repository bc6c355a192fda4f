//! `CLEAR`: empties.
//!
//! A number becomes the integer 0. What is empty or zero already, a boolean and null are left alone and not counted:
//! 0 is replied only where nothing was changed.

use super::{Absent, Arg, Example, OPERATORS, OpSpec, Operand, OperandKind, Repeats, Run, Site};
use crate::error::Result;
use crate::reply::Reply;
use crate::value::{Value, View};

#[linkme::distributed_slice(OPERATORS)]
static CLEAR: OpSpec = OpSpec {
    name: "CLEAR",
    operands: &[Operand { name: "path", kind: OperandKind::Path }],
    summary: "Empties containers and strings and makes numbers 0; booleans and null are left alone",
    accepts: "any",
    absent: Absent::Zero,
    reply: "the number cleared; what is empty or zero already does not count",
    errors: &[],
    complexity: "O(N) with N the size of what is cleared",
    repeats: Repeats::Exactly,
    since: "0.1.0",
    examples: &[
        Example {
            before: r#"{"a":[1,2]}"#,
            statement: &["CLEAR", "$.a"],
            reply: "(integer) 1",
            after: r#"{"a":[]}"#,
        },
        Example {
            before: r#"{"a":{"b":1}}"#,
            statement: &["CLEAR", "$.a"],
            reply: "(integer) 1",
            after: r#"{"a":{}}"#,
        },
        Example {
            before: r#"{"a":{"b":1}}"#,
            statement: &["CLEAR", "$"],
            reply: "(integer) 1",
            after: "{}",
        },
        Example {
            before: r#"{"a":"x"}"#,
            statement: &["CLEAR", "$.a"],
            reply: "(integer) 1",
            after: r#"{"a":""}"#,
        },
        Example {
            before: r#"{"a":1.5}"#,
            statement: &["CLEAR", "$.a"],
            reply: "(integer) 1",
            after: r#"{"a":0}"#,
        },
        Example {
            before: r#"[0,-0.0,"",[],{},true,null]"#,
            statement: &["CLEAR", "$[*]"],
            reply: "(integer) 0",
            after: r#"[0,-0.0,"",[],{},true,null]"#,
        },
        Example {
            before: r#"[1,true,"x"]"#,
            statement: &["CLEAR", "$[*]"],
            reply: "(integer) 2",
            after: r#"[0,true,""]"#,
        },
        Example { before: "{}", statement: &["CLEAR", "$.a"], reply: "(integer) 0", after: "{}" },
        Example {
            before: r#"{"a":[[1],2]}"#,
            statement: &["CLEAR", "$..*"],
            reply: "(integer) 4",
            after: r#"{"a":[]}"#,
        },
    ],
    run: Run::Total(clear),
};

fn clear(site: &mut Site<'_, '_>, _: &[Arg<'_>]) -> Result<Reply> {
    let Some(cleared) = cleared(site.present()) else { return Ok(Reply::Int(0)) };
    site.put(cleared)?;
    Ok(Reply::Int(1))
}

/// `None` for what is left alone.
fn cleared(view: View<'_>) -> Option<Value> {
    match view {
        View::Null | View::Bool(_) => None,
        View::Int(value) => (value != 0).then(|| Value::from(0)),
        View::Float(value) => (value != 0.0).then(|| Value::from(0)),
        View::Str(text) => (!text.as_bytes().is_empty()).then(|| Value::string("")),
        View::Array(array) => (!array.is_empty()).then(Value::empty_array),
        View::Object(object) => (!object.is_empty()).then(Value::empty_object),
    }
}
