//! The commands on real servers: every example of the declarations in both protocols, and the
//! options of `MODEL.SET` and `MODEL.FIELDOP`.

use redis_model::command;
use redis_model::error::ErrorCode;
use redis_model::op;

use crate::harness::{Server, on_every_flavor, on_every_server, on_every_shared};
use crate::resp::{Conn, Reply};

/// A reply in the notation of the examples. Revisions differ from run to run.
fn notation(reply: &Reply) -> String {
    let join = |items: &[Reply]| items.iter().map(notation).collect::<Vec<_>>().join(" ");
    match reply {
        Reply::Null => "(nil)".into(),
        Reply::Int(value) if *value > 1_000_000_000_000_000 => "(revision)".into(),
        Reply::Int(value) if *value > 100_000_000_000_000 => "(fence)".into(),
        // The rest of a lease of one day.
        Reply::Int(value) if (86_000_000..=86_400_000).contains(value) => "(lease)".into(),
        Reply::Int(value) => format!("(integer) {value}"),
        Reply::Bulk(_) | Reply::Simple(_) => reply.text().to_owned(),
        Reply::Error(_) => reply.error_word().to_owned(),
        Reply::Array(items) => format!("[{}]", join(items)),
        Reply::Map(pairs) => {
            let pairs = pairs.iter().map(|(name, value)| notation(name) + " " + &notation(value));
            format!("{{{}}}", pairs.collect::<Vec<_>>().join(" "))
        }
        other => panic!("no reply of a command: {other:?}"),
    }
}

/// An example writes a map as RESP3 does; RESP2 has an array in its place.
fn expected_in_resp2(expected: &str, found: &Reply) -> String {
    let inside = expected.strip_prefix('{').and_then(|rest| rest.strip_suffix('}'));
    let listed = expected.strip_prefix("[{name ").and_then(|rest| rest.strip_suffix("}]"));
    match (inside, listed, found) {
        (Some(inside), _, Reply::Array(_)) => format!("[{inside}]"),
        (_, Some(inside), _) => format!("[[name {inside}]]"),
        _ => expected.to_owned(),
    }
}

fn for_both_protocols(check: impl Fn(&mut Conn, bool) + Sync) {
    on_every_server(|server| {
        check(&mut server.conn(), false);
        check(&mut server.conn_resp3(), true);
    });
}

#[test]
fn examples_of_commands_are_true() {
    for_both_protocols(|conn, resp3| {
        let examples = command::all().iter().flat_map(|spec| spec.examples);
        for example in examples.filter(|example| !defines(example)) {
            conn.must(&["FLUSHALL"]);
            check_example(conn, resp3, example);
        }
    });
}

/// Definitions outlive FLUSHALL and count their versions: each such example has a server of its own.
#[test]
fn examples_with_definitions_are_true() {
    on_every_flavor(|flavor| {
        let examples = command::all().iter().flat_map(|spec| spec.examples);
        for example in examples.filter(|example| defines(example)) {
            for resp3 in [false, true] {
                let server = Server::start(flavor, &[]);
                let mut conn = if resp3 { server.conn_resp3() } else { server.conn() };
                check_example(&mut conn, resp3, example);
            }
        }
    });
}

fn defines(example: &command::CommandExample) -> bool {
    example.0.iter().any(|line| ["MODEL.DEFINE", "MODEL.ACTION"].contains(&line.words()[0]))
}

fn check_example(conn: &mut Conn, resp3: bool, example: &command::CommandExample) {
    for line in example.0 {
        let found = conn.call(&line.words());
        let expected =
            if resp3 { line.reply.to_owned() } else { expected_in_resp2(line.reply, &found) };
        assert_eq!(notation(&found), expected, "{}: {}", line.at, line.command);
    }
}

#[test]
fn examples_of_operators_are_true() {
    for_both_protocols(|conn, _| {
        for spec in op::of(op::Target::Value) {
            for example in spec.examples {
                check_operator(conn, example);
            }
        }
    });
}

