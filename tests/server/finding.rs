//! Finding documents on every server: after every kind of event, queries give what a naive scan of the keys gives.

use std::collections::BTreeMap;
use std::thread;
use std::time::Duration;

use crate::acl;
use crate::changes::settle;
use crate::harness::{Server, on_every_flavor, on_every_server, on_every_server_with};
use crate::replication::on_every_pair;
use crate::resp::{Conn, Reply};
use crate::workload::Rng;

pub const DEFINE: [&str; 20] = [
    "MODEL.DEFINE",
    "m",
    "{}",
    "INDEX",
    "status_n",
    "2",
    "$.status",
    "$.n",
    "INDEX",
    "by_n",
    "1",
    "$.n",
    "INDEX",
    "by_tag",
    "1",
    "$.tags[*]",
    "INDEX",
    "by_code",
    "1",
    "$.code",
];

/// The keys of all pages of a query.
pub fn find(conn: &mut Conn, query: &[&str]) -> Vec<String> {
    let (mut keys, mut cursor) = (Vec::new(), None::<String>);
    loop {
        let mut args = [&["MODEL.FIND", "m"], query, &["LIMIT", "7"]].concat();
        args.extend(cursor.iter().flat_map(|cursor| ["AFTER", cursor]));
        args.extend(["GET", "$.none"]);
        let reply = conn.must(&args);
        let [next, rows] = reply.array() else { panic!("{reply:?}") };
        keys.extend(rows.array().iter().map(|row| row.array()[0].text().to_owned()));
        match next {
            Reply::Null => return keys,
            next => cursor = Some(next.text().to_owned()),
        }
    }
}

/// The documents of the model in the selected database, by their keys.
pub fn documents(conn: &mut Conn) -> BTreeMap<String, serde_json::Value> {
    let keys = conn.must(&["KEYS", "*"]);
    let mut found = BTreeMap::new();
    for key in keys.array() {
        let meta = conn.call(&["MODEL.META", key.text()]);
        if matches!(meta, Reply::Null | Reply::Error(_)) || meta.field("model").text() != "m" {
            continue;
        }
        if let json @ Reply::Bulk(_) = conn.must(&["MODEL.GET", key.text()]) {
            found.insert(key.text().to_owned(), json.json());
        }
    }
    found
}

/// Asserts that each query gives what a scan gives, and that MODEL.CHECK finds nothing. Returns the number of documents.
#[track_caller]
pub fn check(conn: &mut Conn) -> usize {
    let_keys_expire(conn);
    let all = documents(conn);
    let keys = |holds: &dyn Fn(&serde_json::Value) -> bool| -> Vec<String> {
        all.iter().filter(|(_, json)| holds(json)).map(|(key, _)| key.clone()).collect()
    };
    assert_eq!(find(conn, &[]), keys(&|_| true));
    for n in 0..5 {
        let (below, status) = (format!("self.n < {n}"), format!("self.status == 's{n}'"));
        let mut found = find(conn, &["WHERE", &below]);
        found.sort();
        assert_eq!(found, keys(&|json| json["n"].as_i64().is_some_and(|own| own < n)), "{below}");
        let mut found = find(conn, &["WHERE", &status]);
        found.sort();
        assert_eq!(found, keys(&|json| json["status"] == *format!("s{n}")), "{status}");
        let tag = format!("{n} in self.tags");
        let has = |json: &serde_json::Value| {
            json["tags"].as_array().is_some_and(|tags| tags.contains(&n.into()))
        };
        assert_eq!(find(conn, &["WHERE", &tag]), keys(&has), "{tag}");
        assert_eq!(conn.must(&["MODEL.COUNT", "m", "WHERE", &tag]).int(), keys(&has).len() as i64);
    }
    digest(conn);
    all.len()
}

