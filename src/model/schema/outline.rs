//! The places of a schema document that are schemas, and which of them are applied to what.
//!
//! References are resolved by the crate's own registry, so that both sides mean the same subschema. What
//! could make a check run for ever, or take work out of proportion, is found here and refused: a schema
//! that applies itself to the value it stands on, and references that multiply.
//!
//! Must never follow a reference out of the document: the one exception is the standard's own
//! metaschema, which the crate brings along.

use std::collections::HashMap;

use jsonschema::{Draft, Registry, Uri};
use serde_json::Value as Serde;
use smallvec::SmallVec;

use super::keywords::{Applies, InnerKey, KEYWORDS, applies, held_schemas};
use super::limits::SchemaLimits;
use super::refusal::{cut, refuse};
use super::uri::{PARTS_URI, SCHEMA_URI, fragment, push_token};
use crate::error::{Error, Result};
use crate::limit;

/// The number of a subschema.
pub(super) type SubschemaId = u32;

/// What an external schema, which is the standard's metaschema, may apply to one value.
const EXTERNAL_WEIGHT: u64 = 64;

/// References between resources, where dynamic references make them depend on each other: the ways
/// through them may be as many as two to this power.
const CROSSINGS_MAX: usize = crate::limit::SCHEMA_CROSSINGS.default as usize;

/// One subschema.
pub(super) struct Subschema<'s> {
    pub schema: &'s Serde,
    /// JSON Pointer in the document.
    pub pointer: String,
    /// The URI of the resource it stands in.
    base: Uri<String>,
    /// What `$ref` leads to: a subschema, or a schema outside.
    pub reference: Option<ReferenceTarget>,
    /// Schemas under a keyword: by keyword, in order.
    pub inner: Vec<(&'s str, InnerKey<'s>, SubschemaId)>,
    /// What a `$dynamicRef` may lead to.
    dynamic: Vec<SubschemaId>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum ReferenceTarget {
    Inside(SubschemaId),
    /// The whole URI.
    Outside(String),
}

/// All places of a document that are schemas; the first is the document.
pub(super) struct SchemaOutline<'s> {
    pub subschemas: Vec<Subschema<'s>>,
    /// A schema depends on the way that led to it: nothing may be taken out of its context.
    pub needs_context: bool,
    /// How many schemas one value may be met by, at most, at the subschema where it is most.
    pub weight: u64,
}

struct OutlineBuilder<'s, 'l> {
    registry: &'s Registry<'s>,
    limits: &'l SchemaLimits,
    subschemas: Vec<Subschema<'s>>,
    by_address: HashMap<usize, SubschemaId>,
    /// Every object and boolean of the document, for references to anywhere.
    anywhere: HashMap<usize, u32>,
    links: Vec<Link<'s>>,
    /// What the pointers of all places take.
    pointer_bytes: usize,
}

/// What an object or boolean of the document stands in, and under what. Pointers are made when they are
/// asked for: together they could take far more than the document.
struct Link<'s> {
    outer: Option<u32>,
    keys: InnerKeys<'s>,
}

/// One key; more where arrays are gone through.
type InnerKeys<'s> = SmallVec<[InnerKey<'s>; 1]>;

fn address(schema: &Serde) -> usize {
    std::ptr::from_ref(schema) as usize
}

impl<'s> SchemaOutline<'s> {
    /// `registry` holds `root` under `base`.
    pub fn new(
        root: &'s Serde,
        registry: &'s Registry<'s>,
        base: &Uri<String>,
        limits: &SchemaLimits,
    ) -> Result<SchemaOutline<'s>> {
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
        let needs_context = builder.needs_context();
        if needs_context && builder.crossings() > CROSSINGS_MAX {
            return Err(Error::limit(limit::SCHEMA_CROSSINGS, CROSSINGS_MAX as u64));
        }
        let mut outline =
            SchemaOutline { needs_context, subschemas: builder.subschemas, weight: 0 };
        outline.weight = outline.weigh(limits)?;
        Ok(outline)
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
        let names = |subschema: &Subschema<'_>| {
            has(subschema.schema, "$id") || has(subschema.schema, "$anchor")
        };
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
                has(other.schema, "$id")
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

    /// What is applied to the same value as the subschema itself.
    fn here<'o>(&'o self, id: SubschemaId) -> impl Iterator<Item = SubschemaId> + 'o {
        let subschema = self.subschema(id);
        let reference = match subschema.reference {
            Some(ReferenceTarget::Inside(id)) => Some(id),
            _ => None,
        };
        let inner = subschema.inner.iter();
        reference.into_iter().chain(subschema.dynamic.iter().copied()).chain(
            inner.filter(|(keyword, ..)| applies(keyword) == Applies::Here).map(|(.., id)| *id),
        )
    }

    /// Refuses cycles that stay on one value, and bounds what may be applied to one.
    fn weigh(&self, limits: &SchemaLimits) -> Result<u64> {
        #[derive(Clone, Copy, PartialEq)]
        enum Visit {
            New,
            Open,
            Done,
        }
        let mut states = vec![Visit::New; self.subschemas.len()];
        let mut weights = vec![0_u64; self.subschemas.len()];
        let mut chains = vec![0_u32; self.subschemas.len()];
        for start in 0..self.subschemas.len() as SubschemaId {
            if states[start as usize] != Visit::New {
                continue;
            }
            let mut stack: Vec<(SubschemaId, Vec<SubschemaId>)> =
                vec![(start, self.here(start).collect())];
            states[start as usize] = Visit::Open;
            while let Some((id, rest)) = stack.last_mut() {
                let id = *id;
                match rest.pop() {
                    Some(next) => match states[next as usize] {
                        Visit::New => {
                            states[next as usize] = Visit::Open;
                            stack.push((next, self.here(next).collect()));
                        }
                        Visit::Open => {
                            return Err(refuse(
                                "the schema applies itself to the same value without end",
                                &self.subschema(next).pointer,
                            ));
                        }
                        Visit::Done => {}
                    },
                    None => {
                        stack.pop();
                        states[id as usize] = Visit::Done;
                        let outside = matches!(
                            self.subschema(id).reference,
                            Some(ReferenceTarget::Outside(_))
                        );
                        let own = if outside { EXTERNAL_WEIGHT } else { 1 };
                        let at = id as usize;
                        weights[at] = self
                            .here(id)
                            .fold(own, |sum, next| sum.saturating_add(weights[next as usize]));
                        chains[at] =
                            1 + self.here(id).map(|next| chains[next as usize]).max().unwrap_or(0);
                        if weights[at] > limits.weight {
                            return Err(Error::limit(limit::SCHEMA_WEIGHT, limits.weight)
                                .text("schema", self.subschema(id).pointer.as_bytes()));
                        }
                        if chains[at] > limits.chain {
                            return Err(Error::limit(limit::SCHEMA_CHAIN, limits.chain.into())
                                .text("schema", self.subschema(id).pointer.as_bytes()));
                        }
                    }
                }
            }
        }
        Ok(weights.into_iter().max().unwrap_or(0))
    }
}

