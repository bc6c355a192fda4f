//! Sessions as users of other tools begin them: replies that a reader of Redis's manual expects.

use crate::harness::on_every_server;
use crate::resp::{Conn, Reply};

/// The error's text contains all these words.
#[track_caller]
fn refused(conn: &mut Conn, command: &[&str], words: &[&str]) {
    let reply = conn.call(command);
    let missing = words.iter().find(|word| !reply.error().contains(**word));
    assert_eq!(missing, None, "{reply:?}");
}

#[test]
fn one_key_of_another_type_does_not_spoil_reading_many() {
    on_every_server(|server| {
        let conn = &mut server.conn();
        conn.must(&["SET", "plain", "x"]);
        conn.must(&["MODEL.SET", "d", "any", "1"]);
        let expected = Reply::Array(vec![Reply::bulk("1"), Reply::Null, Reply::Null]);
        assert_eq!(conn.must(&["MODEL.MGET", "3", "d", "plain", "none"]), expected);
        assert_eq!(conn.call(&["MODEL.GET", "plain"]).error_word(), "WRONGTYPE");
    });
}

#[test]
fn a_skipped_operator_needs_no_document() {
    on_every_server(|server| {
        let conn = &mut server.conn();
        let skipped = Reply::Array(vec![Reply::Array(vec![Reply::Null])]);
        let txn = |when, operator: &[&'static str]| {
            [&["MODEL.TXN", "1", "none", "ON", "none", "WHEN", when], operator].concat()
        };
        for operator in [&["GET", "$"][..], &["INCR", "$.n", "1"], &["DELETE"]] {
            assert_eq!(conn.must(&txn("key in docs", operator)), skipped);
        }
        assert_eq!(conn.call(&txn("!(key in docs)", &["GET", "$"])).error_word(), "NOKEY");
        assert_eq!(conn.call(&txn("self.n > 1", &["GET", "$"])).error_word(), "NOKEY");
        assert_eq!(conn.must(&["EXISTS", "none"]), Reply::Int(0));
    });
}

#[test]
fn an_expiry_or_a_creation_is_a_whole_command() {
    on_every_server(|server| {
        let conn = &mut server.conn();
        let nothing = Reply::Array(Vec::new());
        refused(conn, &["MODEL.FIELDOP", "d", "EX", "50"], &["NOKEY"]);
        assert_eq!(conn.must(&["MODEL.FIELDOP", "d", "INIT", "any", "{}"]), nothing);
        assert_eq!(conn.must(&["MODEL.FIELDOP", "d", "EX", "50"]), nothing);
        assert!((1..=50).contains(&conn.must(&["TTL", "d"]).int()));
        for command in [&["MODEL.FIELDOP", "d"][..], &["MODEL.FIELDOP", "d", "MKPATH"]] {
            refused(conn, command, &["ERR", "a statement, INIT or an expiry"]);
        }
    });
}

#[test]
fn numbers_dates_and_sums_are_as_programs_write_them() {
    on_every_server(|server| {
        let conn = &mut server.conn();
        conn.must(&["MODEL.SET", "a", "any", r#"{"wei":100000000000000000000}"#]);
        assert_eq!(conn.must(&["MODEL.GET", "a", "$.wei"]).json(), serde_json::json!(1e20));
        let long = r#"{"ids":[1,{"id":18446744073709551615}]}"#;
        let words = ["RANGE", "/ids/1/id", "18446744073709551615", "write it as text"];
        refused(conn, &["MODEL.SET", "a", "any", long], &words);
        conn.must(&["MODEL.SET", "t", "any", r#"{"at":"2024-01-01T23:30:00.000001"}"#]);
        let moved = conn.must(&["MODEL.FIELDOP", "t", "TIMEADD", "$.at", "1h"]);
        assert_eq!(moved.array()[0].text(), "\"2024-01-02T00:30:00.000001\"");
        let total = "self.total == self.lines.map(l, l.n * l.cents).sum()";
        conn.must(&["MODEL.DEFINE", "sessions-order", "{}", "RULE", "total", total]);
        let order = |total| {
            format!(r#"{{"total":{total},"lines":[{{"n":2,"cents":30}},{{"n":1,"cents":5}}]}}"#)
        };
        conn.must(&["MODEL.SET", "o", "sessions-order", &order(65)]);
        refused(conn, &["MODEL.SET", "o", "sessions-order", &order(66)], &["RULE", "total"]);
    });
}

#[test]
fn messages_say_what_would_have_been_right() {
    on_every_server(|server| {
        let conn = &mut server.conn();
        conn.must(&["MODEL.SET", "d", "any", r#"{"x":[]}"#]);
        for (command, words) in [
            (&["MODEL.FIELDOP", "d", "SET", "$.name", "Ann"][..], &["ERR", r#"'\"Ann\"'"#][..]),
            (&["MODEL.GET", "d", "$.key-with-dash"], &["ERR", "['key-with-dash']", "JSON Pointer"]),
            (&["MODEL.FIELDOP", "d", "APPEND", "$.x", "[1]", "MKPATH"], &["ERR", "MKPATH"]),
            (&["MODEL.DEFINE", "m", r#"{"pattern":"a(?=b)"}"#], &["ERR", "look-ahead", "a(?=b)"]),
        ] {
            refused(conn, command, words);
        }
    });
}