/// Waits until no key of the database is about to expire, so that none does between two looks at the data.
pub fn let_keys_expire(conn: &mut Conn) {
    // A node of a cluster replies MOVED for a key that it is about to get.
    let soon = |conn: &mut Conn, key: &Reply| {
        matches!(conn.call(&["PTTL", key.text()]), Reply::Int(0..50))
    };
    loop {
        let keys = conn.must(&["KEYS", "*"]);
        if !keys.array().iter().any(|key| soon(conn, key)) {
            return;
        }
        thread::sleep(Duration::from_millis(2));
    }
}

/// Asserts that MODEL.CHECK finds nothing. Returns the digest of all entries.
#[track_caller]
pub fn digest(conn: &mut Conn) -> String {
    let mut cursor = "0".to_owned();
    loop {
        let reply = conn.must(&["MODEL.CHECK", "m", "CURSOR", &cursor]);
        for count in ["missing", "stray"] {
            assert_eq!(reply.field(count).int(), 0, "{count}");
        }
        cursor = reply.field("cursor").text().to_owned();
        if cursor == "0" {
            return reply.field("digest").text().to_owned();
        }
    }
}

/// The digests of both databases that [`change`] writes to.
#[track_caller]
pub fn digests(server: &Server) -> [String; 2] {
    let conn = &mut server.conn();
    ["0", "1"].map(|database| {
        conn.must(&["SELECT", database]);
        digest(conn)
    })
}

pub fn json(rng: &mut Rng) -> String {
    let tags: Vec<_> = (0..rng.below(3)).map(|_| rng.below(5).to_string()).collect();
    format!(
        r#"{{"status":"s{}","n":{},"tags":[{}],"x":0}}"#,
        rng.below(5),
        rng.below(7),
        tags.join(",")
    )
}

/// One change of any kind.
pub fn change(conn: &mut Conn, rng: &mut Rng) {
    let (key, other) = (format!("k{}", rng.below(40)), format!("k{}", rng.below(40)));
    let (key, other) = (key.as_str(), other.as_str());
    let (json, n) = (json(rng), rng.below(6).to_string());
    match rng.below(24) {
        0..=5 => conn.call(&["MODEL.SET", key, "m", &json]),
        6 => conn.call(&["MODEL.SET", key, "any", &json]),
        7 => conn.call(&["MODEL.FIELDOP", key, "INCR", "$.n", "1"]),
        8 => conn.call(&["MODEL.FIELDOP", key, "SET", "$.x", &n]),
        9 => conn.call(&["MODEL.FIELDOP", key, "APPEND", "$.tags", &format!("[{n}]")]),
        10 => conn.call(&[
            "MODEL.TXN",
            "2",
            key,
            other,
            "ON",
            key,
            "INCR",
            "$.n",
            "-1",
            "ON",
            other,
            "SET",
            "$.status",
            "\"s1\"",
        ]),
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
            conn.call(&["EXEC"])
        }
        _ => conn.call(&["MODEL.SET", key, "m", &json, "PX", "1"]),
    };
}

/// Asserts it of all databases that tests use, and that the model counts the documents of all.
#[track_caller]
pub fn check_all(conn: &mut Conn) {
    let mut all = 0;
    for database in ["2", "1", "0"] {
        conn.must(&["SELECT", database]);
        all += check(conn) as i64;
    }
    let mut counted = || conn.must(&["MODEL.DESCRIBE", "m"]).field("documents").int();
    // A replica deletes what has expired when its master tells it.
    let mut tries = 0..2000;
    while counted() != all && tries.next().is_some() {
        thread::sleep(Duration::from_millis(5));
    }
    assert_eq!(counted(), all, "the documents that the model counts");
}

pub fn fill(server: &Server, rng: &mut Rng) {
    let conn = &mut server.conn();
    conn.must(&DEFINE);
    for _ in 0..300 {
        change(conn, rng);
    }
}

