//! `CLEAR`: empties.
//!
//! A number becomes the integer 0. What is empty or zero already, a boolean and null are left alone and not counted:
//! 0 is replied only where nothing was changed.

use super::{Absent, Action, Arg, Example, OPERATORS, OpSpec, Operand, OperandKind, Repeats, Site};
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
        Example::new(r#"{"a":[1,2]}"#, "CLEAR $.a", "(integer) 1", r#"{"a":[]}"#),
        Example::new(r#"{"a":{"b":1}}"#, "CLEAR $.a", "(integer) 1", r#"{"a":{}}"#),
        Example::new(r#"{"a":{"b":1}}"#, "CLEAR $", "(integer) 1", "{}"),
        Example::new(r#"{"a":"x"}"#, "CLEAR $.a", "(integer) 1", r#"{"a":""}"#),
        Example::new(r#"{"a":1.5}"#, "CLEAR $.a", "(integer) 1", r#"{"a":0}"#),
        Example::new(
            r#"[0,-0.0,"",[],{},true,null]"#,
            "CLEAR $[*]",
            "(integer) 0",
            r#"[0,-0.0,"",[],{},true,null]"#,
        ),
        Example::new(r#"[1,true,"x"]"#, "CLEAR $[*]", "(integer) 2", r#"[0,true,""]"#),
        Example::new("{}", "CLEAR $.a", "(integer) 0", "{}"),
        Example::new(r#"{"a":[[1],2]}"#, "CLEAR $..*", "(integer) 4", r#"{"a":[]}"#),
    ],
    run: Action::Total(clear),
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
