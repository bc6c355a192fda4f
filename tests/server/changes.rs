//! Change streams on every server: whatever happens to documents, a reader of the stream alone has the same ones.

use std::collections::BTreeMap;
use std::thread;
use std::time::Duration;

use crate::acl;
use crate::finding::let_keys_expire;
use crate::follower::{Entry, Follower};
use crate::harness::{Server, on_every_flavor, on_every_server, on_every_server_with};
use crate::replication::{check_equal, on_every_pair};
use crate::resp::{Conn, Reply};
use crate::workload::Rng;

pub const STREAM: &str = "m!changes";

/// The entries of a stream behind a number.
pub fn entries(conn: &mut Conn, stream: &str, after: Option<u64>) -> Vec<Entry> {
    let start = after.map_or("-".to_owned(), |seq| format!("({seq}-0"));
    let reply = conn.must(&["XRANGE", stream, &start, "+"]);
    let entry = |reply: &Reply| {
        let [id, fields] = reply.array() else { panic!("{reply:?}") };
        let pairs = fields.pairs().into_iter();
        let entry: Entry =
            pairs.map(|(name, value)| (name.text().into(), value.text().into())).collect();
        assert_eq!(id.text(), format!("{}-0", entry["seq"]));
        entry
    };
    reply.array().iter().map(entry).collect()
}

/// The documents of the model in the selected database, with their revisions.
pub fn documents(conn: &mut Conn) -> BTreeMap<String, (u64, serde_json::Value)> {
    let (keys, mut found) = (conn.must(&["KEYS", "*"]), BTreeMap::new());
    for key in keys.array() {
        let meta = conn.call(&["MODEL.META", key.text()]);
        if matches!(meta, Reply::Null | Reply::Error(_)) || meta.field("model").text() != "m" {
            continue;
        }
        if let json @ Reply::Bulk(_) = conn.must(&["MODEL.GET", key.text()]) {
            let revision = meta.field("revision").int() as u64;
            found.insert(key.text().to_owned(), (revision, json.json()));
        }
    }
    found
}

/// Has the server append what it noted: Redis 7.0 does so a moment later.
pub fn settle(server: &Server) {
    server.wait_until("changes are appended", || server.info("model_changes_noted") == "0");
}

/// Reads on, and compares with the documents of the selected database.
#[track_caller]
fn check(server: &Server, conn: &mut Conn, follower: &mut Follower) {
    let_keys_expire(conn);
    // The second time, documents that came and expired since are known by name: a look at a key that has expired ends it.
    for _ in 0..2 {
        for key in follower.documents.keys() {
            conn.must(&["EXISTS", key]);
        }
        settle(server);
        for entry in entries(conn, STREAM, follower.seq) {
            follower.read(&entry);
        }
    }
    assert_eq!(follower.documents, documents(conn));
}

fn define(conn: &mut Conn, with: &str) {
    conn.must(&["MODEL.DEFINE", "m", "{}", "CHANGES", "1000000", "WITH", with]);
    let swap = "ON a SET $.n =docs.b.n ON b SET $.n =docs.a.n";
    let action = ["MODEL.ACTION", "swap", "2", "a", "b"];
    conn.must(&[&action[..], &swap.split(' ').collect::<Vec<_>>()].concat());
}

