//! Functions on strings that are called often, or that the crate takes quadratic time for.

use base64::Engine;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig, general_purpose};

use super::budget::Fault;
use super::datum::Datum;
use super::eval::{Eval, Outcome};

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

/// A duration from its text: `1h30m`, `-1.5s`, `250ms`. The crate's reader goes through doubles and
/// overlooks what follows.
pub(super) fn duration<'a>(eval: &mut Eval<'a>, arguments: &[Datum<'a>]) -> Outcome<'a> {
    if let Datum::Duration(_) = arguments[0] {
        return Ok(arguments[0].clone());
    }
    let text = text(&arguments[0])?;
    eval.budget.scan(8 * text.len())?;
    let nanos = parse_duration(text).ok_or("not a duration")?;
    let nanos = i64::try_from(nanos).map_err(|_| "the duration is too long")?;
    Ok(Datum::Duration(nanos))
}

fn parse_duration(text: &str) -> Option<i128> {
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    if unsigned == "0" {
        return Some(0);
    }
    let mut rest = unsigned;
    let mut total = 0i128;
    while !rest.is_empty() {
        let number_len = rest.bytes().take_while(|b| b.is_ascii_digit() || *b == b'.').count();
        let (number, behind) = rest.split_at(number_len);
        let unit_len = behind.bytes().take_while(u8::is_ascii_alphabetic).count();
        let (unit, behind) = behind.split_at(unit_len);
        let unit: i128 = match unit {
            "h" => 3_600_000_000_000,
            "m" => 60_000_000_000,
            "s" => 1_000_000_000,
            "ms" => 1_000_000,
            "us" => 1000,
            "ns" => 1,
            _ => return None,
        };
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        if whole.len() + fraction.len() == 0 || fraction.contains('.') || whole.len() > 20 {
            return None;
        }
        let digits = |text: &str| if text.is_empty() { Some(0) } else { text.parse::<i128>().ok() };
        // Digits behind the twentieth are less than a nanosecond of any unit.
        let fraction = &fraction[..fraction.len().min(20)];
        let parts = digits(fraction)? * unit / 10i128.pow(fraction.len() as u32);
        total = total.checked_add(digits(whole)? * unit + parts)?;
        rest = behind;
    }
    let negative = text.starts_with('-');
    (!unsigned.is_empty()).then_some(if negative { -total } else { total })
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

#[cfg(test)]
mod tests {
    use super::parse_duration;

    #[test]
    fn durations_are_read_exactly_and_whole() {
        for (text, nanos) in [
            ("0", Some(0)),
            ("-0", Some(0)),
            ("1h30m", Some(5_400_000_000_000)),
            ("-1.5s", Some(-1_500_000_000)),
            ("+2ms", Some(2_000_000)),
            (".5us", Some(500)),
            ("5.us", Some(5000)),
            ("0.1ns", Some(0)),
            ("9223372036.854775807s", Some(i64::MAX.into())),
            ("0.00000000000000000000000000000001h", Some(0)),
            ("", None),
            ("-", None),
            ("s", None),
            (".s", None),
            ("1", None),
            ("1.2.3s", None),
            ("1s ", None),
            ("1 s", None),
            ("1d", None),
            ("1e3s", None),
            ("inf s", None),
            ("--1s", None),
            ("1s-1s", None),
            ("999999999999999999999h", None),
        ] {
            assert_eq!(parse_duration(text), nanos, "{text}");
        }
    }
}
