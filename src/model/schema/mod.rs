//! JSON Schema 2020-12 over document values in place, with checks that cost as much as what changed.
//!
//! A [`Schema`] is compiled twice over from one text: into the `jsonschema` crate's validator, which
//! judges whole documents, and into a plan of our own, which knows for each place of the schema how far
//! up a change can alter the verdict. [`Schema::check`] is the first, [`Schema::check_changes`] the
//! second, and both give the same verdict.
//!
//! It guarantees that no schema and no document makes a check run without end, overflow the stack or
//! take memory out of proportion: what could is refused when it is compiled, or is a `LIMIT`. Formats
//! are asserted. Patterns are matched in linear time. Nothing is ever fetched: a reference leads into
//! the document, or to the standard's own metaschema.

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

use serde_json::Value as Serde;

use self::active::Route;
use self::assertion::literal::refuse_odd_numbers;
use self::draft::{Moves, translate};
use self::explain::Explain;
use self::fill::Fill;
pub use self::limits::SchemaLimits;
use self::meter::Meter;
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

/// A compiled schema.
pub struct Schema {
    plan: Plan,
    parts: SchemaParts,
    /// Where subschemas stand in the schema as it was given.
    moves: Moves,
    unfilled: Box<[Box<str>]>,
    limits: SchemaLimits,
    /// What a step into a value is charged.
    charge: u64,
    /// What matching a text is charged, see [`Meter::matching`].
    matching: u64,
    heap_bytes: usize,
}

const _: fn() = || {
    fn shared<T: Send + Sync>() {}
    shared::<Schema>();
};

impl Schema {
    /// Compiles a schema. What is wrong with it is `ERR`, with the place of the schema; what is too much
    /// is `LIMIT`.
    pub fn compile(text: &[u8], limits: &SchemaLimits) -> Result<Schema> {
        Schema::compile_with(text, Formats::Assert, limits)
    }

