//! Values and documents: small and large ones, deep ones, ones about as large as one packed buffer, and
//! names that are easily mistaken for something else.

use serde_json::{Map, Value, json};

use super::Draw;
use crate::model::{canonical, read};

pub(super) const NAMES: [&str; 22] = [
    "a",
    "b",
    "n",
    "s",
    "o",
    "nums",
    "",
    "~",
    "/",
    "~1",
    "a.b",
    "'",
    "\"",
    "\\",
    "é😀",
    "\0",
    "\n",
    "0",
    "-1",
    "-",
    "$.a",
    "a name that is much too long to be any of the usual ones",
];
pub(super) const NUMBERS: [&str; 26] = [
    "1",
    "2",
    "0",
    "-1",
    "7",
    "1.0",
    "0.5",
    "-2",
    "-2.5",
    "3",
    "-0.0",
    "0.1",
    "63",
    "9007199254740993",
    "9007199254740992.0",
    "9223372036854775807",
    "-9223372036854775808",
    "4611686018427387904",
    "1e308",
    "-1e308",
    "5e-324",
    "1e16",
    "1e-7",
    "12345678901234567e-3",
    "100000000000000000000",
    "-18446744073709552000",
];
const STRINGS: [&str; 12] = [
    "a",
    "b",
    "",
    "ab",
    "1",
    "é€😀",
    "\0",
    "\"\\/\u{7f}\u{1f}\n",
    "'",
    "\u{2028}",
    "\u{ffff}",
    "null",
];
pub(super) const TIMES: [&str; 12] = [
    "2026-11-21T06:12:47Z",
    "2024-02-29T23:59:59.999Z",
    "2024-01-31t00:00:00.5+02:00",
    "1999-12-31 23:59:59.999999999-23:59",
    "0000-01-01T00:00:00Z",
    "9999-12-31T23:59:59z",
    "1969-12-31T23:59:59.123456Z",
    "2023-02-29T00:00:00Z",
    "2026-11-21T24:00:00Z",
    "2026-11-21T06:12:47",
    "2016-12-31T23:59:60Z",
    "2026-11-21T06:12:47.1234567890Z",
];
pub(super) const BASE64: [&str; 6] = ["AQI=", "Aw==", "", "+/8A", "AQID", "AQI"];

fn number(draw: &mut Draw<'_>) -> Value {
    if draw.once_in(10) {
        return draw.pick(&[json!(i64::MIN), json!(i64::MAX)]);
    }
    read(draw.pick(&NUMBERS)).unwrap()
}

pub(super) fn text(draw: &mut Draw<'_>) -> Value {
    match draw.below(8) {
        0..=3 => draw.pick(&STRINGS).into(),
        4 | 5 => draw.pick(&TIMES).into(),
        6 => draw.pick(&BASE64).into(),
        _ => "ab€".repeat(draw.below(400)).into(),
    }
}

/// Any value, nested as deep as asked for.
pub fn value(draw: &mut Draw<'_>, depth: usize) -> Value {
    match draw.below(if depth == 0 { 8 } else { 14 }) {
        0..=2 => number(draw),
        3..=5 => text(draw),
        6 => Value::Bool(draw.below(2) == 1),
        7 => Value::Null,
        8..=10 => array(draw, depth),
        _ => object(draw, depth),
    }
}

fn array(draw: &mut Draw<'_>, depth: usize) -> Value {
    let len = draw.pick(&[1, 2, 3, 0, 5]);
    match draw.below(4) {
        0 => (0..len).map(|_| number(draw)).collect(),
        1 => (0..len).map(|_| object(draw, depth - 1)).collect(),
        2 => (0..len).map(|_| text(draw)).collect(),
        _ => (0..len).map(|_| value(draw, depth - 1)).collect(),
    }
}

fn object(draw: &mut Draw<'_>, depth: usize) -> Value {
    let len = draw.pick(&[1, 2, 3, 0, 6]);
    let depth = depth.saturating_sub(1);
    Value::Object((0..len).map(|_| (draw.pick(&NAMES).to_owned(), value(draw, depth))).collect())
}

/// A document with something for every operator.
fn rich(draw: &mut Draw<'_>) -> Map<String, Value> {
    let mut members = Map::new();
    for name in ["n", "s", "t", "64", "b", "nums", "objs", "strs", "flags", "o"] {
        let value = match name {
            "n" => number(draw),
            "s" => text(draw),
            "t" => draw.pick(&TIMES).into(),
            "64" => draw.pick(&BASE64).into(),
            "b" => Value::Bool(draw.below(2) == 0),
            "nums" => (0..draw.below(6)).map(|_| number(draw)).collect(),
            "objs" => (0..draw.below(4))
                .map(|_| json!({"n": number(draw), "s": text(draw), "a": [number(draw)]}))
                .collect(),
            "strs" => (0..draw.below(4)).map(|_| text(draw)).collect(),
            "flags" => (0..draw.below(4)).map(|_| Value::Bool(draw.below(2) == 0)).collect(),
            _ => object(draw, 2),
        };
        members.insert(name.to_owned(), value);
    }
    members
}

pub fn document(draw: &mut Draw<'_>) -> Value {
    sound(any_document(draw))
}

/// The macro `json!` respells numbers.
pub(super) fn sound(value: Value) -> Value {
    canonical(value).expect("only what can be held is made up")
}

fn any_document(draw: &mut Draw<'_>) -> Value {
    match draw.below(10) {
        0 => object(draw, 2),
        1..=3 => Value::Object(rich(draw)),
        4 => value(draw, 4),
        5 => deep(draw),
        6 | 7 => near_a_kilobyte(draw),
        8 => many(draw),
        _ => {
            let text = "long é".repeat(100 + draw.below(900));
            json!({"s": text, "strs": [text, "a"], "n": number(draw)})
        }
    }
}

/// Chains of containers, some just as deep as may be.
fn deep(draw: &mut Draw<'_>) -> Value {
    let depth = draw.pick(&[20, 60, 120, 124, 125]);
    (0..depth).fold(object(draw, 1), |inner, level| match level % 3 {
        0 => json!([inner]),
        1 => json!({"a": inner}),
        _ => json!({"n": level, "b": inner, "s": "x"}),
    })
}

/// Documents and containers in them whose encoding takes about as much as is packed into one buffer.
fn near_a_kilobyte(draw: &mut Draw<'_>) -> Value {
    let mut members = rich(draw);
    let wanted = 950 + draw.below(150);
    match draw.below(3) {
        0 => {
            let pad = wanted.saturating_sub(Value::Object(members.clone()).to_string().len());
            members.insert("pad".to_owned(), "x".repeat(pad).into());
        }
        1 => {
            let items: Vec<Value> = (0..wanted / 8).map(|n| json!(n * 1_000_001)).collect();
            members.insert("nums".to_owned(), items.into());
        }
        _ => {
            let named = |n: usize| (format!("m{n}"), json!(n % 7));
            members.insert("o".to_owned(), Value::Object((0..wanted / 7).map(named).collect()));
        }
    }
    Value::Object(members)
}

/// Hundreds of elements and members.
fn many(draw: &mut Draw<'_>) -> Value {
    let len = 100 + draw.below(500);
    let nums: Vec<Value> = (0..len).map(|n| json!(n * 7 % 10)).collect();
    let objs: Vec<Value> = (0..len / 4).map(|n| json!({"n": n % 5, "s": n.to_string()})).collect();
    let members = (0..len / 2).map(|n| (format!("k{n}"), json!(n))).collect();
    json!({"nums": nums, "objs": objs, "o": Value::Object(members), "n": number(draw)})
}
