//! The supported drafts of JSON Schema, and the keywords that each introduced.

use serde_json::Value as Serde;

/// A draft, from the oldest to the newest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Dialect {
    Draft4,
    Draft6,
    Draft7,
    Draft2019,
    Draft2020,
}

const NAMES: [(&str, Dialect); 6] = [
    // The latest draft, whichever that is.
    ("json-schema.org/schema", Dialect::Draft2020),
    ("json-schema.org/draft-04/schema", Dialect::Draft4),
    ("json-schema.org/draft-06/schema", Dialect::Draft6),
    ("json-schema.org/draft-07/schema", Dialect::Draft7),
    ("json-schema.org/draft/2019-09/schema", Dialect::Draft2019),
    ("json-schema.org/draft/2020-12/schema", Dialect::Draft2020),
];

/// Keywords that have an effect, with the draft that introduced each. All other keywords are in every draft.
const INTRODUCED: [(&str, Dialect); 20] = [
    ("const", Dialect::Draft6),
    ("contains", Dialect::Draft6),
    ("propertyNames", Dialect::Draft6),
    ("if", Dialect::Draft7),
    ("then", Dialect::Draft7),
    ("else", Dialect::Draft7),
    ("$anchor", Dialect::Draft2019),
    ("$recursiveRef", Dialect::Draft2019),
    ("$recursiveAnchor", Dialect::Draft2019),
    ("$vocabulary", Dialect::Draft2019),
    ("dependentRequired", Dialect::Draft2019),
    ("dependentSchemas", Dialect::Draft2019),
    ("minContains", Dialect::Draft2019),
    ("maxContains", Dialect::Draft2019),
    ("unevaluatedItems", Dialect::Draft2019),
    ("unevaluatedProperties", Dialect::Draft2019),
    ("contentSchema", Dialect::Draft2019),
    ("prefixItems", Dialect::Draft2020),
    ("$dynamicRef", Dialect::Draft2020),
    ("$dynamicAnchor", Dialect::Draft2020),
];

impl Dialect {
    /// The draft that `$schema` names.
    pub fn named(uri: &Serde) -> Option<Dialect> {
        let name = uri.as_str()?.trim_end_matches(['#', '/']);
        let name = name.strip_prefix("http://").or_else(|| name.strip_prefix("https://"))?;
        NAMES.iter().find(|(known, _)| *known == name).map(|(_, dialect)| *dialect)
    }

    /// Returns true if this draft has the keyword.
    pub fn has(self, keyword: &str) -> bool {
        let known = INTRODUCED.iter().find(|(name, _)| *name == keyword);
        known.is_none_or(|(_, introduced)| *introduced <= self)
    }

    /// Returns true if this draft ignores all keywords beside `$ref`.
    pub fn ignores_siblings_of_references(self) -> bool {
        self <= Dialect::Draft7
    }
}
