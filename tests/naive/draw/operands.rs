//! Operands of every kind, as the operator's declaration asks for them; now and then one that is none.

use redis_model::op::OperandKind;
use serde_json::{Value, json};

use super::Draw;
use super::documents::{NAMES, NUMBERS, sound, text, value};
use super::paths::{self, Wanted, singular, stray};
use crate::model::{Means, Operand, Word, read};
use crate::path::{self, Path, Step};

fn meaning(text: impl Into<String>, means: Means) -> Operand {
    Operand { text: text.into(), means: Ok(means) }
}

fn nonsense(text: impl Into<String>, word: Word) -> Operand {
    Operand { text: text.into(), means: Err(word) }
}

fn json_operand(value: Value) -> Operand {
    let value = sound(value);
    meaning(value.to_string(), Means::Json(value))
}

fn path_operand(draw: &mut Draw<'_>, path: Path) -> Operand {
    let text = path.text(draw.below(path::STYLES));
    meaning(text, Means::Path(path))
}

pub(super) struct Context<'c> {
    pub document: &'c Value,
    pub operator: &'static str,
    /// The value at the first operand's path.
    pub target: Option<Value>,
}

pub(super) fn operand(draw: &mut Draw<'_>, kind: OperandKind, context: &Context<'_>) -> Operand {
    if draw.once_in(30) {
        return mistake(draw, kind);
    }
    let operand = sound_operand(draw, kind, context);
    if draw.once_in(6) { computed(kind, operand) } else { operand }
}

/// The same operand as an expression, where it may be one: literals of JSON are literals of expressions.
fn computed(kind: OperandKind, operand: Operand) -> Operand {
    use OperandKind as Kind;
    let Operand { text, means } = operand;
    // An integer beyond 64 bits is none of an expression.
    if text.contains("00000000000000000000") || text.contains("18446744073709552000") {
        return Operand { text, means };
    }
    let short = text.len() < 500 && text.matches(['[', '{']).count() < 20;
    let text = match kind {
        Kind::Json | Kind::JsonArray | Kind::JsonObject | Kind::JsonString | Kind::Patch
            if short =>
        {
            format!("={text}")
        }
        Kind::Number | Kind::Integer => format!("={text}"),
        Kind::Duration => format!("='{text}'"),
        _ => text,
    };
    Operand { text, means }
}

