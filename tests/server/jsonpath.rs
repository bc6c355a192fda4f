//! The JSONPath Compliance Test Suite (RFC 9535) through `MODEL.SET` and `MODEL.GET` on real servers.

use serde_json::Value;

use crate::harness::on_every_shared;
use crate::resp::{Conn, Reply};

/// The cases of the suite.
fn cases() -> Vec<Value> {
    let suite: Value = serde_json::from_str(include_str!("../suites/jsonpath/cts.json"))
        .expect("the suite is JSON");
    let cases = suite["tests"].as_array().expect("the suite has tests").clone();
    assert_eq!(cases.len(), 703, "the whole suite");
    cases
}

const KEY: &str = "jsonpath:doc";

/// Runs one case; says what is wrong with it.
fn check(conn: &mut Conn, case: &Value) -> Result<(), String> {
    let selector = case["selector"].as_str().expect("every case has a selector");
    let is_invalid = case["invalid_selector"] == true;
    let document = if is_invalid { "{}".to_owned() } else { case["document"].to_string() };
    conn.must(&["MODEL.SET", KEY, "any", &document]);
    let reply = conn.call(&["MODEL.GET", KEY, selector]);
    if is_invalid {
        return match reply {
            Reply::Error(line) if line.starts_with("ERR ") => Ok(()),
            other => Err(format!("an invalid selector was answered {other:?}")),
        };
    }
    let wanted = match case.get("results") {
        Some(results) => results.as_array().expect("results are several").clone(),
        None => vec![case["result"].clone()],
    };
    // A singular path replies its one value bare, or null.
    let found = match (&reply, is_singular(selector)) {
        (Reply::Null, true) => Value::Array(vec![]),
        (Reply::Bulk(_), true) => Value::Array(vec![reply.json()]),
        (Reply::Bulk(_), false) => reply.json(),
        _ => return Err(format!("answered {reply:?}")),
    };
    if wanted.contains(&found) { Ok(()) } else { Err(format!("{found}, not {wanted:?}")) }
}

fn is_singular(selector: &str) -> bool {
    use redis_model::path::{Path, PathLimits};
    Path::parse(selector.as_bytes(), &PathLimits::DEFAULT).is_ok_and(|path| path.is_singular())
}

#[test]
fn every_case_of_the_suite_passes() {
    on_every_shared(|server| {
        let conn = &mut server.conn();
        let wrong: Vec<_> = cases()
            .iter()
            .filter_map(|case| {
                check(conn, case).err().map(|why| format!("{}: {why}", case["name"]))
            })
            .collect();
        assert!(wrong.is_empty(), "{} cases:\n{}", wrong.len(), wrong.join("\n"));
    });
}

/// The suite does not say which queries are singular here.
#[test]
fn singular_paths_reply_the_bare_value_and_others_an_array() {
    on_every_shared(|server| {
        let conn = &mut server.conn();
        let key = "jsonpath:singular";
        conn.must(&["MODEL.SET", key, "any", r#"{"a":[{"b":null}],"x.y":2}"#]);
        for (path, reply) in [
            ("$", Some(r#"{"a":[{"b":null}],"x.y":2}"#)),
            ("", Some(r#"{"a":[{"b":null}],"x.y":2}"#)),
            ("$['x.y']", Some("2")),
            ("$[ 'x.y' ]", Some("2")),
            ("/x.y", Some("2")),
            ("$.a[0].b", Some("null")),
            ("$.a[-1]['b']", Some("null")),
            ("/a/0/b", Some("null")),
            ("$.a[1]", None),
            ("/a/-", None),
            ("/b", None),
            ("$.a[0].b.c", None),
            ("$['a','b']", Some(r#"[[{"b":null}]]"#)),
            ("$.a[*].b", Some("[null]")),
            ("$..none", Some("[]")),
            ("$.a[0:1]", Some(r#"[{"b":null}]"#)),
        ] {
            let expected = reply.map_or(Reply::Null, Reply::bulk);
            assert_eq!(conn.call(&["MODEL.GET", key, path]), expected, "{path}");
        }
    });
}
