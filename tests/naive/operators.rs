//! The operators, each as a function from the old value to the new one.

use std::cmp::Ordering;
use std::panic;
use std::sync::Once;

use serde_json::{Map, Value};

use super::model::{DEPTH_MAX, Means, Word, compare_numbers, equal, measure};
use super::number::{Num, arithmetic};
use super::path::{self, Child, Found, Step};
use super::time;

#[derive(Clone, Debug)]
pub enum Reply {
    Nil,
    Count(usize),
    Json(Value),
    Item(String, Value),
    Many(Vec<Reply>),
}

impl Reply {
    /// In the notation of replies.
    pub fn text(&self) -> String {
        match self {
            Reply::Nil => "(nil)".to_owned(),
            Reply::Count(count) => format!("(integer) {count}"),
            Reply::Json(value) => value.to_string(),
            Reply::Item(name, value) => format!("[{name} {value}]"),
            Reply::Many(replies) => {
                format!("[{}]", replies.iter().map(Reply::text).collect::<Vec<_>>().join(" "))
            }
        }
    }
}

pub struct Done {
    /// The new value; none where nothing was done.
    pub new: Option<Value>,
    pub reply: Reply,
    /// Flag: a value may have been changed and changed back.
    pub touched: bool,
}

fn stays(reply: Reply) -> Result<Done, Word> {
    Ok(Done { new: None, reply, touched: false })
}

fn becomes(new: Value, reply: Reply) -> Result<Done, Word> {
    Ok(Done { new: Some(new), reply, touched: false })
}

fn replies_itself(new: Value) -> Result<Done, Word> {
    becomes(new.clone(), Reply::Json(new))
}

/// Runs the operator on the value, with so many containers around it, or on no value where it may
/// create something.
pub fn operate(
    operator: &str,
    (old, around): (Option<&Value>, usize),
    rest: &[&Means],
    now_us: u64,
) -> Result<Done, Word> {
    match (operator, rest) {
        ("SET" | "SETXX", [Means::Json(new)]) => becomes(new.clone(), Reply::Count(1)),
        ("SETNX", [Means::Json(new)]) => match old {
            Some(_) => stays(Reply::Count(0)),
            None => becomes(new.clone(), Reply::Count(1)),
        },
        ("NOW", [Means::Choice(unit)]) => replies_itself(match *unit {
            "ISO" => Value::from(time::iso(now_us / 1000)),
            "MS" => Value::from(now_us / 1000),
            _ => Value::from(now_us / 1_000_000),
        }),
        ("EVAL", [Means::Expression(text)]) => replies_itself(evaluated(text, old)?),
        ("MERGE", [Means::Json(patch)]) => replies_itself(merged(old, patch)),
        ("UPDATE", [Means::Json(Value::Object(members))]) => updated(old, members),
        ("PATCH", [Means::Json(Value::Array(operations))]) => {
            let new = patched(present(old), around, operations)?;
            let touched = operations.len() > 1 || operations.iter().any(|o| o["op"] == "move");
            Ok(Done { new: Some(new.clone()), reply: Reply::Json(new), touched })
        }
        ("CLEAR", []) => cleared(present(old)),
        ("LEN", []) => match present(old) {
            Value::Array(items) => stays(Reply::Count(items.len())),
            Value::Object(members) => stays(Reply::Count(members.len())),
            Value::String(text) => stays(Reply::Count(text.chars().count())),
            _ => Err("TYPE"),
        },
        ("TOGGLE", []) => replies_itself(Value::Bool(!present(old).as_bool().ok_or("TYPE")?)),
        ("INCR" | "MUL" | "DIV" | "FLOORDIV" | "MOD" | "POW" | "MIN" | "MAX", [Means::Json(n)]) => {
            on_number(operator, old, Num::of(n).expect("a number"))
        }
        ("STRAPPEND" | "STRREPEAT" | "BYTESAPPEND" | "TIMEADD", [operand]) => {
            on_string(operator, old, operand)
        }
        ("POPKEY", [Means::Text(name)]) => popped_member(present(old), Some(name)),
        ("POPITEM", []) => popped_member(present(old), None),
        (
            "APPEND" | "PREPEND" | "INSERT" | "ADDUNIQ" | "PULL" | "PULLALL" | "POP" | "TRIM"
            | "DELRANGE" | "SORT",
            _,
        ) => on_array(operator, old, rest),
        _ => {
            // Told once: the case is made smaller by running it again and again.
            static TOLD: Once = Once::new();
            let line = line!() - 3;
            TOLD.call_once(|| eprintln!("{}:{line}: an arm for {operator} goes here", file!()));
            panic::resume_unwind(Box::new(format!("{operator} of {rest:?} is unknown")))
        }
    }
}

