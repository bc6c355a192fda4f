//! Durations as text: `-1h30m`, `250ms`, `1.5h`, or ISO 8601 `P1DT2H`, `-P1M`, `PT0.5S`.
//!
//! The first notation is that of Go, with days `d` and weeks `w` added: numbers, each with a unit, in
//! any order. Every unit in it is exact, a day 24 hours. ISO 8601 durations have calendar months and
//! years too; their seconds may have a fraction, and fields may be left out anywhere (`PT2H3S`, `P1Y35D`),
//! as generators of schemas do. A sign stands in front of the whole.
//!
//! A duration is exact: one finer than a nanosecond is refused rather than rounded. Numbers have at most
//! 19 digits before the point and as many behind it, zeros at the ends aside.

use jiff::SignedDuration;

use crate::error::{Error, ErrorCode, Result};

/// A number of calendar months, and an exact time. Neither has another sign than the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Duration {
    /// A year is twelve.
    pub months: i64,
    pub exact: SignedDuration,
}

/// Why a text gives no duration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unreadable {
    /// The text is in neither notation, or finer than a nanosecond.
    NotADuration,
    /// The duration is longer than any two dates are apart.
    TooLong,
}

/// Nanoseconds of every unit with a fixed length, by its name.
const UNITS: [(&str, i128); 10] = [
    ("ns", 1),
    ("us", 1_000),
    ("µs", 1_000), // U+00B5, as Go writes it,
    ("μs", 1_000), // and U+03BC, which looks the same.
    ("ms", 1_000_000),
    ("s", SECOND),
    ("m", 60 * SECOND),
    ("h", 3_600 * SECOND),
    ("d", DAY),
    ("w", 7 * DAY),
];
const SECOND: i128 = 1_000_000_000;
const DAY: i128 = 86_400 * SECOND;

/// The most digits before and behind the point: products with every unit fit 128 bits.
const DIGITS_MAX: usize = 19;

impl Duration {
    /// Reads an argument: `ERR` for text that is no duration, `RANGE` for one longer than any two dates are
    /// apart.
    pub fn parse(arg: &[u8]) -> Result<Duration> {
        let text = std::str::from_utf8(arg).map_err(|_| Unreadable::NotADuration);
        text.and_then(Duration::read).map_err(|why| {
            let error = match why {
                Unreadable::NotADuration => {
                    Error::syntax("not a duration such as -1h30m, 250ms or P1DT2H")
                }
                Unreadable::TooLong => Error::new(ErrorCode::Range, "the duration is too long"),
            };
            error.text("argument", arg)
        })
    }

    /// Reads text of either notation.
    pub fn read(text: &str) -> Result<Duration, Unreadable> {
        let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
        let sum = match unsigned.strip_prefix(['P', 'p']) {
            Some(fields) => iso_8601(fields),
            None => units(unsigned),
        };
        let sum = sum.ok_or(Unreadable::NotADuration)?;
        let sum = if text.starts_with('-') { sum.negated() } else { sum };
        sum.duration().ok_or(Unreadable::TooLong)
    }

    /// The length in nanoseconds where no calendar is at hand: a year is 365 days, as Python's `timedelta`
    /// is written (`P1Y35D` is 400 days). `None` for other months, which have no fixed length.
    pub fn nanoseconds(self) -> Option<i128> {
        let years = i128::from(self.months / 12);
        (self.months % 12 == 0).then(|| years * 365 * DAY + self.exact.as_nanos())
    }
}

/// Tests the form of an ISO 8601 duration as generators write them: RFC 3339's grammar, with a sign in front,
/// a fraction of seconds, and fields left out anywhere; of any number of digits. Weeks stand alone.
pub fn is_iso_8601(text: &str) -> bool {
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    let Some(fields) = unsigned.strip_prefix('P').and_then(Fields::split) else { return false };
    let is_number = |number: &str| {
        let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
        !whole.is_empty() && !fraction.is_empty() && !fraction.contains('.')
    };
    let fraction_elsewhere = fields.0[..6].iter().any(|number| number.contains('.'));
    let numbers = || fields.0.iter().filter(|number| !number.is_empty());
    let weeks_alone = fields.0[2].is_empty() || numbers().count() == 1;
    weeks_alone && !fraction_elsewhere && numbers().all(|number| is_number(number))
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
    if text == "0" {
        return Some(Sum::default());
    }
    let mut sum = Sum::default();
    let mut rest = text;
    while !rest.is_empty() {
        let is_number = |c: char| c.is_ascii_digit() || c == '.';
        let (number, after) = rest.split_at(rest.find(|c| !is_number(c))?);
        let (unit, after) = after.split_at(after.find(is_number).unwrap_or(after.len()));
        let (_, nanoseconds) = UNITS.iter().find(|(name, _)| *name == unit)?;
        sum.nanoseconds =
            sum.nanoseconds.checked_add(Decimal::read(number)?.times(*nanoseconds)?)?;
        rest = after;
    }
    (!text.is_empty()).then_some(sum)
}

