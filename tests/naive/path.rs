//! Paths as what they mean, their text, and where they lead. Nothing here reads a path's text: whoever
//! makes one up knows what it means. Text may name a value of [`args`] in place of the value.

use std::cmp::Ordering;

use serde_json::{Value, json};

use super::model::{Word, compare_numbers, equal};

#[derive(Clone, Debug)]
pub enum Step {
    Name(String),
    Index(i64),
    /// A token of a JSON Pointer: a name in an object, an index in an array.
    Token(String),
}

#[derive(Clone, Debug)]
pub enum Selector {
    Name(String),
    Index(i64),
    Wildcard,
    Slice(Option<i64>, Option<i64>, i64),
    /// `?@.name`, or `?@` compared.
    Filter(Vec<Step>, Option<(&'static str, Value)>),
}

#[derive(Clone, Debug)]
pub struct Segment {
    pub descendant: bool,
    pub selectors: Vec<Selector>,
}

#[derive(Clone, Debug)]
pub enum Path {
    Singular(Vec<Step>),
    Query(Vec<Segment>),
}

/// One step to something that is there.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Child {
    Item(usize),
    Member(String),
}

pub type Location = Vec<Child>;

/// Where a singular path leads.
pub enum Found {
    Present(Location),
    /// Nothing is there, but something can be put there: a member, or at the array's end, with
    /// objects in between.
    Gap {
        parent: Location,
        last: Child,
        deeper: Vec<String>,
    },
    Blocked(Word),
}

pub fn at<'v>(root: &'v Value, location: &[Child]) -> &'v Value {
    location.iter().fold(root, |value, child| match child {
        Child::Item(index) => &value[*index],
        Child::Member(name) => &value[name],
    })
}

pub fn at_mut<'v>(root: &'v mut Value, location: &[Child]) -> &'v mut Value {
    location.iter().fold(root, |value, child| match child {
        Child::Item(index) => &mut value[*index],
        Child::Member(name) => &mut value[name],
    })
}

/// Removes the value there, which is not the root.
pub fn remove(root: &mut Value, location: &[Child]) {
    let (last, parent) = location.split_last().expect("the root stays");
    match (at_mut(root, parent), last) {
        (Value::Array(items), Child::Item(index)) => drop(items.remove(*index)),
        (Value::Object(members), Child::Member(name)) => drop(members.shift_remove(name)),
        _ => unreachable!("the location is one of this document"),
    }
}

/// Fills a gap.
pub fn fill(root: &mut Value, parent: &[Child], last: &Child, deeper: &[String], new: Value) {
    let wrap = |inner, name: &String| Value::Object([(name.clone(), inner)].into_iter().collect());
    let new = deeper.iter().rev().fold(new, wrap);
    match (at_mut(root, parent), last) {
        (Value::Array(items), _) => items.push(new),
        (Value::Object(members), Child::Member(name)) => drop(members.insert(name.clone(), new)),
        _ => unreachable!("gaps are in containers"),
    }
}

/// An index counted from the end where it is negative; it may lie outside.
fn absolute(index: i64, len: usize) -> i64 {
    if index < 0 { index + len as i64 } else { index }
}

fn token_index(token: &str, len: usize) -> Option<i64> {
    match token {
        "-" => Some(len as i64),
        "0" => Some(0),
        _ if token.starts_with('0') || token.is_empty() => None,
        _ if token.bytes().all(|b| b.is_ascii_digit()) => Some(token.parse().unwrap_or(i64::MAX)),
        _ => None,
    }
}

/// The children a step could lead to: an index in an array, a name in an object, or neither.
fn child(value: &Value, step: &Step) -> Option<Result<String, i64>> {
    match (value, step) {
        (Value::Object(_), Step::Name(name) | Step::Token(name)) => Some(Ok(name.clone())),
        (Value::Array(items), Step::Index(index)) => Some(Err(absolute(*index, items.len()))),
        (Value::Array(items), Step::Token(token)) => token_index(token, items.len()).map(Err),
        _ => None,
    }
}

pub fn resolve(root: &Value, steps: &[Step], make_path: bool) -> Found {
    let mut location = Location::new();
    for (nth, step) in steps.iter().enumerate() {
        let value = at(root, &location);
        let below = &steps[nth + 1..];
        match child(value, step) {
            None => return Found::Blocked("TYPE"),
            Some(Ok(name)) if value.get(&name).is_some() => location.push(Child::Member(name)),
            Some(Ok(name)) => return missing_member(location, name, below, make_path),
            Some(Err(index)) if usize::try_from(index).is_ok_and(|i| value.get(i).is_some()) => {
                location.push(Child::Item(index as usize));
            }
            Some(Err(_)) if !below.is_empty() => return Found::Blocked("NOPATH"),
            Some(Err(index)) if index == value.as_array().unwrap().len() as i64 => {
                let last = Child::Item(index as usize);
                return Found::Gap { parent: location, last, deeper: Vec::new() };
            }
            Some(Err(_)) => return Found::Blocked("RANGE"),
        }
    }
    Found::Present(location)
}