impl<'s> OutlineBuilder<'s, '_> {
    /// Notes where every object and boolean stands.
    fn index(&mut self, root: &'s Serde) {
        let mut stack = vec![(root, None, InnerKeys::new())];
        while let Some((value, outer, keys)) = stack.pop() {
            match value {
                // An array is no schema itself: its elements stand under two keys.
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
        let mut keys = Vec::new();
        let mut next = Some(link);
        while let Some(link) = next {
            let link = &self.links[link as usize];
            keys.extend(link.keys.iter().rev());
            next = link.outer;
        }
        let mut pointer = String::new();
        keys.iter().rev().for_each(|key| push_key(&mut pointer, *key));
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

    /// The URI of a resource that names itself.
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
            return Err(refuse("$id has a scheme of ours", pointer));
        }
        Ok(base)
    }

    /// Finds what a subschema holds and refers to.
    fn expand(&mut self, id: SubschemaId) -> Result<()> {
        let subschema = &self.subschemas[id as usize];
        let Serde::Object(map) = subschema.schema else { return Ok(()) };
        let (pointer, base) = (subschema.pointer.clone(), subschema.base.clone());
        let mut inner = Vec::new();
        for (keyword, held) in map {
            let Some((keyword, holds, _)) = KEYWORDS.iter().find(|(name, ..)| name == keyword)
            else {
                continue;
            };
            for (key, schema) in held_schemas(*holds, held) {
                let outer = format!("{pointer}/{keyword}");
                let id = self.add(schema, join(&outer, key), base.clone())?;
                inner.push((*keyword, key, id));
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
        // The empty reference is the resource itself; the crate knows it as its fragment.
        let reference = if reference.is_empty() { "#" } else { reference };
        let registry = self.registry;
        let resolver = registry.resolver(base.clone());
        let resolved = resolver.lookup(reference).map_err(|error| {
            refuse(cut(&format!("the reference leads nowhere: {error}")), pointer)
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

    /// A `$dynamicRef` may lead to any schema that carries its name.
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

    /// References from one resource to another, and dynamic ones.
    fn crossings(&self) -> usize {
        let crosses = |subschema: &&Subschema<'_>| match &subschema.reference {
            Some(ReferenceTarget::Inside(id)) => {
                self.subschemas[*id as usize].base.as_str() != subschema.base.as_str()
            }
            _ => has(subschema.schema, "$dynamicRef"),
        };
        self.subschemas.iter().filter(crosses).count()
    }

    /// With one resource a dynamic reference leads to the same subschema wherever it is come from. With
    /// several it depends on which were gone through.
    fn needs_context(&self) -> bool {
        let resources =
            self.subschemas.iter().skip(1).any(|subschema| has(subschema.schema, "$id"));
        let dynamic = self.subschemas.iter().any(|subschema| {
            has(subschema.schema, "$dynamicRef") || has(subschema.schema, "$dynamicAnchor")
        });
        resources && dynamic
    }
}

fn has(schema: &Serde, keyword: &str) -> bool {
    schema.get(keyword).is_some()
}

/// A pointer with one step more.
pub(super) fn join(pointer: &str, key: InnerKey<'_>) -> String {
    let mut out = pointer.to_owned();
    push_key(&mut out, key);
    out
}

fn push_key(pointer: &mut String, key: InnerKey<'_>) {
    match key {
        InnerKey::Whole => {}
        InnerKey::Index(nth) => pointer.push_str(&format!("/{nth}")),
        InnerKey::Name(name) => {
            pointer.push('/');
            push_token(pointer, name);
        }
    }
}
