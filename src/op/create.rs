//! `CREATE`: a new document at a key that has none.

use super::{
    Absent, Example, KEY_OPERATORS, KeyChange, OpSpec, Operand, OperandKind, Repeats, Run,
};
use crate::error::ErrorCode;

#[linkme::distributed_slice(KEY_OPERATORS)]
static CREATE: OpSpec = OpSpec {
    name: "CREATE",
    operands: &[
        Operand { name: "model", kind: OperandKind::Name },
        Operand { name: "json", kind: OperandKind::Json },
    ],
    summary: "Stores a new document where the key is missing, as MODEL.SET with NX does",
    accepts: "the key",
    absent: Absent::Own,
    reply: "the revision the transaction gives the document; null where the document is gone at the end",
    errors: &[ErrorCode::NoModel, ErrorCode::BusyKey],
    complexity: "O(N) with N the size of the document",
    repeats: Repeats::Differently,
    since: "0.3.0",
    examples: &[
        Example {
            before: "",
            statement: &["CREATE", "any", r#"{"n":1}"#],
            reply: "(revision)",
            after: r#"{"n":1}"#,
        },
        Example {
            before: r#"{"n":1}"#,
            statement: &["CREATE", "any", "{}"],
            reply: "BUSYKEY",
            after: r#"{"n":1}"#,
        },
        Example { before: "", statement: &["CREATE", "none", "{}"], reply: "NOMODEL", after: "" },
    ],
    run: Run::Key(KeyChange::Create),
};
