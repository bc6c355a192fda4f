//! A command that a model or a condition refuses leaves nothing behind: the document with its revision, its time to
//! live, the AOF, the stream to replicas and the count of changes are as before.

use serde_json::Value;

use crate::harness::Server;
use crate::recording::{check_error_line, on_every_recording, state};
use crate::resp::{Conn, Reply};

#[path = "../schemas/rows.rs"]
mod rows;

const NEVER: [&str; 2] = ["PXAT", "4000000000000"];

#[test]
fn a_violation_of_each_keyword_leaves_everything_as_it_was() {
    on_every_recording(|server| {
        let conn = &mut server.conn();
        for row in rows::ROWS {
            let (schema, valid, invalid, ..) = row;
            conn.must(&["MODEL.DEFINE", "m", schema]);
            let set = |json| [&["MODEL.SET", "doc", "m", json][..], &NEVER].concat();
            // Some schemas fit nothing.
            if valid.is_empty() {
                conn.must(&["DEL", "doc"]);
                check_told(&conn.call(&set(invalid)), row);
                assert_eq!(conn.must(&["EXISTS", "doc"]), Reply::Int(0), "{schema}");
                continue;
            }
            conn.must(&set(valid));
            let before = state(conn, "doc");
            for refused in [
                set(invalid),
                vec!["MODEL.SET", "none", "m", invalid],
                vec!["MODEL.FIELDOP", "doc", "EX", "9", "SET", "$", invalid],
                vec!["MODEL.FIELDOP", "none", "INIT", "m", valid, "SET", "$", invalid],
                vec!["MODEL.FIELDOP", "none", "INIT", "m", invalid, "REVISION"],
            ] {
                check_told(&conn.call(&refused), row);
                assert_eq!(state(conn, "doc"), before, "{refused:?}");
                assert_eq!(conn.must(&["EXISTS", "none"]), Reply::Int(0), "{refused:?}");
            }
        }
    });
}

/// The refusal says what the table says of the row.
#[track_caller]
fn check_told(reply: &Reply, (schema, _, invalid, place, keyword, pointer): &rows::Row) {
    assert_eq!(reply.error_word(), "SCHEMA", "{schema} of {invalid}: {reply:?}");
    let told = check_error_line(reply);
    let told = ["place", "keyword", "schema"].map(|name| told[name].as_str().unwrap_or("none"));
    assert_eq!(told, [*place, *keyword, *pointer], "{schema} of {invalid}");
}

const ORDER: &str = r#"{"type":"object","properties":{
    "n":{"type":"integer","minimum":0},
    "list":{"type":"array","maxItems":4,"items":{"type":"integer"}},
    "level":{"default":1,"maximum":3}},
    "required":["n"],"additionalProperties":{"type":"string"}}"#;

fn define(server: &Server) -> Conn {
    let mut conn = server.conn();
    let rules = [
        "RULE",
        "covered",
        "self.n >= size(self.list)",
        "RULE",
        "grows",
        "self.n >= oldSelf.n",
        "RULE",
        "clean",
        "!has(self.s) || !self.s.startsWith('!')",
    ];
    conn.must(&[&["MODEL.DEFINE", "order", ORDER], &rules[..]].concat());
    let set = ["MODEL.SET", "doc", "order", r#"{"n":3,"list":[1,2],"s":"x"}"#];
    conn.must(&[&set[..], &NEVER].concat());
    conn
}

/// A refusal, what it says besides its message, and the statements of which the last one or the model
/// refuses.
type Refusal = (&'static str, &'static [(&'static str, &'static str)], &'static [&'static str]);