    /// As [`Schema::compile`], with formats validated or not.
    pub fn compile_with(text: &[u8], formats: Formats, limits: &SchemaLimits) -> Result<Schema> {
        let translated = translate(parse(text, limits)?, limits)?;
        let document = &translated.document;
        jsonschema::draft202012::meta::validate(document).map_err(|error| {
            let place = translated.moves.given(error.instance_path().as_str()).into_owned();
            refuse(cut(&format!("not a JSON Schema: {}", error.masked())), &place)
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
        // What the crate allocates cannot be asked. Measured, it is about this for each place and part,
        // within a third for schemas of all shapes.
        let crate_bytes = (outline.subschemas.len() + count) * 1100 + text.len() * 6;
        let heap_bytes = plan.heap_bytes()
            + crate_bytes
            + translated.pattern_bytes
            + translated.moves.heap_bytes();
        // A value may be met by that many schemas in one step.
        let charge = 1 + outline.weight / 16;
        let matching = meter::matching(translated.largest_pattern);
        let moves = translated.moves;
        let unfilled = Box::default();
        let mut schema =
            Schema { plan, parts, moves, unfilled, limits: *limits, charge, matching, heap_bytes };
        schema.drop_unfit_defaults(limits)?;
        Ok(schema)
    }

    /// Steps of a command that compiling a schema of this text takes: measured, by its bytes, and by its
    /// patterns, which take thirty microseconds each.
    pub fn compile_cost(text: &[u8]) -> u64 {
        const BYTE_STEPS: u64 = 8;
        const PATTERN_STEPS: u64 = 4_000;
        let patterns = text.windows(7).filter(|word| *word == b"pattern").count();
        text.len() as u64 * BYTE_STEPS + patterns as u64 * PATTERN_STEPS
    }

    /// Takes out defaults that their own schema refuses: they would make a valid document invalid.
    fn drop_unfit_defaults(&mut self, limits: &SchemaLimits) -> Result<()> {
        // Without one default, another that it was filled into may fit no longer.
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

    /// Checks a whole document. A violation is `SCHEMA`, with the place, the keyword and where the
    /// schema says so.
    pub fn check(&self, document: View<'_>) -> Result<()> {
        self.check_within(document, &Allowance::unlimited())
    }

    /// As [`Schema::check`], paid for by a command.
    pub fn check_within(&self, document: View<'_>, allowance: &Allowance<'_>) -> Result<()> {
        let checker = self.checker_within(allowance.transfers_left(), allowance);
        let passes = checker.passes(WHOLE, document)?;
        allowance.transfer_counted(checker.spent() / SCHEMA_STEPS);
        if passes {
            return Ok(());
        }
        // The verdict is there; the plan knows where to look for the place.
        let again = self.checker_within(allowance.transfers_left(), allowance);
        let walk = Walk::new(self.route(), &again);
        if let Some(violation) = walk.whole(document)? {
            return Err(self.explain(&violation, document, None));
        }
        Err(Error::new(ErrorCode::Schema, "the document does not fit the schema"))
    }

    /// Checks of a document that was valid before `changes` what they can have altered.
    #[inline]
    pub fn check_changes(&self, document: View<'_>, changes: &[PlaceChange]) -> Result<()> {
        self.check_changes_within(document, changes, &Allowance::unlimited())
    }

    /// As [`Schema::check_changes`], paid for by a command.
    #[inline]
    pub fn check_changes_within(
        &self,
        document: View<'_>,
        changes: &[PlaceChange],
        allowance: &Allowance<'_>,
    ) -> Result<()> {
        if changes.is_empty() {
            return Ok(());
        }
        if changes.len() > CHANGES_MAX {
            return self.check_within(document, allowance);
        }
        let checker = self.checker_within(allowance.steps_left(), allowance);
        let walk = Walk::new(self.route(), &checker);
        let verdict = match walk.changes(document, changes) {
            Ok(None) => Ok(()),
            Ok(Some(violation)) => Err(self.explain(&violation, document, Some(changes))),
            Err(error) => Err(error),
        };
        allowance.spend_counted(checker.spent() / SCHEMA_STEPS);
        verdict
    }

    /// As [`Schema::check_changes`], with the steps that it took: for tests of what a change costs.
    pub fn steps_of_changes(
        &self,
        document: View<'_>,
        changes: &[PlaceChange],
    ) -> (Result<()>, u64) {
        let checker = self.checker();
        let verdict = match Walk::new(self.route(), &checker).changes(document, changes) {
            Ok(None) => Ok(()),
            Ok(Some(violation)) => Err(self.explain(&violation, document, Some(changes))),
            Err(error) => Err(error),
        };
        (verdict, checker.spent())
    }

    /// Fills in missing members that have a `default` under `properties`, also through `allOf`, `$ref` and
    /// the branch that is meant, in objects that are there or were just filled in, in the schema's order.
    /// Members that are there are never touched. Where the document is valid without what would be filled
    /// in, and invalid with it, nothing is.
    ///
    /// To be called before anything else is changed through this editor.
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
        // A document that is invalid either way is refused, or mended by statements to come.
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

    /// Whether [`Schema::fill_defaults`] can ever do anything.
    pub fn has_defaults(&self) -> bool {
        !self.plan.defaults.is_empty()
    }

    /// About what the compiled schema takes in memory.
    pub fn heap_bytes(&self) -> usize {
        self.heap_bytes
    }

    #[inline]
    fn meter(&self) -> Meter {
        Meter::new(self.limits.steps, self.charge, self.limits.stack_bytes).matching(self.matching)
    }

    #[inline]
    fn checker(&self) -> Checker<'_> {
        self.parts.checker(self.meter())
    }

    /// `steps` are those of a command.
    #[inline]
    fn checker_within(&self, steps: u64, allowance: &Allowance<'_>) -> Checker<'_> {
        self.parts.checker(self.meter().within(steps.saturating_mul(SCHEMA_STEPS), allowance))
    }

    #[inline]
    fn route(&self) -> Route<'_> {
        Route { plan: &self.plan, through: false }
    }

    /// The error of a check that found `first`. Another walk collects more, as far as few steps lead.
    #[cold]
    fn explain(
        &self,
        first: &Violation<'_>,
        document: View<'_>,
        changes: Option<&[PlaceChange]>,
    ) -> Error {
        // What every alternative has against a value takes a few hundred bytes for each step.
        let steps = self.limits.steps / 512;
        let checker = self.parts.checker(Meter::new(steps, 1, self.limits.stack_bytes));
        let collected = RefCell::new(Vec::new());
        let walk = Walk::collecting(self.route(), &checker, &collected);
        let last = match changes {
            None => walk.whole(document),
            Some(changes) => walk.changes_anywhere(document, changes),
        };
        let mut others = collected.take();
        others.extend(last.ok().flatten().map(|last| *last));
        let checker = self.parts.checker(Meter::new(steps, 1, self.limits.stack_bytes));
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

/// How deep arrays and objects nest in a JSON text; what is no JSON gives some number.
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
