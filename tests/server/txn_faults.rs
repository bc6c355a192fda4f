//! A fault at statement n of a transaction, for every n and every kind of statement: everything is byte
//! for byte as before, and nothing was replicated or announced.

use redis_model::error::ErrorCode;
use redis_model::op;

use crate::recording::{State, check_error_line, on_every_recording, state};
use crate::resp::{Conn, Reply};

const KEYS: [&str; 8] = ["a", "b", "c", "d", "e", "f", "g", "t"];

const MODEL: [&str; 9] = [
    "MODEL.DEFINE",
    "acct",
    r#"{"properties":{"open":{"default":true},"balance":{"type":"integer"}},"required":["balance"]}"#,
    "RULE",
    "covered",
    "self.balance >= 0",
    "TTL",
    "100000",
    "REFRESH",
];

/// Blocks that succeed one after the other on the documents of [`prepare`]. `b` gets an operator's
/// example in front of them.
const STEPS: [&[&str]; 9] = [
    &["ON", "a", "EX", "9", "INCR", "$.balance", "1", "NOW", "$.at", "MS"],
    &["ON", "c", "INIT", "any", "{}", "MKPATH", "SET", "$.x.y", "1", "IF", "self.x.y==1"],
    &["ON", "d", "CREATE", "acct", r#"{"balance":1}"#, "EVAL", "$.of", "docs['a'].balance"],
    &["ON", "a", "PERSIST", "WHEN", "self.open", "MERGE", "$", r#"{"open":null,"z":[1]}"#],
    &["ON", "b", "PUT", "acct", r#"{"balance":1}"#, "INCR", "$.balance", "1", "REVISION"],
    &["ON", "d", "DELETE", "MISSING"],
    &["ON", "b", "DELETE", "CREATE", "any", "[]", "APPEND", "$", "[1,2]"],
    &["ON", "c", "PUT", "any", "[3]", "EXISTS", "DELETE"],
    &["ON", "g", "INCR", "$.balance", "7", "SET", "$.l", "[1,2,3]", "TRIM", "$.l", "0", "1"],
];

/// Blocks that are refused wherever they stand.
const FAULTS: [(&str, &[&str]); 23] = [
    ("TYPE", &["ON", "e", "DEL", "$.list[0]", "INCR", "$.s", "1"]),
    ("NOPATH", &["ON", "e", "SET", "$.x.y", "1"]),
    ("RANGE", &["ON", "e", "SET", "$.list[9]", "1"]),
    ("RANGE", &["ON", "e", "DIV", "$.big", "0"]),
    ("OVERFLOW", &["ON", "e", "INCR", "$.big", "1"]),
    ("CONDITION", &["ON", "e", "IF", "false"]),
    ("CONDITION", &["ON", "e", "IF", "docs['e'].big<0"]),
    ("CONDITION", &["ON", "e", "MISSING"]),
    ("CONDITION", &["ON", "f", "EXISTS"]),
    ("REVISION", &["ON", "e", "IFREV", "1"]),
    ("EXPR", &["ON", "e", "IF", "self.none"]),
    ("EXPR", &["ON", "f", "WHEN", "self.n==1", "CREATE", "any", "{}"]),
    ("EXPR", &["ON", "e", "EVAL", "$.s", "docs['none'].x"]),
    ("NOKEY", &["ON", "f", "GET", "$"]),
    ("NOKEY", &["ON", "f", "DELETE"]),
    ("NOKEY", &["ON", "f", "PX", "9"]),
    ("NOKEY", &["ON", "f", "WHEN", "true", "SET", "$", "1"]),
    ("BUSYKEY", &["ON", "e", "CREATE", "any", "{}"]),
    ("LIMIT", &["ON", "e", "STRREPEAT", "$.s", "9223372036854775807"]),
    ("SCHEMA", &["ON", "f", "CREATE", "acct", "{}"]),
    ("SCHEMA", &["ON", "g", "SET", "$.balance", "1.5"]),
    ("RULE", &["ON", "g", "SET", "$.balance", "-100"]),
    ("NOMODEL", &["ON", "f", "PUT", "none", "{}"]),
];

fn prepare(conn: &mut Conn, before: &str) {
    conn.must(&[&MODEL[..], &["WRITE"]].concat());
    let end = ["PXAT", "4000000000000"];
    for (key, model, json) in [
        ("a", "acct", r#"{"balance":5}"#),
        ("b", "any", before),
        ("e", "any", r#"{"s":"x","list":[1],"big":9223372036854775807}"#),
        ("g", "acct", r#"{"balance":3,"open":false}"#),
    ] {
        conn.must(&[&["MODEL.SET", key, model, json][..], &end].concat());
    }
    conn.must(&["DEL", "c", "d", "f", "t"]);
}

/// Everything a transaction could have changed.
fn world(conn: &mut Conn) -> (State, Vec<Reply>) {
    let mut all = vec![conn.must(&["DEBUG", "DIGEST"]), conn.must(&["DBSIZE"])];
    for key in KEYS {
        all.push(conn.must(&["DUMP", key]));
        all.push(conn.must(&["PEXPIRETIME", key]));
    }
    all.push(conn.must(&["MODEL.DESCRIBE", "acct"]));
    (state(conn, "a"), all)
}

/// The transaction with these blocks, recorded under a token now and then.
fn transaction<'a>(blocks: &[&'a [&'a str]], token: bool) -> Vec<&'a str> {
    let head = [&["MODEL.TXN", "8"][..], &KEYS].concat();
    let token: &[&str] = if token { &["TOKEN", "t"] } else { &[] };
    [&head, token, &blocks.concat()].concat()
}

/// The transaction is refused with this word in this block, and changed nothing.
#[track_caller]
fn check(conn: &mut Conn, before: &(State, Vec<Reply>), blocks: &[&[&str]], fault: (&str, usize)) {
    let command = transaction(blocks, blocks.len().is_multiple_of(2));
    let reply = conn.call(&command);
    let (word, block) = fault;
    assert_eq!(reply.error_word(), word, "{command:?}: {reply:?}");
    let object = check_error_line(&reply);
    // The model validates after the last block.
    if !["SCHEMA", "RULE", "NOMODEL"].contains(&word) {
        assert_eq!(object["block"], block, "{command:?}: {reply:?}");
        let key = blocks[block][1];
        assert_eq!(object["key"], key, "{command:?}: {reply:?}");
    }
    assert_eq!(&world(conn), before, "{command:?}");
}

#[test]
fn every_fault_at_every_step_leaves_everything_as_it_was() {
    on_every_recording(|server| {
        let conn = &mut server.conn();
        prepare(conn, "{}");
        let before = world(conn);
        for (word, fault) in FAULTS {
            for step in 0..=STEPS.len() {
                let blocks = [&STEPS[..step], &[fault], &STEPS[step..]].concat();
                check(conn, &before, &blocks, (word, step));
            }
        }
        // A valid command still succeeds after all these.
        let done = conn.must(&transaction(&STEPS, true));
        assert_eq!(done.array().len(), STEPS.len());
        assert_ne!(world(conn), before);
    });
}

/// Behind every operator a fault, at every step; the operator's own refusals too.
#[test]
fn every_operator_is_undone() {
    on_every_recording(|server| {
        let conn = &mut server.conn();
        let is_word = |reply: &str| ErrorCode::ALL.iter().any(|code| code.word() == reply);
        let mut nth = 0;
        for example in op::of(op::Target::Value).iter().flat_map(|spec| spec.examples) {
            prepare(conn, example.before);
            let before = world(conn);
            let operator = [&["ON", "b"][..], &example.words()].concat();
            if is_word(example.reply) {
                let step = nth % (1 + STEPS.len() / 2);
                let blocks = [&STEPS[..step], &[&operator[..]], &STEPS[step..]].concat();
                if conn.call(&transaction(&blocks, false)).error_word() == example.reply {
                    assert_eq!(world(conn), before, "{blocks:?}");
                }
            } else {
                let (word, fault) = FAULTS[nth % FAULTS.len()];
                let step = nth % STEPS.len();
                let blocks = [&[&operator[..]], &STEPS[..step], &[fault], &STEPS[step..]].concat();
                check(conn, &before, &blocks, (word, step + 1));
            }
            nth += 1;
        }
        assert!(nth > 200, "{nth}");
    });
}

#[test]
fn a_refusal_before_the_first_statement_changes_nothing() {
    on_every_recording(|server| {
        let conn = &mut server.conn();
        prepare(conn, "{}");
        conn.must(&["SET", "string", "x"]);
        let before = world(conn);
        let steps = STEPS.concat();
        let keys = &KEYS[..];
        let head = |count, more: &[&'static str]| [&["MODEL.TXN", count], keys, more].concat();
        let commands = [
            // A listed key of another type is refused even where no block is about it.
            ("WRONGTYPE", head("9", &["string"]), &[][..]),
            ("WRONGTYPE", head("9", &["string", "TOKEN", "string"]), &[]),
            ("WRONGTYPE", head("9", &["x", "TOKEN", "e", "ARGS", "{}"]), &[]),
            ("TOKENEXPIRED", head("8", &["TOKEN", "t", "AT", "1"]), &[]),
            ("ERR", head("8", &["TOKEN", "x"]), &[]),
            ("ERR", head("7", &["TOKEN", "t"]), &[]),
            ("ERR", head("8", &["TOKEN", "a"]), &[]),
            // A malformed command is refused before anything is looked up.
            ("ERR", head("9", &["string", "TOKEN", "string", "AT", "1"]), &["NOSUCH"]),
            ("EXPR", head("9", &["string", "TOKEN", "string", "AT", "1"]), &["IF", "self."]),
            ("ERR", head("9", &["x", "TOKEN", "e"]), &["INCR", "$.n"]),
        ];
        for (word, head, tail) in commands {
            let command = [&head, &steps[..], tail].concat();
            let reply = conn.call(&command);
            assert_eq!(reply.error_word(), word, "{command:?}: {reply:?}");
            check_error_line(&reply);
            assert_eq!(world(conn), before, "{command:?}");
        }
        // The recorded reply has a limit, and is known when all statements have run.
        conn.must(&["CONFIG", "SET", "model.token-reply-bytes", "20"]);
        let reply = conn.call(&transaction(&STEPS, true));
        assert_eq!(reply.error_word(), "LIMIT");
        assert_eq!(check_error_line(&reply)["limit"], "model.token-reply-bytes");
        assert_eq!(world(conn), before);
    });
}

#[test]
fn reverted_changes_are_not_announced() {
    on_every_recording(|server| {
        let (conn, watching) = (&mut server.conn(), &mut server.conn());
        let (tracking, listening) = (&mut server.conn_resp3(), &mut server.conn());
        prepare(conn, "{}");
        conn.must(&["CONFIG", "SET", "notify-keyspace-events", "EAd"]);
        watching.must(&[&["WATCH"][..], &KEYS].concat());
        tracking.must(&["CLIENT", "TRACKING", "ON", "BCAST"]);
        listening.must(&["PSUBSCRIBE", "__keyevent@*"]);
        for (word, fault) in FAULTS {
            let blocks = [&STEPS[..], &[fault]].concat();
            assert_eq!(conn.call(&transaction(&blocks, true)).error_word(), word);
        }
        watching.must(&["MULTI"]);
        watching.must(&["PING"]);
        assert_ne!(watching.must(&["EXEC"]), Reply::Null, "no watched key was touched");
        assert_eq!(tracking.call(&["PING"]), Reply::Simple("PONG".into()), "nothing is invalid");
        // The first event there is, is that of a key made now.
        conn.must(&["SET", "marker", "x"]);
        assert_eq!(listening.recv().array()[3], Reply::bulk("marker"));
    });
}
