//! Look-ahead: each one is a search of its own, and is charged.

use redis_model::error::ErrorCode;
use redis_model::model::schema::{Schema, SchemaLimits};
use redis_model::value::edit::{ChangeKind, PlaceChange};
use redis_model::value::{Limits, Place, Value, parse};

fn value(json: &str) -> Value {
    parse::json(json.as_bytes(), &Limits::NONE).expect("the document is JSON").value
}

fn schema(json: &str) -> Schema {
    Schema::compile(json.as_bytes(), &SchemaLimits::DEFAULT).expect(json)
}

/// The steps of validating a document as a whole.
fn steps(schema: &Schema, document: &str) -> u64 {
    let document = value(document);
    let change = PlaceChange { place: Place::new(), kind: ChangeKind::Value };
    let (verdict, steps) = schema.steps_of_changes(document.view(), &[change]);
    assert!(verdict.is_ok(), "{verdict:?}");
    steps
}

#[test]
fn each_look_ahead_is_charged_for_the_text_that_it_searches() {
    let ahead = |count: usize| format!("^{}a", "(?!a*b)".repeat(count));
    let long = "a".repeat(4000);
    let texts = vec!["\"a\""; 1000].join(",");
    for (schema_of, document) in [
        (r#"{"pattern":"%"}"#, format!("\"{long}\"")),
        (r#"{"items":{"pattern":"%"}}"#, format!("[{texts}]")),
        (r#"{"patternProperties":{"%":{"type":"integer"}}}"#, format!("{{\"{long}\":1}}")),
        (
            r#"{"propertyNames":{"pattern":"%"},"unevaluatedProperties":true}"#,
            format!("{{\"{long}\":1}}"),
        ),
        (r#"{"not":{"patternProperties":{"%":{"type":"null"}}}}"#, format!("{{\"{long}\":1}}")),
    ] {
        let steps = |count| steps(&schema(&schema_of.replace('%', &ahead(count))), &document);
        let (one, hundred) = (steps(1), steps(100));
        assert!(hundred > 10 * one, "{schema_of}: {one} {hundred}");
    }
    // A few look-aheads cost little more than the pattern without them.
    let plain = steps(&schema(r#"{"pattern":"^a"}"#), &format!("\"{long}\""));
    let one = steps(&schema(r#"{"pattern":"^(?!-$)a"}"#), &format!("\"{long}\""));
    assert!(one < 3 * plain, "{plain} {one}");
    let large = format!("\"{}\"", "a".repeat(1_000_000));
    let hostile = schema(&format!("{{\"pattern\":\"{}\"}}", ahead(2000)));
    let error = hostile.check(value(&large).view()).unwrap_err();
    assert_eq!(error.code(), ErrorCode::Limit);
}

#[test]
fn each_look_ahead_of_a_definition_is_charged_however_it_is_spelled() {
    let cost = |text: &str| Schema::compile_cost(text.as_bytes());
    let pattern = |ahead: &str| format!("{{\"pattern\":\"^{}x\"}}", ahead.repeat(1500));
    let command_steps = redis_model::limit::COMMAND_STEPS.default;
    for ahead in ["(?!a.*b)", "(?=a.*b)", "\\u0028?!a.*b)", "(\\u003f!a.*b)", "(?\\u0021a.*b)"] {
        assert!(cost(&pattern(ahead)) > command_steps, "{ahead}");
    }
    // Names in other alphabets may be escaped.
    assert_eq!(cost(r#"{"title":"\u00e9\u4e2d\u000a"}"#), 4 * 30 + 2 * 35);
    assert_eq!(cost(r#"{"pattern":"^(?!a)"}"#), 4 * 20 + 2 * 35 + 4_000 + 8_000);
}
