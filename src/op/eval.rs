//! `EVAL`: puts what an expression gives.

use super::{Absent, Action, Arg, Example, OPERATORS, OpSpec, Operand, OperandKind, Repeats, Site};
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
        Example::new(
            r#"{"price":5,"n":3}"#,
            "EVAL $.total 'self.price * self.n'",
            "15",
            r#"{"price":5,"n":3,"total":15}"#,
        ),
        Example::new(
            r#"{"a":[1,2,3]}"#,
            "EVAL $.a[*] 'value * 1.5'",
            "[1.5 3.0 4.5]",
            r#"{"a":[1.5,3.0,4.5]}"#,
        ),
        Example::new(
            r#"{"a":[3,1,2]}"#,
            "EVAL $.a 'value.filter(x, x > 1)'",
            "[3,2]",
            r#"{"a":[3,2]}"#,
        ),
        Example::new("{}", "EVAL $.n 'value == null ? 0 : value + 1'", "0", r#"{"n":0}"#),
        Example::new(r#"{"n":1}"#, "EVAL $.n 'value / 0'", "EXPR", r#"{"n":1}"#),
        Example::new(
            r#"{"n":9007199254740993}"#,
            "EVAL $.n 'value * 1.5'",
            "RANGE",
            r#"{"n":9007199254740993}"#,
        ),
        Example::new(r#"{"n":1}"#, "EVAL $.n 'self.none + 1'", "EXPR", r#"{"n":1}"#),
    ],
    run: Action::Each(eval),
};

/// Steps of each place beside those of the expression.
const EVALUATION: u64 = 280;

fn eval(site: &mut Site<'_, '_>, args: &[Arg<'_>]) -> Result<Reply> {
    // The place is looked up several times, in an array among hundreds of packed elements.
    site.allowance().spend(EVALUATION)?;
    let new = site.evaluate(args[1].expression())?;
    site.put(new)?;
    site.new_value()
}
