//! Exact integers and finite doubles, and the arithmetic between them.

use std::cmp::Ordering;

use crate::error::{Error, ErrorCode, Result};

/// A JSON number: an exact 64-bit integer or a finite double.
#[derive(Clone, Copy, Debug)]
pub enum Number {
    Int(i64),
    /// Always finite.
    Float(f64),
}

impl Number {
    /// A double as a number; `RANGE` when it is not finite.
    pub fn from_f64(value: f64) -> Result<Number> {
        if !value.is_finite() {
            return Err(Error::new(ErrorCode::Range, "the result is not a finite number"));
        }
        Ok(Number::Float(value))
    }

    /// The nearest double, for what rounds anyway. Arithmetic asks `exact_double` instead.
    pub fn as_f64(self) -> f64 {
        match self {
            Number::Int(value) => value as f64,
            Number::Float(value) => value,
        }
    }

    /// Both as doubles, for arithmetic that is done in doubles; `RANGE` where that would round one.
    fn doubles(self, other: Number) -> Result<(f64, f64)> {
        match (self.exact_f64(), other.exact_f64()) {
            (Some(a), Some(b)) => Ok((a, b)),
            _ => Err(Error::new(ErrorCode::Range, NO_SUCH_DOUBLE)),
        }
    }

    fn exact_f64(self) -> Option<f64> {
        match self {
            Number::Int(value) => exact_double(value.into()),
            Number::Float(value) => Some(value),
        }
    }

    /// Exact for two integers, with `OVERFLOW`; otherwise the sum of the doubles.
    pub fn plus(self, other: Number) -> Result<Number> {
        match (self, other) {
            (Number::Int(a), Number::Int(b)) => {
                a.checked_add(b).map(Number::Int).ok_or_else(overflow)
            }
            _ => self.doubles(other).and_then(|(a, b)| Number::from_f64(a + b)),
        }
    }

    /// Exact for two integers, with `OVERFLOW`; otherwise the product of the doubles.
    pub fn times(self, other: Number) -> Result<Number> {
        match (self, other) {
            (Number::Int(a), Number::Int(b)) => {
                a.checked_mul(b).map(Number::Int).ok_or_else(overflow)
            }
            _ => self.doubles(other).and_then(|(a, b)| Number::from_f64(a * b)),
        }
    }

    /// True division, as Python's `/`: always a double, for two integers the one nearest to the
    /// exact quotient. `RANGE` on division by zero.
    pub fn divide(self, other: Number) -> Result<Number> {
        other.check_divisor()?;
        match (self, other) {
            (Number::Int(a), Number::Int(b)) => Ok(Number::Float(divide_ints(a, b))),
            _ => self.doubles(other).and_then(|(a, b)| Number::from_f64(a / b)),
        }
    }

    /// Floored division, as Python's `//`: exact for two integers, with `OVERFLOW`; otherwise a
    /// whole double. `RANGE` on division by zero.
    pub fn floor_divide(self, other: Number) -> Result<Number> {
        other.check_divisor()?;
        match (self, other) {
            (Number::Int(a), Number::Int(b)) => {
                let truncated = a.checked_div(b).ok_or_else(overflow)?;
                let rounded_up = a % b != 0 && (a < 0) != (b < 0);
                Ok(Number::Int(truncated - i64::from(rounded_up)))
            }
            _ => {
                let (a, b) = self.doubles(other)?;
                Number::from_f64(floor_divide_doubles(a, b))
            }
        }
    }

    /// The remainder of floored division, as Python's `%`: it has the divisor's sign. `RANGE` on division
    /// by zero.
    pub fn modulo(self, other: Number) -> Result<Number> {
        other.check_divisor()?;
        match (self, other) {
            (Number::Int(a), Number::Int(b)) => {
                // The one remainder that would not fit, of the smallest integer and -1, wraps to its
                // true value 0.
                let rest = a.wrapping_rem(b);
                Ok(Number::Int(if rest != 0 && (rest < 0) != (b < 0) { rest + b } else { rest }))
            }
            _ => self.doubles(other).and_then(|(a, b)| Number::from_f64(modulo_doubles(a, b))),
        }
    }

