//! A minute of everything at once: random commands, money under tokens, and locks whose clients come and
//! go, on a master with an AOF and a replica. Between rounds both hold the same, nothing is left of what
//! was waited for, and memory is back where it was after the first round.
//!
//! `SOAK_SECONDS=900 cargo test --test server soak` takes longer.

use std::thread;
use std::time::{Duration, Instant};

use redis_model::testing::coverage::{Missing, until_covered};

use crate::harness::{Server, on_every_flavor};
use crate::resp::{Conn, Reply};
use crate::workload::{self, Rng};

const ROUNDS: u32 = 5;
const SECONDS: u64 = 60;
const PATIENCE: Duration = Duration::from_secs(60);
/// Memory that a round may leave in caches and free lists and the round before it did not.
const SLACK_BYTES: u64 = 1 << 20;
const DOCUMENTS: usize = 3;
/// The log of slow commands keeps their arguments, and how many are slow depends on the machine.
const SLOWLOG: &str = "slowlog-log-slower-than -1";
/// How often a round is made longer in which something did not occur.
const LOADS_MAX: u64 = 10;

#[test]
fn mixed_load_leaves_nothing_behind() {
    let seed = workload::seed("soak");
    let seconds = std::env::var("SOAK_SECONDS").ok().and_then(|seconds| seconds.parse().ok());
    let round = Duration::from_secs(seconds.unwrap_or(SECONDS)) / ROUNDS;
    on_every_flavor(|flavor| {
        let (master, replica) = (
            Server::start(flavor, &[SLOWLOG, "appendonly yes"]),
            Server::start(flavor, &[SLOWLOG]),
        );
        replica.replica_of(&master);
        let mut after_first = [0; 2];
        for nth in 0..u64::from(ROUNDS) {
            let counted =
                ["commits", "lock_grants", "lock_wait_ms_count", "transaction_changes_count"];
            let before = counted.map(|name| number(&master, name));
            until_covered(LOADS_MAX, |again| {
                let seed = seed.wrapping_add(nth + again * u64::from(ROUNDS));
                load(&master, seed, Instant::now() + round);
                let more = |(name, before)| (name, (number(&master, name) - before) as usize);
                Missing::of(&counted.into_iter().zip(before).map(more).collect::<Vec<_>>())
            });
            compare(&master, &replica);
            clear(&master, &replica);
            let memory = [&master, &replica].map(dataset);
            match nth {
                0 => after_first = memory,
                _ => assert!(
                    memory.iter().zip(&after_first).all(|(now, first)| *now < first + SLACK_BYTES),
                    "round {nth} left {memory:?} bytes, the first one {after_first:?}"
                ),
            }
        }
    });
}

fn number(server: &Server, name: &str) -> u64 {
    server.info(&format!("model_{name}")).parse().expect("a number")
}

fn load(server: &Server, seed: u64, until: Instant) {
    let rng = |nth: u64| Rng::new(seed.wrapping_mul(31).wrapping_add(nth));
    prepare(&mut server.conn());
    thread::scope(|scope| {
        for nth in 0..2 {
            scope.spawn(move || run_commands(server, rng(nth), until));
        }
        scope.spawn(move || pay(server, rng(2), until));
        for nth in 3..7 {
            scope.spawn(move || lock(server, rng(nth), nth, until));
        }
    });
}

