//! The cost of compiling a schema and of validating by it. Run: `cargo bench --bench schema`.
//!
//! Nanoseconds on one machine, only to be compared with each other. Each number is the best of several
//! rounds. Nothing here is asserted.

use std::fmt::Write as _;
use std::hint::black_box;
use std::time::Instant;

use redis_model::model::schema::{Schema, SchemaLimits};
use redis_model::value::edit::{ChangeKind, PlaceChange};
use redis_model::value::{Limits, Place, Value, parse};

fn value(json: &str) -> Value {
    parse::json(json.as_bytes(), &Limits::NONE).expect("the document is JSON").value
}

fn schema(json: &str) -> Schema {
    Schema::compile(json.as_bytes(), &SchemaLimits::DEFAULT).expect("the schema is one")
}

/// Nanoseconds for one run, the best of several rounds.
fn time(mut run: impl FnMut()) -> f64 {
    let mut rounds = 1_u32;
    loop {
        let start = Instant::now();
        (0..rounds).for_each(|_| run());
        if start.elapsed().as_millis() > 3 || rounds > 1 << 24 {
            break;
        }
        rounds *= 2;
    }
    let round = |_| {
        let start = Instant::now();
        (0..rounds).for_each(|_| run());
        start.elapsed().as_nanos() as f64 / f64::from(rounds)
    };
    (0..40).map(round).fold(f64::INFINITY, f64::min)
}

fn report(name: &str, nanoseconds: f64) {
    println!("{name:<64} {nanoseconds:>14.1} ns");
}

fn changed(steps: &[u32]) -> [PlaceChange; 1] {
    [PlaceChange { place: Place::from_slice(steps), kind: ChangeKind::Value }]
}

/// An object schema as a code generator writes it.
const ACCOUNT: &str = r##"{
    "$schema": "https://json-schema.org/draft/2020-12/schema", "type": "object",
    "$defs": {"Address": {"type": "object", "required": ["street", "city"], "properties": {
        "street": {"type": "string", "maxLength": 80}, "city": {"type": "string"}}}},
    "required": ["id", "score"], "additionalProperties": false,
    "properties": {
        "id": {"type": "string", "pattern": "^[a-z]+-[0-9]+$"},
        "name": {"type": "string", "maxLength": 64}, "score": {"type": "integer", "minimum": 0},
        "status": {"enum": ["active", "closed"]}, "email": {"type": "string", "format": "email"},
        "tags": {"type": "array", "items": {"type": "string"}, "uniqueItems": true},
        "address": {"$ref": "#/$defs/Address"},
        "age": {"anyOf": [{"type": "integer"}, {"type": "null"}]}}}"##;
const ACCOUNT_DOCUMENT: &str = r#"{"id":"user-17","name":"Ada Lovelace","score":12345,
    "status":"active","email":"ada@example.com","tags":["a","b","c"],
    "address":{"street":"1 Main Street","city":"London"},"age":36}"#;

fn main() {
    let simple =
        schema(r#"{"type":"object","properties":{"score":{"type":"integer","minimum":0}}}"#);
    let one = value(r#"{"score":1}"#);
    let change = changed(&[0]);
    report(
        "a score in an object of one",
        time(|| {
            simple.check_changes(black_box(one.view()), black_box(&change)).unwrap();
        }),
    );

    report("compile the account's schema", time(|| drop(black_box(schema(ACCOUNT)))));
    let account = schema(ACCOUNT);
    let document = value(ACCOUNT_DOCUMENT);
    report("an account, whole", time(|| account.check(black_box(document.view())).unwrap()));
    let whole = changed(&[]);
    report(
        "an account, whole, by the plan",
        time(|| {
            account.check_changes(black_box(document.view()), &whole).unwrap();
        }),
    );
    for (name, steps) in [
        ("id (pattern)", &[0_u32][..]),
        ("name (maxLength)", &[1]),
        ("score (minimum)", &[2]),
        ("status (enum)", &[3]),
        ("email (format)", &[4]),
        ("tags[0] (in uniqueItems)", &[5, 0]),
        ("address.city ($ref)", &[6, 1]),
        ("age (anyOf)", &[7]),
    ] {
        let change = changed(steps);
        report(
            &format!("an account's {name}"),
            time(|| {
                account.check_changes(black_box(document.view()), black_box(&change)).unwrap();
            }),
        );
    }

    let many =
        format!(r#"{{"type":"array","items":{ACCOUNT}}}"#).replace("#/$defs", "#/items/$defs");
    let accounts = schema(&many);
    let documents = value(&format!("[{}]", vec![ACCOUNT_DOCUMENT; 4000].join(",")));
    report("4000 accounts, whole", time(|| accounts.check(black_box(documents.view())).unwrap()));
    let change = changed(&[2000, 2]);
    report(
        "4000 accounts, the score of one",
        time(|| {
            accounts.check_changes(black_box(documents.view()), black_box(&change)).unwrap();
        }),
    );

    let (mut properties, mut members) = (String::new(), String::new());
    for nth in 0..10_000 {
        let comma = if nth == 0 { "" } else { "," };
        write!(
            properties,
            r#"{comma}"p{nth}":{{"type":"integer","minimum":0,"title":"Property {nth}"}}"#
        )
        .unwrap();
        write!(members, r#"{comma}"p{nth}":{nth}"#).unwrap();
    }
    let text = format!(r#"{{"type":"object","properties":{{{properties}}}}}"#);
    report("compile 10,000 properties", time(|| drop(black_box(schema(&text)))));
    let wide = schema(&text);
    println!("10,000 properties are said to take {} bytes", wide.heap_bytes());
    let document = value(&format!("{{{members}}}"));
    report("10,000 members, whole", time(|| wide.check(black_box(document.view())).unwrap()));
    let change = changed(&[7000]);
    report(
        "10,000 members, one",
        time(|| {
            wide.check_changes(black_box(document.view()), black_box(&change)).unwrap();
        }),
    );

    let unique = schema(r#"{"uniqueItems":true}"#);
    let numbers: Vec<String> = (0..100_000).map(|nth| nth.to_string()).collect();
    let document = value(&format!("[{}]", numbers.join(",")));
    report("uniqueItems over 100,000", time(|| unique.check(black_box(document.view())).unwrap()));
}
