//! The subschemas of a schema document, and which of them apply to the same value.
//!
//! References are resolved by the crate's own registry, so that both validators agree on their targets. A schema that
//! applies itself to the same value again, and references that multiply the work, are refused here.
//!
//! Must never follow a reference out of the document: the one exception is the standard's own
//! metaschema, which the crate brings along.

mod collect;
mod weight;

use jsonschema::{Registry, Uri};
use serde_json::Value as Serde;

use self::collect::collect;
use self::weight::weigh;
use super::limits::SchemaLimits;
use super::subschema::{ReferenceTarget, Subschema, SubschemaId};
use super::uri::{SCHEMA_URI, fragment};
use crate::error::{Error, Result};
use crate::limit;

/// The most references between resources, if dynamic references depend on them: the number of paths through them can be
/// two to this power.
const CROSSINGS_MAX: usize = crate::limit::SCHEMA_CROSSINGS.default as usize;

/// All subschemas of a document; the first one is the document.
pub(super) struct SchemaOutline<'s> {
    pub subschemas: Vec<Subschema<'s>>,
    /// Flag: the meaning of a subschema depends on the references that led to it, so that none can be validated alone.
    pub needs_context: bool,
    /// The highest number of subschemas that may apply to one value.
    pub weight: u64,
}

impl<'s> SchemaOutline<'s> {
    /// `registry` holds `root` under `base`.
    pub fn new(
        root: &'s Serde,
        registry: &'s Registry<'s>,
        base: &Uri<String>,
        limits: &SchemaLimits,
    ) -> Result<SchemaOutline<'s>> {
        let subschemas = collect(root, registry, base, limits)?;
        let needs_context = needs_context(&subschemas);
        if needs_context && crossings(&subschemas) > CROSSINGS_MAX {
            return Err(Error::limit(limit::SCHEMA_CROSSINGS, CROSSINGS_MAX as u64));
        }
        let weight = weigh(&subschemas, limits)?;
        Ok(SchemaOutline { subschemas, needs_context, weight })
    }

    /// The highest number of patterns that a name is matched with in one pass over the members of an object. The
    /// crate makes a pass for each pattern, and one pass for all of them beside `additionalProperties`.
    pub fn name_patterns(&self) -> usize {
        let count = |subschema: &Subschema<'_>| {
            let inner = subschema.inner.iter();
            let count = inner.filter(|(keyword, ..)| *keyword == "patternProperties").count();
            if subschema.has("additionalProperties") { count } else { count.min(1) }
        };
        self.subschemas.iter().map(count).max().unwrap_or(0)
    }

    /// Returns true if a subschema has this keyword.
    pub fn has(&self, keyword: &str) -> bool {
        self.subschemas.iter().any(|subschema| subschema.has(keyword))
    }

    /// The number of subschemas that may decide which children were evaluated; 0 if no subschema has this keyword, which
    /// asks for them.
    pub fn unevaluated(&self, keyword: &str) -> u64 {
        if self.has(keyword) { self.weight } else { 0 }
    }

    pub fn subschema(&self, id: SubschemaId) -> &Subschema<'s> {
        &self.subschemas[id as usize]
    }

    /// A reference to the subschema, in the [flattened](SchemaOutline::flattened) document.
    pub fn uri(&self, id: SubschemaId) -> String {
        if self.needs_context {
            // The root is a resource of its own, and is named by its `$id`.
            assert_eq!(id, 0, "nothing is taken out of its context");
            let base = self.subschema(0).base.as_str();
            return base.split_once('#').map_or(base, |(base, _)| base).to_owned();
        }
        format!("{SCHEMA_URI}{}", fragment(&self.subschema(id).pointer))
    }

    /// The same schema as one resource, where every reference is a pointer. `None` if it is one already.
    ///
    /// The crate compiles the target of a reference again for each path through resources that leads to it, and the
    /// number of paths can be exponential.
    pub fn flattened(&self, root: &Serde) -> Option<Serde> {
        let names = |subschema: &Subschema<'_>| subschema.has("$id") || subschema.has("$anchor");
        if self.needs_context {
            return self.with_absolute_crossings(root);
        }
        if !self.subschemas.iter().any(names) {
            return None;
        }
        let mut flat = root.clone();
        for subschema in &self.subschemas {
            let Some(Serde::Object(map)) = flat.pointer_mut(&subschema.pointer) else { continue };
            map.shift_remove("$id");
            map.shift_remove("$anchor");
            match &subschema.reference {
                Some(ReferenceTarget::Inside(id)) => {
                    map.insert("$ref".to_owned(), fragment(&self.subschema(*id).pointer).into());
                }
                Some(ReferenceTarget::Outside(uri)) => {
                    map.insert("$ref".to_owned(), uri.as_str().into());
                }
                None => {}
            }
            if let Some(Serde::String(reference)) = map.get_mut("$dynamicRef")
                && let Some(target) = subschema.dynamic.first()
            {
                let target = self.subschema(*target);
                let name = reference.rsplit('#').next().unwrap_or_default();
                *reference = match target.schema.get("$dynamicAnchor") {
                    Some(anchor) if *anchor == *name => format!("#{name}"),
                    // Without such an anchor it is a plain reference.
                    _ => fragment(&target.pointer),
                };
            }
        }
        Some(flat)
    }

    /// The same schema, with the URI of the resource in each reference to another resource. `None` if there are no such
    /// references.
    ///
    /// A pointer through the outer resource leads the crate to the same subschema, but it then resolves dynamic
    /// references as if it had not entered the inner resource.
    fn with_absolute_crossings(&self, root: &Serde) -> Option<Serde> {
        let mut absolute = None;
        for subschema in &self.subschemas {
            let Some(ReferenceTarget::Inside(id)) = subschema.reference else { continue };
            let target = self.subschema(id);
            let by_pointer =
                subschema.schema["$ref"].as_str().is_some_and(|uri| uri.starts_with('#'));
            if !by_pointer || target.base.as_str() == subschema.base.as_str() {
                continue;
            }
            let resource = self.subschemas.iter().find(|other| {
                other.has("$id")
                    && other.base.as_str() == target.base.as_str()
                    && target.pointer.starts_with(&other.pointer)
            });
            let Some(resource) = resource else { continue };
            let inside = &target.pointer[resource.pointer.len()..];
            let base = target.base.as_str().split('#').next().unwrap_or_default();
            let uri = match inside {
                "" => base.to_owned(),
                inside => format!("{base}{}", fragment(inside)),
            };
            let document = absolute.get_or_insert_with(|| root.clone());
            if let Some(schema) = document.pointer_mut(&subschema.pointer) {
                schema["$ref"] = uri.into();
            }
        }
        absolute
    }
}

/// The number of references from one resource to another, and of dynamic ones.
fn crossings(subschemas: &[Subschema<'_>]) -> usize {
    let crosses = |subschema: &&Subschema<'_>| match &subschema.reference {
        Some(ReferenceTarget::Inside(id)) => {
            subschemas[*id as usize].base.as_str() != subschema.base.as_str()
        }
        _ => subschema.has("$dynamicRef"),
    };
    subschemas.iter().filter(crosses).count()
}

/// Flag: the target of a dynamic reference depends on the resources that led to it. With a single resource it is the
/// same from everywhere.
fn needs_context(subschemas: &[Subschema<'_>]) -> bool {
    let is_dynamic =
        |subschema: &Subschema<'_>| subschema.has("$dynamicRef") || subschema.has("$dynamicAnchor");
    subschemas.iter().skip(1).any(|subschema| subschema.has("$id"))
        && subschemas.iter().any(is_dynamic)
}
