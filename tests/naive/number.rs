//! Numbers as the contract has them: exact 64-bit integers and finite doubles, with Python's
//! arithmetic written down as plainly as it can be.

use std::cmp::Ordering;

use serde_json::{Number, Value};

use super::model::Word;

#[derive(Clone, Copy, Debug)]
pub enum Num {
    Int(i64),
    Float(f64),
}

impl Num {
    /// The number that a literal means; `RANGE` where it cannot be held.
    pub fn read(literal: &str) -> Result<Num, Word> {
        if literal.contains(['.', 'e', 'E']) {
            finite(literal.parse().expect("a number literal"))
        } else {
            let double = || match ecmascript(literal.parse().expect("a number literal")) {
                text if text == literal => Ok(Num::Float(literal.parse().expect("it was read"))),
                _ => Err("RANGE"),
            };
            literal.parse().map(Num::Int).or_else(|_| double())
        }
    }

    pub fn of(value: &Value) -> Option<Num> {
        value.as_number().map(|n| Num::read(n.as_str()).expect("documents hold what can be held"))
    }

    pub fn value(self) -> Value {
        // Parsing would respell exponents.
        Value::Number(Number::from_string_unchecked(match self {
            Num::Int(int) => int.to_string(),
            Num::Float(float) => ryu::Buffer::new().format(float).to_owned(),
        }))
    }

    fn double(self) -> f64 {
        match self {
            Num::Int(int) => int as f64,
            Num::Float(float) => float,
        }
    }

    /// Tells an integer that its double does not equal: the digits differ.
    fn is_rounded(self) -> bool {
        match self {
            Num::Int(int) => format!("{:.0}", int as f64) != int.to_string(),
            Num::Float(_) => false,
        }
    }

    pub fn compare(self, other: Num) -> Ordering {
        match (self, other) {
            (Num::Float(a), Num::Float(b)) => a.partial_cmp(&b).unwrap(),
            (Num::Int(a), Num::Int(b)) => a.cmp(&b),
            (Num::Int(a), Num::Float(b)) => int_and_double(a, b),
            (Num::Float(a), Num::Int(b)) => int_and_double(b, a).reverse(),
        }
    }
}

/// The text of a whole double in ECMAScript: its shortest digits, filled up with zeros below 1e21.
fn ecmascript(double: f64) -> String {
    let text = format!("{double:e}");
    let (mantissa, exponent) = text.split_once('e').expect("it has an exponent");
    let digits = mantissa.replace('.', "");
    let whole = exponent.parse::<usize>().map_or(0, |exponent| exponent + 1);
    let zeros = whole.saturating_sub(digits.trim_start_matches('-').len());
    if whole > 21 { text } else { digits + &"0".repeat(zeros) }
}

fn int_and_double(a: i64, b: f64) -> Ordering {
    // Saturates far outside of what any i64 is compared with.
    let whole = b.floor() as i128;
    i128::from(a).cmp(&whole).then(if b > b.floor() { Ordering::Less } else { Ordering::Equal })
}

fn finite(result: f64) -> Result<Num, Word> {
    if result.is_finite() { Ok(Num::Float(result)) } else { Err("RANGE") }
}

fn exact(result: Option<i128>) -> Result<Num, Word> {
    result.and_then(|r| i64::try_from(r).ok()).map(Num::Int).ok_or("OVERFLOW")
}

/// The arithmetic operators, by name.
pub fn arithmetic(operator: &str, a: Num, b: Num) -> Result<Num, Word> {
    if matches!(operator, "DIV" | "FLOORDIV" | "MOD") && b.double() == 0.0 {
        return Err("RANGE");
    }
    if let (Num::Int(a), Num::Int(b)) = (a, b) {
        let (wide_a, wide_b) = (i128::from(a), i128::from(b));
        match operator {
            "INCR" => return exact(Some(wide_a + wide_b)),
            "MUL" => return exact(Some(wide_a * wide_b)),
            "DIV" => return finite(quotient(wide_a, wide_b)),
            "FLOORDIV" => return exact(Some(floor_quotient(wide_a, wide_b))),
            "MOD" => return exact(Some(wide_a - wide_b * floor_quotient(wide_a, wide_b))),
            "POW" if b >= 0 => return exact(power(wide_a, b)),
            _ => {}
        }
    }
    let (x, y) = (a.double(), b.double());
    if !matches!(operator, "MIN" | "MAX") && [a, b].iter().any(|number| number.is_rounded()) {
        return Err("RANGE");
    }
    match operator {
        "INCR" => finite(x + y),
        "MUL" => finite(x * y),
        "DIV" => finite(x / y),
        "FLOORDIV" => finite(python_divmod(x, y).0),
        "MOD" => finite(python_divmod(x, y).1),
        "POW" if x == 0.0 && y < 0.0 => Err("RANGE"),
        "POW" if x < 0.0 && y != y.floor() => Err("RANGE"),
        "POW" => finite(x.powf(y)),
        "MIN" => Ok(if b.compare(a).is_lt() { b } else { a }),
        "MAX" => Ok(if b.compare(a).is_gt() { b } else { a }),
        _ => unreachable!("{operator} is no arithmetic"),
    }
}

fn floor_quotient(a: i128, b: i128) -> i128 {
    let truncated = a / b;
    if truncated * b != a && (a < 0) != (b < 0) { truncated - 1 } else { truncated }
}

/// Long division, bit by bit, until more bits are known than a double holds.
fn quotient(a: i128, b: i128) -> f64 {
    let (dividend, divisor) = (a.unsigned_abs(), b.unsigned_abs());
    let (mut whole, mut rest, mut scale) = (dividend / divisor, dividend % divisor, 1f64);
    while dividend != 0 && whole < 1 << 60 {
        (whole, rest, scale) = (whole * 2, rest * 2, scale / 2.0);
        if rest >= divisor {
            (whole, rest) = (whole + 1, rest - divisor);
        }
    }
    let magnitude = (whole | u128::from(rest > 0)) as f64 * scale;
    if (a < 0) != (b < 0) { -magnitude } else { magnitude }
}

fn power(base: i128, exponent: i64) -> Option<i128> {
    match (base, exponent) {
        (_, 0) | (1, _) => Some(1),
        (0, _) => Some(0),
        (-1, _) => Some(if exponent % 2 == 0 { 1 } else { -1 }),
        _ => (0..exponent).try_fold(1i128, |product, _| {
            // Beyond 64 bits nothing comes back.
            product.checked_mul(base).filter(|p| p.unsigned_abs() <= 1 << 63)
        }),
    }
}

/// `float_divmod` and `float_rem` of CPython's `Objects/floatobject.c`, line by line.
fn python_divmod(x: f64, y: f64) -> (f64, f64) {
    let mut remainder = x % y;
    let mut quotient = (x - remainder) / y;
    if remainder != 0.0 {
        if (y < 0.0) != (remainder < 0.0) {
            remainder += y;
            quotient -= 1.0;
        }
    } else {
        remainder = 0f64.copysign(y);
    }
    if quotient == 0.0 {
        return (0f64.copysign(x / y), remainder);
    }
    let mut floored = quotient.floor();
    if quotient - floored > 0.5 {
        floored += 1.0;
    }
    (floored, remainder)
}
