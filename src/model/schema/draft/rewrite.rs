//! The keywords of one subschema, rewritten from an older draft into 2020-12.

use serde_json::{Map, Value as Serde, json};

use super::super::refusal::refuse;
use super::super::uri::{escaped, unescape};
use super::dialect::Dialect;
use crate::error::Result;

/// A keyword, or a schema under it, whose name changed.
pub(super) struct Moved {
    pub translated: &'static str,
    pub given: &'static str,
    /// The member that moved; none if all did.
    pub member: Option<String>,
}

/// The `$dynamicAnchor` that replaces `"$recursiveAnchor": true`.
const RECURSIVE_ANCHOR: &str = "recursive-anchor";

type SchemaMap = Map<String, Serde>;

/// Rewrites one subschema; those inside stay as they are. `recursive`: the resource it stands in has
/// `"$recursiveAnchor": true`.
pub(super) fn rewrite(
    schema: &mut SchemaMap,
    dialect: Dialect,
    recursive: bool,
    pointer: &str,
) -> Result<Vec<Moved>> {
    let mut moved = Vec::new();
    if dialect.ignores_siblings_of_references() {
        ignore_siblings(schema);
    }
    schema.retain(|keyword, _| dialect.has(keyword));
    identify(schema, dialect);
    if dialect == Dialect::Draft4 {
        exclusive_bound(schema, "minimum", "exclusiveMinimum", pointer)?;
        exclusive_bound(schema, "maximum", "exclusiveMaximum", pointer)?;
    }
    if dialect < Dialect::Draft2020 {
        tuple(schema, &mut moved);
    }
    if dialect == Dialect::Draft2019 {
        recursion(schema, recursive);
        hide_contains(schema);
    }
    dependencies(schema, &mut moved, pointer)?;
    Ok(moved)
}

/// `$ref` and the definitions beside it, which references may lead into.
fn ignore_siblings(schema: &mut SchemaMap) {
    if schema.get("$ref").is_some_and(Serde::is_string) {
        schema.retain(|keyword, _| ["$ref", "definitions", "$defs"].contains(&keyword.as_str()));
    }
}

/// `id` of draft 4, and fragments in `$id`, which were anchors.
fn identify(schema: &mut SchemaMap, dialect: Dialect) {
    if dialect == Dialect::Draft4 {
        schema.shift_remove("$id");
        if schema.get("id").is_some_and(Serde::is_string)
            && let Some(id) = schema.shift_remove("id")
        {
            schema.insert("$id".into(), id);
        }
    }
    if let Some(Serde::String(reference)) = schema.get_mut("$ref")
        && let Some((uri, fragment)) = reference.split_once('#')
        && let Some(escaped) = escaped(fragment)
    {
        *reference = format!("{uri}#{escaped}");
    }
    if dialect > Dialect::Draft7 {
        if let Some(Serde::String(id)) = schema.get_mut("$id") {
            id.truncate(id.strip_suffix('#').map_or(id.len(), str::len));
        }
        return;
    }
    if let Some(Serde::String(reference)) = schema.get_mut("$ref")
        && let Some((uri, fragment)) = reference.split_once('#')
        && !fragment.is_empty()
        && !fragment.starts_with('/')
    {
        *reference = format!("{uri}#{}", anchor_name(&unescape(fragment)));
    }
    let Some(Serde::String(id)) = schema.get("$id").cloned() else { return };
    let (uri, fragment) = id.split_once('#').unwrap_or((&id, ""));
    match uri {
        "" => drop(schema.shift_remove("$id")),
        uri => drop(schema.insert("$id".into(), uri.into())),
    }
    if !fragment.is_empty() && !fragment.starts_with('/') {
        schema.insert("$anchor".into(), anchor_name(&unescape(fragment)).into());
    }
}

/// A valid anchor of 2020-12: the same for the same text.
fn anchor_name(text: &str) -> String {
    let fits = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
    let starts = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    if starts && text.chars().all(fits) {
        return text.to_owned();
    }
    let mut name = "_".to_owned();
    for byte in text.bytes() {
        match char::from(byte) {
            c if c.is_ascii_alphanumeric() => name.push(c),
            _ => name.push_str(&format!(".{byte:02x}")),
        }
    }
    name
}

