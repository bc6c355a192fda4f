//! `MAX`: keeps the larger of two numbers. They are compared exactly; of equal ones what is there stays.

use std::cmp::Ordering;

use super::{Absent, Action, Arg, Example, OPERATORS, OpSpec, Operand, OperandKind, Repeats, Site};
use crate::error::{ErrorCode, Result};
use crate::reply::Reply;

#[linkme::distributed_slice(OPERATORS)]
static MAX: OpSpec = OpSpec {
    name: "MAX",
    operands: &[
        Operand { name: "path", kind: OperandKind::Path },
        Operand { name: "n", kind: OperandKind::Number },
    ],
    summary: "Keeps the larger of what is there and the operand",
    accepts: "number",
    absent: Absent::Create,
    reply: "the new value as JSON text; the operand where nothing is",
    errors: &[ErrorCode::Type],
    complexity: "O(1)",
    repeats: Repeats::Exactly,
    since: "0.1.0",
    examples: &[
        Example::new(r#"{"a":5}"#, "MAX $.a 7", "7", r#"{"a":7}"#),
        Example::new(r#"{"a":5}"#, "MAX $.a 3", "5", r#"{"a":5}"#),
        Example::new(r#"{"a":5}"#, "MAX $.a 5.0", "5", r#"{"a":5}"#),
        Example::new(
            r#"{"a":9007199254740993}"#,
            "MAX $.a 9007199254740992.0",
            "9007199254740993",
            r#"{"a":9007199254740993}"#,
        ),
        Example::new("{}", "MAX $.a 5", "5", r#"{"a":5}"#),
        Example::new("{}", "MAX $.a.b 5", "NOPATH", "{}"),
        Example::new("[1,9]", "MAX $[*] 5", "[5 9]", "[5,9]"),
        Example::new(r#"{"a":null}"#, "MAX $.a 5", "TYPE", r#"{"a":null}"#),
    ],
    run: Action::Each(maximum),
};

fn maximum(site: &mut Site<'_, '_>, args: &[Arg<'_>]) -> Result<Reply> {
    let operand = args[1].number();
    let replaces = match site.number()? {
        Some(number) => number.compare(operand) == Ordering::Less,
        None => true,
    };
    if replaces {
        site.put(operand)?;
    }
    site.new_value()
}