    /// Power, as Python's `**`: exact for integers with a non-negative exponent, with `OVERFLOW`;
    /// otherwise a double. `RANGE` on zero to a negative power, on a negative number to a fractional
    /// one, whose power is complex, and where the result is not finite.
    pub fn power(self, other: Number) -> Result<Number> {
        if let (Number::Int(base), Number::Int(exponent @ 0..)) = (self, other) {
            return power_of_int(base, exponent).map(Number::Int).ok_or_else(overflow);
        }
        let (base, exponent) = self.doubles(other)?;
        if base == 0.0 && exponent < 0.0 {
            return Err(Error::new(ErrorCode::Range, "zero to a negative power"));
        }
        if base < 0.0 && exponent.fract() != 0.0 {
            let message = "a negative number to a fractional power is complex";
            return Err(Error::new(ErrorCode::Range, message));
        }
        Number::from_f64(base.powf(exponent))
    }

    fn check_divisor(self) -> Result<()> {
        if self.as_f64() == 0.0 {
            return Err(Error::new(ErrorCode::Range, "division by zero"));
        }
        Ok(())
    }

    /// Parses one JSON number literal (RFC 8259 section 6), nothing around it.
    pub fn parse(text: &[u8]) -> Result<Number> {
        match scan(text) {
            Some((number, len)) if len == text.len() => number,
            _ => Err(Error::syntax("not a JSON number").text("argument", text)),
        }
    }

    /// Appends the number's JSON text: integers exactly, doubles as the shortest text that reads
    /// back as the same double, with a point or an exponent so that they stay doubles.
    pub fn print(self, out: &mut Vec<u8>) {
        self.with_text(|text| out.extend_from_slice(text))
    }

    /// The JSON text without an allocation, for as long as `use_text` runs.
    #[inline]
    pub fn with_text<T>(self, use_text: impl FnOnce(&[u8]) -> T) -> T {
        match self {
            Number::Int(value) => use_text(itoa::Buffer::new().format(value).as_bytes()),
            Number::Float(value) => with_float_text(value, use_text),
        }
    }

    /// Exact comparison: an integer is never rounded to be compared with a double.
    pub fn compare(self, other: Number) -> Ordering {
        match (self, other) {
            (Number::Int(a), Number::Int(b)) => a.cmp(&b),
            (Number::Float(a), Number::Float(b)) => a.partial_cmp(&b).expect("both are finite"),
            (Number::Int(a), Number::Float(b)) => compare_int_float(a, b),
            (Number::Float(a), Number::Int(b)) => compare_int_float(b, a).reverse(),
        }
    }
}

/// Says why arithmetic with `exact_double` is refused.
pub const NO_SUCH_DOUBLE: &str = "no double equals this integer, so arithmetic with a double would round it: use two integers or two doubles";

/// The double that equals an integer, if there is one: every integer up to 2^53, and larger ones with
/// enough zeros at their end. The one place that decides which integers arithmetic may mix with
/// doubles. Any other integer would be rounded before the first operation, and a balance of
/// 9007199254740993 be one less without a word.
#[inline]
pub fn exact_double(integer: i128) -> Option<f64> {
    const ALL_EXACT: u128 = 1 << f64::MANTISSA_DIGITS;
    if integer.unsigned_abs() <= ALL_EXACT {
        return Some(integer as i64 as f64);
    }
    let double = integer as f64;
    (double as i128 == integer).then_some(double)
}

impl PartialEq for Number {
    fn eq(&self, other: &Number) -> bool {
        self.compare(*other) == Ordering::Equal
    }
}

