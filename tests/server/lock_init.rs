//! `MODEL.LOCK ... INIT`: a missing document is created in the step of the grant, or nothing is changed at all.

use crate::harness::{Server, on_every_server, on_every_server_with};
use crate::locking::{LONG, answer, check_idle, fence, lock, make, owners, unlock, until_waiting};
use crate::replication::{check_equal, on_every_pair};
use crate::resp::{Conn, Reply};
use crate::txn_routing::applied;

const SCHEMA: &str =
    r#"{"required":["state"],"properties":{"state":{"type":"string"},"v":{"default":1}}}"#;
const EMPTY: &str = r#"{"state":"empty"}"#;

fn define(conn: &mut Conn) {
    let rule = ["RULE", "named", "self.state != 'bad'"];
    conn.must(&[&["MODEL.DEFINE", "report", SCHEMA], &rule[..]].concat());
}

fn request<'a>(key: &'a str, owner: &'a str, options: &[&'a str]) -> Vec<&'a str> {
    [&["MODEL.LOCK", key, "n", owner, "INIT", "report", EMPTY, "LEASE", LONG], options].concat()
}

/// Flag: a transaction of a client that watched the keys so far is refused.
fn was_touched(watcher: &mut Conn) -> bool {
    watcher.must(&["MULTI"]);
    watcher.must(&["PING"]);
    watcher.must(&["EXEC"]) == Reply::Null
}

/// A client that waits with `INIT` for the lock of a document.
fn wait(server: &Server, key: &str) -> Conn {
    let mut conn = server.conn();
    conn.send(&request(key, "waiter", &["WAIT", LONG, "GET"]));
    until_waiting(server, 1);
    conn
}

#[test]
fn a_missing_document_is_created_in_the_step_of_the_grant() {
    on_every_server(|server| {
        let conn = &mut server.conn();
        define(conn);
        conn.must(&["CONFIG", "SET", "notify-keyspace-events", "KEA"]);
        let mut listener = server.conn();
        listener.must(&["PSUBSCRIBE", "__keyevent@0__:*"]);
        let mut watcher = server.conn();
        watcher.must(&["WATCH", "k"]);
        let granted = conn.must(&request("k", "a", &["GET"]));
        assert_eq!(granted.array()[1], Reply::Int(60_000));
        assert_eq!(granted.array()[3].json(), serde_json::json!({"state": "empty", "v": 1}));
        let meta = conn.must(&["MODEL.META", "k"]);
        assert_eq!(&granted.array()[2], meta.field("revision"));
        assert_eq!(meta.field("model").text(), "report");
        assert!(was_touched(&mut watcher));
        let mut next = || loop {
            let channel = answer(&mut listener).array()[2].text().to_owned();
            if channel.contains("model.") {
                break channel;
            }
        };
        assert_eq!([next(), next()], ["__keyevent@0__:model.set", "__keyevent@0__:model.lock"]);
        assert_eq!(owners(conn, "k"), ["a"]);
        // The document exists now: INIT changes nothing, and its JSON is not validated.
        let again = conn.must(&["MODEL.LOCK", "k", "n", "a", "GET", "INIT", "report", "{}"]);
        assert_eq!(again.array()[0], granted.array()[0]);
        assert_eq!(again.array()[2..], granted.array()[2..]);
        assert_eq!(conn.must(&["MODEL.LOCK", "k", "n", "b", "INIT", "any", "7"]), Reply::Null);
        assert_eq!(conn.must(&["MODEL.META", "k"]).field("model").text(), "report");
        unlock(conn, "k", "a", &fence(&granted));
        let shared =
            conn.must(&["MODEL.LOCK", "s", "n", "a", "SHARED", "EPHEMERAL", "INIT", "any", "7"]);
        unlock(conn, "s", "a", &fence(&shared));
        // A document deleted and created again is granted with a greater fence.
        conn.must(&["DEL", "k"]);
        let anew = conn.must(&request("k", "a", &[]));
        assert!(anew.array()[0].int() > granted.array()[0].int());
        assert!(anew.array()[2].int() > granted.array()[2].int());
        conn.must(&["DEL", "k"]);
        check_idle(server);
    });
}

