//! What a command asks for before it changes anything, and what a refusal tells: `STRICT`, `MODEL.EVAL`.

use redis_model::budget::WorkLimits;
use redis_model::error::{Detail, Error};
use redis_model::reply::Reply;
use redis_model::testing::MemoryHost;
use redis_model::value::print;

/// A host that holds these documents of the model `any`.
fn host(documents: &[(&str, &str)]) -> MemoryHost {
    let mut host = MemoryHost::default();
    for (key, json) in documents {
        host.call(&["MODEL.SET", key, "any", json]).expect("a sound document");
    }
    host
}

fn text(host: &MemoryHost, key: &str) -> String {
    print::to_string(host.documents[key.as_bytes()].root.view())
}

/// The reply in its notation, or the word and the message of the refusal.
fn reply(host: &mut MemoryHost, command: &[&str]) -> String {
    match host.call(command) {
        Ok(outcome) => outcome.reply.notation(),
        Err(error) => format!("{} {}", error.code().word(), error.message()),
    }
}

fn refused(host: &mut MemoryHost, command: &[&str]) -> Error {
    match host.call(command) {
        Err(error) => error,
        Ok(outcome) => panic!("{command:?}: {:?}", outcome.reply),
    }
}

// --- STRICT ----------------------------------------------------------------------------------

const NO_MATCH: &str = "NOPATH nothing is at the path, and STRICT asks for it";

#[test]
fn a_strict_operator_needs_a_match() {
    const DOCUMENT: &str = r#"{"n":1,"lines":[{"sku":"a","n":1}],"none":null}"#;
    for (statement, expected) in [
        (&["STRICT", "SET", "$.n", "2"][..], "[(integer) 1]"),
        (&["strict", "SET", "$.none", "2"], "[(integer) 1]"),
        (&["STRICT", "SET", "$.m", "2"], NO_MATCH),
        (&["STRICT", "SET", "/m", "2"], NO_MATCH),
        (&["STRICT", "SET", "$.m.n", "2"], NO_MATCH),
        (&["STRICT", "SET", "$.n.m", "2"], NO_MATCH),
        (&["STRICT", "APPEND", "$.lines", "[1]"], "[(integer) 2]"),
        (&["STRICT", "SET", "$.lines[1]", "1"], NO_MATCH),
        (&["STRICT", "INCR", "$.lines[?@.sku=='a'].n", "1"], "[[2]]"),
        (&["STRICT", "INCR", "$.lines[?@.sku=='b'].n", "1"], NO_MATCH),
        (&["STRICT", "DEL", "$.lines[?@.sku=='b']"], NO_MATCH),
        (&["STRICT", "PULL", "$.m", "0", "1"], NO_MATCH),
        (&["STRICT", "GET", "$.m"], NO_MATCH),
        (&["STRICT", "GET", "$.none"], "[null]"),
        (&["STRICT", "MOVE", "$.n", "$.m"], "[(integer) 1]"),
        (&["WHEN", "self.n == 1", "STRICT", "LEN", "$.m"], NO_MATCH),
        (&["WHEN", "self.n == 2", "STRICT", "LEN", "$.m"], "[(nil)]"),
        (&["SET", "$.m", "1", "STRICT", "SET", "$.m", "2"], "[(integer) 1 (integer) 1]"),
        (&["STRICT", "REVISION"], "ERR STRICT needs an operator with a path"),
        (&["STRICT", "RELEASE", "l", "o", "1"], "ERR STRICT needs an operator with a path"),
        (&["STRICT"], "ERR STRICT needs an operator"),
        (&["STRICT", "EXISTS"], "ERR STRICT needs an operator"),
        (&["STRICT", "STRICT", "GET", "$"], "ERR STRICT needs an operator"),
        (&["STRICT", "WHEN", "true", "GET", "$"], "ERR STRICT needs an operator"),
        (&["WHEN", "true", "STRICT"], "ERR STRICT needs an operator"),
    ] {
        let mut host = host(&[("k", DOCUMENT)]);
        let found = reply(&mut host, &[&["MODEL.FIELDOP", "k"], statement].concat());
        assert_eq!(found, expected, "{statement:?}");
        let kept = !found.starts_with('[') || text(&host, "k") == DOCUMENT;
        assert!(kept || found.starts_with("[(integer)") || found == "[[2]]", "{statement:?}");
    }
}

