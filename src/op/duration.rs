//! Durations as an operand: `-1h30m`, `250ms`, `1.5h`, or ISO 8601 `P1DT2H`, `-P1M`.
//!
//! The first notation is that of Go, with days `d` and weeks `w` added: numbers, each with a unit, in
//! any order. Every unit in it is exact, a day 24 hours. ISO 8601 durations have calendar months and
//! years too; their seconds may have a fraction. A sign stands in front of the whole.
//!
//! A duration is exact: what would be finer than a nanosecond is refused rather than rounded. Numbers
//! have at most 19 digits before the point and as many behind it.

use jiff::SignedDuration;

use crate::error::{Error, ErrorCode, Result};

/// A number of calendar months, and an exact time. Neither has another sign than the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Duration {
    /// A year is twelve.
    pub months: i64,
    pub exact: SignedDuration,
}

/// Nanoseconds of every unit with a fixed length, by its name.
const UNITS: [(&str, i128); 9] = [
    ("ns", 1),
    ("us", 1_000),
    ("µs", 1_000), // U+00B5, as Go writes it,
    ("μs", 1_000), // and U+03BC, which looks the same.
    ("ms", 1_000_000),
    ("s", SECOND),
    ("m", 60 * SECOND),
    ("h", 3_600 * SECOND),
    ("d", 86_400 * SECOND),
];
const WEEK: i128 = 7 * 86_400 * SECOND;
const SECOND: i128 = 1_000_000_000;

/// The most digits before and behind the point: products with every unit fit 128 bits.
const DIGITS_MAX: usize = 19;

impl Duration {
    /// `ERR` for what is no duration; `RANGE` for one longer than any two dates are apart.
    pub fn parse(arg: &[u8]) -> Result<Duration> {
        let text = std::str::from_utf8(arg).ok();
        let sum = text.and_then(|text| {
            let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
            let sum = match unsigned.strip_prefix(['P', 'p']) {
                Some(fields) => iso_8601(fields),
                None => units(unsigned),
            }?;
            Some(if text.starts_with('-') { sum.negated() } else { sum })
        });
        let sum = sum.ok_or_else(|| {
            Error::syntax("not a duration such as -1h30m, 250ms or P1DT2H").text("argument", arg)
        })?;
        sum.duration().ok_or_else(|| {
            Error::new(ErrorCode::Range, "the duration is too long").text("argument", arg)
        })
    }
}

#[derive(Default)]
struct Sum {
    months: i128,
    nanoseconds: i128,
}

impl Sum {
    fn negated(self) -> Sum {
        Sum { months: -self.months, nanoseconds: -self.nanoseconds }
    }

    fn duration(&self) -> Option<Duration> {
        // No sum of either kind that is in range leads out of a 64-bit integer.
        let seconds = i64::try_from(self.nanoseconds / SECOND).ok()?;
        let rest = i32::try_from(self.nanoseconds % SECOND).ok()?;
        let months = i64::try_from(self.months).ok()?;
        Some(Duration { months, exact: SignedDuration::new(seconds, rest) })
    }
}

/// `1h30m`, or `0` alone.
fn units(text: &str) -> Option<Sum> {
    let mut sum = Sum::default();
    let mut rest = text;
    while !rest.is_empty() {
        let (number, after) = Decimal::scan(rest)?;
        let end = after.find(|c: char| c.is_ascii_digit()).unwrap_or(after.len());
        let (unit, after) = after.split_at(end);
        let nanoseconds = match unit {
            "" if text == "0" => 0,
            "w" => WEEK,
            _ => UNITS.iter().find(|(name, _)| *name == unit)?.1,
        };
        sum.nanoseconds = sum.nanoseconds.checked_add(number.times(nanoseconds)?)?;
        rest = after;
    }
    (!text.is_empty()).then_some(sum)
}

/// What follows the `P`: `nY nM nW nD T nH nM nS`, each at most once, in this order, not all missing.
fn iso_8601(fields: &str) -> Option<Sum> {
    let fields = fields.to_ascii_uppercase().replace(',', ".");
    let (date, time) = match fields.split_once('T') {
        Some((_, "")) => return None,
        Some((date, time)) => (date, time),
        None => (&*fields, ""),
    };
    if date.is_empty() && time.is_empty() {
        return None;
    }
    let [years, months, weeks, days] = designated(date, ['Y', 'M', 'W', 'D'])?;
    let [hours, minutes, seconds] = designated(time, ['H', 'M', 'S'])?;
    let whole = [&years, &months, &weeks, &days, &hours, &minutes];
    if whole.iter().any(|number| number.fraction_digits > 0) {
        return None;
    }
    let fixed = [(weeks, WEEK), (days, 86_400 * SECOND), (hours, 3_600 * SECOND)];
    let fixed = fixed.into_iter().chain([(minutes, 60 * SECOND), (seconds, SECOND)]);
    let mut sum = Sum { months: years.digits * 12 + months.digits, nanoseconds: 0 };
    for (number, nanoseconds) in fixed {
        sum.nanoseconds += number.times(nanoseconds)?;
    }
    Some(sum)
}

