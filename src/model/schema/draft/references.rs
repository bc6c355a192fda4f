//! References after translation: the target of each is the subschema that it was before.
//!
//! The target of a reference may be a value that no keyword leads to, such as `#/components/schemas/Item`: it is a
//! subschema because of the reference, and is translated too.

use std::collections::HashSet;

use serde_json::Value as Serde;

use super::super::keywords::{Holds, held_schemas, holder};
use super::super::uri::{fragment, token_name, unescape};
use super::translator::{DialectContext, DraftTranslator};
use crate::error::Result;

/// A reference within its resource.
struct Local {
    /// The subschema with the reference, after translation.
    at: String,
    /// Its target, as it was given.
    target: String,
    /// The resource, after translation.
    resource: String,
}

/// Updates all references, and translates the subschemas that only references lead to.
pub(super) fn follow(
    document: &mut Serde,
    translator: &mut DraftTranslator<'_>,
    context: DialectContext,
) -> Result<()> {
    let mut roots = vec![String::new()];
    let mut known: HashSet<String> = HashSet::from([String::new()]);
    while !roots.is_empty() {
        let mut found = Vec::new();
        for root in &roots {
            if let Some(schema) = document.pointer(root) {
                collect(schema, &mut root.clone(), "", translator, &mut found);
            }
        }
        roots.clear();
        let mut led_to: Vec<String> = Vec::new();
        for local in &found {
            let target = translator.moves.translated(&local.target).into_owned();
            if let Some(inside) = target.strip_prefix(local.resource.as_str())
                && target != local.target
                && let Some(schema) = document.pointer_mut(&local.at)
            {
                schema["$ref"] = fragment(inside).into();
            }
            if !is_subschema(document, &target, &known) {
                led_to.push(target);
            }
        }
        // A target around another one comes first, so that none is translated twice.
        led_to.sort_by_key(String::len);
        for target in led_to {
            if is_subschema(document, &target, &known) {
                continue;
            }
            let Some(schema) = document.pointer_mut(&target) else { continue };
            if schema.is_object() {
                translator.given = translator.moves.given(&target).into_owned();
                translator.translated.clone_from(&target);
                translator.schema(schema, context)?;
            }
            known.insert(target.clone());
            roots.push(target);
        }
        translator.given.clear();
        translator.translated.clear();
    }
    Ok(())
}

/// Collects the references of a subschema and those inside it whose target is in the same resource.
fn collect(
    schema: &Serde,
    at: &mut String,
    resource: &str,
    translator: &DraftTranslator<'_>,
    found: &mut Vec<Local>,
) {
    let Serde::Object(map) = schema else { return };
    let own = map.get("$id").is_some_and(Serde::is_string).then(|| at.clone());
    let resource = own.as_deref().unwrap_or(resource);
    if let Some(Serde::String(reference)) = map.get("$ref")
        && let Some(pointer) = reference.strip_prefix('#')
        && (pointer.is_empty() || pointer.starts_with('/'))
    {
        let given = translator.moves.given(resource);
        let target = format!("{given}{}", unescape(pointer));
        found.push(Local { at: at.clone(), target, resource: resource.to_owned() });
    }
    for (keyword, held) in map {
        let Some((keyword, holds)) = holder(keyword) else { continue };
        for (key, inner) in held_schemas(holds, held) {
            let len = at.len();
            at.push('/');
            at.push_str(keyword);
            key.push_to(at);
            collect(inner, at, resource, translator, found);
            at.truncate(len);
        }
    }
}

/// Returns true if keywords lead to this pointer, from the document or from a known target of a reference.
fn is_subschema(document: &Serde, pointer: &str, known: &HashSet<String>) -> bool {
    if known.contains(pointer) || document.pointer(pointer).is_none() {
        return true;
    }
    let mut ends = pointer.match_indices('/').map(|(end, _)| end);
    ends.any(|end| known.contains(&pointer[..end]) && leads_to(&pointer[end..]))
}

/// Returns true if the tokens lead from one subschema to another.
fn leads_to(pointer: &str) -> bool {
    let mut tokens = pointer.split('/').skip(1);
    while let Some(keyword) = tokens.next() {
        let name = token_name(keyword);
        let Some((_, holds)) = holder(&name) else { return false };
        if holds != Holds::One && tokens.next().is_none() {
            return false;
        }
    }
    true
}
