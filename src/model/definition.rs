//! One definition of a model: what was given, and what it compiles to.

use super::schema::{Schema, SchemaLimits};
use crate::budget::Allowance;
use crate::error::{Error, ErrorCode, Result};
use crate::expr::{AllowedNames, ExprLimits, OldSelf, Program, Scope};
use crate::value::edit::{ChangeKind, Editor, PlaceChange, WatchPaths};
use crate::value::{Text, View};

/// A definition as it was given: what is stored and sent, and compiled again where it arrives.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DefinitionSource {
    /// JSON Schema of any draft from 4 on, as JSON text.
    pub schema: Box<[u8]>,
    pub rules: Vec<RuleSource>,
    pub ttl_s: Option<u64>,
    pub refresh: Refresh,
    pub formats: Formats,
    pub defaults: Defaults,
}

impl DefinitionSource {
    /// Compares two definitions with their schemas as JSON values: spacing and the order of members do
    /// not make another definition.
    pub fn is_same(&self, other: &DefinitionSource) -> bool {
        let others = |source: &DefinitionSource| {
            let DefinitionSource { schema: _, rules, ttl_s, refresh, formats, defaults } =
                source.clone();
            (rules, ttl_s, refresh, formats, defaults)
        };
        others(self) == others(other) && is_same_json(&self.schema, &other.schema)
    }
}

fn is_same_json(a: &[u8], b: &[u8]) -> bool {
    let value = |text: &[u8]| serde_json::from_slice::<serde_json::Value>(text).ok();
    a == b || value(a).is_some_and(|a| value(b).is_some_and(|b| a == b))
}

/// Whether the values of `format` are validated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Formats {
    #[default]
    Assert,
    Annotate,
}

impl Formats {
    /// As the syntax spells it.
    pub fn word(self) -> &'static str {
        match self {
            Formats::Assert => "ASSERT",
            Formats::Annotate => "ANNOTATE",
        }
    }
}

/// Whether missing members get their `default`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Defaults {
    #[default]
    Filled,
    Ignored,
}

impl Defaults {
    /// As a description spells it.
    pub fn word(self) -> &'static str {
        match self {
            Defaults::Filled => "FILLED",
            Defaults::Ignored => "IGNORED",
        }
    }
}

/// A rule as it was given.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RuleSource {
    pub name: Box<str>,
    pub expr: Box<str>,
}

/// When a document's time to live begins anew.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Refresh {
    /// Never: it counts from the creation.
    #[default]
    Never,
    /// At every command that changes the document.
    Write,
    /// At every command that changes or reads the document.
    Read,
}

impl Refresh {
    /// As the syntax spells it; none where it is left out.
    pub fn word(self) -> Option<&'static str> {
        match self {
            Refresh::Never => None,
            Refresh::Write => Some("WRITE"),
            Refresh::Read => Some("READ"),
        }
    }
}

/// The most rules one model may have.
pub const RULES_MAX: usize = crate::limit::RULES.default as usize;
/// The longest time to live of a model: the server's clock has room for it.
pub const TTL_MAX_S: u64 = 1 << 40;

/// A compiled definition.
pub struct Definition {
    /// Counts up with every definition of the model, from 1.
    pub version: u32,
    pub source: DefinitionSource,
    schema: Schema,
    rules: Vec<Rule>,
    reads_clock: bool,
    /// What rules read of the document before a command.
    old_paths: WatchPaths,
}

struct Rule {
    name: Box<str>,
    program: Program,
}

/// What rules may read besides the document.
#[derive(Clone, Copy)]
pub struct ValidationContext<'a> {
    pub key: &'a [u8],
    /// The document's revision before the command; none at its creation.
    pub revision: Option<u64>,
    /// None where no rule reads it, see [`Definition::reads_clock`].
    pub now_us: Option<u64>,
    pub limits: &'a ExprLimits,
    /// What the schema and the rules are paid from.
    pub allowance: &'a Allowance<'a>,
}

impl Definition {
    /// `ERR` for a schema that is none, `EXPR` for a rule, `LIMIT`, also where compiling takes more than the
    /// command may do.
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

    /// Whether a rule asks for the time.
    pub fn reads_clock(&self) -> bool {
        self.reads_clock
    }

    /// The time to live in milliseconds; 0 where there is none.
    pub fn ttl_ms(&self) -> u64 {
        self.source.ttl_s.unwrap_or(0) * 1000
    }

    /// When a document that begins to live at `now_us` ends, in unix milliseconds.
    pub fn expires_at(&self, now_us: u64) -> Option<u64> {
        self.source.ttl_s.map(|ttl_s| now_us / 1000 + ttl_s * 1000)
    }

    /// As [`Definition::expires_at`], if a change of a document begins its time to live anew.
    pub fn refreshed_by_write(&self, now_us: u64) -> Option<u64> {
        (self.source.refresh != Refresh::Never).then(|| self.expires_at(now_us)).flatten()
    }

    /// As [`Definition::expires_at`], if reading a document begins its time to live anew.
    pub fn refreshed_by_read(&self, now_us: u64) -> Option<u64> {
        (self.source.refresh == Refresh::Read).then(|| self.expires_at(now_us)).flatten()
    }

    /// Puts in the members that are missing and have a default.
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

    /// The paths of a document whose values before a command rules ask for.
    pub fn old_paths(&self) -> &WatchPaths {
        &self.old_paths
    }

    /// `SCHEMA` or `RULE` unless the whole document is as it has to be.
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

    /// As [`Definition::judge`], for a document that was as it has to be before these changes.
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

impl Rule {
    /// Whether the changes can have altered what the rule says.
    fn is_touched(&self, document: View<'_>, changes: &[PlaceChange]) -> bool {
        let Some(members) = self.program.self_members() else { return true };
        changes.iter().any(|change| match (change.place.first(), change.kind) {
            // The root itself: a member came or went.
            (None, ChangeKind::Value | ChangeKind::Members) => true,
            (Some(position), _) => match document.as_object().and_then(|o| o.member(*position)) {
                Some((name, _)) => members.iter().any(|member| name == Text::from(&**member)),
                None => true,
            },
        })
    }

    fn validate(
        &self,
        document: View<'_>,
        before: Option<OldSelf<'_>>,
        context: &ValidationContext<'_>,
    ) -> Result<()> {
        // What compares with the document before has nothing to say where there was none.
        if before.is_none() && !self.program.old_self_paths().is_empty() {
            return Ok(());
        }
        let scope = Scope {
            this: Some(document),
            args: None,
            docs: None,
            old_self: before,
            value: None,
            now_us: context.now_us,
            key: context.key,
            revision: context.revision,
            allowance: Some(context.allowance),
        };
        let named = |error: Error| error.text("rule", self.name.as_bytes());
        if self.program.test(&scope, context.limits).map_err(named)? {
            return Ok(());
        }
        let error = Error::new(ErrorCode::Rule, "the document would break a rule of its model")
            .text("rule", self.name.as_bytes())
            .text("expr", self.program.source().as_bytes());
        Err(error.values(self.program.explain(&scope, context.limits)))
    }
}