#[test]
fn a_strict_operator_creates_no_parents_and_a_refusal_undoes_all() {
    let mut host = host(&[("k", r#"{"n":1}"#)]);
    let error = refused(
        &mut host,
        &["MODEL.FIELDOP", "k", "MKPATH", "INCR", "$.n", "1", "STRICT", "SET", "$.a.b", "1"],
    );
    assert_eq!(error.detail("operator"), Some(&Detail::Text("SET".into())));
    assert_eq!(error.detail("path"), Some(&Detail::Text("$.a.b".into())));
    assert_eq!(error.detail("statement"), Some(&Detail::Integer(1)));
    assert_eq!(text(&host, "k"), r#"{"n":1}"#);
}

// --- MODEL.EVAL ------------------------------------------------------------------------------

#[test]
fn an_expression_about_a_document_is_evaluated() {
    let mut host = host(&[("k", r#"{"a":[3,1,2],"o":{"x":"é"},"f":1.5}"#), ("other", "{}")]);
    let revision = host.documents[&b"k"[..]].revision;
    for (expr, expected) in [
        ("self.a.map(n, n * 2)", "[6,2,4]"),
        ("self.o", r#"{"x":"é"}"#),
        ("size(self.o.x) + self.a.size()", "4"),
        ("self.f * 2", "3.0"),
        ("key", r#""k""#),
        ("null", "null"),
        ("self.f == revision", "false"),
        ("type(self.a) == list", "true"),
        ("self.none", "EXPR no such member: none"),
        ("args.n", "EXPR the command has no args"),
        ("docs", "EXPR"),
        ("value", "EXPR"),
        ("1 +", "EXPR"),
    ] {
        let found = reply(&mut host, &["MODEL.EVAL", "k", expr]);
        let starts = expected.starts_with("EXPR") && found.starts_with("EXPR");
        assert!(found == expected || starts, "{expr}: {found}");
    }
    let found = reply(&mut host, &["MODEL.EVAL", "k", "revision"]);
    assert_eq!(found, revision.to_string());
    let args = ["MODEL.EVAL", "k", "self.a.indexOf(args.n)", "args", r#"{"n":2}"#];
    assert_eq!(reply(&mut host, &args), "2");
    assert_eq!(reply(&mut host, &["MODEL.EVAL", "missing", "self.a"]), "(nil)");
    // What is wrong with the command is said whether or not the key exists.
    for command in [
        &["MODEL.EVAL", "missing", "self."][..],
        &["MODEL.EVAL", "missing", "1", "ARGS", "[]"],
        &["MODEL.EVAL", "missing", "1", "ARGS"],
        &["MODEL.EVAL", "missing", "1", "more"],
    ] {
        assert!(matches!(refused(&mut host, command).code().word(), "EXPR" | "ERR"), "{command:?}");
    }
}

#[test]
fn an_evaluation_changes_and_replicates_nothing() {
    let mut host = host(&[("k", r#"{"n":1}"#)]);
    let before = text(&host, "k");
    let seen = host.revisions.seen();
    let outcome = host.call(&["MODEL.EVAL", "k", "{'n': self.n + 1}"]).unwrap();
    assert_eq!(outcome.reply, Reply::Json(br#"{"n":2}"#.to_vec()));
    assert!(outcome.effects.is_empty());
    assert_eq!(text(&host, "k"), before);
    assert_eq!(host.revisions.seen(), seen);
}

#[test]
fn an_evaluation_is_held_to_the_limits_of_steps_and_of_replies() {
    // Short replies count as much as one of 64 bytes.
    let text = "x".repeat(100);
    let mut host = host(&[("k", &format!(r#"{{"s":"{text}"}}"#))]);
    let limit = |host: &mut MemoryHost| match refused(host, &["MODEL.EVAL", "k", "self.s"])
        .detail("limit")
    {
        Some(Detail::Text(name)) => name.clone(),
        other => panic!("{other:?}"),
    };
    host.settings.work = WorkLimits { reply_bytes: 102, ..WorkLimits::DEFAULT };
    assert_eq!(reply(&mut host, &["MODEL.EVAL", "k", "self.s"]), format!("\"{text}\""));
    host.settings.work.reply_bytes = 101;
    assert_eq!(limit(&mut host), "model.reply-bytes");
    host.settings.work = WorkLimits { command_steps: 200, ..WorkLimits::DEFAULT };
    let long = format!("[{}].size()", vec!["1"; 300].join(","));
    let command = ["MODEL.EVAL", "k", &long];
    assert_eq!(refused(&mut host, &command).code().word(), "LIMIT");
}
