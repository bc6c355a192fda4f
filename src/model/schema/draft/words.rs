//! Keywords of an older draft, or of another schema language, in a newer draft: refused by name.
//!
//! The standard ignores unknown keywords. If a schema with `"nullable": true` were accepted, its author would not learn
//! that the keyword has no effect.

use serde_json::{Map, Value as Serde};

use super::super::refusal::refuse;
use super::dialect::Dialect;
use crate::error::Result;

/// One keyword: the first draft without it, the values that had a meaning, and the message with its replacement.
struct Word {
    name: &'static str,
    unknown_from: Dialect,
    means_something: fn(&Serde) -> bool,
    instead: &'static str,
}

fn any(_: &Serde) -> bool {
    true
}

fn is_true(value: &Serde) -> bool {
    *value == Serde::Bool(true)
}

const WORDS: [Word; 11] = [
    Word {
        name: "items",
        unknown_from: Dialect::Draft2020,
        means_something: Serde::is_array,
        instead: "an array under 'items' is of an older draft: write 'prefixItems', or name the draft in '$schema'",
    },
    Word {
        name: "additionalItems",
        unknown_from: Dialect::Draft2020,
        means_something: any,
        instead: "'additionalItems' is of an older draft: write 'items' beside 'prefixItems', or name the draft in '$schema'",
    },
    Word {
        name: "$recursiveRef",
        unknown_from: Dialect::Draft2020,
        means_something: any,
        instead: "'$recursiveRef' is of draft 2019-09: write '$dynamicRef', or name the draft in '$schema'",
    },
    Word {
        name: "$recursiveAnchor",
        unknown_from: Dialect::Draft2020,
        means_something: is_true,
        instead: "'$recursiveAnchor' is of draft 2019-09: write '$dynamicAnchor', or name the draft in '$schema'",
    },
    Word {
        name: "exclusiveMinimum",
        unknown_from: Dialect::Draft6,
        means_something: Serde::is_boolean,
        instead: "a boolean 'exclusiveMinimum' is of draft 4: write the bound itself, or name the draft in '$schema'",
    },
    Word {
        name: "exclusiveMaximum",
        unknown_from: Dialect::Draft6,
        means_something: Serde::is_boolean,
        instead: "a boolean 'exclusiveMaximum' is of draft 4: write the bound itself, or name the draft in '$schema'",
    },
    Word {
        name: "nullable",
        unknown_from: Dialect::Draft4,
        means_something: is_true,
        instead: "'nullable' is not a keyword of JSON Schema: write a 'type' with \"null\" in it, or 'anyOf' with {\"type\":\"null\"}",
    },
    Word {
        name: "required",
        unknown_from: Dialect::Draft4,
        means_something: Serde::is_boolean,
        instead: "a boolean 'required' is of draft 3: write the names of required members beside 'properties'",
    },
    Word {
        name: "divisibleBy",
        unknown_from: Dialect::Draft4,
        means_something: Serde::is_number,
        instead: "'divisibleBy' is of draft 3: write 'multipleOf'",
    },
    Word {
        name: "disallow",
        unknown_from: Dialect::Draft4,
        means_something: |value| value.is_string() || value.is_array(),
        instead: "'disallow' is of draft 3: write 'not'",
    },
    Word {
        name: "extends",
        unknown_from: Dialect::Draft4,
        means_something: |value| value.is_object(),
        instead: "'extends' is of draft 3: write 'allOf'",
    },
];

/// Refuses keywords of one subschema that its draft does not have.
pub(super) fn refuse_unknown(
    schema: &Map<String, Serde>,
    dialect: Dialect,
    pointer: &str,
) -> Result<()> {
    for word in &WORDS {
        if dialect >= word.unknown_from && schema.get(word.name).is_some_and(word.means_something) {
            return Err(refuse(word.instead, pointer).text("keyword", word.name.as_bytes()));
        }
    }
    Ok(())
}

/// The keywords of all supported drafts, in the order of bytes, and `discriminator` of OpenAPI, which branches are chosen by.
const STANDARD: [&str; 64] = [
    "$anchor",
    "$comment",
    "$defs",
    "$dynamicAnchor",
    "$dynamicRef",
    "$id",
    "$recursiveAnchor",
    "$recursiveRef",
    "$ref",
    "$schema",
    "$vocabulary",
    "additionalItems",
    "additionalProperties",
    "allOf",
    "anyOf",
    "const",
    "contains",
    "contentEncoding",
    "contentMediaType",
    "contentSchema",
    "default",
    "definitions",
    "dependencies",
    "dependentRequired",
    "dependentSchemas",
    "deprecated",
    "description",
    "discriminator",
    "else",
    "enum",
    "examples",
    "exclusiveMaximum",
    "exclusiveMinimum",
    "format",
    "id",
    "if",
    "items",
    "maxContains",
    "maxItems",
    "maxLength",
    "maxProperties",
    "maximum",
    "minContains",
    "minItems",
    "minLength",
    "minProperties",
    "minimum",
    "multipleOf",
    "not",
    "oneOf",
    "pattern",
    "patternProperties",
    "prefixItems",
    "properties",
    "propertyNames",
    "readOnly",
    "required",
    "then",
    "title",
    "type",
    "unevaluatedItems",
    "unevaluatedProperties",
    "uniqueItems",
    "writeOnly",
];

/// The keywords of one subschema that have no effect, because its draft does not have them. Those that begin with `x-` are
/// meant for other programs.
pub(super) fn without_effect(
    schema: &Map<String, Serde>,
    dialect: Dialect,
) -> impl Iterator<Item = &str> {
    let is_known = move |name: &str| STANDARD.binary_search(&name).is_ok() && dialect.has(name);
    schema.keys().map(|name| &**name).filter(move |name| !is_known(name) && !name.starts_with("x-"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn standard_keywords_are_in_order_for_the_search() {
        assert!(STANDARD.is_sorted());
        for (keyword, ..) in super::super::super::keywords::KEYWORDS {
            assert!(STANDARD.contains(&keyword), "{keyword}");
        }
    }
}
