//! Functions on strings that are called often, or that the crate takes quadratic time for.

use base64::Engine;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig, general_purpose};

use super::budget::Fault;
use super::datum::Datum;
use super::eval::{Eval, Outcome};
use crate::time::{Duration, Unreadable};

fn utf8<'d>(datum: &'d Datum<'_>) -> Result<&'d [u8], Fault> {
    datum.utf8().ok_or_else(|| wanted("string", datum))
}

fn text<'d>(datum: &'d Datum<'_>) -> Result<&'d str, Fault> {
    datum.as_str().ok_or_else(|| wanted("string", datum))
}

#[cold]
fn wanted(kind: &str, datum: &Datum<'_>) -> Fault {
    Fault::text(format!("a {kind} is wanted, not a {}", datum.type_name()))
}

pub(super) fn contains<'a>(eval: &mut Eval<'a>, arguments: &[Datum<'a>]) -> Outcome<'a> {
    let (whole, part) = (text(&arguments[0])?, text(&arguments[1])?);
    eval.budget.scan(4 * (whole.len() + part.len()))?;
    Ok(Datum::Bool(whole.contains(part)))
}

pub(super) fn starts_with<'a>(eval: &mut Eval<'a>, arguments: &[Datum<'a>]) -> Outcome<'a> {
    let (whole, part) = (utf8(&arguments[0])?, utf8(&arguments[1])?);
    eval.budget.scan(part.len())?;
    Ok(Datum::Bool(whole.starts_with(part)))
}

pub(super) fn ends_with<'a>(eval: &mut Eval<'a>, arguments: &[Datum<'a>]) -> Outcome<'a> {
    let (whole, part) = (utf8(&arguments[0])?, utf8(&arguments[1])?);
    eval.budget.scan(part.len())?;
    Ok(Datum::Bool(whole.ends_with(part)))
}

pub(super) fn matches<'a>(eval: &mut Eval<'a>, arguments: &[Datum<'a>]) -> Outcome<'a> {
    let (whole, pattern) = (utf8(&arguments[0])?, text(&arguments[1])?);
    eval.matches(whole, pattern).map(Datum::Bool)
}

/// The code points before a byte.
fn code_points(text: &str, bytes: usize) -> i64 {
    text[..bytes].chars().count() as i64
}

/// The byte at which the code point of that number begins; `None` past the end.
fn byte_of(text: &str, code_point: i64) -> Option<usize> {
    let code_point = usize::try_from(code_point).ok()?;
    let ends = std::iter::once(text.len());
    text.char_indices().map(|(at, _)| at).chain(ends).nth(code_point)
}

/// The offset a search begins at, where there is one: as cel-go has it, an offset behind the last
/// character is out of range unless nothing is searched for.
fn offset(arguments: &[Datum<'_>], whole: &str, part: &str) -> Result<Option<i64>, Fault> {
    let offset = match arguments.get(2) {
        None => return Ok(None),
        Some(Datum::Int(offset)) => *offset,
        Some(other) => return Err(wanted("int", other)),
    };
    let len = code_points(whole, whole.len());
    if offset < 0 || (offset >= len && !part.is_empty()) {
        return Err(Fault::Because("index out of range"));
    }
    Ok(Some(offset.min(len)))
}

pub(super) fn index_of<'a>(eval: &mut Eval<'a>, arguments: &[Datum<'a>]) -> Outcome<'a> {
    let (whole, part) = (text(&arguments[0])?, text(&arguments[1])?);
    eval.budget.scan(8 * (whole.len() + part.len()))?;
    let start = offset(arguments, whole, part)?.unwrap_or(0);
    let start = byte_of(whole, start).expect("the offset is inside");
    let found = whole[start..].find(part).map(|at| code_points(whole, start + at));
    Ok(Datum::Int(found.unwrap_or(-1)))
}

pub(super) fn last_index_of<'a>(eval: &mut Eval<'a>, arguments: &[Datum<'a>]) -> Outcome<'a> {
    let (whole, part) = (text(&arguments[0])?, text(&arguments[1])?);
    eval.budget.scan(8 * (whole.len() + part.len()))?;
    let end = match offset(arguments, whole, part)? {
        None => whole.len(),
        Some(offset) => {
            // What is found begins at the offset at the latest.
            let start = byte_of(whole, offset).expect("the offset is inside");
            let room = whole.len() - start;
            let last = start + room.min(part.len());
            (0..=last).rev().find(|at| whole.is_char_boundary(*at)).unwrap_or(0)
        }
    };
    let found = whole[..end].rfind(part).map(|at| code_points(whole, at));
    Ok(Datum::Int(found.unwrap_or(-1)))
}

/// A duration from its text: `1h30m`, `-1.5s`, `250ms`, or ISO 8601, `PT2H3S`.
pub(super) fn duration<'a>(eval: &mut Eval<'a>, arguments: &[Datum<'a>]) -> Outcome<'a> {
    if let Datum::Duration(_) = arguments[0] {
        return Ok(arguments[0].clone());
    }
    let text = text(&arguments[0])?;
    eval.budget.scan(8 * text.len())?;
    let duration = match Duration::read(text) {
        Ok(duration) => duration,
        Err(Unreadable::NotADuration) => return Err("not a duration".into()),
        Err(Unreadable::TooLong) => return Err("the duration is too long".into()),
    };
    let nanos = duration.nanoseconds().ok_or("months have no fixed length: write days")?;
    let nanos = i64::try_from(nanos).map_err(|_| "the duration is too long")?;
    Ok(Datum::Duration(nanos))
}

/// As lenient as cel-go: padding may be missing, bits that are left over may be anything.
const DECODER: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

pub(super) fn base64_encode<'a>(eval: &mut Eval<'a>, arguments: &[Datum<'a>]) -> Outcome<'a> {
    let bytes = arguments[0].as_bytes().ok_or_else(|| wanted("bytes", &arguments[0]))?;
    eval.budget.make(bytes.len() * 2)?;
    Ok(Datum::string(general_purpose::STANDARD.encode(bytes)))
}

pub(super) fn base64_decode<'a>(eval: &mut Eval<'a>, arguments: &[Datum<'a>]) -> Outcome<'a> {
    let text = text(&arguments[0])?;
    eval.budget.make(text.len())?;
    let bytes = DECODER.decode(text).map_err(|_| "not base64")?;
    Ok(Datum::MadeBytes(bytes.into()))
}
