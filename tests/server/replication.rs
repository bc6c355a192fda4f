//! Replication: effects travel, not intents, and a replica holds what its master holds.

use crate::harness::{Server, on_every_flavor, on_every_server_with};
use crate::resp::{Conn, Reply};
use crate::workload::{self, Rng, definitions};

/// A master whose stream holds nothing but what tests write: no PING in between.
const QUIET: [&str; 1] = ["repl-ping-replica-period 3600"];

/// Runs `body` with a master and its replica, on every flavour.
pub fn on_every_pair(config: &[&str], body: impl Fn(&Server, &Server) + Sync) {
    on_every_flavor(|flavor| {
        let config = [&QUIET[..], config].concat();
        let (master, replica) = (Server::start(flavor, &config), Server::start(flavor, &config));
        replica.replica_of(&master);
        body(&master, &replica);
    });
}

/// All of the keyspace as a client sees it, apart from what DEBUG DIGEST sees: names, digests, expiry.
fn keyspace(server: &Server) -> Vec<(String, Reply, Reply)> {
    let conn = &mut server.conn();
    let mut keys: Vec<String> =
        conn.must(&["KEYS", "*"]).array().iter().map(|key| key.text().to_owned()).collect();
    keys.sort();
    let models = definitions(conn).into_iter();
    let models = models.map(|(name, definition)| (name, definition, Reply::Null));
    models
        .collect::<Vec<_>>()
        .into_iter()
        .chain(keys.into_iter().map(|key| {
            let digest = conn.must(&["DEBUG", "DIGEST-VALUE", &key]);
            let expires = conn.must(&["PEXPIRETIME", &key]);
            (key, digest, expires)
        }))
        .collect()
}

#[track_caller]
pub fn check_equal(master: &Server, replica: &Server) {
    replica.wait_for_sync(master);
    assert_eq!(keyspace(replica), keyspace(master));
    // The master may delete a key that has expired between two looks, in any database.
    replica.wait_until("the digests are equal", || {
        replica.wait_for_sync(master);
        replica.debug_digest() == master.debug_digest()
    });
    let held = |server: &Server| server.info("model_locks_held");
    replica.wait_until("it knows what is held", || held(replica) == held(master));
}

fn call(conn: &mut Conn, command: &[String]) -> Reply {
    let command: Vec<&str> = command.iter().map(String::as_str).collect();
    conn.call(&command)
}

/// Random commands in the ways they reach a server: bare, in MULTI, in scripts. Ends with the keys
/// that should have expired by then gone.
pub fn run_workload(server: &Server, rng: &mut Rng, count: usize) {
    let conn = &mut server.conn();
    for _ in 0..count {
        let commands: Vec<_> = (0..1 + rng.below(3))
            .map(|_| match rng.one_in(6) {
                true => workload::hold(rng, conn, "w:"),
                false => workload::command(rng, "w:"),
            })
            .collect();
        match rng.below(10) {
            0 | 1 => {
                conn.must(&["MULTI"]);
                commands.iter().for_each(|command| drop(call(conn, command)));
                // A command refused when it was queued discards the rest: that is a case too.
                conn.call(&["EXEC"]);
            }
            2 => {
                let calls = "for _, packed in ipairs(ARGV) do
                    redis.pcall(unpack(cjson.decode(packed))) end";
                let packed: Vec<_> = commands
                    .iter()
                    .map(|command| serde_json::to_string(command).expect("strings are JSON"))
                    .collect();
                let eval: Vec<&str> = ["EVAL", calls, "0"]
                    .into_iter()
                    .chain(packed.iter().map(String::as_str))
                    .collect();
                conn.must(&eval);
            }
            _ => commands.iter().for_each(|command| drop(call(conn, command))),
        }
    }
    // Expired keys are gone on the master when they are looked up, and it tells the replica. What the
    // workload lets live longer it lets live for ten minutes at the least: none of that is waited for,
    // also late in a test on a slow machine.
    let now_ms = server.must(&["TIME"]).array()[0].text().parse::<i64>().expect("seconds") * 1000;
    let is_short_lived = |expires: &Reply| (0..now_ms + 10_000).contains(&expires.int());
    server.wait_until("short-lived keys are past their time", || {
        !keyspace(server)
            .iter()
            .any(|(_, _, expires)| *expires != Reply::Null && is_short_lived(expires))
    });
    // A server hides such keys before it deletes them; those it looks up it deletes, and tells its replicas.
    for nth in 0..workload::KEYS {
        conn.must(&["EXISTS", &format!("w:{nth}")]);
    }
}

