//! `MIN`: keeps the smaller of two numbers. They are compared exactly; of equal ones what is there stays.

use std::cmp::Ordering;

use super::{Absent, Arg, Example, OPERATORS, OpSpec, Operand, OperandKind, Repeats, Run, Site};
use crate::error::{ErrorCode, Result};
use crate::reply::Reply;

#[linkme::distributed_slice(OPERATORS)]
static MIN: OpSpec = OpSpec {
    name: "MIN",
    operands: &[
        Operand { name: "path", kind: OperandKind::Path },
        Operand { name: "n", kind: OperandKind::Number },
    ],
    summary: "Keeps the smaller of what is there and the operand",
    accepts: "number",
    absent: Absent::Create,
    reply: "the new value as JSON text; the operand where nothing is",
    errors: &[ErrorCode::Type],
    complexity: "O(1)",
    repeats: Repeats::Exactly,
    since: "0.1.0",
    examples: &[
        Example {
            before: r#"{"a":5}"#,
            statement: &["MIN", "$.a", "3"],
            reply: "3",
            after: r#"{"a":3}"#,
        },
        Example {
            before: r#"{"a":5}"#,
            statement: &["MIN", "$.a", "7"],
            reply: "5",
            after: r#"{"a":5}"#,
        },
        Example {
            before: r#"{"a":5}"#,
            statement: &["MIN", "$.a", "5.0"],
            reply: "5",
            after: r#"{"a":5}"#,
        },
        Example {
            before: r#"{"a":9007199254740993}"#,
            statement: &["MIN", "$.a", "9007199254740992.0"],
            reply: "9007199254740992.0",
            after: r#"{"a":9007199254740992.0}"#,
        },
        Example { before: "{}", statement: &["MIN", "$.a", "5"], reply: "5", after: r#"{"a":5}"# },
        Example { before: "{}", statement: &["MIN", "$.a.b", "5"], reply: "NOPATH", after: "{}" },
        Example {
            before: "[1,9]",
            statement: &["MIN", "$[*]", "5"],
            reply: "[1 5]",
            after: "[1,5]",
        },
        Example {
            before: r#"{"a":null}"#,
            statement: &["MIN", "$.a", "5"],
            reply: "TYPE",
            after: r#"{"a":null}"#,
        },
    ],
    run: Run::Each(minimum),
};

fn minimum(site: &mut Site<'_, '_>, args: &[Arg<'_>]) -> Result<Reply> {
    let operand = args[1].number();
    let replaces = match site.number()? {
        Some(number) => number.compare(operand) == Ordering::Greater,
        None => true,
    };
    if replaces {
        site.put(operand)?;
    }
    Ok(site.new_value())
}
