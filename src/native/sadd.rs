//! `SADD`: adds a member to a set.

use super::text::push_value;
use super::{KeyOverlay, NATIVES, NativeExample, NativeKind, NativeSpec, Words};
use crate::error::{ErrorCode, Result};
use crate::op::{Arg, Operand, OperandKind};

#[linkme::distributed_slice(NATIVES)]
static SADD: NativeSpec = NativeSpec {
    name: "SADD",
    operands: &[Operand { name: "member", kind: OperandKind::Json }],
    summary: "Adds a member",
    works_on: "a set",
    reply: "1 if the member was added, 0 if it was there",
    errors: &[ErrorCode::WrongType],
    complexity: "O(1)",
    since: "0.5.0",
    examples: &[
        NativeExample::new("", r#"SADD '"ann"'"#, "(integer) 1"),
        NativeExample::new(r#"SADD '"ann"'"#, r#"SADD '"ann"'"#, "(integer) 0"),
        NativeExample::new("", "SADD 7", "(integer) 1"),
        NativeExample::new(r#"ZADD 1 '"ann"'"#, r#"SADD '"ann"'"#, "WRONGTYPE"),
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
    key.create(NativeKind::Set)
}
