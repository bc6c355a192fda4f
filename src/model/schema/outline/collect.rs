//! The subschemas of a schema document, collected along keywords and references.

use std::collections::HashMap;

use jsonschema::{Draft, Registry, Uri};
use serde_json::Value as Serde;
use smallvec::SmallVec;

use super::super::keywords::{InnerKey, held_schemas, holder};
use super::super::limits::SchemaLimits;
use super::super::refusal::{cut, refuse};
use super::super::subschema::{ReferenceTarget, Subschema, SubschemaId};
use super::super::uri::PARTS_URI;
use crate::error::{Error, Result};
use crate::limit;

/// Collects the subschemas of `root`, which `registry` holds under `base`. The first one is the root.
pub(super) fn collect<'s>(
    root: &'s Serde,
    registry: &'s Registry<'s>,
    base: &Uri<String>,
    limits: &SchemaLimits,
) -> Result<Vec<Subschema<'s>>> {
    let mut builder = OutlineBuilder {
        registry,
        limits,
        subschemas: Vec::new(),
        by_address: HashMap::new(),
        anywhere: HashMap::new(),
        links: Vec::new(),
        pointer_bytes: 0,
    };
    builder.index(root);
    builder.add(root, String::new(), base.clone())?;
    let mut next = 0;
    while next < builder.subschemas.len() {
        builder.expand(next as SubschemaId)?;
        next += 1;
    }
    builder.link_dynamic();
    Ok(builder.subschemas)
}

struct OutlineBuilder<'s, 'l> {
    registry: &'s Registry<'s>,
    limits: &'l SchemaLimits,
    subschemas: Vec<Subschema<'s>>,
    by_address: HashMap<usize, SubschemaId>,
    /// Every object and boolean of the document: a reference may name any of them.
    anywhere: HashMap<usize, u32>,
    links: Vec<Link<'s>>,
    /// The length of the pointers of all subschemas together.
    pointer_bytes: usize,
}

/// The object around an object or boolean of the document, and the keys that lead from one to the other. JSON Pointers
/// are made on demand: together they could take far more memory than the document.
struct Link<'s> {
    outer: Option<u32>,
    keys: InnerKeys<'s>,
}

/// One key; more than one where arrays lie between.
type InnerKeys<'s> = SmallVec<[InnerKey<'s>; 1]>;

fn address(schema: &Serde) -> usize {
    std::ptr::from_ref(schema) as usize
}

