//! `ZINCRBY`: adds to the score of a member of a sorted set.

use super::text::{push_score, push_value, score};
use super::{KeyOverlay, NATIVES, NativeExample, NativeKind, NativeSpec, Words};
use crate::error::{Error, ErrorCode, Result};
use crate::op::{Arg, Operand, OperandKind};

#[linkme::distributed_slice(NATIVES)]
static ZINCRBY: NativeSpec = NativeSpec {
    name: "ZINCRBY",
    operands: &[
        Operand { name: "n", kind: OperandKind::Number },
        Operand { name: "member", kind: OperandKind::Json },
    ],
    summary: "Adds to the score of a member, which is 0 where it is missing",
    works_on: "a sorted set",
    reply: "the new score, as text",
    errors: &[ErrorCode::WrongType, ErrorCode::Range],
    complexity: "O(log(N)) with N the size of the sorted set",
    since: "0.5.0",
    examples: &[
        NativeExample::new("", r#"ZINCRBY 5 '"ann"'"#, "5"),
        NativeExample::new(r#"ZADD 5 '"ann"'"#, r#"ZINCRBY -1.5 '"ann"'"#, "3.5"),
        NativeExample::new(r#"ZADD 1e308 '"ann"'"#, r#"ZINCRBY 1e308 '"ann"'"#, "RANGE"),
        NativeExample::new("SET 1", r#"ZINCRBY 1 '"ann"'"#, "WRONGTYPE"),
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
    let member = words.get(1);
    let sum = key.score(member)?.unwrap_or(0.0) + score(words.get(0));
    if !sum.is_finite() {
        return Err(Error::new(ErrorCode::Range, "the score would not be finite"));
    }
    key.set_score(member, Some(sum));
    Ok(())
}
