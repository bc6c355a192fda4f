//! `TIMEADD`: adds to a RFC 3339 date and time, with an offset or naive.
//!
//! The text keeps its form: its offset (`Z`, `+02:00`, `-00:00`, or none), the separator and its case (`T`, `t` or a
//! space), and as many digits of a second as it had; where the duration needs more it gets three, six or nine.
//! Months and years are added first, on the calendar of the text's own offset, and a day the month does not
//! have becomes its last one. Everything else is exact time; with a fixed offset a day is 24 hours.
//!
//! Years are 0000 to 9999. A leap second (`:60`) is not on the time scale this arithmetic works on, and
//! more than nine digits of a second cannot be held: both are refused, as other text is, rather than
//! changed to something near.

use std::fmt::Write;

use jiff::Span;
use jiff::civil::{Date, DateTime, Time};

use super::{Absent, Action, Arg, Example, OPERATORS, OpSpec, Operand, OperandKind, Repeats, Site};
use crate::error::{Error, ErrorCode, Result};
use crate::reply::Reply;
use crate::time::Duration;
use crate::value::Value;

#[linkme::distributed_slice(OPERATORS)]
static TIMEADD: OpSpec = OpSpec {
    name: "TIMEADD",
    operands: &[
        Operand { name: "path", kind: OperandKind::Path },
        Operand { name: "duration", kind: OperandKind::Duration },
    ],
    summary: "Adds a duration (-1h30m, 250ms, with the units ns us ms s m h d w; or ISO 8601: P1DT2H, -P1M) to RFC 3339 text, which keeps its offset (or none) and precision",
    accepts: "string with a RFC 3339 date and time, its offset optional, in the years 0000 to 9999, no leap second, at most nine digits of a second",
    absent: Absent::NoPath,
    reply: "the new value as JSON text",
    errors: &[ErrorCode::Type, ErrorCode::Range],
    complexity: "O(1)",
    repeats: Repeats::Exactly,
    since: "0.1.0",
    examples: &[
        Example::new(
            r#"["2026-11-21T06:12:47Z"]"#,
            "TIMEADD $[0] -1h30m",
            r#""2026-11-21T04:42:47Z""#,
            r#"["2026-11-21T04:42:47Z"]"#,
        ),
        Example::new(
            r#"["2026-12-31T23:00:00.500+02:00"]"#,
            "TIMEADD $[0] P1DT2H",
            r#""2027-01-02T01:00:00.500+02:00""#,
            r#"["2027-01-02T01:00:00.500+02:00"]"#,
        ),
        Example::new(
            r#"["2026-11-21T06:12:47Z"]"#,
            "TIMEADD $[0] 250ms",
            r#""2026-11-21T06:12:47.250Z""#,
            r#"["2026-11-21T06:12:47.250Z"]"#,
        ),
        Example::new(
            r#"["2024-03-31 10:00:00z"]"#,
            "TIMEADD $[0] -P1M",
            r#""2024-02-29 10:00:00z""#,
            r#"["2024-02-29 10:00:00z"]"#,
        ),
        Example::new(
            r#"["2026-11-21T06:12:47.5"]"#,
            "TIMEADD $[0] PT2H3S",
            r#""2026-11-21T08:12:50.5""#,
            r#"["2026-11-21T08:12:50.5"]"#,
        ),
        Example::new(
            r#"["2026-11-21T06:12:47Z"]"#,
            "TIMEADD $[0] 0",
            r#""2026-11-21T06:12:47Z""#,
            r#"["2026-11-21T06:12:47Z"]"#,
        ),
        Example::new(
            r#"["2026-11-21T00:00:00Z","2026-11-22T00:00:00Z"]"#,
            "TIMEADD $[*] 1w",
            r#"["2026-11-28T00:00:00Z" "2026-11-29T00:00:00Z"]"#,
            r#"["2026-11-28T00:00:00Z","2026-11-29T00:00:00Z"]"#,
        ),
        Example::new("{}", "TIMEADD $.a 1h", "NOPATH", "{}"),
        Example::new(r#"["2026-11-21"]"#, "TIMEADD $[0] 1h", "TYPE", r#"["2026-11-21"]"#),
        Example::new(
            r#"["2016-12-31T23:59:60Z"]"#,
            "TIMEADD $[0] 1s",
            "TYPE",
            r#"["2016-12-31T23:59:60Z"]"#,
        ),
        Example::new("[1700000000]", "TIMEADD $[0] 1h", "TYPE", "[1700000000]"),
        Example::new(
            r#"["9999-12-31T23:59:59Z"]"#,
            "TIMEADD $[0] 1s",
            "RANGE",
            r#"["9999-12-31T23:59:59Z"]"#,
        ),
        Example::new(
            r#"["2026-11-21T06:12:47Z"]"#,
            "TIMEADD $[0] '1 hour'",
            "ERR",
            r#"["2026-11-21T06:12:47Z"]"#,
        ),
    ],
    run: Action::Each(timeadd),
};

fn timeadd(site: &mut Site<'_, '_>, args: &[Arg<'_>]) -> Result<Reply> {
    let text = site.text()?.expect("the operator is run only where something is");
    let stamp = Stamp::parse(text.as_bytes()).ok_or_else(|| {
        Error::new(ErrorCode::Type, "expected RFC 3339 text, found another string")
    })?;
    let sum = stamp.plus(args[1].duration()).ok_or_else(|| {
        Error::new(ErrorCode::Range, "the time is outside the years 0000 to 9999")
    })?;
    let sum = Value::string(&sum.print());
    site.put(sum)?;
    site.new_value()
}

/// The parts of an RFC 3339 text.
struct Stamp<'a> {
    /// In the text's own offset.
    time: DateTime,
    separator: char,
    fraction_digits: usize,
    /// As it was written.
    offset: &'a str,
}

impl<'a> Stamp<'a> {
    /// `None` for text that is not RFC 3339 or cannot be represented.
    fn parse(text: &'a [u8]) -> Option<Stamp<'a>> {
        const SECONDS_END: usize = "0000-00-00T00:00:00".len();
        let (seconds, rest) = text.split_at_checked(SECONDS_END)?;
        let marks = [4, 7, 13, 16].map(|at| seconds[at]);
        if marks != *b"--::" || !matches!(seconds[10], b'T' | b't' | b' ') {
            return None;
        }
        let field = |start, end| digits(&seconds[start..end]);
        let date = Date::new(field(0, 4)? as i16, field(5, 7)? as i8, field(8, 10)? as i8).ok()?;
        let (nanosecond, fraction_digits, offset) = fraction(rest)?;
        let time =
            Time::new(field(11, 13)? as i8, field(14, 16)? as i8, field(17, 19)? as i8, nanosecond)
                .ok()?;
        Some(Stamp {
            time: date.to_datetime(time),
            separator: seconds[10].into(),
            fraction_digits,
            offset: checked_offset(offset)?,
        })
    }

    /// `None` where the sum is outside the years that have four digits.
    fn plus(self, duration: Duration) -> Option<Stamp<'a>> {
        let months = Span::new().try_months(duration.months).ok()?;
        // In two halves: jiff refuses durations longer than from 1970 to 9999, though the first and
        // the last of these years are further apart.
        let half = duration.exact / 2;
        let time = self.time.checked_add(months).ok()?;
        let time = time.checked_add(half).ok()?.checked_add(duration.exact - half).ok()?;
        let needed = match duration.exact.subsec_nanos().unsigned_abs() {
            0 => 0,
            nanos if nanos % 1_000_000 == 0 => 3,
            nanos if nanos % 1_000 == 0 => 6,
            _ => 9,
        };
        let fraction_digits = self.fraction_digits.max(needed);
        (time.year() >= 0).then_some(Stamp { time, fraction_digits, ..self })
    }

    fn print(&self) -> String {
        let (date, time) = (self.time.date(), self.time.time());
        let mut out = format!(
            "{:04}-{:02}-{:02}{}{:02}:{:02}:{:02}",
            date.year(),
            date.month(),
            date.day(),
            self.separator,
            time.hour(),
            time.minute(),
            time.second(),
        );
        if self.fraction_digits > 0 {
            let nanoseconds = format!("{:09}", time.subsec_nanosecond());
            let _ = write!(out, ".{}", &nanoseconds[..self.fraction_digits]);
        }
        out.push_str(self.offset);
        out
    }
}

/// Up to nine ASCII digits as a number.
fn digits(text: &[u8]) -> Option<u32> {
    text.iter()
        .try_fold(0, |sum, byte| byte.is_ascii_digit().then(|| sum * 10 + u32::from(byte - b'0')))
}

/// The nanoseconds of a fraction, how many digits it has, and what follows it.
fn fraction(text: &[u8]) -> Option<(i32, usize, &[u8])> {
    let Some(text) = text.strip_prefix(b".") else { return Some((0, 0, text)) };
    let count = text.iter().take(10).take_while(|byte| byte.is_ascii_digit()).count();
    if !(1..=9).contains(&count) {
        return None;
    }
    let value = digits(&text[..count])? * 10u32.pow(9 - count as u32);
    Some((value as i32, count, &text[count..]))
}

/// `Z`, `z`, hours and minutes with a sign, or nothing: a naive time keeps its form.
fn checked_offset(text: &[u8]) -> Option<&str> {
    let sound = match text {
        b"" | b"Z" | b"z" => true,
        [b'+' | b'-', h1, h2, b':', m1, m2] => {
            digits(&[*h1, *h2])? <= 23 && digits(&[*m1, *m2])? <= 59
        }
        _ => false,
    };
    std::str::from_utf8(text).ok().filter(|_| sound)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sum(text: &str, duration: &str) -> Option<String> {
        let stamp = Stamp::parse(text.as_bytes()).expect("the text is RFC 3339");
        stamp.plus(Duration::parse(duration.as_bytes()).unwrap()).map(|sum| sum.print())
    }

    fn check(text: &str, duration: &str, expected: &str) {
        assert_eq!(sum(text, duration).as_deref(), Some(expected), "{text} {duration}");
    }

    #[test]
    fn the_form_is_kept() {
        for text in [
            "2026-11-21T06:12:47Z",
            "2026-11-21t06:12:47z",
            "2026-11-21 06:12:47.5+00:00",
            "2026-11-21T06:12:47.500-00:00",
            "0000-01-01T00:00:00.000000000+23:59",
            "9999-12-31T23:59:59.999999999-23:59",
        ] {
            check(text, "0", text);
        }
    }

    #[test]
    fn digits_of_a_second_stay_unless_more_are_needed() {
        check("2026-01-01T00:00:00.500Z", "500ms", "2026-01-01T00:00:01.000Z");
        check("2026-01-01T00:00:00.500Z", "1us", "2026-01-01T00:00:00.500001Z");
        check("2026-01-01T00:00:00.5Z", "1s", "2026-01-01T00:00:01.5Z");
        check("2026-01-01T00:00:00.5Z", "100ms", "2026-01-01T00:00:00.600Z");
        check("2026-01-01T00:00:00.1234567Z", "-1ms", "2026-01-01T00:00:00.1224567Z");
        check("2026-01-01T00:00:00Z", "-1ns", "2025-12-31T23:59:59.999999999Z");
    }

    #[test]
    fn naive_times_keep_their_form() {
        check("2026-11-21T23:12:47", "1h", "2026-11-22T00:12:47");
        check("2026-11-21 06:12:47.250", "PT0.75S", "2026-11-21 06:12:48.000");
        check("2024-02-29T06:12:47.123456", "P1Y35D", "2025-04-04T06:12:47.123456");
    }

    #[test]
    fn months_end_where_they_end() {
        check("2024-01-31T00:00:00Z", "P1M", "2024-02-29T00:00:00Z");
        check("2023-01-31T00:00:00Z", "P1M", "2023-02-28T00:00:00Z");
        check("2024-02-29T00:00:00Z", "P1Y", "2025-02-28T00:00:00Z");
        check("2024-02-29T00:00:00Z", "-P4Y", "2020-02-29T00:00:00Z");
        check("2024-01-31T12:00:00Z", "P1M1D", "2024-03-01T12:00:00Z");
        check("2024-03-31T00:30:00+02:00", "-P1MT1H", "2024-02-28T23:30:00+02:00");
        check("1900-02-28T23:59:59Z", "1s", "1900-03-01T00:00:00Z");
    }

    #[test]
    fn years_have_four_digits() {
        check("0000-01-01T00:00:00Z", "P9999Y", "9999-01-01T00:00:00Z");
        check("9999-12-31T23:59:59Z", "-P9999Y", "0000-12-31T23:59:59Z");
        for (text, duration) in [
            ("9999-12-31T23:59:59.999999999Z", "1ns"),
            ("0000-01-01T00:00:00Z", "-1ns"),
            ("0000-01-31T00:00:00Z", "-P1M"),
            ("2026-01-01T00:00:00Z", "P8000Y"),
            ("2026-01-01T00:00:00Z", "-P999999999999999999M"),
            ("2026-01-01T00:00:00Z", "-9223372036854775807s"),
            ("2026-01-01T00:00:00Z", "999999999999s"),
        ] {
            assert_eq!(sum(text, duration), None, "{text} {duration}");
        }
    }

    #[test]
    fn a_duration_may_lead_from_the_first_day_to_the_last() {
        check("0000-01-01T00:00:00Z", "3000000d", "8213-09-21T00:00:00Z");
        check("0000-01-01T00:00:00Z", "3652424d", "9999-12-31T00:00:00Z");
        check("9999-12-31T00:00:00Z", "-3652424d", "0000-01-01T00:00:00Z");
        check("0000-01-01T00:00:00.5Z", "315569519999s", "9999-12-31T23:59:59.5Z");
        assert_eq!(sum("0000-01-01T00:00:00Z", "3652425d"), None);
        assert_eq!(sum("9999-12-31T00:00:00Z", "-3652425d"), None);
    }

    #[test]
    fn what_is_not_rfc_3339_is_refused() {
        for text in [
            "",
            "2026-11-21",
            "2026-11-21T06:12Z",
            "2026-11-21T06:12:47.",
            "2026-11-21T06:12:47.Z",
            "2026-11-21T06:12:47,5Z",
            "2026-11-21T06:12:47.1234567890Z",
            "2026-11-21T06:12:60Z",
            "2026-11-21T24:00:00Z",
            "2026-02-29T00:00:00Z",
            "2026-13-01T00:00:00Z",
            "2026-11-21_06:12:47Z",
            "2026-11-21T06:12:47+0200",
            "2026-11-21T06:12:47+24:00",
            "2026-11-21T06:12:47+02:60",
            "2026-11-21T06:12:47Z ",
            "+2026-11-2106:12:47Z",
            "2026-11-21T06:12:47é",
            "٢٠٢٦-11-21T06:12:47Z",
        ] {
            assert!(Stamp::parse(text.as_bytes()).is_none(), "{text}");
        }
    }
}
