//! `INCRBY`: adds to the integer that a string is.

use super::text::{added, push_integer};
use super::{KeyOverlay, NATIVES, NativeExample, NativeKind, NativeSpec, Words};
use crate::error::{ErrorCode, Result};
use crate::op::{Arg, Operand, OperandKind};

#[linkme::distributed_slice(NATIVES)]
static INCRBY: NativeSpec = NativeSpec {
    name: "INCRBY",
    operands: &[Operand { name: "n", kind: OperandKind::Integer }],
    summary: "Adds to the integer that the string is; 0 where the key is missing",
    works_on: "a string",
    reply: "the new integer",
    errors: &[ErrorCode::WrongType, ErrorCode::Type, ErrorCode::Overflow],
    complexity: "O(1)",
    since: "0.5.0",
    examples: &[
        NativeExample::new("", "INCRBY 5", "(integer) 5"),
        NativeExample::new("SET 5", "INCRBY -7", "(integer) -2"),
        NativeExample::new(r#"SET '"x"'"#, "INCRBY 1", "TYPE"),
        NativeExample::new("SET 9223372036854775807", "INCRBY 1", "OVERFLOW"),
        NativeExample::new("SADD 1", "INCRBY 1", "WRONGTYPE"),
    ],
    channel: false,
    write,
    check,
};

fn write(args: &[Arg<'_>], words: &mut Words) -> Result<()> {
    push_integer(args[0].integer(), words);
    Ok(())
}

fn check(key: &mut KeyOverlay<'_>, words: &Words) -> Result<()> {
    key.create(NativeKind::String)?;
    let sum = added(key.integer()?, words.get(0))?;
    key.set_integer(sum);
    Ok(())
}
