//! The keywords with subschemas, the form of their value, and the values that the subschemas apply to.

use serde_json::{Map, Value as Serde};

use super::uri::push_token;

/// The values that the subschemas of a keyword apply to: the value itself, its children, or none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Applies {
    Here,
    Below,
    Nowhere,
}

/// The form of a keyword with subschemas: one, a list, or an object of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Holds {
    One,
    Many,
    Named,
}

/// The position of a subschema under its keyword.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum InnerKey<'s> {
    Whole,
    Index(usize),
    Name(&'s str),
}

impl InnerKey<'_> {
    /// Appends the key to the JSON Pointer of its keyword.
    pub fn push_to(self, pointer: &mut String) {
        match self {
            InnerKey::Whole => {}
            InnerKey::Index(nth) => pointer.push_str(&format!("/{nth}")),
            InnerKey::Name(name) => {
                pointer.push('/');
                push_token(pointer, name);
            }
        }
    }
}

pub(super) const KEYWORDS: [(&str, Holds, Applies); 20] = [
    ("allOf", Holds::Many, Applies::Here),
    ("anyOf", Holds::Many, Applies::Here),
    ("oneOf", Holds::Many, Applies::Here),
    ("not", Holds::One, Applies::Here),
    ("if", Holds::One, Applies::Here),
    ("then", Holds::One, Applies::Here),
    ("else", Holds::One, Applies::Here),
    ("dependentSchemas", Holds::Named, Applies::Here),
    ("properties", Holds::Named, Applies::Below),
    ("patternProperties", Holds::Named, Applies::Below),
    ("additionalProperties", Holds::One, Applies::Below),
    ("propertyNames", Holds::One, Applies::Below),
    ("items", Holds::One, Applies::Below),
    ("prefixItems", Holds::Many, Applies::Below),
    ("contains", Holds::One, Applies::Below),
    ("unevaluatedItems", Holds::One, Applies::Below),
    ("unevaluatedProperties", Holds::One, Applies::Below),
    ("contentSchema", Holds::One, Applies::Nowhere),
    ("$defs", Holds::Named, Applies::Nowhere),
    ("definitions", Holds::Named, Applies::Nowhere),
];

/// The keyword of this name, if it has subschemas.
pub(super) fn holder(name: &str) -> Option<(&'static str, Holds)> {
    let known = KEYWORDS.iter().find(|(keyword, ..)| *keyword == name);
    known.map(|(keyword, holds, _)| (*keyword, *holds))
}

pub(super) fn applies(keyword: &str) -> Applies {
    let known = KEYWORDS.iter().find(|(name, ..)| *name == keyword);
    known.map_or(Applies::Nowhere, |(_, _, applies)| *applies)
}

/// The subschemas of a keyword.
pub(super) fn held_schemas<'s>(holds: Holds, held: &'s Serde) -> Vec<(InnerKey<'s>, &'s Serde)> {
    match (holds, held) {
        (Holds::One, schema) => vec![(InnerKey::Whole, schema)],
        (Holds::Many, Serde::Array(items)) => {
            items.iter().enumerate().map(|(nth, schema)| (InnerKey::Index(nth), schema)).collect()
        }
        (Holds::Named, Serde::Object(map)) => named_schemas(map),
        _ => Vec::new(),
    }
}

fn named_schemas(map: &Map<String, Serde>) -> Vec<(InnerKey<'_>, &Serde)> {
    map.iter().map(|(name, schema)| (InnerKey::Name(name), schema)).collect()
}
