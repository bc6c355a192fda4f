//! Paths: mostly to what an operator works on, sometimes to something else or to nothing.

use redis_model::op;
use serde_json::{Value, json};

use super::Draw;
use super::documents::{BASE64, NAMES, TIMES};
use crate::path::{self, Child, Location, Segment, Selector, Step};

/// The kind of value that an operator accepts.
#[derive(Clone, Copy)]
pub(super) enum Wanted {
    Any,
    Number,
    Smallest,
    Bool,
    Text,
    Base64,
    Time,
    Array,
    Object,
    Container,
    Sized,
}

impl Wanted {
    /// The kind an operator declares that it accepts. A patch finds more to do in a container.
    pub(super) fn by(operator: &str) -> Wanted {
        let spec = op::find(operator.as_bytes()).expect("the operator was drawn from the registry");
        match spec.accepts {
            "any" if ["PATCH", "MERGE"].contains(&operator) => Wanted::Container,
            "any" => Wanted::Any,
            "number" => Wanted::Number,
            "boolean" => Wanted::Bool,
            "string" => Wanted::Text,
            "base64 string" => Wanted::Base64,
            "array" => Wanted::Array,
            "object" => Wanted::Object,
            "array, object, string" => Wanted::Sized,
            time if time.starts_with("string with a RFC 3339 date") => Wanted::Time,
            other => {
                panic!("{}:{}: name a kind for {operator}, which accepts {other}", file!(), line!())
            }
        }
    }

    fn fits(self, value: &Value) -> bool {
        match self {
            Wanted::Any => true,
            Wanted::Number => value.is_number(),
            Wanted::Smallest => *value == json!(i64::MIN),
            Wanted::Bool => value.is_boolean(),
            Wanted::Text => value.is_string(),
            Wanted::Base64 => value.as_str().is_some_and(|text| BASE64.contains(&text)),
            Wanted::Time => value.as_str().is_some_and(|text| TIMES.contains(&text)),
            Wanted::Array => value.is_array(),
            Wanted::Object => value.is_object(),
            Wanted::Container => value.is_array() || value.is_object(),
            Wanted::Sized => value.is_array() || value.is_object() || value.is_string(),
        }
    }
}

/// The steps to a place in either of the standards; array indexes from either end.
fn steps_to(draw: &mut Draw<'_>, root: &Value, location: &[Child], pointer: bool) -> Vec<Step> {
    let from_end = draw.once_in(4);
    let step = |(nth, child): (usize, &Child)| match child {
        Child::Member(name) if pointer => Step::Token(name.clone()),
        Child::Member(name) => Step::Name(name.clone()),
        Child::Item(index) if pointer => Step::Token(index.to_string()),
        Child::Item(index) if from_end => {
            let len = path::at(root, &location[..nth]).as_array().map_or(0, Vec::len);
            Step::Index(*index as i64 - len as i64)
        }
        Child::Item(index) => Step::Index(*index as i64),
    };
    location.iter().enumerate().map(step).collect()
}

/// A step that mostly leads nowhere.
pub(super) fn stray(draw: &mut Draw<'_>, container: &Value, pointer: bool) -> Step {
    let len = container.as_array().map_or(0, Vec::len) as i64;
    let index = draw.pick(&[len, len + 1, 0, -1, -len - 1, 9_007_199_254_740_991]);
    let name = draw.pick(&NAMES).to_owned();
    let wants_index = container.is_array() != draw.once_in(5);
    match (pointer, wants_index) {
        (true, true) => Step::Token(
            draw.pick(&["-", &index.to_string(), "01", "99999999999999999999", ""]).into(),
        ),
        (true, false) => Step::Token(name),
        (false, true) => Step::Index(index),
        (false, false) => Step::Name(name),
    }
}

/// The steps to an element outside of an array, where there is an array.
pub(super) fn outside(draw: &mut Draw<'_>, root: &Value, pointer: bool) -> Vec<Step> {
    let location = place(draw, root, Value::is_array);
    let index = path::at(root, &location).as_array().map_or(0, Vec::len) + 1;
    let mut steps = steps_to(draw, root, &location, pointer);
    steps.push(if pointer { Step::Token(index.to_string()) } else { Step::Index(index as i64) });
    steps
}

/// The steps to a place in a container that mostly is not there.
pub(super) fn beside(draw: &mut Draw<'_>, root: &Value, pointer: bool) -> Vec<Step> {
    let arrays = draw.below(2) == 0;
    let is_container = |value: &Value| value.is_array() || !arrays && value.is_object();
    let at = place(draw, root, is_container);
    let mut steps = steps_to(draw, root, &at, pointer);
    steps.push(stray(draw, path::at(root, &at), pointer));
    steps
}