fn prepare(conn: &mut Conn) {
    for nth in 0..DOCUMENTS {
        conn.must(&["MODEL.SET", &format!("{{s}}:{nth}"), "any", r#"{"n":0}"#]);
    }
}

/// Any commands; what is refused is refused.
fn run_commands(server: &Server, mut rng: Rng, until: Instant) {
    let conn = &mut server.conn();
    while Instant::now() < until {
        let command = workload::command(&mut rng, "w:");
        conn.call(&command.iter().map(String::as_str).collect::<Vec<_>>());
    }
}

/// Payments, each of them sent twice.
fn pay(server: &Server, mut rng: Rng, until: Instant) {
    let conn = &mut server.conn();
    let mut paid = 0;
    while Instant::now() < until {
        let (from, to) = (rng.below(5).to_string(), rng.below(5).to_string());
        let (from, to) = (format!("{{p}}:{from}"), format!("{{p}}:{to}"));
        let (window, is_long) = if rng.one_in(2) { (1, false) } else { (600_000, true) };
        paid += 1;
        let token = format!("{{p}}:token:{paid}");
        let words = format!(
            "MODEL.TXN 3 {from} {to} {token} TOKEN {token} WINDOW {window} ON {from} INIT any {{\"n\":9}} INCR $.n -1 ON {to} INIT any {{\"n\":9}} INCR $.n 1"
        );
        let words: Vec<&str> = words.split(' ').collect();
        let first = conn.must(&words);
        let again = conn.must(&words);
        assert!(first == again || !is_long, "{first:?} {again:?}");
    }
}

/// Locks: taken, waited for, used, left behind by clients that vanish, and lost with their documents.
fn lock(server: &Server, mut rng: Rng, client: u64, until: Instant) {
    let mut conn = server.conn();
    let mut task = 0;
    while Instant::now() < until {
        task += 1;
        let owner = format!("{client}:{task}");
        let key = format!("{{s}}:{}", rng.below(DOCUMENTS));
        let other = format!("{{s}}:{}", rng.below(DOCUMENTS));
        match rng.below(14) {
            0 => {
                conn.send(&["MODEL.LOCK", &key, "n", &owner, "WAIT", "1000", "LEASE", "20"]);
                conn = server.conn();
            }
            1 => {
                checked(&mut conn, &["MODEL.LOCK", &key, "n", &owner, "EPHEMERAL"]);
                conn = server.conn();
            }
            2 => {
                checked(&mut conn, &["MODEL.LOCK", &key, "n", &owner, "LEASE", "20"]);
            }
            3 => {
                conn.must(&["DEL", &key]);
                prepare(&mut conn);
            }
            4 | 5 => {
                let both = ["MODEL.MLOCK", "2", &key, &other, "n", &owner];
                let both = [&both[..], &["WAIT", "100", "LEASE", "500"]].concat();
                let Some(grants) = checked(&mut conn, &both) else { continue };
                for (key, grant) in [&key, &other].iter().zip(grants.array()) {
                    let fence = grant.array()[0].int().to_string();
                    checked(&mut conn, &["MODEL.UNLOCK", key, "n", &owner, &fence]);
                }
            }
            _ => {
                let mode: &[&str] = if rng.one_in(3) { &["SHARED"] } else { &[] };
                let ask = ["MODEL.LOCK", &key, "n", &owner, "WAIT", "200", "LEASE", "500", "GET"];
                let Some(grant) = checked(&mut conn, &[&ask[..], mode].concat()) else { continue };
                let fence = grant.array()[0].int().to_string();
                let held = ["n", &owner, &fence];
                let save = ["MODEL.FIELDOP", &key, "HOLDING", held[0], held[1], held[2]];
                let save = [&save[..], &["INCR", "$.n", "1", "RELEASE"], &held].concat();
                checked(&mut conn, &save);
            }
        }
    }
}

/// The reply, unless there is none, or the lock or its document was lost meanwhile.
fn checked(conn: &mut Conn, words: &[&str]) -> Option<Reply> {
    conn.send(words);
    let reply = conn.recv_within(PATIENCE).expect("every client is answered");
    if reply.is_error() {
        let lost = ["NOKEY", "LOCKLOST", "DEADLOCK"].contains(&reply.error_word());
        assert!(lost, "{words:?}: {reply:?}");
        return None;
    }
    (reply != Reply::Null).then_some(reply)
}

/// Both hold the same when nothing is under way and short-lived keys are gone.
fn compare(master: &Server, replica: &Server) {
    master.wait_until("no request waits", || number(master, "lock_waiters") == 0);
    let conn = &mut master.conn();
    // Those of the workload last longer.
    master.wait_until("leases are over", || {
        let mut is_free =
            |nth| conn.must(&["MODEL.LOCKS", &format!("{{s}}:{nth}")]).array().is_empty();
        (0..DOCUMENTS).all(&mut is_free)
    });
    master.wait_until("short-lived keys are gone", || {
        let keys = conn.must(&["KEYS", "*"]);
        let times = keys.array().iter().map(|key| conn.must(&["PTTL", key.text()]).int());
        // Longer times to live of the workload are ten minutes at least.
        times.collect::<Vec<_>>().iter().all(|left| !(0..10_000).contains(left))
    });
    // Keys whose time is over are deleted by and by, first here and then there.
    replica.wait_for_sync(master);
    master.wait_until("both hold the same", || replica.debug_digest() == master.debug_digest());
}

/// Takes away all documents, tokens and models.
fn clear(master: &Server, replica: &Server) {
    let conn = &mut master.conn();
    conn.must(&["FLUSHALL"]);
    master.wait_until("every document is freed", || number(master, "documents") == 0);
    for model in conn.must(&["MODEL.MODELS"]).array() {
        if model.text() != "any" {
            conn.must(&["MODEL.UNDEFINE", model.text()]);
        }
    }
    replica.wait_for_sync(master);
    for server in [master, replica] {
        for what in ["documents", "tokens", "models", "locks_held", "lock_waiters"] {
            server.wait_until(what, || number(server, what) == 0);
        }
        server.wait_until("no client is blocked", || server.info("blocked_clients") == "0");
    }
}

/// Memory, without the buffers of clients, replicas and the AOF.
fn dataset(server: &Server) -> u64 {
    server.info("used_memory_dataset").parse().expect("a number")
}
