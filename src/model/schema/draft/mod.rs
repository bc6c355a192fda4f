//! Schemas of older drafts, translated into 2020-12: everything else knows one form.
//!
//! Drafts 4, 6, 7 and 2019-09 are rewritten keyword by keyword. `$schema` says which draft is meant, in
//! the document or in a subschema; without it 2020-12 is. Words that a draft knows no longer are refused
//! by name, and so are patterns that no linear-time engine can match. What moved is remembered, so that
//! references lead to the same subschema and messages name the schema as it was given.
//!
//! It must never change what a schema says, and never look at what is not a subschema, such as the
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
use crate::error::Result;

/// A schema in the one form, and where its subschemas came from.
pub(super) struct Translated {
    pub document: Serde,
    pub moves: Moves,
    /// Memory that the compiled patterns take.
    pub pattern_bytes: usize,
    /// Memory that the largest of them takes.
    pub largest_pattern: usize,
    /// Whether a pattern begins with look-ahead.
    pub looks_ahead: bool,
}

pub(super) fn translate(mut document: Serde, limits: &SchemaLimits) -> Result<Translated> {
    let mut translator = DraftTranslator {
        moves: Moves::new(limits.pointer_bytes),
        patterns: Patterns::new(limits),
        given: String::new(),
        translated: String::new(),
    };
    let dialect = DialectContext::of(
        &document,
        DialectContext { dialect: Dialect::Draft2020, recursive: false },
    );
    translator.schema(&mut document, dialect)?;
    references::follow(&mut document, &mut translator, dialect)?;
    Ok(Translated {
        document,
        moves: translator.moves,
        pattern_bytes: translator.patterns.bytes(),
        largest_pattern: translator.patterns.largest(),
        looks_ahead: translator.patterns.looks_ahead(),
    })
}
