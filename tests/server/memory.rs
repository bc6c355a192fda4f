//! Documents in the server's memory: `maxmemory`, eviction, and nothing that leaks.

use redis_model::op;

use crate::harness::{Server, on_every_flavor, on_every_server, on_every_server_with};
use crate::locking::{LONG, lock, make, until_waiting};
use crate::resp::Reply;
use crate::workload::{self, Rng};

pub fn used(server: &Server) -> u64 {
    server.info("used_memory").parse().expect("a number")
}

#[test]
fn when_memory_is_short_writes_are_refused_and_the_rest_works() {
    on_every_flavor(|flavor| {
        let master = Server::start(flavor, &["maxmemory-policy noeviction"]);
        let replica = Server::start(flavor, &[]);
        replica.replica_of(&master);
        let conn = &mut master.conn();
        conn.must(&["MODEL.SET", "doc", "any", r#"{"n":1}"#]);
        conn.must(&["CONFIG", "SET", "maxmemory", "1"]);
        for write in [
            &["MODEL.SET", "doc", "any", "{}"][..],
            &["MODEL.SET", "new", "any", "{}"],
            &["MODEL.FIELDOP", "doc", "INCR", "$.n", "1"],
            &["EVAL", "return redis.call('MODEL.SET', KEYS[1], 'any', '{}')", "1", "doc"],
        ] {
            let refused = conn.call(write);
            assert!(refused.error().contains("OOM"), "{write:?}: {refused:?}");
        }
        assert_eq!(conn.must(&["MODEL.GET", "doc"]), Reply::bulk(r#"{"n":1}"#));
        assert_eq!(conn.must(&["MODEL.MGET", "1", "doc", "$.n"]).array(), [Reply::bulk("1")]);
        conn.must(&["MODEL.META", "doc"]);
        conn.must(&["MODEL.HELP"]);
        conn.must(&["CONFIG", "SET", "maxmemory", "0"]);
        conn.must(&["MODEL.FIELDOP", "doc", "INCR", "$.n", "1"]);

        // A replica without memory still takes what its master took.
        replica.wait_for_sync(&master);
        replica.must(&["CONFIG", "SET", "maxmemory", "1"]);
        conn.must(&["MODEL.FIELDOP", "doc", "INCR", "$.n", "1"]);
        conn.must(&["MODEL.SET", "new", "any", "{}"]);
        replica.wait_for_sync(&master);
        assert_eq!(replica.debug_digest(), master.debug_digest());
        conn.must(&["CONFIG", "SET", "maxmemory", "1"]);
        assert_eq!(conn.must(&["DEL", "doc", "new"]), Reply::Int(2));
    });
}

/// The server gives each blocked client of a module two internal ones with reply buffers of 16 KB, which it counts
/// and hardly touches. What a waiting client takes beside them is little.
#[test]
fn a_waiting_client_takes_little_beside_the_buffers_of_the_server() {
    const WAITERS: u64 = 400;
    const BUFFERS: u64 = 2 * 16 * 1024;
    on_every_flavor(|flavor| {
        let server = Server::start(flavor, &["save ''"]);
        let conn = &mut server.conn();
        make(conn, "k");
        lock(conn, "k", "holder");
        let mut waiters: Vec<_> = (0..WAITERS).map(|_| server.conn()).collect();
        waiters.iter_mut().for_each(|waiter| drop(waiter.must(&["PING"])));
        let before = used(&server);
        for (nth, waiter) in waiters.iter_mut().enumerate() {
            let owner = format!("owner:{nth}");
            waiter.send(&["MODEL.LOCK", "k", "n", &owner, "LEASE", LONG, "WAIT", LONG]);
        }
        until_waiting(&server, WAITERS);
        let each = used(&server).saturating_sub(before) / WAITERS;
        assert!(each < BUFFERS + 6 * 1024, "{each} bytes for each waiter");
    });
}

/// The server has the arguments of a blocked client, and for some seconds a query buffer that would hold as many again.
#[test]
fn the_arguments_of_a_waiting_search_are_kept_once() {
    const WAITERS: u64 = 20;
    const BYTES: u64 = 100_000;
    on_every_flavor(|flavor| {
        let server = Server::start(flavor, &["save ''"]);
        let conn = &mut server.conn();
        conn.must(&["MODEL.DEFINE", "job", "{}", "INDEX", "state", "1", "$.state"]);
        let mut waiters: Vec<_> = (0..WAITERS).map(|_| server.conn()).collect();
        waiters.iter_mut().for_each(|waiter| drop(waiter.must(&["PING"])));
        let before = used(&server);
        for (nth, waiter) in waiters.iter_mut().enumerate() {
            let text = "x".repeat(BYTES as usize);
            let args = format!(r#"{{"state":"s{nth}","text":"{text}"}}"#);
            let head = ["MODEL.FINDOP", "0", "job", "WHERE", "self.state == args.state", "ARGS"];
            waiter.send(&[&head[..], &[&args, "WAIT", LONG, "DO", "DELETE"]].concat());
        }
        let waiting = || server.info("model_find_waiters") == WAITERS.to_string();
        server.wait_until("all wait", waiting);
        let each = used(&server).saturating_sub(before) / WAITERS;
        assert!(each < 3 * BYTES, "{each} bytes for each waiter");
    });
}

#[test]
fn documents_are_evicted_like_any_key() {
    on_every_server_with(&["maxmemory-policy allkeys-lru"], |server| {
        let conn = &mut server.conn();
        conn.must(&["CONFIG", "SET", "maxmemory", &(used(server) + (4 << 20)).to_string()]);
        let json = format!(r#"{{"text":"{}","list":[1,2,3]}}"#, "x".repeat(2000));
        for nth in 0..5000 {
            conn.must(&["MODEL.SET", &format!("doc:{nth}"), "any", &json]);
        }
        let evicted: u64 = server.info("evicted_keys").parse().expect("a number");
        assert!(evicted > 1000, "{evicted}");
        // From here on nothing more is evicted.
        conn.must(&["CONFIG", "SET", "maxmemory", "0"]);
        let left = conn.must(&["DBSIZE"]).int();
        assert!((100..5000).contains(&left), "{left}");
        assert_eq!(server.info("model_documents"), left.to_string());
        // Any document may have been evicted, the last one too: all have the same age to the second.
        let kept = conn.must(&["RANDOMKEY"]);
        assert_eq!(conn.must(&["MODEL.GET", kept.text(), "$.list[0]"]), Reply::bulk("1"));
    });
}

/// The same document under the same commands, over and over: after the first round that has
/// warmed every buffer, nothing may be added. What the allocator and the server's own buffers move
/// about stays below this many bytes: steps of 10 and 20 KB that come once, in whichever round, 37 KB at the most. One leaked
/// byte in each operation would be more.
const NOISE: u64 = 60_000;
const ROUND: usize = 20_000;

/// Repeats a round until so many of them in sequence have added nothing to the used memory. A leak adds in every round.
/// Buffers and tables that grow once delay the end, at most as often as `ATTEMPTS` says.
#[track_caller]
pub fn assert_settles(server: &Server, rounds: usize, mut round: impl FnMut()) {
    const ATTEMPTS: usize = 4;
    let mut measured = Vec::new();
    for nth in 0..rounds * ATTEMPTS {
        round();
        measured.push(used(server));
        if nth >= rounds && measured[nth] < measured[nth - rounds] + NOISE {
            return;
        }
    }
    panic!("the used memory grows: {measured:?}");
}

#[test]
fn two_hundred_thousand_operations_leak_nothing() {
    let seed = workload::seed("memory");
    // The log of slow commands keeps their arguments, and how many are slow depends on the machine.
    on_every_server_with(&["slowlog-log-slower-than -1"], |server| {
        let conn = &mut server.conn();
        assert_settles(server, 8, || {
            // Every round is the same, and the key is gone at its end.
            let mut rng = Rng::new(seed);
            let commands = (0..ROUND).map(|nth| match nth % 500 {
                0 => workload::set(&mut rng, "doc"),
                _ => workload::fieldop(&mut rng, "doc"),
            });
            conn.pipeline(&commands.collect::<Vec<_>>());
            conn.must(&["DEL", "doc"]);
            assert_eq!(server.info("model_documents"), "0");
        });
    });
}

/// As above for what a random workload seldom does: each example, refusals among them.
#[test]
fn examples_repeated_leak_nothing() {
    on_every_server(|server| {
        let conn = &mut server.conn();
        let own = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
        let examples = op::of(op::Target::Value).iter().flat_map(|spec| spec.examples);
        let round: Vec<_> = examples
            .flat_map(|example| {
                [
                    own(&["MODEL.SET", "doc", "any", example.before]),
                    [own(&["MODEL.FIELDOP", "doc"]), own(&example.words())].concat(),
                    own(&["MODEL.GET", "doc", "$..*"]),
                ]
            })
            .collect();
        assert_settles(server, 4, || {
            for _ in 0..20 {
                conn.pipeline(&round);
            }
            conn.must(&["DEL", "doc"]);
        });
    });
}

#[test]
fn info_counts_documents_commits_and_aborts() {
    on_every_server(|server| {
        let conn = &mut server.conn();
        let number = |field: &str| server.info(field).parse::<i64>().expect("a number");
        conn.must(&["MODEL.SET", "a", "any", r#"{"n":1}"#]);
        conn.must(&["MODEL.SET", "b", "any", "{}"]);
        conn.must(&["COPY", "a", "c"]);
        assert_eq!((number("model_documents"), number("model_commits")), (3, 2));
        conn.must(&["MODEL.FIELDOP", "a", "GET", "$"]);
        conn.must(&["MODEL.GET", "a"]);
        assert_eq!(number("model_commits"), 2, "reading is no commit");
        conn.must(&["MODEL.FIELDOP", "a", "INCR", "$.n", "1"]);
        assert_eq!(number("model_commits"), 3);
        for (field, refused) in [
            ("model_aborts_err", &["MODEL.GET", "a", "x"][..]),
            ("model_aborts_nopath", &["MODEL.FIELDOP", "a", "SET", "$.x.y", "1"]),
            ("model_aborts_nokey", &["MODEL.FIELDOP", "x", "SET", "$", "1"]),
            ("model_aborts_condition", &["MODEL.FIELDOP", "a", "MISSING"]),
            ("model_aborts_revision", &["MODEL.FIELDOP", "a", "IFREV", "1"]),
        ] {
            assert_eq!(number(field), 0, "{field}");
            assert!(conn.call(refused).is_error());
            assert_eq!(number(field), 1, "{field}");
        }
        conn.must(&["RENAME", "a", "b"]);
        conn.must(&["DEL", "c"]);
        assert_eq!(number("model_documents"), 1);
    });
}
