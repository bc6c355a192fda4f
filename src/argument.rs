//! Readers of single arguments, for operators and commands alike.

use crate::error::{Error, ErrorCode, Result};
use crate::limit;
use crate::lock::NAME_BYTES_MAX;
use crate::value::{Number, number};

/// Reads a signed 64-bit decimal integer, as Redis reads its integer arguments.
pub fn integer(arg: &[u8]) -> Result<i64> {
    // Counts are mostly one digit.
    if let [digit @ b'0'..=b'9'] = arg {
        return Ok(i64::from(digit - b'0'));
    }
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
const WORD_BYTES_MAX: usize = 64;
/// The number of names that a word is compared with at most.
const NAMES_MAX: usize = 4096;

/// The known name that is spelled most like a word, if it differs in a third of the bytes at most. Of several, the first.
#[cold]
pub fn nearest<'n>(word: &[u8], names: impl Iterator<Item = &'n str>) -> Option<&'n str> {
    if word.len() > WORD_BYTES_MAX {
        return None;
    }
    let most = word.len() / 3;
    let distances = names
        .take(NAMES_MAX)
        .filter(|name| name.len().abs_diff(word.len()) <= most)
        .map(|name| (distance(word, name.as_bytes()), name));
    let (distance, name) = distances.min_by_key(|(distance, _)| *distance)?;
    (distance <= most).then_some(name)
}

/// The number of bytes to insert, remove or replace, whatever the case of letters.
fn distance(a: &[u8], b: &[u8]) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(!x.eq_ignore_ascii_case(y));
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
            ("ST", None),
            ("", None),
        ] {
            assert_eq!(nearest(word.as_bytes(), names.into_iter()), expected, "{word}");
        }
    }

    #[test]
    fn a_name_is_suggested_for_a_name_that_a_user_may_choose() {
        let names = ["cart:add", "reserve", "transfer", "é"];
        for (word, expected) in [
            ("transfr", Some("transfer")),
            ("TRANSFER", Some("transfer")),
            ("tranfsers", Some("transfer")),
            ("reverse", Some("reserve")),
            ("cart-add", Some("cart:add")),
            ("level-up", None),
            ("e", None),
            ("", None),
        ] {
            assert_eq!(nearest(word.as_bytes(), names.into_iter()), expected, "{word}");
        }
        assert_eq!(nearest(b"transfr\xff", names.into_iter()), Some("transfer"));
        assert_eq!(nearest(b"name", std::iter::empty()), None);
    }

    #[test]
    fn a_name_is_suggested_for_words_of_bounded_length_among_a_bounded_number_of_names() {
        let longest = "n".repeat(WORD_BYTES_MAX);
        assert_eq!(nearest(longest.as_bytes(), [&*longest].into_iter()), Some(&*longest));
        let longer = format!("{longest}n");
        assert_eq!(nearest(longer.as_bytes(), [&*longer].into_iter()), None);
        let other = |count| std::iter::repeat_n("reserve", count);
        let suggested = |count| nearest(b"transfer", other(count).chain(["transfer"]));
        assert_eq!(suggested(NAMES_MAX - 1), Some("transfer"));
        assert_eq!(suggested(NAMES_MAX), None);
    }

    #[test]
    fn distances_count_replaced_inserted_and_removed_bytes() {
        for (a, b, expected) in
            [("", "", 0), ("", "abc", 3), ("abc", "", 3), ("kitten", "sitting", 3), ("ab", "BA", 2)]
        {
            assert_eq!(distance(a.as_bytes(), b.as_bytes()), expected, "{a} {b}");
        }
    }
}
