//! Operands as the bytes that the server stores, and stored bytes as integers.

use super::Words;
use crate::error::{Error, ErrorCode, Result};
use crate::value::{Number, View, exact_double, print};

/// Appends a value: a JSON string as its text, everything else as JSON text.
pub fn push_value(view: View<'_>, words: &mut Words) {
    match view.as_text() {
        Some(text) => words.push(text.as_bytes()),
        None => words.push_with(|out| print::json(view, out)),
    }
}

/// Appends an integer.
pub fn push_integer(integer: i64, words: &mut Words) {
    words.push(itoa::Buffer::new().format(integer).as_bytes());
}

/// Appends a number as the server reads a score; `RANGE` for an integer that no double equals.
pub fn push_score(number: Number, words: &mut Words) -> Result<()> {
    if let Number::Int(integer) = number
        && exact_double(integer.into()).is_none()
    {
        let message = "a score is a double, and no double equals this integer";
        return Err(Error::new(ErrorCode::Range, message).integer("integer", integer));
    }
    number.with_text(|text| words.push(text));
    Ok(())
}

/// A score that [`push_score`] wrote.
pub fn score(word: &[u8]) -> f64 {
    Number::parse(word).expect("the operand was a number").as_f64()
}

/// An integer that [`push_integer`] wrote.
fn integer(word: &[u8]) -> i64 {
    strict_integer(word).expect("the operand was an integer")
}

/// The sum of a stored integer and one that [`push_integer`] wrote. `known` is none where what is stored is no
/// integer: `TYPE`; `OVERFLOW` where the sum does not fit.
pub fn added(known: Option<i64>, word: &[u8]) -> Result<i64> {
    let known = known.ok_or_else(|| Error::new(ErrorCode::Type, "the value is not an integer"))?;
    known
        .checked_add(integer(word))
        .ok_or_else(|| Error::new(ErrorCode::Overflow, "the sum does not fit a 64-bit integer"))
}

/// An integer as the server reads one that is stored: in the only form in which it would be printed.
pub fn strict_integer(text: &[u8]) -> Option<i64> {
    let integer = std::str::from_utf8(text).ok()?.parse::<i64>().ok()?;
    let canonical = itoa::Buffer::new().format(integer).as_bytes() == text;
    canonical.then_some(integer)
}

#[cfg(test)]
mod tests {
    use super::strict_integer;

    #[test]
    fn stored_integers_are_read_as_the_server_reads_them() {
        for (text, expected) in [
            ("0", Some(0)),
            ("-5", Some(-5)),
            ("9223372036854775807", Some(i64::MAX)),
            ("-9223372036854775808", Some(i64::MIN)),
            ("9223372036854775808", None),
            ("+1", None),
            ("01", None),
            ("-0", None),
            (" 1", None),
            ("1.0", None),
            ("", None),
        ] {
            assert_eq!(strict_integer(text.as_bytes()), expected, "{text}");
        }
    }
}
