//! Dates without a library: days counted one year and one month at a time.

use super::model::Word;

const SECOND: i128 = 1_000_000_000;
const DAY: i128 = 86_400 * SECOND;

fn days_in_year(year: i64) -> i128 {
    if is_leap(year) { 366 } else { 365 }
}

fn is_leap(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

fn days_in_month(year: i64, month: i64) -> i64 {
    match month {
        2 if is_leap(year) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days from the first of January of the year 0.
fn days(year: i64, month: i64, day: i64) -> i128 {
    let years: i128 = (0..year).map(days_in_year).sum();
    let months: i64 = (1..month).map(|month| days_in_month(year, month)).sum();
    years + i128::from(months + day - 1)
}

fn date(mut days: i128) -> (i64, i64, i64) {
    let (mut year, mut month) = (0, 1);
    while days >= days_in_year(year) {
        days -= days_in_year(year);
        year += 1;
    }
    while days >= days_in_month(year, month).into() {
        days -= i128::from(days_in_month(year, month));
        month += 1;
    }
    (year, month, days as i64 + 1)
}

fn print(nanoseconds: i128, separator: char, fraction_digits: usize, offset: &str) -> String {
    let (year, month, day) = date(nanoseconds / DAY);
    let of_day = nanoseconds % DAY;
    let (second, fraction) = (of_day / SECOND, of_day % SECOND);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    let fraction = match fraction_digits {
        0 => String::new(),
        _ => format!(".{}", &format!("{fraction:09}")[..fraction_digits]),
    };
    format!(
        "{year:04}-{month:02}-{day:02}{separator}{hour:02}:{minute:02}:{second:02}{fraction}{offset}"
    )
}

/// The text that `NOW path ISO` puts.
pub fn iso(unix_ms: u64) -> String {
    print(days(1970, 1, 1) * DAY + i128::from(unix_ms) * 1_000_000, 'T', 3, "Z")
}

/// The text that `TIMEADD` makes of another.
pub fn add(text: &str, months: i64, nanoseconds: i128) -> Result<String, Word> {
    let stamp = parse(text).ok_or("TYPE")?;
    let month_count = stamp.year * 12 + stamp.month - 1;
    let month_count = month_count.checked_add(months).ok_or("RANGE")?;
    let (year, month) = (month_count.div_euclid(12), month_count.rem_euclid(12) + 1);
    if !(0..=9999).contains(&year) {
        return Err("RANGE");
    }
    let day = stamp.day.min(days_in_month(year, month));
    let sum = days(year, month, day) * DAY + stamp.of_day + nanoseconds;
    if !(0..days(10_000, 1, 1) * DAY).contains(&sum) {
        return Err("RANGE");
    }
    // As many digits as the text has, or as milliseconds, microseconds or nanoseconds need.
    let needed = [(0, SECOND), (3, 1_000_000), (6, 1_000), (9, 1)];
    let needed = needed.iter().find(|(_, unit)| nanoseconds % unit == 0).expect("1 divides all").0;
    Ok(print(sum, stamp.separator, needed.max(stamp.fraction_digits), &stamp.offset))
}

struct Stamp {
    year: i64,
    month: i64,
    day: i64,
    /// Nanoseconds since midnight.
    of_day: i128,
    separator: char,
    fraction_digits: usize,
    offset: String,
}

fn parse(text: &str) -> Option<Stamp> {
    let form = "dddd-dd-ddTdd:dd:dd";
    if !text.is_ascii() || text.len() < form.len() {
        return None;
    }
    let fits = |(is, wanted): (char, char)| match wanted {
        'd' => is.is_ascii_digit(),
        'T' => "Tt ".contains(is),
        _ => is == wanted,
    };
    if !text.chars().zip(form.chars()).all(fits) {
        return None;
    }
    let number = |from: usize, to: usize| text[from..to].parse::<i64>().unwrap();
    let [year, month, day] = [number(0, 4), number(5, 7), number(8, 10)];
    let [hour, minute, second] = [number(11, 13), number(14, 16), number(17, 19)];
    let (fraction, offset) = match text[19..].strip_prefix('.') {
        Some(rest) => rest.split_at(rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len())),
        None => ("0", &text[19..]),
    };
    let fraction_digits = if text[19..].starts_with('.') { fraction.len() } else { 0 };
    let sound = (1..=12).contains(&month)
        && (1..=days_in_month(year, month)).contains(&day)
        && hour < 24
        && minute < 60
        && second < 60
        && (1..=9).contains(&fraction.len());
    let nanoseconds: i128 = if sound { format!("{fraction:0<9}").parse().unwrap() } else { 0 };
    (sound && is_offset(offset)).then(|| Stamp {
        year,
        month,
        day,
        of_day: i128::from(hour * 3600 + minute * 60 + second) * SECOND + nanoseconds,
        separator: text.as_bytes()[10].into(),
        fraction_digits,
        offset: offset.to_owned(),
    })
}

fn is_offset(text: &str) -> bool {
    let digits = |range| text.get(range).and_then(|digits: &str| digits.parse::<u32>().ok());
    matches!(text, "" | "Z" | "z")
        || (text.len() == 6
            && text.starts_with(['+', '-'])
            && &text[3..4] == ":"
            && digits(1..3).is_some_and(|hours| hours < 24)
            && digits(4..6).is_some_and(|minutes| minutes < 60))
}
