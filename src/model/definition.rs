//! One definition of a model: its source, and what it compiles to.

use std::sync::Arc;

use super::entry::{Declared, Source};
use super::rule::{Rule, ValidationContext};
use super::schema::{Schema, SchemaLimits};
use super::source::{Defaults, DefinitionSource, Refresh};
use crate::budget::Allowance;
use crate::error::{Error, ErrorCode, Result};
use crate::expr::{AllowedNames, ExprLimits, OldSelf, Program};
use crate::index::{IndexSet, IndexSource, ModelIndexes};
use crate::limit::{self, Limit};
use crate::value::View;
use crate::value::edit::{Editor, PlaceChange, WatchPaths};

/// A compiled definition.
pub struct Definition {
    /// Counts the definitions of the model, from 1.
    pub version: u32,
    pub source: DefinitionSource,
    schema: Schema,
    rules: Vec<Rule>,
    indexes: Option<Arc<IndexSet>>,
    reads_clock: bool,
    /// The paths that rules read of the document before a command.
    old_paths: WatchPaths,
}

/// The limits of compiling a definition.
pub struct ModelLimits {
    pub schemas: SchemaLimits,
    pub expressions: ExprLimits,
}

impl Source for DefinitionSource {
    type Compiled = Definition;
    type Limits = ModelLimits;
    type Kept = ModelIndexes;

    const NOUN: &'static str = "model";
    const COUNT: Limit = limit::MODELS;
    const UNLIMITED: ModelLimits =
        ModelLimits { schemas: SchemaLimits::NONE, expressions: ExprLimits::NONE };

    /// Schemas are compared as JSON values, so spacing and the order of members make no difference.
    fn is_same(&self, other: &DefinitionSource) -> bool {
        DefinitionSource::is_same(self, other)
    }

    fn bytes(&self) -> usize {
        let rules = self.rules.iter().map(|rule| rule.name.len() + rule.expr.len());
        let indexes = self.indexes.iter().map(IndexSource::bytes);
        self.schema.len() + rules.sum::<usize>() + indexes.sum::<usize>()
    }

    /// `ERR` for an invalid schema, `EXPR` for an invalid rule, `LIMIT` also if compiling takes more steps than the
    /// command has left.
    fn compile(
        &self,
        version: u32,
        limits: &ModelLimits,
        allowance: &Allowance<'_>,
    ) -> Result<Definition> {
        let (source, expressions) = (self.clone(), &limits.expressions);
        let schema =
            Schema::compile_within(&source.schema, source.formats, &limits.schemas, allowance)?;
        let rules = source
            .rules
            .iter()
            .map(|rule| {
                let program =
                    Program::compile_within(&rule.expr, AllowedNames::RULE, expressions, allowance)
                        .map_err(|error| error.text("rule", rule.name.as_bytes()))?;
                Ok(Rule { name: rule.name.clone(), program })
            })
            .collect::<Result<Vec<_>>>()?;
        let indexes = IndexSet::compile(&source.indexes, expressions, allowance)?.map(Arc::new);
        let reads_clock = rules.iter().any(|rule| rule.program.reads_clock());
        let old_paths = rules.iter().flat_map(|rule| rule.program.old_self_paths()).cloned();
        let old_paths = WatchPaths::new(old_paths);
        Ok(Definition { version, source, schema, rules, indexes, reads_clock, old_paths })
    }

    fn declare(indexes: &ModelIndexes, definition: Option<&Definition>, in_use: bool) -> Declared {
        let declared = definition.and_then(Definition::indexes).cloned();
        let has_indexes = declared.is_some();
        indexes.declare(declared, in_use);
        let changes = definition.is_some_and(|definition| definition.source.changes.is_some());
        Declared { indexes: has_indexes, changes }
    }

    fn records_changes(&self) -> bool {
        self.changes.is_some()
    }

    fn unknown(name: &[u8], _: &mut dyn Iterator<Item = &str>) -> Error {
        Error::new(ErrorCode::NoModel, "the model is not defined").text("model", name)
    }
}

impl Definition {
    /// The declared indexes.
    pub fn indexes(&self) -> Option<&Arc<IndexSet>> {
        self.indexes.as_ref()
    }

    /// Returns true if a rule reads the clock.
    pub fn reads_clock(&self) -> bool {
        self.reads_clock
    }

    /// The time to live in milliseconds; 0 if there is none.
    pub fn ttl_ms(&self) -> u64 {
        self.source.ttl_s.unwrap_or(0) * 1000
    }

    /// The time at which a document created at `now_us` expires, in unix milliseconds.
    pub fn expires_at(&self, now_us: u64) -> Option<u64> {
        self.source.ttl_s.map(|ttl_s| now_us / 1000 + ttl_s * 1000)
    }

    /// As [`Definition::expires_at`], if a change of a document restarts its time to live.
    pub fn refreshed_by_write(&self, now_us: u64) -> Option<u64> {
        (self.source.refresh != Refresh::Never).then(|| self.expires_at(now_us)).flatten()
    }

    /// As [`Definition::expires_at`], if reading a document restarts its time to live.
    pub fn refreshed_by_read(&self, now_us: u64) -> Option<u64> {
        (self.source.refresh == Refresh::Read).then(|| self.expires_at(now_us)).flatten()
    }

    /// Fills in missing members that have a default.
    pub fn fill_defaults(&self, editor: &mut Editor<'_>) -> Result<()> {
        match self.source.defaults {
            Defaults::Filled if self.schema.has_defaults() => self.schema.fill_defaults(editor),
            _ => Ok(()),
        }
    }

    /// JSON Pointers of the members whose default is not filled in, because their own schema refuses it.
    pub fn unfilled_defaults(&self) -> &[Box<str>] {
        self.schema.unfilled()
    }

    /// The keywords of the schema that have no effect.
    pub fn unknown_keywords(&self) -> &[Box<str>] {
        self.schema.unknown()
    }

    /// The paths whose values before a command rules read.
    pub fn old_paths(&self) -> &WatchPaths {
        &self.old_paths
    }

    /// Validates a whole document: `SCHEMA` or `RULE` if it is invalid. `before`: the document before the command, none
    /// at its creation.
    pub fn validate(
        &self,
        document: View<'_>,
        before: Option<OldSelf<'_>>,
        context: &ValidationContext<'_>,
    ) -> Result<()> {
        self.schema
            .check_within(document, context.allowance)
            .map_err(|error| self.name_version(error))?;
        self.rules.iter().try_for_each(|rule| rule.validate(document, before, context))
    }

    /// As [`Definition::validate`], for a document that was valid before these changes.
    pub fn validate_changes(
        &self,
        document: View<'_>,
        changes: &[PlaceChange],
        before: Option<OldSelf<'_>>,
        context: &ValidationContext<'_>,
    ) -> Result<()> {
        self.schema
            .check_changes_within(document, changes, context.allowance)
            .map_err(|error| self.name_version(error))?;
        let touched = self.rules.iter().filter(|rule| rule.is_touched(document, changes));
        touched.into_iter().try_for_each(|rule| rule.validate(document, before, context))
    }

    fn name_version(&self, error: Error) -> Error {
        error.integer("definition-version", self.version.into())
    }
}
