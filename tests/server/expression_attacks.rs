//! Expressions that want too much stack, time or memory, through every command that takes one.

use crate::harness::{on_every_server, on_every_shared};
use crate::recording::{check_error_line, on_every_recording, state};
use crate::resp::{Conn, Reply};

/// Whatever becomes of the expression, it is an answer; and it is the same wherever it is asked.
fn ask_everywhere(conn: &mut Conn, expr: &[u8]) {
    for command in [
        &[&b"MODEL.FIELDOP"[..], b"doc", b"IF", expr, b"LEN", b"$"][..],
        &[b"MODEL.FIELDOP", b"doc", b"WHEN", expr, b"LEN", b"$"],
        &[b"MODEL.FIELDOP", b"doc", b"EVAL", b"$.a", expr],
        &[b"MODEL.DEFINE", b"attacked", b"{}", b"RULE", b"r", expr],
    ] {
        let reply = conn.call_bytes(command);
        if reply.is_error() {
            check_error_line(&reply);
            let words = ["EXPR", "LIMIT", "CONDITION"];
            assert!(words.contains(&reply.error_word()), "{:?}: {reply:?}", expr.escape_ascii());
            assert!(reply.error().len() < 20_000, "{reply:?}");
        }
    }
}

#[test]
fn syntax_repeated_to_the_limit_neither_overflows_nor_hangs() {
    on_every_server(|server| {
        let conn = &mut server.conn();
        for (open, middle, close) in [
            ("(", "1", ")"),
            ("(", "", ""),
            ("!", "true", ""),
            ("-", "1", ""),
            ("[", "1", "]"),
            ("[", "", ""),
            ("{1:", "1", "}"),
            ("{", "", ""),
            ("true?1:", "1", ""),
            ("true?", "1", ":1"),
            ("1+(", "1", ")"),
            ("true||false&&", "true", ""),
            ("size(", "self", ")"),
            ("[1].map(x,", "1", ")"),
            ("[1].exists(x,", "true", ")"),
            ("self[", "'a'", "]"),
            ("self.", "a", ""),
            ("a{b:", "1", "}"),
            ("'", "", ""),
            ("`", "", ""),
            ("\\", "", ""),
            ("\u{e9}", "", ""),
            ("\0", "", ""),
            (",", "", ""),
        ] {
            conn.must(&["MODEL.SET", "doc", "any", r#"{"a":{"a":[1]}}"#]);
            let most = (4096 - middle.len()) / (open.len() + close.len());
            for times in [31, 200, most, most + 1, 1 << 18] {
                let expr = open.repeat(times) + middle + &close.repeat(times);
                ask_everywhere(conn, expr.as_bytes());
            }
        }
        assert_eq!(conn.call(&["PING"]), Reply::Simple("PONG".into()));
    });
}

#[test]
fn bytes_that_are_no_text_are_refused() {
    on_every_shared(|server| {
        let conn = &mut server.conn();
        let key = b"expression_attacks:bytes";
        conn.call_bytes(&[b"MODEL.SET", key, b"any", b"{}"]);
        for expr in [&b"\xff"[..], b"'\xff' == ''", b"true\xc0\x80", b"\xed\xa0\x80", b""] {
            for keyword in [&[&b"IF"[..], expr][..], &[b"WHEN", expr, b"DEL", b"$.a"]] {
                let reply = conn.call_bytes(&[&[&b"MODEL.FIELDOP"[..], key], keyword].concat());
                assert_eq!(reply.error_word(), "EXPR", "{keyword:?}: {reply:?}");
                check_error_line(&reply);
            }
        }
        for expr in [&b"true\0"[..], b"\0true", b"true\0 || false"] {
            let reply = conn.call_bytes(&[b"MODEL.FIELDOP", key, b"IF", expr, b"LEN", b"$"]);
            assert_eq!(reply.error_word(), "EXPR", "{expr:?}: {reply:?}");
        }
        // In a string, NUL is a character as any other, there and back.
        let eval = [b"MODEL.FIELDOP", &key[..], b"EVAL", b"$.a", b"'a\0b' + 'c'"];
        assert_eq!(conn.call_bytes(&eval), Reply::Array(vec![Reply::bulk(r#""a\u0000bc""#)]));
    });
}

#[test]
fn a_large_array_is_looked_through_once_but_not_over_and_over() {
    on_every_recording(|server| {
        let conn = &mut server.conn();
        let items: Vec<_> = (0..100_000).map(|n| n.to_string()).collect();
        let json = format!(r#"{{"n":[{}]}}"#, items.join(","));
        conn.must(&["MODEL.SET", "doc", "any", &json]);
        let before = state(conn, "doc");
        for one in
            ["self.n.all(x, x >= 0)", "self.n.exists(x, x == 99999)", "size(self.n) == 100000"]
        {
            conn.must(&["MODEL.FIELDOP", "doc", "IF", one, "LEN", "$.n"]);
        }
        let filtered =
            conn.must(&["MODEL.FIELDOP", "doc", "EVAL", "$.m", "self.n.filter(x, x < 2)"]);
        assert_eq!(filtered, Reply::Array(vec![Reply::bulk("[0,1]")]));
        conn.must(&["MODEL.FIELDOP", "doc", "DEL", "$.m"]);
        let filtered = state(conn, "doc");
        assert_ne!(filtered, before);
        for several in [
            "self.n.all(x, self.n.all(y, self.n.all(z, x + y + z >= 0)))",
            "self.n.map(x, self.n.map(y, self.n.map(z, z)))",
            "self.n.exists(x, self.n.exists(y, y < 0)) || true",
            "self.n.all(x, self.n == self.n)",
            "self.n.map(x, self.n)",
            "lists.range(1000000000)",
            "lists.range(9223372036854775807)",
            "lists.range(100000).map(x, lists.range(100000))",
            &("['ab']".to_owned() + &".map(x, x + x)".repeat(26)),
            &("[[1]]".to_owned() + &".map(x, x + x)".repeat(26)),
            &("[b'ab']".to_owned() + &".map(x, x + x)".repeat(26)),
            "[lists.range(200000).map(x, 'a').join()].map(x, x.replace('', x))",
        ] {
            for statement in [
                &["IF", several][..],
                &["WHEN", several, "SET", "$", "1"],
                &["EVAL", "$.n", several],
            ] {
                let refused =
                    [&["MODEL.FIELDOP", "doc", "EX", "9", "SET", "$.m", "1"], statement].concat();
                let reply = conn.call(&refused);
                assert_eq!(reply.error_word(), "EXPR", "{statement:?}: {reply:?}");
                check_error_line(&reply);
                // As a condition some end early, because they are no yes or no.
                let is_spent = reply.error().contains("more steps");
                assert!(is_spent || statement[0] != "EVAL", "{statement:?}: {reply:?}");
                assert_eq!(state(conn, "doc"), filtered, "{statement:?}");
            }
        }
        // A rule that exceeds its budget refuses the document.
        let rule = "self.n.all(x, self.n.exists(y, y == x))";
        conn.must(&["MODEL.DEFINE", "m", "{}", "RULE", "slow", rule]);
        let refused = conn.call(&["MODEL.SET", "doc", "m", &json]);
        assert_eq!(refused.error_word(), "EXPR", "{refused:?}");
        assert_eq!(check_error_line(&refused)["rule"], "slow");
        assert_eq!(conn.must(&["MODEL.META", "doc"]).field("model"), &Reply::bulk("any"));
    });
}

#[test]
fn results_that_json_has_no_value_for_are_refused() {
    on_every_recording(|server| {
        let conn = &mut server.conn();
        let least = i64::MIN.to_string();
        let json = format!(r#"{{"max":{},"min":{least},"zero":0,"f":1e308}}"#, i64::MAX);
        conn.must(&["MODEL.SET", "doc", "any", &json]);
        let before = state(conn, "doc");
        for expr in [
            "1 / self.zero",
            "1 % self.zero",
            "1.0 / self.zero",
            "0.0 / 0.0",
            "-1.0 / 0.0",
            "self.f * 10",
            "double('NaN')",
            "double('inf')",
            "[1.0, 0.0 / 0.0]",
            "{'a': self.f * self.f}",
            "self.max + 1",
            "self.min - 1",
            "-self.min",
            "self.max * 2",
            "self.min / -1",
            "self.min % -1",
            "9223372036854775808",
            "-9223372036854775809",
            "18446744073709551615u",
            "int(1e19)",
            "int('9223372036854775808')",
        ] {
            let refused = ["MODEL.FIELDOP", "doc", "SET", "$.x", "1", "EVAL", "$.max", expr];
            let reply = conn.call(&refused);
            assert_eq!(reply.error_word(), "EXPR", "{expr}: {reply:?}");
            check_error_line(&reply);
            assert_eq!(state(conn, "doc"), before, "{expr}");
        }
        for (expr, value) in [
            ("type(1)", "\"int\""),
            ("self.max - 1", "9223372036854775806"),
            ("self.min + 1", "-9223372036854775807"),
            ("-9223372036854775808", "-9223372036854775808"),
            ("-9223372036854775807 - 1", "-9223372036854775808"),
            ("self.max * -1", "-9223372036854775807"),
            ("self.max == 9223372036854775807 && self.max > 9223372036854775806.0", "false"),
        ] {
            let eval = conn.must(&["MODEL.FIELDOP", "doc", "EVAL", "$.x", expr]);
            assert_eq!(eval, Reply::Array(vec![Reply::bulk(value)]), "{expr}");
        }
    });
}
