//! `EVAL`: puts what an expression gives.

use super::{Absent, Arg, Example, OPERATORS, OpSpec, Operand, OperandKind, Repeats, Run, Site};
use crate::error::{ErrorCode, Result};
use crate::reply::Reply;

#[linkme::distributed_slice(OPERATORS)]
static EVAL: OpSpec = OpSpec {
    name: "EVAL",
    operands: &[
        Operand { name: "path", kind: OperandKind::Path },
        Operand { name: "expr", kind: OperandKind::Expression },
    ],
    summary: "Puts what an expression gives; in it `value` is what is there now, or null",
    accepts: "any",
    absent: Absent::Create,
    reply: "the new value as JSON text",
    errors: &[ErrorCode::Expr, ErrorCode::Range],
    complexity: "that of the expression",
    // A replica is sent the value, not the expression.
    repeats: Repeats::Differently,
    since: "0.2.0",
    examples: &[
        Example {
            before: r#"{"price":5,"n":3}"#,
            statement: &["EVAL", "$.total", "self.price * self.n"],
            reply: "15",
            after: r#"{"price":5,"n":3,"total":15}"#,
        },
        Example {
            before: r#"{"a":[1,2,3]}"#,
            statement: &["EVAL", "$.a[*]", "value * 1.5"],
            reply: "[1.5 3.0 4.5]",
            after: r#"{"a":[1.5,3.0,4.5]}"#,
        },
        Example {
            before: r#"{"a":[3,1,2]}"#,
            statement: &["EVAL", "$.a", "value.filter(x, x > 1)"],
            reply: "[3,2]",
            after: r#"{"a":[3,2]}"#,
        },
        Example {
            before: "{}",
            statement: &["EVAL", "$.n", "value == null ? 0 : value + 1"],
            reply: "0",
            after: r#"{"n":0}"#,
        },
        Example {
            before: r#"{"n":1}"#,
            statement: &["EVAL", "$.n", "value / 0"],
            reply: "EXPR",
            after: r#"{"n":1}"#,
        },
        Example {
            before: r#"{"n":9007199254740993}"#,
            statement: &["EVAL", "$.n", "value * 1.5"],
            reply: "RANGE",
            after: r#"{"n":9007199254740993}"#,
        },
        Example {
            before: r#"{"n":1}"#,
            statement: &["EVAL", "$.n", "self.none + 1"],
            reply: "EXPR",
            after: r#"{"n":1}"#,
        },
    ],
    run: Run::Each(eval),
};

fn eval(site: &mut Site<'_, '_>, args: &[Arg<'_>]) -> Result<Reply> {
    let new = site.evaluate(args[1].expression())?;
    site.put(new)?;
    Ok(site.new_value())
}
