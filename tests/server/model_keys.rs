//! Documents of models as keys: WATCH, MULTI, client tracking and keyspace events see what changed, and
//! only that, whether it was a statement, a default or a time to live that begins anew.

use crate::harness::{Server, on_every_server_with, on_every_shared};
use crate::keyspace::events;
use crate::resp::{Conn, Reply};

const SCHEMA: &str = r#"{"properties":{"n":{"type":"integer"},"level":{"default":1}}}"#;

/// A model whose documents live anew with each read, under a name of the test's own.
fn define(conn: &mut Conn, model: &str) {
    let rule = ["RULE", "positive", "self.n >= 0"];
    let ttl = ["TTL", "1000", "REFRESH", "READ"];
    conn.must(&[&["MODEL.DEFINE", model, SCHEMA][..], &rule, &ttl].concat());
}

/// A document whose time to live is to begin anew with the next read.
fn make(conn: &mut Conn, key: &str, model: &str) {
    conn.must(&["MODEL.SET", key, model, r#"{"n":1}"#]);
    conn.must(&["PEXPIRE", key, "500000"]);
}

/// As `KEY` of the model `M`; what it is to a client that keeps its content.
const COMMANDS: [(bool, &[&str]); 14] = [
    (true, &["MODEL.FIELDOP", "KEY", "INCR", "$.n", "1"]),
    (true, &["MODEL.FIELDOP", "KEY", "EVAL", "$.n", "self.n + 1"]),
    (true, &["MODEL.FIELDOP", "KEY", "WHEN", "self.n == 1", "DEL", "$.level"]),
    (true, &["MODEL.SET", "KEY", "M", r#"{"n":2}"#]),
    (false, &["MODEL.GET", "KEY", "$.n"]),
    (false, &["MODEL.MGET", "1", "KEY"]),
    (false, &["MODEL.META", "KEY"]),
    (false, &["MODEL.FIELDOP", "KEY", "IF", "self.n == 1", "GET", "$.n"]),
    (false, &["MODEL.FIELDOP", "KEY", "WHEN", "self.n == 2", "DEL", "$.n"]),
    (false, &["MODEL.FIELDOP", "KEY", "INCR", "$.n", "-2"]),
    (false, &["MODEL.FIELDOP", "KEY", "SET", "$.n", "\"x\""]),
    (false, &["MODEL.FIELDOP", "KEY", "INCR", "$.n", "1", "IF", "self.n == 1"]),
    (false, &["MODEL.SET", "KEY", "M", r#"{"n":-2}"#]),
    (false, &["MODEL.DEFINE", "M", "{}", "TTL", "1000"]),
];

fn with_names<'a>(command: &[&'a str], key: &'a str, model: &'a str) -> Vec<&'a str> {
    let named = |word: &&'a str| match *word {
        "KEY" => key,
        "M" => model,
        word => word,
    };
    command.iter().map(named).collect()
}

#[test]
fn tracking_clients_are_told_of_validated_writes_and_not_of_reads() {
    on_every_shared(|server| {
        let (conn, other) = (&mut server.conn_resp3(), &mut server.conn());
        let (key, model) = ("model_keys:tracking", "model_keys:t");
        conn.must(&["CLIENT", "TRACKING", "ON"]);
        for (is_change, command) in COMMANDS {
            define(other, model);
            make(other, key, model);
            // Invalidations may still be on their way from the lines above. They come before the reply.
            conn.send(&["PING"]);
            while matches!(conn.recv(), Reply::Push(_)) {}
            conn.must(&["MODEL.META", key]);
            other.call(&with_names(command, key, model));
            // A push message comes before the reply to a later command.
            conn.send(&["PING"]);
            let first = conn.recv();
            if let Reply::Push(push) = &first {
                assert_eq!(push[1], Reply::Array(vec![Reply::bulk(key)]));
                assert_eq!(conn.recv(), Reply::Simple("PONG".into()));
            }
            assert_eq!(matches!(first, Reply::Push(_)), is_change, "{command:?}");
        }
    });
}

#[test]
fn watch_sees_validated_writes_and_not_reads() {
    on_every_shared(|server| {
        let (conn, other) = (&mut server.conn(), &mut server.conn());
        let (key, model) = ("model_keys:watch", "model_keys:w");
        for (is_change, command) in COMMANDS {
            define(other, model);
            make(other, key, model);
            conn.must(&["WATCH", key]);
            other.call(&with_names(command, key, model));
            conn.must(&["MULTI"]);
            conn.must(&["PING"]);
            assert_eq!(conn.must(&["EXEC"]) == Reply::Null, is_change, "{command:?}");
        }
    });
}

/// A definition in a transaction of the server is in force for what follows in it, and for nothing if the
/// transaction is given up.
#[test]
fn definitions_take_part_in_transactions() {
    on_every_shared(|server| {
        let conn = &mut server.conn();
        let (key, model) = ("model_keys:multi", "model_keys:m");
        conn.must(&["DEL", key]);
        let strict = ["MODEL.DEFINE", model, r#"{"required":["n"]}"#];
        conn.must(&["MULTI"]);
        for command in [
            &["MODEL.DEFINE", model, "{}"][..],
            &["MODEL.SET", key, model, "{}"],
            &strict,
            &["MODEL.FIELDOP", key, "SET", "$.a", "1"],
            &["MODEL.FIELDOP", key, "SET", "$.n", "1"],
            &["MODEL.DEFINE", model, "{"],
            &["MODEL.UNDEFINE", model],
            &["MODEL.DESCRIBE", model],
        ] {
            assert_eq!(conn.call(command), Reply::Simple("QUEUED".into()));
        }
        let replies = conn.must(&["EXEC"]);
        let words: Vec<_> = replies.array().iter().filter(|reply| reply.is_error()).collect();
        let words: Vec<_> = words.iter().map(|reply| reply.error_word()).collect();
        assert_eq!(words, ["SCHEMA", "ERR", "INUSE"], "{replies:?}");
        let described = &replies.array()[7];
        assert_eq!(described.field("version"), &Reply::Int(2));

        conn.must(&["MULTI"]);
        conn.must(&["MODEL.DEFINE", model, "true"]);
        conn.must(&["DISCARD"]);
        assert_eq!(&conn.must(&["MODEL.DESCRIBE", model]), described);
        // The key of a document was not changed by what became of its model.
        let other = &mut server.conn();
        conn.must(&["WATCH", key]);
        other.must(&["MODEL.DEFINE", model, r#"{"required":["m"]}"#]);
        conn.must(&["MULTI"]);
        conn.must(&["MODEL.FIELDOP", key, "SET", "$.a", "1"]);
        assert_eq!(conn.must(&["EXEC"]).array()[0].error_word(), "SCHEMA");
    });
}

#[test]
fn keyspace_events_name_the_changes_of_documents_of_models() {
    for classes in ["KEA", "Kdg"] {
        let config = format!("notify-keyspace-events {classes}");
        on_every_server_with(&[&config], check_events);
    }
}

fn check_events(server: &Server) {
    let (conn, subscriber) = (&mut server.conn(), &mut server.conn());
    subscriber.must(&["SUBSCRIBE", "__keyspace@0__:doc"]);
    let mut check = |command: &[&str], expected: &[&str]| {
        conn.call(&with_names(command, "doc", "m"));
        let found = events(subscriber, conn, "doc");
        // The server publishes new keys and misses to clients that subscribe to all events.
        let found: Vec<_> = found.iter().filter(|event| *event != "new").collect();
        assert_eq!(found, expected, "{command:?}");
    };
    let ttl = ["TTL", "1000", "REFRESH", "READ"];
    let define = |schema| [&["MODEL.DEFINE", "m", schema][..], &ttl].concat();
    check(&define(SCHEMA), &[]);
    check(&["MODEL.SET", "KEY", "m", r#"{"n":1}"#], &["model.set", "expire"]);
    // Within a millisecond nothing would be new about its time to live.
    check(&["PEXPIRE", "KEY", "5000"], &["expire"]);
    check(&["MODEL.FIELDOP", "KEY", "INCR", "$.n", "1"], &["model.update", "expire"]);
    // It lives as long as can be: reading changes nothing.
    check(&["MODEL.GET", "KEY"], &[]);
    for read in [
        &["MODEL.GET", "KEY"][..],
        &["MODEL.MGET", "1", "KEY", "$.n"],
        &["MODEL.FIELDOP", "KEY", "GET", "$"],
        &["MODEL.FIELDOP", "KEY", "WHEN", "false", "DEL", "$.n"],
    ] {
        check(&["PEXPIRE", "KEY", "5000"], &["expire"]);
        check(read, &["expire"]);
        check(read, &[]);
    }
    check(&["PEXPIRE", "KEY", "5000"], &["expire"]);
    for none in [
        &["MODEL.META", "KEY"][..],
        &["MODEL.FIELDOP", "KEY", "SET", "$.n", "\"x\""],
        &["MODEL.FIELDOP", "KEY", "IF", "self.n == 9", "GET", "$"],
        &["MODEL.FIELDOP", "KEY", "INCR", "$.n", "1", "EVAL", "$.n", "1 / 0"],
        &["MODEL.SET", "KEY", "m", r#"{"n":"x"}"#],
        &["MODEL.GET", "KEY", "no path"],
        &define(r#"{"properties":{"new":{"default":1}}}"#),
    ] {
        check(none, &[]);
    }
    // The defaults of the newer definition go in with the next change, as a part of it.
    check(&["MODEL.FIELDOP", "KEY", "SETNX", "$.new", "2"], &["model.update", "expire"]);
    check(&["MODEL.FIELDOP", "KEY", "PERSIST", "INCR", "$.n", "1"], &["model.update", "persist"]);
    check(&["DEL", "KEY"], &["del"]);
    let init = ["MODEL.FIELDOP", "KEY", "INIT", "m", "{}", "SET", "$.a", "1"];
    check(&init, &["model.set", "expire"]);
}