/// Most doubles in documents are prices and the like: a few digits, few of them behind the point.
/// Those need no search for the shortest text.
fn with_float_text<T>(value: f64, use_text: impl FnOnce(&[u8]) -> T) -> T {
    let Some((units, decimals)) = as_short_decimal(value.abs()) else {
        return use_text(ryu::Buffer::new().format_finite(value).as_bytes());
    };
    let mut text = [0; 20];
    let (mut rest, mut at) = (units, text.len());
    let mut put = |byte| {
        at -= 1;
        text[at] = byte;
    };
    for _ in 0..decimals {
        put(b'0' + (rest % 10) as u8);
        rest /= 10;
    }
    put(b'.');
    // One zero at least stands before the point.
    loop {
        put(b'0' + (rest % 10) as u8);
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    if value < 0.0 {
        put(b'-');
    }
    use_text(&text[at..])
}

/// `value` as a whole number of tenths, hundredths and so on, with the number of decimals, when it
/// has at most fifteen digits. No two decimals of so few digits are the same double, so this one is
/// the shortest text of the double it divides to.
#[inline]
fn as_short_decimal(value: f64) -> Option<(u64, usize)> {
    const UNITS_MAX: f64 = 1e15;
    // Zero has a sign to keep; smaller values are printed with an exponent.
    if value < 1e-3 {
        return None;
    }
    // The most decimals that prices have come first: fewer of them end in a zero there.
    let hundredths = (value * 100.0 + 0.5) as u64;
    if value < 1e12 && hundredths as f64 / 100.0 == value {
        return match hundredths % 10 {
            0 => Some((hundredths / 10, 1)),
            _ => Some((hundredths, 2)),
        };
    }
    for (scale, decimals) in [(10.0, 1), (100.0, 2), (1000.0, 3)] {
        let scaled = value * scale + 0.5;
        if scaled >= UNITS_MAX {
            return None;
        }
        let units = scaled as u64;
        // Both are exact and a division is rounded correctly, as reading the text is.
        if units as f64 / scale == value {
            return Some((units, decimals));
        }
    }
    None
}

/// `value` as a number of hundredths, when its text is at most three digits, a point and two decimals: prices and rates.
#[inline]
pub(super) fn as_hundredths(value: f64) -> Option<u32> {
    if !(1e-3..1e3).contains(&value) {
        return None;
    }
    let hundredths = (value * 100.0 + 0.5) as u32;
    // As in `as_short_decimal`.
    (f64::from(hundredths) / 100.0 == value
        && !hundredths.is_multiple_of(10)
        && hundredths < 100_000)
        .then_some(hundredths)
}

fn overflow() -> Error {
    Error::new(ErrorCode::Overflow, "the result does not fit a signed 64-bit integer")
}

/// The double nearest to the quotient; `b` is not zero.
fn divide_ints(a: i64, b: i64) -> f64 {
    // Integers up to here are doubles exactly, and dividing doubles rounds once.
    const EXACT: u64 = 1 << f64::MANTISSA_DIGITS;
    let (dividend, divisor) = (a.unsigned_abs(), b.unsigned_abs());
    if dividend <= EXACT && divisor <= EXACT {
        return a as f64 / b as f64;
    }
    if dividend == 0 {
        return if b < 0 { -0.0 } else { 0.0 };
    }
    // With the dividend's first bit moved to bit 127 the quotient has 64 bits or more, of which a
    // double keeps 53: whether anything is left can be noted in the last bit.
    let shift = u128::from(dividend).leading_zeros();
    let dividend = u128::from(dividend) << shift;
    let divisor = u128::from(divisor);
    let quotient = (dividend / divisor) | u128::from(dividend % divisor != 0);
    // Dividing by a power of two is exact: the result is far from the smallest doubles.
    let magnitude = quotient as f64 / (1u128 << shift) as f64;
    if (a < 0) != (b < 0) { -magnitude } else { magnitude }
}

/// `b` is not zero. The quotient is that of the dividend less its remainder, which is a whole number
/// but for rounding, then brought to the nearest whole number, as CPython does it.
fn floor_divide_doubles(a: f64, b: f64) -> f64 {
    let rest = a % b;
    let mut quotient = (a - rest) / b;
    if rest != 0.0 && (b < 0.0) != (rest < 0.0) {
        quotient -= 1.0;
    }
    if quotient == 0.0 {
        return 0f64.copysign(a / b);
    }
    let floor = quotient.floor();
    if quotient - floor > 0.5 { floor + 1.0 } else { floor }
}

/// `b` is not zero. A zero has its sign too.
fn modulo_doubles(a: f64, b: f64) -> f64 {
    let rest = a % b;
    if rest == 0.0 {
        0f64.copysign(b)
    } else if (b < 0.0) != (rest < 0.0) {
        rest + b
    } else {
        rest
    }
}

/// `exponent` is not negative. `None` where the power does not fit.
fn power_of_int(base: i64, exponent: i64) -> Option<i64> {
    match base {
        0 | 1 => Some(if exponent == 0 { 1 } else { base }),
        -1 => Some(if exponent % 2 == 0 { 1 } else { -1 }),
        _ => base.checked_pow(u32::try_from(exponent).ok()?),
    }
}

const TWO_POW_63: f64 = 9_223_372_036_854_775_808.0;

fn compare_int_float(a: i64, b: f64) -> Ordering {
    if b >= TWO_POW_63 {
        return Ordering::Less;
    }
    if b < -TWO_POW_63 {
        return Ordering::Greater;
    }
    // `b` truncated now fits an i64 exactly; only its fraction is left to compare.
    let whole = b.trunc();
    a.cmp(&(whole as i64)).then_with(|| {
        if b > whole {
            Ordering::Less
        } else if b < whole {
            Ordering::Greater
        } else {
            Ordering::Equal
        }
    })
}

/// Reads the number literal at the start of `text`: `None` when there is none, otherwise the number
/// (or why it cannot be held) and the literal's length.
#[inline]
pub(super) fn scan(text: &[u8]) -> Option<(Result<Number>, usize)> {
    match scan_short(text) {
        Some((number, len)) => Some((Ok(number), len)),
        None => scan_any(text),
    }
}

/// The number at the start of `text` if it has few digits, no exponent, and other text behind it: most numbers in
/// documents are such. None of any other literal, and of what is none.
#[inline]
fn scan_short(text: &[u8]) -> Option<(Number, usize)> {
    const BYTES: usize = SHORT_DIGITS_MAX + 1;
    let block = text.first_chunk::<BYTES>()?;
    let negative = block[0] == b'-';
    let start = usize::from(negative);
    let (mut at, mut magnitude, mut point) = (start, 0_u64, 0);
    while at < BYTES {
        let digit = block[at].wrapping_sub(b'0');
        if digit <= 9 {
            magnitude = magnitude * 10 + u64::from(digit);
        } else if block[at] == b'.' && point == 0 && at > start {
            point = at;
        } else {
            break;
        }
        at += 1;
    }
    let whole_end = if point == 0 { at } else { point };
    let behind = block.get(at)?;
    let is_other = matches!(behind, b'.' | b'e' | b'E')
        || whole_end == start
        || (block[start] == b'0' && whole_end > start + 1)
        || point + 1 == at;
    if is_other {
        return None;
    }
    if point == 0 {
        let value = magnitude as i64;
        return Some((Number::Int(if negative { -value } else { value }), at));
    }
    // Both are exact, and a division is rounded correctly, as reading the text has to be.
    let value = magnitude as f64 / POWERS_OF_TEN[at - point - 1];
    Some((Number::Float(if negative { -value } else { value }), at))
}

fn scan_any(text: &[u8]) -> Option<(Result<Number>, usize)> {
    let negative = text.first() == Some(&b'-');
    let digits_start = usize::from(negative);
    let mut at = digits_start;
    let mut magnitude: u64 = 0;
    while let Some(digit) = text.get(at).map(|b| b.wrapping_sub(b'0')).filter(|d| *d <= 9) {
        // Eighteen digits cannot overflow; longer literals take the exact path below.
        magnitude = magnitude.wrapping_mul(10).wrapping_add(digit.into());
        at += 1;
    }
    let digits = at - digits_start;
    if digits == 0 || (digits > 1 && text[digits_start] == b'0') {
        return None;
    }
    match text.get(at) {
        Some(b'.' | b'e' | b'E') => scan_float(text, at, magnitude),
        _ if digits <= 18 => {
            let value = magnitude as i64;
            Some((Ok(Number::Int(if negative { -value } else { value })), at))
        }
        _ => Some((parse_int(&text[..at]), at)),
    }
}

/// The longest integers ECMAScript prints without an exponent: doubles below 1e21.
const ECMASCRIPT_DIGITS_MAX: usize = 21;

/// The double whose text in ECMAScript (`Number::toString`) this literal is, digit for digit: the digits of the shortest
/// text that reads back as the same double, and zeros up to the point.
#[cold]
fn printed_by_ecmascript(literal: &str) -> Option<f64> {
    let digits = literal.strip_prefix('-').unwrap_or(literal);
    if digits.len() > ECMASCRIPT_DIGITS_MAX {
        return None;
    }
    let value: f64 = literal.parse().ok()?;
    let mut buffer = ryu::Buffer::new();
    let (mantissa, _) = buffer.format_finite(value.abs()).split_once('e')?;
    let (first, rest) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let zeros = digits.strip_prefix(first)?.strip_prefix(rest)?;
    zeros.bytes().all(|byte| byte == b'0').then_some(value)
}

/// Integers of so many digits are doubles exactly.
const SHORT_DIGITS_MAX: usize = 15;
const POWERS_OF_TEN: [f64; SHORT_DIGITS_MAX + 1] =
    [1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15];

fn parse_int(literal: &[u8]) -> Result<Number> {
    let text = std::str::from_utf8(literal).expect("a literal is ASCII");
    if let Ok(value) = text.parse() {
        return Ok(Number::Int(value));
    }
    printed_by_ecmascript(text).map(Number::Float).ok_or_else(|| out_of_int64(literal))
}

/// The refusal of an integer that is none of 64 bits.
#[cold]
pub fn out_of_int64(literal: &[u8]) -> Error {
    Error::new(ErrorCode::Range, "an integer outside the signed 64-bit range")
        .text("argument", literal)
}

/// `at` is where the integer part ended, `magnitude` its value.
fn scan_float(text: &[u8], mut at: usize, mut magnitude: u64) -> Option<(Result<Number>, usize)> {
    let negative = text.first() == Some(&b'-');
    let whole_digits = at - usize::from(negative);
    let skip_digits = |mut at: usize| {
        let start = at;
        while text.get(at).is_some_and(u8::is_ascii_digit) {
            at += 1;
        }
        (at > start).then_some(at)
    };
    if text.get(at) == Some(&b'.') {
        let start = at + 1;
        at = skip_digits(start)?;
        let decimals = at - start;
        let exponent = matches!(text.get(at), Some(b'e' | b'E'));
        if !exponent && whole_digits + decimals <= SHORT_DIGITS_MAX {
            for digit in &text[start..at] {
                magnitude = magnitude * 10 + u64::from(digit - b'0');
            }
            // Both are exact, and a division is rounded correctly, as reading the text has to be.
            let value = magnitude as f64 / POWERS_OF_TEN[decimals];
            return Some((Ok(Number::Float(if negative { -value } else { value })), at));
        }
    }
    if matches!(text.get(at), Some(b'e' | b'E')) {
        at += 1;
        if matches!(text.get(at), Some(b'+' | b'-')) {
            at += 1;
        }
        at = skip_digits(at)?;
    }
    let literal = &text[..at];
    let value: f64 = std::str::from_utf8(literal).expect("a literal is ASCII").parse().ok()?;
    let number = if value.is_finite() {
        Ok(Number::Float(value))
    } else {
        Err(Error::new(ErrorCode::Range, "a number outside the range of a double")
            .text("argument", literal))
    };
    Some((number, at))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(number: Number) -> String {
        let mut out = Vec::new();
        number.print(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn literals_survive() {
        for literal in [
            "0",
            "-1",
            "9007199254740993",
            "9223372036854775807",
            "-9223372036854775808",
            "1.0",
            "-0.0",
            "0.1",
            "1e300",
            "5e-324",
            "1.7976931348623157e308",
            "123456789012345678",
            "-999999999999999999",
        ] {
            assert_eq!(text(Number::parse(literal.as_bytes()).unwrap()), literal);
        }
    }

    #[test]
    fn short_decimals_are_printed_as_the_shortest_text() {
        let check = |value: f64| {
            let expected = ryu::Buffer::new().format_finite(value).to_string();
            assert_eq!(text(Number::Float(value)), expected);
        };
        for units in (0..200_000_u64).chain(999_999_999_999_000..1_000_000_000_001_000) {
            for scale in [1.0, 10.0, 100.0, 1000.0, 10_000.0] {
                let value = units as f64 / scale;
                check(value);
                check(-value);
                check(value.next_up());
                check(value.next_down());
            }
        }
        for exponent in 0..63 {
            let value = (1u64 << exponent) as f64;
            for value in [value, value.next_up(), value.next_down(), 1.0 / value] {
                check(value);
                check(-value);
            }
        }
    }

    #[test]
    fn a_short_literal_is_read_as_any_literal() {
        let pieces = ["", "-", "0", "1", "00", "9", "12", ".", "5", "e", "E+", "+", ",", "}", " "];
        for behind in ["", ",", "}               ", "0", ".", "e", "123456789012345", "99999999"] {
            for a in pieces {
                for b in pieces {
                    for c in pieces {
                        let literal = format!("{a}{b}{c}{behind}");
                        let read = |found: Option<(Result<Number>, usize)>| {
                            found.map(|(number, len)| (number.map(text).ok(), len))
                        };
                        let text = literal.as_bytes();
                        assert_eq!(read(scan(text)), read(scan_any(text)), "{literal}");
                    }
                }
            }
        }
    }

    #[test]
    fn short_decimals_are_read_as_the_nearest_double() {
        let check = |literal: &str| {
            let Ok(Number::Float(value)) = Number::parse(literal.as_bytes()) else {
                panic!("{literal} is a double")
            };
            assert_eq!(value.to_bits(), literal.parse::<f64>().unwrap().to_bits(), "{literal}");
        };
        let mut seed = 1_u64;
        for nth in 0..200_000 {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(nth);
            let digits = format!("{:016}", (seed >> 11) % 10_000_000_000_000_000);
            for point in [1, 4, 8, 13, 15] {
                for len in [14, 15, 16] {
                    let (whole, decimals) = digits[..len.max(point + 1)].split_at(point);
                    let whole = whole.trim_start_matches('0');
                    let whole = if whole.is_empty() { "0" } else { whole };
                    check(&format!("{whole}.{decimals}"));
                    check(&format!("-{whole}.{decimals}"));
                }
            }
        }
        for literal in ["0.0", "-0.0", "0.00000000000001", "0.000000000000001", "9007199254740.993"]
        {
            check(literal);
        }
    }

    #[test]
    fn what_cannot_be_held_is_a_range_error() {
        for literal in [
            "9223372036854775808",
            "-9223372036854775809",
            "1e309",
            "-1e999",
            "18446744073709551616",
            "100000000000000000001",
            "1000000000000000000000",
            "-1000000000000000000000",
        ] {
            assert_eq!(
                Number::parse(literal.as_bytes()).unwrap_err().code(),
                ErrorCode::Range,
                "{literal}"
            );
        }
    }

    #[test]
    fn an_integer_as_ecmascript_prints_a_double_is_that_double() {
        for (literal, value) in [
            ("9223372036854776000", 9_223_372_036_854_775_808.0),
            ("-9223372036854778000", -9_223_372_036_854_777_856.0),
            ("18446744073709552000", 18_446_744_073_709_551_616.0),
            ("100000000000000000000", 1e20),
            ("-123456789012345680000", -123_456_789_012_345_683_968.0),
            ("999999999999999900000", 999_999_999_999_999_868_928.0),
        ] {
            match Number::parse(literal.as_bytes()) {
                Ok(Number::Float(found)) => assert_eq!(found, value, "{literal}"),
                other => panic!("{literal}: {other:?}"),
            }
        }
        // Another text of the same double is none.
        for literal in ["9223372036854776001", "9223372036854775999", "18446744073709551616"] {
            assert!(Number::parse(literal.as_bytes()).is_err(), "{literal}");
        }
    }

    /// `Number::toString` of ECMAScript for a double of an integer: its shortest digits, then zeros.
    fn ecmascript(value: f64) -> String {
        let text = format!("{value:e}");
        let (mantissa, exponent) = text.split_once('e').unwrap();
        let digits = mantissa.replace('.', "");
        let zeros = exponent.parse::<usize>().unwrap() + 1 - digits.trim_start_matches('-').len();
        digits + &"0".repeat(zeros)
    }

    proptest::proptest! {
        #[test]
        fn every_double_beyond_int64_is_read_from_its_ecmascript_text(
            mantissa in 1u64 << 52..1 << 53, shift in 11u32..17, negative: bool, other in 0u64..2000,
        ) {
            let magnitude = (mantissa as f64) * 2f64.powi(shift as i32);
            let value = if negative { -magnitude } else { magnitude };
            proptest::prop_assume!(magnitude < 1e21);
            let text = ecmascript(value);
            let read = |text: &str| Number::parse(text.as_bytes());
            proptest::prop_assert!(matches!(read(&text), Ok(Number::Float(found)) if found == value), "{}", text);
            // An integer nearby is read only if it is the text of a double itself.
            let near = (value as i128 + i128::from(other) - 1000).to_string();
            let is_text = ecmascript(near.parse().unwrap()) == near;
            let is_int = near.parse::<i64>().is_ok();
            proptest::prop_assert_eq!(read(&near).is_ok(), is_text || is_int, "{}", near);
        }
    }

    #[test]
    fn what_is_no_number_is_a_syntax_error() {
        for literal in [
            "", "-", "+1", "01", "-01", "1.", ".5", "1e", "1e+", "0x1", "1 ", " 1", "NaN",
            "Infinity", "1\0",
        ] {
            assert_eq!(
                Number::parse(literal.as_bytes()).unwrap_err().code(),
                ErrorCode::Err,
                "{literal:?}"
            );
        }
    }

    #[test]
    fn comparison_does_not_round() {
        let int = Number::Int;
        let float = Number::Float;
        assert_eq!(int(1), float(1.0));
        assert_eq!(int(0), float(-0.0));
        assert_ne!(int((1 << 53) + 1), float((1u64 << 53) as f64));
        assert_eq!(int(i64::MAX).compare(float(TWO_POW_63)), Ordering::Less);
        assert_eq!(int(i64::MIN).compare(float(-TWO_POW_63)), Ordering::Equal);
        assert_eq!(int(-1).compare(float(-1.5)), Ordering::Greater);
        assert_eq!(int(1).compare(float(1.5)), Ordering::Less);
        assert_eq!(float(1e300).compare(int(5)), Ordering::Greater);
    }

    #[test]
    fn an_integer_that_no_double_equals_takes_no_part_in_arithmetic_with_doubles() {
        let rounded = [(1 << 53) + 1, -(1 << 53) - 1, (1 << 54) + 2 + 1, i64::MAX, i64::MIN + 1];
        let exact = [0, 1 << 53, -(1 << 53), (1 << 53) + 2, (1 << 54) + 4, 3 << 61, i64::MIN];
        let operations: [fn(Number, Number) -> Result<Number>; 6] = [
            Number::plus,
            Number::times,
            Number::divide,
            Number::floor_divide,
            Number::modulo,
            Number::power,
        ];
        let refused = |result: Result<Number>| {
            result.is_err_and(|error| error.to_string().contains(NO_SUCH_DOUBLE))
        };
        for (nth, operation) in operations.iter().enumerate() {
            for double in [0.5, -3.0, 1e300, (1u64 << 53) as f64, 5e-324] {
                for int in rounded {
                    let result = operation(Number::Int(int), Number::Float(double));
                    assert!(refused(result), "{nth}: {int} and {double}");
                    let result = operation(Number::Float(double), Number::Int(int));
                    assert!(refused(result), "{nth}: {double} and {int}");
                }
                for int in exact {
                    for (a, b) in [
                        (Number::Int(int), Number::Float(double)),
                        (Number::Float(double), Number::Int(int)),
                    ] {
                        assert!(!refused(operation(a, b)), "{nth}: {a:?} and {b:?}");
                    }
                }
            }
        }
        // A negative exponent makes doubles of two integers; a division rounds its exact quotient.
        let large = Number::Int((1 << 53) + 1);
        assert!(refused(large.power(Number::Int(-1))) && !refused(Number::Int(2).power(large)));
        assert!(refused(Number::Int(2).power(Number::Int(-(1 << 53) - 1))));
        assert!(!refused(large.divide(Number::Int(3))));
        assert_eq!(exact_double(u64::MAX.into()), None);
        assert_eq!(exact_double(1 << 63), Some(TWO_POW_63));
    }

    /// CPython 3.11's results for every pair of numbers at which some implementation's division was wrong.
    /// Each line of the table: operator, two numbers, and the result or the error's word.
    #[test]
    fn arithmetic_agrees_with_python() {
        let mut rows = 0;
        for line in include_str!("number_python.txt").lines().filter(|line| !line.starts_with('#'))
        {
            let words: Vec<&str> = line.split(' ').collect();
            let [operator, a, b, expected] = words[..] else { panic!("{line}") };
            let [a, b] = [a, b].map(|literal| Number::parse(literal.as_bytes()).unwrap());
            let result = match operator {
                "*" => a.times(b),
                "/" => a.divide(b),
                "//" => a.floor_divide(b),
                "%" => a.modulo(b),
                "**" => a.power(b),
                other => panic!("{other}"),
            };
            match (result, Number::parse(expected.as_bytes())) {
                (Err(error), _) => assert_eq!(error.code().word(), expected, "{line}"),
                (Ok(result), Ok(expected)) => assert_eq!(text(result), text(expected), "{line}"),
                (Ok(result), Err(_)) => panic!("{line}, not {}", text(result)),
            }
            rows += 1;
        }
        assert!(rows > 1000, "the table was read: {rows}");
    }
}