fn missing_member(parent: Location, name: String, below: &[Step], make_path: bool) -> Found {
    let name_of = |step: &Step| match step {
        Step::Name(name) | Step::Token(name) => Some(name.clone()),
        Step::Index(_) => None,
    };
    match below.iter().map(name_of).collect::<Option<Vec<_>>>() {
        Some(deeper) if make_path || below.is_empty() => {
            Found::Gap { parent, last: Child::Member(name), deeper }
        }
        _ => Found::Blocked("NOPATH"),
    }
}

pub fn children(value: &Value) -> Vec<Child> {
    match value {
        Value::Array(items) => (0..items.len()).map(Child::Item).collect(),
        Value::Object(members) => members.keys().cloned().map(Child::Member).collect(),
        _ => Vec::new(),
    }
}

/// Everything below a place, and the place itself, in the order in which it is written.
pub fn everything_below(root: &Value, start: Location) -> Vec<Location> {
    fn visit(value: &Value, location: Location, all: &mut Vec<Location>) {
        for child in children(value) {
            let below = at(value, std::slice::from_ref(&child));
            let mut location = location.clone();
            location.push(child);
            all.push(location.clone());
            visit(below, location, all);
        }
    }
    let mut all = vec![start.clone()];
    visit(at(root, &start), start, &mut all);
    all
}

/// All matches in the order of RFC 9535, with repetitions.
pub fn select(root: &Value, segments: &[Segment]) -> Vec<Location> {
    let mut nodes = vec![Location::new()];
    for segment in segments {
        let from = nodes.into_iter().flat_map(|node| match segment.descendant {
            true => everything_below(root, node),
            false => vec![node],
        });
        nodes = from
            .flat_map(|node| {
                let chosen = segment.selectors.iter().flat_map(|s| choose(at(root, &node), s));
                let below = |child| [&node[..], &[child]].concat();
                chosen.map(below).collect::<Vec<_>>()
            })
            .collect();
    }
    nodes
}

fn choose(value: &Value, selector: &Selector) -> Vec<Child> {
    let len = value.as_array().map_or(0, Vec::len);
    let item = |index: i64| (0..len as i64).contains(&index).then_some(Child::Item(index as usize));
    match selector {
        Selector::Name(name) => {
            value.get(name).map(|_| Child::Member(name.clone())).into_iter().collect()
        }
        Selector::Index(index) => item(absolute(*index, len)).into_iter().collect(),
        Selector::Wildcard => children(value),
        Selector::Slice(start, end, step) => {
            slice(*start, *end, *step, len).into_iter().filter_map(item).collect()
        }
        Selector::Filter(steps, test) => {
            let holds = |child: &Child| holds(at(value, std::slice::from_ref(child)), steps, test);
            children(value).into_iter().filter(holds).collect()
        }
    }
}

/// RFC 9535 section 2.3.4.2.2.
fn slice(start: Option<i64>, end: Option<i64>, step: i64, len: usize) -> Vec<i64> {
    let length = len as i64;
    let bound = |index: i64, least, most| absolute(index, len).clamp(least, most);
    let mut chosen = Vec::new();
    if step > 0 {
        let (mut i, upper) =
            (bound(start.unwrap_or(0), 0, length), bound(end.unwrap_or(length), 0, length));
        while i < upper {
            chosen.push(i);
            i += step;
        }
    } else if step < 0 {
        let mut i = bound(start.unwrap_or(length - 1), -1, length - 1);
        let lower = bound(end.unwrap_or(-length - 1), -1, length - 1);
        while lower < i {
            chosen.push(i);
            i += step;
        }
    }
    chosen
}