fn evaluated(expression: &str, old: Option<&Value>) -> Result<Value, Word> {
    let value = old.cloned().unwrap_or(Value::Null);
    Ok(match expression {
        "value" => value,
        "value == null ? 0 : value" if value.is_null() => Value::from(0),
        "value == null ? 0 : value" => value,
        "[value]" => Value::Array(vec![value]),
        // `json!` would respell exponents.
        "{'was': value}" => Value::Object([("was".to_owned(), value)].into_iter().collect()),
        "1 + 2 * 3" => Value::from(7),
        "1 / 0" | "self['no such member']" | "9223372036854775807 + 1" => return Err("EXPR"),
        other => panic!("the naive model does not know the expression {other}"),
    })
}

fn present(old: Option<&Value>) -> &Value {
    old.expect("the operator needs something")
}

fn on_number(operator: &str, old: Option<&Value>, n: Num) -> Result<Done, Word> {
    let old = match (old, operator) {
        (Some(old), _) => Num::of(old).ok_or("TYPE")?,
        (None, "INCR") => Num::Int(0),
        (None, _) => n,
    };
    replies_itself(arithmetic(operator, old, n)?.value())
}

// --- Strings ---------------------------------------------------------------------------------

fn on_string(operator: &str, old: Option<&Value>, operand: &Means) -> Result<Done, Word> {
    let text = old.map_or(Some(""), Value::as_str).ok_or("TYPE")?;
    match (operator, operand) {
        ("STRAPPEND", Means::Json(more)) => {
            let new = format!("{text}{}", more.as_str().expect("a string"));
            let length = new.chars().count();
            becomes(Value::from(new), Reply::Count(length))
        }
        ("STRREPEAT", Means::Integer(times)) => {
            let times = usize::try_from(*times).unwrap_or(0);
            let bytes = text.len().saturating_mul(times);
            if bytes > 64 << 20 {
                return Err("LIMIT");
            }
            let new = if text.is_empty() { String::new() } else { text.repeat(times) };
            let length = new.chars().count();
            becomes(Value::from(new), Reply::Count(length))
        }
        ("BYTESAPPEND", Means::Bytes(more)) => {
            let mut bytes = decoded(text).ok_or("TYPE")?;
            bytes.extend(more);
            becomes(Value::from(encoded(&bytes)), Reply::Count(bytes.len()))
        }
        ("TIMEADD", Means::Months(months, nanoseconds)) => {
            replies_itself(Value::from(time::add(text, *months, *nanoseconds)?))
        }
        _ => unreachable!("{operator} is not for strings"),
    }
}

const BASE64: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

