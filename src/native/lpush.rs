//! `LPUSH`: adds an element at the front of a list.

use super::text::push_value;
use super::{KeyOverlay, NATIVES, NativeExample, NativeKind, NativeSpec, Words};
use crate::error::{ErrorCode, Result};
use crate::op::{Arg, Operand, OperandKind};

#[linkme::distributed_slice(NATIVES)]
static LPUSH: NativeSpec = NativeSpec {
    name: "LPUSH",
    operands: &[Operand { name: "value", kind: OperandKind::Json }],
    summary: "Adds an element at the front",
    works_on: "a list",
    reply: "the new length",
    errors: &[ErrorCode::WrongType],
    complexity: "O(1)",
    since: "0.5.0",
    examples: &[
        NativeExample::new("", r#"LPUSH '{"job":1}'"#, "(integer) 1"),
        NativeExample::new("RPUSH 1", "LPUSH 2", "(integer) 2"),
        NativeExample::new("SET 1", "LPUSH 2", "WRONGTYPE"),
    ],
    channel: false,
    write,
    check,
};

fn write(args: &[Arg<'_>], words: &mut Words) -> Result<()> {
    push_value(args[0].json().value.view(), words);
    Ok(())
}

fn check(key: &mut KeyOverlay<'_>, _: &Words) -> Result<()> {
    key.create(NativeKind::List)
}
