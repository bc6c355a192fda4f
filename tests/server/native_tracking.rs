//! Client-side caching: clients that cached what a native changes are told, as if its command came alone.

use crate::harness::{Server, on_every_server};
use crate::resp::{Conn, Reply};

/// Commands that read each structure, so that the client is told of its next change.
const READ: [&[&str]; 6] = [
    &["ZSCORE", "z", "m"],
    &["SISMEMBER", "s", "m"],
    &["HGET", "h", "f"],
    &["LLEN", "l"],
    &["XLEN", "x"],
    &["GET", "n"],
];
const KEYS: [&str; 6] = ["z", "s", "h", "l", "x", "n"];

const CHANGE: &[&str] = &[
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
    "ZINCRBY",
    "1",
    "1",
    "AT",
    "s",
    "SADD",
    "=string(docs['doc'].n)",
    "AT",
    "h",
    "HINCRBY",
    "1",
    "1",
    "AT",
    "l",
    "LPUSH",
    "1",
    "AT",
    "x",
    "XADD",
    "9",
    r#"{"a":1}"#,
    "AT",
    "n",
    "INCRBY",
    "1",
];

/// The same commands in a script, beside which natives are compared.
const SCRIPT: &str = "redis.call('ZINCRBY', 'z', 1, 1) redis.call('SADD', 's', ARGV[1])
    redis.call('HINCRBY', 'h', 1, 1) redis.call('LPUSH', 'l', 1)
    redis.call('XADD', 'x', 'MAXLEN', '~', 9, '*', 'a', 1) redis.call('INCRBY', 'n', 1)";

fn tracking(server: &Server, options: &[&str]) -> Conn {
    let mut conn = server.conn_resp3();
    conn.must(&[&["CLIENT", "TRACKING", "ON"][..], options].concat());
    conn
}

/// Reads all structures, so that changes are told.
fn read_all(conn: &mut Conn) {
    READ.iter().for_each(|command| drop(conn.must(command)));
}

/// The keys that the client is told of up to the reply to a command, but for the document's. What it is told of the
/// command's own changes may come behind that reply, and before the one to the next command.
fn told_of(conn: &mut Conn, command: &[&str]) -> Vec<String> {
    let mut keys = Vec::new();
    for command in [command, &["PING"]] {
        conn.send(command);
        while let Reply::Push(items) = conn.recv() {
            keys.extend(items[1].array().iter().map(|key| key.text().to_owned()));
        }
    }
    keys.retain(|key| key != "doc");
    keys.sort();
    keys
}

fn told(conn: &mut Conn) -> Vec<String> {
    told_of(conn, &["PING"])
}

fn sorted() -> Vec<String> {
    let mut keys = KEYS.map(str::to_owned).to_vec();
    keys.sort();
    keys
}

#[test]
fn clients_that_cache_structures_are_told_of_natives() {
    on_every_server(|server| {
        let conn = &mut server.conn();
        conn.must(&["MODEL.SET", "doc", "any", r#"{"n":1}"#]);
        conn.must(CHANGE);
        let (mut reader, mut all) = (tracking(server, &[]), tracking(server, &["BCAST"]));
        read_all(&mut reader);
        conn.must(CHANGE);
        assert_eq!(told(&mut reader), sorted());
        assert_eq!(told(&mut all), sorted());
        // A refused transaction invalidates nothing.
        read_all(&mut reader);
        let refused = [CHANGE, &["AT", "n", "SADD", "1"]].concat();
        assert_eq!(conn.call(&refused).error_word(), "WRONGTYPE");
        assert_eq!(told(&mut reader), [""; 0]);
        assert_eq!(told(&mut all), [""; 0]);
        // Expressions that read structures make the client track nothing: a transaction is no read.
        let mut reader = tracking(server, &[]);
        reader.must(&["MODEL.TXN", "2", "doc", "s", "ON", "doc", "IF", "native['s'].size() > 0"]);
        conn.must(CHANGE);
        assert_eq!(told(&mut reader), [""; 0]);
    });
}

/// With NOLOOP a client is not told of its own changes; with BCAST as well, it is told of natives as of commands in a
/// script, because the server takes the module for another client there.
#[test]
fn a_client_hears_of_its_own_natives_as_of_its_own_scripts() {
    on_every_server(|server| {
        let conn = &mut server.conn();
        conn.must(&["MODEL.SET", "doc", "any", r#"{"n":1}"#]);
        conn.must(CHANGE);
        for (options, expected) in [
            (&[][..], Some(sorted())),
            (&["NOLOOP"], Some(Vec::new())),
            (&["BCAST", "NOLOOP"], None),
        ] {
            let mut client = tracking(server, options);
            let mut hears_of = |command: &[&str]| {
                if !options.contains(&"BCAST") {
                    read_all(&mut client);
                }
                told_of(&mut client, command)
            };
            let (natives, script) =
                (hears_of(CHANGE), hears_of(&["EVAL", SCRIPT, "0", &options.join(" ")]));
            assert_eq!(natives, expected.unwrap_or(script), "{options:?}");
        }
    });
}
