//! Schemas, names and definitions that want a server to run for ever, overflow its stack, or grow: each is
//! refused or comes to an end, and the server goes on.

use crate::harness::{Server, on_every_server};
use crate::recording::check_error_line;
use crate::resp::{Conn, Reply};

/// Memory that one attack may leave behind: its arguments are freed, and no model came of it.
const LEFT_BYTES_MAX: i64 = 8 << 20;

fn used(conn: &mut Conn) -> i64 {
    let info = conn.must(&["INFO", "memory"]);
    let line = info.text().lines().find_map(|line| line.strip_prefix("used_memory:"));
    line.expect("INFO tells it").parse().expect("a number")
}

/// Runs `body`, which may take the patience of a connection for each command; the server lives on and
/// is as large as before.
fn endure(server: &Server, body: impl FnOnce(&mut Conn)) {
    let conn = &mut server.conn();
    conn.must(&["CONFIG", "SET", "slowlog-log-slower-than", "-1"]);
    let before = used(conn);
    body(&mut server.conn());
    assert_eq!(conn.call(&["PING"]), Reply::Simple("PONG".into()));
    server.wait_until("the memory is back", || used(&mut server.conn()) < before + LEFT_BYTES_MAX);
}

/// The definition is refused with one of these words, and there is no model.
#[track_caller]
fn check_refused(conn: &mut Conn, schema: &str, words: &[&str]) {
    let reply = conn.call(&["MODEL.DEFINE", "refused", schema]);
    assert!(words.contains(&reply.error_word()), "{schema:.200}: {reply:?}");
    check_error_line(&reply);
    assert!(reply.error().len() < 2000, "{reply:?}");
    let set = conn.call(&["MODEL.SET", "refused", "refused", "{}"]);
    assert_eq!(set.error_word(), "NOMODEL", "{schema:.200}");
}

/// The word of a refusal to store the document under the schema, or `OK`.
fn verdict(conn: &mut Conn, schema: &str, document: &str) -> String {
    conn.must(&["MODEL.DEFINE", "sound", schema]);
    let set = conn.call(&["MODEL.SET", "sound", "sound", document]);
    conn.must(&["DEL", "sound"]);
    if !set.is_error() {
        return "OK".to_owned();
    }
    check_error_line(&set);
    set.error_word().to_owned()
}

fn nested(open: &str, middle: &str, close: &str, depth: usize) -> String {
    open.repeat(depth) + middle + &close.repeat(depth)
}

fn members(count: usize, member: impl Fn(usize) -> String) -> String {
    (0..count).map(member).collect::<Vec<_>>().join(",")
}

