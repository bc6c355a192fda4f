//! A refused transaction leaves nothing behind, of any statement, in any place of a block, however
//! often a key comes up. `txn_faults` has the faults between blocks; here they stand inside of them.

use redis_model::error::ErrorCode;
use redis_model::op;

use crate::harness::on_every_server_with;
use crate::memory::assert_settles;
use crate::recording::{State, check_error_line, on_every_recording, state};
use crate::resp::{Conn, Reply};
use crate::workload::{self, Rng};

/// The complete state of these keys and of all models, and all messages to other clients and replicas.
#[derive(Debug, PartialEq)]
struct World {
    keys: Vec<Reply>,
    models: Vec<Reply>,
    counts: Vec<String>,
    /// With the bytes for replicas and for the AOF.
    recorded: State,
}

fn world(conn: &mut Conn, keys: &[String]) -> World {
    let asked = ["DUMP", "PEXPIRETIME", "TYPE", "EXISTS"];
    let commands: Vec<Vec<&str>> =
        keys.iter().flat_map(|key| asked.map(|name| vec![name, key])).collect();
    let names = conn.must(&["MODEL.MODELS"]);
    let models = names.array().iter().map(|name| conn.must(&["MODEL.DESCRIBE", name.text()]));
    let models = models.collect();
    let info = conn.must(&["INFO", "everything"]);
    let is_count = |line: &&str| {
        ["model_documents:", "model_tokens:", "model_models:", "model_commits:", "db0:keys="]
            .iter()
            .any(|name| line.starts_with(name))
    };
    // Behind the numbers of keys stands their average time to live, which the server estimates.
    let counts = info.text().lines().filter(is_count);
    let counts = counts.map(|line| line.split(",avg_ttl").next().expect("a part").to_owned());
    World {
        counts: counts.collect(),
        keys: conn.pipeline(&commands),
        models,
        recorded: state(conn, &keys[0]),
    }
}

/// Statements that are refused whatever document they meet, and where there is none.
const FAULTS: [&[&str]; 11] = [
    &["IF", "false"],
    &["IFREV", "1"],
    &["EXISTS", "MISSING"],
    &["IF", "self.none.none == 1"],
    &["IF", "docs['none'].n == 1"],
    &["EVAL", "$", "docs['none']", "IF", "false"],
    &["MUL", "$.no.no", "2", "IF", "false"],
    &["SET", "$.no.no.no", "1", "IF", "false"],
    &["CREATE", "any", "{}", "MISSING"],
    &["PUT", "any", "{}", "MISSING"],
    &["DELETE", "WHEN", "true", "GET", "$"],
];

/// One example of each operator, each on a document of its own.
struct Chain {
    keys: Vec<String>,
    blocks: Vec<Vec<&'static str>>,
}

impl Chain {
    /// The operators' `nth` examples, with documents of a model now and then, and times to live.
    fn prepare(conn: &mut Conn, nth: usize) -> Chain {
        let is_word = |reply: &str| ErrorCode::ALL.iter().any(|code| code.word() == reply);
        // At once: what is freed later is counted until then.
        conn.must(&["FLUSHALL", "SYNC"]);
        conn.must(&["MODEL.DEFINE", "open", "{}", "RULE", "true", "true"]);
        let mut chain = Chain { keys: Vec::new(), blocks: Vec::new() };
        for (number, spec) in op::of(op::Target::Value).iter().enumerate() {
            let sound: Vec<_> =
                spec.examples.iter().filter(|example| !is_word(example.reply)).collect();
            let Some(example) = sound.get(nth % sound.len().max(1)) else { continue };
            let key = format!("op:{number}");
            let model = if number % 2 == 0 { "any" } else { "open" };
            conn.must(&["MODEL.SET", &key, model, example.before]);
            if number % 3 == 0 {
                conn.must(&["PEXPIREAT", &key, &format!("40000000000{number:02}")]);
            }
            chain.keys.push(key);
            chain.blocks.push(example.words());
        }
        chain
    }

    /// All blocks, and this fault behind the statements of one of them.
    fn with_fault(&self, at: usize, fault: &'static [&'static str]) -> Vec<String> {
        let mut keys = self.keys.clone();
        keys.push("token".into());
        let mut words = head(&keys, &["TOKEN", "token"]);
        for (nth, (key, statement)) in self.keys.iter().zip(&self.blocks).enumerate() {
            words.extend(["ON".into(), key.clone()]);
            let fault = if nth == at { fault } else { &[] };
            words.extend(statement.iter().chain(fault).map(|word| (*word).to_owned()));
        }
        words
    }
}

