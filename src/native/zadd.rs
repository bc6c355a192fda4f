//! `ZADD`: gives a member of a sorted set a score.

use super::text::{push_score, push_value, score};
use super::{KeyOverlay, NATIVES, NativeExample, NativeKind, NativeSpec, Words};
use crate::error::{ErrorCode, Result};
use crate::op::{Arg, Operand, OperandKind};

#[linkme::distributed_slice(NATIVES)]
static ZADD: NativeSpec = NativeSpec {
    name: "ZADD",
    operands: &[
        Operand { name: "score", kind: OperandKind::Number },
        Operand { name: "member", kind: OperandKind::Json },
    ],
    summary: "Gives a member a score, and adds it where it is missing",
    works_on: "a sorted set",
    reply: "1 if the member was added, 0 if its score was changed or is the same",
    errors: &[ErrorCode::Range, ErrorCode::WrongType],
    complexity: "O(log(N)) with N the size of the sorted set",
    since: "0.5.0",
    examples: &[
        NativeExample::new("", r#"ZADD 5 '"ann"'"#, "(integer) 1"),
        NativeExample::new(r#"ZADD 5 '"ann"'"#, r#"ZADD 7.5 '"ann"'"#, "(integer) 0"),
        NativeExample::new(r#"SADD '"ann"'"#, r#"ZADD 5 '"ann"'"#, "WRONGTYPE"),
        NativeExample::new("", r#"ZADD 9007199254740993 '"ann"'"#, "RANGE"),
    ],
    channel: false,
    write,
    check,
};

fn write(args: &[Arg<'_>], words: &mut Words) -> Result<()> {
    push_score(args[0].number(), words)?;
    push_value(args[1].json().value.view(), words);
    Ok(())
}

fn check(key: &mut KeyOverlay<'_>, words: &Words) -> Result<()> {
    key.create(NativeKind::SortedSet)?;
    key.set_score(words.get(1), Some(score(words.get(0))));
    Ok(())
}
