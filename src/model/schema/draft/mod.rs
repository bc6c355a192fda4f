//! Translation of older drafts into 2020-12, so that all other code handles one form only.
//!
//! Drafts 4, 6, 7 and 2019-09 are rewritten keyword by keyword. `$schema` names the draft, in the document or in a
//! subschema; the default is 2020-12. Keywords that a draft no longer has are refused by name, and so are patterns that
//! no linear-time engine can match. Pointers that change are recorded, so that references keep their targets and
//! messages name the schema as it was given.
//!
//! It must never change which documents are valid, and never rewrite anything that is not a subschema, such as the
//! values of `enum`.

mod dialect;
mod moves;
mod references;
mod rewrite;
mod translator;
mod words;

use serde_json::Value as Serde;

use self::dialect::Dialect;
pub(super) use self::moves::Moves;
use self::translator::{DialectContext, DraftTranslator};
use super::limits::SchemaLimits;
use super::pattern::Patterns;
use crate::budget::Allowance;
use crate::error::Result;

/// A schema after translation, and the pointers of its subschemas before.
pub(super) struct Translated {
    pub document: Serde,
    pub moves: Moves,
    /// The JSON Pointers, in the schema as it was given, of the first keywords that have no effect.
    pub unknown: Vec<Box<str>>,
    /// The memory of the compiled patterns.
    pub pattern_bytes: usize,
    /// The memory of the largest of them.
    pub largest_pattern: usize,
    /// The most look-aheads that one pattern begins with.
    pub look_aheads: usize,
}

pub(super) fn translate(
    mut document: Serde,
    limits: &SchemaLimits,
    allowance: &Allowance<'_>,
) -> Result<Translated> {
    let mut translator = DraftTranslator {
        moves: Moves::new(limits.pointer_bytes),
        patterns: Patterns::new(limits, allowance),
        unknown: Vec::new(),
        given: String::new(),
        translated: String::new(),
    };
    let dialect = DialectContext::of(
        &document,
        DialectContext { dialect: Dialect::Draft2020, recursive: false },
    );
    translator.schema(&mut document, dialect)?;
    references::follow(&mut document, &mut translator, dialect)?;
    let mut unknown = translator.unknown;
    unknown.sort();
    unknown.dedup();
    Ok(Translated {
        document,
        unknown,
        moves: translator.moves,
        pattern_bytes: translator.patterns.bytes(),
        largest_pattern: translator.patterns.largest(),
        look_aheads: translator.patterns.look_aheads(),
    })
}
