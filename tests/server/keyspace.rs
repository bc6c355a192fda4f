//! Documents as keys: WATCH, client tracking, keyspace events, transactions, scripts, and the
//! commands every key understands.

use crate::harness::{Server, on_every_server, on_every_server_with, on_every_shared};
use crate::resp::{Conn, Reply};

/// Commands that change the document `KEY` (`{"n":0,"s":"x"}` before).
const CHANGES: [&[&str]; 6] = [
    &["MODEL.SET", "KEY", "any", "{}"],
    &["MODEL.FIELDOP", "KEY", "INCR", "$.n", "1"],
    &["MODEL.FIELDOP", "KEY", "DEL", "$.s"],
    &["MODEL.FIELDOP", "KEY", "EX", "1000", "EXISTS"],
    &["MODEL.FIELDOP", "KEY", "PERSIST", "SET", "$.s", "1"],
    &["EXPIRE", "KEY", "1000"],
];

/// Commands that are refused, only read, or find nothing to do.
const NO_CHANGES: [&[&str]; 15] = [
    &["MODEL.FIELDOP", "KEY", "PERSIST", "EXISTS"],
    &["MODEL.GET", "KEY"],
    &["MODEL.GET", "KEY", "$..*"],
    &["MODEL.META", "KEY"],
    &["MODEL.MGET", "2", "KEY", "none"],
    &["MODEL.FIELDOP", "KEY", "GET", "$", "REVISION", "EXISTS"],
    &["MODEL.FIELDOP", "KEY", "DEL", "$.none"],
    &["MODEL.FIELDOP", "KEY", "DEL", "$.none[*]"],
    &["MODEL.FIELDOP", "KEY", "SETNX", "$.n", "1"],
    &["MODEL.FIELDOP", "KEY", "SET", "$.n", "7", "INCR", "$.s", "1"],
    &["MODEL.FIELDOP", "KEY", "SET", "$.n", "7", "MISSING"],
    &["MODEL.FIELDOP", "KEY", "NOSUCH"],
    &["MODEL.SET", "KEY", "any", "{}", "NX"],
    &["MODEL.SET", "KEY", "any", "{}", "IFREV", "1"],
    &["MODEL.SET", "KEY", "none", "{}"],
];

fn with_key<'a>(command: &[&'a str], key: &'a str) -> Vec<&'a str> {
    command.iter().map(|word| if *word == "KEY" { key } else { word }).collect()
}

