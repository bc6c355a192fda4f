//! `CREATE`: a new document at a key that has none.

use super::{Absent, Action, Example, KeyChange, OPERATORS, OpSpec, Operand, OperandKind, Repeats};
use crate::error::ErrorCode;

#[linkme::distributed_slice(OPERATORS)]
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
        Example::new("", r#"CREATE any '{"n":1}'"#, "(revision)", r#"{"n":1}"#),
        Example::new(r#"{"n":1}"#, "CREATE any {}", "BUSYKEY", r#"{"n":1}"#),
        Example::new("", "CREATE none {}", "NOMODEL", ""),
    ],
    run: Action::Key(KeyChange::Create),
};