const REFUSALS: &[Refusal] = &[
    ("SCHEMA", &[("place", "/list/2")], &["DEL", "$.s", "APPEND", "$.list", r#"["x"]"#]),
    ("SCHEMA", &[("keyword", "required")], &["INCR", "$.n", "5", "DEL", "$.n"]),
    ("SCHEMA", &[("keyword", "maxItems")], &["INCR", "$.n", "5", "APPEND", "$.list", "[1,2,3]"]),
    ("SCHEMA", &[("place", "/t")], &["COPY", "$.n", "$.t"]),
    ("SCHEMA", &[("keyword", "type")], &["SORT", "$.list", "DESC", "@", "MOVE", "$.s", "$.n"]),
    ("SCHEMA", &[("place", "/n")], &["PATCH", "$", r#"[{"op":"replace","path":"/n","value":[]}]"#]),
    ("SCHEMA", &[("place", "/level")], &["EVAL", "$.level", "self.n + 1"]),
    ("SCHEMA", &[("place", "/n")], &["SWAP", "$.s", "$.n"]),
    ("SCHEMA", &[("place", "")], &["MERGE", "$", r#"{"n":null,"s":null}"#]),
    ("RULE", &[("rule", "covered")], &["DEL", "$.s", "APPEND", "$.list", "[3,4]"]),
    ("RULE", &[("rule", "grows")], &["POP", "$.list", "0", "INCR", "$.n", "-1"]),
    ("RULE", &[("rule", "clean")], &["INCR", "$.n", "1", "SET", "$.s", r#""!""#]),
    ("EXPR", &[("rule", "covered")], &["INCR", "$.n", "1", "DEL", "$.list"]),
    ("CONDITION", &[], &["INCR", "$.n", "1", "IF", "self.n == 3"]),
    ("CONDITION", &[], &["INCR", "$.n", "1", "MISSING"]),
    ("CONDITION", &[("statement", "2")], &["DEL", "$.s", "INCR", "$.n", "1", "IF", "has(self.s)"]),
    ("EXPR", &[], &["INCR", "$.n", "1", "IF", "self.none"]),
    ("EXPR", &[], &["INCR", "$.n", "1", "WHEN", "self.s > 1", "DEL", "$.s"]),
    ("EXPR", &[], &["INCR", "$.n", "1", "WHEN", "self.n", "DEL", "$.s"]),
    ("EXPR", &[], &["DEL", "$.s", "EVAL", "$.n", "self.s", "INCR", "$.n", "1"]),
    ("EXPR", &[], &["INCR", "$.n", "1", "EVAL", "$.n", "self.n / 0"]),
    ("EXPR", &[], &["INCR", "$.n", "1", "EVAL", "$.n", "self.n +"]),
    ("EXPR", &[], &["INCR", "$.n", "1", "IF", "oldSelf.n == 1"]),
    ("TYPE", &[], &["WHEN", "true", "DEL", "$.s", "WHEN", "true", "INCR", "$.list", "1"]),
    ("NOPATH", &[], &["EVAL", "$.n", "self.n * 2", "EVAL", "$.a.b", "1"]),
    ("REVISION", &[], &["EVAL", "$.n", "self.n * 2", "IFREV", "1"]),
    ("LIMIT", &[], &["SET", "$.s", r#""x""#, "STRREPEAT", "$.s", "9223372036854775807"]),
];

#[test]
fn a_refusal_among_several_statements_leaves_everything_as_it_was() {
    on_every_recording(|server| {
        let conn = &mut define(server);
        let before = state(conn, "doc");
        for (word, told, statements) in REFUSALS {
            for option in [&[][..], &["EX", "9"], &["PERSIST"], &["ARGS", "{}", "MKPATH"]] {
                // Under MKPATH this statement would make its parents.
                if *word == "NOPATH" && option.contains(&"MKPATH") {
                    continue;
                }
                let refused = [&["MODEL.FIELDOP", "doc"], option, statements].concat();
                let reply = conn.call(&refused);
                assert_eq!(reply.error_word(), *word, "{refused:?}: {reply:?}");
                let object = check_error_line(&reply);
                for (name, text) in *told {
                    let found = match &object[name] {
                        Value::String(text) => text.clone(),
                        other => other.to_string(),
                    };
                    assert_eq!(found, *text, "{refused:?}: {reply:?}");
                }
                assert_eq!(state(conn, "doc"), before, "{refused:?}");
            }
        }
        // A valid command still succeeds after all these.
        conn.must(&["MODEL.FIELDOP", "doc", "INCR", "$.n", "1", "APPEND", "$.list", "[3]"]);
        assert_ne!(state(conn, "doc"), before);
    });
}

#[test]
fn a_refusal_of_a_document_of_an_older_definition_leaves_everything_as_it_was() {
    on_every_recording(|server| {
        let conn = &mut define(server);
        let newer = r#"{"properties":{"new":{"default":[1]},"n":{"minimum":10}}}"#;
        conn.must(&["MODEL.DEFINE", "order", newer]);
        let before = state(conn, "doc");
        for (word, refused) in [
            ("SCHEMA", &["MODEL.FIELDOP", "doc", "APPEND", "$.new", "[2]"][..]),
            ("SCHEMA", &["MODEL.FIELDOP", "doc", "EX", "9", "SET", "$.other", "1"]),
            ("TYPE", &["MODEL.FIELDOP", "doc", "SET", "$.n", "10", "INCR", "$.new", "1"]),
            ("CONDITION", &["MODEL.FIELDOP", "doc", "SET", "$.n", "10", "IF", "!has(self.new)"]),
            ("SCHEMA", &["MODEL.SET", "doc", "order", r#"{"n":3}"#]),
        ] {
            let reply = conn.call(refused);
            assert_eq!(reply.error_word(), word, "{refused:?}: {reply:?}");
            assert_eq!(state(conn, "doc"), before, "{refused:?}");
        }
        // Neither does reading, which leaves the defaults out.
        let read = ["MODEL.FIELDOP", "doc", "GET", "$.new", "WHEN", "false", "DEL", "$.n"];
        conn.must(&read);
        assert_eq!(state(conn, "doc"), before);
    });
}

#[test]
fn a_refused_definition_leaves_everything_as_it_was() {
    on_every_recording(|server| {
        let conn = &mut define(server);
        let described = conn.must(&["MODEL.DESCRIBE", "order"]);
        let before = state(conn, "doc");
        for (word, refused) in [
            ("ERR", &["MODEL.DEFINE", "order", "{"][..]),
            ("ERR", &["MODEL.DEFINE", "order", r#"{"type":"nil"}"#]),
            ("ERR", &["MODEL.DEFINE", "order", "{}", "TTL", "0"]),
            ("ERR", &["MODEL.DEFINE", "any", "{}"]),
            ("EXPR", &["MODEL.DEFINE", "order", "{}", "RULE", "r", "true", "RULE", "s", "self.("]),
            ("EXPR", &["MODEL.DEFINE", "order", "{}", "RULE", "r", "args.n == 1"]),
            ("INUSE", &["MODEL.UNDEFINE", "order"]),
            ("NOMODEL", &["MODEL.UNDEFINE", "none"]),
            ("ERR", &["MODEL.INSTALL", "x"]),
        ] {
            let reply = conn.call(refused);
            assert_eq!(reply.error_word(), word, "{refused:?}: {reply:?}");
            check_error_line(&reply);
            assert_eq!(state(conn, "doc"), before, "{refused:?}");
            assert_eq!(conn.must(&["MODEL.DESCRIBE", "order"]), described, "{refused:?}");
            assert_eq!(conn.must(&["MODEL.MODELS"]).array(), [Reply::bulk("order")]);
        }
        // The same definition again is none, and is not written anywhere.
        let described = described.pairs();
        let member = |name: &str| described.iter().find(|(key, _)| key.text() == name).unwrap().1;
        let mut again = vec!["MODEL.DEFINE", "order", member("schema").text()];
        for rule in member("rules").array() {
            again.extend(["RULE", rule.array()[0].text(), rule.array()[1].text()]);
        }
        assert_eq!(conn.must(&again), Reply::Int(1));
        assert_eq!(state(conn, "doc"), before);
    });
}
