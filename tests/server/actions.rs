//! Actions on real servers: what they do, who may call them, and every way a definition has to get from one server to
//! another.

use redis_model::testing::coverage::{Missing, until_covered};

use crate::acl::{check, user};
use crate::cluster::Cluster;
use crate::harness::{Server, on_every_flavor, on_every_server, on_every_server_with};
use crate::resp::{Conn, Reply};
use crate::workload::{self, Rng};

/// Batches of random transactions that a test runs until enough succeeded and were refused.
const BATCHES_MAX: u64 = 20;
const PARAMS: &str =
    r#"{"properties":{"cents":{"type":"integer","minimum":1}},"required":["cents"]}"#;
const TRANSFER: &[&str] = &[
    "MODEL.ACTION",
    "transfer",
    "2",
    "from",
    "to",
    "PARAMS",
    PARAMS,
    "ON",
    "from",
    "IF",
    "self.balance >= args.cents",
    "INCR",
    "$.balance",
    "=-args.cents",
    "ON",
    "to",
    "INCR",
    "$.balance",
    "=args.cents",
];

fn fill(conn: &mut Conn) {
    conn.must(&["MODEL.SET", "{t}a", "any", r#"{"balance":100}"#]);
    conn.must(&["MODEL.SET", "{t}b", "any", r#"{"balance":5}"#]);
}

fn transfer(cents: i64) -> Vec<String> {
    let args = format!(r#"{{"cents":{cents}}}"#);
    ["MODEL.CALL", "transfer", "2", "{t}a", "{t}b", "ARGS", &args].map(String::from).to_vec()
}

fn call(conn: &mut Conn, words: &[String]) -> Reply {
    conn.call(&words.iter().map(String::as_str).collect::<Vec<_>>())
}

#[track_caller]
fn check_transfer(conn: &mut Conn, cents: i64, expected: [i64; 2]) {
    let balance = |cents: i64| Reply::Array(vec![Reply::bulk(cents.to_string())]);
    let reply = call(conn, &transfer(cents));
    assert_eq!(reply, Reply::Array(expected.map(balance).to_vec()));
}

/// All actions with their definitions. One may be ended by another node meanwhile.
fn actions(conn: &mut Conn) -> Vec<Reply> {
    let names = conn.must(&["MODEL.ACTIONS"]);
    let described = names.array().iter().map(|name| conn.call(&["MODEL.ACTIONS", name.text()]));
    described.filter(|action| !action.is_error()).collect()
}

fn refusal(conn: &mut Conn, words: &[&str]) -> (String, serde_json::Value) {
    let reply = conn.call(words);
    assert!(reply.is_error(), "{words:?} gave {reply:?}");
    let (word, object) = reply.error().split_once(' ').expect("a word and an object");
    (word.to_owned(), serde_json::from_str(object).expect("an object"))
}

#[test]
fn refusals_name_the_action_and_the_part_of_it() {
    on_every_server(|server| {
        let conn = &mut server.conn();
        fill(conn);
        assert_eq!(conn.must(TRANSFER), Reply::Int(1));
        assert_eq!(conn.must(TRANSFER), Reply::Int(1));
        check_transfer(conn, 70, [30, 75]);
        let call =
            |cents: &'static str| ["MODEL.CALL", "transfer", "2", "{t}a", "{t}b", "ARGS", cents];
        let (word, error) = refusal(conn, &call(r#"{"cents":70}"#));
        assert_eq!(word, "CONDITION");
        assert_eq!(error["action"], "transfer");
        assert_eq!((&error["block"], &error["statement"]), (&0.into(), &0.into()));
        assert_eq!((&error["role"], &error["key"]), (&"from".into(), &"{t}a".into()));
        assert_eq!(error["values"]["self.balance"], 30);
        let (word, error) = refusal(conn, &call(r#"{"cents":0}"#));
        assert_eq!(word, "SCHEMA");
        assert_eq!((&error["option"], &error["place"]), (&"ARGS".into(), &"/cents".into()));
        assert_eq!(error["action"], "transfer");
        assert_eq!(refusal(conn, &call("[]")).0, "ERR");
        assert_eq!(refusal(conn, &["MODEL.CALL", "transfer", "2", "{t}a", "{t}b"]).0, "SCHEMA");
        let (word, error) = refusal(conn, &["MODEL.CALL", "transferr", "2", "{t}a", "{t}b"]);
        assert_eq!((&*word, &error["similar"]), ("NOACTION", &"transfer".into()));
        let (word, error) = refusal(conn, &["MODEL.CALL", "transfer", "1", "{t}a"]);
        assert_eq!(
            (&*word, &error["roles"], &error["keys"]),
            ("ERR", &"from to".into(), &1.into())
        );
        let missing = ["MODEL.CALL", "transfer", "2", "{t}a", "{t}none", "ARGS", r#"{"cents":1}"#];
        let (word, error) = refusal(conn, &missing);
        assert_eq!((&*word, &error["role"], &error["block"]), ("NOKEY", &"to".into(), &1.into()));
        // One key for two roles is one document, as in a transaction.
        let twice = ["MODEL.CALL", "transfer", "2", "{t}a", "{t}a", "ARGS", r#"{"cents":10}"#];
        let balances = [20, 30].map(|n| Reply::Array(vec![Reply::bulk(n.to_string())]));
        assert_eq!(conn.must(&twice), Reply::Array(balances.to_vec()));
        assert_eq!(conn.must(&["MODEL.UNACTION", "transfer"]), Reply::ok());
        assert_eq!(refusal(conn, &call(r#"{"cents":1}"#)).0, "NOACTION");
        assert_eq!(conn.must(TRANSFER), Reply::Int(3));
    });
}

#[test]
fn a_definition_is_refused_with_its_block_role_and_statement() {
    on_every_server(|server| {
        let conn = &mut server.conn();
        let define = |rest: &[&'static str]| [&["MODEL.ACTION", "x"][..], rest].concat();
        for (rest, word) in [
            (&["0", "ON", "a", "GET", "$"][..], "ERR"),
            (&["9", "a", "ON", "a"], "ERR"),
            (&["x", "a", "ON", "a"], "ERR"),
            (&["2", "a", "a", "ON", "a"], "ERR"),
            (&["1", "", "ON", "", "GET", "$"], "ERR"),
            (&["1", "a", "GET", "$", "ON"], "ERR"),
            (&["1", "a", "PARAMS", "{", "ON", "a"], "ERR"),
            (&["1", "a", "PARAMS", r#"{"type":"none"}"#, "ON", "a"], "ERR"),
            (&["1", "a", "ON", "b", "GET", "$"], "ERR"),
            (&["1", "a", "ON", "a", "NONE", "$"], "ERR"),
            (&["1", "a", "ON", "a", "INCR", "$.n"], "ERR"),
            (&["1", "a", "ON", "a", "INCR", "$.n", "x"], "ERR"),
            (&["1", "a", "ON", "a", "INCR", "n", "1"], "ERR"),
            (&["1", "a", "ON", "a", "INCR", "$[args]", "1"], "ERR"),
            (&["1", "a", "ON", "a", "SET", "$.n", "{"], "ERR"),
            (&["1", "a", "ON", "a", "SET", "$.n", "9223372036854775808"], "RANGE"),
            (&["1", "a", "ON", "a", "IF", "self.n >", "GET", "$"], "EXPR"),
            (&["1", "a", "ON", "a", "IF", "docs.b.n > 1", "GET", "$"], "EXPR"),
        ] {
            let (found, error) = refusal(conn, &define(rest));
            assert_eq!(found, word, "{rest:?} {error}");
        }
        let blocks =
            ["2", "a", "b", "ON", "a", "GET", "$", "ON", "b", "GET", "$", "INCR", "$.n", "x"];
        let (_, error) = refusal(conn, &define(&blocks));
        assert_eq!(error["action"], "x");
        assert_eq!((&error["block"], &error["statement"]), (&1.into(), &1.into()));
        assert_eq!((&error["role"], &error["operator"]), (&"b".into(), &"INCR".into()));
        assert_eq!(conn.must(&["MODEL.ACTIONS"]), Reply::Array(vec![]));
    });
}

#[test]
fn a_token_makes_a_call_idempotent() {
    on_every_server(|server| {
        let conn = &mut server.conn();
        fill(conn);
        conn.must(TRANSFER);
        let args = r#"{"cents":10}"#;
        let with = |token: &'static str, args: &'static str| {
            ["MODEL.CALL", "transfer", "3", "{t}a", "{t}b", token, "TOKEN", token, "ARGS", args]
        };
        let first = conn.must(&with("{t}once", args));
        assert_eq!(conn.must(&with("{t}once", args)), first);
        assert_eq!(refusal(conn, &with("{t}once", r#"{"cents":11}"#)).0, "TOKENMISMATCH");
        // A role's key is no token's, and a token's key holds no document.
        assert_eq!(refusal(conn, &with("{t}a", args)).0, "ERR");
        conn.must(&["MODEL.SET", "{t}doc", "any", "{}"]);
        assert_eq!(refusal(conn, &with("{t}doc", args)).0, "WRONGTYPE");
        // The record answers also when the action is another one, or gone.
        conn.must(&["MODEL.UNACTION", "transfer"]);
        assert_eq!(conn.must(&with("{t}once", args)), first);
        assert_eq!(refusal(conn, &with("{t}other", args)).0, "NOACTION");
        assert_eq!(conn.must(&["MODEL.GET", "{t}a", "$.balance"]).text(), "90");
    });
}

#[test]
fn actions_survive_in_the_rdb_and_in_both_kinds_of_aof() {
    let rdb = ["save 3600 1", "appendonly no"];
    let mixed = ["appendonly yes", "appendfsync always", "aof-use-rdb-preamble yes"];
    let plain = ["appendonly yes", "appendfsync always", "aof-use-rdb-preamble no"];
    for config in [&rdb[..], &mixed, &plain] {
        on_every_server_with(config, |server| {
            let conn = &mut server.conn();
            fill(conn);
            conn.must(TRANSFER);
            conn.must(&["MODEL.ACTION", "ended", "1", "a", "ON", "a", "GET", "$"]);
            conn.must(&["MODEL.UNACTION", "ended"]);
            conn.must(&[
                "MODEL.ACTION",
                "lone",
                "1",
                "a",
                "ON",
                "a",
                "INIT",
                "any",
                "{}",
                "SET",
                "$.\u{e9}",
                "\"\\u0000\"",
            ]);
            let before = actions(conn);
            let stop = || {
                if config[0].starts_with("save") {
                    server.must(&["SAVE"]);
                }
                server.kill9();
                server.restart();
            };
            let mut balances = [100, 5];
            let mut again = |how: &str| {
                let conn = &mut server.conn();
                assert_eq!(actions(conn), before, "{how}");
                balances = [balances[0] - 1, balances[1] + 1];
                check_transfer(conn, 1, balances);
                conn.must(&["MODEL.CALL", "lone", "1", "lone"]);
            };
            stop();
            again("a restart");
            if !config[0].starts_with("save") {
                // Also while writes are paused.
                server.must(&["CLIENT", "PAUSE", "100000", "WRITE"]);
                server.rewrite_aof();
                server.must(&["CLIENT", "UNPAUSE"]);
            }
            stop();
            again("a rewrite and a restart");
            server.must(&["DEBUG", "RELOAD"]);
            again("a reload");
            server.must(&["FLUSHALL"]);
            assert_eq!(actions(&mut server.conn()), before, "definitions are no keys");
            // The end of a definition is known, too: its name goes on counting.
            let ended = ["MODEL.ACTION", "ended", "1", "a", "ON", "a", "GET", "$"];
            assert_eq!(server.must(&ended), Reply::Int(3));
        });
    }
}

/// A call may stand in an AOF as it was made.
#[test]
fn calls_in_an_aof_are_repeated_under_the_definition_of_their_time() {
    for preamble in ["aof-use-rdb-preamble yes", "aof-use-rdb-preamble no"] {
        let config = ["appendonly yes", "appendfsync always", preamble];
        on_every_server_with(&config, |server| {
            let conn = &mut server.conn();
            fill(conn);
            let mut balance = 100;
            for (nth, by) in ["1", "=args.n", "100", "=-args.n"].iter().enumerate() {
                let add = ["MODEL.ACTION", "add", "1", "a", "ON", "a", "IF", "args.n < 9"];
                conn.must(&[&add[..], &["INCR", "$.balance", by]].concat());
                let written = conn.must(&["MODEL.CALL", "add", "1", "{t}a", "ARGS", r#"{"n":7}"#]);
                balance += [1, 7, 100, -7][nth];
                assert_eq!(written.array()[0].array()[0].text(), balance.to_string());
                if nth == 1 {
                    server.rewrite_aof();
                }
            }
            conn.must(&["MODEL.UNACTION", "add"]);
            let digest = server.debug_digest();
            server.kill9();
            server.restart();
            assert_eq!(
                server.must(&["MODEL.GET", "{t}a", "$.balance"]).text(),
                balance.to_string()
            );
            assert_eq!(server.debug_digest(), digest);
        });
    }
}

#[test]
fn replicas_have_the_actions_and_hold_the_same_documents_after_calls() {
    for load in ["disabled", "swapdb"] {
        on_every_flavor(|flavor| {
            let load = format!("repl-diskless-load {load}");
            let config = ["repl-diskless-sync yes", "repl-diskless-sync-delay 0", &load];
            let (master, replica) =
                (Server::start(flavor, &config), Server::start(flavor, &config));
            let conn = &mut master.conn();
            fill(conn);
            conn.must(TRANSFER);
            replica.must(&["MODEL.ACTION", "mine", "1", "a", "ON", "a", "GET", "$"]);
            replica.replica_of(&master);
            replica.wait_for_sync(&master);
            assert_eq!(actions(&mut replica.conn()), actions(conn));
            // In the stream, and in a transaction of the server's own.
            conn.must(&["MODEL.ACTION", "later", "1", "a", "ON", "a", "INCR", "$.balance", "1"]);
            conn.must(&["MULTI"]);
            call(conn, &transfer(20));
            conn.must(&["MODEL.CALL", "later", "1", "{t}a"]);
            conn.must(&["EXEC"]);
            conn.must(&["MODEL.UNACTION", "later"]);
            let script = "return redis.call('MODEL.CALL', 'transfer', '2', KEYS[1], KEYS[2], 'ARGS', ARGV[1])";
            conn.must(&["EVAL", script, "2", "{t}a", "{t}b", r#"{"cents":5}"#]);
            replica.wait_for_sync(&master);
            assert_eq!(actions(&mut replica.conn()), actions(conn));
            assert_eq!(replica.debug_digest(), master.debug_digest());
            assert_eq!(replica.must(&["MODEL.GET", "{t}b", "$.balance"]).text(), "30");
            let calls = replica.must(&["INFO", "commandstats"]);
            let is_sent = |name: &str| calls.text().contains(&format!("cmdstat_{name}:calls="));
            assert!(is_sent("MODEL.CALL") && !is_sent("MODEL.APPLYALL"), "{}", calls.text());
            assert_eq!(call(&mut replica.conn(), &transfer(1)).error_word(), "READONLY");
            replica.must(&["REPLICAOF", "NO", "ONE"]);
            check_transfer(&mut replica.conn(), 1, [75, 31]);
        });
    }
}

/// Replicas are sent calls.
#[test]
fn a_replica_has_the_actions_of_its_master_alone() {
    on_every_flavor(|flavor| {
        let (master, replica) =
            (Server::start(flavor, &[]), Server::start(flavor, &["replica-read-only no"]));
        let conn = &mut master.conn();
        fill(conn);
        conn.must(&["MODEL.ACTION", "add", "1", "a", "ON", "a", "INCR", "$.balance", "1"]);
        replica.replica_of(&master);
        replica.wait_for_sync(&master);
        let other = ["MODEL.ACTION", "add", "1", "a", "ON", "a", "INCR", "$.balance", "1000"];
        let own = &mut replica.conn();
        for words in [&other[..], &["MODEL.UNACTION", "add"]] {
            assert_eq!(own.call(words).error_word(), "ERR");
        }
        assert_eq!(actions(own), actions(conn));
        for _ in 0..3 {
            conn.must(&["MODEL.CALL", "add", "1", "{t}a"]);
        }
        replica.wait_for_sync(&master);
        assert_eq!(replica.must(&["MODEL.GET", "{t}a", "$.balance"]).text(), "103");
        assert_eq!(replica.debug_digest(), master.debug_digest());
    });
}

#[test]
fn actions_reach_every_shard_of_a_cluster_and_calls_are_routed_by_their_keys() {
    on_every_flavor(|flavor| {
        let cluster = Cluster::start(flavor, 2, &[]);
        let nodes = [&cluster.nodes[0], &cluster.nodes[1]];
        nodes[0].must(TRANSFER);
        nodes[1].must(&["MODEL.ACTION", "read", "1", "a", "ON", "a", "GET", "$"]);
        let agree = |names: &[&str]| {
            for node in nodes {
                node.wait_until("all nodes have the same actions", || {
                    let found = actions(&mut node.conn());
                    let same = found == actions(&mut nodes[0].conn());
                    same && found
                        .iter()
                        .map(|action| action.field("name").text())
                        .eq(names.iter().copied())
                });
            }
        };
        agree(&["read", "transfer"]);
        let owner = &mut cluster.conn_of("{t}a");
        fill(owner);
        check_transfer(owner, 7, [93, 12]);
        let other =
            nodes.iter().find(|node| !std::ptr::eq(**node, cluster.node_of("{t}a"))).unwrap();
        assert_eq!(call(&mut other.conn(), &transfer(1)).error_word(), "MOVED");
        let apart = ["MODEL.CALL", "transfer", "2", "{t}a", "{u}b", "ARGS", r#"{"cents":1}"#];
        assert_eq!(owner.call(&apart).error_word(), "CROSSSLOT");
        nodes[1].must(&["MODEL.UNACTION", "transfer"]);
        agree(&["read"]);
    });
}

#[test]
fn key_positions_are_those_behind_the_count() {
    on_every_server(|server| {
        let keys = |words: &[&str]| {
            let reply = server.call(&[&["COMMAND", "GETKEYS"], words].concat());
            reply.array().iter().map(|key| key.text().to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(keys(&["MODEL.CALL", "2", "2", "a", "b", "ARGS", "{}"]), ["a", "b"]);
        assert_eq!(keys(&["MODEL.CALL", "x", "3", "a", "b", "t", "TOKEN", "t"]), ["a", "b", "t"]);
        for words in [["MODEL.CALL", "x", "0", "a"], ["MODEL.CALL", "x", "2", "a"]] {
            assert!(server.call(&[&["COMMAND", "GETKEYS"], &words[..]].concat()).is_error());
        }
    });
}

/// A user without `MODEL.FIELDOP` and `MODEL.TXN` changes documents by actions alone, and none but those at its keys.
#[test]
fn a_user_of_actions_changes_documents_in_no_other_way() {
    on_every_server(|server| {
        let conn = &mut server.conn();
        fill(conn);
        conn.must(&["MODEL.SET", "{u}b", "any", r#"{"balance":5}"#]);
        conn.must(TRANSFER);
        let mut conn = user(server, &["+model.call", "+model.get", "+model.actions", "~{t}*"]);
        check_transfer(&mut conn, 10, [90, 15]);
        let transfer = |to: &'static str| {
            ["MODEL.CALL", "transfer", "2", "{t}a", to, "ARGS", r#"{"cents":1}"#]
        };
        let token = [
            "MODEL.CALL",
            "transfer",
            "3",
            "{t}a",
            "{t}b",
            "{u}t",
            "TOKEN",
            "{u}t",
            "ARGS",
            r#"{"cents":1}"#,
        ];
        check(
            &mut conn,
            &[
                &transfer("{t}b"),
                &["MODEL.GET", "{t}a"],
                &["MODEL.ACTIONS"],
                &["MODEL.ACTIONS", "transfer"],
            ],
            &[
                &transfer("{u}b"),
                &token,
                &["MODEL.CALL", "none", "1", "{u}b"],
                &["MODEL.FIELDOP", "{t}a", "INCR", "$.balance", "1"],
                &["MODEL.TXN", "1", "{t}a", "ON", "{t}a", "INCR", "$.balance", "1"],
                &["MODEL.SET", "{t}a", "any", "{}"],
                &["MODEL.APPLY", "{t}a", "x"],
                &["MODEL.APPLYALL", "1", "{t}a", "x"],
                &["MODEL.INSTALL", "x"],
                &["MODEL.UNACTION", "transfer"],
                TRANSFER,
                &["DEL", "{t}a"],
            ],
        );
        assert_eq!(server.must(&["MODEL.GET", "{t}a", "$.balance"]).text(), "89");
        let natives = [
            "MODEL.ACTION",
            "win",
            "2",
            "p",
            "z",
            "ON",
            "p",
            "INCR",
            "$.balance",
            "1",
            "AT",
            "z",
            "ZADD",
            "1",
            "=string(native.z.size())",
        ];
        server.must(&natives);
        let win = ["MODEL.CALL", "win", "2", "{t}a", "{t}z"];
        assert_eq!(conn.call(&win).error_word(), "NOPERM");
        assert_eq!(server.must(&["MODEL.GET", "{t}a", "$.balance"]).text(), "89");
        server.must(&["ACL", "SETUSER", "someone", "+zadd"]);
        let won = Reply::Array(vec![
            Reply::Array(vec![Reply::bulk("90")]),
            Reply::Array(vec![Reply::Int(1)]),
        ]);
        assert_eq!(conn.call(&win), won);
        server.must(&["MODEL.CALL", "win", "2", "{t}a", "{t}z"]);
        assert_eq!(server.must(&["ZRANGE", "{t}z", "0", "-1"]).array().len(), 2);
        assert_eq!(server.must(&["MODEL.GET", "{u}b", "$.balance"]).text(), "5");
        // One action alone, by the rule for a first argument.
        server.must(&["MODEL.ACTION", "other", "1", "a", "ON", "a", "GET", "$"]);
        let mut conn = user(server, &["+model.call|transfer", "~{t}*"]);
        let other = ["MODEL.CALL", "other", "1", "{t}a"];
        check(&mut conn, &[&transfer("{t}b")], &[&other, &["MODEL.CALL", "none", "1", "{t}a"]]);
        // A key pattern for reading alone does not do.
        if server.call(&[
            "ACL",
            "SETUSER",
            "someone",
            "reset",
            "on",
            "nopass",
            "+model.call",
            "%R~{t}*",
        ]) == Reply::ok()
        {
            let mut conn = server.conn();
            conn.must(&["AUTH", "someone", ""]);
            check(&mut conn, &[], &[&transfer("{t}b")]);
        }
    });
}

#[test]
fn the_number_and_the_size_of_actions_are_limited() {
    on_every_server(|server| {
        let conn = &mut server.conn();
        let set =
            |conn: &mut Conn, name: &str, value: &str| conn.must(&["CONFIG", "SET", name, value]);
        set(conn, "model.actions", "2");
        let define = |name: &'static str| ["MODEL.ACTION", name, "1", "a", "ON", "a", "GET", "$"];
        conn.must(&define("one"));
        conn.must(&define("two"));
        let (word, error) = refusal(conn, &define("three"));
        assert_eq!(
            (&*word, &error["limit"], &error["value"]),
            ("LIMIT", &"model.actions".into(), &2.into())
        );
        conn.must(&define("two"));
        conn.must(&["MODEL.UNACTION", "two"]);
        conn.must(&define("three"));
        // Roles, schema and blocks, with one byte for each role and each argument.
        let json = format!("\"{}\"", "x".repeat(100));
        let sized =
            ["MODEL.ACTION", "one", "1", "a", "PARAMS", "{}", "ON", "a", "SET", "$.a", &json];
        let bytes = 2 + 2 + 3 + 2 + 4 + 4 + 103;
        set(conn, "model.action-bytes", &bytes.to_string());
        conn.must(&sized);
        set(conn, "model.action-bytes", &(bytes - 1).to_string());
        let (word, error) = refusal(conn, &[&sized[..9], &["$.b", &json]].concat());
        assert_eq!((&*word, &error["limit"]), ("LIMIT", &"model.action-bytes".into()));
        // A definition that is in force stays.
        conn.must(&["MODEL.SET", "a", "any", "{}"]);
        conn.must(&["MODEL.CALL", "one", "1", "a"]);
        assert_eq!(server.info("model_actions"), "2");
    });
}

/// A file whose aux field was changed is refused or read, and never a crash.
#[test]
fn a_damaged_definition_in_a_file_is_an_error_in_the_log() {
    on_every_flavor(|flavor| {
        let config = ["save 3600 1", "appendonly no", "rdbchecksum no", "rdbcompression no"];
        let server = Server::start(flavor, &config);
        server.must(TRANSFER);
        server.must(&["SAVE"]);
        let file = server.dir().join("dump.rdb");
        let whole = std::fs::read(&file).unwrap();
        let at = whole.windows(8).position(|window| window == b"transfer").expect("its name");
        server.kill9();
        // A word of a block becomes another: the definition is kept and reported. Its version byte is unknown: the file is refused.
        let word = whole.windows(4).position(|window| window == b"INCR").expect("an operator");
        let mut unusable = whole.clone();
        unusable[word..word + 4].copy_from_slice(b"NONE");
        std::fs::write(&file, &unusable).unwrap();
        server.tolerate("cannot be used here");
        server.restart();
        assert_eq!(server.must(&["MODEL.ACTIONS"]), Reply::Array(vec![Reply::bulk("transfer")]));
        assert_eq!(call(&mut server.conn(), &transfer(1)).error_word(), "NOACTION");
        assert!(server.log().contains("the action \"transfer\" cannot be used here"));
        assert_eq!(server.must(TRANSFER), Reply::Int(2));
        server.kill9();
        assert_eq!(whole[at - 2], 128, "the version of the encoding");
    });
}

/// The transaction as an action whose roles have the names of its keys, and a call of it; none with a token.
fn as_action(transaction: &[String]) -> Option<[Vec<String>; 2]> {
    let count: usize = transaction[1].parse().expect("a count");
    let mut keys = transaction[2..2 + count].to_vec();
    let mut seen = Vec::new();
    keys.retain(|key| {
        !seen.contains(key) && {
            seen.push(key.clone());
            true
        }
    });
    let mut rest = &transaction[2 + count..];
    let args = match rest.first().map(String::as_str) {
        Some("TOKEN") => return None,
        Some("ARGS") => {
            let (args, blocks) = rest.split_at(2);
            rest = blocks;
            args
        }
        _ => &[],
    };
    let head = |words: &[&str]| {
        let words = words.iter().map(|word| (*word).to_owned());
        words.chain([keys.len().to_string()]).chain(keys.clone()).collect::<Vec<_>>()
    };
    let (define, call) = (head(&["MODEL.ACTION", "act"]), head(&["MODEL.CALL", "act"]));
    Some([[&define[..], rest].concat(), [&call[..], args].concat()])
}

/// The reply without revisions and ids, which differ from server to server.
fn comparable(reply: &Reply) -> Reply {
    match reply {
        Reply::Int(integer) if *integer > 1_000_000_000_000 => Reply::Int(0),
        Reply::Bulk(text) if text.len() > 14 && text[13] == b'-' => Reply::bulk("id"),
        Reply::Array(items) => Reply::Array(items.iter().map(comparable).collect()),
        other => other.clone(),
    }
}

/// The content of a key, of whatever kind; of a stream the number of its entries.
fn content(conn: &mut Conn, key: &str) -> [Reply; 3] {
    let kind = conn.must(&["TYPE", key]);
    let document = conn.must(&["MODEL.MGET", "1", key]);
    let content = match (kind.text(), document.array()) {
        ("stream", _) => conn.must(&["XLEN", key]),
        (_, [Reply::Null]) => conn.must(&["DEBUG", "DIGEST-VALUE", key]),
        // Revisions differ from server to server.
        _ => Reply::Null,
    };
    [kind, document, content]
}

/// Runs a transaction on one server and calls it as an action on the other. Returns true if both succeeded, none if it
/// cannot be called, or reads a clock.
fn run_both(conns: &mut [Conn; 2], transaction: &[String]) -> Option<bool> {
    let reads_clock =
        |word: &String| ["NOW", "now", "last()", "revision"].iter().any(|part| word.contains(part));
    let [define, calling] = as_action(transaction)?;
    if transaction.iter().any(reads_clock) {
        return None;
    }
    let expected = call(&mut conns[0], transaction);
    let defined = call(&mut conns[1], &define);
    let found = if defined.is_error() { defined } else { call(&mut conns[1], &calling) };
    assert_eq!(found.is_error(), expected.is_error(), "{transaction:?} {found:?} {expected:?}");
    if expected.is_error() {
        let words = (found.error_word(), expected.error_word());
        assert_eq!(words.0, words.1, "{transaction:?} {found:?} {expected:?}");
    } else {
        assert_eq!(comparable(&found), comparable(&expected), "{transaction:?}");
    }
    Some(!expected.is_error())
}

/// Random transactions, called as actions on one server and sent as they are to another.
#[test]
fn random_transactions_called_as_actions_do_what_they_do() {
    on_every_flavor(|flavor| {
        let mut rng = Rng::new(workload::seed("random_transactions_called_as_actions"));
        let servers = [(); 3].map(|()| Server::start(flavor, &[]));
        let [plain, called, replica] = &servers;
        replica.replica_of(called);
        replica.wait_for_sync(called);
        let (mut done, mut refused) = (0, 0);
        let mut conns = [plain.conn(), called.conn()];
        until_covered(BATCHES_MAX, |_| {
            for _ in 0..1500 {
                match run_both(&mut conns, &workload::transaction(&mut rng, "{r}")) {
                    Some(true) => done += 1,
                    Some(false) => refused += 1,
                    None => {}
                }
            }
            let mut missing = Missing::default();
            missing.expect("calls that succeeded", done, 101);
            missing.expect("calls that were refused", refused, 101);
            missing
        });
        let keys = conns[0].must(&["KEYS", "*"]);
        assert_eq!(conns[1].must(&["DBSIZE"]), Reply::Int(keys.array().len() as i64));
        for key in keys.array() {
            let [ours, theirs] = &mut conns;
            assert_eq!(content(theirs, key.text()), content(ours, key.text()), "{key:?}");
        }
        replica.wait_for_sync(called);
        assert_eq!(replica.debug_digest(), called.debug_digest());
    });
}
