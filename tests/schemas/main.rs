//! Schemas: the standard's suite, every keyword, changes against whole checks, and attacks.

mod attacks;
mod branches;
mod cases;
mod changes;
mod defaults;
mod drafts;
mod draw;
mod keywords;
mod look_ahead;
mod rows;
mod suite;

use redis_model::error::ErrorCode;
use redis_model::model::schema::{Schema, SchemaLimits};
use redis_model::value::{Limits, parse};

#[test]
fn the_standards_suite_holds() {
    let mut failures = Vec::new();
    let (mut checked, mut groups) = (0, 0);
    for group in suite::groups() {
        groups += 1;
        let name = format!("{}: {}", group.file, group.description);
        let schema =
            match Schema::compile(group.schema.to_string().as_bytes(), &SchemaLimits::DEFAULT) {
                Ok(schema) => schema,
                Err(error) => {
                    failures.push(format!("{name}: {error}"));
                    continue;
                }
            };
        for case in group.cases {
            let text = case.document.to_string();
            let document = match parse::json(text.as_bytes(), &Limits::DEFAULT) {
                Ok(document) => document.value,
                Err(error) => {
                    failures.push(format!("{name}: {}: {error}", case.description));
                    continue;
                }
            };
            checked += 1;
            let verdict = schema.check(document.view());
            let right = match &verdict {
                Ok(()) => case.valid,
                Err(error) => !case.valid && error.code() == ErrorCode::Schema,
            };
            if !right {
                failures.push(format!("{name}: {}: {verdict:?}", case.description));
            }
        }
    }
    assert!(
        failures.is_empty(),
        "{} of {checked} in {groups}:\n{}",
        failures.len(),
        failures.join("\n")
    );
    assert!(checked > 7000, "{checked}");
}

#[test]
fn references_out_of_the_schema_are_refused() {
    for group in suite::remote() {
        let text = group.schema.to_string();
        let compiled = Schema::compile(text.as_bytes(), &SchemaLimits::DEFAULT);
        let code = compiled.err().map(|error| error.code());
        assert_eq!(code, Some(ErrorCode::Err), "{}: {}", group.file, group.description);
    }
}

#[test]
fn no_document_has_an_integer_beyond_64_bits() {
    for group in suite::beyond_64_bits() {
        for case in group.cases {
            let text = case.document.to_string();
            let parsed = parse::json(text.as_bytes(), &Limits::DEFAULT);
            assert_eq!(parsed.err().map(|error| error.code()), Some(ErrorCode::Range), "{text}");
        }
    }
}