#[test]
fn a_replica_follows_a_random_workload() {
    let seed = workload::seed("replication");
    on_every_pair(&[], |master, replica| {
        let mut rng = Rng::new(seed);
        for _ in 0..4 {
            run_workload(master, &mut rng, 500);
            check_equal(master, replica);
        }
        assert!(!keyspace(master).is_empty());
        master.must(&["FLUSHDB"]);
        check_equal(master, replica);
        assert_eq!(replica.must(&["DBSIZE"]), Reply::Int(0));
        replica.wait_until("every document is freed", || replica.info("model_documents") == "0");
    });
}

#[test]
fn a_replica_with_smaller_limits_takes_everything() {
    let seed = workload::seed("replication");
    on_every_pair(&[], |master, replica| {
        for (name, _) in replica.must(&["CONFIG", "GET", "model.*"]).pairs() {
            replica.must(&["CONFIG", "SET", name.text(), "1"]);
        }
        master.must(&["CONFIG", "SET", "model.depth", "512"]);
        let mut rng = Rng::new(seed);
        run_workload(master, &mut rng, 500);
        let deep = "[".repeat(512) + &"]".repeat(512);
        master.must(&["MODEL.SET", "deep", "any", &deep]);
        master.must(&["MODEL.FIELDOP", "deep", "SET", "$[0][0]", &deep[2..1022]]);
        master.must(&["MODEL.SET", "large", "any", &format!("\"{}\"", "x".repeat(1 << 20))]);
        check_equal(master, replica);
        // A full sync reads what it may not write, too.
        replica.must(&["REPLICAOF", "NO", "ONE"]);
        replica.must(&["FLUSHALL"]);
        replica.replica_of(master);
        check_equal(master, replica);
    });
}

#[test]
fn chained_replicas_follow() {
    let seed = workload::seed("replication");
    on_every_pair(&[], |master, replica| {
        let last = Server::start(master.flavor, &QUIET);
        last.replica_of(replica);
        run_workload(master, &mut Rng::new(seed), 500);
        check_equal(master, replica);
        check_equal(replica, &last);
    });
}

#[test]
fn a_replica_with_an_aof_comes_back_equal() {
    let seed = workload::seed("replication");
    for preamble in ["aof-use-rdb-preamble yes", "aof-use-rdb-preamble no"] {
        on_every_pair(&["appendonly yes", preamble], |master, replica| {
            let mut rng = Rng::new(seed);
            run_workload(master, &mut rng, 300);
            check_equal(master, replica);
            // A server does not exit before the AOF it begins after a full sync is written.
            replica.wait_for_aof();
            replica.restart();
            assert_eq!(keyspace(replica), keyspace(master));
            replica.replica_of(master);
            run_workload(master, &mut rng, 100);
            check_equal(master, replica);
            master.restart();
            assert_eq!(keyspace(replica), keyspace(master));
        });
    }
}

#[test]
fn a_promoted_replica_gives_revisions_above_its_masters() {
    on_every_pair(&[], |master, replica| {
        let last = master.must(&["MODEL.SET", "doc", "any", "{}"]).int();
        replica.wait_for_sync(master);
        master.kill9();
        replica.must(&["REPLICAOF", "NO", "ONE"]);
        replica.must(&["DEL", "doc"]);
        assert!(replica.must(&["MODEL.SET", "doc", "any", "{}"]).int() > last);
    });
}

