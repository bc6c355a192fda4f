//! Messages of violations: the member, the bound and the value.

use jsonschema::error::{TypeKind, ValidationErrorKind};
use serde_json::Value as Serde;

use super::assertion::SchemaAssertion;
use super::refusal::cut;
use crate::value::number::Number;
use crate::value::{Text, View, print};

/// The most characters of a value that a message shows.
const VALUE_CHARS_MAX: usize = 40;
/// The most values of an `enum` that a message shows.
const OPTIONS_MAX: usize = 8;

/// Texts of the formats that programs often write in another way.
const FORMATS: [(&str, &str); 5] = [
    ("date-time", "2026-01-31T06:12:47Z"),
    ("time", "06:12:47Z"),
    ("date", "2026-01-31"),
    ("duration", "PT1H30M"),
    ("uuid", "6f1c1d3e-58a5-4c0e-9d0b-0a3d5a0c9b11"),
];

/// A value for a message: strings in single quotes, which no JSON escapes, and containers by their size.
pub(super) fn value(view: View<'_>) -> String {
    match view {
        View::Array(array) => container("array", array.len(), "element"),
        View::Object(object) => container("object", object.len(), "member"),
        View::Str(text) => match text.as_str().char_indices().nth(VALUE_CHARS_MAX) {
            Some((end, _)) => format!("'{}…'", &text.as_str()[..end]),
            None => format!("'{}'", text.as_str()),
        },
        scalar => print::to_string(scalar),
    }
}

fn container(kind: &str, len: usize, child: &str) -> String {
    match len {
        0 => format!("an empty {kind}"),
        1 => format!("an {kind} with 1 {child}"),
        len => format!("an {kind} with {len} {child}s"),
    }
}

fn number(number: &Number) -> String {
    match number {
        Number::Int(value) => value.to_string(),
        Number::Float(value) => value.to_string(),
    }
}

/// A message about a keyword that is evaluated here; `None` for one that the crate evaluates.
pub(super) fn of_assertion(
    assertion: &SchemaAssertion,
    keyword: &str,
    view: View<'_>,
    member: &str,
) -> Option<String> {
    let it = value(view);
    Some(match assertion {
        SchemaAssertion::Never => never(keyword, member),
        SchemaAssertion::Minimum(bound) => format!("{it} is less than {}", number(bound)),
        SchemaAssertion::Maximum(bound) => format!("{it} is greater than {}", number(bound)),
        SchemaAssertion::ExclusiveMinimum(bound) => format!("{it} is not above {}", number(bound)),
        SchemaAssertion::ExclusiveMaximum(bound) => format!("{it} is not below {}", number(bound)),
        SchemaAssertion::MultipleOf(divisor, _) => format!("{it} is not a multiple of {divisor}"),
        SchemaAssertion::Type(types) => format!("{it} is not of the type {}", types.names()),
        SchemaAssertion::MinLength(least) => format!("{it} has fewer than {least} characters"),
        SchemaAssertion::MaxLength(most) => format!("{it} has more than {most} characters"),
        SchemaAssertion::MinItems(least) => format!("{it} has fewer than {least} elements"),
        SchemaAssertion::MaxItems(most) => format!("{it} has more than {most} elements"),
        SchemaAssertion::MinProperties(least) => format!("{it} has fewer than {least} members"),
        SchemaAssertion::MaxProperties(most) => format!("{it} has more than {most} members"),
        SchemaAssertion::Required(_) | SchemaAssertion::DependentRequired(_) => {
            of_missing(&assertion.all_missing(view))
        }
        SchemaAssertion::UniqueItems => "two elements of the array are equal".to_owned(),
        SchemaAssertion::OneOf(options) => match options.all() {
            [only] => format!("{it} is not {}", value(only.view())),
            all => {
                let shown: Vec<String> =
                    all.iter().take(OPTIONS_MAX).map(|one| value(one.view())).collect();
                let more = if all.len() > OPTIONS_MAX { ", …" } else { "" };
                format!("{it} is none of {}{more}", shown.join(", "))
            }
        },
        SchemaAssertion::Part(_) => return None,
    })
}

/// A message about required members that are missing.
pub(super) fn of_missing(members: &[&str]) -> String {
    let shown: Vec<String> =
        members.iter().take(OPTIONS_MAX).map(|member| format!("'{}'", cut(member))).collect();
    let members_are = if members.len() == 1 { "member" } else { "members" };
    let more = if members.len() > OPTIONS_MAX { ", …" } else { "" };
    format!("the object lacks the {members_are} {}{more}", shown.join(", "))
}

