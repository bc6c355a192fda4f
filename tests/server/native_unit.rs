//! Natives and documents as one unit: on replicas and in the AOF, in MULTI and scripts, for blocked readers and tokens;
//! and the ways in which the server's configuration or an administrator refuses a native.

use crate::harness::{Server, on_every_flavor, on_every_server, on_every_server_with};
use crate::resp::{Conn, Reply};

/// One transaction with a document and natives of every structure.
const MIXED: &[&str] = &[
    "MODEL.TXN",
    "7",
    "doc",
    "z",
    "s",
    "h",
    "l",
    "x",
    "n",
    "ON",
    "doc",
    "INCR",
    "$.n",
    "1",
    "AT",
    "z",
    "ZADD",
    "=docs['doc'].n",
    "\"ann\"",
    "ZINCRBY",
    "1.5",
    "\"bob\"",
    "AT",
    "s",
    "SADD",
    "=string(docs['doc'].n)",
    "AT",
    "h",
    "HSET",
    "\"f\"",
    "{\"a\":1}",
    "HINCRBY",
    "\"c\"",
    "2",
    "AT",
    "l",
    "LPUSH",
    "1",
    "RPUSH",
    "\"e\\u0000\"",
    "PEXPIRE",
    "10000000",
    "AT",
    "x",
    "XADD",
    "100",
    "={\"n\": docs['doc'].n}",
    "AT",
    "n",
    "SET",
    "5",
    "INCRBY",
    "7",
];