/// Rewrites a boolean beside a bound, which made it exclusive.
fn exclusive_bound(
    schema: &mut SchemaMap,
    bound: &str,
    exclusive: &str,
    pointer: &str,
) -> Result<()> {
    match schema.shift_remove(exclusive) {
        None | Some(Serde::Bool(false)) => {}
        Some(Serde::Bool(true)) => match schema.shift_remove(bound) {
            Some(value) => drop(schema.insert(exclusive.into(), value)),
            None => {
                return Err(refuse(format!("'{exclusive}' needs '{bound}' beside it"), pointer));
            }
        },
        Some(_) => {
            let message = format!(
                "'{exclusive}' is a boolean in draft 4: write '{bound}' beside it, or name a later draft in '$schema'"
            );
            return Err(refuse(message, pointer).text("keyword", exclusive.as_bytes()));
        }
    }
    Ok(())
}

/// Rewrites an array under `items`, and `additionalItems`.
fn tuple(schema: &mut SchemaMap, moved: &mut Vec<Moved>) {
    let additional = schema.shift_remove("additionalItems");
    if !schema.get("items").is_some_and(Serde::is_array) {
        return;
    }
    let items = schema.shift_remove("items").expect("it was just found");
    // An empty array asserts nothing, and is not valid in 2020-12.
    if items.as_array().is_some_and(|items| !items.is_empty()) {
        schema.insert("prefixItems".into(), items);
        moved.push(Moved { translated: "prefixItems", given: "items", member: None });
    }
    if let Some(additional) = additional {
        schema.insert("items".into(), additional);
        moved.push(Moved { translated: "items", given: "additionalItems", member: None });
    }
}

fn recursion(schema: &mut SchemaMap, recursive: bool) {
    if schema.shift_remove("$recursiveAnchor") == Some(Serde::Bool(true)) {
        schema.insert("$dynamicAnchor".into(), RECURSIVE_ANCHOR.into());
    }
    if schema.shift_remove("$recursiveRef").is_some() {
        let (keyword, target) = match recursive {
            true => ("$dynamicRef", format!("#{RECURSIVE_ANCHOR}")),
            false => ("$ref", "#".to_owned()),
        };
        if schema.contains_key(keyword) {
            let more = schema.entry("allOf").or_insert_with(|| json!([]));
            if let Serde::Array(more) = more {
                more.push(json!({ (keyword): target }));
            }
        } else {
            schema.insert(keyword.into(), target.into());
        }
    }
}

/// In 2019-09 `contains` does not evaluate elements. In 2020-12 it does, except inside `not`.
fn hide_contains(schema: &mut SchemaMap) {
    if !schema.contains_key("unevaluatedItems") || !schema.contains_key("contains") {
        return;
    }
    let mut hidden = Map::new();
    for keyword in ["contains", "minContains", "maxContains"] {
        hidden.extend(schema.shift_remove(keyword).map(|value| (keyword.to_owned(), value)));
    }
    let more = schema.entry("allOf").or_insert_with(|| json!([]));
    if let Serde::Array(more) = more {
        more.push(json!({ "not": { "not": hidden } }));
    }
}

/// `dependencies`, which newer drafts keep for compatibility: names and schemas under one keyword.
fn dependencies(schema: &mut SchemaMap, moved: &mut Vec<Moved>, pointer: &str) -> Result<()> {
    if !schema.get("dependencies").is_some_and(Serde::is_object) {
        return Ok(());
    }
    if schema.contains_key("dependentRequired") || schema.contains_key("dependentSchemas") {
        let message = "'dependencies' is of an older draft: write 'dependentRequired' and 'dependentSchemas' alone";
        return Err(refuse(message, pointer).text("keyword", b"dependencies"));
    }
    let Some(Serde::Object(all)) = schema.shift_remove("dependencies") else { return Ok(()) };
    let (mut required, mut schemas) = (Map::new(), Map::new());
    for (name, needed) in all {
        match needed {
            Serde::Array(_) => drop(required.insert(name, needed)),
            Serde::String(needed) => drop(required.insert(name, json!([needed]))),
            _ => drop(schemas.insert(name, needed)),
        }
    }
    for (keyword, all) in [("dependentRequired", required), ("dependentSchemas", schemas)] {
        if !all.is_empty() {
            let names = all.keys().cloned();
            moved.extend(names.map(|name| Moved {
                translated: keyword,
                given: "dependencies",
                member: Some(name),
            }));
            moved.push(Moved { translated: keyword, given: "dependencies", member: None });
            schema.insert(keyword.into(), Serde::Object(all));
        }
    }
    Ok(())
}
