//! JSON Schema 2020-12 over document values in place. The cost of validating a change depends on the change, not on the
//! document.
//!
//! A [`Schema`] is compiled twice from one text: into the validator of the `jsonschema` crate, for whole documents, and
//! into a plan of our own, which records for each subschema which changes can alter its verdict. [`Schema::check`] uses
//! the first, [`Schema::check_changes`] the second; their verdicts are equal.
//!
//! No schema and no document makes a check run without end, overflow the stack or take memory out of proportion: such a
//! schema is refused when it is compiled, or the check ends with `LIMIT`. Formats are asserted. Patterns are matched in
//! linear time. Nothing is ever fetched: the target of a reference is in the document, or is the metaschema of the
//! standard.

mod active;
mod assertion;
mod choice;
mod draft;
mod explain;
mod fill;
mod instance;
mod keywords;
mod limits;
mod message;
mod meter;
mod named;
mod outline;
mod parts;
mod pattern;
mod plan;
mod planner;
mod prune;
mod refusal;
mod subschema;
mod trail;
mod unique;
mod uri;
mod violation;
mod walk;

use std::cell::RefCell;

use jsonschema::error::ValidationErrorKind;
use serde_json::Value as Serde;

use self::active::Route;
use self::assertion::literal::refuse_odd_numbers;
use self::draft::{Moves, translate};
use self::explain::Explain;
use self::fill::Fill;
pub use self::limits::SchemaLimits;
use self::meter::{Matching, Meter};
use self::outline::SchemaOutline;
use self::parts::{Checker, SchemaParts};
use self::plan::{Plan, WHOLE};
use self::planner::Planner;
use self::refusal::{cut, refuse};
use self::uri::SCHEMA_URI;
use self::violation::Violation;
use self::walk::Walk;
use crate::budget::Allowance;
use crate::budget::weight::SCHEMA_STEPS;
use crate::error::{Error, ErrorCode, Result};
use crate::limit;
use crate::model::source::Formats;
use crate::value::View;
use crate::value::edit::{CHANGES_MAX, Editor, PlaceChange};

/// The names that `type` takes.
const TYPES: [&str; 7] = ["array", "boolean", "integer", "null", "number", "object", "string"];

/// The reason for which the value of a `type` is none.
#[cold]
fn wrong_type(value: Option<&Serde>) -> Option<String> {
    let is_name = |value: &&Serde| value.as_str().is_some_and(|name| TYPES.contains(&name));
    let types = TYPES.join(", ");
    match value? {
        Serde::String(name) => Some(format!("'{name}' is not a type: the types are {types}")),
        Serde::Array(names) => Some(match names.iter().find(|name| !is_name(name)) {
            Some(other) => format!("{other} is not a type: the types are {types}"),
            None => "an array of types has each once, and at least one".to_owned(),
        }),
        _ => Some(format!("a type is one of {types}, or an array of them")),
    }
}

/// A compiled schema.
pub struct Schema {
    plan: Plan,
    parts: SchemaParts,
    /// The pointers of subschemas in the schema as it was given.
    moves: Moves,
    unfilled: Box<[Box<str>]>,
    unknown: Box<[Box<str>]>,
    /// Flag: every document is valid. Models for indexes or queues alone often have such a schema.
    accepts_all: bool,
    limits: SchemaLimits,
    /// The charge for a step into a value.
    charge: u64,
    /// The charges for matching texts and names, see [`Meter::matching`].
    matching: Matching,
    name_patterns: u64,
    /// The charges for visiting a container, a member and an element.
    entry: u64,
    member: u64,
    element: u64,
    heap_bytes: usize,
}

const _: fn() = || {
    fn shared<T: Send + Sync>() {}
    shared::<Schema>();
};

impl Schema {
    /// Compiles a schema. `ERR` with the pointer of the subschema if it is invalid or not supported; `LIMIT` if it is
    /// too large or too costly.
    pub fn compile(text: &[u8], limits: &SchemaLimits) -> Result<Schema> {
        Schema::compile_with(text, Formats::Assert, limits)
    }

    /// As [`Schema::compile`], with formats validated or not.
    pub fn compile_with(text: &[u8], formats: Formats, limits: &SchemaLimits) -> Result<Schema> {
        Schema::compile_within(text, formats, limits, &Allowance::unlimited())
    }