#[test]
fn deep_and_huge_schemas_are_limited() {
    on_every_server(|server| {
        endure(server, |conn| {
            for text in [
                nested("{\"not\":", "{}", "}", 101),
                nested("{\"not\":", "{}", "}", 100_000),
                nested("{\"items\":", "true", "}", 100_000),
                "{\"allOf\":[".repeat(50_000),
                "[".repeat(900_000),
                format!("{{\"title\":\"{}\"}}", "x".repeat(1 << 20)),
                format!("{{\"title\":\"{}\"}}", "x".repeat(20 << 20)),
                format!("{{\"properties\":{{{}}}}}", members(20_001, |n| format!("\"p{n}\":{{}}"))),
                format!("{{\"anyOf\":[{}]}}", vec!["{}"; 10_001].join(",")),
            ] {
                check_refused(conn, &text, &["LIMIT", "ERR"]);
            }
            let wide = members(10_000, |n| format!("\"p{n}\":{{\"type\":\"integer\"}}"));
            let wide = format!("{{\"properties\":{{{wide}}}}}");
            assert_eq!(verdict(conn, &wide, r#"{"p9999":1}"#), "OK");
            assert_eq!(verdict(conn, &wide, r#"{"p9999":""}"#), "SCHEMA");
            conn.must(&["MODEL.UNDEFINE", "sound"]);
        });
    });
}

#[test]
fn references_that_never_end_are_refused_and_others_are_followed() {
    on_every_server(|server| {
        endure(server, |conn| {
            for text in [
                r##"{"$ref":"#"}"##,
                r##"{"allOf":[{"$ref":"#"}]}"##,
                r##"{"not":{"$ref":"#"}}"##,
                r##"{"if":true,"else":{"$ref":"#"}}"##,
                r##"{"$dynamicAnchor":"a","$dynamicRef":"#a"}"##,
                r##"{"$defs":{"a":{"$ref":"#/$defs/b"},"b":{"$ref":"#/$defs/a"}}}"##,
                // Defaults that would fill themselves in.
                r##"{"$ref":"#/$defs/n","$defs":{"n":{"properties":{"x":{"$ref":"#/$defs/n","default":{}}}}}}"##,
                r##"{"properties":{"x":{"$ref":"#","default":{}}}}"##,
            ] {
                check_refused(conn, text, &["ERR", "LIMIT"]);
            }
            // Nothing listens to what is not asked: no port, no file, no other scheme.
            for place in [
                "http://127.0.0.1:1/s.json",
                "https://localhost/s",
                "file:///etc/passwd",
                "s.json",
                "//host/s",
                "urn:uuid:deadbeef-4321-4321-4321-1234567890ab",
            ] {
                for keyword in ["$ref", "$dynamicRef", "$schema"] {
                    check_refused(conn, &format!(r#"{{"{keyword}":"{place}"}}"#), &["ERR"]);
                }
            }
            let tree = r##"{"type":"object","properties":{"n":{"$ref":"#"}},"required":["v"]}"##;
            let deep = nested(r#"{"v":1,"n":"#, r#"{"v":1}"#, "}", 120);
            assert_eq!(verdict(conn, tree, &deep), "OK");
            assert_eq!(verdict(conn, tree, &deep.replace(r#"{"v":1}"#, "{}")), "SCHEMA");
            let list = r##"{"unevaluatedItems":{"$ref":"#"},"not":{"const":1}}"##;
            assert_eq!(verdict(conn, list, &nested("[", "", "]", 120)), "OK");
            conn.must(&["MODEL.UNDEFINE", "sound"]);
        });
    });
}

#[test]
fn work_that_multiplies_is_bounded() {
    on_every_server(|server| {
        endure(server, |conn| {
            for keyword in ["allOf", "anyOf", "oneOf"] {
                let twice =
                    |n| format!("{{\"$ref\":\"#/$defs/d{n}\"}},{{\"$ref\":\"#/$defs/d{n}\"}}");
                let fan = members(30, |n| format!("\"d{n}\":{{\"{keyword}\":[{}]}}", twice(n + 1)));
                let fan = format!("{{\"$defs\":{{{fan},\"d30\":{{}}}},\"$ref\":\"#/$defs/d0\"}}");
                check_refused(conn, &fan, &["LIMIT"]);
                let node = r##"{"properties":{"x":{"$ref":"#/$defs/n"}}}"##;
                let bushy = format!(
                    r##"{{"$defs":{{"n":{{"{keyword}":[{node},{node}]}}}},"$ref":"#/$defs/n"}}"##
                );
                let word = verdict(conn, &bushy, &nested(r#"{"x":"#, "1", "}", 100));
                assert!(["OK", "SCHEMA", "LIMIT"].contains(&word.as_str()), "{keyword}: {word}");
            }
            let branches = vec![r#"{"items":{"type":"string"}}"#; 1000].join(",");
            let numbers = members(20_000, |n| n.to_string());
            let word =
                verdict(conn, &format!("{{\"anyOf\":[{branches}]}}"), &format!("[{numbers}]"));
            assert!(["SCHEMA", "LIMIT"].contains(&word.as_str()), "{word}");
            let unique = r#"{"uniqueItems":true}"#;
            assert_eq!(verdict(conn, unique, &format!("[{numbers}]")), "OK");
            assert_eq!(verdict(conn, unique, &format!("[{numbers},7.0]")), "SCHEMA");
            conn.must(&["MODEL.UNDEFINE", "sound"]);
        });
    });
}

#[test]
fn hostile_patterns_take_linear_time_or_are_refused() {
    on_every_server(|server| {
        endure(server, |conn| {
            for pattern in [
                "(a{1000}){1000}",
                "((a{100}){100}){100}",
                "(?<=a)b",
                "(?!a)b",
                r"(a)\\1",
                "(",
                r"\\p{Nope}",
                &"(".repeat(10_000),
            ] {
                check_refused(conn, &format!(r#"{{"pattern":"{pattern}"}}"#), &["ERR", "LIMIT"]);
                let named = format!(r#"{{"patternProperties":{{"{pattern}":true}}}}"#);
                check_refused(conn, &named, &["ERR", "LIMIT"]);
            }
            let text = format!("\"{}!\"", "a".repeat(100_000));
            for pattern in ["^(a+)+$", "^(a|a)*$", "^(a|aa)+$", "^(.*a){20}$"] {
                let word = verdict(conn, &format!(r#"{{"pattern":"{pattern}"}}"#), &text);
                assert!(["SCHEMA", "LIMIT"].contains(&word.as_str()), "{pattern}: {word}");
            }
            conn.must(&["MODEL.UNDEFINE", "sound"]);
        });
    });
}

#[test]
fn bytes_that_are_no_text_are_refused() {
    on_every_server(|server| {
        endure(server, |conn| {
            for bytes in [&b"\xff"[..], b"a\xc0\x80", b"\xed\xa0\x80", b"{\"a\":\"\xff\"}"] {
                for (word, refused) in [
                    ("ERR", [b"MODEL.DEFINE".as_slice(), bytes, b"{}", b"RULE", b"r", b"true"]),
                    ("ERR", [b"MODEL.DEFINE", b"m", bytes, b"RULE", b"r", b"true"]),
                    ("ERR", [b"MODEL.DEFINE", b"m", b"{}", b"RULE", bytes, b"true"]),
                    ("EXPR", [b"MODEL.DEFINE", b"m", b"{}", b"RULE", b"r", bytes]),
                ] {
                    let reply = conn.call_bytes(&refused);
                    assert_eq!(reply.error_word(), word, "{refused:?}: {reply:?}");
                    check_error_line(&reply);
                }
            }
            let nul = conn.call_bytes(&[b"MODEL.DEFINE", b"m", b"{}", b"RULE", b"r", b"true\0"]);
            assert_eq!(nul.error_word(), "EXPR");
            for schema in [&b"{}\0"[..], b"\0", b"{\"a\0\":1}", b"", b" ", b"nul"] {
                let reply = conn.call_bytes(&[b"MODEL.DEFINE", b"m", schema]);
                assert_eq!(reply.error_word(), "ERR", "{schema:?}: {reply:?}");
            }
            assert_eq!(conn.must(&["MODEL.MODELS"]), Reply::Array(vec![]));
        });
    });
}

/// A name may be any text: it comes back as it was given, and stands in errors harmless.
#[test]
fn names_may_be_any_text() {
    on_every_server(|server| {
        let conn = &mut server.conn();
        let long = "x".repeat(255);
        let names =
            ["%s%n%99999d", "\0", "a\0b", "\r\n+OK\r\n", "\"}{", " ", "ANY", "\u{202e}é😀", &long];
        for name in names {
            let schema = r#"{"required":["a"]}"#;
            let rule = ["RULE", name, "self.a > 0"];
            conn.must(&[&["MODEL.DEFINE", name, schema], &rule[..]].concat());
            // The key is called the same.
            let key = name;
            for (word, document) in [("SCHEMA", "{}"), ("RULE", r#"{"a":0}"#)] {
                let refused = conn.call(&["MODEL.SET", key, name, document]);
                assert_eq!(refused.error_word(), word, "{name:?}: {refused:?}");
                let told = check_error_line(&refused);
                assert_eq!((told["model"].as_str(), told["key"].as_str()), (Some(name), Some(key)));
                if word == "RULE" {
                    assert_eq!(told["rule"], name);
                }
            }
            conn.must(&["MODEL.SET", key, name, r#"{"a":1}"#]);
            assert_eq!(conn.must(&["MODEL.META", key]).field("model"), &Reply::bulk(name));
        }
        let mut sorted: Vec<_> = names.map(Reply::bulk).into();
        sorted.sort_by_key(|name| name.text().to_owned());
        assert_eq!(conn.must(&["MODEL.MODELS"]), Reply::Array(sorted));
        let before = server.debug_digest();
        conn.must(&["DEBUG", "RELOAD"]);
        assert_eq!(server.debug_digest(), before);
        for name in names {
            let refused = conn.call(&["MODEL.FIELDOP", name, "INCR", "$.a", "-1"]);
            assert_eq!(refused.error_word(), "RULE", "{name:?}");
        }
    });
}

#[test]
fn rules_are_limited_and_all_in_force() {
    on_every_server(|server| {
        let conn = &mut server.conn();
        let names: Vec<_> = (0..65).map(|n| (format!("r{n}"), format!("self.n != {n}"))).collect();
        let define = |count: usize| {
            let rules = names[..count].iter();
            let rules = rules.flat_map(|(name, expr)| ["RULE", name.as_str(), expr.as_str()]);
            ["MODEL.DEFINE", "m", "{}"].into_iter().chain(rules).collect::<Vec<_>>()
        };
        assert_eq!(conn.call(&define(65)).error_word(), "LIMIT");
        conn.must(&define(64));
        conn.must(&["MODEL.SET", "doc", "m", r#"{"n":-1}"#]);
        for (n, (name, _)) in names[..64].iter().enumerate() {
            let refused = conn.call(&["MODEL.FIELDOP", "doc", "SET", "$.n", &n.to_string()]);
            assert_eq!(refused.error_word(), "RULE", "{refused:?}");
            assert_eq!(&check_error_line(&refused)["rule"], name);
        }
        conn.must(&["MODEL.FIELDOP", "doc", "SET", "$.n", "64"]);
    });
}

#[test]
fn a_server_takes_so_many_models_and_no_more() {
    on_every_server(|server| {
        let conn = &mut server.conn();
        let max = redis_model::model::MODELS_MAX;
        let define = |n: usize| vec!["MODEL.DEFINE".to_owned(), format!("m{n}"), "{}".to_owned()];
        let replies = conn.pipeline(&(0..max).map(define).collect::<Vec<_>>());
        assert!(replies.iter().all(|reply| *reply == Reply::Int(1)));
        assert_eq!(server.info("model_models"), max.to_string());
        let check_full = |conn: &mut Conn| {
            let refused = conn.call(&["MODEL.DEFINE", "one more", "{}"]);
            assert_eq!(refused.error_word(), "LIMIT", "{refused:?}");
            assert_eq!(check_error_line(&refused)["limit"], "models");
        };
        check_full(conn);
        assert_eq!(conn.must(&["MODEL.MODELS"]).array().len(), max);
        // A model that exists can be used, defined anew and ended; an ended one does not count.
        conn.must(&["MODEL.SET", "doc", "m4095", "{}"]);
        assert_eq!(conn.must(&["MODEL.DEFINE", "m0", "true"]), Reply::Int(2));
        conn.must(&["MODEL.UNDEFINE", "m0"]);
        conn.must(&["DEBUG", "RELOAD"]);
        assert_eq!(conn.must(&["MODEL.DEFINE", "m0", "{}"]), Reply::Int(4));
        check_full(conn);
    });
}