fn make(conn: &mut Conn, key: &str) {
    conn.must(&["MODEL.SET", key, "any", r#"{"n":0,"s":"x"}"#]);
}

#[test]
fn watch_sees_changes_and_only_those() {
    on_every_shared(|server| {
        let (conn, other) = (&mut server.conn(), &mut server.conn());
        let key = "keyspace:watch";
        let mut exec_after = |command: &[&str]| {
            make(other, key);
            conn.must(&["WATCH", key]);
            other.call(&with_key(command, key));
            conn.must(&["MULTI"]);
            conn.must(&["PING"]);
            conn.must(&["EXEC"])
        };
        for command in CHANGES {
            assert_eq!(exec_after(command), Reply::Null, "{command:?}");
        }
        for command in NO_CHANGES {
            assert_ne!(exec_after(command), Reply::Null, "{command:?}");
        }
        // Of a missing key, its creation is the change.
        for (command, is_change) in [
            (&["MODEL.FIELDOP", "KEY", "MISSING"][..], false),
            (&["MODEL.FIELDOP", "KEY", "INIT", "any", "{}", "SET", "$.a.b", "1"], false),
            (&["MODEL.SET", "KEY", "any", "{}", "XX"], false),
            (&["MODEL.FIELDOP", "KEY", "INIT", "any", "{}", "REVISION"], true),
        ] {
            other.must(&["DEL", key]);
            conn.must(&["WATCH", key]);
            other.call(&with_key(command, key));
            conn.must(&["MULTI"]);
            conn.must(&["PING"]);
            assert_eq!(conn.must(&["EXEC"]) == Reply::Null, is_change, "{command:?}");
        }
    });
}

#[test]
fn client_tracking_sees_changes_and_only_those() {
    on_every_shared(|server| {
        let (conn, other) = (&mut server.conn_resp3(), &mut server.conn());
        let key = "keyspace:tracking";
        conn.must(&["CLIENT", "TRACKING", "ON"]);
        let mut invalidated_by = |command: &[&str]| {
            make(other, key);
            // An invalidation may still be on its way from the line above. It comes before the reply.
            conn.send(&["PING"]);
            while matches!(conn.recv(), Reply::Push(_)) {}
            conn.must(&["MODEL.GET", key]);
            other.call(&with_key(command, key));
            // A push message comes before the reply to a later command.
            conn.send(&["PING"]);
            let first = conn.recv();
            if let Reply::Push(push) = &first {
                assert_eq!(push[1], Reply::Array(vec![Reply::bulk(key)]));
                assert_eq!(conn.recv(), Reply::Simple("PONG".into()));
            }
            matches!(first, Reply::Push(_))
        };
        for command in CHANGES {
            assert!(invalidated_by(command), "{command:?}");
        }
        for command in NO_CHANGES {
            assert!(!invalidated_by(command), "{command:?}");
        }
    });
}

#[test]
fn client_tracking_knows_what_reading_commands_were_sent_with() {
    on_every_shared(|server| {
        let (conn, other) = (&mut server.conn_resp3(), &mut server.conn());
        let (key, model) = ("keyspace:tracked", "keyspace-tracked");
        other.must(&["MODEL.DEFINE", model, "{}", "INDEX", "n", "1", "$.n"]);
        conn.must(&["CLIENT", "TRACKING", "ON"]);
        for (read, is_tracked) in [
            (&["MODEL.GET", key, "$.n"][..], true),
            (&["MODEL.MGET", "1", key, "$.n"], true),
            (&["MODEL.META", key], true),
            (&["MODEL.EVAL", key, "self.n"], true),
            (&["MODEL.FIELDOP", key, "GET", "$.n"], false),
            (&["MODEL.TXN", "1", key, "ON", key, "GET", "$.n"], false),
            (&["MODEL.FIND", model, "WHERE", "self.n == 1"], false),
        ] {
            other.must(&["MODEL.SET", key, model, r#"{"n":1}"#]);
            conn.must(read);
            other.must(&["MODEL.FIELDOP", key, "INCR", "$.n", "1"]);
            conn.send(&["PING"]);
            let told = matches!(conn.recv(), Reply::Push(_));
            assert_eq!(told, is_tracked, "{read:?}");
            if told {
                assert_eq!(conn.recv(), Reply::Simple("PONG".into()));
            }
        }
        other.must(&["DEL", key]);
        other.must(&["MODEL.UNDEFINE", model]);
    });
}

/// The events of one key since the last call, in order: what it is after `keyspace` of a subscriber.
pub fn events(subscriber: &mut Conn, conn: &mut Conn, key: &str) -> Vec<String> {
    conn.must(&["PUBLISH", &format!("__keyspace@0__:{key}"), "end"]);
    let mut events = Vec::new();
    loop {
        let message = subscriber.recv();
        let event = message.array().last().expect("a message has a payload").text().to_owned();
        if event == "end" {
            return events;
        }
        events.push(event);
    }
}

#[test]
fn keyspace_events_name_every_change_and_nothing_else() {
    for classes in ["KEA", "Kdg"] {
        let config = format!("notify-keyspace-events {classes}");
        on_every_server_with(&[&config], check_events);
    }
}

fn check_events(server: &Server) {
    let conn = &mut server.conn();
    let subscriber = &mut server.conn();
    let key = "doc";
    subscriber.must(&["SUBSCRIBE", "__keyspace@0__:doc"]);
    let check = |conn: &mut Conn, subscriber: &mut Conn, command: &[&str], expected: &[&str]| {
        conn.call(&with_key(command, key));
        let found = events(subscriber, conn, key);
        // The server publishes new keys and misses to clients that subscribe to all events.
        let found: Vec<_> = found.iter().filter(|event| *event != "new").collect();
        assert_eq!(found, expected, "{command:?}");
    };
    let mut check =
        |command: &[&str], expected: &[&str]| check(conn, subscriber, command, expected);
    check(&["MODEL.SET", "KEY", "any", "{}"], &["model.set"]);
    check(&["MODEL.SET", "KEY", "any", "{}", "EX", "1000"], &["model.set", "expire"]);
    check(&["MODEL.SET", "KEY", "any", r#"{"n":0,"s":"x"}"#], &["model.set"]);
    check(&["MODEL.FIELDOP", "KEY", "INCR", "$.n", "1", "INCR", "$.n", "1"], &["model.update"]);
    check(
        &["MODEL.FIELDOP", "KEY", "PX", "100000", "INCR", "$.n", "1"],
        &["model.update", "expire"],
    );
    check(&["MODEL.FIELDOP", "KEY", "PERSIST", "INCR", "$.n", "1"], &["model.update", "persist"]);
    check(&["MODEL.FIELDOP", "KEY", "EX", "1000", "EXISTS"], &["expire"]);
    check(&["MODEL.FIELDOP", "KEY", "PERSIST", "EXISTS"], &["persist"]);
    check(&["MODEL.FIELDOP", "KEY", "PERSIST", "EXISTS"], &[]);
    for command in NO_CHANGES {
        check(command, &[]);
    }
    check(&["DEL", "KEY"], &["del"]);
    check(&["MODEL.FIELDOP", "KEY", "INIT", "any", "{}", "SET", "$.a", "1"], &["model.set"]);
    check(&["DEL", "KEY"], &["del"]);
    let init = ["MODEL.FIELDOP", "KEY", "INIT", "any", "{}", "EX", "1000", "SET", "$.a", "1"];
    check(&init, &["model.set", "expire"]);
}

#[test]
fn multi_runs_every_command() {
    on_every_shared(|server| {
        let conn = &mut server.conn();
        let key = "keyspace:multi";
        conn.must(&["MULTI"]);
        for command in [
            &["MODEL.SET", key, "any", r#"{"n":1}"#][..],
            &["MODEL.FIELDOP", key, "INCR", "$.n", "1"],
            &["MODEL.FIELDOP", key, "INCR", "$.s.t", "1"],
            &["MODEL.GET", key],
            &["MODEL.MGET", "1", key, "$.n"],
            &["MODEL.META", key],
            &["MODEL.HELP"],
            &["MODEL.EVAL", key, "self.n + 1"],
        ] {
            assert_eq!(conn.call(command), Reply::Simple("QUEUED".into()));
        }
        let replies = conn.must(&["EXEC"]);
        let replies = replies.array();
        assert_eq!(replies[1], Reply::Array(vec![Reply::bulk("2")]));
        assert_eq!(replies[2].error_word(), "NOPATH");
        assert_eq!(replies[3], Reply::bulk(r#"{"n":2}"#));
        assert_eq!(replies[4], Reply::Array(vec![Reply::bulk("2")]));
        assert_eq!(replies[5].field("model"), &Reply::bulk("any"));
        assert!(replies[6].array().len() > 10);
        assert_eq!(replies[7], Reply::bulk("3"));

        conn.must(&["MULTI"]);
        conn.must(&["MODEL.FIELDOP", key, "INCR", "$.n", "1"]);
        conn.must(&["DISCARD"]);
        assert_eq!(conn.must(&["MODEL.GET", key, "$.n"]), Reply::bulk("2"));
    });
}

#[test]
fn scripts_and_functions_call_every_command() {
    on_every_shared(|server| {
        let conn = &mut server.conn();
        let key = "keyspace:script";
        let eval = |conn: &mut Conn, script: &str| conn.call(&["EVAL", script, "1", key]);
        let set = eval(conn, r#"return redis.call('MODEL.SET', KEYS[1], 'any', '{"n":1}')"#);
        assert!(set.int() > 1_000_000_000_000_000, "a revision is exact in Lua");
        let incr = eval(conn, "return redis.call('model.fieldop', KEYS[1], 'INCR', '$.n', '1')");
        assert_eq!(incr, Reply::Array(vec![Reply::bulk("2")]));
        assert_eq!(eval(conn, "return redis.call('MODEL.GET', KEYS[1], '$.n')"), Reply::bulk("2"));
        let mget = eval(conn, "return redis.call('MODEL.MGET', 1, KEYS[1], '$.n')");
        assert_eq!(mget, Reply::Array(vec![Reply::bulk("2")]));
        let meta = eval(conn, "return redis.call('MODEL.META', KEYS[1])");
        assert_eq!(meta.field("model"), &Reply::bulk("any"));
        assert!(eval(conn, "return redis.call('MODEL.HELP')").array().len() > 10);

        let refused =
            eval(conn, "return redis.call('MODEL.FIELDOP', KEYS[1], 'INCR', '$.x.y', '1')");
        assert_eq!(refused.error_word(), "NOPATH");
        let caught = "local reply = redis.pcall('MODEL.FIELDOP', KEYS[1], 'EXISTS', 'MISSING')
                      return reply.err";
        assert!(eval(conn, caught).text().starts_with("CONDITION {\"message\":"));
        // The changes of a script before an error stay, as with any command.
        let partly = "redis.call('MODEL.FIELDOP', KEYS[1], 'INCR', '$.n', '1')
                      redis.call('MODEL.SET', KEYS[1], 'none', '{}')";
        assert_eq!(eval(conn, partly).error_word(), "NOMODEL");
        assert_eq!(conn.must(&["MODEL.GET", key, "$.n"]), Reply::bulk("3"));
        let read =
            conn.call(&["EVAL_RO", "return redis.call('MODEL.GET', KEYS[1], '$.n')", "1", key]);
        assert_eq!(read, Reply::bulk("3"));
        let write = ["EVAL_RO", "return redis.call('MODEL.SET', KEYS[1], 'any', '1')", "1", key];
        assert!(conn.call(&write).is_error());

        let library =
            "#!lua name=keyspace\nredis.register_function('keyspace_incr', function(keys, args)
            return redis.call('MODEL.FIELDOP', keys[1], 'INCR', '$.n', args[1]) end)";
        conn.must(&["FUNCTION", "LOAD", "REPLACE", library]);
        let called = conn.must(&["FCALL", "keyspace_incr", "1", key, "10"]);
        assert_eq!(called, Reply::Array(vec![Reply::bulk("13")]));
    });
}

#[test]
fn documents_are_keys_like_any_other() {
    on_every_shared(|server| {
        let conn = &mut server.conn();
        let (key, other) = ("keyspace:key", "keyspace:other");
        make(conn, key);
        conn.must(&["DEL", other]);
        assert_eq!(conn.must(&["TYPE", key]), Reply::Simple("model-doc".into()));
        assert!(!conn.must(&["OBJECT", "ENCODING", key]).text().is_empty());
        assert!(conn.must(&["OBJECT", "IDLETIME", key]).int() >= 0);
        let scanned = conn.must(&["SCAN", "0", "TYPE", "model-doc", "COUNT", "10000"]);
        let found = scanned.array()[1].array();
        assert!(found.contains(&Reply::bulk(key)));
        conn.must(&["SET", "keyspace:string", "x"]);
        assert!(!found.contains(&Reply::bulk("keyspace:string")));

        let (revision, digest) = (revision(conn, key), digest(conn, key));
        assert_eq!(conn.must(&["COPY", key, other]), Reply::Int(1));
        assert_eq!(
            (self::revision(conn, other), self::digest(conn, other)),
            (revision, digest.clone())
        );
        conn.must(&["MODEL.FIELDOP", other, "SET", "$.n", "9"]);
        assert_eq!(self::digest(conn, key), digest, "a copy is its own");
        assert_ne!(self::digest(conn, other), digest);
        assert_eq!(conn.must(&["COPY", key, other]), Reply::Int(0));

        conn.must(&["PEXPIREAT", key, "4000000000000"]);
        conn.must(&["RENAME", key, other]);
        assert_eq!(conn.must(&["MODEL.GET", key]), Reply::Null);
        assert_eq!(conn.must(&["PEXPIRETIME", other]).int(), 4_000_000_000_000);
        // The time to live is part of the digest.
        assert_eq!(conn.must(&["PERSIST", other]), Reply::Int(1));
        assert_eq!(self::digest(conn, other), digest);
        assert_eq!(conn.must(&["PEXPIREAT", other, "1"]), Reply::Int(1));
        assert_eq!(conn.must(&["MODEL.META", other]), Reply::Null);
        assert_eq!(conn.must(&["EXISTS", other]), Reply::Int(0));
    });
}

fn revision(conn: &mut Conn, key: &str) -> i64 {
    conn.must(&["MODEL.META", key]).field("revision").int()
}

fn digest(conn: &mut Conn, key: &str) -> Reply {
    conn.must(&["DEBUG", "DIGEST-VALUE", key])
}

#[test]
fn other_types_commands_refuse_documents_and_we_refuse_their_values() {
    on_every_shared(|server| {
        let conn = &mut server.conn();
        let key = "keyspace:types";
        make(conn, key);
        for command in [
            &["GET", key][..],
            &["SORT", key],
            &["HGETALL", key],
            &["LPUSH", key, "x"],
            &["APPEND", key, "x"],
            &["SADD", key, "x"],
            &["XLEN", key],
        ] {
            assert_eq!(conn.call(command).error_word(), "WRONGTYPE", "{command:?}");
        }
        for (nth, command) in [
            &["SET", "K", "x"][..],
            &["HSET", "K", "a", "1"],
            &["RPUSH", "K", "1"],
            &["SADD", "K", "1"],
            &["ZADD", "K", "1", "m"],
            &["XADD", "K", "*", "a", "1"],
        ]
        .iter()
        .enumerate()
        {
            let key = format!("keyspace:foreign:{nth}");
            conn.must(&["DEL", &key]);
            let command: Vec<_> =
                command.iter().map(|word| if *word == "K" { key.as_str() } else { word }).collect();
            conn.must(&command);
            let digest = digest(conn, &key);
            for ours in [
                &["MODEL.GET", &key][..],
                &["MODEL.META", &key],
                &["MODEL.SET", &key, "any", "1"],
                &["MODEL.FIELDOP", &key, "INIT", "any", "{}", "REVISION"],
            ] {
                assert_eq!(conn.call(ours).error_word(), "WRONGTYPE", "{ours:?}");
            }
            assert_eq!(self::digest(conn, &key), digest);
        }
        // SET of a string takes a document's place, as it takes any value's.
        conn.must(&["SET", key, "x"]);
        assert_eq!(conn.must(&["TYPE", key]), Reply::Simple("string".into()));
    });
}

#[test]
fn object_freq_counts_uses() {
    on_every_server_with(&["maxmemory-policy allkeys-lfu", "lfu-log-factor 0"], |server| {
        let conn = &mut server.conn();
        make(conn, "doc");
        let before = conn.must(&["OBJECT", "FREQ", "doc"]).int();
        for _ in 0..5 {
            conn.must(&["MODEL.GET", "doc"]);
        }
        assert!(conn.must(&["OBJECT", "FREQ", "doc"]).int() > before);
        assert_eq!(conn.must(&["RANDOMKEY"]), Reply::bulk("doc"));
    });
}

#[test]
fn memory_usage_grows_and_shrinks_with_content() {
    on_every_shared(|server| {
        let conn = &mut server.conn();
        let key = "keyspace:memory";
        let usage = |conn: &mut Conn| conn.must(&["MEMORY", "USAGE", key]).int();
        conn.must(&["MODEL.SET", key, "any", r#"{"list":[]}"#]);
        let small = usage(conn);
        let many: Vec<_> = (0..10_000).map(|nth| format!("\"item {nth}\"")).collect();
        conn.must(&["MODEL.FIELDOP", key, "APPEND", "$.list", &format!("[{}]", many.join(","))]);
        let large = usage(conn);
        assert!(large > small + 100_000, "{small} {large}");
        conn.must(&["MODEL.FIELDOP", key, "SET", "$.list", "[]"]);
        assert!(usage(conn) < small + 1000, "{small} {}", usage(conn));
    });
}

/// Its block of memory is replaced when it is outgrown or much too large, by whichever command changed it.
#[test]
fn a_document_that_was_changed_takes_no_more_than_one_that_was_set() {
    on_every_shared(|server| {
        let conn = &mut server.conn();
        let (changed, set) = ("keyspace:block:a", "keyspace:block:b");
        let usage = |conn: &mut Conn, key: &str| conn.must(&["MEMORY", "USAGE", key]).int();
        let mut check = |command: &[&str], most: i64| {
            conn.must(command);
            let text = conn.must(&["MODEL.GET", changed]).text().to_string();
            // A name is shared when it was seen often enough, which both have to know.
            (0..10).for_each(|_| drop(conn.must(&["MODEL.SET", set, "any", &text])));
            let (ours, least) = (usage(conn, changed), usage(conn, set));
            assert!(least <= ours && ours <= least * most, "{text}: {ours}, and {least} when set");
        };
        let (on, end) = (["MODEL.TXN", "1", changed, "ON", changed], "$.list");
        check(&["MODEL.SET", changed, "any", r#"{"list":[]}"#], 1);
        check(&["MODEL.SET", changed, "any", r#"{"list":[]}"#], 1);
        for nth in 0..60 {
            let items = format!("[\"item {nth}\"]");
            match nth % 2 {
                0 => check(&["MODEL.FIELDOP", changed, "APPEND", end, &items], 1),
                _ => check(&[&on[..], &["APPEND", end, &items]].concat(), 1),
            }
        }
        // Half of a block may be left empty.
        for nth in 0..60 {
            match nth % 2 {
                0 => check(&["MODEL.FIELDOP", changed, "DEL", "$.list[0]"], 2),
                _ => check(&[&on[..], &["DEL", "$.list[0]"]].concat(), 2),
            }
        }
    });
}

/// A document of about this many nodes, and one as deep as may be.
fn large(nodes: usize) -> String {
    let items: Vec<_> =
        (0..nodes / 4).map(|nth| format!(r#"{{"id":{nth},"tags":["a{nth}"]}}"#)).collect();
    format!("[{}]", items.join(","))
}

fn deep() -> String {
    "[".repeat(512) + &"]".repeat(512)
}

#[test]
fn large_and_deep_documents_are_freed_wherever_it_is_done() {
    on_every_server(|server| {
        let conn = &mut server.conn();
        conn.must(&["CONFIG", "SET", "model.depth", "512"]);
        let text = large(100_000);
        let empty: u64 = server.info("used_memory").parse().unwrap();
        for (take_away, is_lazy) in [
            (&["DEL", "large", "deep", "wide"][..], false),
            (&["UNLINK", "large", "deep", "wide"], true),
            (&["FLUSHALL", "ASYNC"], true),
            (&["FLUSHALL", "SYNC"], false),
            (&["FLUSHDB", "ASYNC"], true),
            (&["SET", "large", "x"], false),
        ] {
            conn.must(&["MODEL.SET", "large", "any", &text]);
            conn.must(&["MODEL.SET", "deep", "any", &deep()]);
            conn.must(&["MODEL.SET", "wide", "any", &format!("[{}1]", "[],".repeat(100_000))]);
            assert_eq!(server.info("model_documents"), "3");
            conn.must(&["CONFIG", "RESETSTAT"]);
            conn.must(take_away);
            if take_away[0] == "SET" {
                conn.must(&["DEL", "large", "deep", "wide"]);
            }
            server.wait_until("every document is freed", || server.info("model_documents") == "0");
            if is_lazy {
                let freed: u64 = server.info("lazyfreed_objects").parse().unwrap();
                assert!(freed >= 2, "{take_away:?} freed {freed} in the background");
            }
        }
        server.wait_until("the memory is back", || {
            server.info("used_memory").parse::<u64>().unwrap() < empty + (2 << 20)
        });
    });
}

#[test]
fn overwriting_and_expiring_frees_too() {
    on_every_server_with(&["lazyfree-lazy-expire yes", "lazyfree-lazy-server-del yes"], |server| {
        let conn = &mut server.conn();
        let text = large(100_000);
        conn.must(&["MODEL.SET", "doc", "any", &text]);
        conn.must(&["MODEL.SET", "doc", "any", &text]);
        conn.must(&["MODEL.FIELDOP", "doc", "SET", "$", "{}"]);
        conn.must(&["MODEL.SET", "other", "any", &text]);
        conn.must(&["RENAME", "doc", "other"]);
        server.wait_until("one document is left", || server.info("model_documents") == "1");
        conn.must(&["MODEL.SET", "other", "any", &text, "PX", "20"]);
        server.wait_until("it expired", || server.info("model_documents") == "0");
    });
}
