//! `MODEL.FINDOP` on every server: what replicas and the AOF get, MULTI, scripts and Functions, access rules, clusters.

use crate::acl;
use crate::cluster::Cluster;
use crate::harness::{Server, on_every_flavor, on_every_server, on_every_server_with};
use crate::replication::{check_equal, on_every_pair};
use crate::resp::{Conn, Reply};
use crate::txn_routing::applied;
use crate::workload::Rng;

const DEFINE: [&str; 8] = [
    "MODEL.DEFINE",
    "job",
    r#"{"properties":{"n":{"maximum":50}}}"#,
    "INDEX",
    "state_n",
    "2",
    "$.state",
    "$.n",
];

pub fn define(conn: &mut Conn) {
    conn.must(&[&DEFINE[..3], &["RULE", "low", "self.n >= 0"], &DEFINE[3..8]].concat());
}

pub fn set(conn: &mut Conn, key: &str, state: &str, n: i64) {
    conn.must(&["MODEL.SET", key, "job", &format!(r#"{{"state":"{state}","n":{n}}}"#)]);
}

/// The keys that a command found.
pub fn keys(reply: &Reply) -> Vec<&str> {
    reply.array().iter().map(|row| row.array()[0].text()).collect()
}

/// A random command.
fn findop(rng: &mut Rng) -> Vec<String> {
    let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
    let state = format!("self.state == 's{}'", rng.below(3));
    let mut command = words(&["MODEL.FINDOP", "2", "log", "names", "job"]);
    match rng.below(3) {
        0 => command.extend(words(&["WHERE", &state, "ORDER", "state_n"])),
        1 => command.extend(words(&["WHERE", &format!("{state} && self.n < 30")])),
        _ => {}
    }
    command.extend(words(&["LIMIT", &(1 + rng.below(5)).to_string(), "DO"]));
    let statements: [&[&str]; 9] = [
        &["INCR", "$.n", "1"],
        &["INCR", "$.n", "-7"],
        &["SET", "$.state", "\"s1\""],
        &["WHEN", "self.n > 10", "SET", "$.state", "\"s2\"", "NOW", "$.at"],
        &["EX", "60", "INCR", "$.n", "1"],
        &["WHEN", "self.n > 40", "DELETE"],
        &["GET", "$.n"],
        &["PUT", "job", "={'state': 's0', 'n': 3}"],
        &["EVAL", "$.n", "value / 2"],
    ];
    command.extend(words(rng.pick(&statements)));
    let natives: [&[&str]; 3] = [
        &[],
        &["AT", "log", "RPUSH", "=key"],
        &[
            "AT",
            "names",
            "ZINCRBY",
            "1",
            "=key",
            "AT",
            "log",
            "WHEN",
            "self.n > 9",
            "RPUSH",
            "=self.n",
        ],
    ];
    command.extend(words(rng.pick(&natives)));
    command
}

fn call(conn: &mut Conn, command: &[String]) -> Reply {
    conn.call(&command.iter().map(String::as_str).collect::<Vec<_>>())
}

fn fill(server: &Server) {
    let conn = &mut server.conn();
    define(conn);
    for nth in 0..30 {
        set(conn, &format!("j:{nth}"), &format!("s{}", nth % 3), nth);
    }
}

#[test]
fn a_replica_holds_what_its_master_holds() {
    on_every_pair(&[], |master, replica| {
        fill(master);
        let (conn, rng) = (&mut master.conn(), &mut Rng::new(21));
        let (mut found, mut refused) = (0, 0);
        for round in 0..6 {
            for _ in 0..25 {
                let reply = call(conn, &findop(rng));
                match reply.is_error() {
                    true => refused += 1,
                    false => found += reply.array().len(),
                }
                // Some are put back.
                set(conn, &format!("j:{}", rng.below(30)), "s0", 5);
            }
            check_equal(master, replica);
            if round == 3 {
                replica.must(&["DEBUG", "RELOAD"]);
            }
        }
        assert!(found > 100 && refused > 3, "{found} {refused}");
        assert!(applied(replica) > 0);
        assert_eq!(replica.info("cmdstat_MODEL.FINDOP"), "");
    });
}

#[test]
fn a_killed_server_holds_what_was_acknowledged() {
    let config = ["appendonly yes", "appendfsync always"];
    on_every_server_with(&config, |server| {
        fill(server);
        let (conn, rng) = (&mut server.conn(), &mut Rng::new(22));
        for _ in 0..60 {
            call(conn, &findop(rng));
        }
        let digest = server.debug_digest();
        server.kill9();
        server.restart();
        assert_eq!(server.debug_digest(), digest);
        let found = server.must(&["MODEL.FIND", "job", "LIMIT", "1000"]);
        assert!(!found.array()[1].array().is_empty());
    });
}

#[test]
fn all_documents_and_natives_are_one_unit_in_the_stream() {
    on_every_pair(&[], |master, replica| {
        fill(master);
        let (conn, monitor) = (&mut master.conn(), &mut replica.conn());
        replica.wait_for_sync(master);
        monitor.must(&["MONITOR"]);
        let head = ["MODEL.FINDOP", "1", "log", "job", "WHERE", "self.state == 's0'", "LIMIT", "3"];
        let delete = ["DO", "DELETE", "AT", "log", "RPUSH", "=key"];
        conn.must(&[&head[..], &delete].concat());
        conn.must(&[&head[..], &["DO", "GET", "$.n"]].concat());
        conn.must(&["SET", "marker", "x"]);
        let mut names = Vec::new();
        loop {
            let line = monitor.recv();
            let name = line.text().split('"').nth(1).expect("a command").to_uppercase();
            match name.as_str() {
                "SELECT" | "REPLCONF" | "PING" | "INFO" | "DEBUG" => {}
                "SET" => break,
                _ => names.push(name),
            }
        }
        let expected = "MULTI UNLINK UNLINK UNLINK RPUSH RPUSH RPUSH EXEC";
        assert_eq!(names.join(" "), expected);
    });
}

#[test]
fn multi_scripts_and_functions_run_it_and_see_what_it_did() {
    on_every_server(|server| {
        let conn = &mut server.conn();
        define(conn);
        let take = ["MODEL.FINDOP", "0", "job", "WHERE", "self.state == 'open'", "DO", "DELETE"];
        conn.must(&["MULTI"]);
        set(conn, "a", "open", 1);
        conn.must(&take);
        conn.must(&take);
        let replies = conn.must(&["EXEC"]);
        assert_eq!(keys(&replies.array()[1]), ["a"]);
        assert_eq!(replies.array()[2], Reply::Array(vec![]));
        set(conn, "b", "open", 1);
        let call = "return redis.call(unpack(ARGV))";
        let found = conn.must(&[&["EVAL", call, "0"], &take[..]].concat());
        assert_eq!(keys(&found), ["b"]);
        set(conn, "c", "open", 1);
        conn.must(&[
            "FUNCTION",
            "LOAD",
            "#!lua name=q\nredis.register_function('take', function(keys, args)
                return redis.call(unpack(args)) end)",
        ]);
        let found = conn.must(&[&["FCALL", "take", "0"], &take[..]].concat());
        assert_eq!(keys(&found), ["c"]);
        assert_eq!(conn.must(&["EXISTS", "a", "b", "c"]).int(), 0);
        // A script that only reads may not.
        let script = "#!lua flags=no-writes\nreturn redis.call(unpack(ARGV))";
        assert!(conn.call(&[&["EVAL", script, "0"], &take[..]].concat()).is_error());
    });
}

#[test]
fn clients_that_watch_or_listen_are_told_of_each_document() {
    on_every_server(|server| {
        let (conn, watcher, listener) =
            (&mut server.conn(), &mut server.conn(), &mut server.conn());
        define(conn);
        for key in ["a", "b"] {
            set(conn, key, "open", 1);
        }
        conn.must(&["CONFIG", "SET", "notify-keyspace-events", "KA"]);
        listener.must(&["PSUBSCRIBE", "__keyspace@0__:*"]);
        watcher.must(&["WATCH", "b"]);
        let all = ["MODEL.FINDOP", "0", "job", "LIMIT", "2", "DO", "WHEN", "key == 'a'", "DELETE"];
        conn.must(&all);
        conn.must(&["MODEL.FINDOP", "0", "job", "LIMIT", "2", "DO", "INCR", "$.n", "1"]);
        watcher.must(&["MULTI"]);
        watcher.must(&["PING"]);
        assert_eq!(watcher.call(&["EXEC"]), Reply::Null);
        for expected in [["a", "del"], ["b", "model.update"]] {
            let message = listener.recv();
            let message: Vec<&str> = message.array()[2..].iter().map(Reply::text).collect();
            assert_eq!(message, [&format!("__keyspace@0__:{}", expected[0]), expected[1]]);
        }
    });
}

#[test]
fn a_value_of_a_document_that_has_expired_is_free() {
    on_every_server(|server| {
        let conn = &mut server.conn();
        conn.must(&["MODEL.DEFINE", "m", "{}", "INDEX", "mail", "1", "$.mail", "UNIQUE"]);
        conn.must(&["DEBUG", "SET-ACTIVE-EXPIRE", "0"]);
        conn.must(&["MODEL.SET", "old", "m", r#"{"mail":"a"}"#, "PX", "1"]);
        conn.must(&["MODEL.SET", "new", "m", r#"{"mail":"b"}"#]);
        std::thread::sleep(std::time::Duration::from_millis(10));
        let args = ["MODEL.FINDOP", "0", "m", "WHERE", "self.mail == 'b'", "DO"];
        let found = conn.must(&[&args[..], &["SET", "$.mail", "\"a\""]].concat());
        assert_eq!(keys(&found), ["new"]);
        assert_eq!(conn.must(&["EXISTS", "old"]).int(), 0);
    });
}

#[test]
fn documents_that_the_user_may_not_read_and_write_are_skipped() {
    on_every_server(|server| {
        let admin = &mut server.conn();
        define(admin);
        for key in ["in:1", "in:2", "out:1", "read:1", "write:1"] {
            set(admin, key, "open", 1);
        }
        admin.must(&["SET", "out:s", "x"]);
        let rules = ["+@all", "~in:*", "%R~read:*", "%W~write:*"];
        let conn = &mut acl::user(server, &rules);
        let all = ["MODEL.FINDOP", "0", "job", "LIMIT", "9", "DO", "INCR", "$.n", "1"];
        assert_eq!(keys(&conn.must(&all)), ["in:1", "in:2"]);
        let script = [&["EVAL", "return redis.call(unpack(ARGV))", "0"], &all[..]].concat();
        assert_eq!(keys(&conn.must(&script)), ["in:1", "in:2"]);
        // Keys that are listed need permission, whatever they are for.
        let listed = ["MODEL.FINDOP", "1", "out:1", "job", "DO", "DELETE"];
        assert_eq!(conn.call(&listed).error_word(), "NOPERM");
        let native =
            ["MODEL.FINDOP", "1", "in:s", "job", "DO", "DELETE", "AT", "in:s", "SADD", "1"];
        assert_eq!(keys(&conn.must(&native)), ["in:1"]);
        let conn = &mut acl::user(server, &["+@all", "-sadd", "~*"]);
        let native =
            ["MODEL.FINDOP", "1", "in:s", "job", "DO", "DELETE", "AT", "in:s", "SADD", "2"];
        let digest = server.debug_digest();
        assert_eq!(conn.call(&native).error_word(), "NOPERM");
        assert_eq!(server.debug_digest(), digest);
        let conn = &mut acl::user(server, &["+@all", "-model.findop", "~*"]);
        assert_eq!(conn.call(&all).error_word(), "NOPERM");
    });
}

#[test]
fn a_cluster_routes_by_the_listed_keys_and_searches_their_slot() {
    on_every_flavor(|flavor| {
        let cluster = Cluster::start(flavor, 2, &[]);
        let conn = &mut cluster.conn_of("{k}a");
        define(conn);
        cluster.wait_until_agreed();
        // Two slots of one node.
        let tag = (0..).map(|nth| format!("t{nth}")).find(|tag| {
            let key = format!("{{{tag}}}a");
            cluster.node_of(&key).port == cluster.node_of("{k}a").port
                && cluster.slot(&key) != cluster.slot("{k}a")
        });
        let tag = tag.expect("a node has many slots");
        let other_slot = format!("{{{tag}}}a");
        for key in ["{k}a", "{k}b", &other_slot] {
            set(conn, key, "open", 1);
        }
        let all = |key: &'static str| {
            ["MODEL.FINDOP", "1", key, "job", "LIMIT", "9", "DO", "INCR", "$.n", "1"]
        };
        // The key itself does not have to be there.
        assert_eq!(keys(&conn.must(&all("{k}"))), ["{k}a", "{k}b"]);
        assert_eq!(keys(&conn.must(&all("{k}a"))), ["{k}a", "{k}b"]);
        let home = cluster.node_of("{k}a").port;
        let other = cluster.nodes.iter().find(|node| node.port != home).expect("two nodes");
        assert_eq!(other.call(&all("{k}")).error_word(), "MOVED");
        let across = ["MODEL.FINDOP", "2", "{k}", "x", "job", "DO", "DELETE"];
        assert_eq!(conn.call(&across).error_word(), "CROSSSLOT");
        let none = ["MODEL.FINDOP", "0", "job", "DO", "DELETE"];
        assert_eq!(conn.call(&none).error_word(), "ERR");
        assert_eq!(
            conn.must(&["COMMAND", "GETKEYS", "MODEL.FINDOP", "1", "k", "job", "DO", "DELETE"])
                .array(),
            [Reply::bulk("k")]
        );
    });
}