impl<'s> OutlineBuilder<'s, '_> {
    /// Records the position of every object and boolean.
    fn index(&mut self, root: &'s Serde) {
        let mut stack = vec![(root, None, InnerKeys::new())];
        while let Some((value, outer, keys)) = stack.pop() {
            match value {
                // An array is no schema itself: two keys lead to its elements.
                Serde::Array(items) => {
                    stack.extend(items.iter().enumerate().map(|(nth, child)| {
                        let mut keys = keys.clone();
                        keys.push(InnerKey::Index(nth));
                        (child, outer, keys)
                    }));
                }
                Serde::Object(_) | Serde::Bool(_) => {
                    let link = self.links.len() as u32;
                    self.links.push(Link { outer, keys });
                    self.anywhere.insert(address(value), link);
                    let members = value.as_object().into_iter().flatten();
                    stack.extend(members.map(|(name, child)| {
                        (child, Some(link), InnerKeys::from_slice(&[InnerKey::Name(name)]))
                    }));
                }
                _ => {}
            }
        }
    }

    fn pointer_of(&self, link: u32) -> String {
        let mut keys: Vec<InnerKey<'_>> = Vec::new();
        let mut next = Some(link);
        while let Some(link) = next {
            let link = &self.links[link as usize];
            keys.extend(link.keys.iter().rev());
            next = link.outer;
        }
        let mut pointer = String::new();
        keys.iter().rev().for_each(|key| key.push_to(&mut pointer));
        pointer
    }

    fn add(
        &mut self,
        schema: &'s Serde,
        pointer: String,
        base: Uri<String>,
    ) -> Result<SubschemaId> {
        if let Some(id) = self.by_address.get(&address(schema)) {
            return Ok(*id);
        }
        if self.subschemas.len() >= self.limits.nodes {
            return Err(Error::limit(limit::SCHEMA_NODES, self.limits.nodes as u64));
        }
        if !schema.is_object() && !schema.is_boolean() {
            return Err(refuse("a schema is an object or a boolean", &pointer));
        }
        let id = self.subschemas.len() as SubschemaId;
        self.pointer_bytes += pointer.len();
        if self.pointer_bytes > self.limits.pointer_bytes {
            return Err(Error::limit(
                limit::SCHEMA_POINTER_BYTES,
                self.limits.pointer_bytes as u64,
            ));
        }
        let base = match schema.get("$id") {
            Some(Serde::String(_)) => self.base_inside(schema, &base, &pointer)?,
            _ => base,
        };
        self.by_address.insert(address(schema), id);
        self.subschemas.push(Subschema {
            schema,
            pointer,
            base,
            reference: None,
            inner: Vec::new(),
            dynamic: Vec::new(),
        });
        Ok(id)
    }

    /// The URI of a resource that has an `$id`.
    fn base_inside(
        &self,
        schema: &'s Serde,
        base: &Uri<String>,
        pointer: &str,
    ) -> Result<Uri<String>> {
        let resource = Draft::Draft202012.create_resource_ref(schema);
        let resolver = self
            .registry
            .resolver(base.clone())
            .in_subresource(resource)
            .map_err(|error| refuse(format!("$id is not a URI: {error}"), pointer))?;
        let base = (*resolver.base_uri()).clone();
        if base.as_str().starts_with(PARTS_URI) {
            return Err(refuse("the $id is reserved for the module", pointer));
        }
        Ok(base)
    }

    /// Adds the subschemas under the keywords of a subschema, and the targets of its references.
    fn expand(&mut self, id: SubschemaId) -> Result<()> {
        let subschema = &self.subschemas[id as usize];
        let Serde::Object(map) = subschema.schema else { return Ok(()) };
        let (pointer, base) = (subschema.pointer.clone(), subschema.base.clone());
        let mut inner = Vec::new();
        for (keyword, held) in map {
            let Some((keyword, holds)) = holder(keyword) else { continue };
            for (key, schema) in held_schemas(holds, held) {
                let mut pointer = format!("{pointer}/{keyword}");
                key.push_to(&mut pointer);
                let id = self.add(schema, pointer, base.clone())?;
                inner.push((keyword, key, id));
            }
        }
        self.subschemas[id as usize].inner = inner;
        if let Some(Serde::String(reference)) = map.get("$ref") {
            let target = self.resolve(reference, &base, &pointer, "$ref")?;
            self.subschemas[id as usize].reference = Some(target);
        }
        if let Some(Serde::String(reference)) = map.get("$dynamicRef")
            && let ReferenceTarget::Inside(target) =
                self.resolve(reference, &base, &pointer, "$dynamicRef")?
        {
            self.subschemas[id as usize].dynamic.push(target);
        }
        Ok(())
    }

    fn resolve(
        &mut self,
        reference: &str,
        base: &Uri<String>,
        pointer: &str,
        keyword: &str,
    ) -> Result<ReferenceTarget> {
        // The empty reference names the resource itself; the crate expects an empty fragment.
        let reference = if reference.is_empty() { "#" } else { reference };
        let registry = self.registry;
        let resolver = registry.resolver(base.clone());
        let resolved = resolver.lookup(reference).map_err(|error| {
            refuse(cut(&format!("the reference has no target: {error}")), pointer)
                .text("keyword", keyword.as_bytes())
        })?;
        let target = resolved.contents();
        let Some(link) = self.anywhere.get(&address(target)).copied() else {
            let uri = resolver.resolve_uri(&base.borrow(), reference);
            let uri = uri.map_err(|error| refuse(cut(&error.to_string()), pointer))?;
            return Ok(ReferenceTarget::Outside(uri.as_str().to_owned()));
        };
        let base = (*resolved.resolver().base_uri()).clone();
        self.add(target, self.pointer_of(link), base).map(ReferenceTarget::Inside)
    }

    /// Links each `$dynamicRef` to all subschemas with an anchor of its name.
    fn link_dynamic(&mut self) {
        let mut named: HashMap<&str, Vec<SubschemaId>> = HashMap::new();
        for (id, subschema) in self.subschemas.iter().enumerate() {
            if let Some(Serde::String(name)) = subschema.schema.get("$dynamicAnchor") {
                named.entry(name).or_default().push(id as SubschemaId);
            }
        }
        for subschema in &mut self.subschemas {
            if let Some(Serde::String(reference)) = subschema.schema.get("$dynamicRef") {
                let name = reference.rsplit('#').next().unwrap_or_default();
                subschema.dynamic.extend(named.get(name).into_iter().flatten());
            }
        }
    }
}