    /// As [`Schema::compile_with`], charged to a command.
    pub fn compile_within(
        text: &[u8],
        formats: Formats,
        limits: &SchemaLimits,
        allowance: &Allowance<'_>,
    ) -> Result<Schema> {
        if text.len() <= limits.bytes {
            allowance.spend(Schema::compile_cost(text))?;
        }
        let translated = translate(parse(text, limits)?, limits, allowance)?;
        let document = &translated.document;
        jsonschema::draft202012::meta::validate(document).map_err(|error| {
            let place = translated.moves.given(error.instance_path().as_str()).into_owned();
            // Of all keywords, the metaschema has alternatives for the value of `type` alone.
            let reason = match error.kind() {
                ValidationErrorKind::AnyOf { .. } => {
                    wrong_type(document.pointer(error.instance_path().as_str()))
                }
                _ => None,
            };
            let reason = reason.unwrap_or_else(|| error.masked().to_string());
            refuse(cut(&format!("not a JSON Schema: {reason}")), &place)
        })?;
        let registry = parts::registry(document)?;
        let base = jsonschema::uri::from_str(SCHEMA_URI).expect("the URI is well-formed");
        let outline = SchemaOutline::new(document, &registry, &base, limits)?;
        let mut planner = Planner::new(&outline, &translated.moves, limits);
        let plan = planner.plan()?;
        let (count, parts) = (planner.parts.len(), planner.parts);
        let flat = outline.flattened(document);
        let flat_registry = flat.as_ref().map(parts::registry).transpose()?;
        let registry = flat_registry.as_ref().unwrap_or(&registry);
        let parts = parts.compile(registry, &translated, formats, limits)?;
        // The crate does not report the memory it allocates. Measured, it is about this for each subschema and part,
        // within a third for schemas of all shapes.
        let crate_bytes = (outline.subschemas.len() + count) * 1100 + text.len() * 6;
        let heap_bytes = plan.heap_bytes()
            + crate_bytes
            + translated.pattern_bytes
            + translated.moves.heap_bytes()
            + translated.unknown.iter().map(|pointer| 16 + pointer.len()).sum::<usize>();
        // One step may apply so many subschemas to a value.
        let charge = 1 + outline.weight / 16;
        let matching = Matching::new(translated.largest_pattern, translated.look_aheads);
        let name_patterns =
            outline.name_patterns() as u64 + u64::from(outline.has("propertyNames"));
        let entry = meter::entry_steps(outline.weight);
        let member = meter::member_steps(
            outline.has("propertyNames"),
            outline.name_patterns(),
            outline.unevaluated("unevaluatedProperties"),
            matching,
        );
        let element = meter::element_steps(outline.unevaluated("unevaluatedItems"));
        let moves = translated.moves;
        let unfilled = Box::default();
        let unknown = translated.unknown.into();
        let accepts_all = plan.nodes[0].accepts_all();
        let mut schema = Schema {
            plan,
            parts,
            moves,
            unfilled,
            unknown,
            accepts_all,
            limits: *limits,
            charge,
            matching,
            name_patterns,
            entry,
            member,
            element,
            heap_bytes,
        };
        schema.drop_unfit_defaults(limits)?;
        Ok(schema)
    }

    /// The steps of a command for compiling a schema of this text, beside those for large patterns: measured by its bytes, by
    /// its values, each of which is copied several times, and by its patterns, which take thirty microseconds each, and look-ahead, which takes twice that. Escapes of printable ASCII, which no program
    /// needs, count as look-ahead, because they can spell either.
    pub fn compile_cost(text: &[u8]) -> u64 {
        const BYTE_STEPS: u64 = 4;
        const VALUE_STEPS: u64 = 105;
        const NESTING_STEPS: u64 = 35;
        const PATTERN_STEPS: u64 = 4_000;
        const LOOK_AHEAD_STEPS: u64 = 8_000;
        let patterns = text.windows(7).filter(|word| *word == b"pattern").count();
        let look_aheads =
            text.windows(5).filter(|word| matches!(word, [b'(', b'?', b'=' | b'!', ..])).count();
        let escapes = text
            .windows(5)
            .filter(|word| matches!(word, [b'\\', b'u', b'0', b'0', b'2'..=b'7']))
            .count();
        // Commas tell the values, colons and brackets their names and containers; in texts they do no harm.
        let values = text.iter().filter(|byte| **byte == b',').count();
        let nesting = text.iter().filter(|byte| matches!(byte, b':' | b'{' | b'[')).count();
        text.len() as u64 * BYTE_STEPS
            + values as u64 * VALUE_STEPS
            + nesting as u64 * NESTING_STEPS
            + patterns as u64 * PATTERN_STEPS
            + (look_aheads + escapes) as u64 * LOOK_AHEAD_STEPS
    }

