//! Compiled expressions are kept within bounds, and every limit of expressions and schemas can be set.

use crate::harness::{Server, on_every_server, on_every_server_with};
use crate::recording::check_error_line;
use crate::resp::{Conn, Reply};

/// Hits, misses, entries and bytes.
fn cache(server: &Server) -> [u64; 4] {
    ["hits", "misses", "entries", "bytes"]
        .map(|name| server.info(&format!("model_expression_cache_{name}")).parse().unwrap())
}

fn ask(expr: String) -> Vec<String> {
    ["MODEL.FIELDOP", "doc", "IF", &expr, "LEN", "$"].map(str::to_owned).into()
}

#[test]
fn a_compiled_expression_is_found_again() {
    on_every_server(|server| {
        let conn = &mut server.conn();
        conn.must(&["MODEL.SET", "doc", "any", r#"{"n":1}"#]);
        assert_eq!(cache(server), [0, 0, 0, 0]);
        conn.must(&["MODEL.FIELDOP", "doc", "IF", "self.n == 1", "LEN", "$"]);
        let [_, _, _, first] = cache(server);
        assert_eq!(cache(server)[..3], [0, 1, 1]);
        assert!(first > 100, "{first}");
        for _ in 0..3 {
            conn.must(&["MODEL.FIELDOP", "doc", "IF", "self.n == 1", "LEN", "$"]);
        }
        assert_eq!(cache(server), [3, 1, 1, first]);
        // A guard may use the same names; what EVAL computes has one more.
        conn.must(&["MODEL.FIELDOP", "doc", "WHEN", "self.n == 1", "LEN", "$"]);
        assert_eq!(cache(server), [4, 1, 1, first]);
        conn.must(&["MODEL.FIELDOP", "doc", "EVAL", "$.is", "self.n == 1"]);
        assert_eq!(cache(server)[..3], [4, 2, 2]);
        // A false condition was compiled all the same; an expression that does not compile is not kept.
        assert!(conn.call(&["MODEL.FIELDOP", "doc", "IF", "self.n == 2", "LEN", "$"]).is_error());
        assert_eq!(cache(server)[..3], [4, 3, 3]);
        let kept = cache(server)[3];
        for _ in 0..2 {
            assert!(conn.call(&["MODEL.FIELDOP", "doc", "IF", "self.n ==", "LEN", "$"]).is_error());
        }
        assert_eq!(cache(server), [4, 5, 3, kept]);
        // Rules belong to their model, and commands without expressions ask for none.
        conn.must(&["MODEL.DEFINE", "m", "{}", "RULE", "r", "self.n == 1"]);
        conn.must(&["MODEL.SET", "of", "m", r#"{"n":1}"#]);
        conn.must(&["MODEL.FIELDOP", "doc", "INCR", "$.n", "1"]);
        assert_eq!(cache(server), [4, 5, 3, kept]);
    });
}

#[test]
fn many_expressions_stay_within_the_bounds_of_the_cache() {
    on_every_server_with(&["slowlog-log-slower-than -1"], |server| {
        let conn = &mut server.conn();
        conn.must(&["MODEL.SET", "doc", "any", r#"{"n":1}"#]);
        let many = |from: usize| -> Vec<_> {
            (from..from + 5_000).map(|n| ask(format!("self.n <= 1 + {n}"))).collect()
        };
        let used = || server.info("used_memory").parse::<u64>().unwrap();
        let ran = |conn: &mut Conn, from| {
            let replies = conn.pipeline(&many(from));
            assert!(replies.iter().all(|reply| !reply.is_error()));
        };
        ran(conn, 0);
        let [_, _, entries, bytes] = cache(server);
        assert_eq!(entries, 1024, "as many as are kept at most");
        assert!(bytes < 4 << 20, "{bytes}");
        let full = used();
        ran(conn, 5_000);
        assert_eq!(cache(server)[..3], [0, 10_000, 1024]);
        assert!(used() < full + (512 << 10), "{full} {}", used());

        // Less is kept at the next expression, and the newest are what is left.
        conn.must(&["CONFIG", "SET", "model.expression-cache-entries", "10"]);
        conn.pipeline(&[ask("self.n == 1".to_owned())]);
        assert_eq!(cache(server)[..3], [0, 10_001, 10]);
        conn.pipeline(&[ask("self.n == 1".to_owned()), many(5_000).pop().unwrap()]);
        assert_eq!(cache(server)[..3], [2, 10_001, 10]);
        assert!(used() < full, "{full} {}", used());

        conn.must(&["CONFIG", "SET", "model.expression-cache-entries", "100000"]);
        conn.must(&["CONFIG", "SET", "model.expression-cache-bytes", "200000"]);
        ran(conn, 0);
        let [_, _, entries, bytes] = cache(server);
        assert!((150_000..=200_000).contains(&bytes), "{bytes}");
        assert!((20..5_000).contains(&entries), "{entries}");
        conn.must(&["CONFIG", "SET", "model.expression-cache-bytes", "1"]);
        assert_eq!(
            conn.must(&["MODEL.FIELDOP", "doc", "IF", "self.n == 1", "LEN", "$"]).array().len(),
            1
        );
        assert!(cache(server)[2] <= 1, "{:?}", cache(server));
    });
}

/// The refusal names the limit.
#[track_caller]
fn check_limit(reply: &Reply, name: &str) {
    assert_eq!(reply.error_word(), "LIMIT", "{reply:?}");
    assert_eq!(check_error_line(reply)["limit"], name);
}

#[test]
fn limits_of_expressions_hold_at_the_maximum_and_one_past_it() {
    on_every_server(|server| {
        let conn = &mut server.conn();
        conn.must(&["MODEL.SET", "doc", "any", r#"{"n":[1,2,3]}"#]);
        let everywhere = |expr: &str| {
            [
                vec!["MODEL.FIELDOP", "doc", "IF", expr, "LEN", "$"],
                vec!["MODEL.FIELDOP", "doc", "WHEN", expr, "LEN", "$"],
                vec!["MODEL.FIELDOP", "doc", "EVAL", "$.x", expr],
                vec!["MODEL.DEFINE", "m", "{}", "RULE", "r", expr],
            ]
            .map(|command| command.into_iter().map(str::to_owned).collect::<Vec<_>>())
        };
        let call = |conn: &mut Conn, command: &[String]| {
            conn.call(&command.iter().map(String::as_str).collect::<Vec<_>>())
        };
        conn.must(&["CONFIG", "SET", "model.expression-bytes", "20"]);
        let text = |len: usize| format!("'{}' != ''", "x".repeat(len - 8));
        for command in everywhere(&text(20)) {
            assert!(!call(conn, &command).is_error(), "{command:?}");
        }
        for command in everywhere(&text(21)) {
            check_limit(&call(conn, &command), "model.expression-bytes");
        }
        // An expression that is compiled already is held to a limit that is set later.
        conn.must(&["CONFIG", "SET", "model.expression-bytes", "19"]);
        for command in &everywhere(&text(20))[..3] {
            check_limit(&call(conn, command), "model.expression-bytes");
        }
        conn.must(&["CONFIG", "SET", "model.expression-bytes", "4096"]);

        conn.must(&["CONFIG", "SET", "model.expression-depth", "5"]);
        let nested =
            |depth: usize| format!("{}1{} != []", "[".repeat(depth - 2), "]".repeat(depth - 2));
        for command in everywhere(&nested(5)) {
            assert!(!call(conn, &command).is_error(), "{command:?}");
        }
        for command in everywhere(&nested(6)) {
            check_limit(&call(conn, &command), "model.expression-depth");
        }
        conn.must(&["CONFIG", "SET", "model.expression-depth", "32"]);

        // How many steps an expression takes is its own affair; that there is a least budget for it is not.
        let expr = "self.n.all(x, x > 0)";
        let condition = ["MODEL.FIELDOP", "doc", "IF", expr, "LEN", "$"];
        conn.must(&["MODEL.DEFINE", "m", "{}", "RULE", "r", expr]);
        let rule = ["MODEL.SET", "of", "m", r#"{"n":[1,2,3]}"#];
        for command in [&condition[..], &rule] {
            let works = |conn: &mut Conn, steps: u64| {
                conn.must(&["CONFIG", "SET", "model.expression-steps", &steps.to_string()]);
                let reply = conn.call(command);
                if reply.is_error() {
                    assert_eq!(reply.error_word(), "EXPR", "{reply:?}");
                    assert!(reply.error().contains("more steps"), "{reply:?}");
                }
                !reply.is_error()
            };
            let least = (1..200).find(|steps| works(conn, *steps)).expect("some budget is enough");
            assert!(least > 6, "every step counts: {least}");
            assert!(!works(conn, least - 1) && works(conn, least + 1));
        }
    });
}

#[test]
fn schemas_are_limited_in_bytes() {
    on_every_server(|server| {
        let conn = &mut server.conn();
        let padded = |len: usize| format!("{{\"title\":\"{}\"}}", "x".repeat(len - 12));
        check_limit(
            &conn.call(&["MODEL.DEFINE", "m", &padded((1 << 20) + 1)]),
            "model.schema-bytes",
        );
        conn.must(&["MODEL.DEFINE", "m", &padded(1 << 20)]);
        conn.must(&["MODEL.DEFINE", "n", &padded(50)]);
        conn.must(&["CONFIG", "SET", "model.schema-bytes", "40"]);
        check_limit(&conn.call(&["MODEL.DEFINE", "n", &padded(41)]), "model.schema-bytes");
        // A definition made under a wider limit stays in force, also where it is loaded again.
        conn.must(&["MODEL.SET", "doc", "n", "{}"]);
        conn.must(&["DEBUG", "RELOAD"]);
        conn.must(&["MODEL.FIELDOP", "doc", "SET", "$.a", "1"]);
        assert_eq!(conn.must(&["MODEL.DESCRIBE", "n"]).field("schema"), &Reply::bulk(padded(50)));
        assert_eq!(conn.must(&["MODEL.DEFINE", "n", &padded(40)]), Reply::Int(2));
    });
}
