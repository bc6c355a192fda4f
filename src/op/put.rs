//! `PUT`: a new document at a key, in the place of one that may be there.

use super::{
    Absent, Example, KEY_OPERATORS, KeyChange, OpSpec, Operand, OperandKind, Repeats, Run,
};
use crate::error::ErrorCode;

#[linkme::distributed_slice(KEY_OPERATORS)]
static PUT: OpSpec = OpSpec {
    name: "PUT",
    operands: &[
        Operand { name: "model", kind: OperandKind::Name },
        Operand { name: "json", kind: OperandKind::Json },
    ],
    summary: "Stores a new document, whether the key has one or not, as MODEL.SET does",
    accepts: "the key",
    absent: Absent::Own,
    reply: "the revision the transaction gives the document; null where the document is gone at the end",
    errors: &[ErrorCode::NoModel],
    complexity: "O(N) with N the size of the document",
    repeats: Repeats::Differently,
    since: "0.3.0",
    examples: &[
        Example {
            before: r#"{"n":1}"#,
            statement: &["PUT", "any", r#"{"m":2}"#],
            reply: "(revision)",
            after: r#"{"m":2}"#,
        },
        Example { before: "", statement: &["PUT", "any", "[]"], reply: "(revision)", after: "[]" },
        Example { before: "", statement: &["PUT", "none", "{}"], reply: "NOMODEL", after: "" },
    ],
    run: Run::Key(KeyChange::Put),
};