    /// Removes defaults that their own schema refuses: they would make a valid document invalid.
    fn drop_unfit_defaults(&mut self, limits: &SchemaLimits) -> Result<()> {
        // Removing one default may make another invalid, into which it was filled.
        const ROUNDS_MAX: usize = 16;
        let mut dropped = Vec::new();
        for _ in 0..ROUNDS_MAX {
            if !self.has_defaults() {
                break;
            }
            let unfit = Fill { plan: &self.plan, checker: &self.checker() }.unfit(limits)?;
            if unfit.is_empty() {
                break;
            }
            for id in unfit {
                self.plan.defaults.remove(&id);
                dropped.push(self.plan.nodes[id as usize].pointer.clone());
            }
        }
        dropped.sort();
        self.unfilled = dropped.into();
        Ok(())
    }

    /// JSON Pointers of the members whose default is not filled in, because their schema refuses it.
    pub fn unfilled(&self) -> &[Box<str>] {
        &self.unfilled
    }

    /// JSON Pointers of the first keywords that have no effect, because the draft does not have them.
    pub fn unknown(&self) -> &[Box<str>] {
        &self.unknown
    }

    /// Validates a whole document. A violation is `SCHEMA`, with the place, the keyword and the pointer of the keyword
    /// in the schema.
    pub fn check(&self, document: View<'_>) -> Result<()> {
        self.check_within(document, &Allowance::unlimited())
    }

    /// As [`Schema::check`], charged to a command.
    pub fn check_within(&self, document: View<'_>, allowance: &Allowance<'_>) -> Result<()> {
        if self.accepts_all {
            return Ok(());
        }
        let checker = self.checker_within(allowance.transfers_left(), allowance);
        let passes = checker.passes(WHOLE, document)?;
        allowance.transfer_counted(checker.spent() / SCHEMA_STEPS);
        if passes {
            return Ok(());
        }
        // The document is invalid; the plan locates the violation.
        let again = self.checker_within(allowance.transfers_left(), allowance);
        let walk = Walk::new(self.route(), &again);
        if let Some(violation) = walk.whole(document)? {
            return Err(self.explain(&violation, document, None));
        }
        Err(Error::new(ErrorCode::Schema, "the document does not fit the schema"))
    }

    /// Validates changes, in a document that was valid before them.
    #[inline]
    pub fn check_changes(&self, document: View<'_>, changes: &[PlaceChange]) -> Result<()> {
        self.check_changes_within(document, changes, &Allowance::unlimited())
    }

    /// As [`Schema::check_changes`], charged to a command.
    #[inline]
    pub fn check_changes_within(
        &self,
        document: View<'_>,
        changes: &[PlaceChange],
        allowance: &Allowance<'_>,
    ) -> Result<()> {
        if changes.is_empty() || self.accepts_all {
            return Ok(());
        }
        if changes.len() > CHANGES_MAX {
            return self.check_within(document, allowance);
        }
        let meter = self
            .meter_of_changes()
            .within(allowance.steps_left().saturating_mul(SCHEMA_STEPS), allowance);
        let checker = self.parts.checker(meter);
        let walk = Walk::new(self.route(), &checker);
        let verdict = match walk.changes(document, changes) {
            Ok(None) => Ok(()),
            Ok(Some(violation)) => Err(self.explain(&violation, document, Some(changes))),
            Err(error) => Err(error),
        };
        allowance.spend_counted(checker.spent() / SCHEMA_STEPS);
        verdict
    }

    /// As [`Schema::check_changes`], and returns the steps that it took: for tests.
    pub fn steps_of_changes(
        &self,
        document: View<'_>,
        changes: &[PlaceChange],
    ) -> (Result<()>, u64) {
        let checker = self.parts.checker(self.meter_of_changes());
        let verdict = match Walk::new(self.route(), &checker).changes(document, changes) {
            Ok(None) => Ok(()),
            Ok(Some(violation)) => Err(self.explain(&violation, document, Some(changes))),
            Err(error) => Err(error),
        };
        (verdict, checker.spent())
    }

    /// Fills in missing members that have a `default` under `properties`, also through `allOf`, `$ref` and the branch
    /// that is picked, in objects that exist or were just filled in, in the schema's order. Existing members are never
    /// changed. If a valid document would become invalid, nothing is filled in.
    ///
    /// Must be called before anything else is changed through this editor.
    pub fn fill_defaults(&self, editor: &mut Editor<'_>) -> Result<()> {
        if !self.has_defaults() {
            return Ok(());
        }
        let was_changed = editor.changed();
        self.fill(editor)?;
        if self.plan.fills_safely || was_changed || !editor.changed() || self.passes(editor)? {
            return Ok(());
        }
        editor.rollback();
        // A document that is invalid either way is refused later, unless the statements of the command repair it.
        if self.passes(editor)? { Ok(()) } else { self.fill(editor) }
    }

