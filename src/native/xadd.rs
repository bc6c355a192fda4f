//! `XADD`: adds an entry to a stream, with the next id.

use super::text::{push_integer, push_value};
use super::{KeyOverlay, NATIVES, NativeExample, NativeKind, NativeSpec, Words};
use crate::error::{Error, ErrorCode, Result};
use crate::limit;
use crate::op::{Arg, Operand, OperandKind};

#[linkme::distributed_slice(NATIVES)]
static XADD: NativeSpec = NativeSpec {
    name: "XADD",
    operands: &[
        Operand { name: "maxlen", kind: OperandKind::Integer },
        Operand { name: "object", kind: OperandKind::JsonObject },
    ],
    summary: "Adds an entry whose fields are the members of the object, with an id that the server makes, and removes the oldest entries beyond about maxlen, as MAXLEN ~ does",
    works_on: "a stream",
    reply: "the id of the entry",
    errors: &[ErrorCode::Range, ErrorCode::Type, ErrorCode::WrongType],
    complexity: "O(1), and O(N) with N the number of entries removed",
    since: "0.5.0",
    examples: &[
        NativeExample::new("SADD 1", r#"XADD 1000 '{"kind":"win"}'"#, "WRONGTYPE"),
        NativeExample::new("", "XADD 1000 {}", "TYPE"),
        NativeExample::new("", r#"XADD 0 '{"kind":"win"}'"#, "RANGE"),
    ],
    channel: false,
    write,
    check,
};

fn write(args: &[Arg<'_>], words: &mut Words) -> Result<()> {
    let most = args[0].integer();
    if most < 1 {
        return Err(Error::new(ErrorCode::Range, "maxlen is at least 1").integer("maxlen", most));
    }
    words.push(b"MAXLEN");
    words.push(b"~");
    push_integer(most, words);
    words.push(b"*");
    let object = args[1].object();
    if object.is_empty() {
        return Err(Error::new(ErrorCode::Type, "an entry has at least one member"));
    }
    for (name, value) in object.iter() {
        words.push(name.as_bytes());
        push_value(value, words);
    }
    check_size(words.bytes())
}

/// `LIMIT` for an entry that the server would refuse, which does not count the words in front of the fields.
fn check_size(bytes: usize) -> Result<()> {
    let most = limit::STREAM_ENTRY_BYTES.default;
    match bytes as u64 > most {
        true => Err(Error::limit(limit::STREAM_ENTRY_BYTES, most)),
        false => Ok(()),
    }
}

fn check(key: &mut KeyOverlay<'_>, _: &Words) -> Result<()> {
    key.create(NativeKind::Stream)?;
    key.take_id()
}

#[cfg(test)]
mod tests {
    use super::check_size;
    use crate::error::ErrorCode;

    #[test]
    fn an_entry_is_as_large_as_the_server_takes_one_and_no_larger() {
        check_size(1 << 30).expect("the largest entry is accepted");
        let error = check_size((1 << 30) + 1).expect_err("a larger one is refused");
        assert_eq!(error.code(), ErrorCode::Limit);
        assert!(error.line().contains("\"stream-entry-bytes\""), "{error}");
    }
}
