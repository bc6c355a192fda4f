//! `TOGGLE`: makes true false and false true.

use super::{Absent, Arg, Example, OPERATORS, OpSpec, Operand, OperandKind, Repeats, Run, Site};
use crate::error::{ErrorCode, Result};
use crate::reply::Reply;
use crate::value::Value;

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
        Example {
            before: r#"{"a":true}"#,
            statement: &["TOGGLE", "$.a"],
            reply: "false",
            after: r#"{"a":false}"#,
        },
        Example {
            before: r#"{"a":false}"#,
            statement: &["TOGGLE", "$.a"],
            reply: "true",
            after: r#"{"a":true}"#,
        },
        Example {
            before: "[true,false]",
            statement: &["TOGGLE", "$[*]"],
            reply: "[false true]",
            after: "[false,true]",
        },
        Example {
            before: "[true,0]",
            statement: &["TOGGLE", "$[*]"],
            reply: "TYPE",
            after: "[true,0]",
        },
        Example {
            before: r#"{"a":0}"#,
            statement: &["TOGGLE", "$.a"],
            reply: "TYPE",
            after: r#"{"a":0}"#,
        },
        Example { before: "{}", statement: &["TOGGLE", "$.a"], reply: "NOPATH", after: "{}" },
    ],
    run: Run::Each(toggle),
};

fn toggle(site: &mut Site<'_, '_>, _: &[Arg<'_>]) -> Result<Reply> {
    let toggled = !site.boolean()?.expect("the operator is run only where something is");
    site.put(Value::from(toggled))?;
    Ok(site.new_value())
}