/// The number in front of each letter, zero where it is missing; `None` if anything is left over.
fn designated<const N: usize>(text: &str, letters: [char; N]) -> Option<[Decimal; N]> {
    let mut numbers = [Decimal::default(); N];
    let mut rest = text;
    for (number, letter) in numbers.iter_mut().zip(letters) {
        if let Some((found, after)) = Decimal::scan(rest)
            && let Some(after) = after.strip_prefix(letter)
        {
            (*number, rest) = (found, after);
        }
    }
    rest.is_empty().then_some(numbers)
}

/// An unsigned decimal number: `digits / 10^fraction_digits`.
#[derive(Clone, Copy, Default)]
struct Decimal {
    digits: i128,
    fraction_digits: u32,
}

impl Decimal {
    /// The number at the start, and what follows it.
    fn scan(text: &str) -> Option<(Decimal, &str)> {
        let digits_end =
            |text: &str| text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
        let (whole, after) = text.split_at(digits_end(text));
        let (fraction, after) = match after.strip_prefix('.') {
            Some(behind) => behind.split_at(digits_end(behind)),
            None => ("0", after),
        };
        let sound = |digits: &str| (1..=DIGITS_MAX).contains(&digits.len());
        if !sound(whole) || !sound(fraction) {
            return None;
        }
        let fraction = fraction.trim_end_matches('0');
        let digits = format!("{whole}{fraction}").parse().ok()?;
        Some((Decimal { digits, fraction_digits: fraction.len() as u32 }, after))
    }

    /// Exactly that many nanoseconds; `None` if there is no whole number of them.
    fn times(self, nanoseconds: i128) -> Option<i128> {
        let product = self.digits.checked_mul(nanoseconds)?;
        let scale = 10i128.pow(self.fraction_digits);
        (product % scale == 0).then_some(product / scale)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, months: i64, nanoseconds: i128) {
        let duration = Duration::parse(text.as_bytes()).unwrap_or_else(|e| panic!("{text}: {e}"));
        assert_eq!((duration.months, duration.exact.as_nanos()), (months, nanoseconds), "{text}");
    }

    #[test]
    fn units_add_up() {
        check("-1h30m", 0, -5_400 * SECOND);
        check("+250ms", 0, 250_000_000);
        check("1.5h", 0, 5_400 * SECOND);
        check("1w2d", 0, 9 * 86_400 * SECOND);
        check("1m1ms1us1µs1μs1ns", 0, 60_001_002_001 + 1_000);
        check("30m1h30m", 0, 7_200 * SECOND);
        check("0", 0, 0);
        check("-0s", 0, 0);
        check("0.000000001s", 0, 1);
        check("1.500000000000000000s", 0, 1_500_000_000);
        check("0.5us", 0, 500);
    }

    #[test]
    fn iso_8601_fields_add_up() {
        check("P1DT2H", 0, 93_600 * SECOND);
        check("-P1M", -1, 0);
        check("P1Y2M3W4DT5H6M7.89S", 14, 25 * 86_400 * SECOND + 18_367_890_000_000);
        check("pt1,5s", 0, 1_500_000_000);
        check("-PT0.25S", 0, -250_000_000);
        check("PT1M", 0, 60 * SECOND);
        check("P0D", 0, 0);
    }

    #[test]
    fn what_is_no_duration_is_a_syntax_error() {
        for text in [
            "",
            "-",
            "1",
            "00",
            "h",
            "1x",
            "1 h",
            " 1h",
            "1h ",
            "1.h",
            ".5h",
            "--1h",
            "1h-30m",
            "1e3s",
            "0.1ns",
            "1H",
            "P",
            "PT",
            "P1DT",
            "P1",
            "P1H",
            "PT1D",
            "P1D1Y",
            "P1.5D",
            "PT1.5H",
            "PT1S1M",
            "P-1D",
            "P1DT2",
            "P1D2D",
            "P1M1M",
            "PT0.0000000001S",
            "1.00000000000000000000s",
            "1h\0",
            "1µ",
            "١h",
        ] {
            let code = Duration::parse(text.as_bytes()).unwrap_err().code();
            assert_eq!(code, ErrorCode::Err, "{text:?}");
        }
        assert_eq!(Duration::parse(b"1h\xff").unwrap_err().code(), ErrorCode::Err);
    }

    #[test]
    fn what_is_too_long_is_a_range_error() {
        for text in [
            "999999999999999999w",
            "-999999999999999999d",
            "P999999999999999999W",
            "P9999999999999999999M",
        ] {
            let code = Duration::parse(text.as_bytes()).unwrap_err().code();
            assert_eq!(code, ErrorCode::Range, "{text}");
        }
        check("P999999999999999999M", 999_999_999_999_999_999, 0);
        check("9223372036854775807ns", 0, i64::MAX.into());
    }
}
