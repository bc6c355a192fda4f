//! Natives on every server: each does what its command does alone, and each way of refusal leaves everything as it was.

use redis_model::native::{self, NativeExample};

use crate::harness::{Server, on_every_server, on_every_server_with};
use crate::native_refusals::{Witnesses, split, world};
use crate::recording::{check_error_line, on_every_recording};
use crate::resp::Reply;

/// The reply in the notation of examples, or the word of the error.
fn notation(reply: &Reply) -> String {
    match reply {
        Reply::Int(value) => format!("(integer) {value}"),
        Reply::Null => "(nil)".to_owned(),
        Reply::Array(items) => {
            format!("[{}]", items.iter().map(notation).collect::<Vec<_>>().join(" "))
        }
        reply if reply.is_error() => reply.error_word().to_owned(),
        reply => reply.text().to_owned(),
    }
}

fn at<'a>(key: &'a str, natives: &'a str) -> Vec<&'a str> {
    [&["MODEL.TXN", "1", key, "AT", key][..], &split(natives)].concat()
}

#[test]
fn every_example_does_what_it_says() {
    on_every_server(|server| {
        for conn in &mut [server.conn(), server.conn_resp3()] {
            for example in native::all().iter().flat_map(|spec| spec.examples) {
                let NativeExample { before, statement, reply, at: place } = example;
                conn.must(&["FLUSHALL"]);
                if !before.is_empty() {
                    conn.must(&at("k", before));
                }
                let found = notation(&conn.call(&at("k", statement)));
                let one = found.strip_prefix("[[").and_then(|rest| rest.strip_suffix("]]"));
                assert_eq!(one.unwrap_or(&found), *reply, "{place}: {statement}");
            }
        }
    });
}

