//! A definition as it was given, before it is compiled.

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