/// Masters and replicas change places, restart and come back, with writes in between.
#[test]
fn servers_that_change_places_stay_equal() {
    let seed = workload::seed("replication");
    on_every_pair(&["save 3600 1"], |first, second| {
        let mut rng = Rng::new(seed);
        let (mut master, mut replica) = (first, second);
        for round in 0..4 {
            run_workload(master, &mut rng, 150);
            check_equal(master, replica);
            replica.must(&["REPLICAOF", "NO", "ONE"]);
            std::mem::swap(&mut master, &mut replica);
            run_workload(master, &mut rng, 50);
            if round % 2 == 1 {
                replica.restart();
            }
            replica.replica_of(master);
            run_workload(master, &mut rng, 50);
            check_equal(master, replica);
        }
    });
}

#[test]
fn a_full_sync_carries_everything_however_it_is_done() {
    let seed = workload::seed("replication");
    for (diskless, load) in [
        ("repl-diskless-sync no", "repl-diskless-load disabled"),
        ("repl-diskless-sync yes", "repl-diskless-load disabled"),
        ("repl-diskless-sync yes", "repl-diskless-load swapdb"),
        ("repl-diskless-sync yes", "repl-diskless-load on-empty-db"),
    ] {
        on_every_flavor(|flavor| {
            let config = [QUIET[0], diskless, load];
            let (master, replica) =
                (Server::start(flavor, &config), Server::start(flavor, &config));
            let mut rng = Rng::new(seed);
            run_workload(&master, &mut rng, 300);
            // The replica has documents of its own, which go.
            run_workload(&replica, &mut rng, 50);
            replica.must(&["MODEL.SET", "mine", "any", "{}"]);
            replica.replica_of(&master);
            run_workload(&master, &mut rng, 50);
            check_equal(&master, &replica);
            let documents = || (replica.info("model_documents"), master.info("model_documents"));
            replica.wait_until("what it had is freed", || documents().0 == documents().1);
        });
    }
}

fn offset(master: &Server) -> u64 {
    master.info("master_repl_offset").parse().expect("an offset is a number")
}