/// `MODEL.TXN` with these keys, and what comes behind them.
fn head(keys: &[String], more: &[&str]) -> Vec<String> {
    let mut words = vec!["MODEL.TXN".to_owned(), keys.len().to_string()];
    words.extend(keys.iter().cloned());
    words.extend(more.iter().map(|word| (*word).to_owned()));
    words
}

fn call(conn: &mut Conn, words: &[String]) -> Reply {
    conn.call(&words.iter().map(String::as_str).collect::<Vec<_>>())
}

/// Documents of all kinds are changed by every operator before a statement is refused, in whichever of
/// the blocks that is; every document is then as it was.
#[test]
fn a_fault_inside_any_block_undoes_every_operator_at_once() {
    on_every_recording(|server| {
        let conn = &mut server.conn();
        for nth in 0..3 {
            let chain = Chain::prepare(conn, nth);
            assert!(chain.keys.len() > 35, "{:?}", chain.blocks);
            let keys = [&chain.keys[..], &["token".into()]].concat();
            let before = world(conn, &keys);
            for at in 0..chain.keys.len() {
                for fault in FAULTS {
                    let words = chain.with_fault(at, fault);
                    let reply = call(conn, &words);
                    assert!(reply.is_error(), "{fault:?} behind {:?}", chain.blocks[at]);
                    let object = check_error_line(&reply);
                    assert_eq!(object["block"], at, "{reply:?}");
                    assert_eq!(object["key"], *chain.keys[at], "{reply:?}");
                    assert_eq!(world(conn, &keys), before, "{words:?}");
                }
            }
            // All of it works where nothing is refused, and is then seen in all of these ways.
            let reply = call(conn, &chain.with_fault(0, &[]));
            assert_eq!(reply.array().len(), chain.keys.len(), "{reply:?}");
            let after = world(conn, &keys);
            assert!(after.counts != before.counts && after.recorded != before.recorded);
            assert!(after.keys != before.keys);
        }
    });
}

/// How many documents there are: of the models `one` and `two`, and in all.
fn counts(conn: &mut Conn) -> [i64; 3] {
    let of =
        |conn: &mut Conn, model| conn.must(&["MODEL.DESCRIBE", model]).field("documents").int();
    [of(conn, "one"), of(conn, "two"), conn.must(&["DBSIZE"]).int()]
}

/// Statements on the key `k`, the document before and after all of them, and how many documents of the
/// models there are then, and keys.
type Life = (&'static str, &'static [&'static [&'static str]], &'static str, [i64; 3]);

