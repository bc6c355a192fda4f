//! Parts of a schema that the `jsonschema` crate validates, all compiled into one validator.
//!
//! The validator is that of a schema `{"properties": {name: part, name: part, ...}}`, and a part is asked by showing it
//! an object with one member. So the targets of references are compiled once, however many parts share them. A part
//! refers to subschemas of the user's schema by URI, which is registered as a resource, so that relative references
//! inside have the same base.

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

/// The steps of one question to the crate.
const QUESTION_STEPS: u64 = 16;

/// The name of a part: a mark and the part's number in hexadecimal. The mark distinguishes a location in a part from
/// one in the user's schema.
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

/// The parts of one schema, before they are compiled.
#[derive(Default)]
pub(super) struct CollectedParts {
    parts: Map<String, Serde>,
}

impl CollectedParts {
    /// Adds a part and returns its number.
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
        // The memory of all patterns together was checked before. The engine for look-ahead runs nothing else: all
        // patterns are linear.
        let (bytes, cache) = (limits.pattern_bytes, MATCHER_CACHE_BYTES);
        let options = match translated.look_aheads {
            0 => options.with_pattern_options(
                PatternOptions::regex().size_limit(bytes).dfa_size_limit(cache),
            ),
            _ => options.with_pattern_options(
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

/// The memory of one pattern for the cache of its matcher.
const MATCHER_CACHE_BYTES: usize = 1 << 20;

/// The compiled parts.
pub(super) struct SchemaParts {
    validator: Validator<DocumentJson>,
}

/// Asks the crate about parts, and charges a meter for the work. One for each check.
pub(super) struct Checker<'r> {
    parts: &'r SchemaParts,
    meter: Meter,
}

/// The location of a keyword as the crate reports it: a pointer in the part itself, or the URI of a resource and a
/// pointer in it.
pub(super) enum KeywordLocation {
    Part(String),
    At(String, String),
}

/// A violation reported by the crate: the pointer below the value, the location of the keyword, the kind.
pub(super) struct PartViolation {
    pub place: String,
    pub schema: KeywordLocation,
    pub kind: ValidationErrorKind,
}

impl PartViolation {
    /// The pattern that does not match, as it was compiled.
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
    /// Returns true if a value is valid against a part.
    #[inline(never)]
    pub fn passes(&self, part: u32, view: View<'_>) -> Result<bool> {
        self.meter.charge(QUESTION_STEPS);
        let name = PartName::new(part);
        let node = ValueNode::member(&name, view, &self.meter);
        let valid = self.parts.validator.is_valid(node);
        self.meter.verdict(valid)
    }

    /// Charges for visiting each of so many children of a value.
    #[inline]
    pub fn enter(&self, children: usize) -> Result<()> {
        self.meter.enter(children);
        self.meter.verdict(true).map(drop)
    }

    /// Charges for reading values, in steps of a command.
    #[inline]
    pub fn spend(&self, steps: u64) -> Result<()> {
        if steps == 0 {
            return Ok(());
        }
        self.meter.charge(steps.saturating_mul(SCHEMA_STEPS));
        self.meter.verdict(true).map(drop)
    }

    /// The steps charged so far.
    pub fn spent(&self) -> u64 {
        self.meter.spent()
    }

    /// Returns true if no two elements of an array are equal. Charged to the meter.
    pub fn is_unique(&self, array: ArrayView<'_>) -> Result<bool> {
        let unique = is_unique_within(array, &self.meter);
        self.meter.verdict(unique)
    }

    /// Locates the violation in a value that is invalid against a part. `None` if that takes too many steps.
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
    // It starts with the metaschemas of all drafts, which references may name.
    SPECIFICATIONS
        .add(SCHEMA_URI, schema)
        .map(|builder| builder.draft(Draft::Draft202012).retriever(NoRemote))
        .and_then(|builder| builder.prepare())
        .map_err(|error| Error::syntax(cut(&format!("the schema cannot be used: {error}"))))
}