#[test]
fn a_command_that_changed_nothing_replicates_nothing() {
    // Without fsync the AOF is written before a reply is sent, and never later.
    on_every_pair(&["appendonly yes", "appendfsync no"], |master, _| {
        let conn = &mut master.conn();
        conn.must(&["MODEL.SET", "doc", "any", r#"{"n":1,"s":"x","l":[1,2]}"#]);
        let bytes = || (offset(master), master.info("aof_current_size"));
        let before = bytes();
        for command in [
            &["MODEL.GET", "doc", "$..*"][..],
            &["MODEL.MGET", "1", "doc"],
            &["MODEL.META", "doc"],
            &["MODEL.EVAL", "doc", "self"],
            &["MODEL.FIELDOP", "doc", "SET", "$.n", "7", "STRICT", "SET", "$.none", "1"],
            &["MODEL.FIELDOP", "doc", "PULLALL", "$.l", "[7,8]"],
            &["MODEL.SET", "doc", "any", "{}", "IF", "self.n == 7"],
            &["MODEL.HELP"],
            &["MODEL.FIELDOP", "doc", "GET", "$", "REVISION"],
            &["MODEL.FIELDOP", "doc", "PERSIST", "EXISTS"],
            &["MODEL.FIELDOP", "doc", "INIT", "any", "{}", "LEN", "$.l"],
            &["MODEL.FIELDOP", "doc", "DEL", "$.none"],
            &["MODEL.FIELDOP", "doc", "SET", "$.none[*]", "1"],
            &["MODEL.FIELDOP", "doc", "SETNX", "$.n", "2"],
            &["MODEL.FIELDOP", "doc", "SETXX", "$.none", "2"],
            &["MODEL.FIELDOP", "doc", "ADDUNIQ", "$.l", "[1,2]"],
            &["MODEL.FIELDOP", "doc", "PULL", "$.l", "0", "7"],
            &["MODEL.FIELDOP", "doc", "POP", "$.none", "0"],
            &["MODEL.FIELDOP", "doc", "SET", "$.n", "7", "INCR", "$.s", "1"],
            &["MODEL.FIELDOP", "doc", "SET", "$.n", "7", "EXISTS", "MISSING"],
            &["MODEL.FIELDOP", "missing", "MISSING"],
            &["MODEL.FIELDOP", "missing", "SET", "$", "1"],
            &["MODEL.SET", "doc", "any", "{}", "NX"],
            &["MODEL.SET", "missing", "any", "{}", "XX"],
            &["MODEL.SET", "doc", "any", "{}", "IFREV", "1"],
            &["EVAL", "return redis.call('MODEL.FIELDOP', KEYS[1], 'GET', '$')", "1", "doc"],
        ] {
            conn.call(command);
            assert_eq!(bytes(), before, "{command:?}");
        }
        conn.must(&["MULTI"]);
        conn.must(&["MODEL.GET", "doc"]);
        conn.must(&["MODEL.FIELDOP", "doc", "DEL", "$.none"]);
        conn.must(&["EXEC"]);
        assert_eq!(bytes(), before, "MULTI around nothing");
        conn.must(&["MODEL.FIELDOP", "doc", "INCR", "$.n", "1"]);
        master.wait_until("a change is sent on and written", || {
            let after = bytes();
            after.0 > before.0 && after.1 != before.1
        });
    });
}

/// The commands of an AOF, without those the server adds.
fn aof_commands(server: &Server) -> Vec<Vec<Vec<u8>>> {
    use crate::resp::Parser;
    let mut bytes = Vec::new();
    let mut files: Vec<_> = std::fs::read_dir(server.dir().join("appendonlydir"))
        .expect("an AOF has a folder")
        .map(|entry| entry.expect("a file").path())
        .filter(|path| path.to_string_lossy().ends_with(".incr.aof"))
        .collect();
    files.sort();
    for file in files {
        bytes.extend(std::fs::read(file).expect("the AOF can be read"));
    }
    let mut parser = Parser { bytes: &bytes, at: 0 };
    let mut commands = Vec::new();
    while let Some(command) = parser.reply() {
        let words = command.array().iter().map(|word| match word {
            Reply::Bulk(bytes) => bytes.clone(),
            other => panic!("no argument: {other:?}"),
        });
        commands.push(words.collect::<Vec<_>>());
    }
    commands.retain(|command| !["SELECT", "MULTI", "EXEC"].contains(&name(command).as_str()));
    commands
}

fn name(command: &[Vec<u8>]) -> String {
    String::from_utf8_lossy(&command[0]).to_uppercase()
}

#[test]
fn replicas_are_sent_the_effect_with_absolute_times() {
    on_every_server_with(&["appendonly yes", "appendfsync always"], |server| {
        let conn = &mut server.conn();
        for command in [
            &["MODEL.SET", "doc", "any", r#"{"n":1}"#, "NX", "EX", "1000"][..],
            &["MODEL.FIELDOP", "doc", "INCR", "$.n", "1", "NOW", "$.t", "ISO"],
            &["MODEL.FIELDOP", "doc", "PX", "100000", "SETNX", "$.x", "1", "IFREV", "0"],
            &["MODEL.FIELDOP", "doc", "PX", "100000", "SETNX", "$.x", "1", "EXISTS"],
            &["MODEL.FIELDOP", "doc", "EX", "77", "EXISTS"],
            &["MODEL.FIELDOP", "new", "INIT", "any", "{}", "MKPATH", "INCR", "$.a.b", "1"],
            &[
                "EVAL",
                "return redis.call('MODEL.FIELDOP', KEYS[1], 'INCR', '$.n', '1')",
                "1",
                "doc",
            ],
        ] {
            conn.call(command);
        }
        let commands = aof_commands(server);
        assert_eq!(commands.len(), 6, "{commands:?}");
        // A command that is its own effect is sent on as it is.
        let (own, commands) = commands.split_last().expect("there are six");
        let words: Vec<_> = own.iter().map(|word| String::from_utf8_lossy(word)).collect();
        assert_eq!(words, ["MODEL.FIELDOP", "doc", "INCR", "$.n", "1"]);
        for command in commands {
            assert_eq!(name(command), "MODEL.APPLY");
            // No condition, no keyword, no clock: a key, an effect, and JSON where it is a whole document.
            let Ok(effect) = redis_model::codec::effect::Effect::decode(&command[2]) else {
                panic!("no effect: {command:?}")
            };
            if let redis_model::expiry::Expiry::At(unix_ms) = effect.expiry {
                assert!(unix_ms > 1_700_000_000_000, "an absolute time");
            }
        }
        let expiries = commands.iter().map(|command| {
            redis_model::codec::effect::Effect::decode(&command[2]).expect("checked above").expiry
        });
        use redis_model::expiry::Expiry::At;
        let absolute = expiries.filter(|expiry| matches!(expiry, At(_))).count();
        assert_eq!(absolute, 3);
    });
}

#[test]
fn several_commands_of_one_unit_arrive_as_one() {
    on_every_server_with(&["appendonly yes", "appendfsync always"], |server| {
        let conn = &mut server.conn();
        conn.must(&["MULTI"]);
        conn.must(&["MODEL.SET", "a", "any", "{}"]);
        conn.must(&["MODEL.FIELDOP", "a", "NOW", "$.t", "MS"]);
        conn.must(&["EXEC"]);
        let path = server.dir().join("appendonlydir");
        let text: Vec<u8> = std::fs::read_dir(path)
            .expect("an AOF has a folder")
            .map(|entry| entry.expect("a file").path())
            .filter(|path| path.to_string_lossy().ends_with(".incr.aof"))
            .flat_map(|path| std::fs::read(path).expect("the AOF can be read"))
            .collect();
        let text = String::from_utf8_lossy(&text).to_uppercase();
        let at = |word: &str| text.find(word).unwrap_or_else(|| panic!("no {word} in {text}"));
        assert!(at("MULTI") < at("MODEL.APPLY") && at("MODEL.APPLY") < at("EXEC"));
        assert_eq!(text.matches("MODEL.APPLY").count(), 2);
    });
}

#[test]
fn a_replica_refuses_writes_and_serves_reads() {
    on_every_pair(&[], |master, replica| {
        master.must(&["MODEL.SET", "doc", "any", r#"{"n":1}"#]);
        replica.wait_for_sync(master);
        let conn = &mut replica.conn();
        assert_eq!(conn.must(&["MODEL.GET", "doc", "$.n"]), Reply::bulk("1"));
        assert_eq!(conn.must(&["MODEL.META", "doc"]), master.must(&["MODEL.META", "doc"]));
        for write in [
            &["MODEL.SET", "doc", "any", "{}"][..],
            &["MODEL.FIELDOP", "doc", "REVISION"],
            &["MODEL.APPLY", "doc", "x"],
        ] {
            assert_eq!(conn.call(write).error_word(), "READONLY", "{write:?}");
        }
    });
}

/// A replica never expires a key itself, and never shows one that is past its time.
#[test]
fn expiry_is_the_masters_decision() {
    on_every_pair(&[], |master, replica| {
        master.must(&["MODEL.SET", "doc", "any", r#"{"n":1}"#, "PX", "1"]);
        replica.wait_for_sync(master);
        replica
            .wait_until("it is not shown", || replica.must(&["MODEL.GET", "doc"]) == Reply::Null);
        master.wait_until("the master expired it", || master.must(&["DBSIZE"]) == Reply::Int(0));
        check_equal(master, replica);
        // A key past its time is no document to change, and the new one has no time to live.
        master.must(&["MODEL.SET", "doc", "any", r#"{"n":1}"#, "PX", "1"]);
        master
            .wait_until("it is past its time", || master.must(&["EXISTS", "doc"]) == Reply::Int(0));
        master.must(&["MODEL.FIELDOP", "doc", "INIT", "any", "{}", "REVISION"]);
        assert_eq!(master.must(&["PTTL", "doc"]), Reply::Int(-1));
        assert_eq!(master.must(&["MODEL.GET", "doc"]), Reply::bulk("{}"));
        check_equal(master, replica);
    });
}

#[test]
fn a_replica_tells_its_own_subscribers() {
    on_every_pair(&["notify-keyspace-events KEA"], |master, replica| {
        let subscriber = &mut replica.conn();
        subscriber.must(&["SUBSCRIBE", "__keyspace@0__:doc"]);
        master.must(&["MODEL.SET", "doc", "any", r#"{"n":1}"#]);
        master.must(&["MODEL.FIELDOP", "doc", "EX", "1000", "INCR", "$.n", "1"]);
        master.must(&["MODEL.FIELDOP", "doc", "PERSIST", "EXISTS"]);
        let mut heard = Vec::new();
        while heard.last().is_none_or(|event| event != "persist") {
            let message = subscriber.recv();
            heard.push(message.array()[2].text().to_owned());
        }
        heard.retain(|event| event != "new");
        assert_eq!(heard, ["model.set", "model.update", "expire", "persist"]);
    });
}

#[test]
fn only_commands_that_repeat_exactly_are_replicated_verbatim() {
    on_every_flavor(|flavor| {
        let server = Server::start(flavor, &["appendonly yes", "appendfsync always"]);
        let conn = &mut server.conn();
        conn.must(&["MODEL.SET", "doc", "any", r#"{"n":1,"o":{"n":2}}"#]);
        let cases: [(&[&str], bool); 17] = [
            (&["INCR", "$.n", "1"], true),
            (&["SET", "/o/x", "[1]", "APPEND", "$.o.x", "[2]", "LEN", "$.o.x"], true),
            (&["MKPATH", "SET", "$.p.q.r", "1.5", "MUL", "$.p.q.r", "3"], true),
            (&["INCR", "$..n", "1"], false),
            (&["POW", "$.n", "0.5"], false),
            (&["NOW", "$.t", "MS"], false),
            // An assertion held, and is not looked at again.
            (&["EXISTS", "INCR", "$.n", "1"], true),
            (&["ARGS", r#"{"x":1}"#, "INCR", "$.n", "1", "IF", "self.n > args.x"], true),
            (&["ARGS", r#"{"f":"n"}"#, "STRICT", "INCR", "$[args.f]", "1"], true),
            (&["CURRENT", "$", "IF", "true", "INCR", "$.n", "1"], true),
            (&["INCR", "$.n", "=self.n"], false),
            (&["IF", "now > timestamp(0)", "INCR", "$.n", "1"], true),
            (&["WHEN", "self.n > 1", "INCR", "$.n", "1"], false),
            (&["EVAL", "$.e", "self.n + 1"], false),
            (&["EX", "1000", "INCR", "$.n", "1"], false),
            (&["INIT", "any", "{}", "INCR", "$.n", "1"], false),
            (&["PERSIST", "INCR", "$.n", "1"], false),
        ];
        for (statements, _) in cases {
            conn.must(&[&["MODEL.FIELDOP", "doc"], statements].concat());
        }
        let sent = aof_commands(&server);
        let sent: Vec<bool> =
            sent.iter().skip(1).map(|sent| name(sent) == "MODEL.FIELDOP").collect();
        assert_eq!(sent, cases.map(|(_, own)| own));
        let (digest, revision) = (server.debug_digest(), server.call(&["MODEL.META", "doc"]));
        server.kill9();
        server.restart();
        assert_eq!(server.debug_digest(), digest);
        assert_eq!(server.call(&["MODEL.META", "doc"]), revision);
    });
}
