//! Bound paths, `STRICT`, `CURRENT`, `others`, conditions of `MODEL.SET` and `MODEL.EVAL` on real servers, and what
//! replicas make of them.

use crate::harness::on_every_shared;
use crate::replication::on_every_pair;
use crate::resp::{Conn, Reply};

fn refusal(conn: &mut Conn, command: &[&str]) -> (String, serde_json::Value) {
    let line = conn.call(command).error().to_owned();
    let (word, object) = line.split_once(' ').expect("a word and an object");
    (word.to_owned(), serde_json::from_str(object).expect("the object is JSON"))
}

#[test]
fn text_of_users_is_bound_whatever_it_is() {
    on_every_shared(|server| {
        let conn = &mut server.conn();
        let key = "conditions:bound";
        for name in ["a'b", "\"", "$..*", "']", "é 😀", "", "a-b", "\n", "\u{0}"] {
            conn.must(&["MODEL.SET", key, "any", r#"{"lines":[{"by":"other","n":1}],"stats":{}}"#]);
            let args =
                serde_json::json!({ "name": name, "line": {"by": name, "n": 1} }).to_string();
            let head = ["MODEL.FIELDOP", key, "ARGS", &args];
            let statements = [
                &["SET", "$.stats[args.name]", "=args.line"][..],
                &["APPEND", "$.lines", "=[args.line]"],
                &["STRICT", "INCR", "$.lines[?@.by == args.name].n", "=args.line.n"],
                &["GET", "$.stats[args.name].by"],
            ];
            let reply = conn.must(&[&head[..], &statements.concat()].concat());
            assert_eq!(reply.array()[2], Reply::Array(vec![Reply::bulk("2")]), "{name:?}");
            assert_eq!(reply.array()[3].json(), name, "{name:?}");
            let lines = conn.must(&["MODEL.GET", key, "$.lines"]).json();
            assert_eq!((&lines[0]["n"], &lines[1]["n"]), (&1.into(), &2.into()), "{name:?}");
        }
    });
}

#[test]
fn a_path_that_cannot_be_bound_is_refused_before_anything_is_looked_up() {
    on_every_shared(|server| {
        let conn = &mut server.conn();
        for (command, word) in [
            (&["MODEL.GET", "conditions:none", "$[args.x]"][..], "ERR"),
            (&["MODEL.MGET", "1", "conditions:none", "$[?@ == args.x]"], "ERR"),
            (&["MODEL.FIELDOP", "conditions:none", "GET", "$[args.x]"], "ERR"),
            (&["MODEL.FIELDOP", "conditions:none", "ARGS", "{}", "GET", "$[args.x]"], "ERR"),
            (
                &["MODEL.FIELDOP", "conditions:none", "ARGS", r#"{"x":null}"#, "GET", "$[args.x]"],
                "TYPE",
            ),
            (&["MODEL.FIELDOP", "conditions:none", "STRICT", "EXISTS"], "ERR"),
            (&["MODEL.FIELDOP", "conditions:none", "GET", "$.a-b"], "ERR"),
        ] {
            assert_eq!(refusal(conn, command).0, word, "{command:?}");
        }
    });
}

#[test]
fn a_refusal_carries_what_is_stored() {
    on_every_shared(|server| {
        let conn = &mut server.conn();
        let key = "conditions:current";
        for stored in [r#"{"text":"\u0000\r\n%s"}"#, "[1,2.50,null]", r#""é😀\u007f""#] {
            conn.must(&["MODEL.SET", key, "any", stored]);
            let asked = ["MODEL.FIELDOP", key, "CURRENT", "$", "SET", "$", "7", "IF", "false"];
            let (word, object) = refusal(conn, &asked);
            assert_eq!(word, "CONDITION");
            assert_eq!(object["current"], conn.must(&["MODEL.GET", key]).json());
        }
        let long = format!("\"{}\"", "x".repeat((64 << 10) - 2));
        conn.must(&["MODEL.SET", key, "any", &long]);
        let (_, object) = refusal(conn, &["MODEL.FIELDOP", key, "CURRENT", "$", "IFREV", "1"]);
        assert_eq!(object["current"].as_str().map(str::len), Some((64 << 10) - 2));
        conn.must(&["MODEL.FIELDOP", key, "STRAPPEND", "$", "\"x\""]);
        let (_, object) = refusal(conn, &["MODEL.FIELDOP", key, "CURRENT", "$", "IFREV", "1"]);
        assert_eq!((object.get("current"), object["current-bytes"].as_i64()), (None, Some(65537)));
    });
}

#[test]
fn a_refused_transaction_tells_every_failed_condition() {
    on_every_shared(|server| {
        let conn = &mut server.conn();
        let keys = ["conditions:{o}:a", "conditions:{o}:b", "conditions:{o}:c"];
        conn.must(&["MODEL.SET", keys[0], "any", r#"{"n":1}"#]);
        conn.must(&["MODEL.SET", keys[1], "any", r#"{"n":2}"#]);
        let head = ["MODEL.TXN", "3", keys[0], keys[1], keys[2]];
        let blocks = [
            &["ON", keys[0], "CURRENT", "$.n", "INCR", "$.n", "1", "IF", "self.n == 1"][..],
            &["ON", keys[1], "IF", "self.n == 1", "INCR", "$.n", "1"],
            &["ON", keys[2], "EXISTS"],
        ];
        let (word, object) = refusal(conn, &[&head[..], &blocks.concat()].concat());
        assert_eq!((&*word, object["current"].as_i64()), ("CONDITION", Some(1)));
        let told: Vec<_> = object["others"].as_array().expect("a list").iter().collect();
        let words: Vec<_> = told.iter().map(|other| other["error"].as_str()).collect();
        assert_eq!(words, [Some("CONDITION"), Some("CONDITION")]);
        assert_eq!((told[0]["block"].as_i64(), &told[1]["key"]), (Some(1), &keys[2].into()));
        assert_eq!(conn.must(&["MODEL.GET", keys[1], "$.n"]), Reply::bulk("2"));
    });
}

#[test]
fn replicas_follow_and_evaluate() {
    on_every_pair(&[], |master, replica| {
        let conn = &mut master.conn();
        conn.must(&["MODEL.SET", "doc", "any", r#"{"n":1,"l":[1,2,3,2],"o":{}}"#]);
        for command in [
            &["ARGS", r#"{"f":"n"}"#, "STRICT", "INCR", "$[args.f]", "1"][..],
            &["ARGS", r#"{"v":2}"#, "INCR", "$.l[?@ == args.v]", "=args.v"],
            &["ARGS", r#"{"f":"a b"}"#, "MKPATH", "SET", "$.o[args.f].x", "=self.n"],
            &["CURRENT", "$", "IF", "self.n > 0", "PULLALL", "$.l", "[1,3]"],
            &["SET", "$.big", "100000000000000000000"],
        ] {
            conn.must(&[&["MODEL.FIELDOP", "doc"], command].concat());
        }
        conn.must(&["MODEL.SET", "gone", "any", "{}"]);
        conn.must(&["MODEL.SET", "gone", "any", "[]", "IF", "size(self) == 0", "KEEPTTL"]);
        conn.must(&["MODEL.FIELDOP", "gone", "IF", "size(self) == 0", "DELETE"]);
        replica.wait_for_sync(master);
        assert_eq!(replica.debug_digest(), master.debug_digest());
        let replica = &mut replica.conn();
        let whole = r#"{"n":2,"l":[4,4],"o":{"a b":{"x":2}},"big":1e20}"#;
        assert_eq!(replica.must(&["MODEL.GET", "doc"]), Reply::bulk(whole));
        assert_eq!(
            replica.must(&["MODEL.EVAL", "doc", "self.l.sum() + self.n"]),
            Reply::bulk("10")
        );
        assert_eq!(replica.must(&["MODEL.EVAL", "gone", "self"]), Reply::Null);
        let read = ["EVAL_RO", "return redis.call('MODEL.EVAL', KEYS[1], 'self.n')", "1", "doc"];
        assert_eq!(replica.must(&read), Reply::bulk("2"));
    });
}
