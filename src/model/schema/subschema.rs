//! One subschema of a schema document: its keywords, the subschemas under them and its references.

use jsonschema::Uri;
use serde_json::Value as Serde;

use super::keywords::{Applies, InnerKey, applies};

/// The number of a subschema.
pub(super) type SubschemaId = u32;

/// The number of no subschema: a keyword that leads to it checks nothing.
pub(super) const NONE: SubschemaId = SubschemaId::MAX;

/// One subschema.
pub(super) struct Subschema<'s> {
    pub schema: &'s Serde,
    /// JSON Pointer in the document.
    pub pointer: String,
    /// The URI of its resource.
    pub base: Uri<String>,
    /// The target of `$ref`.
    pub reference: Option<ReferenceTarget>,
    /// The subschemas under its keywords, in the order of the document.
    pub inner: Vec<(&'s str, InnerKey<'s>, SubschemaId)>,
    /// The possible targets of `$dynamicRef`.
    pub dynamic: Vec<SubschemaId>,
}

/// The target of a reference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum ReferenceTarget {
    Inside(SubschemaId),
    /// The absolute URI of a schema outside of the document.
    Outside(String),
}

impl Subschema<'_> {
    /// The subschemas that apply to the same value as this one, because of its keywords and references.
    pub fn in_place(&self) -> impl Iterator<Item = SubschemaId> + '_ {
        let reference = match self.reference {
            Some(ReferenceTarget::Inside(id)) => Some(id),
            _ => None,
        };
        let inner = self.inner.iter();
        let inner = inner.filter(|(keyword, ..)| applies(keyword) == Applies::Here);
        let inner = inner.map(|(.., id)| *id);
        reference.into_iter().chain(self.dynamic.iter().copied()).chain(inner)
    }

    /// Flag: it refers to a schema outside of the document.
    pub fn leads_outside(&self) -> bool {
        matches!(self.reference, Some(ReferenceTarget::Outside(_)))
    }

    pub fn has(&self, keyword: &str) -> bool {
        self.schema.get(keyword).is_some()
    }
}