fn define(conn: &mut Conn) {
    conn.must(&["MODEL.SET", "doc", "any", r#"{"n":0}"#]);
}

fn number(conn: &mut Conn) -> String {
    conn.must(&["MODEL.GET", "doc", "$.n"]).text().to_owned()
}

#[test]
fn a_replica_and_a_promoted_one_hold_the_same() {
    on_every_flavor(|flavor| {
        let (master, replica) = (Server::start(flavor, &[]), Server::start(flavor, &[]));
        replica.replica_of(&master);
        replica.wait_for_sync(&master);
        let conn = &mut master.conn();
        define(conn);
        for _ in 0..20 {
            conn.must(MIXED);
        }
        replica.wait_for_sync(&master);
        assert_eq!(master.debug_digest(), replica.debug_digest());
        let refused = replica.call(MIXED);
        assert_eq!(refused.error_word(), "READONLY", "{refused:?}");
        replica.must(&["REPLICAOF", "NO", "ONE"]);
        assert_eq!(master.debug_digest(), replica.debug_digest());
        replica.must(MIXED);
        assert_eq!(number(&mut replica.conn()), "21");
    });
}

#[test]
fn an_aof_of_either_kind_restores_documents_and_structures() {
    let kinds: [&[&str]; 2] = [
        &["appendonly yes", "appendfsync always"],
        &["appendonly yes", "appendfsync always", "aof-use-rdb-preamble no"],
    ];
    for kind in kinds {
        on_every_server_with(kind, |server| {
            define(&mut server.conn());
            (0..10).for_each(|_| drop(server.must(MIXED)));
            let before = server.debug_digest();
            server.kill9();
            server.restart();
            assert_eq!(server.debug_digest(), before);
            server.rewrite_aof();
            server.must(MIXED);
            let before = server.debug_digest();
            server.kill9();
            server.restart();
            assert_eq!(server.debug_digest(), before);
        });
    }
}

#[test]
fn one_unit_stands_in_the_aof() {
    on_every_server_with(&["appendonly yes", "appendfsync always"], |server| {
        define(&mut server.conn());
        server.must(MIXED);
        let folder = server.dir().join("appendonlydir");
        let text: String = std::fs::read_dir(folder)
            .expect("the folder of the AOF is there")
            .map(|entry| entry.expect("an entry").path())
            .filter(|path| path.to_string_lossy().ends_with(".incr.aof"))
            .map(|path| String::from_utf8_lossy(&std::fs::read(path).expect("a file")).into_owned())
            .collect();
        let (_, unit) = text.split_once("MULTI\r\n").expect("there is a unit");
        let (unit, rest) = unit.split_once("EXEC\r\n").expect("the unit ends");
        assert!(!rest.contains("MULTI"), "{text}");
        for name in [
            "ZADD",
            "ZINCRBY",
            "SADD",
            "HSET",
            "HINCRBY",
            "LPUSH",
            "RPUSH",
            "PEXPIREAT",
            "XADD",
            "SET",
            "INCRBY",
        ] {
            assert!(unit.contains(&format!("\r\n{name}\r\n")), "{name}: {unit}");
        }
        assert!(unit.contains("MODEL."), "{unit}");
    });
}

#[test]
fn multi_and_scripts_run_natives() {
    on_every_server(|server| {
        let conn = &mut server.conn();
        define(conn);
        conn.must(&["MULTI"]);
        conn.must(MIXED);
        conn.must(MIXED);
        let replies = conn.must(&["EXEC"]);
        assert!(replies.array().iter().all(|reply| !reply.is_error()), "{replies:?}");
        let script = "return redis.call(unpack(ARGV))";
        let keys = ["doc", "z", "s", "h", "l", "x", "n"];
        let eval = [&["EVAL", script, "7"][..], &keys, MIXED].concat();
        let reply = conn.call(&eval);
        assert!(!reply.is_error(), "{reply:?}");
        let library = "#!lua name=lib\nredis.register_function('f', function(k, a) return redis.call(unpack(a)) end)";
        conn.must(&["FUNCTION", "LOAD", library]);
        let reply = conn.call(&[&["FCALL", "f", "7"][..], &keys, MIXED].concat());
        assert!(!reply.is_error(), "{reply:?}");
        assert_eq!(number(conn), "4");
        assert_eq!(conn.must(&["XLEN", "x"]), Reply::Int(4));
        // The user of a script is the one who runs it.
        conn.must(&["ACL", "SETUSER", "u", "on", "nopass", "~*", "&*", "+@all", "-zadd"]);
        let mut user = server.conn();
        user.must(&["AUTH", "u", "any"]);
        for command in [MIXED, &eval] {
            let reply = user.call(command);
            assert!(format!("{reply:?}").contains("NOPERM"), "{reply:?}");
        }
        assert_eq!(number(conn), "4");
    });
}

#[test]
fn blocked_readers_are_woken() {
    on_every_server(|server| {
        let conn = &mut server.conn();
        define(conn);
        conn.must(&["XGROUP", "CREATE", "x", "g", "$", "MKSTREAM"]);
        let waiting: [&[&str]; 4] = [
            &["BLPOP", "l", "0"],
            &["BZPOPMIN", "z", "0"],
            &["XREAD", "BLOCK", "0", "STREAMS", "x", "$"],
            &["XREADGROUP", "GROUP", "g", "c", "BLOCK", "0", "STREAMS", "x", ">"],
        ];
        let mut readers: Vec<_> = waiting.iter().map(|_| server.conn()).collect();
        readers.iter_mut().zip(waiting).for_each(|(reader, command)| reader.send(command));
        server.wait_until("readers are blocked", || server.info("blocked_clients") == "4");
        conn.must(MIXED);
        for (reader, command) in readers.iter_mut().zip(waiting) {
            let reply = reader.recv();
            assert!(matches!(reply, Reply::Array(_)), "{command:?}: {reply:?}");
        }
    });
}

#[test]
fn a_token_repeats_the_replies_after_a_restart() {
    on_every_server_with(&["appendonly yes", "appendfsync always"], |server| {
        define(&mut server.conn());
        let command = [
            "MODEL.TXN",
            "3",
            "doc",
            "x",
            "t",
            "TOKEN",
            "t",
            "ON",
            "doc",
            "INCR",
            "$.n",
            "1",
            "AT",
            "x",
            "XADD",
            "9",
            r#"{"a":1}"#,
        ];
        let first = server.must(&command);
        assert_eq!(server.must(&command), first);
        server.kill9();
        server.restart();
        assert_eq!(server.must(&command), first);
        assert_eq!(server.must(&["XLEN", "x"]), Reply::Int(1));
    });
}

/// The transaction is refused with this word, and nothing is changed.
fn check_refused(server: &Server, conn: &mut Conn, word: &str, command: &[&str]) {
    let before = server.debug_digest();
    let reply = conn.call(command);
    assert_eq!(reply.error_word(), word, "{command:?}: {reply:?}");
    assert_eq!(server.debug_digest(), before, "{command:?}");
}

/// The newest entry of `ACL LOG` is of this denial.
fn check_logged(conn: &mut Conn, reason: &str, object: &str) {
    let log = conn.must(&["ACL", "LOG"]);
    let [entry, ..] = log.array() else { panic!("{log:?}") };
    for (field, value) in [("reason", reason), ("object", object), ("username", "u")] {
        assert_eq!(entry.field(field), &Reply::bulk(value), "{entry:?}");
    }
    conn.must(&["ACL", "LOG", "RESET"]);
}

#[test]
fn permissions_for_command_key_and_channel_are_asked_before() {
    on_every_server(|server| {
        let conn = &mut server.conn();
        define(conn);
        conn.must(&[
            "ACL", "SETUSER", "u", "on", "nopass", "~doc", "~c*", "%R~r", "&c1", "+@all", "-sadd",
        ]);
        let mut user = server.conn();
        user.must(&["AUTH", "u", "any"]);
        let with = |key: &'static str, native: &[&'static str]| {
            let head = ["MODEL.TXN", "2", "doc", key, "ON", "doc", "INCR", "$.n", "1", "AT", key];
            [&head[..], native].concat()
        };
        check_refused(server, &mut user, "NOPERM", &with("c1", &["SADD", "1"]));
        check_logged(conn, "command", "SADD");
        check_refused(server, &mut user, "NOPERM", &with("other", &["RPUSH", "1"]));
        check_refused(server, &mut user, "NOPERM", &with("r", &["RPUSH", "1"]));
        for publish in ["PUBLISH", "SPUBLISH"] {
            check_refused(server, &mut user, "NOPERM", &with("c2", &[publish, "1"]));
            check_logged(conn, "channel", "c2");
            user.must(&with("c1", &[publish, "1"]));
        }
        user.must(&with("c3", &["RPUSH", "1"]));
        assert_eq!(number(conn), "3");
    });
}

/// The user of a script is asked for by a command of the server.
#[test]
fn permissions_are_those_of_the_user_of_a_script_whatever_was_renamed() {
    on_every_server_with(&["rename-command PING pong"], |server| {
        let conn = &mut server.conn();
        define(conn);
        conn.must(&["ACL", "SETUSER", "u", "on", "nopass", "~*", "&*", "+@all", "-zadd"]);
        let library = "#!lua name=lib\nredis.register_function('f', function(k, a) return redis.call(unpack(a)) end)";
        conn.must(&["FUNCTION", "LOAD", library]);
        let mut user = server.conn();
        user.must(&["AUTH", "u", "any"]);
        let keys = ["doc", "z", "s", "h", "l", "x", "n"];
        let script = "return redis.call(unpack(ARGV))";
        let before = server.debug_digest();
        for head in [&["EVAL", script, "7"][..], &["EVAL", script, "0"], &["FCALL", "f", "7"]] {
            let keys = if head[2] == "7" { &keys[..] } else { &[] };
            let reply = user.call(&[head, keys, MIXED].concat());
            assert!(format!("{reply:?}").contains("NOPERM"), "{head:?}: {reply:?}");
        }
        assert_eq!(server.debug_digest(), before);
        conn.must(&[&["EVAL", script, "7"][..], &keys, MIXED].concat());
    });
}

/// The rules that SECURITY.md shows.
#[test]
fn the_rules_of_the_example_permit_events_and_nothing_else() {
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/SECURITY.md"));
    let page = page.expect("the page is there");
    let line = page.lines().find(|line| line.starts_with("ACL SETUSER shop "));
    let rules: Vec<&str> = line.expect("the page shows rules").split(' ').collect();
    on_every_server(|server| {
        let conn = &mut server.conn();
        conn.must(&rules);
        conn.must(&["MODEL.SET", "order:1", "any", r#"{"n":0}"#]);
        let mut user = server.conn();
        user.must(&["AUTH", "shop", "secret"]);
        let with = |key: &'static str, native: &[&'static str]| {
            let head = ["MODEL.TXN", "2", "order:1", key, "ON", "order:1", "INCR", "$.n", "1"];
            [&head[..], &["AT", key], native].concat()
        };
        let event = ["XADD", "9", r#"={"n": docs["order:1"].n}"#];
        user.must(&with("events:1", &event));
        check_refused(server, &mut user, "NOPERM", &with("other:1", &event));
        check_refused(server, &mut user, "NOPERM", &with("events:2", &["RPUSH", "1"]));
        check_refused(server, &mut user, "NOPERM", &with("events:1", &["PUBLISH", "1"]));
        assert_eq!(user.call(&["XADD", "other:1", "*", "a", "b"]).error_word(), "NOPERM");
        assert_eq!(user.must(&["MODEL.GET", "order:1", "$.n"]), Reply::bulk("1"));
    });
}

#[test]
fn a_renamed_command_memory_and_a_key_under_on_and_at_are_refused() {
    on_every_server_with(&["rename-command SADD \"\"", "rename-command RPUSH push"], |server| {
        let conn = &mut server.conn();
        define(conn);
        let head = ["MODEL.TXN", "2", "doc", "k", "ON", "doc", "INCR", "$.n", "1"];
        let with = |rest: &[&'static str]| [&head[..], rest].concat();
        check_refused(server, conn, "ERR", &with(&["AT", "k", "SADD", "1"]));
        check_refused(server, conn, "ERR", &with(&["AT", "k", "RPUSH", "1"]));
        check_refused(server, conn, "ERR", &with(&["AT", "doc", "UNLINK"]));
        check_refused(server, conn, "ERR", &with(&["AT", "k", "LPOP"]));
        conn.must(&["CONFIG", "SET", "maxmemory", "1"]);
        check_refused(server, conn, "OOM", &with(&["AT", "k", "LPUSH", "1"]));
        conn.must(&["CONFIG", "SET", "maxmemory", "0"]);
        conn.must(&with(&["AT", "k", "LPUSH", "1"]));
        assert_eq!(number(conn), "1");
    });
}

#[test]
fn a_key_that_holds_a_document_or_a_token_is_no_structure() {
    on_every_server(|server| {
        let conn = &mut server.conn();
        define(conn);
        conn.must(&["MODEL.SET", "d2", "any", "{}"]);
        conn.must(&["MODEL.TXN", "2", "doc", "t", "TOKEN", "t", "ON", "doc", "INCR", "$.n", "1"]);
        for key in ["d2", "t"] {
            for native in [&["UNLINK"][..], &["SET", "1"], &["PEXPIRE", "1000"], &["SADD", "1"]] {
                let command = [
                    &["MODEL.TXN", "2", "doc", key, "ON", "doc", "INCR", "$.n", "1", "AT", key],
                    native,
                ]
                .concat();
                check_refused(server, conn, "WRONGTYPE", &command);
            }
        }
    });
}
