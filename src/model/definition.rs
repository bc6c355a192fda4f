//! One definition of a model: its source, and what it compiles to.

use super::rule::{Rule, ValidationContext};
use super::schema::{Schema, SchemaLimits};
use super::source::{Defaults, DefinitionSource, Refresh};
use crate::budget::Allowance;
use crate::error::{Error, Result};
use crate::expr::{AllowedNames, ExprLimits, OldSelf, Program};
use crate::value::View;
use crate::value::edit::{Editor, PlaceChange, WatchPaths};

/// A compiled definition.
pub struct Definition {
    /// Counts the definitions of the model, from 1.
    pub version: u32,
    pub source: DefinitionSource,
    schema: Schema,
    rules: Vec<Rule>,
    reads_clock: bool,
    /// The paths that rules read of the document before a command.
    old_paths: WatchPaths,
}

impl Definition {
    /// Compiles a definition. `ERR` for an invalid schema, `EXPR` for an invalid rule, `LIMIT` also if compiling takes
    /// more steps than the command has left.
    pub fn compile(
        source: DefinitionSource,
        version: u32,
        schemas: &SchemaLimits,
        expressions: &ExprLimits,
        allowance: &Allowance<'_>,
    ) -> Result<Definition> {
        if source.schema.len() <= schemas.bytes {
            allowance.spend(Schema::compile_cost(&source.schema))?;
        }
        let schema = Schema::compile_with(&source.schema, source.formats, schemas)?;
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
        let reads_clock = rules.iter().any(|rule| rule.program.reads_clock());
        let old_paths = rules.iter().flat_map(|rule| rule.program.old_self_paths()).cloned();
        let old_paths = WatchPaths::new(old_paths);
        Ok(Definition { version, source, schema, rules, reads_clock, old_paths })
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
