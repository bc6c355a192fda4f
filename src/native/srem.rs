//! `SREM`: takes a member out of a set.

use super::text::push_value;
use super::{KeyOverlay, NATIVES, NativeExample, NativeKind, NativeSpec, Words};
use crate::error::{ErrorCode, Result};
use crate::op::{Arg, Operand, OperandKind};

#[linkme::distributed_slice(NATIVES)]
static SREM: NativeSpec = NativeSpec {
    name: "SREM",
    operands: &[Operand { name: "member", kind: OperandKind::Json }],
    summary: "Takes a member out",
    works_on: "a set",
    reply: "1 if the member was there, else 0",
    errors: &[ErrorCode::WrongType],
    complexity: "O(1)",
    since: "0.5.0",
    examples: &[
        NativeExample::new(r#"SADD '"ann"'"#, r#"SREM '"ann"'"#, "(integer) 1"),
        NativeExample::new("", r#"SREM '"ann"'"#, "(integer) 0"),
        NativeExample::new("SET 1", r#"SREM '"ann"'"#, "WRONGTYPE"),
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
    key.expect(NativeKind::Set)?;
    key.take_out();
    Ok(())
}