fn json(rng: &mut Rng) -> String {
    let tags: Vec<_> = (0..rng.below(6)).map(|_| rng.below(50).to_string()).collect();
    let pad = "x".repeat(rng.below(200));
    format!(r#"{{"n":{},"tags":[{}],"o":{{"a":1}},"pad":"{pad}"}}"#, rng.below(7), tags.join(","))
}

/// One change of any kind.
fn change(conn: &mut Conn, rng: &mut Rng) {
    let (key, other) = (format!("k{}", rng.below(20)), format!("k{}", rng.below(20)));
    let (key, other) = (key.as_str(), other.as_str());
    let (json, n) = (json(rng), rng.below(6).to_string());
    match rng.below(34) {
        0..=4 => conn.call(&["MODEL.SET", key, "m", &json]),
        5 => conn.call(&["MODEL.SET", key, "any", &json]),
        6 => conn.call(&["MODEL.FIELDOP", key, "INCR", "$.n", "1"]),
        7 => conn.call(&["MODEL.FIELDOP", key, "INIT", "m", &json, "SET", "$.x", &n]),
        8 => conn.call(&["MODEL.FIELDOP", key, "APPEND", "$.tags", &format!("[{n}]")]),
        9 => conn.call(&["MODEL.FIELDOP", key, "POP", "$.tags", "0", "DEL", "$.o.a"]),
        10 => {
            let token = format!("t{}", rng.below(1000));
            let blocks = ["ON", key, "INCR", "$.n", "-1", "ON", other, "SET", "$.s", "\"s1\""];
            let head = ["MODEL.TXN", "3", key, other, &token, "TOKEN", &token];
            conn.call(&[&head[..], &blocks].concat())
        }
        11 => conn.call(&["MODEL.TXN", "1", key, "ON", key, "DELETE"]),
        12 => conn.call(&["DEL", key]),
        13 => conn.call(&["UNLINK", key, other]),
        14 => conn.call(&["RENAME", key, other]),
        15 => conn.call(&["COPY", key, other, "REPLACE"]),
        16 => conn.call(&["PEXPIRE", key, "1"]),
        17 => conn.call(&["SET", key, "a string"]),
        18 => {
            conn.call(&["SELECT", "1"]);
            conn.call(&["MODEL.SET", other, "m", &json]);
            conn.call(&["MOVE", other, "0"]);
            conn.call(&["SELECT", "0"])
        }
        19 => conn.call(&["MOVE", key, "1"]),
        20 => conn.call(&["COPY", key, other, "DB", "1", "REPLACE"]),
        21 => {
            let Reply::Bulk(payload) = conn.call(&["DUMP", key]) else { return };
            conn.call_bytes(&[b"RESTORE", other.as_bytes(), b"0", &payload, b"REPLACE"])
        }
        22 => {
            conn.must(&["MULTI"]);
            conn.call(&["MODEL.SET", key, "m", &json]);
            conn.call(&["RENAME", key, other]);
            conn.call(&["DEL", other]);
            conn.call(&["MODEL.SET", other, "m", "{}"]);
            conn.call(&["COPY", other, key]);
            conn.call(&["MODEL.FIELDOP", key, "SET", "$.y", &n]);
            conn.call(&["EXEC"])
        }
        23 => {
            let script = "redis.call('DEL', KEYS[1])
                redis.call('MODEL.SET', KEYS[1], 'm', ARGV[1])
                redis.call('MODEL.FIELDOP', KEYS[1], 'SET', '$.z', '1')
                return redis.call('UNLINK', KEYS[2])";
            conn.call(&["EVAL", script, "2", key, other, &json])
        }
        24 => conn.call(&["MODEL.LOCK", key, "l", "me", "INIT", "m", &json]),
        25 => conn.call(&["RESTORE", key, "0", "\0", "REPLACE"]),
        26 => conn.call(&["GETDEL", key]),
        27 => {
            let find =
                ["MODEL.FINDOP", "1", "log", "m", "WHERE", "self.n > 3", "SCAN", "LIMIT", "4"];
            let change = ["DO", "INCR", "$.n", "-1", "POP", "$.tags", "-1", "AT", "log"];
            conn.call(&[&find[..], &change, &["RPUSH", "=key"]].concat())
        }
        28 => {
            let find =
                ["MODEL.FINDOP", "0", "m", "WHERE", "self.n == 0", "SCAN", "LIMIT", "2", "DO"];
            let ends = [&["DELETE"][..], &["PXAT", "1", "INCR", "$.n", "1"]];
            conn.call(&[&find[..], ends[rng.below(2)]].concat())
        }
        29 => conn.call(&["MODEL.CALL", "swap", "2", key, other]),
        30 => {
            let library = "#!lua name=l\nredis.register_function('touch', function(keys)
                return redis.call('MODEL.FIELDOP', keys[1], 'INCR', '$.n', '2') end)";
            conn.must(&["FUNCTION", "LOAD", "REPLACE", library]);
            conn.call(&["FCALL", "touch", "1", key])
        }
        _ => conn.call(&["MODEL.SET", key, "m", &json, "PX", "1"]),
    };
}

/// Followers of both databases.
#[derive(Default)]
struct Both([Follower; 2]);

impl Both {
    #[track_caller]
    fn check(&mut self, server: &Server, conn: &mut Conn) {
        for database in ["1", "0"] {
            conn.must(&["SELECT", database]);
            check(server, conn, &mut self.0[usize::from(database == "1")]);
        }
    }
}

