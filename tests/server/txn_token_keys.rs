//! Tokens as keys of the server: whatever Redis does to keys it does to them, and what they stand for
//! follows. `txn_tokens` has what they promise to clients.

use crate::harness::{Flavor, Server, on_every_flavor, on_every_server, on_every_server_with};
use crate::recording::{check_error_line, on_every_recording, state};
use crate::resp::{Conn, Reply};

/// Counts `a` up under the token `t`.
const COUNT: [&str; 11] = ["MODEL.TXN", "2", "a", "t", "TOKEN", "t", "ON", "a", "INCR", "$.n", "1"];

fn prepare(conn: &mut Conn) {
    // At once: what is freed later is counted until then.
    conn.must(&["FLUSHALL", "SYNC"]);
    conn.must(&["MODEL.SET", "a", "any", r#"{"n":0}"#]);
}

fn replied(n: i64) -> Reply {
    Reply::Array(vec![Reply::Array(vec![Reply::bulk(n.to_string())])])
}

fn n(conn: &mut Conn) -> Reply {
    conn.must(&["MODEL.GET", "a", "$.n"])
}

/// The commands on the token's key, and what the same request is replied then: 1 is what is recorded, 2
/// is what it gives when it runs again.
const FATES: [(&[&[&str]], i64); 22] = [
    (&[&["DEL", "t"]], 2),
    (&[&["UNLINK", "t"]], 2),
    (&[&["EXPIRE", "t", "0"]], 2),
    (&[&["PEXPIREAT", "t", "1"]], 2),
    (&[&["RENAME", "t", "elsewhere"]], 2),
    (&[&["RENAMENX", "t", "elsewhere"]], 2),
    (&[&["MOVE", "t", "3"]], 2),
    (&[&["FLUSHDB"], &["MODEL.SET", "a", "any", r#"{"n":1}"#]], 2),
    (&[&["FLUSHALL", "ASYNC"], &["MODEL.SET", "a", "any", r#"{"n":1}"#]], 2),
    (&[&["COPY", "t", "copy"], &["DEL", "t"]], 2),
    (&[&["COPY", "t", "copy"], &["DEL", "t"], &["RENAME", "copy", "t"]], 1),
    (&[&["COPY", "t", "t", "DB", "3"], &["DEL", "t"]], 2),
    (&[&["MOVE", "t", "3"], &["SELECT", "3"], &["MOVE", "t", "0"], &["SELECT", "0"]], 1),
    (&[&["SWAPDB", "0", "3"], &["SWAPDB", "0", "3"]], 1),
    (&[&["PERSIST", "t"]], 1),
    (&[&["EXPIRE", "t", "1000000"]], 1),
    (&[&["EXPIRE", "t", "1", "GT"]], 1),
    (&[&["TOUCH", "t"], &["RANDOMKEY"]], 1),
    (&[&["DEBUG", "RELOAD"]], 1),
    (&[&["COPY", "a", "t"]], 1),
    (&[&["RENAMENX", "a", "t"]], 1),
    (&[&["MULTI"], &["RENAME", "t", "u"], &["RENAME", "u", "t"], &["EXEC"]], 1),
];

#[test]
fn the_record_is_where_its_key_is() {
    on_every_server_with(&["save 3600 1"], |server| {
        let conn = &mut server.conn();
        for (commands, expected) in FATES {
            prepare(conn);
            assert_eq!(conn.must(&COUNT), replied(1));
            commands.iter().for_each(|command| drop(conn.must(command)));
            assert_eq!(conn.must(&COUNT), replied(expected), "{commands:?}");
            assert_eq!(n(conn), Reply::bulk(expected.to_string()), "{commands:?}");
        }
        conn.must(&["FLUSHALL"]);
        server.wait_until("they are freed", || server.info("model_tokens") == "0");
    });
}

#[test]
fn a_token_answers_questions_about_keys() {
    on_every_server(|server| {
        let conn = &mut server.conn();
        prepare(conn);
        conn.must(&COUNT);
        assert_eq!(conn.must(&["TYPE", "t"]), Reply::Simple("model-txn".into()));
        assert_eq!(conn.must(&["OBJECT", "ENCODING", "t"]).text(), "raw");
        assert_eq!(conn.must(&["OBJECT", "REFCOUNT", "t"]), Reply::Int(1));
        assert!(conn.must(&["OBJECT", "IDLETIME", "t"]).int() < 600);
        assert!((1..=600).contains(&conn.must(&["TTL", "t"]).int()));
        assert!(conn.must(&["DEBUG", "OBJECT", "t"]).text().contains("encoding:raw"));
        let names = |found: &Reply| found.array()[1].array().to_vec();
        for (data_type, key) in [("model-txn", "t"), ("model-doc", "a")] {
            let found = conn.must(&["SCAN", "0", "COUNT", "100", "TYPE", data_type]);
            assert_eq!(names(&found), [Reply::bulk(key)]);
        }
        // It is of no other type, to our commands and to the server's.
        for refused in [
            &["GET", "t"][..],
            &["APPEND", "t", "x"],
            &["GETDEL", "t"],
            &["LPUSH", "t", "x"],
            &["HGETALL", "t"],
            &["MODEL.GET", "t", "$.a"],
            &["MODEL.META", "t"],
            &["MODEL.SET", "t", "any", "{}", "NX"],
            &["MODEL.SET", "t", "any", "{}", "XX"],
            &["MODEL.FIELDOP", "t", "MISSING"],
            &["MODEL.FIELDOP", "t", "INIT", "any", "{}", "REVISION"],
            &["MODEL.TXN", "2", "a", "t", "ON", "t", "DELETE"],
            &["MODEL.TXN", "2", "a", "t", "ON", "t", "PUT", "any", "{}"],
            &["MODEL.TXN", "2", "a", "t", "ON", "a", "IF", "docs['t']==1"],
            &["MODEL.TXN", "3", "a", "t", "new", "TOKEN", "new", "ON", "a"],
        ] {
            let reply = conn.call(refused);
            assert_eq!(reply.error_word(), "WRONGTYPE", "{refused:?}: {reply:?}");
        }
        assert_eq!(conn.must(&COUNT), replied(1));
        // SET replaces a key of any type.
        conn.must(&["SET", "t", "x"]);
        let refused = conn.call(&COUNT);
        assert_eq!(refused.error_word(), "WRONGTYPE");
        assert_eq!(check_error_line(&refused)["key"], "t");
        assert_eq!(server.info("model_tokens"), "0");
    });
}

/// The token's key is where the record goes, and nothing else: no block, no document, and however often
/// and wherever among the keys.
#[test]
fn the_tokens_key_holds_no_document() {
    on_every_recording(|server| {
        let conn = &mut server.conn();
        let split = |words: &'static str| words.split(' ').collect::<Vec<_>>();
        for words in [
            "MODEL.TXN 1 t TOKEN t ON t GET $",
            "MODEL.TXN 2 a t TOKEN t ON t CREATE any {}",
            "MODEL.TXN 2 a t TOKEN t ON a INCR $.n 1 ON t INIT any {}",
            "MODEL.TXN 2 a a TOKEN a ON a INCR $.n 1",
            "MODEL.TXN 1 t TOKEN t",
        ] {
            prepare(conn);
            let before = state(conn, "a");
            let reply = conn.call(&split(words));
            assert_eq!(reply.error_word(), "ERR", "{words}: {reply:?}");
            check_error_line(&reply);
            assert_eq!(state(conn, "a"), before, "{words}");
            assert_eq!(conn.must(&["EXISTS", "t"]), Reply::Int(0), "{words}");
        }
        for words in [
            "MODEL.TXN 2 t a TOKEN t ON a INCR $.n 1",
            "MODEL.TXN 4 t a t a TOKEN t ON a INCR $.n 1",
            "MODEL.TXN 3 a t b TOKEN t ARGS {} ON a INCR $.n 1",
            "MODEL.TXN 3 a t b ARGS {} TOKEN t ON a INCR $.n 1",
            "MODEL.TXN 2 a t token t window 5000 ON a INCR $.n 1",
        ] {
            prepare(conn);
            assert_eq!(conn.must(&split(words)), replied(1), "{words}");
            let before = state(conn, "t");
            assert_eq!(conn.must(&split(words)), replied(1), "{words}");
            assert_eq!(state(conn, "t"), before, "{words}");
        }
        // Among the documents that expressions see, it is not.
        prepare(conn);
        let seen = split("MODEL.TXN 2 t a TOKEN t ON a EVAL $.n size(docs)");
        assert_eq!(conn.must(&seen), replied(1));
        assert_eq!(
            conn.must(&["MODEL.TXN", "2", "a", "u", "TOKEN", "u", "ON", "a"]).array().len(),
            1
        );
    });
}

/// Under another name the record answers no request: the names of the keys are part of what was asked.
#[test]
fn a_renamed_token_belongs_to_no_request_with_its_new_name() {
    on_every_server(|server| {
        let conn = &mut server.conn();
        prepare(conn);
        conn.must(&COUNT);
        conn.must(&["RENAME", "t", "u"]);
        let renamed = COUNT.map(|word| if word == "t" { "u" } else { word });
        assert_eq!(conn.call(&renamed).error_word(), "TOKENMISMATCH");
        assert_eq!(n(conn), Reply::bulk("1"));
    });
}

#[test]
fn watchers_of_a_token_hear_of_its_record_and_of_no_retry() {
    on_every_server(|server| {
        let (conn, watching) = (&mut server.conn(), &mut server.conn());
        prepare(conn);
        let mut is_told = |conn: &mut Conn, command: &[&str]| {
            watching.must(&["WATCH", "t"]);
            conn.call(command);
            watching.must(&["MULTI"]);
            watching.must(&["PING"]);
            watching.must(&["EXEC"]) == Reply::Null
        };
        let refused = ["MODEL.TXN", "2", "a", "t", "TOKEN", "t", "ON", "a", "IF", "false"];
        assert!(!is_told(conn, &refused));
        assert!(is_told(conn, &COUNT));
        assert!(!is_told(conn, &COUNT));
        assert!(!is_told(conn, &refused), "another request");
        assert!(is_told(conn, &["DEL", "t"]));
    });
}

#[test]
fn a_token_ends_when_its_window_does() {
    on_every_server(|server| {
        let (conn, listening) = (&mut server.conn(), &mut server.conn());
        prepare(conn);
        conn.must(&["CONFIG", "SET", "notify-keyspace-events", "Ex"]);
        listening.must(&["SUBSCRIBE", "__keyevent@0__:expired"]);
        let short: Vec<&str> = [&COUNT[..6], &["WINDOW", "60"], &COUNT[6..]].concat();
        conn.must(&short);
        assert_eq!(listening.recv().array()[2], Reply::bulk("t"));
        assert_eq!(server.info("model_tokens"), "0");
        assert_eq!(conn.must(&["DBSIZE"]), Reply::Int(1));
        assert_eq!(conn.must(&COUNT), replied(2));
        // Its time may be made longer and shorter by hand.
        conn.must(&["PERSIST", "t"]);
        assert_eq!(conn.must(&COUNT), replied(2));
        conn.must(&["PEXPIRE", "t", "60"]);
        assert_eq!(listening.recv().array()[2], Reply::bulk("t"));
        assert_eq!(conn.must(&COUNT), replied(3));
    });
}

fn dump(conn: &mut Conn, key: &str) -> Vec<u8> {
    match conn.must(&["DUMP", key]) {
        Reply::Bulk(payload) => payload,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_dump_is_restored_whole_or_not_at_all() {
    on_every_server(|server| {
        let conn = &mut server.conn();
        prepare(conn);
        conn.must(&COUNT);
        let payload = dump(conn, "t");
        let until = conn.must(&["PEXPIRETIME", "t"]).int().to_string();
        let restore = |conn: &mut Conn, payload: &[u8], options: &[&str]| {
            let mut args: Vec<&[u8]> = vec![b"RESTORE", b"t", until.as_bytes(), payload, b"ABSTTL"];
            args.extend(options.iter().map(|option| option.as_bytes()));
            conn.call_bytes(&args)
        };
        assert_eq!(restore(conn, &payload, &[]).error_word(), "BUSYKEY");
        assert_eq!(restore(conn, &payload, &["REPLACE", "FREQ", "9"]), Reply::ok());
        assert_eq!(conn.must(&["PEXPIRETIME", "t"]).int().to_string(), until);
        conn.must(&["SET", "t", "x"]);
        assert_eq!(restore(conn, &payload, &["REPLACE", "IDLETIME", "9"]), Reply::ok());
        assert_eq!(conn.must(&COUNT), replied(1));
        // A payload that is truncated, or has extra bytes, is refused: with the server's checksum and
        // without it.
        let (body, footer) = payload.split_at(payload.len() - 10);
        for skip in ["0", "1"] {
            conn.must(&["DEBUG", "SET-SKIP-CHECKSUM-VALIDATION", skip]);
            // Were less cut off, the bytes of the footer could stand in for those that are missing.
            for length in 0..body.len() - 2 {
                let cut = [&body[..length], footer].concat();
                let refused = restore(conn, &cut, &["REPLACE"]);
                assert_eq!(refused.error_word(), "ERR", "{skip} {length}: {refused:?}");
            }
            for at in 0..body.len() {
                let longer = [&body[..at], b"\x7f\xff", &body[at..], footer].concat();
                let reply = restore(conn, &longer, &["REPLACE"]);
                assert!(reply.is_error(), "{at}: {reply:?}");
            }
        }
        assert_eq!(conn.must(&COUNT), replied(1), "what is refused replaces nothing");
        assert_eq!(dump(conn, "t"), payload);
        assert_eq!(server.info("model_tokens"), "1");
    });
}

/// Servers with their keys and their documents, and a token that goes from one to the other.
#[test]
fn a_token_migrates_with_its_documents() {
    on_every_flavor(|flavor| {
        let (from, to) = (Server::start(flavor, &[]), Server::start(flavor, &[]));
        let (conn, there) = (&mut from.conn(), &mut to.conn());
        let port = to.port.to_string();
        let migrate = |conn: &mut Conn, more: &[&str]| {
            conn.call(&[&["MIGRATE", "127.0.0.1", &port, "", "0", "5000"], more].concat())
        };
        prepare(conn);
        conn.must(&COUNT);
        let expires = conn.must(&["PEXPIRETIME", "t"]);
        assert_eq!(migrate(conn, &["COPY", "KEYS", "a", "t"]), Reply::ok());
        assert_eq!(migrate(conn, &["KEYS", "a", "t"]).error_word(), "ERR", "it is there");
        assert_eq!(migrate(conn, &["REPLACE", "KEYS", "a", "t"]), Reply::ok());
        assert_eq!(conn.must(&["EXISTS", "a", "t"]), Reply::Int(0));
        assert_eq!(there.must(&["TYPE", "t"]), Reply::Simple("model-txn".into()));
        // MIGRATE sends the remaining time, so that the token expires at about the same time.
        let moved = there.must(&["PEXPIRETIME", "t"]).int() - expires.int();
        assert!(moved.abs() < 60_000, "{moved}");
        assert_eq!(there.must(&COUNT), replied(1));
        assert_eq!(n(there), Reply::bulk("1"));
        // A server without the module refuses it, and it stays.
        let plain = Server::start_plain(flavor, &[]);
        let port = plain.port.to_string();
        let refused = there.call(&["MIGRATE", "127.0.0.1", &port, "t", "0", "5000"]);
        assert!(refused.is_error(), "{refused:?}");
        assert_eq!(there.must(&COUNT), replied(1));
    });
}

/// A retry is answered by any server that has the data, in any protocol: after restarts, after a replica was
/// promoted, and after that was restarted too.
#[test]
fn a_record_goes_where_the_data_goes() {
    for config in [
        &["save 3600 1"][..],
        &["appendonly yes", "aof-use-rdb-preamble yes"],
        &["appendonly yes", "aof-use-rdb-preamble no"],
    ] {
        on_every_flavor(|flavor| {
            let (master, replica) = (Server::start(flavor, config), Server::start(flavor, config));
            let conn = &mut master.conn_resp3();
            prepare(conn);
            // One goes over by the full sync, one by the stream.
            let told = conn.must(&COUNT);
            replica.replica_of(&master);
            let other = COUNT.map(|word| if word == "t" { "u" } else { word });
            let told_other = conn.must(&other);
            replica.wait_for_sync(&master);
            // A server does not exit before the AOF it is writing anew is written.
            master.wait_for_aof();
            replica.wait_for_aof();
            let check = |server: &Server| {
                for conn in [&mut server.conn(), &mut server.conn_resp3()] {
                    assert_eq!(conn.must(&COUNT), told);
                    assert_eq!(conn.must(&other), told_other);
                    assert_eq!(n(conn), Reply::bulk("2"));
                }
            };
            master.restart();
            check(&master);
            master.kill9();
            replica.must(&["REPLICAOF", "NO", "ONE"]);
            check(&replica);
            replica.must(&["DEBUG", "RELOAD"]);
            check(&replica);
            replica.wait_for_aof();
            replica.restart();
            check(&replica);
            assert_eq!(replica.info("model_tokens"), "2");
        });
    }
}

/// A token that a replica still has, though its time is over, counts for nothing when it is promoted.
#[test]
fn an_expired_token_is_missing_on_a_promoted_replica() {
    on_every_flavor(|flavor: Flavor| {
        let (master, replica) = (Server::start(flavor, &[]), Server::start(flavor, &[]));
        replica.replica_of(&master);
        let conn = &mut master.conn();
        prepare(conn);
        // The master says nothing of what expires by itself.
        conn.must(&["DEBUG", "SET-ACTIVE-EXPIRE", "0"]);
        conn.must(&[&COUNT[..6], &["WINDOW", "30"], &COUNT[6..]].concat());
        replica.wait_for_sync(&master);
        master.kill9();
        replica.wait_until("its time is over", || replica.must(&["PTTL", "t"]).int() == -2);
        replica.must(&["REPLICAOF", "NO", "ONE"]);
        assert_eq!(replica.must(&COUNT), replied(2));
    });
}