/// A place of a kind, or the root where there is none.
fn place(draw: &mut Draw<'_>, root: &Value, fits: impl Fn(&Value) -> bool) -> Location {
    let mut location = Location::new();
    let count = count(root, &fits);
    if count > 0 {
        let mut before = draw.below(count);
        assert!(find(root, &fits, &mut before, &mut location), "there are so many");
    }
    location
}

fn count(value: &Value, fits: &impl Fn(&Value) -> bool) -> usize {
    let below: usize = match value {
        Value::Array(items) => items.iter().map(|item| count(item, fits)).sum(),
        Value::Object(members) => members.values().map(|member| count(member, fits)).sum(),
        _ => 0,
    };
    usize::from(fits(value)) + below
}

/// Leads `location` to the place that fits with `before` others before it.
fn find(
    value: &Value,
    fits: &impl Fn(&Value) -> bool,
    before: &mut usize,
    location: &mut Location,
) -> bool {
    if fits(value) {
        if *before == 0 {
            return true;
        }
        *before -= 1;
    }
    path::children(value).into_iter().any(|child| {
        let below = path::at(value, std::slice::from_ref(&child));
        location.push(child);
        let found = find(below, fits, before, location);
        if !found {
            location.pop();
        }
        found
    })
}

/// A path to one place: one that is there, or one that is not.
pub(super) fn singular(
    draw: &mut Draw<'_>,
    root: &Value,
    wanted: Wanted,
    pointer: bool,
) -> Vec<Step> {
    match draw.below(10) {
        0..=6 => {
            let at = place(draw, root, |value| wanted.fits(value));
            steps_to(draw, root, &at, pointer)
        }
        7 => {
            let at = place(draw, root, |_| true);
            steps_to(draw, root, &at, pointer)
        }
        kind => {
            let mut steps = beside(draw, root, pointer);
            if kind == 9 {
                steps.push(stray(draw, &json!({}), pointer));
            }
            steps
        }
    }
}

pub(super) fn query(draw: &mut Draw<'_>, root: &Value, wanted: Wanted) -> Vec<Segment> {
    // Most operators refuse a query whose matches differ in kind; most matches of these do not.
    let at = place(draw, root, |value| match value {
        Value::Array(items) => items.iter().any(|item| wanted.fits(item)),
        Value::Object(members) => members.values().all(|member| wanted.fits(member)),
        _ => false,
    });
    let mut segments: Vec<Segment> = steps_to(draw, root, &at, false)
        .into_iter()
        .map(|step| match step {
            Step::Name(name) | Step::Token(name) => Selector::Name(name),
            Step::Index(index) => Selector::Index(index),
        })
        .map(|selector| Segment { descendant: false, selectors: vec![selector] })
        .collect();
    let descendant = draw.once_in(6);
    if descendant && draw.below(2) == 0 {
        segments.clear();
    }
    let mut selectors = vec![selector(draw, descendant)];
    while draw.once_in(5) {
        selectors.push(selector(draw, true));
    }
    segments.push(Segment { descendant, selectors });
    if draw.once_in(5) {
        let name = Selector::Name(draw.pick(&["n", "s", "a"]).to_owned());
        segments.push(Segment { descendant: false, selectors: vec![name] });
    }
    segments
}

fn selector(draw: &mut Draw<'_>, named: bool) -> Selector {
    let bound =
        |draw: &mut Draw<'_>| draw.pick(&[None, Some(1), Some(-1), Some(0), Some(-3), Some(99)]);
    match draw.below(if named { 7 } else { 4 }) {
        0 => Selector::Wildcard,
        1 => {
            let step = draw.pick(&[1, 2, -1, -2, 0, 9_007_199_254_740_991]);
            Selector::Slice(bound(draw), bound(draw), step)
        }
        2 | 3 => filter(draw),
        4 | 5 => Selector::Name(draw.pick(&NAMES).to_owned()),
        _ => Selector::Index(draw.pick(&[0, 1, -1, 2])),
    }
}

fn filter(draw: &mut Draw<'_>) -> Selector {
    let name = |name: &str| Step::Name(name.to_owned());
    let steps = draw.pick(&[
        vec![name("n")],
        Vec::new(),
        vec![name("s")],
        vec![name("a"), Step::Index(0)],
        vec![Step::Index(-1)],
    ]);
    if draw.once_in(4) {
        return Selector::Filter(steps, None);
    }
    let operator = draw.pick(&["==", "!=", "<", "<=", ">", ">="]);
    let literal = draw.pick(&[json!(1), json!(0), json!("a"), json!(null), json!(true), json!(2)]);
    Selector::Filter(steps, Some((operator, literal)))
}
