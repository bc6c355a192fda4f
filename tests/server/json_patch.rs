//! The JSON Patch test suite (RFC 6902) through `PATCH` on real servers.

use serde_json::Value;

use crate::harness::on_every_shared;
use crate::resp::Conn;

/// Runs one case; says what is wrong with it.
fn check(conn: &mut Conn, key: &str, case: &Value) -> Result<(), String> {
    let document = &case["doc"];
    conn.must(&["MODEL.SET", key, "any", &document.to_string()]);
    let before = conn.must(&["DUMP", key]);
    let reply = conn.call(&["MODEL.FIELDOP", key, "PATCH", "", &case["patch"].to_string()]);
    let after = conn.must(&["MODEL.GET", key]).json();
    // A disabled case that expects nothing is about a patch that changes nothing.
    let expected = case.get("expected").unwrap_or(document);
    match (reply.is_error(), case.get("error")) {
        (false, Some(error)) => Err(format!("applied, although {error}")),
        (true, None) => Err(reply.error().to_owned()),
        (true, Some(_)) if conn.must(&["DUMP", key]) != before => {
            Err("refused and changed".to_owned())
        }
        (false, None) if after != *expected => Err(format!("became {after}, not {expected}")),
        (false, None) if reply.array()[0].json() != after => {
            Err(format!("replied {reply:?}, not the new value"))
        }
        _ => Ok(()),
    }
}

/// A member named twice cannot be told from one named once: of repeated names the last one wins.
fn is_about_repeated_names(case: &Value) -> bool {
    ["duplicate ops", "A.13 Invalid JSON Patch Document"]
        .contains(&case["comment"].as_str().unwrap_or_default())
}

fn check_suite(key: &str, json: &str) {
    let cases: Vec<Value> = serde_json::from_str(json).expect("the suite is JSON");
    on_every_shared(|server| {
        let conn = &mut server.conn();
        for case in cases.iter().filter(|case| !is_about_repeated_names(case)) {
            if let Err(wrong) = check(conn, key, case) {
                panic!("{wrong}\n{case:#}");
            }
        }
    });
}

#[test]
fn every_case_of_the_suite_passes() {
    check_suite("json-patch:suite", include_str!("../suites/jsonpatch/tests.json"));
}

#[test]
fn every_example_of_the_standard_passes() {
    check_suite("json-patch:standard", include_str!("../suites/jsonpatch/spec_tests.json"));
}