fn check_operator(conn: &mut Conn, example: &op::Example) {
    let revision = conn.must(&["MODEL.SET", "doc", "any", example.before]).int();
    let found = conn.call(&[&["MODEL.FIELDOP", "doc"], &*example.words()].concat());
    if example.words()[0] == "NOW" && !found.is_error() {
        // The clock differs on every run; see `now_is_the_servers_clock`.
        return;
    }
    let expected = match is_word(example.reply) {
        true => example.reply.to_owned(),
        false => format!("[{}]", example.reply),
    };
    assert_eq!(notation(&found), expected, "{} {:?}", example.before, example.statement);
    assert_eq!(conn.must(&["MODEL.GET", "doc"]), Reply::bulk(example.after));
    let grown = conn.must(&["MODEL.META", "doc"]).field("revision").int() > revision;
    assert_eq!(grown, example.before != example.after, "{:?}", example.statement);
}

#[test]
fn now_is_the_servers_clock() {
    on_every_shared(|server| {
        let conn = &mut server.conn();
        conn.must(&["MODEL.SET", "commands:now", "any", "{}"]);
        let seconds =
            |conn: &mut Conn| conn.must(&["TIME"]).array()[0].text().parse::<i64>().unwrap();
        let from = seconds(conn);
        let now = ["MODEL.FIELDOP", "commands:now", "NOW", "$.ms", "MS", "NOW", "$.s", "S"];
        let replies = conn.must(&now);
        let number = |nth: usize| replies.array()[nth].text().parse::<i64>().unwrap();
        assert!((from..=seconds(conn)).contains(&number(1)));
        assert_eq!(number(0) / 1000, number(1), "one moment for the whole command");
    });
}

fn is_word(reply: &str) -> bool {
    ErrorCode::ALL.iter().any(|code| code.word() == reply)
}

#[test]
fn set_obeys_nx_xx_and_ifrev() {
    on_every_shared(|server| {
        let conn = &mut server.conn();
        let key = "commands:nx";
        assert_eq!(conn.call(&["MODEL.SET", key, "any", "1", "XX"]), Reply::Null);
        assert_eq!(conn.call(&["EXISTS", key]), Reply::Int(0));
        assert_eq!(conn.call(&["MODEL.SET", key, "any", "1", "IFREV", "1"]).error_word(), "NOKEY");
        let first = conn.call(&["MODEL.SET", key, "any", "1", "nx"]).int();
        assert_eq!(conn.call(&["MODEL.SET", key, "any", "2", "NX"]), Reply::Null);
        assert_eq!(conn.call(&["MODEL.GET", key]), Reply::bulk("1"));
        let second = conn.call(&["MODEL.SET", key, "any", "2", "XX"]).int();
        assert!(second > first && second < 1 << 53);

        let stale = conn.call(&["MODEL.SET", key, "any", "3", "IFREV", &first.to_string()]);
        assert_eq!(stale.error_word(), "REVISION");
        assert_eq!(conn.call(&["MODEL.GET", key]), Reply::bulk("2"));
        let third =
            conn.call(&["MODEL.SET", key, "any", "3", "XX", "ifrev", &second.to_string()]).int();
        assert!(third > second);
        assert_eq!(conn.must(&["MODEL.META", key]).field("revision").int(), third);

        conn.must(&["DEL", key]);
        let again = conn.call(&["MODEL.SET", key, "any", "1"]).int();
        assert!(again > third, "a revision never repeats");
    });
}

/// A key's expiry in unix milliseconds, -1 for none, -2 for no key.
fn expires(conn: &mut Conn, key: &str) -> i64 {
    conn.call(&["PEXPIRETIME", key]).int()
}

#[test]
fn set_gives_keeps_and_takes_the_time_to_live() {
    on_every_shared(|server| {
        let conn = &mut server.conn();
        let key = "commands:ttl";
        let set = |conn: &mut Conn, options: &[&str]| {
            conn.must(&[&["MODEL.SET", key, "any", "{}"], options].concat());
            expires(conn, key)
        };
        let now = conn.must(&["TIME"]).array()[0].text().parse::<i64>().unwrap() * 1000;
        assert!((now + 99_000..now + 200_000).contains(&set(conn, &["EX", "100"])));
        assert!((now + 99_000..now + 200_000).contains(&set(conn, &["px", "100000"])));
        assert_eq!(set(conn, &["PXAT", "4000000000123"]), 4_000_000_000_123);
        assert_eq!(set(conn, &["KEEPTTL"]), 4_000_000_000_123);
        assert_eq!(set(conn, &["XX", "EXAT", "4000000000"]), 4_000_000_000_000);
        assert_eq!(set(conn, &[]), -1);
        assert_eq!(set(conn, &["KEEPTTL"]), -1);
        conn.must(&["MODEL.SET", key, "any", "{}", "PXAT", "1"]);
        assert_eq!(expires(conn, key), -2, "a moment that is past");
        assert_eq!(conn.call(&["MODEL.GET", key]), Reply::Null);
    });
}