#[test]
fn queries_follow_every_change_of_keys() {
    on_every_server(|server| {
        let (conn, rng) = (&mut server.conn(), &mut Rng::new(5));
        conn.must(&DEFINE);
        for _ in 0..40 {
            for _ in 0..15 {
                change(conn, rng);
            }
            check_all(conn);
        }
        conn.must(&["SWAPDB", "0", "1"]);
        check_all(conn);
        conn.must(&["DEBUG", "RELOAD"]);
        check_all(conn);
        conn.must(&["FLUSHDB", "ASYNC"]);
        assert_eq!(check(conn), 0);
        fill(server, rng);
        conn.must(&["FLUSHDB", "SYNC"]);
        assert_eq!(check(conn), 0);
        fill(server, rng);
        conn.must(&["FLUSHALL"]);
        check_all(conn);
        fill(server, rng);
        conn.must(&["FLUSHALL", "ASYNC"]);
        assert_eq!(check(conn), 0);
    });
}

/// The digests when documents with a time to live are gone: all of them end soon.
fn settled(server: &Server) -> [String; 2] {
    let conn = &mut server.conn();
    server.wait_until("documents have expired", || {
        ["1", "0"].iter().all(|database| {
            conn.must(&["SELECT", database]);
            conn.must(&["KEYS", "*"]);
            let keys = server.info(&format!("db{database}"));
            keys.is_empty() || keys.contains("expires=0,")
        })
    });
    digests(server)
}

#[test]
fn queries_are_right_after_loads_of_every_kind() {
    for config in [
        &["appendonly yes", "appendfsync always"][..],
        &["appendonly yes", "aof-use-rdb-preamble no"],
        &["save 3600 100000"],
    ] {
        on_every_server_with(config, |server| {
            fill(server, &mut Rng::new(6));
            let before = settled(server);
            server.restart();
            check_all(&mut server.conn());
            assert_eq!(digests(server), before);
            fill(server, &mut Rng::new(7));
            if config[0] == "appendonly yes" {
                server.rewrite_aof();
                fill(server, &mut Rng::new(8));
                let before = settled(server);
                if config.len() > 1 && config[1] == "appendfsync always" {
                    server.kill9();
                }
                server.restart();
                check_all(&mut server.conn());
                assert_eq!(digests(server), before);
            }
        });
    }
}

#[test]
fn replicas_answer_as_their_master() {
    for mode in ["repl-diskless-load disabled", "repl-diskless-load swapdb"] {
        on_every_pair(&[mode], |master, replica| {
            let rng = &mut Rng::new(9);
            fill(master, rng);
            let same = |rng: &mut Rng| {
                for _ in 0..5 {
                    let conn = &mut master.conn();
                    for _ in 0..20 {
                        change(conn, rng);
                    }
                    // Expired keys go on the master first.
                    check_all(conn);
                    replica.wait_for_sync(master);
                    check_all(&mut replica.conn());
                    assert_eq!(digests(replica), digests(master));
                    assert_eq!(find(&mut replica.conn(), &[]), find(conn, &[]));
                }
            };
            same(rng);
            // A full sync replaces all.
            replica.must(&["REPLICAOF", "NO", "ONE"]);
            replica.must(&["FLUSHALL"]);
            fill(replica, rng);
            replica.replica_of(master);
            same(rng);
            // The replica becomes the master.
            replica.must(&["REPLICAOF", "NO", "ONE"]);
            let conn = &mut replica.conn();
            for _ in 0..50 {
                change(conn, rng);
            }
            check_all(conn);
        });
    }
}