/// The fields behind the `P`.
fn iso_8601(text: &str) -> Option<Sum> {
    let text = text.to_ascii_uppercase().replace(',', ".");
    let fields = Fields::split(&text)?;
    let mut numbers = [Decimal::default(); 7];
    for (number, text) in numbers.iter_mut().zip(fields.0) {
        // Go's `.5` and `5.` are none of this notation.
        if text.starts_with('.') || text.ends_with('.') {
            return None;
        }
        if !text.is_empty() {
            *number = Decimal::read(text)?;
        }
    }
    if numbers[..6].iter().any(|number| number.fraction_digits > 0) {
        return None;
    }
    let [years, months, weeks, days, hours, minutes, seconds] = numbers;
    let mut sum = Sum { months: years.digits * 12 + months.digits, nanoseconds: 0 };
    let fixed = [(weeks, 7 * DAY), (days, DAY), (hours, 3_600 * SECOND)];
    for (number, nanoseconds) in
        fixed.into_iter().chain([(minutes, 60 * SECOND), (seconds, SECOND)])
    {
        sum.nanoseconds += number.times(nanoseconds)?;
    }
    Some(sum)
}

/// The numbers in front of `Y M W D T H M S`, each at most once and in this order; empty where missing.
struct Fields<'t>([&'t str; 7]);

impl<'t> Fields<'t> {
    /// `None` where a letter is unknown or out of order, or nothing is between.
    fn split(text: &'t str) -> Option<Fields<'t>> {
        let (date, time) = match text.split_once('T') {
            Some((_, "")) => return None,
            Some((date, time)) => (date, time),
            None => (text, ""),
        };
        let [years, months, weeks, days] = designated(date, ['Y', 'M', 'W', 'D'])?;
        let [hours, minutes, seconds] = designated(time, ['H', 'M', 'S'])?;
        let fields = [years, months, weeks, days, hours, minutes, seconds];
        fields.iter().any(|number| !number.is_empty()).then_some(Fields(fields))
    }
}

/// The number in front of each letter, empty where it is missing; `None` if anything is left over.
fn designated<const N: usize>(text: &str, letters: [char; N]) -> Option<[&str; N]> {
    let mut numbers = [""; N];
    let mut rest = text;
    for (number, letter) in numbers.iter_mut().zip(letters) {
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let (found, after) = rest.split_at(end);
        if let (false, Some(after)) = (found.is_empty(), after.strip_prefix(letter)) {
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
    /// Reads digits with at most one point, which may stand at either end.
    fn read(text: &str) -> Option<Decimal> {
        let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
        if whole.len() + fraction.len() == 0 {
            return None;
        }
        let (whole, fraction) = (whole.trim_start_matches('0'), fraction.trim_end_matches('0'));
        if whole.len().max(fraction.len()) > DIGITS_MAX {
            return None;
        }
        let digits = format!("0{whole}{fraction}").parse().ok()?;
        Some(Decimal { digits, fraction_digits: fraction.len() as u32 })
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
        check(".5us", 0, 500);
        check("5.us", 0, 5_000);
        check("1.500000000000000000000000000000s", 0, 1_500_000_000);
        check("00000000000000000000000001s", 0, SECOND);
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
        check("PT2H3S", 0, 7_203 * SECOND);
        check("P1Y35D", 12, 35 * DAY);
        check("-P1DT2S", 0, -DAY - 2 * SECOND);
        check("P2DT3H0.5S", 0, 2 * DAY + 10_800_500_000_000);
    }

    #[test]
    fn text_of_another_form_is_a_syntax_error() {
        for text in [
            "",
            "-",
            "1",
            "h",
            "1x",
            "1 h",
            " 1h",
            "1h ",
            ".h",
            "1..5h",
            "PT.5S",
            "PT5.S",
            "P1YT",
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
            "PTS",
            "P-1D",
            "P1DT2",
            "P1D2D",
            "P1M1M",
            "PT0.0000000001S",
            "1.00000000000000000001s",
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
    fn durations_of_months_have_no_fixed_length_and_years_are_365_days() {
        let length = |text: &str| Duration::read(text).unwrap().nanoseconds();
        assert_eq!(length("P1Y35D"), Some(400 * DAY));
        assert_eq!(length("-P2YT1S"), Some(-730 * DAY - SECOND));
        assert_eq!(length("P12M"), Some(365 * DAY));
        assert_eq!(length("P1M"), None);
        assert_eq!(length("-P1Y1M"), None);
        assert_eq!(length("1h"), Some(3_600 * SECOND));
    }

    #[test]
    fn the_form_of_iso_8601_is_told_for_any_number_of_digits() {
        let long = format!("P{}D", "9".repeat(100));
        for text in ["P1D", "-P1DT2S", "+PT0.5S", "PT2H3S", "P1Y35D", "P2W", "P01D", "PT0S", &long]
        {
            assert!(is_iso_8601(text), "{text}");
        }
        for text in [
            "", "P", "PT", "P1YT", "P1", "1h", "P1Y2W", "P0Y1W", "P1WT1H", "P1D2H", "PT1D",
            "P2D1Y", "P1.5D", "PT0,5S", "PT.5S", "PT5.S", "PT1.2.3S", "p1d", "P-1D", "P1e2D",
            " P1D", "P1D\n", "P২Y", "P1D2T3H",
        ] {
            assert!(!is_iso_8601(text), "{text}");
        }
    }

    #[test]
    fn a_duration_that_is_too_long_is_a_range_error() {
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
