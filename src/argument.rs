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

/// Reads a fence.
pub fn fence(arg: &[u8]) -> Result<u64> {
    u64::try_from(integer(arg)?)
        .map_err(|_| Error::syntax("a fence is not negative").text("argument", arg))
}