fn sound_operand(draw: &mut Draw<'_>, kind: OperandKind, context: &Context<'_>) -> Operand {
    match kind {
        OperandKind::Path
        | OperandKind::PathBelowRoot
        | OperandKind::Singular
        | OperandKind::SingularBelowRoot => any_path(draw, kind, context),
        OperandKind::Json => json_operand(replacement(draw, context)),
        OperandKind::JsonArray => {
            let len = draw.pick(&[1, 2, 0, 3, 40]);
            json_operand((0..len).map(|_| element(draw, context)).collect())
        }
        OperandKind::JsonObject => json_operand(patch_object(draw, context)),
        OperandKind::JsonString => json_operand(text(draw)),
        OperandKind::Patch => json_operand(json_patch(draw, context)),
        OperandKind::Number => {
            // Results that only few pairs of numbers have.
            let partner = match context.target.as_ref().map(Value::to_string).as_deref() {
                Some("-9223372036854775808") => Some("-1"),
                Some("9223372036854775807") => Some("1"),
                Some("1e308") => Some("1e308"),
                Some("-1e308") => Some("-1e308"),
                _ => None,
            };
            let number = partner.filter(|_| draw.once_in(2));
            let number = number.unwrap_or_else(|| draw.pick(&NUMBERS));
            meaning(number, Means::Json(read(number).unwrap()))
        }
        OperandKind::Integer => {
            let integer = match context.operator {
                "STRREPEAT" => draw.pick(&[2, 1, 0, -1, 3, i64::MAX, i64::MIN, 1 << 40]),
                _ => draw.pick(&[0, 1, -1, 2, -2, 3, 5, -7, 100, i64::MAX, i64::MIN, i64::MIN + 1]),
            };
            meaning(integer.to_string(), Means::Integer(integer))
        }
        OperandKind::Name => {
            let names = context.target.as_ref().and_then(Value::as_object);
            let names: Vec<String> = names.map(|n| n.keys().cloned().collect()).unwrap_or_default();
            let there = !names.is_empty() && draw.below(3) < 2;
            let name = if there { draw.pick(&names) } else { draw.pick(&NAMES).to_owned() };
            meaning(name.clone(), Means::Text(name))
        }
        OperandKind::LockName | OperandKind::Fence => unreachable!("of operators on locks alone"),
        OperandKind::SortKey => sort_key(draw, context),
        OperandKind::Base64 => {
            let (text, bytes): (_, &[u8]) = draw.pick(&[
                ("AQ==", &[1][..]),
                ("", &[]),
                ("/+8B", &[255, 239, 1]),
                ("AAA=", &[0, 0]),
            ]);
            meaning(text, Means::Bytes(bytes.to_vec()))
        }
        OperandKind::Duration => duration(draw),
        OperandKind::Expression => {
            let text = draw.pick(&[
                "value",
                "value == null ? 0 : value",
                "[value]",
                "{'was': value}",
                "1 + 2 * 3",
                "1 / 0",
                "self['no such member']",
                "9223372036854775807 + 1",
            ]);
            meaning(text, Means::Expression(text))
        }
        OperandKind::Choice(words) => {
            let word = draw.pick(words);
            let text = if draw.once_in(3) { word.to_lowercase() } else { word.to_owned() };
            meaning(text, Means::Choice(word))
        }
    }
}

/// An operand that is refused before anything is looked up.
fn mistake(draw: &mut Draw<'_>, kind: OperandKind) -> Operand {
    use OperandKind as Kind;
    match kind {
        Kind::Path | Kind::PathBelowRoot => nonsense(
            draw.pick(&[
                "a",
                "$.",
                "$[",
                "/~2",
                "$[01]",
                "$[9007199254740992]",
                "$[args]",
                "$[args.none.v]",
            ]),
            "ERR",
        ),
        Kind::Singular | Kind::SingularBelowRoot => {
            nonsense(draw.pick(&["$.*", "$..a", "$[0,1]", "a"]), "ERR")
        }
        Kind::LockName | Kind::Fence => unreachable!("of operators on locks alone"),
        Kind::Json | Kind::JsonArray | Kind::JsonObject | Kind::JsonString => {
            let (text, word) = draw.pick(&[
                ("{", "ERR"),
                ("", "ERR"),
                ("[1,]", "ERR"),
                ("'a'", "ERR"),
                ("01", "ERR"),
                ("\"\\ud800\"", "ERR"),
                ("9223372036854775808", "RANGE"),
                ("[-9223372036854775809]", "RANGE"),
                ("100000000000000000001", "RANGE"),
                ("{\"a\":1e309}", "RANGE"),
            ]);
            nonsense(text, word)
        }
        Kind::Patch => {
            let text = draw.pick(&[
                "{}",
                "[1]",
                "[{\"op\":\"add\",\"path\":\"\"}]",
                "[{\"op\":\"remove\",\"path\":\"\"}]",
                "[{\"op\":\"move\",\"from\":\"/a\",\"path\":\"/a/b\"}]",
                "[{\"op\":\"test\",\"path\":\"a\",\"value\":1}]",
                "[{\"op\":\"nothing\",\"path\":\"/a\"}]",
            ]);
            nonsense(text, "ERR")
        }
        Kind::Number => {
            let (text, word) =
                draw.pick(&[("x", "ERR"), ("\"1\"", "ERR"), ("+1", "ERR"), ("1e400", "RANGE")]);
            nonsense(text, word)
        }
        Kind::Integer => {
            let (text, word) =
                draw.pick(&[("1.0", "ERR"), ("x", "ERR"), ("9223372036854775808", "RANGE")]);
            nonsense(text, word)
        }
        Kind::SortKey => nonsense(draw.pick(&["@.*", "$", "", "a", "@["]), "ERR"),
        Kind::Base64 => nonsense(draw.pick(&["Aw", "-_8=", "A", "====", "AQ==\n"]), "ERR"),
        Kind::Duration => {
            let (text, word) = draw.pick(&[
                ("1", "ERR"),
                ("1 h", "ERR"),
                ("P", "ERR"),
                ("", "ERR"),
                ("9999999999999999w", "RANGE"),
            ]);
            nonsense(text, word)
        }
        Kind::Choice(_) => nonsense("SIDEWAYS", "ERR"),
        Kind::Expression => nonsense(draw.pick(&["", "value +", "unknown", "1 2", "f(1)"]), "EXPR"),
        // Every argument is UTF-8 here.
        Kind::Name => meaning("a", Means::Text("a".to_owned())),
    }
}

