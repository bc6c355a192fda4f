//! `TOGGLE`: makes true false and false true.

use super::{Absent, Action, Arg, Example, OPERATORS, OpSpec, Operand, OperandKind, Repeats, Site};
use crate::error::{ErrorCode, Result};
use crate::reply::Reply;
use crate::value::{Value, View};

#[linkme::distributed_slice(OPERATORS)]
static TOGGLE: OpSpec = OpSpec {
    name: "TOGGLE",
    operands: &[Operand { name: "path", kind: OperandKind::Path }],
    summary: "Makes true false and false true",
    accepts: "boolean",
    absent: Absent::NoPath,
    reply: "the new value as JSON text",
    errors: &[ErrorCode::Type],
    complexity: "O(1)",
    repeats: Repeats::Exactly,
    since: "0.1.0",
    examples: &[
        Example::new(r#"{"a":true}"#, "TOGGLE $.a", "false", r#"{"a":false}"#),
        Example::new(r#"{"a":false}"#, "TOGGLE $.a", "true", r#"{"a":true}"#),
        Example::new("[true,false]", "TOGGLE $[*]", "[false true]", "[false,true]"),
        Example::new("[true,0]", "TOGGLE $[*]", "TYPE", "[true,0]"),
        Example::new(r#"{"a":0}"#, "TOGGLE $.a", "TYPE", r#"{"a":0}"#),
        Example::new("{}", "TOGGLE $.a", "NOPATH", "{}"),
    ],
    run: Action::Each(toggle),
};

fn toggle(site: &mut Site<'_, '_>, _: &[Arg<'_>]) -> Result<Reply> {
    let toggled = !site.boolean()?.expect("the operator is run only where something is");
    site.put(Value::from(toggled))?;
    Ok(Reply::value(View::Bool(toggled)))
}