#[test]
fn a_check_of_a_replica_leaves_out_documents_that_its_master_has_not_deleted_yet() {
    on_every_pair(&[], |master, replica| {
        let conn = &mut master.conn();
        conn.must(&DEFINE);
        conn.must(&["DEBUG", "SET-ACTIVE-EXPIRE", "0"]);
        for nth in 0..9 {
            let key = format!("k{nth}");
            conn.must(&["MODEL.SET", &key, "m", r#"{"n":1}"#, "PX", "2"]);
        }
        conn.must(&["MODEL.SET", "stays", "m", r#"{"n":1}"#]);
        replica.wait_for_sync(master);
        let there = &mut replica.conn();
        replica.wait_until("they have expired", || find(there, &[]) == ["stays"]);
        assert_eq!(replica.info("model_index_documents"), "10");
        digest(there);
        assert_eq!(find(conn, &[]), ["stays"]);
        replica.wait_for_sync(master);
        assert_eq!(replica.info("model_index_documents"), "1");
        assert_eq!(digest(there), digest(conn));
    });
}

#[test]
fn an_index_on_documents_that_exist_is_built_in_the_background() {
    on_every_pair(&[], |master, replica| {
        let conn = &mut master.conn();
        conn.must(&["MODEL.DEFINE", "m", "{}"]);
        let rng = &mut Rng::new(11);
        let commands: Vec<Vec<String>> = (0..4_000)
            .map(|nth| {
                ["MODEL.SET", &format!("d{nth}"), "m", &json(rng)].map(str::to_owned).to_vec()
            })
            .collect();
        commands.chunks(1000).for_each(|chunk| drop(conn.pipeline(chunk)));
        // All in one step of the server, before it builds.
        conn.must(&["MULTI"]);
        conn.must(&DEFINE);
        conn.must(&["MODEL.COUNT", "m", "WHERE", "self.n == 3"]);
        conn.must(&["MODEL.DESCRIBE", "m"]);
        let replies = conn.must(&["EXEC"]);
        let [_, counted, described] = replies.array() else { panic!("{replies:?}") };
        assert_eq!(counted.error_word(), "INDEXING");
        let state = described.field("indexes").array()[0].array()[4].text();
        assert_eq!(state, "BUILDING");
        // Changes go on meanwhile.
        for _ in 0..200 {
            change(conn, rng);
        }
        conn.must(&["SWAPDB", "0", "1"]);
        conn.must(&["SWAPDB", "0", "1"]);
        for server in [master, replica] {
            let conn = &mut server.conn();
            let ready = |conn: &mut Conn| {
                !conn.call(&["MODEL.COUNT", "m", "WHERE", "self.n == 3"]).is_error()
            };
            server.wait_until("the indexes are built", || ready(conn));
        }
        let count = |conn: &mut Conn| conn.must(&["MODEL.COUNT", "m"]).int();
        assert!(count(conn) > 3_500);
        conn.must(&["KEYS", "none"]);
        replica.wait_for_sync(master);
        assert_eq!(digests(replica), digests(master));
        // Another definition has no index, and the one after it has them again.
        conn.must(&["MODEL.DEFINE", "m", "{}"]);
        assert_eq!(conn.call(&["MODEL.FIND", "m"]).error_word(), "NOINDEX");
    });
}

#[test]
fn unique_holds_and_lets_in_what_other_commands_bring() {
    on_every_server(|server| {
        let conn = &mut server.conn();
        conn.must(&["MODEL.DEFINE", "m", "{}", "INDEX", "mail", "1", "$.mail", "UNIQUE"]);
        conn.must(&["MODEL.SET", "a", "m", r#"{"mail":"a"}"#]);
        let refused = conn.call(&["MODEL.SET", "b", "m", r#"{"mail":"a"}"#]);
        assert_eq!(refused.error_word(), "UNIQUE");
        // One that has expired is not in the way, although the server has not noticed yet.
        conn.must(&["DEBUG", "SET-ACTIVE-EXPIRE", "0"]);
        conn.must(&["MODEL.SET", "a", "m", r#"{"mail":"a"}"#, "PX", "1"]);
        std::thread::sleep(std::time::Duration::from_millis(10));
        conn.must(&["MODEL.SET", "b", "m", r#"{"mail":"a"}"#]);
        assert_eq!(conn.must(&["EXISTS", "a"]).int(), 0);
        assert_eq!(conn.must(&["MODEL.COUNT", "m"]).int(), 1);
        // A copy is let in and counted; writing the value again is refused, writing another one is not.
        conn.must(&["COPY", "b", "c"]);
        let duplicates = |conn: &mut Conn| {
            let (mut cursor, mut count) = ("0".to_owned(), 0);
            loop {
                let reply = conn.must(&["MODEL.CHECK", "m", "CURSOR", &cursor]);
                count += reply.field("duplicates").int();
                cursor = reply.field("cursor").text().to_owned();
                if cursor == "0" {
                    let described = conn.must(&["MODEL.DESCRIBE", "m"]);
                    assert_eq!(described.field("indexes").array()[0].array()[5].int(), count);
                    assert_eq!(server.info("model_index_duplicates"), count.to_string());
                    return count;
                }
            }
        };
        assert_eq!(duplicates(conn), 1);
        conn.must(&["MODEL.FIELDOP", "c", "SET", "$.x", "1"]);
        let refused = conn.call(&["MODEL.SET", "c", "m", r#"{"mail":"a","x":2}"#]);
        assert_eq!(refused.error_word(), "UNIQUE");
        // A restored document is validated at its next write, whatever that changes.
        let Reply::Bulk(payload) = conn.must(&["DUMP", "b"]) else { panic!("a payload") };
        conn.must(&["DEL", "c"]);
        conn.call_bytes(&[b"RESTORE", b"c", b"0", &payload]);
        assert_eq!(conn.call(&["MODEL.FIELDOP", "c", "SET", "$.x", "1"]).error_word(), "UNIQUE");
        conn.must(&["MODEL.FIELDOP", "c", "SET", "$.mail", "\"c\""]);
        assert_eq!(duplicates(conn), 0);
    });
}

#[test]
fn queries_read_their_own_writes_in_transactions_and_scripts() {
    on_every_server(|server| {
        let conn = &mut server.conn();
        conn.must(&DEFINE);
        conn.must(&["MULTI"]);
        conn.must(&["MODEL.SET", "a", "m", r#"{"n":1}"#]);
        conn.must(&["MODEL.COUNT", "m", "WHERE", "self.n == 1"]);
        conn.must(&["MODEL.FIELDOP", "a", "INCR", "$.n", "1"]);
        conn.must(&["MODEL.COUNT", "m", "WHERE", "self.n == 1"]);
        let replies = conn.must(&["EXEC"]);
        assert_eq!((replies.array()[1].int(), replies.array()[3].int()), (1, 0));
        let script = "redis.call('MODEL.SET', 'b', 'm', '{\"n\":2}')
            return redis.call('MODEL.COUNT', 'm', 'WHERE', 'self.n == 2')";
        assert_eq!(conn.must(&["EVAL", script, "1", "b"]).int(), 2);
        let script = "#!lua flags=no-writes
            return redis.call('MODEL.FIND', 'm', 'WHERE', 'self.n == 2', 'GET', '$.n')";
        let found = conn.must(&["EVAL", script, "0"]);
        assert_eq!(found.array()[1].array().len(), 2);
        let function = "#!lua name=f
            local function set(keys)
                redis.call('MODEL.SET', keys[1], 'm', '{\"n\":2}')
                return redis.call('MODEL.COUNT', 'm', 'WHERE', 'self.n == 2')
            end
            local function count() return redis.call('MODEL.COUNT', 'm', 'WHERE', 'self.n == 2') end
            redis.register_function('set', set)
            redis.register_function{function_name='count', callback=count, flags={'no-writes'}}";
        conn.must(&["FUNCTION", "LOAD", function]);
        assert_eq!(conn.must(&["FCALL", "set", "1", "c"]).int(), 3);
        assert_eq!(conn.must(&["FCALL_RO", "count", "0"]).int(), 3);
    });
}

#[test]
fn documents_come_to_other_databases_within_transactions() {
    on_every_pair(&[], |master, replica| {
        let conn = &mut master.conn();
        conn.must(&[&DEFINE[..], &["CHANGES", "100", "WITH", "KEYS"]].concat());
        let in_db = |server: &Server, db: &str| {
            let conn = &mut server.conn();
            conn.must(&["SELECT", db]);
            let entries = conn.must(&["XRANGE", "m!changes", "-", "+"]);
            let op = |entry: &Reply| {
                let fields = entry.array()[1].pairs();
                let text = |name: &str| {
                    fields.iter().find(|(field, _)| field.text() == name).unwrap().1.text()
                };
                format!("{} {}", text("op"), text("key"))
            };
            let ops: Vec<String> = entries.array().iter().map(op).collect();
            (find(conn, &[]).join(" "), ops.join(", "))
        };
        conn.must(&["DEBUG", "SET-ACTIVE-EXPIRE", "0"]);
        conn.must(&["MODEL.SET", "gone", "m", "{}"]);
        conn.must(&["PEXPIRE", "gone", "1"]);
        conn.must(&["SELECT", "1"]);
        for key in ["moved", "copied", "gone"] {
            conn.must(&["MODEL.SET", key, "m", r#"{"n":1}"#]);
        }
        thread::sleep(Duration::from_millis(5));
        conn.must(&["MULTI"]);
        conn.must(&["MOVE", "moved", "2"]);
        conn.must(&["SELECT", "0"]);
        conn.must(&["SELECT", "1"]);
        conn.must(&["COPY", "copied", "copy", "DB", "0"]);
        conn.must(&["MOVE", "gone", "0"]);
        conn.must(&["EXEC"]);
        replica.wait_for_sync(master);
        for server in [master, replica] {
            settle(server);
            let ways = "create moved, create copied, create gone, delete moved, delete gone";
            assert_eq!(in_db(server, "1"), ("copied".into(), ways.into()));
            assert_eq!(in_db(server, "2"), ("moved".into(), "create moved".into()));
            let ways = "create gone, create copy, expire gone, create gone";
            assert_eq!(in_db(server, "0"), ("copy gone".into(), ways.into()));
        }
        assert_eq!(digests(replica), digests(master));
    });
}

#[test]
fn a_user_finds_the_documents_that_it_may_read() {
    on_every_server(|server| {
        let conn = &mut server.conn();
        conn.must(&DEFINE);
        for key in ["a:1", "a:2", "b:1"] {
            conn.must(&["MODEL.SET", key, "m", r#"{"n":1}"#]);
        }
        let user = &mut acl::user(server, &["+@all", "~a:*"]);
        assert_eq!(find(user, &["WHERE", "self.n == 1"]), ["a:1", "a:2"]);
        assert_eq!(user.must(&["MODEL.COUNT", "m"]).int(), 2);
        let script = "return redis.call('MODEL.COUNT', 'm')";
        assert_eq!(user.must(&["EVAL", script, "0"]).int(), 2);
        let writer = &mut acl::user(server, &["+@all", "%W~*"]);
        assert_eq!(writer.must(&["MODEL.COUNT", "m"]).int(), 0);
    });
}

#[test]
fn evicted_documents_are_not_found() {
    on_every_flavor(|flavor| {
        let server = Server::start(flavor, &["maxmemory-policy allkeys-random"]);
        let (conn, rng) = (&mut server.conn(), &mut Rng::new(3));
        conn.must(&DEFINE);
        for nth in 0..2000 {
            conn.must(&["MODEL.SET", &format!("e{nth}"), "m", &json(rng)]);
        }
        let used: u64 = server.info("used_memory").parse().unwrap();
        conn.must(&["CONFIG", "SET", "maxmemory", &(used - 200_000).to_string()]);
        for _ in 0..50 {
            conn.call(&["MODEL.SET", "e0", "m", &json(rng)]);
        }
        conn.must(&["CONFIG", "SET", "maxmemory", "0"]);
        assert_ne!(server.info("evicted_keys"), "0");
        assert!(check(conn) < 2000);
    });
}
