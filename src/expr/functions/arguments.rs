//! Arguments of functions as values of one type.

use crate::expr::datum::{Datum, List};
use crate::expr::fault::Fault;

pub(super) fn list<'d, 'a>(datum: &'d Datum<'a>) -> Result<&'d List<'a>, Fault> {
    match datum {
        Datum::List(list) => Ok(list),
        other => Err(wanted("a list", other)),
    }
}

pub(super) fn int(datum: &Datum<'_>) -> Result<i64, Fault> {
    match datum {
        Datum::Int(value) => Ok(*value),
        other => Err(wanted("an int", other)),
    }
}

pub(super) fn text<'d>(datum: &'d Datum<'_>) -> Result<&'d str, Fault> {
    datum.as_str().ok_or_else(|| wanted("a string", datum))
}

/// The bytes of two strings, or two values of the type bytes.
pub(super) fn alike<'d>(
    whole: &'d Datum<'_>,
    part: &'d Datum<'_>,
) -> Result<(&'d [u8], &'d [u8]), Fault> {
    if let Some(whole) = whole.as_bytes() {
        return Ok((whole, part.as_bytes().ok_or_else(|| wanted("bytes", part))?));
    }
    let whole = whole.utf8().ok_or_else(|| wanted("a string", whole))?;
    Ok((whole, part.utf8().ok_or_else(|| wanted("a string", part))?))
}

#[cold]
pub(super) fn wanted(kind: &str, datum: &Datum<'_>) -> Fault {
    Fault::text(format!("expected {kind}, not {}", datum.described()))
}
