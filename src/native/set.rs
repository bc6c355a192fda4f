//! `SET`: stores a string at a key.

use super::text::push_value;
use super::{KeyOverlay, NATIVES, NativeExample, NativeSpec, Words};
use crate::error::Result;
use crate::op::{Arg, Operand, OperandKind};

#[linkme::distributed_slice(NATIVES)]
static SET: NativeSpec = NativeSpec {
    name: "SET",
    operands: &[Operand { name: "value", kind: OperandKind::Json }],
    summary: "Stores a string in place of whatever the key holds, and ends its time to live",
    works_on: "anything but a document or a token",
    reply: "OK",
    errors: &[],
    complexity: "O(1)",
    since: "0.5.0",
    examples: &[
        NativeExample::new("", r#"SET '"x"'"#, "OK"),
        NativeExample::new("SADD 1", r#"SET '{"a":1}'"#, "OK"),
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
    key.put_text(words.get(0));
    Ok(())
}