/// A message about the schema `false`.
fn never(keyword: &str, member: &str) -> String {
    match keyword {
        "additionalProperties" => {
            format!("the schema names no member '{}', and allows no others", cut(member))
        }
        "items" => "the array has more elements than the schema describes".to_owned(),
        _ => "no value is allowed here".to_owned(),
    }
}

/// A message about a member that `unevaluatedProperties` does not allow.
pub(super) fn of_unevaluated(member: &str) -> String {
    format!("the schema allows no member '{}'", cut(member))
}

/// A message about a name.
pub(super) fn of_name(name: Text<'_>) -> String {
    format!("the name '{}' is not allowed", cut(name.as_str()))
}

/// A message about a violation that the crate reported. `view`: the value, if it is known.
pub(super) fn of_kind(kind: &ValidationErrorKind, view: Option<View<'_>>, pattern: &str) -> String {
    use ValidationErrorKind as Kind;
    let it = view.map_or_else(|| "the value".to_owned(), value);
    match kind {
        Kind::AdditionalProperties { unexpected } => {
            let member = unexpected.first().map_or("", String::as_str);
            never("additionalProperties", member)
        }
        Kind::UnevaluatedProperties { unexpected } => {
            of_unevaluated(unexpected.first().map_or("", String::as_str))
        }
        Kind::AdditionalItems { limit } => format!("{it} has more than {limit} elements"),
        Kind::UnevaluatedItems { .. } => {
            "the array has elements that the schema does not allow".to_owned()
        }
        Kind::AnyOf { .. } => format!("{it} fits none of the alternatives"),
        Kind::OneOfNotValid { .. } => format!("{it} fits none of the alternatives"),
        Kind::OneOfMultipleValid { .. } => format!("{it} fits more than one of the alternatives"),
        Kind::Constant { expected_value } => format!("{it} is not {}", json(expected_value)),
        Kind::Enum { options } => format!("{it} is none of {}", json(options)),
        Kind::Contains => "too few or too many elements fit 'contains'".to_owned(),
        Kind::ExclusiveMaximum { limit } => format!("{it} is not below {}", json(limit)),
        Kind::ExclusiveMinimum { limit } => format!("{it} is not above {}", json(limit)),
        Kind::Maximum { limit } => format!("{it} is greater than {}", json(limit)),
        Kind::Minimum { limit } => format!("{it} is less than {}", json(limit)),
        Kind::MaxItems { limit } => format!("{it} has more than {limit} elements"),
        Kind::MinItems { limit } => format!("{it} has fewer than {limit} elements"),
        Kind::MaxLength { limit } => format!("{it} has more than {limit} characters"),
        Kind::MinLength { limit } => format!("{it} has fewer than {limit} characters"),
        Kind::MaxProperties { limit } => format!("{it} has more than {limit} members"),
        Kind::MinProperties { limit } => format!("{it} has fewer than {limit} members"),
        Kind::MultipleOf { multiple_of } => {
            format!("{it} is not a multiple of {}", cut(&multiple_of.to_string()))
        }
        Kind::FalseSchema => "no value is allowed here".to_owned(),
        Kind::Format { format } => {
            let example = FORMATS.iter().find(|(name, _)| name == format);
            let example = example.map(|(_, text)| format!(", as '{text}' is")).unwrap_or_default();
            format!("{it} is not of the format '{}'{example}", cut(format))
        }
        Kind::Not { .. } => format!("{it} fits the schema under 'not'"),
        Kind::Pattern { .. } => format!("{it} does not match the pattern {}", cut(pattern)),
        Kind::Required { property } => of_missing(&[property.as_str().unwrap_or_default()]),
        Kind::Type { kind } => format!("{it} is not of the type {}", types(kind)),
        Kind::UniqueItems => "two elements of the array are equal".to_owned(),
        other => format!("{it} does not fit '{}'", other.keyword()),
    }
}

fn types(kind: &TypeKind) -> String {
    match kind {
        TypeKind::Single(kind) => kind.to_string(),
        TypeKind::Multiple(kinds) => {
            let names: Vec<String> = kinds.iter().map(|kind| kind.to_string()).collect();
            names.join(" or ")
        }
    }
}

fn json(value: &Serde) -> String {
    let text = value.to_string();
    match text.char_indices().nth(2 * VALUE_CHARS_MAX) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}
