//! Parts of a schema that the `jsonschema` crate judges, all compiled into one validator.
//!
//! The validator is that of a schema `{"properties": {name: part, name: part, ...}}`, and a part is asked
//! by showing it an object with one member. So references that several parts share are compiled once,
//! whatever their number, and a part costs little more than itself. A part refers to places of the
//! user's schema by URI, which is registered as a resource, so that references inside mean what they
//! mean there.

use std::error::Error as StdError;

use jsonschema::error::ValidationErrorKind;
use jsonschema::{Draft, PatternOptions, Registry, Retrieve, Uri, Validator};
use referencing::SPECIFICATIONS;
use serde_json::{Map, Value as Serde};

use super::draft::Translated;
use super::instance::{DocumentJson, ValueNode};
use super::limits::SchemaLimits;
use super::meter::Meter;
use super::refusal::{cut, refuse};
use super::unique::is_unique_within;
use super::uri::{PARTS_URI, SCHEMA_URI, unescape};
use crate::budget::weight::SCHEMA_STEPS;
use crate::error::{Error, Result};
use crate::model::source::Formats;
use crate::time::is_iso_8601;
use crate::value::{ArrayView, View};

/// Refuses every reference that leads out of the document.
pub(super) struct NoRemote;

impl Retrieve for NoRemote {
    fn retrieve(&self, uri: &Uri<String>) -> Result<Serde, Box<dyn StdError + Send + Sync>> {
        Err(format!("remote references are refused: {}", cut(uri.as_str())).into())
    }
}

/// Asking the crate about one value, in steps of a check.
const QUESTION_STEPS: u64 = 16;

/// The name of a part: a mark, and the part's number in as many digits. The mark tells a place in a part
/// from one in the user's schema.
struct PartName([u8; PartName::LEN]);

impl PartName {
    const MARK: u8 = 1;
    const LEN: usize = 9;

    #[inline]
    fn new(part: u32) -> PartName {
        let mut name = [PartName::MARK; PartName::LEN];
        for (nth, byte) in name[1..].iter_mut().enumerate() {
            *byte = b"0123456789abcdef"[(part >> (28 - 4 * nth)) as usize & 0xf];
        }
        PartName(name)
    }
}

impl std::ops::Deref for PartName {
    type Target = str;

    #[inline]
    fn deref(&self) -> &str {
        std::str::from_utf8(&self.0).expect("the name is ASCII")
    }
}

/// The parts of one schema while they are collected.
#[derive(Default)]
pub(super) struct CollectedParts {
    parts: Map<String, Serde>,
}

impl CollectedParts {
    /// Adds a part; gives its number.
    pub fn add(&mut self, part: Serde) -> u32 {
        let number = self.parts.len();
        self.parts.insert(PartName::new(number as u32).to_owned(), part);
        number as u32
    }

    pub fn len(&self) -> usize {
        self.parts.len()
    }

    /// Compiles them all.
    pub fn compile(
        self,
        registry: &Registry<'_>,
        translated: &Translated,
        formats: Formats,
        limits: &SchemaLimits,
    ) -> Result<SchemaParts> {
        let schema =
            Serde::Object(Map::from_iter([("properties".to_owned(), Serde::Object(self.parts))]));
        let options = jsonschema::options_for::<DocumentJson>()
            .with_draft(Draft::Draft202012)
            .with_registry(registry)
            .with_base_uri(PARTS_URI)
            .with_retriever(NoRemote)
            .with_format("duration", is_iso_8601)
            .should_validate_formats(formats == Formats::Assert);
        // What patterns take together was counted before; the engine for look-ahead matches nothing else.
        let (bytes, cache) = (limits.pattern_bytes, MATCHER_CACHE_BYTES);
        let options = match translated.looks_ahead {
            false => options.with_pattern_options(
                PatternOptions::regex().size_limit(bytes).dfa_size_limit(cache),
            ),
            true => options.with_pattern_options(
                PatternOptions::fancy_regex()
                    .backtrack_limit(usize::MAX)
                    .size_limit(bytes)
                    .dfa_size_limit(cache),
            ),
        };
        let validator = options.build(&schema).map_err(|error| {
            let place = error.schema_path().to_string();
            refuse(cut(&format!("the schema cannot be used: {error}")), &place)
        })?;
        Ok(SchemaParts { validator })
    }
}

