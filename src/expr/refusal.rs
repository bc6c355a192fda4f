//! Faults and refusals of the compiler as the errors clients see.

use std::borrow::Cow;

use super::fault::Fault;
use crate::error::{Error, ErrorCode};
use crate::limit;

/// The line and the column of a byte of the source, both from one, in characters.
fn place(source: &str, at: usize) -> String {
    let before = &source.as_bytes()[..at.min(source.len())];
    let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
    let line_start = before.iter().rposition(|byte| *byte == b'\n').map_or(0, |nl| nl + 1);
    let column = String::from_utf8_lossy(&before[line_start..]).chars().count() + 1;
    format!("line {line} column {column}")
}

/// `EXPR`, with the source and the place in it.
#[cold]
pub(super) fn refusal(source: &str, message: &str, at: usize) -> Error {
    Error::new(ErrorCode::Expr, format!("{message}, at {}", place(source, at)))
        .text("expr", source.as_bytes())
}

/// `LIMIT` with what is too deep or too long, and where.
#[cold]
pub(super) fn past_limit(
    (limit, value): (limit::Limit, u32),
    what: &str,
    source: &str,
    at: Option<usize>,
) -> Error {
    let error = Error::limit(limit, value.into()).text("what", what.as_bytes());
    let error = match at {
        Some(at) => error.text("place", place(source, at).as_bytes()),
        None => error,
    };
    error.text("expr", source.as_bytes())
}

/// A fault of an evaluation; `name` gives the names of the program.
#[cold]
pub(super) fn of_fault<'n>(
    fault: Fault,
    name: impl Fn(u32) -> &'n str,
    source: &str,
    steps: u64,
) -> Error {
    let code = if let Fault::Range(_) = fault { ErrorCode::Range } else { ErrorCode::Expr };
    let message = match fault {
        Fault::Refused(error) => return error.text("expr", source.as_bytes()),
        Fault::Exhausted => {
            return Error::new(code, "the expression takes more steps than it may")
                .text("limit", limit::EXPRESSION_STEPS.name.as_bytes())
                .integer("value", steps as i64)
                .text("expr", source.as_bytes());
        }
        Fault::NoMember(number) => format!("no such member: {}", name(number)).into(),
        Fault::Because(message) | Fault::Range(message) => Cow::Borrowed(message),
        Fault::Text(message) => String::from(message).into(),
    };
    Error::new(code, message).text("expr", source.as_bytes())
}
