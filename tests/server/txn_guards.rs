//! Refusals of transactions before they run: access rules, replicas, memory, paused and lonely
//! masters, clusters. What is refused is refused before anything happened, wherever it came from: bare,
//! in MULTI, from a script or a Function.
//!
//! `MODEL.TXN` is a command that writes, and its keys are to be read and written: a user who may only
//! read them may not run it, though it should only read, and no more may a replica. `MODEL.MGET` is what
//! reads several documents at one moment with nothing but the permission to read.

use std::time::Duration;

use crate::cluster::Cluster;
use crate::harness::{Server, on_every_flavor, on_every_server, on_every_server_with};
use crate::recording::{State, on_every_recording, state};
use crate::resp::{Conn, Reply};

const CALL: &str = "return redis.call(unpack(ARGV))";
const PCALL: &str = "local r = redis.pcall(unpack(ARGV)); return r.err or r";

/// These words, which hold no spaces.
fn split(words: &str) -> Vec<&str> {
    words.split(' ').collect()
}

fn prepare(conn: &mut Conn) {
    for key in ["{k}a", "{k}b", "{k}secret"] {
        conn.must(&["MODEL.SET", key, "any", r#"{"n":10}"#]);
    }
    conn.must(&["DEL", "{k}t", "{k}c"]);
    let code = format!(
        "#!lua name=guards\nredis.register_function('run', function(keys, ARGV) {CALL} end)"
    );
    conn.must(&["FUNCTION", "LOAD", "REPLACE", &code]);
}

/// The data set, and the stream and file written of it.
fn world(conn: &mut Conn) -> (State, Reply, Reply) {
    (state(conn, "{k}a"), conn.must(&["DEBUG", "DIGEST"]), conn.must(&["DBSIZE"]))
}

/// The commands that run a command from within a script or a Function, which declare no keys: so it is
/// the command inside that is looked at.
fn scripted<'a>(command: &[&'a str]) -> [Vec<&'a str>; 3] {
    let by = |name: [&'a str; 2]| [&name[..], &["0"], command].concat();
    [by(["EVAL", CALL]), by(["EVAL", PCALL]), by(["FCALL", "run"])]
}

/// Asserts that a reply contains the refusal: a script's error contains that of the command it ran.
#[track_caller]
fn check_says(reply: &Reply, word: &str, what: &[&str]) {
    let text = match reply {
        Reply::Error(text) => text.as_str(),
        other => other.text(),
    };
    // Servers have their own sentences for commands that access rules forbid to scripts.
    let says = |words: &str| text.contains(words);
    let is_denied = word == "NOPERM" && (says("ACL failure") || says("can't "));
    assert!(says(word) || is_denied, "{what:?}: {reply:?}");
}

/// The command is refused with this word however it comes, and nothing happened.
#[track_caller]
fn check_refused(conn: &mut Conn, admin: &mut Conn, word: &str, command: &[&str]) {
    let before = world(admin);
    let reply = conn.call(command);
    assert_eq!(reply.error_word(), word, "{command:?}: {reply:?}");
    for script in scripted(command) {
        check_says(&conn.call(&script), word, &script);
    }
    conn.must(&["MULTI"]);
    conn.must(&["PING"]);
    assert_eq!(conn.call(command).error_word(), word, "{command:?} in MULTI");
    conn.must(&["PING"]);
    assert_eq!(conn.call(&["EXEC"]).error_word(), "EXECABORT", "{command:?}");
    assert_eq!(world(admin), before, "{command:?}");
}

/// A connection of a new user with these rules.
fn user(server: &Server, rules: &[&str]) -> Conn {
    server.must(&[&["ACL", "SETUSER", "someone", "reset", "on", "nopass"], rules].concat());
    let mut conn = server.conn();
    conn.must(&["AUTH", "someone", ""]);
    conn
}

const TRANSFER: &str = "MODEL.TXN 2 {k}a {k}b ON {k}a INCR $.n -1 ON {k}b INCR $.n 1";
const TOKEN: &str = "MODEL.TXN 2 {k}a {k}t TOKEN {k}t ON {k}a INCR $.n 1";
const LISTED: &str = "MODEL.TXN 2 {k}a {k}b ON {k}a IF docs['{k}b'].n==10 INCR $.n 1";
const READ: &str = "MODEL.TXN 2 {k}a {k}b ON {k}a GET $.n ON {k}b GET $.n";
const MGET: &str = "MODEL.MGET 2 {k}a {k}b $.n";
const TWICE: &str = "MODEL.TXN 3 {k}a {k}b {k}a ON {k}a INCR $.n 1";

#[test]
fn a_transaction_requires_permission_for_every_key() {
    on_every_recording(|server| {
        let admin = &mut server.conn();
        prepare(admin);
        for (rules, allowed, forbidden) in [
            (&["~{k}a"][..], &[][..], &[TRANSFER, TOKEN, LISTED, READ, TWICE, MGET][..]),
            (&["~{k}a", "~{k}b"], &[TRANSFER, LISTED, READ, MGET, TWICE], &[TOKEN]),
            (&["~{k}a", "~{k}t"], &[TOKEN], &[TRANSFER, LISTED, READ, MGET]),
            (&["%RW~{k}a", "%R~{k}b"], &[MGET], &[TRANSFER, LISTED, READ, TWICE]),
            (&["%RW~{k}a", "%W~{k}*"], &[], &[TRANSFER, TOKEN, LISTED, READ, MGET]),
            (&["%R~{k}*"], &[MGET], &[TRANSFER, TOKEN, LISTED, READ]),
            (&["%R~{k}*", "%W~{k}*"], &[TRANSFER, TOKEN, LISTED, READ, MGET], &[]),
            // To read and write a key, one pattern has to allow both.
            (&["%R~{k}*", "%W~{k}[ab]"], &[MGET], &[TRANSFER, LISTED, READ, TOKEN]),
            (&["~{k}?", "-model.txn"], &[MGET], &[TRANSFER, TOKEN, LISTED, READ]),
            // A selector covers a command whole.
            (&["~{k}a", "(+@all ~{k}b)"], &[], &[TRANSFER, LISTED, READ, MGET]),
            (&["~{k}a", "(+@all ~{k}[ab])"], &[TRANSFER, LISTED, READ, MGET], &[TOKEN]),
        ] {
            let conn = &mut user(server, &[&["+@all"], rules].concat());
            for command in allowed {
                prepare(admin);
                let reply = conn.call(&split(command));
                assert!(!reply.is_error(), "{rules:?} {command}: {reply:?}");
            }
            for command in forbidden {
                check_refused(conn, admin, "NOPERM", &split(command));
            }
        }
    });
}

#[test]
fn command_categories_govern_transactions() {
    on_every_server(|server| {
        let admin = &mut server.conn();
        prepare(admin);
        let mut conn = user(server, &["+model.txn", "~{k}?"]);
        assert!(!conn.call(&split(TRANSFER)).is_error());
        assert_eq!(conn.call(&split(MGET)).error_word(), "NOPERM");
        for command in [TRANSFER, READ] {
            let dry = [&["ACL", "DRYRUN", "someone"], &split(command)[..]].concat();
            assert_eq!(admin.must(&dry), Reply::ok(), "{command}");
        }
        let forbidden = TOKEN.replace("{k}t", "x");
        let dry = [&["ACL", "DRYRUN", "someone"], &split(&forbidden)[..]].concat();
        assert_ne!(admin.call(&dry), Reply::ok());
        if server.flavor.name() == "redis-7.0" {
            return;
        }
        let mut reader = user(server, &["+@read", "~{k}?"]);
        assert!(!reader.call(&split(MGET)).is_error());
        assert_eq!(reader.call(&split(READ)).error_word(), "NOPERM");
        let mut writer = user(server, &["+@write", "~{k}?"]);
        assert!(!writer.call(&split(READ)).is_error());
    });
}

/// A count that names fewer keys than there are hides none from the rules: a key is used only where it is
/// among those counted.
#[test]
fn no_key_is_hidden_from_the_rules() {
    on_every_recording(|server| {
        let admin = &mut server.conn();
        prepare(admin);
        let conn = &mut user(server, &["+@all", "~{k}a"]);
        let before = world(admin);
        for words in [
            "MODEL.TXN 1 {k}a ON {k}secret GET $",
            "MODEL.TXN 1 {k}a {k}secret ON {k}secret GET $",
            "MODEL.TXN 1 {k}a TOKEN {k}t ON {k}a GET $",
            "MODEL.TXN 1 {k}a ON {k}a EVAL $.x docs['{k}secret']",
            "MODEL.TXN 0 {k}secret ON {k}secret GET $",
            "MODEL.TXN -1 {k}secret ON {k}secret GET $",
            "MODEL.TXN 01 {k}secret ON {k}secret GET $",
            "MODEL.TXN 99 {k}secret ON {k}secret GET $",
            "MODEL.TXN x {k}secret ON {k}secret GET $",
            "MODEL.TXN 4294967297 {k}secret ON {k}secret GET $",
        ] {
            let reply = conn.call(&split(words));
            let words_of_refusals = ["ERR", "NOPERM", "EXPR"];
            assert!(words_of_refusals.contains(&reply.error_word()), "{words}: {reply:?}");
            assert!(!reply.error().contains("10"), "{words}: {reply:?}");
        }
        assert_eq!(world(admin), before);
    });
}

#[test]
fn scripts_may_continue_after_a_refusal_and_keep_earlier_writes() {
    on_every_server(|server| {
        let conn = &mut server.conn();
        prepare(conn);
        let keys = ["2", "{k}a", "{k}b"];
        let eval = |script: &'static str| [&["EVAL", script], &keys[..]].concat();
        let n = |conn: &mut Conn| {
            let found = conn.must(&split(MGET));
            found.array().iter().map(|n| n.text().to_owned()).collect::<Vec<_>>().join(" ")
        };
        // Refused, caught, and another one in its place.
        let caught = "local r = redis.pcall('MODEL.TXN', 2, KEYS[1], KEYS[2], 'ON', KEYS[1], 'INCR', '$.n', -50,
                'IF', 'self.n>=0', 'ON', KEYS[2], 'INCR', '$.n', 50)
            if r.err then r = redis.call('MODEL.TXN', 1, KEYS[1], 'ON', KEYS[1], 'INCR', '$.n', 1) end
            return r";
        let one = Reply::Array(vec![Reply::Array(vec![Reply::bulk("11")])]);
        assert_eq!(conn.must(&eval(caught)), one);
        assert_eq!(n(conn), "11 10");
        // A script that fails keeps what it did before, as ever; a transaction keeps nothing.
        let fails = "redis.call('MODEL.TXN', 1, KEYS[1], 'ON', KEYS[1], 'INCR', '$.n', 1)
            redis.call('MODEL.TXN', 2, KEYS[1], KEYS[2], 'ON', KEYS[1], 'INCR', '$.n', 1,
                'ON', KEYS[2], 'INCR', '$.n', 1, 'MISSING')
            redis.call('MODEL.TXN', 1, KEYS[1], 'ON', KEYS[1], 'INCR', '$.n', 100)";
        let failed = conn.call(&eval(fails));
        assert_eq!(failed.error_word(), "CONDITION", "{failed:?}");
        assert_eq!(n(conn), "12 10");
        // Replies and errors are what a client gets, as Lua has them.
        let typed = "local r = redis.call('MODEL.TXN', 1, KEYS[1], 'ON', KEYS[1], 'GET', '$.none', 'LEN', '$')
            return {type(r[1][1]), type(r[1][2]), #r}";
        let nil = conn.must(&eval(typed));
        let expected = [Reply::bulk("boolean"), Reply::bulk("number"), Reply::Int(1)];
        assert_eq!(nil.array(), expected);
        // A script that said it would only read may not run what can write.
        for script in ["#!lua flags=no-writes\nreturn redis.call(unpack(ARGV))", CALL] {
            let name = if script == CALL { "EVAL_RO" } else { "EVAL" };
            let read = [&[name, script], &keys[..], &split(READ)].concat();
            let refused = conn.call(&read);
            assert!(refused.error().contains("Write commands are not allowed"), "{refused:?}");
            let read = [&[name, script], &keys[..], &split(MGET)].concat();
            assert_eq!(conn.must(&read).array().len(), 2);
        }
        assert_eq!(n(conn), "12 10");
    });
}

#[test]
fn multi_is_left_as_soon_as_a_transaction_cannot_be_queued() {
    on_every_recording(|server| {
        let conn = &mut server.conn();
        prepare(conn);
        let before = world(conn);
        // Too few arguments are seen when it is queued; all else when it runs.
        conn.must(&["MULTI"]);
        conn.must(&split(TRANSFER));
        assert_eq!(conn.call(&["MODEL.TXN", "1", "{k}a"]).error_word(), "ERR");
        assert_eq!(conn.call(&["EXEC"]).error_word(), "EXECABORT");
        conn.must(&["MULTI"]);
        conn.must(&split(TRANSFER));
        conn.must(&["DISCARD"]);
        // Another client was quicker.
        conn.must(&["WATCH", "{k}t"]);
        conn.must(&["MULTI"]);
        conn.must(&split(TRANSFER));
        let other = &mut server.conn();
        other.must(&["SET", "{k}t", "x"]);
        other.must(&["DEL", "{k}t"]);
        assert_eq!(conn.must(&["EXEC"]), Reply::Null);
        assert_eq!(world(conn).1, before.1);
        let replies = conn.pipeline(&[
            split("MULTI"),
            split("MODEL.TXN 1 {k}a ON {k}a NOSUCH"),
            split(TRANSFER),
            split("MODEL.TXN 1 {k}a ON {k}a INCR $.n 1 MISSING"),
            split("MODEL.TXN 1 {k}a ON {k}a GET $.n"),
            split("EXEC"),
        ]);
        let replies = replies[5].array();
        assert_eq!(replies[0].error_word(), "ERR");
        assert_eq!(replies[2].error_word(), "CONDITION");
        assert_eq!(replies[3], Reply::Array(vec![Reply::Array(vec![Reply::bulk("9")])]));
    });
}

#[test]
fn a_replica_runs_no_transaction_though_it_only_reads() {
    on_every_flavor(|flavor| {
        let (master, replica) = (Server::start(flavor, &[]), Server::start(flavor, &[]));
        let admin = &mut master.conn();
        prepare(admin);
        admin.must(&split(TOKEN));
        replica.replica_of(&master);
        let conn = &mut replica.conn();
        let digest = master.debug_digest();
        for command in [TRANSFER, READ, TOKEN] {
            let command = split(command);
            assert_eq!(conn.call(&command).error_word(), "READONLY", "{command:?}");
            for script in scripted(&command) {
                check_says(&conn.call(&script), "READONLY", &script);
            }
            conn.must(&["MULTI"]);
            assert_eq!(conn.call(&command).error_word(), "READONLY", "{command:?}");
            assert_eq!(conn.call(&["EXEC"]).error_word(), "EXECABORT");
        }
        let snapshot = Reply::Array(vec![Reply::bulk("11"), Reply::bulk("10")]);
        assert_eq!(conn.must(&split(MGET)), snapshot);
        for script in ["EVAL", "EVAL_RO"] {
            let eval = [&[script, CALL, "2", "{k}a", "{k}b"], &split(MGET)[..]].concat();
            assert_eq!(conn.must(&eval), snapshot, "{script}");
        }
        assert_eq!(replica.debug_digest(), digest);
    });
}

#[test]
fn a_server_without_memory_runs_no_transaction() {
    on_every_server_with(&["maxmemory-policy noeviction", "appendonly yes"], |server| {
        let conn = &mut server.conn();
        prepare(conn);
        let told = conn.must(&split(TOKEN));
        let digest = server.debug_digest();
        conn.must(&["CONFIG", "SET", "maxmemory", "1"]);
        for command in [TRANSFER, READ, TOKEN, LISTED] {
            let command = split(command);
            assert_eq!(conn.call(&command).error_word(), "OOM", "{command:?}");
            for script in scripted(&command) {
                check_says(&conn.call(&script), "OOM", &script);
            }
            conn.must(&["MULTI"]);
            assert_eq!(conn.call(&command).error_word(), "OOM", "{command:?}");
            assert_eq!(conn.call(&["EXEC"]).error_word(), "EXECABORT");
        }
        conn.must(&split(MGET));
        // A command that frees memory is accepted, as for every type.
        assert_eq!(conn.must(&["DEL", "{k}secret"]), Reply::Int(1));
        assert_ne!(server.debug_digest(), digest);
        conn.must(&["CONFIG", "SET", "maxmemory", "0"]);
        assert_eq!(conn.must(&split(TOKEN)), told);
        conn.must(&split(TRANSFER));
    });
}

/// A master that has to have replicas and has none, and one whose clients were told to wait.
#[test]
fn a_master_that_may_not_write_runs_no_transaction() {
    on_every_recording(|server| {
        let (conn, admin) = (&mut server.conn(), &mut server.conn());
        prepare(conn);
        let before = world(admin);
        admin.must(&["CONFIG", "SET", "min-replicas-to-write", "1"]);
        for command in [TRANSFER, READ, TOKEN] {
            assert_eq!(conn.call(&split(command)).error_word(), "NOREPLICAS", "{command}");
        }
        conn.must(&split(MGET));
        assert_eq!(world(admin), before);
        admin.must(&["CONFIG", "SET", "min-replicas-to-write", "0"]);
        admin.must(&["CLIENT", "PAUSE", "100000000", "WRITE"]);
        conn.send(&split(TRANSFER));
        assert_eq!(conn.recv_within(Duration::from_millis(100)), None);
        admin.must(&split(MGET));
        assert_eq!(world(admin), before);
        admin.must(&["CLIENT", "UNPAUSE"]);
        assert_eq!(conn.recv().array().len(), 2);
        assert_ne!(world(admin), before);
    });
}

#[test]
fn a_cluster_wants_all_keys_in_one_slot_the_tokens_too() {
    on_every_flavor(|flavor| {
        let cluster = Cluster::start(flavor, 2, &[]);
        let conn = &mut cluster.conn_of("{k}a");
        prepare(conn);
        let home = cluster.node_of("{k}a");
        // A name of another slot that this same node serves, too.
        let names = (0..1000).map(|nth| format!("x{nth}"));
        let here = names
            .filter(|name| cluster.node_of(name).port == home.port)
            .find(|name| cluster.slot(name) != cluster.slot("{k}a"))
            .expect("a slot has neighbours");
        let digest = home.debug_digest();
        for words in [
            "MODEL.TXN 2 {k}a @ ON {k}a INCR $.n 1 ON @ CREATE any {}",
            "MODEL.TXN 2 @ {k}a ON {k}a INCR $.n 1",
            "MODEL.TXN 2 {k}a @ TOKEN @ ON {k}a INCR $.n 1",
            "MODEL.TXN 3 {k}a {k}b @ TOKEN {k}b ON {k}a INCR $.n 1",
            "MODEL.MGET 2 {k}a @",
        ] {
            let words = words.replace('@', &here);
            let command = split(&words);
            let reply = conn.call(&command);
            assert_eq!(reply.error_word(), "CROSSSLOT", "{words}: {reply:?}");
            conn.must(&["MULTI"]);
            assert_eq!(conn.call(&command).error_word(), "CROSSSLOT", "{words}");
            assert_eq!(conn.call(&["EXEC"]).error_word(), "EXECABORT", "{words}");
            // Nor behind the back of a script, which declares all of them, or one, or none.
            let count = command[1].parse::<usize>().expect("the number of keys comes first");
            for keys in [&command[1..2 + count], &["1", "{k}a"], &["0"]] {
                let eval = [&["EVAL", CALL], keys, &command].concat();
                assert!(conn.call(&eval).is_error(), "{eval:?}");
            }
            assert_eq!(home.debug_digest(), digest, "{words}");
        }
        // A bad count names no key at all, so any node refuses it itself.
        for node in &cluster.nodes {
            let reply = node.call(&split("MODEL.TXN 9 {k}a @ ON {k}a"));
            assert_eq!(reply.error_word(), "ERR", "{reply:?}");
        }
        conn.must(&split(TOKEN));
        assert_eq!(conn.must(&split(MGET)).array()[0], Reply::bulk("11"));
    });
}