#[test]
fn a_reader_of_the_stream_alone_has_the_documents() {
    on_every_server(|server| {
        let (conn, rng) = (&mut server.conn(), &mut Rng::new(5));
        let mut both = Both::default();
        for with in ["PATCH", "AFTER", "BOTH"] {
            define(conn, with);
            for _ in 0..12 {
                for _ in 0..25 {
                    change(conn, rng);
                }
                both.check(server, conn);
            }
            conn.must(&["SWAPDB", "0", "1"]);
            both.0.reverse();
            both.check(server, conn);
            // A load that drops keys which have expired would leave a gap.
            for database in ["1", "0"] {
                conn.must(&["SELECT", database]);
                let_keys_expire(conn);
                (0..20).for_each(|nth| drop(conn.must(&["EXISTS", &format!("k{nth}")])));
            }
            conn.must(&["DEBUG", "RELOAD"]);
            both.check(server, conn);
            conn.must(&["FLUSHDB", "ASYNC"]);
            both.check(server, conn);
            for _ in 0..25 {
                change(conn, rng);
            }
            both.check(server, conn);
            conn.must(&["MULTI"]);
            conn.must(&["MODEL.SET", "k1", "m", "{}"]);
            conn.must(&["DEL", "k1"]);
            conn.must(&["FLUSHALL"]);
            conn.must(&["MODEL.SET", "k1", "m", "[]"]);
            conn.must(&["EXEC"]);
            both.check(server, conn);
        }
        assert_eq!(server.info("model_changes_lost"), "0");
        assert!(both.0[0].seq > Some(500));
        assert_ne!(server.info("model_natives"), "0", "documents were found and changed");
        let calls = server.info("cmdstat_MODEL.CALL");
        assert!(!calls.is_empty(), "an action ran");
    });
}

/// The operations, keys and former keys of the entries behind a number.
fn seen(conn: &mut Conn, after: u64) -> Vec<String> {
    let entries = entries(conn, STREAM, Some(after));
    let line = |entry: &Entry| {
        let from = entry.get("from").map_or(String::new(), |from| format!(" from {from}"));
        format!("{} {}{from}", entry["op"], entry.get("key").map_or("", String::as_str))
    };
    entries.iter().map(line).collect()
}

