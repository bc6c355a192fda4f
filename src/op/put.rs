//! `PUT`: a new document at a key, in the place of one that may be there.

use super::{Absent, Action, Example, KeyChange, OPERATORS, OpSpec, Operand, OperandKind, Repeats};
use crate::error::ErrorCode;

#[linkme::distributed_slice(OPERATORS)]
static PUT: OpSpec = OpSpec {
    name: "PUT",
    operands: &[
        Operand { name: "model", kind: OperandKind::Name },
        Operand { name: "json", kind: OperandKind::Json },
    ],
    summary: "Stores a new document, whether the key has one or not, as MODEL.SET does",
    accepts: "the key",
    absent: Absent::Own,
    reply: "the revision the transaction gives the document; null if a later statement deletes the document",
    errors: &[ErrorCode::NoModel],
    complexity: "O(N) with N the size of the document",
    repeats: Repeats::Differently,
    since: "0.3.0",
    examples: &[
        Example::new(r#"{"n":1}"#, r#"PUT any '{"m":2}'"#, "(revision)", r#"{"m":2}"#),
        Example::new("", "PUT any []", "(revision)", "[]"),
        Example::new("", "PUT none {}", "NOMODEL", ""),
    ],
    run: Action::Key(KeyChange::Put),
};