#[test]
fn fieldop_sets_and_takes_the_time_to_live() {
    on_every_shared(|server| {
        let conn = &mut server.conn();
        let key = "commands:fieldop-ttl";
        let fieldop = |conn: &mut Conn, options: &[&str]| {
            let command = [&["MODEL.FIELDOP", key], options, &["INCR", "$.n", "1"]].concat();
            conn.must(&command);
            expires(conn, key)
        };
        let exat = ["INIT", "any", "{}", "EXAT", "4000000000"];
        assert_eq!(fieldop(conn, &exat), 4_000_000_000_000, "at creation");
        assert_eq!(fieldop(conn, &[]), 4_000_000_000_000, "left alone");
        assert_eq!(fieldop(conn, &["PXAT", "4000000000123", "MKPATH"]), 4_000_000_000_123);
        assert_eq!(fieldop(conn, &["PERSIST"]), -1);
        let now = conn.must(&["TIME"]).array()[0].text().parse::<i64>().unwrap() * 1000;
        assert!((now + 99_000..now + 200_000).contains(&fieldop(conn, &["EX", "100"])));
        assert!((now + 99_000..now + 200_000).contains(&fieldop(conn, &["PX", "100000"])));

        // An expiry alone is a change of the key, not of its content.
        let revision = conn.must(&["MODEL.META", key]).field("revision").int();
        conn.must(&["MODEL.FIELDOP", key, "PXAT", "4000000000000", "EXISTS"]);
        assert_eq!(expires(conn, key), 4_000_000_000_000);
        assert_eq!(conn.must(&["MODEL.META", key]).field("revision").int(), revision);
        let refused = conn.call(&["MODEL.FIELDOP", key, "PERSIST", "MUL", "$.none", "2"]);
        assert_eq!(refused.error_word(), "NOPATH");
        assert_eq!(expires(conn, key), 4_000_000_000_000);
    });
}

