//! The source of a definition: a schema, rules, indexes and options as they were given.

use crate::index::IndexSource;

/// The source of a definition, which is stored and sent, and compiled by each server.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DefinitionSource {
    /// JSON Schema of any draft from 4 on, as JSON text.
    pub schema: Box<[u8]>,
    pub rules: Vec<RuleSource>,
    pub indexes: Vec<IndexSource>,
    pub ttl_s: Option<u64>,
    pub refresh: Refresh,
    pub formats: Formats,
    pub defaults: Defaults,
    pub changes: Option<ChangesSource>,
}

impl DefinitionSource {
    /// Returns true if two definitions are the same. Their schemas are compared as JSON values, so spacing and the
    /// order of members make no difference.
    pub fn is_same(&self, other: &DefinitionSource) -> bool {
        let others = |source: &DefinitionSource| {
            let DefinitionSource {
                schema: _,
                rules,
                indexes,
                ttl_s,
                refresh,
                formats,
                defaults,
                changes,
            } = source.clone();
            (rules, indexes, ttl_s, refresh, formats, defaults, changes)
        };
        others(self) == others(other) && is_same_json(&self.schema, &other.schema)
    }
}

pub(super) fn is_same_json(a: &[u8], b: &[u8]) -> bool {
    let value = |text: &[u8]| serde_json::from_slice::<serde_json::Value>(text).ok();
    a == b || value(a).is_some_and(|a| value(b).is_some_and(|b| a == b))
}

/// The treatment of the keyword `format`: an assertion, or an annotation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Formats {
    #[default]
    Assert,
    Annotate,
}

impl Formats {
    /// The spelling in the syntax.
    pub fn word(self) -> &'static str {
        match self {
            Formats::Assert => "ASSERT",
            Formats::Annotate => "ANNOTATE",
        }
    }
}

/// The treatment of the keyword `default`: missing members are filled in, or not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Defaults {
    #[default]
    Filled,
    Ignored,
}

impl Defaults {
    /// The spelling in a description.
    pub fn word(self) -> &'static str {
        match self {
            Defaults::Filled => "FILLED",
            Defaults::Ignored => "IGNORED",
        }
    }
}

/// The stream that a model's changes are appended to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChangesSource {
    /// The entries that it keeps at least.
    pub entries: u64,
    pub with: ChangesWith,
}

/// The content of the entries of a change stream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ChangesWith {
    /// None: the key and the revisions.
    Keys,
    /// A JSON Patch, or the whole document where that is shorter.
    #[default]
    Patch,
    /// The document after the change.
    After,
    /// The document before and after the change.
    Both,
}

impl ChangesWith {
    pub const ALL: [ChangesWith; 4] =
        [ChangesWith::Keys, ChangesWith::Patch, ChangesWith::After, ChangesWith::Both];

    /// The spelling in the syntax.
    pub fn word(self) -> &'static str {
        match self {
            ChangesWith::Keys => "KEYS",
            ChangesWith::Patch => "PATCH",
            ChangesWith::After => "AFTER",
            ChangesWith::Both => "BOTH",
        }
    }
}

/// The source of a rule.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RuleSource {
    pub name: Box<str>,
    pub expr: Box<str>,
}

/// The commands that restart the time to live of a document.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Refresh {
    /// None: it counts from the creation.
    #[default]
    Never,
    /// Commands that change the document.
    Write,
    /// Commands that change or read the document.
    Read,
}

impl Refresh {
    /// The spelling in the syntax; none if it is omitted.
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
/// The longest time to live of a model. Adding it to the server's clock cannot overflow.
pub const TTL_MAX_S: u64 = 1 << 40;