#[test]
fn each_way_of_a_document_has_its_operation() {
    on_every_server(|server| {
        let conn = &mut server.conn();
        define(conn, "BOTH");
        conn.must(&["DEBUG", "SET-ACTIVE-EXPIRE", "0"]);
        conn.must(&["MODEL.SET", "first", "m", "{}"]);
        let mut stands =
            conn.must(&["MODEL.DESCRIBE", "m"]).field("changes").array()[2].int() as u64;
        let mut check = |conn: &mut Conn, commands: &[&[&str]], expected: &[&str]| {
            for command in commands {
                conn.must(command);
            }
            settle(server);
            assert_eq!(seen(conn, stands), expected, "{commands:?}");
            stands += expected.len() as u64;
            let described = conn.must(&["MODEL.DESCRIBE", "m"]);
            assert_eq!(described.field("changes").array()[2].int() as u64, stands);
        };
        let set: &[&str] = &["MODEL.SET", "a", "m", r#"{"n":1}"#];
        check(conn, &[set, &["DEL", "a"]], &["create a", "delete a"]);
        check(conn, &[set, &["SET", "a", "x"], &["DEL", "a"]], &["create a", "delete a"]);
        check(
            conn,
            &[set, &["RENAME", "a", "b"], &["RENAME", "b", "first"]],
            &["create a", "rename b from a", "delete first", "rename first from b"],
        );
        check(
            conn,
            &[set, &["COPY", "a", "c"], &["COPY", "a", "c", "REPLACE"]],
            &["create a", "create c", "delete c", "create c"],
        );
        check(conn, &[&["MOVE", "c", "1"]], &["delete c"]);
        check(
            conn,
            &[&["PEXPIREAT", "a", "1"], &["MODEL.SET", "a", "m", "{}", "PX", "1"]],
            // A time in the past deletes at once.
            match server.flavor.is_valkey() {
                true => &["expire a", "create a"],
                false => &["delete a", "create a"],
            },
        );
        std::thread::sleep(std::time::Duration::from_millis(5));
        check(conn, &[set], &["expire a", "create a"]);
        let Reply::Bulk(payload) = conn.must(&["DUMP", "a"]) else { panic!("a payload") };
        let restored = conn.call_bytes(&[b"RESTORE", b"r", b"0", &payload]);
        assert_eq!(restored, Reply::ok());
        check(conn, &[], &["restore r"]);
        check(conn, &[&["MODEL.LOCK", "l", "x", "me", "INIT", "m", "{}"]], &["create l"]);
        check(conn, &[&["FLUSHALL"]], &["flush "]);
        check(conn, &[set], &["create a"]);
        // The entries before went with the documents.
        check(conn, &[&["FLUSHDB"]], &["flush "]);
        // Contents of the entries.
        check(conn, &[set, &["UNLINK", "a"]], &["create a", "delete a"]);
        let last = entries(conn, STREAM, None).pop().expect("an entry");
        assert_eq!((last["before"].as_str(), last.get("rev")), (r#"{"n":1}"#, None));
        assert_eq!(last["prev"], entries(conn, STREAM, None).iter().nth_back(1).unwrap()["rev"]);
        // MOVE brought one to the other database.
        conn.must(&["SELECT", "1"]);
        assert_eq!(seen(conn, 0), ["flush "]);
        assert_eq!(server.info("model_changes_lost"), "0");
    });
}

#[test]
fn a_document_is_deleted_where_another_value_takes_its_key_and_is_renamed() {
    on_every_server(|server| {
        let conn = &mut server.conn();
        define(conn, "PATCH");
        let mut follower = Follower::default();
        for overwritten in
            [&["SET", "a", "text"][..], &["MODEL.SET", "a", "any", "{}"], &["RENAME", "list", "a"]]
        {
            conn.must(&["MODEL.SET", "a", "m", "{}"]);
            conn.must(&["RPUSH", "list", "x"]);
            conn.must(&["MULTI"]);
            conn.must(overwritten);
            conn.must(&["RENAME", "a", "b"]);
            conn.must(&["EXEC"]);
            check(server, conn, &mut follower);
            let last = entries(conn, STREAM, None).pop().unwrap();
            assert_eq!((&*last["op"], &*last["key"]), ("delete", "a"), "{overwritten:?}");
        }
        // A document that came in between is renamed.
        conn.must(&["MODEL.SET", "a", "m", "{}"]);
        conn.must(&["MULTI"]);
        conn.must(&["SET", "a", "text"]);
        conn.must(&["DEL", "a"]);
        conn.must(&["MODEL.SET", "a", "m", "[]"]);
        conn.must(&["RENAME", "a", "b"]);
        conn.must(&["EXEC"]);
        check(server, conn, &mut follower);
        let mut all = entries(conn, STREAM, None);
        let kinds = all.split_off(all.len() - 3);
        let kinds: Vec<&str> = kinds.iter().map(|entry| &*entry["op"]).collect();
        assert_eq!(kinds, ["delete", "create", "rename"]);
    });
}

#[test]
fn replicas_have_the_same_stream_and_go_on_with_it() {
    on_every_pair(&[], |master, replica| {
        let (conn, rng) = (&mut master.conn(), &mut Rng::new(9));
        define(conn, "PATCH");
        let mut both = Both::default();
        for _ in 0..6 {
            for _ in 0..40 {
                change(conn, rng);
            }
            both.check(master, conn);
            check_equal(master, replica);
        }
        conn.must(&["MODEL.SET", "last", "m", "{}"]);
        conn.must(&["FLUSHALL"]);
        both.check(master, conn);
        for _ in 0..40 {
            change(conn, rng);
        }
        both.check(master, conn);
        check_equal(master, replica);
        let stream = |server: &Server| entries(&mut server.conn(), STREAM, None);
        assert_eq!(stream(master), stream(replica));
        // The replica becomes the master, and its stream goes on without a gap.
        replica.must(&["REPLICAOF", "NO", "ONE"]);
        let conn = &mut replica.conn();
        for _ in 0..60 {
            change(conn, rng);
        }
        both.check(replica, conn);
    });
}

#[test]
fn documents_and_their_entries_survive_kills_together() {
    for config in [&["aof-use-rdb-preamble yes"][..], &["aof-use-rdb-preamble no"]] {
        let config = [&["appendonly yes", "appendfsync always"], config].concat();
        on_every_server_with(&config, |server| {
            let rng = &mut Rng::new(6);
            define(&mut server.conn(), "PATCH");
            let mut both = Both::default();
            for round in 0..3 {
                let conn = &mut server.conn();
                for _ in 0..60 {
                    change(conn, rng);
                }
                if round == 1 {
                    server.rewrite_aof();
                }
                settle(server);
                // Killed in the middle of what is not answered yet.
                let commands: Vec<Vec<String>> = (0..200)
                    .map(|nth| {
                        let key = format!("k{}", nth % 20);
                        ["MODEL.FIELDOP", &key, "INIT", "m", "{}", "INCR", "$.n", "1"]
                            .map(str::to_owned)
                            .to_vec()
                    })
                    .collect();
                for command in &commands {
                    conn.send(&command.iter().map(String::as_str).collect::<Vec<_>>());
                }
                conn.recv();
                server.kill9();
                server.restart();
                both.check(server, &mut server.conn());
            }
        });
    }
}

#[test]
fn a_stream_that_is_not_one_refuses_changes_and_a_deleted_one_begins_behind_it() {
    on_every_server(|server| {
        let conn = &mut server.conn();
        define(conn, "KEYS");
        conn.must(&["SET", STREAM, "x"]);
        for refused in [
            &["MODEL.SET", "a", "m", "{}"][..],
            &["MODEL.FIELDOP", "a", "INIT", "m", "{}"],
            &["MODEL.LOCK", "a", "l", "me", "INIT", "m", "{}"],
            &["MODEL.TXN", "1", "a", "ON", "a", "CREATE", "m", "{}"],
        ] {
            assert_eq!(conn.call(refused).error_word(), "WRONGTYPE", "{refused:?}");
        }
        assert_eq!(conn.must(&["EXISTS", "a"]).int(), 0);
        conn.must(&["DEL", STREAM]);
        // A stream that was made for a group of readers has its first number still to come.
        conn.must(&["XGROUP", "CREATE", STREAM, "g", "$", "MKSTREAM"]);
        conn.must(&["MODEL.SET", "a", "m", "{}"]);
        let read = ["XREADGROUP", "GROUP", "g", "me", "STREAMS", STREAM, ">"];
        assert_eq!(conn.must(&read).array().len(), 1);
        let seq = |conn: &mut Conn| {
            entries(conn, STREAM, None).pop().map(|entry| entry["seq"].parse::<u64>().unwrap())
        };
        let first = seq(conn).unwrap();
        // The last entry is deleted, or all are: the next one has the next number.
        conn.must(&["XDEL", STREAM, &format!("{first}-0")]);
        conn.must(&["MODEL.SET", "a", "m", "[]"]);
        conn.must(&["MODEL.SET", "a", "m", "[1]"]);
        conn.must(&["XDEL", STREAM, &format!("{}-0", first + 2)]);
        conn.must(&["MODEL.SET", "a", "m", "[2]"]);
        assert_eq!(seq(conn), Some(first + 3));
        conn.must(&["XTRIM", STREAM, "MAXLEN", "0"]);
        conn.must(&["MODEL.SET", "a", "m", "{}"]);
        assert_eq!(seq(conn), Some(first + 4));
        // A stream that begins anew does so behind all numbers it had: readers see a gap. It does so also where the command
        // before was refused when it knew a number.
        for refused in [None, Some(["MODEL.FIELDOP", "a", "IF", "false", "SET", "$", "1"])] {
            if let Some(refused) = refused {
                assert_eq!(conn.call(&refused).error_word(), "CONDITION");
            }
            let before = seq(conn).unwrap();
            conn.must(&["DEL", STREAM]);
            conn.must(&["MODEL.SET", "a", "m", "[]"]);
            assert!(seq(conn).unwrap() > before + 5);
        }
        // No number is left.
        conn.must(&["XADD", STREAM, "9007199254740991-0", "a", "b"]);
        assert_eq!(conn.call(&["MODEL.SET", "a", "m", "{}"]).error_word(), "LIMIT");
        assert_eq!(conn.must(&["MODEL.GET", "a"]).text(), "[]");
        // An entry that cannot be appended after the fact is counted, and in the log.
        conn.must(&["DEL", STREAM]);
        conn.must(&["SET", STREAM, "x"]);
        conn.must(&["DEL", "a"]);
        settle(server);
        assert_eq!(server.info("model_changes_lost"), "1");
        assert!(server.log().contains("m!changes does not have a change"));
    });
}

#[test]
fn a_stream_that_others_changed_goes_on_behind_all_its_numbers() {
    on_every_server(|server| {
        let conn = &mut server.conn();
        define(conn, "KEYS");
        let seq = |conn: &mut Conn| numbers(conn).pop().unwrap();
        let mut n = 0;
        let mut set = |conn: &mut Conn| {
            n += 1;
            conn.must(&["MODEL.SET", "a", "m", &n.to_string()]);
        };
        set(conn);
        let first = seq(conn);
        // As many entries as before, and a greater number.
        let by_hand = (first + 10).to_string();
        conn.must(&["XADD", STREAM, "MAXLEN", "1", &format!("{by_hand}-0"), "seq", &by_hand]);
        set(conn);
        assert_eq!(seq(conn), first + 11);
        // As many, with a smaller number.
        conn.must(&["DEL", STREAM]);
        conn.must(&["XADD", STREAM, "5-0", "seq", "5"]);
        conn.must(&["XADD", STREAM, "6-0", "seq", "6"]);
        set(conn);
        assert!(seq(conn) > first + 11);
        conn.must(&["RENAME", STREAM, "other"]);
        set(conn);
        assert!(seq(conn) > first + 12);
        // The streams of two databases, with as many entries each.
        conn.must(&["DEL", STREAM]);
        let other = &mut server.conn();
        other.must(&["SELECT", "1"]);
        set(other);
        set(conn);
        let (here, there) = (seq(conn), seq(other));
        assert!(there < here);
        conn.must(&["SWAPDB", "0", "1"]);
        set(conn);
        assert_eq!(seq(conn), there + 1);
        set(other);
        assert_eq!(seq(other), here + 1);
    });
}

/// The numbers of all entries.
fn numbers(conn: &mut Conn) -> Vec<u64> {
    entries(conn, STREAM, None).iter().map(|entry| entry["seq"].parse().unwrap()).collect()
}

#[test]
fn changes_that_are_lost_leave_a_gap() {
    on_every_server(|server| {
        let conn = &mut server.conn();
        let set = |conn: &mut Conn, key: &str| {
            conn.must(&["MODEL.SET", key, "m", "{}"]);
            let numbers = numbers(conn);
            let [.., before, last] = numbers[..] else { panic!("{numbers:?}") };
            last - before
        };
        define(conn, "KEYS");
        conn.must(&["MODEL.SET", "a", "m", "{}"]);
        assert_eq!(set(conn, "b"), 1);
        // A load in which no key has expired loses nothing, one in which a key has loses its entry.
        conn.must(&["DEBUG", "RELOAD"]);
        assert_eq!(set(conn, "b"), 1);
        conn.must(&["DEBUG", "SET-ACTIVE-EXPIRE", "0"]);
        conn.must(&["PEXPIRE", "a", "1"]);
        thread::sleep(Duration::from_millis(5));
        conn.must(&["DEBUG", "RELOAD"]);
        assert_eq!(set(conn, "b"), 2);
        assert_eq!(set(conn, "b"), 1);
        // A model without CHANGES for a time.
        conn.must(&["MODEL.DEFINE", "m", "{}"]);
        conn.must(&["MODEL.SET", "b", "m", r#"{"n":1}"#]);
        define(conn, "PATCH");
        assert_eq!(set(conn, "c"), 2);
        define(conn, "KEYS");
        assert_eq!(set(conn, "c"), 1);
        // The last entry that readers have was deleted.
        let last = numbers(conn).pop().unwrap();
        conn.must(&["XDEL", STREAM, &format!("{last}-0")]);
        conn.must(&["MODEL.DEFINE", "m", "{}"]);
        conn.must(&["MODEL.SET", "b", "m", r#"{"n":2}"#]);
        define(conn, "KEYS");
        set(conn, "c");
        assert_eq!(numbers(conn).pop().unwrap(), last + 2);
        // An entry that could not be appended.
        conn.must(&["RENAME", STREAM, "saved"]);
        conn.must(&["SET", STREAM, "a string"]);
        conn.must(&["RENAME", "c", "d"]);
        settle(server);
        assert_eq!(server.info("model_changes_lost"), "1");
        conn.must(&["DEL", STREAM]);
        conn.must(&["RENAME", "saved", STREAM]);
        assert_eq!(set(conn, "b"), 2);
        assert_eq!(set(conn, "b"), 1);
    });
}

#[test]
fn a_stream_keeps_as_many_entries_as_it_is_told() {
    on_every_pair(&["stream-node-max-entries 10"], |master, replica| {
        let conn = &mut master.conn();
        conn.must(&["MODEL.DEFINE", "m", "{}", "CHANGES", "25"]);
        for nth in 0..100 {
            conn.must(&["MODEL.SET", "a", "m", &nth.to_string()]);
            let len = conn.must(&["XLEN", STREAM]).int();
            assert!(len >= 25.min(nth + 1) && len < 25 + 10, "{len} of {nth}");
        }
        check_equal(master, replica);
        // Without CHANGES nothing is appended any more, and the stream stays.
        let len = conn.must(&["XLEN", STREAM]);
        conn.must(&["MODEL.DEFINE", "m", "{}"]);
        conn.must(&["MODEL.SET", "a", "m", "[]"]);
        assert_eq!(conn.must(&["XLEN", STREAM]), len);
        check_equal(master, replica);
    });
}

#[test]
fn a_user_of_documents_needs_no_permission_for_the_stream() {
    on_every_server(|server| {
        define(&mut server.conn(), "PATCH");
        let user = &mut acl::user(server, &["+@all", "-xadd", "~a:*"]);
        user.must(&["MODEL.SET", "a:1", "m", "{}"]);
        user.must(&["DEL", "a:1"]);
        settle(server);
        assert_eq!(user.call(&["XLEN", STREAM]).error_word(), "NOPERM");
        assert_eq!(server.must(&["XLEN", STREAM]).int(), 2);
    });
}

#[test]
fn evicted_documents_are_in_the_stream() {
    on_every_flavor(|flavor| {
        let server = Server::start(flavor, &["maxmemory-policy volatile-random"]);
        let (conn, rng) = (&mut server.conn(), &mut Rng::new(3));
        define(conn, "KEYS");
        for nth in 0..1000 {
            conn.must(&["MODEL.SET", &format!("e{nth}"), "m", &json(rng), "EX", "10000"]);
        }
        let used: u64 = server.info("used_memory").parse().unwrap();
        conn.must(&["CONFIG", "SET", "maxmemory", &(used - 50_000).to_string()]);
        for _ in 0..50 {
            conn.call(&["SET", "x", "y", "EX", "10000"]);
        }
        conn.must(&["CONFIG", "SET", "maxmemory", "0"]);
        settle(&server);
        let mut left: Vec<String> = Vec::new();
        let mut evicted = 0;
        for entry in entries(conn, STREAM, None) {
            match entry["op"].as_str() {
                "create" => left.push(entry["key"].clone()),
                "evict" => {
                    evicted += 1;
                    left.retain(|key| *key != entry["key"]);
                }
                other => panic!("{other}"),
            }
        }
        left.sort();
        assert!(evicted > 0);
        assert_eq!(left, documents(conn).into_keys().collect::<Vec<_>>());
    });
}

#[test]
fn listing_and_then_following_misses_nothing() {
    on_every_server(|server| {
        let (conn, rng) = (&mut server.conn(), &mut Rng::new(8));
        conn.must(&["MODEL.DEFINE", "m", "{}", "INDEX", "n", "1", "$.n", "CHANGES", "100000"]);
        for _ in 0..300 {
            change(conn, rng);
        }
        settle(server);
        // First the number, then the documents, while they change.
        let seq = conn.must(&["MODEL.FIND", "m", "EXPLAIN"]).field("seq").int() as u64;
        let (mut follower, mut cursor) = (Follower { seq: Some(seq), ..Follower::default() }, None);
        loop {
            let mut args = vec!["MODEL.FIND".to_owned(), "m".into(), "LIMIT".into(), "3".into()];
            args.extend(
                cursor.iter().flat_map(|cursor: &String| ["AFTER".to_owned(), cursor.clone()]),
            );
            let page = conn.must(&args.iter().map(String::as_str).collect::<Vec<_>>());
            let [next, rows] = page.array() else { panic!("{page:?}") };
            for row in rows.array() {
                let [key, revision, json] = row.array() else { panic!("{row:?}") };
                let found = (revision.int() as u64, json.json());
                follower.documents.insert(key.text().to_owned(), found);
            }
            for _ in 0..10 {
                change(conn, rng);
            }
            match next {
                Reply::Null => break,
                next => cursor = Some(next.text().to_owned()),
            }
        }
        check(server, conn, &mut follower);
    });
}