/// Memory in which one pattern may keep what it learns while it matches.
const MATCHER_CACHE_BYTES: usize = 1 << 20;

/// The compiled parts.
pub(super) struct SchemaParts {
    validator: Validator<DocumentJson>,
}

/// What one check needs to ask parts.
pub(super) struct Checker<'r> {
    parts: &'r SchemaParts,
    meter: Meter,
}

/// Where the crate says a keyword stands: in the part itself, or in a resource of the schema.
pub(super) enum KeywordLocation {
    Part(String),
    At(String, String),
}

/// A violation as the crate found it: instance pointer below the value asked about, subschema, kind.
pub(super) struct PartViolation {
    pub place: String,
    pub schema: KeywordLocation,
    pub kind: ValidationErrorKind,
}

impl PartViolation {
    /// The pattern that is not matched, as the engine spells it.
    pub fn pattern(&self) -> &str {
        match &self.kind {
            ValidationErrorKind::Pattern { pattern } => pattern,
            _ => "",
        }
    }
}

impl SchemaParts {
    pub fn checker(&self, meter: Meter) -> Checker<'_> {
        Checker { parts: self, meter }
    }
}

impl Checker<'_> {
    /// Whether a value passes a part.
    #[inline(never)]
    pub fn passes(&self, part: u32, view: View<'_>) -> Result<bool> {
        self.meter.charge(QUESTION_STEPS);
        let name = PartName::new(part);
        let node = ValueNode::member(&name, view, &self.meter);
        let valid = self.parts.validator.is_valid(node);
        self.meter.verdict(valid)
    }

    /// Pays for looking at each of so many children of a value.
    #[inline]
    pub fn enter(&self, children: usize) -> Result<()> {
        self.meter.enter(children);
        self.meter.verdict(true).map(drop)
    }

    /// Pays for looking through values, in steps of a command.
    #[inline]
    pub fn spend(&self, steps: u64) -> Result<()> {
        if steps == 0 {
            return Ok(());
        }
        self.meter.charge(steps.saturating_mul(SCHEMA_STEPS));
        self.meter.verdict(true).map(drop)
    }

    /// The steps that were made.
    pub fn spent(&self) -> u64 {
        self.meter.spent()
    }

    /// Whether no two elements of an array are equal, which is paid for.
    pub fn is_unique(&self, array: ArrayView<'_>) -> Result<bool> {
        let unique = is_unique_within(array, &self.meter);
        self.meter.verdict(unique)
    }

    /// Where a value that does not pass a part violates it. `None` where saying so would cost too much.
    pub fn explain(&self, part: u32, view: View<'_>) -> Option<PartViolation> {
        let name = PartName::new(part);
        let node = ValueNode::member(&name, view, &self.meter);
        let found = self.parts.validator.validate(node).err()?;
        if self.meter.verdict(false).is_err() {
            return None;
        }
        let place = found.instance_path().as_str();
        let path = found.schema_path().as_str();
        let within = path.strip_prefix("/properties/").and_then(|path| path.strip_prefix(&*name));
        let schema = match (within, found.absolute_keyword_location()) {
            (Some(rest), _) => KeywordLocation::Part(rest.to_owned()),
            (None, Some(uri)) => {
                let (base, fragment) = uri.as_str().split_once('#').unwrap_or((uri.as_str(), ""));
                KeywordLocation::At(base.to_owned(), unescape(fragment))
            }
            (None, None) => KeywordLocation::At(SCHEMA_URI.to_owned(), path.to_owned()),
        };
        Some(PartViolation {
            place: place.get(1 + name.len()..).unwrap_or_default().to_owned(),
            schema,
            kind: found.into_parts().kind,
        })
    }
}

/// A registry with the user's schema in it.
pub(super) fn registry(schema: &Serde) -> Result<Registry<'_>> {
    // It begins with the metaschemas of all drafts, which references may lead to.
    SPECIFICATIONS
        .add(SCHEMA_URI, schema)
        .map(|builder| builder.draft(Draft::Draft202012).retriever(NoRemote))
        .and_then(|builder| builder.prepare())
        .map_err(|error| Error::syntax(cut(&format!("the schema cannot be used: {error}"))))
}