    fn fill(&self, editor: &mut Editor<'_>) -> Result<()> {
        let Some(allowance) = editor.allowance() else {
            return Fill { plan: &self.plan, checker: &self.checker() }.document(editor);
        };
        let checker = self.checker_within(allowance.transfers_left(), allowance);
        let filled = Fill { plan: &self.plan, checker: &checker }.document(editor);
        allowance.transfer_counted(checker.spent() / SCHEMA_STEPS);
        filled
    }

    /// The verdict on an editor's document, without an explanation.
    fn passes(&self, editor: &Editor<'_>) -> Result<bool> {
        let Some(allowance) = editor.allowance() else {
            return self.checker().passes(WHOLE, editor.view());
        };
        let checker = self.checker_within(allowance.transfers_left(), allowance);
        let passes = checker.passes(WHOLE, editor.view());
        allowance.transfer_counted(checker.spent() / SCHEMA_STEPS);
        passes
    }

    /// Returns true if the schema has a default that can be filled in.
    pub fn has_defaults(&self) -> bool {
        !self.plan.defaults.is_empty()
    }

    /// The approximate memory of the compiled schema.
    pub fn heap_bytes(&self) -> usize {
        self.heap_bytes
    }

    #[inline]
    fn meter(&self) -> Meter {
        Meter::new(self.limits.steps, self.charge, self.limits.stack_bytes)
            .matching(self.matching, self.name_patterns)
            .visits(self.entry, self.member, self.element)
    }

    /// Changes are validated by a walk to their places, which selects among alternatives by itself.
    #[inline]
    fn meter_of_changes(&self) -> Meter {
        self.meter().visits(meter::entry_steps(1), self.member, self.element)
    }

    #[inline]
    fn checker(&self) -> Checker<'_> {
        self.parts.checker(self.meter())
    }

    /// `steps`: the steps that the command has left.
    #[inline]
    fn checker_within(&self, steps: u64, allowance: &Allowance<'_>) -> Checker<'_> {
        self.parts.checker(self.meter().within(steps.saturating_mul(SCHEMA_STEPS), allowance))
    }

    #[inline]
    fn route(&self) -> Route<'_> {
        Route { plan: &self.plan, through: false }
    }

    /// The error of a check that found `first`. Another walk collects more violations, within few steps.
    #[cold]
    fn explain(
        &self,
        first: &Violation<'_>,
        document: View<'_>,
        changes: Option<&[PlaceChange]>,
    ) -> Error {
        // The violations of all alternatives take a few hundred bytes for each step.
        let meter = || {
            Meter::new(self.limits.steps / 512, 1, self.limits.stack_bytes)
                .matching(self.matching, self.name_patterns)
        };
        let checker = self.parts.checker(meter());
        let collected = RefCell::new(Vec::new());
        let walk = Walk::collecting(self.route(), &checker, &collected);
        let last = match changes {
            None => walk.whole(document),
            Some(changes) => walk.changes_anywhere(document, changes),
        };
        let mut others = collected.take();
        others.extend(last.ok().flatten().map(|last| *last));
        let checker = self.parts.checker(meter());
        let explain = Explain { plan: &self.plan, moves: &self.moves, checker: &checker };
        explain.error(first, &others)
    }
}

impl std::fmt::Debug for Schema {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Schema({} places)", self.plan.nodes.len())
    }
}

/// Reads the text of a schema, within limits.
fn parse(text: &[u8], limits: &SchemaLimits) -> Result<Serde> {
    if text.len() > limits.bytes {
        return Err(Error::limit(limit::SCHEMA_BYTES, limits.bytes as u64));
    }
    if nesting(text) > limits.depth {
        return Err(Error::limit(limit::SCHEMA_DEPTH, limits.depth.into()));
    }
    let document: Serde = serde_json::from_slice(text)
        .map_err(|error| Error::syntax(cut(&format!("the schema is not JSON: {error}"))))?;
    refuse_odd_numbers(&document)?;
    Ok(document)
}

/// The nesting of arrays and objects in a JSON text; any number if the text is not JSON.
fn nesting(text: &[u8]) -> u32 {
    let (mut depth, mut deepest) = (0_u32, 0);
    let (mut in_string, mut escaped) = (false, false);
    for byte in text {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            _ if in_string => {}
            b'[' | b'{' => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}
