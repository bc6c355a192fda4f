//! Between versions of servers, and on settings that change how a server works inside.

use std::collections::HashSet;
use std::fs;
use std::path::PathBuf;
use std::thread;

use crate::harness::{Flavor, Server, on_every_flavor};
use crate::replication::{check_equal, run_workload};
use crate::resp::{Conn, Reply};
use crate::workload::{self, Rng};

/// Ways that data goes when a server is replaced by a newer one.
const UPGRADES: [(Flavor, Flavor); 4] = [
    (Flavor::Redis70, Flavor::Redis80),
    (Flavor::Redis70, Flavor::Redis82),
    (Flavor::Redis70, Flavor::Valkey91),
    (Flavor::Redis80, Flavor::Redis82),
];

fn on_every_upgrade(body: impl Fn(&Server, &Server) + Sync) {
    let body = &body;
    thread::scope(|scope| {
        for (from, to) in UPGRADES {
            let name = format!("{} to {}", from.name(), to.name());
            let run = move || body(&Server::start(from, &[]), &Server::start(to, &[]));
            thread::Builder::new().name(name).spawn_scoped(scope, run).expect("a thread starts");
        }
    });
}

#[test]
fn a_replica_of_a_later_version_follows_and_takes_over() {
    let seed = workload::seed("matrix");
    on_every_upgrade(|master, replica| {
        let rng = &mut Rng::new(seed);
        // By a full sync, then command by command.
        run_workload(master, rng, 300);
        replica.replica_of(master);
        check_equal(master, replica);
        run_workload(master, rng, 300);
        check_equal(master, replica);
        replica.must(&["REPLICAOF", "NO", "ONE"]);
        run_workload(replica, rng, 100);
    });
}

/// Everything visible of a document or a token, its locks included. A restored document of a model is validated
/// at its next write, and its digest says so.
fn seen(conn: &mut Conn, key: &str) -> Vec<Reply> {
    let mut seen = vec![conn.must(&["TYPE", key]), conn.call(&["MODEL.GET", key])];
    let meta = conn.call(&["MODEL.META", key]);
    if meta.is_error() || meta.field("model") == &Reply::bulk("any") {
        seen.push(conn.must(&["DEBUG", "DIGEST-VALUE", key]));
    }
    seen.push(meta);
    seen
}

