//! `HINCRBY`: adds to the integer in a field of a hash.

use super::text::{added, push_integer, push_value};
use super::{KeyOverlay, NATIVES, NativeExample, NativeKind, NativeSpec, Words};
use crate::error::{ErrorCode, Result};
use crate::op::{Arg, Operand, OperandKind};

#[linkme::distributed_slice(NATIVES)]
static HINCRBY: NativeSpec = NativeSpec {
    name: "HINCRBY",
    operands: &[
        Operand { name: "field", kind: OperandKind::Json },
        Operand { name: "n", kind: OperandKind::Integer },
    ],
    summary: "Adds to the integer in a field, which is 0 where it is missing",
    works_on: "a hash",
    reply: "the new integer",
    errors: &[ErrorCode::WrongType, ErrorCode::Type, ErrorCode::Overflow],
    complexity: "O(1)",
    since: "0.5.0",
    examples: &[
        NativeExample::new("", r#"HINCRBY '"n"' 5"#, "(integer) 5"),
        NativeExample::new(r#"HSET '"n"' 5"#, r#"HINCRBY '"n"' -7"#, "(integer) -2"),
        NativeExample::new(r#"HSET '"n"' '"x"'"#, r#"HINCRBY '"n"' 1"#, "TYPE"),
        NativeExample::new(r#"HSET '"n"' 9223372036854775807"#, r#"HINCRBY '"n"' 1"#, "OVERFLOW"),
        NativeExample::new("SADD 1", r#"HINCRBY '"n"' 1"#, "WRONGTYPE"),
    ],
    channel: false,
    write,
    check,
};

fn write(args: &[Arg<'_>], words: &mut Words) -> Result<()> {
    push_value(args[0].json().value.view(), words);
    push_integer(args[1].integer(), words);
    Ok(())
}

fn check(key: &mut KeyOverlay<'_>, words: &Words) -> Result<()> {
    key.create(NativeKind::Hash)?;
    let field = words.get(0);
    let sum = added(key.field(field)?, words.get(1))?;
    key.set_field(field, Some(sum));
    Ok(())
}
