//! `COPY`: copies a value from one place of the document to another.

use super::{
    Absent, Action, Arg, Example, Frame, OPERATORS, OpSpec, Operand, OperandKind, Repeats,
};
use crate::error::{Error, ErrorCode, Result};
use crate::reply::Reply;
use crate::value::Measured;

#[linkme::distributed_slice(OPERATORS)]
static COPY: OpSpec = OpSpec {
    name: "COPY",
    operands: &[
        Operand { name: "from", kind: OperandKind::Singular },
        Operand { name: "to", kind: OperandKind::Singular },
    ],
    summary: "Copies a value to another place of the document",
    accepts: "any",
    absent: Absent::Own,
    reply: "1",
    errors: &[ErrorCode::NoPath, ErrorCode::Type, ErrorCode::Range],
    complexity: "O(N) with N the size of the value",
    repeats: Repeats::Exactly,
    since: "0.1.0",
    examples: &[
        Example::new(r#"{"a":[1]}"#, "COPY $.a $.b", "(integer) 1", r#"{"a":[1],"b":[1]}"#),
        Example::new(r#"{"a":1}"#, "COPY $.b $.a", "NOPATH", r#"{"a":1}"#),
        Example::new(r#"{"a":1}"#, "COPY $.a $.a.b", "TYPE", r#"{"a":1}"#),
        Example::new("[1]", "COPY $[0] $[2]", "RANGE", "[1]"),
    ],
    run: Action::Once(copy),
};

fn copy(frame: &mut Frame<'_, '_>, args: &[Arg<'_>]) -> Result<Reply> {
    let source = args[0].singular().find(frame.view());
    let source =
        source.ok_or_else(|| Error::new(ErrorCode::NoPath, "nothing is at the source path"))?;
    // Paid for before it is made.
    frame.allowance.transfer_values(source.work())?;
    let copied: Measured = source.to_value().into();
    frame.site(args[1].singular()).put(copied)?;
    Ok(Reply::Int(1))
}