#[test]
fn a_later_version_restores_what_an_earlier_one_dumps() {
    let seed = workload::seed("matrix");
    on_every_upgrade(|from, to| {
        run_workload(from, &mut Rng::new(seed), 500);
        let (conn, other) = (&mut from.conn(), &mut to.conn());
        for nth in 0..4 {
            let (key, token) = (format!("locked:{nth}"), format!("token:{nth}"));
            conn.must(&["MODEL.SET", &key, "any", r#"{"n":0}"#]);
            conn.must(&["MODEL.LOCK", &key, "l", "me", "LEASE", "40000000"]);
            let block = ["TOKEN", &token, "ON", &key, "INCR", "$.n", "1"];
            conn.must(&[&["MODEL.TXN", "2", &key, &token][..], &block].concat());
        }
        let (mut kinds, keys) = (HashSet::new(), conn.must(&["KEYS", "*"]));
        for key in keys.array().iter().map(Reply::text) {
            let Reply::Bulk(payload) = conn.must(&["DUMP", key]) else { panic!("a payload") };
            kinds.insert(conn.must(&["TYPE", key]).text().to_owned());
            let expires = conn.must(&["PEXPIRETIME", key]).int().max(0).to_string();
            let (key_bytes, expires) = (key.as_bytes(), expires.as_bytes());
            let restore = [&b"RESTORE"[..], key_bytes, expires, &payload, b"ABSTTL"];
            let restored = other.call_bytes(&restore);
            assert_eq!(restored, Reply::ok());
            assert_eq!(seen(other, key), seen(conn, key), "{key}");
        }
        assert!(kinds.contains("model-doc") && kinds.contains("model-txn"), "{kinds:?}");
    });
}

#[test]
fn many_clients_are_served_by_several_threads() {
    const CLIENTS: usize = 8;
    const ROUNDS: usize = 6;
    const BATCH: usize = 20;
    on_every_flavor(|flavor| {
        let reads = ["io-threads 4", "io-threads-do-reads yes"];
        let config = if flavor == Flavor::Redis70 { &reads[..] } else { &reads[..1] };
        let (server, replica) = (Server::start(flavor, config), Server::start(flavor, config));
        replica.replica_of(&server);
        server.must(&["MODEL.SET", "all", "any", r#"{"n":0,"text":""}"#]);
        thread::scope(|scope| {
            for nth in 0..CLIENTS {
                let server = &server;
                scope.spawn(move || {
                    let (conn, own) = (&mut server.conn(), &format!("own:{nth}"));
                    let long = format!("\"{}\"", "x".repeat(3000));
                    for _ in 0..ROUNDS {
                        for _ in 0..BATCH {
                            conn.send(&["MODEL.FIELDOP", "all", "INCR", "$.n", "1"]);
                            conn.send(&["MODEL.SET", own, "any", &long]);
                            let both = ["ON", "all", "INCR", "$.n", "1", "ON", own, "LEN", "$"];
                            conn.send(&[&["MODEL.TXN", "2", "all", own][..], &both].concat());
                        }
                        for _ in 0..BATCH * 3 {
                            let reply = conn.recv();
                            assert!(!reply.is_error(), "{reply:?}");
                        }
                        assert_eq!(conn.must(&["MODEL.GET", own]), Reply::bulk(&long));
                    }
                });
            }
        });
        let total = (CLIENTS * ROUNDS * BATCH * 2).to_string();
        assert_eq!(server.must(&["MODEL.GET", "all", "$.n"]), Reply::bulk(&total));
        check_equal(&server, &replica);
    });
}

/// How many changes the log of commands holds.
const CHANGES: i64 = 40;
/// How far from its end the file is cut.
const TAIL: usize = 2048;
/// Every so many bytes: no divisor of what one change takes.
const STRIDE: usize = 53;

/// The file of commands, begun when the server was started.
fn log_of_commands(server: &Server) -> PathBuf {
    server.dir().join("appendonlydir/appendonly.aof.1.incr.aof")
}

/// Changes two documents and two structures with a token, then a third document.
fn change(conn: &mut Conn, nth: i64) {
    let token = &format!("token:{nth}");
    let blocks = ["TOKEN", token, "ON", "a", "INCR", "$.n", "1", "ON", "b", "INCR", "$.n", "1"];
    let natives = ["AT", "h", "HINCRBY", "\"n\"", "1", "AT", "l", "RPUSH", "=docs['a'].n"];
    conn.must(&[&["MODEL.TXN", "5", "a", "b", "h", "l", token][..], &blocks, &natives].concat());
    conn.must(&["MODEL.FIELDOP", "c", "SET", "$.n", &nth.to_string()]);
}

/// How many changes a server holds: each with all that belongs to it, or without a trace.
#[track_caller]
fn changes(conn: &mut Conn) -> (i64, i64) {
    let read = conn.must(&["MODEL.MGET", "3", "a", "b", "c", "$.n"]);
    let n: Vec<i64> = read.array().iter().map(|n| n.text().parse().expect("a number")).collect();
    assert_eq!(n[0], n[1], "a transaction is there as a whole");
    let hash = match conn.must(&["HGET", "h", "n"]) {
        Reply::Null => 0,
        n => n.text().parse().expect("a number"),
    };
    assert_eq!((hash, conn.must(&["LLEN", "l"]).int()), (n[0], n[0]), "with its natives");
    assert!(n[2] == n[0] || n[2] == n[0] - 1, "{n:?}: in the order of the commands");
    for nth in 1..=CHANGES {
        let there = conn.must(&["EXISTS", &format!("token:{nth}")]) == Reply::Int(1);
        assert_eq!(there, nth <= n[0], "the token of change {nth} of {n:?}");
    }
    (n[0], n[2])
}

#[test]
fn a_log_cut_at_any_byte_holds_the_commands_before_the_cut() {
    on_every_flavor(|flavor| {
        let config = ["appendonly yes", "appendfsync always", "aof-load-truncated yes"];
        let server = Server::start(flavor, &config);
        let conn = &mut server.conn();
        ["a", "b", "c"].iter().for_each(|key| {
            conn.must(&["MODEL.SET", key, "any", r#"{"n":0}"#]);
        });
        (1..=CHANGES).for_each(|nth| change(conn, nth));
        server.kill9();
        let (folder, file) = (server.dir().join("appendonlydir"), log_of_commands(&server));
        let read = |path: PathBuf| (fs::read(&path).expect("the file is there"), path);
        let paths = fs::read_dir(&folder).expect("the folder is there").flatten();
        let files: Vec<_> = paths.map(|entry| read(entry.path())).collect();
        let whole = fs::read(&file).expect("the file is there");
        let mut last = (0, 0);
        for len in (whole.len() - TAIL..=whole.len()).step_by(STRIDE).chain([whole.len()]) {
            // The file that was cut before may have been rewritten since.
            fs::remove_dir_all(&folder)
                .and_then(|()| fs::create_dir(&folder))
                .expect("it is empty");
            for (bytes, path) in &files {
                fs::write(path, bytes).expect("the file can be written");
            }
            fs::write(&file, &whole[..len]).expect("the file can be cut");
            server.restart_without_rewrite();
            let found = changes(&mut server.conn());
            assert!(found >= last, "{found:?} after {last:?}: a longer file holds no less");
            last = found;
            server.kill9();
        }
        assert_eq!(last, (CHANGES, CHANGES));
        server.restart();
    });
}

/// Redis cuts a file that ends within a unit behind the last whole command of the unit. What it appends would be read as part of the
/// unit, and half a transaction would happen at the second start, if the module did not have the file rewritten.
#[test]
fn a_cut_unit_stays_without_a_trace() {
    on_every_flavor(|flavor| {
        for cut in [150, 250, 350, 450] {
            let config = ["appendonly yes", "appendfsync always", "aof-load-truncated yes"];
            let server = Server::start(flavor, &config);
            let conn = &mut server.conn();
            ["a", "b", "c"].iter().for_each(|key| {
                conn.must(&["MODEL.SET", key, "any", r#"{"n":0}"#]);
            });
            (1..=3).for_each(|nth| change(conn, nth));
            server.kill9();
            let whole = fs::read(log_of_commands(&server)).expect("the file is there");
            fs::write(log_of_commands(&server), &whole[..whole.len() - cut])
                .expect("it can be cut");
            server.restart();
            let conn = &mut server.conn();
            let (found, _) = changes(conn);
            change(conn, found + 1);
            server.kill9();
            server.restart();
            assert_eq!(changes(&mut server.conn()), (found + 1, found + 1), "{cut}");
        }
    });
}
