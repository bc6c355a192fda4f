//! `HSET`: gives a field of a hash a value.

use super::text::{push_value, strict_integer};
use super::{KeyOverlay, NATIVES, NativeExample, NativeKind, NativeSpec, Words};
use crate::error::{ErrorCode, Result};
use crate::op::{Arg, Operand, OperandKind};

#[linkme::distributed_slice(NATIVES)]
static HSET: NativeSpec = NativeSpec {
    name: "HSET",
    operands: &[
        Operand { name: "field", kind: OperandKind::Json },
        Operand { name: "value", kind: OperandKind::Json },
    ],
    summary: "Gives a field a value",
    works_on: "a hash",
    reply: "1 if the field was added, 0 if it was there",
    errors: &[ErrorCode::WrongType],
    complexity: "O(1)",
    since: "0.5.0",
    examples: &[
        NativeExample::new("", r#"HSET '"name"' '"Ann"'"#, "(integer) 1"),
        NativeExample::new(r#"HSET '"n"' 1"#, r#"HSET '"n"' 2"#, "(integer) 0"),
        NativeExample::new("SADD 1", r#"HSET '"n"' 2"#, "WRONGTYPE"),
    ],
    channel: false,
    write,
    check,
};

fn write(args: &[Arg<'_>], words: &mut Words) -> Result<()> {
    push_value(args[0].json().value.view(), words);
    push_value(args[1].json().value.view(), words);
    Ok(())
}

fn check(key: &mut KeyOverlay<'_>, words: &Words) -> Result<()> {
    key.create(NativeKind::Hash)?;
    key.set_field(words.get(0), strict_integer(words.get(1)));
    Ok(())
}
