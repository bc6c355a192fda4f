//! What is said of a violation: the place, the keyword, and where the schema asks for it.

use super::assertion::Test;
use super::draft::Moves;
use super::limits::SchemaLimits;
use super::parts::Run;
use super::refusal::cut;
use super::uri::SCHEMA_URI;
use super::walk::Violation;
use crate::error::{Error, ErrorCode};
use crate::value::number::Number;

/// The error a violation is.
#[cold]
pub(super) fn error(
    violation: &Violation<'_>,
    run: &Run<'_>,
    moves: &Moves,
    limits: &SchemaLimits,
) -> Error {
    let ask = violation.ask;
    let mut place = violation.place.clone();
    let mut keyword = ask.keyword.to_owned();
    let mut schema = match keyword.as_str() {
        // The schema `false` has no keyword of its own.
        "false" => violation.schema.to_owned(),
        keyword => format!("{}/{keyword}", violation.schema),
    };
    if let Test::Part(part) = ask.test
        && violation.name.is_none()
        && let Some(found) = run.explain(part, violation.view, limits)
    {
        place.push_str(&found.place);
        schema = match found.schema {
            Schema::Part(rest) => format!("{}{rest}", violation.schema),
            Schema::At(base, pointer) if base == SCHEMA_URI => pointer,
            // Outside the document, or in a resource of it that could not be flattened.
            Schema::At(base, pointer) => format!("{base}#{pointer}"),
        };
        keyword = found.keyword;
    }
    let message = message(violation, &keyword);
    Error::new(ErrorCode::Schema, message)
        .text("place", place.as_bytes())
        .text("keyword", keyword.as_bytes())
        .text("schema", moves.given(&schema).as_bytes())
}

/// Where the crate says a keyword stands: in the part itself, or in a resource of the schema.
pub(super) enum Schema {
    Part(String),
    At(String, String),
}

fn message(violation: &Violation<'_>, keyword: &str) -> String {
    let number = |number: &Number| match number {
        Number::Int(value) => value.to_string(),
        Number::Float(value) => value.to_string(),
    };
    match &violation.ask.test {
        Test::Never => "nothing may be here".to_owned(),
        Test::Minimum(bound) => format!("the number is less than {}", number(bound)),
        Test::Maximum(bound) => format!("the number is greater than {}", number(bound)),
        Test::ExclusiveMinimum(bound) => format!("the number is not above {}", number(bound)),
        Test::ExclusiveMaximum(bound) => format!("the number is not below {}", number(bound)),
        Test::MultipleOf(divisor, _) => format!("the number is not a multiple of {divisor}"),
        Test::Type(types) => format!("the value is not of the type {}", types.names()),
        Test::MinLength(least) => format!("the string has less than {least} characters"),
        Test::MaxLength(most) => format!("the string has more than {most} characters"),
        Test::MinItems(least) => format!("the array has less than {least} elements"),
        Test::MaxItems(most) => format!("the array has more than {most} elements"),
        Test::MinProperties(least) => format!("the object has less than {least} members"),
        Test::MaxProperties(most) => format!("the object has more than {most} members"),
        Test::Required(_) | Test::DependentRequired(_) => {
            let name = violation.ask.test.missing(violation.view).unwrap_or_default();
            format!("the object lacks the member '{}'", cut(name))
        }
        Test::UniqueItems => "two elements of the array are equal".to_owned(),
        Test::OneOf(_) => "the value is none of those allowed".to_owned(),
        Test::Part(_) => match (violation.name, keyword) {
            (Some(name), _) => format!("the name '{}' is not allowed", cut(name.as_str())),
            (_, "anyOf") => "the value fits none of the alternatives".to_owned(),
            (_, "oneOf") => "the value does not fit exactly one of the alternatives".to_owned(),
            (_, "not") => "the value fits what it must not".to_owned(),
            (_, "pattern") => "the string does not match the pattern".to_owned(),
            (_, "format") => "the string is not of the format".to_owned(),
            (_, "contains") => "the array does not contain what it must".to_owned(),
            (_, "unevaluatedProperties" | "unevaluatedItems") => {
                "nothing else may be here".to_owned()
            }
            (_, keyword) => format!("the value does not fit '{}'", cut(keyword)),
        },
    }
}
