//! `DELETE`: the document goes, and the key with it.

use super::{Absent, Example, KEY_OPERATORS, KeyChange, OpSpec, Repeats, Run};
use crate::error::ErrorCode;

#[linkme::distributed_slice(KEY_OPERATORS)]
static DELETE: OpSpec = OpSpec {
    name: "DELETE",
    operands: &[],
    summary: "Deletes the document and its key",
    accepts: "the key",
    absent: Absent::Own,
    reply: "1",
    errors: &[ErrorCode::NoKey],
    complexity: "O(1); memory is freed in the background",
    repeats: Repeats::Differently,
    since: "0.3.0",
    examples: &[
        Example { before: r#"{"n":1}"#, statement: &["DELETE"], reply: "(integer) 1", after: "" },
        Example { before: "", statement: &["DELETE"], reply: "NOKEY", after: "" },
    ],
    run: Run::Key(KeyChange::Delete),
};