fn any_path(draw: &mut Draw<'_>, kind: OperandKind, context: &Context<'_>) -> Operand {
    let wanted = match context.operator {
        // Only one quotient of integers does not fit.
        "FLOORDIV" if draw.once_in(4) => Wanted::Smallest,
        operator => Wanted::by(operator),
    };
    // EVAL is refused for its place alone, where others are for their operands too.
    if draw.once_in(if context.operator == "EVAL" { 6 } else { 20 }) {
        let steps = paths::outside(draw, context.document, false);
        return path_operand(draw, Path::Singular(steps));
    }
    // It changes nothing where something is.
    if context.operator == "SETNX" && draw.once_in(3) {
        let steps = paths::beside(draw, context.document, false);
        return path_operand(draw, Path::Singular(steps));
    }
    let may_be_query = matches!(kind, OperandKind::Path | OperandKind::PathBelowRoot);
    if may_be_query && draw.once_in(5) {
        let query = paths::query(draw, context.document, wanted);
        return path_operand(draw, Path::Query(query));
    }
    let pointer = draw.once_in(3);
    let mut steps = singular(draw, context.document, wanted, pointer);
    let below_root = matches!(kind, OperandKind::PathBelowRoot | OperandKind::SingularBelowRoot);
    if steps.is_empty() && below_root && !draw.once_in(8) {
        steps = singular(draw, context.document, wanted, pointer);
    }
    if steps.is_empty() && below_root {
        return nonsense(if pointer { "" } else { "$" }, "ERR");
    }
    if steps.is_empty() && pointer {
        return meaning("", Means::Path(Path::Singular(steps)));
    }
    path_operand(draw, Path::Singular(steps))
}

/// A value to put or to look for: often one that is there.
fn replacement(draw: &mut Draw<'_>, context: &Context<'_>) -> Value {
    match (context.operator, &context.target) {
        ("MERGE", _) if draw.below(4) < 3 => patch_object(draw, context),
        ("PULL", Some(Value::Array(items))) if !items.is_empty() && draw.below(4) < 3 => {
            draw.pick(items)
        }
        (_, Some(target)) if draw.once_in(8) => target.clone(),
        _ => value(draw, 2),
    }
}

fn element(draw: &mut Draw<'_>, context: &Context<'_>) -> Value {
    match &context.target {
        Some(Value::Array(items)) if !items.is_empty() && draw.once_in(3) => draw.pick(items),
        _ => value(draw, 1),
    }
}

/// Members of which some are there, some are null and some are nested.
fn patch_object(draw: &mut Draw<'_>, context: &Context<'_>) -> Value {
    let mut there: Vec<String> = match &context.target {
        Some(Value::Object(members)) => members.keys().cloned().collect(),
        _ => Vec::new(),
    };
    there.extend(NAMES.map(str::to_owned));
    let len = draw.pick(&[1, 2, 0, 4]);
    let member = |_| {
        let new = match draw.below(4) {
            0 | 1 => value(draw, 2),
            2 => Value::Null,
            _ => json!({"n": Value::Null, "a": value(draw, 1), "b": {"s": Value::Null}}),
        };
        // Half of the time a member that is likely to be there.
        let known = if draw.below(2) == 0 { there.len() } else { there.len().min(4) };
        (there[draw.below(known)].clone(), new)
    };
    Value::Object((0..len).map(member).collect())
}

