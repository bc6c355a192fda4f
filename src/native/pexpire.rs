//! `PEXPIRE`: sets a time to live.

use super::text::push_integer;
use super::{KeyOverlay, NATIVES, NativeExample, NativeSpec, Words};
use crate::error::{Error, ErrorCode, Result};
use crate::op::{Arg, Operand, OperandKind};

#[linkme::distributed_slice(NATIVES)]
static PEXPIRE: NativeSpec = NativeSpec {
    name: "PEXPIRE",
    operands: &[Operand { name: "ms", kind: OperandKind::Integer }],
    summary: "Sets the time to live of the key, in milliseconds from now",
    works_on: "anything but a document or a token",
    reply: "1, or 0 if the key is missing",
    errors: &[ErrorCode::Range],
    complexity: "O(1)",
    since: "0.5.0",
    examples: &[
        NativeExample::new("SET 1", "PEXPIRE 60000", "(integer) 1"),
        NativeExample::new("", "PEXPIRE 60000", "(integer) 0"),
        NativeExample::new("SET 1", "PEXPIRE 0", "RANGE"),
    ],
    channel: false,
    write,
    check,
};

/// About a hundred and fifty million years: it leaves room for the clock.
const MS_MAX: i64 = i64::MAX / 2;

fn write(args: &[Arg<'_>], words: &mut Words) -> Result<()> {
    let ms = args[0].integer();
    if !(1..=MS_MAX).contains(&ms) {
        let message = match ms < 1 {
            true => "a time to live is at least a millisecond",
            false => "the time to live is too long",
        };
        let error = Error::new(ErrorCode::Range, message);
        return Err(error.integer("ms", ms).integer("most", MS_MAX));
    }
    push_integer(ms, words);
    Ok(())
}

fn check(_: &mut KeyOverlay<'_>, _: &Words) -> Result<()> {
    Ok(())
}
