//! `ZREM`: takes a member out of a sorted set.

use super::text::push_value;
use super::{KeyOverlay, NATIVES, NativeExample, NativeKind, NativeSpec, Words};
use crate::error::{ErrorCode, Result};
use crate::op::{Arg, Operand, OperandKind};

#[linkme::distributed_slice(NATIVES)]
static ZREM: NativeSpec = NativeSpec {
    name: "ZREM",
    operands: &[Operand { name: "member", kind: OperandKind::Json }],
    summary: "Takes a member out",
    works_on: "a sorted set",
    reply: "1 if the member was there, else 0",
    errors: &[ErrorCode::WrongType],
    complexity: "O(log(N)) with N the size of the sorted set",
    since: "0.5.0",
    examples: &[
        NativeExample::new(r#"ZADD 5 '"ann"'"#, r#"ZREM '"ann"'"#, "(integer) 1"),
        NativeExample::new("", r#"ZREM '"ann"'"#, "(integer) 0"),
        NativeExample::new(r#"RPUSH '"ann"'"#, r#"ZREM '"ann"'"#, "WRONGTYPE"),
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
    key.expect(NativeKind::SortedSet)?;
    key.set_score(words.get(0), None);
    key.take_out();
    Ok(())
}