fn json_patch(draw: &mut Draw<'_>, context: &Context<'_>) -> Value {
    let target = context.target.clone().unwrap_or(json!({}));
    let pointer = |draw: &mut Draw<'_>| {
        let mut steps = match draw.once_in(8) {
            true => paths::outside(draw, &target, true),
            false => singular(draw, &target, Wanted::Any, true),
        };
        if draw.once_in(4) {
            steps.push(stray(draw, &json!([]), true));
        }
        path::steps_text(&steps, 0)
    };
    let mut operations = Vec::new();
    for _ in 0..draw.pick(&[1, 2, 3, 0]) {
        let mut path = pointer(draw);
        let mut from = pointer(draw);
        let op = draw.pick(&["add", "remove", "replace", "move", "copy", "test"]);
        if op == "remove" && path.is_empty() {
            path.push_str("/a");
        }
        if op == "move" && (path.starts_with(&format!("{from}/")) || from.is_empty()) {
            std::mem::swap(&mut path, &mut from);
        }
        if op == "move" && from.is_empty() {
            path.clear();
        }
        let there = target.pointer(&path).cloned();
        let value = match there {
            Some(there) if op == "test" && draw.below(2) == 0 => there,
            _ => value(draw, 1),
        };
        operations.push(json!({"op": op, "path": path, "from": from, "value": value}));
    }
    operations.into()
}

fn sort_key(draw: &mut Draw<'_>, context: &Context<'_>) -> Operand {
    let first = context.target.as_ref().and_then(|target| target.get(0));
    let names: Vec<String> = match first {
        Some(Value::Object(members)) if !members.is_empty() => members.keys().cloned().collect(),
        _ => vec!["n".to_owned()],
    };
    let steps = match (first.is_some_and(Value::is_object), draw.below(6)) {
        (true, 0..=3) | (false, 5) => vec![Step::Name(draw.pick(&names))],
        (_, 4) => vec![Step::Index(draw.pick(&[0, -1]))],
        _ => Vec::new(),
    };
    let text = format!("@{}", path::steps_text(&steps, draw.below(path::STYLES)));
    meaning(text, Means::SortKey(steps))
}

/// Durations with their months and nanoseconds.
fn duration(draw: &mut Draw<'_>) -> Operand {
    const SECOND: i128 = 1_000_000_000;
    const DAY: i128 = 86_400 * SECOND;
    let (text, months, nanoseconds) = draw.pick(&[
        ("1h", 0, 3600 * SECOND),
        ("-1h30m", 0, -5400 * SECOND),
        ("250ms", 0, SECOND / 4),
        ("0", 0, 0),
        ("1.5s", 0, SECOND * 3 / 2),
        ("-1ns", 0, -1),
        ("3us", 0, 3000),
        ("2w1d", 0, 15 * DAY),
        ("-400d", 0, -400 * DAY),
        ("P1DT2H", 0, DAY + 7200 * SECOND),
        ("PT2H3S", 0, 7203 * SECOND),
        ("P1Y35D", 12, 35 * DAY),
        (".5s", 0, SECOND / 2),
        ("P1M", 1, 0),
        ("-P1M", -1, 0),
        ("-P1Y1M1DT1.001S", -13, -DAY - 1_001_000_000),
        ("P4Y", 48, 0),
        ("P3000Y", 36_000, 0),
        ("-P1W", 0, -7 * DAY),
        ("P9999999999M", 9_999_999_999, 0),
        ("-P9000Y", -108_000, 0),
        ("3000000d", 0, 3_000_000 * DAY),
        ("1000000000d", 0, 1_000_000_000 * DAY),
    ]);
    meaning(text, Means::Months(months, nanoseconds))
}
