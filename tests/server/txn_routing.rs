//! Transactions on their way in and out: MULTI, scripts and Functions, access rules, clusters, read-only
//! replicas, and the stream of effects.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use crate::cluster::{Cluster, SlotMove};
use crate::harness::{Server, on_every_flavor, on_every_server};
use crate::resp::{Conn, Reply};

const TRANSFER: [&str; 15] = [
    "MODEL.TXN",
    "2",
    "{k}a",
    "{k}b",
    "ON",
    "{k}a",
    "IF",
    "self.n>=5",
    "INCR",
    "$.n",
    "-5",
    "ON",
    "{k}b",
    "INCR",
    "$.n",
];

/// Moves five from `{k}a` to `{k}b`.
fn transfer() -> Vec<&'static str> {
    [&TRANSFER[..], &["5"]].concat()
}

fn prepare(conn: &mut Conn, n: u32) {
    for key in ["{k}a", "{k}b"] {
        conn.must(&["MODEL.SET", key, "any", &format!(r#"{{"n":{n}}}"#)]);
    }
}

#[track_caller]
fn check_balances(conn: &mut Conn, a: &str, b: &str) {
    let found = conn.must(&["MODEL.MGET", "2", "{k}a", "{k}b", "$.n"]);
    assert_eq!(found, Reply::Array(vec![Reply::bulk(a), Reply::bulk(b)]));
}

#[test]
fn transactions_run_in_multi_in_scripts_and_in_functions() {
    on_every_server(|server| {
        let conn = &mut server.conn();
        prepare(conn, 12);
        conn.must(&["MULTI"]);
        for _ in 0..3 {
            conn.must(&transfer());
        }
        conn.must(&["MODEL.FIELDOP", "{k}b", "INCR", "$.n", "1"]);
        let replies = conn.must(&["EXEC"]);
        // The one that is refused did nothing; MULTI goes on, as ever in Redis.
        assert_eq!(replies.array()[2].error_word(), "CONDITION");
        check_balances(conn, "2", "23");

        let call = "return redis.call(unpack(ARGV))";
        let eval = |script: &'static str| {
            [&["EVAL", script, "2", "{k}a", "{k}b"], &transfer()[..]].concat()
        };
        assert_eq!(conn.call(&eval(call)).error_word(), "CONDITION");
        prepare(conn, 12);
        assert_eq!(conn.must(&eval(call)).array().len(), 2);
        let code = "#!lua name=pay\nredis.register_function('pay', function(keys, args)
            return redis.call(unpack(args)) end)";
        conn.must(&["FUNCTION", "LOAD", code]);
        let fcall = [&["FCALL", "pay", "2", "{k}a", "{k}b"], &transfer()[..]].concat();
        conn.must(&fcall);
        check_balances(conn, "2", "22");
        // A script may catch the refusal, and say so.
        let caught = conn.must(&eval("return redis.pcall(unpack(ARGV)).err"));
        assert!(caught.text().starts_with("CONDITION "), "{caught:?}");
    });
}

#[test]
fn access_rules_guard_every_key_of_a_transaction() {
    on_every_server(|server| {
        let admin = &mut server.conn();
        prepare(admin, 9);
        admin.must(&["MODEL.SET", "{k}secret", "any", "{}"]);
        for (rules, allowed) in [
            (&["~{k}a", "~{k}b"][..], true),
            (&["~{k}a"], false),
            (&["%R~{k}*", "%W~{k}a"], false),
            (&["%RW~{k}a", "%RW~{k}b"], true),
        ] {
            let set = [&["ACL", "SETUSER", "someone", "reset", "on", "nopass", "+@all"], rules];
            admin.must(&set.concat());
            let conn = &mut server.conn();
            conn.must(&["AUTH", "someone", ""]);
            prepare(admin, 9);
            let reply = conn.call(&transfer());
            assert_eq!(reply.is_error(), !allowed, "{rules:?}: {reply:?}");
            if !allowed {
                assert_eq!(reply.error_word(), "NOPERM", "{rules:?}");
                check_balances(admin, "9", "9");
                continue;
            }
            // The documents that expressions read are among the keys, or cannot be read.
            let read = "docs['{k}secret'].x";
            for keys in [&["1", "{k}a"][..], &["2", "{k}a", "{k}secret"]] {
                let command = [&["MODEL.TXN"], keys, &["ON", "{k}a", "EVAL", "$.s", read]];
                let word = if keys.len() == 2 { "EXPR" } else { "NOPERM" };
                assert_eq!(conn.call(&command.concat()).error_word(), word);
            }
            let token = ["MODEL.TXN", "2", "{k}a", "{k}t", "TOKEN", "{k}t", "ON", "{k}a"];
            assert_eq!(conn.call(&token).error_word(), "NOPERM");
        }
    });
}

#[test]
fn a_cluster_routes_transactions_by_all_their_keys() {
    on_every_flavor(|flavor| {
        let cluster = Cluster::start(flavor, 2, &[]);
        let conn = &mut cluster.conn_of("{k}a");
        prepare(conn, 20);
        conn.must(&transfer());
        let across = ["MODEL.TXN", "2", "{k}a", "x", "ON", "{k}a", "INCR", "$.n", "1"];
        assert_eq!(conn.call(&across).error_word(), "CROSSSLOT");
        let migration = SlotMove::of_key(&cluster, "{k}a");
        let other = migration.to;
        assert_eq!(other.call(&transfer()).error_word(), "MOVED");

        // While the slot moves: what is here is done here, what is gone is asked for there, and what is
        // on both sides has to be tried again.
        migration.open();
        conn.must(&transfer());
        migration.carry("{k}a");
        assert_eq!(conn.call(&transfer()).error_word(), "TRYAGAIN");
        migration.carry("{k}b");
        assert_eq!(conn.call(&transfer()).error_word(), "ASK");
        let asking = &mut other.conn();
        asking.must(&["ASKING"]);
        asking.must(&transfer());
        migration.close();
        check_balances(asking, "5", "35");
    });
}

#[test]
fn a_read_only_replica_reads_snapshots_of_many_documents() {
    on_every_flavor(|flavor| {
        let (master, replica) = (Server::start(flavor, &[]), Server::start(flavor, &[]));
        replica.replica_of(&master);
        let conn = &mut master.conn();
        prepare(conn, 500);
        replica.wait_for_sync(&master);
        assert_eq!(replica.call(&transfer()).error_word(), "READONLY");
        let (stop, seen) = (AtomicBool::new(false), AtomicUsize::new(0));
        thread::scope(|scope| {
            scope.spawn(|| {
                let conn = &mut master.conn();
                for nth in 0.. {
                    if nth >= 3000 && nth % 2 == 0 && seen.load(Ordering::Relaxed) > 20 {
                        break;
                    }
                    let (a, b) = if nth % 2 == 0 { ("{k}a", "{k}b") } else { ("{k}b", "{k}a") };
                    // As it is, and as effects.
                    let guard: &[&str] = if nth % 3 == 0 { &["WHEN", "true"] } else { &[] };
                    let head = ["MODEL.TXN", "2", a, b, "ON", a];
                    let tail = ["INCR", "$.n", "-7", "ON", b, "INCR", "$.n", "7"];
                    conn.must(&[&head[..], guard, &tail].concat());
                }
                stop.store(true, Ordering::Relaxed);
            });
            let conn = &mut replica.conn();
            while !stop.load(Ordering::Relaxed) {
                let found = conn.must(&["MODEL.MGET", "2", "{k}a", "{k}b", "$.n"]);
                let number = |nth: usize| found.array()[nth].text().parse::<i64>().expect("n");
                assert_eq!(number(0) + number(1), 1000);
                seen.fetch_add(1, Ordering::Relaxed);
            }
        });
        replica.wait_for_sync(&master);
        check_balances(&mut replica.conn(), "500", "500");
    });
}

/// How often effects of single keys were applied.
pub fn applied(server: &Server) -> usize {
    calls(server, "cmdstat_MODEL.APPLY")
}

fn calls(server: &Server, command: &str) -> usize {
    let calls = server.info(command);
    let calls = calls.strip_prefix("calls=").and_then(|rest| rest.split(',').next());
    calls.map_or(0, |calls| calls.parse().expect("a number"))
}

/// The commands that arrive at a replica for one transaction, by their names; MONITOR shows none that
/// are for administrators, so how many effects there are is counted.
#[test]
fn effects_are_one_unit_in_the_stream() {
    on_every_flavor(|flavor| {
        let quiet = ["repl-ping-replica-period 3600"];
        let (master, replica) = (Server::start(flavor, &quiet), Server::start(flavor, &quiet));
        replica.replica_of(&master);
        let (conn, monitor) = (&mut master.conn(), &mut replica.conn());
        prepare(conn, 100);
        replica.wait_for_sync(&master);
        monitor.must(&["MONITOR"]);
        let mut names = |conn: &mut Conn, words: &[&str]| {
            conn.must(words);
            conn.must(&["SET", "{k}marker", "x"]);
            let mut names = Vec::new();
            loop {
                let line = monitor.recv();
                let name = line.text().split('"').nth(1).expect("a command").to_uppercase();
                match name.as_str() {
                    "SELECT" | "REPLCONF" | "PING" | "INFO" | "DEBUG" => {}
                    "SET" => return names.join(" "),
                    _ => names.push(name),
                }
            }
        };
        assert_eq!(names(conn, &transfer()), "MODEL.TXN");
        let split = |words: &'static str| words.split(' ').collect::<Vec<_>>();
        for (words, expected, (single, units)) in [
            ("MODEL.TXN 2 {k}a {k}b ON {k}a GET $", "", (0, 0)),
            ("MODEL.TXN 2 {k}a {k}b ON {k}a WHEN true INCR $.n 1", "", (1, 0)),
            ("MODEL.TXN 2 {k}a {k}b ON {k}a WHEN true INCR $.n 1 ON {k}b NOW $.t MS", "", (0, 1)),
            (
                "MODEL.TXN 3 {k}a {k}b {k}t TOKEN {k}t ON {k}a INCR $.n 1 ON {k}b DELETE",
                "MULTI UNLINK EXEC",
                (0, 1),
            ),
            ("MODEL.TXN 3 {k}a {k}b {k}t TOKEN {k}t ON {k}a INCR $.n 1 ON {k}b DELETE", "", (0, 0)),
            ("MODEL.TXN 2 {k}a {k}b ON {k}b CREATE any {} DELETE", "", (0, 0)),
            ("MODEL.TXN 2 {k}a {k}b ON {k}b CREATE any {}", "", (1, 0)),
        ] {
            let applied = || (applied(&replica), calls(&replica, "cmdstat_MODEL.APPLYALL"));
            let before = applied();
            assert_eq!(names(conn, &split(words)), expected, "{words}");
            replica.wait_for_sync(&master);
            let after = applied();
            assert_eq!((after.0 - before.0, after.1 - before.1), (single, units), "{words}");
        }
        conn.must(&["MULTI"]);
        conn.must(&transfer());
        conn.must(&["INCR", "{k}count"]);
        assert_eq!(names(conn, &["EXEC"]), "MULTI MODEL.TXN INCR EXEC");
        replica.wait_for_sync(&master);
        assert_eq!(replica.debug_digest(), master.debug_digest());
    });
}