#[test]
fn a_refused_request_creates_locks_and_queues_nothing() {
    on_every_server(|server| {
        let conn = &mut server.conn();
        define(conn);
        make(conn, "held");
        let held = lock(conn, "held", "holder");
        conn.must(&["SET", "text", "x"]);
        let depth = |levels: usize| "[".repeat(levels) + &"]".repeat(levels);
        let levels =
            conn.must(&["CONFIG", "GET", "model.depth"]).array()[1].text().parse().unwrap();
        let (deepest, too_deep) = (depth(levels), depth(levels + 1));
        let long = "n".repeat(257);
        let always: [(&[&str], &str); 9] = [
            (&["n", "o", "INIT", "none", "{}"], "NOMODEL"),
            (&["n", "o", "INIT", "report", "{"], "ERR"),
            (&["n", "o", "INIT", "report"], "ERR"),
            (&["n", "o", "INIT", "any", "{}", "INIT", "any", "{}"], "ERR"),
            (&["n", "o", "INIT", "any", "{}", "NONE"], "ERR"),
            (&["n", "o", "INIT", "any", &too_deep], "LIMIT"),
            (&[&long, "o", "INIT", "any", "{}"], "LIMIT"),
            (&["n", "o", "INIT", "any", "{}", "LEASE", "86400001"], "LIMIT"),
            (&["n", "o", "INIT", "any", "{}", "LEASE", "0"], "ERR"),
        ];
        let missing: [(&[&str], &str); 3] = [
            (&["n", "o", "INIT", "report", "{}"], "SCHEMA"),
            (&["n", "o", "INIT", "report", r#"{"state":1}"#], "SCHEMA"),
            (&["n", "o", "INIT", "report", r#"{"state":"bad"}"#], "RULE"),
        ];
        let mut watcher = server.conn();
        watcher.must(&["WATCH", "k", "held", "text"]);
        for (arguments, word) in always.iter().chain(&missing) {
            let refused = [&["MODEL.LOCK", "k"], *arguments, &["WAIT", LONG]].concat();
            assert_eq!(conn.call(&refused).error_word(), *word, "{arguments:?}");
        }
        for (arguments, word) in always {
            let refused = [&["MODEL.LOCK", "held"], arguments, &["WAIT", LONG]].concat();
            assert_eq!(conn.call(&refused).error_word(), word, "{arguments:?}");
        }
        assert_eq!(conn.call(&request("text", "o", &["WAIT", LONG])).error_word(), "WRONGTYPE");
        assert_eq!(conn.must(&["EXISTS", "k"]), Reply::Int(0));
        assert_eq!(owners(conn, "held"), ["holder"]);
        assert_eq!(server.info("model_lock_waiters"), "0");
        assert!(!was_touched(&mut watcher));
        unlock(conn, "held", "holder", &held);
        check_idle(server);
        conn.must(&["MODEL.LOCK", "k", "n", "o", "INIT", "any", &deepest]);
    });
}

#[test]
fn a_waiting_request_creates_nothing_later() {
    on_every_server(|server| {
        let conn = &mut server.conn();
        // A command while the request waits, and the JSON of the key afterwards.
        let ends: [(&[&str], Option<&str>); 3] = [
            (&["DEL", "k"], None),
            (&["SET", "k", "text"], None),
            (&["MODEL.TXN", "1", "k", "ON", "k", "DELETE", "CREATE", "any", "2"], Some("2")),
        ];
        for (command, left) in ends {
            conn.must(&["FLUSHALL"]);
            define(conn);
            make(conn, "k");
            lock(conn, "k", "holder");
            let mut waiter = wait(server, "k");
            conn.must(command);
            assert_eq!(answer(&mut waiter).error_word(), "NOKEY", "{command:?}");
            match left {
                Some(json) => assert_eq!(conn.must(&["MODEL.GET", "k"]).text(), json),
                None if command[0] == "SET" => assert_eq!(conn.must(&["GET", "k"]).text(), "text"),
                None => assert_eq!(conn.must(&["EXISTS", "k"]), Reply::Int(0)),
            }
        }
        let granted: [(&[&str], &str); 4] = [
            (&["PING"], r#"{"n":1}"#),
            (&["MODEL.SET", "k", "any", "2"], "2"),
            (&["MODEL.DEFINE", "report", r#"{"type":"array"}"#], r#"{"n":1}"#),
            (&["MODEL.UNDEFINE", "report"], r#"{"n":1}"#),
        ];
        for (command, json) in granted {
            conn.must(&["FLUSHALL"]);
            define(conn);
            make(conn, "k");
            let held = lock(conn, "k", "holder");
            let mut waiter = wait(server, "k");
            conn.must(command);
            unlock(conn, "k", "holder", &held);
            let granted = answer(&mut waiter);
            assert!(!granted.is_error(), "{command:?}: {granted:?}");
            assert_eq!(granted.array()[3].text(), json, "{command:?}");
            unlock(conn, "k", "waiter", &fence(&granted));
        }
        check_idle(server);
    });
}

#[test]
fn transactions_and_scripts_create_and_lock() {
    on_every_server(|server| {
        let conn = &mut server.conn();
        define(conn);
        make(conn, "k");
        lock(conn, "k", "holder");
        // The document is deleted and created again in one transaction: the waiting request is for the former.
        let mut waiter = wait(server, "k");
        conn.must(&["MULTI"]);
        conn.must(&["DEL", "k"]);
        conn.must(&request("k", "a", &["WAIT", LONG]));
        conn.must(&request("k", "b", &["WAIT", LONG]));
        let replies = conn.must(&["EXEC"]);
        assert_eq!(replies.array()[1].array()[1], Reply::Int(60_000));
        assert_eq!(replies.array()[2], Reply::Null, "nothing waits in a transaction");
        assert_eq!(answer(&mut waiter).error_word(), "NOKEY");
        assert_eq!(owners(conn, "k"), ["a"]);
        unlock(conn, "k", "a", &fence(&replies.array()[1]));
        let call = "return redis.call('MODEL.LOCK', KEYS[1], 'n', 'o', 'INIT', 'report', ARGV[1])";
        let granted = conn.must(&["EVAL", call, "1", "scripted", EMPTY]);
        unlock(conn, "scripted", "o", &fence(&granted));
        let refused = conn.call(&["EVAL", call, "1", "refused", "{}"]);
        assert!(refused.error().contains("SCHEMA"), "{refused:?}");
        assert_eq!(conn.must(&["EXISTS", "refused"]), Reply::Int(0));
        check_idle(server);
    });
}

#[test]
fn a_replica_receives_the_document_and_its_lock() {
    on_every_pair(&[], |master, replica| {
        let conn = &mut master.conn();
        define(conn);
        replica.wait_for_sync(master);
        let mut monitor = replica.conn();
        monitor.must(&["MONITOR"]);
        let before = applied(replica);
        let held = fence(&conn.must(&request("k", "a", &[])));
        conn.must(&["SET", "marker", "x"]);
        // MONITOR shows no commands for administrators, so the effects are counted.
        let mut units = Vec::new();
        loop {
            let line = answer(&mut monitor).text().to_uppercase();
            match line.split('"').nth(1).expect("a line names the command") {
                "SET" => break,
                unit @ ("MULTI" | "EXEC") => units.push(unit.to_owned()),
                other => assert_ne!(other, "MODEL.LOCK"),
            }
        }
        assert_eq!(units, ["MULTI", "EXEC"], "one unit");
        replica.wait_for_sync(master);
        assert_eq!(applied(replica) - before, 2, "the document and its lock");
        check_equal(master, replica);
        assert_eq!(owners(&mut replica.conn(), "k"), ["a"]);
        assert_eq!(replica.call(&request("new", "a", &[])).error_word(), "READONLY");
        // After a failover the grant is still the same.
        replica.must(&["REPLICAOF", "NO", "ONE"]);
        assert_eq!(fence(&replica.must(&request("k", "a", &[]))), held);
    });
}

#[test]
fn a_created_document_and_its_lock_survive_a_restart() {
    let config = ["appendonly yes", "appendfsync always"];
    on_every_server_with(&config, |server| {
        define(&mut server.conn());
        let granted = server.must(&request("k", "a", &["GET"]));
        server.kill9();
        server.restart();
        let again = server.must(&request("k", "a", &["GET"]));
        assert_eq!(again, granted);
        assert_eq!(server.must(&request("k", "b", &[])), Reply::Null);
    });
}

/// While writes are paused, the end of a document is not applied to its queue.
#[test]
fn a_document_of_the_transaction_that_pauses_is_created_and_locked() {
    on_every_server(|server| {
        let conn = &mut server.conn();
        define(conn);
        make(conn, "k");
        lock(conn, "k", "holder");
        let mut waiter = wait(server, "k");
        conn.must(&["MULTI"]);
        conn.must(&["CLIENT", "PAUSE", "100", "WRITE"]);
        conn.must(&["DEL", "k"]);
        conn.must(&request("k", "a", &[]));
        let replies = conn.must(&["EXEC"]);
        assert_eq!(replies.array()[2].array()[1], Reply::Int(60_000));
        assert_eq!(answer(&mut waiter).error_word(), "NOKEY");
        assert_eq!(owners(conn, "k"), ["a"]);
        // The lease of the new document is watched.
        let held = fence(&replies.array()[2]);
        conn.must(&["MODEL.RENEW", "k", "n", "a", &held, "LEASE", "50"]);
        server.wait_until("it expires", || server.info("model_locks_held") == "0");
        check_idle(server);
    });
}