#[test]
fn fieldop_options_stand_in_any_order_and_once() {
    on_every_shared(|server| {
        let conn = &mut server.conn();
        let key = "commands:options";
        let call = |conn: &mut Conn, options: &[&str]| {
            conn.call(&[&["MODEL.FIELDOP", key], options, &["SET", "$.a.b", "1"]].concat())
        };
        assert_eq!(call(conn, &[]).error_word(), "NOKEY");
        assert_eq!(call(conn, &["INIT", "any", "{}"]).error_word(), "NOPATH");
        assert_eq!(
            conn.call(&["EXISTS", key]),
            Reply::Int(0),
            "nothing of a refused command stays"
        );
        for options in [
            &["mkpath", "EX", "9", "INIT", "any", "{}"][..],
            &["Init", "any", "{}", "MKPATH", "persist"],
        ] {
            conn.must(&["DEL", key]);
            assert_eq!(call(conn, options), Reply::Array(vec![Reply::Int(1)]));
            assert_eq!(conn.call(&["MODEL.GET", key]), Reply::bulk(r#"{"a":{"b":1}}"#));
        }
        for twice in [
            &["MKPATH", "MKPATH"][..],
            &["EX", "9", "PX", "9"],
            &["PERSIST", "EX", "9"],
            &["INIT", "any", "{}", "INIT", "any", "{}"],
        ] {
            assert_eq!(call(conn, twice).error_word(), "ERR", "{twice:?}");
        }
    });
}

#[test]
fn assertions_may_follow_operators_and_revert_them() {
    on_every_shared(|server| {
        let conn = &mut server.conn();
        let key = "commands:assertions";
        let incr = ["INCR", "$.n", "1"];
        let call = |conn: &mut Conn, statements: &[&[&str]]| {
            conn.call(&[&["MODEL.FIELDOP", key], &statements.concat()[..]].concat())
        };
        assert_eq!(call(conn, &[&["MISSING"]]), Reply::Array(vec![]));
        assert_eq!(call(conn, &[&["EXISTS"]]).error_word(), "CONDITION");
        assert_eq!(call(conn, &[&["IFREV", "1"]]).error_word(), "NOKEY");
        assert_eq!(conn.call(&["EXISTS", key]), Reply::Int(0));

        let revision = conn.must(&["MODEL.SET", key, "any", r#"{"n":0}"#]).int();
        assert_eq!(call(conn, &[&["EXISTS"]]), Reply::Array(vec![]));
        assert_eq!(call(conn, &[&incr, &["missing"]]).error_word(), "CONDITION");
        let stale = call(conn, &[&incr, &["IFREV", &(revision + 1).to_string()]]);
        assert_eq!(stale.error_word(), "REVISION");
        assert_eq!(conn.call(&["MODEL.GET", key]), Reply::bulk(r#"{"n":0}"#));
        let current = revision.to_string();
        let twice = call(conn, &[&incr, &["ifrev", &current], &incr, &["REVISION"]]);
        let replies = twice.array();
        assert_eq!(replies[..2], [Reply::bulk("1"), Reply::bulk("2")]);
        let new = replies[2].int();
        assert!(new > revision);
        assert_eq!(conn.must(&["MODEL.META", key]).field("revision").int(), new);
        assert_eq!(call(conn, &[&["IFREV", &current], &incr]).error_word(), "REVISION");
    });
}

#[test]
fn a_command_happens_whole_or_not_at_all() {
    on_every_shared(|server| {
        let conn = &mut server.conn();
        let key = "commands:atomic";
        conn.must(&["MODEL.SET", key, "any", r#"{"n":0,"s":"x","list":[1,2,3]}"#]);
        let before = (conn.must(&["MODEL.GET", key]), conn.must(&["MODEL.META", key]));
        for spec in op::of(op::Target::Value) {
            for example in spec.examples.iter().filter(|example| !is_word(example.reply)) {
                conn.must(&["MODEL.SET", "commands:scratch", "any", example.before]);
                let was = conn.must(&["DUMP", "commands:scratch"]);
                let failing = ["POP", "$", "nonsense"];
                let command =
                    [&["MODEL.FIELDOP", "commands:scratch"], &*example.words(), &failing].concat();
                assert_eq!(conn.call(&command).error_word(), "ERR");
                let failing = ["SET", "$.no.such.parent", "1"];
                let command =
                    [&["MODEL.FIELDOP", "commands:scratch"], &*example.words(), &failing].concat();
                assert!(conn.call(&command).is_error(), "{command:?}");
                assert_eq!(conn.must(&["DUMP", "commands:scratch"]), was, "{command:?}");
            }
        }
        assert_eq!((conn.must(&["MODEL.GET", key]), conn.must(&["MODEL.META", key])), before);
    });
}

#[test]
fn values_come_back_as_they_were_written() {
    on_every_shared(|server| {
        let conn = &mut server.conn();
        for json in [
            "9007199254740993",
            "-9223372036854775808",
            "9223372036854775807",
            "1.0",
            "0.1",
            "-0.0",
            "1e-7",
            r#""""#,
            r#"{"z":1,"a":{},"":[],"é":null}"#,
            r#"[[],{},[[]],""]"#,
            r#""😀\u0000""#,
        ] {
            conn.must(&["MODEL.SET", "commands:exact", "any", json]);
            assert_eq!(conn.call(&["MODEL.GET", "commands:exact"]), Reply::bulk(json));
        }
        for (json, stored) in [
            (r#" { "a" : 1 , "b":2,"a":3 } "#, r#"{"a":3,"b":2}"#),
            (r#""\u00e9\/""#, r#""é/""#),
            ("1.50", "1.5"),
        ] {
            conn.must(&["MODEL.SET", "commands:exact", "any", json]);
            assert_eq!(conn.call(&["MODEL.GET", "commands:exact"]), Reply::bulk(stored));
        }
        for (json, word) in [
            ("9223372036854775808", "RANGE"),
            ("1e999", "RANGE"),
            (r#""\ud800""#, "ERR"),
            ("01", "ERR"),
            ("[1,]", "ERR"),
            ("", "ERR"),
        ] {
            let refused = conn.call(&["MODEL.SET", "commands:exact", "any", json]);
            assert_eq!(refused.error_word(), word, "{json}");
        }
    });
}

#[test]
fn an_integer_that_no_double_equals_is_never_rounded_by_arithmetic() {
    on_every_shared(|server| {
        let conn = &mut server.conn();
        let key = "commands:rounded";
        let document = r#"{"n":9007199254740993,"x":1.5}"#;
        conn.must(&["MODEL.SET", key, "any", document]);
        for statement in [
            &["INCR", "$.n", "0.5"][..],
            &["INCR", "$.x", "9007199254740993"],
            &["MUL", "$.n", "2.0"],
            &["DIV", "$.x", "9007199254740993"],
            &["FLOORDIV", "$.n", "2.0"],
            &["MOD", "$.n", "2.0"],
            &["POW", "$.n", "0.5"],
            &["POW", "$.n", "-1"],
            &["EVAL", "$.n", "value + 0.5"],
            &["IF", "self.n + self.x > 0.0", "GET", "$.n"],
            &["WHEN", "self.n + self.x > 0.0", "GET", "$.n"],
        ] {
            let reply = conn.call(&[&["MODEL.FIELDOP", key], statement].concat());
            assert_eq!(reply.error_word(), "RANGE", "{statement:?}");
            let txn = [&["MODEL.TXN", "1", key, "ON", key], statement].concat();
            assert_eq!(conn.call(&txn).error_word(), "RANGE", "{txn:?}");
        }
        assert_eq!(conn.call(&["MODEL.GET", key]), Reply::bulk(document));
        let compared = conn.must(&["MODEL.FIELDOP", key, "MIN", "$.n", "9007199254740992.0"]);
        assert_eq!(notation(&compared), "[9007199254740992.0]");
    });
}

#[test]
fn mget_reads_every_key_in_order() {
    on_every_shared(|server| {
        for conn in &mut [server.conn(), server.conn_resp3()] {
            conn.must(&["MODEL.SET", "commands:m1", "any", r#"{"a":1,"l":[1,2]}"#]);
            conn.must(&["MODEL.SET", "commands:m2", "any", r#"{"a":"two"}"#]);
            let keys = ["MODEL.MGET", "3", "commands:m2", "commands:none", "commands:m1"];
            let call = |conn: &mut Conn, paths: &[&str]| {
                notation(&conn.must(&[&keys[..], paths].concat()))
            };
            assert_eq!(call(conn, &[]), r#"[{"a":"two"} (nil) {"a":1,"l":[1,2]}]"#);
            assert_eq!(call(conn, &["$.a"]), r#"["two" (nil) 1]"#);
            assert_eq!(call(conn, &["/a", "$.l[*]"]), r#"[["two" []] (nil) [1 [1,2]]]"#);
            conn.must(&["SET", "commands:string", "x"]);
            let others = conn.must(&["MODEL.MGET", "2", "commands:m1", "commands:string"]);
            assert_eq!(notation(&others), r#"[{"a":1,"l":[1,2]} (nil)]"#);
        }
    });
}

#[test]
fn meta_and_help_speak_both_protocols() {
    on_every_shared(|server| {
        let (mut two, mut three) = (server.conn(), server.conn_resp3());
        two.must(&["MODEL.SET", "commands:meta", "any", "[1]"]);
        let meta = ["MODEL.META", "commands:meta"];
        assert!(matches!(two.must(&meta), Reply::Array(items) if items.len() == 10));
        assert!(matches!(three.must(&meta), Reply::Map(pairs) if pairs.len() == 5));
        for conn in [&mut two, &mut three] {
            assert_eq!(conn.must(&meta).field("model"), &Reply::bulk("any"));
            assert_eq!(conn.must(&["MODEL.META", "commands:none"]), Reply::Null);
            let help = conn.must(&["MODEL.HELP"]);
            let lines: Vec<_> = help.array().iter().map(|line| line.text().to_owned()).collect();
            // A release build names its commit, the tests are none.
            assert_eq!(lines[1..], redis_model::docs::help()[1..]);
            let version = concat!("redis-model ", env!("CARGO_PKG_VERSION"), " (");
            assert!(lines[0].starts_with(version), "{}", lines[0]);
            assert!(server.log().contains(&lines[0][..lines[0].find(')').unwrap()]));
            let incr = conn.must(&["MODEL.HELP", "incr"]);
            assert_eq!(incr.array()[0], Reply::bulk("Operator: INCR path n"));
            assert_eq!(conn.call(&["MODEL.HELP", "x"]).error_word(), "ERR");
        }
    });
}
