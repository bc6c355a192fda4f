//! `HDEL`: takes a field out of a hash.

use super::text::push_value;
use super::{KeyOverlay, NATIVES, NativeExample, NativeKind, NativeSpec, Words};
use crate::error::{ErrorCode, Result};
use crate::op::{Arg, Operand, OperandKind};

#[linkme::distributed_slice(NATIVES)]
static HDEL: NativeSpec = NativeSpec {
    name: "HDEL",
    operands: &[Operand { name: "field", kind: OperandKind::Json }],
    summary: "Takes a field out",
    works_on: "a hash",
    reply: "1 if the field was there, else 0",
    errors: &[ErrorCode::WrongType],
    complexity: "O(1)",
    since: "0.5.0",
    examples: &[
        NativeExample::new(r#"HSET '"n"' 5"#, r#"HDEL '"n"'"#, "(integer) 1"),
        NativeExample::new("", r#"HDEL '"n"'"#, "(integer) 0"),
        NativeExample::new("SET 1", r#"HDEL '"n"'"#, "WRONGTYPE"),
    ],
    channel: false,
    write,
    check,
};

fn write(args: &[Arg<'_>], words: &mut Words) -> Result<()> {
    push_value(args[0].json().value.view(), words);
    Ok(())
}

fn check(key: &mut KeyOverlay<'_>, words: &Words) -> Result<()> {
    key.expect(NativeKind::Hash)?;
    key.set_field(words.get(0), Some(0));
    key.take_out();
    Ok(())
}