fn encoded(bytes: &[u8]) -> String {
    let quad = |chunk: &[u8]| {
        let byte = |at: usize| u32::from(chunk.get(at).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        let digit = |nth: usize| BASE64[(bits >> (18 - 6 * nth)) as usize & 63] as char;
        (0..4).map(|nth| if nth <= chunk.len() { digit(nth) } else { '=' }).collect::<String>()
    };
    bytes.chunks(3).map(quad).collect()
}

/// Base64 is what encoding gives, and nothing else is.
fn decoded(text: &str) -> Option<Vec<u8>> {
    let digits = text.trim_end_matches('=');
    let (mut bytes, mut bits, mut held) = (Vec::new(), 0u32, 0);
    for digit in digits.bytes() {
        bits = bits << 6 | BASE64.iter().position(|d| *d == digit)? as u32;
        held += 6;
        if held >= 8 {
            held -= 8;
            bytes.push((bits >> held) as u8);
            bits &= (1 << held) - 1;
        }
    }
    (encoded(&bytes) == text).then_some(bytes)
}

// --- Objects ---------------------------------------------------------------------------------

/// `MergePatch` of RFC 7396, section 2.
fn merged(target: Option<&Value>, patch: &Value) -> Value {
    let Value::Object(patch) = patch else { return patch.clone() };
    let mut result = match target {
        Some(Value::Object(members)) => members.clone(),
        _ => Map::new(),
    };
    for (name, value) in patch {
        if value.is_null() {
            result.shift_remove(name);
        } else {
            let value = merged(result.get(name), value);
            result.insert(name.clone(), value);
        }
    }
    Value::Object(result)
}

fn updated(old: Option<&Value>, members: &Map<String, Value>) -> Result<Done, Word> {
    let mut new = match old {
        None => Map::new(),
        Some(old) => old.as_object().ok_or("TYPE")?.clone(),
    };
    new.extend(members.clone());
    becomes(Value::Object(new), Reply::Count(members.len()))
}

fn cleared(old: &Value) -> Result<Done, Word> {
    let empty = match old {
        Value::Null | Value::Bool(_) => return stays(Reply::Count(0)),
        Value::Number(_) => Value::from(0),
        Value::String(_) => Value::from(""),
        Value::Array(_) => Value::Array(Vec::new()),
        Value::Object(_) => Value::Object(Map::new()),
    };
    if equal(old, &empty) { stays(Reply::Count(0)) } else { becomes(empty, Reply::Count(1)) }
}

/// The member of that name, or the last.
fn popped_member(old: &Value, name: Option<&str>) -> Result<Done, Word> {
    let mut members = old.as_object().ok_or("TYPE")?.clone();
    let last = members.keys().next_back().cloned();
    let Some(popped) = name.map(str::to_owned).or(last) else { return stays(Reply::Nil) };
    match members.shift_remove(&popped) {
        None => stays(Reply::Nil),
        Some(value) => {
            let reply = match name {
                Some(_) => Reply::Json(value),
                None => Reply::Item(popped, value),
            };
            becomes(Value::Object(members), reply)
        }
    }
}

// --- Arrays ----------------------------------------------------------------------------------

fn on_array(operator: &str, old: Option<&Value>, rest: &[&Means]) -> Result<Done, Word> {
    let empty = Vec::new();
    let old = old.map_or(Some(&empty), Value::as_array).ok_or("TYPE")?;
    let mut new = old.clone();
    let reply = match (operator, rest) {
        ("APPEND", [Means::Json(more)]) => {
            new.extend(items(more));
            Reply::Count(new.len())
        }
        ("PREPEND", [Means::Json(more)]) => {
            new.splice(0..0, items(more));
            Reply::Count(new.len())
        }
        ("INSERT", [Means::Integer(index), Means::Json(more)]) => {
            let at = python_bound(*index, old.len());
            new.splice(at..at, items(more));
            Reply::Count(new.len())
        }
        ("ADDUNIQ", [Means::Json(more)]) => {
            for item in items(more) {
                if !new.iter().any(|there| equal(there, &item)) {
                    new.push(item);
                }
            }
            Reply::Count(new.len() - old.len())
        }
        ("PULLALL", [Means::Json(wanted)]) => {
            let wanted = items(wanted);
            new.retain(|item| !wanted.iter().any(|other| equal(other, item)));
            Reply::Count(old.len() - new.len())
        }
        ("PULL", [Means::Integer(count), Means::Json(wanted)]) => {
            pull(&mut new, *count, wanted);
            Reply::Count(old.len() - new.len())
        }
        ("POP", [Means::Integer(index)]) => {
            let from_start = if *index < 0 { *index + old.len() as i64 } else { *index };
            match usize::try_from(from_start).ok().filter(|at| *at < old.len()) {
                Some(at) => Reply::Json(new.remove(at)),
                None => Reply::Nil,
            }
        }
        ("TRIM", [Means::Integer(start), Means::Integer(stop)]) => {
            new = ltrim(old, *start, *stop);
            Reply::Count(new.len())
        }
        ("DELRANGE", [Means::Integer(start), Means::Integer(stop)]) => {
            let (start, stop) = (python_bound(*start, old.len()), python_bound(*stop, old.len()));
            if start < stop {
                new.drain(start..stop);
            }
            Reply::Count(new.len())
        }
        ("SORT", [Means::Choice(order), Means::SortKey(by)]) => {
            sort(&mut new, *order == "DESC", by)?;
            Reply::Count(new.len())
        }
        _ => panic!("{}:{}: say here what {operator} makes of {rest:?}", file!(), line!()),
    };
    becomes(Value::Array(new), reply)
}

fn items(array: &Value) -> Vec<Value> {
    array.as_array().expect("the operand is an array").clone()
}

/// Where a slice's bound is in Python.
fn python_bound(index: i64, len: usize) -> usize {
    let from_start = if index < 0 { index.saturating_add(len as i64).max(0) } else { index };
    usize::try_from(from_start).unwrap().min(len)
}

/// `LREM`.
fn pull(items: &mut Vec<Value>, count: i64, wanted: &Value) {
    let mut left = if count == 0 { u64::MAX } else { count.unsigned_abs() };
    let mut keep = |item: &Value| {
        let goes = left > 0 && equal(item, wanted);
        left -= u64::from(goes);
        !goes
    };
    if count < 0 {
        items.reverse();
        items.retain(&mut keep);
        items.reverse();
    } else {
        items.retain(&mut keep);
    }
}

/// `ltrimCommand` of Redis' `t_list.c`.
fn ltrim(items: &[Value], start: i64, end: i64) -> Vec<Value> {
    let length = items.len() as i64;
    let mut start = if start < 0 { start.saturating_add(length) } else { start };
    let mut end = if end < 0 { end.saturating_add(length) } else { end };
    start = start.max(0);
    if start > end || start >= length {
        return Vec::new();
    }
    end = end.min(length - 1);
    items[start as usize..=end as usize].to_vec()
}

fn sort(items: &mut [Value], descending: bool, by: &[Step]) -> Result<(), Word> {
    let key = |item: &Value| match path::resolve(item, by, false) {
        Found::Present(location) => Some(path::at(item, &location).clone()),
        _ => None,
    };
    if items.iter().filter_map(key).any(|key| key.is_array() || key.is_object()) {
        return Err("TYPE");
    }
    items.sort_by(|a, b| match (key(a), key(b)) {
        (Some(a), Some(b)) if descending => compare_keys(&b, &a),
        (Some(a), Some(b)) => compare_keys(&a, &b),
        (a, b) => a.is_none().cmp(&b.is_none()),
    });
    Ok(())
}

fn compare_keys(a: &Value, b: &Value) -> Ordering {
    let rank = |key: &Value| match key {
        Value::Null => 0,
        Value::Bool(false) => 1,
        Value::Bool(true) => 2,
        Value::Number(_) => 3,
        _ => 4,
    };
    match (a, b) {
        (Value::Number(_), Value::Number(_)) => compare_numbers(a, b),
        (Value::String(a), Value::String(b)) => a.chars().cmp(b.chars()),
        _ => rank(a).cmp(&rank(b)),
    }
}

// --- JSON Patch ------------------------------------------------------------------------------

fn patched(target: &Value, around: usize, operations: &[Value]) -> Result<Value, Word> {
    let mut value = target.clone();
    for operation in operations {
        let pointer = |name: &str| tokens(operation[name].as_str().expect("a pointer"));
        let to = pointer("path");
        match operation["op"].as_str().expect("an operation") {
            "add" => add(&mut value, &to, operation["value"].clone())?,
            "remove" => {
                let at = find(&value, &to)?;
                path::remove(&mut value, &at);
            }
            "replace" => {
                let at = find(&value, &to)?;
                *path::at_mut(&mut value, &at) = operation["value"].clone();
            }
            "copy" => {
                let copy = path::at(&value, &find(&value, &pointer("from"))?).clone();
                add(&mut value, &to, copy)?;
            }
            "move" => {
                let from = find(&value, &pointer("from"))?;
                let moved = path::at(&value, &from).clone();
                if operation["from"] != operation["path"] {
                    path::remove(&mut value, &from);
                    add(&mut value, &to, moved)?;
                }
            }
            "test" if equal(path::at(&value, &find(&value, &to)?), &operation["value"]) => {}
            "test" => return Err("CONDITION"),
            other => unreachable!("{other} is no operation"),
        }
        if around + measure(&value).0 > DEPTH_MAX {
            return Err("LIMIT");
        }
    }
    Ok(value)
}

fn tokens(pointer: &str) -> Vec<Step> {
    let token = |token: &str| Step::Token(token.replace("~1", "/").replace("~0", "~"));
    pointer.split('/').skip(1).map(token).collect()
}

fn find(value: &Value, pointer: &[Step]) -> Result<Vec<Child>, Word> {
    match path::resolve(value, pointer, false) {
        Found::Present(location) => Ok(location),
        Found::Gap { last: Child::Item(_), .. } => Err("RANGE"),
        Found::Gap { .. } => Err("NOPATH"),
        Found::Blocked(word) => Err(word),
    }
}

fn add(value: &mut Value, pointer: &[Step], new: Value) -> Result<(), Word> {
    match path::resolve(value, pointer, false) {
        Found::Blocked(word) => return Err(word),
        Found::Gap { parent, last, deeper } => path::fill(value, &parent, &last, &deeper, new),
        Found::Present(location) => match location.split_last() {
            Some((Child::Item(index), array)) => path::at_mut(value, array)
                .as_array_mut()
                .expect("items are in arrays")
                .insert(*index, new),
            _ => *path::at_mut(value, &location) = new,
        },
    }
    Ok(())
}
