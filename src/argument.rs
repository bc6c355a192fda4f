//! Readers of single arguments, for operators and commands alike.

use crate::error::{Error, ErrorCode, Result};
use crate::limit;
use crate::lock::NAME_BYTES_MAX;
use crate::value::{Number, number};

/// Reads a signed 64-bit decimal integer, as Redis reads its integer arguments.
pub fn integer(arg: &[u8]) -> Result<i64> {
    match Number::parse(arg) {
        Ok(Number::Int(value)) => Ok(value),
        // A double as ECMAScript prints it: of the form of an integer all the same.
        Ok(Number::Float(_)) if !arg.iter().any(|byte| b".eE".contains(byte)) => {
            Err(number::out_of_int64(arg))
        }
        Err(error) if error.code() == ErrorCode::Range => Err(error),
        _ => Err(Error::syntax("not an integer").text("argument", arg)),
    }
}

/// Reads the name of a lock or of its owner; an error calls it `what`.
pub fn lock_name<'a>(arg: &'a [u8], what: &str) -> Result<&'a str> {
    if arg.len() > NAME_BYTES_MAX {
        return Err(
            Error::limit(limit::LOCK_NAME_BYTES, NAME_BYTES_MAX as u64).text("argument", arg)
        );
    }
    std::str::from_utf8(arg).ok().filter(|name| !name.is_empty()).ok_or_else(|| {
        Error::syntax(format!("{what} has to be UTF-8 and not empty")).text("argument", arg)
    })
}

/// The longest word that a name is suggested for.
const WORD_BYTES_MAX: usize = 32;

/// The known name that is spelled most like a word, if it differs in a third of the letters at most.
#[cold]
pub fn nearest<'n>(word: &str, names: impl Iterator<Item = &'n str>) -> Option<&'n str> {
    if word.len() > WORD_BYTES_MAX {
        return None;
    }
    let distances = names.map(|name| (distance(word, name), name));
    let (distance, name) = distances.min_by_key(|(distance, _)| *distance)?;
    (distance <= word.len() / 3).then_some(name)
}

/// The number of letters to insert, remove or replace, whatever their case.
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.bytes().enumerate() {
            let replaced = diagonal + usize::from(!x.eq_ignore_ascii_case(&y));
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

/// Reads a fence.
pub fn fence(arg: &[u8]) -> Result<u64> {
    u64::try_from(integer(arg)?)
        .map_err(|_| Error::syntax("a fence is not negative").text("argument", arg))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_suggested_for_a_word_that_is_nearly_it() {
        let names = ["INCR", "SET", "SETNX", "APPEND", "PULL", "TIMEADD"];
        for (word, expected) in [
            ("INCRR", Some("INCR")),
            ("incrby", Some("INCR")),
            ("APEND", Some("APPEND")),
            ("SETT", Some("SET")),
            ("TIME_ADD", Some("TIMEADD")),
            ("PUSH", None),
            ("X", None),
            ("", None),
        ] {
            assert_eq!(nearest(word, names.into_iter()), expected, "{word}");
        }
        assert_eq!(nearest(&"INCR".repeat(100), names.into_iter()), None);
    }
}