const LIVES: [Life; 5] = [
    (
        "",
        &[
            &["CREATE", "one", r#"{"n":1}"#],
            &["DELETE"],
            &["CREATE", "two", r#"{"n":2}"#],
            &["INCR", "$.n", "1"],
            &["PUT", "one", r#"{"n":5}"#],
            &["DELETE"],
            &["MISSING"],
            &["CREATE", "two", r#"{"n":3}"#],
            &["MERGE", "$", r#"{"m":1}"#],
        ],
        r#"{"n":3,"m":1}"#,
        [0, 1, 2],
    ),
    (
        "one",
        &[
            &["INCR", "$.n", "1"],
            &["DELETE"],
            &["CREATE", "two", "{}"],
            &["PUT", "any", "[]"],
            &["APPEND", "$", "[1]"],
            &["DELETE"],
            &["CREATE", "one", r#"{"n":9}"#],
            &["WHEN", "self.n==9", "POPKEY", "$", "n"],
        ],
        "{}",
        [1, 0, 2],
    ),
    ("one", &[&["PUT", "two", "{}"], &["PUT", "one", "{}"], &["DELETE"]], "", [0, 0, 1]),
    ("one", &[&["DELETE"], &["CREATE", "any", "7"], &["INCR", "$", "1"]], "8", [0, 0, 2]),
    ("", &[&["CREATE", "one", "{}"], &["DELETE"], &["MISSING"]], "", [0, 0, 1]),
];

/// A key that comes, goes and comes again, with a fault behind each statement; in one block, in a block
/// for each, and with another document's blocks in between; the key listed once, and over and over.
#[test]
fn a_key_made_deleted_and_made_again_is_undone() {
    on_every_recording(|server| {
        let conn = &mut server.conn();
        for model in ["one", "two"] {
            conn.must(&["MODEL.DEFINE", model, r#"{"properties":{"d":{"default":[1]}}}"#]);
        }
        conn.must(&["MODEL.SET", "other", "any", r#"{"n":1}"#]);
        let keys = ["k".to_owned(), "other".to_owned()];
        for (found, statements, left, expected) in LIVES {
            for listed in [&["k", "other"][..], &["other", "k", "k", "other", "k"]] {
                let listed: Vec<String> = listed.iter().map(|key| (*key).to_owned()).collect();
                for between in
                    [&[][..], &["ON", "k"], &["ON", "other", "INCR", "$.n", "1", "ON", "k"]]
                {
                    conn.must(&["DEL", "k"]);
                    if !found.is_empty() {
                        let end = ["PXAT", "4000000000000"];
                        let set = ["MODEL.SET", "k", found, r#"{"n":1,"d":[]}"#];
                        conn.must(&[&set[..], &end].concat());
                    }
                    let before = world(conn, &keys);
                    let words = |count: usize, end: &[&str]| {
                        let behind = statements[..count].join(between);
                        head(&listed, &[&["ON", "k"], &behind[..], end].concat())
                    };
                    for count in 0..=statements.len() {
                        for end in
                            [&["EXISTS", "MISSING"][..], &["ON", "other", "SET", "$.x.y", "1"]]
                        {
                            let refused = words(count, end);
                            assert!(call(conn, &refused).is_error(), "{refused:?}");
                            assert_eq!(world(conn, &keys), before, "{refused:?}");
                        }
                    }
                    let done = words(statements.len(), &[]);
                    let reply = call(conn, &done);
                    assert!(!reply.is_error(), "{done:?}: {reply:?}");
                    let json = conn.must(&["MODEL.GET", "k"]);
                    let without_default = match &json {
                        Reply::Bulk(_) => json.text().replace(r#","d":[1]"#, ""),
                        _ => String::new(),
                    };
                    assert_eq!(without_default.replace(r#""d":[1]"#, ""), left, "{done:?}");
                    assert_eq!(counts(conn), expected, "{done:?}");
                    let documents = expected[2].to_string();
                    server.wait_until("what was replaced is freed", || {
                        server.info("model_documents") == documents
                    });
                }
            }
        }
    });
}

/// The token of another transaction, and one with other keys, are no part of what is refused.
#[test]
fn tokens_that_are_there_stay_as_they_are() {
    on_every_recording(|server| {
        let conn = &mut server.conn();
        conn.must(&["MODEL.SET", "a", "any", r#"{"n":1}"#]);
        let txn = |words: &'static str| {
            let words: Vec<&str> = words.split(' ').collect();
            [&["MODEL.TXN"], &words[..]].concat()
        };
        conn.must(&txn("2 a t TOKEN t WINDOW 100000000 ON a INCR $.n 1"));
        let keys = ["a", "t", "u"].map(str::to_owned);
        let before = world(conn, &keys);
        for (word, words) in [
            ("TOKENMISMATCH", "2 a t TOKEN t WINDOW 5 ON a INCR $.n 2"),
            ("TOKENMISMATCH", "2 t a TOKEN t ON a DELETE"),
            ("CONDITION", "2 a u TOKEN u ON a INCR $.n 1 MISSING"),
            ("CONDITION", "3 a u u TOKEN u ON a DELETE CREATE any {} IF false"),
            ("WRONGTYPE", "3 a t u TOKEN u ON a INCR $.n 1"),
            ("ERR", "2 a t TOKEN t ON t DELETE"),
            ("ERR", "2 a t TOKEN t ON a DELETE ON t CREATE any {}"),
            ("ERR", "2 a t TOKEN t TOKEN t ON a DELETE"),
            ("EXPR", "2 a u TOKEN u ON a IF docs['u']==1"),
            ("NOMODEL", "2 a u TOKEN u ON a PUT none {}"),
        ] {
            let reply = conn.call(&txn(words));
            assert_eq!(reply.error_word(), word, "{words}: {reply:?}");
            check_error_line(&reply);
            assert_eq!(world(conn, &keys), before, "{words}");
        }
        let replies = conn.pipeline(&[
            vec!["MULTI"],
            txn("2 a u TOKEN u ON a INCR $.n 1 MISSING"),
            txn("2 a t TOKEN t ON a DELETE"),
            vec!["EXEC"],
        ]);
        let words: Vec<_> = replies[3].array().iter().map(Reply::error_word).collect();
        assert_eq!(words, ["CONDITION", "TOKENMISMATCH"]);
        assert_eq!(world(conn, &keys), before, "MULTI around nothing");
    });
}

/// Random transactions, each refused by its last statement, over whatever a random workload left.
#[test]
fn a_reverted_transaction_replicates_and_announces_nothing() {
    let seed = workload::seed("txn_undo");
    on_every_recording(|server| {
        let mut rng = Rng::new(seed);
        let (conn, watching) = (&mut server.conn(), &mut server.conn());
        let (tracking, listening) = (&mut server.conn_resp3(), &mut server.conn());
        conn.must(&["CONFIG", "SET", "notify-keyspace-events", "EAd"]);
        let documents = (0..workload::KEYS).map(|nth| format!("w:{nth}"));
        let keys: Vec<_> = documents.chain((0..4).map(|nth| format!("w:token:{nth}"))).collect();
        for _ in 0..12 {
            for _ in 0..60 {
                let command = workload::command(&mut rng, "w:");
                // A document that expires by itself would change the state compared.
                if !command.windows(2).any(|pair| pair == ["PX", "1"]) {
                    call(conn, &command);
                }
            }
            server.wait_until("what was deleted is freed", || {
                server.info("lazyfree_pending_objects") == "0"
            });
            let watched: Vec<&str> = keys.iter().map(String::as_str).collect();
            watching.must(&[&["WATCH"], &watched[..]].concat());
            tracking.must(&["CLIENT", "TRACKING", "ON", "BCAST"]);
            listening.must(&["PSUBSCRIBE", "__keyevent@*"]);
            let before = world(conn, &keys);
            for _ in 0..25 {
                let mut words = workload::transaction(&mut rng, "w:");
                let first = words[2].clone();
                words.extend(["ON".into(), first, "EXISTS".into(), "MISSING".into()]);
                assert!(call(conn, &words).is_error(), "{words:?}");
                assert_eq!(world(conn, &keys), before, "{words:?}");
            }
            watching.must(&["MULTI"]);
            watching.must(&["PING"]);
            assert_ne!(watching.must(&["EXEC"]), Reply::Null, "no watched key was touched");
            assert_eq!(tracking.call(&["PING"]), Reply::Simple("PONG".into()));
            tracking.must(&["CLIENT", "TRACKING", "OFF"]);
            // The first event there is, is that of a key made now.
            conn.must(&["SET", "marker", "x"]);
            assert_eq!(listening.recv().array()[3], Reply::bulk("marker"));
            listening.must(&["PUNSUBSCRIBE"]);
            conn.must(&["DEL", "marker"]);
        }
    });
}

/// The same transactions over and over, committed and refused, with tokens and without: after the rounds
/// that warm every buffer and table, nothing is added. That takes five rounds at the most for 40 seeds.
#[test]
fn transactions_repeated_leak_nothing() {
    let seed = workload::seed("txn_undo");
    on_every_server_with(&["slowlog-log-slower-than -1"], |server| {
        let conn = &mut server.conn();
        for model in workload::MODELS {
            conn.must(&["MODEL.DEFINE", model, r#"{"properties":{"a":{"default":7}}}"#]);
        }
        assert_settles(server, 10, || {
            let mut rng = Rng::new(seed);
            let commands = (0..8000).map(|_| {
                let mut words = workload::transaction(&mut rng, "w:");
                if rng.one_in(3) {
                    words.extend([
                        "ON".into(),
                        words[2].clone(),
                        "EXISTS".into(),
                        "MISSING".into(),
                    ]);
                }
                words
            });
            let replies = conn.pipeline(&commands.collect::<Vec<_>>());
            let refused = replies.iter().filter(|reply| reply.is_error()).count();
            assert!((2000..7800).contains(&refused), "{refused}");
            conn.must(&["FLUSHALL", "SYNC"]);
            let left = (server.info("model_documents"), server.info("model_tokens"));
            assert_eq!(left, ("0".to_owned(), "0".to_owned()));
        });
    });
}
