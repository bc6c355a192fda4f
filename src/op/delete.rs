//! `DELETE`: the document goes, and the key with it.

use super::{Absent, Action, Example, KeyChange, OPERATORS, OpSpec, Repeats};
use crate::error::ErrorCode;

#[linkme::distributed_slice(OPERATORS)]
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
        Example::new(r#"{"n":1}"#, "DELETE", "(integer) 1", ""),
        Example::new("", "DELETE", "NOKEY", ""),
    ],
    run: Action::Key(KeyChange::Delete),
};