/// A native with operands, and the command that does the same alone. The key stands behind the command's name.
const ALONE: [(&str, &[&str]); 17] = [
    (r#"ZADD 5.5 '"m"'"#, &["ZADD", "5.5", "m"]),
    (r#"ZINCRBY -2 '"m"'"#, &["ZINCRBY", "-2", "m"]),
    (r#"ZREM '"m"'"#, &["ZREM", "m"]),
    (r#"SADD '"m\u0000n"'"#, &["SADD", "m\0n"]),
    (r#"SREM '"m"'"#, &["SREM", "m"]),
    (r#"HSET '"f"' '{"a":[1]}'"#, &["HSET", "f", r#"{"a":[1]}"#]),
    (r#"HINCRBY '"n"' 3"#, &["HINCRBY", "n", "3"]),
    (r#"HDEL '"f"'"#, &["HDEL", "f"]),
    (r#"LPUSH '"e"'"#, &["LPUSH", "e"]),
    (r#"RPUSH '"e"'"#, &["RPUSH", "e"]),
    (r#"XADD 5 '{"a":"b"}'"#, &["XADD", "MAXLEN", "~", "5", "*", "a", "b"]),
    (r#"SET '"text"'"#, &["SET", "text"]),
    ("INCRBY 4", &["INCRBY", "4"]),
    ("PEXPIRE 100000", &["PEXPIRE", "100000"]),
    ("UNLINK", &["UNLINK"]),
    (r#"PUBLISH '"news"'"#, &["PUBLISH", "news"]),
    (r#"SPUBLISH '"news"'"#, &["SPUBLISH", "news"]),
];

/// Structures of every kind, and nothing.
const BEFORE: [&[&str]; 8] = [
    &["PING"],
    &["ZADD", "k", "1", "m", "2", "n"],
    &["SADD", "k", "m", "n"],
    &["HSET", "k", "f", "1", "n", "7"],
    &["RPUSH", "k", "a", "b"],
    &["XADD", "k", "1-1", "a", "b"],
    &["SET", "k", "12", "EX", "1000"],
    &["SET", "k", "text"],
];

/// The events of the keyspace, messages and what is stored, without the time.
fn after(server: &Server, command: &[&str]) -> (Reply, Vec<String>, Reply, String, bool) {
    let conn = &mut server.conn();
    let mut listener = server.conn();
    listener.must(&["PSUBSCRIBE", "__key*@*__:*"]);
    listener.must(&["SUBSCRIBE", "k"]);
    listener.must(&["SSUBSCRIBE", "k"]);
    let mut watcher = server.conn();
    watcher.must(&["WATCH", "k"]);
    watcher.must(&["MULTI"]);
    watcher.must(&["PING"]);
    let reply = conn.call(command);
    conn.must(&["PUBLISH", "__key@end__:", "end"]);
    let mut told = Vec::new();
    loop {
        let message = format!("{:?}", listener.recv());
        if message.contains("@end__") {
            break;
        }
        told.push(message);
    }
    // The next one counts receivers, and the server may see the end of this connection later.
    listener.must(&["PUNSUBSCRIBE", "__key*@*__:*"]);
    listener.must(&["UNSUBSCRIBE", "k"]);
    listener.must(&["SUNSUBSCRIBE", "k"]);
    let watched = watcher.call(&["EXEC"]) == Reply::Null;
    let dump = conn.must(&["TYPE", "k"]);
    let ttl = conn.must(&["PTTL", "k"]).int();
    (reply, told, dump, server.debug_digest_value("k"), watched ^ (ttl > i64::MAX / 2))
}

impl Server {
    /// The digest of a value, where it holds nothing that depends on the time.
    fn debug_digest_value(&self, key: &str) -> String {
        let kind = self.must(&["TYPE", key]);
        match kind.text() {
            "stream" => self.must(&["XLEN", key]).int().to_string(),
            _ => self.must(&["DEBUG", "DIGEST-VALUE", key]).array()[0].text().to_owned(),
        }
    }
}

#[test]
fn every_native_does_what_its_command_does_alone() {
    on_every_server_with(&["notify-keyspace-events KEA"], |server| {
        for (statement, command) in ALONE {
            for before in BEFORE {
                let conn = &mut server.conn();
                conn.must(&["DEL", "k"]);
                conn.must(before);
                let alone = [&[command[0], "k"][..], &command[1..]].concat();
                let alone = after(server, &alone);
                if alone.0.is_error() {
                    continue;
                }
                conn.must(&["DEL", "k"]);
                conn.must(before);
                let mut native = after(server, &at("k", statement));
                native.0 = native.0.array()[0].array()[0].clone();
                if command[0] == "XADD" {
                    native.0 = alone.0.clone();
                }
                assert_eq!(native, alone, "{statement} after {before:?}");
            }
        }
    });
}

/// Transactions that are refused, with the word; `k` is the key of the natives behind them.
const REFUSED: [(&str, &[&str]); 9] = [
    ("CONDITION", &["ON", "doc", "IF", "self.n > 9"]),
    ("RULE", &["ON", "doc", "SET", "$.n", "-1"]),
    ("EXPR", &["AT", "other", "SADD", "=args.none"]),
    ("TYPE", &["AT", "other", "ZADD", "=string(1)", "1"]),
    ("WRONGTYPE", &["AT", "other", "SADD", "1", "RPUSH", "1"]),
    ("TYPE", &["AT", "other", "SET", "1.5", "INCRBY", "1"]),
    ("OVERFLOW", &["AT", "other", "HSET", "1", "9223372036854775807", "HINCRBY", "1", "1"]),
    ("RANGE", &["AT", "other", "ZADD", "1e308", "1", "ZINCRBY", "1e308", "1"]),
    ("NOPERM", &["AT", "other", "LPUSH", "1"]),
];

#[test]
fn every_refusal_after_every_native_leaves_everything_as_it_was() {
    on_every_recording(|server| {
        let conn = &mut server.conn();
        conn.must(&["MODEL.DEFINE", "m", "{}", "RULE", "positive", "self.n >= 0"]);
        conn.must(&["MODEL.SET", "doc", "m", r#"{"n":1}"#]);
        conn.must(&["ACL", "SETUSER", "u", "on", "nopass", "~*", "&*", "+@all", "-lpush"]);
        let mut user = server.conn();
        user.must(&["AUTH", "u", "any"]);
        let mut witnesses = Witnesses::of(server);
        for (statement, _) in ALONE.iter().filter(|(native, _)| !native.starts_with("LPUSH")) {
            let natives = split(statement);
            witnesses.reset(conn);
            let before = world(conn);
            for (word, refused) in REFUSED {
                let head = ["MODEL.TXN", "4", "doc", "k", "other", "t", "TOKEN", "t", "ON", "doc"];
                let native = [&["INCR", "$.n", "1", "AT", "k"][..], &natives].concat();
                let reply = user.call(&[&head[..], &native, refused].concat());
                assert_eq!(reply.error_word(), word, "{statement} {refused:?}: {reply:?}");
                let object = check_error_line(&reply);
                if word != "RULE" {
                    assert_eq!(object["block"], 2, "{reply:?}");
                }
                assert_eq!(world(conn), before, "{statement} {refused:?}");
            }
            witnesses.noticed_nothing(conn, statement);
        }
    });
}

/// A server that cannot save takes no writes: a transaction is refused whole, before any of it happens.
#[test]
fn a_server_that_cannot_save_refuses_natives_with_their_documents() {
    on_every_server_with(&["save 3600 1", "appendonly yes"], |server| {
        let conn = &mut server.conn();
        conn.must(&["MODEL.SET", "doc", "any", r#"{"n":1}"#]);
        let action = "MODEL.ACTION push 2 d l ON d INCR $.n 1 AT l RPUSH 1";
        conn.must(&split(action));
        let folder = server.dir().join("dump.rdb");
        std::fs::create_dir(&folder).expect("a folder in place of the file");
        conn.must(&["BGSAVE"]);
        server.wait_until("saving fails", || server.info("rdb_last_bgsave_status") == "err");
        let transaction = split("MODEL.TXN 2 doc k ON doc INCR $.n 1 AT k RPUSH 1");
        let script = "return redis.call('MODEL.CALL', 'push', '2', KEYS[1], KEYS[2])";
        let writes = [
            &transaction[..],
            &["MODEL.CALL", "push", "2", "doc", "k"],
            &["EVAL", script, "2", "doc", "k"],
        ];
        let before = world(conn);
        for write in writes {
            assert!(conn.call(write).error().contains("MISCONF"), "{write:?}");
        }
        assert_eq!(world(conn), before);
        conn.must(&["CONFIG", "SET", "stop-writes-on-bgsave-error", "no"]);
        writes.iter().for_each(|write| drop(conn.must(write)));
        assert_eq!(conn.must(&["LLEN", "k"]), Reply::Int(3));
        assert_eq!(conn.must(&["MODEL.GET", "doc", "$.n"]).text(), "4");
    });
}