fn holds(current: &Value, steps: &[Step], test: &Option<(&'static str, Value)>) -> bool {
    let left = match resolve(current, steps, false) {
        Found::Present(location) => Some(at(current, &location)),
        _ => None,
    };
    let Some((operator, right)) = test else { return left.is_some() };
    let same = left.is_some_and(|left| equal(left, right));
    let order = left.and_then(|left| match (left, right) {
        (Value::String(a), Value::String(b)) => Some(a.chars().cmp(b.chars())),
        (Value::Number(_), Value::Number(_)) => Some(compare_numbers(left, right)),
        _ => None,
    });
    match *operator {
        "==" => same,
        "!=" => !same,
        "<" => order == Some(Ordering::Less),
        ">" => order == Some(Ordering::Greater),
        "<=" => same || order == Some(Ordering::Less),
        ">=" => same || order == Some(Ordering::Greater),
        _ => unreachable!("{operator} is no comparison"),
    }
}

// --- Text ------------------------------------------------------------------------------------

/// The spelling that takes names, indexes and literals from [`args`].
pub const BOUND: usize = 3;
/// The number of spellings.
pub const STYLES: usize = 4;

/// The ARGS of every command: names, indexes and literals that paths are made of.
pub fn args() -> Value {
    json!({"v": ["n", "s", "a", "o", 0, 1, -1, 2, null, true, "~", "\n"], "none": {}})
}

/// The value in brackets or in a filter as text that is bound to it, where `args` has it.
fn bound(value: &Value) -> Option<String> {
    let args = args();
    let at = args["v"].as_array()?.iter().position(|known| known == value)?;
    Some(if at % 2 == 0 { format!("args.v[{at}]") } else { format!("args['v'][{at}]") })
}

/// A name in brackets: in single quotes, or in double ones as a JSON string.
fn quoted(name: &str, double: bool) -> String {
    if double {
        return format!("[{}]", Value::from(name));
    }
    let mut out = String::new();
    for c in name.chars() {
        match c {
            '\'' | '\\' => out.extend(['\\', c]),
            ' '.. => out.push(c),
            _ => out.push_str(&format!("\\u{:04X}", u32::from(c))),
        }
    }
    format!("['{out}']")
}

fn is_plain(name: &str) -> bool {
    let sound = |c: char| c.is_ascii_alphanumeric() || c == '_' || c > '\x7f';
    name.chars().all(sound) && !name.is_empty() && !name.starts_with(|c: char| c.is_ascii_digit())
}

fn name_text(name: &str, style: usize) -> String {
    if style == 0 && is_plain(name) { format!(".{name}") } else { quoted(name, style == 1) }
}

/// The text of steps behind `$` or `@`. `style` chooses between spellings of the same.
pub fn steps_text(steps: &[Step], style: usize) -> String {
    let bound = |value: Value| bound(&value).filter(|_| style == BOUND);
    let text = |step: &Step| match step {
        Step::Name(name) => match bound(name.as_str().into()) {
            Some(bound) => format!("[{bound}]"),
            None => name_text(name, style),
        },
        Step::Index(index) if bound((*index).into()).is_some() => {
            format!("[{}]", bound((*index).into()).expect("it is bound"))
        }
        Step::Index(index) => format!("[{index}]"),
        Step::Token(token) => format!("/{}", token.replace('~', "~0").replace('/', "~1")),
    };
    steps.iter().map(text).collect()
}

fn selector_text(selector: &Selector, style: usize) -> String {
    let end = |bound: &Option<i64>| bound.map(|b| b.to_string()).unwrap_or_default();
    let bound = |value: Value| bound(&value).filter(|_| style == BOUND);
    let filtered = if style == BOUND { BOUND } else { 0 };
    match selector {
        Selector::Name(name) if bound(name.as_str().into()).is_some() => {
            bound(name.as_str().into()).expect("it is bound")
        }
        Selector::Index(index) if bound((*index).into()).is_some() => {
            bound((*index).into()).expect("it is bound")
        }
        Selector::Name(name) => {
            let quoted = quoted(name, true);
            quoted[1..quoted.len() - 1].to_owned()
        }
        Selector::Index(index) => index.to_string(),
        Selector::Wildcard => "*".to_owned(),
        Selector::Slice(start, stop, 1) => format!("{}:{}", end(start), end(stop)),
        Selector::Slice(start, stop, step) => format!("{}:{}:{step}", end(start), end(stop)),
        Selector::Filter(steps, None) => format!("?@{}", steps_text(steps, filtered)),
        Selector::Filter(steps, Some((operator, literal))) => {
            let literal = bound(literal.clone()).unwrap_or_else(|| literal.to_string());
            format!("?@{}{operator}{literal}", steps_text(steps, filtered))
        }
    }
}

impl Path {
    pub fn text(&self, style: usize) -> String {
        match self {
            Path::Singular(steps) if matches!(steps.first(), Some(Step::Token(_))) => {
                steps_text(steps, style)
            }
            Path::Singular(steps) => format!("${}", steps_text(steps, style)),
            Path::Query(segments) => {
                let text = |segment: &Segment| {
                    let selectors: Vec<_> =
                        segment.selectors.iter().map(|s| selector_text(s, style)).collect();
                    let dots = if segment.descendant { ".." } else { "" };
                    format!("{dots}[{}]", selectors.join(","))
                };
                format!("${}", segments.iter().map(text).collect::<String>())
            }
        }
    }
}
