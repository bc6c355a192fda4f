//! `RELEASE`: ends a lock, in the same step as what was saved.

use super::{Absent, Action, Example, OPERATORS, OpSpec, Operand, OperandKind, Repeats};
use crate::error::ErrorCode;

#[linkme::distributed_slice(OPERATORS)]
static RELEASE: OpSpec = OpSpec {
    name: "RELEASE",
    operands: &[
        Operand { name: "name", kind: OperandKind::LockName },
        Operand { name: "owner", kind: OperandKind::LockName },
        Operand { name: "fence", kind: OperandKind::Fence },
    ],
    summary: "Ends the lock that is held by this grant; the next waiter is granted it when the command is over",
    accepts: "the locks of the document",
    absent: Absent::Own,
    reply: "1",
    errors: &[ErrorCode::LockLost],
    complexity: "O(N) with N the number of locks held on the document",
    repeats: Repeats::Exactly,
    since: "0.4.0",
    examples: &[Example::new("{}", "RELEASE profile task:7 897412300800", "LOCKLOST", "{}")],
    run: Action::Release,
};
