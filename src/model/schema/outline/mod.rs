//! The places of a schema document that are schemas, and which of them are applied to what.
//!
//! References are resolved by the crate's own registry, so that both sides mean the same subschema. What
//! could make a check run for ever, or take work out of proportion, is found here and refused: a schema
//! that applies itself to the value it stands on, and references that multiply.
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

/// References between resources, where dynamic references make them depend on each other: the ways
/// through them may be as many as two to this power.
const CROSSINGS_MAX: usize = crate::limit::SCHEMA_CROSSINGS.default as usize;

/// All places of a document that are schemas; the first is the document.
pub(super) struct SchemaOutline<'s> {
    pub subschemas: Vec<Subschema<'s>>,
    /// A schema depends on the way that led to it: nothing may be taken out of its context.
    pub needs_context: bool,
    /// How many schemas one value may be met by, at most, at the subschema where it is most.
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

    pub fn subschema(&self, id: SubschemaId) -> &Subschema<'s> {
        &self.subschemas[id as usize]
    }

    /// A reference to the subschema, in a document that has been flattened if it can be.
    pub fn uri(&self, id: SubschemaId) -> String {
        if self.needs_context {
            // As its own resource the root is referred to by the name it gives itself.
            assert_eq!(id, 0, "nothing is taken out of its context");
            let base = self.subschema(0).base.as_str();
            return base.split_once('#').map_or(base, |(base, _)| base).to_owned();
        }
        format!("{SCHEMA_URI}{}", fragment(&self.subschema(id).pointer))
    }

    /// The same schema as one resource: every reference is a pointer, and nothing names itself. `None`
    /// where it is one already.
    ///
    /// The crate compiles what is referred to anew for every way through resources that leads there,
    /// and there may be more such ways than anything has room for.
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
                    // Without such an anchor it is a reference like any other.
                    _ => fragment(&target.pointer),
                };
            }
        }
        Some(flat)
    }

    /// The same schema with references into another resource by the URI of that resource. `None` where
    /// there are none.
    ///
    /// By a pointer through the resource around it the crate comes to the same subschema, but does not
    /// know which resources it came through, where dynamic references are to be resolved.
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
